//! Plans as strategic merge patches.
//!
//! A patch names the container and the environment entries that it changes and nothing else, unless the whole template
//! becomes an earlier one. `valueFrom: null` beside
//! a value, and `value: null` beside a reference, make it right whatever the entry was before.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::annotation::{CANARY, EMERGENCY, PAUSE, POSITION, RESTARTED, SIGN_OFF, UNDO};
use crate::rollout::declaration::Flags;
use crate::rollout::name::{FlagName, SignOffName};
use crate::rollout::plan::{Change, Plan, Record};
use crate::rollout::position::{Emergency, Pause, SignOff};
use crate::rollout::template::{Revision, TemplateChange};
use crate::rollout::workload::{FlagSource, FlagValue, Workload};

/// Flags and record in one, valid only for the version that was read.
pub(super) fn of_plan(plan: &Plan, workload: &Workload) -> Value {
    let container = &*workload.container;
    let mut annotations = Map::new();
    let record = match &plan.record {
        Record::Write(position) => Some(text_of(position)),
        Record::Remove => Some(Value::Null),
        Record::Keep => None,
    };
    annotations.extend(record.map(|record| (POSITION.to_owned(), record)));
    if let Some(canary) = &plan.canary {
        annotations.insert(CANARY.to_owned(), text_of(canary));
    }
    if plan.accepts_emergency {
        annotations.insert(EMERGENCY.to_owned(), Value::Null);
    }
    if let Some(TemplateChange::Undo { mark, .. }) = &plan.template {
        annotations.insert(UNDO.to_owned(), text_of(mark));
    }
    let mut patch = json!({"metadata": {"resourceVersion": plan.resource_version, "annotations": annotations}});
    match &plan.template {
        None if plan.changes.is_empty() => {}
        None => patch["spec"] = in_order(template(container, &env_of(plan)), plan, workload),
        Some(TemplateChange::Restart { at }) => {
            patch["spec"] = json!({"template": {"metadata": {"annotations": {RESTARTED: at.to_string()}}}});
        }
        Some(TemplateChange::Undo { revision, kept, .. }) => {
            patch["spec"] = json!({"template": whole(revision, container, kept)});
        }
    }
    patch
}

/// The entries of the flags that change.
fn env_of(plan: &Plan) -> Vec<Value> {
    // Of two entries of one name a patch changes the first, and the second one wins: both have to go before.
    let doubled = plan.changes.iter().filter(|change| change.before == FlagSource::Twice);
    let gone = doubled.map(|change| entry(&change.flag, &FlagValue::Absent));
    let set = plan.changes.iter().map(|change| {
        let mut set = entry(&change.flag, &change.after);
        // Of a reference that stands there nothing may stay. Where there is none, this would leave nothing at all.
        if let (FlagSource::Value(FlagValue::Reference(_)), FlagValue::Reference(_)) = (&change.before, &change.after) {
            set["valueFrom"]["$patch"] = json!("replace");
        }
        set
    });
    gone.chain(set).collect()
}

/// Has every entry keep its place: the API server would sort those that a patch names, and `$(NAME)` in a value only
/// knows the entries before it. Of two entries of one name nobody can say which is meant.
fn in_order(mut spec: Value, plan: &Plan, workload: &Workload) -> Value {
    let names = &workload.environment;
    let stays = |name: &str| plan.changes.iter().all(|change| change.flag.as_str() != name || !is_gone(change));
    let added =
        plan.changes.iter().map(|change| change.flag.as_str()).filter(|name| !names.iter().any(|old| old == name));
    let order: Vec<&str> = names.iter().map(String::as_str).chain(added).filter(|name| stays(name)).collect();
    if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
        let container = &mut spec["template"]["spec"]["containers"][0];
        if let Some(env) = container["env"].as_array_mut() {
            env.sort_by_key(|entry| order.iter().position(|name| entry["name"] == *name));
        }
        container["$setElementOrder/env"] = order.into_iter().map(|name| json!({ "name": name })).collect();
    }
    spec
}

fn is_gone(change: &Change) -> bool {
    change.after == FlagValue::Absent
}

/// An earlier template in the place of the present one, with some flags as they are now.
fn whole(revision: &Revision, container: &str, kept: &BTreeMap<FlagName, FlagValue>) -> Value {
    let mut template: Value = serde_json::from_str(&revision.template).unwrap_or(Value::Null);
    set_values(&mut template, container, kept);
    if let Some(template) = template.as_object_mut() {
        template.insert("$patch".to_owned(), json!("replace"));
    }
    template
}

/// Gives flags of a container in a whole template their values, each where it stands, or behind all others.
pub(super) fn set_values(template: &mut Value, container: &str, values: &BTreeMap<FlagName, FlagValue>) {
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    let Some(named) = containers.into_iter().flatten().find(|found| found["name"] == container) else { return };
    if !named["env"].is_array() {
        named["env"] = json!([]);
    }
    if let Some(env) = named["env"].as_array_mut() {
        for (flag, value) in values {
            let is_its = |entry: &Value| entry["name"] == flag.as_str();
            let place = env.iter().position(is_its).unwrap_or(env.len());
            env.retain(|entry| !is_its(entry));
            drop(env.splice(place..place, plain(flag, value)));
        }
    }
}

/// Values of flags, and nothing else, valid only for the version that was read.
pub(super) fn of_values(container: &str, resource_version: &str, values: &BTreeMap<FlagName, FlagValue>) -> Value {
    let env: Vec<Value> = values.iter().map(|(flag, value)| entry(flag, value)).collect();
    json!({"metadata": {"resourceVersion": resource_version}, "spec": template(container, &env)})
}

/// An entry as it stands in a list.
fn plain(flag: &FlagName, value: &FlagValue) -> Option<Value> {
    match value {
        FlagValue::Literal(value) => Some(json!({"name": flag, "value": value})),
        FlagValue::Absent => None,
        FlagValue::Reference(source) => Some(json!({"name": flag, "valueFrom": reference(source)})),
    }
}

/// The JSON of `valueFrom`.
fn reference(source: &str) -> Value {
    serde_json::from_str(source).unwrap_or(Value::Null)
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

/// No version: whoever pauses, or resumes, means it whatever else was changed.
pub(super) fn of_pause(pause: Option<&Pause>) -> Value {
    json!({"metadata": {"annotations": {PAUSE: pause.map_or(Value::Null, text_of)}}})
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
            json!({"name": flag, "value": null, "valueFrom": reference(source)})
        }
    }
}

/// An annotation's value is a text.
fn text_of(record: &impl serde::Serialize) -> Value {
    serde_json::to_string(record).map_or(Value::Null, Value::String)
}
