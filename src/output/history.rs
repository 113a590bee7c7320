//! The answer of `history`: what happened to the rollout, newest first, and whether that is still what was written.

use serde::Serialize;

use super::words::{count, duration};
use super::{Report, SCHEMA, step, table};
use crate::error::ExitStatus;
use crate::rollout::history::entry::{Action, Ending, Entry};
use crate::rollout::history::page::Link;
use crate::rollout::history::verify::Fault;
use crate::rollout::position::Place;

#[derive(Debug, Clone, Serialize)]
pub struct HistoryReport {
    schema: u8,
    kind: &'static str,
    rollout: String,
    namespace: String,
    /// Newest first.
    entries: Vec<Link>,
    /// How many older ones there are.
    older: u64,
    /// What the Deployment's record tells and the history does not, oldest first.
    untold: Vec<Entry>,
    /// None if it was not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<Vec<Fault>>,
    exit: u8,
}

impl HistoryReport {
    /// `links` are oldest first, and those before them `older`.
    pub fn of(rollout: &str, namespace: &str, links: Vec<Link>, older: u64, untold: Vec<Entry>) -> Self {
        let entries = links.into_iter().rev().collect();
        let (rollout, namespace) = (rollout.to_owned(), namespace.to_owned());
        Self { schema: SCHEMA, kind: "history", rollout, namespace, entries, older, untold, faults: None, exit: 0 }
    }

    pub fn verified(mut self, faults: Vec<Fault>) -> Self {
        self.faults = Some(faults);
        self.exit = self.exit_status() as u8;
        self
    }

    /// Somebody has to look at what is not as it was written.
    pub fn exit_status(&self) -> ExitStatus {
        match self.faults.as_deref() {
            None | Some([]) => ExitStatus::Success,
            Some(_) => ExitStatus::Held,
        }
    }
}

impl Report for HistoryReport {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.entries.is_empty() {
            lines.push(format!("{} has no history yet", self.rollout));
        } else {
            let headers = ["#", "WHEN", "WHO", "WHAT", "PHASE/STEP", "RESULT", "REASON"];
            lines.extend(table::lines(&headers, &[0], self.entries.iter().map(row)));
        }
        if self.older > 0 {
            lines.push(format!("{} before: cbctl history --last {}", entries(self.older), self.total()));
        }
        lines.extend(
            self.untold.iter().map(|entry| {
                format!("not written down yet, the next command that writes does it: {}", happened(entry))
            }),
        );
        match self.faults.as_deref() {
            None => {}
            Some([]) => lines.push(format!("whole: {}, every one as it was written", entries(self.total()))),
            Some(faults) => lines.extend(faults.iter().map(|fault| format!("failed: {}", told(fault)))),
        }
        lines
    }
}

impl HistoryReport {
    fn total(&self) -> u64 {
        self.older + self.entries.len() as u64
    }
}

fn entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{} entries", count(number)) }
}

fn row(link: &Link) -> Vec<String> {
    let Entry { at, by, action, result, reason, .. } = &link.entry;
    vec![
        link.number.to_string(),
        moment(*at),
        by.clone(),
        verb(*action).to_owned(),
        way(&link.entry),
        ended(*result, link.entry.took_seconds),
        reason.clone().unwrap_or_default(),
    ]
}

/// From where to where, in short.
fn way(entry: &Entry) -> String {
    let short = |place: &Option<Place>| {
        place.as_ref().map_or("-".to_owned(), |place| format!("{}/{}", place.phase, place.step))
    };
    if let Some(signed) = &entry.signed {
        return format!("{}, {signed}", short(&entry.to));
    }
    match (&entry.action, &entry.canary) {
        (Action::Emergency, _) => format!("{} -> all off", short(&entry.from)),
        (_, Some(fewer)) => format!("{}, canary {} -> {}", short(&entry.to), fewer.from, fewer.to),
        _ if entry.from == entry.to => short(&entry.to),
        _ => format!("{} -> {}", short(&entry.from), short(&entry.to)),
    }
}

/// An operation in one line.
pub fn happened(entry: &Entry) -> String {
    let Entry { by, action, result, reason, took_seconds, .. } = entry;
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}, {}: {}, by {by}{reason}", verb(*action), journey(entry), ended(*result, *took_seconds))
}

/// From where to where, in full.
pub fn journey(entry: &Entry) -> String {
    let Entry { action, from, to, canary, .. } = entry;
    if let Some(signed) = &entry.signed {
        return format!("{signed} at {}", place(to.as_ref()));
    }
    match (action, canary) {
        (_, Some(fewer)) => {
            format!("{}, {} {} -> {} pods", place(to.as_ref()), fewer.deployment, fewer.from, fewer.to)
        }
        (Action::Emergency, None) => format!("{} -> every breaker off", place(from.as_ref())),
        _ if from == to => format!("{} as before", place(to.as_ref())),
        _ => format!("{} -> {}", place(from.as_ref()), place(to.as_ref())),
    }
}

/// In whole seconds, as a log has it.
pub fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub fn verb(action: Action) -> &'static str {
    match action {
        Action::Promote => "promote",
        Action::Rollback => "rollback",
        Action::Undo => "undo",
        Action::Restart => "restart",
        Action::Abort => "abort",
        Action::Emergency => "emergency",
        Action::SignOff => "sign-off",
        Action::Pause => "pause",
        Action::Resume => "resume",
    }
}

fn place(place: Option<&Place>) -> String {
    place.map_or_else(|| "not started".to_owned(), step::recorded)
}

/// How it ended, and how long that took where it is known.
pub fn ended(result: Ending, took_seconds: Option<f64>) -> String {
    let word = match result {
        Ending::Done => "done",
        Ending::Sent => "sent, not waited for",
        Ending::RolledBack => "not healthy, rolled back",
        Ending::NotTakenBack => "not healthy, not taken back",
        Ending::Unverified => "not verified in every pod",
        Ending::Interrupted => "interrupted",
        Ending::Overtaken => "overtaken by somebody else",
        Ending::Found => "not told, found in the record",
    };
    let took = took_seconds.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
    took.map_or_else(|| word.to_owned(), |took| format!("{word} in {}", duration(took)))
}

/// What is not as it was written.
fn told(fault: &Fault) -> String {
    match fault {
        Fault::Unreadable { page, key } => format!("what stands under {key} in page {page} is no entry"),
        Fault::Misplaced { key, number } => format!("entry {number} stands in the place of {key}"),
        Fault::Missing { first, last } if first == last => format!("entry {first} is gone"),
        Fault::Missing { first, last } => format!("entries {first} to {last} are gone"),
        Fault::Changed { number } => format!("entry {number} is not the one that was written"),
        Fault::Added { first } => format!("from entry {first} on nobody recorded that they were written"),
        Fault::NoEnd { number } => {
            format!("nothing says that entry {number} was followed by no other when the page was last written")
        }
        Fault::PageMissing { page } => format!("page {page} is gone"),
        Fault::NotTheRecorded { number } => {
            format!("entry {number} is not the one that the deployment's record knows")
        }
    }
}
