//! Every order in which promotions, rollbacks, an emergency, somebody else, time and crashes can come: the production
//! transitions searched exhaustively, and each invariant shown to fail on a planted fault.
//!
//! Time knows two moments: a step has been baked, or it has not. A crash is a plan that is never sent.

use std::collections::{HashSet, VecDeque};

use jiff::Timestamp;

use super::decision::{self, Given, Outcome, Tried};
use super::declaration::{Flags, Gate, RequiredSignOff, Rollout};
use super::gradual::{self, GivenUp, Reduction};
use super::plan::{self, Change, NothingToRollBack, Operation, Plan};
use super::position::SignOff;
use super::route::{Consent, Destination, Route};
use super::sign_off;
use super::standing::Standing;
use super::template::Revision;
use super::tests::{all_off, apply, at, flag, literal, operation, rollout as declared, switch_off};
use super::workload::{FlagSource, FlagValue, Workload};
use crate::judge::verdict::Judgement;

/// When everything happens; what was baked began at zero.
const NOW: i64 = 1_000;

/// The transitions under test; a mutant replaces one of them.
#[derive(Clone, Copy)]
struct Rules {
    promote: fn(&Workload) -> Option<Plan>,
    step_back: fn(&Workload, &Operation) -> Result<Plan, NothingToRollBack>,
    /// Both breakers.
    breakers_off: fn(&Workload) -> Result<Plan, NothingToRollBack>,
    /// Back to the revision before; which flags that had is up to the world.
    undo: fn(&Workload) -> Result<Plan, NothingToRollBack>,
    /// The next reduction of a gradual rollback.
    gradual: fn(&Workload) -> Result<Plan, NothingToRollBack>,
    emergency: fn(&Workload) -> Workload,
    /// What the API server makes of a plan; the flag says whether it was made for another version.
    send: fn(&Workload, &Plan, bool) -> Workload,
}

const PRODUCTION: Rules = Rules {
    promote: |workload| {
        let (rollout, route) = routed(workload);
        let given = Given { now: at(NOW), past: false, tried: &Tried::default(), share: None };
        let decision = decision::decide(&rollout, workload, route, given, never_judged);
        (decision.outcome() == Outcome::Proceed)
            .then(|| plan::promotion(&rollout, workload, &decision.route, &operation(NOW)))?
    },
    step_back: plan::step_back,
    breakers_off: |workload| plan::breakers_off(&rollout(), workload, &both(), &operation(NOW)),
    undo: |workload| plan::undo(Some(&rollout()), &rollout().header.breakers_off(), workload, &operation(NOW)),
    gradual: |workload| match gradual::next(&rollout(), workload, &GivenUp::default(), &operation(NOW))? {
        Reduction::Recorded(_, plan) | Reduction::Flags(plan) => Ok(plan),
        Reduction::Canary(canary) => unreachable!("there is no {canary}"),
    },
    emergency: |workload| switch_off(workload, NOW),
    send: |workload, plan, stale| if stale { workload.clone() } else { apply(workload, plan) },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Promotion { passed: bool },
    StepBack,
    BackToShadow,
    OneBreakerOff,
    BothOff,
    Undo,
    Gradual,
}

/// An operation between its read and its write.
#[derive(Debug, Clone, PartialEq)]
struct Pending {
    kind: Kind,
    plan: Plan,
    /// Something was written since it read.
    stale: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    workload: Workload,
    actors: [Option<Pending>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Invariant {
    NoPhaseSkipped,
    NeverOnWithoutAPass,
    OneWriterWins,
    EmergencyOnlySwitchesOff,
    RollbackOnlySwitchesOff,
    EverythingCanBeSwitchedOff,
    GradualEndsWithEverythingOff,
    TakenBackOnce,
}

/// Two breakers, and a signature as the gate of every phase: the world gives it and takes it away.
fn rollout() -> Rollout {
    let mut rollout = declared();
    for phase in &mut rollout.phases {
        phase.gates = vec![Gate::SignOff(RequiredSignOff { name: "healthy".parse().unwrap(), valid_for: None })];
    }
    rollout.phases[1].steps.truncate(1);
    rollout
}

fn both() -> Vec<super::name::BreakerName> {
    vec!["cache".parse().unwrap(), "http".parse().unwrap()]
}

fn never_judged(_: &crate::judge::condition::Condition) -> Judgement {
    unreachable!("no gate of this rollout is measured")
}

fn routed(workload: &Workload) -> (Rollout, Route) {
    let rollout = rollout();
    let route = Route::find(&rollout, workload, None, Consent::default(), at(NOW));
    (rollout, route)
}

fn passes(workload: &Workload) -> bool {
    !workload.sign_offs.is_empty()
}

fn breakers_on(workload: &Workload) -> Vec<&'static str> {
    ["CB_CACHE", "CB_HTTP"].into_iter().filter(|name| workload.flags[&flag(name)] == literal("true")).collect()
}

fn switched_on(before: &Workload, after: &Workload) -> bool {
    breakers_on(after).iter().any(|name| !breakers_on(before).contains(name))
}

fn phase(workload: &Workload) -> Option<usize> {
    Standing::of(&rollout(), workload).place.map(|place| place.phase)
}

/// The workload with an earlier revision in which both breakers have this value, and nothing else was different.
fn with_revision(workload: &Workload, value: &FlagSource) -> Workload {
    let mut with = workload.clone();
    // Somebody has changed the template since the last time.
    with.template.undone = None;
    let mut flags = workload.flags.clone();
    flags.extend(["CB_CACHE", "CB_HTTP"].map(|name| (flag(name), value.clone())));
    let (hash, template) = ("4f7d".to_owned(), "{}".to_owned());
    with.template.previous = Some(Revision { number: 1, hash, template, flags, differs_elsewhere: false });
    with
}

/// Whether reductions alone lead to every breaker off, from here on and however far an earlier run has come: each state
/// in between is one that is searched as well.
fn ends_gradually(rules: &Rules, from: &Workload) -> bool {
    let mut at = from.clone();
    // More than the longest trail there is, and the breakers.
    for _ in 0..8 {
        match (rules.gradual)(&at) {
            Ok(plan) => at = (rules.send)(&at, &plan, false),
            Err(NothingToRollBack::AlreadyOff | NothingToRollBack::EmergencyInForce) => {
                return breakers_on(&at).is_empty();
            }
            Err(reason) => return reason == NothingToRollBack::EmergencyOverridden,
        }
    }
    false
}

/// What one move of anybody leads to, or what it violates.
fn moves(rules: &Rules, state: &State) -> Result<Vec<State>, Invariant> {
    let mut next = Vec::new();
    let workload = &state.workload;
    let mut written = |after: Workload, sender: Option<usize>| {
        let changed = after != *workload;
        let mut actors = state.actors.clone();
        for pending in actors.iter_mut().flatten() {
            pending.stale |= changed;
        }
        if let Some(sender) = sender {
            actors[sender] = None;
        }
        next.push(State { workload: after, actors });
    };

    let off = (rules.emergency)(workload);
    if switched_on(workload, &off) || !breakers_on(&off).is_empty() {
        return Err(Invariant::EmergencyOnlySwitchesOff);
    }
    written(off, None);
    let all_off = match (rules.breakers_off)(workload) {
        Ok(plan) => (rules.send)(workload, &plan, false),
        Err(_) => workload.clone(),
    };
    if !breakers_on(&all_off).is_empty() {
        return Err(Invariant::EverythingCanBeSwitchedOff);
    }
    if !ends_gradually(rules, workload) {
        return Err(Invariant::GradualEndsWithEverythingOff);
    }
    // Somebody else sets a flag, the world becomes good or bad, and time passes.
    for value in ["true", "false"] {
        let mut touched = workload.clone();
        touched.flags.insert(flag("CB_CACHE"), literal(value));
        written(touched, None);
    }
    let mut signed = workload.clone();
    match signed.sign_offs.is_empty() {
        true => drop(signed.sign_offs.insert(
            "healthy".parse().unwrap(),
            SignOff {
                by: "alice".into(),
                at: at(NOW),
                reason: None,
                contents: sign_off::contents(&rollout(), &"healthy".parse().unwrap()),
            },
        )),
        false => signed.sign_offs.clear(),
    }
    written(signed, None);
    let mut baked = workload.clone();
    if let Some(Ok(position)) = &mut baked.position {
        position.place.since = Timestamp::UNIX_EPOCH;
    }
    written(baked, None);

    for (index, actor) in state.actors.iter().enumerate() {
        let Some(pending) = actor else { continue };
        let after = (rules.send)(workload, &pending.plan, pending.stale);
        if pending.stale && after != *workload {
            return Err(Invariant::OneWriterWins);
        }
        let on = switched_on(workload, &after);
        match pending.kind {
            Kind::Promotion { passed } => {
                if phase(&after) > phase(workload).map_or(Some(0), |phase| Some(phase + 1)) {
                    return Err(Invariant::NoPhaseSkipped);
                }
                if on && !passed {
                    return Err(Invariant::NeverOnWithoutAPass);
                }
            }
            Kind::StepBack | Kind::BackToShadow | Kind::OneBreakerOff | Kind::BothOff | Kind::Undo | Kind::Gradual
                if on =>
            {
                return Err(Invariant::RollbackOnlySwitchesOff);
            }
            Kind::StepBack if !pending.stale && (rules.step_back)(&after, &operation(NOW)).is_ok() => {
                return Err(Invariant::TakenBackOnce);
            }
            Kind::StepBack | Kind::BackToShadow | Kind::OneBreakerOff | Kind::BothOff | Kind::Undo | Kind::Gradual => {}
        }
        written(after, Some(index));
    }
    for (index, actor) in state.actors.iter().enumerate() {
        let mut becomes = |pending| {
            let mut actors = state.actors.clone();
            actors[index] = pending;
            next.push(State { workload: workload.clone(), actors });
        };
        if actor.is_some() {
            becomes(None); // It crashes before it has written.
            continue;
        }
        for (kind, plan) in plans(rules, workload) {
            becomes(Some(Pending { kind, plan, stale: false }));
        }
    }
    Ok(next)
}

/// Everything that an actor may set out to do.
fn plans(rules: &Rules, workload: &Workload) -> Vec<(Kind, Plan)> {
    let shadow = "shadow".parse().unwrap();
    let promotion = Kind::Promotion { passed: passes(workload) };
    let back = |kind, plan: Result<Plan, NothingToRollBack>| plan.ok().map(|plan| (kind, plan));
    let planned = [
        (rules.promote)(workload).map(|plan| (promotion, plan)),
        back(Kind::StepBack, (rules.step_back)(workload, &operation(NOW))),
        back(Kind::BackToShadow, plan::back_to(workload, &shadow, &operation(NOW))),
        back(Kind::OneBreakerOff, plan::breakers_off(&rollout(), workload, &both()[1..], &operation(NOW))),
        back(Kind::BothOff, (rules.breakers_off)(workload)),
        back(Kind::Gradual, (rules.gradual)(workload)),
    ];
    let revisions = [literal("true"), literal("false")];
    let undone = revisions.iter().map(|value| back(Kind::Undo, (rules.undo)(&with_revision(workload, value))));
    planned.into_iter().chain(undone).flatten().collect()
}

/// What tells states apart. A plan follows from its kind and the workload; one that is stale is never applied.
fn key(state: &State) -> String {
    let Workload { flags, position, emergency, sign_offs, .. } = &state.workload;
    // Two actors are alike: which is which makes no other state.
    let mut actors = state.actors.each_ref().map(|actor| actor.as_ref().map(|pending| (pending.kind, pending.stale)));
    actors.sort_unstable();
    format!("{flags:?} {position:?} {emergency:?} {sign_offs:?} {actors:?}")
}

/// Breadth first from a Deployment with every breaker off; the number of states, or the first violation.
fn search(rules: &Rules) -> Result<usize, Invariant> {
    let start = State { workload: all_off(), actors: [None, None] };
    let mut seen = HashSet::from([key(&start)]);
    let mut open = VecDeque::from([start]);
    while let Some(state) = open.pop_front() {
        for next in moves(rules, &state)? {
            if seen.insert(key(&next)) {
                open.push_back(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn no_order_of_events_breaks_an_invariant() {
    let states = search(&PRODUCTION).unwrap();
    println!("{states} states");
    assert!(states > 1_000, "{states} states are too few to mean anything");
}

#[test]
fn every_invariant_finds_the_fault_it_is_there_for() {
    let production = PRODUCTION;
    let mutants = [
        (
            Invariant::NoPhaseSkipped,
            Rules {
                promote: |workload| {
                    let (rollout, mut route) = routed(workload);
                    route.destination = Destination::Step { phase: 2, step: 0 };
                    passes(workload).then(|| plan::promotion(&rollout, workload, &route, &operation(NOW)))?
                },
                ..production
            },
        ),
        (
            Invariant::NeverOnWithoutAPass,
            Rules {
                promote: |workload| {
                    let (rollout, route) = routed(workload);
                    route.obstacles.is_empty().then(|| plan::promotion(&rollout, workload, &route, &operation(NOW)))?
                },
                ..production
            },
        ),
        (Invariant::OneWriterWins, Rules { send: |workload, plan, _| apply(workload, plan), ..production }),
        (
            Invariant::EmergencyOnlySwitchesOff,
            Rules {
                emergency: |workload| {
                    let mut after = switch_off(workload, NOW);
                    after.flags.insert(flag("CB_HTTP"), workload.flags[&flag("CB_HTTP")].clone());
                    after
                },
                ..production
            },
        ),
        (
            Invariant::RollbackOnlySwitchesOff,
            Rules {
                step_back: |workload, operation| {
                    let mut plan = plan::step_back(workload, operation)?;
                    let (on, before) = (flag("CB_HTTP"), workload.flags[&flag("CB_HTTP")].clone());
                    plan.changes.push(Change { flag: on, before, after: FlagValue::Literal("true".into()) });
                    Ok(plan)
                },
                ..production
            },
        ),
        (
            Invariant::RollbackOnlySwitchesOff,
            Rules {
                // A revision is restored as it was, like `kubectl rollout undo` does.
                undo: |workload| plan::undo(Some(&rollout()), &Flags::new(), workload, &operation(NOW)),
                ..production
            },
        ),
        (
            Invariant::EverythingCanBeSwitchedOff,
            Rules {
                breakers_off: |workload| plan::breakers_off(&rollout(), workload, &both()[..1], &operation(NOW)),
                ..production
            },
        ),
        (
            Invariant::GradualEndsWithEverythingOff,
            Rules { gradual: |workload| plan::step_back(workload, &operation(NOW)), ..production },
        ),
        (
            Invariant::TakenBackOnce,
            Rules {
                step_back: |workload, operation| {
                    let mut again = workload.clone();
                    if let Some(Ok(position)) = &mut again.position {
                        position.rolled_back = false;
                    }
                    plan::step_back(&again, operation)
                },
                ..production
            },
        ),
    ];
    for (invariant, mutant) in mutants {
        assert_eq!(search(&mutant), Err(invariant));
    }
}
