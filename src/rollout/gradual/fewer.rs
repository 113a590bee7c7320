//! How much smaller a canary becomes: its pods, and the part of the traffic that a router gives it.
//!
//! It does not know when that is called for.

use serde::{Deserialize, Serialize};

use super::super::workload::Workload;

/// A canary's pods before and after, beside all others of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fewer {
    pub deployment: String,
    pub from: usize,
    pub to: usize,
    /// All other pods of the service.
    beside: usize,
    /// Its part of the traffic, where a router gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<LessTraffic>,
}

/// What a router gives a canary before and after, in percent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LessTraffic {
    pub router: String,
    pub from: f64,
    pub to: f64,
}

impl Fewer {
    /// The next reduction of a canary that is to have so many pods: the one on record, as long as that is under way.
    pub fn of(workload: &Workload, canary: &str, pods: usize) -> Self {
        let recorded = workload.recorded_position().and_then(|position| position.reduced.as_ref());
        let is_under_way = |fewer: &&Self| fewer.deployment == canary && fewer.to == pods && !fewer.is_made(workload);
        match recorded.map(|reduced| &reduced.fewer).filter(is_under_way) {
            Some(fewer) => fewer.clone(),
            None => Self::between(workload, canary, (pods, pods / 2), None),
        }
    }

    /// Whether the canary is that small, whoever made it so.
    pub fn is_made(&self, workload: &Workload) -> bool {
        workload.canary_pods(&self.deployment) <= self.to
    }

    /// A canary's pods before and after, and what becomes of its traffic.
    pub(super) fn between(
        workload: &Workload,
        canary: &str,
        (from, to): (usize, usize),
        traffic: Option<LessTraffic>,
    ) -> Self {
        let others = workload.live_pods().count() + workload.live_canary().count() - workload.canary_pods(canary);
        Self { deployment: canary.to_owned(), from, to, beside: others, traffic }
    }

    /// The one after this.
    pub fn next(&self) -> Option<Self> {
        (self.to > 0).then(|| Self { from: self.to, to: self.to / 2, ..self.clone() })
    }

    /// The canary's share before and after, 0 to 1: of the traffic where a router gives it, otherwise of all pods.
    #[expect(clippy::cast_precision_loss, reason = "nobody has that many pods")]
    pub fn shares(&self) -> (f64, f64) {
        if let Some(traffic) = &self.traffic {
            return (traffic.from / 100.0, traffic.to / 100.0);
        }
        let share = |pods: usize| if pods == 0 { 0.0 } else { pods as f64 / (pods + self.beside) as f64 };
        (share(self.from), share(self.to))
    }
}
