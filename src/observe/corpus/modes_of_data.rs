//! What goes wrong with the data behind gates on Prometheus, and what becomes of it here: failures 1 to 9 and 13 to 20.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::edit::{number, value, with_points};
use super::kinds::Kind;
use super::server::Line;
use super::world::{NOW, SINCE, World, all_pods, at};
use crate::judge::condition::{Condition, Measure};
use crate::judge::verdict::{Fault, Finding, Gap, Judgement, Share};

fn world(kind: Kind) -> World {
    World::of(kind.condition())
}

fn gap(judgement: Judgement) -> Gap {
    let Judgement::Inconclusive(gap, _) = judgement else { panic!("not inconclusive: {judgement:?}") };
    gap
}

fn share(judgement: &Judgement) -> Share {
    let (Judgement::Met(evidence) | Judgement::Unmet(evidence)) = judgement else {
        panic!("no verdict: {judgement:?}")
    };
    let Finding::Share(share) = evidence.finding() else { panic!("no share: {evidence:?}") };
    share.clone()
}

/// Every value of these metrics, by the seconds since its pod was started by the change.
fn counts(mut line: Line, metric: &str, value: impl Fn(i64) -> f64) -> Vec<Line> {
    if line.metric == metric {
        for (at, count) in &mut line.points {
            *count = super::edit::value(value(*at as i64 - (NOW - SINCE)));
        }
    }
    vec![line]
}

#[test]
fn mode_01_an_empty_vector_is_no_pass() {
    for (kind, metric) in [
        (Kind::ErrorGate, "requests"),
        (Kind::LatencyGate, "latency histogram"),
        (Kind::StuckOpen, "breaker state"),
        (Kind::InstantGate, "query"),
        (Kind::ThroughoutGate, "query"),
    ] {
        assert_eq!(gap(world(kind).verdict_on(|_| vec![])), Gap::NoSeries { metric: metric.to_owned() });
    }
}

#[test]
fn mode_02_no_requests_are_no_ratio_and_nan_is_no_number() {
    let errors = world(Kind::ErrorGate);
    // Requests and errors are read by themselves: no expression divides.
    assert!(errors.expressions().iter().all(|promql| !promql.contains(" / ")));
    let still = errors.verdict_on(|line| counts(line, "requests", |_| 5.0));
    assert!(matches!(gap(still), Gap::ImpossibleCount { .. } | Gap::NoTraffic));
    let nobody = |line| counts(line, "requests", |_| 5.0).into_iter().flat_map(|line| counts(line, "errors", |_| 0.0));
    assert_eq!(gap(errors.verdict_on(|line| nobody(line).collect())), Gap::NoTraffic);
    assert_eq!(gap(world(Kind::InstantGate).verdict_with("\"1\"", "\"NaN\"")), Gap::NotANumber);
    assert_eq!(gap(world(Kind::InstantTrigger).verdict_with("\"1\"", "\"NaN\"")), Gap::NotANumber);
}

/// What the user writes is a matter of the phase files; here, what this program asks by itself.
#[test]
fn mode_03_no_zero_is_made_up() {
    for promql in World::plain().expressions() {
        for hack in ["vector(0)", "absent", "or 0)", "or on()"] {
            assert!(!promql.contains(hack), "{promql}");
        }
    }
    // The zero of a pod without errors is taken from its requests that carry the label, and not from nowhere.
    let errors = world(Kind::ErrorGate);
    let promql = errors.expressions().concat();
    assert!(promql.contains("or 0 * sum by (pod) (seconds_count{status!=\"\""), "{promql}");
    let none = errors.verdict_on(|line| if line.metric == "errors" { vec![] } else { vec![line] });
    assert_eq!(gap(none), Gap::NoSeries { metric: "errors".to_owned() });
}

#[test]
fn mode_04_the_last_value_before_an_outage_is_not_the_present_one() {
    for kind in [Kind::ErrorGate, Kind::ErrorTrigger, Kind::LatencyGate, Kind::LatencyTrigger, Kind::StuckOpen] {
        let world = world(kind);
        assert!(matches!(gap(world.verdict_after(|ago| ago > 95)), Gap::Stale { .. }), "{kind:?}");
        let dead = world.verdict_after(|ago| ago > 240);
        assert!(!matches!(dead, Judgement::Met(_) | Judgement::Unmet(_)), "{kind:?}: {dead:?}");
    }
    // No counter is looked up further back than that.
    for promql in world(Kind::ErrorGate).expressions() {
        assert_eq!(promql.matches("last_over_time").count(), promql.matches("[2m]").count(), "{promql}");
    }
}

#[test]
fn mode_05_a_restart_is_counted_from_zero_and_pod_by_pod() {
    let mut scope = all_pods();
    let restarted = NOW - 600;
    let pod = &mut scope.pods.as_mut().unwrap()[0];
    (pod.restarts, pod.started) = (1, at(600));
    let (victim, before) = (pod.name.clone(), NOW - SINCE + 30);
    let world = World::of_scope(Kind::ErrorGate.condition(), scope);
    // The server counts from the last start on; until then the pod had counted for itself.
    let judgement = world.verdict_on(|line| {
        let errors = line.metric == "errors";
        if line.pod() != victim || !(errors || line.metric == "requests") {
            return vec![line];
        }
        let rate = if errors { 5.0 } else { 50.0 };
        vec![with_points(line, &|_, _, at, _| {
            let since = if at < restarted as f64 { before } else { restarted };
            Some((at, value((rate * (at - since as f64)).max(0.0))))
        })]
    });
    let Share { events, requests, .. } = share(&judgement);
    assert!(matches!(judgement, Judgement::Unmet(_)), "{judgement:?}");
    assert!(
        (8_700..=9_300).contains(&events),
        "5 a second for 30 minutes at one pod, hardly any at the others: {events}"
    );
    assert!((260_000..=270_000).contains(&requests), "{requests}");
    assert!(world.expressions().iter().all(|promql| !promql.contains("rate(")), "no rate of a sum");
}

#[test]
fn mode_06_what_a_new_pod_counted_before_its_first_scrape_counts() {
    // All pods started on behalf of the change and had 500 errors each before anybody looked.
    let world = world(Kind::ErrorTrigger);
    let judgement = world.verdict_on(|line| counts(line, "errors", |age| if age < 60 { 0.0 } else { 500.0 }));
    let counted = match &judgement {
        Judgement::Inconclusive(_, Some(evidence)) => evidence.finding().clone(),
        _ => Finding::Share(share(&judgement)),
    };
    let Finding::Share(Share { events_since, .. }) = counted else { panic!("{judgement:?}") };
    assert_eq!(events_since, 1_500, "{judgement:?}");
}

#[test]
fn mode_07_counts_are_whole_and_not_extrapolated() {
    let world = world(Kind::ErrorGate);
    for promql in world.expressions() {
        assert!(!["rate(", "increase(", "delta("].iter().any(|name| promql.contains(name)), "{promql}");
    }
    let judgement = world.verdict_on(|line| counts(line, "errors", |age| if age < 1_500 { 3.0 } else { 8.0 }));
    assert_eq!(share(&judgement).events, 15, "five at each of three pods, however they lie between scrapes");
}

#[test]
fn mode_08_a_window_of_less_than_two_scrapes_is_told() {
    let world = world(Kind::ErrorTrigger);
    assert!(matches!(gap(world.verdict_after(|ago| ago % 300 < 15)), Gap::TooFewSamples { .. }));
    let stuck = World::of(Condition { window: Duration::from_secs(20), ..Kind::StuckOpen.condition() });
    assert!(matches!(gap(stuck.verdict_after(|ago| ago < 15)), Gap::TooFewSamples { .. }));
    // As is a range of less than four inside a query.
    let mut condition = Kind::InstantGate.condition();
    let Measure::Query(query) = &mut condition.measure else { panic!("{condition:?}") };
    query.shortest_range = Some(Duration::from_secs(30));
    assert!(matches!(gap(World::of(condition).verdict()), Gap::ShortRange { .. }));
}

#[test]
fn mode_09_few_requests_prove_nothing_either_way() {
    let slow = |line: Line| {
        let requests = counts(line, "requests", |age| (age / 30) as f64);
        requests.into_iter().flat_map(|line| counts(line, "errors", |_| 0.0)).collect()
    };
    let Gap::MoreRequests { have, more, about } = gap(world(Kind::ErrorGate).verdict_on(slow)) else { panic!() };
    assert!(have < 300 && more.is_some() && about.is_some(), "{have} {more:?} {about:?}");
    // One error in eight requests of the last minutes is 12 %, and no reason to roll back.
    let unlucky = |line: Line| {
        let requests = counts(line, "requests", |age| (age / 30) as f64);
        requests.into_iter().flat_map(|line| counts(line, "errors", |age| f64::from(age > SINCE - 30))).collect()
    };
    let judgement = world(Kind::ErrorTrigger).verdict_on(unlucky);
    assert!(!matches!(judgement, Judgement::Met(_)), "{judgement:?}");
}

#[test]
fn mode_13_nothing_from_before_the_change_enters_a_window() {
    let mut scope = all_pods();
    scope.since = Some(at(60));
    for kind in [Kind::ErrorGate, Kind::ErrorTrigger, Kind::LatencyGate, Kind::StuckOpen, Kind::ThroughoutGate] {
        let world = World::of_scope(kind.condition(), scope.clone());
        let Gap::WindowNotFull { have, .. } = gap(world.verdict()) else { panic!("{kind:?}") };
        assert_eq!(have, Duration::from_secs(60), "{kind:?}");
    }
    // Nor by a range inside a query of the user's own.
    let reaching = |ago: i64| {
        let (mut condition, mut scope) = (Kind::InstantGate.condition(), all_pods());
        let Measure::Query(query) = &mut condition.measure else { panic!("{condition:?}") };
        query.reach = Duration::from_secs(1_800);
        scope.since = Some(at(ago));
        World::of_scope(condition, scope).verdict()
    };
    assert!(matches!(gap(reaching(60)), Gap::WindowNotFull { .. }));
    assert!(matches!(reaching(SINCE), Judgement::Met(_)));
    // Old pods with a bad past: what they counted before the change is no part of what is judged.
    let mut scope = all_pods();
    scope.pods.as_mut().unwrap().iter_mut().for_each(|pod| pod.started = at(86_400));
    let world = World::of_scope(Kind::ErrorGate.condition(), scope);
    let judgement = world.verdict_on(|line| counts(line, "errors", |_| 1_000_000.0));
    assert_eq!(share(&judgement).events_since, 0);
    assert!(matches!(judgement, Judgement::Met(_)), "{judgement:?}");
}

/// Evidence begins after the warm-up that the file declares, and never before the newest restart of a pod.
#[test]
fn mode_14_a_cold_start_is_not_judged() {
    let mut scope = all_pods();
    scope.since = Some(at(-60));
    for kind in [Kind::ErrorGate, Kind::ErrorTrigger, Kind::LatencyGate, Kind::LatencyTrigger, Kind::StuckOpen] {
        let judgement = World::of_scope(kind.condition(), scope.clone()).verdict();
        assert!(matches!(gap(judgement), Gap::WindowNotFull { have: Duration::ZERO, .. }), "{kind:?}");
    }
}

#[test]
fn mode_15_the_holes_of_a_recording_rule_are_seen() {
    let ruled = |ago: i64| ago % 300 < 15;
    let holed = gap(world(Kind::ErrorGate).verdict_after(ruled));
    assert!(matches!(holed, Gap::TooFewSamples { .. } | Gap::Stale { .. } | Gap::Coverage { .. }), "{holed:?}");
    assert!(matches!(gap(world(Kind::ThroughoutGate).verdict_after(ruled)), Gap::Interrupted { .. }));
    // A rule that lags by its offset has no newest samples.
    assert!(matches!(gap(world(Kind::ErrorGate).verdict_after(|ago| ago > 100)), Gap::Stale { .. }));
}

#[test]
fn mode_16_a_warning_spoils_an_answer_and_an_information_does_not() {
    let partial = |kind| world(kind).verdict_with("{\"data\"", "{\"warnings\":[\"a store is down\"],\"data\"");
    let told = |kind| world(kind).verdict_with("{\"data\"", "{\"infos\":[\"no counter?\"],\"data\"");
    for kind in [Kind::ErrorGate, Kind::LatencyTrigger, Kind::StuckOpen, Kind::InstantGate] {
        assert_eq!(gap(partial(kind)), Gap::Warnings { messages: vec!["a store is down".to_owned()] }, "{kind:?}");
        assert_eq!(told(kind), world(kind).verdict(), "{kind:?}");
    }
}

/// Whatever has a status or a content type of its own is told apart before there is a body (tests/cli).
#[test]
fn mode_17_what_is_no_answer_is_neither_a_pass_nor_a_failure() {
    for kind in [Kind::ErrorGate, Kind::ErrorTrigger, Kind::StuckOpen, Kind::InstantGate] {
        let world = world(kind);
        let all = |body: &str| vec![body.as_bytes().to_vec(); world.plan.queries.len()];
        let login = world.verdict_of_bodies(&all("<html>Sign in</html>"));
        assert!(matches!(login, Judgement::Error(Fault::Malformed { .. })), "{kind:?}: {login:?}");
        let slow = json!({"status": "error", "errorType": "timeout", "error": "query timed out"}).to_string();
        let slow = world.verdict_of_bodies(&all(&slow));
        assert!(matches!(slow, Judgement::Error(Fault::Refused { .. })), "{kind:?}: {slow:?}");
    }
    let other_tenant = world(Kind::ErrorGate).verdict_with("updog-", "other-");
    assert!(matches!(gap(other_tenant), Gap::NoSeries { .. } | Gap::MissingPods { .. }));
}

#[test]
fn mode_18_clocks_that_differ_are_told() {
    for kind in [Kind::ErrorGate, Kind::LatencyTrigger, Kind::StuckOpen, Kind::InstantGate, Kind::ThroughoutTrigger] {
        for (skew, expected) in
            [(Some(SignedDuration::from_secs(-90)), Gap::ClockSkew { seconds: 90 }), (None, Gap::ClockUnknown)]
        {
            let mut scope = all_pods();
            scope.clock_skew = skew;
            assert_eq!(gap(World::of_scope(kind.condition(), scope).verdict()), expected, "{kind:?}");
        }
    }
}

#[test]
fn a_gate_by_itself_is_judged_as_strictly_as_beside_others() {
    let mut scope = all_pods();
    let alone = |scope| World::of_conditions(vec![Kind::ErrorGate.condition()], scope);
    assert!(matches!(gap(alone(scope.clone()).verdict_after(|ago| ago > 95)), Gap::Stale { .. }));
    scope.clock_skew = Some(SignedDuration::from_secs(90));
    assert_eq!(gap(alone(scope).verdict()), Gap::ClockSkew { seconds: 90 });
}

#[test]
fn mode_19_two_replicas_do_not_count_twice() {
    for (kind, sources) in [(Kind::ErrorGate, "request_sources"), (Kind::LatencyTrigger, "bucket_sources")] {
        let world = world(kind);
        assert!(world.expressions().iter().any(|promql| promql.contains("prometheus_replica")));
        let twice = world.verdict_on(|line| counts(line, sources, |_| 2.0));
        assert!(matches!(gap(twice), Gap::SeveralSources { sources: 2, .. }), "{kind:?}");
    }
}

#[test]
fn mode_20_counts_that_contradict_each_other_are_told() {
    let world = world(Kind::ErrorGate);
    let more_errors = world.verdict_on(|line| counts(line, "errors", |age| (100 * age) as f64));
    assert!(matches!(gap(more_errors), Gap::ImpossibleCount { .. }));
    let negative = world.verdict_on(|line| vec![with_points(line, &|_, _, at, old| Some((at, value(-number(&old)))))]);
    assert!(matches!(negative, Judgement::Error(Fault::Malformed { .. })), "{negative:?}");
}
