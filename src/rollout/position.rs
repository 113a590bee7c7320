//! The records that a rollout keeps on its Deployment.
//!
//! They are written in the same patch as the flags, so that no crash can separate them. This file owns their fields;
//! it does not know how they are stored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::declaration::Flags;
use super::name::{FlagName, PhaseName};
use super::workload::FlagValue;

/// Where the rollout stands, and what the last change replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub place: Place,
    /// Who made the last change, as the API server knows them.
    pub by: String,
    pub operation: String,
    /// Every flag that the last change touched, as it was before.
    pub prior: BTreeMap<FlagName, FlagValue>,
    /// The place before the last change; None if that was the first one, or it was taken back.
    pub previous: Option<Place>,
    /// When each phase that was left upwards had been complete.
    #[serde(default)]
    pub completed: BTreeMap<PhaseName, Timestamp>,
    /// What an emergency needs when the files are gone.
    pub container: String,
    pub off: Flags,
}

/// A step of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub phase: PhaseName,
    /// Counted from 1.
    pub step: usize,
    pub since: Timestamp,
}

/// The mark of an emergency rollback; it outranks the position until the next promote accepts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    pub at: Timestamp,
    pub operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Somebody's word for what Prometheus cannot tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    pub by: String,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
