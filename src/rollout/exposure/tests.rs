//! The share of a canary on made-up samples.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::judge::samples::{LivePod, Point, Samples, Scope};
use crate::rollout::canary::{Aim, Canary, CanaryRecord};
use crate::rollout::router::{Backends, Router, RouterKind, Split, Weights};
use crate::rollout::tests::{self, at, rollout, workload};

/// Length of the evidence in seconds, and the scrape interval.
const AGE: i64 = 600;
const STEP: i64 = 5;

/// Each pod with the requests that it counts in a second, all the time.
type Rates<'a> = &'a [(&'a str, f64)];

fn scope(pods: Rates<'_>, age: i64) -> Scope {
    let live = |name: &str| LivePod { name: name.into(), started: at(0), restarts: 0 };
    Scope {
        pods: Some(pods.iter().map(|(name, _)| live(name)).collect()),
        since: Some(at(1_000)),
        now: at(1_000 + age),
        horizon: Duration::from_secs(3_600),
        memory_limit: None,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    }
}

fn series(pod: &str, part: &str, age: i64, value: impl Fn(i64) -> f64) -> Series {
    let points = (0..=age / STEP).map(|index| Point { at: at(1_000 + index * STEP), value: value(index * STEP) });
    Series { pod: pod.into(), part: part.into(), points: points.collect() }
}

#[expect(clippy::cast_precision_loss, reason = "the numbers of a test are small")]
fn group(pods: Rates<'_>, age: i64, buckets: bool) -> Group {
    let mut samples = Samples::on_grid((0..=age / STEP).map(|index| at(1_000 + index * STEP)).collect());
    let of = |value: &dyn Fn(f64, i64) -> f64, part: &str| -> Vec<Series> {
        pods.iter().map(|(pod, rate)| series(pod, part, age, |second| value(*rate, second))).collect()
    };
    let counted = of(&|rate, second| (rate * second as f64).floor(), if buckets { "+Inf" } else { "" });
    let times = of(&|_, second| (1_000 + second) as f64, "");
    let sources = of(&|_, _| 1.0, "");
    let [counter, time, source] = match buckets {
        true => [Metric::Buckets, Metric::BucketTimes, Metric::BucketSources],
        false => [Metric::Requests, Metric::RequestTimes, Metric::RequestSources],
    };
    for (metric, series) in [(counter, counted), (time, times), (source, sources)] {
        samples.insert(metric, Ok(series));
    }
    Group { scope: scope(pods, age), samples }
}

fn canary_record(arrived: bool) -> CanaryRecord {
    let canary = Canary { pods: 1, flags: BTreeMap::new(), percent: None, template: "template-1".into(), arrived };
    CanaryRecord { operation: "operation-1".into(), aim: Aim::Runs(canary), route: None }
}

fn pod(name: &str) -> Pod {
    Pod { started: Some(at(0)), accepted: Some(at(0)), ..tests::pod(name) }
}

struct World {
    rollout: Rollout,
    workload: Workload,
    look: Look,
}

/// A canary beside stable pods at its first step.
fn world(canary: Rates<'_>, stable: Rates<'_>, age: i64, buckets: bool) -> World {
    let mut rollout = rollout();
    rollout.phases[1].steps[0].exposure = Exposure::Pods(1);
    let workload = Workload {
        canary_record: Some(Ok(canary_record(true))),
        pods: stable.iter().map(|(name, _)| pod(name)).collect(),
        canary: canary.iter().map(|(name, _)| pod(name)).collect(),
        ..workload(&[])
    };
    let look = Look { judged: group(canary, age, buckets), stable: Some(group(stable, age, buckets)) };
    World { rollout, workload, look }
}

impl World {
    fn at_step(&self, step: usize) -> Option<CanaryShare> {
        let place = Some(StandingPlace { phase: 1, step, since: at(1_000) });
        let standing = Standing { place, drift: vec![], emergency: false, unusable: None };
        CanaryShare::of(&self.rollout, &self.workload, &standing, &self.look)
    }

    fn share(&self) -> CanaryShare {
        self.at_step(0).unwrap()
    }

    fn routed(mut self, percent: Option<f64>) -> Self {
        let backends = Backends { stable: "web".into(), canary: "web-canary".into() };
        self.rollout.header.router =
            Some(Router { name: "web".into(), kind: RouterKind::HttpRoute(backends), canary_labels: BTreeMap::new() });
        let split = |percent| Ok(Split { resource_version: "1".into(), percent, weights: Weights(String::new()) });
        self.workload.split = percent.map(split);
        self
    }
}

/// Stable pods of ten requests a second each.
const TEN: [(&str, f64); 10] = [
    ("web-a-1", 10.0),
    ("web-a-2", 10.0),
    ("web-a-3", 10.0),
    ("web-a-4", 10.0),
    ("web-a-5", 10.0),
    ("web-a-6", 10.0),
    ("web-a-7", 10.0),
    ("web-a-8", 10.0),
    ("web-a-9", 10.0),
    ("web-a-10", 10.0),
];

#[test]
fn the_measured_share_is_held_against_that_of_the_pods() {
    let cases = [
        (10.0, None, "as many as every other pod"),
        (4.0, None, "fewer, but more than a third"),
        (14.0, None, "more, but not half as many again"),
        (20.0, Some(Uneven::TooGreat), "twice as many"),
        (0.0, Some(Uneven::TooSmall), "nothing"),
        (1.0, Some(Uneven::TooSmall), "a tenth"),
        (40.0, Some(Uneven::TooGreat), "four times as many"),
    ];
    for (rate, uneven, why) in cases {
        for buckets in [false, true] {
            let share = world(&[("web-canary-b-1", rate)], &TEN, AGE, buckets).share();
            assert_eq!(share.uneven, uneven, "{why} {share:?}");
            let measured = share.measured.unwrap();
            assert!((measured.expected.unwrap() - 1.0 / 11.0).abs() < 1e-9);
            assert!(measured.low <= measured.share() && measured.share() <= measured.high, "{measured:?}");
        }
    }
}

#[test]
fn few_requests_and_few_scrapes_prove_nothing() {
    let slow: Vec<(&str, f64)> = TEN.iter().map(|(name, _)| (*name, 0.1)).collect();
    let share = world(&[("web-canary-b-1", 0.0)], &slow, AGE, false).share();
    assert_eq!((share.measured.unwrap().all_requests, share.uneven), (600, None));
    let busy: Vec<(&str, f64)> = TEN.iter().map(|(name, _)| (*name, 1_000.0)).collect();
    assert_eq!(world(&[("web-canary-b-1", 0.0)], &busy, 7 * STEP, false).share().uneven, None);
    let later = world(&[("web-canary-b-1", 0.0)], &busy, 8 * STEP, false).share();
    assert_eq!(later.uneven, Some(Uneven::TooSmall));
}

#[test]
fn a_canary_without_any_series_is_not_taken_for_one_without_traffic_at_once() {
    let unseen = |age| {
        let mut world = world(&[("web-canary-b-1", 0.0)], &TEN, age, false);
        let canary = world.look.judged.samples;
        world.look.judged.samples = canary.filtered(|_, _| false);
        let share = world.share();
        assert_eq!(share.measured, None);
        share.uneven
    };
    assert_eq!(unseen(60), None);
    assert_eq!(unseen(600), Some(Uneven::Unseen { others: 60_000 }));
}

#[test]
fn pods_that_came_in_between_count_from_when_they_came() {
    let mut world = world(&[("web-canary-b-1", 10.0)], &TEN, AGE, false);
    let stable = world.look.stable.take().unwrap();
    // Nine of the ten were there for the last half only.
    let late = |series: &Series| series.pod != "web-a-1";
    let mut samples = Samples::on_grid(stable.samples.moments().to_vec());
    for (metric, found) in stable.samples.answered() {
        let mut found = found.to_vec();
        for series in found.iter_mut().filter(|series| late(series)) {
            let before = series.points[60].value;
            series.points.drain(..60);
            if *metric == Metric::Requests {
                series.points.iter_mut().for_each(|point| point.value -= before);
            }
        }
        samples.insert(metric.clone(), Ok(found));
    }
    let mut scope = stable.scope;
    for pod in scope.pods.iter_mut().flatten().skip(1) {
        pod.started = at(1_300);
    }
    world.look.stable = Some(Group { scope, samples });
    let share = world.share();
    let measured = share.measured.unwrap();
    assert!(measured.share() > 0.15 && (measured.share() - measured.expected.unwrap()).abs() < 0.01, "{measured:?}");
    assert_eq!(share.uneven, None);
}

#[test]
fn pods_that_have_gone_count_as_long_as_they_served() {
    // Scaled from ten to one in the middle; Prometheus goes on telling of the nine for a while.
    let mut world = world(&[("web-canary-b-1", 10.0)], &TEN, AGE, false);
    let stable = world.look.stable.take().unwrap();
    let mut samples = Samples::on_grid(stable.samples.moments().to_vec());
    for (metric, found) in stable.samples.answered() {
        let mut found = found.to_vec();
        for series in found.iter_mut().filter(|series| series.pod != "web-a-1" && *metric == Metric::Requests) {
            let last = series.points[20].value;
            series.points.iter_mut().skip(20).for_each(|point| point.value = last);
        }
        samples.insert(metric.clone(), Ok(found));
    }
    let mut scope = stable.scope;
    scope.pods.iter_mut().for_each(|pods| pods.truncate(1));
    world.look.stable = Some(Group { scope, samples });
    let share = world.share();
    let measured = share.measured.unwrap();
    assert!((measured.share() - measured.expected.unwrap()).abs() < 0.01, "{measured:?}");
    assert_eq!(share.uneven, None);
}

#[test]
fn what_a_canary_served_before_it_is_first_told_of_does_not_count() {
    // It runs for long when its bake begins, and its first sample comes late.
    let mut world = world(&[("web-canary-b-1", 10.0)], &TEN, 12 * STEP, false);
    let canary = &world.look.judged;
    let mut samples = Samples::on_grid(canary.samples.moments().to_vec());
    for (metric, found) in canary.samples.answered() {
        let mut found = found.to_vec();
        for series in &mut found {
            series.points.drain(..3);
            if *metric == Metric::Requests {
                series.points.iter_mut().for_each(|point| point.value += 400.0);
            }
        }
        samples.insert(metric.clone(), Ok(found));
    }
    let mut scope = canary.scope.clone();
    scope.pods.iter_mut().flatten().for_each(|pod| pod.started = at(970));
    world.look.judged = Group { scope, samples };
    let share = world.share();
    let measured = share.measured.unwrap();
    assert_eq!((measured.canary_requests, measured.all_requests), (450, 4_950));
    assert!((measured.share() - measured.expected.unwrap()).abs() < 0.001, "{measured:?}");
    assert_eq!(share.uneven, None);
}

#[test]
fn a_router_gives_its_own_share() {
    let even = |percent: Option<f64>| world(&[("web-canary-b-1", 10.0)], &TEN, AGE, false).routed(percent).share();
    assert_eq!((even(Some(10.0)).routed, even(Some(10.0)).uneven), (Some(0.1), None));
    assert_eq!(even(Some(50.0)).uneven, Some(Uneven::TooSmall));
    assert_eq!(even(Some(0.0)).uneven, Some(Uneven::TooGreat));
    let unknown = even(None);
    assert_eq!((unknown.router.as_deref(), unknown.routed, unknown.uneven), (Some("httproute/web"), None, None));
    assert_eq!(unknown.measured.unwrap().expected, None, "the number of pods promises nothing then");
}

#[test]
fn where_there_is_nothing_to_measure_nothing_is_said() {
    let starved = || world(&[("web-canary-b-1", 0.0)], &TEN, AGE, false);
    assert_eq!(starved().at_step(1), None, "a full step");
    let past = World { look: Look { stable: None, ..starved().look }, ..starved() };
    assert_eq!(past.at_step(0), None, "a past time");
    let mut under_way = starved();
    under_way.workload.canary_record = Some(Ok(canary_record(false)));
    let mut without_pods = starved();
    without_pods.workload.canary.clear();
    let mut unasked = starved();
    unasked.look.judged.samples = Samples::default();
    for (world, why) in [(under_way, "it has not arrived"), (without_pods, "no pod"), (unasked, "nothing was sampled")]
    {
        let share = world.share();
        assert_eq!((share.measured, share.uneven), (None, None), "{why}");
    }
}

#[test]
fn before_any_sample_of_the_new_exposure_nothing_is_measured() {
    let mut world = world(&[("web-canary-b-1", 10.0)], &TEN, AGE, false);
    for group in [Some(&mut world.look.judged), world.look.stable.as_mut()].into_iter().flatten() {
        group.scope.since = Some(at(1_001 + AGE));
        group.scope.now = at(1_001 + AGE);
    }
    let share = world.share();
    assert_eq!((share.measured, share.uneven), (None, None));
}

#[test]
fn the_interval_encloses_the_share_and_knows_of_clumps() {
    for (part, all) in [(0, 1), (0, 1_000), (90, 1_000), (1_000, 1_000), (9_000, 100_000)] {
        let (low, high) = interval(part, all);
        let share = as_float(part) / as_float(all);
        assert!(0.0 <= low && low <= share && share <= high && high <= 1.0, "{part} of {all}: {low} {high}");
    }
    let (_, high) = interval(0, 1_000);
    assert!((0.06..0.07).contains(&high), "as 0 of 100: {high}");
    assert_eq!(interval(0, 0), (0.0, 1.0));
}
