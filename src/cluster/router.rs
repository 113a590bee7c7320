//! The object that divides the traffic: read by one request, changed by one more.
//!
//! How a kind of it looks is in the folder, as functions of JSON. It does not know why the canary gets which part.

mod backends;
mod division;
mod http_route;
mod ingress;
mod pool;
#[cfg(test)]
mod property_tests;
mod record;
mod traefik_service;
mod virtual_service;

use kube::core::Request;
use kube::core::params::{GetParams, Patch, PatchParams};
use serde_json::Value;

use super::{Cluster, Error, FIELD_MANAGER, Refusal};
use crate::rollout::router::{Backends, Router, RouterKind, Split, Unsplittable, Weights};
use backends::Services;
use http_route::HttpRoute;
use traefik_service::TraefikService;
use virtual_service::VirtualService;

/// Why an object cannot be read as one that divides traffic, or cannot divide it so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    NoBackend { service: String },
    Unreadable(String),
}

impl Cluster {
    /// How the router divides the traffic now; or why it cannot.
    pub async fn split(&self, router: &Router) -> Result<Result<Split, Unsplittable>, Error> {
        let object = match self.router(router).await {
            Err(Error::ReadRouter { source: Refusal::Api { code: 404, .. }, .. }) => {
                return Ok(Err(Unsplittable::Missing { router: router.object() }));
            }
            found => found?,
        };
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
        let split = read(&router.kind, &self.namespace, &object).map(|(percent, weights)| Split {
            resource_version: version.to_owned(),
            percent,
            weights,
        });
        Ok(split.map_err(|fault| fault.of(router)))
    }

    /// Has the canary get this percentage of what goes to stable and canary pods. Whatever else is in the object stays.
    ///
    /// # Errors
    /// A conflict where the object is no longer the one that was read.
    pub async fn give_share(&self, router: &Router, split: &Split, percent: f64, dry_run: bool) -> Result<(), Error> {
        let object = self.router(router).await?;
        let patch = give(&router.kind, &self.namespace, &object, percent);
        self.change(router, split, patch, dry_run).await
    }

    /// Puts the weights back to what they were. What somebody else has changed in the object meanwhile stays.
    ///
    /// # Errors
    /// A conflict where the object is no longer the one that was read.
    pub async fn restore_weights(
        &self,
        router: &Router,
        split: &Split,
        weights: &Weights,
        dry_run: bool,
    ) -> Result<(), Error> {
        if split.weights == *weights {
            return Ok(());
        }
        let object = self.router(router).await?;
        let patch = restore(&router.kind, &self.namespace, &object, weights);
        self.change(router, split, patch, dry_run).await
    }

    async fn router(&self, router: &Router) -> Result<Value, Error> {
        let request = Request::new(self.path(&router.kind)).get(&router.name, &GetParams::default());
        let answer = self.send(request).await.map_err(|source| Error::ReadRouter {
            namespace: self.namespace.clone(),
            router: router.object(),
            source,
        })?;
        Ok(answer.value)
    }

    /// Sends a patch, if there is one, for the version that was read.
    async fn change(
        &self,
        router: &Router,
        split: &Split,
        patch: Result<Option<Value>, Fault>,
        dry_run: bool,
    ) -> Result<(), Error> {
        let patch = patch.map_err(|fault| Error::DivideTraffic { router: router.object(), detail: fault.detail() })?;
        let Some(mut patch) = patch else { return Ok(()) };
        patch["metadata"]["resourceVersion"] = Value::from(split.resource_version.as_str());
        let params = PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = Request::new(self.path(&router.kind)).patch(&router.name, &params, &Patch::Merge(patch));
        let patched = self.send::<Value>(request).await;
        patched.map(drop).map_err(|source| Error::PatchRouter {
            namespace: self.namespace.clone(),
            router: router.object(),
            source,
        })
    }

    fn path(&self, kind: &RouterKind) -> String {
        let (version, resource) = place(kind);
        format!("/apis/{version}/namespaces/{}/{resource}", self.namespace)
    }
}

/// API version and resource of a kind.
fn place(kind: &RouterKind) -> (&'static str, &'static str) {
    match kind {
        RouterKind::HttpRoute(_) => ("gateway.networking.k8s.io/v1", "httproutes"),
        RouterKind::VirtualService(_) => ("networking.istio.io/v1", "virtualservices"),
        RouterKind::TraefikService(_) => ("traefik.io/v1alpha1", "traefikservices"),
        RouterKind::Ingress => ("networking.k8s.io/v1", "ingresses"),
    }
}

/// The canary's part in percent, and what it takes to restore it.
fn read(kind: &RouterKind, namespace: &str, object: &Value) -> Result<(f64, Weights), Fault> {
    match kind {
        RouterKind::HttpRoute(found) => backends::read::<HttpRoute>(object, services(found, namespace)),
        RouterKind::VirtualService(found) => backends::read::<VirtualService>(object, services(found, namespace)),
        RouterKind::TraefikService(found) => backends::read::<TraefikService>(object, services(found, namespace)),
        RouterKind::Ingress => ingress::read(object),
    }
}

/// The merge patch that gives the canary its part; None where it has it.
fn give(kind: &RouterKind, namespace: &str, object: &Value, percent: f64) -> Result<Option<Value>, Fault> {
    match kind {
        RouterKind::HttpRoute(found) => backends::give::<HttpRoute>(object, services(found, namespace), percent),
        RouterKind::VirtualService(found) => {
            backends::give::<VirtualService>(object, services(found, namespace), percent)
        }
        RouterKind::TraefikService(found) => {
            backends::give::<TraefikService>(object, services(found, namespace), percent)
        }
        RouterKind::Ingress => ingress::give(object, percent),
    }
}

/// The merge patch that restores the weights; None where they are so.
fn restore(kind: &RouterKind, namespace: &str, object: &Value, weights: &Weights) -> Result<Option<Value>, Fault> {
    match kind {
        RouterKind::HttpRoute(found) => backends::restore::<HttpRoute>(object, services(found, namespace), weights),
        RouterKind::VirtualService(found) => {
            backends::restore::<VirtualService>(object, services(found, namespace), weights)
        }
        RouterKind::TraefikService(found) => {
            backends::restore::<TraefikService>(object, services(found, namespace), weights)
        }
        RouterKind::Ingress => ingress::restore(object, weights),
    }
}

fn services<'a>(backends: &'a Backends, namespace: &'a str) -> Services<'a> {
    Services { stable: &backends.stable, canary: &backends.canary, namespace }
}

impl Fault {
    fn of(self, router: &Router) -> Unsplittable {
        let router = router.object();
        match self {
            Self::NoBackend { service } => Unsplittable::NoBackend { router, service },
            Self::Unreadable(detail) => Unsplittable::Unreadable { router, detail },
        }
    }

    fn detail(self) -> String {
        match self {
            Self::NoBackend { service } => format!("nothing in it leads to service \"{service}\""),
            Self::Unreadable(detail) => detail,
        }
    }
}
