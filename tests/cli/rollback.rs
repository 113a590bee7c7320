//! `cbctl rollback [BREAKER…]`: back to what was there before, whatever the API server does meanwhile.

use std::time::Instant;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::cluster::{annotate, env_of, simulated};
use crate::harness::proxy::Act;
use crate::harness::{FLAGS, World, files, until};

#[tokio::test]
async fn restores_what_the_last_step_replaced() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    // One of them absent before, one of them a word that no phase uses.
    world
        .deploy(|manifest| {
            env_of(manifest).retain(|entry| entry["name"] != FLAGS[1]);
            env_of(manifest).push(json!({"name": "CB_CACHE_OP_TIMEOUT_MS", "value": "250"}));
            env_of(manifest).push(json!({"name": "UNRELATED", "value": "kept"}));
        })
        .await;
    let env = world.env().await;
    world.cbctl(&["promote", "shadow", "--adopt"]).await.expect(0, &[]);
    world.promote_through(&["cache"]).await;
    assert_eq!(world.flag("CB_CACHE_OP_TIMEOUT_MS").await.as_deref(), Some("3000"));

    let run = world.cbctl(&["rollback", "--reason", "timeouts"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront   CB_CACHE_ENABLED   true -> false
          CB_CACHE_OP_TIMEOUT_MS   3000 -> 250
    done in AGE: back at shadow, step 1; 2 of 2 pods run the new values
    ------- stderr -------
    back at shadow, step 1: 2 flags of deployment/storefront change
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.flag("CB_CACHE_OP_TIMEOUT_MS").await.as_deref(), Some("250"));
    assert_eq!(world.flag(FLAGS[1]).await.as_deref(), Some("false"), "set by the step before, which stays");
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    assert_eq!(world.history().await.last().unwrap()["reason"], "timeouts");
    let unrelated = env.iter().find(|entry| entry.name == "UNRELATED");
    assert_eq!(world.env().await.iter().find(|entry| entry.name == "UNRELATED"), unrelated);
}

#[tokio::test]
async fn the_first_step_taken_back_leaves_no_trace() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| env_of(manifest).retain(|entry| entry["name"] == FLAGS[0])).await;
    let env = world.env().await;
    world.cbctl(&["promote", "shadow", "--adopt"]).await.expect(0, &[]);
    assert_eq!(world.env().await.len(), 3);
    world.cbctl(&["rollback"]).await.expect(0, &["back to before the rollout began"]);
    assert_eq!(world.env().await, env, "what was absent is absent again");
    assert_eq!(world.record("rollout").await, None);
}

#[tokio::test]
async fn a_second_time_there_is_nothing_to_do() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.cbctl(&["rollback"]).await.expect(0, &["back at shadow, step 1"]);
    let version = world.resource_version().await;
    let run = world.cbctl(&["rollback"]).await;
    insta::assert_snapshot!(run, @r"
    nothing to do: no step is on record that could be taken back; 2 of 2 pods run the new values
    ------- stderr -------
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    ");
    assert_eq!(world.resource_version().await, version);
}

#[tokio::test]
async fn without_a_rollout_there_is_nothing_to_do() {
    let world = World::new().await;
    let run = world.cbctl(&["rollback"]).await;
    run.expect(0, &["nothing to do: no step is on record that could be taken back"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn one_breaker_goes_off_and_the_phases_before_it_stay() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    let run = world.cbctl(&["rollback", "http"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront   CB_HTTP_ENABLED   true -> false
    done in AGE: back at cache, step 1; 2 of 2 pods run the new values
    ------- stderr -------
    back at cache, step 1: 1 flag of deployment/storefront changes
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("true"));
    assert_eq!(world.flag_in_pods("CB_HTTP_ENABLED").await, vec![Some("false".to_owned()); 2]);

    let again = world.cbctl(&["rollback", "http"]).await;
    again.expect(0, &["nothing to do: already off"]);
    assert!(again.writes().is_empty(), "{again}");
    world.cbctl(&["promote", "http"]).await.expect(0, &["done in AGE: http, step 1 of 1 is entered"]);
}

#[tokio::test]
async fn a_phase_is_restored_as_it_was_left_with_every_setting() {
    let world = World::promoted_to(&["shadow"]).await;
    let before = world.env().await;
    world.promote_through(&["cache", "http"]).await;
    let run = world.cbctl(&["rollback", "--to", "shadow"]).await;
    run.expect(0, &["back at shadow, step 1"]);
    assert_eq!(world.env().await, before, "{run}");
    let again = world.cbctl(&["rollback", "--to", "shadow"]).await;
    again.expect(0, &["nothing to do: the rollout stands in that phase"]);
    assert!(again.writes().is_empty(), "{again}");
    world.cbctl(&["rollback", "--to", "http"]).await.expect(1, &["no step from that phase is on record"]);
}

#[tokio::test]
async fn several_breakers_go_off_together() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    let run = world.cbctl(&["rollback", "http", "cache"]).await;
    run.expect(0, &["back at shadow, step 1"]);
    assert_eq!(run.writes().iter().filter(|line| line.contains("deployments")).count(), 1, "{run}");
}

#[tokio::test]
async fn suggests_the_nearest_breaker_for_a_wrong_name() {
    let world = World::new().await;
    let run = world.cbctl(&["rollback", "htpp"]).await;
    insta::assert_snapshot!(run, @r"
    ------- stderr -------
    error: unknown breaker `htpp`

    hint: did you mean `http`?
    [exit status: 2]
    ");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let version = world.resource_version().await;
    let run = world.cbctl(&["rollback", "--dry-run"]).await;
    run.expect(0, &["dry run: the API server accepts the change", "CB_CACHE_ENABLED   true -> false"]);
    assert!(run.writes().is_empty() && run.lines().contains(&"DRYRUN deployments/storefront"), "{run}");
    assert_eq!(world.resource_version().await, version);
}

#[tokio::test]
async fn no_wait_ends_with_the_patch_and_does_not_say_done() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let run = world.cbctl(&["rollback", "--no-wait"]).await;
    run.expect(0, &["its pods restart now, nobody waits for them"]);
    assert!(!run.says("done"), "{run}");
    assert_eq!(run.writes(), ["PATCH deployments/storefront", "PATCH configmaps/cbctl-checkout", "POST events"]);
}

#[tokio::test]
async fn needs_no_prometheus_and_no_phase_files() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.prometheus.on("", Act::Close);
    world.write("phases/20-cache.yaml", "name: [");
    let run = world.cbctl(&["rollback"]).await;
    run.expect(0, &["back at shadow, step 1"]);
    assert!(!run.lines().iter().any(|line| line.starts_with("QUERY")), "{run}");
}

#[tokio::test]
async fn the_record_tells_the_way_back_when_rollout_yaml_is_gone() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    std::fs::remove_dir_all(world.path("phases")).unwrap();
    let run = world.cbctl(&["rollback"]).await;
    run.expect(0, &["warning: cannot read \"phases/rollout.yaml\"", "back at shadow, step 1"]);
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    assert_eq!(world.flag("CB_CACHE_OP_TIMEOUT_MS").await, None, "settings are restored as well");
}

#[tokio::test]
async fn goes_on_whatever_the_server_answers_for_a_while() {
    let retry_after = Act::Answer { status: 429, headers: vec![("retry-after", "1".to_owned())], body: String::new() };
    let cases = [
        ("429", retry_after, "the API server answered 429"),
        ("500", Act::status(500), "the API server answered 500"),
        ("503", Act::status(503), "the API server answered 503"),
        ("closed", Act::Close, "warning: cannot patch deployment"),
        ("answer lost", Act::LoseAnswer, ""),
        ("broken off", Act::BreakOff, ""),
    ];
    join_all(cases.map(async |(name, act, told)| {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        let calm = if name == "429" { 1 } else { 2 };
        world.api.on_next(calm, "PATCH deployments/storefront", act);
        let began = Instant::now();
        let run = world.cbctl(&["rollback", "--timeout", "30s"]).await;
        assert_eq!(run.status, 0, "{name}:\n{run}");
        assert!(run.stderr.contains(told), "{name}:\n{run}");
        assert!(name != "429" || began.elapsed().as_millis() >= 1000, "Retry-After is kept");
        assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("false".to_owned()); 2], "{name}");
        assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{name}: not one step too far");
    }))
    .await;
}

#[tokio::test]
async fn plans_again_when_somebody_else_writes_in_between() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on_next(3, "PATCH deployments/storefront", world.somebody_writes_first());
    let run = world.cbctl(&["rollback"]).await;
    run.expect(0, &["back at shadow, step 1"]);
    let patches = run.lines().iter().filter(|line| line.starts_with("PATCH deployments")).count();
    assert_eq!(patches, 4, "{run}");
}

#[tokio::test]
async fn gives_up_at_the_deadline_and_says_why() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on("PATCH deployments/storefront", Act::status(503));
    let run = world.cbctl(&["rollback", "--timeout", "2s"]).await;
    run.expect(1, &["error: cannot patch deployment \"storefront\"", "caused by: the API server answered 503"]);
    assert!(run.stdout.is_empty(), "{run}");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
}

#[tokio::test]
async fn says_how_far_it_came_when_time_is_up() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|_| ()).await;
    world.promote_through(&["shadow", "cache"]).await;
    // The pods of the way back start, but never become ready.
    world.api.on_next(
        1,
        "PATCH deployments/storefront",
        Act::rewrite(|patch| {
            patch["spec"]["template"]["metadata"] = json!({"annotations": {simulated("ready"): "false"}});
        }),
    );
    let run = world.cbctl(&["rollback", "--timeout", "10s"]).await;
    insta::assert_snapshot!(run, @"
    ------- stderr -------
    back at shadow, step 1: 2 flags of deployment/storefront change
    error: time is up: the change is in the deployment, but not verified in every pod: 2 of 3 pods still run CB_CACHE_ENABLED=true and 1 setting: 1 starting

    hint: cbctl status shows where things stand
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "it is in the deployment");
    assert_eq!(world.history().await.last().unwrap()["result"], "unverified");
}

#[tokio::test]
async fn an_interruption_says_how_far_it_came_and_a_second_run_finishes_it() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| annotate(manifest, &simulated("ready-after"), "2s")).await;
    world.promote_through(&["shadow", "cache"]).await;
    let running = world.cbctl(&["rollback"]).start();
    running.says("new values").await;
    running.signal(Signal::INT);
    let run = running.finish().await;
    run.expect(1, &["error: interrupted: the change is in the deployment, but not verified in every pod"]);
    assert!(run.stdout.is_empty(), "{run}");
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    world.cbctl(&["rollback"]).await.expect(0, &["nothing to do"]);
    until("the pods have followed", async || {
        world.flag_in_pods("CB_CACHE_ENABLED").await.iter().all(|value| value.as_deref() == Some("false")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_interruption_while_the_server_fails_ends_it_at_once() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on("PATCH deployments/storefront", Act::status(503));
    let running = world.cbctl(&["rollback", "--timeout", "20s"]).start();
    running.says("warning: cannot patch deployment").await;
    let interrupted = Instant::now();
    running.signal(Signal::INT);
    let run = running.finish().await;
    run.expect(1, &["error: interrupted"]);
    assert!(interrupted.elapsed().as_secs() < 10, "it waited for the deadline:\n{run}");
}

#[tokio::test]
async fn a_pod_on_its_way_out_still_counts_as_old() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world
        .deploy(|manifest| {
            manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(10);
            annotate(manifest, &simulated("stop-after"), "3s");
        })
        .await;
    world.promote_through(&["shadow", "cache"]).await;
    until("the pods of the step before have ended", async || (world.pods().await.len() == 2).then_some(())).await;
    world.cbctl(&["rollback"]).await.expect(0, &["2 of 2 pods run the new values"]);
    let values = world.flag_in_pods("CB_CACHE_ENABLED").await;
    assert_eq!(values, vec![Some("false".to_owned()); 2], "\"done\" was said while an old pod still ran");
}
