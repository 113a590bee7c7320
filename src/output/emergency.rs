//! The answer of an emergency: a row for each Deployment, with what became of it and why, and their number.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::change::Applied;
use super::words::{count, duration, plural};
use super::{Report, SCHEMA, table};
use crate::error::ExitStatus;
use crate::rollout::position::Place;
use crate::rollout::progress::{Goal, Spread};

/// How far it came in one Deployment, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// Every pod runs it.
    Done,
    /// The API server took it; nobody looked at the pods.
    Sent,
    /// The API server would take it.
    DryRun,
    /// The API server took it; not every pod is known to run it.
    Unverified,
    /// Whether there is anything to switch off could not be found out.
    Unknown,
    /// What is there to switch off could not be made out.
    Refused,
    /// It did not get through.
    Failed,
}

/// One Deployment, or the file that should have said which.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub result: Result,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    pub changes: Vec<Applied>,
    /// From the beginning of the command to the answer of the API server.
    #[serde(rename = "took_ms", serialize_with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<Spread>,
    /// Where the rollout stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Place>,
    /// Why it is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip)]
    pub exit: ExitStatus,
}

/// What an emergency came to.
#[derive(Debug, Clone, Serialize)]
pub struct EmergencyReport {
    schema: u8,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// The worst of all.
    result: Result,
    exit: u8,
    counts: BTreeMap<Result, usize>,
    deployments: Vec<Row>,
    #[serde(rename = "summary")]
    headline: String,
    #[serde(skip)]
    next: Option<String>,
    #[serde(skip)]
    status: ExitStatus,
}

impl EmergencyReport {
    /// The rows sorted so that what is not off stands last, beside the numbers. `operation` is None of a dry run, and
    /// `next` what there is to know or to type next.
    pub fn of(mut rows: Vec<Row>, operation: Option<String>, took: &str, next: Option<String>) -> Self {
        rows.sort_by(|a, b| {
            let key = |row: &Row| (row.result, row.namespace.clone(), row.deployment.clone());
            key(a).cmp(&key(b))
        });
        let mut counts = BTreeMap::new();
        for row in &rows {
            *counts.entry(row.result).or_insert(0) += 1;
        }
        let status = ExitStatus::worst(rows.iter().map(|row| row.exit));
        let result = rows.iter().map(|row| row.result).max().unwrap_or(Result::Done);
        let headline = headline(result, &rows, &counts, took);
        let (schema, exit) = (SCHEMA, status as u8);
        Self { schema, kind: "emergency", operation, result, exit, counts, deployments: rows, headline, next, status }
    }

    pub fn exit_status(&self) -> ExitStatus {
        self.status
    }
}

impl Result {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "off",
            Self::Sent => "sent",
            Self::DryRun => "dry run",
            Self::Unverified => "unverified",
            Self::Unknown => "unknown",
            Self::Refused => "error",
            Self::Failed => "failed",
        }
    }
}

impl Report for EmergencyReport {
    fn lines(&self) -> Vec<String> {
        let namespaces = self.deployments.iter().filter_map(|row| row.namespace.as_deref());
        let mut namespaces: Vec<&str> = namespaces.collect();
        namespaces.dedup();
        let several = namespaces.len() > 1;
        let mut lines = table::lines(&[], &[], self.deployments.iter().map(|row| cells(row, several)));
        lines.push(self.headline.clone());
        lines.extend(self.next.clone());
        lines
    }
}

fn cells(row: &Row, several_namespaces: bool) -> Vec<String> {
    let object = match (&row.deployment, &row.namespace) {
        (Some(deployment), Some(namespace)) if several_namespaces => format!("deployment/{deployment} in {namespace}"),
        (Some(deployment), _) => format!("deployment/{deployment}"),
        (None, _) => String::new(),
    };
    let flags: Vec<&str> = row.changes.iter().map(|change| change.flag.as_str()).collect();
    let took = row.took.map(duration).unwrap_or_default();
    let mut cells = vec![row.result.word().to_owned(), object];
    match &row.error {
        // The reason is what matters, and it is long.
        Some(error) => cells.push(error.clone()),
        None => cells.extend([flags.join(" "), took]),
    }
    cells
}

fn headline(result: Result, rows: &[Row], counts: &BTreeMap<Result, usize>, took: &str) -> String {
    let breakers = if rows.len() == 1 {
        "every breaker".to_owned()
    } else {
        format!("every breaker of {} deployments", count(rows.len() as u64))
    };
    match result {
        Result::Done => {
            let pods: Spread = rows.iter().filter_map(|row| row.pods.clone()).sum();
            format!(
                "done in {took}: {breakers} is off; {}",
                super::progress::progress(&pods, &Goal::Values(BTreeMap::new()))
            )
        }
        Result::Sent if rows.len() == 1 => "off in the deployment; its pods restart now, nobody waits for them".into(),
        Result::Sent => {
            format!("off in {} deployments; their pods restart now, nobody waits for them", count(rows.len() as u64))
        }
        Result::DryRun => format!("dry run: the API server would switch {breakers} off"),
        Result::Unverified | Result::Unknown | Result::Refused | Result::Failed => {
            let counts: Vec<String> =
                counts.iter().map(|(result, rows)| format!("{} {}", count(*rows as u64), result.word())).collect();
            format!("failed in {took}: not every breaker is known to be off: {}", counts.join(", "))
        }
    }
}

/// The API server has taken the patch of one.
pub fn off(deployment: &str, took: Duration) -> String {
    format!("off: deployment/{deployment} in {}", duration(took))
}

/// How far many of them are.
pub fn progress(off: usize, all: usize, verified: Option<usize>) -> String {
    let verified = verified.map(|verified| format!("; {} verified", count(verified as u64))).unwrap_or_default();
    format!("{} of {} off{verified}", count(off as u64), plural(all as u64, "deployment"))
}

/// What of the history could not be written.
pub fn unwritten(entries: usize, after: Duration) -> String {
    let of = plural(entries as u64, "deployment");
    format!("warning: the history of {of} is not written: it took longer than {}", duration(after))
}

/// Somebody else's Deployment has the name of a canary.
pub fn stranger(deployment: &str) -> String {
    format!("warning: deployment/{deployment} is left alone: its pods have no label cbctl.dev/canary, it is no canary")
}

#[expect(clippy::ref_option, reason = "serde hands it over like this")]
fn milliseconds<S: serde::Serializer>(took: &Option<Duration>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let milliseconds = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    milliseconds.serialize(serializer)
}
