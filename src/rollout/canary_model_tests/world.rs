//! The cluster of the model: a rollout with canary steps, what stands in the API server, and what others do to it.

use std::collections::BTreeMap;

use super::super::canary::{self, Beside};
use super::super::declaration::{Exposure, Rollout};
use super::super::position::Emergency;
use super::super::router::{Backends, Router, RouterKind, Split, Weights};
use super::super::tests::{at, flag, literal, pod, rollout as declared};
use super::super::workload::{FlagSource, Pod, Replicas, Workload};
use super::NOW;

pub fn router() -> Router {
    let backends = Backends { stable: "web".into(), canary: "web-canary".into() };
    let labels = [("track".to_owned(), "canary".to_owned())].into();
    Router { name: "web".into(), kind: RouterKind::HttpRoute(backends), canary_labels: labels }
}

/// shadow in one step; cache by one pod, half of the traffic, everything; http in one step.
pub fn rollout(routed: bool) -> Rollout {
    let mut rollout = declared();
    rollout.header.router = routed.then(router);
    let step = rollout.phases[1].steps[0].clone();
    let exposures = [Exposure::Pods(1), Exposure::Traffic(50.0), Exposure::Full];
    rollout.phases[1].steps =
        exposures.into_iter().map(|exposure| super::super::declaration::Step { exposure, ..step.clone() }).collect();
    for step in rollout.phases.iter_mut().flat_map(|phase| &mut phase.steps) {
        step.bake = std::time::Duration::ZERO;
    }
    rollout
}

/// Weights are told by who wrote the rest of the object, and by the canary's part.
pub fn split(base: &str, percent: f64) -> Split {
    Split { resource_version: "1".into(), percent, weights: Weights(format!("{base} {percent}")) }
}

pub fn base(split: &Split) -> String {
    split.weights.0.split(' ').next().unwrap().to_owned()
}

pub fn percent(workload: &Workload) -> f64 {
    workload.split.as_ref().map_or(0.0, |split| split.as_ref().unwrap().percent)
}

pub fn is_on(flags: &BTreeMap<super::super::name::FlagName, FlagSource>) -> bool {
    ["CB_CACHE", "CB_HTTP"].iter().any(|name| flags.get(&flag(name)) == Some(&literal("true")))
}

pub fn canary_is_on(workload: &Workload) -> bool {
    workload.beside.as_ref().is_some_and(|beside| is_on(&beside.flags))
}

/// The canary with its pods as its controller makes them.
pub fn with_beside(workload: &Workload, beside: Option<Beside>) -> Workload {
    let named =
        |index: i32, beside: &Beside| Pod { flags: beside.flags.clone(), ..pod(&format!("web-canary-6f7d-{index}")) };
    let canary = beside.iter().flat_map(|beside| (0..beside.replicas.desired).map(|index| named(index, beside)));
    Workload { canary: canary.collect(), beside, ..workload.clone() }
}

pub fn made(canary: &canary::Canary) -> Beside {
    let desired = canary.pods.cast_signed();
    Beside {
        is_ours: true,
        template: Some(canary.template.clone()),
        flags: canary.flags.iter().map(|(flag, value)| (flag.clone(), FlagSource::Value(value.clone()))).collect(),
        replicas: Replicas { desired, updated: desired, available: desired, total: desired, ..Replicas::default() },
        ..Beside::default()
    }
}

pub fn nothing_is_left(world: &Workload) -> bool {
    world.beside.is_none() && world.canary_record.is_none() && percent(world) == 0.0
}

pub fn emergency(world: &Workload) -> Workload {
    let mut after = world.clone();
    after.flags.extend(declared().header.breakers_off().into_iter().map(|(flag, off)| (flag, literal(&off))));
    after.emergency = Some(Emergency { at: at(NOW), operation: "emergency".into(), reason: None });
    after
}

pub fn hunted(world: &Workload) -> Workload {
    let Some(mut beside) = world.beside.clone() else { return world.clone() };
    beside.flags.extend(declared().header.breakers_off().into_iter().map(|(flag, off)| (flag, literal(&off))));
    with_beside(world, Some(beside))
}

/// What somebody else may do to it.
pub fn touched(world: &Workload) -> Vec<Workload> {
    let mut all = Vec::new();
    let mut template = world.clone();
    template.fingerprint = if world.fingerprint == "template-1" { "template-2" } else { "template-1" }.to_owned();
    all.push(template);
    if let Some(beside) = &world.beside {
        all.push(with_beside(world, None));
        let flags = world.flags.clone();
        all.push(with_beside(world, Some(Beside { flags, ..beside.clone() })));
    }
    if let Some(Ok(found)) = &world.split {
        all.push(Workload { split: Some(Ok(split("edited", found.percent))), ..world.clone() });
        all.push(Workload { split: Some(Ok(split(&base(found), 10.0))), ..world.clone() });
    }
    all.push(Workload {
        replicas: Replicas { desired: 4, updated: 4, available: 4, total: 4, ..Replicas::default() },
        ..world.clone()
    });
    if world.canary_record.is_some() {
        all.push(Workload { position: Some(Err("not JSON".into())), ..world.clone() });
    }
    all
}
