//! Single breakers off: what else goes with them, and where the rollout then stands.
//!
//! It does not know how a change is written.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{NothingToRollBack, Operation, Plan, Record, canary, changes, moved_back, split_at};
use crate::rollout::declaration::{Breaker, Flags, Rollout};
use crate::rollout::name::{BreakerName, FlagName};
use crate::rollout::standing::{Standing, StandingPlace};
use crate::rollout::workload::{FlagValue, Workload};

/// The patch that switches these breakers off. The rollout then stands at the last phase that has none of them on, and
/// what later phases changed is restored as well.
pub fn breakers_off(
    rollout: &Rollout,
    workload: &Workload,
    breakers: &[BreakerName],
    operation: &Operation,
) -> Result<Plan, NothingToRollBack> {
    let chosen = |breaker: &&Breaker| breakers.contains(&breaker.name);
    let off: Flags = rollout
        .header
        .breakers
        .iter()
        .filter(chosen)
        .map(|breaker| (breaker.flag.clone(), breaker.off.clone()))
        .collect();
    let on_in_the_canary = canary::runs_any(workload, &off);
    if workload.has(&off) && !on_in_the_canary {
        return Err(NothingToRollBack::AlreadyOff);
    }
    let (mut wanted, record) = back_to_without(rollout, workload, &off, operation);
    // A canary of the place that is left has nothing to show any more; that of one that is not stays without them.
    let moves = record.place().is_some_and(|place| workload.recorded_place().as_ref() != Some(place));
    let canary = match (moves, on_in_the_canary) {
        (true, _) => canary::gone(workload, operation),
        (false, true) => canary::without(workload, &off, operation).or_else(|| canary::gone(workload, operation)),
        (false, false) => None,
    };
    // What was on before the rollout changed it is no reason to switch anything on here.
    let switches_on = |flag: &FlagName, value: &FlagValue| {
        let of_flag = |breaker: &&Breaker| breaker.flag == *flag;
        let breaker = rollout.header.breakers.iter().find(of_flag);
        breaker.is_some_and(|breaker| *value == FlagValue::Literal(breaker.on.clone()))
    };
    wanted.retain(|flag, value| !switches_on(flag, value));
    wanted.extend(off.into_iter().map(|(flag, value)| (flag, FlagValue::Literal(value))));
    Ok(Plan {
        changes: changes(workload, wanted),
        template: None,
        record,
        canary,
        accepts_emergency: false,
        resource_version: workload.resource_version.clone(),
    })
}

/// The record of the last phase without these breakers, and what the changes that led further replaced.
pub(super) fn back_to_without(
    rollout: &Rollout,
    workload: &Workload,
    off: &Flags,
    operation: &Operation,
) -> (BTreeMap<FlagName, FlagValue>, Record) {
    let standing = Standing::of(rollout, workload);
    let place = standing.place.as_ref().and_then(|place| place_without(rollout, workload, place, off, operation.at));
    match workload.recorded_position().zip(place) {
        Some((position, place)) => {
            let (trail, replaced) = split_at(rollout, &position.trail, Some(&place));
            let place = place.record(rollout);
            (replaced, Record::Write(Box::new(moved_back(position, place, trail, operation))))
        }
        None => (BTreeMap::new(), Record::Keep),
    }
}

/// The end of the last phase without these breakers on, with its bake served if it had been complete before.
fn place_without(
    rollout: &Rollout,
    workload: &Workload,
    present: &StandingPlace,
    off: &Flags,
    now: Timestamp,
) -> Option<StandingPlace> {
    let phase = rollout.last_phase_without(off)?;
    if present.phase <= phase {
        return Some(present.clone());
    }
    let declared = &rollout.phases[phase];
    let bake = declared.steps[declared.steps.len() - 1].bake;
    let completed = workload.recorded_position().and_then(|position| position.completed.get(&declared.name).copied());
    let since = completed.and_then(|complete| complete.checked_sub(bake).ok()).unwrap_or(now);
    Some(StandingPlace { phase, step: declared.steps.len() - 1, since })
}
