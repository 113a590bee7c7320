//! Whether the samples of a window are good enough to be judged: presence, freshness, coverage, clocks.
//!
//! Every precondition has its own [`Gap`]. It does not know what the samples say.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::condition::{Condition, Method, Metric, Role};
use super::counts::{Window, after, age};
use super::evidence;
use super::samples::{LivePod, Samples, Scope, Series};
use super::verdict::{Gap, Trouble};

/// Least share of the expected samples that each live pod must have delivered.
const COVERAGE: f64 = 0.9;
/// Scrape intervals after which the newest sample is stale.
const STALE_AFTER: u32 = 3;
/// Newest moments of the grid from which the scrape interval is taken: they always lie in its fine part.
const TAIL: usize = 9;

/// How good the samples of a window are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Of the pod that delivered least, 0 to 1.
    pub coverage: f64,
    pub newest: Timestamp,
}

/// What one pod, or one breaker of a pod, delivered: when each sample was taken, and when it was looked at.
struct Delivery {
    pod: LivePod,
    readings: Vec<Reading>,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Timestamp,
    taken: Timestamp,
}

/// Judges series that tell, at each moment of the grid, when the newest sample was taken (in Unix seconds).
pub fn of_times(metric: &Metric, window: Window, scope: &Scope, samples: &Samples) -> Result<Quality, Trouble> {
    let times = samples.get(metric)?;
    let moments: Vec<Timestamp> = samples.moments().iter().copied().filter(|at| window.contains(*at)).collect();
    let label = metric.label();
    let deliveries = deliveries(times, window, scope, |point| unix(point.value));
    present(label, &deliveries)?;
    let tail = &moments[moments.len().saturating_sub(TAIL)..];
    let since = tail.first().copied().unwrap_or(window.from);
    let step = typical_gap(tail.iter().copied()).unwrap_or_default();
    // Where nothing new came for so long that no distance between samples is left to see, they are stale.
    let seen = interval(label, &deliveries, since).or_else(|_| interval(label, &deliveries, window.from));
    let stale = |delivery: &Delivery| {
        delivery.readings.last().is_some_and(|newest| age(newest.taken, window.to) > step * STALE_AFTER)
    };
    let interval = match seen {
        Ok(seen) => seen.max(step),
        Err(_) if deliveries.iter().any(stale) => step,
        Err(gap) => return Err(gap.into()),
    };
    check_clocks(scope, interval)?;
    judge(label, &deliveries, interval, window, |delivery, owed_from| {
        // The grid may be coarser in its older part: each moment stands for the time since the one before it.
        let (mut owed, mut delivered) = (0.0, 0.0);
        let mut readings = delivery.readings.iter().peekable();
        for pair in moments.windows(2).filter(|pair| pair[1] > owed_from) {
            let stands_for = pair[1].duration_since(pair[0]).as_secs_f64();
            owed += stands_for;
            while readings.next_if(|reading| reading.at < pair[1]).is_some() {}
            let fresh = |reading: &&Reading| reading.at == pair[1] && age(reading.taken, pair[1]) <= interval * 2;
            if readings.peek().is_some_and(fresh) {
                delivered += stands_for;
            }
        }
        if owed > 0.0 { delivered / owed } else { 0.0 }
    })
}

/// The quality of a window. A gate passes on everything since the change, which has to be as good.
pub fn of_evidence(
    condition: &Condition,
    metric: &Metric,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Quality, Trouble> {
    let in_window = of_times(metric, window, scope, samples)?;
    match (condition.role, condition.method, scope.since) {
        (Role::Gate, Method::Sequential, Some(since)) if since < window.from => {
            let since_change = of_times(metric, Window { from: since, to: window.to }, scope, samples)?;
            Ok(Quality { coverage: in_window.coverage.min(since_change.coverage), newest: in_window.newest })
        }
        _ => Ok(in_window),
    }
}

/// Whether each judged pod's counter comes from one scrape target of one Prometheus.
pub fn one_source(metric: &Metric, scope: &Scope, samples: &Samples) -> Result<(), Trouble> {
    let judged = |series: &&Series| scope.covers(&series.pod);
    let greatest = |series: &Series| series.points.iter().map(|point| point.value).fold(0.0, f64::max);
    let sources = samples.get(metric)?;
    scope.all_in(metric, |pod| sources.iter().any(|series| series.pod == pod))?;
    match sources.iter().filter(judged).find(|series| greatest(series) > 1.0) {
        None => Ok(()),
        Some(series) => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
            let sources = greatest(series) as u64;
            let (metric, pod) = (metric.label().to_owned(), series.pod.clone());
            Err(Gap::SeveralSources { metric, pod, sources }.into())
        }
    }
}

/// Judges raw samples, each of which was taken at its own time.
pub fn of_samples(metric: &Metric, window: Window, scope: &Scope, samples: &Samples) -> Result<Quality, Trouble> {
    let label = metric.label();
    let deliveries = deliveries(samples.get(metric)?, window, scope, |point| Some(point.at));
    present(label, &deliveries)?;
    let ended = |delivery: &&Delivery| delivery.readings.last().is_some_and(|newest| newest.taken < window.from);
    if let Some(Delivery { pod, readings }) = deliveries.iter().find(ended) {
        let (metric, pod, allowed) = (label.to_owned(), pod.name.clone(), age(window.from, window.to));
        let age = readings.last().map_or(allowed, |newest| age(newest.taken, window.to));
        return Err(Gap::Stale { metric, pod, age, allowed }.into());
    }
    let interval = interval(label, &deliveries, window.from)?;
    check_clocks(scope, interval)?;
    judge(label, &deliveries, interval, window, |delivery, owed_from| {
        let owed = (age(owed_from, window.to).as_secs_f64() / interval.as_secs_f64()).floor().max(1.0);
        let delivered = delivery.readings.iter().filter(|reading| reading.taken >= owed_from).count() as u64;
        (evidence::as_float(delivered) / owed).min(1.0)
    })
}

/// How often the judged pods are scraped, as far as other conditions brought samples that show it.
pub fn scrape_interval(samples: &Samples) -> Option<Duration> {
    let times = [Metric::RequestTimes, Metric::BucketTimes, Metric::MemoryTimes];
    let mut gaps: Vec<Duration> = times
        .iter()
        .flat_map(|metric| samples.if_any(metric))
        .flat_map(|series| {
            let newest = &series.points[series.points.len().saturating_sub(TAIL)..];
            let mut taken: Vec<Timestamp> = newest.iter().filter_map(|point| unix(point.value)).collect();
            taken.dedup();
            gaps(taken.into_iter())
        })
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

/// Whether the clocks agree within one scrape interval.
pub fn check_clocks(scope: &Scope, interval: Duration) -> Result<(), Gap> {
    let skew = scope.clock_skew.ok_or(Gap::ClockUnknown)?.abs();
    // HTTP dates are whole seconds: one more cannot be told from none.
    let allowed = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX) + SignedDuration::from_secs(1);
    if skew > allowed { Err(Gap::ClockSkew { seconds: skew.as_secs() }) } else { Ok(()) }
}

/// One delivery for each series of a live pod, and an empty one for a live pod without any. Of a past time, whoever
/// delivered counts as live.
fn deliveries(
    series: &[Series],
    window: Window,
    scope: &Scope,
    taken: impl Fn(&super::samples::Point) -> Option<Timestamp>,
) -> Vec<Delivery> {
    let readings = |series: &Series| -> Vec<Reading> {
        // A series that ended before the window is stale, and not none.
        let ended = || series.points.iter().rev().find(|point| point.at < window.from);
        let inside = window.of(&series.points);
        let inside = inside.iter().chain(inside.is_empty().then(ended).flatten());
        let readings = inside.filter_map(|point| Some(Reading { at: point.at, taken: taken(point)? }));
        readings.filter(|reading| reading.taken <= window.to).collect()
    };
    let delivery = |pod: &LivePod, series: &Series| Delivery { pod: pod.clone(), readings: readings(series) };
    let Some(pods) = &scope.pods else {
        let live = |series: &Series| LivePod { name: series.pod.clone(), started: window.from, restarts: 0 };
        return series.iter().map(|series| delivery(&live(series), series)).collect();
    };
    pods.iter()
        .flat_map(|pod| {
            let of_pod: Vec<Delivery> =
                series.iter().filter(|series| series.pod == pod.name).map(|series| delivery(pod, series)).collect();
            if of_pod.is_empty() { vec![Delivery { pod: pod.clone(), readings: Vec::new() }] } else { of_pod }
        })
        .collect()
}

fn present(metric: &str, deliveries: &[Delivery]) -> Result<(), Gap> {
    let silent = deliveries.iter().filter(|delivery| delivery.readings.is_empty());
    let pods: Vec<String> = silent.map(|delivery| delivery.pod.name.clone()).collect();
    let metric = metric.to_owned();
    match pods.len() {
        0 => Ok(()),
        all if all == deliveries.len() => Err(Gap::NoSeries { metric }),
        _ => Err(Gap::MissingPods { metric, pods }),
    }
}

/// The scrape interval: the median distance between samples that were taken since then.
fn interval(metric: &str, deliveries: &[Delivery], since: Timestamp) -> Result<Duration, Gap> {
    let mut gaps: Vec<Duration> = deliveries
        .iter()
        .flat_map(|delivery| {
            let mut taken: Vec<Timestamp> =
                delivery.readings.iter().map(|reading| reading.taken).filter(|taken| *taken >= since).collect();
            taken.dedup();
            gaps(taken.into_iter())
        })
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().ok_or_else(|| Gap::TooFewSamples { metric: metric.to_owned() })
}

/// Freshness and coverage of every delivery. A pod that started inside the window owes samples from its first scrape
/// on, which may take some intervals.
fn judge(
    metric: &str,
    deliveries: &[Delivery],
    interval: Duration,
    window: Window,
    coverage: impl Fn(&Delivery, Timestamp) -> f64,
) -> Result<Quality, Trouble> {
    let mut quality = Quality { coverage: 1.0, newest: Timestamp::MIN };
    for delivery in deliveries {
        let (Some(first), Some(newest)) = (delivery.readings.first(), delivery.readings.last()) else { continue };
        let (metric, pod) = (metric.to_owned(), delivery.pod.name.clone());
        let (age, allowed) = (age(newest.taken, window.to), interval * STALE_AFTER);
        if age > allowed {
            return Err(Gap::Stale { metric, pod, age, allowed }.into());
        }
        let owed_from = window.from.max(first.at.min(after(delivery.pod.started, allowed)));
        let have = coverage(delivery, owed_from);
        if have < COVERAGE {
            return Err(Gap::Coverage { metric, pod, have, need: COVERAGE }.into());
        }
        quality.coverage = quality.coverage.min(have);
        quality.newest = quality.newest.max(newest.taken);
    }
    Ok(quality)
}

fn typical_gap(times: impl Iterator<Item = Timestamp>) -> Option<Duration> {
    let mut gaps = gaps(times);
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

fn gaps(times: impl Iterator<Item = Timestamp>) -> Vec<Duration> {
    let times: Vec<Timestamp> = times.collect();
    times.windows(2).map(|pair| age(pair[0], pair[1])).collect()
}

/// Prometheus counts in milliseconds, which a float does not hold exactly.
fn unix(seconds: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "beyond the range of times it is none")]
    Timestamp::from_millisecond((seconds * 1e3).round() as i64).ok()
}
