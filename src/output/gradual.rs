//! The answer of a gradual rollback: every reduction that was made, what was judged after it, and where it stands.

use serde::Serialize;

use super::canary::share;
use super::change::{Applied, Result};
use super::check::CheckReport;
use super::history::ended;
use super::obstacle::{value_of, value_text};
use super::progress::progress;
use super::words::{percent, plural};
use super::{Report, SCHEMA, step, table};
use crate::rollout::canary::canary_of;
use crate::rollout::gradual::{Fewer, Verdict};
use crate::rollout::history::entry::Ending;
use crate::rollout::plan::{Plan, Record};
use crate::rollout::position::Place;
use crate::rollout::progress::{Goal, Spread};
use crate::rollout::workload::Workload;

/// What a gradual rollback did.
#[derive(Debug, Clone, Serialize)]
pub struct GradualReport {
    schema: u8,
    kind: &'static str,
    deployment: String,
    namespace: String,
    result: Result,
    exit: u8,
    /// Where the rollout stands afterwards.
    place: Option<Place>,
    /// What was judged before anything was reduced: an earlier run had begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged_first: Option<JudgedReport>,
    pub reductions: Vec<ReductionReport>,
    pub pods: Option<Spread>,
    summary: String,
    /// What there is to know or to type next.
    #[serde(skip)]
    pub next: Vec<String>,
}

/// One reduction, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct ReductionReport {
    /// None of one that was not made.
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Fewer>,
    #[serde(skip)]
    pub is_recorded: bool,
    /// What that makes of the canary's part of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<ShareReport>,
    changes: Vec<Applied>,
    place: Option<Place>,
    /// None of one that is only planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Ending>,
    /// What was judged after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<JudgedReport>,
}

/// The canary's part of the service, 0 to 1.
#[derive(Debug, Clone, Serialize)]
struct ShareReport {
    by: By,
    before: f64,
    after: f64,
}

/// What gives a canary its part.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Pods,
    Router,
}

/// What the rollback triggers said.
#[derive(Debug, Clone, Serialize)]
pub struct JudgedReport {
    pub verdict: Verdict,
    pub summary: String,
    /// The conditions with their evidence.
    pub conditions: Vec<serde_json::Value>,
}

impl GradualReport {
    pub fn new(at: &Workload, result: Result, summary: String) -> Self {
        Self {
            schema: SCHEMA,
            kind: "gradual_rollback",
            deployment: at.deployment.clone(),
            namespace: at.namespace.clone(),
            result,
            exit: result.exit_status() as u8,
            place: at.recorded_place(),
            judged_first: None,
            reductions: Vec::new(),
            pods: None,
            summary,
            next: Vec::new(),
        }
    }
}

impl ReductionReport {
    pub fn of_canary(operation: Option<&str>, fewer: &Fewer, place: Option<Place>, result: Option<Ending>) -> Self {
        let operation = operation.map(str::to_owned);
        let (canary, share) = (Some(fewer.clone()), Some(ShareReport::of(fewer)));
        Self { operation, canary, is_recorded: false, share, changes: Vec::new(), place, result, judged: None }
    }

    /// Of a canary that is on record.
    pub fn of_record(operation: Option<&str>, fewer: &Fewer, plan: &Plan, result: Option<Ending>) -> Self {
        let (canary, share) = (Some(fewer.clone()), Some(ShareReport::of(fewer)));
        Self { canary, share, is_recorded: true, ..Self::of_flags(operation, plan, result) }
    }

    pub fn of_flags(operation: Option<&str>, plan: &Plan, result: Option<Ending>) -> Self {
        let changes = plan.changes.iter().map(Applied::of).collect();
        let operation = operation.map(str::to_owned);
        let place = plan.record.place().cloned();
        Self { operation, canary: None, is_recorded: false, share: None, changes, place, result, judged: None }
    }

    /// One row a change; the first one says what came of it.
    fn rows(&self, deployment: &str) -> Vec<Vec<String>> {
        let said = match (&self.judged, self.result) {
            (Some(judged), _) => judged.summary.clone(),
            (None, None | Some(Ending::Done)) => String::new(),
            (None, Some(result)) => ended(result, None),
        };
        let mut rows: Vec<Vec<String>> = Vec::new();
        if let Some(fewer) = &self.canary {
            let object = format!("  deployment/{}", fewer.deployment);
            rows.push(vec![object, "replicas".to_owned(), format!("{} -> {}{}", fewer.from, fewer.to, of_pods(fewer))]);
            rows.extend(fewer.traffic.iter().map(|traffic| {
                let given = format!("{} -> {}", share(traffic.from), share(traffic.to));
                vec![format!("  {}", traffic.router), "traffic".to_owned(), given]
            }));
        }
        let mut of_flags = false;
        for change in &self.changes {
            let object = if of_flags { String::new() } else { format!("  deployment/{deployment}") };
            of_flags = true;
            let before = change.before.as_ref().map(value_of).unwrap_or_default();
            rows.push(vec![object, change.flag.to_string(), format!("{before} -> {}", value_text(&change.after))]);
        }
        if let Some(first) = rows.first_mut() {
            first.push(said);
        }
        rows
    }
}

impl JudgedReport {
    pub fn of(verdict: Verdict, report: &CheckReport) -> Self {
        let firing = report.firing();
        let summary = match verdict {
            Verdict::Better => "better: every trigger is quiet".to_owned(),
            Verdict::Firing if firing.len() == 1 => format!("{} still fires", firing[0]),
            Verdict::Firing => format!("{} still fire", firing.join(", ")),
            Verdict::Unproven => {
                let why = report.unproven().unwrap_or_else(|| "no trigger is measured there".to_owned());
                return Self { conditions: report.evidence(), ..Self::unproven(&why) };
            }
        };
        Self { verdict, summary, conditions: report.evidence() }
    }

    /// Nothing was found out, and why.
    pub fn unproven(why: &str) -> Self {
        let summary = format!("no improvement proven: {why}");
        Self { verdict: Verdict::Unproven, summary, conditions: Vec::new() }
    }

    /// The line that tells it at once.
    pub fn line(&self) -> String {
        match self.verdict {
            Verdict::Better => self.summary.clone(),
            Verdict::Firing | Verdict::Unproven => format!("judged: {}", self.summary),
        }
    }
}

impl Report for GradualReport {
    fn lines(&self) -> Vec<String> {
        let rows = self.reductions.iter().flat_map(|reduction| reduction.rows(&self.deployment));
        let mut lines = table::lines(&[], &[], rows);
        lines.push(self.summary.clone());
        lines.extend(self.next.clone());
        lines
    }
}

/// A canary that is about to become smaller.
pub fn canary_line(fewer: &Fewer) -> String {
    let (before, after) = shares(fewer);
    let part = match &fewer.traffic {
        Some(traffic) => format!("{before} -> {after} of the traffic by {}", traffic.router),
        None => format!("about {before} -> {after} of the pods"),
    };
    format!("canary: {} -> {}, {part}", fewer.from, plural(fewer.to as u64, "pod"))
}

/// Whether more becomes of a reduction of the canary than that.
pub fn leads_back(plan: &Plan) -> bool {
    let goes = plan.canary.as_ref().is_some_and(|record| record.canary().is_none());
    goes && plan.record != Record::Keep
}

/// Where a rollout stands, in words.
pub fn stands(at: &Workload) -> String {
    match at.recorded_place() {
        Some(place) => format!("the rollout stands at {}", step::recorded(&place)),
        None => "no rollout is on record".to_owned(),
    }
}

/// A canary that was made smaller, and how to get rid of it.
pub fn of_canary(at: &Workload, canary: &str) -> String {
    let pods = plural(at.canary_pods(canary) as u64, "pod");
    if at.has_canary() && canary == canary_of(&at.deployment) {
        return format!("canary {canary} has {pods}: cbctl abort takes it away");
    }
    format!("canary {canary} has {pods}: kubectl -n {} delete deployment {canary} removes it", at.namespace)
}

/// How far the pods of the Deployment are.
pub fn pods(at: &Workload) -> (Spread, String) {
    let goal = Goal::Values(at.literals());
    let spread = at.spread(&goal);
    let progress = progress(&spread, &goal);
    (spread, progress)
}

impl ShareReport {
    fn of(fewer: &Fewer) -> Self {
        let (before, after) = fewer.shares();
        Self { by: if fewer.traffic.is_some() { By::Router } else { By::Pods }, before, after }
    }
}

/// What its pods make of its part, where no router gives it.
fn of_pods(fewer: &Fewer) -> String {
    let (before, after) = shares(fewer);
    if fewer.traffic.is_some() { String::new() } else { format!(" (about {before} -> {after} of the pods)") }
}

fn shares(fewer: &Fewer) -> (String, String) {
    if let Some(traffic) = &fewer.traffic {
        return (share(traffic.from), share(traffic.to));
    }
    let (before, after) = fewer.shares();
    let rounded = |share: f64| percent((share * 100.0).round() / 100.0);
    (rounded(before), rounded(after))
}
