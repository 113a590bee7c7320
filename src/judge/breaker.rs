//! Breakers that do not close.
//!
//! `min_over_time(state == open)` misses a breaker that is stuck, because its half-open probes interrupt it. The rule
//! is therefore: never closed during the window. It works on raw samples, one series a breaker.

use super::condition::{Condition, Encoding, Metric};
use super::counts::Window;
use super::quality;
use super::samples::{Samples, Scope, Series};
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
    let quality = quality::of_samples(&metric, window, scope, samples)?;
    let live = |series: &&Series| is_live(&series.pod, scope);
    let watched: Vec<&Series> = states.iter().filter(live).collect();
    let open = |series: &&&Series| series.points.last().is_some_and(|newest| !same(newest.value, encoding.closed));
    let stuck: Vec<Stuck> = watched
        .iter()
        .filter(|series| is_stuck(series, encoding, window, scope))
        .map(|series| Stuck { pod: series.pod.clone(), breaker: series.part.clone() })
        .collect();
    let met = !stuck.is_empty();
    let not_closed_now = watched.iter().filter(open).count();
    let evidence = Evidence {
        from: window.from,
        to: window.to,
        coverage: Some(quality.coverage),
        newest: quality.newest,
        finding: Finding::Breaker { watched: watched.len(), not_closed_now, stuck },
    };
    Ok(if met { Judgement::Met(evidence) } else { Judgement::Unmet(evidence) })
}

/// A pod that is gone takes its breakers with it.
fn is_live(pod: &str, scope: &Scope) -> bool {
    scope.pods.as_ref().is_none_or(|pods| pods.iter().any(|live| live.name == pod))
}

/// A pod that started inside the window was not watched for long enough.
fn is_stuck(series: &Series, encoding: Encoding, window: Window, scope: &Scope) -> bool {
    let young = scope.pods.iter().flatten().any(|pod| pod.name == series.pod && pod.started > window.from);
    let mut inside = series.points.iter().filter(|point| window.contains(point.at)).peekable();
    !young && inside.peek().is_some() && inside.all(|point| !same(point.value, encoding.closed))
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
