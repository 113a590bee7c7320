//! The answer of `check`: what a promotion would decide now, and on which evidence.

use jiff::Timestamp;
use serde::Serialize;

use super::condition::{ConditionReport, FIGURES, HEADERS};
use super::obstacle::obstacle;
use super::scope::ScopeReport;
use super::words::plural;
use super::{Report, SCHEMA, step, table};
use crate::error::ExitStatus;
use crate::rollout::decision::{Decision, Outcome};
use crate::rollout::declaration::{Phase, Rollout};
use crate::rollout::name::PhaseName;
use crate::rollout::plan;
use crate::rollout::route::{Destination, Obstacle};
use crate::rollout::workload::Workload;

#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    schema: u8,
    kind: &'static str,
    rollout: String,
    namespace: String,
    phase: PhaseName,
    at: Timestamp,
    outcome: &'static str,
    exit: u8,
    obstacles: Vec<Obstacle>,
    scope: ScopeReport,
    conditions: Vec<ConditionReport>,
    /// The queries that were sent to Prometheus.
    queries: serde_json::Value,
    summary: String,
    #[serde(skip)]
    next: Option<String>,
}

impl CheckReport {
    pub fn of(
        rollout: &Rollout,
        workload: &Workload,
        decision: &Decision,
        scope: ScopeReport,
        queries: serde_json::Value,
        at: Timestamp,
    ) -> Self {
        let outcome = decision.outcome();
        let phase = rollout.phases[decision.route.phase()].name.clone();
        let summary = summary(rollout, decision, outcome);
        let next = match outcome {
            Outcome::Proceed => Some(promote(&rollout.phases[decision.route.phase()])),
            Outcome::RollBack => Some(way_back(workload).to_owned()),
            Outcome::Held | Outcome::Error | Outcome::Inconclusive | Outcome::NothingToDo => None,
        };
        Self {
            schema: SCHEMA,
            kind: "check",
            rollout: rollout.header.name.clone(),
            namespace: workload.namespace.clone(),
            phase,
            at,
            outcome: outcome.word(),
            exit: ExitStatus::from(outcome) as u8,
            obstacles: decision.route.obstacles.clone(),
            scope,
            conditions: conditions(decision),
            queries,
            summary,
            next,
        }
    }

    /// The moment that was judged.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The conditions with their evidence, as the history keeps them.
    pub fn evidence(&self) -> Vec<serde_json::Value> {
        self.conditions.iter().map(ConditionReport::evidence).collect()
    }
}

impl CheckReport {
    /// The rollback triggers that fire.
    pub fn firing(&self) -> Vec<&str> {
        let firing = self.conditions.iter().filter(|condition| condition.verdict == "firing");
        firing.map(ConditionReport::name).collect()
    }

    /// The first condition that proved nothing, and why.
    pub fn unproven(&self) -> Option<String> {
        self.conditions.iter().find_map(ConditionReport::unproven)
    }

    /// What is still waited for, or could not be found out, in one line.
    pub fn waits_for(&self) -> String {
        let obstacles = self.obstacles.iter().filter(|blocking| blocking.passes_with_time()).map(obstacle);
        let conditions = self.conditions.iter().filter_map(ConditionReport::waits_for);
        self.in_one_line(&obstacles.chain(conditions).collect::<Vec<_>>())
    }

    /// What somebody has to act on, in one line.
    pub fn held_by(&self) -> String {
        let obstacles = self.obstacles.iter().filter(|blocking| !blocking.passes_with_time()).map(obstacle);
        let conditions = self.conditions.iter().filter_map(ConditionReport::holds);
        self.in_one_line(&obstacles.chain(conditions).collect::<Vec<_>>())
    }

    fn in_one_line(&self, lines: &[String]) -> String {
        match lines {
            [] => self.summary.clone(),
            [only] => only.clone(),
            [first, others @ ..] => format!("{first}; and {}", plural(others.len() as u64, "other line")),
        }
    }

    /// What is the same as long as nothing but figures changes.
    pub fn state(&self) -> Vec<String> {
        let reason = |blocking: &Obstacle| serde_json::json!(blocking)["reason"].to_string();
        let verdict = |condition: &ConditionReport| format!("{} {}", condition.verdict, condition.condition);
        let open = self.obstacles.iter().map(reason).chain(self.conditions.iter().map(verdict));
        std::iter::once(self.outcome.to_owned()).chain(open).collect()
    }

    /// Obstacles and conditions as rows, and what the canary has of the service.
    pub fn rows(&self, width: Option<u16>) -> Vec<String> {
        let mut lines = held_and_judged_within(width, &self.obstacles, &self.conditions);
        lines.extend(self.conditions.iter().find_map(ConditionReport::exposure));
        lines
    }

    /// Obstacles and conditions as programs read them.
    pub fn data(&self) -> (Vec<Obstacle>, Vec<ConditionReport>) {
        (self.obstacles.clone(), self.conditions.clone())
    }
}

impl Report for CheckReport {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.summary.clone()];
        lines.extend(self.rows(None));
        if self.conditions.iter().any(ConditionReport::is_measured) {
            lines.extend(self.scope.lines());
        }
        lines.extend(self.next.iter().map(|next| format!("next: {next}")));
        lines
    }
}

impl Outcome {
    /// The word that begins a summary, and the JSON's `outcome`.
    pub fn word(self) -> &'static str {
        match self {
            Self::RollBack => "rollback",
            Self::Held => "held",
            Self::Error => "error",
            Self::Inconclusive => "inconclusive",
            Self::Proceed => "passed",
            Self::NothingToDo => "complete",
        }
    }
}

pub fn conditions(decision: &Decision) -> Vec<ConditionReport> {
    decision.gates.iter().chain(&decision.triggers).map(ConditionReport::of).collect()
}

/// Obstacles first, then the table of conditions.
pub fn held_and_judged(obstacles: &[Obstacle], conditions: &[ConditionReport]) -> Vec<String> {
    held_and_judged_within(None, obstacles, conditions)
}

fn held_and_judged_within(width: Option<u16>, obstacles: &[Obstacle], conditions: &[ConditionReport]) -> Vec<String> {
    let word = |blocking: &Obstacle| if blocking.passes_with_time() { "waiting" } else { "held" };
    let mut lines: Vec<String> =
        obstacles.iter().map(|blocking| format!("{:<9} {}", word(blocking), obstacle(blocking))).collect();
    let mut rows = conditions.iter().filter_map(ConditionReport::row).peekable();
    if rows.peek().is_some() {
        lines.extend(table::within(width, &HEADERS, &FIGURES, rows));
    }
    lines
}

/// The promotion to type, with the yes that a phase of high risk asks for.
pub fn promote(phase: &Phase) -> String {
    let yes = if phase.high_risk { " --yes-high-risk --reason '…'" } else { "" };
    format!("cbctl promote {}{yes}", phase.name)
}

/// The rollback to type: the step before where one is on record, or everything.
pub fn way_back(workload: &Workload) -> &'static str {
    if plan::can_step_back(workload) { "cbctl rollback" } else { "cbctl rollback --emergency" }
}

/// Where the promotion leads, in words.
pub fn destination(rollout: &Rollout, destination: Destination) -> String {
    match destination {
        Destination::Step { phase, step } => step::named(&rollout.phases[phase], step),
        Destination::Adopt { phase } | Destination::Bake { phase } | Destination::Complete { phase } => {
            rollout.phases[phase].name.to_string()
        }
    }
}

fn summary(rollout: &Rollout, decision: &Decision, outcome: Outcome) -> String {
    let to = destination(rollout, decision.route.destination);
    let word = outcome.word();
    match (outcome, decision.route.destination) {
        (Outcome::RollBack, _) => format!("{word}: a rollback trigger fires"),
        (Outcome::Proceed, Destination::Adopt { .. }) => format!("{word}: {to} can be taken over as it runs"),
        (Outcome::Proceed, _) => format!("{word}: {to} can be entered"),
        (Outcome::NothingToDo, _) => format!("{word}: {to} is complete, nothing to do"),
        (_, Destination::Step { .. }) => format!("{word}: {to} cannot be entered"),
        (_, Destination::Adopt { .. }) => format!("{word}: {to} cannot be taken over"),
        (_, Destination::Bake { .. }) => format!("{word}: {to} is not complete"),
        (_, Destination::Complete { .. }) => format!("{word}: {to} is complete, but does not meet its gates"),
    }
}
