//! `cbctl promote --wait`: through a phase, one step after the other; each is judged as long as it bakes, and taken back
//! by itself if a rollback trigger fires.
//!
//! What comes after a look is decided in `rollout::onward`. Where it stands is in the cluster: another run goes on where
//! this one ended.

mod back;

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::interrupt::interrupted;
use super::looking::{self, Looked};
use super::promote::{Asked, Failed, Taken, Taking};
use super::{Aim, Context};
use crate::cluster::Cluster;
use crate::error::{Error, ExitStatus};
use crate::output::change::{ChangeReport, Result as Ended};
use crate::output::live::View;
use crate::output::onward::{End, OnwardReport};
use crate::output::step::recorded;
use crate::output::words::{duration, plural};
use crate::rollout::decision::{Checked, Outcome, Tried};
use crate::rollout::declaration::{Check, Rollout};
use crate::rollout::onward::{Goal, Seen, Stand, Turn, turn};
use crate::rollout::plan::Plan;
use crate::rollout::workload::Workload;

/// About the time in which a scrape brings something new.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Looks that may fail in a row before anything was seen, or while nothing of the phase runs.
const FAILURES: u32 = 5;
/// Until what failed beyond the samples is tried again: a check, or the way back.
const SOME_TIME: Duration = Duration::from_secs(60);

/// A promotion on its way through a phase.
pub(super) struct Onward<'a> {
    pub context: &'a Context,
    pub cluster: &'a Cluster,
    pub rollout: &'a Rollout,
    pub asked: &'a Asked,
    pub timeout: Duration,
    pub reason: Option<&'a String>,
    pub time: Duration,
    pub so_far: SoFar,
}

/// What was seen and done so far.
#[derive(Default)]
pub(super) struct SoFar {
    /// Known from the first look on.
    goal: Option<Goal>,
    steps: Vec<ChangeReport>,
    rollback: Option<ChangeReport>,
    last: Option<Looked>,
    /// How things may stand: two where it is not known whether a step arrived.
    stands: Vec<Stand>,
    /// A check that failed, and when.
    failed: Option<(Tried, Instant)>,
    /// The way back was not clear at this moment.
    barred: Option<(Instant, String, Outcome)>,
    failures: u32,
    told: Option<(Instant, Vec<String>)>,
}

type Interrupted<'a> = &'a mut Pin<Box<dyn Future<Output = ()>>>;

impl Onward<'_> {
    pub(super) async fn run(mut self) -> Result<ExitStatus, Error> {
        let mut interrupted = interrupted();
        let begun = Instant::now();
        loop {
            let looked = tokio::select! {
                biased;
                () = &mut interrupted => return self.stopped(),
                looked = self.look() => looked,
            };
            let left = self.time.saturating_sub(begun.elapsed());
            let pause = match looked {
                Ok((looked, tried)) => {
                    self.remember_failure(&looked, tried);
                    match self.after(looked, left, &mut interrupted).await {
                        Next::Ended(ended) => return ended,
                        Next::Again => Duration::ZERO,
                        Next::After(pause) => pause,
                    }
                }
                Err(error) => {
                    if let Err(error) = self.bear(error, left) {
                        return self.failed(error);
                    }
                    Duration::from_secs(1).saturating_mul(self.so_far.failures).min(LONGEST_PAUSE)
                }
            };
            tokio::select! {
                () = &mut interrupted => return self.stopped(),
                () = sleep(pause.min(self.time.saturating_sub(begun.elapsed()))) => {}
            }
        }
    }

    /// One look, and what is left to be tried at the end of a step. A check that has just failed has failed.
    async fn look(&self) -> Result<(Looked, Option<Tried>), Error> {
        let SoFar { goal, steps, failed, .. } = &self.so_far;
        let mut consent = self.asked.consent;
        // What somebody changes while it goes on was not seen by whoever said yes.
        consent.adopt &= steps.is_empty();
        let phase = goal.map(|goal| goal.phase).or(self.asked.phase);
        let aim = Aim { phase, consent, revisions: true, ..Aim::default() };
        let remembered = failed.as_ref().filter(|(_, at)| at.elapsed() < SOME_TIME).map(|(tried, _)| tried.clone());
        let look = self.context.look_again(self.rollout, self.cluster, aim, &remembered.unwrap_or_default()).await?;
        let tried = self.context.try_checks(self.rollout, self.cluster, &look.workload, &look.decision).await?;
        let look = match &tried {
            Some(tried) => self.context.look_again(self.rollout, self.cluster, aim, tried).await?,
            None => look,
        };
        Ok((Looked::of(self.rollout, look), tried))
    }

    fn remember_failure(&mut self, looked: &Looked, tried: Option<Tried>) {
        let failed = |tried: &Tried, check: &Check| matches!(tried.of(check), Checked::Failed(_));
        let checks = || looked.decision.checks();
        match tried {
            Some(tried) if checks().any(|check| failed(&tried, check)) => {
                self.so_far.failed = Some((tried, Instant::now()));
            }
            Some(_) => self.so_far.failed = None,
            None => {}
        }
    }

    async fn after(&mut self, looked: Looked, left: Duration, interrupted: Interrupted<'_>) -> Next {
        let route = &looked.decision.route;
        let outcome = looked.decision.outcome();
        let first = self.so_far.goal.is_none();
        let phase = self.asked.phase.unwrap_or_else(|| route.phase());
        let goal = match self.so_far.goal {
            Some(goal) => goal,
            None => match self.asked.goal(self.rollout, phase) {
                Ok(goal) => goal,
                Err(error) => return Next::Ended(self.failed(error)),
            },
        };
        self.so_far.goal = Some(goal);
        if first {
            if let Err(error) = self.asked.stands_there(self.rollout, &looked.workload, &route.standing) {
                return Next::Ended(self.failed(error));
            }
        } else if !self.so_far.stands.iter().any(|stand| stand.is_still(&looked.workload)) {
            return Next::Ended(self.overtaken(&looked.workload));
        }
        self.so_far.stands = vec![Stand::of(&looked.workload)];
        let live = goal.is_live(route);
        let lost = outcome == Outcome::Error && !live;
        self.so_far.failures = if lost { self.so_far.failures + 1 } else { 0 };
        let over = left.is_zero() || (lost && self.so_far.failures > FAILURES);
        let seen = Seen { outcome, live, reached: goal.is_reached(route), over };
        let barred = self.so_far.barred.as_ref().filter(|(at, ..)| at.elapsed() < SOME_TIME);
        match turn(seen) {
            Turn::End => Next::Ended(Ok(self.end(looked, seen))),
            Turn::RollBack => Next::Ended(self.roll_back(looked, interrupted).await),
            Turn::Step if barred.is_none() => self.step(looked, interrupted).await,
            Turn::Step | Turn::Watch => {
                let pause = looking::pause(&looked.decision, LONGEST_PAUSE);
                self.tell(&looked, goal, left);
                self.so_far.last = Some(looked);
                Next::After(pause)
            }
        }
    }

    /// Takes the step that was decided on.
    async fn step(&mut self, looked: Looked, interrupted: Interrupted<'_>) -> Next {
        let Self { context, cluster, rollout, timeout, reason, .. } = *self;
        let taking = Taking { context, cluster, rollout, timeout, reason, dry_run: false };
        let identity = cluster.identity().await;
        let stands = &mut self.so_far.stands;
        let Looked { workload, decision, report } = &looked;
        let sending = |plan: &Plan| stands.push(Stand::of(&plan.outcome(workload)));
        let taken = taking.take((workload, decision, report), identity, &mut *interrupted, sending).await;
        self.so_far.told = None;
        self.so_far.barred = None;
        let next = match taken {
            Ok(Taken::None) => Next::After(LONGEST_PAUSE),
            Ok(Taken::NotClear(report, outcome)) => {
                self.so_far.barred = Some((Instant::now(), report.barred(), outcome));
                Next::Again
            }
            Ok(Taken::Ended(ended)) if ended.result == Ended::RolledBack => {
                self.so_far.steps.push(*ended);
                let headline = "rollback: the last step did not become healthy, and was taken back".to_owned();
                return Next::Ended(Ok(self.answer(Some(looked), End::RolledBack, ExitStatus::RolledBack, headline)));
            }
            Ok(Taken::Ended(ended)) => {
                context.printer.tell(&ended.headline);
                self.so_far.stands.drain(..self.so_far.stands.len().saturating_sub(1));
                self.so_far.steps.push(*ended);
                Next::Again
            }
            // What is there now is seen by the next look.
            Err(Failed { error, report: None }) if Self::passes(&error) => {
                context.printer.retrying(&error);
                Next::After(Duration::from_secs(1))
            }
            Err(Failed { error, report }) => {
                self.so_far.steps.extend(report.map(|report| *report));
                Next::Ended(self.failed(error))
            }
        };
        self.so_far.last = Some(looked);
        next
    }

    /// Whether the next look may find it gone, or something to go on with.
    fn passes(error: &Error) -> bool {
        let of_cluster = |error: &crate::cluster::Error| error.is_transient() || error.is_conflict();
        matches!(error, Error::Cluster(error) if of_cluster(error))
            || matches!(error, Error::NotArrived { .. } | Error::Unverified { source: Some(_), .. })
    }

    /// An error of one look. Once something was seen, it is borne as long as it takes if it may pass.
    fn bear(&mut self, error: Error, left: Duration) -> Result<(), Error> {
        self.so_far.failures += 1;
        let live = self.so_far.last.is_some() || !self.so_far.steps.is_empty();
        if left.is_zero() || !Self::passes(&error) || (!live && self.so_far.failures > FAILURES) {
            return Err(error);
        }
        self.context.printer.retrying(&error);
        self.so_far.told = None;
        Ok(())
    }

    /// Tells what is waited for: where nobody sees it drawn, whenever it is something new, and ever more rarely otherwise.
    fn tell(&mut self, looked: &Looked, goal: Goal, left: Duration) {
        let (outcome, report) = (looked.decision.outcome(), &looked.report);
        let line = match (outcome, &self.so_far.barred) {
            (Outcome::Proceed, Some((_, barred, _))) => barred.clone(),
            (Outcome::Held, _) => format!("held: {}", report.held_by()),
            (Outcome::Error, _) => format!("warning: {}; trying again", report.waits_for()),
            _ => format!("waiting: {}", report.waits_for()),
        };
        let printer = &self.context.printer;
        if printer.shows() {
            let (rollout, route) = (self.rollout, &looked.decision.route);
            printer.draw(&View { rollout, goal, route, report, waiting: &line, left });
            return;
        }
        let state = report.state();
        let due = |(at, told): &(Instant, Vec<String>)| {
            *told != state || at.elapsed() > (self.time.saturating_sub(left) / 20).max(SOME_TIME)
        };
        if self.so_far.told.as_ref().is_none_or(due) {
            printer.tell(&line);
            self.so_far.told = Some((Instant::now(), state));
        }
    }

    /// The last look has decided.
    fn end(&mut self, looked: Looked, seen: Seen) -> ExitStatus {
        let goal = self.so_far.goal;
        let phase = goal.map_or("the rollout", |goal| self.rollout.phases[goal.phase].name.as_str());
        let taken = match self.so_far.steps.len() {
            0 => "nothing to do".to_owned(),
            steps => format!("{} taken", plural(steps as u64, "step")),
        };
        let barred = self.so_far.barred.as_ref().map(|(_, _, outcome)| *outcome);
        let stands = looked.workload.recorded_place().map_or("not begun".to_owned(), |place| recorded(&place));
        let over =
            |word: &str| format!("{word}: time is up after {}: the rollout stands at {stands}", duration(self.time));
        let (end, exit, headline) = match (seen.outcome, barred) {
            (Outcome::NothingToDo, _) => {
                (End::Done, ExitStatus::Success, format!("done: {phase} is complete, {taken}"))
            }
            (Outcome::RollBack, _) => {
                let headline = format!("rollback: a rollback trigger fires, and {phase} is not what runs");
                (End::Firing, ExitStatus::RolledBack, headline)
            }
            _ if seen.reached => {
                let step = goal.and_then(|goal| goal.step).map_or(0, |step| step + 1);
                (End::Done, ExitStatus::Success, format!("done: {phase}, step {step} is entered, {taken}"))
            }
            (Outcome::Held, _) if !seen.over => {
                (End::Held, ExitStatus::Held, format!("held: {phase} cannot be entered, and nothing of it runs"))
            }
            (Outcome::Held, _) | (Outcome::Proceed, Some(Outcome::Held)) => (End::Held, ExitStatus::Held, over("held")),
            (Outcome::Error, _) if self.so_far.failures > FAILURES => {
                let headline = format!("error: not everything can be found out: the rollout stands at {stands}");
                (End::Error, ExitStatus::Error, headline)
            }
            (Outcome::Error, _) | (Outcome::Proceed, Some(Outcome::Error)) => {
                (End::Error, ExitStatus::Error, over("error"))
            }
            (Outcome::Inconclusive | Outcome::Proceed, _) => {
                (End::Inconclusive, ExitStatus::Inconclusive, over("inconclusive"))
            }
        };
        self.answer(Some(looked), end, exit, headline)
    }

    /// Prints the answer that it ends with.
    fn answer(&mut self, looked: Option<Looked>, end: End, exit: ExitStatus, headline: String) -> ExitStatus {
        let report = self.report(looked, end, exit, headline);
        self.context.printer.answer(&report);
        exit
    }

    fn report(&mut self, looked: Option<Looked>, end: End, exit: ExitStatus, headline: String) -> OnwardReport {
        let phase = self.so_far.goal.map(|goal| &self.rollout.phases[goal.phase].name);
        let object = (self.rollout.header.deployment.as_str(), self.cluster.namespace.as_str());
        let mut report = OnwardReport::new(object, phase, end, exit, headline);
        let looked = looked.or_else(|| self.so_far.last.take());
        if let Some(looked) = &looked {
            report.judged(&looked.report);
            report.place = looked.workload.recorded_place();
        }
        report.steps = std::mem::take(&mut self.so_far.steps);
        report.rollback = self.so_far.rollback.take();
        if let Some(change) = report.rollback.as_ref().or(report.steps.last()) {
            report.place.clone_from(&change.place);
        }
        report.next = match end {
            End::Held | End::Inconclusive | End::Error => {
                Some(format!("nothing was undone; next: {} goes on with it", self.command()))
            }
            End::Firing => Some("next: cbctl rollback, or cbctl rollback --emergency".to_owned()),
            End::RolledBack => Some("next: cbctl why".to_owned()),
            End::Done | End::Failed => None,
        };
        report
    }

    fn command(&self) -> String {
        match self.so_far.goal {
            Some(goal) => format!("cbctl promote {} --wait", self.rollout.phases[goal.phase].name),
            None => "cbctl promote --wait".to_owned(),
        }
    }

    /// Something else ended it: programs are told by the document, people by the error.
    fn failed(&mut self, error: Error) -> Result<ExitStatus, Error> {
        let report = self.report(None, End::Failed, error.exit_status(), error.to_string());
        self.context.printer.answer(&report);
        Err(error)
    }

    fn stopped(&mut self) -> Result<ExitStatus, Error> {
        let what = "interrupted: nobody watches any more, and nothing was undone".to_owned();
        let hint = format!("{} goes on with it; cbctl status shows where things stand", self.command());
        self.failed(Error::NotArrived { what, hint, source: None })
    }

    fn overtaken(&mut self, seen: &Workload) -> Result<ExitStatus, Error> {
        let by = match (&seen.emergency, seen.recorded_position()) {
            (Some(_), _) => "an emergency rollback".to_owned(),
            (None, Some(position)) => format!("a change by {}", position.by),
            (None, None) => "somebody else's change".to_owned(),
        };
        let stands = seen.recorded_place().map_or("not begun".to_owned(), |place| recorded(&place));
        let what = format!("{by} has overtaken this promotion: it does not go on; on record is {stands}");
        self.failed(Error::Overtaken { what })
    }
}

/// What becomes of the loop.
enum Next {
    Ended(Result<ExitStatus, Error>),
    Again,
    After(Duration),
}
