//! What has to be true before a promotion, besides figures: words that are given for a file as it is, a yes to a high
//! risk, no freeze, and checks that are tried.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{World, files, until};

impl World {
    /// A program in the folder.
    pub fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A healthy service in shadow, whose gates are these.
    async fn with_gates(gates: &str) -> Self {
        let world = Self::new().await;
        world.edit("phases/10-shadow.yaml", "steps:", &format!("gates: [{gates}]\nsteps:"));
        world.promote_through(&["shadow"]).await;
        world
    }

    /// The phase cache asks for this as well.
    fn require(&self, requirement: &str) {
        self.edit("phases/20-cache.yaml", "requires:\n", &format!("requires:\n  - {requirement}\n"));
    }
}

#[tokio::test]
async fn a_word_counts_for_the_file_that_was_signed() {
    let world = World::with_gates("{signoff: reviewed}").await;
    world.require("{signoff: reviewed}");
    let signed = world.cbctl(&["sign-off", "reviewed", "--reason", "all three"]).await;
    insta::assert_snapshot!(signed, @r"
    signed reviewed by admin for cache, shadow
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
    world.cbctl(&["check", "cache"]).await.expect(0, &["signed   signed reviewed   by admin: all three"]);
    world.cbctl(&["history"]).await.expect(0, &["sign-off", "shadow/1, reviewed"]);
    world.cbctl(&["why"]).await.expect(0, &["sign-off: reviewed at shadow, step 1", "reason: all three"]);

    world.edit("phases/20-cache.yaml", "title: Cache canary", "title: The cache's canary");
    let changed = world.cbctl(&["promote", "cache"]).await;
    changed.expect(
        3,
        &[
            "held   signed reviewed: by admin AGE ago, but the phase's file has changed since: cbctl sign-off reviewed",
            "signed   signed reviewed   by admin: all three",
        ],
    );
    assert!(changed.writes().is_empty(), "{changed}");
    let json = world.cbctl(&["check", "cache", "-o", "json"]).await.json();
    assert_eq!(json["obstacles"][0]["signed"]["state"], "changed", "{json}");

    world.edit("phases/10-shadow.yaml", "title: Shadow mode", "title: Shadow");
    world.cbctl(&["check", "cache"]).await.expect(3, &["held   signed reviewed   by admin AGE ago, but the phase's"]);
    world.cbctl(&["sign-off", "reviewed"]).await.expect(0, &["signed reviewed by admin for cache, shadow"]);
    world.until_healthy().await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &[]);
}

#[tokio::test]
async fn a_word_expires() {
    let world = World::promoted_to(&["shadow"]).await;
    world.require("{signoff: reviewed, valid_for: 30d}");
    world.cbctl(&["sign-off", "reviewed"]).await.expect(0, &[]);
    world.until_healthy().await;
    world.cbctl(&["check", "cache"]).await.expect(0, &[]);
    world.edit("phases/20-cache.yaml", "valid_for: 30d", "valid_for: 1s");
    world.cbctl(&["sign-off", "reviewed"]).await.expect(0, &[]);
    let expired = until("the word has expired", async || {
        let run = world.cbctl(&["check", "cache"]).await;
        (run.status == 3).then_some(run)
    })
    .await;
    expired.expect(3, &["signed reviewed: by admin, expired AGE ago: cbctl sign-off reviewed"]);
}

#[tokio::test]
async fn a_high_risk_needs_a_yes_and_a_reason() {
    let world = World::promoted_to(&["shadow"]).await;
    world.edit("phases/20-cache.yaml", "flags:", "risk: high\nflags:");
    let held = "held   cache is of high risk: cbctl promote cache --yes-high-risk --reason '…'";
    for arguments in [
        &["check", "cache"][..],
        &["promote", "cache"],
        &["promote", "cache", "--yes-high-risk"],
        &["promote", "cache", "--reason", "it is time"],
        &["promote", "cache", "--yes-high-risk", "--reason", " "],
    ] {
        let run = world.cbctl(arguments).await;
        run.expect(3, &[held]);
        assert!(run.writes().is_empty(), "{run}");
    }
    let next = "next: cbctl promote cache --yes-high-risk --reason '…'";
    world.cbctl(&["check", "cache", "--yes-high-risk"]).await.expect(0, &[next]);
    world.cbctl(&["promote", "cache", "--yes-high-risk", "--reason", "it is time"]).await.expect(0, &["done in AGE"]);
    world.cbctl(&["check", "cache"]).await.expect(0, &[]);
    world.cbctl(&["rollback"]).await.expect(0, &[]);
}

#[tokio::test]
async fn nothing_is_promoted_in_a_freeze_and_everything_rolled_back() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.edit(
        "phases/rollout.yaml",
        "indicators:",
        "freeze: [{from: 2020-01-01T00:00, to: 2199-12-31T12:30, timezone: Europe/Berlin, reason: holidays}]\n\
         indicators:",
    );
    let held = world.cbctl(&["promote", "http"]).await;
    held.expect(3, &["held   frozen until 2199-12-31 12:30 Europe/Berlin (holidays), as rollout.yaml says"]);
    assert!(held.writes().is_empty(), "{held}");
    world.cbctl(&["status"]).await.expect(0, &["frozen until"]);
    world.cbctl(&["rollback"]).await.expect(0, &["back at shadow, step 1"]);
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &[]);
}

#[tokio::test]
async fn every_pod_is_asked_when_nothing_else_stands_in_the_way() {
    let world = World::with_gates("{check: {http: /readinessz}}").await;
    let check = world.cbctl(&["check", "cache"]).await;
    insta::assert_snapshot!(check, @r"
    passed: cache, step 1 of 1 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   check http /readinessz
    next: cbctl promote cache
    ------- stderr -------
    trying: check http /readinessz
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    GET pods/storefront-POD:8080/proxy/readinessz
    GET pods/storefront-POD:8080/proxy/readinessz
    LIST pods
    ");
    world.cbctl(&["status"]).await.expect(0, &["waiting   check http /readinessz   tried by check and promote"]);

    // The proxy of the tests would ask again where a pod says 503.
    world.edit("phases/10-shadow.yaml", "http: /readinessz", "http: /metrics");
    world.scenario("rules: [{set: {metrics: \"500\"}}]").await;
    let down = until("a pod says that it has none", async || {
        let run = world.cbctl(&["promote", "cache"]).await;
        (run.status == 3).then_some(run)
    })
    .await;
    assert!(down.writes().is_empty(), "{down}");
    down.expect(3, &["failed   check http /metrics   storefront-POD: 500 Internal Server Error"]);
    world.scenario("rules: []").await;
    until("they have some again", async || (world.cbctl(&["check", "cache"]).await.status == 0).then_some(())).await;
    world.edit("phases/10-shadow.yaml", "http: /metrics", "http: /no-such-page, port: 8080");
    world.cbctl(&["check", "cache"]).await.expect(3, &["check http :8080/no-such-page", "404 Not Found"]);
    world.edit("phases/10-shadow.yaml", "http: /no-such-page, port: 8080", "http: /readinessz, port: 81");
    world.cbctl(&["check", "cache"]).await.expect(3, &["failed   check http :81/readinessz   storefront-POD: "]);
    world.edit("phases/10-shadow.yaml", "port: 81", "port: 8080");
    world.cbctl(&["promote", "cache"]).await.expect(0, &["trying: check http :8080/readinessz", "done in AGE"]);
}

#[tokio::test]
async fn a_program_is_started_when_nothing_else_stands_in_the_way() {
    let world = World::with_gates("{signoff: reviewed}, {check: {command: [./smoke.sh, --fast], timeout: 5s}}").await;
    world.program("smoke.sh", "env | grep ^CBCTL_ | sort > \"told$1\"; echo asked; echo no answer >&2; exit 3");
    world.cbctl(&["check", "cache"]).await.expect(3, &["waiting   check ./smoke.sh --fast"]);
    world.cbctl(&["status"]).await.expect(0, &["waiting   check ./smoke.sh --fast"]);
    assert!(!world.path("told--fast").exists(), "a signature is missing");

    world.cbctl(&["sign-off", "reviewed"]).await.expect(0, &[]);
    world.until_healthy().await;
    let failed = world.cbctl(&["promote", "cache"]).env("CBCTL_PROMETHEUS_TOKEN", "secret").await;
    failed.expect(3, &["failed   check ./smoke.sh --fast   ended with 3: no answer"]);
    assert!(failed.writes().is_empty(), "{failed}");
    let told = std::fs::read_to_string(world.path("told--fast")).unwrap();
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("CBCTL_PROMETHEUS=")).collect();
    let namespace = format!("CBCTL_NAMESPACE={}", world.namespace);
    assert_eq!(told, ["CBCTL_DEPLOYMENT=storefront", &namespace, "CBCTL_PHASE=shadow", "CBCTL_STEP=1"]);

    world.program("smoke.sh", "echo hanging; sleep 60");
    world.cbctl(&["check", "cache"]).await.expect(3, &["not over within 5s, and killed: hanging"]);
    std::fs::remove_file(world.path("smoke.sh")).unwrap();
    world.cbctl(&["check", "cache"]).await.expect(3, &["failed   check ./smoke.sh --fast   cannot be started"]);
    world.program("smoke.sh", "exit 0");
    world.cbctl(&["promote", "cache"]).await.expect(0, &["trying: check ./smoke.sh --fast", "done in AGE"]);
    let evidence = world.history().await.last().unwrap()["evidence"].to_string();
    assert!(evidence.contains("check ./smoke.sh --fast"), "{evidence}");
}

#[tokio::test]
async fn what_happened_while_the_checks_ran_is_seen() {
    let world = World::promoted_to(&["shadow"]).await;
    world.require("{check: {command: [./smoke.sh]}}");
    world.program("smoke.sh", "echo $$ > running; while ! test -e go-on; do sleep 0.1; done");
    let running = world.cbctl(&["promote", "cache"]).start();
    running.says("trying: check ./smoke.sh").await;
    world.cbctl(&["pause"]).await.expect(0, &[]);
    world.write("go-on", "");
    let run = running.finish().await;
    run.expect(3, &["paused by admin", "passed   check ./smoke.sh"]);
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    world.cbctl(&["resume"]).await.expect(0, &[]);

    std::fs::remove_file(world.path("go-on")).unwrap();
    std::fs::remove_file(world.path("running")).unwrap();
    world.until_healthy().await;
    let running = world.cbctl(&["promote", "cache"]).start();
    until("the program runs", async || world.path("running").exists().then_some(())).await;
    running.signal(Signal::INT);
    running.finish().await.expect(3, &["failed   check ./smoke.sh   interrupted"]);
    let pid = std::fs::read_to_string(world.path("running")).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    until("it is gone", async || (!process.exists()).then_some(())).await;
}

#[tokio::test]
async fn whoever_waits_tries_the_checks_at_the_end() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.edit("phases/10-shadow.yaml", "gates:\n", "gates:\n  - {check: {command: [./smoke.sh]}}\n");
    // Prometheus may find one pod a moment after the other, and then this gate fails.
    world.edit("phases/10-shadow.yaml", "equals: 2, for: 4s", "above: 0, for: 4s");
    world.program("smoke.sh", "echo once >> count");
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    let run = world.cbctl(&["check", "cache", "--wait=150s"]).await;
    run.expect(0, &["passed   check ./smoke.sh"]);
    assert_eq!(std::fs::read_to_string(world.path("count")).unwrap(), "once\n");
}

#[tokio::test]
async fn time_counts_from_when_a_trigger_would_have_fired_last() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.edit("phases/10-shadow.yaml", "stuck_open(cache) for 8s", "error_rate > 10% for 2s");
    world.edit("phases/20-cache.yaml", "complete_for: 0s", "complete_for: 1h");
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    world.scenario("rules: [{set: {error_rate: 60%}}]").await;
    world.check_says("cache", &["firing "]).await;
    world.scenario("rules: []").await;
    world.check_says("cache", &["shadow is complete for", "it would have fired"]).await;
    let answer = world.cbctl(&["check", "cache", "-o", "json"]).await.json();
    let at = |field: &Value| field.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let complete = at(&answer["at"]).duration_since(at(&answer["scope"]["since"])).as_secs_f64();
    let have = answer["obstacles"][0]["have"].as_f64().unwrap();
    assert!(have < complete - 3.0, "{have} of {complete}");
}
