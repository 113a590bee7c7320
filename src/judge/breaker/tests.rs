//! Stuck breakers second by second, as scrapes of any interval see them; and the share of calls that fail.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::super::condition::{Condition, Encoding, Measure, Metric, Role, Share, StuckState};
use super::super::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use super::super::verdict::{Finding, Gap, Judgement};

const NOW: i64 = 1_800_000_000;
const WINDOW: i64 = 600;
const ENCODING: Encoding = Encoding { closed: 0.0, half_open: 1.0, open: 2.0 };

fn at(milliseconds_ago: i64) -> Timestamp {
    Timestamp::from_millisecond(NOW * 1_000 - milliseconds_ago).unwrap()
}

fn scope(started_ago: i64) -> Scope {
    let pod = LivePod { name: "a".into(), started: at(started_ago * 1_000), restarts: 0 };
    Scope {
        pods: Some(vec![pod]),
        since: Some(at(WINDOW * 1_000)),
        now: at(0),
        horizon: Duration::from_secs(48 * 3_600),
        memory_limit: None,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    }
}

fn judge(measure: Measure, scope: Scope, samples: Samples) -> Judgement {
    let condition =
        Condition::new(Role::Trigger, "under test".into(), measure, Duration::from_secs(WINDOW.unsigned_abs()));
    super::super::judge(&condition, &Look { judged: Group { scope, samples }, stable: None })
}

fn stuck(state: StuckState, started_ago: i64, points: Vec<Point>) -> Judgement {
    let metric = Metric::BreakerState { breaker: "cache".into() };
    let mut samples = Samples::on_grid(vec![]);
    samples.insert(metric, Ok(vec![Series { pod: "a".into(), part: "redis".into(), points }]));
    judge(Measure::Stuck { breaker: "cache".into(), state, encoding: ENCODING }, scope(started_ago), samples)
}

/// Uniform in 0..below; a linear congruential generator is random enough for phases.
struct Phases(u64);

impl Phases {
    fn next(&mut self, below: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % below
    }
}

/// A breaker that never closes: after each reset time of 60 s it probes for the 3 s of its time limit, and opens again.
/// The plain rule `min_over_time(state == open)` is broken by a single sample of a probe. Source of the shares: the
/// geometry of the phases, and the same simulation in other hands: 100 %, 95 % and 48 %.
#[test]
fn a_breaker_whose_probes_time_out_is_found_every_time_and_by_the_plain_rule_hardly_ever() {
    const RESET: i64 = 60_000;
    const PROBE: i64 = 3_000;
    const WINDOWS: u32 = 2_000;
    let mut phases = Phases(42);
    for (interval, broken_share) in [(15_000, 1.0), (30_000, 0.95), (60_000, 0.48)] {
        let mut broken = 0;
        for _ in 0..WINDOWS {
            let (scrape, breaker) = (phases.next(interval), phases.next(RESET + PROBE));
            let state = |ago: i64| if (ago + breaker) % (RESET + PROBE) < PROBE { 1.0 } else { 2.0 };
            let agos = (0..).map(|index| scrape + index * interval).take_while(|ago| *ago <= WINDOW * 1_000);
            let mut points: Vec<Point> = agos.map(|ago| Point { at: at(ago), value: state(ago) }).collect();
            points.reverse();
            broken += u32::from(points.iter().any(|point| !super::same(point.value, ENCODING.open)));
            let judgement = stuck(StuckState::Open, 3_600, points);
            assert!(matches!(judgement, Judgement::Met(_)), "every {interval} ms: {judgement:?}");
        }
        let share = f64::from(broken) / f64::from(WINDOWS);
        println!("scraped every {interval} ms the plain rule misses {:.1} %", share * 100.0);
        assert!((share - broken_share).abs() < 0.03, "{interval}: {share}");
    }
}

fn every_15_seconds(reach: i64, state: impl Fn(i64) -> f64) -> Vec<Point> {
    (0..=reach / 15).rev().map(|index| Point { at: at(index * 15_000), value: state(index * 15) }).collect()
}

#[test]
fn half_open_is_stuck_only_if_every_sample_is() {
    let half_open = stuck(StuckState::HalfOpen, 3_600, every_15_seconds(600, |_| 1.0));
    let Judgement::Met(evidence) = half_open else { panic!("{half_open:?}") };
    assert!(
        matches!(evidence.finding(), Finding::Breaker { state: StuckState::HalfOpen, stuck, .. } if stuck.len() == 1)
    );
    for other in [0.0, 2.0] {
        let once = every_15_seconds(600, |ago| if ago == 300 { other } else { 1.0 });
        assert!(matches!(stuck(StuckState::HalfOpen, 3_600, once), Judgement::Unmet(_)));
    }
    assert!(matches!(stuck(StuckState::HalfOpen, 3_600, every_15_seconds(600, |_| 2.0)), Judgement::Unmet(_)));
}

#[test]
fn only_the_window_of_the_condition_counts() {
    // Another condition's window is longer, and its samples are here as well.
    let closed_before = every_15_seconds(1_800, |ago| if ago > 605 { 0.0 } else { 2.0 });
    assert!(matches!(stuck(StuckState::Open, 3_600, closed_before), Judgement::Met(_)));
    let closed_since = every_15_seconds(1_800, |ago| if ago > 590 { 0.0 } else { 2.0 });
    assert!(matches!(stuck(StuckState::Open, 3_600, closed_since), Judgement::Unmet(_)));
}

#[test]
fn a_pod_that_started_inside_the_window_was_not_watched_for_long_enough() {
    let young = every_15_seconds(300, |_| 2.0);
    assert!(matches!(stuck(StuckState::Open, 310, young), Judgement::Unmet(_)));
}

/// Cumulative calls and failures of one breaker at these rates a second.
fn calls(requests: f64, failures: Option<f64>) -> Judgement {
    let grid: Vec<Timestamp> = (0..=WINDOW / 15).rev().map(|index| at(index * 15_000)).collect();
    let series = |value: &dyn Fn(f64) -> f64| Series {
        pod: "a".into(),
        part: "redis".into(),
        points: (0_u32..)
            .zip(&grid)
            .map(|(index, at)| Point { at: *at, value: value(f64::from(index) * 15.0) })
            .collect(),
    };
    let breaker = || "cache".to_owned();
    let start = at(WINDOW * 1_000).as_duration().as_secs_f64();
    let mut samples = Samples::on_grid(grid.clone());
    samples.insert(Metric::BreakerTimes { breaker: breaker() }, Ok(vec![series(&|seconds| start + seconds)]));
    samples.insert(
        Metric::BreakerRequests { breaker: breaker() },
        Ok(vec![series(&|seconds| 100.0 + requests * seconds)]),
    );
    let failures: Vec<Series> =
        failures.map(|failures| series(&|seconds| 10.0 + failures * seconds)).into_iter().collect();
    let other = Series { pod: "a".into(), part: "another".into(), ..series(&|_| 0.0) };
    let failures = if failures.is_empty() { vec![other] } else { failures };
    samples.insert(Metric::BreakerFailures { breaker: breaker() }, Ok(failures));
    let limit = Share::new(0.1).unwrap();
    judge(Measure::BreakerFailures { breaker: breaker(), limit }, scope(3_600), samples)
}

#[test]
fn failed_calls_are_judged_as_errors_are() {
    assert!(matches!(calls(10.0, Some(0.2)), Judgement::Unmet(_)));
    let firing = calls(10.0, Some(3.0));
    let Judgement::Met(evidence) = firing else { panic!("{firing:?}") };
    assert!(matches!(evidence.finding(), Finding::Share(share) if (share.events, share.requests) == (1_800, 6_000)));
}

#[test]
fn a_breaker_that_counts_nothing_has_no_share() {
    assert!(matches!(calls(0.0, Some(0.0)), Judgement::Inconclusive(Gap::NoTraffic, _)), "it is off");
    assert!(matches!(calls(10.0, None), Judgement::Inconclusive(Gap::MissingPods { .. }, _)), "failures are unknown");
}
