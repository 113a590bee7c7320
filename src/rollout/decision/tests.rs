//! Which gates and triggers are judged at which step.

use std::time::Duration;

use super::*;
use crate::judge::condition::{Measure, Share};
use crate::judge::verdict::Gap;
use crate::rollout::declaration::{Exposure, RequiredSignOff};
use crate::rollout::exposure::Uneven;
use crate::rollout::standing::{Standing, StandingPlace};
use crate::rollout::tests::{at, pod, rollout, workload};

fn given(past: bool, share: Option<CanaryShare>) -> Given<'static> {
    static NOTHING: Tried = Tried(Vec::new());
    Given { now: at(0), past, tried: &NOTHING, share }
}

fn condition(role: Role, text: &str) -> Condition {
    let measure = match text.contains("baseline") {
        true => Measure::ErrorRateAgainstBaseline { factor: 2.0 },
        false => Measure::ErrorRate { limit: Share::new(0.01).unwrap() },
    };
    Condition::new(role, text.into(), measure, Duration::from_secs(60))
}

fn gate(text: &str) -> Gate {
    match text.strip_prefix("signed ") {
        Some(name) => Gate::SignOff(RequiredSignOff { name: name.parse().unwrap(), valid_for: None }),
        None => Gate::Measured(condition(Role::Gate, text)),
    }
}

/// The phase `cache` in two steps, a canary and then everything.
fn with(gates: &[&str], triggers: &[&str], of_targets: [&[&str]; 2]) -> Rollout {
    let mut rollout = rollout();
    let phase = &mut rollout.phases[1];
    phase.gates = gates.iter().map(|text| gate(text)).collect();
    phase.triggers = triggers.iter().map(|text| condition(Role::Trigger, text)).collect();
    for (step, gates) in phase.steps.iter_mut().zip(of_targets) {
        step.gates = gates.iter().map(|text| gate(text)).collect();
    }
    phase.steps[0].exposure = Exposure::Pods(1);
    rollout
}

fn route(phase: usize, step: usize, gates_of: Option<usize>) -> Route {
    let place = Some(StandingPlace { phase, step, since: at(1_000) });
    let standing = Standing { place, drift: vec![], emergency: false, unusable: None };
    Route {
        standing,
        destination: Destination::Step { phase: 2, step: 0 },
        obstacles: vec![],
        gates_of,
        resumes: false,
    }
}

/// What is judged there, in words.
fn judged(rollout: &Rollout, workload: &Workload, route: Route) -> Vec<String> {
    let never = |_: &Condition| Judgement::Inconclusive(Gap::NoTraffic, None);
    let asked: Vec<String> = conditions(rollout, workload, &route).map(|condition| condition.text.clone()).collect();
    let Decision { gates, triggers, .. } = decide(rollout, workload, route, given(true, None), never);
    let word = |judged: &Judged| match judged {
        Judged::Measured(condition, _) => condition.text.clone(),
        Judged::SignOff(name, _) => format!("signed {name}"),
        Judged::Nothing => "nothing".to_owned(),
        Judged::Check(..) | Judged::Exposure(_) | Judged::Pods(_) => "something else".to_owned(),
    };
    let words: Vec<String> = gates.iter().chain(&triggers).map(word).collect();
    let measured = words.iter().filter(|word| !word.starts_with("signed") && *word != "nothing");
    assert!(measured.eq(&asked), "what is sampled is what is judged: {asked:?}, {words:?}");
    words
}

#[test]
fn the_gates_of_a_step_are_those_of_its_phase_and_of_its_own_target() {
    let rollout = with(&["p95"], &["errors"], [&["first"], &["second", "signed partners"]]);
    let of = |step, gates_of| judged(&rollout, &workload(&[]), route(1, step, gates_of));
    assert_eq!(of(0, Some(1)), ["p95", "first", "errors"]);
    assert_eq!(of(1, Some(1)), ["p95", "second", "signed partners", "errors"]);
    assert_eq!(of(0, None), ["errors"]);
    let left = judged(&rollout, &workload(&[]), route(2, 0, Some(1)));
    assert_eq!(left, ["p95", "second", "signed partners"], "of a phase that was left, its last step's");
}

#[test]
fn comparisons_are_judged_where_a_canary_runs_beside_stable_pods() {
    let rollout = with(&["p95", "baseline"], &["errors", "baseline of triggers"], [&[], &[]]);
    let of = |step| judged(&rollout, &workload(&[]), route(1, step, Some(1)));
    assert_eq!(of(0), ["p95", "baseline", "errors", "baseline of triggers"]);
    assert_eq!(of(1), ["p95", "errors"]);
    let by_hand = Workload { canary: vec![pod("web-canary-6f7d-abcde")], ..workload(&[]) };
    let all = ["p95", "baseline", "errors", "baseline of triggers"];
    assert_eq!(judged(&rollout, &by_hand, route(1, 1, Some(1))), all, "somebody put one there");
    let left_over = Workload { canary_record: Some(Err(String::new())), ..by_hand };
    assert_eq!(judged(&rollout, &left_over, route(1, 1, Some(1))), ["p95", "errors"], "one that is about to go");
}

#[test]
fn a_full_step_at_which_every_gate_compares_is_no_pass() {
    let of = |gates: &[&str], step| judged(&with(gates, &[], [&[], &[]]), &workload(&[]), route(1, step, Some(1)));
    assert_eq!(of(&["baseline"], 0), ["baseline"]);
    assert_eq!(of(&["baseline"], 1), ["nothing"]);
    assert_eq!(of(&["signed tested", "baseline"], 1), ["signed tested", "nothing"]);
    assert_eq!(of(&["signed tested"], 1), ["signed tested"], "nothing measured was asked for");
    assert_eq!(of(&[], 1), Vec::<String>::new());
    let target = with(&["baseline"], &[], [&[], &["p95"]]);
    assert_eq!(judged(&target, &workload(&[]), route(1, 1, Some(1))), ["p95"], "its target has one of its own");
    assert_eq!(Judged::Nothing.outcome(), Outcome::Held);
}

#[test]
fn a_share_of_the_service_that_is_not_what_it_should_be_holds_a_promotion() {
    let share = |uneven| CanaryShare {
        declared: Exposure::Pods(1),
        canary_pods: 1,
        all_pods: 4,
        router: None,
        routed: None,
        measured: None,
        uneven,
    };
    let decided = |gates_of, uneven| {
        let never = |_: &Condition| Judgement::Inconclusive(Gap::NoTraffic, None);
        let rollout = with(&[], &[], [&[], &[]]);
        decide(&rollout, &workload(&[]), route(1, 0, gates_of), given(false, Some(share(uneven))), never).outcome()
    };
    assert_eq!(decided(Some(1), None), Outcome::Proceed);
    for uneven in [Uneven::TooGreat, Uneven::TooSmall, Uneven::Unseen { others: 1_000 }] {
        assert_eq!(decided(Some(1), Some(uneven)), Outcome::Held);
        assert_eq!(decided(None, Some(uneven)), Outcome::Proceed, "of no matter to a rollback");
    }
}

#[test]
fn a_canary_is_made_anew_whatever_cannot_be_told_of_the_one_before() {
    let decided = |destination, gates_of, judgement: Judgement| {
        let rollout = with(&[], &["errors"], [&[], &[]]);
        let route = Route { destination, ..route(1, 0, gates_of) };
        decide(&rollout, &workload(&[]), route, given(true, None), |_| judgement.clone()).outcome()
    };
    let unknown = || Judgement::Inconclusive(Gap::NoTraffic, None);
    let here = Destination::Step { phase: 1, step: 0 };
    assert_eq!(decided(here, None, unknown()), Outcome::Proceed);
    assert_eq!(decided(Destination::Step { phase: 1, step: 1 }, Some(1), unknown()), Outcome::Inconclusive);
    assert_eq!(decided(Destination::Step { phase: 2, step: 0 }, None, unknown()), Outcome::Inconclusive);
}
