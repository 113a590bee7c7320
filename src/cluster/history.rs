//! The history of a rollout: a ConfigMap with one entry an operation.
//!
//! Entries are added by a merge patch under a key of their own, so that nothing is read first and no two writers
//! disturb each other. Where history and annotation disagree, the annotation is right.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::Request;
use kube::core::params::{Patch, PatchParams, PostParams};
use serde::Serialize;
use serde_json::json;

use super::request::{Answer, path_of};
use super::{Cluster, Error, FIELD_MANAGER, Refusal};
use crate::rollout::gradual::Fewer;
use crate::rollout::plan::Change;
use crate::rollout::position::Place;

/// What happened, once.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The operation's id, which is also the key: writing an entry twice is harmless.
    #[serde(skip)]
    pub operation: String,
    pub at: Timestamp,
    pub by: String,
    pub action: &'static str,
    pub from: Option<Place>,
    pub to: Option<Place>,
    pub changes: Vec<Change>,
    /// A canary that was given fewer pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Fewer>,
    /// The conditions with their evidence, as they were reported.
    pub evidence: serde_json::Value,
    pub reason: Option<String>,
    pub result: &'static str,
    pub version: &'static str,
}

impl Cluster {
    /// Appends an entry to the history of the rollout called `name`.
    pub async fn write_history(&self, name: &str, entry: &Entry) -> Result<(), Error> {
        let name = format!("cbctl-{name}");
        let failed = |source| Error::WriteHistory { namespace: self.namespace.clone(), name: name.clone(), source };
        let text = serde_json::to_string(entry).map_err(|source| failed(Refusal::Decode { source }))?;
        let data = json!({ entry.operation.as_str(): text });
        let path = path_of::<ConfigMap>(&self.namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let append = || Request::new(&*path).patch(&name, &params, &Patch::Merge(json!({ "data": data })));
        let appended: Result<Answer<ConfigMap>, Refusal> = self.send(append()).await;
        match appended {
            Err(Refusal::Api { code: 404, .. }) => {}
            done => return done.map(drop).map_err(failed),
        }
        let labels = json!({"app.kubernetes.io/managed-by": FIELD_MANAGER});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data});
        let create = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(&map).map_err(|source| failed(Refusal::Decode { source }))?;
        let created: Result<Answer<ConfigMap>, Refusal> = self.send(Request::new(&*path).create(&create, body)).await;
        match created {
            // Somebody else created it meanwhile.
            Err(Refusal::Api { code: 409, .. }) => self.send::<ConfigMap>(append()).await.map(drop).map_err(failed),
            done => done.map(drop).map_err(failed),
        }
    }
}
