//! `cbctl rollback --gradual`: one reduction after the other, each judged, and never a breaker on.
//!
//! The scenario decides what makes the errors: a flag, the canary, or nothing that a rollback could take away.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::canary::CANARY;
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::{FLAGS, World, files, until};

pub const TRIGGER: &str = "rollback:\n  - error_rate > 2% for 3s\n";

pub const HEALTHY: &str = "rules: []";
const HTTP_FAILS: &str = "rules: [{when: {env: {CB_HTTP_ENABLED: \"true\"}}, set: {error_rate: 20%}}]";
pub const CANARY_FAILS: &str = "rules: [{when: {pod: \"storefront-canary-.*\"}, set: {error_rate: 20%}}]";
pub const ALL_FAILS: &str = "rules: [{set: {error_rate: 20%}}]";

impl World {
    /// A service that was promoted through these phases, and that is judged by this trigger from now on. The same
    /// phases without it are in another folder.
    async fn watched(phases: &[&str], trigger: &str, scenario: &str) -> Self {
        let world = Self::promoted_to(phases).await;
        for (name, text) in files::UNGATED {
            world.write(&format!("unwatched/{name}"), text);
            if *name != "rollout.yaml" {
                world.write(&format!("phases/{name}"), &format!("{text}{trigger}"));
            }
        }
        world.scenario(scenario).await;
        world
    }

    async fn on(&self) -> Vec<String> {
        let mut on = Vec::new();
        for flag in FLAGS {
            if self.flag(flag).await.as_deref() == Some("true") {
                on.push(flag.to_owned());
            }
        }
        on
    }

    async fn canary_replicas(&self) -> Option<i32> {
        self.deployments().get(CANARY).await.unwrap().spec?.replicas
    }

    /// What the history tells of rollbacks.
    pub async fn told_of_rollbacks(&self) -> Vec<String> {
        let phase = |place: &Value| place["phase"].as_str().unwrap_or("-").to_owned();
        let line = |entry: &Value| {
            let canary = entry.get("canary").map(|canary| format!(" {} -> {}", canary["from"], canary["to"]));
            let pods = canary.unwrap_or_default();
            format!("{} -> {}{pods}: {}", phase(&entry["from"]), phase(&entry["to"]), entry["result"].as_str().unwrap())
        };
        self.history().await.iter().filter(|entry| entry["action"] == "rollback").map(line).collect()
    }
}

/// What was reduced and judged, as it was told.
pub fn story(run: &Run) -> Vec<String> {
    let stderr = crate::harness::redact::redact(&run.stderr);
    let told = ["canary: ", "back at ", "judged: ", "better: "];
    stderr.lines().filter(|line| told.iter().any(|word| line.starts_with(word))).map(str::to_owned).collect()
}

#[tokio::test]
async fn stops_where_things_are_better() {
    let world = World::watched(&["shadow", "cache", "http"], TRIGGER, HTTP_FAILS).await;
    let run = world.cbctl(&["rollback", "--gradual", "--reason", "checkout errors"]).await;
    insta::assert_snapshot!(run.redacted(), @r"
      deployment/storefront   CB_HTTP_ENABLED   true -> false   better: every trigger is quiet
    done in AGE: better: the rollout stands at cache, step 1; 2 of 2 pods run the new values
    next: cbctl promote, once cbctl check passes
    further back: cbctl rollback --to shadow
    ");
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(
        story(&run),
        ["back at cache, step 1: 1 flag of deployment/storefront changes", "better: every trigger is quiet"]
    );
    assert_eq!(world.on().await, ["CB_CACHE_ENABLED"]);
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    assert_eq!(world.told_of_rollbacks().await, ["http -> cache: done"]);
    assert_eq!(world.history().await.last().unwrap()["reason"], "checkout errors");

    // A second run judges before it reduces anything, and finds nothing to do.
    let again = world.cbctl(&["rollback", "--gradual", "-o", "json"]).await;
    assert_eq!((again.status, again.json()["result"].as_str()), (0, Some("nothing_to_do")), "{again}");
    assert_eq!(again.json()["judged_first"]["verdict"], "better", "{again}");
    assert!(again.writes().is_empty(), "{again}");
}

#[tokio::test]
async fn goes_all_the_way_if_nothing_gets_better() {
    let world = World::watched(&["shadow", "cache", "http"], TRIGGER, ALL_FAILS).await;
    let run = world.cbctl(&["rollback", "--gradual", "-o", "json"]).await;
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(
        story(&run),
        [
            "back at cache, step 1: 1 flag of deployment/storefront changes",
            "judged: error_rate for 3s still fires",
            "back at shadow, step 1: 2 flags of deployment/storefront change",
        ]
    );
    assert!(world.on().await.is_empty(), "{run}");
    assert_eq!(world.told_of_rollbacks().await, ["http -> cache: done", "cache -> shadow: done"]);
    let report = run.json();
    assert_eq!(
        (&report["schema"], &report["kind"], &report["exit"]),
        (&json!(1), &json!("gradual_rollback"), &json!(0))
    );
    assert_eq!(report["reductions"][0]["judged"]["verdict"], "firing", "{run}");
    assert_eq!(report["reductions"][0]["judged"]["conditions"][1]["verdict"], "firing", "{run}");
    assert_eq!(report["place"]["phase"], "shadow", "{run}");
    // What was judged after the first reduction is why the second one was made.
    let history = world.history().await;
    assert_eq!(history.last().unwrap()["evidence"][1]["verdict"], "firing");

    let again = world.cbctl(&["rollback", "--gradual"]).await;
    again.expect(0, &["nothing to do: already off; 2 of 2 pods run the new values"]);
    assert!(again.writes().is_empty(), "{again}");
}

#[tokio::test]
async fn a_prometheus_that_is_dead_proves_nothing_and_stops_nothing() {
    let world = World::watched(&["shadow", "cache", "http"], "rollback:\n  - error_rate > 2% for 5m\n", HEALTHY).await;
    world.prometheus.on("", Act::Close);
    let began = Instant::now();
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(
        0,
        &["every breaker is off, and no improvement was proven", "no improvement proven: error_rate for 5m: "],
    );
    assert!(began.elapsed().as_secs() < 30, "it waited for Prometheus:\n{run}");
    assert!(world.on().await.is_empty(), "{run}");
    assert_eq!(world.told_of_rollbacks().await, ["http -> cache: done", "cache -> shadow: done"]);
}

#[tokio::test]
async fn a_canary_that_is_the_cause_goes_first_and_the_breakers_stay() {
    let world = World::watched(&["shadow", "cache"], TRIGGER, CANARY_FAILS).await;
    let env = world.env().await;
    world.add_a_canary(4, &["CB_CACHE_ENABLED", "CB_HTTP_ENABLED"]).await;
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    insta::assert_snapshot!(run.redacted(), @r"
      deployment/storefront-canary   replicas   4 -> 2 (about 67% -> 50% of the pods)   error_rate for 3s still fires
      deployment/storefront-canary   replicas   2 -> 1 (about 50% -> 33% of the pods)   error_rate for 3s still fires
      deployment/storefront-canary   replicas   1 -> 0 (about 33% -> 0% of the pods)   better: every trigger is quiet
    done in AGE: better: the rollout stands at cache, step 1; 2 of 2 pods run the new values
    next: cbctl promote, once cbctl check passes
    further back: cbctl rollback --to shadow
    canary storefront-canary has 0 pods: kubectl -n shop delete deployment storefront-canary removes it
    ");
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(
        story(&run),
        [
            "canary: 4 -> 2 pods, about 67% -> 50% of the pods",
            "judged: error_rate for 3s still fires",
            "canary: 2 -> 1 pod, about 50% -> 33% of the pods",
            "judged: error_rate for 3s still fires",
            "canary: 1 -> 0 pods, about 33% -> 0% of the pods",
            "better: every trigger is quiet",
        ]
    );
    assert_eq!((world.canary_replicas().await, world.pods().await.len()), (Some(0), 2));
    assert_eq!(world.env().await, env, "the Deployment itself was left alone");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    let told = world.told_of_rollbacks().await;
    assert_eq!(told, ["cache -> cache 4 -> 2: done", "cache -> cache 2 -> 1: done", "cache -> cache 1 -> 0: done"]);
}

#[tokio::test]
async fn a_canary_keeps_the_pods_with_which_things_are_better() {
    let world = World::watched(&["shadow", "cache"], TRIGGER, CANARY_FAILS).await;
    world.add_a_canary(4, &[]).await;
    // The first reduction is made without asking, and by then things are well again.
    world.scenario(HEALTHY).await;
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(0, &["better: the rollout stands at cache, step 1", "canary storefront-canary has 2 pods"]);
    assert_eq!(world.canary_replicas().await, Some(2));

    // Badly again: what is there is judged before anything more is reduced.
    world.scenario(ALL_FAILS).await;
    until("the trigger fires", async || (world.cbctl(&["check", "http"]).await.status == 5).then_some(())).await;
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(0, &["every breaker is off"]);
    assert_eq!(
        story(&run)[..2],
        ["judged: error_rate for 3s still fires", "canary: 2 -> 1 pod, about 50% -> 33% of the pods"]
    );
    assert_eq!(world.canary_replicas().await, Some(0));
    assert!(world.on().await.is_empty(), "{run}");
}

#[tokio::test]
async fn a_canary_that_is_overtaken_is_given_up_and_the_breakers_go_off() {
    let world = World::watched(&["shadow", "cache"], TRIGGER, ALL_FAILS).await;
    world.add_a_canary(4, &[]).await;
    let (deployments, four) = (world.deployments(), json!({"spec": {"replicas": 4}}));
    let autoscaler = move || {
        let (deployments, four) = (deployments.clone(), four.clone());
        async move {
            let patch = kube::api::Patch::Merge(four);
            deployments.patch(CANARY, &kube::api::PatchParams::default(), &patch).await.unwrap();
        }
    };
    world.api.on("PATCH deployments/storefront-canary", Act::after(autoscaler));
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(
        1,
        &[
            "warning: storefront-canary has 4 pods again: something scales it up",
            "error: every breaker of storefront is off, but canary storefront-canary has 4 pods",
        ],
    );
    assert!(run.stdout.is_empty(), "its pods may have a breaker on:\n{run}");
    assert!(world.on().await.is_empty(), "{run}");
    assert_eq!(world.told_of_rollbacks().await, ["cache -> cache 4 -> 2: overtaken", "cache -> shadow: done"]);
}

#[tokio::test]
async fn a_canary_that_may_not_be_scaled_does_not_hold_the_breakers_up() {
    let world = World::watched(&["shadow", "cache"], TRIGGER, ALL_FAILS).await;
    world.add_a_canary(2, &[]).await;
    world.api.on("PATCH deployments/storefront-canary", Act::status(403));
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(
        1,
        &[
            "warning: cannot patch deployment \"storefront-canary\"",
            "error: every breaker of storefront is off, but canary storefront-canary has 2 pods",
        ],
    );
    assert!(world.on().await.is_empty(), "{run}");
    assert_eq!(world.told_of_rollbacks().await, ["cache -> shadow: done"]);
}

#[tokio::test]
async fn a_dry_run_shows_every_reduction_and_checks_the_first() {
    let world = World::watched(&["shadow", "cache", "http"], TRIGGER, HEALTHY).await;
    let run = world.cbctl(&["rollback", "--gradual", "--dry-run"]).await;
    insta::assert_snapshot!(run.redacted(), @r"
      deployment/storefront   CB_HTTP_ENABLED   true -> false
      deployment/storefront   CB_CACHE_ENABLED   true -> false
          CB_CACHE_OP_TIMEOUT_MS   3000 -> (not set)
    dry run: at most these, one after the other; the API server accepts the first
    ");
    assert_eq!((run.status, run.dry_runs()), (0, vec!["DRYRUN deployments/storefront"]), "{run}");
    world.add_a_canary(3, &[]).await;
    let version = world.resource_version().await;
    let run = world.cbctl(&["rollback", "--gradual", "--dry-run"]).await;
    insta::assert_snapshot!(run.redacted(), @r"
      deployment/storefront-canary   replicas   3 -> 1 (about 60% -> 33% of the pods)
      deployment/storefront-canary   replicas   1 -> 0 (about 33% -> 0% of the pods)
      deployment/storefront   CB_HTTP_ENABLED   true -> false
      deployment/storefront   CB_CACHE_ENABLED   true -> false
          CB_CACHE_OP_TIMEOUT_MS   3000 -> (not set)
    dry run: at most these, one after the other; the API server accepts the first
    ");
    assert_eq!((run.status, run.dry_runs()), (0, vec!["DRYRUN deployments/storefront-canary"]), "{run}");
    assert_eq!((world.resource_version().await, world.canary_replicas().await), (version, Some(3)));
    world.cbctl(&["rollback", "--gradual", "--no-wait"]).await.expect(2, &["cannot be used with '--no-wait'"]);
}

#[tokio::test]
async fn an_interruption_says_what_stands_and_the_next_run_goes_on_from_there() {
    let trigger = "rollback:\n  - error_rate > 2% for 30s\n";
    let world = World::watched(&["shadow", "cache", "http"], trigger, HTTP_FAILS).await;
    let running = world.cbctl(&["rollback", "--gradual"]).start();
    running.says("waiting: ").await;
    running.signal(Signal::INT);
    let run = running.finish().await;
    run.expect(
        1,
        &["error: interrupted: the rollout stands at cache, step 1; cbctl rollback --gradual goes on from there"],
    );
    assert!(run.stdout.is_empty(), "{run}");
    assert_eq!(world.on().await, ["CB_CACHE_ENABLED"]);

    // What stands is judged first: as long as nothing fires, nothing more is taken back.
    world.edit("phases/20-cache.yaml", "for 30s", "for 3s");
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(0, &["nothing to do: better: the rollout stands at cache, step 1"]);
    assert!(run.writes().is_empty(), "{run}");
    world.scenario(ALL_FAILS).await;
    until("the trigger fires", async || (world.cbctl(&["check", "http"]).await.status == 5).then_some(())).await;
    world.cbctl(&["rollback", "--gradual"]).await.expect(0, &["every breaker is off"]);
    assert_eq!(world.told_of_rollbacks().await, ["http -> cache: done", "cache -> shadow: done"]);
}

#[tokio::test]
async fn a_promotion_in_the_middle_overtakes_it() {
    let world =
        World::watched(&["shadow", "cache", "http"], "rollback:\n  - error_rate > 2% for 1m\n", ALL_FAILS).await;
    let running = world.cbctl(&["rollback", "--gradual"]).start();
    running.says("waiting: ").await;
    world.cbctl(&["promote", "http", "-f", "unwatched"]).await.expect(0, &[]);
    let run = running.finish().await;
    run.expect(1, &["error: somebody else's change has overtaken this rollback", "the rollout stands at http, step 1"]);
    assert!(run.stdout.is_empty(), "{run}");
    assert_eq!(world.on().await, ["CB_CACHE_ENABLED", "CB_HTTP_ENABLED"], "what was promoted stays");
}

#[tokio::test]
async fn an_emergency_in_the_middle_wins() {
    let world =
        World::watched(&["shadow", "cache", "http"], "rollback:\n  - error_rate > 2% for 1m\n", ALL_FAILS).await;
    let running = world.cbctl(&["rollback", "--gradual"]).start();
    running.says("waiting: ").await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["every breaker is off"]);
    let run = running.finish().await;
    run.expect(1, &["error: an emergency rollback has overtaken this rollback: nothing more is reduced"]);
    assert!(world.on().await.is_empty(), "{run}");
    assert_eq!(world.told_of_rollbacks().await, ["http -> cache: done"]);
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(0, &["nothing to do: an emergency rollback is in force"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn pods_that_do_not_come_up_do_not_stop_it() {
    let world = World::watched(&["shadow", "cache", "http"], TRIGGER, HEALTHY).await;
    let unready = |patch: &mut Value| {
        let never = json!({"sim.cbctl.dev/ready": "false"});
        patch["spec"]["template"]["metadata"] = json!({"annotations": never});
    };
    world.api.on_next(1, "PATCH deployments/storefront", Act::rewrite(unready));
    let healthy = |patch: &mut Value| {
        if patch["spec"]["template"].is_object() {
            patch["spec"]["template"]["metadata"] = json!({"annotations": {"sim.cbctl.dev/ready": null}});
        }
    };
    let running = world.cbctl(&["rollback", "--gradual", "--timeout", "3s"]).start();
    running.says("warning: time is up").await;
    world.api.on("PATCH deployments/storefront", Act::rewrite(healthy));
    let run = running.finish().await;
    assert!([0, 1].contains(&run.status), "{run}");
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{run}");
    let told = world.told_of_rollbacks().await;
    assert_eq!(told[0], "http -> cache: unverified", "{run}");
    assert_eq!((told.len(), world.on().await.len()), (2, 0), "{run}");
    assert_eq!(run.status == 0, told[1].ends_with("done"), "{run}");
}

#[tokio::test]
async fn a_reduction_whose_pods_have_not_gone_yet_is_brought_to_its_end() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    world.add_a_canary(1, &[]).await;
    // One that nobody ends stands for a controller that takes its time.
    let lingering = world.add_a_pod_of_the_canary().await;
    let killed = world.cbctl(&["rollback", "--gradual"]).start();
    killed.says("canary: 1 -> 0 pods").await;
    until("the canary is scaled", async || (world.canary_replicas().await == Some(0)).then_some(())).await;
    killed.signal(Signal::KILL);
    killed.finish().await;
    let running = world.cbctl(&["rollback", "--gradual"]).start();
    running.says("canary: 1 -> 0 pods").await;
    world.delete_pod(&lingering).await;
    running.finish().await.expect(0, &["every breaker is off"]);
    assert_eq!(
        world.told_of_rollbacks().await,
        ["http -> http 1 -> 0: done", "http -> cache: done", "cache -> shadow: done"]
    );
}
