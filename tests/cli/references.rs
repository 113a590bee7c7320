//! Flags that come from elsewhere: taken over on request, and restored exactly.

use serde_json::{Value, json};

use crate::harness::cluster::env_of;
use crate::harness::{FLAGS, World, files};

impl World {
    /// Every kind of value before: references of each kind, words that a shell or a template would touch, and `envFrom`.
    async fn with_values_from_everywhere() -> Self {
        let world = Self::empty().await;
        world.write_files(files::UNGATED);
        world.edit(
            "phases/rollout.yaml",
            "settings: [CB_CACHE_OP_TIMEOUT_MS]",
            "settings: [CB_CACHE_OP_TIMEOUT_MS, CB_CACHE_LIMIT, CB_CACHE_EMPTY, CB_CACHE_NAME, CB_CACHE_OTHER, CB_CACHE_FROM]",
        );
        world.edit(
            "phases/20-cache.yaml",
            "CB_CACHE_OP_TIMEOUT_MS: \"3000\"",
            "CB_CACHE_OP_TIMEOUT_MS: \"3000\", CB_CACHE_LIMIT: \"1\", CB_CACHE_EMPTY: \"full\", CB_CACHE_NAME: \"plain\", \
             CB_CACHE_OTHER: \"plain\", CB_CACHE_FROM: \"list\"",
        );
        world.make_config_map("flags", json!({"cache": "false", "http": "false"})).await;
        world.make_config_map("more", json!({"CB_CACHE_FROM": "map"})).await;
        let key = |name: &str, key: &str, optional: bool| json!({"name": name, "key": key, "optional": optional});
        world
            .deploy(|manifest| {
                let container = &mut manifest["spec"]["template"]["spec"]["containers"][0];
                container["envFrom"] = json!([{"prefix": "CB_CACHE_F", "configMapRef": {"name": "more", "optional": true}}]);
                *env_of(manifest) = vec![
                    json!({"name": "FIRST", "value": "kept"}),
                    json!({"name": FLAGS[0], "valueFrom": {"configMapKeyRef": key("flags", "cache", false)}}),
                    json!({"name": "CB_CACHE_EMPTY", "value": ""}),
                    json!({"name": FLAGS[1], "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "http"}}}),
                    json!({"name": "CB_CACHE_OP_TIMEOUT_MS", "valueFrom": {"secretKeyRef": key("secrets", "ms", true)}}),
                    json!({"name": "BETWEEN", "value": "kept"}),
                    json!({"name": "CB_CACHE_LIMIT", "valueFrom": {"resourceFieldRef": {
                        "containerName": "web", "resource": "limits.memory", "divisor": "1Mi",
                    }}}),
                    json!({"name": FLAGS[2], "value": "false"}),
                    json!({"name": "CB_CACHE_NAME", "valueFrom": {"fieldRef": {
                        "apiVersion": "v1", "fieldPath": "metadata.name",
                    }}}),
                    json!({"name": "CB_CACHE_OTHER", "value": "$(FIRST) \u{fc}ber $$HOME \u{1f600} \"quoted\"\n"}),
                    json!({"name": "LAST", "value": "kept"}),
                ];
            })
            .await;
        world
    }

    async fn adopted() -> (Self, Value, Value) {
        let world = Self::with_values_from_everywhere().await;
        let fresh = world.template().await;
        world.cbctl(&["promote", "shadow", "--adopt"]).await.expect(0, &["CB_CACHE_ENABLED   (a reference) -> false"]);
        world.until_healthy().await;
        let shadow = world.template().await;
        world
            .cbctl(&["promote", "cache", "--adopt"])
            .await
            .expect(0, &["CB_CACHE_OP_TIMEOUT_MS   (a reference) -> 3000"]);
        world.until_healthy().await;
        (world, fresh, shadow)
    }
}

#[tokio::test]
async fn without_adopt_it_holds_and_says_what_lifts_it() {
    let world = World::with_values_from_everywhere().await;
    let run = world.cbctl(&["promote", "shadow"]).await;
    run.expect(3, &["CB_CACHE_ENABLED is a reference (valueFrom)", "or --adopt takes it over"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn what_was_taken_over_is_restored_exactly_and_once() {
    let world = World::with_values_from_everywhere().await;
    let before = world.template().await;
    world.cbctl(&["promote", "shadow", "--adopt"]).await.expect(0, &["done in AGE: shadow, step 1 of 1 is entered"]);
    assert_eq!(world.flag_in_pods(FLAGS[1]).await, vec![Some("false".to_owned()); 2]);
    let run = world.cbctl(&["rollback"]).await;
    run.expect(0, &["back to before the rollout began", "CB_HTTP_ENABLED   false -> (a reference)"]);
    assert_eq!(world.template().await, before, "{run}");
    let again = world.cbctl(&["rollback"]).await;
    again.expect(0, &["nothing to do: no step is on record that could be taken back"]);
    assert!(again.writes().is_empty(), "{again}");
}

#[tokio::test]
async fn a_step_back_restores_the_settings_of_the_phase() {
    let (world, _, shadow) = World::adopted().await;
    assert_eq!(world.flag("CB_CACHE_OTHER").await.as_deref(), Some("plain"));
    world.cbctl(&["rollback"]).await.expect(0, &["back at shadow, step 1", "CB_CACHE_FROM   list -> (not set)"]);
    assert_eq!(world.template().await, shadow);
    world.cbctl(&["rollback"]).await.expect(0, &["nothing to do"]);
    assert_eq!(world.template().await, shadow);
}

#[tokio::test]
async fn a_breaker_off_and_a_phase_as_it_was_left_restore_them_as_well() {
    for arguments in [&["rollback", "cache"][..], &["rollback", "--to", "shadow"]] {
        let (world, _, shadow) = World::adopted().await;
        world.promote_through(&["http"]).await;
        world.cbctl(arguments).await.expect(0, &["back at shadow, step 1"]);
        assert_eq!(world.template().await, shadow, "{arguments:?}");
        let again = world.cbctl(arguments).await;
        again.expect(0, &["nothing to do"]);
        assert!(again.writes().is_empty(), "{again}");
    }
}

/// The template with the environment in the order of its names.
fn sorted(mut template: Value) -> Value {
    let env = template.pointer_mut("/spec/containers/0/env").unwrap().as_array_mut().unwrap();
    env.sort_by_key(|entry| entry["name"].to_string());
    template
}

#[tokio::test]
async fn an_emergency_in_between_loses_nothing_that_was_recorded() {
    let (world, _, shadow) = World::adopted().await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &[]);
    world.until_healthy().await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 1 of 1 is entered"]);
    world.cbctl(&["rollback"]).await.expect(0, &["back at shadow, step 1"]);
    // Whoever reads nothing cannot keep the order of what it sets.
    assert_eq!(sorted(world.template().await), sorted(shadow));
}

#[tokio::test]
async fn a_reference_that_somebody_put_there_since_leaves_nothing_behind() {
    let world = World::with_values_from_everywhere().await;
    let before = world.template().await;
    world.cbctl(&["promote", "shadow", "--adopt"]).await.expect(0, &[]);
    let another = json!({"secretKeyRef": {"name": "theirs", "key": "cache", "optional": true}});
    let env = json!([{"name": FLAGS[0], "value": null, "valueFrom": another}]);
    let containers = json!([{"name": "web", "env": env}]);
    world.patch_as_somebody_else(json!({"spec": {"template": {"spec": {"containers": containers}}}})).await;
    world.until_healthy().await;
    world.cbctl(&["rollback"]).await.expect(0, &["back to before the rollout began"]);
    assert_eq!(world.template().await, before);
}

#[tokio::test]
async fn a_flag_that_is_set_twice_holds_all_the_same() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| env_of(manifest).push(json!({"name": FLAGS[0], "value": "false"}))).await;
    let run = world.cbctl(&["promote", "shadow", "--adopt"]).await;
    run.expect(3, &["CB_CACHE_ENABLED is set twice: make it a plain value of the container first"]);
    assert!(!run.says("--adopt"), "{run}");
}
