//! The annotations that carry the state: their keys, and text to record.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use serde::de::DeserializeOwned;

use super::Target;
use crate::rollout::canary::CanaryRecord;
use crate::rollout::declaration::Flags;
use crate::rollout::name::SignOffName;
use crate::rollout::position::{Emergency, Pause, Position, SignOff};
use crate::rollout::template::Template;

pub(super) const POSITION: &str = "cbctl.dev/rollout";
pub(super) const EMERGENCY: &str = "cbctl.dev/emergency";
/// What the canary is to be.
pub(super) const CANARY: &str = "cbctl.dev/rollout-canary";
pub(super) const PAUSE: &str = "cbctl.dev/pause";
pub(super) const UNDO: &str = "cbctl.dev/undo";
/// On the pod template, as `kubectl rollout restart` writes it.
pub(super) const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// Of a Deployment and of each ReplicaSet, by the Deployment's controller.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Followed by the name of what was signed.
pub(super) const SIGN_OFF: &str = "sign-off.cbctl.dev/";

/// The recorded position; a text that is none is told apart from nothing.
pub(super) fn position(deployment: &Deployment) -> Option<Result<Position, String>> {
    record(deployment, POSITION)
}

/// The mark of an emergency. One that cannot be read still is one: it dates from the beginning of time.
pub(super) fn emergency(deployment: &Deployment) -> Option<Emergency> {
    let text = text(deployment, EMERGENCY)?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Emergency {
        at: jiff::Timestamp::UNIX_EPOCH,
        operation: "unreadable".to_owned(),
        reason: Some(text.to_owned()),
    }))
}

/// What is recorded of the canary; a text that says nothing is told apart from nothing.
pub(super) fn canary(deployment: &Deployment) -> Option<Result<CanaryRecord, String>> {
    record(deployment, CANARY)
}

/// The word that nothing is to be promoted. One that cannot be read still is one.
pub(super) fn pause(deployment: &Deployment) -> Option<Pause> {
    let text = text(deployment, PAUSE)?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Pause {
        by: "unknown".to_owned(),
        at: jiff::Timestamp::UNIX_EPOCH,
        reason: Some(text.to_owned()),
    }))
}

/// Sign-offs that can be read; others do not count.
pub(super) fn sign_offs(deployment: &Deployment) -> BTreeMap<SignOffName, SignOff> {
    let annotations = deployment.metadata.annotations.iter().flatten();
    annotations
        .filter_map(|(key, text)| {
            let name = key.strip_prefix(SIGN_OFF)?.parse().ok()?;
            Some((name, serde_json::from_str(text).ok()?))
        })
        .collect()
}

/// The template's number and marks; a mark that cannot be read is none.
pub(super) fn template(deployment: &Deployment) -> Template {
    let of_template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let restarted = of_template.and_then(|metadata| metadata.annotations.as_ref()?.get(RESTARTED).cloned());
    Template {
        revision: text(deployment, REVISION).and_then(|number| number.parse().ok()).unwrap_or_default(),
        restarted,
        undone: text(deployment, UNDO).and_then(|text| serde_json::from_str(text).ok()),
        ..Template::default()
    }
}

/// What an emergency needs to know of a Deployment whose files are gone.
pub(super) fn recorded_target(deployment: &Deployment) -> Option<(Target, Flags)> {
    let position = position(deployment)?.ok()?;
    let target = Target {
        deployment: deployment.metadata.name.clone()?,
        container: Some(position.container.clone()),
        flags: position.off.keys().chain(position.changed()).cloned().collect(),
        revisions: false,
        beside: false,
        router: None,
    };
    Some((target, position.off))
}

fn record<T: DeserializeOwned>(deployment: &Deployment, key: &str) -> Option<Result<T, String>> {
    let text = text(deployment, key)?;
    Some(serde_json::from_str(text).map_err(|error| error.to_string()))
}

fn text<'a>(deployment: &'a Deployment, key: &str) -> Option<&'a str> {
    deployment.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}
