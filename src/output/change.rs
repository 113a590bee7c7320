//! The answers of what writes: promote, rollback and sign-off. Made from what was applied, never from what was planned.

use jiff::Timestamp;
use serde::Serialize;

use super::canary::CanaryChange;
use super::obstacle::{value_of, value_text};
use super::words::{duration, plural, since};
use super::{Report, SCHEMA, step, table};
use crate::error::ExitStatus;
use crate::rollout::name::FlagName;
use crate::rollout::plan::{Change, Operation, Plan, Record};
use crate::rollout::position::Place;
use crate::rollout::progress::Spread;
use crate::rollout::template::TemplateChange;
use crate::rollout::workload::{FlagSource, FlagValue, Workload};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Result {
    /// Every pod runs it.
    Done,
    /// The API server took it; nobody looked at the pods.
    Sent,
    /// The API server would take it.
    DryRun,
    NothingToDo,
    /// It did not become healthy and was taken back.
    RolledBack,
    /// The API server took it, and it was not seen to arrive in every pod.
    Unverified,
}

/// What a command changed.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeReport {
    pub schema: u8,
    pub kind: &'static str,
    pub deployment: String,
    pub namespace: String,
    pub operation: Option<String>,
    pub result: Result,
    pub exit: u8,
    /// Where the rollout stands afterwards.
    pub place: Option<Place>,
    pub changes: Vec<Applied>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryChange>,
    /// Breakers that stay off, though what is restored has them on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<FlagName>,
    pub pods: Option<Spread>,
    /// What happened, in a sentence.
    #[serde(rename = "summary")]
    pub headline: String,
    /// What there is to know or to type next.
    #[serde(skip)]
    pub next: Option<String>,
}

/// A flag and its value after the change; the value before is known only where it was read.
#[derive(Debug, Clone, Serialize)]
pub struct Applied {
    pub flag: FlagName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FlagSource>,
    pub after: FlagValue,
}

impl ChangeReport {
    pub fn new(kind: &'static str, deployment: &str, namespace: &str, result: Result, headline: String) -> Self {
        Self {
            schema: SCHEMA,
            kind,
            deployment: deployment.to_owned(),
            namespace: namespace.to_owned(),
            operation: None,
            result,
            exit: result.exit_status() as u8,
            place: None,
            changes: Vec::new(),
            canary: None,
            kept: Vec::new(),
            pods: None,
            headline,
            next: None,
        }
    }

    /// Of a change that was planned on this; a dry run is no operation.
    pub fn of_plan(
        kind: &'static str,
        before: &Workload,
        operation: &Operation,
        plan: &Plan,
        result: Result,
        headline: String,
    ) -> Self {
        Self {
            operation: (result != Result::DryRun).then(|| operation.id.clone()),
            place: plan.record.place().cloned(),
            changes: plan.changes.iter().map(Applied::of).collect(),
            canary: plan.canary.as_deref().map(|record| CanaryChange::of(record, before)),
            ..Self::new(kind, &before.deployment, &before.namespace, result, headline)
        }
    }
}

impl Result {
    pub fn exit_status(self) -> ExitStatus {
        match self {
            Self::Done | Self::Sent | Self::DryRun | Self::NothingToDo => ExitStatus::Success,
            Self::RolledBack => ExitStatus::RolledBack,
            Self::Unverified => ExitStatus::Error,
        }
    }
}

impl Applied {
    pub fn of(change: &Change) -> Self {
        Self { flag: change.flag.clone(), before: Some(change.before.clone()), after: change.after.clone() }
    }

    pub fn unread(flag: &FlagName, value: &str) -> Self {
        Self { flag: flag.clone(), before: None, after: FlagValue::Literal(value.to_owned()) }
    }
}

impl Report for ChangeReport {
    fn lines(&self) -> Vec<String> {
        // People are told by the error that follows.
        if self.result == Result::Unverified {
            return Vec::new();
        }
        let mut lines = changes(&self.deployment, &self.changes, self.canary.as_ref());
        lines.push(self.headline.clone());
        if !self.kept.is_empty() {
            let kept: Vec<&str> = self.kept.iter().map(FlagName::as_str).collect();
            lines.push(format!("off, and stay off: {}", kept.join(", ")));
        }
        lines.extend(self.next.clone());
        lines
    }
}

/// What a rollback has restored.
pub fn restored(plan: &Plan) -> String {
    let back = match &plan.record {
        Record::Write(position) => Some(format!("back at {}", step::recorded(&position.place))),
        Record::Remove => Some("back to before the rollout began".to_owned()),
        Record::Keep => None,
    };
    match (&plan.template, back) {
        (None, Some(back)) => back,
        (None, None) if plan.canary.is_some() && plan.changes.is_empty() => "the canary is gone".to_owned(),
        (None, None) => "off".to_owned(),
        (Some(TemplateChange::Restart { .. }), _) => "restarted".to_owned(),
        (Some(TemplateChange::Undo { revision, .. }), None) => format!("revision {} is back", revision.number),
        (Some(TemplateChange::Undo { revision, .. }), Some(back)) => {
            format!("revision {} is back, and the rollout {back}", revision.number)
        }
    }
}

/// What is about to happen.
pub fn announcement(to: &str, before: &Workload, plan: &Plan) -> String {
    let deployment = &before.deployment;
    let canary = plan.canary.as_deref().map(|record| CanaryChange::of(record, before).announced());
    let of_flags = match plan.changes.len() {
        0 if canary.is_some() => return format!("{to}: {}", canary.unwrap_or_default()),
        0 if plan.template.is_some() => format!("{to}: every pod of deployment/{deployment} is replaced"),
        0 => format!("{to}: no flag of deployment/{deployment} changes"),
        1 => format!("{to}: 1 flag of deployment/{deployment} changes"),
        changes => format!("{to}: {} of deployment/{deployment} change", plural(changes as u64, "flag")),
    };
    canary.map_or(of_flags.clone(), |canary| format!("{of_flags}, {canary}"))
}

fn changes(deployment: &str, changes: &[Applied], canary: Option<&CanaryChange>) -> Vec<String> {
    let rows = changes.iter().enumerate().map(|(index, change)| {
        let object = if index == 0 { format!("  deployment/{deployment}") } else { String::new() };
        let change_text = match &change.before {
            Some(before) => format!("{} -> {}", value_of(before), value_text(&change.after)),
            None => value_text(&change.after),
        };
        vec![object, change.flag.to_string(), change_text]
    });
    table::lines(&[], &[], rows.chain(canary.into_iter().flat_map(CanaryChange::rows)))
}

/// How long an operation took.
pub fn took(from: Timestamp, to: Timestamp) -> String {
    match to.duration_since(from).unsigned_abs() {
        short if short.as_secs() < 120 => duration(short),
        _ => since(from, to),
    }
}
