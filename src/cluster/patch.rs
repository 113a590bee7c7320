//! Plans as strategic merge patches.
//!
//! A patch names the container and the environment entries that it changes and nothing else. `valueFrom: null` beside
//! a value, and `value: null` beside a reference, make it right whatever the entry was before.

use serde_json::{Map, Value, json};

use super::annotation::{EMERGENCY, POSITION, SIGN_OFF};
use crate::rollout::declaration::Flags;
use crate::rollout::name::{FlagName, SignOffName};
use crate::rollout::plan::{Plan, Record};
use crate::rollout::position::{Emergency, SignOff};
use crate::rollout::workload::{FlagSource, FlagValue};

/// Flags and record in one, valid only for the version that was read.
pub(super) fn of_plan(plan: &Plan, container: &str) -> Value {
    let mut annotations = Map::new();
    let record = match &plan.record {
        Record::Write(position) => Some(text_of(position)),
        Record::Remove => Some(Value::Null),
        Record::Keep => None,
    };
    annotations.extend(record.map(|record| (POSITION.to_owned(), record)));
    if plan.accepts_emergency {
        annotations.insert(EMERGENCY.to_owned(), Value::Null);
    }
    let mut patch = json!({"metadata": {"resourceVersion": plan.resource_version, "annotations": annotations}});
    if !plan.changes.is_empty() {
        // Of two entries of one name a patch changes the first, and the second one wins: both have to go before.
        let doubled = plan.changes.iter().filter(|change| change.before == FlagSource::Twice);
        let gone = doubled.map(|change| entry(&change.flag, &FlagValue::Absent));
        let set = plan.changes.iter().map(|change| entry(&change.flag, &change.after));
        let env: Vec<Value> = gone.chain(set).collect();
        patch["spec"] = template(container, &env);
    }
    patch
}

/// No version: an emergency must win. And no position: nothing was read, so that nothing may be overwritten.
///
/// `anew` takes every entry of these flags out first, which moves them to the end of the list.
pub(super) fn of_emergency(container: &str, off: &Flags, mark: &Emergency, anew: bool) -> Value {
    let gone = off.keys().filter(|_| anew).map(|flag| entry(flag, &FlagValue::Absent));
    let set = off.iter().map(|(flag, value)| entry(flag, &FlagValue::Literal(value.clone())));
    let env: Vec<Value> = gone.chain(set).collect();
    json!({"metadata": {"annotations": {EMERGENCY: text_of(mark)}}, "spec": template(container, &env)})
}

pub(super) fn of_sign_off(name: &SignOffName, sign_off: &SignOff) -> Value {
    json!({"metadata": {"annotations": {format!("{SIGN_OFF}{name}"): text_of(sign_off)}}})
}

/// Valid only for the version that was read: whoever scales it meanwhile is heard first.
pub(super) fn of_scale(resource_version: &str, replicas: usize) -> Value {
    json!({"metadata": {"resourceVersion": resource_version}, "spec": {"replicas": replicas}})
}

fn template(container: &str, env: &[Value]) -> Value {
    json!({"template": {"spec": {"containers": [{"name": container, "env": env}]}}})
}

fn entry(flag: &FlagName, value: &FlagValue) -> Value {
    match value {
        FlagValue::Literal(value) => json!({"name": flag, "value": value, "valueFrom": null}),
        FlagValue::Absent => json!({"name": flag, "$patch": "delete"}),
        FlagValue::Reference(source) => {
            let source: Value = serde_json::from_str(source).unwrap_or(Value::Null);
            json!({"name": flag, "value": null, "valueFrom": source})
        }
    }
}

/// An annotation's value is a text.
fn text_of(record: &impl serde::Serialize) -> Value {
    serde_json::to_string(record).map_or(Value::Null, Value::String)
}
