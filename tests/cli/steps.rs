//! A phase that moves in steps: a canary of one pod, a share of all, everything.

use serde_json::json;

use crate::harness::World;
use crate::harness::canary::CANARY;
use crate::harness::cluster::env_of;

#[tokio::test]
async fn the_first_step_makes_a_canary_like_the_live_one_with_the_flags_of_the_phase() {
    let world = World::before_a_canary().await;
    let pods = world.pod_names().await;
    let run = world.cbctl(&["promote", "cache"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront-canary   pods   0 -> 1
    done in AGE: cache, step 1 of 3 is entered, 1 canary pod runs it beside 2, 33% of all
    next: cbctl check
    ------- stderr -------
    canary and way back rehearsed: 3 requests, about AGE, allowed for admin, nothing in the way
    cache, step 1 of 3: 1 canary pod
    deployment/storefront-canary is made
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    POST deployments
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert!(world.pod_names().await.is_superset(&pods), "no stable pod was restarted");
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    assert_eq!(world.canary_flag("CB_CACHE_ENABLED").await.as_deref(), Some("true"));
    assert_eq!(world.canary_flag("CB_DB_ENABLED").await.as_deref(), Some("false"));
    let (live, canary) = (world.deployment().await, world.canary().await.unwrap());
    let owner = &canary.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.name.as_str(), Some(&owner.uid)), ("storefront", live.metadata.uid.as_ref()));
    let labels = canary.spec.unwrap().template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels["app"], "store-pods", "the same Service reaches it");
    assert_eq!(labels["cbctl.dev/canary"], "true");
}

#[tokio::test]
async fn a_greater_share_is_made_of_more_pods_and_full_takes_the_canary_away() {
    let world = World::at_step(1).await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 2 of 3 is entered, 2 canary pods"]);
    assert_eq!(world.canary_pods().await.len(), 2);
    let run = world.cbctl(&["promote", "cache"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront   CB_CACHE_ENABLED   false -> true
          CB_CACHE_OP_TIMEOUT_MS   (not set) -> 3000
      deployment/storefront-canary   pods   2 -> 0
    done in AGE: cache, step 3 of 3 is entered, every pod is healthy
    next: cbctl check
    ------- stderr -------
    way back rehearsed: 7 requests, about AGE, allowed for admin, nothing in the way
    cache, step 3 of 3: 2 flags of deployment/storefront change, the canary goes
    deployment/storefront-canary is deleted
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/storefront
    DRYRUN deployments/storefront-canary
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    DELETE deployments/storefront-canary
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("true".to_owned()); 2]);
    world.until_no_canary().await;
    let after = world.cbctl(&["promote", "cache"]).await;
    after.expect(0, &["complete: cache is complete, nothing to do"]);
}

#[tokio::test]
async fn a_rollback_takes_the_canary_back_step_by_step() {
    let world = World::at_step(2).await;
    let run = world.cbctl(&["rollback"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront-canary   pods   2 -> 1
    done in AGE: back at cache, step 1; 1 canary pod runs it beside 2, 33% of all
    ------- stderr -------
    back at cache, step 1: 1 canary pod
    deployment/storefront-canary is brought to what is recorded
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    PATCH deployments/storefront-canary
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert_eq!(world.canary_pods().await.len(), 1);
    world.cbctl(&["rollback", "--to", "shadow"]).await.expect(0, &["back at shadow, step 1"]);
    world.until_no_canary().await;
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}

#[tokio::test]
async fn a_rollback_from_everything_makes_the_canary_again() {
    let world = World::at_step(3).await;
    world.cbctl(&["rollback"]).await.expect(0, &["back at cache, step 2"]);
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    assert_eq!(world.canary_pods().await.len(), 2);
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 3 of 3 is entered"]);
    world.until_no_canary().await;
}

#[tokio::test]
async fn abort_leads_back_to_before_there_was_a_canary() {
    let world = World::at_step(2).await;
    let run = world.cbctl(&["abort", "--reason", "slow"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront-canary   pods   2 -> 0
    done in AGE: back at shadow, step 1; the canary is gone
    ------- stderr -------
    back at shadow, step 1: the canary goes
    deployment/storefront-canary is deleted
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    DELETE deployments/storefront-canary
    GET deployments/storefront
    GET deployments/storefront-canary
    LIST pods
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    world.until_no_canary().await;
    world.cbctl(&["abort"]).await.expect(0, &["nothing to do: there is no canary"]);
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 1 of 3 is entered"]);
}

#[tokio::test]
async fn an_emergency_switches_the_canary_off_and_the_next_promotion_begins_anew() {
    let world = World::at_step(2).await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["every breaker of 2 deployments is off"]);
    assert_eq!(world.canary_flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    world.cbctl(&["rollback"]).await.expect(0, &["an emergency rollback is in force"]);
    assert!(world.canary().await.is_some(), "it is off, and may stay");
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 1 of 3 is entered, 1 canary pod"]);
    assert_eq!(world.canary_flag("CB_CACHE_ENABLED").await.as_deref(), Some("true"));
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["every breaker of 2 deployments is off"]);
    world.cbctl(&["abort"]).await.expect(0, &["the canary is gone"]);
    world.until_no_canary().await;
}

#[tokio::test]
async fn one_breaker_off_takes_the_canary_along_that_runs_it() {
    let world = World::at_step(1).await;
    world.cbctl(&["rollback", "cache"]).await.expect(0, &["back at shadow, step 1"]);
    world.until_no_canary().await;
}

#[tokio::test]
async fn a_canary_that_does_not_start_is_taken_back() {
    let world = World::before_a_canary().await;
    world.patch_as_somebody_else(json!({"spec": {"progressDeadlineSeconds": 3}})).await;
    world.until_healthy().await;
    world.api.on(
        "POST deployments",
        crate::harness::proxy::Act::rewrite(|made| {
            made["spec"]["template"]["metadata"]["annotations"] = json!({"sim.cbctl.dev/image-error": "yes"});
        }),
    );
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(5, &["rollback: cache, step 1 of 3 did not become healthy"]);
    world.until_no_canary().await;
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}

#[tokio::test]
async fn somebody_elses_deployment_of_that_name_is_left_alone() {
    let world = World::before_a_canary().await;
    let mut manifest = crate::harness::cluster::service();
    manifest["metadata"]["name"] = json!(CANARY);
    manifest["spec"]["replicas"] = json!(0);
    env_of(&mut manifest).clear();
    let stranger = serde_json::from_value(manifest).unwrap();
    world.deployments().create(&kube::api::PostParams::default(), &stranger).await.unwrap();
    let version = async || world.canary().await.unwrap().metadata.generation;
    let before = version().await;
    world.cbctl(&["promote", "cache"]).await.expect(3, &["held", "was not made by cbctl"]);
    world.cbctl(&["abort"]).await.expect(0, &["there is no canary"]);
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn a_live_template_that_changes_holds_until_the_canary_is_made_anew() {
    let world = World::at_step(1).await;
    world.patch_as_somebody_else(json!({"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}})).await;
    world.until_healthy().await;
    world.cbctl(&["promote", "cache"]).await.expect(3, &["held", "the live pod template has changed"]);
    world.cbctl(&["promote", "cache", "--adopt"]).await.expect(0, &["cache, step 1 of 3 is entered, 1 canary pod"]);
    let canary = world.canary().await.unwrap();
    assert_eq!(canary.spec.unwrap().template.metadata.unwrap().labels.unwrap()["version"], "2");
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 2 of 3 is entered"]);
}

#[tokio::test]
async fn what_was_cut_short_is_gone_on_with() {
    let world = World::before_a_canary().await;
    world.api.on("POST deployments", crate::harness::proxy::Act::status(503));
    let run = world.cbctl(&["promote", "cache"]).start();
    run.says("deployment/storefront-canary is made").await;
    run.signal(rustix::process::Signal::KILL);
    run.finish().await;
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert!(world.canary().await.is_none());
    world.api.repair();
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 1 of 3 is entered, 1 canary pod"]);
    assert_eq!(world.canary_pods().await.len(), 1);
}
