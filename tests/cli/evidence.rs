//! On what a verdict stands: how it is judged, what is missing, what happened inside the window, and how little is asked
//! for it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::cluster::{annotate, env_of, simulated};
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::{World, files, until};

impl World {
    /// A measured service that a promotion has switched the cache's breaker on in, so that its pods are younger than the
    /// change; unlike [`World::measured`], which takes over what runs already.
    async fn switched_on(conditions: &str, scenario: &str) -> Self {
        Self::switched_on_with(conditions, scenario, |_| ()).await
    }

    async fn switched_on_with(conditions: &str, scenario: &str, adapt: impl FnOnce(&mut Value)) -> Self {
        let world = Self::empty().await;
        world.write_files(files::MEASURED);
        let cache = std::fs::read_to_string(world.path("phases/10-cache.yaml")).unwrap();
        let shadow =
            cache.replace("cache", "shadow").replace("CB_CACHE_ENABLED: \"true\"", "CB_CACHE_ENABLED: \"false\"");
        world.write("phases/05-shadow.yaml", &shadow);
        world.edit("phases/10-cache.yaml", "bake: 0s}\n", &format!("bake: 0s}}\n{conditions}"));
        world.scenario(scenario).await;
        world.deploy(adapt).await;
        world.promote_through(&["shadow", "cache"]).await;
        world
    }

    /// A measured service whose pods have native histograms.
    async fn native(conditions: &str, scenario: &str) -> Self {
        let world = Self::prepared(conditions, scenario).await;
        world
            .enter(|manifest| manifest["spec"]["template"]["metadata"]["labels"]["histograms"] = json!("native"))
            .await;
        world
    }

    #[expect(clippy::disallowed_methods, reason = "a test compares its pods with the clock of this moment")]
    async fn until_pods_are_older_than(&self, seconds: f64) {
        until("the pods are older than the change will be", async || {
            let started = self.pods().await.into_iter().filter_map(|pod| pod.status?.start_time);
            let age = |at: jiff::Timestamp| jiff::Timestamp::now().duration_since(at).as_secs_f64();
            started.map(|time| age(time.0)).all(|age| age > seconds).then_some(())
        })
        .await;
    }

    /// Puts an annotation on one live pod.
    async fn annotate_pod(&self, pod: &str, key: &str, value: &str) {
        use kube::api::{Api, Patch, PatchParams};
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.kube.clone(), &self.namespace);
        let patch = json!({"metadata": {"annotations": {key: value}}});
        pods.patch(pod, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// The answer as a document, once it exits so.
    async fn until_json_says(&self, status: i32) -> Value {
        self.until_check(&["-o", "json"], |run| run.status == status).await.json()
    }
}

#[tokio::test]
async fn native_histograms_are_judged_by_their_own_buckets() {
    let gates = "gates:\n  - p95 < 500ms over 6s\n  - p50 < 50ms over 6s\n";
    let world = World::native(gates, "rules: [{set: {slow_share: 1%, slow_latency: 800ms}}]").await;
    let run = world.until_concluded(0).await;
    insta::assert_snapshot!(run, @r"
    passed: http, step 1 of 1 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   p95 over 6s   VALUE   < 500ms   N of N requests slower; at most P; Nx of 20x
    passed   p50 over 6s   VALUE   < 50ms   N of N requests slower; at most P; Nx of 20x
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl promote http
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE buckets_before
    ");
    world.scenario("rules: [{set: {slow_share: 20%, slow_latency: 800ms}}]").await;
    let run = world.until_it_says(3, "failed   p95 over 6s").await;
    run.expect(3, &["< 500ms   N of N requests slower; P to P with 95% confidence; ", "passed   p50 over 6s"]);
}

#[tokio::test]
async fn a_limit_between_two_native_buckets_names_both_edges() {
    let gates = "gates:\n  - p95 < 300ms over 6s\n";
    let world = World::native(gates, "rules: [{set: {slow_share: 20%, slow_latency: 320ms}}]").await;
    let run = world.until_it_says(4, "the limit lies between the bucket edges").await;
    run.expect(4, &["250ms and 400ms: add a bucket there"]);
}

#[tokio::test]
async fn methods_other_than_the_default_go_by_the_estimate() {
    // At 0.9 % nothing is proven either way for long; the estimate is below the limit all the same.
    let gates = "gates:\n  - {indicator: error_rate, below: 1%, over: 8s, method: threshold}\n  \
                 - {indicator: p95, below: 300ms, over: 8s, method: interpolated}\n  \
                 - {indicator: p95, below: 400ms, over: 8s, method: threshold}\n";
    let world =
        World::measured(gates, "rules: [{set: {rps: 1000, error_rate: 0.9%, slow_share: 6%, slow_latency: 260ms}}]")
            .await;
    let run = world.until_concluded(0).await;
    insta::assert_snapshot!(run, @r"
    passed: http, step 1 of 1 can be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   error_rate over 8s   VALUE   < 1%   N of N requests; at most P
    passed   p95 over 8s   VALUE   < 300ms   N of N requests slower; at most P
    passed   p95 over 8s   VALUE   < 400ms   N of N requests slower; at most P
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    next: cbctl promote http
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before, buckets_before
    ");
    world.scenario("rules: [{set: {rps: 1000, error_rate: 1.1%, slow_share: 50%, slow_latency: 390ms}}]").await;
    let run = world.until_it_says(3, "failed   error_rate over 8s").await;
    run.expect(3, &["failed   error_rate over 8s"]);
    let run = world.until_it_says(3, "failed   p95 over 8s   VALUE   < 300ms").await;
    // The threshold lies on an edge, above which nobody is.
    run.expect(3, &["passed   p95 over 8s   VALUE   < 400ms"]);
}

#[tokio::test]
async fn no_data_fails_a_gate_that_says_so() {
    let missing = "query: 'sum(no_such_metric{namespace=\"$namespace\"})', above: 0";
    let gates = format!(
        "gates:\n  - {{indicator: error_rate, below: 1%, over: 5s, no_data: fail}}\n  \
         - {{indicator: p95, below: 500ms, over: 5s}}\n  \
         - {{name: strict, {missing}, no_data: fail}}\n  - {{name: lenient, {missing}}}\n"
    );
    let world = World::measured(&gates, "rules: [{set: {metrics: missing}}]").await;
    let run = world.until_it_says(3, "failed   error_rate over 5s").await;
    insta::assert_snapshot!(run, @r#"
    held: http, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    failed   error_rate over 5s   < 1%   no requests series of these pods: is the name right, are they scraped?
    waiting   p95 over 5s   < 500ms   no latency histogram series of these pods: is the name right, are they scraped?
    failed   strict   > 0   the query returns nothing: is the name right?
    waiting   lenient   > 0   the query returns nothing: is the name right?
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 3]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before, buckets_before
    QUERY sum(no_such_metric{namespace="shop"})
    "#);
    let json = world.until_json_says(3).await;
    assert_eq!(json["conditions"][0]["verdict"], "failed");
    assert_eq!(json["conditions"][0]["missing"]["reason"], "no_series");
    assert_eq!(json["conditions"][1]["verdict"], "waiting");
}

#[tokio::test]
async fn no_data_does_not_fail_a_window_that_is_not_full() {
    let gates = "gates:\n  - {indicator: error_rate, below: 1%, over: 30m, no_data: fail}\n";
    let world = World::measured(gates, "rules: [{set: {metrics: missing}}]").await;
    world.cbctl(&["check", "http"]).await.expect(4, &["waiting   error_rate over 30m   < 1%   AGE of 30m, AGE more"]);
}

#[tokio::test]
async fn nothing_counts_before_the_service_is_warm() {
    let world = World::prepared("gates:\n  - error_rate < 1% over 5s\n", "rules: [{set: {error_rate: 50%}}]").await;
    world.edit("phases/rollout.yaml", "breakers:\n", "warm_up: 6s\nbreakers:\n");
    world.enter(|_| ()).await;
    world.cbctl(&["check", "http"]).await.expect(4, &["waiting   error_rate over 5s"]);
    world.scenario("rules: []").await;
    // Half of the requests failed for a second or two: only the warm-up hides that.
    let run = world.until_concluded(0).await;
    run.expect(0, &["passed   error_rate over 5s   VALUE   < 1%"]);
    assert!(run.stdout.contains(" 0 of "), "{run}");
}

#[tokio::test]
async fn a_pod_that_two_jobs_scrape_is_not_counted_twice() {
    let conditions = "gates:\n  - error_rate < 1% over 5s\n  - p95 < 500ms over 5s\n";
    let world = World::measured(conditions, "rules: []").await;
    world.until_concluded(0).await;
    world.prometheus.on(
        "QUERY",
        Act::alter(|answer| {
            for series in answer["data"]["result"].as_array_mut().unwrap() {
                if !series["metric"]["cbctl"].as_str().unwrap_or_default().ends_with("_sources") {
                    continue;
                }
                for value in series["values"].as_array_mut().unwrap() {
                    value[1] = json!("2");
                }
            }
        }),
    );
    let run = world.cbctl(&["check", "http"]).await;
    insta::assert_snapshot!(run, @r"
    held: http, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    held   error_rate over 5s   < 1%   requests of storefront-POD come from 2 scrape targets and would be counted as often: name one in prometheus.selector
    held   p95 over 5s   < 500ms   latency histogram of storefront-POD come from 2 scrape targets and would be counted as often: name one in prometheus.selector
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    [exit status: 3]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE requests, request_times, request_sources, errors
    QUERY RANGE requests_before, errors_before, buckets_before
    ");
    world.prometheus.repair();
    world.until_concluded(0).await;
}

#[tokio::test]
async fn errors_after_a_long_healthy_time_are_found_and_dated() {
    let conditions = "gates:\n  - error_rate < 5% over 20s\nrollback:\n  - error_rate > 2% for 4s\n";
    let world = World::measured(conditions, "rules: []").await;
    world.until_concluded(0).await;
    let healthy = world.until_json_says(0).await;
    let begun: jiff::Timestamp = healthy["at"].as_str().unwrap().parse().unwrap();
    world.scenario("rules: [{set: {error_rate: 10%}}]").await;
    let run = world.until_it_says(5, "firing   error_rate for 4s").await;
    run.expect(5, &["P to P with 99% confidence; ", "; began AGE ago; most on storefront-POD (P)"]);
    let json = world.until_json_says(5).await;
    let trigger = condition(&json, "error_rate > 2% for 4s");
    let onset: jiff::Timestamp = trigger["evidence"]["finding"]["onset"].as_str().unwrap().parse().unwrap();
    // The change of the scenario needs a moment to be scraped; the grid has blocks of half a second.
    let late = onset.duration_since(begun).as_secs_f64();
    assert!((-1.0..4.0).contains(&late), "it began at {begun}, and is said to have at {onset}:\n{run}");
}

#[tokio::test]
async fn a_restart_of_a_pod_that_is_older_than_the_position_is_shown_as_well() {
    let world = World::prepared("gates:\n  - error_rate < 20% over 5s\n", "rules: []").await;
    world.deploy(|manifest| env_of(manifest)[0]["value"] = json!("true")).await;
    // Kubernetes tells starts in whole seconds, and cbctl allows for two.
    world.until_pods_are_older_than(4.0).await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &[]);
    let pod = world.pod_names().await.pop_first().unwrap();
    world.annotate_pod(&pod, &simulated("restart"), "once").await;
    world.until_it_says(0, "quiet   pods   2 of 2 ready, 1 restart").await;
}

#[tokio::test]
async fn a_pod_that_crashes_again_and_again_calls_for_a_rollback() {
    let world = World::switched_on("gates:\n  - error_rate < 1% over 5s\n", "rules: []").await;
    world.until_concluded(0).await;
    let pod = world.pod_names().await.pop_first().unwrap();
    world.annotate_pod(&pod, &simulated("crash-after"), "100ms").await;
    let run = world.until_it_says(5, "firing   pods   storefront-POD crash-loops; 1 of 2 ready, ").await;
    assert!(run.stdout.contains(&format!("{pod} crash-loops")), "{run}");
    run.expect(
        5,
        &[
            "rollback: a rollback trigger fires",
            "waiting   the deployment is rolling out: 2 of 2 pods updated, 1 available",
            "next: cbctl rollback\n",
        ],
    );
    let json = world.until_json_says(5).await;
    assert_eq!(condition(&json, "pods")["pods"]["crash_loops"], json!([pod]));
}

#[tokio::test]
async fn a_change_whose_pods_crash_is_seen_without_any_sample() {
    let world = World::switched_on("rollback:\n  - error_rate > 2% for 30m\n", "rules: []").await;
    for pod in world.pod_names().await {
        world.annotate_pod(&pod, &simulated("crash-after"), "50ms").await;
    }
    let run = world.until_it_says(5, "firing   pods   storefront-POD, storefront-POD crash-loop; 0 of 2 ready").await;
    run.expect(5, &["waiting   error_rate for 30m"]);
}

/// The condition that is called so.
fn condition<'a>(document: &'a Value, name: &str) -> &'a Value {
    document["conditions"].as_array().unwrap().iter().find(|one| one["condition"] == name).unwrap()
}

#[tokio::test]
async fn the_document_carries_everything_that_was_found_and_asked() {
    let conditions = "gates:\n  - error_rate < 1% over 6s\n  - p95 < 500ms over 5s\n\
                      rollback:\n  - error_rate > 2% for 4s\n  - stuck_open(cache) for 5s\n";
    let world = World::measured(conditions, "rules: []").await;
    world.until_concluded(0).await;
    let run = world.cbctl(&["check", "http", "-o", "json"]).await;
    let json = run.json();
    let pods = world.pod_names().await;
    assert_eq!(
        json["scope"]["pods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pod| pod.as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>(),
        pods
    );
    assert!(json["scope"]["since"].is_string(), "{run}");
    assert_eq!(json["scope"]["trigger_time"], 604_800.0, "{run}");
    let conditions = json["conditions"].as_array().unwrap();
    let named: Vec<_> = conditions
        .iter()
        .map(|one| (one["condition"].as_str().unwrap(), one["verdict"].as_str().unwrap(), &one["window"]))
        .collect();
    assert_eq!(
        named,
        [
            ("error_rate < 1% over 6s", "passed", &json!(6.0)),
            ("p95 < 500ms over 5s", "passed", &json!(5.0)),
            ("pods", "quiet", &Value::Null),
            ("error_rate > 2% for 4s", "quiet", &json!(4.0)),
            ("stuck_open(cache) for 5s", "quiet", &json!(5.0)),
        ],
        "{run}"
    );
    let share = &conditions[0]["evidence"]["finding"];
    assert_eq!((&share["kind"], &share["events"], &share["low"]), (&json!("share"), &json!(0), &json!(0.0)));
    assert_eq!(share["needed"], 20.0);
    assert!(share["evidence"].as_f64() >= share["needed"].as_f64(), "{run}");
    assert!(share["high"].as_f64().unwrap() < 0.01, "{run}");
    // Counted is from the first moment of the grid on.
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let later = time(&share["since"]).duration_since(time(&json["scope"]["since"])).as_secs_f64();
    assert!((0.0..2.0).contains(&later), "{run}");
    let evidence = &conditions[0]["evidence"];
    let at = |name: &str| evidence[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(at("to").duration_since(at("from")).as_secs(), 6);
    assert!(at("newest") <= at("to") && evidence["coverage"].as_f64().unwrap() >= 0.9, "{run}");
    // Every query that was sent, word by word.
    let told: BTreeSet<String> =
        json["queries"].as_array().unwrap().iter().map(|query| query["promql"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, sent(&run), "{run}");
}

/// The texts of all queries that Prometheus was asked.
fn sent(run: &Run) -> BTreeSet<String> {
    let asked = run.requests.iter().filter(|seen| seen.line.starts_with("QUERY"));
    let texts = asked.flat_map(|seen| {
        let parameters = if seen.body.is_empty() { &seen.parameters } else { &seen.body };
        let form = reqwest::Url::parse(&format!("http://form/?{parameters}")).unwrap();
        let found = form.query_pairs().find(|(name, _)| name == "query").map(|(_, value)| value.into_owned());
        found.into_iter().collect::<Vec<_>>()
    });
    texts.collect()
}

#[tokio::test]
async fn twenty_conditions_take_no_more_than_eight_queries() {
    let world = World::prepared(TWENTY, "rules: []").await;
    world.enter(|_| ()).await;
    // The windows of minutes and more, and the missing limit of memory.
    let waiting = |run: &Run| run.stdout.lines().filter(|line| line.starts_with("waiting")).count();
    let run = world.until_check(&[], |run| waiting(run) == 9).await;
    insta::assert_snapshot!(run, @r#"
    held: http, step 1 of 1 cannot be entered
          CONDITION   VALUE   LIMIT   EVIDENCE
    passed   error_rate over 12s   VALUE   < 1%   N of N requests; at most P; Nx of 20x
    waiting   error_rate over 1h   < 5%   AGE of 60m, AGE more
    waiting   error_rate over 30m   < 2%   AGE of 30m, AGE more
    passed   p95 over 12s   VALUE   < 400ms   N of N requests slower; at most P; Nx of 20x
    waiting   p99 over 1h   < 1s   AGE of 60m, AGE more
    passed   p50 over 5s   VALUE   < 100ms   N of N requests slower; at most P; Nx of 20x
    passed   breaker_failures(cache) over 10s   VALUE   < 10%   N of N calls; at most P; Nx of 20x
    waiting   trips(cache) over 1d   <= 5   AGE of 24h, AGE more
    passed   false_trips(cache) over 10s   0   == 0   2 breakers watched, N calls
    waiting   memory_growth over 1h   < 20%   AGE of 60m, AGE more
    held   memory_use over 10s   < 90%   the container has no memory limit
    quiet   error_rate for 4s   VALUE   > 2%   N of N requests; at most P
    waiting   error_rate for 10m   > 10%   AGE of 10m, AGE more
    quiet   p95 for 5s   VALUE   > 500ms   N of N requests slower; at most P
    waiting   p99.9 for 2m   > 1s   AGE of 2m, AGE more
    quiet   stuck_open(cache) for 10s   closed   2 breakers watched
    quiet   stuck_half_open(cache) for 20s   closed   2 breakers watched
    waiting   false_trips(cache) for 1h   > 3   AGE of 60m, AGE more
    waiting   memory_growth over 30m   > 50%   AGE of 30m, AGE more
    quiet   breaker_failures(cache) for 5s   VALUE   > 20%   N of N calls; at most P
    judged: 2 pods (storefront-POD, storefront-POD), since the change AGE ago
    a healthy service is rolled back with 1% probability at most in the 7d that triggers are armed
    [exit status: 3]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    QUERY RANGE breaker_times, breaker_requests, breaker_failures, highest, lowest
    QUERY RANGE buckets, bucket_times, bucket_sources
    QUERY RANGE requests, request_times, request_sources, errors, memory, memory_times, memory_before
    QUERY RANGE requests_before, errors_before, buckets_before
    QUERY updog_circuit_breaker_state{breaker_name=~".*(cache|redis).*",namespace="shop",pod=~"storefront-PODS"}[20s]
    "#);
    let sent = run.lines().into_iter().filter(|line| line.starts_with("QUERY")).count();
    assert!(sent <= 8, "{sent} queries:\n{run}");
    let bodies: BTreeSet<&str> =
        run.requests.iter().filter(|seen| seen.line.starts_with("QUERY")).map(|seen| seen.body.as_str()).collect();
    assert_eq!(bodies.len(), sent, "a query was sent twice:\n{run}");
}

/// Of every kind, over windows between seconds and days.
const TWENTY: &str = "gates:
  - error_rate < 1% over 12s
  - error_rate < 5% over 1h
  - error_rate < 2% over 30m
  - p95 < 400ms over 12s
  - p99 < 1s over 1h
  - p50 < 100ms over 5s
  - breaker_failures(cache) < 10% over 10s
  - trips(cache) <= 5 over 1d
  - false_trips(cache) == 0 over 10s
  - memory_growth < 20% over 1h
  - memory_use < 90% over 10s
rollback:
  - error_rate > 2% for 4s
  - error_rate > 10% for 10m
  - p95 > 500ms for 5s
  - p99.9 > 1s for 2m
  - stuck_open(cache) for 10s
  - stuck_half_open(cache) for 20s
  - false_trips(cache) > 3 for 1h
  - memory_growth > 50% over 30m
  - breaker_failures(cache) > 20% for 5s
";

#[tokio::test]
async fn a_past_moment_is_judged_the_same_whatever_comes_after() {
    let conditions = "gates:\n  - error_rate < 5% over 6s\n  - p95 < 500ms over 5s\n  - trips(cache) == 0 over 5s\n  \
                      - memory_growth < 20% over 6s\n\
                      rollback:\n  - error_rate > 10% for 4s\n  - stuck_open(cache) for 5s\n";
    let world = World::measured(conditions, "rules: [{set: {error_rate: 1%}}]").await;
    let then = world.until_json_says(0).await["at"].as_str().unwrap().to_owned();
    let table = ["check", "http", "--at", &then];
    let document = ["check", "http", "--at", &then, "-o", "json"];
    let (first, first_json) = (world.cbctl(&table).await, world.cbctl(&document).await);
    first.expect(0, &["passed   error_rate over 6s", "quiet   stuck_open(cache) for 5s"]);
    world.scenario("rules: [{set: {error_rate: 30%, memory: 2Gi, breakers: {cache: {state: open}}}}]").await;
    world.patch_as_somebody_else(json!({"spec": {"replicas": 4}})).await;
    world.until_healthy().await;
    world.until_it_says(5, "firing   stuck_open(cache) for 5s").await;
    let after = [world.cbctl(&table).await, world.cbctl(&table).await];
    for run in &after {
        assert_eq!(run.stdout, first.stdout, "{run}");
    }
    assert_eq!(world.cbctl(&document).await.stdout, first_json.stdout);
    world.patch_as_somebody_else(json!({"spec": {"replicas": 1}})).await;
    world.until_healthy().await;
    assert_eq!(world.cbctl(&table).await.stdout, first.stdout);
    assert_eq!(world.cbctl(&document).await.stdout, first_json.stdout);
}

#[tokio::test]
async fn a_past_moment_is_judged_as_it_was_beside_pods_that_were_ending() {
    let gates = "gates:\n  - error_rate < 5% over 10s\n  - p95 < 500ms over 10s\n";
    // The replaced pods serve on for a while after the change is complete.
    let world = World::switched_on_with(gates, "rules: []", |manifest| {
        manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(10);
        annotate(manifest, &simulated("stop-after"), "5s");
    })
    .await;
    let live = world.until_check(&["-o", "json"], |run| run.status == 0).await;
    let then = live.json()["at"].as_str().unwrap().to_owned();
    let past = world.cbctl(&["check", "http", "--at", &then]).await;
    past.expect(0, &["passed   error_rate over 10s", "passed   p95 over 10s"]);
}
