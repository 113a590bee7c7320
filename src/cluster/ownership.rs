//! Who else writes to a Deployment: the flags that a deployment tool owns and would put back, and what it tells of those
//! who will apply it again.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::EnvVar;
use serde_json::Value;

use super::convert::flag_value;
use crate::rollout::name::FlagName;
use crate::rollout::workload::{FlagValue, Upkeep};

/// The manifest that `kubectl apply` applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Labels and annotations that tools leave on what they manage.
const MARKS: [(&str, &str); 5] = [
    ("meta.helm.sh/release-name", "Helm"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
];

/// Field managers of tools that reconcile: what they own comes back by itself. `kubectl` and the like do not.
const RECONCILERS: [&str; 5] = ["argocd", "flux", "kustomize-controller", "helm", "fleet"];

/// Flags of the container that such a tool owns, with its field manager.
pub(super) fn owned_elsewhere<'a>(
    deployment: &Deployment,
    container: &str,
    flags: impl Iterator<Item = &'a FlagName>,
) -> BTreeMap<FlagName, String> {
    let entries: Vec<_> = deployment.metadata.managed_fields.iter().flatten().collect();
    let owner = |flag: &FlagName| {
        entries.iter().find_map(|entry| {
            let manager = entry.manager.as_deref()?;
            let reconciles = RECONCILERS.iter().any(|tool| manager.to_lowercase().contains(tool));
            let fields = &entry.fields_v1.as_ref()?.0;
            (reconciles && owns(fields, container, flag)).then(|| manager.to_owned())
        })
    };
    flags.filter_map(|flag| owner(flag).map(|manager| (flag.clone(), manager))).collect()
}

fn owns(fields: &Value, container: &str, flag: &FlagName) -> bool {
    let path = ["f:spec", "f:template", "f:spec", "f:containers"];
    let key = |name: &str| format!("k:{}", serde_json::json!({ "name": name }));
    path.iter()
        .try_fold(fields, |at, step| at.get(step))
        .and_then(|containers| containers.get(key(container)))
        .and_then(|container| container.get("f:env"))
        .is_some_and(|env| env.get(key(flag.as_str())).is_some())
}

/// What those who apply the Deployment again will make of it.
pub(super) fn upkeep(deployment: &Deployment, container: &str, flags: &BTreeSet<FlagName>) -> Upkeep {
    let metadata = &deployment.metadata;
    let marked = |mark: &str| {
        let of = |map: &Option<BTreeMap<String, String>>| map.as_ref().is_some_and(|map| map.contains_key(mark));
        of(&metadata.labels) || of(&metadata.annotations)
    };
    let mut tools: Vec<_> = MARKS.iter().filter(|(mark, _)| marked(mark)).map(|(_, tool)| *tool).collect();
    tools.dedup();
    let manifest = metadata.annotations.as_ref().and_then(|annotations| annotations.get(LAST_APPLIED));
    Upkeep { applied: manifest.map(|manifest| applied(manifest, container, flags)).unwrap_or_default(), tools }
}

/// The flags in a manifest. One that cannot be read is none that `kubectl apply` could go by either.
fn applied(manifest: &str, container: &str, flags: &BTreeSet<FlagName>) -> BTreeMap<FlagName, FlagValue> {
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    let containers = manifest.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let found = containers.into_iter().flatten().find(|found| found["name"] == container);
    let entries = found.and_then(|found| found["env"].as_array()).into_iter().flatten();
    entries
        .filter_map(|entry| serde_json::from_value::<EnvVar>(entry.clone()).ok())
        .filter_map(|entry| Some((flags.iter().find(|flag| flag.as_str() == entry.name)?.clone(), flag_value(&entry))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(metadata: &Value) -> Upkeep {
        let flags = ["CB_CACHE_ENABLED", "CB_HTTP_ENABLED"].map(|flag| flag.parse().unwrap()).into();
        let deployment = json!({"metadata": metadata});
        upkeep(&serde_json::from_value(deployment).unwrap(), "web", &flags)
    }

    #[test]
    fn the_flags_of_this_container_in_what_was_applied_last() {
        let env = json!([
            {"name": "CB_CACHE_ENABLED", "value": "true"},
            {"name": "CB_HTTP_ENABLED", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "http"}}},
            {"name": "UNRELATED", "value": "1"},
        ]);
        let other = json!({"name": "proxy", "env": [{"name": "CB_CACHE_ENABLED", "value": "other"}]});
        let containers = json!([other, {"name": "web", "env": env}]);
        let manifest = json!({"spec": {"template": {"spec": {"containers": containers}}}}).to_string();
        let applied = of(&json!({"annotations": {LAST_APPLIED: manifest}})).applied;
        assert_eq!(applied.len(), 2, "{applied:?}");
        assert_eq!(applied[&"CB_CACHE_ENABLED".parse().unwrap()], FlagValue::Literal("true".into()));
        assert!(matches!(applied[&"CB_HTTP_ENABLED".parse().unwrap()], FlagValue::Reference(_)));
        for strange in ["", "{}", "not JSON", r#"{"spec": {"template": {"spec": {"containers": 1}}}}"#] {
            assert!(of(&json!({"annotations": {LAST_APPLIED: strange}})).applied.is_empty(), "{strange}");
        }
    }

    #[test]
    fn tools_are_known_by_their_marks_each_once() {
        let argo = json!({"argocd.argoproj.io/tracking-id": "shop"});
        let both = json!({"labels": {"argocd.argoproj.io/instance": "shop"}, "annotations": argo});
        assert_eq!(of(&both).tools, ["Argo CD"]);
        assert_eq!(of(&json!({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}})).tools, ["Flux"]);
        assert!(of(&json!({"labels": {"app.kubernetes.io/name": "argocd"}})).tools.is_empty());
    }
}
