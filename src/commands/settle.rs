//! The way back: sending a rollback until it is through, waiting until it has arrived in every pod, and saying
//! honestly how far it came.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Context, now};
use crate::cluster::{Applied, Cluster, Ended, Error as ClusterError, Found, Target, Wait, retry};
use crate::error::Error;
use crate::output::change;
use crate::rollout::name::FlagName;
use crate::rollout::plan::Plan;
use crate::rollout::workload::{FlagValue, Workload};

/// A change that the API server has taken, with what was there before; or why there is none to make.
pub(super) type Sent<N> = Result<(Workload, Plan, Applied), (Workload, N)>;

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
    let mut sent: Option<(Workload, Plan)> = None;
    let attempt = async || {
        let Found { workload, .. } = cluster.read(target).await?;
        if let Some((before, plan)) = sent.take_if(|(_, plan)| plan.is_applied_to(&workload)) {
            let applied = Applied { generation: workload.replicas.generation };
            return Ok(Ok((before, plan, applied)));
        }
        match planned(&workload) {
            Err(nothing) => Ok(Err((workload, nothing))),
            Ok(plan) => {
                let (before, plan) = sent.insert((workload, plan));
                let applied = cluster.apply(plan, before, dry_run).await?;
                Ok(Ok((before.clone(), plan.clone(), applied)))
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
    let mut told = String::new();
    let seen = |seen: &Workload| {
        let progress = change::progress(&seen.spread(wait.wanted));
        if progress != told {
            context.printer.tell(&progress);
            told = progress;
        }
    };
    cluster.await_rollout(wait, interrupted, seen).await
}

/// A rollback that the API server has taken.
pub(super) struct Settling<'a> {
    pub context: &'a Context,
    pub cluster: &'a Cluster,
    pub target: &'a Target,
    pub applied: &'a Applied,
    pub wanted: &'a BTreeMap<FlagName, FlagValue>,
    pub began: Timestamp,
    pub deadline: Instant,
    pub still_ours: &'a dyn Fn(&Workload) -> bool,
}

/// A rollback that is in the deployment, but not verified in every pod.
pub(super) struct Unsettled {
    /// The time was not over: something else ended the wait.
    pub in_time: bool,
    pub error: Error,
}

impl Settling<'_> {
    /// Waits until every pod runs the wanted values and all others are gone; the headline begins with what is true.
    ///
    /// # Errors
    /// [`Error::Unverified`] with the state of the pods when time runs out or somebody interrupts.
    pub(super) async fn verify(
        &self,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
        done: &str,
    ) -> Result<(Workload, String), Error> {
        let after = self.settle(interrupted).await.map_err(|unsettled| unsettled.error)?;
        let pods = change::progress(&after.spread(self.wanted));
        Ok((after, format!("done in {}: {done}; {pods}", change::took(self.began, now()))))
    }

    /// The same, with what is known when it does not come to that.
    pub(super) async fn settle(
        &self,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Workload, Unsettled> {
        let wait = Wait {
            target: self.target,
            generation: self.applied.generation,
            wanted: self.wanted,
            until_gone: true,
            give_up_on_failure: false,
            deadline: self.deadline,
            still_ours: self.still_ours,
        };
        let mut in_time = true;
        let (what, last, source) = match watch(self.context, self.cluster, &wait, interrupted).await {
            Ended::Done(after) => return Ok(after),
            Ended::Interrupted(last) => ("interrupted", last, None),
            Ended::Deadline(last, source) => {
                in_time = false;
                ("time is up", last, source)
            }
            Ended::Failed(last, _) => ("the rollout failed", Some(last), None),
            Ended::Lost(last, source) => ("nothing more can be seen of it", last, Some(source)),
            Ended::Overtaken(last) => ("somebody else has changed the rollout since", Some(last), None),
        };
        let state = match last {
            None => "nobody could look at the pods".to_owned(),
            Some(last) if last.paused => "the deployment is paused: kubectl rollout resume".to_owned(),
            Some(last) => change::progress(&last.spread(self.wanted)),
        };
        let what = format!("{what}: the change is in the deployment, but not verified in every pod: {state}");
        Err(Unsettled { in_time, error: Error::Unverified { what, source: source.map(Box::new) } })
    }
}
