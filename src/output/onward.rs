//! The answer of a promotion that goes on by itself: how it ended, every step that it took, and what was judged last.

use serde::Serialize;

use super::change::{ChangeReport, Result as Ended};
use super::check::CheckReport;
use super::condition::ConditionReport;
use super::{Report, SCHEMA};
use crate::error::ExitStatus;
use crate::rollout::name::PhaseName;
use crate::rollout::position::Place;
use crate::rollout::route::Obstacle;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The phase is complete, or the step that was asked for is entered.
    Done,
    /// Somebody has to act.
    Held,
    /// The time is over.
    Inconclusive,
    /// Something could not be found out until the time was over.
    Error,
    /// A rollback trigger fired, or pods did not become healthy, and it was taken back.
    RolledBack,
    /// A rollback trigger fires, and nothing was taken back.
    Firing,
    /// Something else ended it; people are told by the error.
    Failed,
}

#[derive(Debug, Clone, Serialize)]
pub struct OnwardReport {
    schema: u8,
    kind: &'static str,
    deployment: String,
    namespace: String,
    phase: Option<PhaseName>,
    pub result: End,
    pub exit: u8,
    /// Where the rollout stands, as far as it is known.
    pub place: Option<Place>,
    /// What was taken, in this order; the last one may have been taken back.
    pub steps: Vec<ChangeReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<ChangeReport>,
    obstacles: Vec<Obstacle>,
    conditions: Vec<ConditionReport>,
    summary: String,
    /// What people read below the summary.
    #[serde(skip)]
    rows: Vec<String>,
    #[serde(skip)]
    pub next: Option<String>,
}

impl OnwardReport {
    pub fn new(
        (deployment, namespace): (&str, &str),
        phase: Option<&PhaseName>,
        result: End,
        exit: ExitStatus,
        summary: String,
    ) -> Self {
        Self {
            schema: SCHEMA,
            kind: "promotion",
            deployment: deployment.to_owned(),
            namespace: namespace.to_owned(),
            phase: phase.cloned(),
            result,
            exit: exit as u8,
            place: None,
            steps: Vec::new(),
            rollback: None,
            obstacles: Vec::new(),
            conditions: Vec::new(),
            summary,
            rows: Vec::new(),
            next: None,
        }
    }

    /// What was judged last.
    pub fn judged(&mut self, check: &CheckReport) {
        (self.obstacles, self.conditions) = check.data();
        self.rows = check.rows(None);
    }
}

impl Report for OnwardReport {
    fn lines(&self) -> Vec<String> {
        let told_by_error = self.result == End::Failed;
        let mut lines: Vec<String> = Vec::new();
        if !told_by_error {
            lines.push(self.summary.clone());
        }
        let taken = self.steps.iter().chain(&self.rollback).filter(|step| step.result != Ended::Unverified);
        lines.extend(taken.map(|step| format!("  {}", step.headline)));
        if !told_by_error && self.result != End::Done {
            lines.extend(self.rows.clone());
        }
        lines.extend(self.next.clone());
        lines
    }
}
