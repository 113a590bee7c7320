//! One gate or trigger as a row and as JSON.

use serde::Serialize;

use super::obstacle::word_given;
use super::words::{count, number, plural, some};
use super::{exposure, finding, trouble};
use crate::judge::apart::Pods;
use crate::judge::condition::{Comparison, Condition, Measure, Method, Role};
use crate::judge::verdict::{Evidence, Fault, Gap, Judgement};
use crate::rollout::decision::{Checked, Judged, Outcome};
use crate::rollout::declaration::{Check, Probe};
use crate::rollout::exposure::CanaryShare;
use crate::rollout::pods::PodSignals;
use crate::rollout::position::SignOff;

/// A judged condition as programs read it.
#[derive(Debug, Clone, Serialize)]
pub struct ConditionReport {
    pub condition: String,
    pub role: Role,
    pub verdict: &'static str,
    /// In seconds; none of a sign-off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Gap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What was signed, whether it still counts or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignOff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodSignals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<CanaryShare>,
    /// None where there is nothing worth a line.
    #[serde(skip)]
    row: Option<[String; 5]>,
}

/// Headers of the rows, and which columns hold figures.
pub const HEADERS: [&str; 5] = ["", "CONDITION", "VALUE", "LIMIT", "EVIDENCE"];
pub const FIGURES: [usize; 2] = [2, 3];

impl ConditionReport {
    pub fn of(judged: &Judged) -> Self {
        match judged {
            Judged::Measured(condition, judgement) => measured(condition, judgement),
            Judged::SignOff(name, signed) => {
                let verdict = if signed.counts() { "signed" } else { "held" };
                let plain = Self::plain(format!("signed {name}"), verdict, word_given(name, signed));
                Self { signed: signed.sign_off().cloned(), ..plain }
            }
            Judged::Check(check, checked) => {
                let (verdict, evidence) = match checked {
                    Checked::NotRun => ("waiting", "tried by check and promote".to_owned()),
                    Checked::Passed => ("passed", String::new()),
                    Checked::Failed(why) => ("failed", why.clone()),
                };
                Self::plain(check_name(check), verdict, evidence)
            }
            Judged::Exposure(share) => {
                let verdict = match (share.uneven, share.measured) {
                    (Some(_), _) => "held",
                    (None, Some(_)) => "passed",
                    (None, None) => "unknown",
                };
                let row = share.uneven.map(|uneven| exposure::row(share, uneven));
                Self { exposure: Some((**share).clone()), row, ..Self::plain("exposure".to_owned(), verdict, String::new()) }
            }
            Judged::Nothing => Self::plain(
                "gates".to_owned(),
                "held",
                "nothing is left to be judged at a full step, where no canary runs beside stable pods: every gate compares \
                 with a baseline: give the phase one that does not"
                    .to_owned(),
            ),
            Judged::Pods(signals) => pods(signals, judged.outcome()),
        }
    }

    /// What is said of something that no sample tells.
    fn plain(condition: String, verdict: &'static str, evidence: String) -> Self {
        Self {
            role: Role::Gate,
            verdict,
            window: None,
            confidence: None,
            method: None,
            evidence: None,
            missing: None,
            fault: None,
            signed: None,
            pods: None,
            exposure: None,
            row: Some([verdict.to_owned(), condition.clone(), String::new(), String::new(), evidence]),
            condition,
        }
    }

    /// Whether samples were asked for, rather than somebody's word.
    pub fn is_measured(&self) -> bool {
        self.window.is_some()
    }

    /// The condition as the rows call it: without its limit.
    pub fn name(&self) -> &str {
        self.row.as_ref().map_or(&self.condition, |[_, name, ..]| name)
    }

    /// What time or traffic can still lift, or another attempt, if anything.
    pub fn waits_for(&self) -> Option<String> {
        let [_, condition, _, _, why] = self.row.as_ref()?;
        ["waiting", "error"].contains(&self.verdict).then(|| format!("{condition}: {why}"))
    }

    /// What somebody has to do something about, if it is that.
    pub fn holds(&self) -> Option<String> {
        let [_, condition, _, _, why] = self.row.as_ref()?;
        ["held", "failed"].contains(&self.verdict).then(|| format!("{condition}: {why}"))
    }

    /// Why it says neither yes nor no, if it does not.
    pub fn unproven(&self) -> Option<String> {
        let [_, condition, _, _, why] = self.row.as_ref()?;
        (!["passed", "signed", "quiet", "firing"].contains(&self.verdict)).then(|| format!("{condition}: {why}"))
    }

    /// How much of the service the canary has, where it is about that.
    pub fn exposure(&self) -> Option<String> {
        self.exposure.as_ref().map(exposure::line)
    }

    pub fn row(&self) -> Option<Vec<String>> {
        self.row.as_ref().map(|row| row.to_vec())
    }

    /// The data, and the row that people saw, so that they can be shown it again.
    pub fn evidence(&self) -> serde_json::Value {
        let mut evidence = serde_json::to_value(self).unwrap_or_default();
        if let Some(row) = &self.row {
            evidence["row"] = serde_json::json!(row);
        }
        evidence
    }
}

/// What is tried, as it is written.
pub fn check_name(check: &Check) -> String {
    match &check.probe {
        Probe::Http { path, port: None } => format!("check http {path}"),
        Probe::Http { path, port: Some(port) } => format!("check http :{port}{path}"),
        Probe::Command(command) => format!("check {}", command.join(" ")),
    }
}

/// Pods that are all ready and never restarted are not worth a line.
fn pods(signals: &PodSignals, outcome: Outcome) -> ConditionReport {
    let verdict = match outcome {
        Outcome::RollBack => "firing",
        Outcome::Held | Outcome::Error | Outcome::Inconclusive => "waiting",
        Outcome::Proceed | Outcome::NothingToDo => "quiet",
    };
    let PodSignals { judged, ready, restarts, crash_loops, not_ready } = signals;
    let mut parts = Vec::new();
    if !crash_loops.is_empty() {
        let crash = if crash_loops.len() == 1 { "crash-loops" } else { "crash-loop" };
        parts.push(format!("{} {crash}", some(crash_loops)));
    }
    let restarted = if *restarts > 0 { format!(", {}", plural(*restarts, "restart")) } else { String::new() };
    parts.push(format!("{} of {} ready{restarted}", count(*ready as u64), count(*judged as u64)));
    if !not_ready.is_empty() {
        let not_ready =
            not_ready.iter().map(|pod| format!("{}: {}", pod.pod, pod.why.as_deref().unwrap_or("starting")));
        parts.push(some(&not_ready.collect::<Vec<_>>()));
    }
    let row = [verdict.to_owned(), "pods".to_owned(), String::new(), String::new(), parts.join("; ")];
    ConditionReport {
        condition: "pods".to_owned(),
        role: Role::Trigger,
        verdict,
        evidence: None,
        missing: None,
        fault: None,
        signed: None,
        window: None,
        confidence: None,
        method: None,
        pods: Some(signals.clone()),
        exposure: None,
        row: signals.is_remarkable().then_some(row),
    }
}

fn measured(condition: &Condition, judgement: &Judgement) -> ConditionReport {
    let (verdict, evidence, missing, fault) = match (condition.role, judgement) {
        (Role::Gate, Judgement::Met(evidence)) => ("passed", Some(evidence), None, None),
        (Role::Gate, Judgement::Unmet(evidence)) => ("failed", Some(evidence), None, None),
        (Role::Trigger, Judgement::Met(evidence)) => ("firing", Some(evidence), None, None),
        (Role::Trigger, Judgement::Unmet(evidence)) => ("quiet", Some(evidence), None, None),
        (_, Judgement::Inconclusive(gap, evidence)) if gap.needs_somebody() => {
            ("held", evidence.as_deref(), Some(gap), None)
        }
        (_, Judgement::Inconclusive(gap, evidence)) => ("waiting", evidence.as_deref(), Some(gap), None),
        (_, Judgement::Missing(gap)) => ("failed", None, Some(gap), None),
        (_, Judgement::Error(fault)) => ("error", None, None, Some(fault)),
    };
    let value = evidence.map(finding::value).unwrap_or_default();
    let (name, limit) = name_and_limit(condition);
    let why = match (missing, fault, evidence) {
        (Some(gap), _, evidence) => {
            let reached = evidence.and_then(finding::reached).map(|reached| format!("{reached}; ")).unwrap_or_default();
            format!("{reached}{}", trouble::gap(gap))
        }
        (_, Some(fault), _) => trouble::fault(fault),
        (_, _, Some(evidence)) => finding::explanation(condition, evidence, matches!(judgement, Judgement::Met(_))),
        (None, None, None) => String::new(),
    };
    let why = match evidence.map(|evidence| (evidence.pods(), evidence.stable())) {
        Some((Some(Pods::Stable), _)) => format!("on the stable pods: {why}"),
        Some((_, Some(stable))) => format!("{why}; stable {}", finding::figure(stable)),
        Some((_, None)) | None => why,
    };
    ConditionReport {
        condition: condition.text.clone(),
        role: condition.role,
        verdict,
        window: Some(condition.window.as_secs_f64()),
        confidence: Some(condition.confidence),
        method: Some(condition.method),
        evidence: evidence.cloned(),
        missing: missing.cloned(),
        fault: fault.cloned(),
        signed: None,
        pods: None,
        exposure: None,
        row: Some([verdict.to_owned(), name, value, limit, why]),
    }
}

/// The condition as it is written, with the limit in a column of its own where it has one.
fn name_and_limit(condition: &Condition) -> (String, String) {
    let own = |comparison: &Comparison, limit: String| match condition.text.split_once(&format!(" {comparison} ")) {
        Some((before, after)) => Ok((before, comparison.to_string(), after)),
        None => Err((condition.text.clone(), format!("{comparison} {limit}"))),
    };
    let of_role = |operator: &str| match condition.text.split_once(&format!(" {operator} ")) {
        Some((before, after)) => Ok((before, operator.to_owned(), after)),
        None => Err((condition.text.clone(), String::new())),
    };
    let parts = match (&condition.measure, condition.role) {
        (
            Measure::Stuck { .. } | Measure::ErrorRateAgainstBaseline { .. } | Measure::LatencyAgainstBaseline { .. },
            _,
        ) => return (condition.text.clone(), String::new()),
        (Measure::Query(query), _) => own(&query.comparison, number(query.limit)),
        (Measure::Trips { comparison, limit, .. }, _) => own(comparison, count(*limit)),
        (
            Measure::ErrorRate { .. }
            | Measure::Latency { .. }
            | Measure::BreakerFailures { .. }
            | Measure::MemoryGrowth { .. }
            | Measure::MemoryUse { .. },
            role,
        ) => of_role(if role == Role::Gate { "<" } else { ">" }),
    };
    let (before, operator, after) = match parts {
        Ok(parts) => parts,
        Err(whole) => return whole,
    };
    let (limit, window) = after.split_once(' ').unwrap_or((after, ""));
    (format!("{before} {window}").trim_end().to_owned(), format!("{operator} {limit}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::judge::condition::{Encoding, Share};
    use crate::rollout::pods::NotReady;

    fn line(signals: &PodSignals) -> Option<String> {
        let report = ConditionReport::of(&Judged::Pods(signals.clone()));
        assert_eq!(report.pods.as_ref(), Some(signals), "in JSON they are always told");
        report.row().map(|row| format!("{}: {}", row[0], row[4]))
    }

    #[test]
    fn pods_are_worth_a_line_only_if_something_is_wrong_with_them() {
        let healthy = PodSignals { judged: 10, ready: 10, ..PodSignals::default() };
        let not_ready = |pod: &str, why: Option<&str>| NotReady { pod: pod.into(), why: why.map(str::to_owned) };
        assert_eq!(line(&healthy), None);
        let restarted = PodSignals { restarts: 1, ..healthy.clone() };
        assert_eq!(line(&restarted).unwrap(), "quiet: 10 of 10 ready, 1 restart");
        let waiting = vec![not_ready("updog-a", Some("Unschedulable")), not_ready("updog-b", None)];
        let waiting = PodSignals { ready: 8, not_ready: waiting, ..healthy.clone() };
        assert_eq!(line(&waiting).unwrap(), "waiting: 8 of 10 ready; updog-a: Unschedulable, updog-b: starting");
        let crashing = PodSignals { ready: 9, restarts: 4, crash_loops: vec!["updog-a".into()], ..healthy };
        assert_eq!(line(&crashing).unwrap(), "firing: updog-a crash-loops; 9 of 10 ready, 4 restarts");
    }

    #[test]
    fn what_proves_nothing_says_why_whatever_could_lift_it() {
        let measure = Measure::ErrorRate { limit: Share::new(0.02).unwrap() };
        let trigger = Condition::new(Role::Trigger, "error_rate > 2% for 2m".into(), measure, Duration::from_secs(120));
        let said = |judgement: Judgement| {
            ConditionReport::of(&Judged::Measured(Box::new(trigger.clone()), Box::new(judgement))).unproven()
        };
        let unclear = Gap::SeveralSeries { count: 2 };
        for gap in [Gap::NoTraffic, unclear.clone()] {
            let why = trouble::gap(&gap);
            assert_eq!(said(Judgement::Inconclusive(gap, None)), Some(format!("error_rate for 2m: {why}")));
        }
        assert!(said(Judgement::Missing(unclear)).is_some());
        assert!(said(Judgement::Error(Fault::Truncated)).unwrap().ends_with("the answer breaks off"));
        let quiet = PodSignals { judged: 1, ready: 1, restarts: 1, ..PodSignals::default() };
        assert_eq!(ConditionReport::of(&Judged::Pods(quiet)).unproven(), None);
    }

    #[test]
    fn the_limit_of_trips_has_a_column_of_its_own() {
        let measure = Measure::Trips {
            breaker: "cache".into(),
            only_false: true,
            health: None,
            encoding: Encoding::OF_LABELS,
            comparison: Comparison::Equals,
            limit: 0,
        };
        let named = |text: &str| {
            name_and_limit(&Condition::new(Role::Gate, text.into(), measure.clone(), Duration::from_secs(60)))
        };
        assert_eq!(named("false_trips(cache) == 0 over 7d"), ("false_trips(cache) over 7d".into(), "== 0".into()));
        assert_eq!(named("no-false-trips"), ("no-false-trips".into(), "== 0".into()));
    }
}
