//! One step of a promotion: planned on one look, with the way back rehearsed, sent, waited for until every pod runs it,
//! and taken back by itself if the pods do not become healthy.
//!
//! Whether it may be taken was decided by whoever calls.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{self, Applied, Cluster, Ended, Found, Target, Wait, retry};
use crate::commands::canary::{Bringing, Stopped, Why};
use crate::commands::rehearse::{Way, rehearse};
use crate::commands::settle::{self, Made, Sent, Settling};
use crate::commands::{Context, now, operation, target_of};
use crate::error::Error;
use crate::output::canary::entered as canary_entered;
use crate::output::change::{self, ChangeReport, Result as Outcome};
use crate::output::check::{CheckReport, destination};
use crate::output::in_one_line;
use crate::output::rehearsal::RehearsalReport;
use crate::output::words::duration;
use crate::rollout::canary::{self, CanaryRecord};
use crate::rollout::decision::{self, Decision};
use crate::rollout::declaration::Rollout;
use crate::rollout::history::entry::{Action, Ending, Entry};
use crate::rollout::history::usual_time;
use crate::rollout::plan::{self, Operation, Plan};
use crate::rollout::progress::Spread;
use crate::rollout::workload::Workload;

/// How long going back by itself may take.
pub(in crate::commands) const WAY_BACK: Duration = Duration::from_secs(15 * 60);

/// How a step is to be taken.
pub(in crate::commands) struct Taking<'a> {
    pub context: &'a Context,
    pub cluster: &'a Cluster,
    pub rollout: &'a Rollout,
    /// For the pods to become healthy.
    pub timeout: Duration,
    pub reason: Option<&'a String>,
    pub dry_run: bool,
}

/// What became of a step.
pub(in crate::commands) enum Taken {
    /// There is none to take.
    None,
    /// The way back is not clear, and nothing was written.
    NotClear(Box<RehearsalReport>, decision::Outcome),
    /// It was made, or made and taken back, or would be taken.
    Ended(Box<ChangeReport>),
}

/// A step that could not be brought to its end.
pub(in crate::commands) struct Failed {
    pub error: Error,
    /// What was written, and how far it is known to have come, where that is for programs to read.
    pub report: Option<Box<ChangeReport>>,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { error: error.into(), report: None }
    }
}

impl Taking<'_> {
    /// Takes the step that was decided on. `planned` hears of the change before it is sent.
    pub(in crate::commands) async fn take(
        &self,
        (workload, decision, report): (&Workload, &Decision, &CheckReport),
        identity: Result<String, cluster::Error>,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
        planned: impl FnOnce(&Plan),
    ) -> Result<Taken, Failed> {
        if decision.outcome() != decision::Outcome::Proceed {
            return Ok(Taken::None);
        }
        let Self { context, cluster, rollout, .. } = *self;
        // A history that cannot be read stops nothing: the record then keeps the end that it knew.
        let newest = cluster.newest_history(&rollout.header.name).await.ok().flatten().unwrap_or_default();
        let operation = operation(identity?, report.at(), self.reason);
        let operation = Operation { history: newest.anchor(), ..operation };
        let Some(plan) = plan::promotion(rollout, workload, &decision.route, &operation) else {
            return Ok(Taken::None);
        };
        let past = usual_time(&newest);
        let way = Way { rollout, workload, route: &decision.route, plan: Some(&plan), past };
        let (rehearsal, clear) = rehearse(cluster, &way, &operation).await?;
        if clear != decision::Outcome::Proceed {
            return Ok(Taken::NotClear(Box::new(rehearsal), clear));
        }
        for line in rehearsal.passed() {
            context.printer.tell(&line);
        }
        let to = destination(rollout, decision.route.destination);
        context.printer.tell(&change::announcement(&to, workload, &plan));
        planned(&plan);
        let target = target_of(rollout);
        let promotion =
            Promotion { context, cluster, rollout, taking: self, before: workload, target, to, operation, report };
        let ended = promotion.carry_out(&plan, interrupted).await?;
        Ok(Taken::Ended(Box::new(ended)))
    }
}

/// A decided step, on its way.
struct Promotion<'a> {
    context: &'a Context,
    cluster: &'a Cluster,
    rollout: &'a Rollout,
    /// What it was decided on.
    before: &'a Workload,
    target: Target,
    /// The step in words.
    to: String,
    operation: Operation,
    taking: &'a Taking<'a>,
    /// What the decision was made on, for the history.
    report: &'a CheckReport,
}

impl Promotion<'_> {
    async fn carry_out(
        &self,
        plan: &Plan,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<ChangeReport, Failed> {
        let workload = self.before;
        let deadline = Instant::now() + self.taking.timeout;
        if self.taking.dry_run {
            self.cluster.apply(plan, workload, true).await?;
            let headline = format!("dry run: {} would be entered; the API server accepts the change", self.to);
            return Ok(self.report(Outcome::DryRun, headline, plan, None));
        }
        let applied = self.apply(plan, workload, (deadline, &mut *interrupted)).await?;
        if plan.changes.is_empty() && plan.canary.is_none() {
            self.remember(workload, plan, Ending::Done).await;
            let headline = format!("done: {} begins, no flag had to change", self.to);
            return Ok(self.report(Outcome::Done, headline, plan, None));
        }
        let mut pods = None;
        if !plan.changes.is_empty() {
            match self.wait_for_pods(workload, plan, &applied, (deadline, &mut *interrupted)).await? {
                Ok(spread) => pods = Some(spread),
                Err(why) => return self.take_back(workload, plan, &why).await,
            }
        }
        if let Some(record) = &plan.canary {
            match self.bring_the_canary(workload, plan, record, (deadline, interrupted)).await? {
                Ok(()) => {}
                Err(why) => return self.take_back(workload, plan, &why).await,
            }
        }
        self.remember(workload, plan, Ending::Done).await;
        let took = change::took(self.operation.at, now());
        let healthy = match plan.canary.as_ref().and_then(|record| record.canary()) {
            Some(canary) => canary_entered(canary, workload),
            None => "every pod is healthy".to_owned(),
        };
        let headline = format!("done in {took}: {} is entered, {healthy}", self.to);
        Ok(self.report(Outcome::Done, headline, plan, pods))
    }

    /// Waits until every pod of the Deployment itself runs what is wanted; why it has to be taken back, if it has to.
    async fn wait_for_pods(
        &self,
        workload: &Workload,
        plan: &Plan,
        applied: &Applied,
        (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
    ) -> Result<Result<Spread, String>, Error> {
        let goal = plan.goal(workload);
        let wait = Wait {
            target: &self.target,
            generation: applied.generation,
            goal: &goal,
            until_gone: false,
            give_up_on_failure: true,
            deadline,
            still_ours: &|seen| self.is_ours(seen) && seen.emergency.is_none(),
        };
        match settle::watch(self.context, self.cluster, &wait, interrupted).await {
            Ended::Done(after) => Ok(Ok(after.spread(&goal))),
            Ended::Interrupted(_) => Err(self.interrupted(workload, plan).await),
            Ended::Lost(_, error) => {
                self.remember(workload, plan, Ending::Unverified).await;
                let what = format!("{} is applied, and nothing more can be seen of it", self.to);
                Err(Error::Unverified { what, source: Some(Box::new(error)) })
            }
            Ended::Overtaken(after) => Err(self.overtaken(workload, plan, Some(&after)).await),
            Ended::Failed(_, why) => Ok(Err(why)),
            Ended::Deadline(..) => Ok(Err(self.not_in_time())),
        }
    }

    /// Brings the canary to what is recorded of it; why the step has to be taken back, if it has to. One that should be
    /// gone and is not takes nothing back: every pod runs the step's flags by then.
    async fn bring_the_canary(
        &self,
        workload: &Workload,
        plan: &Plan,
        record: &CanaryRecord,
        (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
    ) -> Result<Result<(), String>, Error> {
        // One that runs is taken back from by its emergency itself.
        let still_ours = |seen: &Workload| seen.emergency.is_none() || record.canary().is_some();
        let bringing = Bringing {
            context: self.context,
            cluster: self.cluster,
            target: &self.target,
            record,
            deadline,
            still_ours: &still_ours,
        };
        let Err(Stopped { why, last }) = Box::pin(bringing.bring(interrupted)).await else { return Ok(Ok(())) };
        match why {
            Why::Interrupted => Err(self.interrupted(workload, plan).await),
            Why::Overtaken => Err(self.overtaken(workload, plan, last.as_deref()).await),
            why @ (Why::Failed(_) | Why::Blocked(_) | Why::Lost(_) | Why::Deadline(_))
                if record.aim == canary::Aim::Gone =>
            {
                self.remember(workload, plan, Ending::Unverified).await;
                let (why, source) = why.told();
                let what = format!("{} is entered, and its canary is not gone yet: {why}", self.to);
                let hint = format!("the same command again goes on with it, as cbctl promote {} does", self.to);
                Err(Error::NotArrived { what, hint, source: source.map(Box::new) })
            }
            Why::Deadline(_) => Ok(Err(self.not_in_time())),
            why @ (Why::Failed(_) | Why::Blocked(_) | Why::Lost(_)) => {
                let (why, source) = why.told();
                Ok(Err(source.map_or_else(|| why.clone(), |source| in_one_line(&source))))
            }
        }
    }

    fn not_in_time(&self) -> String {
        format!("not healthy within {}", duration(self.taking.timeout))
    }

    async fn interrupted(&self, workload: &Workload, plan: &Plan) -> Error {
        self.remember(workload, plan, Ending::Interrupted).await;
        let what = format!("interrupted: {} is applied, and its pods go on rolling out", self.to);
        Error::Unverified { what, source: None }
    }

    async fn overtaken(&self, workload: &Workload, plan: &Plan, seen: Option<&Workload>) -> Error {
        self.remember(workload, plan, Ending::Overtaken).await;
        let emergency = seen.is_some_and(|seen| seen.emergency.is_some());
        let by = if emergency { "an emergency rollback" } else { "somebody else's change" };
        Error::Overtaken { what: format!("{by} has overtaken {}: it is not waited for any longer", self.to) }
    }

    /// Sends the patch once. Where no answer came, the record tells whether it arrived, as soon as it can be read.
    async fn apply(
        &self,
        plan: &Plan,
        workload: &Workload,
        (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
    ) -> Result<Applied, Error> {
        let error = match self.cluster.apply(plan, workload, false).await {
            Ok(applied) => return Ok(applied),
            Err(error) => error,
        };
        if error.is_conflict() || !error.is_transient() {
            return Err(error.into());
        }
        self.context.printer.warn(&error);
        let told = |error: &cluster::Error| self.context.printer.retrying(error);
        match retry(deadline, interrupted, told, async || self.cluster.read(&self.target).await).await {
            Ok(Found { workload, .. }) if self.is_ours(&workload) => {
                Ok(Applied { generation: workload.replicas.generation })
            }
            Ok(_) => Err(error.into()),
            Err(_) => Err(Error::Unverified {
                what: "the change was sent, and the API server did not say whether it took it".to_owned(),
                source: Some(Box::new(error)),
            }),
        }
    }

    /// Restores what was there before, unless somebody has moved the rollout on meanwhile.
    async fn take_back(&self, before: &Workload, plan: &Plan, why: &str) -> Result<ChangeReport, Failed> {
        let printer = &self.context.printer;
        printer.tell(&format!("rollback: {} did not become healthy: {why}", self.to));
        let deadline = Instant::now() + WAY_BACK;
        // Taking an unhealthy change back is not interrupted.
        let mut never = std::future::pending();
        let planned = |workload: &Workload| match self.is_ours(workload) {
            true => {
                let back = plan::step_back(workload, &self.operation);
                back.or_else(|_| plan::abort(workload, &self.operation)).map_err(drop)
            }
            false => Err(()),
        };
        let told = |error: &cluster::Error| printer.retrying(error);
        let sent = settle::send(self.cluster, &self.target, (deadline, &mut never), told, false, planned);
        let Made { before: unhealthy, plan: back, applied } = match sent.await {
            Ok(Sent::Made(made)) => *made,
            Ok(Sent::Nothing(..) | Sent::Overtaken { .. }) => {
                self.remember(before, plan, Ending::NotTakenBack).await;
                let overtaken = "somebody else has changed the rollout since, so that nothing is taken back";
                let what = format!("{} did not become healthy ({why}); {overtaken}", self.to);
                return Err(Error::Overtaken { what }.into());
            }
            Err(error) => return Err(self.not_taken_back(before, plan, why, error).await.into()),
        };
        let goal = back.goal(&unhealthy);
        let settling = Settling {
            context: self.context,
            cluster: self.cluster,
            target: &self.target,
            applied: &applied,
            goal: &goal,
            canary: back.canary.as_deref(),
            began: self.operation.at,
            deadline,
            still_ours: &|seen| back.is_recorded_in(seen),
        };
        let settled = settling.verify(&mut never, "the old values are back").await;
        self.remember(before, plan, if settled.is_ok() { Ending::RolledBack } else { Ending::Unverified }).await;
        let report = |what| self.report(Outcome::Unverified, what, &back, None);
        let (after, _) = settled.map_err(|unsettled| {
            let (report, error) = unsettled.of_promotion(report);
            Failed { error, report: Some(Box::new(report)) }
        })?;
        let headline =
            format!("rollback: {} did not become healthy ({why}); every pod runs the old values again", self.to);
        let pods = after.spread(&goal);
        Ok(self.report(Outcome::RolledBack, headline, &back, Some(pods)))
    }

    async fn not_taken_back(&self, before: &Workload, plan: &Plan, why: &str, source: cluster::Error) -> Error {
        self.remember(before, plan, Ending::NotTakenBack).await;
        let what = format!("{} is applied, did not become healthy ({why}), and was not taken back", self.to);
        Error::Unverified { what, source: Some(Box::new(source)) }
    }

    fn is_ours(&self, workload: &Workload) -> bool {
        let of_canary = workload.recorded_canary().map(|record| &record.operation);
        let of_position = workload.recorded_position().map(|position| &position.operation);
        [of_position, of_canary].contains(&Some(&self.operation.id))
    }

    async fn remember(&self, before: &Workload, plan: &Plan, result: Ending) {
        let entry = Entry {
            from: before.recorded_place(),
            to: plan.record.place().cloned(),
            changes: plan.changes.clone(),
            evidence: self.report.evidence(),
            ..Entry::of(&self.operation, Action::Promote, result)
        };
        self.context.remember(self.cluster, &self.rollout.header.name, Some(before), entry).await;
    }

    fn report(&self, result: Outcome, headline: String, applied: &Plan, pods: Option<Spread>) -> ChangeReport {
        let report = ChangeReport::of_plan("promote", self.before, &self.operation, applied, result, headline);
        let canary = report.canary.filter(|_| result != Outcome::RolledBack);
        let next = (result == Outcome::Done).then(|| "next: cbctl check".to_owned());
        ChangeReport { canary, pods, next, ..report }
    }
}
