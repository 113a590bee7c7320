//! Going back by itself: a rollback trigger has fired.
//!
//! It is not interrupted, and tries for a quarter of an hour, whatever fails meanwhile.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{End, Interrupted, Looked, Onward};
use crate::cluster::Error as ClusterError;
use crate::commands::promote::WAY_BACK;
use crate::commands::settle::{self, Made, Sent, Settling, Unsettled};
use crate::commands::{now, operation, target_of};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, ChangeReport, Result as Ended};
use crate::rollout::history::entry::{Action, Ending, Entry, NOBODY_KNOWS};
use crate::rollout::onward::Stand;
use crate::rollout::plan::{self, Operation};
use crate::rollout::workload::Workload;

/// Between two attempts after a failure that does not look as if it would pass.
const PAUSE: Duration = Duration::from_secs(5);

/// A change that is to be taken back by itself.
struct Back {
    operation: Operation,
    made: Made,
    done: String,
}

impl Onward<'_> {
    /// Takes back what is exposed, and ends.
    pub(super) async fn roll_back(
        &mut self,
        looked: Looked,
        interrupted: Interrupted<'_>,
    ) -> Result<ExitStatus, Error> {
        let printer = &self.context.printer;
        let firing = looked.report.firing().join(", ");
        printer.tell(&format!("rollback: a rollback trigger fires: {firing}"));
        let (ended, change) = {
            let back = self.take_back(&looked, &firing);
            tokio::pin!(back);
            loop {
                tokio::select! {
                    ended = &mut back => break ended,
                    () = &mut *interrupted => {
                        printer.tell("note: the rollback goes on: it is not left halfway");
                    }
                }
            }
        };
        self.so_far.rollback = change.map(|change| *change);
        match ended {
            Ok(Some(headline)) => Ok(self.answer(Some(looked), End::RolledBack, ExitStatus::RolledBack, headline)),
            Ok(None) => {
                let headline = format!("rollback: a rollback trigger fires ({firing}), and no step is on record");
                Ok(self.answer(Some(looked), End::Firing, ExitStatus::RolledBack, headline))
            }
            Err(error) => {
                self.so_far.last = Some(looked);
                self.failed(error)
            }
        }
    }

    /// How it ended in a sentence, and what was changed; no sentence where there was nothing to take back.
    async fn take_back(
        &self,
        looked: &Looked,
        firing: &str,
    ) -> (Result<Option<String>, Error>, Option<Box<ChangeReport>>) {
        // Who we are is good to know for the record, and no reason to hold a rollback up.
        let by = self.cluster.identity().await.unwrap_or_else(|_| NOBODY_KNOWS.to_owned());
        let operation = operation(by, now(), Some(&format!("a rollback trigger fires: {firing}")));
        let made = match self.send(&operation).await {
            Ok(Sent::Made(made)) => *made,
            Ok(Sent::Nothing(_, true)) => return (Ok(None), None),
            Ok(Sent::Nothing(seen, false) | Sent::Overtaken { now: seen, .. }) => {
                return (Err(overtaken(&seen, firing)), None);
            }
            Err(source) => {
                let what = format!("a rollback trigger fires ({firing}), and the rollback did not get through");
                let hint = "cbctl rollback, or cbctl rollback --emergency; cbctl status shows where things stand";
                let source = Some(Box::new(source));
                return (Err(Error::NotArrived { what, hint: hint.to_owned(), source }), None);
            }
        };
        let done = change::restored(&made.plan);
        self.context.printer.tell(&change::announcement(&done, &made.before, &made.plan));
        let back = Back { operation, made, done };
        let settled = self.settle(&back).await;
        let Back { operation, made: Made { before, plan, .. }, .. } = &back;
        let entry = Entry {
            from: before.recorded_place(),
            to: plan.outcome(before).recorded_place(),
            changes: plan.changes.clone(),
            evidence: looked.report.evidence(),
            ..Entry::of(operation, Action::Rollback, if settled.is_ok() { Ending::Done } else { Ending::Unverified })
        };
        self.context.remember(self.cluster, &self.rollout.header.name, Some(before), entry).await;
        match settled {
            Ok((after, headline)) => {
                let mut report = back.report(Ended::Done, headline);
                report.pods = Some(after.spread(&plan.goal(before)));
                let headline = format!("rollback: a rollback trigger fired ({firing}); {}", back.done);
                (Ok(Some(headline)), Some(Box::new(report)))
            }
            Err(unsettled) => {
                let (report, error) = unsettled.of_promotion(|what| back.report(Ended::Unverified, what));
                (Err(error), Some(Box::new(report)))
            }
        }
    }

    /// Sends it until it is through, the time is over, or somebody else has changed the rollout.
    async fn send(&self, operation: &Operation) -> Result<Sent<bool>, ClusterError> {
        let (printer, target) = (&self.context.printer, target_of(self.rollout));
        let deadline = Instant::now() + WAY_BACK;
        let still_ours = |workload: &Workload| self.so_far.stands.iter().any(|stand: &Stand| stand.is_still(workload));
        // The answer says whether it is ours at all.
        let planned = |workload: &Workload| match still_ours(workload) {
            true => plan::way_out(workload, operation).map_err(|_| true),
            false => Err(false),
        };
        loop {
            let told = |error: &ClusterError| printer.retrying(error);
            let limits = (deadline, &mut std::future::pending());
            match settle::send(self.cluster, &target, limits, told, false, planned).await {
                Err(error) if Instant::now() + PAUSE < deadline => {
                    printer.retrying(&error);
                    sleep(PAUSE).await;
                }
                sent => return sent,
            }
        }
    }

    /// Waits until it has arrived in every pod.
    async fn settle(&self, back: &Back) -> Result<(Workload, String), Unsettled> {
        let Made { before, plan, applied } = &back.made;
        let (context, cluster, target) = (self.context, self.cluster, &target_of(self.rollout));
        let deadline = Instant::now() + WAY_BACK;
        let (goal, canary) = (&plan.goal(before), plan.canary.as_deref());
        let (began, still_ours) = (back.operation.at, &|seen: &Workload| plan.is_recorded_in(seen));
        let settling = Settling { context, cluster, target, applied, goal, canary, began, deadline, still_ours };
        loop {
            match settling.verify(&mut std::future::pending(), &back.done).await {
                Err(unsettled) if !unsettled.overtaken() && Instant::now() + PAUSE < deadline => sleep(PAUSE).await,
                settled => return settled,
            }
        }
    }
}

impl Back {
    fn report(&self, result: Ended, headline: String) -> ChangeReport {
        let Back { operation, made: Made { before, plan, .. }, .. } = self;
        ChangeReport::of_plan("rollback", before, operation, plan, result, headline)
    }
}

fn overtaken(seen: &Workload, firing: &str) -> Error {
    let by = if seen.emergency.is_some() { "an emergency rollback" } else { "somebody else's change" };
    let what = format!("a rollback trigger fired ({firing}), and {by} came first: nothing more is taken back");
    Error::Overtaken { what }
}
