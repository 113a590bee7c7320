//! Breakers that do not close, and the share of their calls that fails.
//!
//! `min_over_time(state == open)` misses a breaker that is stuck, because its half-open probes interrupt it. The rule
//! is therefore: never closed during the window; or, for one whose probes neither close nor open it, half-open in every
//! sample. It works on raw samples, one series a breaker, which may reach further back than the window. It does not
//! know how states are told by a library.

#[cfg(test)]
mod tests;

use super::condition::{Condition, Encoding, Metric, Share, StuckState};
use super::counts::{Increments, Window};
use super::quality;
use super::samples::{Samples, Scope, Series};
use super::share::{self, Counts};
use super::verdict::{Evidence, Fault, Finding, Gap, Judgement, Stuck, Trouble};

/// Met where some breaker of a live pod stayed in the state during the whole window.
///
/// # Errors
/// [`Fault::Malformed`] for a state that is not declared, and the gaps of samples that are missing.
pub fn judge_stuck(
    breaker: &str,
    state: StuckState,
    encoding: Encoding,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let metric = Metric::BreakerState { breaker: breaker.to_owned() };
    let states = samples.get(&metric)?;
    check_encoding(states, encoding)?;
    let quality = quality::of_samples(&metric, window, scope, samples)?;
    let watched: Vec<&Series> = states.iter().filter(|series| scope.covers(&series.pod)).collect();
    let open = |series: &&&Series| series.points.last().is_some_and(|newest| !same(newest.value, encoding.closed));
    let stuck: Vec<Stuck> = watched
        .iter()
        .filter(|series| is_stuck(series, state, encoding, window, scope))
        .map(|series| Stuck { pod: series.pod.clone(), breaker: series.part.clone() })
        .collect();
    let met = !stuck.is_empty();
    let not_closed_now = watched.iter().filter(open).count();
    let evidence = Evidence {
        from: window.from,
        to: window.to,
        coverage: Some(quality.coverage),
        newest: quality.newest,
        apart: None,
        finding: Finding::Breaker { state, watched: watched.len(), not_closed_now, stuck },
    };
    Ok(if met { Judgement::Met(evidence) } else { Judgement::Unmet(evidence) })
}

/// Holds the share of a breaker's calls that failed, of all its instances together, against the limit.
///
/// # Errors
/// [`Gap::NoTraffic`] where it counted no call, as one that is switched off does; [`Gap::MissingPods`] for pods with
/// calls whose failures are unknown.
pub fn judge_failures(
    condition: &Condition,
    breaker: &str,
    limit: Share,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let moments = samples.moments_since(scope.since.unwrap_or(window.from));
    let of_requests = Metric::BreakerRequests { breaker: breaker.to_owned() };
    let of_failures = Metric::BreakerFailures { breaker: breaker.to_owned() };
    let (requests, failures) = (samples.get(&of_requests)?, samples.get(&of_failures)?);
    // Without a series of its own an instance's failures are unknown, not zero.
    let is_counted =
        |calls: &&Series| failures.iter().any(|failed| failed.pod == calls.pod && failed.part == calls.part);
    let mut unknown: Vec<String> =
        requests.iter().filter(|calls| !is_counted(calls)).map(|calls| calls.pod.clone()).collect();
    unknown.dedup();
    if !unknown.is_empty() {
        return Err(Gap::MissingPods { metric: of_failures.label().to_owned(), pods: unknown }.into());
    }
    // A breaker whose state is told and whose calls are not is not one without calls.
    let watched = samples.get(&Metric::BreakerTimes { breaker: breaker.to_owned() })?;
    let told =
        |pod: &str| !watched.iter().any(|series| series.pod == pod) || requests.iter().any(|series| series.pod == pod);
    scope.all_in(&of_requests, told)?;
    let requests = Increments::of(requests.iter(), moments, &of_requests, scope)?;
    let failures = Increments::of(failures.iter(), moments, &of_failures, scope)?;
    let times = Metric::BreakerTimes { breaker: breaker.to_owned() };
    let quality = quality::of_evidence(condition, &times, window, scope, samples)?;
    // Before the change the breaker was off, and counted nothing from which a dispersion could be taken.
    let counts = Counts {
        moments,
        least: failures.clone(),
        most: failures,
        requests,
        between: None,
        quantile: None,
        bursts: None,
    };
    share::judge(condition, limit, &counts, window, quality, scope)
}

/// A pod that started inside the window was not watched for long enough.
fn is_stuck(series: &Series, state: StuckState, encoding: Encoding, window: Window, scope: &Scope) -> bool {
    let young = scope.pods.iter().flatten().any(|pod| pod.name == series.pod && pod.started > window.from);
    let mut inside = series.points.iter().filter(|point| window.contains(point.at)).peekable();
    !young
        && inside.peek().is_some()
        && inside.all(|point| match state {
            StuckState::Open => !same(point.value, encoding.closed),
            StuckState::HalfOpen => same(point.value, encoding.half_open),
        })
}

/// Whether every state is one of those declared.
///
/// # Errors
/// [`Fault::Malformed`] names the first one that is not.
pub fn check_encoding(states: &[Series], encoding: Encoding) -> Result<(), Fault> {
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
pub fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}
