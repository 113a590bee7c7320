//! What is wrong with a canary, or would be with one that were made.

use serde::Serialize;

use super::super::declaration::Rollout;
use super::super::router::Unsplittable;
use super::super::standing::StandingPlace;
use super::super::workload::Workload;
use super::{Aim, canary_of};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "trouble", rename_all = "snake_case")]
pub enum CanaryTrouble {
    /// The names of its pods would not be whole.
    NameTooLong {
        deployment: String,
        most: usize,
    },
    /// Somebody else's Deployment has the canary's name.
    Stranger {
        deployment: String,
    },
    /// The Deployment is to have no pods that a canary could stand beside.
    NothingStable,
    /// So few pods cannot give a share as small as the declared one, in percent.
    Coarse {
        wanted: f64,
        percent: f64,
        pods: u32,
        stable: u32,
    },
    /// The Deployment selects its pods by a label that the canary's are to have otherwise.
    LabelSelected {
        label: String,
    },
    /// The stable pods do not have that label, or have the canary's value of it.
    LabelMissing {
        label: String,
        value: String,
    },
    Unsplittable {
        detail: Unsplittable,
    },
    /// The router gives a canary traffic, and none is on record.
    AlreadySplit {
        router: String,
        percent: f64,
    },
    /// The record of the canary cannot be read.
    Unreadable {
        detail: String,
    },
    /// The rollout stands at a canary's step, and nothing is recorded of one.
    Unrecorded,
    /// It has gone.
    Missing {
        deployment: String,
    },
    /// The live template has changed since it was made: it does not show any more what runs.
    Outdated {
        deployment: String,
    },
    /// Its flags or its number of pods are not as recorded.
    Changed {
        deployment: String,
    },
    /// A gradual rollback has made it smaller: what it shows now is not what the step asks for.
    Reduced {
        deployment: String,
        pods: u32,
    },
    /// The router does not give it the recorded part of the traffic, in percent.
    OtherShare {
        router: String,
        expected: f64,
        found: f64,
    },
}

impl CanaryTrouble {
    /// Whether making the canary anew, of the live template, would mend it.
    pub fn is_adoptable(&self) -> bool {
        match self {
            Self::Unrecorded
            | Self::Unreadable { .. }
            | Self::Missing { .. }
            | Self::Outdated { .. }
            | Self::Changed { .. }
            | Self::Reduced { .. }
            | Self::OtherShare { .. } => true,
            Self::NameTooLong { .. }
            | Self::Stranger { .. }
            | Self::NothingStable
            | Self::Coarse { .. }
            | Self::LabelSelected { .. }
            | Self::LabelMissing { .. }
            | Self::Unsplittable { .. }
            | Self::AlreadySplit { .. } => false,
        }
    }
}

/// Whether what was begun with the canary at this place has yet to be brought to its end.
pub fn is_unfinished(rollout: &Rollout, workload: &Workload, place: &StandingPlace) -> bool {
    match workload.recorded_canary().map(|record| &record.aim) {
        Some(Aim::Runs(canary)) => !canary.arrived || !rollout.phases[place.phase].steps[place.step].is_canary(),
        Some(Aim::Gone) => true,
        None => false,
    }
}

/// What is wrong with the canary of a place where one is to run, once it was seen to run.
pub fn at(rollout: &Rollout, workload: &Workload, place: &StandingPlace) -> Option<CanaryTrouble> {
    let deployment = canary_of(&workload.deployment);
    let record = match &workload.canary_record {
        Some(Err(detail)) => return Some(CanaryTrouble::Unreadable { detail: detail.clone() }),
        Some(Ok(record)) => Some(record),
        None => None,
    };
    if !rollout.phases[place.phase].steps[place.step].is_canary() || is_unfinished(rollout, workload, place) {
        return None;
    }
    let Some(canary) = record.and_then(super::CanaryRecord::canary) else { return Some(CanaryTrouble::Unrecorded) };
    let Some(beside) = &workload.beside else { return Some(CanaryTrouble::Missing { deployment }) };
    if !beside.is_ours {
        return Some(CanaryTrouble::Stranger { deployment });
    }
    if beside.terminating {
        return Some(CanaryTrouble::Missing { deployment });
    }
    if canary.template != workload.fingerprint {
        return Some(CanaryTrouble::Outdated { deployment });
    }
    if !beside.is(canary) {
        return Some(CanaryTrouble::Changed { deployment });
    }
    if workload.recorded_position().is_some_and(|position| position.reduced.is_some()) {
        return Some(CanaryTrouble::Reduced { deployment, pods: canary.pods });
    }
    let router = super::router(rollout, workload)?;
    match (canary.percent, workload.split.as_ref()?) {
        (_, Err(detail)) => Some(CanaryTrouble::Unsplittable { detail: detail.clone() }),
        (Some(expected), Ok(split)) if !router.kind.is_near(split.percent, expected) => {
            Some(CanaryTrouble::OtherShare { router: router.object(), expected, found: split.percent })
        }
        (_, Ok(_)) => None,
    }
}
