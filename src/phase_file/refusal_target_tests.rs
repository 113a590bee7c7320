//! What is refused in targets, and what a breaker must never guard; see `refusal_tests`.

use super::refusal_tests::{ROLLOUT, check, check_with};

const TARGETS: &[(&str, &str, &str)] = &[
    (
        "steps:\n",
        "targets: []\nsteps:\n",
        "
20-cache.yaml:10:10: no target
   |
10 | targets: []
   |          ^ at least {name: …, flags: {…}}, or leave it out",
    ),
    (
        "steps:\n",
        "targets: {name: a}\nsteps:\n",
        "
20-cache.yaml:10:10: targets is a list, not a mapping
   |
10 | targets: {name: a}
   |          ^",
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flag: {}}\nsteps:\n",
        "
20-cache.yaml:11:15: unknown field `flag` of a target
   |
11 |   - {name: a, flag: {}}
   |               ^^^^ did you mean `flags`?",
    ),
    (
        "steps:\n",
        "targets:\n  - {flags: {CB_CACHE_MS: \"1\"}}\nsteps:\n",
        r#"
20-cache.yaml:11:5: a target has no `name`
   |
11 |   - {flags: {CB_CACHE_MS: "1"}}
   |     ^"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a}\nsteps:\n",
        "
20-cache.yaml:11:5: a target has no `flags`
   |
11 |   - {name: a}
   |     ^",
    ),
    (
        "steps:\n",
        "targets:\n  - {name: A, flags: {CB_CACHE_MS: \"1\"}}\nsteps:\n",
        r#"
20-cache.yaml:11:12: the name of a target: `A` is not a name of lower-case letters, digits and dashes, 63 at most
   |
11 |   - {name: A, flags: {CB_CACHE_MS: "1"}}
   |            ^"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {}}\nsteps:\n",
        r#"
20-cache.yaml:11:22: target `a` sets no flag
   |
11 |   - {name: a, flags: {}}
   |                      ^ at least one: {FLAG: "value"}"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CAHCE_MS: \"1\"}}\nsteps:\n",
        r#"
20-cache.yaml:11:23: flag `CB_CAHCE_MS` is not declared in rollout.yaml
   |
11 |   - {name: a, flags: {CB_CAHCE_MS: "1"}}
   |                       ^^^^^^^^^^^ did you mean `CB_CACHE_MS`?"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: 1}}\nsteps:\n",
        r#"
20-cache.yaml:11:36: the value of `CB_CACHE_MS` is not a quoted string
   |
11 |   - {name: a, flags: {CB_CACHE_MS: 1}}
   |                                    ^ quote it: "1""#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_ENABLED: \"on\"}}\nsteps:\n",
        r#"
20-cache.yaml:11:41: `on` switches `cache` neither on nor off
   |
11 |   - {name: a, flags: {CB_CACHE_ENABLED: "on"}}
   |                                         ^^^^ "true" or "false""#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: \"1\"}}\n  - {name: a, flags: {CB_CACHE_MS: \"2\"}}\nsteps:\n",
        r#"
20-cache.yaml:12:12: `a` is given twice in targets
   |
12 |   - {name: a, flags: {CB_CACHE_MS: "2"}}
   |            ^"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: \"1\"}}\n  - {name: b, flags: {CB_CACHE_MS: \"1\"}}\nsteps:\n",
        r#"
20-cache.yaml:12:22: target `b` changes nothing against `a`
   |
12 |   - {name: b, flags: {CB_CACHE_MS: "1"}}
   |                      ^ set something else"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: \"1\"}}\n  - {name: b, flags: {CB_CACHE_ENABLED: \"true\"}}\nsteps:\n",
        r#"
20-cache.yaml:12:22: target `b` changes nothing against `a`
   |
12 |   - {name: b, flags: {CB_CACHE_ENABLED: "true"}}
   |                      ^ set something else"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: \"1\"}, gates: [p59 < 1s over 5m]}\nsteps:\n",
        r#"
20-cache.yaml:11:50: unknown indicator `p59`
   |
11 |   - {name: a, flags: {CB_CACHE_MS: "1"}, gates: [p59 < 1s over 5m]}
   |                                                  ^^^ did you mean `p95`?"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: \"1\"}, gates: p95}\nsteps:\n",
        r#"
20-cache.yaml:11:49: gates is a list, not `p95`
   |
11 |   - {name: a, flags: {CB_CACHE_MS: "1"}, gates: p95}
   |                                                 ^^^"#,
    ),
];

#[test]
fn targets() {
    check(TARGETS);
}

const NEVER: &[(&str, &str, &str)] = &[
    (
        r#"CB_CACHE_ENABLED: "true""#,
        r#"CB_CACHE_MS: "reads,Write_Operations""#,
        r#"
20-cache.yaml:6:23: `cache` must never guard `write operations`
  |
6 |   CB_CACHE_MS: "reads,Write_Operations"
  |                       ^^^^^^^^^^^^^^^^ leave it out"#,
    ),
    (
        r#"CB_CACHE_ENABLED: "true""#,
        r#"CB_CACHE_MS: "all payments""#,
        r#"
20-cache.yaml:6:21: `cache` must never guard `Payments`
  |
6 |   CB_CACHE_MS: "all payments"
  |                     ^^^^^^^^ leave it out"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: \"payments\"}}\nsteps:\n",
        r#"
20-cache.yaml:11:37: `cache` must never guard `Payments`
   |
11 |   - {name: a, flags: {CB_CACHE_MS: "payments"}}
   |                                     ^^^^^^^^ leave it out"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: a, flags: {CB_CACHE_MS: \"reads\"}}\n  - {name: write-operations, flags: {CB_CACHE_MS: \"more\"}}\nsteps:\n",
        r#"
20-cache.yaml:12:12: `cache` must never guard `write operations`
   |
12 |   - {name: write-operations, flags: {CB_CACHE_MS: "more"}}
   |            ^^^^^^^^^^^^^^^^ leave it out"#,
    ),
    (
        "steps:\n",
        "targets:\n  - {name: payments, flags: {CB_CACHE_ENABLED: \"true\"}}\nsteps:\n",
        r#"
20-cache.yaml:11:12: `cache` must never guard `Payments`
   |
11 |   - {name: payments, flags: {CB_CACHE_ENABLED: "true"}}
   |            ^^^^^^^^ leave it out"#,
    ),
    ("steps:\n", "targets:\n  - {name: payments, flags: {CB_HTTP_FOR: \"payments\"}}\nsteps:\n", "nothing"),
    (r#"CB_CACHE_ENABLED: "true""#, r#"CB_CACHE_MS: "repayments, write""#, "nothing"),
];

#[test]
fn what_a_breaker_must_never_guard() {
    let rollout = ROLLOUT
        .replace("settings: [CB_CACHE_MS]", "settings: [CB_CACHE_MS], never_for: [write operations, Payments]")
        .replace("match: '.*http.*'", "match: '.*http.*', settings: [CB_HTTP_FOR]");
    check_with(&rollout, NEVER);
}

const CLASSES: &[(&str, &str, &str)] = &[(
    "match: '.*http.*'",
    "match: '.*http.*', never_for: ['--']",
    "
rollout.yaml:12:64: `--` names no class of calls
   |
12 |   http: {flag: CB_HTTP_ENABLED, match: '.*http.*', never_for: ['--']}
   |                                                                ^^^^ in words, such as write operations",
)];

#[test]
fn classes_without_words() {
    check(CLASSES);
}
