//! The canary: a second Deployment beside the first, whose pods run the flags of a step before all others do.
//!
//! What it is to be is recorded on the Deployment that it stands beside, in the same write as the position. Whoever finds
//! the record brings what is there to it; so that it does not matter who began, nor how often it was begun. This file does
//! not know how a Deployment or a router is written.

mod course;
mod sizing;
mod trouble;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::declaration::Rollout;
use super::name::FlagName;
use super::router::{Router, Weights};
use super::workload::{FlagSource, FlagValue, Replicas, Workload};

pub use course::{Move, next};
pub use sizing::{by_pods, planned};
pub use trouble::{CanaryTrouble, at as trouble_at, is_unfinished};

/// On the pods of a canary, and in its selector.
pub const CANARY_LABEL: &str = "cbctl.dev/canary";
/// What the name of a canary adds to that of the Deployment that it stands beside.
const SUFFIX: &str = "-canary";

/// The name of a Deployment's canary.
pub fn canary_of(deployment: &str) -> String {
    format!("{deployment}{SUFFIX}")
}

/// The Deployment that one of this name would be the canary of.
pub fn beside(canary: &str) -> Option<&str> {
    canary.strip_suffix(SUFFIX)
}

/// What divides the traffic: as recorded of the canary that there is, and as declared for one that is to be made.
pub fn router<'a>(rollout: &'a Rollout, workload: &'a Workload) -> Option<&'a Router> {
    match workload.recorded_canary() {
        Some(record) => record.route.as_ref().map(|route| &route.router),
        None => rollout.header.router.as_ref(),
    }
}

/// What the canary is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CanaryRecord {
    /// Id of the operation that decided it.
    pub operation: String,
    pub aim: Aim,
    /// What gives it its traffic, where that is a router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Routed>,
}

/// A router, as it was before a canary was given any traffic. It is recorded whole, so that a way back needs no files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routed {
    pub router: Router,
    /// To be put back when the canary goes.
    pub weights: Weights,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    Runs(Canary),
    /// No pod of it is left, and the router is as it was before.
    Gone,
}

/// A canary as it is to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    pub pods: u32,
    /// Every flag that the rollout may touch, whatever the stable pods run.
    pub flags: BTreeMap<FlagName, FlagValue>,
    /// Its part of the traffic in percent, where a router gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// Fingerprint of the live template that it is made from, flags aside.
    pub template: String,
    /// It was seen to run like this; until then nothing about it has begun.
    pub arrived: bool,
}

/// The Deployment that has the name of the canary, as it was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    pub uid: String,
    pub resource_version: String,
    /// This program made it, for the Deployment that it stands beside and no earlier one of that name.
    pub is_ours: bool,
    /// It has been deleted, and is on its way out.
    pub terminating: bool,
    /// As it was made from: see [`Canary::template`].
    pub template: Option<String>,
    pub flags: BTreeMap<FlagName, FlagSource>,
    pub replicas: Replicas,
}

impl CanaryRecord {
    /// The canary, where there is to be one.
    pub fn canary(&self) -> Option<&Canary> {
        match &self.aim {
            Aim::Runs(canary) => Some(canary),
            Aim::Gone => None,
        }
    }
}

impl Beside {
    /// Whether it is what it is to be, its pods aside.
    pub fn is(&self, canary: &Canary) -> bool {
        self.is_ours
            && !self.terminating
            && self.template.as_ref() == Some(&canary.template)
            && u32::try_from(self.replicas.desired) == Ok(canary.pods)
            && self.runs(&canary.flags)
    }

    /// Whether its template has these values.
    pub fn runs(&self, flags: &BTreeMap<FlagName, FlagValue>) -> bool {
        const ABSENT: &FlagSource = &FlagSource::Value(FlagValue::Absent);
        flags.iter().all(|(flag, value)| self.flags.get(flag).unwrap_or(ABSENT).is(value))
    }
}
