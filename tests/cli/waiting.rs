//! `check --wait`: looks again until the answer is conclusive, and ends then and not before.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::harness::World;
use crate::harness::proxy::Act;
use crate::harness::run::Run;

const GATES: &str = "gates:\n  - error_rate < 1% over 6s\n  - p95 < 500ms over 5s\n";

impl World {
    /// Just promoted, so that no window is full.
    async fn fresh(conditions: &str) -> Self {
        Self::measured(conditions, "rules: []").await
    }
}

/// The lines on stderr that tell what is waited for.
fn progress(run: &Run) -> usize {
    run.stderr.lines().filter(|line| line.starts_with("waiting: ")).count()
}

#[tokio::test]
async fn waits_until_a_fresh_promotion_has_proved_itself() {
    let world = World::fresh(GATES).await;
    let run = world.cbctl(&["check", "http", "--wait=150s"]).await;
    run.expect(
        0,
        &["passed: http, step 1 of 1 can be entered", "waiting: error_rate over 6s: ", "next: cbctl promote http"],
    );
    insta::assert_snapshot!(run.stdout_with(""), @r"
    passed: http, step 1 of 1 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   error_rate over 6s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    passed   p95 over 5s   VALUE   < 500ms   N of N requests slower; at most P; Nx of 20x
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl promote http
    [exit status: 0]
    ");
    assert!(progress(&run) >= 1, "{run}");
    assert!(run.writes().is_empty(), "{run}");
    // Nothing is left to wait for.
    let run = world.cbctl(&["check", "http", "--wait=150s"]).await;
    run.expect(0, &["passed: http"]);
    assert_eq!(progress(&run), 0, "{run}");
}

#[tokio::test]
async fn quiet_waits_without_a_word() {
    let world = World::fresh(GATES).await;
    let run = world.cbctl(&["check", "http", "--wait", "-q"]).await;
    run.expect(0, &["passed: http"]);
    assert!(run.stderr.is_empty(), "{run}");
}

#[tokio::test]
async fn the_document_is_printed_once() {
    let world = World::fresh(GATES).await;
    let run = world.cbctl(&["check", "http", "--wait=150s", "-o", "json"]).await;
    run.expect(0, &["waiting: "]);
    assert_eq!(run.json()["exit"], 0);
}

#[tokio::test]
async fn does_not_wait_for_somebody_who_has_to_act() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 30m\n").await;
    world.edit("phases/20-http.yaml", "requires:\n", "requires:\n  - {signoff: dashboards-reviewed}\n");
    let begun = Instant::now();
    let run = world.cbctl(&["check", "http", "--wait=150s"]).await;
    insta::assert_snapshot!(run, @r"
    held: http, step 1 of 1 cannot be entered
    held   signed dashboards-reviewed: nobody yet: cbctl sign-off dashboards-reviewed
          CONDITION   VALUE   LIMIT   EVIDENCE
    waiting   error_rate over 30m   < 1%   AGE of 30m, AGE more
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 3]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before
    ");
    assert!(begun.elapsed() < Duration::from_secs(20), "{run}");
}

#[tokio::test]
async fn a_sign_off_that_is_a_gate_is_not_waited_for_either() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 30m\n  - {signoff: dashboards-reviewed}\n").await;
    let run = world.cbctl(&["check", "http", "--wait=150s"]).await;
    run.expect(3, &["held: http", "nobody yet: cbctl sign-off dashboards-reviewed"]);
    assert_eq!(progress(&run), 0, "{run}");
}

#[tokio::test]
async fn gives_the_last_answer_when_the_time_is_over() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 30m\n  - p95 < 500ms over 40m\n").await;
    let begun = Instant::now();
    let run = world.cbctl(&["check", "http", "--wait=3s"]).await;
    let took = begun.elapsed();
    insta::assert_snapshot!(run, @r"
    inconclusive: http, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    waiting   error_rate over 30m   < 1%   AGE of 30m, AGE more
    waiting   p95 over 40m   < 500ms   AGE of 40m, AGE more
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    ------- stderr -------
    waiting: error_rate over 30m: AGE of 30m, AGE more; and 1 other line
    [exit status: 4]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before, buckets_before
    ");
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(20), "{took:?}\n{run}");
    // No time at all is one look.
    let run = world.cbctl(&["check", "http", "--wait=0s"]).await;
    run.expect(4, &["inconclusive: http"]);
    assert_eq!(progress(&run), 0, "{run}");
}

#[tokio::test]
async fn a_trigger_that_fires_meanwhile_ends_it() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 30m\nrollback:\n  - error_rate > 2% for 4s\n").await;
    let running = world.cbctl(&["check", "http", "--wait=150s"]).start();
    running.says("waiting: ").await;
    world.scenario("rules: [{set: {error_rate: 20%}}]").await;
    let run = running.finish().await;
    run.expect(5, &["rollback: a rollback trigger fires", "firing   error_rate for 4s", "next: cbctl rollback"]);
    assert!(run.writes().is_empty(), "a check only tells:\n{run}");
}

#[tokio::test]
async fn a_prometheus_that_fails_for_three_looks_does_not_end_it() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 6s\n").await;
    // A look sends two queries.
    world.prometheus.on_next(6, "QUERY", Act::status(503));
    let run = world.cbctl(&["check", "http", "--wait=150s"]).await;
    // What went wrong is told while it is being waited out.
    run.expect(0, &["passed: http", "Prometheus answered 503", "waiting: error_rate over 6s: "]);
}

#[tokio::test]
async fn a_prometheus_that_never_answers_ends_it_with_its_fault() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 6s\n").await;
    world.prometheus.on("QUERY", Act::status(503));
    let begun = Instant::now();
    let run = world.cbctl(&["check", "http", "--wait=20m"]).await;
    run.expect(1, &["error: http, step 1 of 1 cannot be entered", "Prometheus answered 503"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{run}");
}

#[tokio::test]
async fn an_api_server_that_fails_once_does_not_end_it() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 30m\n").await;
    let running = world.cbctl(&["check", "http", "--wait=20s"]).start();
    running.says("waiting: ").await;
    world.api.on_next(1, "GET deployments", Act::Close);
    let run = running.finish().await;
    run.expect(4, &["inconclusive: http", "; trying again"]);
}

#[tokio::test]
async fn goes_on_after_the_cluster_has_moved() {
    let world = World::fresh(GATES).await;
    world.edit("phases/10-cache.yaml", "over 6s", "over 12s");
    let running = world.cbctl(&["check", "http", "--wait=150s"]).start();
    running.says("waiting: ").await;
    let old = world.pod_names().await;
    world
        .patch_as_somebody_else(serde_json::json!({"spec": {"template": {"metadata": {"labels": {"again": "yes"}}}}}))
        .await;
    let run = running.finish().await;
    run.expect(0, &["passed: http"]);
    assert!(old.iter().all(|pod| !run.stdout.contains(pod.as_str())), "judged are the pods of now:\n{run}");
}

#[tokio::test]
async fn a_past_moment_cannot_be_waited_for() {
    let world = World::empty().await;
    let run = world.cbctl(&["check", "http", "--wait=150s", "--at", "2026-03-01T12:00:00Z"]).await;
    insta::assert_snapshot!(run, @r"
    ------- stderr -------
    error: the argument '--wait[=<DURATION>]' cannot be used with '--at <TIME>'

    Usage: cbctl check --wait[=<DURATION>] --prometheus <URL> <PHASE>

    For more information, try '--help'.
    [exit status: 2]
    ");
    for wrong in ["--wait=-3s", "--wait=2d", "--wait=soon", "--wait="] {
        let run = world.cbctl(&["check", "http", wrong]).await;
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{run}");
    }
    // Phase files write days so.
    for long in ["--wait=169h", "--wait=8d"] {
        world.cbctl(&["check", "http", long]).await.expect(2, &["is longer than 7 days"]);
    }
}

#[tokio::test]
async fn an_interruption_ends_it_at_once() {
    let world = World::fresh("gates:\n  - error_rate < 1% over 30m\n").await;
    for signal in [Signal::INT, Signal::TERM] {
        let begun = Instant::now();
        let running = world.cbctl(&["check", "http", "--wait"]).start();
        running.says("waiting: ").await;
        running.signal(signal);
        let run = running.finish().await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{run}");
        assert!(run.status != 0 && run.stdout.is_empty(), "no answer, and no success:\n{run}");
    }
}
