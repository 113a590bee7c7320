//! What holds whatever the samples are: less data never helps, nor does a tighter limit, nor another way to cut up the
//! same requests; and where only bounds are known, no verdict contradicts what may have happened inside them.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;

use super::history::{at, error_rate};
use crate::judge::condition::{Condition, Measure, Method, Metric, Quantile, Role};
use crate::judge::counts::Increments;
use crate::judge::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use crate::judge::verdict::{Finding, Judgement, Share};

const STEP: usize = 15;
/// Blocks since the change, and those of them that are the window.
const BLOCKS: usize = 40;
const WINDOW: usize = 24;
/// Of the requests, above a p95. A share is a quotient: exactly at the limit either verdict is right.
const ALLOWED: f64 = 0.05;

/// Requests and errors of one pod by block, with the scrapes that were kept; the first and the newest always are.
type PodBlocks = (Vec<(u32, u32)>, Vec<bool>);

fn pods() -> impl Strategy<Value = Vec<PodBlocks>> {
    // Mostly good, so that some pass; now and then a block that is not.
    let block = (0..400_u32, prop_oneof![8 => Just(0_u32), 1 => 0..8_u32, 1 => 0..100_u32]);
    let kept = vec(prop::bool::weighted(0.93), BLOCKS - 1);
    vec((vec(block.prop_map(|(requests, errors)| (requests.max(errors), errors)), BLOCKS), kept), 1..4)
}

/// Values at the moments that were scraped, and at the others what was scraped last.
fn series(pod: usize, part: &str, values: &[f64], kept: &[bool]) -> Series {
    let mut last = values[0];
    let points = values.iter().enumerate().map(|(index, value)| {
        if index == 0 || index == BLOCKS || kept[index - 1] {
            last = *value;
        }
        Point { at: at(index * STEP), value: last }
    });
    Series { pod: format!("pod-{pod}"), part: part.into(), points: points.collect() }
}

fn cumulative(blocks: impl Iterator<Item = u32>) -> Vec<f64> {
    let mut total = 5_000.0;
    std::iter::once(total)
        .chain(blocks.map(|added| {
            total += f64::from(added);
            total
        }))
        .collect()
}

fn times() -> Vec<f64> {
    (0..=BLOCKS).map(|index| at(index * STEP).as_second() as f64).collect()
}

fn scope(pods: usize) -> Scope {
    let live = |pod: usize| LivePod {
        name: format!("pod-{pod}"),
        started: at(0) - SignedDuration::from_hours(5),
        restarts: 0,
    };
    Scope {
        pods: Some((0..pods).map(live).collect()),
        since: Some(at(0)),
        now: at(BLOCKS * STEP),
        horizon: Duration::from_secs(48 * 3_600),
        memory_limit: None,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    }
}

fn on_grid() -> Samples {
    Samples::on_grid((0..=BLOCKS).map(|index| at(index * STEP)).collect())
}

fn samples(pods: &[PodBlocks]) -> Samples {
    let mut samples = on_grid();
    let each = |values: &dyn Fn(&PodBlocks) -> Vec<f64>| {
        Ok(pods.iter().enumerate().map(|(pod, blocks)| series(pod, "", &values(blocks), &blocks.1)).collect())
    };
    samples.insert(Metric::Requests, each(&|(blocks, _)| cumulative(blocks.iter().map(|block| block.0))));
    samples.insert(Metric::Errors, each(&|(blocks, _)| cumulative(blocks.iter().map(|block| block.1))));
    samples.insert(Metric::RequestTimes, each(&|_| times()));
    samples.insert(Metric::RequestSources, each(&|_| vec![1.0; BLOCKS + 1]));
    samples.insert(Metric::RequestsBefore, Ok(vec![]));
    samples.insert(Metric::ErrorsBefore, Ok(vec![]));
    samples
}

fn judged(condition: &Condition, pods: usize, samples: Samples) -> Judgement {
    crate::judge::judge(condition, &Look { judged: Group { scope: scope(pods), samples }, stable: None })
}

fn gate(limit: f64) -> Condition {
    error_rate(Role::Gate, limit, Duration::from_secs((WINDOW * STEP) as u64))
}

fn passes(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Met(_))
}

/// What a verdict found.
fn found(judgement: &Judgement) -> Option<&Share> {
    let (Judgement::Met(evidence) | Judgement::Unmet(evidence)) = judgement else { return None };
    let Finding::Share(found) = evidence.finding() else { return None };
    Some(found)
}

/// Of one pod, by block: requests up to 250 ms, between there and 400 ms, up to 500 ms, and above.
type Latencies = Vec<[u32; 4]>;

fn latencies() -> impl Strategy<Value = Latencies> {
    let few = || prop_oneof![6 => Just(0_u32), 2 => 0..6_u32, 1 => 0..60_u32];
    vec((50..400_u32, few(), few(), few()).prop_map(|(fast, some, slow, more)| [fast, some, slow, more]), BLOCKS)
}

fn judge_latency(blocks: &Latencies, method: Method) -> Judgement {
    let mut samples = on_grid();
    let up_to = |edge: &str, bins: usize| {
        series(0, edge, &cumulative(blocks.iter().map(|block| block[..bins].iter().sum())), &[true; BLOCKS])
    };
    // 400 ms is no edge: what is below it in its bucket is not known.
    samples.insert(Metric::Buckets, Ok(vec![up_to("0.25", 1), up_to("0.5", 3), up_to("1", 4), up_to("+Inf", 4)]));
    samples.insert(Metric::BucketTimes, Ok(vec![series(0, "", &times(), &[true; BLOCKS])]));
    samples.insert(Metric::BucketSources, Ok(vec![series(0, "", &[1.0; BLOCKS + 1], &[true; BLOCKS])]));
    samples.insert(Metric::BucketsBefore, Ok(vec![]));
    let measure = Measure::Latency { quantile: Quantile::new(0.95).unwrap(), limit: Duration::from_millis(400) };
    let window = Duration::from_secs((WINDOW * STEP) as u64);
    let condition = Condition { method, ..Condition::new(Role::Gate, "under test".into(), measure, window) };
    judged(&condition, 1, samples)
}

/// The share of some bins among all requests of these blocks.
fn share(blocks: &[[u32; 4]], bins: std::ops::Range<usize>) -> f64 {
    let sum = |bins: std::ops::Range<usize>| blocks.iter().flat_map(|block| &block[bins.clone()]).sum::<u32>();
    f64::from(sum(bins)) / f64::from(sum(0..4))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, rng_seed: proptest::test_runner::RngSeed::Fixed(9), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scrapes_that_are_lost_never_make_a_pass(pods in pods(), limit in 0.003..0.1_f64) {
        let whole: Vec<PodBlocks> = pods.iter().map(|(blocks, kept)| (blocks.clone(), vec![true; kept.len()])).collect();
        let before = judged(&gate(limit), pods.len(), samples(&whole));
        let after = judged(&gate(limit), pods.len(), samples(&pods));
        // Where a violation was proven before the window, evidence began anew: that is another judgement. And the
        // proof of a violation as short as one block is gone where the block is spread over two; all the rest has to
        // say that the window is good then.
        prop_assume!(!passes(&after) || found(&after).is_none_or(|found| found.since == at(0)));
        let short = |found: &Share| (found.events as f64) < limit * found.requests as f64;
        let spread = matches!(&before, Judgement::Unmet(_)) && found(&before).is_some_and(short);
        prop_assert!(passes(&before) || spread || !passes(&after), "{before:?} became {after:?}");
    }

    #[test]
    fn a_tighter_limit_never_makes_a_pass(pods in pods(), limit in 0.003..0.1_f64, tighter in 0.1..1.0_f64) {
        let judged = |limit| judged(&gate(limit), pods.len(), samples(&pods));
        let (loose, tight) = (judged(limit), judged(limit * tighter));
        prop_assert!(passes(&loose) || !passes(&tight), "{loose:?} became {tight:?}");
    }

    #[test]
    fn requests_count_the_same_however_they_are_cut(pods in pods(), coarser in 2..8_usize) {
        let count = |series: &[Series], moments: &[jiff::Timestamp], pods: usize| {
            Increments::of(series.iter(), moments, &Metric::Requests, &scope(pods)).unwrap().totals()
        };
        let spread = samples(&pods);
        let series = spread.get(&Metric::Requests).unwrap();
        let fine = count(series, spread.moments(), pods.len());
        // One pod that served what all of them did.
        let one = Series {
            points: (0..=BLOCKS)
                .map(|index| Point { value: series.iter().map(|pod| pod.points[index].value).sum(), ..series[0].points[index] })
                .collect(),
            ..series[0].clone()
        };
        prop_assert_eq!(&count(&[one], spread.moments(), 1), &fine);
        let mut moments: Vec<_> = spread.moments().iter().copied().step_by(coarser).collect();
        moments.extend(spread.moments().last().filter(|last| moments.last() != Some(last)));
        let coarse = count(series, &moments, pods.len());
        let summed: Vec<u64> = fine.chunks(coarser).map(|blocks| blocks.iter().sum()).collect();
        prop_assert_eq!(coarse, summed);
    }

    #[test]
    fn no_verdict_on_latency_contradicts_what_happened_inside_a_bucket(blocks in latencies()) {
        let window = &blocks[BLOCKS - WINDOW..];
        // The truth is anywhere between these, as the bucket from 250 to 500 ms lies below or above the limit.
        let (least, most) = (share(window, 3..4), share(window, 1..4));
        let truth = share(window, 2..4);
        prop_assert!(least <= truth && truth <= most);
        match judge_latency(&blocks, Method::Threshold) {
            Judgement::Met(_) => prop_assert!(most <= ALLOWED + 1e-9),
            Judgement::Unmet(_) => prop_assert!(least >= ALLOWED - 1e-9),
            undecided @ (Judgement::Inconclusive(..) | Judgement::Missing(_) | Judgement::Error(_)) => prop_assert!(least < ALLOWED + 1e-9 && most >= ALLOWED - 1e-9, "{undecided:?}"),
        }
        match judge_latency(&blocks, Method::Sequential) {
            Judgement::Met(_) => prop_assert!(most <= ALLOWED + 1e-9),
            Judgement::Unmet(evidence) => {
                let judged = Judgement::Unmet(evidence);
                let found = found(&judged).expect("a share");
                let begun = (found.since.as_second() - at(0).as_second()) as usize / STEP;
                prop_assert!(share(&blocks[begun..], 3..4) > 0.0 && found.events_since > 0);
            }
            Judgement::Inconclusive(..) | Judgement::Missing(_) | Judgement::Error(_) => {}
        }
    }
}
