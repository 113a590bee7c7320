//! From cumulative counters to integer counts in a window.
//!
//! It does not know what the counts are compared with, nor whether enough samples are behind them (`quality`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::condition::Metric;
use super::samples::{Point, Scope, Series};
use super::verdict::{Fault, Gap, Trouble};

/// How far a pod's start may lie outside the two samples that it is seen between.
const START_TOLERANCE: Duration = Duration::from_secs(2);

/// A pod younger than this at the beginning has counted nothing but what belongs to the change.
const NEWBORN: Duration = Duration::from_secs(600);

/// Up to here every whole number is a floating-point number of its own, and sums of many do not overflow.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// A stretch of time that is judged; `from` is before `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    /// The points that lie in it, of points in order of time.
    pub fn of(self, points: &[Point]) -> &[Point] {
        let from = points.partition_point(|point| point.at < self.from);
        let to = points.partition_point(|point| point.at <= self.to);
        &points[from..to.max(from)]
    }

    pub fn contains(self, at: Timestamp) -> bool {
        at >= self.from && at <= self.to
    }
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
        let have = age(since, scope.now);
        if have < length || scope.now < since {
            return Err(Gap::WindowNotFull { have, need: length.max(age(scope.now, since)) });
        }
    }
    Ok(Window { from: before(scope.now, length), to: scope.now })
}

/// What cumulative counters added between neighbouring moments of the grid, by pod.
///
/// There is one block less than moments; block i ends at moment i + 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Increments<'a> {
    by_pod: BTreeMap<&'a str, Vec<u64>>,
}

impl<'a> Increments<'a> {
    /// Several series of one pod are added up.
    ///
    /// # Errors
    /// [`Gap::CounterFell`] for a fall that no restart explains, [`Gap::BeginsLate`] for a pod that ran already and
    /// whose count at the first moment is unknown, [`Fault::Malformed`] for a negative counter.
    pub fn of(
        series: impl Iterator<Item = &'a Series>,
        moments: &[Timestamp],
        metric: &Metric,
        scope: &Scope,
    ) -> Result<Self, Trouble> {
        let mut by_pod: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for series in series {
            let blocks = vec![0; moments.len().saturating_sub(1)];
            increase(series, moments, metric, scope, by_pod.entry(&series.pod).or_insert(blocks))?;
        }
        Ok(Self { by_pod })
    }

    pub fn has(&self, pod: &str) -> bool {
        self.by_pod.contains_key(pod)
    }

    pub fn pods(&self) -> impl Iterator<Item = &'a str> {
        self.by_pod.keys().copied()
    }

    /// The end of the last block in which a pod counted anything, as a number of blocks.
    pub fn served_until(&self, pod: &str) -> usize {
        let last = self.by_pod.get(pod).and_then(|blocks| blocks.iter().rposition(|added| *added > 0));
        last.map_or(0, |last| last + 1)
    }

    /// All pods together, by block.
    pub fn totals(&self) -> Vec<u64> {
        let mut totals: Vec<u64> = Vec::new();
        for blocks in self.by_pod.values() {
            totals.resize(blocks.len(), 0);
            for (total, added) in totals.iter_mut().zip(blocks) {
                *total += added;
            }
        }
        totals
    }

    /// Each pod's sum from this block on.
    pub fn by_pod_from(&self, block: usize) -> BTreeMap<&'a str, u64> {
        self.by_pod.iter().map(|(pod, blocks)| (*pod, blocks.iter().skip(block).sum())).collect()
    }

    /// That no pod has more of these than of the whole.
    ///
    /// # Errors
    /// [`Gap::ImpossibleCount`]
    pub fn are_part_of(&self, whole: &Self) -> Result<(), Gap> {
        let whole = whole.by_pod_from(0);
        for (pod, events) in self.by_pod_from(0) {
            let requests = whole.get(pod).copied().unwrap_or_default();
            if events > requests {
                return Err(Gap::ImpossibleCount { events, requests });
            }
        }
        Ok(())
    }

    /// What is left of these when the others, which are a part of them, are taken away.
    ///
    /// # Errors
    /// [`Gap::ImpossibleCount`] where they are no part.
    pub fn without(&self, part: &Self) -> Result<Self, Gap> {
        let mut by_pod = self.by_pod.clone();
        for (pod, blocks) in &mut by_pod {
            for (left, taken) in blocks.iter_mut().zip(part.by_pod.get(pod).into_iter().flatten()) {
                let impossible = Gap::ImpossibleCount { events: *taken, requests: *left };
                *left = left.checked_sub(*taken).ok_or(impossible)?;
            }
        }
        Ok(Self { by_pod })
    }
}

/// Adds to each block what one cumulative counter added in it. A fall is a restart of the pod's process, which begins
/// at zero; a process that began after the first moment begins at zero as well, or the errors before its first scrape
/// were lost.
fn increase(
    series: &Series,
    moments: &[Timestamp],
    metric: &Metric,
    scope: &Scope,
    blocks: &mut [u64],
) -> Result<(), Trouble> {
    let skipped = series.points.partition_point(|point| moments.first().is_some_and(|begin| point.at < *begin));
    let points = &series.points[skipped..];
    let strange = points.iter().find_map(|point| match point.value {
        negative if negative < 0.0 => Some("negative"),
        huge if huge >= LARGEST => Some("too large to be a count"),
        // Counts of seconds, of a rate or of something extrapolated.
        part if (part - part.round()).abs() > 1e-6 => Some("no whole number: is it a rate?"),
        _ => None,
    });
    if let Some(strange) = strange {
        let detail = format!("a counter of pod {} is {strange}", series.pod);
        return Err(Fault::Malformed { detail }.into());
    }
    let Some(begin) = moments.first().copied() else { return Ok(()) };
    let Some(mut previous) = points.first() else { return Ok(()) };
    let live = scope.pods.iter().flatten().find(|live| live.name == series.pod);
    // What was counted up to the first moment is known there, whether or not the process was replaced later.
    let began = previous.at > begin
        && match (live, &scope.pods) {
            // One that started while the change was on its way may be scraped for the first time only after it.
            (Some(live), _) => live.started >= before(begin, NEWBORN),
            // A pod that has gone, and was not there at first, came in between; of a past time nothing is known.
            (None, pods) => pods.is_some(),
        };
    if live.is_some() && !began && previous.at > begin {
        let (metric, pod) = (metric.label().to_owned(), series.pod.clone());
        return Err(Gap::BeginsLate { metric, pod, missing: age(begin, previous.at) }.into());
    }
    let mut block = 0;
    let mut add = |at: Timestamp, added: f64| {
        while block < blocks.len() && moments[block + 1] < at {
            block += 1;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a non-negative count below 2^53")]
        if let Some(block) = blocks.get_mut(block) {
            *block += added as u64;
        }
    };
    if began {
        add(previous.at, previous.value.round());
    }
    let mut falls = 0;
    for point in &points[1..] {
        if point.value >= previous.value {
            add(point.at, point.value.round() - previous.value.round());
        } else {
            falls += 1;
            // Of a pod that has gone nobody knows how often it restarted.
            let explained = match (live, &scope.pods) {
                (Some(live), _) => falls <= live.restarts || between(live.started, previous.at, point.at),
                (None, pods) => pods.is_some(),
            };
            if !explained {
                // One of several sources of a sum went away: what it counts from now on is not what it counted before.
                return Err(Gap::CounterFell { pod: series.pod.clone() }.into());
            }
            add(point.at, point.value.round());
        }
        previous = point;
    }
    Ok(())
}

/// Start times are whole seconds, and sample times are those of the grid.
fn between(started: Timestamp, earlier: Timestamp, later: Timestamp) -> bool {
    started >= before(earlier, START_TOLERANCE) && started <= after(later, START_TOLERANCE)
}

/// Time from the earlier to the later; none if they are the other way round.
pub fn age(earlier: Timestamp, later: Timestamp) -> Duration {
    later.duration_since(earlier).max(SignedDuration::ZERO).unsigned_abs()
}

pub fn before(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

pub fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::samples::LivePod;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What a pod counted in blocks of ten seconds from second 1,000 on.
    fn counted(values: &[f64], started: i64, restarts: u32) -> Result<Vec<u64>, Trouble> {
        let moments: Vec<Timestamp> = (0..5).map(|index| at(1_000 + 10 * index)).collect();
        let points = moments.iter().zip(values).map(|(at, value)| Point { at: *at, value: *value }).collect();
        let series = Series { pod: "a".into(), part: String::new(), points };
        let scope = Scope {
            pods: Some(vec![LivePod { name: "a".into(), started: at(started), restarts }]),
            since: None,
            now: at(1_040),
            horizon: Duration::from_secs(3_600),
            memory_limit: None,
            clock_skew: Some(SignedDuration::ZERO),
            rolling: false,
        };
        Ok(Increments::of(std::iter::once(&series), &moments, &Metric::Requests, &scope)?.totals())
    }

    #[test]
    fn what_a_process_counted_before_the_first_moment_never_counts() {
        assert_eq!(counted(&[1e6, 1e6 + 5.0, 3.0, 4.0, 9.0], 1_015, 1).unwrap(), [5, 3, 1, 5], "it restarted since");
        assert_eq!(counted(&[1e6, 1e6 + 5.0, 1e6 + 6.0, 1e6 + 6.0, 1e6 + 9.0], 400, 0).unwrap(), [5, 1, 0, 3]);
    }
}
