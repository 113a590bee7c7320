//! What there is around a Deployment, asked for at once: what the API server says to the dry runs of rollbacks, what we
//! may do, and what else has a say in its pods.
//!
//! It knows no rule by which any of it is good or bad.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::params::{ListParams, PostParams};
use kube::core::{DynamicObject, ObjectList, Request, Selector, SelectorExt};
use serde::de::DeserializeOwned;

use super::history;
use super::quota::quota;
use super::request::{Answer as Response, path_of};
use super::{Cluster, Error, Refusal};
use crate::rollout::canary::{CANARY_LABEL, CanaryRecord, canary_of};
use crate::rollout::rehearsal::{
    Action, Answer, Asked, Autoscaler, Budget, Form, Patch, Permission, Surroundings, Trial, Unseen,
};
use crate::rollout::replacement::Footprint;
use crate::rollout::workload::Workload;

/// Dry runs under way at once, and as many access reviews.
const AT_ONCE: usize = 4;

/// Rollout controllers that steer Deployments of others: API version, resource, and the field that names the Deployment.
const CONTROLLERS: [(&str, &str, &str); 2] =
    [("argoproj.io/v1alpha1", "rollouts", "workloadRef"), ("flagger.app/v1beta1", "canaries", "targetRef")];

/// What a rollback does: verb, resource, and whether it is for the history alone.
const VERBS: [(&str, &str, bool); 8] = [
    ("get", "deployments", false),
    ("patch", "deployments", false),
    ("list", "pods", false),
    ("list", "replicasets", false),
    ("get", "configmaps", true),
    ("create", "configmaps", true),
    ("patch", "configmaps", true),
    ("create", "events", true),
];

impl Cluster {
    /// Has everything checked that is asked, and looks around. `rollout` is the name under which the history is kept.
    ///
    /// # Errors
    /// Only where the Deployment is no longer the one that was read; everything else that cannot be found out is part of
    /// the answer.
    pub async fn surroundings(&self, workload: &Workload, asked: &Asked, rollout: &str) -> Result<Surroundings, Error> {
        let footprint = &workload.replacement.footprint;
        let name = workload.deployment.as_str();
        let dry_runs = stream::iter(&asked.forms).map(async |form| self.dry_run(workload, form).await);
        let trials = stream::iter(&asked.trials).map(async |trial| answer(self.try_out(workload, asked, trial).await));
        let always = VERBS.map(|(verb, resource, for_history)| Permission { verb, resource, name: None, for_history });
        let reviews = stream::iter(always.into_iter().chain(asked.permissions.iter().cloned()))
            .map(async |permission| {
                let object = match (permission.verb, permission.resource) {
                    _ if permission.name.is_some() => permission.name.clone(),
                    ("create" | "list", _) | (_, "pods/proxy") => None,
                    (_, "configmaps") => Some(history::newest(rollout)),
                    _ => Some(name.to_owned()),
                };
                let allowed = self.may(permission.verb, permission.resource, object).await;
                (permission, allowed)
            })
            .buffered(AT_ONCE);
        let (answers, tried, permissions, quotas, budgets, autoscalers, rollouts, canaries) = tokio::join!(
            dry_runs.buffered(AT_ONCE).try_collect(),
            trials.buffered(AT_ONCE).try_collect(),
            reviews.collect(),
            self.list_all::<ResourceQuota>(path_of::<ResourceQuota>(&self.namespace), "resourcequotas"),
            self.list_all::<PodDisruptionBudget>(
                path_of::<PodDisruptionBudget>(&self.namespace),
                "poddisruptionbudgets"
            ),
            self.list_all::<HorizontalPodAutoscaler>(
                path_of::<HorizontalPodAutoscaler>(&self.namespace),
                "horizontalpodautoscalers"
            ),
            self.controllers(name, CONTROLLERS[0]),
            self.controllers(name, CONTROLLERS[1]),
        );
        let quotas = quotas.map(|quotas| quotas.iter().filter_map(|found| quota(found, footprint)).collect());
        let labels = [&footprint.labels, &labels_of_canary(footprint, asked)].map(Clone::clone);
        let budgets = budgets.map(|budgets| budgets.into_iter().filter_map(|found| budget(found, &labels)).collect());
        let autoscalers =
            autoscalers.map(|autoscalers| autoscalers.iter().filter_map(|found| autoscaler(found, name)).collect());
        let controllers = vec![rollouts, canaries];
        Ok(Surroundings { answers: answers?, tried: tried?, permissions, quotas, budgets, autoscalers, controllers })
    }

    async fn dry_run(&self, workload: &Workload, form: &Form) -> Result<Answer, Error> {
        let sent = match &form.patch {
            Patch::Restore(plan) => self.apply(plan, workload, true).await,
            Patch::Emergency { off, mark } => {
                self.switch_off(&workload.deployment, &workload.container, off, mark, true).await
            }
        };
        answer(sent.map(drop))
    }

    /// Has one request about the canary checked.
    async fn try_out(&self, workload: &Workload, asked: &Asked, trial: &Trial) -> Result<(), Error> {
        let record = asked.canary.as_ref();
        let (canary, route) = (record.and_then(CanaryRecord::canary), record.and_then(|record| record.route.as_ref()));
        let router = route.map(|route| &route.router);
        let emergency = asked.forms.iter().find_map(|form| match &form.patch {
            Patch::Emergency { off, mark } => Some((off, mark)),
            Patch::Restore(_) => None,
        });
        match (trial.action, canary, &workload.beside, route.zip(workload.split.as_ref())) {
            (Action::Make, Some(canary), ..) => self.make_canary(workload, canary, router, true).await,
            (Action::Adapt, Some(canary), Some(beside), _) => {
                self.adapt_canary(workload, beside, canary, router, true).await
            }
            (Action::Delete, _, Some(beside), _) => self.delete_canary(workload, beside, true).await,
            (Action::Give { percent }, .., Some((route, Ok(split)))) => {
                self.give_share(&route.router, split, percent, true).await
            }
            (Action::Restore, .., Some((route, Ok(split)))) => {
                self.restore_weights(&route.router, split, &route.weights, true).await
            }
            (Action::SwitchOff, ..) => match emergency {
                Some((off, mark)) => {
                    let name = canary_of(&workload.deployment);
                    self.switch_off(&name, &workload.container, off, mark, true).await.map(drop)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Whether we may, as the API server judges it.
    async fn may(&self, verb: &str, resource: &str, name: Option<String>) -> Result<bool, Unseen> {
        let group = group_of(resource);
        let (resource, subresource) = match resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (resource, None),
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(self.namespace.clone()),
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    subresource,
                    name,
                    ..ResourceAttributes::default()
                }),
                non_resource_attributes: None,
            },
            ..SelfSubjectAccessReview::default()
        };
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let body = serde_json::to_vec(&review).unwrap_or_default();
        let answer: Result<Response<SelfSubjectAccessReview>, Refusal> =
            self.send(Request::new(path).create(&PostParams::default(), body)).await;
        let status = answer.map_err(|refusal| unseen("selfsubjectaccessreviews", &refusal))?.value.status;
        Ok(status.is_some_and(|SubjectAccessReviewStatus { allowed, .. }| allowed))
    }

    /// Everything of a kind in the namespace; nothing where the cluster does not know the kind.
    async fn list_all<K: DeserializeOwned + Clone>(
        &self,
        path: String,
        resource: &'static str,
    ) -> Result<Vec<K>, Unseen> {
        let list: Result<Response<ObjectList<K>>, Refusal> =
            self.send(Request::new(path).list(&ListParams::default())).await;
        match list {
            Ok(list) => Ok(list.value.items),
            Err(Refusal::Api { code: 404, .. }) => Ok(Vec::new()),
            Err(refusal) => Err(unseen(resource, &refusal)),
        }
    }

    /// Names of the objects that steer this Deployment.
    async fn controllers(
        &self,
        deployment: &str,
        (version, resource, field): (&str, &'static str, &str),
    ) -> Result<Vec<String>, Unseen> {
        let path = format!("/apis/{version}/namespaces/{}/{resource}", self.namespace);
        let objects: Vec<DynamicObject> = self.list_all(path, resource).await?;
        let steers = |object: &&DynamicObject| {
            let reference = &object.data["spec"][field];
            reference["kind"] == "Deployment" && reference["name"] == deployment
        };
        let name =
            |object: &DynamicObject| format!("{resource}/{}", object.metadata.name.as_deref().unwrap_or_default());
        Ok(objects.iter().filter(steers).map(name).collect())
    }
}

fn unseen(resource: &'static str, refusal: &Refusal) -> Unseen {
    Unseen { resource, forbidden: refusal.code() == Some(403), message: refusal.to_string() }
}

/// What a dry run says.
///
/// # Errors
/// Where the object is no longer the one that was read.
fn answer(sent: Result<(), Error>) -> Result<Answer, Error> {
    let error = match sent {
        Ok(()) => return Ok(Answer::Accepted),
        Err(error) if error.is_conflict() => return Err(error),
        Err(error) => error,
    };
    let message = error.refusal().map_or_else(|| error.to_string(), ToString::to_string);
    match error.is_transient() {
        false => Ok(Answer::Refused { forbidden: error.refusal().and_then(Refusal::code) == Some(403), message }),
        true => Ok(Answer::Failed { message }),
    }
}

fn group_of(resource: &str) -> &'static str {
    match resource {
        "deployments" | "replicasets" => "apps",
        "httproutes" => "gateway.networking.k8s.io",
        "virtualservices" => "networking.istio.io",
        "traefikservices" => "traefik.io",
        "ingresses" => "networking.k8s.io",
        _ => "",
    }
}

type Labels = BTreeMap<String, String>;

/// Those of the stable pods, with what a canary's have besides or instead.
fn labels_of_canary(stable: &Footprint, asked: &Asked) -> Labels {
    let route = asked.canary.as_ref().and_then(|record| record.route.as_ref());
    let others = route.into_iter().flat_map(|route| route.router.canary_labels.clone());
    let marked = [(CANARY_LABEL.to_owned(), "true".to_owned())];
    stable.labels.clone().into_iter().chain(others).chain(marked).collect()
}

/// The budget, if it counts pods with the labels of the stable ones or with those of the canary's.
fn budget(found: PodDisruptionBudget, [stable, canary]: &[Labels; 2]) -> Option<Budget> {
    let selector = Selector::try_from(found.spec?.selector?).ok()?;
    let (of_stable, of_canary) = (selector.matches(stable), selector.matches(canary));
    (of_stable || of_canary).then(|| Budget {
        name: found.metadata.name.unwrap_or_default(),
        disruptions_allowed: found.status.map(|status| status.disruptions_allowed).unwrap_or_default(),
        of_stable,
        of_canary,
    })
}

/// The autoscaler, if it is of this Deployment or of its canary.
fn autoscaler(found: &HorizontalPodAutoscaler, deployment: &str) -> Option<Autoscaler> {
    let spec = found.spec.as_ref()?;
    let target = &spec.scale_target_ref;
    let of_canary = target.name == canary_of(deployment);
    let ours = target.kind == "Deployment" && (of_canary || target.name == deployment);
    ours.then(|| Autoscaler {
        name: found.metadata.name.clone().unwrap_or_default(),
        most: u32::try_from(spec.max_replicas).unwrap_or_default(),
        of_canary,
    })
}
