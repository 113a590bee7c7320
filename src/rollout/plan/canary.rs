//! What a plan makes of the canary: one for a step, none, or the one that was there before.

use jiff::Timestamp;

use super::{NothingToRollBack, Operation, Plan, Record, restorable, restoring};
use crate::rollout::canary::{self, Aim, Canary, CanaryRecord, Routed};
use crate::rollout::declaration::{Flags, Rollout};
use crate::rollout::gradual::Fewer;
use crate::rollout::position::{Position, Reduced, Taken};
use crate::rollout::standing::StandingPlace;
use crate::rollout::workload::{FlagValue, Workload};

/// The canary of a step, by the indices of its phase and itself; None where something stands against making it.
pub(super) fn runs(
    rollout: &Rollout,
    workload: &Workload,
    (phase, step): (usize, usize),
    operation: &Operation,
) -> Option<Box<CanaryRecord>> {
    let canary = canary::planned(rollout, workload, phase, step).ok()?;
    let present = || {
        let split = workload.split.as_ref()?.as_ref().ok()?;
        Some(Routed { router: rollout.header.router.clone()?, weights: split.weights.clone() })
    };
    let route = known_route(workload).or_else(present);
    // Without its weights a router could not be brought back.
    if canary.percent.is_some() && route.is_none() {
        return None;
    }
    Some(Box::new(CanaryRecord { operation: operation.id.clone(), aim: Aim::Runs(canary), route }))
}

/// No canary any more; None where there is none already.
pub(super) fn gone(workload: &Workload, operation: &Operation) -> Option<Box<CanaryRecord>> {
    let record = CanaryRecord { operation: operation.id.clone(), aim: Aim::Gone, route: known_route(workload) };
    workload.has_canary().then(|| Box::new(record))
}

/// What was recorded before; of the live template, which may have changed since.
pub(super) fn as_before(
    workload: &Workload,
    before: Option<&CanaryRecord>,
    operation: &Operation,
) -> Option<Box<CanaryRecord>> {
    let Some(canary) = before.and_then(CanaryRecord::canary) else { return gone(workload, operation) };
    let mut flags = workload.values();
    flags.extend(canary.flags.clone());
    let canary = Canary { flags, template: workload.fingerprint.clone(), arrived: false, ..canary.clone() };
    let route = known_route(workload).or_else(|| before?.route.clone());
    Some(Box::new(CanaryRecord { operation: operation.id.clone(), aim: Aim::Runs(canary), route }))
}

fn known_route(workload: &Workload) -> Option<Routed> {
    workload.recorded_canary()?.route.clone()
}

/// Whether the canary is to run any of these breakers otherwise than off.
pub(super) fn runs_any(workload: &Workload, off: &Flags) -> bool {
    let flags = workload.recorded_canary().and_then(CanaryRecord::canary).map(|canary| &canary.flags);
    let is_on = |(flag, off): (&_, &String)| {
        flags.and_then(|flags| flags.get(flag)).is_some_and(|value| *value != FlagValue::Literal(off.clone()))
    };
    off.iter().any(is_on)
}

/// The plan that goes on with what was begun at a place with its canary, and was cut short.
pub(super) fn resumption(
    rollout: &Rollout,
    workload: &Workload,
    place: &StandingPlace,
    operation: &Operation,
) -> Option<Plan> {
    let is_reduced = workload.recorded_position().is_some_and(|position| position.reduced.is_some());
    let canary = match rollout.phases[place.phase].steps[place.step].is_canary() {
        // What a gradual rollback has taken away does not come back unasked.
        true if is_reduced => as_before(workload, workload.recorded_canary(), operation),
        true => Some(runs(rollout, workload, (place.phase, place.step), operation)?),
        false => gone(workload, operation),
    };
    Some(keeping(workload, canary))
}

/// The plan that writes down that the canary runs as recorded: its bake begins. None where none is to run.
pub fn arrival(workload: &Workload, at: Timestamp) -> Option<Plan> {
    let record = workload.recorded_canary()?;
    let canary = Canary { arrived: true, ..record.canary()?.clone() };
    let mut position: Position = workload.recorded_position()?.clone();
    position.place.since = at;
    let canary = CanaryRecord { aim: Aim::Runs(canary), ..record.clone() };
    Some(Plan { record: Record::Write(Box::new(position)), ..keeping(workload, Some(Box::new(canary))) })
}

/// The plan that makes the canary smaller, and writes down that this is a reduction. The place stays; its bake begins
/// anew when the canary has arrived. Nothing else about the canary changes.
pub fn reduced(workload: &Workload, smaller: Canary, fewer: &Fewer, operation: &Operation) -> Option<Plan> {
    let record = workload.recorded_canary()?;
    let aim = Aim::Runs(Canary { arrived: false, ..smaller });
    let canary = CanaryRecord { operation: operation.id.clone(), aim, ..record.clone() };
    let reduced = Reduced { fewer: fewer.clone(), operation: operation.id.clone(), at: operation.at };
    let written = |position: &Position| Position { reduced: Some(reduced), ..position.clone() };
    let record = workload.recorded_position().map(written).map_or(Record::Keep, |it| Record::Write(Box::new(it)));
    Some(Plan { record, ..keeping(workload, Some(Box::new(canary))) })
}

/// The plan that takes the canary away, and the rollout back to where it stood before there was one. Where that is not
/// known, or an emergency outranks it, only the canary goes. It needs no phase files.
pub fn abort(workload: &Workload, operation: &Operation) -> Result<Plan, NothingToRollBack> {
    let canary = gone(workload, operation).ok_or(NothingToRollBack::NoCanary)?;
    let runs = workload.recorded_canary().and_then(CanaryRecord::canary).is_some();
    match workload.recorded_position().filter(|_| runs && workload.emergency.is_none()) {
        Some(position) if !position.trail.is_empty() => {
            // Where the record knows no place without one, none is made all the same.
            let back = restoring(workload, position, before_the_canary(position), operation);
            Ok(Plan { canary: Some(canary), ..back })
        }
        Some(_) | None => Ok(keeping(workload, Some(canary))),
    }
}

/// The plan that takes back what is exposed by itself, because a trigger fires: all steps since there was no canary, or
/// the last one where none was made. It needs no phase files.
pub fn way_out(workload: &Workload, operation: &Operation) -> Result<Plan, NothingToRollBack> {
    let position = restorable(workload)?;
    let oldest = before_the_canary(position);
    let taken = position.trail.get(oldest).ok_or(NothingToRollBack::NoEarlierStep)?;
    if taken.from.is_none() && taken.prior.is_empty() && !workload.has_canary() {
        return Err(NothingToRollBack::NoEarlierStep);
    }
    Ok(restoring(workload, position, oldest, operation))
}

/// The newest change that was made when no canary ran.
fn before_the_canary(position: &Position) -> usize {
    let had_none = |taken: &Taken| taken.canary.as_ref().is_none_or(|before| before.canary().is_none());
    position.trail.iter().rposition(had_none).unwrap_or_default()
}

/// Only what is recorded of the canary changes.
fn keeping(workload: &Workload, canary: Option<Box<CanaryRecord>>) -> Plan {
    Plan {
        changes: Vec::new(),
        template: None,
        record: Record::Keep,
        canary,
        accepts_emergency: false,
        resource_version: workload.resource_version.clone(),
    }
}
