//! How strongly the counts of two groups speak for or against a limit on the ratio of their shares.
//!
//! Per stretch of time with `m` requests of the canary and `n` of the stable pods, an event is the canary's with
//! probability θ(r) = r·m / (r·m + n), where r is the canary's share of events over the stable pods' share. The
//! likelihood ratio of r = limit·k against r = limit is, for `s` events of the canary and `t` of the stable pods,
//! `s·ln k + (s + t)·ln((limit·m + n) / (limit·k·m + n))`. How frequent events are does not enter, nor how requests are
//! split: either may drift from stretch to stretch. Mixed over k as in `evidence` this is an e-value; source: Lindon and
//! Malek 2022 (arXiv 2011.03567), Turner and Grünwald 2022 (arXiv 2203.09785). It stays one where events are frequent,
//! as slow requests may be: ln E ≤ Σ requests·share·(likelihood ratio of an event − 1), which is 0 at the limit.
//!
//! Where events come in bursts of geometric length with mean b, an event of the canary counts x times and one of the
//! stable pods y times: for every alternative those are chosen so that the canary has k times as many events as the stable
//! pods would give it at the limit, and that limit·m·(G(x) − 1) + n·(G(y) − 1) = 0 with G(x) = E[x^length]. So the
//! expectation is 1 for every frequency of bursts; of single events this is the formula above.
//!
//! It does not know what an event is.

use std::time::Duration;

use jiff::Timestamp;

use crate::judge::counts::age;
use crate::judge::detector;
use crate::judge::evidence::{as_float, log_mean_exp};

/// Multiples of the limit that a violation is tested against.
const WORSE: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];
/// Multiples of the limit that compliance is tested against.
const BETTER: [f64; 8] = [0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.05];
/// How many times the weight of all later starts is put on the change itself, as for an absolute limit: a violation
/// since the change needs 6 % more requests than without later starts, and one that comes after a healthy day is found
/// at all.
const WEIGHT_OF_THE_CHANGE: f64 = 3.0;
/// Least requests of both groups in a stretch. Each stretch costs the information of one request, because its own share
/// of events is unknown; and where blocks are shorter than a scrape, the counts of the two groups fall into different
/// ones.
const LEAST_REQUESTS: u64 = 20;
/// Ratios beyond which nothing is told apart any more.
const RATIOS: (f64, f64) = (1e-6, 1e6);

/// Halvings of a range until a bound, or an event's weight, is known well enough.
const STEPS: u32 = 32;
const STEPS_OF_WEIGHT: u32 = 24;

/// What both groups counted in the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pair {
    pub canary: Side,
    pub stable: Side,
}

/// Events among requests; never more events than requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Side {
    pub events: u64,
    pub requests: u64,
}

impl Pair {
    /// The sum of these.
    pub fn sum(pairs: &[Self]) -> Self {
        pairs.iter().fold(Self::default(), |sum, pair| sum.and(*pair))
    }

    fn and(self, other: Self) -> Self {
        Self { canary: self.canary.and(other.canary), stable: self.stable.and(other.stable) }
    }

    /// The canary's share of events over that of the stable pods, 0 or more; None where the stable pods have no event.
    pub fn ratio(self) -> Option<f64> {
        (self.stable.events > 0 && self.canary.requests > 0)
            .then(|| self.times_stable_requests() / self.times_canary_requests())
    }

    /// Whether the ratio is above `limit`; it is where only the canary has events, and is not where neither has.
    pub fn is_above(self, limit: f64) -> bool {
        self.times_stable_requests() > limit * self.times_canary_requests()
    }

    /// Whether the ratio is below `limit`; it is where the canary has no event.
    pub fn is_below(self, limit: f64) -> bool {
        self.canary.events == 0 || self.times_stable_requests() < limit * self.times_canary_requests()
    }

    fn times_stable_requests(self) -> f64 {
        as_float(self.canary.events) * as_float(self.stable.requests)
    }

    fn times_canary_requests(self) -> f64 {
        as_float(self.stable.events) * as_float(self.canary.requests)
    }

    fn says_something(self) -> bool {
        let (canary, stable) = (self.canary.requests, self.stable.requests);
        canary > 0 && stable > 0 && canary + stable >= LEAST_REQUESTS
    }
}

impl Side {
    fn and(self, other: Self) -> Self {
        Self { events: self.events + other.events, requests: self.requests + other.requests }
    }
}

/// Some neighbouring blocks together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    length: Duration,
    counts: Pair,
}

/// Joins blocks, which lie between neighbouring moments, until each stretch has requests of both groups. Events have no
/// say in where a stretch ends, or the evidence would be biased.
pub fn stretches(moments: &[Timestamp], blocks: &[Pair]) -> Vec<Stretch> {
    let none = Stretch { length: Duration::ZERO, counts: Pair::default() };
    let (mut stretches, mut open) = (Vec::new(), none);
    for (block, between) in blocks.iter().zip(moments.windows(2)) {
        open = open.and(Stretch { length: age(between[0], between[1]), counts: *block });
        if open.counts.says_something() {
            stretches.push(open);
            open = none;
        }
    }
    // What is left over belongs to the last one; on its own it would be lost.
    match stretches.last_mut() {
        Some(last) => *last = last.and(open),
        None => stretches.push(open),
    }
    stretches
}

impl Stretch {
    fn and(self, other: Self) -> Self {
        Self { length: self.length + other.length, counts: self.counts.and(other.counts) }
    }

    /// ln of the likelihood ratio of `limit`·`multiple` against `limit`, with bursts of this mean length.
    fn gain(&self, multiple: f64, limit: f64, bursts: f64) -> f64 {
        let Pair { canary, stable } = self.counts;
        if canary.requests == 0 || stable.requests == 0 || canary.events + stable.events == 0 {
            return 0.0;
        }
        let (of_canary, of_stable) = (as_float(canary.requests) * limit, as_float(stable.requests));
        let of_each = if bursts > 1.0 {
            let surplus = |of_each: f64| {
                let gained = |multiple: f64| expectation(weight(multiple, bursts), bursts) - 1.0;
                of_canary * gained(multiple * of_each) + of_stable * gained(of_each)
            };
            // Without a surplus on the one side, and with one on the other.
            let (none, some) = (multiple.recip().min(1.0), multiple.recip().max(1.0));
            bisect(none, some, STEPS_OF_WEIGHT, |of_each| surplus(of_each) <= 0.0)
        } else {
            (of_canary + of_stable) / (of_canary * multiple + of_stable)
        };
        let gained = |events: u64, multiple: f64| as_float(events) * weight(multiple, bursts).ln();
        gained(canary.events, multiple * of_each) + gained(stable.events, of_each)
    }
}

/// A limit on the ratio of the canary's share of events to the stable pods' share.
#[derive(Debug, Clone, Copy)]
pub struct Split {
    /// Above 0.
    pub limit: f64,
    /// How many events come together on average, at least 1.
    pub bursts: f64,
}

impl Split {
    /// Evidence that the ratio is below the limit, as a likelihood ratio.
    pub fn compliance(&self, stretches: &[Stretch]) -> f64 {
        exp(log_mean_exp(&self.gains(&BETTER, stretches)))
    }

    /// Evidence that the ratio is above the limit, all the time.
    pub fn violation_throughout(&self, stretches: &[Stretch]) -> f64 {
        exp(log_mean_exp(&self.gains(&WORSE, stretches)))
    }

    /// Evidence that the ratio is above the limit, since the change or since any later moment. While it is not, this
    /// reaches 1/α within `horizon` with probability at most α (see `detector`).
    pub fn violation(&self, stretches: &[Stretch], horizon: Duration) -> f64 {
        let horizon = detector::in_minutes(horizon);
        let sums = WORSE.map(|multiple| {
            stretches.iter().fold((WEIGHT_OF_THE_CHANGE * horizon).ln(), |sum, stretch| {
                let start = (stretch.length.as_secs_f64() / 60.0).ln();
                log_add(sum, start) + stretch.gain(multiple, self.limit, self.bursts)
            })
        });
        exp(log_mean_exp(&sums) - ((1.0 + WEIGHT_OF_THE_CHANGE) * horizon).ln())
    }

    /// After how many repetitions of `again` the evidence of compliance reaches `needed`; None if it never does.
    pub fn repetitions_to_comply(&self, so_far: &[Stretch], again: &[Stretch], needed: f64) -> Option<f64> {
        let (so_far, again) = (self.gains(&BETTER, so_far), self.gains(&BETTER, again));
        let enough = |times: f64| {
            let gains: Vec<f64> = so_far.iter().zip(&again).map(|(so_far, again)| so_far + times * again).collect();
            log_mean_exp(&gains) >= needed.ln()
        };
        let high = (-10..=30).map(|power| 2_f64.powi(power)).find(|times| enough(*times))?;
        Some(bisect(high, 0.0, STEPS, enough))
    }

    fn gains(&self, multiples: &[f64], stretches: &[Stretch]) -> Vec<f64> {
        let of = |multiple: &f64| {
            stretches.iter().map(|stretch| stretch.gain(*multiple, self.limit, self.bursts)).sum::<f64>()
        };
        multiples.iter().map(of).collect()
    }
}

/// Bounds of the ratio: what neither a violation nor a compliance with evidence `needed` rules out. None above where
/// nothing bounds it.
pub fn bounds(stretches: &[Stretch], bursts: f64, needed: f64) -> (f64, Option<f64>) {
    let (least, most) = (RATIOS.0.ln(), RATIOS.1.ln());
    let at = |log: f64| Split { limit: log.exp(), bursts };
    let too_low = |log: f64| at(log).violation_throughout(stretches) >= needed;
    let too_high = |log: f64| at(log).compliance(stretches) >= needed;
    let low = if too_low(least) { bisect(least, most, STEPS, too_low).exp() } else { 0.0 };
    let high = too_high(most).then(|| bisect(most, least, STEPS, too_high).exp());
    (low, high)
}

/// What an event has to count so that there are `multiple` times as many, with bursts of this mean length: the smaller
/// root of x·G′(x) = `multiple`·`bursts`.
fn weight(multiple: f64, bursts: f64) -> f64 {
    let (more, scaled) = (1.0 - 1.0 / bursts, multiple * bursts * bursts);
    2.0 * scaled / (2.0 * scaled * more + 1.0 + (4.0 * scaled * more + 1.0).sqrt())
}

/// G(x), the expectation of `weight` to the power of a burst's length.
fn expectation(weight: f64, bursts: f64) -> f64 {
    weight / bursts / (1.0 - (1.0 - 1.0 / bursts) * weight)
}

/// The last number from `yes` towards `no` of which `holds` is still true.
fn bisect(yes: f64, no: f64, steps: u32, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut yes, mut no) = (yes, no);
    for _ in 0..steps {
        let middle = f64::midpoint(yes, no);
        if holds(middle) { yes = middle } else { no = middle }
    }
    yes
}

/// ln(eᵃ + eᵇ).
fn log_add(a: f64, b: f64) -> f64 {
    log_mean_exp(&[a, b]) + std::f64::consts::LN_2
}

/// Beyond the greatest number it is enough for anything.
fn exp(log: f64) -> f64 {
    log.exp().min(f64::MAX)
}
