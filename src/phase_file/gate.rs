//! The gates and triggers of a phase: conditions, and what people and probes say.
//!
//! It does not know which step they are asked at.

use super::check::check;
use super::condition::from_text;
use super::condition_mapping::from_indicator;
use super::condition_query::from_query;
use super::error::Fault;
use super::fields::{Fields, list, name, scalar, text};
use super::node::{Key, Node, Value};
use super::{options, unit};
use crate::judge::condition::{Condition, Measure, Role, Share};
use crate::rollout::declaration::{Gate, Header, RequiredSignOff};

/// Reads a list of gates.
pub fn gates(node: &Node, header: &Header) -> Result<Vec<Gate>, Fault> {
    list(node, "gates")?.iter().map(|node| gate(node, header)).collect()
}

fn gate(node: &Node, header: &Header) -> Result<Gate, Fault> {
    if key(node, "signoff").is_some() {
        return sign_off(node).map(Gate::SignOff);
    }
    if key(node, "check").is_some() {
        return check(node).map(Gate::Check);
    }
    condition(node, Role::Gate, header).map(Gate::Measured)
}

/// Reads `{signoff: NAME}`, which may also say how long it counts.
pub fn sign_off(node: &Node) -> Result<RequiredSignOff, Fault> {
    let fields = Fields::open(node, "a sign-off", &["signoff", "valid_for"])?;
    let name = name(fields.require("signoff")?, "a sign-off")?;
    let valid_for = |node: &Node| unit::positive_duration(&scalar(node, "valid_for")?.text, node.place, "a valid_for");
    Ok(RequiredSignOff { name, valid_for: fields.get("valid_for").map(valid_for).transpose()? })
}

/// Reads a list of triggers.
pub fn triggers(node: &Node, header: &Header) -> Result<Vec<Condition>, Fault> {
    list(node, "rollback")?.iter().map(|node| trigger(node, header)).collect()
}

fn trigger(node: &Node, header: &Header) -> Result<Condition, Fault> {
    for (field, what) in [("signoff", "a sign-off"), ("check", "a check")] {
        if let Some(key) = key(node, field) {
            return Err(Fault::new(key.place, format!("{what} is no trigger")).label("it belongs under `gates`"));
        }
    }
    condition(node, Role::Trigger, header)
}

/// What gates on the same share allow is healthy, unless the trigger says otherwise.
pub fn with_healthy<'a>(mut trigger: Condition, gates: impl Iterator<Item = &'a Gate>) -> Condition {
    let allowed = gates.filter_map(|gate| match gate {
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
