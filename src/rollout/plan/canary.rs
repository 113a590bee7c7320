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

/// The canary that there is with these breakers off. None where its place is not known, or an emergency has left it.
pub(super) fn without(workload: &Workload, off: &Flags, operation: &Operation) -> Option<Box<CanaryRecord>> {
    workload.recorded_position().filter(|_| workload.emergency.is_none())?;
    let record = workload.recorded_canary()?;
    let mut flags = record.canary()?.flags.clone();
    flags.extend(off.iter().map(|(flag, off)| (flag.clone(), FlagValue::Literal(off.clone()))));
    let canary = Canary { flags, template: workload.fingerprint.clone(), arrived: false, ..record.canary()?.clone() };
    let operation = operation.id.clone();
    Some(Box::new(CanaryRecord { operation, aim: Aim::Runs(canary), ..record.clone() }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::declaration::Exposure;
    use crate::rollout::plan::{breakers_off, promotion, step_back};
    use crate::rollout::route::{Consent, Route};
    use crate::rollout::tests::{all_off, at, flag, literal, operation, rollout as declared};

    fn rollout() -> Rollout {
        let mut rollout = declared();
        rollout.phases[1].steps[0].exposure = Exposure::Pods(1);
        // What its phases say nothing of is not theirs to switch off in a canary.
        rollout.phases[0].flags.remove(&flag("CB_HTTP"));
        rollout
    }

    fn promoted(workload: &Workload, second: i64) -> Workload {
        let consent = Consent { adopt: true, ..Consent::default() };
        let route = Route::find(&rollout(), workload, None, consent, at(second));
        promotion(&rollout(), workload, &route, &operation(second)).unwrap().outcome(workload)
    }

    fn arrived(workload: &Workload, second: i64) -> Workload {
        arrival(workload, at(second)).unwrap().outcome(workload)
    }

    fn at_the_canary() -> Workload {
        arrived(&promoted(&promoted(&all_off(), 0), 1_000), 1_100)
    }

    fn place(workload: &Workload) -> String {
        workload.recorded_place().map_or_else(String::new, |place| format!("{} {}", place.phase, place.step))
    }

    #[test]
    fn a_canary_that_was_made_anew_is_aborted_like_the_first() {
        for lost in [None, Some(Err("not JSON".to_owned()))] {
            let spoiled = Workload { canary_record: lost, ..at_the_canary() };
            let anew = arrived(&promoted(&spoiled, 2_000), 2_100);
            assert_eq!(place(&anew), "cache 1");
            let back = abort(&anew, &operation(3_000)).unwrap().outcome(&anew);
            assert_eq!(place(&back), "shadow 1", "there is no canary at the place that it is taken away from");
            let back = step_back(&anew, &operation(3_000)).unwrap().outcome(&anew);
            let runs = back.recorded_canary().unwrap().canary().is_some();
            assert_eq!(place(&back) == "cache 1", runs, "a canary's place has one");
        }
    }

    #[test]
    fn a_breaker_that_the_phase_is_not_about_goes_off_in_the_canary_and_leaves_it_there() {
        let mut by_hand = at_the_canary();
        by_hand.flags.insert(flag("CB_HTTP"), literal("true"));
        if let Some(Ok(record)) = &mut by_hand.canary_record
            && let Aim::Runs(canary) = &mut record.aim
        {
            canary.flags.insert(flag("CB_HTTP"), FlagValue::Literal("true".into()));
        }
        let off = breakers_off(&rollout(), &by_hand, &["http".parse().unwrap()], &operation(2_000)).unwrap();
        let after = off.outcome(&by_hand);
        assert_eq!(place(&after), "cache 1");
        let canary = after.recorded_canary().and_then(CanaryRecord::canary).unwrap();
        assert_eq!(canary.flags[&flag("CB_HTTP")], FlagValue::Literal("false".into()));
        assert_eq!(canary.flags[&flag("CB_CACHE")], FlagValue::Literal("true".into()));
        assert!(!canary.arrived);
    }

    #[test]
    fn a_rollback_whose_canary_has_arrived_is_still_the_same() {
        let full = promoted(&at_the_canary(), 2_000);
        let back = step_back(&full, &operation(3_000)).unwrap();
        let after = back.outcome(&full);
        assert!(back.is_recorded_in(&after) && back.is_recorded_in(&arrived(&after, 3_100)));
        assert!(!back.is_recorded_in(&promoted(&arrived(&after, 3_100), 9_000)));
    }
}
