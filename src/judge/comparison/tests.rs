//! The comparison on made-up samples: tables of cases, and what holds whatever the samples are.

#![expect(clippy::cast_precision_loss, reason = "the numbers of a test are small")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::edge::{Edge, Tail};
use super::*;
use crate::judge::condition::{Measure, NoData};
use crate::judge::samples::{LivePod, Look, Point, Series};

const NOW: i64 = 1_800_000_000;
/// Seconds of the window, and of a block unless a test says otherwise.
const WINDOW: i64 = 60;
const STEP: i64 = 5;
const EDGES: [&str; 6] = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

fn at(seconds_ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds_ago).unwrap()
}

/// What a pod's counter adds in each second of the window, by seconds before now.
type Rate<'a> = &'a dyn Fn(i64) -> f64;

/// A counter that is read every `step` seconds.
fn counter(pod: &str, part: &str, step: i64, rate: Rate<'_>) -> Series {
    let count = |ago: i64| (1_000.0 + (ago..WINDOW).map(|second| rate(second + 1)).sum::<f64>()).round();
    let points = (0..=WINDOW / step).rev().map(|index| Point { at: at(index * step), value: count(index * step) });
    Series { pod: pod.into(), part: part.into(), points: points.collect() }
}

fn constant(pod: &str, step: i64, value: impl Fn(i64) -> f64) -> Series {
    let points = (0..=WINDOW / step).rev().map(|index| Point { at: at(index * step), value: value(index * step) });
    Series { pod: pod.into(), part: String::new(), points: points.collect() }
}

fn empty_group(pods: &[String], step: i64) -> Group {
    let live = |name: &String| LivePod { name: name.clone(), started: at(3_600), restarts: 0 };
    let scope = Scope {
        pods: Some(pods.iter().map(live).collect()),
        since: Some(at(WINDOW)),
        now: at(0),
        horizon: Duration::from_secs(48 * 3_600),
        memory_limit: None,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    };
    let mut samples = Samples::on_grid((0..=WINDOW / step).rev().map(|index| at(index * step)).collect());
    let times = || pods.iter().map(|pod| constant(pod, step, |ago| (NOW - ago) as f64)).collect();
    let sources = || pods.iter().map(|pod| constant(pod, step, |_| 1.0)).collect();
    samples.insert(Metric::RequestTimes, Ok(times()));
    samples.insert(Metric::BucketTimes, Ok(times()));
    samples.insert(Metric::RequestSources, Ok(sources()));
    samples.insert(Metric::BucketSources, Ok(sources()));
    for before in [Metric::RequestsBefore, Metric::ErrorsBefore, Metric::BucketsBefore] {
        samples.insert(before, Ok(Vec::new()));
    }
    Group { scope, samples }
}

/// Pods that each serve so many requests a second and make so many errors.
fn pods_at(step: i64, name: &str, pods: usize, requests: Rate<'_>, errors: Rate<'_>) -> Group {
    let names: Vec<String> = (0..pods).map(|index| format!("{name}{index}")).collect();
    let mut group = empty_group(&names, step);
    let of = |rate: Rate<'_>| names.iter().map(|pod| counter(pod, "", step, rate)).collect();
    group.samples.insert(Metric::Requests, Ok(of(requests)));
    group.samples.insert(Metric::Errors, Ok(of(errors)));
    group
}

fn pods(name: &str, pods: usize, requests: f64, errors: f64) -> Group {
    pods_at(STEP, name, pods, &|_| requests, &|_| errors)
}

/// Pods whose requests a second fall so into the buckets of [`EDGES`].
fn histogram(name: &str, pods: usize, edges: &[&str], added: &[f64]) -> Group {
    let names: Vec<String> = (0..pods).map(|index| format!("{name}{index}")).collect();
    let mut group = empty_group(&names, STEP);
    let cumulative = |index: usize| added[..=index].iter().sum::<f64>();
    let buckets = names.iter().flat_map(|pod| {
        let of = |(index, edge): (usize, &&str)| counter(pod, edge, STEP, &|_| cumulative(index));
        edges.iter().enumerate().map(of).collect::<Vec<_>>()
    });
    let buckets = buckets.collect();
    group.samples.insert(Metric::Buckets, Ok(buckets));
    group
}

fn condition(role: Role, measure: Measure) -> Condition {
    Condition::new(role, "under test".into(), measure, Duration::from_secs(WINDOW.unsigned_abs()))
}

fn errors(factor: f64) -> Condition {
    condition(Role::Gate, Measure::ErrorRateAgainstBaseline { factor })
}

fn p95(factor: f64) -> Condition {
    let quantile = Quantile::new(0.95).unwrap();
    condition(Role::Gate, Measure::LatencyAgainstBaseline { quantile, factor })
}

fn judge(condition: &Condition, canary: Group, stable: Option<Group>) -> Judgement {
    crate::judge::judge(condition, &Look { judged: canary, stable })
}

/// A trigger is judged on the canary's pods alone.
fn fires(factor: f64, canary: &Group, stable: &Group) -> Judgement {
    let condition = condition(Role::Trigger, Measure::ErrorRateAgainstBaseline { factor });
    let window = Window { from: at(WINDOW), to: at(0) };
    judge_error_rate(&condition, factor, window, &canary.scope, &canary.samples, Some(stable)).unwrap()
}

fn gap(judgement: Judgement) -> Gap {
    match judgement {
        Judgement::Inconclusive(gap, _) => gap,
        other => panic!("not inconclusive: {other:?}"),
    }
}

fn comparison(judgement: &Judgement) -> &Comparison {
    match judgement {
        Judgement::Met(evidence) | Judgement::Unmet(evidence) => match evidence.finding() {
            Finding::Comparison(comparison) => comparison,
            other => panic!("no comparison: {other:?}"),
        },
        Judgement::Inconclusive(_, Some(evidence)) => match evidence.finding() {
            Finding::Comparison(comparison) => comparison,
            other => panic!("no comparison: {other:?}"),
        },
        other => panic!("no evidence: {other:?}"),
    }
}

/// 0 for the worst judgement of a gate, 2 for a pass.
fn rank(judgement: &Judgement) -> u8 {
    match judgement {
        Judgement::Unmet(_) => 0,
        Judgement::Error(_) | Judgement::Missing(_) | Judgement::Inconclusive(..) => 1,
        Judgement::Met(_) => 2,
    }
}

#[test]
fn a_canary_that_is_as_good_passes_and_a_worse_one_fails() {
    let stable = || pods("stable", 9, 100.0, 1.0);
    let cases = [
        (1.0, 1.5, 2, "as good, with room"),
        (0.0, 1.0, 2, "no errors beside many"),
        (1.0, 1.0, 1, "just at the limit"),
        (5.0, 1.5, 0, "five times as many"),
        (5.0, 10.0, 2, "five times as many, and ten are allowed"),
    ];
    for (of_canary, factor, expected, case) in cases {
        let judgement = judge(&errors(factor), pods("canary", 1, 100.0, of_canary), Some(stable()));
        assert_eq!(rank(&judgement), expected, "{case}: {judgement:?}");
    }
}

#[test]
fn the_figures_of_a_verdict_are_those_of_the_window() {
    let judgement = judge(&errors(1.5), pods("canary", 1, 100.0, 5.0), Some(pods("stable", 9, 100.0, 1.0)));
    let found = comparison(&judgement);
    assert_eq!((found.canary_events, found.canary_requests), (300, 6_000));
    assert_eq!((found.stable_events, found.stable_requests), (540, 54_000));
    assert_eq!((found.ratio, found.limit, found.uneven_traffic), (Some(5.0), 1.5, None));
    assert!(found.low > 3.5 && found.low < 5.0 && found.high.unwrap() > 5.0 && found.high.unwrap() < 7.0, "{found:?}");
}

#[test]
fn a_trigger_fires_on_what_a_gate_fails_on_and_is_quiet_otherwise() {
    let (bad, good) = (pods("canary", 1, 100.0, 5.0), pods("canary", 1, 100.0, 1.0));
    let (stable, perfect) = (pods("stable", 9, 100.0, 1.0), pods("stable", 9, 100.0, 0.0));
    assert!(matches!(fires(1.5, &bad, &stable), Judgement::Met(_)));
    assert!(matches!(fires(1.5, &good, &stable), Judgement::Unmet(_)));
    assert!(matches!(fires(1.5, &bad, &perfect), Judgement::Met(_)), "errors on the canary alone");
    assert!(matches!(fires(1.5, &pods("canary", 1, 100.0, 0.0), &perfect), Judgement::Unmet(_)));
    let few = fires(1.5, &pods("canary", 1, 1.0, 0.05), &stable);
    assert!(matches!(gap(few), Gap::MoreRequests { more: None, .. }), "three errors in sixty requests");
}

#[test]
fn what_strikes_both_alike_is_no_difference() {
    // An outage in the middle of the window, while the split of the traffic changes.
    let outage = |ago: i64| if (20..40).contains(&ago) { 40.0 } else { 0.0 };
    let fewer = |ago: i64| if (20..40).contains(&ago) { 50.0 } else { 100.0 };
    let canary = pods_at(STEP, "canary", 1, &fewer, &|ago| outage(ago) / 2.0);
    let stable = pods_at(STEP, "stable", 4, &|_| 100.0, &outage);
    let judgement = judge(&errors(1.2), canary, Some(stable));
    assert!(matches!(judgement, Judgement::Met(_)), "{judgement:?}");
}

#[test]
fn a_service_without_errors_passes_after_enough_requests_and_says_how_many() {
    let perfect = |name, count, rate| pods(name, count, rate, 0.0);
    for stable_rate in [1.0, 1_000.0] {
        let judged = |rate| judge(&errors(1.1), perfect("canary", 1, rate), Some(perfect("stable", 9, stable_rate)));
        assert!(matches!(judged(64.0), Judgement::Met(_)), "3,840 requests");
        let missing = gap(judged(10.0));
        assert!(matches!(missing, Gap::MoreRequests { have: 600, more: Some(3_196), .. }), "{missing:?}");
    }
    let one_error = pods_at(STEP, "canary", 1, &|_| 100.0, &|ago| f64::from(u8::from(ago == 30)));
    let judgement = judge(&errors(1.1), one_error, Some(perfect("stable", 9, 100.0)));
    assert!(matches!(gap(judgement), Gap::MoreRequests { more: None, .. }), "one error is one too many beside none");
}

#[test]
fn nothing_is_compared_without_both_groups() {
    let good = |name| pods(name, 1, 100.0, 1.0);
    assert_eq!(gap(judge(&errors(1.5), good("stable"), None)), Gap::NoBaseline);
    assert_eq!(gap(judge(&errors(1.5), pods("canary", 1, 0.0, 0.0), Some(good("stable")))), Gap::NoTraffic);
    assert_eq!(gap(judge(&errors(1.5), good("canary"), Some(pods("stable", 1, 0.0, 0.0)))), Gap::NoTraffic);
    assert_eq!(gap(judge(&errors(1.5), good("canary"), Some(empty_group(&[], STEP)))), Gap::NoBaseline);
}

#[test]
fn the_stable_pods_have_to_be_as_well_known_as_the_canary() {
    let canary = || pods("canary", 1, 100.0, 1.0);
    let stable = |change: &dyn Fn(&mut Group)| {
        let mut stable = pods("stable", 2, 100.0, 1.0);
        change(&mut stable);
        gap(judge(&errors(1.5), canary(), Some(stable)))
    };
    assert_eq!(stable(&|group| group.scope.rolling = true), Gap::RolloutInProgress);
    let unseen = LivePod { name: "stable2".into(), started: at(3_600), restarts: 0 };
    let missing = stable(&|group| group.scope.pods.as_mut().unwrap().push(unseen.clone()));
    assert!(matches!(missing, Gap::MissingPods { .. }), "{missing:?}");
    assert_eq!(stable(&|group| group.scope.clock_skew = None), Gap::ClockUnknown);
    let untold = stable(&|group| group.samples = group.samples.clone().filtered(|_, series| series.pod == "stable0"));
    assert!(matches!(untold, Gap::MissingPods { .. }), "{untold:?}");
    let missing = Condition { no_data: NoData::Fail, ..errors(1.5) };
    let judgement = judge(&missing, pods("canary", 1, 0.0, 0.0), Some(pods("stable", 2, 100.0, 1.0)));
    assert!(matches!(judgement, Judgement::Missing(Gap::NoTraffic)));
}

#[test]
fn too_few_requests_are_no_verdict_whatever_they_say() {
    let (bad, stable) = (|| pods("canary", 1, 100.0, 50.0), || pods("stable", 2, 100.0, 1.0));
    let asked = |min_requests| Condition { min_requests, ..errors(1.5) };
    assert_eq!(rank(&judge(&asked(6_001), bad(), Some(stable()))), 1);
    assert_eq!(rank(&judge(&asked(6_000), bad(), Some(stable()))), 0);
    let plain = |min_requests, of_canary| {
        let asked = Condition { min_requests, method: Method::Threshold, ..errors(1.5) };
        rank(&judge(&asked, pods("canary", 1, 100.0, of_canary), Some(stable())))
    };
    assert_eq!((plain(0, 2.0), plain(0, 1.5), plain(6_001, 1.0)), (0, 2, 1));
}

#[test]
fn uneven_traffic_is_told_where_it_is_noticeable() {
    let told = |of_canary: f64| {
        let judgement = judge(&errors(2.0), pods("canary", 1, of_canary, 1.0), Some(pods("stable", 4, 100.0, 1.0)));
        comparison(&judgement).uneven_traffic
    };
    assert_eq!(told(100.0), None);
    assert_eq!(told(110.0), None, "certain, but too little to matter");
    let (have, promised) = told(10.0).unwrap();
    assert!((have - 10.0 / 410.0).abs() < 1e-9 && (promised - 0.2).abs() < 1e-9, "{have} {promised}");
    assert!(told(400.0).is_some());
    let few = judge(&errors(2.0), pods("canary", 1, 0.1, 0.0), Some(pods("stable", 4, 0.2, 0.0)));
    assert_eq!(comparison(&few).uneven_traffic, None, "a few requests are no proof");
}

#[test]
fn latency_is_compared_at_the_edge_above_the_stable_quantile() {
    // The p95 of the stable pods lies between 0.25 and 0.5 s; above 0.5 s are 2 %.
    let fast = [500.0, 420.0, 60.0, 15.0, 4.0, 1.0];
    let slow = [500.0, 360.0, 60.0, 60.0, 15.0, 5.0];
    let judged = |factor, canary: &[f64]| {
        let canary = histogram("canary", 1, &EDGES, canary);
        judge(&p95(factor), canary, Some(histogram("stable", 4, &EDGES, &fast)))
    };
    let same = judged(1.1, &fast);
    let found = comparison(&same);
    assert!(matches!(same, Judgement::Met(_)), "{same:?}");
    assert_eq!(found.edge_seconds, Some(0.5));
    // S(0.5/1.1) = 2 % + 6 %·(0.5 − 0.4545…)/0.25.
    assert!((found.limit - (0.02 + 0.06 * (0.5 - 0.5 / 1.1) / 0.25) / 0.02).abs() < 1e-6, "{found:?}");
    assert_eq!((found.canary_events, found.stable_events), (1_200, 4_800));
    let (of_canary, of_stable) = found.quantile_seconds.unwrap();
    assert!((of_canary - 0.375).abs() < 1e-6 && (of_stable - 0.375).abs() < 1e-6, "{of_canary} {of_stable}");
    assert!(matches!(judged(1.1, &slow), Judgement::Unmet(_)));
}

#[test]
fn different_buckets_cannot_be_compared() {
    let stable = histogram("stable", 1, &EDGES, &[50.0, 40.0, 6.0, 2.0, 1.0, 1.0]);
    let canary = histogram("canary", 1, &["0.1", "0.3", "0.5", "1", "2.5", "+Inf"], &[50.0, 40.0, 6.0, 2.0, 1.0, 1.0]);
    assert!(matches!(judge(&p95(1.1), canary, Some(stable)), Judgement::Error(Fault::Malformed { .. })));
}

#[test]
fn the_edge_is_chosen_sensibly() {
    let tail = |shares: [f64; 4]| Tail::of([0.1, 0.25, 0.5, 1.0].into_iter().zip(shares));
    let edge = |shares, quantile, factor| tail(shares).edge(quantile, factor, 0.05);
    let near = |found: Result<Edge, Gap>, seconds: f64, limit: f64| {
        let found = found.unwrap();
        assert!((found.seconds - seconds).abs() < 1e-9 && (found.limit - limit).abs() < 1e-6, "{found:?}");
    };
    near(edge([0.4, 0.06, 0.02, 0.01], 0.3, 1.0), 0.5, 1.0);
    near(edge([0.4, 0.05, 0.02, 0.01], 0.25, 1.0), 0.25, 1.0);
    // No stable request is slower than 0.5 s: one edge down.
    near(edge([0.4, 0.06, 0.0, 0.0], 0.29, 1.25), 0.25, (0.06 + 0.34 * 0.05 / 0.15) / 0.06);
    // Three times as slow: at 0.5 s a canary might have half of its requests, so 1 s is looked at.
    near(edge([0.6, 0.06, 0.02, 0.01], 0.3, 3.0), 1.0, (0.06 - 0.04 * (1.0 / 3.0 - 0.25) / 0.25) / 0.01);
    // The quantile is above the top edge.
    near(edge([0.9, 0.6, 0.3, 0.2], 1.0, 1.0), 1.0, 1.0);
    assert_eq!(edge([0.0; 4], 0.09, 1.1), Err(Gap::BetweenBuckets { below: 0.0, above: 0.1 }));
    assert_eq!(edge([0.8, 0.0, 0.0, 0.0], 0.24, 1.1), Err(Gap::BetweenBuckets { below: 0.0, above: 0.1 }));
}

#[test]
fn errors_in_bursts_prove_less() {
    let before = |samples: &mut Samples| {
        let total = |part: &dyn Fn(i64) -> f64| Series { pod: String::new(), ..counter("", "", STEP, part) };
        samples.insert(Metric::RequestsBefore, Ok(vec![total(&|_| 1_000.0)]));
        samples.insert(Metric::ErrorsBefore, Ok(vec![total(&|ago| if ago % 30 == 0 { 90.0 } else { 0.0 })]));
    };
    let judged = |bursts: bool| {
        let mut canary = empty_group(&["canary0".into()], STEP);
        let even = pods("canary", 1, 10.0, 0.2);
        canary.scope = even.scope;
        canary.samples = Samples::on_grid(even.samples.moments().to_vec());
        for metric in [Metric::Requests, Metric::Errors, Metric::RequestTimes, Metric::RequestSources] {
            canary.samples.insert(metric.clone(), Ok(even.samples.get(&metric).unwrap().to_vec()));
        }
        if bursts {
            before(&mut canary.samples);
        } else {
            canary.samples.insert(Metric::RequestsBefore, Ok(Vec::new()));
            canary.samples.insert(Metric::ErrorsBefore, Ok(Vec::new()));
        }
        judge(&errors(1.0), canary, Some(pods("stable", 9, 10.0, 0.02)))
    };
    let (even, bursts) = (judged(false), judged(true));
    assert!(matches!(even, Judgement::Unmet(_)), "{even:?}");
    assert!(comparison(&bursts).bursts > 10.0 && rank(&bursts) == 1, "{bursts:?}");
}

#[test]
fn a_late_regression_is_found_after_a_healthy_day() {
    let moments: Vec<Timestamp> = (0..=1_500).map(|minute| at(60 * (1_500 - minute))).collect();
    let side = |events, requests| Side { events, requests };
    let blocks: Vec<Pair> = (0..1_500)
        .map(|minute| Pair { canary: side(if minute < 1_440 { 3 } else { 15 }, 600), stable: side(27, 5_400) })
        .collect();
    let split = Split { limit: 1.5, bursts: 1.0 };
    let horizon = Duration::from_secs(48 * 3_600);
    let evidence = |end: usize| split.violation(&split::stretches(&moments[..=end], &blocks[..end]), horizon);
    assert!(evidence(1_440) < 1.0);
    assert!(evidence(1_446) > 100.0, "{} six minutes later", evidence(1_446));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_same_requests_on_more_pods_get_the_same_verdict(
        requests in 1..60_u32, bad in 0..6_u32, of_stable in 0..6_u32, canaries in 1..4_usize, stables in 1..5_usize, factor in 0.8..4.0_f64
    ) {
        let (requests, bad, of_stable) = (f64::from(requests), f64::from(bad.min(requests)), f64::from(of_stable.min(requests)));
        let one = |name, count: usize, errors: f64| pods(name, 1, requests * count as f64, errors * count as f64);
        let together = judge(&errors(factor), one("canary", canaries, bad), Some(one("stable", stables, of_stable)));
        let spread = judge(&errors(factor), pods("canary", canaries, requests, bad), Some(pods("stable", stables, requests, of_stable)));
        prop_assert_eq!(rank(&together), rank(&spread));
        prop_assert!((comparison(&together).evidence / comparison(&spread).evidence - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_same_requests_in_more_blocks_say_the_same(
        requests in 30..60_u32, bad in 0..6_u32, of_stable in 0..6_u32, factor in 0.8..4.0_f64
    ) {
        let (requests, bad, of_stable) = (f64::from(requests), f64::from(bad), f64::from(of_stable));
        let found = |step| {
            let canary = pods_at(step, "canary", 1, &|_| requests, &|_| bad);
            judge(&errors(factor), canary, Some(pods_at(step, "stable", 2, &|_| requests, &|_| of_stable)))
        };
        let (coarse, fine) = (found(10), found(1));
        let evidence = |judgement: &Judgement| comparison(judgement).evidence;
        // A later start may be found a little sooner in finer blocks; evidence since the change is the same.
        prop_assert!((evidence(&coarse) / evidence(&fine)).ln().abs() < 0.05, "{coarse:?} {fine:?}");
        let clear = evidence(&coarse) > 22.0 || evidence(&coarse) < 18.0;
        prop_assert!(rank(&coarse) == rank(&fine) || !clear);
    }

    #[test]
    fn a_tighter_factor_never_helps(
        requests in 1.0..60.0_f64, share in 0.0..0.2_f64, of_stable in 0.0..0.2_f64, factor in 0.5..5.0_f64, tighter in 0.1..1.0_f64
    ) {
        let judged = |factor| {
            let canary = pods("canary", 1, requests, requests * share);
            rank(&judge(&errors(factor), canary, Some(pods("stable", 3, requests, requests * of_stable))))
        };
        prop_assert!(judged(factor * tighter) <= judged(factor));
    }

    #[test]
    fn a_tighter_factor_never_helps_a_quantile(slow in 0.0..20.0_f64, factor in 1.0..1.3_f64, tighter in 0.0..1.0_f64) {
        let judged = |factor| {
            let canary = histogram("canary", 1, &EDGES, &[50.0, 40.0, 6.0, slow, 1.0, 1.0]);
            rank(&judge(&p95(factor), canary, Some(histogram("stable", 3, &EDGES, &[50.0, 40.0, 6.5, 2.5, 1.0, 1.0]))))
        };
        prop_assert!(judged(1.0 + (factor - 1.0) * tighter) <= judged(factor));
    }

    #[test]
    fn no_canary_passes_without_traffic_or_with_a_greater_share(
        requests in 0.0..60.0_f64, share in 0.0..0.2_f64, of_stable in 0.0..0.2_f64, factor in 0.5..5.0_f64
    ) {
        let canary = pods("canary", 1, requests, requests * share);
        let judgement = judge(&errors(factor), canary, Some(pods("stable", 3, 100.0, 100.0 * of_stable)));
        if matches!(judgement, Judgement::Met(_)) {
            let found = comparison(&judgement);
            prop_assert!(found.canary_requests > 0);
            prop_assert!(found.canary_events == 0 || found.ratio.is_some_and(|ratio| ratio < factor));
        }
    }

    #[test]
    fn bounds_enclose_the_ratio(requests in 1.0..60.0_f64, share in 0.0..0.2_f64, of_stable in 0.0..0.2_f64) {
        let canary = pods("canary", 1, requests, requests * share);
        let judgement = judge(&errors(1.0), canary, Some(pods("stable", 3, requests, requests * of_stable)));
        prop_assume!(!matches!(judgement, Judgement::Inconclusive(_, None)));
        let found = comparison(&judgement);
        let ratio = found.ratio.unwrap_or(f64::INFINITY);
        prop_assert!(found.canary_events == 0 || found.low <= ratio, "{found:?}");
        prop_assert!(found.high.is_none_or(|high| ratio.is_infinite() || high >= ratio), "{found:?}");
    }
}
