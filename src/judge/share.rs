//! The verdict on a share of requests: errors, requests slower than a limit, failed calls of a breaker.
//!
//! It does not know where the counts come from. Where they are known only within bounds, a good verdict needs the
//! upper one and a bad verdict the lower one.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::condition::{Condition, Method, Role, Share as Limit};
use super::counts::{Increments, Window, age};
use super::detector::{self, BREACHES, Detector};
use super::dispersion;
use super::evidence::{self, Bursts, Tally, WORSE, as_float};
use super::quality::Quality;
use super::samples::Scope;
use super::verdict::{Evidence, Finding, Gap, Judgement, PodShare, Share, Trouble};

/// How many times the weight of all later starts a gate's detector puts on the change itself. Three costs a violation
/// since the change 6 % more requests than a test that looks for nothing else, and finds a later one all the same.
const WEIGHT_OF_THE_CHANGE: f64 = 3.0;

/// Counts since evidence began.
pub struct Counts<'a> {
    /// The moments between which the blocks lie.
    pub moments: &'a [Timestamp],
    /// At least this many events.
    pub least: Increments<'a>,
    /// At most this many; the same where every event was counted exactly.
    pub most: Increments<'a>,
    pub requests: Increments<'a>,
    /// The edges (in seconds) between which the limit lies, where `least` and `most` differ for that reason.
    pub between: Option<(f64, f64)>,
    pub quantile: Option<Quantile>,
    /// How events came together before the change, where that is known.
    pub bursts: Option<Bursts>,
}

/// A quantile over the window beside its limit, in seconds.
#[derive(Clone, Copy)]
pub struct Quantile {
    pub interpolated: f64,
    pub limit: f64,
}

/// Holds the share of events against `limit`.
pub fn judge(
    condition: &Condition,
    limit: Limit,
    counts: &Counts<'_>,
    window: Window,
    quality: Quality,
    scope: &Scope,
) -> Result<Judgement, Trouble> {
    let test = Test::new(condition, limit, counts, window, quality, scope)?;
    Ok(match (condition.method, condition.role) {
        (Method::Sequential, Role::Gate) => test.gate(),
        (Method::Sequential, Role::Trigger) => test.trigger(),
        (Method::Threshold | Method::Interpolated, _) => test.plain(),
    })
}

/// One block between two neighbouring moments.
#[derive(Clone, Copy)]
struct Block {
    from: Timestamp,
    to: Timestamp,
    least: u64,
    most: u64,
    requests: u64,
}

/// Sums of blocks.
#[derive(Clone, Copy, Default)]
struct Sum {
    least: u64,
    most: u64,
    requests: u64,
}

/// What a trigger's detector tells of time; a gate's evidence has none.
#[derive(Clone, Copy, Default)]
struct Alarm {
    /// The most likely beginning of the breach.
    onset: Option<Timestamp>,
    /// The last time that it fired.
    fired: Option<Timestamp>,
}

struct Test<'a> {
    condition: &'a Condition,
    limit: Limit,
    counts: &'a Counts<'a>,
    blocks: Vec<Block>,
    window: Window,
    quality: Quality,
    scope: &'a Scope,
    /// Likelihood ratio that a verdict needs.
    needed: f64,
    in_window: Sum,
    worst: Option<PodShare>,
    /// How events come together, as far as it was known before. What came since may only weaken an alarm: a lost sample
    /// that hides a burst must not make a pass.
    bursts: Bursts,
    bursts_of_violation: Bursts,
}

impl<'a> Test<'a> {
    fn new(
        condition: &'a Condition,
        limit: Limit,
        counts: &'a Counts<'a>,
        window: Window,
        quality: Quality,
        scope: &'a Scope,
    ) -> Result<Self, Trouble> {
        let (least, most, requests) = (counts.least.totals(), counts.most.totals(), counts.requests.totals());
        let blocks: Vec<Block> = counts
            .moments
            .windows(2)
            .enumerate()
            .map(|(index, pair)| {
                let of = |totals: &[u64]| totals.get(index).copied().unwrap_or_default();
                Block { from: pair[0], to: pair[1], least: of(&least), most: of(&most), requests: of(&requests) }
            })
            .collect();
        let first = blocks.partition_point(|block| block.from < window.from);
        let in_window = Sum::of(&blocks[first..]);
        for from in [0, first] {
            let (least, most) = (counts.least.by_pod_from(from), counts.most.by_pod_from(from));
            for (pod, requests) in counts.requests.by_pod_from(from) {
                let of = |counts: &BTreeMap<&str, u64>| counts.get(pod).copied().unwrap_or_default();
                if of(&least) > of(&most) || of(&most) > requests {
                    let events = of(&least).max(of(&most));
                    return Err(Gap::ImpossibleCount { events, requests }.into());
                }
            }
        }
        if in_window.requests == 0 {
            return Err(Gap::NoTraffic.into());
        }
        let worst = worst(&counts.least.by_pod_from(first), &counts.requests.by_pod_from(first));
        let since = || dispersion::bursts_since(blocks.iter().map(|block| (block.requests, block.least)));
        Ok(Self {
            bursts: counts.bursts.unwrap_or(Bursts::NONE),
            bursts_of_violation: counts.bursts.unwrap_or_else(since),
            condition,
            limit,
            counts,
            blocks,
            window,
            quality,
            scope,
            needed: condition.needed(),
            in_window,
            worst,
        })
    }

    /// Failed where a violation was proven inside the window; passed where compliance is proven by everything since the
    /// change, or since the last proven violation, and the window's own estimate is below the limit as well.
    fn gate(&self) -> Judgement {
        let violation = || {
            let head_start = WEIGHT_OF_THE_CHANGE * detector::in_minutes(self.scope.horizon);
            Detector::new(self.limit, self.limit, &WORSE, self.bursts_of_violation).with_head_start(head_start)
        };
        let all_starts = (1.0 + WEIGHT_OF_THE_CHANGE) * detector::in_minutes(self.scope.horizon);
        let (mut detector, mut begun) = (violation(), 0);
        let mut proven: Option<(usize, usize, f64)> = None;
        for (index, block) in self.blocks.iter().enumerate() {
            detector.add(block.from, block.length(), Tally::of(block.least, block.requests));
            let evidence = detector.minutes() / all_starts;
            let above = || detector.onset().is_some_and(|(_, since)| since.share() > self.limit.get());
            if evidence >= self.needed && above() {
                proven = Some((begun, index, evidence));
                (detector, begun) = (violation(), index + 1);
            }
        }
        let recently = |(_, index, _): &(usize, usize, f64)| self.blocks[*index].to > self.window.from;
        if let Some((begun, _, evidence)) = proven.filter(recently)
            && Sum::of(&self.blocks[begun..]).requests >= self.condition.min_requests
        {
            return Judgement::Unmet(self.evidence(begun, evidence, Alarm::default()));
        }
        let since = Sum::of(&self.blocks[begun..]);
        let compliance = self.compliance(since.most, since.requests);
        let enough = since.requests >= self.condition.min_requests;
        let below = self.in_window.share(self.in_window.most) < self.limit.get();
        if compliance >= self.needed && enough && below {
            return Judgement::Met(self.evidence(begun, compliance, Alarm::default()));
        }
        let found = self.evidence(begun, compliance, Alarm::default());
        Judgement::Inconclusive(self.missing_for_compliance(since, below), Some(Box::new(found)))
    }

    /// Firing where the detector is sure of a breach that began at least `for` ago, and whose share is above the limit;
    /// and the last time that this was so. That it ever is so is as unlikely for a healthy service as that it is so now.
    fn trigger(&self) -> Judgement {
        let healthy = self.condition.healthy.or_else(|| Limit::new(self.limit.get() / 2.0)).unwrap_or(self.limit);
        let mut detector = Detector::new(healthy, self.limit, &BREACHES, self.bursts_of_violation);
        let (mut seen, mut breach, mut fired) = (0, None, None);
        for block in &self.blocks {
            detector.add(block.from, block.length(), Tally::of(block.least, block.requests));
            seen += block.requests;
            breach = self.breach(&detector, seen);
            if breach.is_some_and(|onset| age(onset, block.to) >= self.condition.window) {
                fired = Some(block.to);
            }
        }
        let alarm = Alarm { onset: detector.onset().map(|(onset, _)| onset), fired };
        let found = Box::new(self.evidence(0, self.evidence_of(&detector), alarm));
        let enough = seen >= self.condition.min_requests;
        if let Some(onset) = breach {
            let have = age(onset, self.window.to);
            if have >= self.condition.window {
                return Judgement::Met(*found);
            }
            return Judgement::Inconclusive(Gap::BreachYoung { have, need: self.condition.window }, Some(found));
        }
        if enough && self.in_window.share(self.in_window.most) <= self.limit.get() {
            return Judgement::Unmet(*found);
        }
        let gap = match self.counts.between {
            Some((below, above)) if self.in_window.share(self.in_window.least) <= self.limit.get() && enough => {
                Gap::BetweenBuckets { below, above }
            }
            _ => Gap::MoreRequests { have: seen, more: None, about: None },
        };
        Judgement::Inconclusive(gap, Some(found))
    }

    /// The beginning of the breach that a trigger's detector is sure of after so many requests.
    fn breach(&self, detector: &Detector, seen: u64) -> Option<Timestamp> {
        let (onset, since) = detector.onset()?;
        let above = since.share() > self.limit.get() && seen >= self.condition.min_requests;
        (above && self.evidence_of(detector) >= self.needed).then_some(onset)
    }

    /// The likelihood ratio that a trigger's detector has reached.
    fn evidence_of(&self, detector: &Detector) -> f64 {
        detector.minutes() / detector::in_minutes(self.scope.horizon)
    }

    /// The estimate over the window against the limit, and nothing else.
    fn plain(&self) -> Judgement {
        let found = self.evidence(0, 0.0, Alarm::default());
        let limit = self.limit.get();
        let (sum, condition) = (self.in_window, self.condition);
        if sum.requests < condition.min_requests {
            let more = Some(condition.min_requests - sum.requests);
            let gap = Gap::MoreRequests { have: sum.requests, more, about: self.time_for(more) };
            return Judgement::Inconclusive(gap, Some(Box::new(found)));
        }
        let (good, bad) = match (condition.method, self.counts.quantile, condition.role) {
            (Method::Interpolated, Some(quantile), Role::Gate) => {
                (quantile.interpolated < quantile.limit, quantile.interpolated >= quantile.limit)
            }
            (Method::Interpolated, Some(quantile), Role::Trigger) => {
                (quantile.interpolated <= quantile.limit, quantile.interpolated > quantile.limit)
            }
            (_, _, Role::Gate) => (sum.share(sum.most) < limit, sum.share(sum.least) >= limit),
            (_, _, Role::Trigger) => (sum.share(sum.most) <= limit, sum.share(sum.least) > limit),
        };
        match (good, bad, condition.role) {
            (true, _, Role::Gate) | (false, true, Role::Trigger) => Judgement::Met(found),
            (true, _, Role::Trigger) | (false, true, Role::Gate) => Judgement::Unmet(found),
            (false, false, _) => {
                let (below, above) = self.counts.between.unwrap_or_default();
                Judgement::Inconclusive(Gap::BetweenBuckets { below, above }, Some(Box::new(found)))
            }
        }
    }

    fn evidence(&self, begun: usize, evidence: f64, alarm: Alarm) -> Evidence {
        let since = Sum::of(&self.blocks[begun..]);
        let bound =
            |events: u64| evidence::bounds(Tally::of(events, self.in_window.requests), self.needed, self.bursts);
        Evidence {
            from: self.window.from,
            to: self.window.to,
            coverage: Some(self.quality.coverage),
            newest: self.quality.newest,
            apart: None,
            finding: Finding::Share(Share {
                events: self.in_window.least,
                requests: self.in_window.requests,
                low: bound(self.in_window.least).0,
                high: bound(self.in_window.most).1,
                evidence,
                needed: self.needed,
                since: self.blocks.get(begun).map_or(self.window.to, |block| block.from),
                events_since: since.least,
                requests_since: since.requests,
                bursts: self.bursts_of_violation.mean(),
                onset: alarm.onset,
                fired: alarm.fired,
                quantile_seconds: self.counts.quantile.map(|quantile| quantile.interpolated),
                worst: self.worst.clone(),
            }),
        }
    }

    fn missing_for_compliance(&self, since: Sum, below: bool) -> Gap {
        match self.counts.between {
            Some((below, above)) if self.compliance(since.least, since.requests) >= self.needed => {
                Gap::BetweenBuckets { below, above }
            }
            _ => {
                let minimum = self.condition.min_requests.saturating_sub(since.requests);
                let tally = Tally::of(since.most, since.requests);
                let more = evidence::more_requests(tally, self.limit, self.needed, self.bursts);
                let more = more.filter(|_| below).map(|more| more.max(minimum));
                Gap::MoreRequests { have: since.requests, more, about: self.time_for(more) }
            }
        }
    }

    /// How long so many requests take at the window's traffic.
    fn time_for(&self, more: Option<u64>) -> Option<Duration> {
        let seconds = age(self.window.from, self.window.to).as_secs_f64();
        let needed = as_float(more?) / as_float(self.in_window.requests) * seconds;
        Duration::try_from_secs_f64(needed.ceil()).ok()
    }

    fn compliance(&self, events: u64, requests: u64) -> f64 {
        evidence::of_compliance(Tally::of(events, requests), self.limit, self.bursts)
    }
}

impl Block {
    fn length(&self) -> Duration {
        age(self.from, self.to)
    }
}

impl Sum {
    fn of(blocks: &[Block]) -> Self {
        let sum = |of: fn(&Block) -> u64| blocks.iter().map(of).sum();
        Self { least: sum(|block| block.least), most: sum(|block| block.most), requests: sum(|block| block.requests) }
    }

    fn share(self, events: u64) -> f64 {
        if self.requests == 0 { 0.0 } else { as_float(events) / as_float(self.requests) }
    }
}

/// The pod with the greatest share of events.
fn worst(events: &BTreeMap<&str, u64>, requests: &BTreeMap<&str, u64>) -> Option<PodShare> {
    let shares = events.iter().filter(|(_, events)| **events > 0).filter_map(|(pod, events)| {
        let requests = requests.get(pod).copied().filter(|requests| *requests > 0)?;
        Some(PodShare { pod: (*pod).to_owned(), events: *events, requests })
    });
    let share = |pod: &PodShare| as_float(pod.events) / as_float(pod.requests);
    shares.max_by(|a, b| share(a).total_cmp(&share(b)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_precision_loss, reason = "the numbers of a test are small")]

    use super::super::condition::Metric;
    use super::super::samples::{Point, Samples, Series};
    use super::super::tests::{error_rate, judge, scope};
    use super::*;

    const HOUR: i64 = 3_600;

    /// A trigger on 2 % for twelve minutes over a day of a hundred requests a second, sampled every six minutes, of which
    /// this share failed between so many seconds ago.
    fn after_a_day(failed: f64, between: std::ops::Range<i64>) -> (Judgement, Scope) {
        let mut scope = scope(&["a"]);
        let ago = |seconds: i64| scope.now.checked_sub(Duration::from_secs(seconds.unsigned_abs())).unwrap();
        let moments: Vec<i64> = (0..=240).rev().map(|index| index * 360).collect();
        let series = |value: &dyn Fn(i64) -> f64| {
            let points = moments.iter().map(|seconds| Point { at: ago(*seconds), value: value(*seconds) }).collect();
            Ok(vec![Series { pod: "a".into(), part: String::new(), points }])
        };
        let bad_seconds = |seconds: i64| (between.end - seconds.max(between.start)).max(0) as f64;
        let mut samples = Samples::on_grid(moments.iter().map(|seconds| ago(*seconds)).collect());
        samples.insert(Metric::Requests, series(&|seconds| 100.0 * (100_000 - seconds) as f64));
        samples.insert(Metric::Errors, series(&|seconds| (100.0 * failed * bad_seconds(seconds)).floor()));
        samples.insert(Metric::RequestTimes, series(&|seconds| ago(seconds).as_second() as f64));
        let begun = ago(25 * HOUR);
        scope.since = Some(begun);
        scope.pods.as_mut().unwrap()[0].started = begun;
        let trigger = Condition { window: Duration::from_secs(720), ..error_rate(Role::Trigger, 0.02) };
        (judge(&trigger, &scope, &samples), scope)
    }

    fn fired(judgement: &Judgement) -> Option<Timestamp> {
        judgement.evidence().and_then(Evidence::fired)
    }

    #[test]
    fn a_trigger_that_is_quiet_knows_when_it_has_fired_last() {
        let (never, _) = after_a_day(0.001, 0..24 * HOUR);
        assert!(matches!(never, Judgement::Unmet(_)) && fired(&never).is_none(), "{never:?}");
        // Until the share since its beginning is below the limit again, as at that time.
        let (once, scope) = after_a_day(0.2, 10 * HOUR..10 * HOUR + 720);
        assert!(matches!(once, Judgement::Unmet(_)), "{once:?}");
        let quiet_for = i64::try_from(age(fired(&once).unwrap(), scope.now).as_secs()).unwrap();
        assert!((7 * HOUR..10 * HOUR).contains(&quiet_for), "{quiet_for}");
        let (now, scope) = after_a_day(0.2, 0..HOUR);
        assert!(matches!(now, Judgement::Met(_)), "{now:?}");
        assert_eq!(fired(&now), Some(scope.now));
    }
}
