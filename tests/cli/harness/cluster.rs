//! What a test does in the cluster as its administrator: the service, the scenario, and what somebody else changes.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::proxy::Act;
use super::{CONTAINER, DEPLOYMENT, FLAGS, ROLLOUT, World, required, until};

/// The user without rights.
pub async fn alice() -> Client {
    client_of(&Path::new(&required("CBCTL_TEST_DIR")).join("alice.kubeconfig")).await
}

pub async fn client_of(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()).unwrap()
}

pub async fn make_namespace(client: &Client) -> String {
    let random = uuid::Uuid::now_v7().simple().to_string();
    let name = format!("shop-{}", &random[random.len() - 8..]);
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    name
}

pub async fn delete_namespace(client: &Client, name: &str) {
    let _ = Api::<Namespace>::all(client.clone()).delete(name, &DeleteParams::default()).await;
}

/// On a pod template, what makes a restart.
pub const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// An annotation that steers the fake kubelet.
pub fn simulated(wish: &str) -> String {
    format!("sim.cbctl.dev/{wish}")
}

/// A Deployment of two pods with every breaker flag a literal "false".
pub fn service() -> Value {
    let env: Vec<Value> = FLAGS.iter().map(|flag| json!({"name": flag, "value": "false"})).collect();
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": DEPLOYMENT},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "store-pods"}},
            "template": {
                "metadata": {"labels": {"app": "store-pods"}, "annotations": {}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": CONTAINER,
                        "image": "registry.invalid/storefront:1",
                        "env": env,
                        "ports": [{"name": "metrics", "containerPort": 8080}],
                    }],
                },
            },
        },
    })
}

/// The Deployment's environment entries, to be changed.
pub fn env_of(manifest: &mut Value) -> &mut Vec<Value> {
    manifest["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().unwrap()
}

/// Puts an annotation on the pod template.
pub fn annotate(manifest: &mut Value, key: &str, value: &str) {
    manifest["spec"]["template"]["metadata"]["annotations"][key] = json!(value);
}

impl World {
    pub fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.kube.clone(), &self.namespace)
    }

    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.kube.clone(), &self.namespace)
    }

    /// Creates the service as the test wants it, without waiting.
    pub async fn create(&self, adapt: impl FnOnce(&mut Value)) {
        let mut manifest = service();
        adapt(&mut manifest);
        let deployment = serde_json::from_value(manifest).unwrap();
        self.deployments().create(&PostParams::default(), &deployment).await.unwrap();
    }

    /// Creates the service and waits until every pod is healthy.
    pub async fn deploy(&self, adapt: impl FnOnce(&mut Value)) {
        self.create(adapt).await;
        self.until_healthy().await;
    }

    pub async fn until_healthy(&self) {
        until("every pod of the service is healthy", async || {
            let deployment = self.deployment().await;
            let (spec, status) = (deployment.spec?, deployment.status?);
            let wanted = spec.replicas?;
            let counts = [status.replicas, status.updated_replicas, status.available_replicas];
            let settled = status.observed_generation == deployment.metadata.generation
                // The last of them make another version when they have gone.
                && status.terminating_replicas.unwrap_or_default() == 0
                && counts.iter().all(|count| count.unwrap_or_default() == wanted);
            (settled && self.stable_pods().await.len() == usize::try_from(wanted).ok()?).then_some(())
        })
        .await;
    }

    pub async fn deployment(&self) -> Deployment {
        self.deployments().get(DEPLOYMENT).await.unwrap()
    }

    pub async fn resource_version(&self) -> String {
        self.deployment().await.metadata.resource_version.unwrap()
    }

    pub fn pod_objects(&self) -> Api<Pod> {
        Api::namespaced(self.kube.clone(), &self.namespace)
    }

    pub async fn pods(&self) -> Vec<Pod> {
        self.pod_objects().list(&ListParams::default().labels("app=store-pods")).await.unwrap().items
    }

    pub async fn pod_names(&self) -> BTreeSet<String> {
        self.pods().await.into_iter().filter_map(|pod| pod.metadata.name).collect()
    }

    /// The pod template as the API server has it, with fields that the types do not know.
    pub async fn template(&self) -> Value {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/{DEPLOYMENT}", self.namespace);
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let deployment: Value = self.kube.request(request).await.unwrap();
        deployment["spec"]["template"].clone()
    }

    /// The container's environment as the Deployment has it now.
    pub async fn env(&self) -> Vec<EnvVar> {
        let template = self.deployment().await.spec.unwrap().template.spec.unwrap();
        template.containers.into_iter().find(|container| container.name == CONTAINER).unwrap().env.unwrap_or_default()
    }

    /// A flag's literal value in the Deployment.
    pub async fn flag(&self, flag: &str) -> Option<String> {
        self.env().await.into_iter().find(|entry| entry.name == flag)?.value
    }

    /// A flag's literal value in each pod.
    pub async fn flag_in_pods(&self, flag: &str) -> Vec<Option<String>> {
        let value = |pod: Pod| {
            let container = pod.spec?.containers.into_iter().find(|container| container.name == CONTAINER)?;
            container.env?.into_iter().find(|entry| entry.name == flag)?.value
        };
        self.pods().await.into_iter().map(value).collect()
    }

    /// One of cbctl's records on the Deployment.
    pub async fn record(&self, name: &str) -> Option<Value> {
        let annotations = self.deployment().await.metadata.annotations?;
        serde_json::from_str(annotations.get(&format!("cbctl.dev/{name}"))?).unwrap()
    }

    /// The recorded place, such as "cache 1".
    pub async fn place(&self) -> Option<String> {
        let place = self.record("rollout").await?["place"].clone();
        Some(format!("{} {}", place["phase"].as_str().unwrap(), place["step"]))
    }

    /// Entries of the rollout's history, oldest first.
    pub async fn history(&self) -> Vec<Value> {
        let map = self.config_maps().get_opt(&format!("cbctl-{ROLLOUT}")).await.unwrap();
        let data = map.and_then(|map| map.data).unwrap_or_default();
        data.values().map(|entry| serde_json::from_str(entry).unwrap()).collect()
    }

    /// Changes the Deployment as another program would.
    pub async fn patch_as_somebody_else(&self, patch: Value) {
        patch_deployment(&self.kube, &self.namespace, patch).await;
    }

    /// Sets a flag as `kubectl set env` would.
    pub async fn set_flag_as_somebody_else(&self, flag: &str, value: &str) {
        self.patch_as_somebody_else(flag_patch(flag, value)).await;
    }

    /// A ConfigMap, such as one that flags come from.
    pub async fn make_config_map(&self, name: &str, data: Value) {
        let map = json!({"metadata": {"name": name}, "data": data});
        self.config_maps().create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    }

    /// Somebody else changes the Deployment just before the request in question arrives.
    pub fn somebody_writes_first(&self) -> Act {
        self.somebody_patches_first(|| json!({"metadata": {"labels": {"touched": uuid::Uuid::now_v7().to_string()}}}))
    }

    /// The same with a patch of the test's choice.
    pub fn somebody_patches_first(&self, patch: impl Fn() -> Value + Send + Sync + 'static) -> Act {
        let (client, namespace) = (self.kube.clone(), self.namespace.clone());
        Act::before(move || {
            let (client, namespace, patch) = (client.clone(), namespace.clone(), patch());
            async move { patch_deployment(&client, &namespace, patch).await }
        })
    }

    /// Somebody else's patch comes right after the request, before its answer.
    pub fn somebody_patches_after(&self, patch: impl Fn() -> Value + Send + Sync + 'static) -> Act {
        let (client, namespace) = (self.kube.clone(), self.namespace.clone());
        Act::after(move || {
            let (client, namespace, patch) = (client.clone(), namespace.clone(), patch());
            async move { patch_deployment(&client, &namespace, patch).await }
        })
    }

    /// Tells the simulated service how to behave from now on.
    pub async fn scenario(&self, text: &str) {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "sim-scenario"}, "data": {"scenario.yaml": text},
        });
        let params = PatchParams::apply("test").force();
        self.config_maps().patch("sim-scenario", &params, &Patch::Apply(map)).await.unwrap();
    }
}

pub fn flag_patch(flag: &str, value: &str) -> Value {
    let env = json!([{"name": flag, "value": value, "valueFrom": null}]);
    json!({"spec": {"template": {"spec": {"containers": [{"name": CONTAINER, "env": env}]}}}})
}

async fn patch_deployment(client: &Client, namespace: &str, patch: Value) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let params = PatchParams { field_manager: Some("somebody-else".to_owned()), ..PatchParams::default() };
    deployments.patch(DEPLOYMENT, &params, &Patch::Strategic(patch)).await.unwrap();
}
