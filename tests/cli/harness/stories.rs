//! The strategy's phases at the speed of tests, a service behind a real Service whose pods share one stream of requests,
//! and what a story does again and again: wait until it may go on, and go on.

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::run::Run;
use super::{World, until};

/// The strategy's breakers, settings and targets. Nothing a test waits for takes longer than its windows.
pub const STRATEGY: &[(&str, &str)] = &[
    (
        "rollout.yaml",
        r#"apiVersion: cbctl.dev/v1
kind: Rollout
name: checkout
target: {deployment: storefront, container: web}
warm_up: 3s
indicators:
  latency: {histogram: http_request_duration_seconds}
  error_rate:
    requests: http_request_duration_seconds_count
    errors: 'http_request_duration_seconds_count{status=~"5.."}'
breakers:
  metrics:
    requests: updog_circuit_breaker_requests_total
    failures: updog_circuit_breaker_failures_total
    state: {gauge: updog_circuit_breaker_state, closed: 0, half_open: 1, open: 2}
    label: breaker_name
  cache: {flag: CB_CACHE_ENABLED, match: '.*(cache|redis).*', settings: [CB_CACHE_OP_TIMEOUT_MS]}
  http: {flag: CB_HTTP_ENABLED, match: '.*(http|api).*', settings: [CB_HTTP_TARGETS]}
  db: {flag: CB_DB_ENABLED, match: '.*db.*', settings: [CB_DB_OP_TIMEOUT_MS], never_for: [write operations]}
"#,
    ),
    (
        "10-shadow.yaml",
        r#"apiVersion: cbctl.dev/v1
kind: Phase
name: shadow
title: Shadow mode
flags: {CB_CACHE_ENABLED: "false", CB_HTTP_ENABLED: "false", CB_DB_ENABLED: "false"}
steps:
  - {expose: full, bake: 1s}
gates:
  - error_rate < 1% over 4s
  - p95 < 400ms over 4s
  - {check: {http: /readinessz}}
"#,
    ),
    (
        "20-cache.yaml",
        r#"apiVersion: cbctl.dev/v1
kind: Phase
name: cache
title: Cache canary
flags: {CB_CACHE_ENABLED: "true", CB_CACHE_OP_TIMEOUT_MS: "3000"}
requires:
  - {phase: shadow, complete_for: 2s}
  - {signoff: dashboards-reviewed}
steps:
  - {expose: {pods: 1}, bake: 2s}
  - {expose: {traffic: 50%}, bake: 2s}
  - {expose: full, bake: 1s}
gates:
  - error_rate < 1% over 4s
  - p95 < 400ms over 4s
rollback:
  - error_rate > 2% for 2s
  - p95 > 500ms for 2s
  - stuck_open(cache) for 4s
"#,
    ),
    (
        "30-http.yaml",
        r#"apiVersion: cbctl.dev/v1
kind: Phase
name: http
title: HTTP services canary
flags: {CB_CACHE_ENABLED: "true", CB_HTTP_ENABLED: "true"}
requires:
  - {phase: cache, complete_for: 3s}
targets:
  - {name: partner-apis, flags: {CB_HTTP_TARGETS: "partner-apis"}}
  - name: market-data-feeds
    flags: {CB_HTTP_TARGETS: "partner-apis,market-data-feeds"}
    gates: [{signoff: stale-data-verified}]
  - {name: analytics-services, flags: {CB_HTTP_TARGETS: "partner-apis,market-data-feeds,analytics-services"}}
steps:
  - {expose: {pods: 1}, bake: 1s}
  - {expose: full, bake: 1s}
gates:
  - error_rate < 1% over 3s
rollback:
  - error_rate > 2% for 2s
"#,
    ),
    (
        "40-db.yaml",
        r#"apiVersion: cbctl.dev/v1
kind: Phase
name: db
title: Database read replicas
risk: high
flags: {CB_CACHE_ENABLED: "true", CB_HTTP_ENABLED: "true", CB_DB_ENABLED: "true", CB_DB_OP_TIMEOUT_MS: "15000"}
requires:
  - {phase: http, complete_for: 2s}
  - {signoff: team-trained}
  - {check: {command: [./smoke.sh]}}
steps:
  - {expose: {pods: 1}, bake: 1s}
  - {expose: full, bake: 1s}
gates:
  - error_rate < 1% over 3s
rollback:
  - error_rate > 2% for 2s
"#,
    ),
];

/// Requests a second, of the whole service.
pub const TRAFFIC: &str = "traffic: {rps: 600, service: storefront}\n";

impl World {
    /// A service of so many pods in shadow, all of whose requests come through one Service; nothing but time and figures
    /// keeps it from its first canary.
    pub async fn before_a_story(pods: u32) -> Self {
        let world = Self::empty().await;
        world.begin_a_story(pods).await;
        world
    }

    /// The same in a namespace that is there.
    pub async fn begin_a_story(&self, pods: u32) {
        self.write_files(STRATEGY);
        self.edit("phases/20-cache.yaml", "  - {signoff: dashboards-reviewed}\n", "");
        self.serve(json!({"app": "store-pods"})).await;
        self.scenario(TRAFFIC).await;
        self.deploy(|manifest| manifest["spec"]["replicas"] = json!(pods)).await;
        self.cbctl(&["promote", "shadow"]).await.expect(0, &["done"]);
        self.until_healthy().await;
    }

    /// The Service that all requests come through, and the pods that it selects.
    pub async fn serve(&self, selector: serde_json::Value) {
        self.serve_as("storefront", selector).await;
    }

    /// A Service of this name.
    pub async fn serve_as(&self, name: &str, selector: serde_json::Value) {
        let spec = json!({"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]});
        self.make("v1", "Service", name, spec).await;
    }

    /// The Service selects others from now on.
    pub async fn serve_only(&self, selector: serde_json::Value) {
        let services: Api<Service> = Api::namespaced(self.kube.clone(), &self.namespace);
        let patch = Patch::Merge(json!({"spec": {"selector": selector}}));
        services.patch("storefront", &PatchParams::default(), &patch).await.unwrap();
    }

    /// One step on, as soon as check lets it go; until then only time may be missing.
    pub async fn go_on(&self, phase: &str) -> Run {
        self.go_on_saying(phase, &[]).await
    }

    /// The same with a yes to a high risk.
    pub async fn go_on_at_high_risk(&self, phase: &str, reason: &str) -> Run {
        self.go_on_saying(phase, &["--yes-high-risk", "--reason", reason]).await
    }

    async fn go_on_saying(&self, phase: &str, consent: &[&str]) -> Run {
        // Check takes no reason.
        let yes = &consent[..consent.len().min(1)];
        until(&format!("{phase} goes on"), async || {
            let check = self.cbctl(&[&["check", phase], yes].concat()).await;
            let run = match check.status {
                0 => self.cbctl(&[&["promote", phase], consent].concat()).await,
                _ => check,
            };
            assert!([0, 4].contains(&run.status), "{phase} cannot go on:\n{run}");
            (run.status == 0).then_some(run)
        })
        .await
    }

    /// The answer of a check once it is this one; until then only time may be missing.
    pub async fn check_until(&self, phase: &str, status: i32) -> Run {
        until(&format!("check {phase} says {status}"), async || {
            let run = self.cbctl(&["check", phase]).await;
            assert!([status, 4].contains(&run.status), "neither {status} nor waiting:\n{run}");
            (run.status == status).then_some(run)
        })
        .await
    }

    /// A check that says all of this, whatever it decides.
    pub async fn check_says(&self, phase: &str, pieces: &[&str]) -> Run {
        until(&format!("check {phase} says {pieces:?}"), async || {
            let run = self.cbctl(&["check", phase]).await;
            pieces.iter().all(|piece| run.says(piece)).then_some(run)
        })
        .await
    }
}
