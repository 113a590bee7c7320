//! The Deployment of a canary: found, made from the live one, brought to a record, and deleted.
//!
//! It does not know what is to become of it.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use kube::core::Request;
use kube::core::params::{DeleteParams, GetParams, PostParams, Preconditions, PropagationPolicy};
use serde_json::{Map, Value, json};

use super::request::{Answer, path_of};
use super::{Cluster, Error, FIELD_MANAGER, Refusal, annotation, convert, patch, template};
use crate::rollout::canary::{Beside, CANARY_LABEL, Canary, canary_of};
use crate::rollout::name::FlagName;
use crate::rollout::router::{Router, Split, Unsplittable};
use crate::rollout::workload::Workload;

/// What the canary's template was made from, on the canary.
const TEMPLATE: &str = "cbctl.dev/template";
/// Fields of a Deployment that its canary has as well; how many pods it has and how they are replaced is its own.
const SHARED: [&str; 3] = ["minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit"];

impl Cluster {
    /// What has the name of the Deployment's canary.
    pub(super) async fn find_beside(
        &self,
        main: &Deployment,
        container: &str,
        flags: &BTreeSet<FlagName>,
    ) -> Result<Option<Beside>, Error> {
        let name = canary_of(main.metadata.name.as_deref().unwrap_or_default());
        match self.deployment(&name).await {
            Ok(found) => Ok(Some(beside(&found.value, main.metadata.uid.as_deref(), container, flags))),
            Err(Error::ReadDeployment { source: Refusal::Api { code: 404, .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How the router divides the traffic. No error of it is one of the whole look: what needs no router goes on.
    pub(super) async fn find_split(&self, router: &Router) -> Result<Split, Unsplittable> {
        self.split(router).await.unwrap_or_else(|error| {
            let detail = error.refusal().map_or_else(|| error.to_string(), ToString::to_string);
            let router = router.object();
            Err(match error.is_transient() {
                true => Unsplittable::Unanswered { router, detail },
                false => Unsplittable::Unreadable { router, detail },
            })
        })
    }

    /// Makes the canary, of the live Deployment as it is now.
    ///
    /// # Errors
    /// [`Error::TemplateChanged`] where that is not any more what the canary is to be made from.
    pub async fn make_canary(
        &self,
        workload: &Workload,
        canary: &Canary,
        router: Option<&Router>,
        dry_run: bool,
    ) -> Result<(), Error> {
        let live = self.live(workload, canary).await?;
        let manifest = manifest(&live, workload, canary, router);
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let body = serde_json::to_vec(&manifest).unwrap_or_default();
        let request = Request::new(path_of::<Deployment>(&self.namespace)).create(&params, body);
        let made: Result<Answer<Value>, Refusal> = self.send(request).await;
        made.map(drop).map_err(|source| Error::MakeCanary {
            namespace: self.namespace.clone(),
            name: canary_of(&workload.deployment),
            source,
        })
    }

    /// Brings the canary that is there to what it is to be.
    pub async fn adapt_canary(
        &self,
        workload: &Workload,
        beside: &Beside,
        canary: &Canary,
        router: Option<&Router>,
        dry_run: bool,
    ) -> Result<(), Error> {
        let live = self.live(workload, canary).await?;
        let mut whole = manifest(&live, workload, canary, router);
        whole["spec"]["template"]["$patch"] = json!("replace");
        let name = canary_of(&workload.deployment);
        let patch = json!({
            "metadata": {"resourceVersion": beside.resource_version, "annotations": whole["metadata"]["annotations"]},
            "spec": {"replicas": canary.pods, "template": whole["spec"]["template"]},
        });
        self.patch(&name, &patch, dry_run).await.map(drop)
    }

    /// Gives the pods of a canary the values of the stable ones, without a look at what it is to be: whoever still sends
    /// it traffic gets what all others get.
    pub async fn switch_canary_to_stable(&self, workload: &Workload, beside: &Beside) -> Result<(), Error> {
        let patch = patch::of_values(&workload.container, &beside.resource_version, &workload.values());
        self.patch(&canary_of(&workload.deployment), &patch, false).await.map(drop)
    }

    /// Deletes the canary that was found, and no other of its name; its pods end in the background.
    pub async fn delete_canary(&self, workload: &Workload, beside: &Beside, dry_run: bool) -> Result<(), Error> {
        let name = canary_of(&workload.deployment);
        let params = DeleteParams {
            dry_run,
            preconditions: Some(Preconditions { uid: Some(beside.uid.clone()), resource_version: None }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let request = Request::new(path_of::<Deployment>(&self.namespace)).delete(&name, &params);
        match self.send::<Value>(request).await {
            Ok(_) | Err(Refusal::Api { code: 404, .. }) => Ok(()),
            Err(source) => Err(Error::DeleteCanary { namespace: self.namespace.clone(), name, source }),
        }
    }

    /// Takes the record of a canary of which nothing is left off the Deployment.
    pub async fn forget_canary(&self, workload: &Workload) -> Result<(), Error> {
        let patch = json!({"metadata": {
            "resourceVersion": workload.resource_version,
            "annotations": {annotation::CANARY: null},
        }});
        self.patch(&workload.deployment, &patch, false).await.map(drop)
    }

    /// The live Deployment with every field, also those that this program does not know; where no emergency has come
    /// since it was looked at.
    async fn live(&self, workload: &Workload, canary: &Canary) -> Result<Value, Error> {
        let name = &workload.deployment;
        let request = Request::new(path_of::<Deployment>(&self.namespace)).get(name, &GetParams::default());
        let unread = |source| Error::ReadDeployment { namespace: self.namespace.clone(), name: name.clone(), source };
        let live: Value = self.send(request).await.map_err(unread)?.value;
        let typed: Deployment =
            serde_json::from_value(live.clone()).map_err(|source| unread(Refusal::Decode { source }))?;
        let wanted = canary.flags.keys().cloned().collect();
        let is_as_seen = annotation::emergency(&typed) == workload.emergency;
        if is_as_seen && template::fingerprint(&typed, &workload.container, &wanted) == canary.template {
            return Ok(live);
        }
        Err(Error::TemplateChanged { namespace: self.namespace.clone(), name: name.clone() })
    }
}

fn beside(found: &Deployment, main: Option<&str>, container: &str, flags: &BTreeSet<FlagName>) -> Beside {
    let metadata = &found.metadata;
    let owned = metadata.owner_references.iter().flatten().any(|owner| Some(owner.uid.as_str()) == main);
    let pod = found.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let of_container = pod.and_then(|pod| pod.containers.iter().find(|found| found.name == container));
    let text = |key| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned();
    Beside {
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
        is_ours: owned && convert::is_marked_as_canary(found) && text(TEMPLATE).is_some(),
        terminating: metadata.deletion_timestamp.is_some(),
        template: text(TEMPLATE),
        flags: of_container.map(|found| convert::flags(found, flags)).unwrap_or_default(),
        replicas: convert::replicas(found),
    }
}

/// The canary as it is created. Its labels are those of the live one and one more, so that the same Services reach both,
/// unless a router tells them apart by others.
fn manifest(live: &Value, workload: &Workload, canary: &Canary, router: Option<&Router>) -> Value {
    let mut template = live["spec"]["template"].clone();
    let labels = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut);
    let mut labels = labels.map(std::mem::take).unwrap_or_default();
    labels.extend(
        router.into_iter().flat_map(|router| &router.canary_labels).map(|(key, value)| (key.clone(), json!(value))),
    );
    labels.insert(CANARY_LABEL.to_owned(), json!("true"));
    template["metadata"]["labels"] = Value::Object(labels);
    patch::set_values(&mut template, &workload.container, &canary.flags);
    let mut selector = live["spec"]["selector"].clone();
    selector["matchLabels"][CANARY_LABEL] = json!("true");
    let shared = SHARED.iter().filter_map(|field| Some(((*field).to_owned(), live["spec"].get(field)?.clone())));
    let mut spec: Map<String, Value> = shared.collect();
    spec.insert("replicas".to_owned(), json!(canary.pods));
    spec.insert("selector".to_owned(), selector);
    spec.insert("template".to_owned(), template);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": canary_of(&workload.deployment),
            "labels": {CANARY_LABEL: "true"},
            "annotations": {TEMPLATE: canary.template},
            // It is collected when the live one is deleted.
            "ownerReferences": [{
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": workload.deployment,
                "uid": workload.uid,
            }],
        },
        "spec": spec,
    })
}
