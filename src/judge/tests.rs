//! Judgements on made-up samples: one table of cases for each precondition, and what holds whatever the samples are.

#![expect(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "the numbers of a test are small")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::condition::{Comparison, Condition, Encoding, Measure, Metric, Quantile, Query, Role, Share, StuckState};
use super::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use super::verdict::{Fault, Gap, Judgement, Trouble};

const NOW: i64 = 1_800_000_000;
const WINDOW: u64 = 60;
/// Scrape interval, and step of the grid.
const STEP: i64 = 5;

fn at(seconds_ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds_ago).unwrap()
}

fn condition(role: Role, measure: Measure) -> Condition {
    Condition::new(role, "under test".into(), measure, Duration::from_secs(WINDOW))
}

pub fn judge(condition: &Condition, scope: &Scope, samples: &Samples) -> Judgement {
    let mut samples = samples.clone();
    for metric in condition.needs() {
        // What a test says nothing about is as it should be: one source, and no time before the change.
        let untold = matches!(samples.get(&metric), Err(Trouble::Fault(Fault::Malformed { detail })) if detail.contains("not sampled"));
        if untold {
            let one_source = matches!(metric, Metric::RequestSources | Metric::BucketSources);
            let sources =
                scope.pods.iter().flatten().filter(|_| one_source).map(|pod| series(&pod.name, "", |_| Some(1.0)));
            samples.insert(metric, Ok(sources.collect()));
        }
    }
    let judged = Group { scope: scope.clone(), samples };
    super::judge(condition, &Look { judged, stable: None })
}

pub fn error_rate(role: Role, limit: f64) -> Condition {
    condition(role, Measure::ErrorRate { limit: Share::new(limit).unwrap() })
}

fn p95(milliseconds: u64) -> Condition {
    let quantile = Quantile::new(0.95).unwrap();
    condition(Role::Gate, Measure::Latency { quantile, limit: Duration::from_millis(milliseconds) })
}

pub fn scope(pods: &[&str]) -> Scope {
    let live = |name: &&str| LivePod { name: (*name).into(), started: at(3_600), restarts: 0 };
    Scope {
        pods: Some(pods.iter().map(live).collect()),
        since: Some(at(WINDOW as i64)),
        now: at(0),
        horizon: Duration::from_secs(48 * 3_600),
        memory_limit: None,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    }
}

/// A series on the grid whose value at `ago` seconds is `value(ago)`; None leaves a gap.
pub fn series(pod: &str, part: &str, value: impl Fn(i64) -> Option<f64>) -> Series {
    let grid = (0..=(WINDOW as i64) / STEP).rev().map(|index| index * STEP);
    let points = grid.filter_map(|ago| Some(Point { at: at(ago), value: value(ago)? })).collect();
    Series { pod: pod.into(), part: part.into(), points }
}

/// The grid of the window, without answers yet.
fn on_grid() -> Samples {
    Samples::on_grid((0..=(WINDOW as i64) / STEP).rev().map(|index| at(index * STEP)).collect())
}

/// A counter that grows by `rate` a second from 1,000 on.
fn counter(pod: &str, part: &str, rate: f64) -> Series {
    series(pod, part, |ago| Some((1_000.0 + rate * (600 - ago) as f64).floor()))
}

/// Every point was sampled at its own time.
fn times(pod: &str) -> Series {
    series(pod, "", |ago| Some((NOW - ago) as f64))
}

pub fn traffic(pods: &[(&str, f64, f64)]) -> Samples {
    let mut samples = on_grid();
    samples.insert(Metric::Requests, Ok(pods.iter().map(|(pod, requests, _)| counter(pod, "", *requests)).collect()));
    samples.insert(Metric::Errors, Ok(pods.iter().map(|(pod, _, errors)| counter(pod, "", *errors)).collect()));
    samples.insert(Metric::RequestTimes, Ok(pods.iter().map(|(pod, ..)| times(pod)).collect()));
    samples
}

fn gap(judgement: Judgement) -> Gap {
    match judgement {
        Judgement::Inconclusive(gap, _) => gap,
        other => panic!("not inconclusive: {other:?}"),
    }
}

fn fault(judgement: Judgement) -> Fault {
    match judgement {
        Judgement::Error(fault) => fault,
        other => panic!("no error: {other:?}"),
    }
}

#[test]
fn a_healthy_service_passes_and_keeps_its_trigger_quiet() {
    let samples = traffic(&[("a", 50.0, 0.0), ("b", 50.0, 0.1)]);
    let scope = scope(&["a", "b"]);
    assert!(matches!(judge(&error_rate(Role::Gate, 0.01), &scope, &samples), Judgement::Met(_)));
    assert!(matches!(judge(&error_rate(Role::Trigger, 0.02), &scope, &samples), Judgement::Unmet(_)));
}

#[test]
fn a_broken_service_fails_and_fires() {
    let samples = traffic(&[("a", 50.0, 5.0), ("b", 50.0, 5.0)]);
    let scope = scope(&["a", "b"]);
    assert!(matches!(judge(&error_rate(Role::Gate, 0.01), &scope, &samples), Judgement::Unmet(_)));
    assert!(matches!(judge(&error_rate(Role::Trigger, 0.02), &scope, &samples), Judgement::Met(_)));
}

#[test]
fn a_pod_that_tells_nothing_hides_no_breach_of_the_others() {
    let scope = scope(&["a", "silent"]);
    let judged = |role, errors: f64| judge(&error_rate(role, 0.01), &scope, &traffic(&[("a", 50.0, errors)]));
    assert!(matches!(judged(Role::Trigger, 5.0), Judgement::Met(_)));
    for (role, errors) in [(Role::Trigger, 0.0), (Role::Gate, 0.0), (Role::Gate, 5.0)] {
        assert!(matches!(gap(judged(role, errors)), Gap::MissingPods { pods, .. } if pods == ["silent"]));
    }
}

#[test]
fn at_the_limit_there_is_no_verdict() {
    let samples = traffic(&[("a", 100.0, 1.0)]);
    let judgement = judge(&error_rate(Role::Gate, 0.01), &scope(&["a"]), &samples);
    assert!(matches!(gap(judgement), Gap::MoreRequests { more: None, .. }));
}

#[test]
fn a_few_good_requests_prove_nothing() {
    let samples = traffic(&[("a", 0.5, 0.0)]);
    let judgement = judge(&error_rate(Role::Gate, 0.01), &scope(&["a"]), &samples);
    assert!(matches!(gap(judgement), Gap::MoreRequests { have: 30, more: Some(348), .. }), "378 are needed");
}

#[test]
fn below_the_minimum_of_requests_there_is_no_verdict_at_all() {
    let strict = |role| Condition { min_requests: 1_000_000, ..error_rate(role, 0.01) };
    let broken = traffic(&[("a", 50.0, 25.0)]);
    for role in [Role::Gate, Role::Trigger] {
        assert!(matches!(gap(judge(&strict(role), &scope(&["a"]), &broken)), Gap::MoreRequests { .. }));
    }
}

#[test]
fn every_precondition_has_its_own_reason() {
    type Spoil = fn(&mut Scope, &mut Samples);
    let replace = |samples: &mut Samples, metric: Metric, series: Vec<Series>| {
        let mut spoiled = on_grid();
        for kept in [Metric::Requests, Metric::Errors, Metric::RequestTimes] {
            let answer = if kept == metric { Ok(series.clone()) } else { samples.get(&kept).map(<[Series]>::to_vec) };
            spoiled.insert(kept, answer);
        }
        *samples = spoiled;
    };
    let cases: [(&str, Spoil); 7] = [
        ("RolloutInProgress", |scope, _| scope.rolling = true),
        ("NoPods", |scope, _| scope.pods = Some(vec![])),
        ("WindowNotFull", |scope, _| scope.since = Some(at(30))),
        ("MissingPods", |scope, _| {
            scope.pods.as_mut().unwrap().push(LivePod { name: "c".into(), started: at(3_600), restarts: 0 });
        }),
        ("ClockSkew", |scope, _| scope.clock_skew = Some(SignedDuration::from_secs(30))),
        ("ClockUnknown", |scope, _| scope.clock_skew = None),
        ("NoSeries", |_, samples| {
            *samples = {
                let mut empty = on_grid();
                for metric in [Metric::Requests, Metric::Errors, Metric::RequestTimes] {
                    empty.insert(metric, Ok(vec![]));
                }
                empty
            }
        }),
    ];
    for (reason, spoil) in cases {
        let (mut scope, mut samples) = (scope(&["a"]), traffic(&[("a", 100.0, 0.0)]));
        spoil(&mut scope, &mut samples);
        for role in [Role::Gate, Role::Trigger] {
            let told = format!("{:?}", gap(judge(&error_rate(role, 0.01), &scope, &samples)));
            assert!(told.starts_with(reason), "{told}, not {reason}");
        }
    }
    let spoiled: [(&str, Metric, Series); 6] = [
        ("Stale", Metric::RequestTimes, series("a", "", |ago| Some((NOW - ago.max(20)) as f64))),
        (
            "Coverage",
            Metric::RequestTimes,
            series("a", "", |ago| (ago <= 25 || ago >= 45).then_some((NOW - ago) as f64)),
        ),
        ("TooFewSamples", Metric::RequestTimes, series("a", "", |_| Some((NOW - 3) as f64))),
        ("NoTraffic", Metric::Requests, counter("a", "", 0.0)),
        ("ImpossibleCount", Metric::Errors, counter("a", "", 200.0)),
        ("MissingPods", Metric::Errors, counter("another", "", 0.0)),
    ];
    for (reason, metric, series) in spoiled {
        let mut samples = traffic(&[("a", 100.0, 0.0)]);
        if reason == "NoTraffic" {
            replace(&mut samples, Metric::Errors, vec![counter("a", "", 0.0)]);
        }
        replace(&mut samples, metric, vec![series]);
        let told = format!("{:?}", gap(judge(&error_rate(Role::Gate, 0.01), &scope(&["a"]), &samples)));
        assert!(told.starts_with(reason), "{told}, not {reason}");
    }
}

#[test]
fn errors_before_the_first_scrape_of_a_new_pod_count() {
    let mut samples = on_grid();
    // The pod started 20 s ago; its first sample already carries 50 errors.
    let young = |value: f64| series("new", "", move |ago| (ago <= 15).then_some(value));
    samples.insert(Metric::Requests, Ok(vec![counter("a", "", 10.0), young(100.0)]));
    samples.insert(Metric::Errors, Ok(vec![counter("a", "", 0.0), young(50.0)]));
    let new_times = series("new", "", |ago| (ago <= 15).then_some((NOW - ago) as f64));
    samples.insert(Metric::RequestTimes, Ok(vec![times("a"), new_times]));
    let mut scope = scope(&["a"]);
    scope.pods.as_mut().unwrap().push(LivePod { name: "new".into(), started: at(20), restarts: 0 });
    let judgement = judge(&error_rate(Role::Gate, 0.01), &scope, &samples);
    assert!(matches!(judgement, Judgement::Unmet(_)), "{judgement:?}");
}

#[test]
fn a_restart_loses_nothing_that_was_sampled() {
    let reset = |rate: f64| series("a", "", move |ago| Some(rate * if ago > 30 { 600 - ago } else { 30 - ago } as f64));
    let mut samples = on_grid();
    samples.insert(Metric::Requests, Ok(vec![reset(100.0)]));
    samples.insert(Metric::Errors, Ok(vec![reset(5.0)]));
    samples.insert(Metric::RequestTimes, Ok(vec![times("a")]));
    let mut restarted = scope(&["a"]);
    restarted.pods.as_mut().unwrap()[0].started = at(31);
    assert!(matches!(judge(&error_rate(Role::Gate, 0.01), &restarted, &samples), Judgement::Unmet(_)));
    let unexplained = gap(judge(&error_rate(Role::Gate, 0.01), &scope(&["a"]), &samples));
    assert_eq!(unexplained, Gap::CounterFell { pod: "a".into() }, "a part of the sum went away for a while");
}

#[test]
fn what_an_old_pod_did_before_its_first_sample_is_unknown() {
    let old = |rate: f64| series("a", "", move |ago| (ago <= 55).then_some(1_000_000.0 + rate * (600 - ago) as f64));
    let mut samples = on_grid();
    samples.insert(Metric::Requests, Ok(vec![old(100.0)]));
    samples.insert(Metric::Errors, Ok(vec![series("a", "", |ago| (ago <= 55).then_some(5.0 * (600 - ago) as f64))]));
    samples.insert(Metric::RequestTimes, Ok(vec![series("a", "", |ago| (ago <= 55).then_some((NOW - ago) as f64))]));
    assert!(matches!(gap(judge(&error_rate(Role::Gate, 0.01), &scope(&["a"]), &samples)), Gap::BeginsLate { .. }));
}

#[test]
fn a_long_gap_is_seen_on_a_grid_that_is_coarse_where_it_is_old() {
    // A day in steps of six minutes, the last two minutes in steps of fifteen seconds; eleven hours were not scraped.
    let coarse = (1..=240).rev().map(|index| 120 + index * 360);
    let moments: Vec<i64> = coarse.chain((0..=8).rev().map(|index| index * 15)).collect();
    let day = |gap: bool, value: fn(i64) -> f64| Series {
        pod: "a".into(),
        part: String::new(),
        points: moments
            .iter()
            .filter(|ago| !gap || !(20_000..60_000).contains(*ago))
            .map(|ago| Point { at: at(*ago), value: value(*ago) })
            .collect(),
    };
    let judged = |gap: bool| {
        let mut samples = Samples::on_grid(moments.iter().map(|ago| at(*ago)).collect());
        samples.insert(Metric::Requests, Ok(vec![day(gap, |ago| (100_000 - ago) as f64)]));
        samples.insert(Metric::Errors, Ok(vec![day(gap, |_| 0.0)]));
        samples.insert(Metric::RequestTimes, Ok(vec![day(gap, |ago| (NOW - ago) as f64)]));
        let whole_day = Condition { window: Duration::from_secs(86_400), ..error_rate(Role::Gate, 0.01) };
        let mut pods = scope(&["a"]);
        pods.since = Some(at(90_000));
        pods.pods.as_mut().unwrap()[0].started = at(90_000);
        judge(&whole_day, &pods, &samples)
    };
    assert!(matches!(judged(false), Judgement::Met(_)), "{:?}", judged(false));
    assert!(matches!(gap(judged(true)), Gap::Coverage { .. }));
}

/// Requests of one pod: 100 a second, of which `slow` a second take more than 250 ms and none more than 500 ms.
fn latencies(slow: f64) -> Samples {
    let bucket = |edge: &str, rate: f64| counter("a", edge, rate);
    let mut samples = on_grid();
    let buckets = vec![
        bucket("0.1", 50.0),
        bucket("0.25", 100.0 - slow),
        bucket("0.5", 100.0),
        bucket("1", 100.0),
        bucket("+Inf", 100.0),
    ];
    samples.insert(Metric::Buckets, Ok(buckets));
    samples.insert(Metric::BucketTimes, Ok(vec![times("a")]));
    samples
}

#[test]
fn a_limit_on_a_bucket_edge_is_counted_exactly() {
    let pods = scope(&["a"]);
    assert!(matches!(judge(&p95(250), &pods, &latencies(1.0)), Judgement::Met(_)));
    assert!(matches!(judge(&p95(250), &pods, &latencies(10.0)), Judgement::Unmet(_)));
    assert!(matches!(judge(&p95(500), &pods, &latencies(10.0)), Judgement::Met(_)));
}

#[test]
fn a_limit_between_two_edges_passes_only_if_it_passes_at_the_lower_one() {
    let pods = scope(&["a"]);
    assert!(matches!(judge(&p95(400), &pods, &latencies(1.0)), Judgement::Met(_)));
    let undecided = gap(judge(&p95(400), &pods, &latencies(10.0)));
    assert_eq!(undecided, Gap::BetweenBuckets { below: 0.25, above: 0.5 }, "histogram_quantile says 389 ms");
}

#[test]
fn a_limit_that_no_request_can_exceed_is_refused() {
    for limit in [1_000, 5_000] {
        let refused = fault(judge(&p95(limit), &scope(&["a"]), &latencies(1.0)));
        assert!(matches!(refused, Fault::AboveTopBucket { .. }), "{refused:?}");
    }
}

fn breaker(state: impl Fn(i64) -> Option<f64>) -> Judgement {
    let encoding = Encoding { closed: 0.0, half_open: 1.0, open: 2.0 };
    let stuck_open =
        condition(Role::Trigger, Measure::Stuck { breaker: "cache".into(), state: StuckState::Open, encoding });
    let metric = Metric::BreakerState { breaker: "cache".into() };
    let mut samples = on_grid();
    samples.insert(metric, Ok(vec![series("a", "redis-cache", state)]));
    judge(&stuck_open, &scope(&["a"]), &samples)
}

#[test]
fn a_breaker_that_only_flickers_half_open_is_stuck() {
    assert!(matches!(breaker(|_| Some(2.0)), Judgement::Met(_)));
    for phase in [0, 5, 10, 15] {
        let flicker = |ago: i64| Some(if ago % 20 == phase { 1.0 } else { 2.0 });
        assert!(matches!(breaker(flicker), Judgement::Met(_)), "whatever the window begins with");
    }
    assert!(matches!(breaker(|_| Some(1.0)), Judgement::Met(_)), "half-open for ever is not closed either");
}

#[test]
fn a_breaker_that_closed_once_is_not_stuck() {
    assert!(matches!(breaker(|_| Some(0.0)), Judgement::Unmet(_)));
    assert!(matches!(breaker(|ago| Some(if ago == 30 { 0.0 } else { 2.0 })), Judgement::Unmet(_)));
}

#[test]
fn a_breaker_that_was_not_watched_is_neither() {
    assert!(matches!(gap(breaker(|ago| (!(30..=50).contains(&ago)).then_some(2.0))), Gap::Coverage { .. }));
    assert!(matches!(gap(breaker(|_| None)), Gap::NoSeries { .. }));
    assert!(matches!(fault(breaker(|_| Some(7.0))), Fault::Malformed { .. }));
}

#[test]
fn a_query_needs_exactly_one_series() {
    let query = Query {
        promql: "x".into(),
        comparison: Comparison::Below,
        limit: 2.0,
        throughout: false,
        reach: Duration::ZERO,
        shortest_range: None,
        of_latency: false,
    };
    let asked = Condition { window: Duration::ZERO, ..condition(Role::Gate, Measure::Query(query.clone())) };
    let answered = |values: &[f64]| {
        let mut samples = on_grid();
        let one = |value: &f64| Series {
            pod: String::new(),
            part: String::new(),
            points: vec![Point { at: at(0), value: *value }],
        };
        samples.insert(Metric::Query(query.clone(), Duration::ZERO), Ok(values.iter().map(one).collect()));
        judge(&asked, &scope(&["a"]), &samples)
    };
    assert!(matches!(answered(&[1.0]), Judgement::Met(_)));
    assert!(matches!(answered(&[2.0]), Judgement::Unmet(_)), "the limit itself is not below it");
    assert_eq!(gap(answered(&[1.0, 1.0])), Gap::SeveralSeries { count: 2 });
    assert!(matches!(gap(answered(&[])), Gap::NoSeries { .. }));
}

/// 0 for the worst judgement of a gate, 2 for a pass.
fn rank(judgement: &Judgement) -> u8 {
    match judgement {
        Judgement::Unmet(_) => 0,
        Judgement::Error(_) | Judgement::Missing(_) | Judgement::Inconclusive(..) => 1,
        Judgement::Met(_) => 2,
    }
}

proptest! {
    #[test]
    fn a_pass_needs_an_estimate_below_the_limit(requests in 0.0..200.0_f64, share in 0.0..0.1_f64, limit in 0.001..0.2_f64) {
        let samples = traffic(&[("a", requests, requests * share)]);
        let judgement = judge(&error_rate(Role::Gate, limit), &scope(&["a"]), &samples);
        if matches!(judgement, Judgement::Met(_)) {
            prop_assert!(share < limit + 0.5 / (requests * WINDOW as f64));
        }
    }

    #[test]
    fn a_tighter_limit_never_helps(requests in 0.0..200.0_f64, share in 0.0..0.1_f64, limit in 0.002..0.2_f64, tighter in 0.1..1.0_f64) {
        let samples = traffic(&[("a", requests, requests * share)]);
        let judged = |limit| rank(&judge(&error_rate(Role::Gate, limit), &scope(&["a"]), &samples));
        prop_assert!(judged(limit * tighter) <= judged(limit));
    }

    #[test]
    fn the_same_requests_on_more_pods_get_the_same_verdict(requests in 1..100_u32, errors in 0..10_u32, pods in 1..5_usize) {
        let names = ["a", "b", "c", "d", "e"];
        let (requests, errors) = (f64::from(requests), f64::from(errors.min(requests)));
        let one = traffic(&[("a", requests * pods as f64, errors * pods as f64)]);
        let spread: Vec<_> = names[..pods].iter().map(|pod| (*pod, requests, errors)).collect();
        let gate = error_rate(Role::Gate, 0.01);
        prop_assert_eq!(
            rank(&judge(&gate, &scope(&["a"]), &one)),
            rank(&judge(&gate, &scope(&names[..pods]), &traffic(&spread)))
        );
    }

    #[test]
    fn deleting_samples_never_makes_a_pass(requests in 0.0..200.0_f64, share in 0.0..0.05_f64, kept in proptest::collection::vec(any::<bool>(), 13)) {
        let thin = |series: &mut Series| {
            let mut kept = kept.iter();
            series.points.retain(|_| *kept.next().unwrap_or(&true));
        };
        let whole = traffic(&[("a", requests, requests * share)]);
        let mut thinned = on_grid();
        for metric in [Metric::Requests, Metric::Errors, Metric::RequestTimes] {
            let mut series = whole.get(&metric).unwrap().to_vec();
            series.iter_mut().for_each(thin);
            thinned.insert(metric, Ok(series));
        }
        let gate = error_rate(Role::Gate, 0.01);
        let (before, after) = (judge(&gate, &scope(&["a"]), &whole), judge(&gate, &scope(&["a"]), &thinned));
        prop_assert!(rank(&after) < 2 || rank(&before) == 2, "{before:?} became {after:?}");
    }
}
