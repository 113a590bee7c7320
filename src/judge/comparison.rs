//! The canary beside the stable pods, over the same minutes.
//!
//! Whatever strikes both alike cancels: the time of day, a slow database, an attack. It does not know which pods are
//! which.

mod edge;
mod split;
mod traffic;

#[cfg(test)]
mod calibration;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use super::condition::{Condition, Method, Metric, Quantile, Role, Share};
use super::counts::{self, Increments, Window, age};
use super::dispersion;
use super::error_rate;
use super::evidence::{self, Bursts, Tally, as_float};
use super::latency::{self, Histogram};
use super::quality::{self, Quality};
use super::samples::{Group, Samples, Scope};
use super::verdict::{Comparison, Evidence, Fault, Finding, Gap, Judgement, Trouble};
use edge::Tail;
use split::{Pair, Side, Split, Stretch};

/// A share of events that does not count against a canary which had none. On a service that makes no errors there is
/// nothing to compare, however long one waits: no bound on the ratio ever closes, since both bounds shrink together. So a
/// canary without a single event passes as soon as it is sure to have fewer than this, whatever the stable pods have:
/// after 3,796 requests at 95 % confidence. Of a canary with more than this share less than half of α passes so.
const NEGLIGIBLE: f64 = 0.001;

/// The canary's share of errors is at most `factor` times that of the stable pods.
///
/// # Errors
/// [`Gap::NoBaseline`] without a canary beside stable pods, and whatever makes the samples of either group worthless.
pub fn judge_error_rate(
    condition: &Condition,
    factor: f64,
    window: Window,
    scope: &Scope,
    samples: &Samples,
    stable: Option<&Group>,
) -> Result<Judgement, Trouble> {
    let stable = baseline(condition, stable)?;
    let moments = samples.moments_since(scope.since.unwrap_or(window.from));
    let (requests, errors) = error_rate::count(moments, scope, samples)?;
    let (stable_requests, stable_errors) = error_rate::count(moments, &stable.scope, &stable.samples)?;
    errors.are_part_of(&requests)?;
    stable_errors.are_part_of(&stable_requests)?;
    let quality = quality_of_both(condition, &Metric::RequestTimes, window, (scope, samples), stable)?;
    let measured = Measured {
        moments,
        blocks: blocks(moments, [&errors, &requests], [&stable_errors, &stable_requests]),
        split: Split {
            limit: factor,
            bursts: mean(dispersion::bursts(
                samples.if_any(&Metric::RequestsBefore),
                samples.if_any(&Metric::ErrorsBefore),
            )),
        },
        quality,
        latency: None,
    };
    Ok(Test::new(condition, window, scope, &stable.scope, measured)?.judge())
}

/// The canary's quantile is at most `factor` times that of the stable pods: judged on the share of requests that take
/// longer than a bucket edge near it (see `edge`).
///
/// # Errors
/// As [`judge_error_rate`]; [`Fault::Malformed`] if the two groups have different buckets, [`Gap::BetweenBuckets`] if the
/// buckets are too wide to tell.
pub fn judge_latency(
    condition: &Condition,
    quantile: Quantile,
    factor: f64,
    window: Window,
    scope: &Scope,
    samples: &Samples,
    stable: Option<&Group>,
) -> Result<Judgement, Trouble> {
    let stable = baseline(condition, stable)?;
    let moments = samples.moments_since(scope.since.unwrap_or(window.from));
    let canary_histogram = Histogram::of(scope, samples)?;
    let stable_histogram = Histogram::of(&stable.scope, &stable.samples)?;
    if !canary_histogram.edges().eq(stable_histogram.edges()) {
        let detail = "canary and stable pods have different histogram buckets".to_owned();
        return Err(Fault::Malformed { detail }.into());
    }
    // Counts that cannot be are told as such, before anything is drawn from them.
    for edge in canary_histogram.edges() {
        canary_histogram.slower_than(edge, moments, scope)?;
    }
    // The edge is chosen on the same requests that the evidence stands on: it does not jump as the window moves on.
    let since = Window { from: moments.first().copied().unwrap_or(window.from), to: window.to };
    let tail = stable_histogram.edges().map(|edge| {
        let (slower, all) = stable_histogram.slower_than(edge, moments, &stable.scope)?;
        let sum = |counts: &Increments<'_>| as_float(counts.totals().iter().sum());
        Ok((edge, sum(&slower) / sum(&all).max(1.0)))
    });
    let tail = Tail::of(tail.collect::<Result<Vec<_>, Trouble>>()?.into_iter());
    let Some(of_stable) = stable_histogram.interpolate(quantile.get(), since)? else {
        return Err(Gap::NoTraffic.into());
    };
    let edge = tail.edge(of_stable, factor, quantile.allowance().get())?;
    let (slower, requests) = canary_histogram.slower_than(edge.seconds, moments, scope)?;
    let (stable_slower, stable_requests) = stable_histogram.slower_than(edge.seconds, moments, &stable.scope)?;
    let quality = quality_of_both(condition, &Metric::BucketTimes, window, (scope, samples), stable)?;
    let of_canary = canary_histogram.interpolate(quantile.get(), window)?;
    let quantiles = of_canary.zip(stable_histogram.interpolate(quantile.get(), window)?);
    let measured = Measured {
        moments,
        blocks: blocks(moments, [&slower, &requests], [&stable_slower, &stable_requests]),
        split: Split { limit: edge.limit, bursts: mean(latency::bursts(samples, edge.seconds)) },
        quality,
        latency: Some(Latency { edge_seconds: edge.seconds, quantiles, factor }),
    };
    Ok(Test::new(condition, window, scope, &stable.scope, measured)?.judge())
}

/// Where nothing is known of bursts there are none.
fn mean(bursts: Option<Bursts>) -> f64 {
    bursts.unwrap_or(Bursts::NONE).mean()
}

/// The stable pods, if they are fit to be compared with.
fn baseline<'a>(condition: &Condition, stable: Option<&'a Group>) -> Result<&'a Group, Gap> {
    let stable = stable.ok_or(Gap::NoBaseline)?;
    match counts::window(condition.window, &stable.scope) {
        Ok(_) => Ok(stable),
        Err(Gap::NoPods) => Err(Gap::NoBaseline),
        Err(gap) => Err(gap),
    }
}

fn quality_of_both(
    condition: &Condition,
    metric: &Metric,
    window: Window,
    (scope, samples): (&Scope, &Samples),
    stable: &Group,
) -> Result<Quality, Trouble> {
    let canary = quality::of_evidence(condition, metric, window, scope, samples)?;
    let stable = quality::of_evidence(condition, metric, window, &stable.scope, &stable.samples)?;
    Ok(Quality { coverage: canary.coverage.min(stable.coverage), newest: canary.newest.min(stable.newest) })
}

/// The counts between neighbouring moments; of each group its events and its requests.
fn blocks(moments: &[Timestamp], canary: [&Increments<'_>; 2], stable: [&Increments<'_>; 2]) -> Vec<Pair> {
    let (canary, stable) = (canary.map(Increments::totals), stable.map(Increments::totals));
    let side = |[events, requests]: &[Vec<u64>; 2], index: usize| {
        let of = |totals: &[u64]| totals.get(index).copied().unwrap_or_default();
        Side { events: of(events), requests: of(requests) }
    };
    (1..moments.len()).map(|end| Pair { canary: side(&canary, end - 1), stable: side(&stable, end - 1) }).collect()
}

/// What was counted since evidence began, and what it is held against.
struct Measured<'a> {
    moments: &'a [Timestamp],
    blocks: Vec<Pair>,
    split: Split,
    quality: Quality,
    latency: Option<Latency>,
}

struct Latency {
    edge_seconds: f64,
    /// Of canary and stable pods in the window, interpolated, in seconds.
    quantiles: Option<(f64, f64)>,
    /// The greatest ratio of the two that is allowed.
    factor: f64,
}

/// What a gate's evidence amounts to, as a likelihood ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Proof {
    Above(f64),
    Below(f64),
    /// That of compliance.
    Neither(f64),
}

struct Test<'a> {
    condition: &'a Condition,
    window: Window,
    scope: &'a Scope,
    measured: Measured<'a>,
    /// Likelihood ratio that a verdict needs.
    needed: f64,
    since: Pair,
    in_window: Pair,
    stretches: Vec<Stretch>,
    window_stretches: Vec<Stretch>,
    uneven_traffic: Option<(f64, f64)>,
}

impl<'a> Test<'a> {
    fn new(
        condition: &'a Condition,
        window: Window,
        scope: &'a Scope,
        stable: &Scope,
        measured: Measured<'a>,
    ) -> Result<Self, Trouble> {
        let Measured { moments, blocks, .. } = &measured;
        let first = moments.partition_point(|moment| *moment < window.from).min(blocks.len());
        let (since, in_window) = (Pair::sum(blocks), Pair::sum(&blocks[first..]));
        for Side { events, requests } in [in_window.canary, in_window.stable, since.canary, since.stable] {
            if events > requests {
                return Err(Gap::ImpossibleCount { events, requests }.into());
            }
        }
        if in_window.canary.requests == 0 {
            return Err(Gap::NoTraffic.into());
        }
        let needed = condition.needed();
        let pods = |scope: &Scope| scope.pods.as_ref().map_or(0, Vec::len);
        Ok(Self {
            condition,
            window,
            scope,
            needed,
            since,
            in_window,
            stretches: split::stretches(moments, blocks),
            window_stretches: split::stretches(&moments[first..], &blocks[first..]),
            uneven_traffic: traffic::uneven(in_window, pods(scope), pods(stable), needed),
            measured,
        })
    }

    fn judge(&self) -> Judgement {
        if self.in_window.stable.requests == 0 {
            return Judgement::Inconclusive(Gap::NoTraffic, Some(Box::new(self.evidence(0.0))));
        }
        match (self.condition.method, self.condition.role) {
            (Method::Sequential, Role::Gate) => self.gate(),
            (Method::Sequential, Role::Trigger) => self.trigger(),
            (Method::Threshold | Method::Interpolated, role) => self.plain(role),
        }
    }

    fn gate(&self) -> Judgement {
        match self.proof() {
            Proof::Above(violation) => Judgement::Unmet(self.evidence(violation)),
            Proof::Below(compliance) => Judgement::Met(self.evidence(compliance)),
            Proof::Neither(compliance) => {
                Judgement::Inconclusive(self.missing_for_compliance(), Some(Box::new(self.evidence(compliance))))
            }
        }
    }

    /// A ratio above the limit is proven where the window's own is above it as well; one below the limit by everything
    /// since the change, where the window's own is below it as well.
    fn proof(&self) -> Proof {
        let (limit, enough) = (self.measured.split.limit, self.enough(self.since));
        let violation = self.violation();
        if violation >= self.needed && self.in_window.is_above(limit) && enough {
            return Proof::Above(violation);
        }
        let compliance = self.measured.split.compliance(&self.stretches).max(self.flawless());
        if compliance >= self.needed && self.in_window.is_below(limit) && enough {
            return Proof::Below(compliance);
        }
        Proof::Neither(compliance)
    }

    /// Firing where a ratio above the limit is proven and the window's own is above it as well; quiet where the window's
    /// own is not.
    fn trigger(&self) -> Judgement {
        let violation = self.violation();
        let (above, enough) = (self.in_window.is_above(self.measured.split.limit), self.enough(self.since));
        let found = self.evidence(violation);
        match (above, enough) {
            (true, true) if violation >= self.needed => Judgement::Met(found),
            (false, true) => Judgement::Unmet(found),
            _ => {
                let gap = Gap::MoreRequests { have: self.since.canary.requests, more: None, about: None };
                Judgement::Inconclusive(gap, Some(Box::new(found)))
            }
        }
    }

    /// The estimate over the window against the limit, and nothing else.
    fn plain(&self, role: Role) -> Judgement {
        let found = self.evidence(0.0);
        if !self.enough(self.in_window) {
            let have = self.in_window.canary.requests;
            let more = Some(self.condition.min_requests.saturating_sub(have));
            let gap = Gap::MoreRequests { have, more, about: self.time_for(more) };
            return Judgement::Inconclusive(gap, Some(Box::new(found)));
        }
        let above = match (self.condition.method, &self.measured.latency) {
            (Method::Interpolated, Some(Latency { quantiles: Some((canary, stable)), factor, .. })) => {
                *canary > stable * factor
            }
            _ => self.in_window.is_above(self.measured.split.limit),
        };
        if above == (role == Role::Trigger) { Judgement::Met(found) } else { Judgement::Unmet(found) }
    }

    fn violation(&self) -> f64 {
        self.measured.split.violation(&self.stretches, self.scope.horizon)
    }

    /// Evidence that a canary without any event has a share below [`NEGLIGIBLE`]; none of any other canary.
    fn flawless(&self) -> f64 {
        let Side { events, requests } = self.since.canary;
        let (tally, bursts) = (Tally::of(events, requests), self.bursts());
        negligible().filter(|_| events == 0).map_or(0.0, |limit| evidence::of_compliance(tally, limit, bursts))
    }

    /// Of all pods together before the change: what strikes canary and stable pods alike is no burst of either, so this
    /// errs towards waiting.
    fn bursts(&self) -> Bursts {
        Bursts::of_mean(self.measured.split.bursts)
    }

    fn enough(&self, counts: Pair) -> bool {
        counts.canary.requests >= self.condition.min_requests
    }

    fn missing_for_compliance(&self) -> Gap {
        let have = self.since.canary.requests;
        let below = self.in_window.is_below(self.measured.split.limit);
        let minimum = self.condition.min_requests.saturating_sub(have).max(1);
        let more = self.missing().filter(|_| below).map(|more| more.max(minimum));
        Gap::MoreRequests { have, more, about: self.time_for(more) }
    }

    /// How many more canary requests prove compliance, if everything goes on as in the window; None if they never do.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count below 2^53")]
    fn missing(&self) -> Option<u64> {
        let split = &self.measured.split;
        let times = split.repetitions_to_comply(&self.stretches, &self.window_stretches, self.needed);
        let compared = times.map(|times| (times * as_float(self.in_window.canary.requests)).ceil() as u64);
        let flawless = negligible().filter(|_| self.since.canary.events == 0).map(|limit| {
            let least = evidence::least_requests(limit, self.needed, self.bursts());
            least.saturating_sub(self.since.canary.requests)
        });
        compared.into_iter().chain(flawless).min()
    }

    /// How long so many canary requests take at the window's traffic.
    fn time_for(&self, more: Option<u64>) -> Option<Duration> {
        let seconds = age(self.window.from, self.window.to).as_secs_f64();
        let needed = as_float(more?) / as_float(self.in_window.canary.requests) * seconds;
        Duration::try_from_secs_f64(needed.ceil()).ok()
    }

    fn evidence(&self, evidence: f64) -> Evidence {
        let Measured { moments, split, quality, latency, .. } = &self.measured;
        let Pair { canary, stable } = self.in_window;
        let (low, high) = split::bounds(&self.window_stretches, split.bursts, self.needed);
        Evidence {
            from: self.window.from,
            to: self.window.to,
            coverage: Some(quality.coverage),
            newest: quality.newest,
            apart: None,
            finding: Finding::Comparison(Comparison {
                canary_events: canary.events,
                canary_requests: canary.requests,
                stable_events: stable.events,
                stable_requests: stable.requests,
                ratio: self.in_window.ratio(),
                low,
                high,
                limit: split.limit,
                evidence,
                needed: self.needed,
                since: moments.first().copied().unwrap_or(self.window.from),
                bursts: split.bursts,
                edge_seconds: latency.as_ref().map(|latency| latency.edge_seconds),
                quantile_seconds: latency.as_ref().and_then(|latency| latency.quantiles),
                uneven_traffic: self.uneven_traffic,
            }),
        }
    }
}

fn negligible() -> Option<Share> {
    Share::new(NEGLIGIBLE)
}
