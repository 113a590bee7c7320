//! The canary that cbctl makes, as its tests see it.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::{World, files, until};

pub const CANARY: &str = "storefront-canary";
/// A router that divides by weights, as in `traffic:` of rollout.yaml.
pub const ROUTE: &str = "httproute: {name: public, stable: store, canary: store-canary}";

impl World {
    /// A healthy service of two pods that has been promoted to shadow, before a phase with canary steps.
    pub async fn before_a_canary() -> Self {
        let world = Self::empty().await;
        world.write_files(files::STEPPED);
        world.deploy(|_| ()).await;
        world.promote_through(&["shadow"]).await;
        world
    }

    /// The same with a declared router, which may be made meanwhile.
    pub async fn before_a_canary_behind(router: &str, make: impl AsyncFnOnce(&Self)) -> Self {
        let world = Self::empty().await;
        world.write_files(files::STEPPED);
        world.append("phases/rollout.yaml", &format!("traffic: {{{router}, canary_labels: {{track: canary}}}}\n"));
        world.deploy(|manifest| manifest["spec"]["template"]["metadata"]["labels"]["track"] = json!("stable")).await;
        make(&world).await;
        world.promote_through(&["shadow"]).await;
        world
    }

    /// The same as [`Self::before_a_canary`], so many steps into that phase.
    pub async fn at_step(steps: usize) -> Self {
        let world = Self::before_a_canary().await;
        for _ in 0..steps {
            world.cbctl(&["promote", "cache"]).await.expect(0, &["done in"]);
        }
        world
    }

    pub async fn canary(&self) -> Option<Deployment> {
        self.deployments().get_opt(CANARY).await.unwrap()
    }

    /// Pods of the canary that are there, those that end included.
    pub async fn canary_pods(&self) -> Vec<Pod> {
        self.pods().await.into_iter().filter(is_canary).collect()
    }

    /// One more pod that looks like the canary's, and that no controller looks after; its name.
    pub async fn add_a_pod_of_the_canary(&self) -> String {
        let mut pod = self.canary_pods().await.remove(0);
        let name = format!("{CANARY}-0-alone");
        let mut labels = pod.metadata.labels.unwrap_or_default();
        labels.remove("pod-template-hash");
        pod.metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
        pod.status = None;
        self.pod_objects().create(&PostParams::default(), &pod).await.unwrap();
        name
    }

    pub async fn delete_pod(&self, name: &str) {
        self.pod_objects().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// All others of the service.
    pub async fn stable_pods(&self) -> Vec<Pod> {
        self.pods().await.into_iter().filter(|pod| !is_canary(pod)).collect()
    }

    /// A flag's literal value in the canary's template.
    pub async fn canary_flag(&self, flag: &str) -> Option<String> {
        let pod = self.canary().await?.spec?.template.spec?;
        let env = pod.containers.into_iter().next()?.env?;
        env.into_iter().find(|entry| entry.name == flag)?.value
    }

    /// Nothing of a canary is left: no Deployment, no pod, no record.
    pub async fn until_no_canary(&self) {
        until("nothing of the canary is left", async || {
            let gone = self.canary().await.is_none() && self.canary_pods().await.is_empty();
            (gone && self.record("rollout-canary").await.is_none()).then_some(())
        })
        .await;
    }
}

fn is_canary(pod: &Pod) -> bool {
    pod.metadata.labels.iter().flatten().any(|(key, _)| key == "cbctl.dev/canary")
}
