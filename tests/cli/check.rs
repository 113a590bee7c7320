//! `cbctl check`: what the real figures say, as a verdict and an exit code, without touching anything.

use std::time::Duration;

use crate::harness::run::Run;
use crate::harness::{World, files, until};

impl World {
    /// A service at the end of the first phase, judged by one condition of every kind, and in good health.
    pub async fn judged() -> Self {
        let world = Self::empty().await;
        world.write_files(files::GATED);
        world.deploy(|_| ()).await;
        world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
        world.until_check_says(0).await;
        world
    }

    pub async fn until_check_says(&self, status: i32) -> Run {
        until(&format!("check says {status}"), async || {
            let run = self.cbctl(&["check", "cache"]).await;
            (run.status == status).then_some(run)
        })
        .await
    }
}

#[tokio::test]
async fn passes_with_the_evidence_and_touches_nothing() {
    let world = World::judged().await;
    let version = world.resource_version().await;
    let run = world.until_check_says(0).await;
    insta::assert_snapshot!(run, @r#"
    passed: cache, step 1 of 1 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   error_rate over 8s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    passed   p95 over 8s   VALUE   < 500ms   N of N requests slower; at most P; Nx of 20x
    passed   pods-seen for 4s   2   == 2   61 points
    quiet   stuck_open(cache) for 8s   closed   2 breakers watched
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl promote cache
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE count(up{namespace="shop",pod=~"storefront-PODS"})
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before, buckets_before
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"storefront-PODS"}[8s]
    "#);
    assert!(run.writes().is_empty(), "{run}");
    assert_eq!(world.resource_version().await, version);
}

#[tokio::test]
async fn decides_what_promote_then_does() {
    let world = World::judged().await;
    world.scenario("rules: [{set: {error_rate: 5%}}]").await;
    let check = world.until_check_says(3).await;
    let promote = world.cbctl(&["promote", "cache"]).await;
    insta::assert_snapshot!(check, @r#"
    held: cache, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    failed   error_rate over 8s   VALUE   < 1%   N of N requests; P to P with 95% confidence; Nx of 20x; most on storefront-POD (P)
    passed   p95 over 8s   VALUE   < 500ms   N of N requests slower; at most P; Nx of 20x
    passed   pods-seen for 4s   2   == 2   61 points
    quiet   stuck_open(cache) for 8s   closed   2 breakers watched
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 3]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE count(up{namespace="shop",pod=~"storefront-PODS"})
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before, buckets_before
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"storefront-PODS"}[8s]
    "#);
    promote.expect(3, &["held: cache, step 1 of 1 cannot be entered", "failed   error_rate over 8s"]);
    assert!(promote.writes().is_empty(), "{promote}");
}

#[tokio::test]
async fn a_slow_service_fails_the_latency_gate() {
    let world = World::judged().await;
    world.scenario("rules: [{set: {slow_share: 20%, slow_latency: 800ms}}]").await;
    let run = world.until_check_says(3).await;
    run.expect(3, &["failed   p95 over 8s", "passed   error_rate over 8s"]);
}

#[tokio::test]
async fn a_breaker_that_probes_and_never_closes_fires_the_trigger() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.edit("phases/20-cache.yaml", "bake: 0s}", "bake: 0s}\nrollback:\n  - stuck_open(cache) for 6s");
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    world.until_check_says(0).await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &[]);
    world
        .scenario(
            "rules: [{when: {env: {CB_CACHE_ENABLED: \"true\"}}, \
             set: {breakers: {cache: {state: flicker, open_for: 2s, half_open_for: 1s}}}}]",
        )
        .await;
    let run = until("the trigger fires", async || {
        let run = world.cbctl(&["check"]).await;
        (run.status == 5).then_some(run)
    })
    .await;
    run.expect(
        5,
        &[
            "rollback: a rollback trigger fires",
            "not closed once: redis-cache on storefront-POD",
            "next: cbctl rollback",
        ],
    );
    // From now on it is never closed, whether the window begins with an open or a half-open moment.
    for _ in 0..6 {
        let run = world.cbctl(&["check"]).await;
        assert!(!run.says("quiet"), "{run}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_trigger_outranks_what_holds_the_promotion_up() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.edit("phases/10-shadow.yaml", "rollback:\n", "rollback:\n  - error_rate > 2% for 4s\n");
    world.edit("phases/20-cache.yaml", "requires:\n", "requires:\n  - {signoff: dashboards-reviewed}\n");
    world.scenario("rules: [{set: {error_rate: 10%}}]").await;
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    let run = world.until_check_says(5).await;
    run.expect(5, &["firing   error_rate for 4s", "nobody yet: cbctl sign-off dashboards-reviewed"]);
}

#[tokio::test]
async fn says_how_much_of_the_window_is_missing() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.edit("phases/10-shadow.yaml", "error_rate < 1% over 8s", "error_rate < 1% over 30m");
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    let run = world.cbctl(&["check", "cache"]).await;
    run.expect(4, &["waiting   error_rate over 30m", "AGE of 30m, ", " more"]);
}

#[tokio::test]
async fn a_service_without_traffic_proves_nothing() {
    let world = World::judged().await;
    world.scenario("rules: [{set: {rps: 0}}]").await;
    let run = until("the last request has left the window", async || {
        let run = world.cbctl(&["check", "cache"]).await;
        run.says("no traffic in the window").then_some(run)
    })
    .await;
    insta::assert_snapshot!(run, @r#"
    inconclusive: cache, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    waiting   error_rate over 8s   < 1%   no traffic in the window
    waiting   p95 over 8s   < 500ms   no traffic in the window
    passed   pods-seen for 4s   2   == 2   61 points
    quiet   stuck_open(cache) for 8s   closed   2 breakers watched
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 4]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE count(up{namespace="shop",pod=~"storefront-PODS"})
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before, buckets_before
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"storefront-PODS"}[8s]
    "#);
}

#[tokio::test]
async fn one_pod_that_stops_reporting_spoils_the_verdict() {
    let world = World::judged().await;
    let silent = world.pod_names().await.pop_first().unwrap();
    world.scenario(&format!("rules: [{{when: {{pod: {silent}}}, set: {{metrics: missing}}}}]")).await;
    // First samples are missing, then the newest one is old; from the first missing one on nothing passes.
    world.until_check_says(4).await;
    let run = until("the newest sample is old", async || {
        let run = world.cbctl(&["check", "cache"]).await;
        run.expect(4, &["inconclusive: cache, step 1 of 1 cannot be entered"]);
        run.says("stale: newest requests sample of").then_some(run)
    })
    .await;
    assert!(run.stdout.contains(&silent), "the pod is named:\n{}", run.stdout);
}

#[tokio::test]
async fn pods_that_were_never_scraped_have_no_figures() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.scenario("rules: [{set: {metrics: missing}}]").await;
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    until("the window is full", async || (!world.cbctl(&["check", "cache"]).await.says("more")).then_some(())).await;
    let run = world.cbctl(&["check", "cache"]).await;
    run.expect(4, &["no requests series of these pods", "no latency histogram series", "no breaker state series"]);
}

#[tokio::test]
async fn a_limit_between_two_buckets_names_both_edges() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.edit("phases/10-shadow.yaml", "p95 < 500ms over 8s", "p95 < 300ms over 8s");
    world.scenario("rules: [{set: {slow_share: 20%, slow_latency: 320ms}}]").await;
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    let run = until("the bucket edges decide", async || {
        let run = world.cbctl(&["check", "cache"]).await;
        run.says("the limit lies between the bucket edges").then_some(run)
    })
    .await;
    run.expect(4, &["250ms and ", "add a bucket there"]);
}

#[tokio::test]
async fn judges_a_past_moment_as_it_was() {
    let world = World::judged().await;
    let then = world.cbctl(&["check", "cache", "-o", "json"]).await.json()["at"].as_str().unwrap().to_owned();
    world.scenario("rules: [{set: {error_rate: 20%}}]").await;
    world.until_check_says(3).await;
    let run = world.cbctl(&["check", "cache", "--at", &then]).await;
    run.expect(0, &["passed   error_rate over 8s"]);
}

#[tokio::test]
async fn a_rollout_without_an_address_of_prometheus_says_so() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    let run = world.cbctl(&["check", "cache"]).without("CBCTL_PROMETHEUS").await;
    run.expect(1, &["rollout.yaml does not declare prometheus.url"]);
    let run = world.cbctl(&["check", "cache", "--prometheus", "prometheus:9090"]).await;
    run.expect(2, &["error: \"prometheus:9090\" is not the address of a Prometheus server", "--prometheus URL"]);
    assert!(run.stdout.is_empty(), "{run}");
}

#[tokio::test]
async fn suggests_the_nearest_phase_for_a_wrong_name() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    let run = world.cbctl(&["check", "shadw"]).await;
    run.expect(2, &["error: unknown phase `shadw`", "hint: did you mean `shadow`?"]);
    assert!(run.requests.is_empty(), "{run}");
}
