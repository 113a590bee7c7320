//! One gate or trigger as a row and as JSON.

use serde::Serialize;

use super::trouble;
use super::words::{count, latency, number, percent, plural};
use crate::judge::condition::{Condition, Measure, Role};
use crate::judge::verdict::{Evidence, Fault, Finding, Gap, Judgement};
use crate::rollout::decision::Judged;
use crate::rollout::position::SignOff;

/// A judged condition as programs read it.
#[derive(Debug, Clone, Serialize)]
pub struct ConditionReport {
    pub condition: String,
    pub role: Role,
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Gap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignOff>,
    #[serde(skip)]
    row: [String; 5],
}

/// Headers of the rows, and which columns hold figures.
pub const HEADERS: [&str; 5] = ["", "CONDITION", "VALUE", "LIMIT", "EVIDENCE"];
pub const FIGURES: [usize; 2] = [2, 3];

impl ConditionReport {
    pub fn of(judged: &Judged) -> Self {
        match judged {
            Judged::Measured(condition, judgement) => measured(condition, judgement),
            Judged::SignOff(name, signed) => {
                let (verdict, evidence) = match signed {
                    Some(SignOff { by, reason: Some(reason), .. }) => ("signed", format!("by {by}: {reason}")),
                    Some(SignOff { by, reason: None, .. }) => ("signed", format!("by {by}")),
                    None => ("held", format!("nobody yet: cbctl sign-off {name}")),
                };
                Self {
                    condition: format!("signed {name}"),
                    role: Role::Gate,
                    verdict,
                    evidence: None,
                    missing: None,
                    fault: None,
                    signed: signed.clone(),
                    row: [verdict.to_owned(), format!("signed {name}"), String::new(), String::new(), evidence],
                }
            }
        }
    }

    pub fn row(&self) -> Vec<String> {
        self.row.to_vec()
    }
}

fn measured(condition: &Condition, judgement: &Judgement) -> ConditionReport {
    let (verdict, evidence, missing, fault) = match (condition.role, judgement) {
        (Role::Gate, Judgement::Met(evidence)) => ("passed", Some(evidence), None, None),
        (Role::Gate, Judgement::Unmet(evidence)) => ("failed", Some(evidence), None, None),
        (Role::Trigger, Judgement::Met(evidence)) => ("firing", Some(evidence), None, None),
        (Role::Trigger, Judgement::Unmet(evidence)) => ("quiet", Some(evidence), None, None),
        (_, Judgement::Inconclusive(gap, evidence)) => ("waiting", evidence.as_deref(), Some(gap), None),
        (_, Judgement::Error(fault)) => ("error", None, None, Some(fault)),
    };
    let value = evidence.map(value).unwrap_or_default();
    let (name, limit) = name_and_limit(condition);
    let why = match (missing, fault, evidence) {
        (Some(gap), _, _) => trouble::gap(gap),
        (_, Some(fault), _) => trouble::fault(fault),
        (_, _, Some(evidence)) => explanation(condition, evidence, matches!(judgement, Judgement::Met(_))),
        (None, None, None) => String::new(),
    };
    ConditionReport {
        condition: condition.text.clone(),
        role: condition.role,
        verdict,
        evidence: evidence.cloned(),
        missing: missing.cloned(),
        fault: fault.cloned(),
        signed: None,
        row: [verdict.to_owned(), name, value, limit, why],
    }
}

/// The condition as it is written, with the limit in a column of its own where it has one.
fn name_and_limit(condition: &Condition) -> (String, String) {
    let (before, operator, after) = match (&condition.measure, condition.role) {
        (Measure::StuckOpen { .. }, _) => return (condition.text.clone(), String::new()),
        (Measure::Query(query), _) => {
            let operator = format!(" {} ", query.comparison);
            match condition.text.split_once(&operator) {
                Some((before, after)) => (before, operator, after),
                None => return (condition.text.clone(), format!("{} {}", query.comparison, number(query.limit))),
            }
        }
        (Measure::ErrorRate { .. } | Measure::Latency { .. }, role) => {
            let operator = if role == Role::Gate { " < " } else { " > " };
            match condition.text.split_once(operator) {
                Some((before, after)) => (before, operator.to_owned(), after),
                None => return (condition.text.clone(), String::new()),
            }
        }
    };
    let (limit, window) = after.split_once(' ').unwrap_or((after, ""));
    (format!("{before} {window}").trim_end().to_owned(), format!("{} {limit}", operator.trim()))
}

fn value(evidence: &Evidence) -> String {
    match evidence.finding() {
        Finding::Share { quantile_seconds: Some(seconds), .. } => latency(*seconds),
        Finding::Share { events, requests, .. } => percent(ratio(*events, *requests)),
        Finding::Breaker { not_closed_now: 0, .. } => "closed".to_owned(),
        Finding::Breaker { not_closed_now, stuck, .. } if stuck.is_empty() => format!("{not_closed_now} open"),
        Finding::Breaker { .. } => "stuck".to_owned(),
        Finding::Value { value, .. } => number(*value),
    }
}

fn explanation(condition: &Condition, evidence: &Evidence, met: bool) -> String {
    match evidence.finding() {
        Finding::Share { events, requests, low, high, worst, quantile_seconds, .. } => {
            let slow = if quantile_seconds.is_some() { " slower" } else { "" };
            let counted = format!("{} of {}{slow}", count(*events), plural(*requests, "request"));
            let bad = met == (condition.role == Role::Trigger);
            if bad {
                let sure = format!(
                    "{} to {} with {} confidence",
                    percent(*low),
                    percent(*high),
                    percent(condition.confidence)
                );
                let worst = worst
                    .as_ref()
                    .map(|worst| format!("; most on {} ({})", worst.pod, percent(ratio(worst.events, worst.requests))));
                format!("{counted}; {sure}{}", worst.unwrap_or_default())
            } else {
                format!("{counted}; at most {}", percent(*high))
            }
        }
        Finding::Breaker { watched, stuck, .. } if stuck.is_empty() => {
            format!("{} watched", plural(*watched as u64, "breaker"))
        }
        Finding::Breaker { stuck, .. } => {
            let stuck: Vec<String> = stuck.iter().map(|stuck| format!("{} on {}", stuck.breaker, stuck.pod)).collect();
            format!("not closed once: {}", super::words::some(&stuck))
        }
        Finding::Value { points: 0 | 1, .. } => String::new(),
        Finding::Value { points, .. } => format!("{points} points"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ratio(events: u64, requests: u64) -> f64 {
    if requests == 0 { 0.0 } else { events as f64 / requests as f64 }
}
