//! Making a canary smaller: written down on the Deployment first, then scaled, then waited for.
//!
//! It does not know when that is called for.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{Gradual, overtaken};
use crate::cluster::{Ended, Error as ClusterError, Target, retry};
use crate::commands::settle::{self, Sent};
use crate::error::Error;
use crate::output::gradual::{self as report, ReductionReport};
use crate::rollout::gradual::{self, Fewer};
use crate::rollout::history::entry::{Ending, Entry};
use crate::rollout::plan::Operation;
use crate::rollout::workload::Workload;

impl Gradual<'_> {
    /// Halves a canary, or says why that cannot be done: it is no reason to stop, the breakers are left.
    pub(super) async fn shrink(
        &mut self,
        seen: &Workload,
        canary: &str,
        operation: &Operation,
        deadline: Instant,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Option<Error>, Error> {
        let target = canary_target(seen, canary);
        let found = match self.read(&target, deadline, interrupted).await {
            Err(error @ Error::Cluster(ClusterError::Interrupted { .. })) => return Err(error),
            Err(error) => return Ok(Some(error)),
            Ok(found) => found,
        };
        let fewer = Fewer::of(seen, canary, desired(&found));
        let announced = |seen: &Workload| match self.is_ours(seen) {
            true => gradual::announcing(seen, &fewer, operation).ok_or(()),
            false => Err(()),
        };
        let told = |error: &ClusterError| self.context.printer.retrying(error);
        let sent = settle::send(self.cluster, &self.target, (deadline, &mut *interrupted), told, false, announced);
        match sent.await? {
            Sent::Made(made) => self.left = Some(made.plan.outcome(&made.before)),
            Sent::Nothing(seen, ()) if self.is_ours(&seen) => self.left = Some(*seen),
            Sent::Nothing(seen, ()) | Sent::Overtaken { now: seen, .. } => return Err(overtaken(&seen)),
        }
        self.context.printer.tell(&report::canary_line(&fewer));
        let scale = async || {
            let found = self.cluster.read(&target).await?.workload;
            // An attempt whose answer was lost may have got through.
            if desired(&found) > fewer.to {
                self.cluster.scale(&found, fewer.to, false).await.map(drop)
            } else {
                Ok(())
            }
        };
        match retry(deadline, interrupted, told, scale).await {
            Err(error @ ClusterError::Interrupted { .. }) => return Err(error.into()),
            Err(error) => return Ok(Some(error.into())),
            Ok(()) => {}
        }
        let ended = self.cluster.await_pods(&target, fewer.to, deadline, interrupted).await;
        let result = match &ended {
            Ended::Done(_) => Ending::Done,
            Ended::Overtaken(_) => Ending::Overtaken,
            Ended::Failed(..) | Ended::Deadline(..) | Ended::Lost(..) | Ended::Interrupted(_) => Ending::Unverified,
        };
        let place = seen.recorded_place();
        let entry = self.entry(operation, (place.clone(), place.clone()), result);
        self.remember(seen, Entry { canary: Some(fewer.clone()), ..entry }).await;
        self.reductions.push(ReductionReport::of_canary(Some(&operation.id), &fewer, place, Some(result)));
        let what = match ended {
            Ended::Done(_) => return Ok(None),
            Ended::Interrupted(_) => {
                let what = format!("interrupted: {canary} is to have {} pods, and that is not verified", fewer.to);
                return Err(Error::Unverified { what, source: None });
            }
            Ended::Overtaken(seen) => format!("{canary} has {} pods again: something scales it up", desired(&seen)),
            Ended::Failed(..) | Ended::Deadline(..) | Ended::Lost(..) => {
                format!("time is up: {canary} still has more than {} pods", fewer.to)
            }
        };
        Ok(Some(Error::Unverified { what, source: None }))
    }
}

pub(super) fn canary_target(of: &Workload, canary: &str) -> Target {
    Target {
        deployment: canary.to_owned(),
        container: Some(of.container.clone()),
        flags: BTreeSet::new(),
        revisions: false,
        beside: false,
        router: None,
    }
}

/// How many pods a Deployment is to have.
pub(super) fn desired(found: &Workload) -> usize {
    usize::try_from(found.replicas.desired).unwrap_or_default()
}
