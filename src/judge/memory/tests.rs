//! Memory of made-up pods: leaks, spikes, saws, and pods that were not watched for long enough.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::condition::{Condition, Measure, Metric, Role, Share};
use super::super::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use super::super::verdict::{Finding, Gap, Judgement};

const NOW: i64 = 1_800_000_000;
const WINDOW: i64 = 3_600;
const STEP: i64 = 15;
const MIB: f64 = 1_048_576.0;

fn at(seconds_ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds_ago).unwrap()
}

/// 0 at the beginning of the window, 1 at its end.
#[expect(clippy::cast_precision_loss, reason = "seconds are exact")]
fn progress(ago: i64) -> f64 {
    (WINDOW - ago) as f64 / WINDOW as f64
}

fn series(pod: &str, reach: i64, value: impl Fn(i64) -> f64) -> Series {
    let points = (0..=reach / STEP).rev().map(|index| index * STEP).map(|ago| Point { at: at(ago), value: value(ago) });
    Series { pod: pod.into(), part: String::new(), points: points.collect() }
}

/// A pod, how long ago it started, and its memory in MiB by seconds ago.
type Pod = (&'static str, i64, fn(i64) -> f64);

fn judge(role: Role, measure: Measure, pods: &[Pod], before: Vec<Series>, memory_limit: Option<u64>) -> Judgement {
    let condition = Condition::new(role, "under test".into(), measure, Duration::from_secs(WINDOW.unsigned_abs()));
    let mut samples = Samples::on_grid((0..=WINDOW / STEP).rev().map(|index| at(index * STEP)).collect());
    let reach = |started: i64| started.min(WINDOW);
    let of = |(pod, started, memory): &Pod| series(pod, reach(*started), |ago| memory(ago) * MIB);
    #[expect(clippy::cast_precision_loss, reason = "seconds are exact")]
    let taken = |(pod, started, _): &Pod| series(pod, reach(*started), |ago| (NOW - ago) as f64);
    samples.insert(Metric::Memory, Ok(pods.iter().map(of).collect()));
    samples.insert(Metric::MemoryTimes, Ok(pods.iter().map(taken).collect()));
    samples.insert(Metric::MemoryBefore, Ok(before));
    let live = |(pod, started, _): &Pod| LivePod { name: (*pod).into(), started: at(*started), restarts: 0 };
    let scope = Scope {
        pods: Some(pods.iter().map(live).collect()),
        since: Some(at(WINDOW)),
        now: at(0),
        horizon: Duration::from_secs(48 * 3_600),
        memory_limit,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    };
    super::super::judge(&condition, &Look { judged: Group { scope, samples }, stable: None })
}

fn growth_after(role: Role, pods: &[Pod], before: Vec<Series>) -> Judgement {
    judge(role, Measure::MemoryGrowth { limit: 0.2 }, pods, before, None)
}

fn growth(role: Role, pods: &[Pod]) -> Judgement {
    growth_after(role, pods, vec![])
}

const OLD: i64 = 2 * WINDOW;

fn flat(_: i64) -> f64 {
    200.0
}

/// 30 % more at the end than at the beginning.
fn leak(ago: i64) -> f64 {
    200.0 * (1.0 + 0.3 * progress(ago))
}

fn spike(ago: i64) -> f64 {
    if (0..120).contains(&ago) { 900.0 } else { 200.0 }
}

/// A garbage collector's: up by a half and down again, twelve times.
fn saw(ago: i64) -> f64 {
    200.0 * (1.0 + 0.5 * (progress(ago) * 12.0).fract())
}

fn figures(judgement: &Judgement) -> (String, f64, Option<f64>) {
    let (Judgement::Met(evidence) | Judgement::Unmet(evidence)) = judgement else {
        panic!("no verdict: {judgement:?}")
    };
    let Finding::Growth { pod, growth, before } = evidence.finding() else { panic!("{evidence:?}") };
    (pod.clone(), *growth, *before)
}

#[test]
fn a_leak_is_found_and_a_spike_or_a_saw_is_none() {
    for (memory, leaks) in [(flat as fn(i64) -> f64, false), (leak, true), (spike, false), (saw, false)] {
        let pods: [Pod; 2] = [("a", OLD, flat), ("b", OLD, memory)];
        let (gate, trigger) = (growth(Role::Gate, &pods), growth(Role::Trigger, &pods));
        assert_eq!(matches!(trigger, Judgement::Met(_)), leaks, "{trigger:?}");
        assert_eq!(matches!(gate, Judgement::Unmet(_)), leaks, "{gate:?}");
    }
    let (pod, growth, before) = figures(&growth(Role::Trigger, &[("a", OLD, flat), ("b", OLD, leak)]));
    assert_eq!((pod.as_str(), before), ("b", None));
    assert!((growth - 0.3).abs() < 1e-9, "{growth}");
}

#[test]
fn a_curve_that_begins_near_nothing_has_a_growth() {
    let steep = |ago: i64| 1.0 + 1_000.0 * progress(ago).powi(3);
    assert!(matches!(growth(Role::Trigger, &[("a", OLD, steep)]), Judgement::Met(_)));
}

#[test]
fn what_pods_grew_before_the_change_is_taken_off() {
    let grew =
        |pod: &str, reach: i64, share: f64| series(pod, reach, move |ago| 100.0 * MIB * (1.0 + share * progress(ago)));
    let leaking: [Pod; 1] = [("a", OLD, leak)];
    let usual =
        vec![grew("x", WINDOW, 0.1), grew("y", WINDOW, 0.15), grew("z", WINDOW, 0.9), grew("short", 1_800, 5.0)];
    let judgement = growth_after(Role::Trigger, &leaking, usual);
    assert!(matches!(judgement, Judgement::Unmet(_)), "{judgement:?}");
    let (_, grown, before) = figures(&judgement);
    assert!((grown - 0.3).abs() < 1e-9 && (before.unwrap() - 0.15).abs() < 1e-9, "{grown} {before:?}");
    let shrank = growth_after(Role::Trigger, &leaking, vec![grew("x", WINDOW, -0.3)]);
    assert!(matches!(shrank, Judgement::Met(_)), "a fall before excuses nothing, nor does it accuse: {shrank:?}");
    let flat_now = growth_after(Role::Trigger, &[("a", OLD, flat)], vec![grew("x", WINDOW, -0.9)]);
    assert!(matches!(flat_now, Judgement::Unmet(_)), "{flat_now:?}");
}

#[test]
fn a_pod_that_started_inside_the_window_tells_no_growth() {
    let warming_up = |ago: i64| 50.0 + 100.0 * progress(ago);
    let with_old = growth(Role::Gate, &[("a", OLD, flat), ("young", 1_800, warming_up)]);
    assert!(matches!(with_old, Judgement::Met(_)), "{with_old:?}");
    let alone = growth(Role::Trigger, &[("young", 1_800, warming_up), ("younger", 900, warming_up)]);
    let (have, need) = (Duration::from_secs(1_800), Duration::from_secs(3_600));
    assert!(
        matches!(&alone, Judgement::Inconclusive(gap, _) if *gap == Gap::WindowNotFull { have, need }),
        "{alone:?}"
    );
}

#[test]
fn use_is_held_against_the_containers_limit() {
    let limit = |role, pods: &[Pod], bytes| {
        judge(role, Measure::MemoryUse { limit: Share::new(0.9).unwrap() }, pods, vec![], bytes)
    };
    let with = |role, pods: &[Pod]| limit(role, pods, Some(200 * 1_048_576));
    let high = |_| 190.0;
    let half = |_| 100.0;
    let peak = |ago: i64| if ago == 600 { 185.0 } else { 100.0 };
    let dip = |ago: i64| if ago == 600 { 100.0 } else { 190.0 };
    let cases: [(&[Pod], bool, bool); 5] = [
        (&[("a", OLD, half), ("b", OLD, half)], true, false),
        (&[("a", OLD, half), ("b", OLD, peak)], false, false),
        (&[("a", OLD, half), ("b", OLD, dip)], false, false),
        (&[("a", OLD, half), ("b", OLD, high)], false, true),
        (&[("a", OLD, half), ("young", 1_800, high)], false, false),
    ];
    for (pods, passes, fires) in cases {
        let (gate, trigger) = (with(Role::Gate, pods), with(Role::Trigger, pods));
        assert_eq!(matches!(gate, Judgement::Met(_)), passes, "{gate:?}");
        assert_eq!(matches!(gate, Judgement::Unmet(_)), !passes, "{gate:?}");
        assert_eq!(matches!(trigger, Judgement::Met(_)), fires, "{trigger:?}");
        assert_eq!(matches!(trigger, Judgement::Unmet(_)), !fires, "{trigger:?}");
    }
    for bytes in [None, Some(0)] {
        let unknown = limit(Role::Gate, &[("a", OLD, half)], bytes);
        assert!(matches!(unknown, Judgement::Inconclusive(Gap::NoMemoryLimit, _)), "{unknown:?}");
    }
}

proptest! {
    /// A line with up to a quarter of wild points has the growth of the line.
    #[test]
    fn wild_points_do_not_move_the_growth(
        grows in -0.5..2.0_f64,
        wild in proptest::collection::vec((0..=240_usize, 0.0..10_000.0_f64), 0..40),
    ) {
        let mut line = series("a", WINDOW, |ago| 100.0 * (1.0 + grows * progress(ago)));
        for (index, value) in wild {
            line.points[index].value = value;
        }
        let moments: Vec<Timestamp> = line.points.iter().map(|point| point.at).collect();
        let window = super::Window { from: at(WINDOW), to: at(0) };
        let found = super::growth(&line, window, &moments).unwrap();
        prop_assert!((found - grows).abs() < 0.25 * (1.0 + grows.abs()), "{found}");
    }
}
