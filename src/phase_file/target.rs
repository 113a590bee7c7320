//! The `targets:` of a phase: what it is enabled for, one after the other.
//!
//! It does not know the steps that each of them goes through.

use super::error::Fault;
use super::fields::{Fields, list, name};
use super::flags::{flags, owner};
use super::gate::gates;
use super::never_for;
use super::node::Node;
use crate::rollout::declaration::{Flags, Gate, Header};
use crate::rollout::name::TargetName;

pub struct Target {
    pub name: TargetName,
    /// With those of the targets before it.
    pub flags: Flags,
    /// Its own.
    pub gates: Vec<Gate>,
}

/// Reads the targets, at least one, each of which changes something; `of_phase` is what the phase itself sets.
pub fn targets(node: &Node, of_phase: &Flags, header: &Header) -> Result<Vec<Target>, Fault> {
    let mut targets: Vec<Target> = Vec::new();
    for entry in list(node, "targets")? {
        let fields = Fields::open(entry, "a target", &["name", "flags", "gates"])?;
        let named = fields.require("name")?;
        let own_name: TargetName = name(named, "the name of a target")?;
        if targets.iter().any(|before| before.name == own_name) {
            return Err(Fault::new(named.place, format!("`{own_name}` is given twice in targets")));
        }
        let own_flags = flags(fields.require("flags")?, header)?;
        if own_flags.is_empty() {
            return Err(Fault::new(fields.require("flags")?.place, format!("target `{own_name}` sets no flag"))
                .label("at least one: {FLAG: \"value\"}"));
        }
        for breaker in own_flags.keys().filter_map(|flag| owner(flag, header)) {
            never_for::check(own_name.as_str(), named, breaker)?;
        }
        if let Some(before) = targets.last() {
            let is_set = |flag| before.flags.get(flag).or_else(|| of_phase.get(flag));
            if own_flags.iter().all(|(flag, value)| is_set(flag) == Some(value)) {
                let message = format!("target `{own_name}` changes nothing against `{}`", before.name);
                return Err(Fault::new(fields.require("flags")?.place, message).label("set something else"));
            }
        }
        let before = targets.last().map(|before| before.flags.clone()).unwrap_or_default();
        targets.push(Target {
            name: own_name,
            flags: before.into_iter().chain(own_flags).collect(),
            gates: fields.get("gates").map_or(Ok(vec![]), |node| gates(node, header))?,
        });
    }
    if targets.is_empty() {
        return Err(Fault::new(node.place, "no target").label("at least {name: …, flags: {…}}, or leave it out"));
    }
    Ok(targets)
}
