//! The whole way of a rollout with the phases of `examples/quick`: from the first look to full, and off in an emergency.

use crate::harness::cluster::service;
use crate::harness::run::Run;
use crate::harness::{World, repository, until};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use serde_json::json;

impl World {
    async fn quick(&self, arguments: &[&str]) -> Run {
        let folder = repository().join("examples/quick");
        self.cbctl(&[&["-f", folder.to_str().unwrap()], arguments].concat()).await
    }

    /// Repeats a command until the windows are full, so that it always says the same.
    async fn quick_without_waiting(&self, arguments: &[&str]) -> Run {
        until(&format!("{arguments:?} has all figures"), async || {
            let run = self.quick(arguments).await;
            (!run.says("waiting")).then_some(run)
        })
        .await
    }

    /// Repeats a command as long as only time is missing.
    async fn quick_until(&self, status: i32, arguments: &[&str]) -> Run {
        until(&format!("{arguments:?} says {status}"), async || {
            let run = self.quick(arguments).await;
            assert!([status, 4].contains(&run.status), "{run}");
            (run.status == status).then_some(run)
        })
        .await
    }
}

#[expect(clippy::too_many_lines, reason = "most of them are what the program says")]
pub async fn from_shadow_to_full_and_off_again() {
    let world = World::empty().await;
    let mut manifest = service();
    manifest["metadata"]["name"] = json!("updog");
    manifest["spec"]["template"]["spec"]["containers"][0]["name"] = json!("updog");
    let deployment = serde_json::from_value(manifest).unwrap();
    let deployments: Api<Deployment> = Api::namespaced(world.kube.clone(), &world.namespace);
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    until("the service is up", async || {
        (deployments.get("updog").await.unwrap().status?.available_replicas? == 2).then_some(())
    })
    .await;

    insta::assert_snapshot!(world.quick(&["status"]).await, @"
    updog in shop (staging): 2 of 2 pods ready, 0 restarts

    PHASE   STATE   SINCE   EXPOSURE   FLAGS
    shadow   not started   nothing on
    cache   not started   CB_CACHE_ENABLED=true +3 settings
    http   not started   CB_HTTP_ENABLED=true +3 settings
    db   not started   CB_DB_ENABLED=true +3 settings, high risk

    not started

    next: cbctl promote shadow
    [exit status: 0]
    ------- requests -------
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    ");
    insta::assert_snapshot!(world.quick_until(0, &["promote", "shadow"]).await, @"
    done: shadow begins, no flag had to change
    next: cbctl check
    ------- stderr -------
    way back rehearsed: 2 requests, about AGE, allowed for admin, nothing in the way
    shadow: no flag of deployment/updog changes
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/updog
    GET configmaps/cbctl-updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    PATCH deployments/updog
    GET configmaps/cbctl-updog
    POST configmaps
    POST events
    ");
    insta::assert_snapshot!(world.quick_without_waiting(&["check", "cache"]).await, @r#"
    held: cache, step 1 of 2 cannot be entered
    held   signed dashboards-reviewed: nobody yet: cbctl sign-off dashboards-reviewed
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   p95 over 10s   VALUE   < 400ms   N of N requests slower; at most P; Nx of 20x
    passed   error_rate over 10s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    quiet   error_rate for 5s   VALUE   > 2%   N of N requests; at most P
    quiet   p95 for 5s   VALUE   > 500ms   N of N requests slower; at most P
    quiet   stuck_open(cache) for 10s   closed   2 breakers watched
    judged: 2 pods (updog-POD, updog-POD), since the change AGE ago
    a healthy service is rolled back with 1% probability at most in the 14d that triggers are armed
    [exit status: 3]
    ------- requests -------
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    "#);
    world.quick(&["sign-off", "dashboards-reviewed", "--reason", "walked through all three"]).await.expect(0, &[]);
    insta::assert_snapshot!(world.quick_until(0, &["check", "cache"]).await, @r#"
    passed: cache, step 1 of 2 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   p95 over 10s   VALUE   < 400ms   N of N requests slower; at most P; Nx of 20x
    passed   error_rate over 10s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    quiet   error_rate for 5s   VALUE   > 2%   N of N requests; at most P
    quiet   p95 for 5s   VALUE   > 500ms   N of N requests slower; at most P
    quiet   stuck_open(cache) for 10s   closed   2 breakers watched
    judged: 2 pods (updog-POD, updog-POD), since the change AGE ago
    a healthy service is rolled back with 1% probability at most in the 14d that triggers are armed
    next: cbctl promote cache
    [exit status: 0]
    ------- requests -------
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    "#);
    insta::assert_snapshot!(world.quick_until(0, &["promote", "cache"]).await, @r#"
      deployment/updog-canary   pods   0 -> 1
    done in AGE: cache, step 1 of 2 is entered, 1 canary pod runs it beside 2, 33% of all
    next: cbctl check
    ------- stderr -------
    canary and way back rehearsed: 3 requests, about AGE, allowed for admin, nothing in the way
    cache, step 1 of 2: 1 canary pod
    deployment/updog-canary is made
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments
    DRYRUN deployments/updog
    GET configmaps/cbctl-updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    PATCH deployments/updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    POST deployments
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    PATCH deployments/updog
    GET configmaps/cbctl-updog
    PATCH configmaps/cbctl-updog
    POST events
    "#);
    insta::assert_snapshot!(world.quick_until(0, &["promote", "cache"]).await, @r#"
      deployment/updog   CB_CACHE_ENABLED   false -> true
          CB_CACHE_FAILURE_THRESHOLD   (not set) -> 10
          CB_CACHE_OP_TIMEOUT_MS   (not set) -> 3000
          CB_CACHE_RESET_TIMEOUT_MS   (not set) -> 60000
      deployment/updog-canary   pods   1 -> 0
    done in AGE: cache, step 2 of 2 is entered, every pod is healthy
    next: cbctl check
    ------- stderr -------
    way back rehearsed: 7 requests, about AGE, allowed for admin, nothing in the way
    cache, step 2 of 2: 4 flags of deployment/updog change, the canary goes
    deployment/updog-canary is deleted
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/updog
    DRYRUN deployments/updog-canary
    GET configmaps/cbctl-updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS|updog-canary-[a-z0-9]+-[a-z0-9]{5}"}[10s]
    PATCH deployments/updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    DELETE deployments/updog-canary
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    PATCH deployments/updog
    GET configmaps/cbctl-updog
    PATCH configmaps/cbctl-updog
    POST events
    "#);
    insta::assert_snapshot!(world.quick_until(0, &["promote", "http"]).await, @r#"
      deployment/updog   CB_HTTP_ENABLED   false -> true
          CB_HTTP_FAILURE_THRESHOLD   (not set) -> 5
          CB_HTTP_OP_TIMEOUT_MS   (not set) -> 8000
          CB_HTTP_RESET_TIMEOUT_MS   (not set) -> 120000
    done in AGE: http, step 1 of 1 is entered, every pod is healthy
    next: cbctl check
    ------- stderr -------
    way back rehearsed: 5 requests, about AGE, allowed for admin, nothing in the way
    http, step 1 of 1: 4 flags of deployment/updog change
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/updog
    GET configmaps/cbctl-updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    PATCH deployments/updog
    GET configmaps/cbctl-updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    PATCH configmaps/cbctl-updog
    POST events
    "#);
    insta::assert_snapshot!(world.quick_until(0, &["promote", "db", "--yes-high-risk", "--reason", "it only reads"]).await, @r#"
      deployment/updog   CB_DB_ENABLED   false -> true
          CB_DB_FAILURE_THRESHOLD   (not set) -> 8
          CB_DB_OP_TIMEOUT_MS   (not set) -> 15000
          CB_DB_RESET_TIMEOUT_MS   (not set) -> 300000
    done in AGE: db, step 1 of 1 is entered, every pod is healthy
    next: cbctl check
    ------- stderr -------
    way back rehearsed: 6 requests, about AGE, allowed for admin, nothing in the way
    db, step 1 of 1: 4 flags of deployment/updog change
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/updog
    GET configmaps/cbctl-updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    PATCH deployments/updog
    GET configmaps/cbctl-updog
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    PATCH configmaps/cbctl-updog
    POST events
    "#);
    insta::assert_snapshot!(world.quick_until(0, &["check", "db"]).await, @r#"
    complete: db is complete, nothing to do
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   p95 over 10s   VALUE   < 400ms   N of N requests slower; at most P; Nx of 20x
    passed   error_rate over 10s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    quiet   error_rate for 5s   VALUE   > 2%   N of N requests; at most P
    quiet   p95 for 5s   VALUE   > 500ms   N of N requests slower; at most P
    quiet   stuck_open(cache) for 10s   closed   2 breakers watched
    judged: 2 pods (updog-POD, updog-POD), since the change AGE ago
    a healthy service is rolled back with 1% probability at most in the 14d that triggers are armed
    [exit status: 0]
    ------- requests -------
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    "#);
    insta::assert_snapshot!(world.quick_without_waiting(&["status"]).await, @r#"
    updog in shop (staging): 2 of 2 pods ready, 0 restarts

    PHASE   STATE   SINCE   EXPOSURE   FLAGS
    shadow   complete   AGE   full   nothing on
    cache   complete   AGE   full   CB_CACHE_ENABLED=true +3 settings
    http   complete   AGE   full   CB_HTTP_ENABLED=true +3 settings
    db   complete   AGE   full   CB_DB_ENABLED=true +3 settings, high risk

    db, step 1 of 1: full; baked AGE of 10s
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   p95 over 10s   VALUE   < 400ms   N of N requests slower; at most P; Nx of 20x
    passed   error_rate over 10s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    quiet   error_rate for 5s   VALUE   > 2%   N of N requests; at most P
    quiet   p95 for 5s   VALUE   > 500ms   N of N requests slower; at most P
    quiet   stuck_open(cache) for 10s   closed   2 breakers watched

    next: nothing, the last phase is complete
    [exit status: 0]
    ------- requests -------
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    "#);

    world.scenario("rules: [{when: {env: {CB_DB_ENABLED: \"true\"}}, set: {error_rate: 20%}}]").await;
    let degraded = until("a trigger fires", async || {
        let run = world.quick(&["check"]).await;
        (run.status == 5 && run.says("failed") && !run.says("waiting")).then_some(run)
    })
    .await;
    insta::assert_snapshot!(degraded, @r#"
    rollback: a rollback trigger fires
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   p95 over 10s   VALUE   < 400ms   N of N requests slower; at most P; Nx of 20x
    failed   error_rate over 10s   VALUE   < 1%   N of N requests; P to P with 95% confidence; Nx of 20x; most on updog-POD (P)
    firing   error_rate for 5s   VALUE   > 2%   N of N requests; P to P with 99% confidence; Nx of 100x; began AGE ago; most on updog-POD (P)
    quiet   p95 for 5s   VALUE   > 500ms   N of N requests slower; at most P
    quiet   stuck_open(cache) for 10s   closed   2 breakers watched
    judged: 2 pods (updog-POD, updog-POD), since the change AGE ago
    a healthy service is rolled back with 1% probability at most in the 14d that triggers are armed
    next: cbctl rollback
    [exit status: 5]
    ------- requests -------
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    "#);
    let run = world.quick(&["rollback", "--emergency", "--reason", "checkout errors"]).await;
    insta::assert_snapshot!(run.apart_from("GET deployments/updog-canary"), @r"
    off   deployment/updog   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    done in AGE: every breaker is off; 2 of 2 pods run the new values
    was db, step 1, for AGE; goes on with: cbctl promote
    ------- stderr -------
    off: deployment/updog in AGE
    [exit status: 0]
    ------- requests -------
    PATCH deployments/updog
    GET configmaps/cbctl-updog
    GET deployments/updog
    LIST pods
    POST selfsubjectreviews
    PATCH configmaps/cbctl-updog
    POST events
    ");
    for pod in world.pods().await {
        for entry in pod.spec.unwrap().containers.remove(0).env.unwrap() {
            let off = entry.value.as_deref() == Some("false");
            assert!(off || !entry.name.ends_with("_ENABLED"), "{} is {:?}", entry.name, entry.value);
        }
    }
    insta::assert_snapshot!(world.quick_without_waiting(&["status"]).await, @r#"
    updog in shop (staging): 2 of 2 pods ready, 0 restarts

    PHASE   STATE   SINCE   EXPOSURE   FLAGS
    shadow   complete   AGE   full   nothing on
    cache   not started   CB_CACHE_ENABLED=true +3 settings
    http   not started   CB_HTTP_ENABLED=true +3 settings
    db   not started   CB_DB_ENABLED=true +3 settings, high risk

    emergency rollback AGE ago: checkout errors; the next promote accepts it
    shadow, step 1 of 1: full; baked AGE of 5s
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   p95 over 10s   VALUE   < 400ms   N of N requests slower; at most P; Nx of 20x
    passed   error_rate over 10s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    quiet   error_rate for 5s   VALUE   > 2%   N of N requests; at most P
    quiet   p95 for 5s   VALUE   > 500ms   N of N requests slower; at most P
    quiet   stuck_open(cache) for 10s   closed   2 breakers watched

    next: cbctl promote cache
    [exit status: 0]
    ------- requests -------
    GET deployments/updog
    GET deployments/updog-canary
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before, requests_before, errors_before
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"updog-PODS"}[10s]
    "#);
    world.quick_until(0, &["promote", "cache"]).await.expect(0, &["done in AGE: cache, step 1 of 2 is entered"]);
}
