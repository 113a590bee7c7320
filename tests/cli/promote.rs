//! `cbctl promote`: one step further, only if nothing stands against it, and back by itself if it does not work out.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::cluster::{annotate, env_of, simulated};
use crate::harness::proxy::Act;
use crate::harness::{CONTAINER, World, files};

#[tokio::test]
async fn takes_over_a_service_that_already_runs_the_first_phase() {
    let world = World::new().await;
    let pods = world.pod_names().await;
    let run = world.cbctl(&["promote", "shadow"]).await;
    insta::assert_snapshot!(run, @"
    done: shadow begins, no flag had to change
    next: cbctl check
    ------- stderr -------
    way back rehearsed: 2 requests, about AGE, allowed for admin, nothing in the way
    shadow: no flag of deployment/storefront changes
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
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
    GET configmaps/cbctl-checkout
    POST configmaps
    POST events
    ");
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    assert_eq!(world.pod_names().await, pods, "none was restarted");
}

#[tokio::test]
async fn enters_the_next_phase_and_waits_for_every_pod() {
    let world = World::promoted_to(&["shadow"]).await;
    let run = world.cbctl(&["promote", "cache", "--reason", "week three"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront   CB_CACHE_ENABLED   false -> true
          CB_CACHE_OP_TIMEOUT_MS   (not set) -> 3000
    done in AGE: cache, step 1 of 1 is entered, every pod is healthy
    next: cbctl check
    ------- stderr -------
    way back rehearsed: 4 requests, about AGE, allowed for admin, nothing in the way
    cache, step 1 of 1: 2 flags of deployment/storefront change
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
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
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("true".to_owned()); 2]);
}

#[tokio::test]
async fn writes_flags_and_position_in_one_patch_with_the_version_it_read() {
    let world = World::promoted_to(&["shadow"]).await;
    let version = world.resource_version().await;
    let run = world.cbctl(&["promote", "cache"]).await;
    let patches: Vec<_> = run.requests.iter().filter(|seen| seen.line == "PATCH deployments/storefront").collect();
    assert_eq!(patches.len(), 1, "{run}");
    let patch = patches[0].json();
    assert_eq!(patch["metadata"]["resourceVersion"], json!(version));
    assert!(patch["metadata"]["annotations"]["cbctl.dev/rollout"].as_str().unwrap().contains("\"phase\":\"cache\""));
    let containers = &patch["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["name"], CONTAINER);
    let changed: Vec<_> =
        containers[0]["env"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(changed, ["CB_CACHE_ENABLED", "CB_CACHE_OP_TIMEOUT_MS"], "and nothing that is right already");
    assert!(patches[0].parameters.contains("fieldManager=cbctl"));
}

#[tokio::test]
async fn remembers_who_and_why_in_the_history() {
    let world = World::promoted_to(&["shadow"]).await;
    world.cbctl(&["promote", "cache", "--reason", "week three"]).await.expect(0, &[]);
    let history = world.history().await;
    assert_eq!(history.len(), 2, "{history:#?}");
    let entry = &history[1];
    assert_eq!(entry["action"], "promote");
    assert_eq!(entry["result"], "done");
    assert_eq!(entry["reason"], "week three");
    assert_eq!(entry["from"]["phase"], "shadow");
    assert_eq!(entry["to"]["phase"], "cache");
    assert_eq!(entry["by"], world.record("rollout").await.unwrap()["by"]);
}

#[tokio::test]
async fn a_history_that_cannot_be_written_is_a_warning() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on("configmaps", Act::status(500));
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(0, &["warning: cannot write history to configmap \"cbctl-checkout\" in namespace \"shop\""]);
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
}

#[tokio::test]
async fn a_phase_that_is_complete_is_success() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let version = world.resource_version().await;
    for phase in ["shadow", "cache"] {
        let run = world.cbctl(&["promote", phase]).await;
        run.expect(0, &[&format!("complete: {phase} is complete, nothing to do")]);
        assert!(run.writes().is_empty(), "{run}");
    }
    assert_eq!(world.resource_version().await, version);
}

#[tokio::test]
async fn a_dry_run_is_checked_by_the_server_and_changes_nothing() {
    let world = World::promoted_to(&["shadow"]).await;
    let version = world.resource_version().await;
    let run = world.cbctl(&["promote", "cache", "--dry-run"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront   CB_CACHE_ENABLED   false -> true
          CB_CACHE_OP_TIMEOUT_MS   (not set) -> 3000
    dry run: cache, step 1 of 1 would be entered; the API server accepts the change
    ------- stderr -------
    way back rehearsed: 4 requests, about AGE, allowed for admin, nothing in the way
    cache, step 1 of 1: 2 flags of deployment/storefront change
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    ");
    assert_eq!(world.resource_version().await, version);
    assert_eq!(world.history().await.len(), 1, "a dry run is no event");
}

#[tokio::test]
async fn takes_itself_back_when_the_pods_never_become_healthy() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world
        .deploy(|manifest| {
            manifest["spec"]["progressDeadlineSeconds"] = json!(3);
            // Absent before, to be absent again afterwards.
            env_of(manifest).retain(|entry| entry["name"] != "CB_DB_ENABLED");
            env_of(manifest).push(json!({"name": "CB_DB_ENABLED", "value": "false"}));
        })
        .await;
    world.promote_through(&["shadow"]).await;
    let (env, record) = (world.env().await, world.record("rollout").await.unwrap());
    // The pods of this change, and of no other, find no image.
    let image_error = |value: serde_json::Value| {
        Act::rewrite(move |patch| {
            patch["spec"]["template"]["metadata"] = json!({"annotations": {simulated("image-error"): value}});
        })
    };
    world.api.on("PATCH deployments/storefront", image_error(json!(null)));
    world.api.on_next(1, "PATCH deployments/storefront", image_error(json!("yes")));
    let run = world.cbctl(&["promote", "cache"]).await;
    // Where its write of the status collides with another one, the controller never calls a rollout overdue: cbctl does.
    let run =
        run.saying("no pod has come or gone for 13s", "ReplicaSet \"storefront-HASH\" has timed out progressing.");
    insta::assert_snapshot!(run, @r#"
      deployment/storefront   CB_CACHE_ENABLED   true -> false
          CB_CACHE_OP_TIMEOUT_MS   3000 -> (not set)
    rollback: cache, step 1 of 1 did not become healthy (ReplicaSet "storefront-HASH" has timed out progressing.); every pod runs the old values again
    ------- stderr -------
    way back rehearsed: 4 requests, about AGE, allowed for admin, nothing in the way
    cache, step 1 of 1: 2 flags of deployment/storefront change
    rollback: cache, step 1 of 1 did not become healthy: ReplicaSet "storefront-HASH" has timed out progressing.
    [exit status: 5]
    ------- requests -------
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
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
    LIST pods
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    PATCH configmaps/cbctl-checkout
    POST events
    "#);
    assert_eq!(world.env().await, env, "restored exactly, order included");
    assert_eq!(world.record("rollout").await.unwrap()["place"], record["place"]);
    let history = world.history().await;
    assert_eq!(history.last().unwrap()["result"], "rolled_back", "{history:#?}");
}

#[tokio::test]
async fn nothing_is_changed_when_somebody_else_writes_in_between() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on_next(1, "PATCH deployments/storefront", world.somebody_writes_first());
    let run = world.cbctl(&["promote", "cache"]).await;
    insta::assert_snapshot!(run, @r#"
    ------- stderr -------
    way back rehearsed: 4 requests, about AGE, allowed for admin, nothing in the way
    cache, step 1 of 1: 2 flags of deployment/storefront change
    error: cannot patch deployment "storefront" in namespace "shop"
      caused by: Operation cannot be fulfilled on deployments.apps "storefront": the object has been modified; please apply your changes to the latest version and try again (409)

    hint: somebody changed the deployment meanwhile: look with `cbctl status`, then try again
    [exit status: 6]
    ------- requests -------
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
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
    "#);
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    assert_eq!(world.history().await.len(), 1);
}

#[tokio::test]
async fn of_two_at_once_exactly_one_wins() {
    let world = World::promoted_to(&["shadow"]).await;
    // Both have decided before either writes.
    let both = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    world.api.on_next(
        2,
        "PATCH deployments/storefront",
        Act::before(move || {
            let both = both.clone();
            async move {
                both.wait().await;
            }
        }),
    );
    let (one, other) = tokio::join!(
        world.cbctl(&["promote", "cache"]).into_future(),
        world.cbctl(&["promote", "cache"]).into_future()
    );
    let mut ends = [one.status, other.status];
    ends.sort_unstable();
    assert_eq!(ends, [0, 6], "{one}\n{other}");
    assert_eq!(world.history().await.len(), 2, "the loser leaves no entry");
}

#[tokio::test]
async fn finds_out_by_the_record_when_the_answer_is_lost() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on_next(1, "PATCH deployments/storefront", Act::LoseAnswer);
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(0, &["warning: cannot patch deployment \"storefront\"", "done in AGE: cache, step 1 of 1 is entered"]);
    let patches = run.lines().iter().filter(|line| line.starts_with("PATCH deployments")).count();
    assert_eq!(patches, 1, "not sent a second time: {run}");
}

#[tokio::test]
async fn a_change_that_never_arrived_is_an_error_and_not_sent_again() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on_next(1, "PATCH deployments/storefront", Act::Close);
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(1, &["error: cannot patch deployment \"storefront\" in namespace \"shop\""]);
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    assert!(run.stdout.is_empty(), "{run}");
}

#[tokio::test]
async fn an_interruption_says_what_was_done_and_can_be_rolled_back() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| annotate(manifest, &simulated("ready-after"), "2s")).await;
    world.promote_through(&["shadow"]).await;
    let running = world.cbctl(&["promote", "cache"]).start();
    running.says("new values").await;
    running.signal(Signal::INT);
    let run = running.finish().await;
    run.expect(
        1,
        &["error: interrupted: cache, step 1 of 1 is applied, and its pods go on rolling out", "cbctl status"],
    );
    assert!(run.stdout.is_empty(), "{run}");
    world.cbctl(&["status"]).await.expect(0, &["cache, step 1 of 1: full"]);
    world.cbctl(&["rollback"]).await.expect(0, &["back at shadow, step 1"]);
    assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("false".to_owned()); 2]);
}

#[tokio::test]
async fn a_termination_ends_it_like_ctrl_c() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| annotate(manifest, &simulated("ready-after"), "2s")).await;
    world.promote_through(&["shadow"]).await;
    let running = world.cbctl(&["promote", "cache"]).start();
    running.says("new values").await;
    running.signal(Signal::TERM);
    running.finish().await.expect(1, &["error: interrupted"]);
}

#[tokio::test]
async fn a_reader_that_has_gone_away_does_not_stop_it() {
    let world = World::promoted_to(&["shadow"]).await;
    let run = world.cbctl(&["promote", "cache"]).with_closed_stdout().await;
    run.expect(0, &[]);
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert_eq!(world.history().await.len(), 2);
}
