//! What there is around a Deployment, asked for at once: what the API server says to the dry runs of rollbacks, what we
//! may do, and what else has a say in its pods.
//!
//! It knows no rule by which any of it is good or bad.

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
use crate::rollout::rehearsal::{Answer, Autoscaler, Budget, Form, Patch, Permission, Surroundings, Unseen};
use crate::rollout::workload::Workload;

/// Dry runs under way at once, and as many access reviews.
const AT_ONCE: usize = 4;

/// Rollout controllers that steer Deployments of others: API version, resource, and the field that names the Deployment.
const CONTROLLERS: [(&str, &str, &str); 2] =
    [("argoproj.io/v1alpha1", "rollouts", "workloadRef"), ("flagger.app/v1beta1", "canaries", "targetRef")];

/// What a rollback does: verb, group, resource, and whether it is for the history alone.
const VERBS: [(&str, &str, &str, bool); 8] = [
    ("get", "apps", "deployments", false),
    ("patch", "apps", "deployments", false),
    ("list", "", "pods", false),
    ("list", "apps", "replicasets", false),
    ("get", "", "configmaps", true),
    ("create", "", "configmaps", true),
    ("patch", "", "configmaps", true),
    ("create", "", "events", true),
];

impl Cluster {
    /// Has every form checked, and looks around. `rollout` is the name under which the history is kept.
    ///
    /// # Errors
    /// Only where the Deployment is no longer the one that was read; everything else that cannot be found out is part of
    /// the answer.
    pub async fn surroundings(
        &self,
        workload: &Workload,
        forms: &[Form],
        rollout: &str,
    ) -> Result<Surroundings, Error> {
        let footprint = &workload.replacement.footprint;
        let name = workload.deployment.as_str();
        let dry_runs = stream::iter(forms).map(async |form| self.dry_run(workload, form).await).buffered(AT_ONCE);
        let reviews = stream::iter(VERBS)
            .map(async |(verb, group, resource, for_history)| {
                let permission = Permission { verb, resource, for_history };
                let object = match (verb, resource) {
                    ("create" | "list", _) => None,
                    (_, "configmaps") => Some(history::newest(rollout)),
                    _ => Some(name.to_owned()),
                };
                (permission, self.may(verb, group, resource, object).await)
            })
            .buffered(AT_ONCE);
        let (answers, permissions, quotas, budgets, autoscalers, rollouts, canaries) = tokio::join!(
            dry_runs.try_collect(),
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
        let budgets = budgets.map(|budgets| budgets.into_iter().filter_map(|found| budget(found, workload)).collect());
        let autoscalers =
            autoscalers.map(|autoscalers| autoscalers.iter().filter_map(|found| autoscaler(found, name)).collect());
        let controllers = vec![rollouts, canaries];
        Ok(Surroundings { answers: answers?, permissions, quotas, budgets, autoscalers, controllers })
    }

    async fn dry_run(&self, workload: &Workload, form: &Form) -> Result<Answer, Error> {
        let sent = match &form.patch {
            Patch::Restore(plan) => self.apply(plan, workload, true).await,
            Patch::Emergency { off, mark } => {
                self.switch_off(&workload.deployment, &workload.container, off, mark, true).await
            }
        };
        let error = match sent {
            Ok(_) => return Ok(Answer::Accepted),
            Err(error) if error.is_conflict() => return Err(error),
            Err(error) => error,
        };
        let message = error.refusal().map_or_else(|| error.to_string(), ToString::to_string);
        match error.refusal().and_then(Refusal::code) {
            Some(code) if !error.is_transient() => Ok(Answer::Refused { forbidden: code == 403, message }),
            _ => Ok(Answer::Failed { message }),
        }
    }

    /// Whether we may, as the API server judges it.
    async fn may(&self, verb: &str, group: &str, resource: &str, name: Option<String>) -> Result<bool, Unseen> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(self.namespace.clone()),
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
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

/// The budget, if it counts the pods.
fn budget(found: PodDisruptionBudget, workload: &Workload) -> Option<Budget> {
    let selector = Selector::try_from(found.spec?.selector?).ok()?;
    selector.matches(&workload.replacement.footprint.labels).then(|| Budget {
        name: found.metadata.name.unwrap_or_default(),
        disruptions_allowed: found.status.map(|status| status.disruptions_allowed).unwrap_or_default(),
    })
}

/// The autoscaler, if it is of this Deployment.
fn autoscaler(found: &HorizontalPodAutoscaler, deployment: &str) -> Option<Autoscaler> {
    let spec = found.spec.as_ref()?;
    let ours = spec.scale_target_ref.kind == "Deployment" && spec.scale_target_ref.name == deployment;
    ours.then(|| Autoscaler {
        name: found.metadata.name.clone().unwrap_or_default(),
        most: u32::try_from(spec.max_replicas).unwrap_or_default(),
    })
}
