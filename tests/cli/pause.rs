//! `cbctl pause` and `cbctl resume`: nothing is promoted meanwhile, and a rollback does not ask.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn nothing_is_promoted_until_somebody_resumes() {
    let world = World::promoted_to(&["shadow"]).await;
    let paused = world.cbctl(&["pause", "--reason", "the database is being moved"]).await;
    insta::assert_snapshot!(paused, @r"
    paused by admin (the database is being moved): nothing is promoted until cbctl resume; rollbacks go on as ever
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
    let record = world.record("pause").await.unwrap();
    assert_eq!((&record["by"], &record["reason"]), (&json!("admin"), &json!("the database is being moved")));
    world.until_healthy().await;

    let promote = world.cbctl(&["promote", "cache"]).await;
    promote.expect(3, &["held   paused by admin AGE ago (the database is being moved): cbctl resume"]);
    assert!(promote.writes().is_empty(), "{promote}");
    world.cbctl(&["check", "cache"]).await.expect(3, &["paused by admin"]);
    world.cbctl(&["status"]).await.expect(0, &["paused by admin AGE ago (the database is being moved): cbctl resume"]);
    // Where there is nothing to promote, it is told all the same.
    world.edit("phases/10-shadow.yaml", "bake: 0s", "bake: 1h");
    let status = world.cbctl(&["status", "-o", "json"]).await.json();
    assert_eq!(status["pause"]["by"], "admin", "{status}");

    let again = world.cbctl(&["pause", "--reason", "another one"]).await;
    insta::assert_snapshot!(again, @r"
    nothing to do: paused by admin AGE ago (the database is being moved): cbctl resume
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    ");
    world.edit("phases/10-shadow.yaml", "bake: 1h", "bake: 0s");

    let resumed = world.cbctl(&["resume"]).await;
    insta::assert_snapshot!(resumed, @r"
    resumed by admin: promotions go on
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
    assert!(world.record("pause").await.is_none());
    world.cbctl(&["resume"]).await.expect(0, &["nothing to do: not paused"]);
    world.until_healthy().await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &[]);

    let history = world.cbctl(&["history"]).await;
    history.expect(0, &["pause", "resume", "the database is being moved"]);
    let actions: Vec<String> =
        world.history().await.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions, ["promote", "pause", "resume", "promote"]);
}

#[tokio::test]
async fn a_rollback_and_an_emergency_do_not_ask() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    world.cbctl(&["pause"]).await.expect(0, &["paused by admin"]);
    world.cbctl(&["rollback"]).await.expect(0, &["back at cache, step 1"]);
    assert_eq!(world.flag("CB_HTTP_ENABLED").await.as_deref(), Some("false"));
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["done"]);
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    assert!(world.record("pause").await.is_some(), "it is still paused");
    world.cbctl(&["promote", "cache"]).await.expect(3, &["paused by admin"]);
}

#[tokio::test]
async fn a_dry_run_pauses_nothing_and_broken_phases_are_no_obstacle() {
    let world = World::promoted_to(&["shadow"]).await;
    world.write("phases/20-cache.yaml", "not a phase");
    let tried = world.cbctl(&["pause", "--dry-run"]).await;
    insta::assert_snapshot!(tried, @r"
    dry run: pause by admin; the API server accepts the change
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/storefront
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    ");
    assert!(world.record("pause").await.is_none());
    world.cbctl(&["pause"]).await.expect(0, &[]);
    world.cbctl(&["resume", "--dry-run"]).await.expect(0, &["dry run: resume by admin"]);
    assert!(world.record("pause").await.is_some());
}

#[tokio::test]
async fn a_text_that_is_no_pause_is_one_all_the_same() {
    let world = World::promoted_to(&["shadow"]).await;
    world.patch_as_somebody_else(json!({"metadata": {"annotations": {"cbctl.dev/pause": "do not touch"}}})).await;
    world.until_healthy().await;
    world.cbctl(&["promote", "cache"]).await.expect(3, &["paused by unknown", "(do not touch): cbctl resume"]);
    world.cbctl(&["resume"]).await.expect(0, &["resumed by admin"]);
    world.until_healthy().await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &[]);
}
