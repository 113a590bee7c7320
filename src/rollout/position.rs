//! The records that a rollout keeps on its Deployment.
//!
//! They are written in the same patch as the flags, so that no crash can separate them. This file owns their fields;
//! it does not know how they are stored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::canary::CanaryRecord;
use super::declaration::Flags;
use super::gradual::Fewer;
use super::history::verify::Anchor;
use super::name::{FlagName, PhaseName};
use super::workload::FlagValue;

/// Where the rollout stands, and how it got there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub place: Place,
    /// Who made the last change, as the API server knows them.
    pub by: String,
    pub operation: String,
    /// When it was made; a place that was gone back to was entered earlier.
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The end of the history as the last promotion saw it: what was rewritten since shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Anchor>,
    /// The changes that led here and can be taken back, oldest first.
    pub trail: Vec<Taken>,
    /// The last change was a rollback: the step before is taken back only once, however often it is asked for.
    pub rolled_back: bool,
    /// When the last rollback before this place was made: it stays known after the promotions that follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub troubled: Option<Timestamp>,
    /// A canary that a gradual rollback has made smaller since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced: Option<Reduced>,
    /// When each phase that was left upwards had been complete.
    #[serde(default)]
    pub completed: BTreeMap<PhaseName, Timestamp>,
    /// What an emergency needs when the files are gone.
    pub container: String,
    pub off: Flags,
}

/// A change that was made, and what it replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// The place before it; None where the rollout had not begun.
    pub from: Option<Place>,
    /// The operation whose record it was made on; None where there was no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Every flag that it touched, as it was before.
    pub prior: BTreeMap<FlagName, FlagValue>,
    /// What was recorded of the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Box<CanaryRecord>>,
}

/// A canary to be made smaller. It is written down before that happens, so that a later run knows where to go on, and
/// since when there is evidence about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reduced {
    pub fewer: Fewer,
    pub operation: String,
    pub at: Timestamp,
}

/// A step of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub phase: PhaseName,
    /// Counted from 1.
    pub step: usize,
    pub since: Timestamp,
}

impl Position {
    /// Every flag that was changed on the way here, in a canary too.
    pub fn changed(&self) -> impl Iterator<Item = &FlagName> {
        let canaries = self.trail.iter().filter_map(|taken| taken.canary.as_ref()?.canary());
        let canaries = canaries.flat_map(|canary| canary.flags.keys());
        self.trail.iter().flat_map(|taken| taken.prior.keys()).chain(canaries)
    }

    /// The last rollback that this record knows of.
    pub fn last_rollback(&self) -> Option<Timestamp> {
        let reduced = self.reduced.as_ref().map(|reduced| reduced.at);
        [self.troubled, self.rolled_back.then_some(self.at), reduced].into_iter().flatten().max()
    }

    /// Whether it is the same record, whenever its bake began: that of a canary begins anew once it was seen to run.
    pub fn is(&self, other: &Self) -> bool {
        let place = Place { since: other.place.since, ..self.place.clone() };
        Self { place, ..self.clone() } == *other
    }

    /// Whether a change on the way here was made on the record of this operation.
    pub fn is_built_on(&self, operation: &String) -> bool {
        self.trail.iter().any(|taken| taken.base.as_ref() == Some(operation))
    }
}

impl Taken {
    /// What a row of changes replaced: of a flag that several of them touched, what the oldest found.
    pub fn replaced(row: &[Self]) -> BTreeMap<FlagName, FlagValue> {
        row.iter().rev().flat_map(|taken| taken.prior.clone()).collect()
    }
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
    /// What was signed: the content of every phase's file that asked for it at the time.
    #[serde(default)]
    pub contents: BTreeMap<PhaseName, String>,
}

/// The word that nothing is to be promoted for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub by: String,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
