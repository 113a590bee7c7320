//! Where a rollout really stands: the recorded position held against the files, the emergency mark and the live flags.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::declaration::{Flags, Rollout};
use super::name::{FlagName, PhaseName};
use super::workload::{FlagSource, Workload};

/// The place a decision starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub place: Option<StandingPlace>,
    /// Live flags that are not what the place says.
    pub drift: Vec<Drift>,
    /// An emergency rollback is in force.
    pub emergency: bool,
    /// The recorded position cannot be used, and why.
    pub unusable: Option<Unusable>,
}

/// A place in terms of the declared phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingPlace {
    /// Index into [`Rollout::phases`].
    pub phase: usize,
    /// Index into the phase's steps.
    pub step: usize,
    pub since: Timestamp,
}

/// A flag that somebody else changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    pub flag: FlagName,
    pub expected: String,
    pub found: FlagSource,
}

/// Why a recorded position is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Unusable {
    Unreadable { detail: String },
    UnknownPhase { phase: PhaseName },
    UnknownStep { phase: PhaseName, step: usize, steps: usize },
}

impl Standing {
    pub fn of(rollout: &Rollout, workload: &Workload) -> Self {
        let (recorded, unusable) = match &workload.position {
            None => (None, None),
            Some(Err(detail)) => (None, Some(Unusable::Unreadable { detail: detail.clone() })),
            Some(Ok(position)) => match recorded_place(rollout, position) {
                Ok(place) => (Some(place), None),
                Err(unusable) => (None, Some(unusable)),
            },
        };
        let emergency = workload.emergency.is_some();
        let off = rollout.header.breakers_off();
        let place = match (recorded, &workload.emergency) {
            (Some(place), Some(mark)) => after_emergency(rollout, &place, &off, mark.at),
            (place, _) => place,
        };
        let mut expected =
            place.as_ref().and_then(|place| rollout.stable_flags_at(place.phase, place.step)).unwrap_or_default();
        if emergency {
            expected.retain(|flag, _| off.contains_key(flag));
            expected.extend(off);
        }
        let mut drift = drift(workload, &expected);
        if place.is_some() || emergency {
            drift.extend(unexpectedly_on(rollout, workload, &expected));
        }
        Self { place, drift, emergency, unusable }
    }

    /// When the phase at this place became or becomes complete; None before its last step.
    pub fn complete_at(&self, rollout: &Rollout) -> Option<Timestamp> {
        self.place.as_ref().and_then(|place| place.complete_at(rollout))
    }
}

impl StandingPlace {
    pub fn is_last_step(&self, rollout: &Rollout) -> bool {
        self.step + 1 == rollout.phases[self.phase].steps.len()
    }

    pub fn bake_ends(&self, rollout: &Rollout) -> Timestamp {
        let bake = rollout.phases[self.phase].steps[self.step].bake;
        self.since.checked_add(bake).unwrap_or(Timestamp::MAX)
    }

    pub fn complete_at(&self, rollout: &Rollout) -> Option<Timestamp> {
        self.is_last_step(rollout).then(|| self.bake_ends(rollout))
    }
}

/// Time since `since`; none if that lies ahead.
pub fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).max(SignedDuration::ZERO).unsigned_abs()
}

fn recorded_place(rollout: &Rollout, position: &super::position::Position) -> Result<StandingPlace, Unusable> {
    let super::position::Place { phase: name, step, since } = &position.place;
    let phase = rollout.index_of(name).ok_or_else(|| Unusable::UnknownPhase { phase: name.clone() })?;
    let steps = rollout.phases[phase].steps.len();
    if *step == 0 || *step > steps {
        return Err(Unusable::UnknownStep { phase: name.clone(), step: *step, steps });
    }
    Ok(StandingPlace { phase, step: step - 1, since: *since })
}

/// With every breaker off, the rollout stands at the end of the last phase that has none on.
fn after_emergency(rollout: &Rollout, place: &StandingPlace, off: &Flags, at: Timestamp) -> Option<StandingPlace> {
    let phase = rollout.last_phase_without(off)?;
    if place.phase <= phase {
        return Some(place.clone());
    }
    // It was complete before it was left; its bake is not served again, but its windows begin anew.
    let step = rollout.phases[phase].steps.len() - 1;
    let bake = rollout.phases[phase].steps[step].bake;
    Some(StandingPlace { phase, step, since: at.checked_sub(bake).unwrap_or(Timestamp::MIN) })
}

/// Breakers that no phase so far says anything about, and that are on.
fn unexpectedly_on<'a>(
    rollout: &'a Rollout,
    workload: &'a Workload,
    expected: &'a Flags,
) -> impl Iterator<Item = Drift> + 'a {
    let unmentioned = rollout.header.breakers.iter().filter(|breaker| !expected.contains_key(&breaker.flag));
    unmentioned.filter_map(|breaker| {
        let found = workload.flags.get(&breaker.flag)?;
        let on = found.literal() == Some(&breaker.on);
        on.then(|| Drift { flag: breaker.flag.clone(), expected: breaker.off.clone(), found: found.clone() })
    })
}

/// The live flags that are not what is expected.
pub fn drift(workload: &Workload, expected: &Flags) -> Vec<Drift> {
    workload
        .differing(expected)
        .map(|(flag, expected, found)| Drift {
            flag: flag.clone(),
            expected: expected.to_owned(),
            found: found.clone(),
        })
        .collect()
}
