//! One phase file: flags, requirements, steps, gates and triggers.
//!
//! It does not know the other phases; what has to fit between them is in `order`.

use super::condition::from_text;
use super::condition_mapping::from_indicator;
use super::condition_query::from_query;
use super::error::{Fault, Place, excerpt};
use super::fields::{Fields, entries, list, name, quoted, scalar, text};
use super::nearest::nearest;
use super::node::{Key, Node, Value};
use super::rollout_file::open;
use super::{options, unit};
use crate::judge::condition::{Condition, Measure, Role, Share};
use crate::rollout::declaration::{Exposure, Flags, Gate, Header, Phase, RequiredSignOff, Requirement, Step};
use crate::rollout::name::{FlagName, PhaseName};

/// A phase, with the places that a check against the other phases points at.
pub struct Placed {
    pub phase: Phase,
    pub name: Place,
    /// One for each requirement that names a phase, in their order.
    pub required: Vec<(PhaseName, Place)>,
}

/// Reads the phase out of a document; `called` is the name that the file has.
pub fn phase(document: &Node, called: &str, header: &Header) -> Result<Placed, Fault> {
    const KNOWN: [&str; 10] =
        ["apiVersion", "kind", "name", "title", "risk", "flags", "requires", "steps", "gates", "rollback"];
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
    let gates = fields.get("gates").map_or(Ok(&[][..]), |node| list(node, "gates"))?;
    let triggers = fields.get("rollback").map_or(Ok(&[][..]), |node| list(node, "rollback"))?;
    let (title, risk) = (text(fields.require("title")?, "the title")?, fields.get("risk").map_or(Ok(false), risk)?);
    let (flags, steps) = (flags(fields.require("flags")?, header)?, steps(fields.require("steps")?)?);
    let gates = gates.iter().map(|node| gate(node, header)).collect::<Result<Vec<_>, _>>()?;
    let triggers = triggers.iter().map(|node| trigger(node, header)).collect::<Result<Vec<_>, _>>()?;
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
            steps,
            triggers: triggers.into_iter().map(|trigger| with_healthy(trigger, &gates)).collect(),
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

fn flags(node: &Node, header: &Header) -> Result<Flags, Fault> {
    entries(node, "flags")?.iter().map(|(key, value)| flag(key, value, header)).collect()
}

fn flag(key: &Key, node: &Node, header: &Header) -> Result<(FlagName, String), Fault> {
    let Some(flag) = header.declared_flags().find(|flag| flag.as_str() == key.text) else {
        let declared = header.declared_flags().map(FlagName::as_str);
        return Err(Fault::new(key.place, format!("flag `{}` is not declared in rollout.yaml", excerpt(&key.text)))
            .did_you_mean(nearest(&key.text, declared))
            .hint("a rollout touches the flags and settings of its breakers, and nothing else"));
    };
    let value = quoted(node, &format!("the value of `{flag}`"))?;
    let breaker = header.breakers.iter().find(|breaker| breaker.flag == *flag);
    if let Some(breaker) = breaker
        && ![&breaker.on, &breaker.off].iter().any(|allowed| *allowed == value)
    {
        return Err(Fault::new(
            node.place,
            format!("`{}` switches `{}` neither on nor off", excerpt(value), breaker.name),
        )
        .label(format!("\"{}\" or \"{}\"", breaker.on, breaker.off)));
    }
    Ok((flag.clone(), value.to_owned()))
}

fn requirement(node: &Node) -> Result<(Requirement, Place), Fault> {
    let fields = Fields::open(node, "a requirement", &["phase", "complete_for", "signoff"])?;
    let (kind, value) = fields.one_of(&["phase", "signoff"])?;
    if kind == "signoff" {
        if let Some(key) = fields.key("complete_for") {
            return Err(Fault::new(key.place, "a sign-off has no duration").label("leave it out"));
        }
        return Ok((
            Requirement::SignOff(RequiredSignOff { name: name(value, "a sign-off")?, valid_for: None }),
            value.place,
        ));
    }
    let duration = fields.require("complete_for")?;
    let complete_for = unit::duration(&scalar(duration, "complete_for")?.text, duration.place)?;
    Ok((Requirement::Phase { phase: name(value, "a phase")?, complete_for }, value.place))
}

fn steps(node: &Node) -> Result<Vec<Step>, Fault> {
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

fn gate(node: &Node, header: &Header) -> Result<Gate, Fault> {
    if key(node, "signoff").is_none() {
        return condition(node, Role::Gate, header).map(Gate::Measured);
    }
    let fields = Fields::open(node, "a sign-off", &["signoff"])?;
    let name = name(fields.require("signoff")?, "a sign-off")?;
    Ok(Gate::SignOff(RequiredSignOff { name, valid_for: None }))
}

fn trigger(node: &Node, header: &Header) -> Result<Condition, Fault> {
    match key(node, "signoff") {
        None => condition(node, Role::Trigger, header),
        Some(key) => Err(Fault::new(key.place, "a sign-off is no trigger").label("it belongs under `gates`")),
    }
}

/// What the phase's own gates on the same share allow is healthy, unless the trigger says otherwise.
fn with_healthy(mut trigger: Condition, gates: &[Gate]) -> Condition {
    let allowed = gates.iter().filter_map(|gate| match gate {
        Gate::Measured(gate) => same_share(&gate.measure, &trigger.measure),
        Gate::SignOff(_) | Gate::Check(_) => None,
    });
    let lowest = allowed.min_by(|a, b| a.get().total_cmp(&b.get()));
    let below = lowest.filter(|lowest| options::share(&trigger.measure).is_some_and(|limit| *lowest < limit));
    trigger.healthy = trigger.healthy.or(below);
    trigger
}

/// The limit of a gate that is on the same share of errors as the trigger. Quantiles are not: theirs is the share above
/// another latency.
fn same_share(gate: &Measure, trigger: &Measure) -> Option<Share> {
    match (gate, trigger) {
        (Measure::ErrorRate { limit }, Measure::ErrorRate { .. }) => Some(*limit),
        (Measure::BreakerFailures { breaker, limit }, Measure::BreakerFailures { breaker: other, .. })
            if breaker == other =>
        {
            Some(*limit)
        }
        _ => None,
    }
}

fn condition(node: &Node, role: Role, header: &Header) -> Result<Condition, Fault> {
    match &node.value {
        Value::Scalar(scalar) => {
            text(node, "a condition")?;
            from_text(node, scalar, role, header)
        }
        Value::Map(_) if key(node, "query").is_some() => from_query(node, role, header),
        Value::Map(_) => from_indicator(node, role, header),
        Value::List(_) => {
            Err(Fault::new(node.place, "a condition is not a list").label("write it like p95 < 400ms over 30m"))
        }
    }
}

fn key<'a>(node: &'a Node, name: &str) -> Option<&'a Key> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|(key, _)| key).find(|key| key.text == name),
        Value::Scalar(_) | Value::List(_) => None,
    }
}
