//! A canary beside the stable pods: compared with them over the same minutes, and judged on its own.
//!
//! The second Deployment is made by hand. Every simulated pod has its own traffic, whatever the number of pods.

use kube::api::PostParams;
use serde_json::json;

use crate::harness::cluster::{env_of, service};
use crate::harness::run::Run;
use crate::harness::{World, files, until};

pub const CANARY: &str = "storefront-canary";

const SHADOW: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: shadow
title: Shadow mode
flags: {CB_CACHE_ENABLED: "false", CB_HTTP_ENABLED: "false", CB_DB_ENABLED: "false"}
steps:
  - {expose: full, bake: 0s}
"#;

/// Only the canary's pods do so badly.
const WORSE: &str = r#"rules:
  - {set: {error_rate: 1%}}
  - {when: {pod: "storefront-canary-.*"}, set: {error_rate: 10%, slow_share: 30%, slow_latency: 800ms}}
"#;

impl World {
    /// A promoted service of some pods whose first phase has these conditions, and a canary of one pod beside it.
    async fn with_a_canary(pods: u32, conditions: &str, scenario: &str) -> Self {
        let world = Self::without_a_canary(pods, conditions, scenario).await;
        world.add_a_canary(1, &[]).await;
        world
    }

    /// A second Deployment beside the first, of so many pods, with these breakers on.
    pub async fn add_a_canary(&self, pods: u32, on: &[&str]) {
        let mut manifest = service();
        manifest["metadata"]["name"] = json!(CANARY);
        manifest["spec"]["replicas"] = json!(pods);
        manifest["spec"]["selector"]["matchLabels"]["cbctl.dev/canary"] = json!("true");
        manifest["spec"]["template"]["metadata"]["labels"]["cbctl.dev/canary"] = json!("true");
        for entry in env_of(&mut manifest) {
            if on.iter().any(|flag| entry["name"] == *flag) {
                entry["value"] = json!("true");
            }
        }
        let canary = serde_json::from_value(manifest).unwrap();
        self.deployments().create(&PostParams::default(), &canary).await.unwrap();
        until("the canary is ready", async || {
            let canary = self.deployments().get(CANARY).await.unwrap();
            (u32::try_from(canary.status?.available_replicas?) == Ok(pods)).then_some(())
        })
        .await;
    }

    async fn without_a_canary(pods: u32, conditions: &str, scenario: &str) -> Self {
        let world = Self::empty().await;
        world.write_files(files::UNGATED);
        world.write("phases/10-shadow.yaml", &format!("{SHADOW}{conditions}"));
        world.scenario(scenario).await;
        world.deploy(|manifest| manifest["spec"]["replicas"] = json!(pods)).await;
        world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
        world
    }

    /// Looks until a check exits so; up to then it may only wait.
    async fn until_decided(&self, status: i32) -> Run {
        until(&format!("check decides {status}"), async || {
            let run = self.cbctl(&["check", "cache"]).await;
            assert!(run.status == status || run.status == 4, "neither {status} nor waiting:\n{run}");
            (run.status == status).then_some(run)
        })
        .await
    }
}

#[tokio::test]
async fn as_good_as_the_stable_pods_passes_and_never_fails() {
    let gates = "gates:\n  - error_rate within 3x of baseline over 8s\n  - p95 within 2x of baseline over 8s\n";
    let world = World::with_a_canary(2, gates, "rules: [{set: {error_rate: 2%}}]").await;
    let run = world.until_decided(0).await;
    run.expect(0, &["passed   error_rate", "passed   p95"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn worse_than_the_stable_pods_fails() {
    let gates = "gates:\n  - error_rate within 1.5x of baseline over 8s\n  - p95 within 10% of baseline over 8s\n";
    let world = World::with_a_canary(2, gates, WORSE).await;
    let run = world.until_decided(3).await;
    run.expect(3, &["failed   error_rate"]);
    until("the latency fails as well", async || world.until_decided(3).await.says("failed   p95").then_some(())).await;
}

#[tokio::test]
async fn worse_than_the_stable_pods_calls_for_a_rollback() {
    let triggers = "rollback:\n  - error_rate beyond 2x of baseline for 8s\n";
    let world = World::with_a_canary(2, triggers, WORSE).await;
    let run = until("the trigger fires", async || {
        let run = world.cbctl(&["check"]).await;
        (run.status == 5).then_some(run)
    })
    .await;
    run.expect(5, &["firing   error_rate"]);
}

#[tokio::test]
async fn a_trigger_fires_on_the_canary_alone() {
    // All together have 1.7 % errors, which the trigger allows.
    let scenario = "rules: [{when: {pod: \"storefront-canary-.*\"}, set: {error_rate: 10%}}]";
    let world = World::with_a_canary(5, "rollback:\n  - error_rate > 2% for 4s\n", scenario).await;
    let run = until("the trigger fires", async || {
        let run = world.cbctl(&["check"]).await;
        (run.status == 5).then_some(run)
    })
    .await;
    run.expect(5, &["firing   error_rate"]);
}

#[tokio::test]
async fn without_a_canary_nothing_is_compared() {
    let gates = "gates:\n  - error_rate within 1.5x of baseline over 8s\n";
    let world = World::without_a_canary(2, gates, "rules: []").await;
    let run = until("the window is full", async || {
        let run = world.cbctl(&["check", "cache"]).await;
        run.says("canary").then_some(run)
    })
    .await;
    run.expect(3, &["no canary runs beside stable pods"]);
}
