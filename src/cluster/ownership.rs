//! Which flags a deployment tool owns and would put back.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use crate::rollout::name::FlagName;

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
