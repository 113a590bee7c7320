//! One request and its answer, with the server's clock.

use std::time::Duration;

use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::client::Body;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Cluster, Refusal};

/// How long one attempt may take, connection included.
const ATTEMPT: Duration = Duration::from_secs(10);
/// What is left for what has to be written down when the deadline has passed.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// A decoded answer.
pub(super) struct Answer<T> {
    pub value: T,
    pub clock_offset: Option<SignedDuration>,
}

/// The collection of a kind in a namespace.
pub(super) fn path_of<K: k8s_openapi::Resource<Scope = NamespaceResourceScope>>(namespace: &str) -> String {
    let group = if K::GROUP.is_empty() { "/api".to_owned() } else { format!("/apis/{}", K::GROUP) };
    format!("{group}/{}/namespaces/{namespace}/{}", K::VERSION, K::URL_PATH_SEGMENT)
}

impl Cluster {
    /// Sends a request once.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Answer<T>, Refusal> {
        let request = request.map_err(|source| Refusal::Build { source: Box::new(source) })?;
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let after = left.map_or(ATTEMPT, |left| left.clamp(AFTERWARDS, ATTEMPT));
        tokio::time::timeout(after, self.exchange(request)).await.map_err(|_| Refusal::Timeout { after })?
    }

    async fn exchange<T: DeserializeOwned>(&self, request: http::Request<Vec<u8>>) -> Result<Answer<T>, Refusal> {
        let response = self
            .client
            .send(request.map(Body::from))
            .await
            .map_err(|source| Refusal::transport(&self.server, &source))?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let clock_offset = header(http::header::DATE).and_then(clock_offset);
        let retry_after = header(http::header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|source| Refusal::transport(&self.server, &source))?
            .to_bytes();
        if !status.is_success() {
            return Err(Refusal::api(status.as_u16(), &body, retry_after.map(Duration::from_secs)));
        }
        let value = serde_json::from_slice(&body).map_err(|source| Refusal::Decode { source })?;
        Ok(Answer { value, clock_offset })
    }
}

#[expect(clippy::disallowed_methods, reason = "a clock can only be compared at the moment of its answer")]
fn clock_offset(date: &str) -> Option<SignedDuration> {
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(theirs.duration_since(Timestamp::now()))
}
