//! Writing down what was done: in the history, and as an event for people who look with kubectl.
//!
//! The Deployment's record is the one that counts. What cannot be written down is told and stops nothing; the next
//! command that writes catches up.

use jiff::Timestamp;

use super::{Context, now};
use crate::cluster::{Cluster, Happening};
use crate::output::history::happened;
use crate::rollout::history::additions;
use crate::rollout::history::entry::{Action, Ending, Entry};
use crate::rollout::workload::Workload;

impl Context {
    /// Adds an operation that is over to the history of the rollout called `name`, and what the history lacks of those
    /// before it. `seen` is the Deployment as it was found, if it was.
    pub(super) async fn remember(&self, cluster: &Cluster, name: &str, seen: Option<&Workload>, entry: Entry) {
        let entry = Entry { took_seconds: took(&entry, now()), ..entry };
        if let Err(error) = cluster.write_history(name, |newest| additions(newest, seen, &entry)).await {
            self.printer.warn(&error);
        }
        let Some(seen) = seen else { return };
        let happening = Happening {
            operation: &entry.operation,
            reason: word(entry.action),
            message: &happened(&entry),
            warning: entry.result != Ending::Done && entry.result != Ending::Sent,
            at: entry.at,
        };
        if let Err(error) = cluster.tell(seen, &happening).await {
            self.printer.warn(&error);
        }
    }
}

/// Nobody waited for what was only sent.
fn took(entry: &Entry, now: Timestamp) -> Option<f64> {
    let took = now.duration_since(entry.at).as_secs_f64();
    (entry.result != Ending::Sent).then(|| (took.max(0.0) * 1_000.0).round() / 1_000.0)
}

/// How kubectl shows the kind of an event.
fn word(action: Action) -> &'static str {
    match action {
        Action::Promote => "BreakersPromoted",
        Action::Rollback => "BreakersRolledBack",
        Action::Abort => "CanaryAborted",
        Action::Undo => "PodTemplateRestored",
        Action::Restart => "PodsRestarted",
        Action::Emergency => "BreakersSwitchedOff",
        Action::SignOff => "SignedOff",
        Action::Pause => "RolloutPaused",
        Action::Resume => "RolloutResumed",
    }
}
