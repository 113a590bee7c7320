//! What is refused in conditions on memory, and in those that compare with a baseline; see `refusal_tests`.

use super::refusal_tests::{EVERYTHING, check_with};

const MEMORY: &[(&str, &str, &str)] = &[
    (
        "error_rate > 2% for 2m",
        "memory_growth > 20% for 6h",
        "
20-cache.yaml:19:25: `memory_growth` says `over`, not `for`
   |
19 |   - memory_growth > 20% for 6h
   |                         ^^^ write `over`",
    ),
    (
        "p95 < 400ms over 30m",
        "memory_growth < 20% for 6h",
        "
20-cache.yaml:15:25: a gate says `over`, not `for`
   |
15 |   - memory_growth < 20% for 6h
   |                         ^^^ write `over`",
    ),
    (
        "p95 < 400ms over 30m",
        "memory_growth < 0% over 6h",
        "
20-cache.yaml:15:21: `0%` is out of range
   |
15 |   - memory_growth < 0% over 6h
   |                     ^^ more than 0%, at most 10000%",
    ),
    (
        "p95 < 400ms over 30m",
        "memory_growth < 512Mi over 6h",
        "
20-cache.yaml:15:21: `512Mi` is not a percentage
   |
15 |   - memory_growth < 512Mi over 6h
   |                     ^^^^^ write it like 1% or 0.5%",
    ),
    (
        "error_rate > 2% for 2m",
        "memory_growth(cache) > 20% over 6h",
        "
20-cache.yaml:19:19: `memory_growth` is not measured by breaker
   |
19 |   - memory_growth(cache) > 20% over 6h
   |                   ^^^^^ leave it out",
    ),
    (
        "error_rate > 2% for 2m",
        "memory_use > 90% over 10m",
        "
20-cache.yaml:19:22: a trigger says `for`, not `over`
   |
19 |   - memory_use > 90% over 10m
   |                      ^^^^ write `for`",
    ),
    (
        "error_rate > 2% for 2m",
        "memory_use > 110% for 10m",
        "
20-cache.yaml:19:18: `110%` is out of range
   |
19 |   - memory_use > 110% for 10m
   |                  ^^^^ more than 0% and less than 100%",
    ),
    (
        "p95 < 400ms over 30m",
        "memory_use within 10% of baseline over 10m",
        "
20-cache.yaml:15:16: `memory_use` is not compared with a baseline
   |
15 |   - memory_use within 10% of baseline over 10m
   |                ^^^^^^ write `<`",
    ),
];

#[test]
fn memory() {
    check_with(EVERYTHING, MEMORY);
}

const BASELINES: &[(&str, &str, &str)] = &[
    (
        "p95 < 400ms over 30m",
        "p95 within 10 of baseline over 30m",
        "
20-cache.yaml:15:16: `10` is no distance from a baseline
   |
15 |   - p95 within 10 of baseline over 30m
   |                ^^ write it like 10% or 1.5x",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 within 0% of baseline over 30m",
        "
20-cache.yaml:15:16: `0%` is out of range
   |
15 |   - p95 within 0% of baseline over 30m
   |                ^^ more than 0% and less than 100%, or a factor such as 2x",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 within 150% of baseline over 30m",
        "
20-cache.yaml:15:16: `150%` is out of range
   |
15 |   - p95 within 150% of baseline over 30m
   |                ^^^^ more than 0% and less than 100%, or a factor such as 2x",
    ),
    (
        "p95 < 400ms over 30m",
        "error_rate within 0.5x of baseline over 30m",
        "
20-cache.yaml:15:23: `0.5x` is out of range
   |
15 |   - error_rate within 0.5x of baseline over 30m
   |                       ^^^^ from 1x to 100x",
    ),
    (
        "p95 < 400ms over 30m",
        "error_rate within 101x of baseline over 30m",
        "
20-cache.yaml:15:23: `101x` is out of range
   |
15 |   - error_rate within 101x of baseline over 30m
   |                       ^^^^ from 1x to 100x",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 within 10% baseline over 30m",
        "
20-cache.yaml:15:20: a comparison says `of`, not `baseline`
   |
15 |   - p95 within 10% baseline over 30m
   |                    ^^^^^^^^ write `of`",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 within 10% of the baseline over 30m",
        "
20-cache.yaml:15:23: a comparison says `baseline`, not `the`
   |
15 |   - p95 within 10% of the baseline over 30m
   |                       ^^^ write `baseline`",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 within 10% of baseline for 30m",
        "
20-cache.yaml:15:32: a gate says `over`, not `for`
   |
15 |   - p95 within 10% of baseline for 30m
   |                                ^^^ write `over`",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 within",
        "
20-cache.yaml:15:15: the condition ends before a distance
   |
15 |   - p95 within
   |               ^ a distance is missing",
    ),
    (
        "p95 < 400ms over 30m",
        "p95 beyond 10% of baseline over 30m",
        "
20-cache.yaml:15:9: a gate says `within`, not `beyond`
   |
15 |   - p95 beyond 10% of baseline over 30m
   |         ^^^^^^ write `within`",
    ),
    (
        "error_rate > 2% for 2m",
        "p95 within 10% of baseline for 5m",
        "
20-cache.yaml:19:9: a trigger says `beyond`, not `within`
   |
19 |   - p95 within 10% of baseline for 5m
   |         ^^^^^^ write `beyond`",
    ),
    (
        "error_rate > 2% for 2m",
        "p95 beyond 10% of baseline over 5m",
        "
20-cache.yaml:19:32: a trigger says `for`, not `over`
   |
19 |   - p95 beyond 10% of baseline over 5m
   |                                ^^^^ write `for`",
    ),
];

#[test]
fn baselines() {
    check_with(EVERYTHING, BASELINES);
}
