//! Every order in which promotions into, within and out of a canary, rollbacks, aborts, an emergency, somebody else and
//! crashes can come: searched exhaustively, with and without a router, and each invariant shown to fail on a planted fault.
//!
//! Whoever carries a record out makes one move at a time, and anybody may come between two. A crash is an operation that
//! goes no further. Pods come and go at once, and every step has been baked.

mod acting;
mod faults;
mod states;
mod world;

use std::collections::{HashSet, VecDeque};

use self::acting::{aborted, alone, looked_at, moved, planned, still_ours};
use self::states::{key, unused};
use self::world::{canary_is_on, emergency, hunted, is_on, nothing_is_left, percent, rollout, split, touched};
use super::canary::{self, Aim, CanaryRecord, CanaryTrouble, Move};
use super::declaration::Rollout;
use super::plan::{self, NothingToRollBack, Operation, Plan};
use super::route::{Consent, Destination, Obstacle, Route};
use super::tests::{all_off, at, operation};
use super::workload::Workload;

const NOW: i64 = 1_000;
/// More moves than it takes to carry any record out.
const MOVES: usize = 12;
/// More steps than there are, and what is cut short before each.
const PROMOTIONS: usize = 16;

/// The transitions under test; a mutant replaces one of them.
#[derive(Clone, Copy)]
struct Rules {
    promote: fn(&Rollout, &Workload, &Operation) -> Result<Plan, Vec<Obstacle>>,
    breakers_off: fn(&Rollout, &Workload, &Operation) -> Result<Plan, NothingToRollBack>,
    abort: fn(&Workload, &Operation) -> Result<Plan, NothingToRollBack>,
    next: fn(&CanaryRecord, &Workload, bool) -> Move,
    /// What the API server makes of a plan; the flag says whether it was made for another version.
    send: fn(&Workload, &Plan, bool) -> Workload,
    /// What is written down when a record has been carried out.
    write_down: fn(&Workload) -> Workload,
}

const PRODUCTION: Rules = Rules {
    promote: |rollout, workload, operation| {
        let route = Route::find(rollout, workload, None, Consent::default(), at(NOW));
        if !route.obstacles.is_empty() {
            return Err(route.obstacles);
        }
        plan::promotion(rollout, workload, &route, operation).ok_or_else(Vec::new)
    },
    breakers_off: |rollout, workload, operation| {
        plan::breakers_off(rollout, workload, &["cache".parse().unwrap()], operation)
    },
    abort: plan::abort,
    next: canary::next,
    send: |workload, plan, stale| if stale { workload.clone() } else { plan.outcome(workload) },
    write_down: |workload| match workload.recorded_canary().map(|record| &record.aim) {
        Some(Aim::Gone) => Workload { canary_record: None, ..workload.clone() },
        Some(Aim::Runs(canary)) if !canary.arrived => {
            plan::arrival(workload, at(NOW)).map_or(workload.clone(), |plan| plan.outcome(workload))
        }
        _ => workload.clone(),
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Verb {
    Promote,
    StepBack,
    CacheOff,
    Abort,
}

const VERBS: [Verb; 4] = [Verb::Promote, Verb::StepBack, Verb::CacheOff, Verb::Abort];

/// An operation on its way.
#[derive(Debug, Clone)]
struct Actor {
    verb: Verb,
    plan: Plan,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    /// Between its read and its write; whether something was written since.
    Planned { stale: bool },
    /// It carries the record out.
    Bringing { restored: bool },
}

#[derive(Debug, Clone)]
struct State {
    /// As the API server has it, everything looked at.
    workload: Workload,
    /// The main Deployment is switched off, and its canary is still looked for.
    hunting: bool,
    actors: [Option<Actor>; 2],
    /// So much may somebody else still change.
    strangers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Invariant {
    NoCanaryWithoutARecord,
    EmergencyOutranks,
    AbortLeavesNothing,
    EmergencyAndAbortLeaveNothing,
    PromotionGoesOn,
    NoTrafficWithoutPods,
    OneWriterWins,
    DoneIsDone,
}

fn start(routed: bool) -> State {
    let mut workload = all_off();
    workload.replacement.footprint.labels.insert("track".into(), "stable".into());
    workload.split = routed.then(|| Ok(split("as-deployed", 0.0)));
    State { workload, hunting: false, actors: [None, None], strangers: 0 }
}

/// What may hold a promotion up until somebody says yes to making the canary anew, or lets it go.
fn is_documented(obstacle: &Obstacle) -> bool {
    matches!(
        obstacle,
        Obstacle::PositionUnusable { .. }
            | Obstacle::Canary {
                detail: CanaryTrouble::Missing { .. }
                    | CanaryTrouble::Outdated { .. }
                    | CanaryTrouble::Changed { .. }
                    | CanaryTrouble::OtherShare { .. }
                    | CanaryTrouble::AlreadySplit { .. },
                ..
            }
    )
}

/// Whether promotions alone lead to the end, or to something that is documented to hold. What leads to what is `good`
/// is so too.
fn goes_on(rules: &Rules, rollout: &Rollout, world: &Workload, good: &mut HashSet<u64>) -> bool {
    let mut at = world.clone();
    let mut passed = Vec::new();
    for turn in 0..PROMOTIONS {
        let here = key(&State { workload: at.clone(), hunting: false, actors: [None, None], strangers: 0 });
        if good.contains(&here) {
            good.extend(passed);
            return true;
        }
        passed.push(here);
        let operation = Operation { id: format!("turn-{turn}"), ..operation(NOW) };
        let seen = looked_at(&at, Verb::Promote);
        let ends_well = match (rules.promote)(rollout, &seen, &operation) {
            Ok(plan) => {
                at = alone(rules, &at, &plan, Verb::Promote);
                continue;
            }
            Err(obstacles) if obstacles.is_empty() => {
                let route = Route::find(rollout, &seen, None, Consent::default(), super::tests::at(NOW));
                matches!(route.destination, Destination::Complete { phase: 2 })
            }
            Err(obstacles) => obstacles.iter().any(is_documented),
        };
        if ends_well {
            good.extend(passed);
        }
        return ends_well;
    }
    false
}

/// What has to hold of the cluster whoever is on the way.
fn check(state: &State, scope: Scope) -> Result<(), Invariant> {
    let world = &state.workload;
    let quiet = state.actors.iter().all(Option::is_none) && !state.hunting;
    if world.beside.is_some() && world.canary_record.is_none() {
        return Err(Invariant::NoCanaryWithoutARecord);
    }
    let at_rest = match world.recorded_canary().map(|record| &record.aim) {
        None => true,
        Some(Aim::Runs(canary)) => canary.arrived,
        Some(Aim::Gone) => false,
    };
    let served = world.beside.as_ref().is_some_and(|beside| beside.replicas.desired > 0);
    if at_rest && scope.strangers == 0 && percent(world) > 0.0 && !served {
        return Err(Invariant::NoTrafficWithoutPods);
    }
    if quiet && world.emergency.is_some() && canary_is_on(world) {
        return Err(Invariant::EmergencyOutranks);
    }
    Ok(())
}

/// What anybody alone can make of it.
fn check_the_way_on(
    rules: &Rules,
    rollout: &Rollout,
    world: &Workload,
    good: &mut HashSet<u64>,
) -> Result<(), Invariant> {
    // What was done to the router by hand before anything was recorded is not taken back.
    if world.canary_record.is_some() || percent(world) == 0.0 {
        if !nothing_is_left(&aborted(rules, rollout, world)) {
            return Err(Invariant::AbortLeavesNothing);
        }
        let off = aborted(rules, rollout, &hunted(&emergency(world)));
        if !nothing_is_left(&off) || is_on(&off.flags) {
            return Err(Invariant::EmergencyAndAbortLeaveNothing);
        }
    }
    if !goes_on(rules, rollout, world, good) {
        return Err(Invariant::PromotionGoesOn);
    }
    Ok(())
}

/// What one move of anybody leads to, or what it violates.
fn moves(rules: &Rules, rollout: &Rollout, state: &State, scope: Scope) -> Result<Vec<State>, Invariant> {
    let mut next = Vec::new();
    let world = &state.workload;
    let mut written = |after: Workload, adapt: &dyn Fn(&mut State)| {
        let changed = after != *world;
        let mut became = State { workload: after, ..state.clone() };
        for actor in became.actors.iter_mut().flatten() {
            if let Stage::Planned { stale } = &mut actor.stage {
                *stale |= changed;
            }
        }
        adapt(&mut became);
        next.push(became);
    };
    if world.emergency.is_none() {
        written(emergency(world), &|state| state.hunting = true);
    }
    if state.hunting {
        written(hunted(world), &|state| state.hunting = false);
    }
    if state.strangers > 0 {
        for touched in touched(world) {
            written(touched, &|state| state.strangers -= 1);
        }
    }
    for (index, actor) in state.actors.iter().enumerate() {
        let Some(actor) = actor else { continue };
        match actor.stage {
            Stage::Planned { stale } => {
                let after = (rules.send)(world, &actor.plan, stale);
                if stale && after != *world {
                    return Err(Invariant::OneWriterWins);
                }
                let goes_on = !stale && actor.plan.canary.is_some();
                written(after, &|state| match (&mut state.actors[index], goes_on) {
                    (Some(actor), true) => actor.stage = Stage::Bringing { restored: false },
                    (actor, _) => *actor = None,
                });
            }
            Stage::Bringing { mut restored } => {
                let record = actor.plan.canary.as_deref().unwrap();
                let had_restored = restored;
                let seen = looked_at(world, actor.verb);
                let after = match still_ours(actor, &seen) {
                    true => moved(rules, record, world, actor.verb, &mut restored),
                    false => None,
                };
                let Some(after) = after else {
                    written(world.clone(), &|state| state.actors[index] = None);
                    continue;
                };
                if world.emergency.is_some() && !state.hunting && canary_is_on(&after) && !canary_is_on(world) {
                    return Err(Invariant::EmergencyOutranks);
                }
                let is_done = (rules.next)(record, &seen, had_restored) == Move::Done;
                if is_done && (rules.write_down)(&after) != after {
                    return Err(Invariant::DoneIsDone);
                }
                written(after, &|state| {
                    state.actors[index] = Some(actor.clone())
                        .filter(|_| !is_done)
                        .map(|actor| Actor { stage: Stage::Bringing { restored }, ..actor });
                });
            }
        }
    }
    for (index, actor) in state.actors.iter().enumerate().take(scope.actors) {
        let mut becomes = |actor| {
            let mut actors = state.actors.clone();
            actors[index] = actor;
            next.push(State { actors, ..state.clone() });
        };
        if actor.is_some() {
            becomes(None); // It crashes.
            continue;
        }
        let id = unused(state);
        for verb in scope.verbs.iter().copied() {
            if let Some(plan) = planned(rules, rollout, world, verb, id) {
                becomes(Some(Actor { verb, plan, stage: Stage::Planned { stale: false } }));
            }
        }
    }
    Ok(next)
}

/// How much happens at once.
#[derive(Debug, Clone, Copy)]
struct Scope {
    routed: bool,
    actors: usize,
    verbs: &'static [Verb],
    strangers: usize,
    /// Whether to look from everywhere at what one can do alone.
    alone: bool,
}

/// Breadth first from a Deployment with every breaker off; the number of states, or the first violation.
fn search(rules: &Rules, scope: Scope) -> Result<usize, Invariant> {
    let rollout = rollout(scope.routed);
    let mut first = start(scope.routed);
    first.strangers = scope.strangers;
    let mut good = HashSet::new();
    let mut seen = HashSet::from([key(&first)]);
    let mut apart = HashSet::new();
    let mut open = VecDeque::from([first]);
    while let Some(state) = open.pop_front() {
        check(&state, scope).inspect_err(|_| tell(&state))?;
        // Who is on the way does not matter to what one can do alone.
        let bare = State { actors: [None, None], hunting: false, strangers: 0, ..state.clone() };
        if scope.alone && apart.insert(key(&bare)) {
            check_the_way_on(rules, &rollout, &bare.workload, &mut good).inspect_err(|_| tell(&bare))?;
        }
        for next in moves(rules, &rollout, &state, scope).inspect_err(|_| tell(&state))? {
            if seen.insert(key(&next)) {
                open.push_back(next);
            }
        }
    }
    Ok(seen.len())
}

/// Shown when the test fails.
fn tell(state: &State) {
    let world = &state.workload;
    println!("position {:?}\nrecord {:?}", world.position, world.canary_record);
    println!("beside {:?}\nsplit {:?} emergency {}", world.beside, world.split, world.emergency.is_some());
    let actors: Vec<_> = state.actors.iter().flatten().map(|actor| (actor.verb, actor.stage)).collect();
    println!("flags {:?}\nhunting {} actors {actors:?}", world.flags, state.hunting);
    let route = Route::find(
        &rollout(world.split.is_some()),
        &looked_at(world, Verb::Promote),
        None,
        Consent::default(),
        at(NOW),
    );
    println!("to {:?} held by {:?}", route.destination, route.obstacles);
}

const FEW: [Verb; 3] = [Verb::Promote, Verb::StepBack, Verb::Abort];
const ONE: Scope = Scope { routed: true, actors: 1, verbs: &VERBS, strangers: 0, alone: true };

#[test]
fn no_order_of_events_breaks_an_invariant() {
    holds_in(&[ONE, Scope { routed: false, verbs: &FEW, ..ONE }]);
}

#[test]
#[ignore = "minutes: cargo test --bin cbctl canary_model -- --ignored"]
fn nor_does_any_of_two_at_once_or_with_somebody_else() {
    holds_in(&[
        Scope { verbs: &FEW, strangers: 1, ..ONE },
        Scope { actors: 2, verbs: &[Verb::Promote, Verb::Abort], routed: false, ..ONE },
    ]);
}

fn holds_in(scopes: &[Scope]) {
    for scope in scopes {
        let began = std::time::Instant::now();
        let states = search(&PRODUCTION, *scope).unwrap();
        println!("{scope:?}: {states} states in {:?}", began.elapsed());
        assert!(states > 1_000, "{states} states are too few to mean anything");
    }
}
