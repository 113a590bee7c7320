//! From Kubernetes' types to what the rollout knows of a Deployment and its pods.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod as KubePod, PodStatus};

use super::quantity::quantity;
use super::replacement::replacement;
use super::{Error, Target, annotation, ownership, template};
use crate::rollout::canary::{CANARY_LABEL, CanaryRecord};
use crate::rollout::declaration::Flags;
use crate::rollout::name::FlagName;
use crate::rollout::position::Position;
use crate::rollout::workload::{FlagSource, FlagValue, Pod, Replicas, Workload};

pub(super) fn workload<'a>(
    namespace: &str,
    target: &Target,
    deployment: &Deployment,
    pods: impl IntoIterator<Item = &'a KubePod>,
) -> Result<Workload, Error> {
    let container = container(namespace, &target.deployment, target.container.as_deref(), deployment)?;
    let spec = deployment.spec.as_ref();
    let position = annotation::position(deployment);
    let canary_record = annotation::canary(deployment);
    let of_canary: BTreeSet<FlagName> = canary_record
        .iter()
        .flatten()
        .filter_map(CanaryRecord::canary)
        .flat_map(|canary| canary.flags.keys().cloned())
        .collect();
    // What was changed once can be restored, whether it is still declared or not.
    let recorded = position.iter().flatten().flat_map(Position::changed);
    let wanted: BTreeSet<FlagName> = target.flags.iter().chain(recorded).chain(&of_canary).cloned().collect();
    // What a canary sets is its own; in anything else it is to be like the live one, whoever looks.
    let apart = if of_canary.is_empty() { &wanted } else { &of_canary };
    let (canary, stable): (Vec<&KubePod>, Vec<&KubePod>) = pods.into_iter().partition(|found| is_canary(found));
    let of = |pods: &[&KubePod]| pods.iter().filter_map(|found| pod(found, &container.name, &wanted)).collect();
    Ok(Workload {
        namespace: namespace.to_owned(),
        deployment: target.deployment.clone(),
        uid: deployment.metadata.uid.clone().unwrap_or_default(),
        container: container.name.clone(),
        resource_version: deployment.metadata.resource_version.clone().unwrap_or_default(),
        flags: flags(container, &wanted),
        environment: container.env.iter().flatten().map(|entry| entry.name.clone()).collect(),
        owned_elsewhere: ownership::owned_elsewhere(deployment, &container.name, wanted.iter()),
        position,
        emergency: annotation::emergency(deployment),
        pause: annotation::pause(deployment),
        canary_record,
        beside: None,
        split: None,
        selector: spec.and_then(|spec| spec.selector.match_labels.clone()).unwrap_or_default(),
        fingerprint: template::fingerprint(deployment, &container.name, apart),
        sign_offs: annotation::sign_offs(deployment),
        template: annotation::template(deployment),
        replicas: replicas(deployment),
        paused: spec.and_then(|spec| spec.paused).unwrap_or(false),
        pods: of(&stable),
        canary: of(&canary),
        memory_limit: memory_limit(container),
        replacement: replacement(deployment, &container.name, &stable),
        upkeep: ownership::upkeep(deployment, &container.name, &wanted),
    })
}

fn is_canary(pod: &KubePod) -> bool {
    pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(CANARY_LABEL))
}

/// Whether the pods of the Deployment are marked as those of a canary.
pub(super) fn is_marked_as_canary(deployment: &Deployment) -> bool {
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    template.and_then(|metadata| metadata.labels.as_ref()).is_some_and(|labels| labels.contains_key(CANARY_LABEL))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a count of bytes")]
fn memory_limit(container: &Container) -> Option<u64> {
    let bytes = quantity(container.resources.as_ref()?.limits.as_ref()?.get("memory")?)?;
    (bytes >= 1.0).then_some(bytes as u64)
}

/// The Deployment's label selector as a query.
pub(super) fn selector(deployment: &Deployment) -> String {
    let Some(spec) = &deployment.spec else { return String::new() };
    let labels = spec.selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = spec.selector.match_expressions.iter().flatten().map(|expression| {
        let (key, values) = (&expression.key, expression.values.clone().unwrap_or_default().join(","));
        match expression.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.clone(),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Whether the Deployment's label selector takes in a pod, as the API server would say it of [`selector`].
pub(super) fn selects(deployment: &Deployment, pod: &KubePod) -> bool {
    let (Some(spec), Some(labels)) = (&deployment.spec, &pod.metadata.labels) else { return false };
    let mut equal = spec.selector.match_labels.iter().flatten();
    let mut expressions = spec.selector.match_expressions.iter().flatten();
    equal.all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let among = |value| expression.values.iter().flatten().any(|other| other == value);
            match (expression.operator.as_str(), labels.get(&expression.key)) {
                ("In", value) => value.is_some_and(among),
                ("NotIn", value) => !value.is_some_and(among),
                ("DoesNotExist", value) => value.is_none(),
                (_, value) => value.is_some(),
            }
        })
}

/// The named container, or the only one.
pub(super) fn container<'a>(
    namespace: &str,
    name: &str,
    wanted: Option<&str>,
    deployment: &'a Deployment,
) -> Result<&'a Container, Error> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let available = || containers.iter().map(|container| container.name.clone()).collect();
    let (namespace, deployment) = (namespace.to_owned(), name.to_owned());
    match (wanted, containers) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Error::SeveralContainers { namespace, deployment, available: available() }),
        (Some(wanted), _) => containers.iter().find(|container| container.name == wanted).ok_or_else(|| {
            Error::NoContainer { namespace, deployment, container: wanted.to_owned(), available: available() }
        }),
    }
}

/// Whether the container has all of these flags as literals of these values.
pub(super) fn has(deployment: &Deployment, container: &str, wanted: &Flags) -> bool {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let found = pod.and_then(|pod| pod.containers.iter().find(|found| found.name == container));
    let is = |container, flag, value: &str| flag_source(container, flag).literal() == Some(value);
    found.is_some_and(|found| wanted.iter().all(|(flag, value)| is(found, flag, value)))
}

pub(super) fn flags(container: &Container, wanted: &BTreeSet<FlagName>) -> BTreeMap<FlagName, FlagSource> {
    wanted.iter().map(|flag| (flag.clone(), flag_source(container, flag))).collect()
}

pub(super) fn flag_source(container: &Container, flag: &FlagName) -> FlagSource {
    let mut entries = container.env.iter().flatten().filter(|entry| entry.name == flag.as_str());
    match (entries.next(), entries.next()) {
        (Some(_), Some(_)) => FlagSource::Twice,
        (Some(entry), None) => FlagSource::Value(flag_value(entry)),
        (None, _) => {
            let sources = environment_sources(container, flag);
            if sources.is_empty() { FlagSource::Value(FlagValue::Absent) } else { FlagSource::MaybeFrom(sources) }
        }
    }
}

pub(super) fn flag_value(entry: &EnvVar) -> FlagValue {
    match &entry.value_from {
        Some(source) => FlagValue::Reference(serde_json::to_string(source).unwrap_or_default()),
        None => FlagValue::Literal(entry.value.clone().unwrap_or_default()),
    }
}

/// `envFrom` sources that may hold the flag: those whose prefix its name begins with.
fn environment_sources(container: &Container, flag: &FlagName) -> Vec<String> {
    let sources = container.env_from.iter().flatten();
    sources
        .filter(|source| flag.as_str().starts_with(source.prefix.as_deref().unwrap_or_default()))
        .filter_map(|source| match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => Some(format!("configmap/{}", map.name)),
            (None, Some(secret)) => Some(format!("secret/{}", secret.name)),
            (None, None) => None,
        })
        .collect()
}

pub(super) fn replicas(deployment: &Deployment) -> Replicas {
    let spec = deployment.spec.as_ref();
    let status = deployment.status.clone().unwrap_or_default();
    let condition = |kind: &str| status.conditions.iter().flatten().find(|condition| condition.type_ == kind);
    let deadline = condition("Progressing").filter(|progress| progress.status == "False");
    let refused = condition("ReplicaFailure").filter(|failure| failure.status == "True");
    let rolled_out = condition("Progressing")
        .filter(|progress| progress.reason.as_deref() == Some("NewReplicaSetAvailable"))
        .and_then(|progress| progress.last_update_time.as_ref())
        // Whole seconds: the next one is certainly after it.
        .and_then(|time| time.0.checked_add(Duration::from_secs(1)).ok());
    let message = |condition: &DeploymentCondition| {
        condition.message.clone().or_else(|| condition.reason.clone()).unwrap_or_else(|| condition.type_.clone())
    };
    let DeploymentStatus { observed_generation, updated_replicas, available_replicas, .. } = status.clone();
    let (available, total) = (available_replicas.unwrap_or_default(), status.replicas.unwrap_or_default());
    Replicas {
        generation: deployment.metadata.generation.unwrap_or_default(),
        observed_generation: observed_generation.unwrap_or_default(),
        desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        updated: updated_replicas.unwrap_or_default(),
        available,
        total,
        // Unavailable are those that are missing as well as those that are not ready.
        missing: (status.unavailable_replicas.unwrap_or_default() + available - total).max(0),
        refused: refused.map(message),
        failure: refused.or(deadline).map(message),
        rolled_out,
        progress_deadline: Duration::from_secs(
            spec.and_then(|spec| spec.progress_deadline_seconds)
                .and_then(|seconds| u64::try_from(seconds).ok())
                .unwrap_or(600),
        ),
    }
}

/// A pod that has not ended, or None.
fn pod(pod: &KubePod, container: &str, wanted: &BTreeSet<FlagName>) -> Option<Pod> {
    let status = pod.status.clone().unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    let labels = pod.metadata.labels.as_ref();
    let of_container = spec.containers.iter().find(|found| found.name == container);
    let container_status =
        status.container_statuses.iter().flatten().find(|container_status| container_status.name == container);
    let mut conditions = status.conditions.iter().flatten();
    let ready = conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True");
    Some(Pod {
        name: pod.metadata.name.clone()?,
        template: labels.and_then(|labels| labels.get("pod-template-hash")).cloned().unwrap_or_default(),
        started: container_status
            .and_then(|status| status.state.as_ref()?.running.as_ref()?.started_at.clone())
            .or(status.start_time.clone())
            .map(|time| time.0),
        accepted: status.start_time.as_ref().map(|time| time.0),
        ready_since: ready.and_then(|condition| condition.last_transition_time.clone()).map(|time| time.0),
        ready: ready.is_some(),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        waiting: if ready.is_some() { None } else { why_not_ready(&status) },
        restarts: container_status.map(|status| status.restart_count).unwrap_or_default(),
        flags: of_container.map(|found| flags(found, wanted)).unwrap_or_default(),
    })
}

/// What the scheduler or the kubelet says; None where they say nothing, as of a pod that just starts.
fn why_not_ready(status: &PodStatus) -> Option<String> {
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .and_then(|condition| condition.reason.clone());
    let waiting = status
        .container_statuses
        .iter()
        .flatten()
        .find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone())
        .filter(|reason| reason != "CrashLoopBackOff");
    // Between two crashes such a pod runs for a moment, and the kubelet then says nothing.
    let crashed = status.container_statuses.iter().flatten().any(|container| container.restart_count > 0);
    unscheduled.or(waiting).or_else(|| crashed.then(|| "crash loop".to_owned()))
}
