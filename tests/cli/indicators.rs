//! Every indicator on a service that does what it is about, and on one that does not: verdict, figures and exit code.
//!
//! States that are told by labels are not among them: the simulated service has a gauge whose value is the state.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::cluster::env_of;
use crate::harness::run::Run;
use crate::harness::{PATIENCE, World, files, until};

/// The judged pods in a query.
pub const PODS: &str = r#"{namespace="$namespace",pod=~"$pods"}"#;

/// Trips and closes again; two seconds closed are seen by every scrape.
const FLICKER: &str = "state: flicker, open_for: 1s, half_open_for: 1s, closed_for: 2s";

impl World {
    /// A service with the cache's breaker on, as the first phase wants it, which has these gates and triggers. Every
    /// indicator is declared.
    pub async fn measured(conditions: &str, scenario: &str) -> Self {
        let world = Self::prepared(conditions, scenario).await;
        world.enter(|_| ()).await;
        world
    }

    /// The same without the service.
    pub async fn prepared(conditions: &str, scenario: &str) -> Self {
        let world = Self::empty().await;
        world.write_files(files::MEASURED);
        world.edit("phases/10-cache.yaml", "bake: 0s}\n", &format!("bake: 0s}}\n{conditions}"));
        world.scenario(scenario).await;
        world
    }

    /// Deploys the service, and takes it over as the first phase.
    pub async fn enter(&self, adapt: impl FnOnce(&mut Value)) {
        self.deploy(|manifest| {
            env_of(manifest)[0]["value"] = json!("true");
            adapt(manifest);
        })
        .await;
        self.cbctl(&["promote", "cache"]).await.expect(0, &[]);
    }

    /// How the cache's breaker behaves from now on.
    pub async fn cache_breaker(&self, behaviour: &str) {
        self.scenario(&cache_breaker(behaviour)).await;
    }

    /// Checks until it exits so; up to then it may only wait.
    pub async fn until_concluded(&self, status: i32) -> Run {
        self.until_check(&[], |run| {
            assert!(run.status == status || run.status == 4, "neither {status} nor waiting:\n{run}");
            run.status == status
        })
        .await
    }

    /// Checks until it exits so and says this, whatever was true before.
    pub async fn until_it_says(&self, status: i32, piece: &str) -> Run {
        self.until_check(&[], |run| run.status == status && run.redacted().contains(piece)).await
    }

    /// Checks until the answer is as wanted; shows the last one if it never is.
    pub async fn until_check(&self, arguments: &[&str], wanted: impl Fn(&Run) -> bool) -> Run {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let run = self.cbctl(&[&["check", "http"], arguments].concat()).await;
            if wanted(&run) {
                return run;
            }
            last = Some(run);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("waited {PATIENCE:?} in vain; the last answer:\n{}", last.unwrap());
    }
}

pub fn cache_breaker(behaviour: &str) -> String {
    format!("rules: [{{set: {{breakers: {{cache: {{{behaviour}}}}}}}}}]")
}

#[tokio::test]
async fn a_breaker_that_only_probes_is_stuck_half_open() {
    let world =
        World::measured("rollback:\n  - stuck_half_open(cache) for 8s\n", &cache_breaker("state: half_open")).await;
    let run = world.until_concluded(5).await;
    insta::assert_snapshot!(run, @r#"
    rollback: a rollback trigger fires
          CONDITION   VALUE   LIMIT   EVIDENCE
    firing   stuck_half_open(cache) for 8s   stuck   half-open all the time: redis-cache on storefront-POD, redis-cache on storefront-POD
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl rollback --emergency
    [exit status: 5]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"storefront-PODS"}[8s]
    "#);
    // Never closed either, but it opens in between.
    world.cache_breaker("state: flicker, open_for: 1s, half_open_for: 2s").await;
    let run = world.until_it_says(0, "quiet   stuck_half_open(cache) for 8s").await;
    run.expect(0, &["2 open   2 breakers watched"]);
}

#[tokio::test]
async fn a_breaker_that_trips_while_its_dependency_is_healthy_fails_the_gate() {
    let gates = "gates:\n  - false_trips(cache) == 0 over 10s\n  - trips(cache) <= 100 over 10s\n";
    let world = World::measured(gates, &cache_breaker(&format!("{FLICKER}, failure_rate: 2%"))).await;
    let run = world.until_concluded(3).await;
    run.expect(
        3,
        &[
            "held: http, step 1 of 1 cannot be entered",
            "failed   false_trips(cache) over 10s",
            "passed   trips(cache) over 10s",
            "<= 100   2 breakers watched, N calls; redis-cache on storefront-POD (dependency healthy, N of N calls failed)",
        ],
    );
    let asked = ["highest, lowest, breaker_times, breaker_requests, breaker_failures"];
    assert_eq!(run.queries(), asked, "{run}");
    let run = world.cbctl(&["check", "http", "-o", "json"]).await;
    let finding = &run.json()["conditions"][1]["evidence"]["finding"];
    let trips = finding["trips"].as_array().unwrap();
    assert_eq!(finding["counted"], trips.len(), "{run}");
    for trip in trips {
        assert!(trip["healthy"] == true && trip["requests"].as_u64() > trip["failures"].as_u64(), "{run}");
        assert!(trip["at"].is_string() && trip["pod"].is_string() && trip["breaker"] == "redis-cache", "{run}");
    }
    // It closes for good: the trips leave the window.
    world.cache_breaker("state: closed").await;
    let run = world.until_it_says(0, "passed   false_trips(cache) over 10s").await;
    insta::assert_snapshot!(run.stdout_with("trips("), @r"
    passed   false_trips(cache) over 10s   0   == 0   2 breakers watched, N calls
    passed   trips(cache) over 10s   0   <= 100   2 breakers watched, N calls
    [exit status: 0]
    ");
}

#[tokio::test]
async fn a_breaker_that_trips_because_its_dependency_fails_passes_the_gate() {
    let gates = "gates:\n  - false_trips(cache) == 0 over 10s\n";
    let world = World::measured(gates, &cache_breaker(&format!("{FLICKER}, failure_rate: 50%"))).await;
    let run = world.until_concluded(0).await;
    run.expect(
        0,
        &["passed   false_trips(cache) over 10s", "== 0", "redis-cache on storefront-POD (dependency unhealthy, "],
    );
}

#[tokio::test]
async fn trips_are_counted_whatever_caused_them() {
    let conditions = "gates:\n  - trips(cache) < 1 over 10s\nrollback:\n  - trips(cache) >= 2 for 10s\n";
    let world = World::measured(conditions, &cache_breaker(&format!("{FLICKER}, failure_rate: 50%"))).await;
    let run = world.until_concluded(5).await;
    run.expect(5, &["failed   trips(cache) over 10s", "firing   trips(cache) for 10s", ">= 2", "dependency unhealthy"]);
}

#[tokio::test]
async fn a_breaker_without_calls_proves_nothing_by_not_tripping() {
    let gates = "gates:\n  - false_trips(cache) == 0 over 5s\n  - trips(cache) == 0 over 5s\n  \
                 - breaker_failures(cache) < 10% over 5s\n";
    let world = World::measured(gates, &cache_breaker("requests: 0")).await;
    let told = ["0 calls of the 100", "no traffic in the window"];
    let run = world.until_check(&[], |run| told.iter().all(|piece| run.says(piece))).await;
    insta::assert_snapshot!(run, @r"
    inconclusive: http, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    waiting   false_trips(cache) over 5s   == 0   0 calls of the 100 that would prove something
    waiting   trips(cache) over 5s   == 0   0 calls of the 100 that would prove something
    waiting   breaker_failures(cache) over 5s   < 10%   no traffic in the window
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 4]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE highest, lowest, breaker_times, breaker_requests, breaker_failures
    ");
    world.cache_breaker("requests: 100").await;
    world.until_concluded(0).await;
}

#[tokio::test]
async fn a_declared_query_tells_whether_the_dependency_was_healthy() {
    // What the dependency's own monitoring would say; here it can be steered.
    let health = format!("health: 'max(process_resident_memory_bytes{PODS}) < bool 1e9'");
    let gates = "gates:\n  - false_trips(cache) == 0 over 10s\n";
    // The calls alone would say the opposite, both times.
    let healthy = format!("rules: [{{set: {{memory: 200Mi, breakers: {{cache: {{{FLICKER}, failure_rate: 50%}}}}}}}}]");
    let unhealthy = format!("rules: [{{set: {{memory: 2Gi, breakers: {{cache: {{{FLICKER}}}}}}}}}]");
    let world = World::prepared(gates, &healthy).await;
    world.edit("phases/rollout.yaml", "  cache: {", &format!("  cache: {{{health}, "));
    world.enter(|_| ()).await;
    let run = world.until_concluded(3).await;
    run.expect(3, &["failed   false_trips(cache) over 10s", "(dependency healthy, "]);
    world.scenario(&unhealthy).await;
    let run = world.until_it_says(0, "passed   false_trips(cache) over 10s").await;
    run.expect(
        0,
        &["   0   == 0   2 breakers watched, N calls; redis-cache on storefront-POD (dependency unhealthy, "],
    );
    assert!(
        run.queries().iter().all(|query| query.contains("breaker_failures, max(process_resident_memory_bytes")),
        "{run}"
    );
}

#[tokio::test]
async fn calls_that_fail_fire_the_trigger() {
    let conditions =
        "gates:\n  - breaker_failures(cache) < 10% over 5s\nrollback:\n  - breaker_failures(cache) > 10% for 5s\n";
    let world = World::measured(conditions, &cache_breaker("failure_rate: 2%")).await;
    let run = world.until_concluded(0).await;
    insta::assert_snapshot!(run, @r"
    passed: http, step 1 of 1 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   breaker_failures(cache) over 5s   VALUE   < 10%   N of N calls; at most P; Nx of 20x
    quiet   breaker_failures(cache) for 5s   VALUE   > 10%   N of N calls; at most P
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    a healthy service is rolled back with 1% probability at most in the 7d that triggers are armed
    next: cbctl promote http
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE breaker_times, breaker_requests, breaker_failures
    ");
    world.cache_breaker("failure_rate: 40%").await;
    let run = world.until_it_says(5, "failed   breaker_failures(cache) over 5s").await;
    run.expect(
        5,
        &[
            "rollback: a rollback trigger fires",
            "VALUE   < 10%   N of N calls; P to P with 95% confidence; Nx of 20x; ",
            "firing   breaker_failures(cache) for 5s   VALUE   > 10%   N of N calls; P to P with 99% confidence; Nx of 100x; ",
            "began AGE ago; most on storefront-POD (P)",
        ],
    );
}

#[tokio::test]
async fn a_leak_fires_the_trigger() {
    let conditions = "gates:\n  - memory_growth < 20% over 10s\nrollback:\n  - memory_growth > 20% over 10s\n";
    let world = World::measured(conditions, "rules: [{set: {memory: 200Mi, leak: 6Gi}}]").await;
    let run = world.until_concluded(5).await;
    insta::assert_snapshot!(run, @r"
    rollback: a rollback trigger fires
          CONDITION   VALUE   LIMIT   EVIDENCE
    failed   memory_growth over 10s   VALUE   < 20%   storefront-POD
    firing   memory_growth over 10s   VALUE   > 20%   storefront-POD
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl rollback --emergency
    [exit status: 5]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE memory, memory_times, memory_before
    ");
    // The leak is plugged: what was leaked stays, and grows no more.
    world.scenario("rules: [{set: {memory: 200Mi}}]").await;
    let run = world.until_it_says(0, "passed   memory_growth over 10s").await;
    run.expect(0, &["quiet   memory_growth over 10s"]);
}

#[tokio::test]
async fn growth_that_was_there_before_the_change_is_taken_off() {
    let gates = "gates:\n  - memory_growth < 200% over 10s\n";
    let world = World::measured(gates, "rules: [{set: {memory: 10Gi, leak: 20Gi}}]").await;
    world.edit("phases/20-http.yaml", "bake: 0s}\n", "bake: 0s}\nrollback:\n  - memory_growth > 20% over 10s\n");
    world.until_concluded(0).await;
    world.cbctl(&["promote", "http"]).await.expect(0, &[]);
    let run = until("the window is full", async || {
        let run = world.cbctl(&["check"]).await;
        assert_ne!(run.status, 5, "{run}");
        (run.status == 0).then_some(run)
    })
    .await;
    insta::assert_snapshot!(run, @r"
    complete: http is complete, nothing to do
          CONDITION   VALUE   LIMIT   EVIDENCE
    quiet   memory_growth over 10s   VALUE   > 20%   storefront-POD: P, of which P as before the change
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE memory, memory_times, memory_before
    ");
}

#[tokio::test]
async fn use_of_memory_is_held_against_the_limit_of_the_container() {
    let conditions = "gates:\n  - memory_use < 90% over 5s\nrollback:\n  - memory_use > 90% for 5s\n";
    let world = World::prepared(conditions, "rules: [{set: {memory: 240Mi}}]").await;
    world
        .enter(|manifest| {
            manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "250Mi"}});
        })
        .await;
    let run = world.until_concluded(5).await;
    insta::assert_snapshot!(run, @r"
    rollback: a rollback trigger fires
          CONDITION   VALUE   LIMIT   EVIDENCE
    failed   memory_use over 5s   VALUE   < 90%   storefront-POD: 96% to 96%
    firing   memory_use for 5s   VALUE   > 90%   storefront-POD: 96% to 96%
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl rollback --emergency
    [exit status: 5]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE memory, memory_times
    ");
    world.scenario("rules: [{set: {memory: 100Mi}}]").await;
    let run = world.until_it_says(0, "passed   memory_use over 5s").await;
    insta::assert_snapshot!(run.stdout_with("memory_use"), @r"
    passed   memory_use over 5s   VALUE   < 90%   storefront-POD: 40% to 40%
    quiet   memory_use for 5s   VALUE   > 90%   storefront-POD: 40% to 40%
    [exit status: 0]
    ");
}

#[tokio::test]
async fn a_query_with_for_has_to_hold_at_every_point() {
    let query = format!("{{name: memory, query: 'max(process_resident_memory_bytes{PODS})', ");
    let conditions = format!(
        "gates:\n  - {query}below: 300000000, for: 5s}}\n  - {query}at_most: 300000000}}\nrollback:\n  - {query}above: 300000000, for: 5s}}\n"
    );
    let world = World::measured(&conditions, "rules: [{set: {memory: 100Mi}}]").await;
    let run = world.until_concluded(0).await;
    insta::assert_snapshot!(run, @r#"
    passed: http, step 1 of 1 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   memory for 5s   104857600   < 300000000   61 points
    passed   memory   104857600   <= 300000000
    quiet   memory for 5s   104857600   > 300000000   61 points
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl promote http
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE max(process_resident_memory_bytes{namespace="shop",pod=~"storefront-PODS"})
    QUERY max(process_resident_memory_bytes{namespace="shop",pod=~"storefront-PODS"})
    "#);
    // At first only the newest points are above it: that fails a gate, and is no trigger yet.
    world.scenario("rules: [{set: {memory: 1Gi}}]").await;
    let run = world.until_it_says(3, "quiet   memory for 5s").await;
    run.expect(3, &["failed   memory for 5s"]);
    let run = world.until_it_says(5, "firing   memory for 5s").await;
    run.expect(5, &["failed   memory for 5s"]);
    // And the other way round.
    world.scenario("rules: [{set: {memory: 100Mi}}]").await;
    let run = world.until_it_says(3, "quiet   memory for 5s").await;
    run.expect(3, &["failed   memory for 5s"]);
}

#[tokio::test]
async fn a_range_that_reaches_before_the_change_waits() {
    let counter = format!("http_request_duration_seconds_count{PODS}");
    let world = World::measured("gates:\n  - {name: traffic, query: 'QUERY', above: 1}\n", "rules: []").await;
    let phase = std::fs::read_to_string(world.path("phases/10-cache.yaml")).unwrap();
    // An offset reaches back as well, and so does a subquery.
    for (query, reach) in [
        (format!("sum(increase({counter}[30m]))"), "30m"),
        (format!("sum(increase({counter}[5m] offset 10m))"), "15m"),
        (format!("max_over_time(sum(rate({counter}[5m]))[20m:1m])"), "25m"),
    ] {
        world.write("phases/10-cache.yaml", &phase.replace("QUERY", &query));
        let run = world.cbctl(&["check", "http"]).await;
        run.expect(4, &[&format!("waiting   traffic   > 1   AGE of {reach}, AGE more")]);
        assert_eq!(run.queries().len(), 1, "{run}");
    }
    world.write("phases/10-cache.yaml", &phase.replace("QUERY", &format!("sum(increase({counter}[5s]))")));
    let run = world.until_concluded(0).await;
    run.expect(0, &["passed   traffic"]);
}

#[tokio::test]
async fn a_quantile_above_the_top_bucket_is_refused() {
    let query = format!("histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{PODS}[5s])))");
    let gates = format!("gates:\n  - {{name: slowest, query: '{query}', below: 2.5}}\n");
    let world = World::measured(&gates, "rules: []").await;
    let run = world.until_it_says(1, "top bucket").await;
    insta::assert_snapshot!(run, @r#"
    error: http, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    error   slowest   < 2.5   the limit is not below the top bucket edge 2.50s: this could never fail
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{namespace="shop",pod=~"storefront-PODS"}[5s])))
    "#);
    world.edit("phases/10-cache.yaml", "below: 2.5", "below: 1");
    world.until_concluded(0).await;
}
