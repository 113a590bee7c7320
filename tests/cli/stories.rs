//! Whole rollouts through canaries, as somebody lives through them: the strategy's from shadow to everything on, and
//! canaries that are bad from the start, later, or dead.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::cluster::{annotate, env_of, simulated};
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::stories::{STRATEGY, TRAFFIC};
use crate::harness::{World, until};

/// What happens between two samples is dated by the first of them, give or take a block.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The whole traffic, of which the pods with the cache's breaker on fail this much.
fn failing(error_rate: &str) -> String {
    format!("{TRAFFIC}rules: [{{when: {{env: {{CB_CACHE_ENABLED: \"true\"}}}}, set: {{error_rate: {error_rate}}}}}]\n")
}

/// The evidence of the trigger on errors, in the JSON of a check.
fn of_the_trigger(check: &Run) -> Value {
    let conditions = check.json()["conditions"].take();
    let mut conditions = conditions.as_array().unwrap().iter();
    let trigger = conditions.find(|condition| condition["condition"] == "error_rate > 2% for 2s");
    trigger.unwrap_or_else(|| panic!("{check}"))["evidence"].clone()
}

/// A time of this name in evidence.
fn time_of(evidence: &Value, name: &str) -> Timestamp {
    evidence[name].as_str().unwrap_or_else(|| panic!("no {name}: {evidence:#}")).parse().unwrap()
}

impl World {
    /// Every pod runs these values, and nothing is left of a canary.
    pub async fn every_pod_has(&self, values: &[(&str, &str)]) {
        self.until_no_canary().await;
        self.until_healthy().await;
        for (flag, value) in values {
            let found = self.flag_in_pods(flag).await;
            assert!(found.iter().all(|found| found.as_deref() == Some(*value)), "{flag} is {found:?}, not {value}");
        }
    }
}

#[tokio::test]
async fn the_strategy_from_shadow_to_everything_with_the_cache() {
    let world = World::empty().await;
    world.write_files(STRATEGY);
    world.serve(json!({"app": "store-pods"})).await;
    world.scenario(TRAFFIC).await;
    world.deploy(|_| ()).await;
    world.go_on("shadow").await.expect(0, &["done: shadow begins, no flag had to change"]);
    world.cbctl(&["check", "cache"]).await.expect(3, &["held   signed dashboards-reviewed: nobody yet"]);
    world.cbctl(&["sign-off", "dashboards-reviewed"]).await.expect(0, &[]);
    let run = world.go_on("cache").await;
    run.expect(0, &["trying: check http /readinessz", "cache, step 1 of 3 is entered, 1 canary pod runs it beside 2"]);
    world.cbctl(&["status"]).await.expect(0, &["cache   canary", "cache, step 1 of 3: 1 pod; baked"]);
    world.go_on("cache").await.expect(0, &["cache, step 2 of 3 is entered, 2 canary pods run it beside 2, 50% of all"]);
    world.go_on("cache").await.expect(0, &["cache, step 3 of 3 is entered, every pod is healthy"]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "true"), ("CB_HTTP_ENABLED", "false")]).await;
    world.check_until("cache", 0).await.expect(0, &["complete: cache is complete, nothing to do"]);
}

#[tokio::test]
async fn the_strategy_from_target_to_target_to_everything_off() {
    let world = World::empty().await;
    world.write_files(STRATEGY);
    world.serve(json!({"app": "store-pods"})).await;
    world.scenario(TRAFFIC).await;
    world.program("smoke.sh", "echo \"$CBCTL_PHASE\" >> asked");
    let cache_is_on = |manifest: &mut Value| {
        env_of(manifest)[0]["value"] = json!("true");
        env_of(manifest).push(json!({"name": "CB_CACHE_OP_TIMEOUT_MS", "value": "3000"}));
    };
    world.deploy(cache_is_on).await;
    world.go_on("cache").await.expect(0, &["done: cache begins, no flag had to change"]);
    world.until_healthy().await;

    let targets =
        ["partner-apis", "partner-apis,market-data-feeds", "partner-apis,market-data-feeds,analytics-services"];
    for (index, enabled) in targets.into_iter().enumerate() {
        let last = enabled.rsplit(',').next().unwrap();
        let step = |step: usize| format!("http, step {} of 6 ({last}) is entered", 2 * index + step);
        world.go_on("http").await.expect(0, &[&step(1), "1 canary pod runs it"]);
        assert_eq!(world.canary_flag("CB_HTTP_TARGETS").await.as_deref(), Some(enabled));
        if last == "market-data-feeds" {
            world.cbctl(&["check", "http"]).await.expect(3, &["signed stale-data-verified"]);
            world.cbctl(&["sign-off", "stale-data-verified", "--reason", "cut off for a minute"]).await.expect(0, &[]);
        }
        world.go_on("http").await.expect(0, &[&step(2), "every pod is healthy"]);
        world.every_pod_has(&[("CB_HTTP_ENABLED", "true"), ("CB_HTTP_TARGETS", enabled)]).await;
    }

    world.cbctl(&["sign-off", "team-trained"]).await.expect(0, &[]);
    world.cbctl(&["promote", "db"]).await.expect(3, &["held   db is of high risk"]);
    let entered = world.go_on_at_high_risk("db", "all of them only read").await;
    entered.expect(0, &["trying: check ./smoke.sh", "db, step 1 of 2 is entered, 1 canary"]);
    world
        .go_on_at_high_risk("db", "still only reading")
        .await
        .expect(0, &["db, step 2 of 2 is entered, every pod is healthy"]);
    let on = ["CB_CACHE_ENABLED", "CB_HTTP_ENABLED", "CB_DB_ENABLED"];
    world.every_pod_has(&on.map(|flag| (flag, "true"))).await;
    world.check_until("db", 0).await.expect(0, &["complete: db is complete, nothing to do"]);
    world.cbctl(&["history"]).await.expect(0, &[]);
    world.cbctl(&["history", "--verify"]).await.expect(0, &["whole"]);
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["every breaker is off"]);
    world.every_pod_has(&on.map(|flag| (flag, "false"))).await;
}

#[tokio::test]
async fn a_canary_that_is_bad_from_the_start() {
    let world = World::before_a_story(3).await;
    world.scenario(&failing("5%")).await;
    world.go_on("cache").await.expect(0, &["cache, step 1 of 3 is entered, 1 canary pod runs it beside 3, 25% of all"]);
    let bad = world.check_until("cache", 5).await;
    bad.expect(5, &["rollback: a rollback trigger fires", "firing   error_rate for 2s", "next: cbctl rollback"]);
    bad.expect(5, &["most on storefront-canary-POD"]);
    world.cbctl(&["promote", "cache"]).await.expect(5, &["firing   error_rate for 2s"]);
    world.cbctl(&["rollback", "--reason", "errors"]).await.expect(0, &["back at shadow, step 1; the canary is gone"]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "false")]).await;
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}

#[tokio::test]
async fn a_canary_that_goes_bad_after_a_healthy_while() {
    let world = World::before_a_story(2).await;
    world.go_on("cache").await.expect(0, &["cache, step 1 of 3 is entered"]);
    let good = world.check_until("cache", 0).await;
    good.expect(0, &["passed   error_rate", "passed   p95", "quiet   error_rate"]);
    let healthy = world.cbctl(&["check", "cache", "-o", "json"]).await;
    let newest = time_of(&of_the_trigger(&healthy), "newest");
    world.scenario(&failing("10%")).await;
    let bad = until("the trigger fires", async || {
        let run = world.cbctl(&["check", "cache"]).await;
        (run.status == 5).then_some(run)
    })
    .await;
    bad.expect(5, &["firing   error_rate for 2s", "began AGE ago", "most on storefront-canary-POD"]);
    let later = world.cbctl(&["check", "cache", "-o", "json"]).await;
    let onset = time_of(&of_the_trigger(&later)["finding"], "onset");
    let early = newest.checked_sub(TOLERANCE).unwrap();
    assert!(onset > early, "it begins at {onset}, the last healthy sample is of {newest}:\n{healthy}\n{later}");
    world.cbctl(&["abort", "--reason", "errors"]).await.expect(0, &["back at shadow, step 1; the canary is gone"]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "false")]).await;
}

#[tokio::test]
async fn a_canary_that_crashes_at_its_start() {
    let world = World::before_a_story(2).await;
    world.check_until("cache", 0).await;
    // The live template has no such annotation: it makes the canary's pods crash alone.
    world.api.on("POST deployments", Act::rewrite(|made| annotate(made, &simulated("crash-after"), "100ms")));
    let run = world.cbctl(&["promote", "cache"]).await;
    let why = "storefront-canary-POD crashes again and again";
    run.expect(5, &[&format!("rollback: cache, step 1 of 3 did not become healthy ({why})")]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "false")]).await;
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}

#[tokio::test]
async fn a_canary_that_begins_to_crash() {
    let world = World::before_a_story(2).await;
    world.go_on("cache").await;
    let pod = world.canary_pods().await.remove(0).metadata.name.unwrap();
    let dies = json!({"metadata": {"annotations": {simulated("crash-after"): "100ms"}}});
    world.pod_objects().patch(&pod, &PatchParams::default(), &Patch::Merge(dies)).await.unwrap();
    let run = world.check_until("cache", 5).await;
    run.expect(
        5,
        &["rollback: a rollback trigger fires", "firing   pods", "storefront-canary-POD", "next: cbctl rollback"],
    );
    world.cbctl(&["promote", "cache"]).await.expect(5, &["firing   pods"]);
    world.cbctl(&["rollback"]).await.expect(0, &["back at shadow, step 1"]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "false")]).await;
}

#[tokio::test]
async fn a_canary_that_gets_no_traffic() {
    let world = World::before_a_story(2).await;
    // A Service that selects what only the stable pods have: none of its requests comes to a canary.
    let stable = world.stable_pods().await.remove(0).metadata.labels.unwrap()["pod-template-hash"].clone();
    world.serve_only(json!({"app": "store-pods", "pod-template-hash": stable})).await;
    world.go_on("cache").await.expect(0, &["cache, step 1 of 3 is entered"]);
    let held = world.check_until("cache", 3).await;
    held.expect(3, &["held   exposure   0%   ~ 33%", "the canary gets next to no traffic", "which Services select"]);
    world.cbctl(&["promote", "cache"]).await.expect(3, &["held   exposure"]);
    world.cbctl(&["abort"]).await.expect(0, &["back at shadow, step 1; the canary is gone"]);
    world.every_pod_has(&[("CB_CACHE_ENABLED", "false")]).await;
}
