//! How much traffic a proof takes, against published figures.
//!
//! The published ones are medians of some hundred runs of the same procedure, and noisy by some per cent themselves.

use std::time::Duration;

use super::history::{BAKE, at};
use super::traffic::{Random, Table, median};
use crate::judge::condition::Share;
use crate::judge::detector::{Detector, in_minutes};
use crate::judge::evidence::{Bursts, Tally, WORSE, least_requests, of_compliance, of_violation};

const NEEDED: f64 = 100.0;
const RUNS: usize = 5_001;

fn share(value: f64) -> Share {
    Share::new(value).unwrap()
}

/// Requests until a violation is proven, looked at after each error.
fn until_violation(limit: Share, truth: f64, random: &mut Random) -> f64 {
    let mut tally = Tally::default();
    while of_violation(tally, limit, Bursts::NONE) < NEEDED {
        tally += Tally { events: 1.0, requests: random.geometric(truth) as f64 };
    }
    tally.requests
}

/// Requests until compliance is proven, looked at after each hundred.
fn until_compliance(limit: Share, hundred: &Table, random: &mut Random) -> f64 {
    let mut tally = Tally::default();
    while of_compliance(tally, limit, Bursts::NONE) < NEEDED {
        tally += Tally { events: hundred.draw(random) as f64, requests: 100.0 };
    }
    tally.requests
}

fn assert_near(what: &str, ours: f64, known: f64) {
    eprintln!("{what:<50} {ours:>9.0} {known:>9.0}");
    assert!((ours / known - 1.0).abs() <= 0.1, "{what}: {ours} against {known}");
}

#[test]
fn a_violation_is_proven_after_the_known_number_of_requests() {
    let mut random = Random::new(24);
    let known = [
        (0.01, [(1.5, 5_158.0), (2.0, 1_417.0), (3.0, 386.0), (5.0, 124.0), (10.0, 37.0)]),
        (0.05, [(1.5, 920.0), (2.0, 278.0), (3.0, 73.0), (5.0, 26.0), (10.0, 7.0)]),
    ];
    for (limit, multiples) in known {
        for (multiple, known) in multiples {
            let runs = (0..RUNS).map(|_| until_violation(share(limit), limit * multiple, &mut random));
            assert_near(&format!("violation: {multiple} x {limit}"), median(runs.collect()), known);
        }
    }
}

#[test]
fn compliance_is_proven_after_the_known_number_of_requests() {
    let mut random = Random::new(25);
    let known =
        [(0.01, [(0.8, 27_200.0), (0.5, 3_300.0), (0.1, 600.0)]), (0.05, [(0.8, 5_600.0), (0.5, 800.0), (0.1, 200.0)])];
    for (limit, multiples) in known {
        for (multiple, known) in multiples {
            let hundred = Table::binomial(100, limit * multiple);
            let runs = (0..RUNS).map(|_| until_compliance(share(limit), &hundred, &mut random));
            assert_near(&format!("compliance: {multiple} x {limit}"), median(runs.collect()), known);
        }
    }
    // Published are 688 and 135: a grid with fewer alternatives near zero, where ours has four at a tenth and below.
    assert_eq!(least_requests(share(0.01), NEEDED, Bursts::NONE), 555);
    assert_eq!(least_requests(share(0.05), NEEDED, Bursts::NONE), 109);
}

/// Minutes until a detector is sure, of 48 hours at α = 0.01.
fn until_alarm(mut detector: Detector, from: usize, minute: &Table, requests: f64, random: &mut Random) -> f64 {
    let needed = in_minutes(BAKE) * NEEDED;
    for passed in 0.. {
        let counts = Tally { events: minute.draw(random) as f64, requests };
        detector.add(at((from + passed) * 60), Duration::from_secs(60), counts);
        if detector.minutes() >= needed {
            return (passed + 1) as f64;
        }
    }
    f64::INFINITY
}

#[test]
fn the_detector_finds_a_late_breach_as_soon_as_an_early_one() {
    let mut random = Random::new(26);
    // Minutes for 2, 3, 5 and 10 % errors from the beginning, and after a day of 0.2 %.
    let known = [
        (60, [(48.0, 49.0), (18.0, 15.0), (6.0, 6.0), (2.0, 2.0)]),
        (600, [(7.0, 6.0), (2.0, 2.0), (1.0, 1.0), (1.0, 1.0)]),
    ];
    for (requests, known) in known {
        let fresh = Detector::new(share(0.01), share(0.01), &WORSE, Bursts::NONE);
        let healthy = Table::binomial(requests, 0.002);
        let after_a_day: Vec<Detector> = (0..200)
            .map(|_| {
                let mut detector = fresh.clone();
                for minute in 0..1_440 {
                    let counts = Tally { events: healthy.draw(&mut random) as f64, requests: requests.into() };
                    detector.add(at(minute * 60), Duration::from_secs(60), counts);
                }
                detector
            })
            .collect();
        for (truth, (early, late)) in [0.02, 0.03, 0.05, 0.1].into_iter().zip(known) {
            let minute = Table::binomial(requests, truth);
            let mut delay =
                |detector: &Detector, from| until_alarm(detector.clone(), from, &minute, requests.into(), &mut random);
            let early_runs = median((0..RUNS).map(|_| delay(&fresh, 0)).collect());
            let late_runs =
                median(after_a_day.iter().cycle().take(RUNS).map(|detector| delay(detector, 1_440)).collect());
            eprintln!("detector: {requests} a minute, {truth}: {early_runs} ({early}), {late_runs} ({late})");
            // Whole minutes of sixty published runs: two more or less say nothing.
            assert!((early_runs - early).abs() <= (early * 0.1).max(2.0), "{truth}: {early_runs} against {early}");
            assert!((late_runs - late).abs() <= (late * 0.1).max(2.0), "{truth}: {late_runs} against {late}");
            assert!(late_runs <= 1.5 * early_runs, "{truth}: {late_runs} after {early_runs}");
        }
    }
}
