//! What one sees while a change is on its way into the pods, and what is told when it does not arrive in time.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::harness::cluster::{annotate, simulated};
use crate::harness::{World, files, until};

impl World {
    /// From now on the namespace has room for so many pods.
    async fn limit_pods(&self, pods: usize) {
        let quota = json!({"metadata": {"name": "pods-of-shop"}, "spec": {"hard": {"pods": pods.to_string()}}});
        let quotas: Api<ResourceQuota> = Api::namespaced(self.kube.clone(), &self.namespace);
        quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
        until("the quota is in force", async || {
            let status = quotas.get("pods-of-shop").await.unwrap().status.unwrap_or_default();
            status.used.is_some_and(|used| !used.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn pods_that_a_quota_forbids_are_told_with_its_name() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.limit_pods(2).await;
    let run = world.cbctl(&["rollback", "--timeout", "10s"]).await;
    run.expect(
        1,
        &[
            "not verified in every pod: 2 of 3 pods still run CB_CACHE_ENABLED=true and 1 setting: 1 waits for quota pods-of-shop",
            "hint: raise the quota pods-of-shop",
        ],
    );
    assert!(run.stdout.is_empty(), "{run}");
    assert!(run.stderr.contains("2 still old, 1 waits for quota pods-of-shop\n"), "no time is known:\n{run}");

    // The same as data; the second run finds the change made.
    let run = world.cbctl(&["rollback", "--timeout", "10s", "-o", "json"]).await;
    let report = run.json();
    assert_eq!((&report["result"], &report["exit"]), (&json!("unverified"), &json!(1)), "{run}");
    let pods = &report["pods"];
    assert_eq!([&pods["new"], &pods["old"], &pods["refused"]["pods"]], [&json!(0), &json!(2), &json!(1)], "{report}");
    assert_eq!(pods["refused"]["quota"], "pods-of-shop", "{report}");
    assert_eq!(pods["still"][0]["flag"], "CB_CACHE_ENABLED", "{report}");
    assert_eq!(pods["still"][0]["value"], json!({"value": {"literal": "true"}}), "{report}");
}

#[tokio::test]
async fn a_paused_deployment_is_told_while_one_waits() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.patch_as_somebody_else(json!({"spec": {"paused": true}})).await;
    let run = world.cbctl(&["rollback", "--timeout", "3s"]).await;
    run.expect(1, &["CB_CACHE_ENABLED=true and 1 setting: the deployment is paused", "hint: kubectl rollout resume"]);
}

#[tokio::test]
async fn the_time_that_is_left_is_told_from_the_first_pod_on() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world
        .deploy(|manifest| {
            manifest["spec"]["replicas"] = json!(4);
            annotate(manifest, &simulated("ready-after"), "2s");
        })
        .await;
    world.promote_through(&["shadow", "cache"]).await;
    let run = world.cbctl(&["rollback"]).await;
    run.expect(0, &["4 of 4 pods run the new values"]);
    let told: Vec<&str> = run.stderr.lines().filter(|line| line.contains("; about ")).collect();
    assert!(told.iter().any(|line| line.starts_with("0 of ")), "before the first pod is there:\n{}", run.stderr);
    assert!(told.iter().all(|line| line.ends_with(" more, 5m at most")), "{told:?}");
    let last = run.stderr.lines().last().unwrap();
    assert_eq!(last, "4 of 4 pods run the new values", "nothing is left");
}

#[tokio::test]
async fn a_pod_that_crashes_is_told_with_its_reason() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on_next(
        1,
        "PATCH deployments/storefront",
        crate::harness::proxy::Act::rewrite(|patch| {
            patch["spec"]["template"]["metadata"] = json!({"annotations": {simulated("image-error"): "yes"}});
        }),
    );
    let run = world.cbctl(&["rollback", "--timeout", "10s"]).await;
    run.expect(
        1,
        &["1 setting: 1 starting (1 ", "IMAGE PULL", "hint: kubectl describe pods says why they do not start"],
    );
}
