//! How much of the service a canary really has: by its pods, by a router, and by the requests that its pods count.
//!
//! A canary that gets next to no traffic proves nothing, and one that gets far more than its step says puts more at
//! risk than anybody has agreed to. Nothing is sampled for this: the requests are those that other conditions have
//! brought. It does not know how anything is worded.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::Serialize;

use super::declaration::{Exposure, Rollout};
use super::standing::{Standing, StandingPlace};
use super::workload::{Pod, Workload};
use crate::judge::condition::Metric;
use crate::judge::counts::{Increments, age};
use crate::judge::evidence::as_float;
use crate::judge::quality;
use crate::judge::samples::{Group, Look, Series};
use crate::judge::verdict::{Gap, Trouble};

/// Standard deviations that a 99 % interval reaches to either side.
const SURE: f64 = 2.576;
/// Requests that count as one: they come in sessions and over kept connections, and are not independent.
const CLUMP: f64 = 10.0;
/// A share is too great when it is so many times the expected one, and so much more of everything.
const TOO_MANY_TIMES: f64 = 1.5;
const TOO_MUCH_MORE: f64 = 0.05;
/// It is too small below this part of the expected one, once the stable pods have served so many requests.
const TOO_SMALL_A_PART: f64 = 1.0 / 3.0;
const ENOUGH_REQUESTS: u64 = 1_000;
/// For so many scrape intervals nothing is said: the samples of two groups are not of the same moment.
const INTERVALS: u32 = 8;
/// For how long a pod may have no series of its own before that is remarkable.
const UNSEEN_SECONDS: u64 = 120;

/// The share of the service that a canary has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CanaryShare {
    /// What the step says.
    pub declared: Exposure,
    /// Pods that are ready.
    pub canary_pods: usize,
    pub all_pods: usize,
    /// What divides the traffic, where that is declared, and the share that it gives the canary, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routed: Option<f64>,
    /// None where no condition has brought the requests, or they make no sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Why the canary cannot be judged like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uneven: Option<Uneven>,
}

/// Requests since the exposure was complete.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    pub canary_requests: u64,
    pub all_requests: u64,
    /// Bounds of the canary's share with 99 % confidence, 0 to 1.
    pub low: f64,
    pub high: f64,
    /// The share that the router gives it, or else that of its pods in the same time; None where neither is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
}

/// In what way a share is proven not to be what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Uneven {
    TooGreat,
    TooSmall,
    /// No pod of the canary tells of any request, while the others have served so many.
    Unseen {
        others: u64,
    },
}

/// Whether a part of the service only is exposed where the rollout stands.
pub fn is_partial(rollout: &Rollout, place: Option<&StandingPlace>) -> bool {
    place.is_some_and(|place| rollout.phases[place.phase].steps[place.step].is_canary())
}

/// Whether canary pods are judged apart from the stable ones: where a part of the service only is exposed, be any of them
/// there or not; and wherever somebody has put a canary beside the service by hand.
pub fn is_judged_apart(rollout: &Rollout, workload: &Workload, place: Option<&StandingPlace>) -> bool {
    is_partial(rollout, place) || is_made_by_hand(workload)
}

/// Whether canary pods live of which there is no record.
pub fn is_made_by_hand(workload: &Workload) -> bool {
    workload.canary_record.is_none() && !workload.canary.is_empty()
}

/// Whether the recorded canary was seen to run as it is to.
pub fn has_arrived(workload: &Workload) -> bool {
    workload.recorded_canary().and_then(|record| record.canary()).is_some_and(|canary| canary.arrived)
}

impl CanaryShare {
    /// None where no part of the service is exposed apart, and of a past time.
    pub fn of(rollout: &Rollout, workload: &Workload, standing: &Standing, look: &Look) -> Option<Self> {
        let place = standing.place.as_ref().filter(|place| is_partial(rollout, Some(*place)))?;
        let stable = look.stable.as_ref()?;
        let ready = |pods: &mut dyn Iterator<Item = &Pod>| pods.filter(|pod| pod.ready).count();
        let canary_pods = ready(&mut workload.live_canary());
        let routed = workload.split.as_ref().and_then(|split| split.as_ref().ok()).map(|split| split.percent / 100.0);
        let mut share = Self {
            declared: rollout.phases[place.phase].steps[place.step].exposure,
            canary_pods,
            all_pods: canary_pods + ready(&mut workload.live_pods()),
            router: rollout.header.router.as_ref().map(super::router::Router::object),
            routed,
            measured: None,
            uneven: None,
        };
        // Of a canary that is still on its way, or has no pod that serves, others tell what is the matter.
        if canary_pods > 0 && has_arrived(workload) {
            share.measure(&look.judged, stable);
        }
        Some(share)
    }

    /// By pods alone, 0 to 1; none where none is ready.
    pub fn by_pods(&self) -> f64 {
        if self.all_pods == 0 { 0.0 } else { as_float(self.canary_pods as u64) / as_float(self.all_pods as u64) }
    }

    fn measure(&mut self, canary: &Group, stable: &Group) {
        let Some(since) = canary.scope.since else { return };
        for metric in [Metric::Requests, Metric::Buckets] {
            let Ok(others) = Counted::of(stable, &metric, since) else { continue };
            match Counted::of(canary, &metric, since) {
                Ok(own) => {
                    let known = own.known.max(others.known);
                    let (own, others) = (own.from(known), others.from(known));
                    let measured = self.measured(&own, &others);
                    self.measured = Some(measured).filter(|measured| measured.all_requests > 0);
                    let begun = canary.samples.moments_since(since).get(known).copied();
                    if begun.is_some_and(|begun| was_read_often(canary, begun) && was_read_often(stable, begun)) {
                        self.uneven = measured.uneven();
                    }
                    return;
                }
                Err(Trouble::Gap(Gap::NoSeries { .. })) => {
                    let others = others.requests();
                    let long = age(since, canary.scope.now).as_secs() >= UNSEEN_SECONDS;
                    if long && others >= ENOUGH_REQUESTS && was_read_often(stable, since) {
                        self.uneven = Some(Uneven::Unseen { others });
                    }
                }
                Err(_) => {}
            }
        }
    }

    fn measured(&self, own: &Counted, others: &Counted) -> Measured {
        let (canary_requests, all_requests) = (own.requests(), own.requests() + others.requests());
        let (low, high) = interval(canary_requests, all_requests);
        let expected = match self.router {
            None => own.of_pods(others),
            Some(_) => self.routed,
        };
        Measured { canary_requests, all_requests, low, high, expected }
    }
}

impl Measured {
    /// 0 to 1; none of no request.
    pub fn share(&self) -> f64 {
        if self.all_requests == 0 { 0.0 } else { as_float(self.canary_requests) / as_float(self.all_requests) }
    }

    fn uneven(&self) -> Option<Uneven> {
        let expected = self.expected?;
        let enough = self.all_requests - self.canary_requests >= ENOUGH_REQUESTS;
        if self.low > expected * TOO_MANY_TIMES && self.low > expected + TOO_MUCH_MORE {
            Some(Uneven::TooGreat)
        } else if enough && self.high < expected * TOO_SMALL_A_PART {
            Some(Uneven::TooSmall)
        } else {
            None
        }
    }
}

/// What a group served in each block of time, and how many of its pods there were.
struct Counted {
    requests: Vec<u64>,
    pods: Vec<u64>,
    /// The first block of which it is known what all of them served: a pod that was there before is told of late, and
    /// its first sample counts what it served before as well.
    known: usize,
}

impl Counted {
    fn of(group: &Group, metric: &Metric, since: Timestamp) -> Result<Self, Trouble> {
        let Group { scope, samples } = group;
        let sources = if *metric == Metric::Requests { Metric::RequestSources } else { Metric::BucketSources };
        let moments = samples.moments_since(since);
        let is_whole = |series: &&Series| *metric == Metric::Requests || series.part == "+Inf";
        let series = || samples.get(metric).map(|series| series.iter().filter(is_whole));
        let counted = Increments::of(series()?, moments, metric, scope)?;
        quality::one_source(&sources, scope, samples)?;
        scope.all_in(metric, |pod| counted.has(pod))?;
        let mut pods = vec![0; moments.len().saturating_sub(1)];
        let mut known = 0;
        for series in series()? {
            let has_point = |moment: &Timestamp| series.points.binary_search_by_key(moment, |point| point.at).is_ok();
            let first = moments.iter().position(has_point).unwrap_or(moments.len());
            let live = scope.pods.iter().flatten().find(|live| live.name == series.pod);
            let (came, gone) = match live {
                Some(live) if live.started <= since => {
                    known = known.max(first);
                    (first, pods.len())
                }
                Some(live) => (moments.partition_point(|moment| *moment < live.started).min(first), pods.len()),
                // One that has gone is told of for a while longer: it was there as long as it served.
                None => (first, counted.served_until(&series.pod)),
            };
            pods.iter_mut().take(gone).skip(came.saturating_sub(1)).for_each(|count| *count += 1);
        }
        let mut requests = counted.totals();
        requests.resize(pods.len(), 0);
        Ok(Self { requests, pods, known })
    }

    /// Without the blocks before this one.
    fn from(mut self, block: usize) -> Self {
        self.requests.drain(..block.min(self.requests.len()));
        self.pods.drain(..block.min(self.pods.len()));
        self
    }

    fn requests(&self) -> u64 {
        self.requests.iter().sum()
    }

    /// Requests and pods of each block.
    fn blocks(&self) -> impl Iterator<Item = (u64, u64)> {
        self.requests.iter().copied().zip(self.pods.iter().copied())
    }

    /// The share that its number of pods gives it, weighted by when the requests came: either group may have been scaled
    /// meanwhile.
    fn of_pods(&self, others: &Self) -> Option<f64> {
        let (mut expected, mut all) = (0.0, 0.0);
        for ((own, own_pods), (others, other_pods)) in self.blocks().zip(others.blocks()) {
            let (requests, pods) = (as_float(own + others), as_float(own_pods + other_pods));
            if pods > 0.0 {
                expected += requests * as_float(own_pods) / pods;
                all += requests;
            }
        }
        (all > 0.0).then(|| expected / all)
    }
}

/// Whether enough scrapes lie between the beginning and now.
fn was_read_often(group: &Group, since: Timestamp) -> bool {
    let interval = quality::scrape_interval(&group.samples);
    interval.is_some_and(|interval| age(since, group.scope.now) >= interval * INTERVALS)
}

/// Wilson's score interval, for requests that come in clumps.
fn interval(part: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (share, clumps) = (as_float(part) / as_float(all), as_float(all) / CLUMP);
    let square = SURE * SURE / clumps;
    let center = (share + square / 2.0) / (1.0 + square);
    let reach = (share * (1.0 - share) * square + square * square / 4.0).sqrt() / (1.0 + square);
    // Without the dust of the arithmetic.
    ((center - reach).clamp(0.0, share), (center + reach).clamp(share, 1.0))
}
