//! The `steps:` of a phase, which every target of it goes through.
//!
//! It does not know what is switched on at a step.

use super::error::Fault;
use super::fields::{Fields, list, scalar};
use super::node::{Node, Value};
use super::target::Target;
use super::unit;
use crate::rollout::declaration::{Exposure, Flags, Step};

/// Each of the targets in turn goes through all of the declared steps.
pub fn unfolded(steps: Vec<Step>, targets: Vec<Target>) -> Vec<Step> {
    if targets.is_empty() {
        return steps;
    }
    let of_target = |target: Target| {
        let step = move |step: &Step| Step {
            target: Some(target.name.clone()),
            flags: target.flags.clone(),
            gates: target.gates.clone(),
            ..step.clone()
        };
        steps.iter().map(step).collect::<Vec<_>>()
    };
    targets.into_iter().flat_map(of_target).collect()
}

/// Reads the declared steps: at least one, of which the last exposes fully.
pub fn steps(node: &Node) -> Result<Vec<Step>, Fault> {
    let mut steps: Vec<Step> = Vec::new();
    let entries = list(node, "steps")?;
    let Some(last_entry) = entries.last() else {
        return Err(Fault::new(node.place, "no step").label("at least {expose: full, bake: …}"));
    };
    let mut last_place = last_entry.place;
    for entry in entries {
        let fields = Fields::open(entry, "a step", &["expose", "bake"])?;
        let expose = fields.require("expose")?;
        let bake = fields.require("bake")?;
        let exposure = exposure(expose)?;
        let bake = unit::duration(&scalar(bake, "bake")?.text, bake.place)?;
        if let Some(before) = steps.last()
            && shrinks(before.exposure, exposure)
        {
            return Err(Fault::new(expose.place, "exposes less than the step before").label("exposure only grows"));
        }
        last_place = expose.place;
        steps.push(Step { exposure, bake, target: None, flags: Flags::new(), gates: vec![] });
    }
    match steps.last() {
        Some(Step { exposure: Exposure::Full, .. }) => Ok(steps),
        _ => {
            Err(Fault::new(last_place, "the last step does not expose fully").label("end with {expose: full, bake: …}"))
        }
    }
}

fn exposure(node: &Node) -> Result<Exposure, Fault> {
    const FORMS: &str = "{pods: 1}, {traffic: 10%} or full";
    match &node.value {
        Value::Scalar(scalar) if scalar.text == "full" => Ok(Exposure::Full),
        Value::Scalar(_) | Value::List(_) => {
            Err(Fault::new(node.place, format!("expose is {}", node.described())).label(FORMS))
        }
        Value::Map(_) => {
            let fields = Fields::open(node, "an exposure", &["pods", "traffic"])?;
            let (kind, value) = fields.one_of(&["pods", "traffic"])?;
            let written = &scalar(value, kind)?.text;
            if kind == "traffic" {
                return Ok(Exposure::Traffic(unit::percent(written, value.place)?));
            }
            let pods = unit::whole(written, value.place, 1..=1_000)?;
            Ok(Exposure::Pods(u32::try_from(pods).unwrap_or(u32::MAX)))
        }
    }
}

/// How many pods a share of the traffic is depends on the cluster; but after a share, pods would be a step back.
fn shrinks(before: Exposure, after: Exposure) -> bool {
    match (before, after) {
        (_, Exposure::Full) | (Exposure::Pods(_), Exposure::Traffic(_)) => false,
        (Exposure::Pods(before), Exposure::Pods(after)) => after < before,
        (Exposure::Traffic(before), Exposure::Traffic(after)) => after < before,
        (Exposure::Traffic(_), Exposure::Pods(_)) | (Exposure::Full, Exposure::Pods(_) | Exposure::Traffic(_)) => true,
    }
}
