//! What is refused in mappings with other limits and with options; see `refusal_tests`.

use super::refusal_tests::{EVERYTHING, check_with};

const LIMITS: &[(&str, &str, &str)] = &[
    (
        "p95 < 400ms over 30m",
        "{indicator: trips, below: 1, over: 48h}",
        "
20-cache.yaml:15:5: a condition has no `breaker`
   |
15 |   - {indicator: trips, below: 1, over: 48h}
   |     ^",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: trips, breaker: cache, over: 48h}",
        "
20-cache.yaml:15:5: a condition has none of `equals`, `below`, `at_most`
   |
15 |   - {indicator: trips, breaker: cache, over: 48h}
   |     ^",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: trips, breaker: cache, above: 1, over: 48h}",
        "
20-cache.yaml:15:40: a gate on `trips` says `equals`, `below` or `at_most`, not `above`
   |
15 |   - {indicator: trips, breaker: cache, above: 1, over: 48h}
   |                                        ^^^^^ write `equals`, `below` or `at_most`",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: trips, breaker: cache, equals: 0, at_most: 1, over: 48h}",
        "
20-cache.yaml:15:51: a condition has `equals` and `at_most`
   |
15 |   - {indicator: trips, breaker: cache, equals: 0, at_most: 1, over: 48h}
   |                                                   ^^^^^^^ one of them",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, breaker: cache, below: 400ms, over: 30m}",
        "
20-cache.yaml:15:22: `p95` is not measured by breaker
   |
15 |   - {indicator: p95, breaker: cache, below: 400ms, over: 30m}
   |                      ^^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, below: 400ms, within: 10%, over: 30m}",
        "
20-cache.yaml:15:36: a condition has `below` and `within`
   |
15 |   - {indicator: p95, below: 400ms, within: 10%, over: 30m}
   |                                    ^^^^^^ one of them",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, beyond: 10%, over: 30m}",
        "
20-cache.yaml:15:22: a gate says `within`, not `beyond`
   |
15 |   - {indicator: p95, beyond: 10%, over: 30m}
   |                      ^^^^^^ write `within`",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: memory_use, within: 10%, over: 30m}",
        "
20-cache.yaml:15:29: `memory_use` is not compared with a baseline
   |
15 |   - {indicator: memory_use, within: 10%, over: 30m}
   |                             ^^^^^^ write `below`",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: memory_growth, above: 20%, for: 6h}",
        "
20-cache.yaml:19:44: `memory_growth` says `over`, not `for`
   |
19 |   - {indicator: memory_growth, above: 20%, for: 6h}
   |                                            ^^^ write `over`",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: memory_use, above: 90%}",
        "
20-cache.yaml:19:5: a condition has no `for`
   |
19 |   - {indicator: memory_use, above: 90%}
   |     ^",
    ),
];

#[test]
fn limits_in_mappings() {
    check_with(EVERYTHING, LIMITS);
}

const OPTIONS: &[(&str, &str, &str)] = &[
    (
        "error_rate > 2% for 2m",
        "{indicator: stuck_half_open, breaker: cache, for: 10m, min_requests: 5}",
        "
20-cache.yaml:19:60: `stuck_half_open` does not count requests
   |
19 |   - {indicator: stuck_half_open, breaker: cache, for: 10m, min_requests: 5}
   |                                                            ^^^^^^^^^^^^ leave it out",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: stuck_open, breaker: cache, for: 10m, confidence: 0.9}",
        "
20-cache.yaml:19:55: `stuck_open` has no confidence: it is measured, not estimated
   |
19 |   - {indicator: stuck_open, breaker: cache, for: 10m, confidence: 0.9}
   |                                                       ^^^^^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: trips, breaker: cache, equals: 0, over: 48h, confidence: 0.9}",
        "
20-cache.yaml:15:62: `trips` has no confidence: it is measured, not estimated
   |
15 |   - {indicator: trips, breaker: cache, equals: 0, over: 48h, confidence: 0.9}
   |                                                              ^^^^^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: memory_growth, below: 20%, over: 6h, min_requests: 5}",
        "
20-cache.yaml:15:54: `memory_growth` does not count requests
   |
15 |   - {indicator: memory_growth, below: 20%, over: 6h, min_requests: 5}
   |                                                      ^^^^^^^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: memory_growth, below: 20%, over: 6h, method: threshold}",
        "
20-cache.yaml:15:54: `memory_growth` is judged in one way only
   |
15 |   - {indicator: memory_growth, below: 20%, over: 6h, method: threshold}
   |                                                      ^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, within: 10%, over: 30m, method: threshold}",
        "
20-cache.yaml:15:46: a comparison with the baseline is judged in one way only
   |
15 |   - {indicator: p95, within: 10%, over: 30m, method: threshold}
   |                                              ^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, below: 400ms, over: 30m, method: threshhold}",
        "
20-cache.yaml:15:55: unknown method `threshhold`
   |
15 |   - {indicator: p95, below: 400ms, over: 30m, method: threshhold}
   |                                                       ^^^^^^^^^^ did you mean `threshold`?",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, below: 400ms, over: 30m, method: guess}",
        "
20-cache.yaml:15:55: unknown method `guess`
   |
15 |   - {indicator: p95, below: 400ms, over: 30m, method: guess}
   |                                                       ^^^^^ one of sequential, threshold, interpolated",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: error_rate, below: 1%, over: 30m, method: interpolated}",
        "
20-cache.yaml:15:59: `error_rate` lies in no bucket that could be interpolated
   |
15 |   - {indicator: error_rate, below: 1%, over: 30m, method: interpolated}
   |                                                           ^^^^^^^^^^^^ `sequential` or `threshold`",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, below: 400ms, over: 30m, method: interpolated, confidence: 0.9}",
        "
20-cache.yaml:15:69: only the method `sequential` has a confidence
   |
15 |   - {indicator: p95, below: 400ms, over: 30m, method: interpolated, confidence: 0.9}
   |                                                                     ^^^^^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: p95, below: 400ms, over: 30m, no_data: pass}",
        "
20-cache.yaml:15:56: unknown no_data `pass`
   |
15 |   - {indicator: p95, below: 400ms, over: 30m, no_data: pass}
   |                                                        ^^^^ one of hold, fail",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: error_rate, above: 2%, for: 2m, no_data: fail}",
        "
20-cache.yaml:19:49: a trigger never fires on missing data
   |
19 |   - {indicator: error_rate, above: 2%, for: 2m, no_data: fail}
   |                                                 ^^^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "{indicator: error_rate, below: 1%, over: 30m, healthy: 0.5%}",
        "
20-cache.yaml:15:51: a gate has no `healthy`: its limit is what is healthy
   |
15 |   - {indicator: error_rate, below: 1%, over: 30m, healthy: 0.5%}
   |                                                   ^^^^^^^ leave it out",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: error_rate, above: 2%, for: 2m, healthy: 2%}",
        "
20-cache.yaml:19:58: `2%` is not below what the limit allows
   |
19 |   - {indicator: error_rate, above: 2%, for: 2m, healthy: 2%}
   |                                                          ^^ less than 2%",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: error_rate, above: 2%, for: 2m, healthy: 0}",
        "
20-cache.yaml:19:58: `0` is not a percentage
   |
19 |   - {indicator: error_rate, above: 2%, for: 2m, healthy: 0}
   |                                                          ^ write it like 1% or 0.5%",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: p95, above: 500ms, for: 2m, healthy: 6%}",
        "
20-cache.yaml:19:54: `6%` is not below what the limit allows
   |
19 |   - {indicator: p95, above: 500ms, for: 2m, healthy: 6%}
   |                                                      ^^ less than 5%",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: p95, above: 500ms, for: 2m, healthy: 1%, method: threshold}",
        "
20-cache.yaml:19:45: only the method `sequential` looks at `healthy`
   |
19 |   - {indicator: p95, above: 500ms, for: 2m, healthy: 1%, method: threshold}
   |                                             ^^^^^^^ leave it out",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: memory_use, above: 90%, for: 2m, healthy: 1%}",
        "
20-cache.yaml:19:50: `memory_use` has no `healthy`: it is no share of events
   |
19 |   - {indicator: memory_use, above: 90%, for: 2m, healthy: 1%}
   |                                                  ^^^^^^^ leave it out",
    ),
    (
        "error_rate > 2% for 2m",
        "{indicator: error_rate, beyond: 2x, for: 2m, healthy: 1%}",
        "
20-cache.yaml:19:50: a comparison with the baseline has no `healthy`: it is no share of events
   |
19 |   - {indicator: error_rate, beyond: 2x, for: 2m, healthy: 1%}
   |                                                  ^^^^^^^ leave it out",
    ),
    (
        "error_rate > 2% for 2m",
        "{name: up, query: 'min(up)', equals: 0, for: 5m, no_data: hold}",
        "
20-cache.yaml:19:54: a trigger never fires on missing data
   |
19 |   - {name: up, query: 'min(up)', equals: 0, for: 5m, no_data: hold}
   |                                                      ^^^^^^^ leave it out",
    ),
];

#[test]
fn options() {
    check_with(EVERYTHING, OPTIONS);
}
