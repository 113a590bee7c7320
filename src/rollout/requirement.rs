//! What has to be true before a phase may be entered, and what holds every promotion up that would write something.
//!
//! It does not know where the way leads: that is `route`. Checks are tried by others; here it is only said which.

use jiff::Timestamp;

use super::declaration::{Check, Requirement, Rollout};
use super::freeze;
use super::name::PhaseName;
use super::route::{Consent, Destination, Obstacle, Route};
use super::sign_off::{self, Signed};
use super::standing::{Standing, elapsed};
use super::workload::Workload;

/// What is not met of what a phase (an index) requires; its checks aside.
pub fn unmet<'a>(
    rollout: &'a Rollout,
    workload: &'a Workload,
    standing: &'a Standing,
    target: usize,
    now: Timestamp,
) -> impl Iterator<Item = Obstacle> + use<'a> {
    let entered = &rollout.phases[target];
    entered.requires.iter().filter_map(move |requirement| match requirement {
        Requirement::SignOff(required) => match sign_off::of(workload, entered, required, now) {
            Signed::Valid(_) => None,
            signed @ (Signed::Nobody | Signed::Changed { .. } | Signed::Expired { .. }) => {
                Some(Obstacle::Unsigned { name: required.name.clone(), signed: Box::new(signed) })
            }
        },
        Requirement::Check(_) => None,
        Requirement::Phase { phase, complete_for } => {
            let Some(complete) = complete_since(rollout, workload, standing, phase) else {
                return Some(Obstacle::PhaseIncomplete { phase: phase.clone() });
            };
            // A phase that still bakes is an obstacle of its own.
            let have = elapsed(complete, now);
            (have < *complete_for).then(|| Obstacle::CompleteFor { phase: phase.clone(), have, need: *complete_for })
        }
    })
}

/// The checks that the phase requires which this route enters.
pub fn checks<'a>(rollout: &'a Rollout, route: &Route) -> impl Iterator<Item = &'a Check> + use<'a> {
    let entered = entered(route).map(|phase| rollout.phases[phase].requires.as_slice()).unwrap_or_default();
    entered.iter().filter_map(|requirement| match requirement {
        Requirement::Check(check) => Some(check),
        Requirement::Phase { .. } | Requirement::SignOff(_) => None,
    })
}

/// A rollback trigger fired then: no phase has been complete in peace from before.
pub fn count_from(rollout: &Rollout, route: &mut Route, fired: Timestamp, now: Timestamp) {
    let Some(entered) = entered(route) else { return };
    let peace = elapsed(fired, now);
    for requirement in &rollout.phases[entered].requires {
        let Requirement::Phase { phase, complete_for: need } = requirement else { continue };
        let is_of_it = |obstacle: &Obstacle| {
            matches!(obstacle, Obstacle::CompleteFor { phase: other, .. } | Obstacle::PhaseIncomplete { phase: other }
                if other == phase)
        };
        match route.obstacles.iter_mut().find(|obstacle| is_of_it(obstacle)) {
            Some(Obstacle::CompleteFor { have, .. }) => *have = peace.min(*have),
            None if peace < *need => {
                route.obstacles.push(Obstacle::CompleteFor { phase: phase.clone(), have: peace, need: *need });
            }
            Some(_) | None => {}
        }
    }
}

/// The phase whose requirements this route has to meet.
fn entered(route: &Route) -> Option<usize> {
    match (&route.standing.place, route.destination) {
        (None, Destination::Step { phase: 0, .. } | Destination::Adopt { phase: 0 }) => Some(0),
        (Some(place), Destination::Step { phase, step: 0 }) if route.gates_of.is_some() => {
            (phase == place.phase + 1).then_some(phase)
        }
        _ => None,
    }
}

/// What stands against writing anything: a freeze, somebody's pause, a high risk that nobody has said yes to.
pub fn holds(
    rollout: &Rollout,
    workload: &Workload,
    destination: Destination,
    consent: Consent,
    now: Timestamp,
) -> impl Iterator<Item = Obstacle> {
    let phase = match destination {
        Destination::Step { phase, .. } | Destination::Adopt { phase } => Some(&rollout.phases[phase]),
        Destination::Bake { .. } | Destination::Complete { .. } => None,
    };
    let risk = phase
        .filter(|phase| phase.high_risk && !consent.high_risk)
        .map(|phase| Obstacle::HighRisk { phase: phase.name.clone() });
    let frozen = phase
        .and_then(|_| freeze::in_force(&rollout.header.freezes, now))
        .map(|freeze| Obstacle::Frozen { until: Box::new(freeze.to.clone()), because: freeze.reason.clone() });
    let pause = workload.pause.as_ref().filter(|_| phase.is_some()).map(|pause| Obstacle::OnHold {
        by: pause.by.clone(),
        since: pause.at,
        so_far: elapsed(pause.at, now),
        because: pause.reason.clone(),
    });
    [frozen, pause, risk].into_iter().flatten()
}

/// Since when a phase has been complete in peace: as recorded when it was left, or by its bake if the rollout still
/// stands there; but not from before the last trouble.
fn complete_since(rollout: &Rollout, workload: &Workload, standing: &Standing, phase: &PhaseName) -> Option<Timestamp> {
    let index = rollout.index_of(phase)?;
    let place = standing.place.as_ref()?;
    let complete = if place.phase == index {
        place.complete_at(rollout)?
    } else {
        let position = workload.recorded_position()?;
        // A phase that was declared later, below the present one, counts from when the present one was entered.
        (index < place.phase).then(|| position.completed.get(phase).copied().unwrap_or(place.since))?
    };
    Some(last_trouble(workload).map_or(complete, |trouble| complete.max(trouble)))
}

/// The last rollback that the Deployment's records tell of, whatever kind it was; a restart is none.
///
/// A trigger that fires, or has fired since the present step was taken, is told by its judgement, see [`count_from`]. Of
/// those that judge no counts only the present is known; nor is a rollback known that an earlier version made before the
/// last promotion.
pub fn last_trouble(workload: &Workload) -> Option<Timestamp> {
    let recorded = workload.recorded_position().and_then(super::position::Position::last_rollback);
    let emergency = workload.emergency.as_ref().map(|mark| mark.at);
    let undone = workload.template.undone.as_ref().map(|undone| undone.at);
    [recorded, emergency, undone].into_iter().flatten().max()
}
