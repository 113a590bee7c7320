//! The answer of `rehearse`: what was tried of the way back, and what was found in it, each with what lifts it.

use std::time::Duration;

use serde::Serialize;

use super::obstacle::{obstacle, value_text};
use super::words::{duration, plural};
use super::{Report, SCHEMA, table};
use crate::error::ExitStatus;
use crate::judge::verdict::seconds;
use crate::rollout::decision::Outcome;
use crate::rollout::declaration::Rollout;
use crate::rollout::name::FlagName;
use crate::rollout::rehearsal::{Answer, Finding, Permission, Rehearsal};
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
            summary: summary(outcome, &from),
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
        let mut parts = vec![plural(self.requests.len() as u64, "request")];
        parts.extend(self.course.as_ref().map(|course| format!("about {}", duration(course.expected))));
        parts.push(format!("allowed for {}", self.by));
        let mut lines = vec![format!("way back rehearsed: {}, nothing in the way", parts.join(", "))];
        lines.extend(table::lines(&[], &[], self.findings.iter().map(Found::row)));
        lines
    }

    fn time(&self, course: &Course) -> String {
        let Course { waves, wave, expected } = course;
        let waves = plural(u64::from(*waves), "wave");
        format!("about {}, {} at most: {waves} of {}", duration(*expected), duration(self.within), duration(*wave))
    }

    /// What went well; the rest is among the findings.
    fn good(&self) -> Vec<Vec<String>> {
        let row = |subject: String, text: String| vec!["passed".to_owned(), subject, text];
        let accepted = self.requests.iter().filter(|tried| tried.accepted);
        let mut rows: Vec<Vec<String>> =
            accepted.map(|tried| row(tried.commands.join(", "), "the API server would take it".to_owned())).collect();
        let allowed: Vec<String> = self
            .permissions
            .iter()
            .filter(|review| review.allowed == Some(true))
            .map(|review| format!("{} {}", review.permission.verb, review.permission.resource))
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

fn summary(outcome: Outcome, from: &str) -> String {
    let word = outcome.word();
    match outcome {
        Outcome::Proceed | Outcome::NothingToDo => format!("{word}: nothing is in the way back from {from}"),
        Outcome::Held | Outcome::RollBack => format!("{word}: the way back from {from} is barred"),
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

/// What a finding is about, and what it says.
fn found(finding: &Finding, workload: &Workload) -> (String, String) {
    const ROLE: &str = "the role in README \"Permissions\" gives it";
    let namespace = &workload.namespace;
    let deployment = || format!("deployment/{}", workload.deployment);
    match finding {
        Finding::Refused { commands, message } => {
            (commands.join(", "), format!("refused: {message}: change what refuses it, before it is needed"))
        }
        Finding::Unanswered { commands, message } => (commands.join(", "), format!("{message}: try again")),
        Finding::NotAllowed { permission: Permission { verb, resource, for_history } } => {
            let consequence = if *for_history { ", or nothing remembers a rollback" } else { "" };
            let needs = format!("needs `{verb}` on {resource} in namespace {namespace}: {ROLE}{consequence}");
            ("permissions".to_owned(), needs)
        }
        Finding::Unseen { resource, forbidden: true, .. } => (
            (*resource).to_owned(),
            format!("needs `{}` on {resource} in namespace {namespace}: {ROLE}", looking(resource)),
        ),
        Finding::Unseen { resource, message, .. } => ((*resource).to_owned(), format!("{message}: try again")),
        Finding::Obstacle { obstacle: barred } => (deployment(), obstacle(barred)),
        Finding::NoRoom { quota, resource } => (
            format!("resourcequota/{quota}"),
            format!(
                "{resource}: no room for one more pod: raise it, or let old ones go first (maxSurge 0, maxUnavailable 1)"
            ),
        ),
        Finding::ShutOut { quota, resource } => (
            format!("resourcequota/{quota}"),
            format!(
                "counts {resource}, which not every container asks for: no new pod is let in until the template does"
            ),
        ),
        Finding::LittleRoom { quota, resource, room, surge } => (
            format!("resourcequota/{quota}"),
            format!(
                "{resource}: room for {room} of the {} that a rolling update adds: slower",
                plural(u64::from(*surge), "pod")
            ),
        ),
        Finding::SwitchedOnByApply { flag, value, off } => (
            deployment(),
            format!(
                "the next kubectl apply sets {flag} to {} again: apply a manifest without it, or with {off:?}",
                value_text(value)
            ),
        ),
        Finding::TakenBackByApply { flags } => {
            (deployment(), format!("the next kubectl apply takes the promotion back: {}", names(flags)))
        }
        Finding::ManagedBy { tool } => {
            (deployment(), format!("{tool} manages it and owns none of the flags: keep them out of what it applies"))
        }
        Finding::TwoControllers { object } => {
            (object.clone(), format!("steers deployment/{} as well: take it away first", workload.deployment))
        }
        Finding::Autoscaled { name, most, course } => {
            let then = course.as_ref().map(|course| format!(": then about {}", duration(course.expected)));
            (
                format!("horizontalpodautoscaler/{name}"),
                format!("may make it {}{}", plural(u64::from(*most), "pod"), then.unwrap_or_default()),
            )
        }
        Finding::Budget { name, disruptions_allowed } => (
            format!("poddisruptionbudget/{name}"),
            format!("lets {disruptions_allowed} pods be evicted: a rolling update does not ask it"),
        ),
        Finding::AllAtOnce => {
            (deployment(), "strategy Recreate: every change, a rollback too, stops all pods at once".to_owned())
        }
        Finding::TooSlow { course, within } => (
            "time".to_owned(),
            format!(
                "about {} ({} of {}), {} at most: raise maxSurge, make pods ready sooner, or raise rollback_within",
                duration(course.expected),
                plural(u64::from(course.waves), "wave"),
                duration(course.wave),
                duration(*within)
            ),
        ),
        Finding::Unmeasured => {
            ("time".to_owned(), "no pod tells how long it takes to be ready: once one is ready it does".to_owned())
        }
    }
}

/// The verb by which a resource is looked at.
fn looking(resource: &str) -> &'static str {
    if resource == "selfsubjectaccessreviews" { "create" } else { "list" }
}

fn names(flags: &[FlagName]) -> String {
    flags.iter().map(FlagName::as_str).collect::<Vec<_>>().join(", ")
}
