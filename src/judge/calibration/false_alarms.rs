//! How often a verdict is wrong: a gate at exactly its limit, a trigger at exactly its healthy share.
//!
//! Looked at after every minute of two days by the accumulators, in as many runs as the figure needs; and through the
//! whole judge, with its grid and the dispersion that it estimates itself, at fewer looks.

use std::time::Duration;

use super::history::{History, at, error_rate};
use super::traffic::{Counted, Random, Source, Traffic, median};
use super::watch::{Gate, Said, Trigger};
use crate::judge::condition::{Condition, Metric, Role};
use crate::judge::dispersion;
use crate::judge::evidence::Bursts;
use crate::judge::verdict::Judgement;

const RUNS: usize = 2_000;
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: usize = 48 * 60;
/// The judge estimates bursts from the day before the change.
const DAY: usize = 24 * 60;
const LIMIT: f64 = 0.01;

fn gate() -> Condition {
    error_rate(Role::Gate, LIMIT, Duration::from_secs(30 * 60))
}

/// Over twice the limit, so that the limit is its healthy share.
fn trigger() -> Condition {
    error_rate(Role::Trigger, 2.0 * LIMIT, Duration::from_secs(2 * 60))
}

/// Traffic at exactly the limit.
fn kinds() -> [(&'static str, Traffic); 4] {
    [
        ("steady", Traffic::steady(1.0, LIMIT)),
        ("bursts of 3", Traffic::bursty(1.0, LIMIT, 3.0)),
        ("bursts of 5", Traffic::bursty(1.0, LIMIT, 5.0)),
        ("daily", Traffic { daily: true, ..Traffic::steady(1.0, LIMIT) }),
    ]
}

/// What the judge would estimate from these minutes before the change.
pub fn estimated(before: Vec<Counted>) -> Bursts {
    let history = History::new(60, Vec::new(), before);
    let (_, samples) = history.look(0);
    dispersion::bursts(samples.if_any(&Metric::RequestsBefore), samples.if_any(&Metric::ErrorsBefore))
        .unwrap_or(Bursts::NONE)
}

#[test]
fn looking_after_every_block_says_what_the_judge_says() {
    let mut random = Random::new(1);
    for (share, (_, traffic)) in [0.001, 0.005, 0.01, 0.02, 0.04].into_iter().zip(kinds().into_iter().cycle()) {
        for _ in 0..4 {
            let source = Traffic { share, ..traffic }.in_blocks(60);
            let before = source.blocks(0..DAY, &mut random);
            let bursts = estimated(before.clone());
            let history = History::new(60, source.blocks(0..400, &mut random), before);
            let (mut gate, mut trigger) = (Gate::new(&gate(), 60, bursts), Trigger::new(&trigger(), bursts));
            let mut failed_at = None;
            for known in 1..=400 {
                let said = gate.add(&history.blocks[..known], 60);
                let fires = trigger.fires(at((known - 1) * 60), MINUTE, history.blocks[known - 1]);
                failed_at = if said.failed { Some(known) } else { failed_at };
                if known % 13 > 0 || known < 30 {
                    continue;
                }
                let fails = failed_at.is_some_and(|at| at + 30 > known);
                let judged = history.judge(&self::gate(), known);
                let as_said = match judged {
                    Judgement::Unmet(_) => fails,
                    Judgement::Met(_) => said.passed && !fails,
                    Judgement::Inconclusive(..) => !fails && !said.passed,
                    Judgement::Missing(_) | Judgement::Error(_) => false,
                };
                assert!(as_said, "{share} after {known}: {said:?}, {fails} and {judged:?}");
                assert_eq!(matches!(history.judge(&self::trigger(), known), Judgement::Met(_)), fires);
            }
        }
    }
}

/// Blocks of the long runs, in minutes.
const LONG: usize = 5;

/// Percentages of runs in which a gate ever failed, a gate ever passed and a trigger ever fired.
type Wrong = [f64; 3];

/// One minus the confidence of a gate, twice, and of a trigger.
const PROMISED: Wrong = [5.0, 5.0, 1.0];

fn percentages(runs: usize, run: impl FnMut(usize) -> [bool; 3]) -> Wrong {
    let mut counts = [0_usize; 3];
    for outcome in (0..runs).map(run) {
        for (count, wrong) in counts.iter_mut().zip(outcome) {
            *count += usize::from(wrong);
        }
    }
    counts.map(|count| 100.0 * count as f64 / runs as f64)
}

/// Two days, looked at after every block. Where a pod restarts, a part of what a block counted is lost.
fn watched(source: &Source, bursts: Bursts, restarts: bool, random: &mut Random) -> [bool; 3] {
    let step = LONG * 60;
    let (mut gate, mut trigger) = (Gate::new(&gate(), step, bursts), Trigger::new(&trigger(), bursts));
    gate.every = 2;
    let (mut blocks, mut wrong) = (Vec::with_capacity(MINUTES / LONG), [false; 3]);
    for number in 0..MINUTES / LONG {
        let mut block = source.block(number, random);
        if restarts && random.below(20) == 0 {
            block = thinned(block, random);
        }
        blocks.push(block);
        let Said { failed, passed } = gate.add(&blocks, step);
        let fired = trigger.fires(at(number * step), Duration::from_secs(step as u64), block);
        for (ever, now) in wrong.iter_mut().zip([failed, passed, fired]) {
            *ever |= now;
        }
    }
    wrong
}

/// What is left where each request was lost with the same probability.
fn thinned(block: Counted, random: &mut Random) -> Counted {
    let lost = random.unit();
    let mut left = |count: u64| (0..count).filter(|_| random.unit() >= lost).count() as u64;
    let (errors, good) = (left(block.errors), left(block.requests - block.errors));
    Counted { requests: errors + good, errors }
}

fn assert_at_most(name: &str, wrong: Wrong, allowed: Wrong) {
    eprintln!("{name:<32} failed {:>5.2} %   passed {:>5.2} %   fired {:>5.2} %", wrong[0], wrong[1], wrong[2]);
    assert!(wrong.iter().zip(allowed).all(|(wrong, allowed)| *wrong <= allowed), "{name}: {wrong:?} above {allowed:?}");
}

#[test]
fn at_the_limit_verdicts_are_wrong_as_seldom_as_promised() {
    for (name, traffic) in kinds() {
        let source = traffic.in_blocks(LONG as u32 * 60);
        let healthy = Traffic { share: 0.005, ..traffic }.in_blocks(LONG as u32 * 60);
        for (restarts, name) in [(false, name.to_owned()), (true, format!("{name}, restarting"))] {
            if restarts && traffic.burst > 1.0 {
                continue;
            }
            let mut random = Random::new(11);
            let wrong = percentages(RUNS, |_| {
                let bursts = estimated(healthy.blocks(0..DAY / LONG, &mut random));
                watched(&source, bursts, restarts, &mut random)
            });
            assert_at_most(&name, wrong, PROMISED);
        }
    }
}

#[test]
fn through_the_whole_judge_it_is_the_same() {
    let looks = [30, 40, 60, 90, 180, 360, 720, 1_440, 2_880];
    for (name, traffic) in kinds() {
        let (source, healthy) = (traffic.in_blocks(60), Traffic { share: 0.005, ..traffic }.in_blocks(60));
        let mut random = Random::new(12);
        let wrong = percentages(120, |run| {
            let blocks = source.blocks(0..MINUTES, &mut random);
            let mut history = History::new(60, blocks, healthy.blocks(0..DAY, &mut random));
            if run % 2 == 1 {
                history = history.restarting(3, 500, &mut random);
            }
            let mut wrong = [false; 3];
            for known in looks {
                let (gate, trigger) = (history.judge(&gate(), known), history.judge(&trigger(), known));
                wrong[0] |= matches!(gate, Judgement::Unmet(_));
                wrong[1] |= matches!(gate, Judgement::Met(_));
                wrong[2] |= matches!(trigger, Judgement::Met(_));
                for judged in [gate, trigger] {
                    assert!(!matches!(judged, Judgement::Error(_) | Judgement::Inconclusive(_, None)), "{judged:?}");
                }
            }
            wrong
        });
        assert_at_most(&format!("{name}, whole judge"), wrong, PROMISED);
    }
}

#[test]
fn bursts_are_seen_since_the_change_where_there_was_nothing_to_see_before() {
    let looks = [30, 40, 60, 90, 180, 360, 720, 1_440, 2_880];
    for (share, name) in [(0.0001, "a day before with 9 errors"), (0.0, "a day before without errors")] {
        let traffic = Traffic::bursty(1.0, LIMIT, 5.0);
        let (source, healthy) = (traffic.in_blocks(60), Traffic { share, ..traffic }.in_blocks(60));
        let mut random = Random::new(14);
        let wrong = percentages(120, |_| {
            let blocks = source.blocks(0..MINUTES, &mut random);
            let history = History::new(60, blocks, healthy.blocks(0..DAY, &mut random));
            let judged = |condition: Condition| looks.map(|known| history.judge(&condition, known));
            [
                judged(gate()).iter().any(|judgement| matches!(judgement, Judgement::Unmet(_))),
                judged(gate()).iter().any(|judgement| matches!(judgement, Judgement::Met(_))),
                judged(trigger()).iter().any(|judgement| matches!(judgement, Judgement::Met(_))),
            ]
        });
        // A pass in the hours before the first few bursts cannot know of them.
        assert_at_most(name, [wrong[0], 0.0, wrong[2]], PROMISED);
        eprintln!("{name:<32} passed {:>5.2} %", wrong[1]);
    }
}

#[test]
fn a_breach_after_a_healthy_day_is_found_within_minutes() {
    const STEP: usize = 15;
    const HEALTHY_BLOCKS: usize = 24 * 240;
    let mut random = Random::new(13);
    for (per_second, most) in [(1.0, 7.0), (10.0, 2.5)] {
        let (good, bad) =
            (Traffic::steady(per_second, 0.005).in_blocks(15), Traffic::steady(per_second, 0.05).in_blocks(15));
        let minutes = (0..51).map(|_| {
            let mut trigger = Trigger::new(&trigger(), Bursts::NONE);
            let mut fires = |number: usize, block| trigger.fires(at(number * STEP), Duration::from_secs(15), block);
            for number in 0..HEALTHY_BLOCKS {
                assert!(!fires(number, good.block(number, &mut random)), "nothing is wrong yet");
            }
            let found =
                (HEALTHY_BLOCKS..2 * HEALTHY_BLOCKS).position(|number| fires(number, bad.block(number, &mut random)));
            (found.unwrap() + 1) as f64 / 4.0
        });
        let median = median(minutes.collect());
        eprintln!("5 % after a healthy day at {per_second} rps: {median} minutes");
        assert!(median <= most, "{median}");
    }
}
