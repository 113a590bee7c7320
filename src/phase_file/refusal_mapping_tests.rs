//! What is refused in conditions written as mappings, and what they need; see `refusal_tests`.

use super::refusal_tests::check;

const CONDITIONS_AS_MAPPINGS: &[(&str, &str, &str)] = &[
        (
            "below: 1000ms",
            "above: 1000ms",
            "
20-cache.yaml:16:22: a gate says `below`, not `above`
   |
16 |   - {indicator: p99, above: 1000ms, over: 30m, confidence: 0.95, min_requests: 500}
   |                      ^^^^^ write `below`",
        ),
        (
            "over: 30m, confidence",
            "for: 30m, confidence",
            "
20-cache.yaml:16:37: a gate says `over`, not `for`
   |
16 |   - {indicator: p99, below: 1000ms, for: 30m, confidence: 0.95, min_requests: 500}
   |                                     ^^^ write `over`",
        ),
        (
            "below: 1000ms, ",
            "",
            "
20-cache.yaml:16:5: a condition has none of `below`, `within`
   |
16 |   - {indicator: p99, over: 30m, confidence: 0.95, min_requests: 500}
   |     ^",
        ),
        (
            "confidence: 0.95",
            "confidence: 95",
            "
20-cache.yaml:16:60: a confidence of `95`
   |
16 |   - {indicator: p99, below: 1000ms, over: 30m, confidence: 95, min_requests: 500}
   |                                                            ^^ between 0 and 1, such as 0.95",
        ),
        (
            "min_requests: 500",
            "min_requests: -1",
            "
20-cache.yaml:16:80: `-1` is not a whole number in range
   |
16 |   - {indicator: p99, below: 1000ms, over: 30m, confidence: 0.95, min_requests: -1}
   |                                                                                ^^ from 0 to 9007199254740992",
        ),
        (
            "min_requests: 500",
            "min_request: 500",
            "
20-cache.yaml:16:66: unknown field `min_request` of a condition
   |
16 |   - {indicator: p99, below: 1000ms, over: 30m, confidence: 0.95, min_request: 500}
   |                                                                  ^^^^^^^^^^^ did you mean `min_requests`?",
        ),
        (
            "indicator: p99",
            "indicator: p59",
            "
20-cache.yaml:16:17: unknown indicator `p59`
   |
16 |   - {indicator: p59, below: 1000ms, over: 30m, confidence: 0.95, min_requests: 500}
   |                 ^^^ did you mean `p95`?",
        ),
        (
            "error_rate > 2% for 2m",
            "{indicator: error_rate, above: 2%, over: 2m}",
            "
20-cache.yaml:19:40: a trigger says `for`, not `over`
   |
19 |   - {indicator: error_rate, above: 2%, over: 2m}
   |                                        ^^^^ write `for`",
        ),
        (
            "error_rate > 2% for 2m",
            "{indicator: stuck_open, breaker: db, for: 2m}",
            "
20-cache.yaml:19:38: unknown breaker `db`
   |
19 |   - {indicator: stuck_open, breaker: db, for: 2m}
   |                                      ^^",
        ),
        (
            "error_rate > 2% for 2m",
            "{indicator: stuck_open, breaker: cache, above: 1, for: 2m}",
            "
20-cache.yaml:19:45: `stuck_open` has no limit
   |
19 |   - {indicator: stuck_open, breaker: cache, above: 1, for: 2m}
   |                                             ^^^^^ leave it out",
        ),
        (
            "'min(up)'",
            "'min(up'",
            "
20-cache.yaml:17:23: `min(up` is not PromQL: unclosed left parenthesis
   |
17 |   - {name: up, query: 'min(up', equals: 1, for: 5m}
   |                       ^^^^^^^^",
        ),
        (
            "'min(up)'",
            "'up[5m]'",
            "
20-cache.yaml:17:23: a query that returns a range
   |
17 |   - {name: up, query: 'up[5m]', equals: 1, for: 5m}
   |                       ^^^^^^^^ it has to return one number",
        ),
        (
            "'min(up)'",
            r#"'"up"'"#,
            r#"
20-cache.yaml:17:23: a query that returns text
   |
17 |   - {name: up, query: '"up"', equals: 1, for: 5m}
   |                       ^^^^^^ it has to return one number"#,
        ),
        (
            "'min(up)'",
            r#"'up{pod=~"$pod"}'"#,
            r#"
20-cache.yaml:17:23: unknown variable `$pod`
   |
17 |   - {name: up, query: 'up{pod=~"$pod"}', equals: 1, for: 5m}
   |                       ^^^^^^^^^^^^^^^^^ did you mean `$pods`?"#,
        ),
        (
            "equals: 1, ",
            "",
            "
20-cache.yaml:17:5: a query has none of `below`, `at_most`, `above`, `at_least`, `equals`
   |
17 |   - {name: up, query: 'min(up)', for: 5m}
   |     ^",
        ),
        (
            "equals: 1",
            "equals: 1, below: 2",
            "
20-cache.yaml:17:34: a query has `below` and `equals`
   |
17 |   - {name: up, query: 'min(up)', equals: 1, below: 2, for: 5m}
   |                                  ^^^^^^ one of them",
        ),
        (
            "equals: 1",
            "equals: .nan",
            "
20-cache.yaml:17:42: `.nan` is not a number
   |
17 |   - {name: up, query: 'min(up)', equals: .nan, for: 5m}
   |                                          ^^^^ write it like 3 or 0.5",
        ),
        (
            "equals: 1",
            "equal: 1",
            "
20-cache.yaml:17:34: unknown field `equal` of a query
   |
17 |   - {name: up, query: 'min(up)', equal: 1, for: 5m}
   |                                  ^^^^^ did you mean `equals`?",
        ),
        (
            "for: 5m",
            "for: 5m, over: 5m",
            "
20-cache.yaml:17:54: a query has `for` and `over`
   |
17 |   - {name: up, query: 'min(up)', equals: 1, for: 5m, over: 5m}
   |                                                      ^^^^ one of them",
        ),
        (
            "for: 5m",
            "for: 0s",
            "
20-cache.yaml:17:50: a window of zero
   |
17 |   - {name: up, query: 'min(up)', equals: 1, for: 0s}
   |                                                  ^^ more than zero",
        ),
        (
            "name: up",
            "name: Up!",
            "
20-cache.yaml:17:12: the name of a query: `Up!` is not a name of lower-case letters, digits, dashes and underscores, 63 at most
   |
17 |   - {name: Up!, query: 'min(up)', equals: 1, for: 5m}
   |            ^^^",
        ),
];

#[test]
fn conditions_as_mappings() {
    check(CONDITIONS_AS_MAPPINGS);
}

const INDICATORS_THAT_ARE_NOT_DECLARED: &[(&str, &str, &str)] = &[
    (
        "  error_rate: {requests: seconds_count, errors: 'seconds_count{status=~\"5..\"}'}\n",
        "",
        "
20-cache.yaml:19:5: `error_rate` is not declared
   |
19 |   - error_rate > 2% for 2m
   |     ^^^^^^^^^^ needs `indicators.error_rate` in rollout.yaml",
    ),
    (
        "  latency: {histogram: seconds}\n",
        "",
        "
20-cache.yaml:15:5: `p95` is not declared
   |
15 |   - p95 < 400ms over 30m
   |     ^^^ needs `indicators.latency` in rollout.yaml",
    ),
    (
        "  metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 2}, label: breaker}\n",
        "",
        "
20-cache.yaml:20:5: `stuck_open` is not declared
   |
20 |   - stuck_open(cache) for 10m
   |     ^^^^^^^^^^ needs `breakers.metrics` in rollout.yaml",
    ),
];

#[test]
fn indicators_that_are_not_declared() {
    check(INDICATORS_THAT_ARE_NOT_DECLARED);
}
