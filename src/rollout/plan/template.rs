//! Plans for the pod template as a whole: back to the revision before, and every pod anew.
//!
//! A rollback only ever switches breakers off: one that is off now stays so, whatever an earlier revision says.

use std::collections::BTreeMap;

use super::breakers::back_to_without;
use super::{NothingToRollBack, Operation, Plan, Record, canary};
use super::{can_step_back, changes, restoring};
use crate::rollout::canary::CanaryRecord;
use crate::rollout::declaration::{Flags, Rollout};
use crate::rollout::name::FlagName;
use crate::rollout::template::{TemplateChange, Undone};
use crate::rollout::workload::{FlagSource, FlagValue, Workload};

/// The patch that brings the revision before back. Like a step back it is taken once, until the template changes again.
///
/// `off` are the declared breakers with the values that switch them off; without the phases the record stays, unless the
/// result is what the last change replaced.
pub fn undo(
    rollout: Option<&Rollout>,
    off: &Flags,
    workload: &Workload,
    operation: &Operation,
) -> Result<Plan, NothingToRollBack> {
    let template = &workload.template;
    if template.is_undone() {
        return Err(NothingToRollBack::AlreadyUndone);
    }
    let revision = template.previous.as_ref().ok_or(NothingToRollBack::NoEarlierRevision)?;
    // What was switched on once is known by the record as well.
    let recorded_off = workload.recorded_position().map(|position| position.off.clone()).unwrap_or_default();
    let off: Flags = recorded_off.into_iter().chain(off.clone()).collect();
    let kept = kept(&off, &workload.flags, &revision.flags);
    let differs =
        |(flag, then): &(&FlagName, &FlagSource)| workload.flags.get(*flag) != Some(*then) && !kept.contains_key(*flag);
    let wanted = revision.flags.iter().filter(differs);
    let wanted = wanted.filter_map(|(flag, then)| match then {
        FlagSource::Value(value) => Some((flag.clone(), value.clone())),
        FlagSource::MaybeFrom(_) => Some((flag.clone(), FlagValue::Absent)),
        FlagSource::Twice => None,
    });
    let changes = changes(workload, wanted);
    if changes.is_empty() && !revision.differs_elsewhere {
        return Err(NothingToRollBack::SameButForBreakers);
    }
    let plan = Plan {
        changes,
        template: Some(TemplateChange::Undo {
            revision: Box::new(revision.clone()),
            kept,
            mark: Undone { at: operation.at, operation: operation.id.clone(), revision: template.revision },
        }),
        record: Record::Keep,
        canary: None,
        accepts_emergency: false,
        resource_version: workload.resource_version.clone(),
    };
    let (record, canary) = records(rollout, &off, workload, &plan, operation);
    Ok(Plan { record, canary, ..plan })
}

/// The patch that replaces every pod by one like it.
pub fn restart(workload: &Workload, operation: &Operation) -> Result<Plan, NothingToRollBack> {
    if workload.paused {
        return Err(NothingToRollBack::Paused);
    }
    Ok(Plan {
        changes: Vec::new(),
        template: Some(TemplateChange::Restart { at: operation.at }),
        record: Record::Keep,
        canary: None,
        accepts_emergency: false,
        resource_version: workload.resource_version.clone(),
    })
}

/// The breakers that might be switched on, with their present values. A reference is not followed: it may say anything.
fn kept(
    off: &Flags,
    now: &BTreeMap<FlagName, FlagSource>,
    then: &BTreeMap<FlagName, FlagSource>,
) -> BTreeMap<FlagName, FlagValue> {
    let stays = |(flag, off): (&FlagName, &String)| {
        let (now, then) = (now.get(flag)?, then.get(flag)?);
        let is_on = |source: &FlagSource| source.literal().is_some_and(|value| value != off);
        let may_be_on = match then {
            FlagSource::Value(FlagValue::Literal(value)) => value != off,
            FlagSource::Value(FlagValue::Absent) => false,
            FlagSource::Value(FlagValue::Reference(_)) | FlagSource::MaybeFrom(_) | FlagSource::Twice => now != then,
        };
        let present = match now {
            FlagSource::Value(value) => value.clone(),
            FlagSource::MaybeFrom(_) => FlagValue::Absent,
            // Of two entries the later one wins, and which that is nobody asked.
            FlagSource::Twice => FlagValue::Literal(off.clone()),
        };
        (may_be_on && !is_on(now)).then(|| (flag.clone(), present))
    };
    off.iter().filter_map(stays).collect()
}

/// The position moves with the flags: like a step back where they become what the last change replaced, otherwise to
/// the last phase without the breakers that go off. While an emergency is in force that one outranks it.
fn records(
    rollout: Option<&Rollout>,
    off: &Flags,
    workload: &Workload,
    plan: &Plan,
    operation: &Operation,
) -> (Record, Option<Box<CanaryRecord>>) {
    let Some(position) =
        workload.recorded_position().filter(|_| workload.emergency.is_none() && !plan.changes.is_empty())
    else {
        return (Record::Keep, None);
    };
    if can_step_back(workload) {
        let back = restoring(workload, position, position.trail.len() - 1, operation);
        let same = |(one, other): (&super::Change, &super::Change)| one.flag == other.flag && one.after == other.after;
        if back.changes.len() == plan.changes.len() && back.changes.iter().zip(&plan.changes).all(same) {
            return (back.record, back.canary);
        }
    }
    let goes_off = plan.changes.iter().filter_map(|change| {
        let off = off.get(&change.flag)?;
        change.before.literal().filter(|value| *value != off)?;
        Some((change.flag.clone(), off.clone()))
    });
    let goes_off: Flags = goes_off.collect();
    match rollout.filter(|_| !goes_off.is_empty()) {
        // The place of a canary is left with the breakers that its phase is built on.
        Some(rollout) => {
            (back_to_without(rollout, workload, &goes_off, operation).1, canary::gone(workload, operation))
        }
        None => (Record::Keep, None),
    }
}
