//! Trips of made-up breakers, from their states through the grid to the verdict.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::super::condition::{Comparison, Condition, Encoding, Measure, Metric, Role};
use super::super::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use super::super::verdict::{Fault, Finding, Gap, Judgement, Trip};

const NOW: i64 = 1_800_000_000;
/// Of the window; the grid reaches back twice as far.
const WINDOW: i64 = 600;
/// From one moment of the grid to the next, in which there are three samples.
const STEP: i64 = 15;
const CLOSED: f64 = 0.0;
const HALF_OPEN: f64 = 1.0;
const OPEN: f64 = 2.0;

fn at(seconds_ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds_ago).unwrap()
}

/// Seconds ago of the grid's moments.
fn moments() -> impl Iterator<Item = i64> {
    (0..=2 * WINDOW / STEP).rev().map(|index| index * STEP)
}

/// What is known of one breaker, by seconds ago.
struct World {
    state: Box<dyn Fn(i64) -> Option<f64>>,
    encoding: Encoding,
    /// Calls and failures a second.
    calls: Box<dyn Fn(i64) -> (f64, f64)>,
    health: Option<Box<dyn Fn(i64) -> Option<f64>>>,
    started: i64,
    restarts: u32,
    only_false: bool,
    min_requests: u64,
    /// The states come as labels, and these series are there: of other states, of closed.
    labels: Option<(bool, bool)>,
}

fn world(state: impl Fn(i64) -> f64 + 'static) -> World {
    World {
        state: Box::new(move |ago| Some(state(ago))),
        encoding: Encoding { closed: CLOSED, half_open: HALF_OPEN, open: OPEN },
        calls: Box::new(|_| (10.0, 0.0)),
        health: None,
        started: 7_200,
        restarts: 0,
        only_false: false,
        min_requests: 100,
        labels: None,
    }
}

/// Open during these seconds ago, closed otherwise.
fn open_from(from: i64, to: i64) -> impl Fn(i64) -> f64 + 'static {
    move |ago| if (to..=from).contains(&ago) { OPEN } else { CLOSED }
}

fn series(part: &str, value: impl Fn(i64) -> Option<f64>) -> Series {
    let points = moments().filter_map(|ago| Some(Point { at: at(ago), value: value(ago)? })).collect();
    Series { pod: "a".into(), part: part.into(), points }
}

impl World {
    fn judge(&self, role: Role, comparison: Comparison, limit: u64) -> Judgement {
        let breaker = || "cache".to_owned();
        let inside = |ago: i64| (ago..ago + STEP).step_by(5).filter_map(&self.state);
        let end_of_scale = |end: fn(f64, f64) -> f64| series("redis", |ago| inside(ago).reduce(end));
        let any = |ago: i64, closed: bool| Some(f64::from(inside(ago).any(|state| (state == CLOSED) == closed)));
        let (highest, lowest) = match self.labels {
            None => (Some(end_of_scale(f64::max)), Some(end_of_scale(f64::min))),
            Some((other, closed)) => (
                other.then(|| series("redis", |ago| any(ago, false).map(|seen| 2.0 * seen))),
                closed.then(|| series("redis", |ago| any(ago, true).map(|seen| 1.0 - seen))),
            ),
        };
        let sum = |of: fn((f64, f64)) -> f64| {
            let counter = |ago: i64| (ago..2 * WINDOW).map(|second| of((self.calls)(second))).sum::<f64>();
            series("redis", move |ago| (self.state)(ago).map(|_| counter(ago)))
        };
        let mut samples = Samples::on_grid(moments().map(at).collect());
        samples.insert(Metric::BreakerHighest { breaker: breaker() }, Ok(highest.into_iter().collect()));
        samples.insert(Metric::BreakerLowest { breaker: breaker() }, Ok(lowest.into_iter().collect()));
        let mut sampled = |metric: Metric, series: Series| samples.insert(metric, Ok(vec![series]));
        #[expect(clippy::cast_precision_loss, reason = "seconds are exact")]
        let taken = series("redis", |ago| (self.state)(ago).map(|_| (NOW - ago) as f64));
        sampled(Metric::BreakerTimes { breaker: breaker() }, taken);
        sampled(Metric::BreakerRequests { breaker: breaker() }, sum(|(requests, _)| requests));
        sampled(Metric::BreakerFailures { breaker: breaker() }, sum(|(_, failures)| failures));
        let health = self.health.as_ref().map(|health| {
            sampled(Metric::Health("up".into()), Series { pod: String::new(), ..series("", health) });
            "up".to_owned()
        });
        let measure = Measure::Trips {
            breaker: breaker(),
            only_false: self.only_false,
            health,
            encoding: self.encoding,
            comparison,
            limit,
        };
        let window = Duration::from_secs(WINDOW.unsigned_abs());
        let condition =
            Condition { min_requests: self.min_requests, ..Condition::new(role, "under test".into(), measure, window) };
        let pod = LivePod { name: "a".into(), started: at(self.started), restarts: self.restarts };
        let scope = Scope {
            pods: Some(vec![pod]),
            since: Some(at(2 * WINDOW)),
            now: at(0),
            horizon: Duration::from_secs(48 * 3_600),
            memory_limit: None,
            clock_skew: Some(SignedDuration::ZERO),
            rolling: false,
        };
        super::super::judge(&condition, &Look { judged: Group { scope, samples }, stable: None })
    }

    fn gate(&self) -> Judgement {
        self.judge(Role::Gate, Comparison::Equals, 0)
    }

    fn trigger(&self) -> Judgement {
        self.judge(Role::Trigger, Comparison::Above, 0)
    }

    /// The trips of a failed gate.
    fn trips(&self) -> Vec<Trip> {
        match self.gate() {
            Judgement::Unmet(evidence) => match evidence.finding() {
                Finding::Trips { counted, trips, .. } => {
                    assert_eq!(*counted, trips.len() as u64);
                    trips.clone()
                }
                other => panic!("no trips: {other:?}"),
            },
            Judgement::Met(_) => vec![],
            other => panic!("no verdict: {other:?}"),
        }
    }
}

#[track_caller]
fn assert_met(judgement: &Judgement) {
    assert!(matches!(judgement, Judgement::Met(_)), "{judgement:?}");
}

#[track_caller]
fn assert_unmet(judgement: &Judgement) {
    assert!(matches!(judgement, Judgement::Unmet(_)), "{judgement:?}");
}

#[track_caller]
fn assert_gap(judgement: &Judgement, gap: &Gap) {
    assert!(matches!(judgement, Judgement::Inconclusive(found, _) if found == gap), "{judgement:?}");
}

#[test]
fn a_trip_fails_a_gate_and_fires_a_trigger() {
    let tripped = world(open_from(300, 200));
    assert_unmet(&tripped.gate());
    assert_met(&tripped.trigger());
    assert_unmet(&tripped.judge(Role::Trigger, Comparison::Above, 1));
    assert_met(&tripped.judge(Role::Gate, Comparison::AtMost, 1));
    assert_unmet(&tripped.judge(Role::Gate, Comparison::Below, 1));
    let trips = tripped.trips();
    assert_eq!((trips[0].pod.as_str(), trips[0].breaker.as_str(), trips[0].at), ("a", "redis", at(300)));
    let quiet = world(|_| CLOSED);
    assert_met(&quiet.gate());
    assert_unmet(&quiet.trigger());
}

#[test]
fn each_trip_counts_once() {
    let thrice =
        world(|ago| if [500, 350, 50].iter().any(|trip| (trip - 45..=*trip).contains(&ago)) { OPEN } else { CLOSED });
    assert_eq!(thrice.trips().iter().map(|trip| trip.at).collect::<Vec<_>>(), [at(495), at(345), at(45)]);
    let probing = world(|ago| {
        if ago > 400 {
            CLOSED
        } else if ago % 60 < 5 {
            HALF_OPEN
        } else {
            OPEN
        }
    });
    assert_eq!(probing.trips().len(), 1, "half-open is not closed");
}

#[test]
fn what_tripped_before_the_window_does_not_count() {
    assert_met(&world(open_from(900, 0)).gate());
    assert_met(&world(open_from(900, 700)).gate());
    // It recovered inside one block, and may have tripped again between two samples of it.
    let recovered = world(open_from(900, 305));
    assert_gap(&recovered.gate(), &Gap::TripsUnclear { least: 0, most: 1 });
    assert_unmet(&recovered.judge(Role::Trigger, Comparison::Above, 1));
}

#[test]
fn a_gate_needs_calls_and_a_trigger_does_not() {
    let unused = |state: fn(i64) -> f64| World { calls: Box::new(|_| (0.0, 0.0)), min_requests: 0, ..world(state) };
    assert_gap(&unused(|_| CLOSED).gate(), &Gap::BreakerTraffic { have: 0, need: 1 });
    assert_met(&unused(|ago| if ago < 100 { OPEN } else { CLOSED }).trigger());
    let strict = World { min_requests: 6_001, ..world(|_| CLOSED) };
    assert_gap(&strict.gate(), &Gap::BreakerTraffic { have: 6_000, need: 6_001 });
    assert_met(&World { min_requests: 6_000, ..strict }.gate());
}

#[test]
fn a_process_begins_with_its_breakers_closed() {
    let open_since = |seconds: i64| move |ago: i64| (ago <= seconds).then_some(OPEN);
    let young = World { state: Box::new(open_since(250)), started: 280, ..world(|_| CLOSED) };
    assert_eq!(young.trips().len(), 1, "it tripped before its first sample");
    let old = World { state: Box::new(open_since(590)), ..world(|_| CLOSED) };
    assert_met(&old.trigger_or_nothing());
    let restarted = World { started: 305, restarts: 1, ..world(|_| OPEN) };
    assert_eq!(restarted.trips().len(), 1, "open before the restart and open after it");
    let healed = World { started: 305, restarts: 1, ..world(open_from(900, 306)) };
    assert_eq!(healed.trigger_count(), 0);
}

impl World {
    /// A trigger on no trip at all, which needs no calls.
    fn trigger_or_nothing(&self) -> Judgement {
        self.judge(Role::Trigger, Comparison::Equals, 0)
    }

    fn trigger_count(&self) -> u64 {
        match self.trigger() {
            Judgement::Met(evidence) | Judgement::Unmet(evidence) => match evidence.finding() {
                Finding::Trips { counted, .. } => *counted,
                other => panic!("no trips: {other:?}"),
            },
            Judgement::Inconclusive(Gap::TripsUnclear { least, .. }, _) => least,
            other => panic!("no verdict: {other:?}"),
        }
    }
}

#[test]
fn samples_that_are_missing_prove_nothing() {
    let hole = World { state: Box::new(|ago| (!(200..400).contains(&ago)).then_some(CLOSED)), ..world(|_| CLOSED) };
    assert!(matches!(hole.gate(), Judgement::Inconclusive(Gap::Coverage { .. }, _)), "{:?}", hole.gate());
    let late = World { state: Box::new(|ago| (ago < 300).then_some(CLOSED)), ..world(|_| CLOSED) };
    assert!(matches!(late.trigger(), Judgement::Inconclusive(Gap::Coverage { .. }, _)), "{:?}", late.trigger());
}

#[test]
fn the_scale_of_states_may_begin_at_either_end() {
    let falling = Encoding { closed: 2.0, half_open: 1.0, open: 0.0 };
    let with = |encoding, state: fn(i64) -> f64| World { encoding, ..world(state) };
    assert_eq!(with(falling, |ago| if ago < 300 { 0.0 } else { 2.0 }).trips().len(), 1);
    assert_eq!(with(falling, |ago| if ago < 300 { 1.0 } else { 2.0 }).trips().len(), 1);
    assert_eq!(with(falling, |ago| if ago < 300 { 2.0 } else { 0.0 }).trigger_count(), 0);
    let between = Encoding { closed: 1.0, half_open: 2.0, open: 0.0 };
    for (encoding, state) in [(between, 1.0), (falling, 7.0)] {
        let judgement = World { encoding, ..world(move |_| state) }.gate();
        assert!(matches!(judgement, Judgement::Error(Fault::Malformed { .. })), "{judgement:?}");
    }
}

#[test]
fn states_that_come_as_labels_may_have_no_series_yet() {
    let labels = |labels, state: fn(i64) -> f64| World { labels: Some(labels), ..world(state) };
    let trips = |ago: i64| if (200..=300).contains(&ago) { OPEN } else { CLOSED };
    assert_eq!(labels((true, true), trips).trips().len(), 1);
    assert_met(&labels((true, true), |_| CLOSED).gate());
    assert_met(&labels((false, true), |_| CLOSED).gate());
    assert_eq!(labels((true, false), |_| OPEN).trigger_count(), 0);
    let unseen = labels((false, false), |_| CLOSED).gate();
    assert!(matches!(unseen, Judgement::Inconclusive(Gap::Coverage { .. }, _)), "{unseen:?}");
    let never_closed_nor_open = labels((false, true), |_| OPEN).gate();
    assert!(matches!(never_closed_nor_open, Judgement::Inconclusive(Gap::Coverage { .. }, _)));
}

#[test]
fn a_trip_is_false_where_few_calls_failed() {
    let failing = |share: f64| World {
        only_false: true,
        calls: Box::new(move |ago| (10.0, if (285..=360).contains(&ago) { 10.0 * share } else { 0.0 })),
        ..world(open_from(300, 200))
    };
    assert_unmet(&failing(0.0).gate());
    assert_unmet(&failing(0.09).gate());
    assert_met(&failing(0.2).gate());
    assert_unmet(&failing(0.2).trigger());
    assert_met(&failing(0.0).trigger());
    let Judgement::Met(evidence) = failing(0.2).gate() else { panic!("{:?}", failing(0.2).gate()) };
    let Finding::Trips { counted: 0, requests: Some(6_000), trips, .. } = evidence.finding() else {
        panic!("{evidence:?}")
    };
    assert_eq!((trips[0].healthy, trips[0].requests, trips[0].failures), (Some(false), Some(300), Some(60)));
}

#[test]
fn without_calls_a_gate_takes_the_trip_for_false_and_a_trigger_for_unknown() {
    let silent = World {
        only_false: true,
        calls: Box::new(|ago| if ago > 400 { (10.0, 0.0) } else { (0.0, 0.0) }),
        ..world(open_from(300, 200))
    };
    assert_unmet(&silent.gate());
    assert_gap(&silent.trigger(), &Gap::TripsUnclear { least: 0, most: 1 });
}

#[test]
fn a_declared_query_decides_on_the_health() {
    let with = |health: fn(i64) -> Option<f64>| World {
        only_false: true,
        health: Some(Box::new(health)),
        ..world(open_from(300, 200))
    };
    assert_unmet(&with(|_| Some(1.0)).gate());
    assert_met(&with(|_| Some(1.0)).trigger());
    assert_met(&with(|_| Some(0.0)).gate());
    assert_met(&with(|ago| Some(if ago <= 300 { 0.0 } else { 1.0 })).gate());
    assert_met(&with(|ago| Some(if ago > 300 { 0.0 } else { 1.0 })).gate());
    let unknown = Gap::TripsUnclear { least: 0, most: 1 };
    for ago in [300, 315] {
        let hole: fn(i64) -> Option<f64> =
            if ago == 300 { |ago| (ago != 300).then_some(1.0) } else { |ago| (ago != 315).then_some(1.0) };
        assert_gap(&with(hole).gate(), &unknown);
        assert_gap(&with(hole).trigger(), &unknown);
    }
    assert!(matches!(with(|_| None).gate(), Judgement::Inconclusive(Gap::NoSeries { .. }, _)));
    let calm = World { state: Box::new(|_| Some(CLOSED)), ..with(|_| None) };
    assert_met(&calm.gate());
}
