//! The verdict where a canary is judged apart from the stable pods beside it.
//!
//! Where no pod of the canary is there, nothing else is judged in its place. It does not know why the two are apart, nor
//! how a group of pods is judged.

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::condition::{Condition, Measure, Role};
use super::judge_group;
use super::samples::Group;
use super::verdict::{Evidence, Finding, Gap, Judgement};

/// Which of the two groups a verdict is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Apart {
    pods: Pods,
    /// What the stable pods show in the same window, where the canary's share of something was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    stable: Option<Finding>,
}

/// One of two groups of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pods {
    Canary,
    Stable,
}

/// Judges the canary, and for a trigger the stable pods as well: the worse of the two counts.
pub fn judge(condition: &Condition, canary: &Group, stable: &Group) -> Judgement {
    let of_canary = without_pods(judge_group(condition, canary, Some(stable)));
    if condition.compares() {
        return of_canary;
    }
    let of_stable = judge_group(condition, stable, None);
    let figure = of_stable.evidence().map(Evidence::finding).filter(|finding| matches!(finding, Finding::Share(_)));
    let figure = figure.cloned();
    let (judgement, pods, beside) = match condition.role {
        Role::Trigger if rank(&of_stable) < rank(&of_canary) => (of_stable, Pods::Stable, None),
        Role::Trigger | Role::Gate => (of_canary, Pods::Canary, figure),
    };
    // What a query asks for is not about one of the two.
    if matches!(condition.measure, Measure::Query(_)) { judgement } else { judgement.about(pods, beside) }
}

/// Of a canary that has no pod, it is the canary that is told to have none.
fn without_pods(judgement: Judgement) -> Judgement {
    match judgement {
        Judgement::Inconclusive(Gap::NoPods, found) => Judgement::Inconclusive(Gap::NoPodsInCanary, found),
        Judgement::Missing(Gap::NoPods) => Judgement::Missing(Gap::NoPodsInCanary),
        judgement @ (Judgement::Met(_)
        | Judgement::Unmet(_)
        | Judgement::Inconclusive(..)
        | Judgement::Missing(_)
        | Judgement::Error(_)) => judgement,
    }
}

/// What a trigger says, worst first.
fn rank(judgement: &Judgement) -> u8 {
    match judgement {
        Judgement::Met(_) => 0,
        Judgement::Error(_) => 1,
        Judgement::Missing(_) | Judgement::Inconclusive(..) => 2,
        Judgement::Unmet(_) => 3,
    }
}

impl Evidence {
    /// Which pods it is about, where a canary is judged apart.
    pub fn pods(&self) -> Option<Pods> {
        self.apart.as_ref().map(|apart| apart.pods)
    }

    /// What the stable pods show beside the canary that it is about.
    pub fn stable(&self) -> Option<&Finding> {
        self.apart.as_ref()?.stable.as_ref()
    }
}

impl Judgement {
    /// What it stands on, or what there is so far.
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Met(evidence) | Self::Unmet(evidence) => Some(evidence),
            Self::Inconclusive(_, evidence) => evidence.as_deref(),
            Self::Missing(_) | Self::Error(_) => None,
        }
    }

    fn evidence_mut(&mut self) -> Option<&mut Evidence> {
        match self {
            Self::Met(evidence) | Self::Unmet(evidence) => Some(evidence),
            Self::Inconclusive(_, evidence) => evidence.as_deref_mut(),
            Self::Missing(_) | Self::Error(_) => None,
        }
    }

    fn about(mut self, pods: Pods, stable: Option<Finding>) -> Self {
        if let Some(evidence) = self.evidence_mut() {
            evidence.apart = Some(Box::new(Apart { pods, stable }));
        }
        self
    }

    /// The same where a router divides the traffic: there the number of pods promises the canary nothing.
    pub fn routed(mut self) -> Self {
        if let Some(Evidence { finding: Finding::Comparison(comparison), .. }) = self.evidence_mut() {
            comparison.uneven_traffic = None;
        }
        self
    }
}
