//! Many Deployments by few requests: a canary beside one, those with a label, and many with their pods at once.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, NamespaceResourceScope, Resource};
use kube::core::params::ListParams;
use kube::core::{ObjectList, Request};
use serde::de::DeserializeOwned;

use super::request::{Answer, path_of};
use super::{Cluster, Error, Refusal, Target, annotation, convert};
use crate::rollout::emergency::{Listed, Recorded};
use crate::rollout::workload::Workload;

/// Objects of one answer; what is not needed of them is dropped before the next ones are asked for.
const PAGE: u32 = 500;

/// What has the name of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// Its pods are marked as a canary's.
    Canary {
        container: String,
    },
    /// Somebody else's Deployment.
    Stranger,
}

impl Cluster {
    /// The same connection for another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    /// Looks what there is under the name of a canary.
    pub async fn beside(&self, canary: &str, container: Option<&str>) -> Result<Beside, Error> {
        match self.deployment(canary).await {
            Ok(found) => self.recognise(canary, container, Some(&found.value)),
            Err(Error::ReadDeployment { source: Refusal::Api { code: 404, .. }, .. }) => Ok(Beside::Nothing),
            Err(error) => Err(error),
        }
    }

    /// The same of many by one list, in their order.
    ///
    /// # Errors
    /// That of the list; what is wrong with one Deployment is its own.
    pub async fn beside_all(&self, canaries: &[(&str, Option<&str>)]) -> Result<Vec<Result<Beside, Error>>, Error> {
        let found = self.named(canaries.iter().map(|(canary, _)| *canary).collect()).await?;
        Ok(canaries.iter().map(|(canary, container)| self.recognise(canary, *container, found.get(*canary))).collect())
    }

    fn recognise(&self, canary: &str, container: Option<&str>, found: Option<&Deployment>) -> Result<Beside, Error> {
        match found {
            None => Ok(Beside::Nothing),
            Some(found) if convert::is_marked_as_canary(found) => {
                let container = convert::container(&self.namespace, canary, container, found)?;
                Ok(Beside::Canary { container: container.name.clone() })
            }
            Some(_) => Ok(Beside::Stranger),
        }
    }

    /// The Deployments that have these labels, with what an emergency needs of each.
    pub async fn select(&self, labels: &str) -> Result<Vec<Listed>, Error> {
        let deployments: Vec<Deployment> =
            self.list(Some(labels), |_| true).await.map_err(|source| self.unlisted(source))?;
        let listed = |deployment: &Deployment| {
            let deployment_name = deployment.metadata.name.clone()?;
            let recorded = |(target, off): (Target, _)| Some(Recorded { container: target.container?, off });
            Some(Listed {
                is_canary: convert::is_marked_as_canary(deployment),
                record: annotation::recorded_target(deployment).and_then(recorded),
                only_container: convert::container(&self.namespace, &deployment_name, None, deployment)
                    .ok()
                    .map(|only| only.name.clone()),
                deployment: deployment_name,
            })
        };
        Ok(deployments.iter().filter_map(listed).collect())
    }

    /// Reads many Deployments of the namespace and their pods by two lists, in the order of the targets.
    ///
    /// # Errors
    /// That of a list is everybody's; what is wrong with one Deployment is its own.
    pub async fn read_all(&self, targets: &[&Target]) -> Result<Vec<Result<Workload, Error>>, Error> {
        let deployments = self.named(targets.iter().map(|target| target.deployment.as_str()).collect()).await?;
        let by_label = ByLabel::of(deployments.values());
        let pods: Vec<Pod> = self
            .list(None, |pod| by_label.selecting(pod).next().is_some())
            .await
            .map_err(|source| Error::ListAllPods { namespace: self.namespace.clone(), source })?;
        let mut pods_of: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in &pods {
            for deployment in by_label.selecting(pod) {
                pods_of.entry(deployment.metadata.name.as_deref().unwrap_or_default()).or_default().push(pod);
            }
        }
        let workload = |target: &&Target| {
            let name = target.deployment.as_str();
            let deployment = deployments.get(name).ok_or_else(|| self.missing(name))?;
            convert::workload(&self.namespace, target, deployment, pods_of.remove(name).unwrap_or_default())
        };
        Ok(targets.iter().map(workload).collect())
    }

    /// Those Deployments of the namespace that have one of these names.
    async fn named(&self, names: BTreeSet<&str>) -> Result<BTreeMap<String, Deployment>, Error> {
        let name = |deployment: &Deployment| deployment.metadata.name.clone().unwrap_or_default();
        let wanted = |deployment: &Deployment| names.contains(&*name(deployment));
        let deployments: Vec<Deployment> = self.list(None, wanted).await.map_err(|source| self.unlisted(source))?;
        Ok(deployments.into_iter().map(|deployment| (name(&deployment), deployment)).collect())
    }

    /// Every object of a kind in the namespace that is wanted, without who wrote which of its fields: that is half of an
    /// object in memory, and an emergency does not ask.
    async fn list<K>(&self, labels: Option<&str>, wanted: impl Fn(&K) -> bool) -> Result<Vec<K>, Refusal>
    where
        K: Resource<Scope = NamespaceResourceScope> + Metadata<Ty = ObjectMeta> + DeserializeOwned + Clone,
    {
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = labels.map(str::to_owned);
        let mut kept = Vec::new();
        loop {
            let request = Request::new(path_of::<K>(&self.namespace)).list(&params);
            let page: Answer<ObjectList<K>> = self.send(request).await?;
            kept.extend(page.value.items.into_iter().filter(&wanted).map(|mut item| {
                item.metadata_mut().managed_fields = None;
                item
            }));
            match page.value.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(kept),
            }
        }
    }

    fn unlisted(&self, source: Refusal) -> Error {
        Error::ListDeployments { namespace: self.namespace.clone(), source }
    }

    /// As the API server says it where one is read alone.
    fn missing(&self, name: &str) -> Error {
        let message = format!("deployments.apps \"{name}\" not found (404)");
        let source = Refusal::Api { code: 404, message, retry_after: None };
        Error::ReadDeployment { namespace: self.namespace.clone(), name: name.to_owned(), source }
    }
}

/// Deployments by one of the labels that they select by, because comparing every pod with every Deployment takes long.
struct ByLabel<'a>(BTreeMap<Option<(&'a str, &'a str)>, Vec<&'a Deployment>>);

impl<'a> ByLabel<'a> {
    fn of(deployments: impl Iterator<Item = &'a Deployment>) -> Self {
        let mut by_label: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for deployment in deployments {
            let labels = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
            // The last one by name is as good as any.
            let label =
                labels.and_then(|labels| labels.last_key_value()).map(|(key, value)| (key.as_str(), value.as_str()));
            by_label.entry(label).or_default().push(deployment);
        }
        Self(by_label)
    }

    fn selecting<'b>(&'b self, pod: &'b Pod) -> impl Iterator<Item = &'a Deployment> + 'b {
        let labels = pod.metadata.labels.iter().flatten().map(|(key, value)| Some((key.as_str(), value.as_str())));
        let candidates = labels.chain([None]).filter_map(|label| self.0.get(&label));
        candidates.flatten().copied().filter(|deployment| convert::selects(deployment, pod))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(name: &str, selector: &Value) -> Deployment {
        let template = json!({"metadata": {"labels": {}}, "spec": {"containers": []}});
        let spec = json!({"selector": selector, "template": template});
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    }

    #[test]
    fn pods_go_to_the_deployments_that_select_them() {
        let canary = |operator: &str| json!({"key": "canary", "operator": operator});
        let tier = |operator: &str| json!({"key": "tier", "operator": operator, "values": ["web", "api"]});
        let deployments = [
            deployment("all", &json!({"matchLabels": {"app": "shop"}})),
            deployment("canary", &json!({"matchLabels": {"app": "shop", "canary": "true"}})),
            deployment(
                "stable",
                &json!({"matchLabels": {"app": "shop"}, "matchExpressions": [canary("DoesNotExist")]}),
            ),
            deployment("any-canary", &json!({"matchExpressions": [canary("Exists")]})),
            deployment("tier", &json!({"matchExpressions": [tier("In")]})),
            deployment("no-tier", &json!({"matchLabels": {"app": "shop"}, "matchExpressions": [tier("NotIn")]})),
        ];
        let by_label = ByLabel::of(deployments.iter());
        for (labels, expected) in [
            (json!({"app": "shop"}), vec!["all", "no-tier", "stable"]),
            (json!({"app": "shop", "canary": "true"}), vec!["all", "any-canary", "canary", "no-tier"]),
            (json!({"app": "shop", "tier": "web"}), vec!["all", "stable", "tier"]),
            (json!({"app": "other", "canary": "no", "tier": "db"}), vec!["any-canary"]),
            (json!({}), vec![]),
        ] {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"labels": labels}})).unwrap();
            let mut selecting: Vec<&str> =
                by_label.selecting(&pod).filter_map(|deployment| deployment.metadata.name.as_deref()).collect();
            selecting.sort_unstable();
            assert_eq!(selecting, expected, "{labels}");
        }
    }
}
