//! How a Deployment replaces its pods, out of its manifest and of the pods that live.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::quantity::quantity;
use crate::rollout::replacement::{Amount, COMPUTE, Footprint, Replacement, Strategy};

/// What Kubernetes grants where the template does not say.
const GRACE_PERIOD: Duration = Duration::from_secs(30);
const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);

pub(super) fn replacement(deployment: &Deployment, container: &str, pods: &[&Pod]) -> Replacement {
    let Some(spec) = &deployment.spec else { return Replacement::default() };
    let live = || pods.iter().copied().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let deadline = spec.progress_deadline_seconds.and_then(seconds).unwrap_or(PROGRESS_DEADLINE);
    // A pod that was ready later than that had been ready before, or its rollout would have failed.
    let readiness = live().filter_map(|pod| readiness(pod, container)).filter(|took| *took <= deadline).max();
    let newest = live().max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let template = spec.template.spec.as_ref();
    // A pod that lives has what a LimitRange adds to the template.
    let pod = newest.and_then(|pod| pod.spec.as_ref()).or(template);
    Replacement {
        strategy: strategy(spec),
        min_ready: spec.min_ready_seconds.and_then(seconds).unwrap_or_default(),
        grace_period: template
            .and_then(|pod| pod.termination_grace_period_seconds)
            .map_or(GRACE_PERIOD, |period| Duration::from_secs(u64::try_from(period).unwrap_or_default())),
        readiness,
        footprint: Footprint {
            labels: spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default(),
            priority_class: template.and_then(|pod| pod.priority_class_name.clone()),
            needs: pod.map(needs).unwrap_or_default(),
            unasked: pod.map(unasked).unwrap_or_default(),
        },
    }
}

fn strategy(spec: &DeploymentSpec) -> Strategy {
    let strategy = spec.strategy.as_ref();
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
        return Strategy::Recreate;
    }
    let Strategy::Rolling { surge, unavailable } = Strategy::default() else { return Strategy::default() };
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    Strategy::Rolling {
        surge: rolling.and_then(|rolling| amount(rolling.max_surge.as_ref()?)).unwrap_or(surge),
        unavailable: rolling.and_then(|rolling| amount(rolling.max_unavailable.as_ref()?)).unwrap_or(unavailable),
    }
}

fn amount(value: &IntOrString) -> Option<Amount> {
    match value {
        IntOrString::Int(count) => u32::try_from(*count).ok().map(Amount::Count),
        IntOrString::String(text) => text.strip_suffix('%')?.parse().ok().map(Amount::Percent),
    }
}

/// How long it took a pod to be ready: since it was created or, where its container was started again, since then.
fn readiness(pod: &Pod, container: &str) -> Option<Duration> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")?;
    let at = ready.last_transition_time.as_ref().filter(|_| ready.status == "True")?.0;
    let of_container = status.container_statuses.iter().flatten().find(|found| found.name == container);
    let began = match of_container.filter(|found| found.restart_count > 0) {
        Some(restarted) => restarted.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0,
        None => pod.metadata.creation_timestamp.as_ref()?.0,
    };
    // Both are told in whole seconds.
    let took = Duration::try_from(at.duration_since(began)).ok()?;
    Some(took.max(Duration::from_secs(1)))
}

/// What the scheduler and quotas count of a pod, by the names that quotas use.
fn needs(pod: &PodSpec) -> BTreeMap<String, f64> {
    let mut needs = BTreeMap::new();
    let sidecars = pod.init_containers.iter().flatten().filter(|init| init.restart_policy.is_some());
    for (resource, amount) in pod.containers.iter().chain(sidecars).flat_map(asked) {
        *needs.entry(resource).or_default() += amount;
    }
    // Containers that run before the others do not run beside them.
    for (resource, amount) in pod.init_containers.iter().flatten().flat_map(asked) {
        let need: &mut f64 = needs.entry(resource).or_default();
        *need = need.max(amount);
    }
    for (resource, amount) in pod.overhead.iter().flatten() {
        for kind in ["requests", "limits"] {
            if let (Some(need), Some(amount)) = (needs.get_mut(&format!("{kind}.{resource}")), quantity(amount)) {
                *need += amount;
            }
        }
    }
    needs
}

/// What some container does not ask for.
fn unasked(pod: &PodSpec) -> BTreeSet<String> {
    let lacks = |container: &Container, name: &str| !asked(container).iter().any(|(asked, _)| asked == name);
    let containers = || pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let unasked = COMPUTE.iter().filter(|name| containers().any(|container| lacks(container, name)));
    unasked.map(|name| (*name).to_owned()).collect()
}

fn asked(container: &Container) -> Vec<(String, f64)> {
    let Some(resources) = &container.resources else { return Vec::new() };
    let named = |kind: &str, amounts: &Option<BTreeMap<String, Quantity>>| -> Vec<(String, f64)> {
        let amounts = amounts.iter().flatten();
        amounts.filter_map(|(resource, amount)| Some((format!("{kind}.{resource}"), quantity(amount)?))).collect()
    };
    [named("requests", &resources.requests), named("limits", &resources.limits)].concat()
}

fn seconds(seconds: i32) -> Option<Duration> {
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(created: &str, ready: &str, restarts: i32, started: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"creationTimestamp": format!("2026-03-01T12:{created}Z")},
            "spec": {"containers": [{"name": "web"}]},
            "status": {
                "conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": format!("2026-03-01T12:{ready}Z")},
                ],
                "containerStatuses": [{
                    "name": "web", "image": "", "imageID": "", "ready": true, "restartCount": restarts,
                    "state": {"running": {"startedAt": format!("2026-03-01T12:{started}Z")}},
                }],
            },
        }))
        .unwrap()
    }

    fn of(spec: &Value, pods: &[Pod]) -> Replacement {
        let mut deployment = json!({"spec": {"selector": {}, "template": {"spec": {"containers": []}}}});
        for (field, value) in spec.as_object().unwrap() {
            deployment["spec"][field] = value.clone();
        }
        replacement(&serde_json::from_value(deployment).unwrap(), "web", &pods.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_slowest_pod_tells_how_long_it_takes_to_be_ready() {
        let took = |pods: &[Pod]| of(&json!({}), pods).readiness.map(|took| took.as_secs());
        let quick = pod("00:00", "00:03", 0, "00:01");
        assert_eq!(took(&[quick.clone(), pod("00:00", "00:09", 0, "00:01")]), Some(9));
        assert_eq!(took(&[pod("00:00", "00:00", 0, "00:00")]), Some(1), "less than can be told");
        assert_eq!(took(&[pod("00:00", "40:08", 2, "40:01")]), Some(7), "since it was started again");
        assert_eq!(took(&[quick, pod("00:00", "40:08", 0, "00:01")]), Some(3), "ready for the second time");
        let mut not_ready = pod("00:00", "00:09", 0, "00:01");
        not_ready.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].status = "False".into();
        assert_eq!(took(&[not_ready]), None);
        let mut ending = pod("00:00", "00:09", 0, "00:01");
        ending.metadata.deletion_timestamp = ending.metadata.creation_timestamp.clone();
        assert_eq!(took(&[ending]), None);
    }

    #[test]
    fn the_strategy_and_its_times() {
        let rolling = json!({"strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 2}}});
        let expected = Strategy::Rolling { surge: Amount::Percent(50), unavailable: Amount::Count(2) };
        assert_eq!(of(&rolling, &[]).strategy, expected);
        let Replacement { strategy, min_ready, grace_period, .. } = of(&json!({"minReadySeconds": 5}), &[]);
        assert_eq!((strategy, min_ready.as_secs(), grace_period.as_secs()), (Strategy::default(), 5, 30));
        assert_eq!(of(&json!({"strategy": {"type": "Recreate"}}), &[]).strategy, Strategy::Recreate);
    }

    #[test]
    fn a_pod_needs_what_runs_at_the_same_time() {
        let asks = |cpu: &str| json!({"requests": {"cpu": cpu}, "limits": {"memory": "1Ki"}});
        let needs = |spec: Value| needs(&serde_json::from_value(spec).unwrap());
        let two = json!([{"name": "a", "resources": asks("100m")}, {"name": "b", "resources": asks("1")}]);
        let expected = |cpu, memory| BTreeMap::from([("limits.memory".into(), memory), ("requests.cpu".into(), cpu)]);
        assert_eq!(needs(json!({"containers": two})), expected(1.1, 2_048.0));
        let init = json!([{"name": "init", "resources": asks("4")}]);
        assert_eq!(needs(json!({"containers": two, "initContainers": init})), expected(4.0, 2_048.0));
        let sidecar = json!([{"name": "proxy", "restartPolicy": "Always", "resources": asks("2")}]);
        assert_eq!(needs(json!({"containers": two, "initContainers": sidecar})), expected(3.1, 3_072.0));
        let overhead = json!({"cpu": "1"});
        assert_eq!(needs(json!({"containers": two, "overhead": overhead})), expected(2.1, 2_048.0));
        assert_eq!(needs(json!({"containers": [{"name": "a"}]})), BTreeMap::new());
        let mixed = json!({"containers": two, "initContainers": [{"name": "init"}]});
        let unasked = |spec: Value| unasked(&serde_json::from_value(spec).unwrap());
        assert_eq!(unasked(mixed).len(), 4, "one container is enough");
        assert_eq!(
            unasked(json!({"containers": two})),
            BTreeSet::from(["limits.cpu", "requests.memory"].map(str::to_owned))
        );
    }
}
