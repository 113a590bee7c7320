//! A rollback that changes nothing in the Deployment: why, and whether what is asked for has arrived in the pods.

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::Context;
use super::super::settle::Settling;
use crate::cli::Back;
use crate::cluster::{Applied, Cluster, Target};
use crate::error::{Error, ExitStatus};
use crate::output::change::{ChangeReport, Result as Outcome};
use crate::output::progress::progress;
use crate::rollout::canary::Aim;
use crate::rollout::plan::NothingToRollBack;
use crate::rollout::progress::Goal;
use crate::rollout::workload::Workload;

pub(in crate::commands) struct Nothing<'a> {
    pub context: &'a Context,
    pub cluster: &'a Cluster,
    pub target: &'a Target,
    pub workload: Workload,
    pub reason: NothingToRollBack,
    pub began: Timestamp,
    pub deadline: Instant,
}

impl Nothing<'_> {
    /// The pods may still be on their way: an earlier rollback may have been left before it had arrived.
    pub(in crate::commands) async fn answer(
        &self,
        arguments: &Back,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<ExitStatus, Error> {
        let why = why(self.reason, self.workload.has_canary())?;
        let (deployment, namespace) = (&self.workload.deployment, &self.workload.namespace);
        let headline = format!("nothing to do: {why}");
        let mut report = ChangeReport::new("rollback", deployment, namespace, Outcome::NothingToDo, headline);
        if !arguments.no_wait && !arguments.write.dry_run {
            let goal = if self.reason == NothingToRollBack::AlreadyUndone {
                Goal::other_template(
                    &self.workload,
                    self.workload.template.present.as_ref().map(|present| &present.hash),
                )
            } else {
                Goal::Values(self.workload.literals())
            };
            let settling = Settling {
                context: self.context,
                cluster: self.cluster,
                target: self.target,
                applied: &Applied { generation: self.workload.replicas.generation },
                goal: &goal,
                canary: self.workload.recorded_canary().filter(|record| record.aim == Aim::Gone),
                began: self.began,
                deadline: self.deadline,
                still_ours: &|_| true,
            };
            let settled = settling.verify(interrupted, why).await;
            let unverified = |what| ChangeReport::new("rollback", deployment, namespace, Outcome::Unverified, what);
            let (after, _) = settled.map_err(|unsettled| unsettled.answer(self.context, unverified))?;
            let spread = after.spread(&goal);
            report.headline = format!("{}; {}", report.headline, progress(&spread, &goal));
            report.pods = Some(spread);
        }
        self.context.printer.answer(&report);
        Ok(ExitStatus::Success)
    }
}

/// Why there is nothing to do; an error where what was asked for is not so, and cannot be made so in this way.
fn why(reason: NothingToRollBack, has_canary: bool) -> Result<&'static str, Error> {
    let (what, hint) = match reason {
        NothingToRollBack::NoEarlierStep if has_canary => {
            return Ok("no step is on record that could be taken back; cbctl abort takes the canary away");
        }
        NothingToRollBack::NoEarlierStep => return Ok("no step is on record that could be taken back"),
        NothingToRollBack::AlreadyOff => return Ok("already off"),
        NothingToRollBack::AlreadyThere => return Ok("the rollout stands in that phase"),
        NothingToRollBack::EmergencyInForce => {
            return Ok("an emergency rollback is in force, every breaker is off until the next promote");
        }
        NothingToRollBack::AlreadyUndone => {
            return Ok("the last change of the pod template was an undo, which is taken once");
        }
        NothingToRollBack::NoCanary => return Ok("there is no canary"),
        NothingToRollBack::SameButForBreakers => {
            return Ok("the revision before differs only in breakers that are off, and stay off");
        }
        NothingToRollBack::NeverThere => {
            ("no step from that phase is on record", "cbctl status shows where the rollout is")
        }
        NothingToRollBack::EmergencyOverridden => (
            "an emergency rollback is in force, and somebody has switched a breaker on again",
            "cbctl rollback --emergency",
        ),
        NothingToRollBack::RecordUnreadable => {
            ("the recorded position cannot be read", "cbctl rollback BREAKER, or --emergency")
        }
        NothingToRollBack::NoEarlierRevision => (
            "the cluster knows no earlier revision of the pod template that could be brought back",
            "cbctl rollback --emergency switches every breaker off; how many revisions are kept says \
             spec.revisionHistoryLimit",
        ),
        NothingToRollBack::Paused => {
            ("the deployment is paused: a restart would replace no pod", "kubectl rollout resume, then again")
        }
    };
    Err(Error::Impossible { what, hint })
}
