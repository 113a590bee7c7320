//! What divides the traffic between stable and canary pods.
//!
//! It does not know how such an object looks, nor how it is read or written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A declared router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// Of the object, in the Deployment's namespace.
    pub name: String,
    pub kind: RouterKind,
    /// What canary pods have in the place of the stable ones' labels, so that the stable Service does not reach them.
    pub canary_labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouterKind {
    /// Of the Gateway API.
    HttpRoute(Backends),
    /// Of Istio.
    VirtualService(Backends),
    /// Of Traefik, a weighted one.
    TraefikService(Backends),
    /// The Ingress of the canary, by NGINX's annotations.
    Ingress,
}

/// The Services between which the traffic is divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backends {
    pub stable: String,
    pub canary: String,
}

/// How a router divides the traffic at the moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Carried by every change as its precondition.
    pub resource_version: String,
    /// The canary's part of the traffic in percent.
    pub percent: f64,
    /// What is there now, exactly enough to restore it.
    pub weights: Weights,
}

/// The weights of a router, as JSON that only its reader understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weights(pub String);

/// Why a router cannot give a canary its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Unsplittable {
    /// There is no such object, or no such kind.
    Missing { router: String },
    /// Nothing in it leads to this Service.
    NoBackend { router: String, service: String },
    /// It cannot be read as what it should be.
    Unreadable { router: String, detail: String },
    /// Asking again may help; whatever needs no router does not wait for it.
    Unanswered { router: String, detail: String },
}

impl Router {
    /// As it is told: `httproute/web`.
    pub fn object(&self) -> String {
        format!("{}/{}", self.kind.resource(), self.name)
    }
}

impl RouterKind {
    /// The part in percent that comes nearest to this one and that the router can give: never nothing, nor everything.
    pub fn nearest(&self, percent: f64) -> f64 {
        let unit = self.unit();
        ((percent / unit).round() * unit).clamp(unit, 100.0 - unit)
    }

    /// Whether two parts are the same to it.
    pub fn is_near(&self, one: f64, other: f64) -> bool {
        (one - other).abs() < self.unit() / 2.0
    }

    /// The smallest part that it can give.
    fn unit(&self) -> f64 {
        match self {
            Self::VirtualService(_) => 1.0,
            Self::HttpRoute(_) | Self::TraefikService(_) | Self::Ingress => 0.01,
        }
    }

    pub fn resource(&self) -> &'static str {
        match self {
            Self::HttpRoute(_) => "httproute",
            Self::VirtualService(_) => "virtualservice",
            Self::TraefikService(_) => "traefikservice",
            Self::Ingress => "ingress",
        }
    }
}
