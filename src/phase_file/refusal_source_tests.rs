//! What is refused where `rollout.yaml` says how things are measured, and in queries; see `refusal_tests`.

use super::refusal_tests::{EVERYTHING, PHASE, check_with, refusal};

const SOURCES: &[(&str, &str, &str)] = &[
    (
        "warm_up: 2m",
        "warm_up: 2h",
        "
rollout.yaml:5:10: a warm-up of 2h
  |
5 | warm_up: 2h
  |          ^^ 1h at most",
    ),
    (
        "warm_up: 2m",
        "warm_up: soon",
        "
rollout.yaml:5:10: `soon` is not a duration
  |
5 | warm_up: soon
  |          ^^^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "warm_up: 2m",
        "rollback_within: 0s",
        "
rollout.yaml:5:18: a rollback_within of zero
  |
5 | rollback_within: 0s
  |                  ^^ more than zero",
    ),
    (
        "warm_up: 2m",
        "rollback_within: fast",
        "
rollout.yaml:5:18: `fast` is not a duration
  |
5 | rollback_within: fast
  |                  ^^^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "warm_up: 2m",
        "warmup: 2m",
        "
rollout.yaml:5:1: unknown field `warmup` of a rollout
  |
5 | warmup: 2m
  | ^^^^^^ did you mean `warm_up`?",
    ),
    (
        "{gauge: memory_bytes}",
        "{gauge: 'rate(memory_bytes[5m])'}",
        r#"
rollout.yaml:9:19: `rate(memory_bytes[5m])` is more than a metric with label matchers
  |
9 |   memory: {gauge: 'rate(memory_bytes[5m])'}
  |                   ^^^^^^^^^^^^^^^^^^^^^^^^ write it like requests_total{status=~"5.."}"#,
    ),
    (
        "{gauge: memory_bytes}",
        "{guage: memory_bytes}",
        "
rollout.yaml:9:12: unknown field `guage` of memory
  |
9 |   memory: {guage: memory_bytes}
  |            ^^^^^ did you mean `gauge`?",
    ),
    (
        "requests: calls_total",
        r#"requests: 'calls_total{kind="a"}'"#,
        r#"
rollout.yaml:12:15: `calls_total{kind="a"}` is not the name of a metric
   |
12 |     requests: 'calls_total{kind="a"}'
   |               ^^^^^^^^^^^^^^^^^^^^^^^"#,
    ),
    (
        "closed: 0, half_open: 1, open: 2",
        "label: state, closed: closed, half_open: half_open, open: closed",
        "
rollout.yaml:14:85: two states are closed
   |
14 |     state: {gauge: state, label: state, closed: closed, half_open: half_open, open: closed}
   |                                                                                     ^^^^^^ each its own value",
    ),
    (
        "closed: 0, half_open: 1, open: 2",
        "label: state, closed: 0, half_open: 1, open: 2",
        r#"
rollout.yaml:14:49: the label value of a state is not a string
   |
14 |     state: {gauge: state, label: state, closed: 0, half_open: 1, open: 2}
   |                                                 ^ quote it: "0""#,
    ),
    (
        "closed: 0, half_open: 1, open: 2",
        "label: breaker, closed: closed, half_open: half_open, open: open",
        "
rollout.yaml:14:12: `breaker` tells the breakers apart, not their states
   |
14 |     state: {gauge: state, label: breaker, closed: closed, half_open: half_open, open: open}
   |            ^ the label of `state` is another one",
    ),
    (
        "closed: 0, half_open: 1, open: 2",
        "label: st-ate, closed: closed, half_open: half_open, open: open",
        "
rollout.yaml:14:34: `st-ate` is not the name of a label
   |
14 |     state: {gauge: state, label: st-ate, closed: closed, half_open: half_open, open: open}
   |                                  ^^^^^^",
    ),
    (
        "closed: 0, half_open: 1, open: 2",
        "label: state, closed: closed, open: open",
        "
rollout.yaml:14:12: state has no `half_open`
   |
14 |     state: {gauge: state, label: state, closed: closed, open: open}
   |            ^",
    ),
    (
        "closed: 0, half_open: 1, open: 2",
        "closed: closed, half_open: half_open, open: open",
        "
rollout.yaml:14:35: `closed` is not a number
   |
14 |     state: {gauge: state, closed: closed, half_open: half_open, open: open}
   |                                   ^^^^^^ write it like 3 or 0.5",
    ),
    (
        "'min(redis_up)'",
        "'min(redis_up'",
        "
rollout.yaml:16:63: `min(redis_up` is not PromQL: unclosed left parenthesis
   |
16 |   cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', health: 'min(redis_up', settings: [CB_CACHE_MS
   |                                                               ^^^^^^^^^^^^^^",
    ),
    (
        "'min(redis_up)'",
        "'redis_up[5m]'",
        "
rollout.yaml:16:63: a query that returns a range
   |
16 |   cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', health: 'redis_up[5m]', settings: [CB_CACHE_MS
   |                                                               ^^^^^^^^^^^^^^ it has to return one number",
    ),
    (
        "'min(redis_up)'",
        "'min(redis_up) or vector(1)'",
        "
rollout.yaml:16:81: `or` puts a number in the place of missing data
   |
16 |   cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', health: 'min(redis_up) or vector(1)', settings
   |                                                                                 ^^^^^^^^^ leave `or` and this out",
    ),
    (
        "'min(redis_up)'",
        "''",
        "
rollout.yaml:16:63: the health query is empty
   |
16 |   cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', health: '', settings: [CB_CACHE_MS]}
   |                                                               ^^",
    ),
];

#[test]
fn sources() {
    check_with(EVERYTHING, SOURCES);
}

const QUERIES: &[(&str, &str, &str)] = &[
    (
        "'min(up)'",
        "'sum(rate(errors_total[5m])) or vector(0)'",
        "
20-cache.yaml:17:55: `or` puts a number in the place of missing data
   |
17 |   - {name: up, query: 'sum(rate(errors_total[5m])) or vector(0)', equals: 1, for: 5m}
   |                                                       ^^^^^^^^^ leave `or` and this out",
    ),
    (
        "'min(up)'",
        "'sum(x or on() vector(0))'",
        "
20-cache.yaml:17:38: `or` puts a number in the place of missing data
   |
17 |   - {name: up, query: 'sum(x or on() vector(0))', equals: 1, for: 5m}
   |                                      ^^^^^^^^^ leave `or` and this out",
    ),
    (
        "'min(up)'",
        "'vector(1) or x'",
        "
20-cache.yaml:17:24: `or` puts a number in the place of missing data
   |
17 |   - {name: up, query: 'vector(1) or x', equals: 1, for: 5m}
   |                        ^^^^^^^^^ leave `or` and this out",
    ),
    (
        "'min(up)'",
        "'x or (0 * vector(1))'",
        "
20-cache.yaml:17:29: `or` puts a number in the place of missing data
   |
17 |   - {name: up, query: 'x or (0 * vector(1))', equals: 1, for: 5m}
   |                             ^^^^^^^^^^^^^^^ leave `or` and this out",
    ),
    (
        "'min(up)'",
        "'absent(up)'",
        "
20-cache.yaml:17:24: `absent` makes a gate pass on missing data
   |
17 |   - {name: up, query: 'absent(up)', equals: 1, for: 5m}
   |                        ^^^^^^^^^^ write count(…) and how many there have to be",
    ),
    (
        "'min(up)'",
        "'count(absent_over_time(up[5m]))'",
        "
20-cache.yaml:17:30: `absent_over_time` makes a gate pass on missing data
   |
17 |   - {name: up, query: 'count(absent_over_time(up[5m]))', equals: 1, for: 5m}
   |                              ^^^^^^^^^^^^^^^^^^^^^^^^ write count(…) and how many there have to be",
    ),
    (
        "'min(up)'",
        "'rate(sum(x_total)[5m:])'",
        "
20-cache.yaml:17:24: `rate` of `sum` loses the resets of the counters
   |
17 |   - {name: up, query: 'rate(sum(x_total)[5m:])', equals: 1, for: 5m}
   |                        ^^^^^^^^^^^^^^^^^^^^^^^ write sum(rate(…[5m]))",
    ),
    (
        "'min(up)'",
        "'max(increase((sum by (pod) (x_total) + y)[1h:1m]))'",
        "
20-cache.yaml:17:28: `increase` of `sum` loses the resets of the counters
   |
17 |   - {name: up, query: 'max(increase((sum by (pod) (x_total) + y)[1h:1m]))', equals: 1, for: 5m}
   |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ write sum(increase(…[5m]))",
    ),
    (
        "'min(up)'",
        "'delta(sum(x_total)[5m:])'",
        "
20-cache.yaml:17:24: `delta` of `sum` loses the resets of the counters
   |
17 |   - {name: up, query: 'delta(sum(x_total)[5m:])', equals: 1, for: 5m}
   |                        ^^^^^^^^^^^^^^^^^^^^^^^^ write sum(increase(…[5m]))",
    ),
    (
        "'min(up)'",
        "'avg(histogram_quantile(0.95, sum by (le, pod) (rate(x_bucket[5m]))))'",
        "
20-cache.yaml:17:24: `avg` of quantiles is no quantile
   |
17 |   - {name: up, query: 'avg(histogram_quantile(0.95, sum by (le, pod) (rate(x_bucket[5m]))))', equals
   |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ write histogram_quantile(0.95, sum by (le) (rate(…_bucket[5m])))",
    ),
    (
        "'min(up)'",
        "'sum(2 * histogram_quantile(0.95, rate(x_bucket[5m])))'",
        "
20-cache.yaml:17:24: `sum` of quantiles is no quantile
   |
17 |   - {name: up, query: 'sum(2 * histogram_quantile(0.95, rate(x_bucket[5m])))', equals: 1, for: 5m}
   |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ write histogram_quantile(0.95, sum by (le) (rate(…_bucket[5m])))",
    ),
    (
        "'min(up)'",
        "'avg_over_time(histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))[1h:])'",
        "
20-cache.yaml:17:24: `avg_over_time` of quantiles is no quantile
   |
17 |   - {name: up, query: 'avg_over_time(histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))[1h:]
   |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ write histogram_quantile(0.95, sum by (le) (rate(…_bucket[5m])))",
    ),
    (
        "'min(up)'",
        "'histogram_quantile(0.95, sum(rate(x_bucket[5m])))'",
        "
20-cache.yaml:17:49: `sum` drops the label `le`, without which there is no quantile
   |
17 |   - {name: up, query: 'histogram_quantile(0.95, sum(rate(x_bucket[5m])))', equals: 1, for: 5m}
   |                                                 ^^^^^^^^^^^^^^^^^^^^^^^ write sum by (le) (…)",
    ),
    (
        "'min(up)'",
        "'histogram_quantile(0.95, sum by (pod) (rate(x_bucket[5m])))'",
        "
20-cache.yaml:17:49: `sum` drops the label `le`, without which there is no quantile
   |
17 |   - {name: up, query: 'histogram_quantile(0.95, sum by (pod) (rate(x_bucket[5m])))', equals: 1, for:
   |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ write sum by (le) (…)",
    ),
    (
        "'min(up)'",
        "'histogram_quantile(0.95, sum without (le) (rate(x_bucket[5m])))'",
        "
20-cache.yaml:17:49: `sum` drops the label `le`, without which there is no quantile
   |
17 |   - {name: up, query: 'histogram_quantile(0.95, sum without (le) (rate(x_bucket[5m])))', equals: 1,
   |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ write sum by (le) (…)",
    ),
    (
        "'min(up)'",
        "'histogram_quantile(0.95, rate(max by (pod) (x_bucket)[5m:]))'",
        "
20-cache.yaml:17:54: `max` drops the label `le`, without which there is no quantile
   |
17 |   - {name: up, query: 'histogram_quantile(0.95, rate(max by (pod) (x_bucket)[5m:]))', equals: 1, for
   |                                                      ^^^^^^^^^^^^^^^^^^^^^^^ write max by (le) (…)",
    ),
];

#[test]
fn queries_that_are_wrong() {
    check_with(EVERYTHING, QUERIES);
}

/// (condition, good piece of the rollout, bad piece, error)
const NEEDED: &[(&str, &str, &str, &str)] = &[
    (
        "trips(cache) > 3 for 10m",
        "    requests: calls_total\n",
        "",
        "
20-cache.yaml:19:5: `trips` is not declared
   |
19 |   - trips(cache) > 3 for 10m
   |     ^^^^^ needs `breakers.metrics.requests` in rollout.yaml",
    ),
    (
        "breaker_failures(cache) > 10% for 5m",
        "    failures: failed_calls_total\n",
        "",
        "
20-cache.yaml:19:5: `breaker_failures` is not declared
   |
19 |   - breaker_failures(cache) > 10% for 5m
   |     ^^^^^^^^^^^^^^^^ needs `breakers.metrics.failures` in rollout.yaml",
    ),
    (
        "memory_use > 90% for 10m",
        "  memory: {gauge: memory_bytes}\n",
        "",
        "
20-cache.yaml:19:5: `memory_use` is not declared
   |
19 |   - memory_use > 90% for 10m
   |     ^^^^^^^^^^ needs `indicators.memory` in rollout.yaml",
    ),
    (
        "trips(cache) > 3 for 10m",
        "closed: 0, half_open: 1, open: 2",
        "closed: 1, half_open: 0, open: 2",
        "
20-cache.yaml:19:5: `trips` cannot be counted while `closed` lies between the other states
   |
19 |   - trips(cache) > 3 for 10m
   |     ^^^^^ needs the least or the greatest value for `closed` in rollout.yaml",
    ),
];

#[test]
fn what_an_indicator_needs() {
    for (condition, good, bad, expected) in NEEDED {
        let phase = PHASE.replacen("error_rate > 2% for 2m", condition, 1);
        assert_eq!(refusal(&EVERYTHING.replacen(good, bad, 1), &phase), expected.trim_start(), "{condition}");
    }
}
