//! Resource quotas, as far as they count the pods of a Deployment.

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::core::v1::{ResourceQuotaSpec, ScopedResourceSelectorRequirement};

use super::quantity::quantity;
use crate::rollout::replacement::{Footprint, Limit, Quota};

/// The quota, if it counts such pods.
pub(super) fn quota(quota: &ResourceQuota, pod: &Footprint) -> Option<Quota> {
    if !quota.spec.as_ref().is_none_or(|spec| counts(spec, pod)) {
        return None;
    }
    let status = quota.status.as_ref()?;
    let used = |resource: &str| status.used.as_ref().and_then(|used| quantity(used.get(resource)?));
    let limits = status.hard.iter().flatten().filter_map(|(resource, hard)| {
        Some(Limit { resource: resource.clone(), hard: quantity(hard)?, used: used(resource).unwrap_or_default() })
    });
    Some(Quota { name: quota.metadata.name.clone()?, limits: limits.collect() })
}

/// Whether the pods are in every scope of a quota; in one that is not known they are taken to be.
fn counts(spec: &ResourceQuotaSpec, pod: &Footprint) -> bool {
    let resources = pod.resources();
    let best_effort = !resources.contains("cpu") && !resources.contains("memory");
    let in_scope = |scope: &str| match scope {
        // Pods of a Deployment have no deadline.
        "Terminating" => false,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        _ => true,
    };
    let selected = |requirement: &ScopedResourceSelectorRequirement| {
        if requirement.scope_name != "PriorityClass" {
            return in_scope(&requirement.scope_name);
        }
        let class = pod.priority_class.as_ref();
        let listed = class.is_some_and(|class| requirement.values.iter().flatten().any(|value| value == class));
        match requirement.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "DoesNotExist" => class.is_none(),
            _ => class.is_some(),
        }
    };
    let requirements = spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    spec.scopes.iter().flatten().all(|scope| in_scope(scope)) && requirements.into_iter().all(selected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(spec: &Value, pod: &Footprint) -> Option<Quota> {
        let status = json!({"hard": {"pods": "4", "requests.cpu": "1500m"}, "used": {"pods": "3"}});
        let found = json!({"metadata": {"name": "compute"}, "spec": spec, "status": status});
        quota(&serde_json::from_value(found).unwrap(), pod)
    }

    #[test]
    fn what_is_hard_and_what_is_used() {
        let found = of(&json!({}), &Footprint::default()).unwrap();
        let limit = |resource: &str, hard, used| Limit { resource: resource.into(), hard, used };
        assert_eq!(found.limits, [limit("pods", 4.0, 3.0), limit("requests.cpu", 1.5, 0.0)]);
    }

    #[test]
    fn only_quotas_whose_scopes_the_pods_are_in() {
        let lavish = Footprint { needs: [("requests.cpu".to_owned(), 1.0)].into(), ..Footprint::default() };
        let important = Footprint { priority_class: Some("high".into()), ..Footprint::default() };
        let plain = Footprint::default();
        let class = |operator: &str, values: &[&str]| {
            let requirement = json!({"scopeName": "PriorityClass", "operator": operator, "values": values});
            json!({"scopeSelector": {"matchExpressions": [requirement]}})
        };
        for (spec, pod, counted) in [
            (json!({"scopes": ["BestEffort"]}), &plain, true),
            (json!({"scopes": ["BestEffort"]}), &lavish, false),
            (json!({"scopes": ["NotBestEffort"]}), &lavish, true),
            (json!({"scopes": ["NotTerminating"]}), &plain, true),
            (json!({"scopes": ["Terminating"]}), &plain, false),
            (json!({"scopes": ["NotTerminating", "NotBestEffort"]}), &plain, false),
            (class("In", &["high"]), &important, true),
            (class("In", &["high"]), &plain, false),
            (class("NotIn", &["high"]), &important, false),
            (class("Exists", &[]), &plain, false),
            (class("DoesNotExist", &[]), &plain, true),
        ] {
            assert_eq!(of(&spec, pod).is_some(), counted, "{spec} {pod:?}");
        }
    }
}
