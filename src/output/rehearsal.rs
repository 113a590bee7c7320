//! The answer of `rehearse`: what was tried of the way back, and what was found in it, each with what lifts it.

mod finding;

use std::time::Duration;

use serde::Serialize;

use self::finding::{done, found, object};
use super::words::{duration, plural};
use super::{Report, SCHEMA, table};
use crate::error::ExitStatus;
use crate::judge::verdict::seconds;
use crate::rollout::decision::Outcome;
use crate::rollout::declaration::Rollout;
use crate::rollout::rehearsal::{Answer, Finding, Permission, Rehearsal, Trial};
use crate::rollout::replacement::Course;
use crate::rollout::workload::Workload;

#[derive(Debug, Clone, Serialize)]
pub struct RehearsalReport {
    schema: u8,
    kind: &'static str,
    rollout: String,
    deployment: String,
    namespace: String,
    /// Who would roll back.
    by: String,
    /// What would be rolled back.
    from: String,
    outcome: &'static str,
    exit: u8,
    requests: Vec<Tried>,
    /// Requests about a canary, those of the promotion first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    canary: Vec<TriedOut>,
    permissions: Vec<Reviewed>,
    course: Option<Course>,
    #[serde(rename = "within_seconds", serialize_with = "seconds")]
    within: Duration,
    findings: Vec<Found>,
    summary: String,
}

/// One request, and the commands that would make it.
#[derive(Debug, Clone, Serialize)]
struct Tried {
    commands: Vec<String>,
    accepted: bool,
}

#[derive(Debug, Clone, Serialize)]
struct TriedOut {
    #[serde(flatten)]
    trial: Trial,
    accepted: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Reviewed {
    #[serde(flatten)]
    permission: Permission,
    /// None where the API server did not say.
    allowed: Option<bool>,
}

#[derive(Debug, Clone, Serialize)]
struct Found {
    outcome: &'static str,
    #[serde(flatten)]
    finding: Finding,
    text: String,
    #[serde(skip)]
    subject: String,
}

impl RehearsalReport {
    /// `from` is the place to be rolled back from, and `by` who we are.
    pub fn of(rollout: &Rollout, workload: &Workload, rehearsal: &Rehearsal, from: String, by: &str) -> Self {
        let outcome = rehearsal.outcome();
        let found = |finding: &Finding| {
            let (subject, text) = found(finding, workload);
            Found { outcome: word(finding), finding: finding.clone(), text, subject }
        };
        Self {
            schema: SCHEMA,
            kind: "rehearsal",
            rollout: rollout.header.name.clone(),
            deployment: workload.deployment.clone(),
            namespace: workload.namespace.clone(),
            by: by.to_owned(),
            outcome: outcome.word(),
            exit: ExitStatus::from(outcome) as u8,
            requests: rehearsal
                .forms
                .iter()
                .map(|(form, answer)| Tried { commands: form.commands.clone(), accepted: *answer == Answer::Accepted })
                .collect(),
            canary: rehearsal
                .trials
                .iter()
                .map(|(trial, answer)| TriedOut { trial: trial.clone(), accepted: *answer == Answer::Accepted })
                .collect(),
            permissions: rehearsal
                .permissions
                .iter()
                .map(|(permission, allowed)| Reviewed {
                    permission: permission.clone(),
                    allowed: allowed.as_ref().ok().copied(),
                })
                .collect(),
            course: rehearsal.course.clone(),
            within: rollout.header.rollback_within,
            findings: rehearsal.findings.iter().map(found).collect(),
            summary: summary(rehearsal, &from),
            from,
        }
    }

    /// What a promotion that watches on says of one that did not let it go on, in one line.
    pub fn barred(&self) -> String {
        let first = self.findings.iter().find(|found| found.finding.outcome() != Outcome::Proceed);
        let found = first.map(|found| format!(": {}: {}", found.subject, found.text)).unwrap_or_default();
        format!("{}{found}", self.summary)
    }

    /// What a promotion says of a rehearsal that let it go on: a line, and one for each note.
    pub fn passed(&self) -> Vec<String> {
        let back = self.canary.iter().filter(|tried| !tried.trial.action.leads_on()).count();
        let mut parts = vec![plural((self.requests.len() + back) as u64, "request")];
        parts.extend(self.course.as_ref().map(|course| format!("about {}", duration(course.expected))));
        parts.push(format!("allowed for {}", self.by));
        let what = if back < self.canary.len() { "canary and way back rehearsed" } else { "way back rehearsed" };
        let mut lines = vec![format!("{what}: {}, nothing in the way", parts.join(", "))];
        lines.extend(table::lines(&[], &[], self.findings.iter().map(Found::row)));
        lines
    }

    fn time(&self, course: &Course) -> String {
        let Course { waves, wave, expected } = course;
        if *waves == 0 && !expected.is_zero() {
            let (expected, most) = (duration(*expected), duration(self.within));
            return format!("about {expected}, {most} at most: only the canary's pods end");
        }
        let waves = plural(u64::from(*waves), "wave");
        format!("about {}, {} at most: {waves} of {}", duration(*expected), duration(self.within), duration(*wave))
    }

    /// What went well; the rest is among the findings.
    fn good(&self) -> Vec<Vec<String>> {
        let row = |subject: String, text: String| vec!["passed".to_owned(), subject, text];
        let accepted = self.requests.iter().filter(|tried| tried.accepted);
        let mut rows: Vec<Vec<String>> =
            accepted.map(|tried| row(tried.commands.join(", "), "the API server would take it".to_owned())).collect();
        let tried = self.canary.iter().filter(|tried| tried.accepted);
        rows.extend(
            tried.map(|TriedOut { trial, .. }| row(trial.object.clone(), format!("can {}", done(trial.action)))),
        );
        let allowed: Vec<String> = self
            .permissions
            .iter()
            .filter(|review| review.allowed == Some(true))
            .map(|review| format!("{} {}", review.permission.verb, object(&review.permission)))
            .collect();
        if !allowed.is_empty() {
            rows.push(row("permissions".to_owned(), format!("{} may {}", self.by, allowed.join(", "))));
        }
        if let Some(course) = self.course.as_ref().filter(|course| course.expected <= self.within) {
            rows.push(row("time".to_owned(), self.time(course)));
        }
        rows
    }
}

impl Report for RehearsalReport {
    fn lines(&self) -> Vec<String> {
        let (notes, barriers): (Vec<&Found>, Vec<&Found>) =
            self.findings.iter().partition(|found| found.finding.outcome() == Outcome::Proceed);
        let barriers = barriers.into_iter().map(Found::row);
        let rows = barriers.chain(self.good()).chain(notes.into_iter().map(Found::row));
        let mut lines = vec![self.summary.clone()];
        lines.extend(table::lines(&[], &[], rows));
        lines
    }
}

impl Found {
    fn row(&self) -> Vec<String> {
        vec![self.outcome.to_owned(), self.subject.clone(), self.text.clone()]
    }
}

fn summary(rehearsal: &Rehearsal, from: &str) -> String {
    let outcome = rehearsal.outcome();
    let word = outcome.word();
    let mut worst = rehearsal.findings.iter().filter(|finding| finding.outcome() == outcome);
    let of_the_step = worst.all(Finding::is_of_the_step);
    match outcome {
        Outcome::Proceed | Outcome::NothingToDo => format!("{word}: nothing is in the way back from {from}"),
        Outcome::Held | Outcome::RollBack if of_the_step => format!("{word}: {from} cannot be entered"),
        Outcome::Held | Outcome::RollBack => format!("{word}: the way back from {from} is barred"),
        Outcome::Error if of_the_step => format!("{word}: whether {from} can be entered could not be looked at"),
        Outcome::Error => format!("{word}: not all of the way back from {from} could be looked at"),
        Outcome::Inconclusive => format!("{word}: the way back from {from} is not known well enough yet"),
    }
}

fn word(finding: &Finding) -> &'static str {
    match finding.outcome() {
        Outcome::Held | Outcome::RollBack => "held",
        Outcome::Error => "error",
        Outcome::Inconclusive => "waiting",
        Outcome::Proceed | Outcome::NothingToDo => "note",
    }
}
