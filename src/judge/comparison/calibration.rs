//! How often the comparison is wrong, and how soon it is right, on seeded random counts.
//!
//! The known figures: at α = 1 %, 10 % of the requests on the canary, 0.5 % errors and a limit of 1, a canary with twice
//! as many errors is found after a median of 3,300 canary requests, with 3, 5 and 10 times as many after 1,000, 360 and
//! 120. Those come from a test that looks for nothing but a violation since the change, after each error.

#![expect(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "the numbers of a test are small")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::judge::condition::Measure;

const MINUTE: u64 = 60;

/// `SplitMix64`, so that every run of the tests sees the same numbers.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Knuth's way; good for means of some hundreds.
    fn poisson(&mut self, mean: f64) -> u64 {
        let (mut count, mut product) = (0, self.uniform());
        while product > (-mean).exp() {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// A length of at least 1 with this mean.
    fn geometric(&mut self, mean: f64) -> u64 {
        let mut length = 1;
        while self.uniform() > 1.0 / mean {
            length += 1;
        }
        length
    }

    fn side(&mut self, requests: u64, share: f64) -> Side {
        Side { events: self.poisson(requests as f64 * share).min(requests), requests }
    }
}

/// Traffic and errors of a day in blocks of a minute: both come and go, and the split drifts from a tenth to a third.
fn day(random: &mut Random, blocks: usize, share: f64, ratio: f64) -> Vec<Pair> {
    let turn = random.uniform();
    let block = |index: usize| {
        let wave = ((index as f64 / blocks as f64 + turn) * std::f64::consts::TAU).sin();
        let (requests, to_canary) = (600.0 * (1.0 + 0.6 * wave), 0.1 + 0.23 * index as f64 / blocks as f64);
        let share = share * (1.0 - 0.7 * wave);
        let (canary, stable) = (random.poisson(requests * to_canary), random.poisson(requests * (1.0 - to_canary)));
        Pair { canary: random.side(canary, share * ratio), stable: random.side(stable, share) }
    };
    (0..blocks).map(block).collect()
}

fn scope() -> Scope {
    Scope {
        pods: None,
        since: None,
        now: Timestamp::UNIX_EPOCH,
        horizon: Duration::from_secs(48 * 60 * MINUTE),
        memory_limit: None,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    }
}

/// What looks after every block find, each with its own limit: whether one of them failed, and whether one passed.
fn looks(blocks: &[Pair], limit: impl Fn(usize) -> f64, bursts: f64) -> (bool, bool) {
    let measure = Measure::ErrorRateAgainstBaseline { factor: 1.0 };
    let condition = Condition::new(Role::Gate, "under test".into(), measure, Duration::from_secs(5 * MINUTE));
    let at = |minute: usize| Timestamp::from_second(minute as i64 * 60).unwrap();
    let moments: Vec<Timestamp> = (0..=blocks.len()).map(at).collect();
    let (mut failed, mut passed) = (false, false);
    for end in 5..=blocks.len() {
        let measured = Measured {
            moments: &moments[..=end],
            blocks: blocks[..end].to_vec(),
            split: Split { limit: limit(end), bursts },
            quality: Quality { coverage: 1.0, newest: at(end) },
            latency: None,
        };
        let window = Window { from: at(end - 5), to: at(end) };
        let scope = scope();
        let Ok(test) = Test::new(&condition, window, &scope, &scope, measured) else { continue };
        match test.proof() {
            Proof::Above(_) => failed = true,
            Proof::Below(_) => passed = true,
            Proof::Neither(_) => {}
        }
        if failed || passed {
            break;
        }
    }
    (failed, passed)
}

/// The shares of so many days that ever failed and ever passed.
fn rates(runs: u32, blocks: usize, share: f64, ratio: f64, limit: f64) -> (f64, f64) {
    let mut random = Random(1);
    let (mut failures, mut passes) = (0, 0);
    for _ in 0..runs {
        let (failed, passed) = looks(&day(&mut random, blocks, share, ratio), |_| limit, 1.0);
        failures += u32::from(failed);
        passes += u32::from(passed);
    }
    (f64::from(failures) / f64::from(runs), f64::from(passes) / f64::from(runs))
}

#[test]
fn at_the_limit_hardly_anything_is_ever_proven() {
    for (share, limit) in [(0.005, 1.0), (0.02, 1.5)] {
        let (failures, passes) = rates(2_000, 30, share, limit, limit);
        println!("share {share}, ratio {limit} at the limit: {failures} failed, {passes} passed");
        assert!(failures <= 0.05 && passes <= 0.05, "{failures} {passes}");
    }
}

#[test]
fn slow_requests_need_not_be_rare() {
    let (failures, passes) = rates(500, 20, 0.2, 1.5, 1.5);
    println!("share 0.2: {failures} failed, {passes} passed");
    assert!(failures <= 0.05 && passes <= 0.05, "{failures} {passes}");
}

#[test]
fn a_limit_that_is_itself_estimated_is_as_good() {
    // As for a latency: of the stable pods' requests 4 % are above the edge, and 1 % more above the edge over F; half of
    // the traffic is the canary's, where the noise of the limit matters most.
    let mut random = Random(11);
    let runs = 1_000_u32;
    let (mut failures, mut passes) = (0, 0);
    for _ in 0..runs {
        let blocks: Vec<Pair> =
            (0..40).map(|_| Pair { canary: random.side(300, 0.05), stable: random.side(300, 0.04) }).collect();
        let more: Vec<u64> = (0..40).map(|_| random.poisson(3.0)).collect();
        let limit = |end: usize| {
            let slow: u64 = blocks[..end].iter().map(|block| block.stable.events).sum();
            1.0 + more[..end].iter().sum::<u64>() as f64 / slow as f64
        };
        let (failed, passed) = looks(&blocks, limit, 1.0);
        failures += u32::from(failed);
        passes += u32::from(passed);
    }
    println!("estimated limit: {failures} failed, {passes} passed of {runs}");
    assert!(f64::from(failures.max(passes)) <= 0.05 * f64::from(runs), "{failures} {passes}");
}

#[test]
fn a_share_that_is_not_negligible_hardly_ever_passes_for_none() {
    // So few errors that a pass comes from a canary without any: 0.1 % on the canary, a tenth of that beside it.
    let mut random = Random(3);
    let runs = 1_000_u32;
    let passes: u32 = (0..runs)
        .map(|_| {
            let block = |_| Pair { canary: random.side(100, 0.001), stable: random.side(900, 0.000_1) };
            u32::from(looks(&(0..60).map(block).collect::<Vec<_>>(), |_| 2.0, 1.0).1)
        })
        .sum();
    println!("negligible: {passes} of {runs} passed");
    assert!(f64::from(passes) <= 0.05 * f64::from(runs), "{passes}");
}

#[test]
fn bursts_are_no_evidence() {
    // Errors come in threes on average, as often on the canary as the limit allows.
    let rates = |assumed: f64, ratio: f64, limit: f64| {
        let mut random = Random(5);
        let runs = 200_u32;
        let (mut failures, mut passes) = (0, 0);
        for _ in 0..runs {
            let mut side = |requests: u64, share: f64| {
                let bursts = random.poisson(requests as f64 * share / 3.0);
                let events: u64 = (0..bursts).map(|_| random.geometric(3.0)).sum();
                Side { events: events.min(requests), requests }
            };
            let blocks: Vec<Pair> =
                (0..25).map(|_| Pair { canary: side(200, 0.02 * ratio), stable: side(800, 0.02) }).collect();
            let (failed, passed) = looks(&blocks, |_| limit, assumed);
            failures += u32::from(failed);
            passes += u32::from(passed);
        }
        println!("bursts, {assumed} assumed, {ratio} of {limit}: {failures} failed, {passes} passed of {runs}");
        (f64::from(failures) / f64::from(runs), f64::from(passes) / f64::from(runs))
    };
    let (failures, passes) = rates(3.0, 1.5, 1.5);
    assert!(failures <= 0.05 && passes <= 0.05, "{failures} {passes}");
    let (failures, passes) = rates(1.0, 1.5, 1.5);
    assert!(failures.max(passes) > 0.05, "bursts are worth the trouble: {failures} {passes}");
    assert!(rates(3.0, 5.0, 1.5).0 > 0.9, "a clear violation is found all the same");
}

#[test]
fn clear_cases_are_decided_within_the_day() {
    let (failures, _) = rates(200, 60, 0.01, 4.0, 1.0);
    let (_, passes) = rates(200, 60, 0.01, 0.5, 1.5);
    println!("power: {failures} failed, {passes} passed");
    assert!(failures > 0.95 && passes > 0.95, "{failures} {passes}");
}

/// After how many canary requests a violation of a limit of 1 is proven at α = 1 %, in blocks of so many.
fn found_after(random: &mut Random, ratio: f64, block: u64, since_the_change_only: bool) -> u64 {
    let split = Split { limit: 1.0, bursts: 1.0 };
    let mut blocks = Vec::new();
    loop {
        blocks.push(Pair { canary: random.side(block, 0.005 * ratio), stable: random.side(block * 9, 0.005) });
        let moments: Vec<Timestamp> =
            (0..=blocks.len()).map(|index| Timestamp::from_second(index as i64 * 10).unwrap()).collect();
        let stretches = split::stretches(&moments, &blocks);
        let evidence = if since_the_change_only {
            split.violation_throughout(&stretches)
        } else {
            split.violation(&stretches, Duration::from_secs(48 * 60 * MINUTE))
        };
        if evidence >= 100.0 {
            return blocks.len() as u64 * block;
        }
    }
}

#[test]
fn a_worse_canary_is_found_after_the_known_number_of_requests() {
    for (ratio, block, known) in [(2.0, 60, 3_300.0), (3.0, 20, 1_000.0), (5.0, 10, 360.0), (10.0, 5, 120.0)] {
        let median = |since_the_change_only| {
            let mut random = Random(7);
            let mut found: Vec<u64> =
                (0..301).map(|_| found_after(&mut random, ratio, block, since_the_change_only)).collect();
            found.sort_unstable();
            found[150] as f64
        };
        let (simple, used) = (median(true), median(false));
        println!("ratio {ratio}: {simple} canary requests, {used} with later starts; known {known}");
        assert!((simple / known - 1.0).abs() < 0.15, "ratio {ratio}: {simple} instead of {known}");
        assert!((used / known - 1.0).abs() < 0.25, "ratio {ratio}: {used} instead of {known}");
    }
}
