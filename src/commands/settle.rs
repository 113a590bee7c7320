//! Waiting for a rollback to arrive in every pod, and saying honestly how far it came.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Context, now};
use crate::cluster::{Applied, Cluster, Ended, Target, Wait};
use crate::error::Error;
use crate::output::change;
use crate::rollout::name::FlagName;
use crate::rollout::workload::{FlagValue, Workload};

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
        let wait = Wait {
            target: self.target,
            generation: self.applied.generation,
            wanted: self.wanted,
            until_gone: true,
            give_up_on_failure: false,
            deadline: self.deadline,
            still_ours: self.still_ours,
        };
        let mut told = String::new();
        let ended = self.cluster.await_rollout(&wait, interrupted, |seen| {
            let progress = change::progress(&seen.spread(self.wanted));
            if progress != told {
                self.context.printer.tell(&progress);
                told = progress;
            }
        });
        let (what, last, source) = match ended.await {
            Ended::Done(after) => {
                let pods = change::progress(&after.spread(self.wanted));
                return Ok((after, format!("done in {}: {done}; {pods}", change::took(self.began, now()))));
            }
            Ended::Interrupted(last) => ("interrupted", last, None),
            Ended::Deadline(last, source) => ("time is up", last, source),
            Ended::Failed(last, _) => ("the rollout failed", Some(last), None),
            Ended::Overtaken(last) => ("somebody else has changed the rollout since", Some(last), None),
        };
        let state = match last {
            None => "nobody could look at the pods".to_owned(),
            Some(last) if last.paused => "the deployment is paused: kubectl rollout resume".to_owned(),
            Some(last) => change::progress(&last.spread(self.wanted)),
        };
        let what = format!("{what}: the change is in the deployment, but not verified in every pod: {state}");
        Err(Error::Unverified { what, source: source.map(Box::new) })
    }
}
