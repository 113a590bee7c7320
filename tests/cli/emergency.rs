//! `cbctl rollback --emergency`: every breaker off, now, whatever else is broken.

use std::time::Instant;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::cluster::{annotate, env_of, flag_patch, simulated};
use crate::harness::proxy::Act;
use crate::harness::{CONTAINER, DEPLOYMENT, FLAGS, World, files, until};

const OFF: [&str; 3] = ["false"; 3];
/// It is looked for beside everything else.
const CANARY: &str = "GET deployments/storefront-canary";

impl World {
    async fn breaker_flags(&self) -> Vec<String> {
        let mut values = Vec::new();
        for flag in FLAGS {
            values.push(self.flag(flag).await.unwrap_or_default());
        }
        values
    }

    async fn every_pod_is_off(&self) -> bool {
        for flag in FLAGS {
            if self.flag_in_pods(flag).await.iter().any(|value| value.as_deref() != Some("false")) {
                return false;
            }
        }
        true
    }
}

#[tokio::test]
async fn is_exactly_one_patch_that_carries_no_version() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let run = world.cbctl(&["rollback", "--emergency", "--no-wait", "--reason", "checkout errors"]).await;
    let run = run.apart_from(CANARY);
    insta::assert_snapshot!(run, @r"
    sent   deployment/storefront   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    off in the deployment; its pods restart now, nobody waits for them
    [exit status: 0]
    ------- requests -------
    PATCH deployments/storefront
    ");
    assert_eq!(run.lines(), ["PATCH deployments/storefront"]);
    assert!(!run.requests[0].body.contains("resourceVersion"), "{}", run.requests[0].body);
    assert!(!run.requests[0].body.contains("cbctl.dev/rollout"), "the record was not read, so it stays");
    assert_eq!(world.breaker_flags().await, OFF);
    assert_eq!(world.record("emergency").await.unwrap()["reason"], "checkout errors");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
}

#[tokio::test]
async fn says_done_only_when_every_pod_runs_the_off_values() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    let run = world.cbctl(&["rollback", "--emergency", "--reason", "checkout errors"]).await;
    let run = run.apart_from(CANARY);
    insta::assert_snapshot!(run, @r"
    off   deployment/storefront   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    done in AGE: every breaker is off; 2 of 2 pods run the new values
    was http, step 1, for AGE; goes on with: cbctl promote
    ------- stderr -------
    off: deployment/storefront in AGE
    [exit status: 0]
    ------- requests -------
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert!(world.every_pod_is_off().await, "{run}");
    let entry = world.history().await.pop().unwrap();
    assert_eq!([&entry["action"], &entry["result"], &entry["reason"]], ["emergency", "done", "checkout errors"]);
}

#[tokio::test]
async fn the_next_promote_accepts_it() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &[]);
    world.cbctl(&["status"]).await.expect(0, &["emergency rollback AGE ago; the next promote accepts it"]);
    world.cbctl(&["rollback"]).await.expect(0, &["nothing to do: an emergency rollback is in force"]);
    world.cbctl(&["promote", "cache"]).await.expect(0, &["done in AGE: cache, step 1 of 1 is entered"]);
    assert_eq!(world.record("emergency").await, None);
    assert_eq!(world.breaker_flags().await, ["true", "false", "false"]);
}

#[tokio::test]
async fn the_command_it_advises_is_accepted() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    let (_, advice) = run.stdout.split_once("with: cbctl ").unwrap_or_else(|| panic!("no advice:\n{run}"));
    let words: Vec<&str> = advice.lines().next().unwrap().split_whitespace().collect();
    world.cbctl(&words).await.expect(0, &["is entered"]);
}

#[tokio::test]
async fn a_second_time_is_harmless() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    for _ in 0..2 {
        world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["every breaker is off"]);
    }
    assert_eq!(world.breaker_flags().await, OFF);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let version = world.resource_version().await;
    let run = world.cbctl(&["rollback", "--emergency", "--dry-run"]).await.apart_from(CANARY);
    run.expect(0, &["dry run: the API server would switch every breaker off"]);
    assert_eq!(run.lines(), ["DRYRUN deployments/storefront"]);
    assert_eq!(world.resource_version().await, version);
}

#[tokio::test]
async fn needs_no_prometheus_and_no_phase_files() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.prometheus.on("", Act::Close);
    world.write("phases/20-cache.yaml", "name: [");
    std::fs::remove_file(world.path("phases/10-shadow.yaml")).unwrap();
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    run.expect(0, &["every breaker is off"]);
    assert!(!run.lines().iter().any(|line| line.starts_with("QUERY")), "{run}");
}

#[tokio::test]
async fn takes_the_flags_from_the_record_when_rollout_yaml_is_gone() {
    for broken in ["missing", "invalid"] {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        match broken {
            "missing" => std::fs::remove_dir_all(world.path("phases")).unwrap(),
            _ => world.write("phases/rollout.yaml", "breakers: {cache: {flag: [}"),
        }
        let run = world.cbctl(&["rollback", "--emergency"]).await.apart_from(CANARY);
        run.expect(0, &["warning: ", "every breaker is off"]);
        assert_eq!(run.lines()[..2], ["LIST deployments", "PATCH deployments/storefront"], "{broken}:\n{run}");
        assert!(world.every_pod_is_off().await, "{broken}");
    }
}

#[tokio::test]
async fn asks_for_names_when_nothing_tells_what_to_switch_off() {
    let world = World::new().await;
    std::fs::remove_dir_all(world.path("phases")).unwrap();
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    insta::assert_snapshot!(run, @r#"
    ------- stderr -------
    warning: cannot read "phases/rollout.yaml"
      caused by: No such file or directory (os error 2)
    error: rollout.yaml cannot be used, and there is no other way to know what to switch off
      caused by: cannot read "phases/rollout.yaml"
      caused by: No such file or directory (os error 2)

    hint: name what to switch off: --deployment NAME --flag NAME [--flag NAME …]
    [exit status: 2]
    ------- requests -------
    LIST deployments
    "#);
}

#[tokio::test]
async fn switches_off_what_is_named_when_nothing_else_tells() {
    let world = World::empty().await;
    world.deploy(|manifest| env_of(manifest)[0]["value"] = json!("true")).await;
    let named = ["rollback", "--emergency", "--deployment", DEPLOYMENT, "--flag", FLAGS[0]];
    let run = world.cbctl(&named).await.apart_from(CANARY);
    run.expect(0, &["every breaker is off"]);
    assert_eq!(run.lines()[..2], ["GET deployments/storefront", "PATCH deployments/storefront"], "{run}");
    assert_eq!(world.flag_in_pods(FLAGS[0]).await, vec![Some("false".to_owned()); 2]);

    let named = [
        "rollback",
        "--emergency",
        "--deployment",
        DEPLOYMENT,
        "--flag",
        FLAGS[0],
        "--container",
        CONTAINER,
        "--no-wait",
    ];
    let run = world.cbctl(&named).await.apart_from(CANARY);
    assert_eq!(run.lines(), ["PATCH deployments/storefront"], "with the container named nothing is read");
}

#[tokio::test]
async fn does_not_wait_for_a_rollout_that_is_under_way() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| annotate(manifest, &simulated("ready-after"), "2s")).await;
    world.promote_through(&["shadow"]).await;
    let promotion = world.cbctl(&["promote", "cache", "--timeout", "30s"]).start();
    promotion.says("new values").await;
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    run.expect(0, &["every breaker is off"]);
    assert!(world.every_pod_is_off().await, "{run}");
    // The promotion was overtaken: it ends, and neither claims to have worked nor puts anything back.
    let began = Instant::now();
    let overtaken = promotion.finish().await;
    assert_ne!(overtaken.status, 0, "{overtaken}");
    assert!(began.elapsed().as_secs() < 10, "it waited on for what can no longer come:\n{overtaken}");
    assert_eq!(world.breaker_flags().await, OFF);
    assert!(world.record("emergency").await.is_some());
}

#[tokio::test]
async fn frees_a_rollout_that_is_stuck() {
    let world = World::promoted_to(&["shadow"]).await;
    // As if the new values made every pod fail: only pods that have them are broken.
    world
        .patch_as_somebody_else(json!({"spec": {"template": {
            "metadata": {"annotations": {simulated("image-error"): "yes"}},
            "spec": {"containers": [{"name": CONTAINER, "env": [{"name": FLAGS[0], "value": "true"}]}]},
        }}}))
        .await;
    until("a pod finds no image", async || (world.pods().await.len() > 2).then_some(())).await;
    world.api.on(
        "PATCH deployments/storefront",
        Act::rewrite(|patch| {
            patch["spec"]["template"]["metadata"] = json!({"annotations": {simulated("image-error"): null}});
        }),
    );
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    run.expect(0, &["every breaker is off"]);
    assert!(world.every_pod_is_off().await, "{run}");
}

#[tokio::test]
async fn tells_what_the_pods_wait_for_when_time_is_up() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world
        .patch_as_somebody_else(
            json!({"spec": {"template": {"metadata": {"annotations": {simulated("image-error"): "yes"}}}}}),
        )
        .await;
    let run = world.cbctl(&["rollback", "--emergency", "--timeout", "10s"]).await.apart_from(CANARY);
    insta::assert_snapshot!(run, @"
    ------- stderr -------
    off: deployment/storefront in AGE
    error: time is up: the change is in the deployment, but not verified in every pod: 2 of 3 pods still run CB_CACHE_ENABLED=true: 1 starting (1 IMAGE PULL)

    hint: kubectl describe pods says why they do not start
    [exit status: 1]
    ------- requests -------
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.breaker_flags().await, OFF, "off in the deployment all the same");
    assert_eq!(world.history().await.last().unwrap()["result"], "unverified");
}

#[tokio::test]
async fn wins_against_a_concurrent_writer() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on("PATCH deployments/storefront", world.somebody_writes_first());
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    run.expect(0, &["every breaker is off"]);
    let patches = run.lines().iter().filter(|line| line.starts_with("PATCH deployments")).count();
    assert_eq!(patches, 1, "{run}");
}

#[tokio::test]
async fn does_not_say_done_when_somebody_switches_it_on_again() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let running = world.cbctl(&["rollback", "--emergency", "--timeout", "6s"]).start();
    running.says("off: deployment/storefront").await;
    world.patch_as_somebody_else(flag_patch(FLAGS[0], "true")).await;
    let run = running.finish().await;
    run.expect(1, &["error: "]);
    assert!(!run.says("done"), "{run}");
}

#[tokio::test]
async fn overrides_a_flag_wherever_it_comes_from() {
    let reference = json!({"name": FLAGS[0], "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "cache"}}});
    let cases: [(&str, Value); 3] = [
        ("valueFrom", json!({"env": [reference]})),
        ("set twice", json!({"env": [{"name": FLAGS[0], "value": "false"}, {"name": FLAGS[0], "value": "true"}]})),
        ("envFrom", json!({"env": [], "envFrom": [{"configMapRef": {"name": "flags"}}]})),
    ];
    join_all(cases.map(async |(name, environment)| {
        let world = World::empty().await;
        world.write_files(files::UNGATED);
        let data = json!({"cache": "true", FLAGS[0]: "true"});
        world.make_config_map("flags", data).await;
        world
            .deploy(|manifest| {
                let container = &mut manifest["spec"]["template"]["spec"]["containers"][0];
                container["env"] = environment["env"].clone();
                container["envFrom"] = environment["envFrom"].clone();
            })
            .await;
        let run = world.cbctl(&["rollback", "--emergency", "--timeout", "60s"]).await;
        assert_eq!(run.status, 0, "{name}:\n{run}");
        let entries = world.env().await.into_iter().filter(|entry| entry.name == FLAGS[0]);
        for entry in entries {
            assert_eq!((entry.value.as_deref(), entry.value_from.as_ref()), (Some("false"), None), "{name}:\n{run}");
        }
        assert!(world.every_pod_is_off().await, "{name}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn leaves_other_containers_alone() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    let sidecar =
        json!({"name": "sidecar", "image": "registry.invalid/proxy:1", "env": [{"name": FLAGS[0], "value": "true"}]});
    world
        .deploy(|manifest| {
            manifest["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().push(sidecar);
            env_of(manifest)[0]["value"] = json!("true");
        })
        .await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["every breaker is off"]);
    assert_eq!(world.flag(FLAGS[0]).await.as_deref(), Some("false"));
    let template = world.deployment().await.spec.unwrap().template.spec.unwrap();
    let sidecar = template.containers.iter().find(|container| container.name == "sidecar").unwrap();
    assert_eq!(sidecar.env.as_ref().unwrap()[0].value.as_deref(), Some("true"));
}

#[tokio::test]
async fn finds_the_container_by_itself_only_if_there_is_one() {
    let world = World::new().await;
    world.edit("phases/rollout.yaml", ", container: web", "");
    let run = world.cbctl(&["rollback", "--emergency", "--no-wait"]).await.apart_from(CANARY);
    assert_eq!(run.lines(), ["GET deployments/storefront", "PATCH deployments/storefront"], "{run}");

    let sidecar = json!({"name": "sidecar", "image": "registry.invalid/proxy:1"});
    world.patch_as_somebody_else(json!({"spec": {"template": {"spec": {"containers": [sidecar]}}}})).await;
    let run = world.cbctl(&["rollback", "--emergency", "--no-wait"]).await;
    run.expect(2, &["has several containers", "\"sidecar\"", "and none is named"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn goes_on_whatever_the_server_answers_for_a_while() {
    let retry_after = Act::Answer { status: 429, headers: vec![("retry-after", "1".to_owned())], body: String::new() };
    let cases = [
        ("429", retry_after),
        ("500", Act::status(500)),
        ("503", Act::status(503)),
        ("409", Act::status(409)),
        ("closed", Act::Close),
        ("answer lost", Act::LoseAnswer),
        ("broken off", Act::BreakOff),
        ("no JSON", Act::body(200, "text/html", "<html>maintenance</html>")),
    ];
    join_all(cases.map(async |(name, act)| {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        world.api.on_next(1, "PATCH deployments/storefront", act);
        // Nor does what happens to the looks afterwards stop it.
        world.api.on_next(1, "LIST pods", Act::status(500));
        let run = world.cbctl(&["rollback", "--emergency", "--timeout", "30s"]).await;
        assert_eq!(run.status, 0, "{name}:\n{run}");
        assert!(world.every_pod_is_off().await, "{name}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn gives_up_at_the_deadline() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on("PATCH deployments/storefront", Act::status(503));
    let began = Instant::now();
    let run = world.cbctl(&["rollback", "--emergency", "--timeout", "2s"]).await;
    run.expect(1, &["error: cannot patch deployment \"storefront\"", "caused by: the API server answered 503"]);
    assert!(began.elapsed().as_secs() < 10);
    assert!(run.stdout.is_empty(), "{run}");
}

#[tokio::test]
async fn a_hanging_server_does_not_hold_it_beyond_the_deadline() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on("PATCH deployments/storefront", Act::Delay(std::time::Duration::from_secs(60)));
    let began = Instant::now();
    let run = world.cbctl(&["rollback", "--emergency", "--timeout", "2s"]).await;
    run.expect(1, &["error: "]);
    assert!(began.elapsed().as_secs() < 6, "took {:?}:\n{run}", began.elapsed());
}

#[tokio::test]
async fn an_interruption_says_how_far_it_came() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| annotate(manifest, &simulated("ready-after"), "2s")).await;
    world.promote_through(&["shadow", "cache"]).await;
    let running = world.cbctl(&["rollback", "--emergency"]).start();
    running.says("new values").await;
    running.signal(Signal::INT);
    let run = running.finish().await;
    run.expect(1, &["error: interrupted: the change is in the deployment, but not verified in every pod"]);
    assert_eq!(world.breaker_flags().await, OFF);
}

#[tokio::test]
async fn a_reader_that_has_gone_away_does_not_stop_it() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.cbctl(&["rollback", "--emergency"]).with_closed_stdout().await.expect(0, &[]);
    assert!(world.every_pod_is_off().await);
}
