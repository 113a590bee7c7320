//! How a verb plans in the model, and how a record is carried out: one move at a time, or alone as far as it goes.

use super::super::canary::{Beside, CanaryRecord, Move};
use super::super::declaration::Rollout;
use super::super::plan::{self, Operation, Plan};
use super::super::tests::operation;
use super::super::workload::Workload;
use super::world::{base, made, split, with_beside};
use super::{Actor, MOVES, NOW, Rules, Verb};

/// What a verb sees of it: a rollback is not told of routers by any file.
pub fn looked_at(workload: &Workload, verb: Verb) -> Workload {
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
pub fn moved(
    rules: &Rules,
    record: &CanaryRecord,
    world: &Workload,
    verb: Verb,
    restored: &mut bool,
) -> Option<Workload> {
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

pub fn still_ours(actor: &Actor, seen: &Workload) -> bool {
    match actor.verb {
        Verb::Promote => seen.emergency.is_none() || actor.plan.canary.as_ref().is_some_and(|it| it.canary().is_some()),
        Verb::StepBack | Verb::CacheOff | Verb::Abort => actor.plan.is_recorded_in(seen),
    }
}

pub fn planned(rules: &Rules, rollout: &Rollout, world: &Workload, verb: Verb, id: &str) -> Option<Plan> {
    let seen = looked_at(world, verb);
    let operation = Operation { id: id.to_owned(), ..operation(NOW) };
    match verb {
        Verb::Promote => (rules.promote)(rollout, &seen, &operation).ok(),
        Verb::StepBack => plan::step_back(&seen, &operation).ok(),
        Verb::CacheOff => (rules.breakers_off)(rollout, &seen, &operation).ok(),
        Verb::Abort => (rules.abort)(&seen, &operation).ok(),
    }
}

/// Carries a plan out alone, as far as it goes.
pub fn alone(rules: &Rules, world: &Workload, plan: &Plan, verb: Verb) -> Workload {
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

pub fn aborted(rules: &Rules, rollout: &Rollout, world: &Workload) -> Workload {
    let mut after = world.clone();
    for _ in 0..3 {
        let Some(plan) = planned(rules, rollout, &after, Verb::Abort, "last") else { break };
        after = alone(rules, &after, &plan, Verb::Abort);
    }
    after
}
