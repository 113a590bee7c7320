//! From cumulative counters to integer counts in a window, and whether the samples are good enough to count at all.
//!
//! Every precondition has its own [`Gap`]. It does not know what the counts are compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::condition::Metric;
use super::evidence;
use super::samples::{LivePod, Point, Samples, Scope, Series};
use super::verdict::{Fault, Gap, Trouble};

/// Least share of the expected samples that each live pod must have delivered.
const COVERAGE: f64 = 0.9;
/// Scrape intervals after which the newest sample is stale.
const STALE_AFTER: u32 = 3;

/// A stretch of time that is judged; `from` is before `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// How good the samples of a window are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Of the pod that delivered least, 0 to 1.
    pub coverage: f64,
    pub newest: Timestamp,
}

/// The window that ends now.
///
/// # Errors
/// [`Gap::WindowNotFull`] if it would reach before the change, and the gaps that make any window worthless.
pub fn window(length: Duration, scope: &Scope) -> Result<Window, Gap> {
    if scope.rolling {
        return Err(Gap::RolloutInProgress);
    }
    if scope.pods.as_ref().is_some_and(Vec::is_empty) {
        return Err(Gap::NoPods);
    }
    if let Some(since) = scope.since {
        let have = scope.now.duration_since(since).max(SignedDuration::ZERO).unsigned_abs();
        if have < length {
            return Err(Gap::WindowNotFull { have, need: length });
        }
    }
    Ok(Window { from: before(scope.now, length), to: scope.now })
}

/// Checks presence, freshness, coverage and clocks on series whose values are the times of the newest samples.
pub fn quality_of_times(metric: &Metric, window: Window, scope: &Scope, samples: &Samples) -> Result<Quality, Trouble> {
    let times = samples.get(metric)?;
    let by_pod = |pod: &str| sample_times(times.iter().filter(|series| series.pod == pod), window);
    let pods: Vec<LivePod> = match &scope.pods {
        Some(pods) => pods.clone(),
        None => times.iter().map(|series| LivePod { name: series.pod.clone(), started: window.from }).collect(),
    };
    let sampled: Vec<(LivePod, Vec<Timestamp>)> =
        pods.into_iter().map(|pod| (pod.clone(), by_pod(&pod.name))).collect();
    // What lies closer together than the grid cannot be told apart on it.
    let inside = |series: &Series| -> Vec<Timestamp> {
        series.points.iter().map(|point| point.at).filter(|at| *at >= window.from && *at <= window.to).collect()
    };
    let grid: Vec<Vec<Timestamp>> = times.iter().map(inside).collect();
    let step = typical_gap(grid.iter().map(Vec::as_slice)).unwrap_or_default();
    Ok(quality(metric.label(), &sampled, step, window, scope)?)
}

/// Presence, freshness, coverage and clocks of the sample times of each pod, as seen at intervals of `step`.
pub fn quality(
    metric: &str,
    sampled: &[(LivePod, Vec<Timestamp>)],
    step: Duration,
    window: Window,
    scope: &Scope,
) -> Result<Quality, Gap> {
    let metric = metric.to_owned();
    let missing: Vec<String> =
        sampled.iter().filter(|(_, times)| times.is_empty()).map(|(pod, _)| pod.name.clone()).collect();
    if missing.len() == sampled.len() {
        return Err(Gap::NoSeries { metric });
    }
    if !missing.is_empty() {
        return Err(Gap::MissingPods { metric, pods: missing });
    }
    let measured = typical_gap(sampled.iter().map(|(_, times)| times.as_slice()));
    let Some(interval) = measured.map(|measured| measured.max(step)) else {
        return Err(Gap::TooFewSamples { metric });
    };
    check_clocks(scope, interval)?;

    let mut quality = Quality { coverage: 1.0, newest: Timestamp::MIN };
    for (pod, times) in sampled {
        let (Some(first), Some(newest)) = (times.first(), times.last()) else { continue };
        let age = window.to.duration_since(*newest).max(SignedDuration::ZERO).unsigned_abs();
        let allowed = interval * STALE_AFTER;
        if age > allowed {
            return Err(Gap::Stale { metric, pod: pod.name.clone(), age, allowed });
        }
        // A pod that started inside the window owes samples from its first scrape on, which may take some intervals.
        let owed_from = window.from.max((*first).min(after(pod.started, allowed)));
        let owed = (window.to.duration_since(owed_from).as_secs_f64() / interval.as_secs_f64()).floor().max(1.0);
        let delivered = times.iter().filter(|at| **at >= owed_from).count() as u64;
        let have = (evidence::as_float(delivered) / owed).min(1.0);
        if have < COVERAGE {
            return Err(Gap::Coverage { metric, pod: pod.name.clone(), have, need: COVERAGE });
        }
        quality.coverage = quality.coverage.min(have);
        quality.newest = quality.newest.max(*newest);
    }
    Ok(quality)
}

/// Counts that were added in the window, by pod.
///
/// # Errors
/// [`Fault::Malformed`] for a negative counter.
pub fn increases<'a>(
    series: impl Iterator<Item = &'a Series>,
    window: Window,
    scope: &Scope,
) -> Result<BTreeMap<&'a str, u64>, Fault> {
    let mut counts = BTreeMap::new();
    for series in series {
        *counts.entry(series.pod.as_str()).or_default() += increase(series, window, scope)?;
    }
    Ok(counts)
}

/// What one cumulative counter added in the window. A fall is a restart, which begins at zero; a pod that started
/// after the change and has no sample at the window's start begins at zero as well, or its first errors were lost.
fn increase(series: &Series, window: Window, scope: &Scope) -> Result<u64, Fault> {
    let mut inside = series.points.iter().filter(|point| point.at >= window.from && point.at <= window.to);
    let Some(first) = inside.next() else { return Ok(0) };
    let earlier = series.points.iter().rev().find(|point| point.at < window.from);
    let born_after_change = earlier.is_none() && first.at > window.from && is_new(&series.pod, scope);
    let mut total = if born_after_change { first.value } else { 0.0 };
    let mut previous = first.value;
    for Point { value, .. } in inside {
        total += if *value >= previous { value - previous } else { *value };
        previous = *value;
    }
    if series.points.iter().any(|point| point.value < 0.0) {
        return Err(Fault::Malformed { detail: format!("a counter of pod {} is negative", series.pod) });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a non-negative count below 2^53")]
    Ok(total.round() as u64)
}

/// Whether the pod's process began after the change; a pod that is gone by now can only have been seen after it.
fn is_new(pod: &str, scope: &Scope) -> bool {
    match (&scope.pods, scope.since) {
        (Some(pods), Some(since)) => pods.iter().find(|live| live.name == pod).is_none_or(|live| live.started >= since),
        _ => true,
    }
}

/// Whether the clocks agree within one scrape interval.
pub fn check_clocks(scope: &Scope, interval: Duration) -> Result<(), Gap> {
    let skew = scope.clock_skew.ok_or(Gap::ClockUnknown)?.abs();
    // HTTP dates are whole seconds: one more cannot be told from none.
    let allowed = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX) + SignedDuration::from_secs(1);
    if skew > allowed { Err(Gap::ClockSkew { seconds: skew.as_secs() }) } else { Ok(()) }
}

/// The times in the window at which samples were really taken; the points' values are Unix times in seconds.
fn sample_times<'a>(series: impl Iterator<Item = &'a Series>, window: Window) -> Vec<Timestamp> {
    let times: BTreeSet<Timestamp> = series
        .flat_map(|series| &series.points)
        .filter_map(|point| SignedDuration::try_from_secs_f64(point.value).ok())
        .filter_map(|since_epoch| Timestamp::from_duration(since_epoch).ok())
        .filter(|at| *at >= window.from && *at <= window.to)
        .collect();
    times.into_iter().collect()
}

/// The median distance between neighbouring times; None below two of them.
fn typical_gap<'a>(times: impl Iterator<Item = &'a [Timestamp]>) -> Option<Duration> {
    let mut gaps: Vec<Duration> =
        times.flat_map(|times| times.windows(2)).map(|pair| pair[1].duration_since(pair[0]).unsigned_abs()).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

fn before(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}
