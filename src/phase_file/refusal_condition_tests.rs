//! What is refused in conditions on one line; see `refusal_tests`.

use super::refusal_tests::check;

const CONDITIONS_ON_ONE_LINE: &[(&str, &str, &str)] = &[
    (
        "p95 < 400ms over 30m",
        "p59 < 400ms over 30m",
        "
20-cache.yaml:15:5: unknown indicator `p59`
   |
15 |   - p59 < 400ms over 30m
   |     ^^^ did you mean `p95`?",
    ),
    (
        "p95 < 400ms over 30m",
        "memory_growth < 20% over 6h",
        "
20-cache.yaml:15:5: `memory_growth` is not declared
   |
15 |   - memory_growth < 20% over 6h
   |     ^^^^^^^^^^^^^ needs `indicators.memory` in rollout.yaml",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 > 400ms over 30m",
        "
20-cache.yaml:15:9: a gate says `<`, not `>`
   |
15 |   - p95 > 400ms over 30m
   |         ^ write `<`",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 < 400ms for 30m",
        "
20-cache.yaml:15:17: a gate says `over`, not `for`
   |
15 |   - p95 < 400ms for 30m
   |                 ^^^ write `over`",
    ),
    (
        "error_rate > 2% for 2m",
        "error_rate < 2% for 2m",
        "
20-cache.yaml:19:16: a trigger says `>`, not `<`
   |
19 |   - error_rate < 2% for 2m
   |                ^ write `>`",
    ),
    (
        "error_rate > 2% for 2m",
        "error_rate > 2% over 2m",
        "
20-cache.yaml:19:21: a trigger says `for`, not `over`
   |
19 |   - error_rate > 2% over 2m
   |                     ^^^^ write `for`",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 <= 400ms over 30m",
        "
20-cache.yaml:15:9: a gate says `<`, not `<=`
   |
15 |   - p95 <= 400ms over 30m
   |         ^^ write `<`",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 < 400 over 30m",
        "
20-cache.yaml:15:11: `400` is not a duration
   |
15 |   - p95 < 400 over 30m
   |           ^^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 < 1% over 30m",
        "
20-cache.yaml:15:11: `1%` is not a duration
   |
15 |   - p95 < 1% over 30m
   |           ^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "p95 < 400ms over 30m",
        "error_rate < 400ms over 30m",
        "
20-cache.yaml:15:18: `400ms` is not a percentage
   |
15 |   - error_rate < 400ms over 30m
   |                  ^^^^^ write it like 1% or 0.5%",
    ),
    (
        "p95 < 400ms over 30m",
        "error_rate < 0% over 30m",
        "
20-cache.yaml:15:18: `0%` is out of range
   |
15 |   - error_rate < 0% over 30m
   |                  ^^ more than 0% and less than 100%",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 < 400ms over 0s",
        "
20-cache.yaml:15:22: a window of zero
   |
15 |   - p95 < 400ms over 0s
   |                      ^^ more than zero",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 < 400ms over",
        "
20-cache.yaml:15:21: the condition ends before a duration
   |
15 |   - p95 < 400ms over
   |                     ^ a duration is missing",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 < 400ms",
        "
20-cache.yaml:15:16: the condition ends before `over`
   |
15 |   - p95 < 400ms
   |                ^ `over` is missing",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 < 400ms over 30m or so",
        "
20-cache.yaml:15:26: `or` is too much
   |
15 |   - p95 < 400ms over 30m or so
   |                          ^^ the condition is complete before it",
    ),
    (
        "p95 < 400ms over 30m",
        r#""p95  <  400ms  over  3O m""#,
        r#"
20-cache.yaml:15:27: `3O` is not a duration
   |
15 |   - "p95  <  400ms  over  3O m"
   |                           ^^ write 500ms, 90s, 30m, 48h or 7d"#,
    ),
    (
        "p95 < 400ms over 30m",
        "p95(cache) < 400ms over 30m",
        "
20-cache.yaml:15:9: `p95` is not measured by breaker
   |
15 |   - p95(cache) < 400ms over 30m
   |         ^^^^^ leave it out",
    ),
    (
        "p95 < 400ms over 30m",
        "stuck_open(cache) over 10m",
        "
20-cache.yaml:15:5: `stuck_open` is no gate
   |
15 |   - stuck_open(cache) over 10m
   |     ^^^^^^^^^^ it belongs under `rollback`",
    ),
    (
        "stuck_open(cache)",
        "stuck_open(cahce)",
        "
20-cache.yaml:20:16: unknown breaker `cahce`
   |
20 |   - stuck_open(cahce) for 10m
   |                ^^^^^ did you mean `cache`?",
    ),
    (
        "stuck_open(cache)",
        "stuck_open(cache",
        "
20-cache.yaml:20:5: `stuck_open(cache` has no closing parenthesis
   |
20 |   - stuck_open(cache for 10m
   |     ^^^^^^^^^^^^^^^^ write stuck_open(BREAKER)",
    ),
    (
        "stuck_open(cache)",
        "stuck_open",
        "
20-cache.yaml:20:5: `stuck_open` of which breaker?
   |
20 |   - stuck_open for 10m
   |     ^^^^^^^^^^ write stuck_open(BREAKER)",
    ),
    (
        "stuck_open(cache) for 10m",
        "stuck_open(cache) > 1 for 10m",
        "
20-cache.yaml:20:23: a trigger says `for`, not `>`
   |
20 |   - stuck_open(cache) > 1 for 10m
   |                       ^ write `for`",
    ),
    (
        "p95 < 400ms over 30m",
        "30",
        r#"
20-cache.yaml:15:5: a condition is not a string
   |
15 |   - 30
   |     ^^ quote it: "30""#,
    ),
    (
        "p95 < 400ms over 30m",
        "[p95]",
        "
20-cache.yaml:15:5: a condition is not a list
   |
15 |   - [p95]
   |     ^ write it like p95 < 400ms over 30m",
    ),
];

#[test]
fn conditions_on_one_line() {
    check(CONDITIONS_ON_ONE_LINE);
}
