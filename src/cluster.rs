//! The API server: the only user of kube.
//!
//! Owns the connection, what is read of a Deployment and its pods, and the patches that change it. Every method makes
//! one attempt and returns what happened; what may be tried again is said by [`Error::is_transient`] and done by
//! [`retry`]. It knows no phases' rules, no Prometheus and no printing.

mod annotation;
mod await_rollout;
mod canary;
mod connect;
mod convert;
mod error;
mod event;
mod history;
mod many;
mod ownership;
mod patch;
mod probe;
mod quantity;
mod quota;
mod replacement;
mod request;
mod retry;
mod revisions;
mod router;
mod surroundings;
mod template;

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Pod;
use kube::core::params::Patch;
use kube::core::params::{GetParams, ListParams, PatchParams, PostParams};
use kube::core::{ObjectList, Request};
use serde_json::Value;
use tokio::time::Instant;

pub use await_rollout::{Ended, Standstill, Wait};
pub use connect::Connection;
pub use error::{Error, Refusal};
pub use event::Happening;
pub use many::Beside;
pub use retry::retry;

use crate::rollout::declaration::Flags;
use crate::rollout::name::{FlagName, SignOffName};
use crate::rollout::plan::Plan;
use crate::rollout::position::{Emergency, Pause, SignOff};
use crate::rollout::router::Router;
use crate::rollout::workload::Workload;
use request::{Answer, path_of};

/// The name under which the API server records what this program wrote.
const FIELD_MANAGER: &str = "cbctl";

/// A connection to one namespace of one API server; its copies share the connections.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    /// Address of the API server, for messages.
    server: String,
    /// No attempt goes on beyond it.
    deadline: Option<Instant>,
    pub namespace: String,
    /// Name of the kubeconfig's context; None inside a cluster.
    pub context: Option<String>,
}

/// Which Deployment, and what of it matters.
#[derive(Debug, Clone)]
pub struct Target {
    pub deployment: String,
    /// None where the Deployment has only one container.
    pub container: Option<String>,
    /// The environment entries to look at.
    pub flags: BTreeSet<FlagName>,
    /// Whether to look for the revision of the pod template before the present one.
    pub revisions: bool,
    /// Whether to look for a canary beside it, also where none is on record.
    pub beside: bool,
    /// What divides the traffic, where that is looked at as well; a recorded one outranks it.
    pub router: Option<Router>,
}

/// A Deployment as it was found, and the API server's clock at that moment.
pub struct Found {
    pub workload: Workload,
    /// How far the API server's clock is ahead of ours, by its `Date` header in whole seconds.
    pub clock_offset: Option<SignedDuration>,
}

/// What a patch really did.
#[derive(Debug, Clone)]
pub struct Applied {
    pub generation: i64,
}

impl Cluster {
    /// Bounds every attempt from now on.
    pub fn keep_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Reads the Deployment and its pods.
    pub async fn read(&self, target: &Target) -> Result<Found, Error> {
        let Answer { value: deployment, clock_offset } = self.deployment(&target.deployment).await?;
        let selector = convert::selector(&deployment);
        let request = Request::new(path_of::<Pod>(&self.namespace)).list(&ListParams::default().labels(&selector));
        let pods: Answer<ObjectList<Pod>> = self.send(request).await.map_err(|source| Error::ListPods {
            namespace: self.namespace.clone(),
            deployment: target.deployment.clone(),
            source,
        })?;
        let mut workload = convert::workload(&self.namespace, target, &deployment, &pods.value.items)?;
        if target.revisions {
            self.find_previous(&deployment, &mut workload).await?;
        }
        if target.beside || workload.canary_record.is_some() {
            let flags = workload.flags.keys().cloned().collect();
            let router = match workload.recorded_canary() {
                Some(record) => record.route.as_ref().map(|route| &route.router),
                None => target.router.as_ref(),
            };
            let (beside, split) = tokio::join!(
                self.find_beside(&deployment, &workload.container, &flags),
                futures_util::future::OptionFuture::from(router.map(|router| self.find_split(router)))
            );
            (workload.beside, workload.split) = (beside?, split);
        }
        Ok(Found { workload, clock_offset })
    }

    /// The container that carries the flags: the only one of the Deployment.
    pub async fn only_container(&self, deployment: &str) -> Result<String, Error> {
        let found = self.deployment(deployment).await?;
        convert::container(&self.namespace, deployment, None, &found.value).map(|container| container.name.clone())
    }

    /// The one Deployment of the namespace that carries a position, with the target and the off values in it.
    ///
    /// # Errors
    /// [`Error::NoRecord`] and [`Error::SeveralRecords`] where there is not exactly one.
    pub async fn recorded_target(&self, deployment: Option<&str>) -> Result<(Target, Flags), Error> {
        let deployments = if let Some(name) = deployment {
            vec![self.deployment(name).await?.value]
        } else {
            let request = Request::new(path_of::<Deployment>(&self.namespace)).list(&ListParams::default());
            let list: Answer<ObjectList<Deployment>> = self
                .send(request)
                .await
                .map_err(|source| Error::ListDeployments { namespace: self.namespace.clone(), source })?;
            list.value.items
        };
        let mut recorded = deployments.iter().filter_map(annotation::recorded_target);
        let first = recorded.next().ok_or_else(|| Error::NoRecord {
            namespace: self.namespace.clone(),
            deployment: deployment.map(str::to_owned),
        })?;
        match recorded.next() {
            None => Ok(first),
            Some((second, _)) => Err(Error::SeveralRecords {
                namespace: self.namespace.clone(),
                deployments: [first.0.deployment, second.deployment],
            }),
        }
    }

    /// Carries out a plan, or has the API server check it without storing anything.
    pub async fn apply(&self, plan: &Plan, workload: &Workload, dry_run: bool) -> Result<Applied, Error> {
        let patched = self.patch(&workload.deployment, &patch::of_plan(plan, workload), dry_run).await?;
        Ok(Applied::of(&patched))
    }

    /// Gives a Deployment so many pods.
    pub async fn scale(&self, workload: &Workload, pods: usize, dry_run: bool) -> Result<Applied, Error> {
        let patch = patch::of_scale(&workload.resource_version, pods);
        let patched = self.patch(&workload.deployment, &patch, dry_run).await?;
        Ok(Applied::of(&patched))
    }

    /// Switches flags off without having read anything, and leaves the mark of an emergency.
    pub async fn switch_off(
        &self,
        deployment: &str,
        container: &str,
        off: &Flags,
        mark: &Emergency,
        dry_run: bool,
    ) -> Result<Applied, Error> {
        let patched = self.patch(deployment, &patch::of_emergency(container, off, mark, false), dry_run).await?;
        if convert::has(&patched, container, off) {
            return Ok(Applied::of(&patched));
        }
        // A flag that is listed twice is changed in its first entry only, and the second one wins.
        let patched = self.patch(deployment, &patch::of_emergency(container, off, mark, true), dry_run).await?;
        Ok(Applied::of(&patched))
    }

    /// Records somebody's word on the Deployment.
    pub async fn sign_off(
        &self,
        deployment: &str,
        name: &SignOffName,
        sign_off: &SignOff,
        dry_run: bool,
    ) -> Result<Applied, Error> {
        let patched = self.patch(deployment, &patch::of_sign_off(name, sign_off), dry_run).await?;
        Ok(Applied::of(&patched))
    }

    /// Writes down that nothing is to be promoted, or takes that away.
    pub async fn pause(&self, deployment: &str, pause: Option<&Pause>, dry_run: bool) -> Result<Applied, Error> {
        let patched = self.patch(deployment, &patch::of_pause(pause), dry_run).await?;
        Ok(Applied::of(&patched))
    }

    /// Who the API server says we are.
    pub async fn identity(&self) -> Result<String, Error> {
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let review = serde_json::to_vec(&SelfSubjectReview::default()).unwrap_or_default();
        let request = Request::new(path).create(&PostParams::default(), review);
        let answer: Answer<SelfSubjectReview> =
            self.send(request).await.map_err(|source| Error::Identify { source })?;
        let user = answer.value.status.and_then(|status| status.user_info).and_then(|user| user.username);
        Ok(user.unwrap_or_else(|| "unknown".to_owned()))
    }

    async fn deployment(&self, name: &str) -> Result<Answer<Deployment>, Error> {
        let request = Request::new(path_of::<Deployment>(&self.namespace)).get(name, &GetParams::default());
        self.send(request).await.map_err(|source| Error::ReadDeployment {
            namespace: self.namespace.clone(),
            name: name.to_owned(),
            source,
        })
    }

    async fn patch(&self, name: &str, patch: &Value, dry_run: bool) -> Result<Deployment, Error> {
        let params = PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request =
            Request::new(path_of::<Deployment>(&self.namespace)).patch(name, &params, &Patch::Strategic(patch));
        let answer: Answer<Deployment> = self.send(request).await.map_err(|source| Error::PatchDeployment {
            namespace: self.namespace.clone(),
            name: name.to_owned(),
            source,
        })?;
        Ok(answer.value)
    }
}

impl Applied {
    fn of(patched: &Deployment) -> Self {
        Self { generation: patched.metadata.generation.unwrap_or(i64::MAX) }
    }
}
