//! The history of a rollout in ConfigMaps: `cbctl-NAME` is the newest page, `cbctl-NAME.0001` and so on are full ones.
//!
//! Links are added as a compare-and-swap on the page that was read, so that of two writers the second one chains to the
//! first. A full page is written as an immutable ConfigMap. What a page holds, and when it is full, is
//! `rollout::history`'s to say.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::Request;
use kube::core::params::{GetParams, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::request::{Answer, path_of};
use super::{Cluster, Error, FIELD_MANAGER, Refusal, retry};
use crate::rollout::history::entry::Entry;
use crate::rollout::history::page::{Addition, Division, Extent, Page};

/// What a page says of itself.
const EXTENT: &str = "cbctl.dev/history";
/// Full pages that are read at once.
const PAGES_AT_ONCE: usize = 8;
/// How long writing the history may hold a command up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page, and the version of the ConfigMap that it was read from.
struct Stored {
    page: Page,
    resource_version: String,
}

/// The ConfigMap of the newest page.
pub(super) fn newest(rollout: &str) -> String {
    format!("cbctl-{rollout}")
}

impl Cluster {
    /// The newest page of the history of the rollout called `name`; None where there is no history.
    pub async fn newest_history(&self, name: &str) -> Result<Option<Page>, Error> {
        self.read_page(&newest(name)).await
    }

    /// Every page, oldest first; a full one that is gone is None.
    pub async fn whole_history(&self, name: &str, newest: Page) -> Result<Vec<Option<Page>>, Error> {
        let full_pages = newest.extent.as_ref().map_or(0, |extent| extent.page.saturating_sub(1));
        let read = async |number| self.read_page(&full(name, number)).await;
        let full: Result<Vec<Option<Page>>, Error> =
            stream::iter(1..=full_pages).map(read).buffered(PAGES_AT_ONCE).try_collect().await;
        full.map(|mut pages| {
            pages.push(Some(newest));
            pages
        })
    }

    /// Adds what `compose` makes of the newest page to the history of the rollout called `name`. It is asked again when
    /// somebody else has written meanwhile.
    pub async fn write_history(&self, name: &str, compose: impl Fn(&Page) -> Vec<Entry>) -> Result<(), Error> {
        // Whoever was interrupted still has to write down what was done.
        let mut never = std::future::pending();
        let write = async || self.try_to_write_history(name, &compose).await;
        retry(Instant::now() + PATIENCE, &mut never, |_| (), write).await
    }

    async fn try_to_write_history(&self, name: &str, compose: &impl Fn(&Page) -> Vec<Entry>) -> Result<(), Error> {
        let map = newest(name);
        let failed = |source| self.cannot_write_history(&map, source);
        let stored = self.page(&map).await.map_err(failed)?;
        let page = stored.as_ref().map(|stored| stored.page.clone()).unwrap_or_default();
        let entries = compose(&page);
        if entries.is_empty() {
            return Ok(());
        }
        let addition = page.add(entries).map_err(|source| failed(Refusal::Decode { source }))?;
        let Some(Stored { resource_version, .. }) = stored else {
            return self.create_page(&map, &addition.texts, &addition.extent, false).await;
        };
        if let Some(Division { closed, rest }) = page.divide(&addition) {
            self.close_page(name, &map, &resource_version, &closed, &rest).await?;
            // The rest is a page of its own now: it is read anew.
            return Box::pin(self.try_to_write_history(name, compose)).await;
        }
        let Addition { texts, extent } = addition;
        self.patch_page(&map, &resource_version, json!(texts), &extent).await
    }

    /// Moves the links of a full page out of the newest one. One that exists already was written by somebody who did
    /// not come any further: it is the same unless the newest page has grown since.
    async fn close_page(
        &self,
        name: &str,
        newest: &str,
        resource_version: &str,
        closed: &Page,
        rest: &Extent,
    ) -> Result<(), Error> {
        let Some(extent) = &closed.extent else { return Ok(()) };
        let map = full(name, extent.page);
        let (mut closed, mut rest) = (closed.clone(), rest.clone());
        match self.create_page(&map, &closed.texts, extent, true).await {
            Err(error) if error.is_conflict() => {
                let there = self.read_page(&map).await?;
                if let Some((there, extent)) = there.and_then(|page| Some((page.clone(), page.extent?))) {
                    rest = Extent { first: extent.last + 1, before: extent.seal, ..rest };
                    closed = there;
                }
            }
            created => created?,
        }
        let gone: Map<String, Value> = closed.texts.into_keys().map(|key| (key, Value::Null)).collect();
        self.patch_page(newest, resource_version, Value::Object(gone), &rest).await
    }

    async fn read_page(&self, map: &str) -> Result<Option<Page>, Error> {
        let cannot = |source| Error::ReadHistory { namespace: self.namespace.clone(), name: map.to_owned(), source };
        Ok(self.page(map).await.map_err(cannot)?.map(|stored| stored.page))
    }

    async fn page(&self, map: &str) -> Result<Option<Stored>, Refusal> {
        let request = Request::new(path_of::<ConfigMap>(&self.namespace)).get(map, &GetParams::default());
        let answer: Result<Answer<ConfigMap>, Refusal> = self.send(request).await;
        match answer {
            Ok(answer) => Ok(Some(Stored::of(answer.value))),
            Err(Refusal::Api { code: 404, .. }) => Ok(None),
            Err(source) => Err(source),
        }
    }

    async fn create_page(
        &self,
        map: &str,
        texts: &BTreeMap<String, String>,
        extent: &Extent,
        immutable: bool,
    ) -> Result<(), Error> {
        let labels = json!({"app.kubernetes.io/managed-by": FIELD_MANAGER});
        let metadata = json!({"name": map, "labels": labels, "annotations": annotation(extent)});
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts, "immutable": immutable});
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let request =
            Request::new(path_of::<ConfigMap>(&self.namespace)).create(&params, body.to_string().into_bytes());
        let created: Result<Answer<ConfigMap>, Refusal> = self.send(request).await;
        created.map(drop).map_err(|source| self.cannot_write_history(map, source))
    }

    async fn patch_page(&self, map: &str, resource_version: &str, data: Value, extent: &Extent) -> Result<(), Error> {
        let metadata = json!({"resourceVersion": resource_version, "annotations": annotation(extent)});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"metadata": metadata, "data": data}));
        let request = Request::new(path_of::<ConfigMap>(&self.namespace)).patch(map, &params, &patch);
        let patched: Result<Answer<ConfigMap>, Refusal> = self.send(request).await;
        patched.map(drop).map_err(|source| self.cannot_write_history(map, source))
    }

    fn cannot_write_history(&self, map: &str, source: Refusal) -> Error {
        Error::WriteHistory { namespace: self.namespace.clone(), name: map.to_owned(), source }
    }
}

impl Stored {
    fn of(map: ConfigMap) -> Self {
        let annotations = map.metadata.annotations.unwrap_or_default();
        let extent = annotations.get(EXTENT).and_then(|text| serde_json::from_str(text).ok());
        let page = Page { extent, texts: map.data.unwrap_or_default() };
        Self { page, resource_version: map.metadata.resource_version.unwrap_or_default() }
    }
}

fn full(name: &str, number: u32) -> String {
    // No name of a rollout has a dot in it.
    format!("cbctl-{name}.{number:04}")
}

fn annotation(extent: &Extent) -> Value {
    // The fields are numbers and texts.
    json!({ EXTENT: serde_json::to_string(extent).unwrap_or_default() })
}
