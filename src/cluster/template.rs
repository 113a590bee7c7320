//! The pod template apart from its flags: what it is told by, so that a change of anything else shows.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use ring::digest::{SHA256, digest};

use crate::rollout::name::FlagName;

/// Hexadecimal digits of a fingerprint: more than chance could match.
const LENGTH: usize = 16;

/// Of the Deployment's template without these flags of this container, so that what a rollout changes does not change it.
pub(super) fn fingerprint(deployment: &Deployment, container: &str, flags: &BTreeSet<FlagName>) -> String {
    let mut template = deployment.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let containers = template.spec.iter_mut().flat_map(|spec| &mut spec.containers);
    for found in containers.filter(|found| found.name == container) {
        let declared = |name: &str| flags.iter().any(|flag| flag.as_str() == name);
        found.env =
            found.env.take().map(|env| env.into_iter().filter(|entry| !declared(&entry.name)).collect::<Vec<_>>());
        // An empty list and none are the same to Kubernetes.
        found.env = found.env.take().filter(|env| !env.is_empty());
    }
    fingerprint_of(&serde_json::to_vec(&template).unwrap_or_default())
}

pub(super) fn fingerprint_of(json: &[u8]) -> String {
    let mut hex = digest(&SHA256, json).as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    hex.truncate(LENGTH);
    hex
}
