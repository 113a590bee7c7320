//! Every rule of the format, by an input that breaks it and the error as it is shown; here those of YAML.
//!
//! A case replaces a piece of a good file by a bad one.

use super::{Error, PhaseFile, parse_header, parse_phase};

pub(super) const ROLLOUT: &str = r#"apiVersion: cbctl.dev/v1
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

/// The same, with everything declared that an indicator can need.
pub(super) const EVERYTHING: &str = r#"apiVersion: cbctl.dev/v1
kind: Rollout
name: updog
target: {deployment: updog, container: app}
warm_up: 2m
indicators:
  latency: {histogram: seconds}
  error_rate: {requests: seconds_count, errors: 'seconds_count{status=~"5.."}'}
  memory: {gauge: memory_bytes}
breakers:
  metrics:
    requests: calls_total
    failures: failed_calls_total
    state: {gauge: state, closed: 0, half_open: 1, open: 2}
    label: breaker
  cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', health: 'min(redis_up)', settings: [CB_CACHE_MS]}
  http: {flag: CB_HTTP_ENABLED, match: '.*http.*'}
"#;

pub(super) const PHASE: &str = r#"apiVersion: cbctl.dev/v1
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
pub(super) fn refusal(rollout: &str, phase: &str) -> String {
    let file = PhaseFile { number: 20, name: "cache".to_owned(), file_name: "20-cache.yaml".to_owned() };
    let read = parse_header("rollout.yaml", rollout)
        .and_then(|header| parse_phase(&file, file.file_name.clone(), phase.to_owned(), &header));
    let shown = |error: Error| format!("{error}\n{}", error.snippet().unwrap_or_default());
    read.map_or_else(shown, |_| "nothing".to_owned())
}

/// Checks cases of (good piece, bad piece, error), in either file.
#[track_caller]
pub(super) fn check(cases: &[(&str, &str, &str)]) {
    check_with(ROLLOUT, cases);
}

/// The same with another `rollout.yaml`.
#[track_caller]
pub(super) fn check_with(rollout: &str, cases: &[(&str, &str, &str)]) {
    for (good, bad, expected) in cases {
        assert!(rollout.contains(good) || PHASE.contains(good), "`{good}` is in no file");
        let in_rollout = expected.trim_start().starts_with("rollout.yaml") || !PHASE.contains(good);
        let refusal = if in_rollout {
            refusal(&rollout.replacen(good, bad, 1), PHASE)
        } else {
            refusal(rollout, &PHASE.replacen(good, bad, 1))
        };
        assert_eq!(refusal, expected.trim_start(), "{good} -> {bad}");
    }
}

#[test]
fn the_good_files_are_good() {
    assert_eq!(refusal(ROLLOUT, PHASE), "nothing");
}

const YAML_THAT_IS_NOT_STRICT: &[(&str, &str, &str)] = &[
    (
        "name: updog",
        "nmae: updog",
        "
rollout.yaml:3:1: unknown field `nmae` of a rollout
  |
3 | nmae: updog
  | ^^^^ did you mean `name`?",
    ),
    (
        "name: updog",
        "name: updog\nname: updog",
        "
rollout.yaml:4:1: `name` is given twice
  |
4 | name: updog
  | ^^^^ the second time",
    ),
    (
        "  latency",
        "	latency",
        "
rollout.yaml:7:1: a tab in the indentation
  |
7 |  latency: {histogram: seconds}
  | ^ use spaces",
    ),
    (
        "breakers:\n",
        "---\nbreakers:\n",
        "
rollout.yaml:10:1: a second document
   |
10 | breakers:
   | ^ one file holds one document",
    ),
    (
        "name: updog",
        "name: [updog",
        "
rollout.yaml:4:7: not valid YAML: illegal placement of ':' indicator
  |
4 | target: {deployment: updog, container: app}
  |       ^",
    ),
    (
        ROLLOUT,
        "",
        "
rollout.yaml:1:1: the file is empty
  |
1 |
  | ^ expected `kind: Rollout`",
    ),
    (
        ROLLOUT,
        "- a list\n",
        "
rollout.yaml:1:1: a rollout is a mapping, not a list
  |
1 | - a list
  | ^",
    ),
    (
        "cbctl.dev/v1",
        "cbctl.dev/v2",
        "
rollout.yaml:1:13: apiVersion is `cbctl.dev/v2`, not `cbctl.dev/v1`
  |
1 | apiVersion: cbctl.dev/v2
  |             ^^^^^^^^^^^^ expected `cbctl.dev/v1`",
    ),
    (
        "apiVersion: cbctl.dev/v1\n",
        "",
        "
rollout.yaml:1:1: a rollout has no `apiVersion`
  |
1 | kind: Rollout
  | ^^^^ add `apiVersion: cbctl.dev/v1`",
    ),
    (
        "kind: Phase",
        "kind: Rollout",
        "
20-cache.yaml:2:7: kind is `Rollout`, not `Phase`
  |
2 | kind: Rollout
  |       ^^^^^^^ expected `Phase`",
    ),
    (
        "name: updog",
        "<<: {name: updog}",
        "
rollout.yaml:3:1: a merge key
  |
3 | <<: {name: updog}
  | ^ write the fields out",
    ),
    (
        "name: updog",
        "name: 10",
        r#"
rollout.yaml:3:7: the name of a rollout is not a string
  |
3 | name: 10
  |       ^^ quote it: "10""#,
    ),
    (
        "name: updog",
        "name:",
        "
rollout.yaml:3:5: the name of a rollout: nothing is given
  |
3 | name:
  |     ^ expected one value",
    ),
    (
        "name: updog",
        r#"name: "Up\e[31mdog""#,
        r#"
rollout.yaml:3:7: the name of a rollout: `Up[31mdog` is not a name of lower-case letters, digits and dashes, 63 at most
  |
3 | name: "Up\e[31mdog"
  |       ^^^^^^^^^^^^^"#,
    ),
    (
        "name: updog\n",
        "",
        "
rollout.yaml:1:1: a rollout has no `name`
  |
1 | apiVersion: cbctl.dev/v1
  | ^^^^^^^^^^",
    ),
];

#[test]
fn yaml_that_is_not_strict() {
    check(YAML_THAT_IS_NOT_STRICT);
}
