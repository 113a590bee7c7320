//! What the route, the gates and the triggers say together.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::declaration::{Check, Gate, Rollout, Step};
use super::exposure::{self, CanaryShare};
use super::name::SignOffName;
use super::pods::PodSignals;
use super::requirement;
use super::route::{Destination, Route};
use super::sign_off::{self, Signed};
use super::workload::Workload;
use crate::judge::condition::{Condition, Role};
use crate::judge::verdict::{Evidence, Judgement};

/// A route with everything judged that it asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub route: Route,
    pub gates: Vec<Judged>,
    pub triggers: Vec<Judged>,
}

/// One gate or trigger with what was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged {
    Measured(Box<Condition>, Box<Judgement>),
    SignOff(SignOffName, Box<Signed>),
    Check(Check, Checked),
    /// How much of the service the canary has, which others rely on to have seen it work.
    Exposure(Box<CanaryShare>),
    /// Every measured gate compares a canary with the stable pods, and there is none.
    Nothing,
    /// What Kubernetes itself says of the pods; a trigger of every place, declared or not.
    Pods(PodSignals),
}

/// What trying something has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It was not tried: something else stands in the way already.
    NotRun,
    Passed,
    Failed(String),
}

/// What the checks that were tried have shown.
#[derive(Debug, Clone, Default)]
pub struct Tried(Vec<(Check, Checked)>);

impl Tried {
    pub fn add(&mut self, check: &Check, checked: Checked) {
        self.0.push((check.clone(), checked));
    }

    /// A check that stands in two places is tried once.
    pub fn of(&self, check: &Check) -> Checked {
        self.0.iter().find(|(tried, _)| tried == check).map_or(Checked::NotRun, |(_, checked)| checked.clone())
    }
}

/// What a decision is made on, besides what was observed.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    pub now: Timestamp,
    /// The samples are of a time of which the pods say nothing.
    pub past: bool,
    pub tried: &'a Tried,
    /// What the canary has of the service.
    pub share: Option<CanaryShare>,
}

/// What to do, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A rollback trigger fires.
    RollBack,
    /// Somebody has to act.
    Held,
    /// Something could not be found out.
    Error,
    /// Time or traffic can lift it.
    Inconclusive,
    /// Everything passed, and there is a step to take.
    Proceed,
    /// Everything passed, and there is none.
    NothingToDo,
}

/// The conditions that a route needs judged: gates first, then triggers.
pub fn conditions<'a>(
    rollout: &'a Rollout,
    workload: &Workload,
    route: &Route,
) -> impl Iterator<Item = &'a Condition> + use<'a> {
    let measured = gates(rollout, workload, route).into_iter().filter_map(measured);
    measured.chain(triggers(rollout, workload, route))
}

fn measured(gate: &Gate) -> Option<&Condition> {
    match gate {
        Gate::Measured(condition) => Some(condition),
        Gate::SignOff(_) | Gate::Check(_) => None,
    }
}

/// The step that is to be left: the present one, or the last one of a phase that was left before.
fn step_left<'a>(rollout: &'a Rollout, route: &Route) -> Option<(usize, &'a Step)> {
    let phase = route.gates_of?;
    let present = route.standing.place.as_ref().filter(|place| place.phase == phase);
    let steps = &rollout.phases[phase].steps;
    Some((phase, present.map_or(steps.last(), |place| steps.get(place.step))?))
}

/// Whether a canary runs beside stable pods at a step, so that the two can be compared.
fn can_compare(step: &Step, workload: &Workload) -> bool {
    step.is_canary() || exposure::is_made_by_hand(workload)
}

/// The phase's gates and those of the step's own target.
fn declared_gates<'a>(rollout: &'a Rollout, route: &Route) -> impl Iterator<Item = &'a Gate> + use<'a> {
    let left = step_left(rollout, route);
    left.into_iter().flat_map(|(phase, step)| rollout.phases[phase].gates.iter().chain(&step.gates))
}

/// Those of them that can be judged.
fn gates<'a>(rollout: &'a Rollout, workload: &Workload, route: &Route) -> Vec<&'a Gate> {
    let compares = step_left(rollout, route).is_none_or(|(_, step)| can_compare(step, workload));
    let judged = |gate: &&Gate| compares || !measured(gate).is_some_and(Condition::compares);
    declared_gates(rollout, route).filter(judged).collect()
}

/// Whether measured gates are declared, and none of them is left: that would be a pass on nothing.
fn nothing_is_judged(rollout: &Rollout, workload: &Workload, route: &Route) -> bool {
    let is_declared = declared_gates(rollout, route).any(|gate| measured(gate).is_some());
    is_declared && !gates(rollout, workload, route).into_iter().any(|gate| measured(gate).is_some())
}

fn triggers<'a>(rollout: &'a Rollout, workload: &Workload, route: &Route) -> Vec<&'a Condition> {
    let (Some(phase), Some(place)) = (route.triggers_of(), &route.standing.place) else { return Vec::new() };
    let phase = &rollout.phases[phase];
    let compares = can_compare(&phase.steps[place.step], workload);
    phase.triggers.iter().filter(|trigger| compares || !trigger.compares()).collect()
}

/// Puts a route and its judgements together.
pub fn decide(
    rollout: &Rollout,
    workload: &Workload,
    mut route: Route,
    given: Given<'_>,
    judge: impl Fn(&Condition) -> Judgement,
) -> Decision {
    let is_routed = given.share.as_ref().is_some_and(|share| share.router.is_some());
    let judge = |condition: &Condition| match is_routed {
        true => judge(condition).routed(),
        false => judge(condition),
    };
    let measured = |condition: &Condition| Judged::Measured(Box::new(condition.clone()), Box::new(judge(condition)));
    let nothing = nothing_is_judged(rollout, workload, &route).then_some(Judged::Nothing);
    let share = given.share.filter(|_| route.gates_of.is_some()).map(|share| Judged::Exposure(Box::new(share)));
    let checked = |check: &Check| Judged::Check(check.clone(), given.tried.of(check));
    let signed_phase = route.gates_of.map(|phase| &rollout.phases[phase]);
    let of_gates = gates(rollout, workload, &route).into_iter().map(|gate| match gate {
        Gate::Measured(condition) => measured(condition),
        Gate::SignOff(required) => {
            let signed =
                signed_phase.map_or(Signed::Nobody, |phase| sign_off::of(workload, phase, required, given.now));
            Judged::SignOff(required.name.clone(), Box::new(signed))
        }
        Gate::Check(check) => checked(check),
    });
    let mut gates: Vec<Judged> = of_gates.chain(nothing).chain(share).collect();
    for check in requirement::checks(rollout, &route).map(checked) {
        if !gates.contains(&check) {
            gates.push(check);
        }
    }
    let place = route.standing.place.as_ref().filter(|_| !given.past);
    let pods = place.map(|place| Judged::Pods(PodSignals::of(rollout, workload, place)));
    let triggers: Vec<Judged> =
        pods.into_iter().chain(triggers(rollout, workload, &route).into_iter().map(measured)).collect();
    if let Some(fired) = triggers.iter().filter_map(|trigger| trigger.fired(given.now)).max() {
        requirement::count_from(rollout, &mut route, fired, given.now);
    }
    Decision { route, gates, triggers }
}

impl Judged {
    /// The last time that it called for a rollback, whether or not anybody made one.
    fn fired(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            _ if self.outcome() == Outcome::RollBack => Some(now),
            Self::Measured(_, judgement) => judgement.evidence().and_then(Evidence::fired),
            Self::SignOff(..) | Self::Check(..) | Self::Exposure(_) | Self::Nothing | Self::Pods(_) => None,
        }
    }

    /// What this one alone would decide.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::SignOff(_, signed) if !matches!(**signed, Signed::Valid(_)) => Outcome::Held,
            Self::Check(_, Checked::Failed(_)) | Self::Nothing => Outcome::Held,
            Self::Exposure(share) if share.uneven.is_some() => Outcome::Held,
            Self::Check(_, Checked::NotRun) => Outcome::Inconclusive,
            Self::Pods(pods) if !pods.crash_loops.is_empty() => Outcome::RollBack,
            Self::Pods(pods) if !pods.not_ready.is_empty() => Outcome::Inconclusive,
            Self::SignOff(..) | Self::Check(_, Checked::Passed) | Self::Exposure(_) | Self::Pods(_) => Outcome::Proceed,
            Self::Measured(condition, judgement) => match (condition.role, &**judgement) {
                (Role::Gate, Judgement::Met(_)) | (Role::Trigger, Judgement::Unmet(_)) => Outcome::Proceed,
                (Role::Gate, Judgement::Unmet(_)) | (_, Judgement::Missing(_)) => Outcome::Held,
                (Role::Trigger, Judgement::Met(_)) => Outcome::RollBack,
                (_, Judgement::Error(_)) => Outcome::Error,
                (_, Judgement::Inconclusive(gap, _)) if gap.needs_somebody() => Outcome::Held,
                (_, Judgement::Inconclusive(..)) => Outcome::Inconclusive,
            },
        }
    }
}

impl Decision {
    /// The checks that are left to be tried, where nothing else stands in the way; none otherwise.
    pub fn left_to_try(&self) -> Vec<&Check> {
        let open = |judged: &&Judged| judged.outcome() < Outcome::Proceed;
        let open = self.gates.iter().chain(&self.triggers).filter(open);
        let checks: Option<Vec<&Check>> = open
            .map(|judged| if let Judged::Check(check, Checked::NotRun) = judged { Some(check) } else { None })
            .collect();
        checks.filter(|_| self.route.obstacles.is_empty()).unwrap_or_default()
    }

    /// All checks that are asked for, tried or not.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.gates.iter().filter_map(|gate| match gate {
            Judged::Check(check, _) => Some(check),
            Judged::Measured(..) | Judged::SignOff(..) | Judged::Exposure(_) | Judged::Nothing | Judged::Pods(_) => {
                None
            }
        })
    }

    pub fn outcome(&self) -> Outcome {
        let obstacles = self.route.obstacles.iter().map(|obstacle| match obstacle.passes_with_time() {
            true => Outcome::Inconclusive,
            false => Outcome::Held,
        });
        // What was begun was decided then: of what cannot be told now only a trigger that fires stops it.
        let open =
            |outcome: &Outcome| !self.route.stays() || !matches!(outcome, Outcome::Inconclusive | Outcome::Error);
        let judged = self.gates.iter().chain(&self.triggers).map(Judged::outcome).filter(open);
        let good = match self.route.destination {
            Destination::Step { .. } | Destination::Adopt { .. } => Outcome::Proceed,
            Destination::Bake { .. } | Destination::Complete { .. } => Outcome::NothingToDo,
        };
        obstacles.chain(judged).filter(|outcome| *outcome < Outcome::Proceed).min().unwrap_or(good)
    }
}
