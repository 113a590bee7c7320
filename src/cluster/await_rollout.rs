//! Watching a change until every pod runs it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::{Cluster, Error, Target};
use crate::rollout::name::FlagName;
use crate::rollout::workload::{FlagValue, Health, Workload};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// What to wait for.
pub struct Wait<'a> {
    pub target: &'a Target,
    /// The Deployment's generation that the change made.
    pub generation: i64,
    /// What every pod has to run.
    pub wanted: &'a BTreeMap<FlagName, FlagValue>,
    /// Pods that are on their way out have to be gone as well: they still run the old values.
    pub until_gone: bool,
    /// A rollout that has failed ends the wait, instead of being given the whole time to recover.
    pub give_up_on_failure: bool,
    pub deadline: Instant,
    /// Whether the record still is the one of this change; somebody else's ends the wait.
    pub still_ours: &'a dyn Fn(&Workload) -> bool,
}

/// How a wait ended; the workload as it was last seen, if it was.
#[derive(Debug)]
pub enum Ended {
    Done(Workload),
    /// The rollout failed, with the reason.
    Failed(Workload, String),
    Deadline(Option<Workload>, Option<Error>),
    /// Looking fails in a way that does not pass: no permission, or no such Deployment any more.
    Lost(Option<Workload>, Error),
    Interrupted(Option<Workload>),
    /// Somebody else has changed the rollout since.
    Overtaken(Workload),
}

impl Cluster {
    /// Looks until the change has arrived, failed, or run out of time; `seen` hears of every look.
    ///
    /// A passing error of one look does not end it: the change is made, and only looking tells what became of it.
    pub async fn await_rollout(
        &self,
        wait: &Wait<'_>,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
        mut seen: impl FnMut(&Workload),
    ) -> Ended {
        let verdict = |workload: &Workload| {
            seen(workload);
            verdict(wait, workload)
        };
        self.await_verdict((wait.target, wait.deadline), interrupted, wait.still_ours, verdict).await
    }

    /// Looks until a Deployment that was given so many pods has no more, those on their way out included. Another
    /// number in its spec ends the wait: somebody else scales it as well.
    pub async fn await_pods(
        &self,
        target: &Target,
        pods: usize,
        deadline: Instant,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Ended {
        let still_ours = |seen: &Workload| seen.replicas.desired <= i32::try_from(pods).unwrap_or(i32::MAX);
        let verdict = |seen: &Workload| {
            let left = seen.pods.len() + seen.canary.len();
            (seen.replicas.is_observed() && left <= pods).then_some(Health::Healthy)
        };
        self.await_verdict((target, deadline), interrupted, &still_ours, verdict).await
    }

    async fn await_verdict(
        &self,
        (target, deadline): (&Target, Instant),
        interrupted: &mut (impl Future<Output = ()> + Unpin),
        still_ours: &dyn Fn(&Workload) -> bool,
        mut verdict: impl FnMut(&Workload) -> Option<Health>,
    ) -> Ended {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut trouble) = (None, None);
        loop {
            tokio::select! {
                biased;
                () = &mut *interrupted => return Ended::Interrupted(last),
                () = tokio::time::sleep_until(deadline) => return Ended::Deadline(last, trouble),
                looked = async { ticks.tick().await; self.read(target).await } => match looked {
                    Err(error) if !error.is_transient() => return Ended::Lost(last, error),
                    Err(error) => trouble = Some(error),
                    Ok(found) => {
                        trouble = None;
                        if !still_ours(&found.workload) {
                            return Ended::Overtaken(found.workload);
                        }
                        match verdict(&found.workload) {
                            Some(Health::Healthy) => return Ended::Done(found.workload),
                            Some(Health::Failed(reason)) => return Ended::Failed(found.workload, reason),
                            Some(Health::Progressing) | None => last = Some(found.workload),
                        }
                    }
                },
            }
        }
    }
}

/// None while the wait goes on.
fn verdict(wait: &Wait<'_>, workload: &Workload) -> Option<Health> {
    let replicas = &workload.replicas;
    if replicas.observed_generation < wait.generation {
        return None;
    }
    let arrived = |pod: &crate::rollout::workload::Pod| pod.runs(wait.wanted) || (pod.terminating && !wait.until_gone);
    match replicas.health() {
        Health::Healthy if workload.pods.iter().all(arrived) => Some(Health::Healthy),
        Health::Failed(reason) if wait.give_up_on_failure => Some(Health::Failed(reason)),
        Health::Healthy | Health::Failed(_) | Health::Progressing => None,
    }
}
