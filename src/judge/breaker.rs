//! Breakers that do not close.
//!
//! `min_over_time(state == open)` misses a breaker that is stuck, because its half-open probes interrupt it. The rule
//! is therefore: never closed during the window. It works on raw samples, one series a breaker.

use std::time::Duration;

use jiff::Timestamp;

use super::condition::{Condition, Encoding, Metric};
use super::counts::{self, Window};
use super::samples::{LivePod, Samples, Scope, Series};
use super::verdict::{Evidence, Fault, Finding, Judgement, Stuck, Trouble};

pub fn judge_stuck_open(
    condition: &Condition,
    breaker: &str,
    encoding: Encoding,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let metric = Metric::BreakerState { breaker: breaker.to_owned(), window: condition.window };
    let states = samples.get(&metric)?;
    check_encoding(states, encoding)?;
    let sampled = sampled_breakers(states, window, scope);
    let quality = counts::quality(metric.label(), &sampled, Duration::ZERO, window, scope)?;
    let stuck = states
        .iter()
        .filter(|series| is_stuck(series, encoding, window))
        .map(|series| Stuck { pod: series.pod.clone(), breaker: series.part.clone() })
        .collect::<Vec<_>>();
    let met = !stuck.is_empty();
    let evidence = Evidence {
        from: window.from,
        to: window.to,
        coverage: quality.coverage,
        newest: quality.newest,
        finding: Finding::Breaker { watched: states.len(), stuck },
    };
    Ok(if met { Judgement::Met(evidence) } else { Judgement::Unmet(evidence) })
}

/// One entry for every breaker instance of a live pod, so that each has to be covered; a pod without any has no times.
fn sampled_breakers(states: &[Series], window: Window, scope: &Scope) -> Vec<(LivePod, Vec<Timestamp>)> {
    let times = |series: &Series| -> Vec<Timestamp> {
        series.points.iter().map(|point| point.at).filter(|at| *at >= window.from && *at <= window.to).collect()
    };
    let Some(pods) = &scope.pods else {
        return states
            .iter()
            .map(|series| (LivePod { name: series.pod.clone(), started: window.from }, times(series)))
            .collect();
    };
    pods.iter()
        .flat_map(|pod| {
            let of_pod: Vec<_> = states.iter().filter(|series| series.pod == pod.name).collect();
            if of_pod.is_empty() {
                return vec![(pod.clone(), Vec::new())];
            }
            of_pod.into_iter().map(|series| (pod.clone(), times(series))).collect()
        })
        .collect()
}

fn is_stuck(series: &Series, encoding: Encoding, window: Window) -> bool {
    let mut inside = series.points.iter().filter(|point| point.at >= window.from && point.at <= window.to).peekable();
    inside.peek().is_some() && inside.all(|point| !same(point.value, encoding.closed))
}

fn check_encoding(states: &[Series], encoding: Encoding) -> Result<(), Fault> {
    let known = [encoding.closed, encoding.half_open, encoding.open];
    let strange = states
        .iter()
        .flat_map(|series| series.points.iter().map(move |point| (series, point.value)))
        .find(|(_, value)| !known.iter().any(|state| same(*state, *value)));
    match strange {
        None => Ok(()),
        Some((series, value)) => Err(Fault::Malformed {
            detail: format!(
                "breaker {} of pod {} has the state {value}, which is not declared",
                series.part, series.pod
            ),
        }),
    }
}

/// States are small whole numbers.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}
