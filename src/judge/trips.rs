//! Breakers that stop being closed, and whether what they guard was healthy then.
//!
//! Trips are counted as `blocks` tells it, so that none at all is only said where none can have been. Whether a trip
//! was false is unknown where neither the declared query nor the breaker's own calls tell it; then there is no verdict
//! that hangs on it, and a gate that has no query to ask takes the trip for a false one. It does not know how states
//! are told by a library.

mod blocks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::iter::once;

use jiff::Timestamp;

use self::blocks::{Seen, Walk, walk};
use super::breaker::{check_encoding, same};
use super::condition::{Comparison, Condition, Encoding, Measure, Metric, Role};
use super::counts::{Increments, Window};
use super::evidence::as_float;
use super::quality;
use super::samples::{Samples, Scope, Series};
use super::verdict::{Evidence, Fault, Finding, Gap, Judgement, Trip, Trouble};

/// Below this share of failed calls the dependency was healthy: it is what the rollout strategy calls a high failure
/// rate, and the least at which a breaker is meant to trip.
const HEALTHY_FAILURES: f64 = 0.10;
/// Least share of the blocks with samples in which a state has to be seen.
const COVERAGE: f64 = 0.9;

/// Holds the number of trips in the window against the limit.
///
/// # Errors
/// [`Gap::BreakerTraffic`] for a gate on a breaker that saw too few calls, at least one; [`Fault::Malformed`] for a
/// state that is not declared, and where the state that means closed lies between the two others.
pub fn judge(
    condition: &Condition,
    measure: &Measure,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let Measure::Trips { breaker, only_false, health, encoding, comparison, limit } = measure else {
        return Err(Fault::NotDeclared { indicator: "breakers" }.into());
    };
    let times = Metric::BreakerTimes { breaker: breaker.clone() };
    let instances = instances(breaker, *encoding, scope, samples)?;
    let quality = quality::of_times(&times, window, scope, samples)?;
    check_seen(&instances, &times, window, scope, samples)?;
    let calls = Calls { breaker, scope, samples };
    let requests = calls.in_window(window);
    let requests = match condition.role {
        Role::Gate => {
            let (have, need) = (requests?, condition.min_requests.max(1));
            if have < need {
                return Err(Gap::BreakerTraffic { have, need }.into());
            }
            Some(have)
        }
        Role::Trigger => requests.ok(),
    };

    // The health may be missing where no count depends on it.
    let health = health.as_deref().filter(|_| *only_false);
    let first = samples.moments().partition_point(|moment| *moment <= window.from);
    let mut found = Found::default();
    for ((pod, part), instance) in &instances {
        let Walk { trips, unclear } = walk(instance.begin, &instance.blocks, first);
        for block in trips {
            found.trips.push((block, calls.trip(pod, part, block, health)?));
        }
        if let Some(block) = unclear {
            found.unclear.push(calls.trip(pod, part, block, health)?);
        }
    }
    found.trips.sort_by_key(|(block, _)| *block);
    let gate_without_query = condition.role == Role::Gate && health.is_none();
    let (least, most) = if *only_false { found.false_ones(gate_without_query) } else { found.all() };
    let finding = Finding::Trips {
        counted: least,
        watched: instances.len(),
        requests,
        trips: found.trips.into_iter().map(|(_, trip)| trip).collect(),
    };
    let Window { from, to } = window;
    let evidence =
        Evidence { from, to, coverage: Some(quality.coverage), newest: quality.newest, finding, apart: None };
    Ok(verdict(*comparison, *limit, (least, most), evidence))
}

/// A verdict only where every number that there may have been gives the same one.
fn verdict(comparison: Comparison, limit: u64, (least, most): (u64, u64), evidence: Evidence) -> Judgement {
    let holds = |count: u64| comparison.holds(as_float(count), as_float(limit));
    if (least..=most).all(holds) {
        Judgement::Met(evidence)
    } else if (least..=most).any(holds) {
        Judgement::Inconclusive(Gap::TripsUnclear { least, most }, Some(Box::new(evidence)))
    } else {
        Judgement::Unmet(evidence)
    }
}

/// Trips of all instances.
#[derive(Default)]
struct Found {
    /// With the index of their block.
    trips: Vec<(usize, Trip)>,
    /// One for each instance without a certain trip that may have had one.
    unclear: Vec<Trip>,
}

impl Found {
    /// How many there were at least, and how many instances may have tripped besides.
    fn all(&self) -> (u64, u64) {
        let least = self.trips.len() as u64;
        (least, least + self.unclear.len() as u64)
    }

    /// The same of those whose dependency was healthy.
    fn false_ones(&self, unknown_is_false: bool) -> (u64, u64) {
        let trips = || self.trips.iter().map(|(_, trip)| trip.healthy);
        let least = trips().filter(|healthy| healthy.unwrap_or(unknown_is_false)).count();
        let possibly = |healthy: &Option<bool>| *healthy != Some(false);
        let most = trips().chain(self.unclear.iter().map(|trip| trip.healthy)).filter(possibly).count();
        (least as u64, most.max(least) as u64)
    }
}

/// One breaker of one pod.
struct Instance {
    /// States that it may have been in before the first block.
    begin: Seen,
    /// One block for each moment of the grid, which ends there.
    blocks: Vec<Seen>,
}

/// What was seen of every instance in each block.
fn instances<'a>(
    breaker: &str,
    encoding: Encoding,
    scope: &Scope,
    samples: &'a Samples,
) -> Result<BTreeMap<(&'a str, &'a str), Instance>, Trouble> {
    let moments = samples.moments();
    // States that come as labels may have no series before the breaker is in them; `check_seen` finds a real lack.
    let states = |metric: &Metric| match samples.get(metric) {
        Err(Trouble::Gap(Gap::NoSeries { .. })) => Ok(&[] as &[Series]),
        answer => answer,
    };
    let highest = states(&Metric::BreakerHighest { breaker: breaker.to_owned() })?;
    let lowest = states(&Metric::BreakerLowest { breaker: breaker.to_owned() })?;
    check_encoding(highest, encoding)?;
    check_encoding(lowest, encoding)?;
    let Encoding { closed, half_open, open } = encoding;
    // The end of the scale that shows a closed breaker, and the one that shows any other.
    let (of_closed, of_other) = if closed < half_open.min(open) {
        (lowest, highest)
    } else if closed > half_open.max(open) {
        (highest, lowest)
    } else {
        let detail = "trips cannot be counted where the value of closed lies between the two others".to_owned();
        return Err(Fault::Malformed { detail }.into());
    };
    let mut seen: BTreeMap<(&str, &str), Vec<Seen>> = BTreeMap::new();
    let mut note = |series: &'a [Series], note: fn(&mut Seen, bool)| {
        for Series { pod, part, points } in series {
            let blocks = seen.entry((pod, part)).or_insert_with(|| vec![Seen::default(); moments.len()]);
            for point in points {
                let index = moments.partition_point(|moment| *moment < point.at);
                if let Some(block) = blocks.get_mut(index) {
                    note(block, same(point.value, closed));
                }
            }
        }
    };
    note(of_closed, |block, closed| block.closed |= closed);
    note(of_other, |block, closed| block.other |= !closed);
    Ok(seen
        .into_iter()
        .map(|((pod, part), blocks)| ((pod, part), Instance::new(pod, blocks, moments, scope)))
        .collect())
}

/// Whether a state was seen in the blocks in which samples were taken: times without states prove no breaker closed.
fn check_seen(
    instances: &BTreeMap<(&str, &str), Instance>,
    times: &Metric,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<(), Trouble> {
    let moments = samples.moments();
    for Series { pod, part, points } in samples.get(times)?.iter().filter(|series| scope.covers(&series.pod)) {
        let instance = instances.get(&(pod.as_str(), part.as_str()));
        let (mut taken, mut seen) = (0, 0);
        for point in points.iter().filter(|point| window.contains(point.at)) {
            let block = moments.partition_point(|moment| *moment < point.at);
            let Some(before) = block.checked_sub(1).and_then(|before| moments.get(before)) else { continue };
            if point.value > before.as_duration().as_secs_f64() {
                taken += 1;
                seen += u64::from(instance.is_some_and(|instance| instance.has_seen(block)));
            }
        }
        let have = if taken > 0 { as_float(seen) / as_float(taken) } else { 0.0 };
        if have < COVERAGE {
            let (metric, pod) = (times.label().to_owned(), pod.clone());
            return Err(Gap::Coverage { metric, pod, have, need: COVERAGE }.into());
        }
    }
    Ok(())
}

impl Instance {
    /// A process begins with its breakers closed, whatever its first sample says.
    fn new(pod: &str, mut blocks: Vec<Seen>, moments: &[Timestamp], scope: &Scope) -> Self {
        let appears = blocks.iter().position(|block| block.anything()).unwrap_or_default();
        let started = scope.pods.iter().flatten().find(|live| live.name == pod).map(|live| {
            let block = moments.partition_point(|moment| *moment < live.started);
            (1..blocks.len()).contains(&block).then_some(block)
        });
        let newborn = match started {
            Some(None) => false,
            Some(Some(block)) => {
                blocks[block].closed = true;
                block <= appears
            }
            // A pod that has gone, and was not there at first, came in between; of a past time nothing is known.
            None => scope.pods.is_some() && appears > 0,
        };
        let begin = if newborn { Seen::CLOSED } else { blocks.get(appears).copied().unwrap_or_default() };
        Self { begin, blocks }
    }

    fn has_seen(&self, block: usize) -> bool {
        self.blocks.get(block).is_some_and(|seen| seen.anything())
    }
}

/// The calls of the breaker and the health of what it guards.
struct Calls<'a> {
    breaker: &'a str,
    scope: &'a Scope,
    samples: &'a Samples,
}

impl Calls<'_> {
    fn requests(&self) -> Metric {
        Metric::BreakerRequests { breaker: self.breaker.to_owned() }
    }

    fn failures(&self) -> Metric {
        Metric::BreakerFailures { breaker: self.breaker.to_owned() }
    }

    /// Calls of all instances in the window.
    fn in_window(&self, window: Window) -> Result<u64, Trouble> {
        let metric = self.requests();
        let counted = self.samples.get(&metric)?.iter();
        let moments = self.samples.moments_since(window.from);
        Ok(Increments::of(counted, moments, &metric, self.scope)?.totals().iter().sum())
    }

    /// A trip in this block, with what is known of the dependency then.
    ///
    /// # Errors
    /// The trouble that the declared query met, and [`Gap::SeveralSeries`] if it does not give exactly one series.
    fn trip(&self, pod: &str, part: &str, block: usize, health: Option<&str>) -> Result<Trip, Trouble> {
        let count = |metric: &Metric| self.just_before(metric, pod, part, block);
        let (requests, failures) = (count(&self.requests()), count(&self.failures()));
        let healthy = match (health, requests, failures) {
            (Some(promql), _, _) => self.healthy(promql, block)?,
            (None, Some(requests), Some(failures)) if requests > 0 => {
                Some(as_float(failures) / as_float(requests) < HEALTHY_FAILURES)
            }
            (None, _, _) => None,
        };
        let at = self.samples.moments().get(block).copied().unwrap_or(self.scope.now);
        Ok(Trip { pod: pod.to_owned(), breaker: part.to_owned(), at, healthy, requests, failures })
    }

    /// What one instance counted in this block and the one before; None where that is unknown.
    fn just_before(&self, metric: &Metric, pod: &str, part: &str, block: usize) -> Option<u64> {
        let moments = self.samples.moments().get(block.saturating_sub(2)..=block)?;
        let of_instance = |series: &&Series| series.pod == pod && series.part == part;
        let series = self.samples.if_any(metric).iter().find(of_instance)?;
        let (from, to) = (*moments.first()?, *moments.last()?);
        // Increments take everything from the first moment on.
        let points: Vec<_> = series.points.iter().copied().filter(|point| point.at >= from && point.at <= to).collect();
        if points.is_empty() {
            return None;
        }
        let clipped = Series { pod: series.pod.clone(), part: series.part.clone(), points };
        Some(Increments::of(once(&clipped), moments, metric, self.scope).ok()?.totals().iter().sum())
    }

    /// Whether the dependency was healthy at both ends of the block; None where one of them is missing.
    fn healthy(&self, promql: &str, block: usize) -> Result<Option<bool>, Trouble> {
        let [series] = self.samples.get(&Metric::Health(promql.to_owned()))? else {
            let count = self.samples.if_any(&Metric::Health(promql.to_owned())).len();
            return Err(Gap::SeveralSeries { count }.into());
        };
        let at = |index: Option<usize>| {
            let moment = self.samples.moments().get(index?)?;
            series.points.iter().find(|point| point.at == *moment).map(|point| point.value > 0.0)
        };
        Ok(match (at(block.checked_sub(1)), at(Some(block))) {
            (Some(before), Some(after)) => Some(before && after),
            _ => None,
        })
    }
}
