//! `promote --wait`: through a phase and back by itself, on a canary with bakes of seconds.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::proxy::Act;
use crate::harness::{World, until};

const GATE: &str = "  - error_rate < 5% over 6s\n";
const TRIGGER: &str = "rollback:\n  - error_rate > 10% for 2s\n";
const BAD: &str = "rules: [{when: {pod: \"storefront-canary-.*\"}, set: {error_rate: 60%}}]";

impl World {
    /// Before a phase of three steps, with these bakes and real conditions.
    async fn before_steps(bakes: [&str; 3], more_gates: &str) -> Self {
        let world = Self::before_a_canary().await;
        for bake in bakes {
            world.edit("phases/20-cache.yaml", "bake: 0s}", &format!("bake: {bake} }}"));
        }
        world.append("phases/20-cache.yaml", &format!("gates:\n{GATE}{more_gates}{TRIGGER}"));
        world.scenario("rules: []").await;
        world
    }

    async fn until_at(&self, place: &str) {
        until(&format!("the rollout stands at {place}"), async || {
            (self.place().await.as_deref() == Some(place)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn goes_through_all_steps_of_a_phase() {
    let world = World::before_steps(["2s", "1s", "1s"], "").await;
    let run = world.cbctl(&["promote", "cache", "--wait=150s"]).await;
    run.expect(
        0,
        &[
            "done: cache is complete, 3 steps taken",
            "cache, step 1 of 3 is entered, 1 canary pod",
            "cache, step 2 of 3 is entered, 2 canary pods",
            "cache, step 3 of 3 is entered",
            "waiting: ",
        ],
    );
    assert!(!run.stderr.contains(['\u{1b}', '\r']), "plain lines in a pipe:\n{run}");
    assert_eq!(world.place().await.as_deref(), Some("cache 3"));
    assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("true".to_owned()); 2]);
    world.until_no_canary().await;
    let again = world.cbctl(&["promote", "cache", "--wait", "-o", "json"]).await;
    again.expect(0, &[]);
    let document = again.json();
    assert_eq!((&document["result"], &document["steps"]), (&json!("done"), &json!([])), "{document}");
    assert!(again.writes().is_empty(), "{again}");
}

#[tokio::test]
async fn a_trigger_that_fires_takes_the_canary_back() {
    let world = World::before_steps(["0s", "1h", "1h"], "").await;
    let running = world.cbctl(&["promote", "cache", "--wait", "-o", "json"]).start();
    world.until_at("cache 2").await;
    world.scenario(BAD).await;
    let run = running.finish().await;
    run.expect(5, &["rollback: a rollback trigger fires: error_rate for 2s"]);
    let document = run.json();
    assert_eq!((&document["result"], &document["exit"]), (&json!("rolled_back"), &json!(5)), "{document}");
    assert_eq!(document["steps"].as_array().unwrap().len(), 2, "{document}");
    assert_eq!(document["rollback"]["result"], "done", "{document}");
    assert_eq!(document["place"]["phase"], "shadow", "{document}");
    world.until_no_canary().await;
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    let history = world.history().await;
    let last = history.last().unwrap();
    assert_eq!((&last["action"], &last["result"]), (&json!("rollback"), &json!("done")), "{last}");
    assert!(last["evidence"].to_string().contains("firing"), "{last}");
}

#[tokio::test]
async fn a_trigger_that_fires_after_everything_leads_out_of_the_phase() {
    let world = World::before_steps(["0s", "0s", "1h"], "").await;
    let running = world.cbctl(&["promote", "cache", "--wait"]).start();
    running.says("cache, step 3 of 3 is entered").await;
    world.scenario("rules: [{when: {env: {CB_CACHE_ENABLED: \"true\"}}, set: {error_rate: 60%}}]").await;
    running.finish().await.expect(5, &["back at shadow, step 1"]);
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("false".to_owned()); 2]);
    world.until_no_canary().await;
}

#[tokio::test]
async fn waits_for_somebody_as_long_as_the_canary_runs() {
    let world = World::before_steps(["0s", "0s", "0s"], "  - {signoff: looked-at}\n").await;
    let running = world.cbctl(&["promote", "cache", "--wait=155s"]).start();
    running.says("held: signed looked-at: nobody yet: cbctl sign-off looked-at").await;
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    world.cbctl(&["sign-off", "looked-at"]).await.expect(0, &[]);
    running.finish().await.expect(0, &["done: cache is complete, 3 steps taken"]);
}

#[tokio::test]
async fn does_not_wait_for_somebody_where_nothing_runs() {
    let world = World::before_steps(["0s", "0s", "0s"], "").await;
    world.cbctl(&["pause", "--reason", "later"]).await.expect(0, &[]);
    let run = world.cbctl(&["promote", "cache", "--wait"]).await;
    run.expect(3, &["held: cache cannot be entered, and nothing of it runs", "paused by admin"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn the_time_that_is_over_undoes_nothing_and_another_run_goes_on() {
    let world = World::before_steps(["12s", "0s", "0s"], "").await;
    let run = world.cbctl(&["promote", "cache", "--wait=6s"]).await;
    run.expect(
        4,
        &[
            "inconclusive: time is up after 6s: the rollout stands at cache, step 1",
            "nothing was undone; next: cbctl promote cache --wait goes on with it",
        ],
    );
    assert_eq!(world.canary_pods().await.len(), 1);
    world.cbctl(&["promote", "cache", "--wait=150s"]).await.expect(0, &["done: cache is complete, 2 steps taken"]);
}

#[tokio::test]
async fn what_was_killed_goes_on() {
    let world = World::before_steps(["3s", "0s", "0s"], "").await;
    world.api.on("POST deployments", Act::status(503));
    let running = world.cbctl(&["promote", "cache", "--wait"]).start();
    running.says("deployment/storefront-canary is made").await;
    running.signal(Signal::KILL);
    running.finish().await;
    world.api.repair();
    world.cbctl(&["status"]).await.expect(0, &["cut short: cbctl promote cache goes on with it"]);
    let running = world.cbctl(&["promote", "cache", "--wait"]).start();
    running.says("waiting: ").await;
    running.signal(Signal::KILL);
    running.finish().await;
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    world.cbctl(&["promote", "cache", "--wait=150s"]).await.expect(0, &["done: cache is complete"]);
}

#[tokio::test]
async fn an_emergency_ends_it() {
    let world = World::before_steps(["1h", "0s", "0s"], "").await;
    let running = world.cbctl(&["promote", "cache", "--wait"]).start();
    running.says("waiting: ").await;
    world.until_at("cache 1").await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["done"]);
    let run = running.finish().await;
    run.expect(6, &["error: an emergency rollback has overtaken this promotion"]);
    assert_eq!(world.canary_flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
}

#[tokio::test]
async fn a_rollback_by_somebody_else_ends_it() {
    let world = World::before_steps(["1h", "0s", "0s"], "").await;
    let running = world.cbctl(&["promote", "cache", "--wait", "-o", "json"]).start();
    running.says("waiting: ").await;
    world.cbctl(&["abort"]).await.expect(0, &["done in"]);
    let run = running.finish().await;
    run.expect(6, &["has overtaken this promotion"]);
    assert_eq!((&run.json()["result"], &run.json()["exit"]), (&json!("failed"), &json!(6)));
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}

#[tokio::test]
async fn servers_that_are_away_for_a_while_do_not_end_it() {
    let world = World::before_steps(["8s", "0s", "0s"], "").await;
    let running = world.cbctl(&["promote", "cache", "--wait=155s", "--step", "2"]).start();
    running.says("waiting: ").await;
    world.prometheus.on("QUERY", Act::status(503));
    running.says("Prometheus answered 503").await;
    world.prometheus.repair();
    world.api.on("GET deployments", Act::Close);
    running.says("; trying again").await;
    world.api.repair();
    running.finish().await.expect(0, &["done: cache, step 2 is entered, 2 steps taken"]);
}

#[tokio::test]
async fn a_trigger_fires_though_the_rollback_does_not_get_through_at_first() {
    let world = World::before_steps(["1h", "0s", "0s"], "").await;
    let running = world.cbctl(&["promote", "cache", "--wait"]).start();
    running.says("waiting: ").await;
    world.api.on("PATCH deployments/storefront", Act::status(403));
    world.scenario(BAD).await;
    running.says("403").await;
    for signal in [Signal::INT, Signal::HUP, Signal::TERM] {
        running.signal(signal);
    }
    running.says("note: the rollback goes on").await;
    world.api.repair();
    running.finish().await.expect(5, &["back at shadow, step 1"]);
    world.until_no_canary().await;
}

#[tokio::test]
async fn an_interruption_undoes_nothing() {
    let world = World::before_steps(["1h", "0s", "0s"], "").await;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let begun = Instant::now();
        let running = world.cbctl(&["promote", "cache", "--wait"]).start();
        running.says("waiting: ").await;
        running.signal(signal);
        let run = running.finish().await;
        run.expect(1, &["interrupted: nobody watches any more, and nothing was undone", "cbctl promote cache --wait"]);
        assert!(begun.elapsed() < Duration::from_secs(60), "{run}");
    }
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert_eq!(world.canary_pods().await.len(), 1);
}

#[tokio::test]
async fn only_the_step_that_is_named_is_taken() {
    let world = World::before_a_canary().await;
    world.cbctl(&["promote", "cache", "--step", "4"]).await.expect(2, &["cache has 3 steps, and no step 4"]);
    let run = world.cbctl(&["promote", "cache", "--step", "full"]).await;
    run.expect(3, &["step 3 is not next, step 1 is", "--step 1"]);
    assert!(run.writes().is_empty(), "{run}");
    world.cbctl(&["promote", "cache", "--step", "1"]).await.expect(0, &["cache, step 1 of 3 is entered"]);
    let again = world.cbctl(&["promote", "cache", "--step", "1"]).await;
    again.expect(0, &["nothing to do: cache, step 1 of 3 is entered already"]);
    world
        .cbctl(&["promote", "cache", "--wait", "--step=2"])
        .await
        .expect(0, &["done: cache, step 2 is entered, 1 step"]);
    assert_eq!(world.place().await.as_deref(), Some("cache 2"));
    for wrong in ["0", "-1", "all", ""] {
        world.cbctl(&["promote", "cache", &format!("--step={wrong}")]).await.expect(2, &[]);
    }
}

#[tokio::test]
async fn from_another_place_nothing_is_touched() {
    let world = World::new().await;
    let refused = async |from: &str, says: &str| {
        let run = world.cbctl(&["promote", "--from", from]).await;
        run.expect(6, &[says]);
        assert!(run.writes().is_empty(), "{run}");
    };
    refused("shadow/1", "the rollout stands at no step yet, and not at shadow/1: nothing was touched").await;
    world.cbctl(&["promote", "--from", "none"]).await.expect(0, &["shadow"]);
    world.until_healthy().await;
    refused("none", "the rollout stands at shadow, step 1, and not at none").await;
    refused("cache", "and not at cache").await;
    world.cbctl(&["promote", "cache", "--from", "shadow/1"]).await.expect(0, &["cache"]);
    world.until_healthy().await;
    world.cbctl(&["promote", "http", "--wait", "--from", "cache"]).await.expect(0, &["done: http is complete"]);
    world.cbctl(&["promote", "--from", "cache/2"]).await.expect(2, &["cache has 1 step, and no step 2"]);
    for wrong in ["cache/0", "cache/x", "nowhere/1"] {
        world.cbctl(&["promote", "--from", wrong]).await.expect(2, &[]);
    }
}

#[tokio::test]
async fn a_terminal_shows_it_in_place_and_keeps_only_the_answer() {
    let world = World::before_steps(["1s", "0s", "0s"], "").await;
    let screen = world.cbctl(&["promote", "cache", "--wait=150s"]).on_a_terminal().await;
    for piece in ["now   cache, step 1 of 3: 1 pod", "next  cache, step 3 of 3: full", "error_rate over 6s"] {
        assert!(screen.contains(piece), "`{piece}` is not in {screen}");
    }
    assert!(screen.contains("\u{1b}[J"), "it is redrawn in place: {screen:?}");
    let (_, last) = screen.rsplit_once("\u{1b}[J").unwrap();
    assert!(last.contains("cache is complete, 3 steps taken") && !last.contains("now   "), "{last}");
    let plain = world.cbctl(&["promote", "cache", "--wait", "--quiet"]).on_a_terminal().await;
    assert!(!plain.contains("\u{1b}[J"), "{plain:?}");
}

#[tokio::test]
async fn a_step_that_does_not_become_healthy_is_taken_back() {
    let world = World::before_a_canary().await;
    world.patch_as_somebody_else(json!({"spec": {"progressDeadlineSeconds": 3}})).await;
    world.until_healthy().await;
    world.api.on(
        "POST deployments",
        Act::rewrite(|made| {
            made["spec"]["template"]["metadata"]["annotations"] = json!({"sim.cbctl.dev/image-error": "yes"});
        }),
    );
    let run = world.cbctl(&["promote", "cache", "--wait"]).await;
    run.expect(5, &["rollback: the last step did not become healthy, and was taken back"]);
    world.until_no_canary().await;
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}
