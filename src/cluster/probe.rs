//! Asking pods over HTTP, through the API server's proxy: nothing but the API server has to be reachable.
//!
//! It does not know why they are asked, nor what an answer means for a rollout.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::client::Body;
use tokio::time::{Instant, timeout_at};

use super::request::path_of;
use super::{Cluster, Error, Refusal, convert};

/// Pods asked at once.
const AT_ONCE: usize = 8;
/// Of an answer that says no, so much is read.
const BODY: usize = 2_048;
/// And so much of it told, in characters.
const TOLD: usize = 120;

impl Cluster {
    /// Has every pod asked for a path, and names the first one that does not answer with 2xx; None where all do.
    ///
    /// Without a port it is the first one that the Deployment's container names.
    ///
    /// # Errors
    /// Only where the API server cannot be asked, or does not let us.
    pub async fn probe(
        &self,
        (deployment, container): (&str, &str),
        pods: &[&str],
        (path, port): (&str, Option<u16>),
        timeout: Duration,
    ) -> Result<Option<String>, Error> {
        let deadline = Instant::now() + timeout;
        let port = match port {
            Some(port) => Some(port),
            None => self.first_port(deployment, container).await?,
        };
        let Some(port) = port else {
            return Ok(Some(format!("container {container} declares no port: name one beside the path")));
        };
        let asked = stream::iter(pods).map(async |pod| {
            let answered = timeout_at(deadline, self.ask(pod, port, path)).await;
            answered.unwrap_or_else(|_| Ok(Some(format!("no answer within {}s", timeout.as_secs()))))
        });
        let mut answers = asked.buffered(AT_ONCE).enumerate();
        while let Some((index, answer)) = answers.next().await {
            if let Some(wrong) = answer? {
                return Ok(Some(format!("{}: {wrong}", pods[index])));
            }
        }
        Ok(None)
    }

    async fn first_port(&self, deployment: &str, container: &str) -> Result<Option<u16>, Error> {
        let found = self.deployment(deployment).await?.value;
        first_port(&found, &self.namespace, deployment, container)
    }

    /// What is wrong with a pod's answer, if anything.
    async fn ask(&self, pod: &str, port: u16, path: &str) -> Result<Option<String>, Error> {
        let failed = |source| Error::AskPod { namespace: self.namespace.clone(), pod: pod.to_owned(), source };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let uri = format!("{}/{pod}:{port}/proxy{slash}{path}", path_of::<Pod>(&self.namespace));
        let request = http::Request::get(uri).body(Body::empty()).map_err(|source| {
            failed(Refusal::Build { source: Box::new(kube::core::request::Error::BuildRequest(source)) })
        })?;
        let transport = |source: &(dyn std::error::Error + 'static)| failed(Refusal::transport(&self.server, source));
        let response = self.client.send(request).await.map_err(|source| transport(&source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(None);
        }
        let (mut body, mut text) = (response.into_body(), Vec::new());
        while text.len() < BODY
            && let Some(frame) = body.frame().await
        {
            let frame = frame.map_err(|source| transport(&source))?;
            text.extend(frame.into_data().unwrap_or_default());
        }
        text.truncate(BODY);
        match of_api_server(status.as_u16(), &text) {
            Some(refusal) => Err(failed(refusal)),
            None => Ok(Some(wrong(status, &text))),
        }
    }
}

/// The first port that the container names.
fn first_port(found: &Deployment, namespace: &str, name: &str, container: &str) -> Result<Option<u16>, Error> {
    let container = convert::container(namespace, name, Some(container), found)?;
    Ok(container.ports.iter().flatten().find_map(|port| u16::try_from(port.container_port).ok()))
}

/// The API server's own no, apart from what the pod says: it does not know us, or does not let us.
fn of_api_server(code: u16, body: &[u8]) -> Option<Refusal> {
    let status: kube::core::Status = serde_json::from_slice(body).ok()?;
    let reasons = [(401, "Unauthorized"), (403, "Forbidden")];
    reasons.contains(&(code, status.reason.as_str())).then(|| Refusal::api(code, body, None))
}

/// An answer that is none, in one line. What the API server says of a pod that it cannot reach is a message in JSON.
fn wrong(status: http::StatusCode, body: &[u8]) -> String {
    let told: Option<kube::core::Status> = serde_json::from_slice(body).ok();
    let message = told.map(|status| status.message).filter(|message| !message.is_empty());
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().take(TOLD).collect();
    let more = if short.len() < words.len() { "…" } else { "" };
    if short.is_empty() { status.to_string() } else { format!("{status}: {short}{more}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(code: u16) -> http::StatusCode {
        http::StatusCode::from_u16(code).unwrap()
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_told_in_one_line() {
        let unreachable = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 503,
            "message": "error trying to reach service: connection refused", "reason": "ServiceUnavailable"});
        let long = "x".repeat(500);
        for (code, body, told) in [
            (503, "redis:\n  down\n", "503 Service Unavailable: redis: down".to_owned()),
            (404, "", "404 Not Found".to_owned()),
            (302, "<html>", "302 Found: <html>".to_owned()),
            (500, &long, format!("500 Internal Server Error: {}…", "x".repeat(TOLD))),
            (
                503,
                &unreachable.to_string(),
                "503 Service Unavailable: error trying to reach service: connection refused".to_owned(),
            ),
        ] {
            assert_eq!(wrong(status(code), body.as_bytes()), told);
        }
    }

    #[test]
    fn a_pod_that_forbids_is_not_the_api_server() {
        let refused = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
            "message": "pods is forbidden", "reason": "Forbidden"})
        .to_string();
        assert!(of_api_server(403, refused.as_bytes()).is_some());
        assert!(of_api_server(403, b"forbidden").is_none());
        assert!(of_api_server(403, b"{}").is_none());
        assert!(of_api_server(503, refused.as_bytes()).is_none());
    }

    #[test]
    fn the_port_is_the_first_one_that_the_container_names() {
        let deployment = |ports: serde_json::Value| -> Deployment {
            let containers =
                json!([{"name": "proxy", "ports": [{"containerPort": 1}]}, {"name": "web", "ports": ports}]);
            serde_json::from_value(json!({"spec": {
                "selector": {}, "template": {"spec": {"containers": containers}}}}))
            .unwrap()
        };
        let of = |ports| first_port(&deployment(ports), "shop", "updog", "web").unwrap();
        assert_eq!(of(json!([{"containerPort": 8080, "name": "http"}, {"containerPort": 9090}])), Some(8080));
        assert_eq!(of(json!([])), None);
    }
}
