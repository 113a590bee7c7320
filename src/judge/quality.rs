//! Whether the samples of a window are good enough to be judged: presence, freshness, coverage, clocks.
//!
//! Every precondition has its own [`Gap`]. It does not know what the samples say.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::condition::Metric;
use super::counts::{Window, after};
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
    let interval = interval(label, &deliveries, since)?.max(typical_gap(tail.iter().copied()).unwrap_or_default());
    check_clocks(scope, interval)?;
    judge(label, &deliveries, interval, window, |delivery, owed_from| {
        // The grid may be coarser in its older part: each moment stands for the time since the one before it.
        let (mut owed, mut delivered) = (0.0, 0.0);
        for pair in moments.windows(2).filter(|pair| pair[1] > owed_from) {
            let stands_for = pair[1].duration_since(pair[0]).as_secs_f64();
            owed += stands_for;
            let fresh = |reading: &Reading| reading.at == pair[1] && age(reading.taken, pair[1]) <= interval * 2;
            if delivery.readings.iter().any(fresh) {
                delivered += stands_for;
            }
        }
        if owed > 0.0 { delivered / owed } else { 0.0 }
    })
}

/// Judges raw samples, each of which was taken at its own time.
pub fn of_samples(metric: &Metric, window: Window, scope: &Scope, samples: &Samples) -> Result<Quality, Trouble> {
    let label = metric.label();
    let deliveries = deliveries(samples.get(metric)?, window, scope, |point| Some(point.at));
    present(label, &deliveries)?;
    let interval = interval(label, &deliveries, window.from)?;
    check_clocks(scope, interval)?;
    judge(label, &deliveries, interval, window, |delivery, owed_from| {
        let owed = (age(owed_from, window.to).as_secs_f64() / interval.as_secs_f64()).floor().max(1.0);
        let delivered = delivery.readings.iter().filter(|reading| reading.taken >= owed_from).count() as u64;
        (evidence::as_float(delivered) / owed).min(1.0)
    })
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
        let inside = series.points.iter().filter(|point| window.contains(point.at));
        let readings = inside.filter_map(|point| Some(Reading { at: point.at, taken: taken(point)? }));
        readings.filter(|reading| window.contains(reading.taken)).collect()
    };
    let delivery = |pod: &LivePod, series: &Series| Delivery { pod: pod.clone(), readings: readings(series) };
    let Some(pods) = &scope.pods else {
        let live = |series: &Series| LivePod { name: series.pod.clone(), started: window.from };
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

fn age(earlier: Timestamp, later: Timestamp) -> Duration {
    later.duration_since(earlier).max(SignedDuration::ZERO).unsigned_abs()
}

fn unix(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}
