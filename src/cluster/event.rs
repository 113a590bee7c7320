//! Events on the Deployment, for people who look with kubectl.
//!
//! They are a courtesy: nothing reads them back.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::core::Request;
use kube::core::params::PostParams;
use serde_json::json;

use super::request::{Answer, path_of};
use super::{Cluster, Error, FIELD_MANAGER, Refusal};
use crate::rollout::workload::Workload;

/// Something that was done to a Deployment.
pub struct Happening<'a> {
    /// Makes the event the same, however often it is sent.
    pub operation: &'a str,
    /// One word in upper camel case.
    pub reason: &'static str,
    pub message: &'a str,
    /// Somebody should look.
    pub warning: bool,
    pub at: Timestamp,
}

/// The API server refuses a longer one.
const LONGEST_MESSAGE: usize = 1_024;

impl Cluster {
    /// Puts an event beside the Deployment.
    pub async fn tell(&self, workload: &Workload, happening: &Happening<'_>) -> Result<(), Error> {
        let Happening { operation, reason, message, warning, at } = happening;
        let name = format!("{}.{operation}", workload.deployment);
        let message: String = message.chars().take(LONGEST_MESSAGE / 4).collect();
        let seconds = Timestamp::from_second(at.as_second()).unwrap_or(*at);
        let body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": self.namespace},
            "involvedObject": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "namespace": self.namespace,
                "name": workload.deployment,
                "uid": workload.uid,
            },
            "type": if *warning { "Warning" } else { "Normal" },
            "reason": reason,
            "message": message,
            "firstTimestamp": seconds,
            "lastTimestamp": seconds,
            "count": 1,
            "source": {"component": FIELD_MANAGER},
        });
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let request = Request::new(path_of::<Event>(&self.namespace)).create(&params, body.to_string().into_bytes());
        let told: Result<Answer<Event>, Refusal> = self.send(request).await;
        match told {
            Ok(_) | Err(Refusal::Api { code: 409, .. }) => Ok(()),
            Err(source) => Err(Error::WriteEvent {
                namespace: self.namespace.clone(),
                deployment: workload.deployment.clone(),
                source,
            }),
        }
    }
}
