//! What happened, once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rollout::gradual::Fewer;
use crate::rollout::name::SignOffName;
use crate::rollout::plan::{Change, Operation};
use crate::rollout::position::Place;

/// Stands for a name where nobody could be asked.
pub const NOBODY_KNOWS: &str = "unknown";

/// One operation, as its author told it when it was over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The operation's id, the same in the Deployment's record; empty where only its effect was found.
    pub operation: String,
    pub at: Timestamp,
    pub by: String,
    pub action: Action,
    pub from: Option<Place>,
    pub to: Option<Place>,
    pub changes: Vec<Change>,
    /// A canary that was given fewer pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Fewer>,
    /// What was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignOffName>,
    /// The conditions as they were reported: data, and the row that people read.
    pub evidence: Vec<Value>,
    pub reason: Option<String>,
    pub result: Ending,
    /// From the decision until the result was certain.
    pub took_seconds: Option<f64>,
    /// Of the program that wrote it; empty where it was found in the Deployment's record.
    pub version: String,
}

impl Entry {
    /// What this program says of an operation of its own; places, changes and evidence are the verb's to add.
    pub fn of(operation: &Operation, action: Action, result: Ending) -> Self {
        Self {
            operation: operation.id.clone(),
            at: operation.at,
            by: operation.by.clone(),
            action,
            from: None,
            to: None,
            changes: Vec::new(),
            canary: None,
            signed: None,
            evidence: Vec::new(),
            reason: operation.reason.clone(),
            result,
            took_seconds: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Promote,
    Rollback,
    /// Back to the pod template of the revision before.
    Undo,
    /// Every pod anew, with the same values.
    Restart,
    Emergency,
    /// The canary taken away.
    Abort,
    /// Somebody gave their word.
    SignOff,
    /// Nothing is to be promoted any more, until a resume.
    Pause,
    Resume,
}

/// How an operation ended, as far as its author could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every pod runs it.
    Done,
    /// The API server took it; nobody looked at the pods.
    Sent,
    /// It did not become healthy, and was taken back.
    RolledBack,
    /// It did not become healthy, and could not be taken back.
    NotTakenBack,
    /// It is in the Deployment; not every pod was seen to run it.
    Unverified,
    /// Its author was told to stop waiting.
    Interrupted,
    /// Somebody else changed the rollout meanwhile.
    Overtaken,
    /// Its author wrote nothing: it was found in the Deployment's record.
    Found,
}
