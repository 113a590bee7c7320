//! Every rule of the format, by an input that breaks it and the error as it is shown.
//!
//! A case replaces a piece of a good file by a bad one.

use super::{Error, PhaseFile, order, parse_header, parse_phase};

const ROLLOUT: &str = r#"apiVersion: cbctl.dev/v1
kind: Rollout
name: updog
target: {deployment: updog, container: app}
prometheus: {url: "http://prometheus:9090"}
indicators:
  latency: {histogram: seconds}
  error_rate: {requests: seconds_count, errors: 'seconds_count{status=~"5.."}'}
breakers:
  metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 2}, label: breaker}
  cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', settings: [CB_CACHE_MS]}
  http: {flag: CB_HTTP_ENABLED, match: '.*http.*'}
"#;

const PHASE: &str = r#"apiVersion: cbctl.dev/v1
kind: Phase
name: cache
title: Cache canary
flags:
  CB_CACHE_ENABLED: "true"
requires:
  - {phase: shadow, complete_for: 0s}
  - {signoff: dashboards-reviewed}
steps:
  - {expose: {pods: 1}, bake: 1h}
  - {expose: {traffic: 10%}, bake: 48h}
  - {expose: full, bake: 24h}
gates:
  - p95 < 400ms over 30m
  - {indicator: p99, below: 1000ms, over: 30m, confidence: 0.95, min_requests: 500}
  - {name: up, query: 'min(up)', equals: 1, for: 5m}
rollback:
  - error_rate > 2% for 2m
  - stuck_open(cache) for 10m
"#;

/// What is wrong with this pair of files, as the user sees it.
fn refusal(rollout: &str, phase: &str) -> String {
    let file = PhaseFile { number: 20, name: "cache".to_owned(), file_name: "20-cache.yaml".to_owned() };
    let read = parse_header("rollout.yaml", rollout)
        .and_then(|header| parse_phase(&file, file.file_name.clone(), phase.to_owned(), &header));
    read.map_or_else(|error| shown(&error), |_| "nothing".to_owned())
}

fn shown(error: &Error) -> String {
    format!("{error}\n{}", error.snippet().unwrap_or_default())
}

/// Checks cases of (good piece, bad piece, error), in either file.
#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    for (good, bad, expected) in cases {
        assert!(ROLLOUT.contains(good) != PHASE.contains(good), "`{good}` is not in one file");
        let refusal = refusal(&ROLLOUT.replacen(good, bad, 1), &PHASE.replacen(good, bad, 1));
        assert_eq!(refusal, expected.trim_start(), "{good} -> {bad}");
    }
}

#[test]
fn the_good_files_are_good() {
    assert_eq!(refusal(ROLLOUT, PHASE), "nothing");
}

#[test]
fn dump() {
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog", "nmae: updog", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog", "name: updog\nname: updog", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("  latency", "	latency", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("breakers:\n", "---\nbreakers:\n", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog", "name: [updog", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("apiVersion: cbctl.dev/v1\nkind: Rollout\nname: updog\ntarget: {deployment: updog, container: app}\nprometheus: {url: \"http://prometheus:9090\"}\nindicators:\n  latency: {histogram: seconds}\n  error_rate: {requests: seconds_count, errors: 'seconds_count{status=~\"5..\"}'}\nbreakers:\n  metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 2}, label: breaker}\n  cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', settings: [CB_CACHE_MS]}\n  http: {flag: CB_HTTP_ENABLED, match: '.*http.*'}\n", "", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("apiVersion: cbctl.dev/v1\nkind: Rollout\nname: updog\ntarget: {deployment: updog, container: app}\nprometheus: {url: \"http://prometheus:9090\"}\nindicators:\n  latency: {histogram: seconds}\n  error_rate: {requests: seconds_count, errors: 'seconds_count{status=~\"5..\"}'}\nbreakers:\n  metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 2}, label: breaker}\n  cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', settings: [CB_CACHE_MS]}\n  http: {flag: CB_HTTP_ENABLED, match: '.*http.*'}\n", "- a list\n", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("cbctl.dev/v1", "cbctl.dev/v2", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("apiVersion: cbctl.dev/v1\n", "", 1), PHASE));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("kind: Phase", "kind: Rollout", 1)));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog", "<<: {name: updog}", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog", "name: 10", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog", "name:", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog", r#"name: "Up\e[31mdog""#, 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("name: updog\n", "", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("container: app", "containr: app", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("deployment: updog", "deployment: up_dog", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen(r#""http://prometheus:9090""#, "prometheus:9090", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen(r#"{url: "http://prometheus:9090"}"#, "{selector: {pod: $pod}}", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen(r#"{url: "http://prometheus:9090"}"#, "{selector: {my-pod: x}}", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("histogram: seconds", "histogram: sum(seconds)", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("requests: seconds_count", r#"requests: "rate(seconds_count[5m])""#, 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("requests: seconds_count", r#"requests: "seconds_count{""#, 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("match: '.*cache.*'", "match: '.*(cache'", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen(", open: 2", ", open: 1", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen(", open: 2", "", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("label: breaker", "label: breaker-name", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("CB_HTTP_ENABLED", "CB_CACHE_MS", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("CB_HTTP_ENABLED", "CB-HTTP", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("[CB_CACHE_MS]", "[CB_CACHE_MS, CB_CACHE_MS]", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("[CB_CACHE_MS]", "CB_CACHE_MS", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("CB_HTTP_ENABLED,", "CB_HTTP_ENABLED, on: true,", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("CB_HTTP_ENABLED,", r#"CB_HTTP_ENABLED, off: "true","#, 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("  http: {", "  HTTP: {", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("  cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', settings: [CB_CACHE_MS]}\n  http: {flag: CB_HTTP_ENABLED, match: '.*http.*'}\n", "", 1), PHASE));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("name: cache", "name: cash", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("title: Cache canary", "title: Cache canary\nrisk: low", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen(r#"CB_CACHE_ENABLED: "true""#, r#"CB_CAHCE_ENABLED: "true""#, 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen(r#"CB_CACHE_ENABLED: "true""#, "CB_CACHE_ENABLED: true", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen(r#"CB_CACHE_ENABLED: "true""#, r#"CB_CACHE_ENABLED: "ture""#, 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen(r#"CB_CACHE_ENABLED: "true""#, "CB_CACHE_MS: 3000", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen(r#"CB_CACHE_ENABLED: "true""#, "CB_CACHE_MS: off", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("complete_for: 0s", "complete_for: 0", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("complete_for: 0s", "complete_for: 1w", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("complete_for: 0s", "completed_for: 0s", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{signoff: dashboards-reviewed}", "{signoff: Dashboards}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{signoff: dashboards-reviewed}", "{signoff: a, phase: shadow}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{signoff: dashboards-reviewed}", "{}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("steps:\n  - {expose: {pods: 1}, bake: 1h}\n  - {expose: {traffic: 10%}, bake: 48h}\n  - {expose: full, bake: 24h}\n", "steps: []\n", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("  - {expose: full, bake: 24h}\n", "", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{pods: 1}", "{traffic: 20%}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{traffic: 10%}", "full", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{pods: 1}", "{pods: 0}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{traffic: 10%}", "{traffic: 0.1}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{traffic: 10%}", "{traffic: 100%}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("{pods: 1}", "{pod: 1}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("expose: full", "expose: all", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("bake: 24h", "bake: 1d12h", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("rollback:\n", "rollback:\n  - {signoff: dashboards-reviewed}\n", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p59 < 400ms over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "memory_growth < 20% over 6h", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 > 400ms over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 < 400ms for 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("error_rate > 2% for 2m", "error_rate < 2% for 2m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("error_rate > 2% for 2m", "error_rate > 2% over 2m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 <= 400ms over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 < 400 over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 < 1% over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "error_rate < 400ms over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "error_rate < 0% over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 < 400ms over 0s", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 < 400ms over", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 < 400ms", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95 < 400ms over 30m or so", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", r#""p95  <  400ms  over  3O m""#, 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "p95(cache) < 400ms over 30m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "stuck_open(cache) over 10m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("stuck_open(cache)", "stuck_open(cahce)", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("stuck_open(cache)", "stuck_open(cache", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("stuck_open(cache)", "stuck_open", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("stuck_open(cache) for 10m", "stuck_open(cache) > 1 for 10m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "30", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("p95 < 400ms over 30m", "[p95]", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("below: 1000ms", "above: 1000ms", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("over: 30m, confidence", "for: 30m, confidence", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("below: 1000ms, ", "", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("confidence: 0.95", "confidence: 95", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("min_requests: 500", "min_requests: -1", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("min_requests: 500", "min_request: 500", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("indicator: p99", "indicator: p59", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("error_rate > 2% for 2m", "{indicator: error_rate, above: 2%, over: 2m}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("error_rate > 2% for 2m", "{indicator: stuck_open, breaker: db, for: 2m}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("error_rate > 2% for 2m", "{indicator: stuck_open, breaker: cache, above: 1, for: 2m}", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("'min(up)'", "'min(up'", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("'min(up)'", "'up[5m]'", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("'min(up)'", r#"'"up"'"#, 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("'min(up)'", r#"'up{pod=~"$pod"}'"#, 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("equals: 1, ", "", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("equals: 1", "equals: 1, below: 2", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("equals: 1", "equals: .nan", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("equals: 1", "equal: 1", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("for: 5m", "for: 5m, over: 5m", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("for: 5m", "for: 0s", 1)));
    println!("<<{}>>", refusal(ROLLOUT, &PHASE.replacen("name: up", "name: Up!", 1)));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("  error_rate: {requests: seconds_count, errors: 'seconds_count{status=~\"5..\"}'}\n", "", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("  latency: {histogram: seconds}\n", "", 1), PHASE));
    println!("<<{}>>", refusal(&ROLLOUT.replacen("  metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 2}, label: breaker}\n", "", 1), PHASE));
}
