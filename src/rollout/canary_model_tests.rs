//! Every order in which promotions into, within and out of a canary, rollbacks, aborts, an emergency, somebody else and
//! crashes can come: searched exhaustively, with and without a router, and each invariant shown to fail on a planted fault.
//!
//! Whoever carries a record out makes one move at a time, and anybody may come between two. A crash is an operation that
//! goes no further. Pods come and go at once, and every step has been baked.

mod world;

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use self::world::{
    base, canary_is_on, emergency, hunted, is_on, made, nothing_is_left, percent, rollout, split, touched, with_beside,
};
use super::canary::{self, Aim, Beside, CanaryRecord, CanaryTrouble, Move};
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
    BackToShadow,
    CacheOff,
    Abort,
}

const VERBS: [Verb; 5] = [Verb::Promote, Verb::StepBack, Verb::BackToShadow, Verb::CacheOff, Verb::Abort];

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

/// What a verb sees of it: a rollback is not told of routers by any file.
fn looked_at(workload: &Workload, verb: Verb) -> Workload {
    let mut seen = workload.clone();
    let of_record = seen.recorded_canary().map(|record| record.route.is_some());
    if !of_record.unwrap_or(verb == Verb::Promote) {
        seen.split = None;
    }
    if seen.canary_record.is_none() && !matches!(verb, Verb::Promote | Verb::Abort) {
        seen.beside = None;
    }
    seen
}

/// What one move makes of the cluster; None where nobody moves on.
fn moved(rules: &Rules, record: &CanaryRecord, world: &Workload, verb: Verb, restored: &mut bool) -> Option<Workload> {
    let recorded_percent = || record.route.as_ref().unwrap().weights.0.split(' ').nth(1).unwrap().parse().unwrap();
    let share = |percent| {
        let base = base(world.split.as_ref().unwrap().as_ref().unwrap());
        Workload { split: Some(Ok(split(&base, percent))), ..world.clone() }
    };
    Some(match (rules.next)(record, &looked_at(world, verb), *restored) {
        Move::Give { percent } => share(percent),
        Move::Restore => {
            *restored = true;
            share(recorded_percent())
        }
        Move::Make | Move::Adapt => with_beside(world, Some(made(record.canary().unwrap()))),
        Move::Delete => with_beside(world, None),
        Move::Revoke => {
            let beside = Beside { flags: world.flags.clone(), ..world.beside.clone().unwrap() };
            with_beside(world, Some(beside))
        }
        Move::Done => {
            let after = (rules.write_down)(world);
            if after == *world {
                return None;
            }
            after
        }
        Move::Wait | Move::Failed(_) | Move::Blocked(_) | Move::Overtaken => return None,
    })
}

fn still_ours(actor: &Actor, seen: &Workload) -> bool {
    match actor.verb {
        Verb::Promote => seen.emergency.is_none() || actor.plan.canary.as_ref().is_some_and(|it| it.canary().is_some()),
        _ => actor.plan.is_recorded_in(seen),
    }
}

fn planned(rules: &Rules, rollout: &Rollout, world: &Workload, verb: Verb, id: &str) -> Option<Plan> {
    let seen = looked_at(world, verb);
    let operation = Operation { id: id.to_owned(), ..operation(NOW) };
    match verb {
        Verb::Promote => (rules.promote)(rollout, &seen, &operation).ok(),
        Verb::StepBack => plan::step_back(&seen, &operation).ok(),
        Verb::BackToShadow => plan::back_to(&seen, &"shadow".parse().unwrap(), &operation).ok(),
        Verb::CacheOff => (rules.breakers_off)(rollout, &seen, &operation).ok(),
        Verb::Abort => (rules.abort)(&seen, &operation).ok(),
    }
}

/// Carries a plan out alone, as far as it goes.
fn alone(rules: &Rules, world: &Workload, plan: &Plan, verb: Verb) -> Workload {
    let mut after = (rules.send)(world, plan, false);
    let mut restored = false;
    if let Some(record) = &plan.canary {
        for _ in 0..MOVES {
            let Some(next) = moved(rules, record, &after, verb, &mut restored) else { break };
            after = next;
        }
    }
    after
}

fn aborted(rules: &Rules, rollout: &Rollout, world: &Workload) -> Workload {
    let mut after = world.clone();
    for _ in 0..3 {
        let Some(plan) = planned(rules, rollout, &after, Verb::Abort, "last") else { break };
        after = alone(rules, &after, &plan, Verb::Abort);
    }
    after
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
                let is_done = (rules.next)(record, &seen, restored) == Move::Done;
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

const IDS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// An id that nobody still asks for.
fn unused(state: &State) -> &'static str {
    let used = used(state);
    IDS.into_iter().find(|id| !used.iter().any(|used| used == id)).unwrap()
}

fn used(state: &State) -> Vec<String> {
    let position = state.workload.recorded_position().map(|position| position.operation.clone());
    let record = state.workload.recorded_canary().map(|record| record.operation.clone());
    let actors = state.actors.iter().flatten().filter_map(|actor| Some(actor.plan.canary.as_ref()?.operation.clone()));
    let positions = state.actors.iter().flatten().filter_map(|actor| match &actor.plan.record {
        plan::Record::Write(position) => Some(position.operation.clone()),
        plan::Record::Remove | plan::Record::Keep => None,
    });
    position.into_iter().chain(record).chain(actors).chain(positions).collect()
}

/// What tells states apart: ids only by which are the same, and the trail without them.
fn key(state: &State) -> u64 {
    let Workload { flags, position, emergency, canary_record, beside, split, fingerprint, replicas, .. } =
        &state.workload;
    let mut ids: Vec<String> = Vec::new();
    let mut number = |id: &str| match ids.iter().position(|known| known == id) {
        Some(index) => index,
        None => {
            ids.push(id.to_owned());
            ids.len() - 1
        }
    };
    let mut position = position.clone();
    let mut of_position = None;
    if let Some(Ok(position)) = &mut position {
        of_position = Some(number(&position.operation));
        position.operation.clear();
        for taken in &mut position.trail {
            taken.base = None;
            if let Some(canary) = &mut taken.canary {
                canary.operation.clear();
            }
        }
    }
    let mut record = canary_record.clone();
    let mut of_record = None;
    if let Some(Ok(record)) = &mut record {
        of_record = Some(number(&record.operation));
        record.operation.clear();
    }
    let mut actors: Vec<_> = state
        .actors
        .iter()
        .flatten()
        .map(|actor| {
            let canary = actor.plan.canary.as_ref();
            let aim = match actor.stage {
                Stage::Planned { .. } => String::new(),
                Stage::Bringing { .. } => format!("{:?}", canary.map(|canary| (&canary.aim, &canary.route))),
            };
            let id = canary.map(|canary| number(&canary.operation));
            (actor.verb, actor.stage, aim, id.filter(|_| actor.stage != Stage::Planned { stale: false }))
        })
        .collect();
    actors.sort();
    let beside = beside.as_ref().map(|beside| (&beside.flags, &beside.template, beside.replicas.desired));
    let told = format!(
        "{flags:?} {position:?} {of_position:?} {emergency:?} {record:?} {of_record:?} {beside:?} {split:?} {fingerprint} \
         {} {actors:?} {} {}",
        replicas.desired, state.hunting, state.strangers
    );
    let mut hasher = DefaultHasher::new();
    told.hash(&mut hasher);
    hasher.finish()
}

/// How much happens at once.
#[derive(Debug, Clone, Copy)]
struct Scope {
    routed: bool,
    actors: usize,
    verbs: &'static [Verb],
    strangers: usize,
}

/// Breadth first from a Deployment with every breaker off; the number of states, or the first violation.
fn search(rules: &Rules, scope: Scope) -> Result<usize, Invariant> {
    let rollout = rollout(scope.routed);
    let mut first = start(scope.routed);
    first.strangers = scope.strangers;
    let mut good = HashSet::new();
    let mut seen = HashSet::from([key(&first)]);
    let (mut apart, mut worlds) = (HashSet::new(), Vec::new());
    let mut open = VecDeque::from([first]);
    while let Some(state) = open.pop_front() {
        check(&state, scope).inspect_err(|_| tell(&state))?;
        // Who is on the way does not matter to what one can do alone.
        let bare = State { actors: [None, None], hunting: false, strangers: 0, ..state.clone() };
        if apart.insert(key(&bare)) {
            worlds.push(bare);
        }
        for next in moves(rules, &rollout, &state, scope).inspect_err(|_| tell(&state))? {
            if seen.insert(key(&next)) {
                open.push_back(next);
            }
        }
    }
    for bare in worlds {
        check_the_way_on(rules, &rollout, &bare.workload, &mut good).inspect_err(|_| tell(&bare))?;
    }
    Ok(seen.len())
}

/// Shown when the test fails.
#[expect(clippy::print_stdout, reason = "the state is what has to be looked at")]
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

const ALONE: Scope = Scope { routed: true, actors: 1, verbs: &VERBS, strangers: 0 };

#[test]
#[expect(clippy::print_stdout, reason = "how much was searched is worth knowing")]
fn no_order_of_events_breaks_an_invariant() {
    for scope in [
        ALONE,
        Scope { routed: false, verbs: &[Verb::Promote, Verb::StepBack, Verb::Abort], ..ALONE },
        Scope { verbs: &[Verb::Promote, Verb::StepBack, Verb::Abort], strangers: 1, ..ALONE },
        Scope { actors: 2, verbs: &[Verb::Promote, Verb::Abort], routed: false, ..ALONE },
    ] {
        let began = std::time::Instant::now();
        let states = search(&PRODUCTION, scope).unwrap();
        println!("{scope:?}: {states} states in {:?}", began.elapsed());
        assert!(states > 1_000, "{states} states are too few to mean anything");
    }
}

#[test]
fn every_invariant_finds_the_fault_it_is_there_for() {
    let two = Scope { actors: 2, verbs: &[Verb::Promote, Verb::Abort], ..ALONE };
    let mutants = [
        (
            Invariant::NoCanaryWithoutARecord,
            ALONE,
            // What has arrived is forgotten.
            Rules { write_down: |workload| Workload { canary_record: None, ..workload.clone() }, ..PRODUCTION },
        ),
        (
            Invariant::EmergencyOutranks,
            ALONE,
            Rules {
                next: |record, workload, restored| {
                    let unknowing = Workload { emergency: None, ..workload.clone() };
                    canary::next(record, &unknowing, restored)
                },
                ..PRODUCTION
            },
        ),
        (
            Invariant::AbortLeavesNothing,
            ALONE,
            // The place changes, and the canary stays.
            Rules {
                abort: |workload, operation| Ok(Plan { canary: None, ..plan::abort(workload, operation)? }),
                ..PRODUCTION
            },
        ),
        (
            Invariant::EmergencyAndAbortLeaveNothing,
            ALONE,
            Rules {
                abort: |workload, operation| match workload.emergency {
                    Some(_) => Err(NothingToRollBack::EmergencyInForce),
                    None => plan::abort(workload, operation),
                },
                ..PRODUCTION
            },
        ),
        (
            Invariant::PromotionGoesOn,
            ALONE,
            // One breaker off leaves the place of the canary that it takes away.
            Rules {
                breakers_off: |rollout, workload, operation| {
                    let plan = PRODUCTION.breakers_off;
                    Ok(Plan { record: plan::Record::Keep, ..plan(rollout, workload, operation)? })
                },
                ..PRODUCTION
            },
        ),
        (
            Invariant::NoTrafficWithoutPods,
            ALONE,
            // The traffic comes first.
            Rules {
                next: |record, workload, restored| match canary::next(record, workload, restored) {
                    Move::Delete if workload.beside.is_some() => Move::Delete,
                    Move::Restore if workload.beside.is_some() => Move::Delete,
                    Move::Restore => Move::Done,
                    other => other,
                },
                ..PRODUCTION
            },
        ),
        (Invariant::OneWriterWins, two, Rules { send: |workload, plan, _| plan.outcome(workload), ..PRODUCTION }),
        (
            Invariant::DoneIsDone,
            ALONE,
            // The bake begins anew with every look.
            Rules {
                write_down: |workload| {
                    let mut after = (PRODUCTION.write_down)(workload);
                    if let (Some(Ok(position)), Some(_)) = (&mut after.position, &after.canary_record) {
                        position.place.since += jiff::SignedDuration::from_secs(1);
                    }
                    after
                },
                ..PRODUCTION
            },
        ),
    ];
    for (invariant, scope, mutant) in mutants {
        assert_eq!(search(&mutant, scope), Err(invariant));
    }
}
