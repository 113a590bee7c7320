//! What stands in the way of a promotion before any figure is looked at, and what each of them says lifts it.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::cluster::{env_of, flag_patch, simulated};
use crate::harness::{FLAGS, World, files, until};

#[tokio::test]
async fn holds_when_a_phase_would_be_skipped() {
    let world = World::promoted_to(&["shadow"]).await;
    let run = world.cbctl(&["promote", "http"]).await;
    insta::assert_snapshot!(run, @"
    held: http, step 1 of 1 cannot be entered
    held   phases are entered one by one: next is cache (cbctl promote cache)
    [exit status: 3]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    LIST replicasets
    POST selfsubjectreviews
    ");
}

#[tokio::test]
async fn suggests_the_nearest_phase_for_a_wrong_name() {
    let world = World::new().await;
    let run = world.cbctl(&["promote", "cahce"]).await;
    insta::assert_snapshot!(run, @r"
    ------- stderr -------
    error: unknown phase `cahce`

    hint: did you mean `cache`?
    [exit status: 2]
    ");
}

#[tokio::test]
async fn holds_when_somebody_else_changed_a_flag() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.set_flag_as_somebody_else("CB_CACHE_ENABLED", "false").await;
    world.until_healthy().await;
    let run = world.cbctl(&["promote", "http"]).await;
    insta::assert_snapshot!(run, @"
    held: http, step 1 of 1 cannot be entered
    held   not as the position says: CB_CACHE_ENABLED=false, not true: --adopt accepts it
    [exit status: 3]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    LIST replicasets
    POST selfsubjectreviews
    ");
    world.cbctl(&["promote", "http", "--adopt"]).await.expect(0, &["done in AGE: http, step 1 of 1 is entered"]);
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("true"), "phases are cumulative");
}

#[tokio::test]
async fn holds_when_the_flags_are_those_of_no_phase_until_adopted() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| env_of(manifest)[2]["value"] = json!("perhaps")).await;
    world.cbctl(&["promote"]).await.expect(3, &["CB_DB_ENABLED=perhaps, not false", "--adopt takes it over"]);
    world.cbctl(&["promote", "shadow", "--adopt"]).await.expect(0, &["done in AGE: shadow, step 1 of 1 is entered"]);
    assert_eq!(world.flag("CB_DB_ENABLED").await.as_deref(), Some("false"));
}

#[tokio::test]
async fn holds_on_a_flag_that_comes_from_elsewhere() {
    let reference = json!({"name": FLAGS[0], "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "cache"}}});
    let cases = [
        ("valueFrom", json!({"env": [reference]}), "CB_CACHE_ENABLED is a reference (valueFrom)"),
        (
            "set twice",
            json!({"env": [{"name": FLAGS[0], "value": "false"}, {"name": FLAGS[0], "value": "false"}]}),
            "CB_CACHE_ENABLED is set twice",
        ),
        (
            "envFrom",
            json!({"env": [], "envFrom": [{"configMapRef": {"name": "flags"}}]}),
            "CB_CACHE_ENABLED is perhaps set through envFrom by configmap/flags",
        ),
    ];
    join_all(cases.map(async |(name, environment, reason)| {
        let world = World::empty().await;
        world.write_files(files::UNGATED);
        world.make_config_map("flags", json!({"cache": "false"})).await;
        world
            .deploy(|manifest| {
                let container = &mut manifest["spec"]["template"]["spec"]["containers"][0];
                container["env"] = environment["env"].clone();
                container["envFrom"] = environment["envFrom"].clone();
            })
            .await;
        let run = world.cbctl(&["promote", "shadow"]).await;
        let lifted = if name == "set twice" { "first" } else { "first, or --adopt takes it over" };
        run.expect(3, &[reason, &format!("make it a plain value of the container {lifted}\n")]);
        assert!(run.writes().is_empty(), "{name}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn holds_on_a_flag_that_a_deployment_tool_would_put_back() {
    let world = World::promoted_to(&["shadow"]).await;
    let mut applied = flag_patch(FLAGS[0], "false");
    applied["apiVersion"] = json!("apps/v1");
    applied["kind"] = json!("Deployment");
    let env = applied["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    env[0].as_object_mut().unwrap().remove("valueFrom");
    let params = kube::api::PatchParams::apply("argocd-controller").force();
    world.deployments().patch("storefront", &params, &kube::api::Patch::Apply(applied)).await.unwrap();
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(3, &["CB_CACHE_ENABLED belongs to argocd-controller, which would put it back"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn is_inconclusive_while_the_service_rolls_out() {
    let world = World::promoted_to(&["shadow"]).await;
    world
        .patch_as_somebody_else(
            json!({"spec": {"template": {"metadata": {"annotations": {simulated("ready"): "false"}}}}}),
        )
        .await;
    until("the Deployment tells of a new pod", async || {
        (world.deployment().await.status?.updated_replicas? == 1).then_some(())
    })
    .await;
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(4, &["the deployment is rolling out: 1 of 2 pods updated, 2 available"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn waits_for_the_bake_and_names_the_time_that_is_left() {
    let world = World::new().await;
    world.edit("phases/10-shadow.yaml", "bake: 0s", "bake: 1h");
    world.promote_through(&["shadow"]).await;
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(4, &["shadow, step 1 of 1 bakes: AGE of 60m, AGE more"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn holds_until_somebody_signs() {
    let world = World::new().await;
    world.edit("phases/20-cache.yaml", "requires:\n", "requires:\n  - {signoff: dashboards-reviewed}\n");
    world.promote_through(&["shadow"]).await;
    world.cbctl(&["promote", "cache"]).await.expect(3, &["nobody yet: cbctl sign-off dashboards-reviewed"]);
    world.cbctl(&["sign-off", "dashboard-reviewed"]).await.expect(2, &["did you mean `dashboards-reviewed`?"]);
    let signed = world.cbctl(&["sign-off", "dashboards-reviewed", "--reason", "walked through"]).await;
    insta::assert_snapshot!(signed, @r"
    signed dashboards-reviewed by admin for cache
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    world.cbctl(&["promote", "cache"]).await.expect(0, &[]);
}

#[tokio::test]
async fn holds_while_the_deployment_is_paused() {
    let world = World::promoted_to(&["shadow"]).await;
    world.patch_as_somebody_else(json!({"spec": {"paused": true}})).await;
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(3, &["the deployment is paused: kubectl rollout resume"]);
    assert!(run.writes().is_empty(), "{run}");
}
