//! The way back: sending a rollback until it is through, waiting until it has arrived in every pod, and saying
//! honestly how far it came.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::canary::{Bringing, Stopped, Why};
use super::{Context, now};
use crate::cluster::{Applied, Cluster, Ended, Error as ClusterError, Found, Target, Wait, retry};
use crate::error::Error;
use crate::output::Printer;
use crate::output::canary::entered;
use crate::output::change::{self, ChangeReport};
use crate::output::progress::{expected, not_arrived, progress};
use crate::rollout::canary::{Aim, CanaryRecord};
use crate::rollout::plan::{Fate, Plan};
use crate::rollout::progress::{Goal, Spread};
use crate::rollout::workload::Workload;

/// A change that the API server has taken, with what was there before.
pub(super) struct Made {
    pub before: Workload,
    pub plan: Plan,
    pub applied: Applied,
}

/// What became of sending a change.
pub(super) enum Sent<N> {
    Made(Box<Made>),
    /// There is none to make.
    Nothing(Box<Workload>, N),
    /// The answer to it was lost, and somebody has moved the rollout on since it was planned: planning again would take
    /// that back too, which nobody asked for. `arrived` if it is certain that it was made before.
    Overtaken {
        before: Box<Workload>,
        plan: Box<Plan>,
        now: Box<Workload>,
        arrived: bool,
    },
}

/// Plans on what is there and sends it, again and again until it is through or the deadline passes. A change whose
/// answer was lost is recognised by what it wrote, and is not made twice.
pub(super) async fn send<N>(
    cluster: &Cluster,
    target: &Target,
    (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
    told: impl FnMut(&ClusterError),
    dry_run: bool,
    planned: impl Fn(&Workload) -> Result<Plan, N>,
) -> Result<Sent<N>, ClusterError> {
    // The latest change that may have arrived unheard, even late. One that was refused has not.
    let mut unheard: Option<(Workload, Plan)> = None;
    let attempt = async || {
        let Found { workload: found, .. } = cluster.read(target).await?;
        let fate = unheard.as_ref().map(|(before, plan)| plan.fate(before, &found));
        if fate == Some(Fate::Arrived)
            && let Some((before, plan)) = unheard.take()
        {
            let applied = Applied { generation: found.replicas.generation };
            return Ok(Sent::Made(Box::new(Made { before, plan, applied })));
        }
        let plan = match planned(&found) {
            Ok(plan) => plan,
            Err(nothing) => return Ok(Sent::Nothing(Box::new(found), nothing)),
        };
        if let Some(Fate::Overtaken { arrived }) = fate
            && let Some((before, plan)) = unheard.take()
        {
            let (before, plan, now) = (Box::new(before), Box::new(plan), Box::new(found));
            return Ok(Sent::Overtaken { before, plan, now, arrived });
        }
        match cluster.apply(&plan, &found, dry_run).await {
            Ok(applied) => Ok(Sent::Made(Box::new(Made { before: found, plan, applied }))),
            Err(error) => {
                if !error.is_conflict() && !dry_run {
                    unheard = Some((found, plan));
                }
                Err(error)
            }
        }
    };
    retry(deadline, interrupted, told, attempt).await
}

/// Waits for a change, and tells how far it has come whenever that changes.
pub(super) async fn watch(
    context: &Context,
    cluster: &Cluster,
    wait: &Wait<'_>,
    interrupted: &mut (impl Future<Output = ()> + Unpin),
) -> Ended {
    let mut telling = Telling::new(wait.deadline);
    let seen = |seen: &Workload| telling.tell(&context.printer, seen.spread(wait.goal), wait.goal, seen.readiness());
    cluster.await_rollout(wait, interrupted, seen).await
}

/// Tells how far a change has come, and how long it may take, whenever that is something new.
pub(super) struct Telling {
    began: Instant,
    deadline: Instant,
    told: Option<Spread>,
    /// Pods that ran the new values when it began.
    already: Option<usize>,
}

impl Telling {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { began: Instant::now(), deadline, told: None, already: None }
    }

    pub(super) fn tell(&mut self, printer: &Printer, spread: Spread, goal: &Goal, readiness: Option<Duration>) {
        let already = *self.already.get_or_insert(spread.new);
        if self.told.as_ref() == Some(&spread) {
            return;
        }
        let left = spread.time_left(spread.new.saturating_sub(already), self.began.elapsed(), readiness);
        let at_most = self.deadline.saturating_duration_since(Instant::now());
        printer.tell(&format!("{}{}", progress(&spread, goal), expected(left, at_most)));
        self.told = Some(spread);
    }
}

/// A rollback that the API server has taken.
pub(super) struct Settling<'a> {
    pub context: &'a Context,
    pub cluster: &'a Cluster,
    pub target: &'a Target,
    pub applied: &'a Applied,
    pub goal: &'a Goal,
    /// What was recorded of the canary, where that changed.
    pub canary: Option<&'a CanaryRecord>,
    pub began: Timestamp,
    pub deadline: Instant,
    pub still_ours: &'a dyn Fn(&Workload) -> bool,
}

/// A rollback that is in the deployment, and was not seen to arrive in every pod.
pub(super) struct Unsettled {
    /// The time was not over: something else ended the wait.
    pub in_time: bool,
    /// Somebody else has changed the rollout since.
    overtaken: bool,
    what: String,
    hint: String,
    pods: Option<Spread>,
    source: Option<ClusterError>,
}

impl Settling<'_> {
    /// Waits until every pod runs what is wanted and all others are gone; the headline begins with what is true.
    ///
    /// # Errors
    /// The state of the pods when time runs out or somebody interrupts.
    pub(super) async fn verify(
        &self,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
        done: &str,
    ) -> Result<(Workload, String), Unsettled> {
        let after = self.settle(interrupted).await?;
        let arrived = match self.canary.filter(|_| self.nothing_else()) {
            // The pods of the Deployment itself ran the right values all the time.
            Some(record) => record.canary().map_or("the canary is gone".to_owned(), |canary| entered(canary, &after)),
            None => progress(&after.spread(self.goal), self.goal),
        };
        let told = if arrived == done { arrived } else { format!("{done}; {arrived}") };
        Ok((after, format!("done in {}: {told}", change::took(self.began, now()))))
    }

    /// The same, without words. A canary goes first, with the traffic that it gets; one that comes back comes last.
    pub(super) async fn settle(
        &self,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Workload, Unsettled> {
        let Some(record) = self.canary else { return self.settle_pods(interrupted).await };
        let goes = record.aim == Aim::Gone;
        let nothing_else = self.nothing_else();
        if !goes && !nothing_else {
            self.settle_pods(interrupted).await?;
        }
        let (context, cluster, target) = (self.context, self.cluster, self.target);
        let (deadline, still_ours) = (self.deadline, self.still_ours);
        let bringing = Bringing { context, cluster, target, record, deadline, still_ours };
        let brought =
            Box::pin(bringing.bring(interrupted)).await.map_err(|stopped| Unsettled::of_canary(stopped, record))?;
        if goes && !nothing_else { self.settle_pods(interrupted).await } else { Ok(brought) }
    }

    /// Only the canary changes.
    fn nothing_else(&self) -> bool {
        *self.goal == Goal::Values(BTreeMap::new())
    }

    async fn settle_pods(&self, interrupted: &mut (impl Future<Output = ()> + Unpin)) -> Result<Workload, Unsettled> {
        let wait = Wait {
            target: self.target,
            generation: self.applied.generation,
            goal: self.goal,
            until_gone: true,
            give_up_on_failure: false,
            deadline: self.deadline,
            still_ours: self.still_ours,
        };
        let (mut in_time, mut overtaken) = (true, false);
        let (end, last, source) = match watch(self.context, self.cluster, &wait, interrupted).await {
            Ended::Done(after) => return Ok(after),
            Ended::Interrupted(last) => ("interrupted", last, None),
            Ended::Deadline(last, source) => {
                in_time = false;
                ("time is up", last, source)
            }
            Ended::Failed(last, _) => ("the rollout failed", Some(last), None),
            Ended::Lost(last, source) => ("nothing more can be seen of it", last, Some(source)),
            Ended::Overtaken(last) => {
                overtaken = true;
                ("somebody else has changed the rollout since", Some(last), None)
            }
        };
        Err(Unsettled { in_time, overtaken, ..Unsettled::of(end, last.as_ref(), self.goal, source) })
    }
}

impl Unsettled {
    /// A canary that did not become what it is to be.
    fn of_canary(stopped: Stopped, record: &CanaryRecord) -> Self {
        let overtaken = matches!(stopped.why, Why::Overtaken);
        // Nobody has ended it: it did not come to its end by itself.
        let in_time = matches!(stopped.why, Why::Interrupted | Why::Overtaken);
        let (why, source) = stopped.why.told();
        let what = match &record.aim {
            Aim::Gone => format!("{why}: the change is in the deployment, and its canary is not gone yet"),
            Aim::Runs(_) => {
                format!("{why}: the change is in the deployment, and its canary does not run as recorded yet")
            }
        };
        let hint = "the same command again, or cbctl abort, goes on with it; cbctl status shows where things stand";
        Self { in_time, overtaken, what, hint: hint.to_owned(), pods: None, source }
    }

    /// A change that is made, and how far it is known to have come.
    pub(super) fn of(end: &str, last: Option<&Workload>, goal: &Goal, source: Option<ClusterError>) -> Self {
        let pods = last.map(|last| last.spread(goal));
        let (state, hint) = match &pods {
            None => ("nobody could look at the pods".to_owned(), None),
            Some(spread) => not_arrived(spread, goal),
        };
        let what = format!("{end}: the change is in the deployment, but not verified in every pod: {state}");
        let hint = hint.unwrap_or_else(|| "cbctl status shows where things stand".to_owned());
        Self { in_time: true, overtaken: false, what, hint, pods, source }
    }

    /// Prints how far it came, for programs, and turns into the error that tells people.
    pub(super) fn answer(self, context: &Context, report: impl FnOnce(String) -> ChangeReport) -> Error {
        let mut report = report(self.what.clone());
        report.pods.clone_from(&self.pods);
        context.printer.answer(&report);
        self.error()
    }

    /// How far it came, for programs, and the error: of a promotion that goes back by itself, in favour of whoever has
    /// changed the rollout since.
    pub(super) fn of_promotion(self, report: impl FnOnce(String) -> ChangeReport) -> (ChangeReport, Error) {
        let mut report = report(self.what.clone());
        report.pods.clone_from(&self.pods);
        (report, if self.overtaken { Error::Overtaken { what: self.what } } else { self.error() })
    }

    pub(super) fn overtaken(&self) -> bool {
        self.overtaken
    }

    pub(super) fn error(self) -> Error {
        Error::NotArrived { what: self.what, hint: self.hint, source: self.source.map(Box::new) }
    }
}
