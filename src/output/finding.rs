//! What was found, in words: the figure of a condition, and what a verdict on it stands on.
//!
//! It does not know how rows are laid out.

use jiff::Timestamp;

use super::words::{count, latency, number, percent, plural, since, some};
use crate::judge::condition::{Condition, Measure, Role, StuckState};
use crate::judge::verdict::{Comparison, Evidence, Finding, PodShare, Share, Trip};

/// The figure that stands in the table.
pub fn value(evidence: &Evidence) -> String {
    figure(evidence.finding())
}

/// The figure of a finding.
pub fn figure(finding: &Finding) -> String {
    match finding {
        Finding::Share(Share { quantile_seconds: Some(seconds), .. }) => latency(*seconds),
        Finding::Share(Share { events, requests, .. }) => percent(ratio(*events, *requests)),
        Finding::Trips { counted, .. } => count(*counted),
        Finding::Comparison(Comparison { quantile_seconds: Some((canary, _)), .. }) => latency(*canary),
        Finding::Comparison(Comparison { canary_events, canary_requests, .. }) => {
            percent(ratio(*canary_events, *canary_requests))
        }
        Finding::Growth { growth, before, .. } => percent(growth - before.unwrap_or_default().max(0.0)),
        Finding::Use { newest, .. } => percent(*newest),
        Finding::Breaker { not_closed_now: 0, .. } => "closed".to_owned(),
        Finding::Breaker { not_closed_now, stuck, .. } if stuck.is_empty() => format!("{not_closed_now} open"),
        Finding::Breaker { .. } => "stuck".to_owned(),
        Finding::Value { value, .. } => number(*value),
    }
}

/// What a verdict stands on.
pub fn explanation(condition: &Condition, evidence: &Evidence, met: bool) -> String {
    match evidence.finding() {
        Finding::Share(share) => of_share(condition, share, evidence.to(), met == (condition.role == Role::Trigger)),
        Finding::Breaker { watched, stuck, .. } if stuck.is_empty() => {
            format!("{} watched", plural(*watched as u64, "breaker"))
        }
        Finding::Breaker { state, stuck, .. } => {
            let stuck: Vec<String> = stuck.iter().map(|stuck| format!("{} on {}", stuck.breaker, stuck.pod)).collect();
            let how = match state {
                StuckState::Open => "not closed once",
                StuckState::HalfOpen => "half-open all the time",
            };
            format!("{how}: {}", some(&stuck))
        }
        Finding::Trips { watched, requests, trips, .. } => {
            let watched = plural(*watched as u64, "breaker");
            let calls = requests.map(|requests| format!(", {}", plural(requests, "call"))).unwrap_or_default();
            // Newest first: the first few are shown.
            let trips: Vec<String> = trips.iter().rev().map(trip).collect();
            let trips = if trips.is_empty() { String::new() } else { format!("; {}", some(&trips)) };
            format!("{watched} watched{calls}{trips}")
        }
        Finding::Growth { pod, growth, before: Some(before) } if *before > 0.0 => {
            format!("{pod}: {}, of which {} as before the change", percent(*growth), percent(*before))
        }
        Finding::Growth { pod, .. } => pod.clone(),
        Finding::Use { pod, least, most, .. } => format!("{pod}: {} to {}", percent(*least), percent(*most)),
        Finding::Comparison(comparison) => of_comparison(comparison),
        Finding::Value { points: 0 | 1, .. } => String::new(),
        Finding::Value { points, .. } => format!("{points} points"),
    }
}

fn of_share(condition: &Condition, share: &Share, now: Timestamp, bad: bool) -> String {
    let Share { events, requests, low, high, worst, quantile_seconds, .. } = share;
    let slow = if quantile_seconds.is_some() { " slower" } else { "" };
    let noun = if matches!(condition.measure, Measure::BreakerFailures { .. }) { "call" } else { "request" };
    let mut parts = vec![format!("{} of {}{slow}", count(*events), plural(*requests, noun))];
    if bad {
        let confidence = percent(condition.confidence);
        parts.push(format!("{} to {} with {confidence} confidence", percent(*low), percent(*high)));
    } else {
        parts.push(format!("at most {}", percent(*high)));
    }
    parts.extend(multiples(share.evidence, share.needed));
    if share.bursts >= 1.1 {
        parts.push(format!("in bursts of {:.1}", share.bursts));
    }
    if bad {
        parts.extend(share.onset.map(|onset| format!("began {} ago", since(onset, now))));
        let of = |worst: &PodShare| percent(ratio(worst.events, worst.requests));
        parts.extend(worst.as_ref().map(|worst| format!("most on {} ({})", worst.pod, of(worst))));
    } else {
        parts.extend(share.fired.map(|fired| format!("it would have fired {} ago", since(fired, now))));
    }
    parts.join("; ")
}

fn of_comparison(comparison: &Comparison) -> String {
    let Comparison { canary_events, canary_requests, stable_events, stable_requests, ratio: found, .. } = comparison;
    let counted = |events: u64, requests: u64| format!("{} of {}", count(events), count(requests));
    let (canary, stable) = (counted(*canary_events, *canary_requests), counted(*stable_events, *stable_requests));
    let mut parts = vec![match (comparison.quantile_seconds, comparison.edge_seconds) {
        (Some((_, stable_quantile)), Some(edge)) => format!(
            "{} beside it; {canary} requests slower than {} on the canary, {stable} beside it",
            latency(stable_quantile),
            latency(edge)
        ),
        _ => format!("{canary} requests on the canary, {stable} beside it"),
    }];
    let times = |ratio: f64| format!("{}x", number((ratio * 100.0).round() / 100.0));
    parts.extend(found.map(|found| match comparison.high {
        Some(high) => format!("{} as many, between {} and {}", times(found), times(comparison.low), times(high)),
        None => format!("{} as many, at least {}", times(found), times(comparison.low)),
    }));
    parts.extend(multiples(comparison.evidence, comparison.needed));
    parts.extend(comparison.uneven_traffic.map(|(share, expected)| {
        format!("warning: the canary gets {} of the traffic, not {}", percent(share), percent(expected))
    }));
    parts.join("; ")
}

/// How far evidence has come, where it is counted.
pub fn reached(evidence: &Evidence) -> Option<String> {
    match evidence.finding() {
        Finding::Share(Share { evidence, needed, .. }) => multiples(*evidence, *needed),
        Finding::Comparison(comparison) => multiples(comparison.evidence, comparison.needed),
        Finding::Breaker { .. }
        | Finding::Trips { .. }
        | Finding::Growth { .. }
        | Finding::Use { .. }
        | Finding::Value { .. } => None,
    }
}

/// "7.3x of 20x": the likelihood ratio that was reached, and the one that is needed; nothing where it is next to none.
fn multiples(evidence: f64, needed: f64) -> Option<String> {
    let times = |ratio: f64| match ratio {
        ratio if ratio >= 1_000.0 => "over 1,000x".to_owned(),
        ratio if ratio >= 9.95 => format!("{ratio:.0}x"),
        ratio => format!("{ratio:.1}x"),
    };
    (evidence >= 0.05).then(|| format!("{} of {}", times(evidence), times(needed)))
}

/// One trip, and what speaks for or against the dependency then.
fn trip(Trip { pod, breaker, healthy, requests, failures, .. }: &Trip) -> String {
    let calls = match (requests, failures) {
        (Some(requests), Some(failures)) => format!(", {} of {} failed", count(*failures), plural(*requests, "call")),
        _ => String::new(),
    };
    let health = match healthy {
        Some(true) => "healthy",
        Some(false) => "unhealthy",
        None => "health unknown",
    };
    format!("{breaker} on {pod} (dependency {health}{calls})")
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ratio(events: u64, requests: u64) -> f64 {
    if requests == 0 { 0.0 } else { events as f64 / requests as f64 }
}
