//! Phase files for tests. Most tests are about what a command does to the cluster and need no figures: their phases
//! have no gates and no bake. The gated ones are judged over few seconds, for a Prometheus that scrapes twice a second.

const ROLLOUT: &str = r#"apiVersion: cbctl.dev/v1
kind: Rollout
name: checkout
target: {deployment: storefront, container: web}
indicators:
  latency: {histogram: http_request_duration_seconds}
  error_rate:
    requests: http_request_duration_seconds_count
    errors: 'http_request_duration_seconds_count{status=~"5.."}'
breakers:
  metrics:
    state: {gauge: updog_circuit_breaker_state, closed: 0, half_open: 1, open: 2}
    label: breaker_name
  cache: {flag: CB_CACHE_ENABLED, match: '.*(cache|redis).*', settings: [CB_CACHE_OP_TIMEOUT_MS]}
  http: {flag: CB_HTTP_ENABLED, match: '.*(http|api).*'}
  db: {flag: CB_DB_ENABLED, match: '.*db.*'}
"#;

const SHADOW: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: shadow
title: Shadow mode
flags: {CB_CACHE_ENABLED: "false", CB_HTTP_ENABLED: "false", CB_DB_ENABLED: "false"}
steps:
  - {expose: full, bake: 0s}
"#;

const CACHE: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: cache
title: Cache canary
flags: {CB_CACHE_ENABLED: "true", CB_CACHE_OP_TIMEOUT_MS: "3000"}
requires:
  - {phase: shadow, complete_for: 0s}
steps:
  - {expose: full, bake: 0s}
"#;

const HTTP: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: http
title: HTTP canary
flags: {CB_HTTP_ENABLED: "true"}
requires:
  - {phase: cache, complete_for: 0s}
steps:
  - {expose: full, bake: 0s}
"#;

/// As [`CACHE`], with a part of the service first.
const STEPPED_CACHE: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: cache
title: Cache canary
flags: {CB_CACHE_ENABLED: "true", CB_CACHE_OP_TIMEOUT_MS: "3000"}
requires:
  - {phase: shadow, complete_for: 0s}
steps:
  - {expose: {pods: 1}, bake: 0s}
  - {expose: {traffic: 50%}, bake: 0s}
  - {expose: full, bake: 0s}
"#;

/// The same as [`UNGATED`], with a canary in the second phase.
pub const STEPPED: &[(&str, &str)] =
    &[("rollout.yaml", ROLLOUT), ("10-shadow.yaml", SHADOW), ("20-cache.yaml", STEPPED_CACHE), ("30-http.yaml", HTTP)];

/// Phases that only order and what a test adds hold up.
pub const UNGATED: &[(&str, &str)] =
    &[("rollout.yaml", ROLLOUT), ("10-shadow.yaml", SHADOW), ("20-cache.yaml", CACHE), ("30-http.yaml", HTTP)];

/// One condition of every kind, on the phase that comes first.
const GATED_SHADOW: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: shadow
title: Shadow mode
flags: {CB_CACHE_ENABLED: "false", CB_HTTP_ENABLED: "false", CB_DB_ENABLED: "false"}
steps:
  - {expose: full, bake: 0s}
gates:
  - error_rate < 1% over 8s
  - p95 < 500ms over 8s
  - {name: pods-seen, query: 'count(up{namespace="$namespace",pod=~"$pods"})', equals: 2, for: 4s}
rollback:
  - stuck_open(cache) for 8s
"#;

pub const GATED: &[(&str, &str)] =
    &[("rollout.yaml", ROLLOUT), ("10-shadow.yaml", GATED_SHADOW), ("20-cache.yaml", CACHE), ("30-http.yaml", HTTP)];

/// As [`ROLLOUT`], with a source for every indicator.
const MEASURED_ROLLOUT: &str = r#"apiVersion: cbctl.dev/v1
kind: Rollout
name: checkout
target: {deployment: storefront, container: web}
indicators:
  latency: {histogram: http_request_duration_seconds}
  error_rate:
    requests: http_request_duration_seconds_count
    errors: 'http_request_duration_seconds_count{status=~"5.."}'
  memory: {gauge: process_resident_memory_bytes}
breakers:
  metrics:
    requests: updog_circuit_breaker_requests_total
    failures: updog_circuit_breaker_failures_total
    state: {gauge: updog_circuit_breaker_state, closed: 0, half_open: 1, open: 2}
    label: breaker_name
  cache: {flag: CB_CACHE_ENABLED, match: '.*(cache|redis).*', settings: [CB_CACHE_OP_TIMEOUT_MS]}
  http: {flag: CB_HTTP_ENABLED, match: '.*(http|api).*'}
  db: {flag: CB_DB_ENABLED, match: '.*db.*'}
"#;

/// The cache's breaker is on from the first phase on; a test adds the conditions.
const MEASURED_CACHE: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: cache
title: Cache canary
flags: {CB_CACHE_ENABLED: "true", CB_HTTP_ENABLED: "false", CB_DB_ENABLED: "false"}
steps:
  - {expose: full, bake: 0s}
"#;

pub const MEASURED: &[(&str, &str)] =
    &[("rollout.yaml", MEASURED_ROLLOUT), ("10-cache.yaml", MEASURED_CACHE), ("20-http.yaml", HTTP)];
