//! A canary before it is made or changed: what is tried of it and of the ways to be rid of it again, which permissions
//! that takes, and what around it forbids it.
//!
//! What is wrong with it in itself, such as its name, is an obstacle of the route already.

use std::time::Duration;

use serde::Serialize;

use super::super::canary::{self, Canary, CanaryRecord, canary_of};
use super::super::declaration::{Gate, Probe, Requirement, Rollout};
use super::super::plan::Plan;
use super::super::replacement::{Course, Limit, Quota, Replacement};
use super::super::router::RouterKind;
use super::super::workload::Workload;
use super::{Finding, Form, Patch, Permission, Surroundings};

/// One request about the canary that is tried, with its object as it is told: `deployment/web-canary`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    pub object: String,
    #[serde(flatten)]
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    Make,
    Adapt,
    /// Give it this part of the traffic, in percent.
    Give {
        percent: f64,
    },
    /// As an emergency does.
    SwitchOff,
    /// Put the router's weights back.
    Restore,
    Delete,
}

impl Action {
    /// Whether it leads to the step, and not back from it.
    pub fn leads_on(self) -> bool {
        matches!(self, Self::Make | Self::Adapt | Self::Give { .. })
    }
}

/// What is to be done about the canary, and could have to be done: the promotion's own requests first.
pub(super) fn trials(workload: &Workload, promoted: &Workload, plan: Option<&Plan>) -> Vec<Trial> {
    let deployment = format!("deployment/{}", canary_of(&workload.deployment));
    let own = workload.beside.as_ref().filter(|beside| beside.is_ours && !beside.terminating);
    let mut actions = Vec::new();
    let planned = plan.and_then(|plan| plan.canary.as_deref()).and_then(CanaryRecord::canary);
    match (planned, own) {
        (Some(_), None) if workload.beside.is_none() => actions.push(Action::Make),
        (Some(canary), Some(beside)) if !beside.is(canary) => actions.push(Action::Adapt),
        _ => {}
    }
    if own.is_some() {
        actions.extend([Action::SwitchOff, Action::Delete]);
    }
    let mut trials: Vec<Trial> =
        actions.into_iter().map(|action| Trial { object: deployment.clone(), action }).collect();
    if let (Some(route), Some(Ok(split))) =
        (promoted.recorded_canary().and_then(|record| record.route.as_ref()), &workload.split)
    {
        let given = planned.and_then(|canary| canary.percent);
        let give = given.filter(|percent| !route.router.kind.is_near(split.percent, *percent));
        let restore = (split.weights != route.weights).then_some(Action::Restore);
        let actions = give.map(|percent| Action::Give { percent }).into_iter().chain(restore);
        trials.extend(actions.map(|action| Trial { object: route.router.object(), action }));
    }
    trials.sort_by_key(|trial| !trial.action.leads_on());
    trials
}

/// What a canary takes besides what every rollout does, and checks of pods.
pub(super) fn permissions(rollout: &Rollout, promoted: &Workload) -> Vec<Permission> {
    let of = |verb, resource, name| Permission { verb, resource, name, for_history: false };
    let mut needed = Vec::new();
    if rollout.has_canaries() || promoted.has_canary() {
        let name = canary_of(&promoted.deployment);
        needed.push(of("create", "deployments", None));
        needed.extend(["get", "patch", "delete"].map(|verb| of(verb, "deployments", Some(name.clone()))));
        if let Some(router) = canary::router(rollout, promoted) {
            let resource = match router.kind {
                RouterKind::HttpRoute(_) => "httproutes",
                RouterKind::VirtualService(_) => "virtualservices",
                RouterKind::TraefikService(_) => "traefikservices",
                RouterKind::Ingress => "ingresses",
            };
            needed.extend(["get", "patch"].map(|verb| of(verb, resource, Some(router.name.clone()))));
        }
    }
    if asks_pods(rollout) {
        needed.push(of("get", "pods/proxy", None));
    }
    needed
}

/// Whether a check is declared that pods are asked by.
fn asks_pods(rollout: &Rollout) -> bool {
    let gates = rollout.phases.iter().flat_map(|phase| {
        phase.gates.iter().chain(phase.steps.iter().flat_map(|step| &step.gates)).filter_map(|gate| match gate {
            Gate::Check(check) => Some(check),
            Gate::Measured(_) | Gate::SignOff(_) => None,
        })
    });
    let requirements = rollout.phases.iter().flat_map(|phase| &phase.requires).filter_map(|requires| match requires {
        Requirement::Check(check) => Some(check),
        Requirement::Phase { .. } | Requirement::SignOff(_) => None,
    });
    gates.chain(requirements).any(|check| matches!(check.probe, Probe::Http { .. }))
}

/// The canary that is to run when the promotion is through.
pub(super) fn running(promoted: &Workload) -> Option<&Canary> {
    promoted.recorded_canary().and_then(CanaryRecord::canary)
}

/// How many pods are added until it runs, where a quota counts them: those that it does not have yet, and what replacing
/// those that it has adds for a while.
pub(super) fn added_pods(promoted: &Workload) -> u32 {
    let Some(canary) = running(promoted) else { return 0 };
    let present = u32::try_from(promoted.canary.len()).unwrap_or(u32::MAX);
    let replaced = promoted.beside.as_ref().is_some_and(|beside| {
        beside.is_ours && (beside.template.as_ref() != Some(&canary.template) || !beside.runs(&canary.flags))
    });
    let surge = if replaced { Replacement::default().margins(canary.pods).surge } else { 0 };
    (canary.pods + surge).saturating_sub(present)
}

/// A quota that counts the sets of pods, of which a new canary needs one more.
pub(super) fn full_of_sets<'a>(promoted: &Workload, quotas: &'a [Quota]) -> Option<(&'a Quota, &'a Limit)> {
    let is_new = running(promoted).is_some() && promoted.beside.is_none();
    let limits = quotas.iter().flat_map(|quota| quota.limits.iter().map(move |limit| (quota, limit)));
    let full =
        |(_, limit): &(&Quota, &Limit)| limit.resource == "count/replicasets.apps" && limit.hard - limit.used < 1.0;
    limits.filter(|_| is_new).find(full)
}

/// The way back from a step that only its canary runs: as long as that takes to end. None where a stable pod would have
/// to be replaced as well, by an emergency if by nothing else.
pub(super) fn course(promoted: &Workload, forms: &[Form]) -> Option<Course> {
    running(promoted)?;
    let spares = |form: &Form| match &form.patch {
        Patch::Emergency { off, .. } => promoted.has(off),
        // Templates are put back and pods restarted for other reasons than a step.
        Patch::Restore(plan) => plan.template.is_some() || plan.changes.is_empty(),
    };
    let expected = promoted.replacement.grace_period;
    forms.iter().all(spares).then_some(Course { waves: 0, wave: Duration::ZERO, expected })
}

/// Who else would change the number of the canary's pods.
pub(super) fn scaled(promoted: &Workload, surroundings: &Surroundings) -> Vec<Finding> {
    let of_canary = surroundings.autoscalers.iter().flatten().filter(|autoscaler| autoscaler.of_canary);
    let runs = running(promoted).is_some();
    of_canary.filter(|_| runs).map(|found| Finding::CanaryAutoscaled { name: found.name.clone() }).collect()
}
