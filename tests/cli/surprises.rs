//! What happens to a canary from outside while it bakes: another image, another number of pods, a node that goes away.

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::harness::cluster::simulated;
use crate::harness::{CONTAINER, World, until};
use crate::outage::OwnCluster;

impl World {
    /// A service of so many pods at the first step of cache, with all figures.
    async fn baking(pods: u32) -> Self {
        let world = Self::before_a_story(pods).await;
        world.go_on("cache").await.expect(0, &["cache, step 1 of 3 is entered, 1 canary pod"]);
        world.check_until("cache", 0).await.expect(0, &["passed: cache, step 2 of 3 can be entered"]);
        world
    }

    /// When the present place began.
    async fn since(&self) -> String {
        self.record("rollout").await.unwrap()["place"]["since"].as_str().unwrap().to_owned()
    }

    async fn scale(&self, pods: u32) {
        self.patch_as_somebody_else(json!({"spec": {"replicas": pods}})).await;
    }
}

#[tokio::test]
async fn another_image_under_a_canary() {
    let world = World::baking(2).await;
    let since = world.since().await;
    let containers = json!([{"name": CONTAINER, "image": "registry.invalid/storefront:2"}]);
    world.patch_as_somebody_else(json!({"spec": {"template": {"spec": {"containers": containers}}}})).await;
    world.until_healthy().await;
    let held = world.check_until("cache", 3).await;
    held.expect(
        3,
        &["held   the live pod template has changed since deployment/storefront-canary was made", "--adopt"],
    );
    world.cbctl(&["promote", "cache"]).await.expect(3, &["the live pod template has changed"]);
    let adopted = world.cbctl(&["promote", "cache", "--adopt"]).await;
    adopted.expect(0, &["cache, step 1 of 3 is entered, 1 canary pod"]);
    assert!(world.since().await > since, "it bakes from the beginning");
    let image = world.canary_pods().await.into_iter().map(|pod| pod.spec.unwrap().containers[0].image.clone().unwrap());
    assert_eq!(image.collect::<Vec<_>>(), ["registry.invalid/storefront:2"]);
    world.cbctl(&["check", "cache"]).await.expect(4, &["cache, step 1 of 3 bakes"]);
    world.go_on("cache").await.expect(0, &["cache, step 2 of 3 is entered"]);
}

#[tokio::test]
async fn more_pods_beside_a_canary() {
    let world = World::baking(2).await;
    world.scale(5).await;
    world.until_healthy().await;
    world.check_says("cache", &["exposure: 17% by pods (1 of 6)"]).await;
    let run = world.check_until("cache", 0).await;
    run.expect(0, &["exposure: 17% by pods (1 of 6)", "beside 5 stable pods"]);
    let next = world.go_on("cache").await;
    next.expect(0, &["pods   1 -> 5", "5 canary pods run it beside 5, 50% of all"]);
    world.go_on("cache").await.expect(0, &["cache, step 3 of 3 is entered, every pod is healthy"]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "true")]).await;
}

#[tokio::test]
async fn fewer_pods_beside_a_canary() {
    let world = World::baking(3).await;
    world.scale(1).await;
    world.until_healthy().await;
    world.check_says("cache", &["exposure: 50% by pods (1 of 2)"]).await;
    world.check_until("cache", 0).await.expect(0, &["beside 1 stable pod"]);
    let next = world.go_on("cache").await;
    next.expect(0, &["1 canary pod runs it beside 1, 50% of all"]);
    world.go_on("cache").await.expect(0, &["cache, step 3 of 3 is entered, every pod is healthy"]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "true")]).await;
}

#[tokio::test]
async fn a_node_that_goes_away_under_a_canary() {
    let cluster = OwnCluster::up("node");
    let world = cluster.empty_world().await;
    world.begin_a_story(2).await;
    world.go_on("cache").await.expect(0, &["cache, step 1 of 3 is entered, 1 canary pod"]);
    world.check_until("cache", 0).await;
    let canary = world.canary_pods().await.remove(0);
    let (lost, node) = (canary.metadata.name.unwrap(), canary.spec.unwrap().node_name.unwrap());
    let dead = json!({"metadata": {"annotations": {simulated("dead"): "true", simulated("evict-after"): "3s"}}});
    let nodes: Api<Node> = Api::all(world.kube.clone());
    nodes.patch(&node, &PatchParams::default(), &Patch::Merge(dead)).await.unwrap();
    until("the lost pod is missed", async || {
        let run = world.cbctl(&["check", "cache"]).await;
        assert!([0, 4].contains(&run.status), "{run}");
        (run.status == 4 && run.says("of 3 ready")).then_some(())
    })
    .await;
    let run = world.check_until("cache", 0).await;
    let pods = world.canary_pods().await;
    assert!(pods.iter().all(|pod| pod.metadata.name.as_ref() != Some(&lost)), "a lost pod passes:\n{run}");
    world.go_on("cache").await.expect(0, &["cache, step 2 of 3 is entered, 2 canary pods"]);
    drop(world);
}
