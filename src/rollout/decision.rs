//! What the route, the gates and the triggers say together.

use super::declaration::{Check, Gate, Rollout};
use super::name::SignOffName;
use super::pods::PodSignals;
use super::position::SignOff;
use super::route::{Destination, Route};
use super::workload::Workload;
use crate::judge::condition::{Condition, Role};
use crate::judge::verdict::Judgement;

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
    SignOff(SignOffName, Option<SignOff>),
    Check(Check, Checked),
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
pub fn conditions<'a>(rollout: &'a Rollout, route: &Route) -> impl Iterator<Item = &'a Condition> {
    let measured = gates(rollout, route).iter().filter_map(|gate| match gate {
        Gate::Measured(condition) => Some(condition),
        Gate::SignOff(_) | Gate::Check(_) => None,
    });
    measured.chain(triggers(rollout, route))
}

fn gates<'a>(rollout: &'a Rollout, route: &Route) -> &'a [Gate] {
    route.gates_of.map(|phase| rollout.phases[phase].gates.as_slice()).unwrap_or_default()
}

fn triggers<'a>(rollout: &'a Rollout, route: &Route) -> &'a [Condition] {
    route.triggers_of().map(|phase| rollout.phases[phase].triggers.as_slice()).unwrap_or_default()
}

/// Puts a route and its judgements together. With `past` the samples are of a time of which the pods say nothing.
pub fn decide(
    rollout: &Rollout,
    workload: &Workload,
    route: Route,
    past: bool,
    judge: impl Fn(&Condition) -> Judgement,
) -> Decision {
    let measured = |condition: &Condition| Judged::Measured(Box::new(condition.clone()), Box::new(judge(condition)));
    let gates = gates(rollout, &route)
        .iter()
        .map(|gate| match gate {
            Gate::Measured(condition) => measured(condition),
            Gate::SignOff(required) => {
                Judged::SignOff(required.name.clone(), workload.sign_offs.get(&required.name).cloned())
            }
            Gate::Check(check) => Judged::Check(check.clone(), Checked::NotRun),
        })
        .collect();
    let place = route.standing.place.as_ref().filter(|_| !past);
    let pods = place.map(|place| Judged::Pods(PodSignals::of(rollout, workload, place)));
    let triggers = pods.into_iter().chain(triggers(rollout, &route).iter().map(measured)).collect();
    Decision { route, gates, triggers }
}

impl Judged {
    /// What this one alone would decide.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::SignOff(_, None) | Self::Check(_, Checked::Failed(_)) => Outcome::Held,
            Self::Check(_, Checked::NotRun) => Outcome::Inconclusive,
            Self::Pods(pods) if !pods.crash_loops.is_empty() => Outcome::RollBack,
            Self::Pods(pods) if !pods.not_ready.is_empty() => Outcome::Inconclusive,
            Self::SignOff(_, Some(_)) | Self::Check(_, Checked::Passed) | Self::Pods(_) => Outcome::Proceed,
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
    pub fn outcome(&self) -> Outcome {
        let obstacles = self.route.obstacles.iter().map(|obstacle| match obstacle.passes_with_time() {
            true => Outcome::Inconclusive,
            false => Outcome::Held,
        });
        // What was begun was decided then: of what cannot be told now only a trigger that fires stops it.
        let open =
            |outcome: &Outcome| !self.route.resumes || !matches!(outcome, Outcome::Inconclusive | Outcome::Error);
        let judged = self.gates.iter().chain(&self.triggers).map(Judged::outcome).filter(open);
        let good = match self.route.destination {
            Destination::Step { .. } | Destination::Adopt { .. } => Outcome::Proceed,
            Destination::Bake { .. } | Destination::Complete { .. } => Outcome::NothingToDo,
        };
        obstacles.chain(judged).filter(|outcome| *outcome < Outcome::Proceed).min().unwrap_or(good)
    }
}
