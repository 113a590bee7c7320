//! What goes wrong with the rules of gates on Prometheus, and what becomes of it here: failures 10 to 12 and 21 to 23.

use std::time::Duration;

use super::super::grid::Grid;
use super::edit::{value, with_points};
use super::kinds::Kind;
use super::server::Line;
use super::world::{World, at};
use crate::judge::condition::{Condition, Measure, Quantile};
use crate::judge::verdict::{Fault, Finding, Gap, Judgement};
use crate::prometheus::Query;

fn p95(milliseconds: u64) -> World {
    let measure =
        Measure::Latency { quantile: Quantile::new(0.95).unwrap(), limit: Duration::from_millis(milliseconds) };
    World::of(Condition { measure, ..Kind::LatencyGate.condition() })
}

fn gap(judgement: Judgement) -> Gap {
    let Judgement::Inconclusive(gap, _) = judgement else { panic!("not inconclusive: {judgement:?}") };
    gap
}

/// The states of all breakers, by the number of the sample.
fn states(line: Line, state: impl Fn(usize, usize) -> f64) -> Vec<Line> {
    if line.metric != "state" {
        return vec![line];
    }
    vec![with_points(line, &|index, all, at, _| Some((at, value(state(index, all)))))]
}

#[test]
fn mode_10_a_limit_that_no_bucket_can_tell_is_refused() {
    assert_eq!(p95(1_000).verdict(), Judgement::Error(Fault::AboveTopBucket { top: 1.0 }));
    assert_eq!(p95(2_500).verdict(), Judgement::Error(Fault::AboveTopBucket { top: 1.0 }));
    assert!(matches!(p95(10).verdict(), Judgement::Error(Fault::Malformed { .. })));
    // Nine of a hundred requests took between 0.1 and 0.25 seconds or longer: too many, or none above 0.2.
    let between = p95(200).verdict();
    assert_eq!(gap(between), Gap::BetweenBuckets { below: 0.1, above: 0.25 });
    assert!(matches!(p95(400).verdict(), Judgement::Met(_)), "even all between 0.25 and 0.5 would not be too many");
}

#[test]
fn mode_11_a_gate_looks_at_one_series_and_at_buckets_by_their_bound() {
    for kind in [Kind::InstantGate, Kind::InstantTrigger, Kind::ThroughoutGate, Kind::ThroughoutTrigger] {
        let two =
            World::of(kind.condition()).verdict_on(|line| vec![line.clone().with("zone", "a"), line.with("zone", "b")]);
        assert_eq!(gap(two), Gap::SeveralSeries { count: 2 }, "{kind:?}");
    }
    for promql in p95(500).expressions() {
        let by_bound = ["by (pod, le)", "by (le)"].iter().any(|by| promql.contains(by));
        assert_eq!(promql.contains("seconds_bucket"), by_bound, "{promql}");
    }
}

#[test]
fn mode_12_quantiles_are_of_all_requests_and_never_averaged() {
    let world = p95(500);
    assert!(world.expressions().iter().all(|promql| !promql.contains("quantile") && !promql.contains("avg")));
    // At a pod with one request in a thousand of the others' everything is slow: its own p95 is above the limit.
    let victim = world.victim();
    let judgement = world.verdict_on(|line| {
        if line.pod() != victim || line.metric != "buckets" {
            return vec![line];
        }
        let slow = !["1", "+Inf"].contains(&line.label("le"));
        vec![with_points(line, &|_, _, at, old| {
            let requests = (super::edit::number(&old) / 1_000.0).floor();
            Some((at, value(if slow { 0.0 } else { requests })))
        })]
    });
    let Judgement::Met(evidence) = &judgement else { panic!("{judgement:?}") };
    let Finding::Share(share) = evidence.finding() else { panic!("{evidence:?}") };
    assert_eq!(share.worst.as_ref().map(|worst| worst.pod.as_str()), Some(victim.as_str()), "but it is told");
}

#[test]
fn mode_21_probes_do_not_hide_a_stuck_breaker_and_every_state_is_declared() {
    let world = World::of(Kind::StuckOpen.condition());
    let stuck = |judgement: Judgement| {
        let Judgement::Met(evidence) = judgement else { panic!("{judgement:?}") };
        let Finding::Breaker { stuck, .. } = evidence.finding() else { panic!("{evidence:?}") };
        stuck.len()
    };
    assert_eq!(stuck(world.verdict_on(|line| states(line, |_, _| 2.0))), 6, "two breakers of three pods");
    let probed = |index: usize, _: usize| if index.is_multiple_of(4) { 1.0 } else { 2.0 };
    assert_eq!(stuck(world.verdict_on(|line| states(line, probed))), 6);
    let closed_once = |index: usize, all: usize| if index == all / 2 { 0.0 } else { 2.0 };
    assert!(matches!(world.verdict_on(|line| states(line, closed_once)), Judgement::Unmet(_)));
    // Another library's numbers: a state that the file does not declare is not taken for a neighbouring one.
    for state in [3.0, 4.0, 5.0, -1.0, 1.5] {
        let strange = world.verdict_on(|line| states(line, |_, _| state));
        assert!(matches!(strange, Judgement::Error(Fault::Malformed { .. })), "{state}: {strange:?}");
    }
    // And a breaker that was not watched is not taken for a closed one.
    let unwatched = world.verdict_after(|ago| !(100..400).contains(&ago));
    assert!(matches!(gap(unwatched), Gap::Coverage { .. }));
}

#[test]
fn mode_22_a_breaker_that_is_not_there_has_not_passed() {
    let nothing = |line: Line| if line.label("breaker").is_empty() { vec![line] } else { vec![] };
    for kind in [Kind::StuckOpen, Kind::StuckHalfOpen] {
        let judgement = World::of(kind.condition()).verdict_on(nothing);
        assert_eq!(gap(judgement), Gap::NoSeries { metric: "breaker state".to_owned() }, "{kind:?}");
    }
    let uncalled = |line: Line| {
        if !line.metric.starts_with("breaker_") || line.metric == "breaker_times" {
            return vec![line];
        }
        vec![with_points(line, &|_, _, at, _| Some((at, value(0.0))))]
    };
    for kind in [Kind::TripsGate, Kind::FalseTrips, Kind::FalseTripsOfHealth, Kind::FailuresGate, Kind::FailuresTrigger]
    {
        for judgement in
            [World::of(kind.condition()).verdict_on(nothing), World::of(kind.condition()).verdict_on(uncalled)]
        {
            assert!(!matches!(judgement, Judgement::Met(_) | Judgement::Unmet(_)), "{kind:?}: {judgement:?}");
        }
    }
}

/// A breaker was open for a while. Whether that was false is asked of the health of what it guards.
#[test]
fn unclear_health_excuses_no_trip() {
    let world = World::of(Kind::FalseTripsOfHealth.condition());
    let judged = |health: &dyn Fn(Line) -> Vec<Line>| {
        world.verdict_on(|line| match line.metric {
            "highest" | "lowest" => {
                let tripped = |index: usize, all: usize| index >= all / 2 && index < all / 2 + 5;
                vec![with_points(line, &|index, all, at, old| {
                    Some((at, if tripped(index, all) { value(2.0) } else { old }))
                })]
            }
            "health" => health(line),
            _ => vec![line],
        })
    };
    let passed = |judgement: &Judgement| matches!(judgement, Judgement::Met(_));
    let healthy = judged(&|line| vec![line]);
    assert!(!passed(&healthy), "{healthy:?}");
    let none = judged(&|_| vec![]);
    assert!(!passed(&none), "{none:?}");
    let two = judged(&|line| vec![line.clone().with("zone", "a"), line.with("zone", "b")]);
    assert!(!passed(&two), "{two:?}");
    let early = judged(&|line| vec![with_points(line, &|index, all, at, old| (index < all / 4).then_some((at, old)))]);
    assert!(!passed(&early), "{early:?}");
}

#[test]
fn mode_23_what_is_asked_has_a_bound() {
    /// More points of one series are refused by the server.
    const POINTS: usize = 11_000;
    let world = World::canary();
    assert!(
        world.plan.queries.len() <= 12,
        "each metric once, and those of a family together: {}",
        world.plan.queries.len()
    );
    for query in &world.plan.queries {
        if let Query::Range { from, to, step, .. } = query {
            let points = to.duration_since(*from).as_millis() / i128::try_from(step.as_millis()).unwrap();
            assert!(points <= POINTS as i128, "{points}");
        }
    }
    let day = 24 * 60 * 60;
    for pods in [1, 30, 1_000] {
        for windows in [vec![120, 1_800], vec![120, 14 * day], vec![60, day, 7 * day], vec![14 * day]] {
            let windows: Vec<Duration> = windows.into_iter().map(Duration::from_secs).collect();
            let grid = Grid::of(windows.into_iter(), Some(at(14 * 24 * 60 * 60)), at(0), pods);
            assert!(grid.moments().len() <= 800, "{} points for {pods} pods", grid.moments().len());
        }
    }
}
