//! The templates that a Deployment had before: each is kept by a ReplicaSet.
//!
//! They are handed on as they were read, so that a field that this program does not know survives being restored.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::Request;
use kube::core::params::ListParams;
use serde::Deserialize;
use serde_json::Value;

use super::annotation::REVISION;
use super::request::{Answer, path_of};
use super::{Cluster, Error, convert};
use crate::rollout::name::FlagName;
use crate::rollout::template::Revision;
use crate::rollout::workload::Workload;

/// On the pods and the template of a ReplicaSet, and not on the Deployment's.
const HASH: &str = "pod-template-hash";

#[derive(Deserialize)]
struct Listed {
    items: Vec<Found>,
}

/// A ReplicaSet with its template as it was read.
#[derive(Deserialize)]
struct Found {
    metadata: ObjectMeta,
    spec: FoundSpec,
}

#[derive(Deserialize)]
struct FoundSpec {
    template: Value,
}

impl Cluster {
    /// Finds the ReplicaSet of the present template and the newest one of another.
    pub(super) async fn find_previous(&self, deployment: &Deployment, workload: &mut Workload) -> Result<(), Error> {
        let selector = convert::selector(deployment);
        let list = ListParams::default().labels(&selector);
        let request = Request::new(path_of::<ReplicaSet>(&self.namespace)).list(&list);
        let listed: Answer<Listed> = self.send(request).await.map_err(|source| Error::ListReplicaSets {
            namespace: self.namespace.clone(),
            deployment: workload.deployment.clone(),
            source,
        })?;
        let Some(present) = deployment.spec.as_ref().map(|spec| &spec.template) else { return Ok(()) };
        let flags: BTreeSet<FlagName> = workload.flags.keys().cloned().collect();
        let mut newest: Option<Revision> = None;
        for found in listed.value.items.into_iter().filter(|found| found.belongs_to(deployment)) {
            let Some((number, hash, template, typed)) = found.into_parts() else { continue };
            let is_present = typed == *present;
            if !is_present && newest.as_ref().is_some_and(|newest| newest.number > number) {
                continue;
            }
            let container = container(&typed, &workload.container);
            let revision = Some(Revision {
                number,
                hash,
                template: template.to_string(),
                flags: container.map(|container| convert::flags(container, &flags)).unwrap_or_default(),
                differs_elsewhere: without(typed, &workload.container, &flags)
                    != without(present.clone(), &workload.container, &flags),
            });
            *(if is_present { &mut workload.template.present } else { &mut newest }) = revision;
        }
        workload.template.previous = newest;
        Ok(())
    }
}

impl Found {
    fn belongs_to(&self, deployment: &Deployment) -> bool {
        let uid = deployment.metadata.uid.as_deref();
        let owners = self.metadata.owner_references.iter().flatten();
        owners.filter(|owner| owner.controller == Some(true)).any(|owner| Some(&*owner.uid) == uid)
    }

    /// Revision, hash, and the template as the Deployment had it.
    fn into_parts(self) -> Option<(i64, String, Value, PodTemplateSpec)> {
        let number = self.metadata.annotations.as_ref()?.get(REVISION)?.parse().ok()?;
        let mut template = self.spec.template;
        let labels = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut)?;
        let hash = labels.remove(HASH)?.as_str()?.to_owned();
        let typed = serde_json::from_value(template.clone()).ok()?;
        Some((number, hash, template, typed))
    }
}

fn container<'a>(template: &'a PodTemplateSpec, name: &str) -> Option<&'a k8s_openapi::api::core::v1::Container> {
    template.spec.as_ref()?.containers.iter().find(|container| container.name == name)
}

/// The template without these entries of the container's environment.
fn without(mut template: PodTemplateSpec, name: &str, flags: &BTreeSet<FlagName>) -> PodTemplateSpec {
    let containers = template.spec.iter_mut().flat_map(|spec| &mut spec.containers);
    for env in containers.filter(|container| container.name == name).filter_map(|container| container.env.as_mut()) {
        env.retain(|entry| !flags.iter().any(|flag| flag.as_str() == entry.name));
    }
    template
}
