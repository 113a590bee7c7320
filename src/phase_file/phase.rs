//! One phase file: flags, requirements, targets, steps, gates and triggers, each read by a file of its own.
//!
//! It does not know the other phases; what has to fit between them is in `order`.

use super::check::check;
use super::error::{Fault, Place, excerpt};
use super::fields::{Fields, list, name, scalar, text};
use super::flags::flags;
use super::gate::{gates, sign_off, triggers, with_healthy};
use super::node::Node;
use super::rollout_file::open;
use super::steps::{steps, unfolded};
use super::target::targets;
use super::unit;
use crate::rollout::declaration::{Header, Phase, Requirement};
use crate::rollout::name::PhaseName;

/// A phase, with the places that a check against the other phases points at.
pub struct Placed {
    pub phase: Phase,
    pub name: Place,
    /// One for each requirement that names a phase, in their order.
    pub required: Vec<(PhaseName, Place)>,
}

/// Reads the phase out of a document; `called` is the name that the file has.
pub fn phase(document: &Node, called: &str, header: &Header) -> Result<Placed, Fault> {
    const KNOWN: [&str; 11] =
        ["apiVersion", "kind", "name", "title", "risk", "flags", "requires", "targets", "steps", "gates", "rollback"];
    let fields = open(document, "Phase", "a phase", &KNOWN)?;
    let named = fields.require("name")?;
    let own_name: PhaseName = name(named, "the name of a phase")?;
    if own_name.as_str() != called {
        return Err(Fault::new(
            named.place,
            format!("the phase is called `{own_name}`, its file `{}`", excerpt(called)),
        )
        .label("call both the same"));
    }
    let requires = fields.get("requires").map_or(Ok(&[][..]), |node| list(node, "requires"))?;
    let requires = requires.iter().map(requirement).collect::<Result<Vec<_>, _>>()?;
    let phases_required = requires.iter().filter_map(|(requirement, place)| match requirement {
        Requirement::Phase { phase, .. } => Some((phase.clone(), *place)),
        Requirement::SignOff(_) | Requirement::Check(_) => None,
    });
    let (title, risk) = (text(fields.require("title")?, "the title")?, fields.get("risk").map_or(Ok(false), risk)?);
    let (flags, steps) = (flags(fields.require("flags")?, header)?, steps(fields.require("steps")?)?);
    let targets = fields.get("targets").map_or(Ok(vec![]), |node| targets(node, &flags, header))?;
    let gates = fields.get("gates").map_or(Ok(vec![]), |node| gates(node, header))?;
    let triggers = fields.get("rollback").map_or(Ok(vec![]), |node| triggers(node, header))?;
    let all_gates = || gates.iter().chain(targets.iter().flat_map(|target| &target.gates));
    let triggers = triggers.into_iter().map(|trigger| with_healthy(trigger, all_gates())).collect();
    Ok(Placed {
        name: named.place,
        required: phases_required.collect(),
        phase: Phase {
            name: own_name,
            title: title.to_owned(),
            high_risk: risk,
            content: String::new(),
            flags,
            requires: requires.into_iter().map(|(requirement, _)| requirement).collect(),
            steps: unfolded(steps, targets),
            triggers,
            gates,
        },
    })
}

fn risk(node: &Node) -> Result<bool, Fault> {
    if text(node, "risk")? == "high" {
        return Ok(true);
    }
    Err(Fault::new(node.place, format!("risk is {}", node.described())).label("`high`, or leave it out"))
}

fn requirement(node: &Node) -> Result<(Requirement, Place), Fault> {
    let fields = Fields::open(node, "a requirement", &["phase", "complete_for", "signoff", "valid_for", "check"])?;
    let (kind, value) = fields.one_of(&["phase", "signoff", "check"])?;
    let requirement = match kind {
        "signoff" => Requirement::SignOff(sign_off(node)?),
        "check" => Requirement::Check(check(node)?),
        _ => complete(node)?,
    };
    Ok((requirement, value.place))
}

fn complete(node: &Node) -> Result<Requirement, Fault> {
    let fields = Fields::open(node, "a required phase", &["phase", "complete_for"])?;
    let duration = fields.require("complete_for")?;
    let complete_for = unit::duration(&scalar(duration, "complete_for")?.text, duration.place)?;
    Ok(Requirement::Phase { phase: name(fields.require("phase")?, "a phase")?, complete_for })
}
