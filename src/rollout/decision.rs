//! What the route, the gates and the triggers say together.

use jiff::Timestamp;

use super::declaration::{Check, Gate, Rollout};
use super::name::SignOffName;
use super::pods::PodSignals;
use super::requirement;
use super::route::{Destination, Route};
use super::sign_off::{self, Signed};
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
    SignOff(SignOffName, Box<Signed>),
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
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub now: Timestamp,
    /// The samples are of a time of which the pods say nothing.
    pub past: bool,
    pub tried: &'a Tried,
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

/// Puts a route and its judgements together.
pub fn decide(
    rollout: &Rollout,
    workload: &Workload,
    mut route: Route,
    given: Given<'_>,
    judge: impl Fn(&Condition) -> Judgement,
) -> Decision {
    let measured = |condition: &Condition| Judged::Measured(Box::new(condition.clone()), Box::new(judge(condition)));
    let checked = |check: &Check| Judged::Check(check.clone(), given.tried.of(check));
    let signed_phase = route.gates_of.map(|phase| &rollout.phases[phase]);
    let of_gates = gates(rollout, &route).iter().map(|gate| match gate {
        Gate::Measured(condition) => measured(condition),
        Gate::SignOff(required) => {
            let signed =
                signed_phase.map_or(Signed::Nobody, |phase| sign_off::of(workload, phase, required, given.now));
            Judged::SignOff(required.name.clone(), Box::new(signed))
        }
        Gate::Check(check) => checked(check),
    });
    let mut gates: Vec<Judged> = of_gates.collect();
    for check in requirement::checks(rollout, &route).map(checked) {
        if !gates.contains(&check) {
            gates.push(check);
        }
    }
    let place = route.standing.place.as_ref().filter(|_| !given.past);
    let pods = place.map(|place| Judged::Pods(PodSignals::of(rollout, workload, place)));
    let triggers: Vec<Judged> = pods.into_iter().chain(triggers(rollout, &route).iter().map(measured)).collect();
    if triggers.iter().any(|trigger| trigger.outcome() == Outcome::RollBack) {
        requirement::begin_anew(rollout, &mut route);
    }
    Decision { route, gates, triggers }
}

impl Judged {
    /// What this one alone would decide.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::SignOff(_, signed) if !signed.counts() => Outcome::Held,
            Self::Check(_, Checked::Failed(_)) => Outcome::Held,
            Self::Check(_, Checked::NotRun) => Outcome::Inconclusive,
            Self::Pods(pods) if !pods.crash_loops.is_empty() => Outcome::RollBack,
            Self::Pods(pods) if !pods.not_ready.is_empty() => Outcome::Inconclusive,
            Self::SignOff(..) | Self::Check(_, Checked::Passed) | Self::Pods(_) => Outcome::Proceed,
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
        let judged = || self.gates.iter().chain(&self.triggers).filter(open);
        let to_try = |judged| match judged {
            &Judged::Check(ref check, Checked::NotRun) => Some(check),
            Judged::Measured(..) | Judged::SignOff(..) | Judged::Check(..) | Judged::Pods(_) => None,
        };
        let checks: Option<Vec<&Check>> = judged().map(to_try).collect();
        checks.filter(|_| self.route.obstacles.is_empty()).unwrap_or_default()
    }

    pub fn outcome(&self) -> Outcome {
        let obstacles = self.route.obstacles.iter().map(|obstacle| match obstacle.passes_with_time() {
            true => Outcome::Inconclusive,
            false => Outcome::Held,
        });
        let judged = self.gates.iter().chain(&self.triggers).map(Judged::outcome);
        let good = match self.route.destination {
            Destination::Step { .. } | Destination::Adopt { .. } => Outcome::Proceed,
            Destination::Bake { .. } | Destination::Complete { .. } => Outcome::NothingToDo,
        };
        obstacles.chain(judged).filter(|outcome| *outcome < Outcome::Proceed).min().unwrap_or(good)
    }
}
