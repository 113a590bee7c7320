//! What is refused in conditions on breakers, on one line; see `refusal_tests`.

use super::refusal_tests::{EVERYTHING, check_with};

const BREAKERS: &[(&str, &str, &str)] = &[
    (
        "error_rate > 2% for 2m",
        "stuck_half_open for 10m",
        "
20-cache.yaml:19:5: `stuck_half_open` of which breaker?
   |
19 |   - stuck_half_open for 10m
   |     ^^^^^^^^^^^^^^^ write stuck_half_open(BREAKER)",
    ),
    (
        "p95 < 400ms over 30m",
        "stuck_half_open(cache) over 10m",
        "
20-cache.yaml:15:5: `stuck_half_open` is no gate
   |
15 |   - stuck_half_open(cache) over 10m
   |     ^^^^^^^^^^^^^^^ it belongs under `rollback`",
    ),
    (
        "error_rate > 2% for 2m",
        "stuck_half_opn(cache) for 10m",
        "
20-cache.yaml:19:5: unknown indicator `stuck_half_opn`
   |
19 |   - stuck_half_opn(cache) for 10m
   |     ^^^^^^^^^^^^^^ did you mean `stuck_half_open`?",
    ),
    (
        "p95 < 400ms over 30m",
        "trips(cache) > 0 over 48h",
        "
20-cache.yaml:15:18: a gate on `trips` says `==`, `<` or `<=`, not `>`
   |
15 |   - trips(cache) > 0 over 48h
   |                  ^ write `==`, `<` or `<=`",
    ),
    (
        "p95 < 400ms over 30m",
        "trips(cache) = 0 over 48h",
        "
20-cache.yaml:15:18: a gate on `trips` says `==`, `<` or `<=`, not `=`
   |
15 |   - trips(cache) = 0 over 48h
   |                  ^ write `==`, `<` or `<=`",
    ),
    (
        "error_rate > 2% for 2m",
        "trips(cache) == 0 for 10m",
        "
20-cache.yaml:19:18: a trigger on `trips` says `>` or `>=`, not `==`
   |
19 |   - trips(cache) == 0 for 10m
   |                  ^^ write `>` or `>=`",
    ),
    (
        "error_rate > 2% for 2m",
        "trips(cache) > 3 over 10m",
        "
20-cache.yaml:19:22: a trigger says `for`, not `over`
   |
19 |   - trips(cache) > 3 over 10m
   |                      ^^^^ write `for`",
    ),
    (
        "p95 < 400ms over 30m",
        "trips(cache) == 0.5 over 48h",
        "
20-cache.yaml:15:21: `0.5` is not a whole number in range
   |
15 |   - trips(cache) == 0.5 over 48h
   |                     ^^^ from 0 to 1000000",
    ),
    (
        "p95 < 400ms over 30m",
        "trips(cache) == 1% over 48h",
        "
20-cache.yaml:15:21: `1%` is not a whole number in range
   |
15 |   - trips(cache) == 1% over 48h
   |                     ^^ from 0 to 1000000",
    ),
    (
        "p95 < 400ms over 30m",
        "trips(cache) < 0 over 48h",
        "
20-cache.yaml:15:20: a number of trips is never below 0
   |
15 |   - trips(cache) < 0 over 48h
   |                    ^ write == 0",
    ),
    (
        "error_rate > 2% for 2m",
        "trips(cache) >= 0 for 10m",
        "
20-cache.yaml:19:21: a number of trips is always at least 0
   |
19 |   - trips(cache) >= 0 for 10m
   |                     ^ write > 0",
    ),
    (
        "p95 < 400ms over 30m",
        "trips == 0 over 48h",
        "
20-cache.yaml:15:5: `trips` of which breaker?
   |
15 |   - trips == 0 over 48h
   |     ^^^^^ write trips(BREAKER)",
    ),
    (
        "p95 < 400ms over 30m",
        "false_trips(cahce) == 0 over 48h",
        "
20-cache.yaml:15:17: unknown breaker `cahce`
   |
15 |   - false_trips(cahce) == 0 over 48h
   |                 ^^^^^ did you mean `cache`?",
    ),
    (
        "p95 < 400ms over 30m",
        "false_trips(cache == 0 over 48h",
        "
20-cache.yaml:15:5: `false_trips(cache` has no closing parenthesis
   |
15 |   - false_trips(cache == 0 over 48h
   |     ^^^^^^^^^^^^^^^^^ write false_trips(BREAKER)",
    ),
    (
        "p95 < 400ms over 30m",
        "false_trip(cache) == 0 over 48h",
        "
20-cache.yaml:15:5: unknown indicator `false_trip`
   |
15 |   - false_trip(cache) == 0 over 48h
   |     ^^^^^^^^^^ did you mean `false_trips`?",
    ),
    (
        "p95 < 400ms over 30m",
        "trips(cache) within 10% of baseline over 48h",
        "
20-cache.yaml:15:18: `trips` is not compared with a baseline
   |
15 |   - trips(cache) within 10% of baseline over 48h
   |                  ^^^^^^ write `==`, `<` or `<=`",
    ),
    (
        "p95 < 400ms over 30m",
        "trips(cache) == 0",
        "
20-cache.yaml:15:22: the condition ends before `over`
   |
15 |   - trips(cache) == 0
   |                      ^ `over` is missing",
    ),
    (
        "p95 < 400ms over 30m",
        "breaker_failures < 10% over 30m",
        "
20-cache.yaml:15:5: `breaker_failures` of which breaker?
   |
15 |   - breaker_failures < 10% over 30m
   |     ^^^^^^^^^^^^^^^^ write breaker_failures(BREAKER)",
    ),
    (
        "p95 < 400ms over 30m",
        "breaker_failures(cache) < 10 over 30m",
        "
20-cache.yaml:15:31: `10` is not a percentage
   |
15 |   - breaker_failures(cache) < 10 over 30m
   |                               ^^ write it like 1% or 0.5%",
    ),
    (
        "p95 < 400ms over 30m",
        "breaker_failures(cache) < 100% over 30m",
        "
20-cache.yaml:15:31: `100%` is out of range
   |
15 |   - breaker_failures(cache) < 100% over 30m
   |                               ^^^^ more than 0% and less than 100%",
    ),
    (
        "error_rate > 2% for 2m",
        "breaker_failures(cache) < 10% for 5m",
        "
20-cache.yaml:19:29: a trigger says `>`, not `<`
   |
19 |   - breaker_failures(cache) < 10% for 5m
   |                             ^ write `>`",
    ),
    (
        "error_rate > 2% for 2m",
        "breaker_failures(cache) beyond 10% of baseline for 5m",
        "
20-cache.yaml:19:29: `breaker_failures` is not compared with a baseline
   |
19 |   - breaker_failures(cache) beyond 10% of baseline for 5m
   |                             ^^^^^^ write `>`",
    ),
];

#[test]
fn breakers() {
    check_with(EVERYTHING, BREAKERS);
}
