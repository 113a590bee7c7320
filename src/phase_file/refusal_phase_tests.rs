//! What is refused in a phase file, apart from its conditions; see `refusal_tests`.

use super::refusal_tests::check;

const FLAGS_REQUIREMENTS_AND_STEPS: &[(&str, &str, &str)] = &[
    (
        "name: cache",
        "name: cash",
        "
20-cache.yaml:3:7: the phase is called `cash`, its file `cache`
  |
3 | name: cash
  |       ^^^^ call both the same",
    ),
    (
        "title: Cache canary",
        "title: Cache canary\nrisk: low",
        "
20-cache.yaml:5:7: risk is `low`
  |
5 | risk: low
  |       ^^^ `high`, or leave it out",
    ),
    (
        r#"CB_CACHE_ENABLED: "true""#,
        r#"CB_CAHCE_ENABLED: "true""#,
        r#"
20-cache.yaml:6:3: flag `CB_CAHCE_ENABLED` is not declared in rollout.yaml
  |
6 |   CB_CAHCE_ENABLED: "true"
  |   ^^^^^^^^^^^^^^^^ did you mean `CB_CACHE_ENABLED`?"#,
    ),
    (
        r#"CB_CACHE_ENABLED: "true""#,
        "CB_CACHE_ENABLED: true",
        r#"
20-cache.yaml:6:21: the value of `CB_CACHE_ENABLED` is not a quoted string
  |
6 |   CB_CACHE_ENABLED: true
  |                     ^^^^ quote it: "true""#,
    ),
    (
        r#"CB_CACHE_ENABLED: "true""#,
        r#"CB_CACHE_ENABLED: "ture""#,
        r#"
20-cache.yaml:6:21: `ture` switches `cache` neither on nor off
  |
6 |   CB_CACHE_ENABLED: "ture"
  |                     ^^^^^^ "true" or "false""#,
    ),
    (
        r#"CB_CACHE_ENABLED: "true""#,
        "CB_CACHE_MS: 3000",
        r#"
20-cache.yaml:6:16: the value of `CB_CACHE_MS` is not a quoted string
  |
6 |   CB_CACHE_MS: 3000
  |                ^^^^ quote it: "3000""#,
    ),
    (
        r#"CB_CACHE_ENABLED: "true""#,
        "CB_CACHE_MS: off",
        r#"
20-cache.yaml:6:16: the value of `CB_CACHE_MS` is not a quoted string
  |
6 |   CB_CACHE_MS: off
  |                ^^^ quote it: "off""#,
    ),
    (
        "complete_for: 0s",
        "complete_for: 0",
        "
20-cache.yaml:8:35: `0` is not a duration
  |
8 |   - {phase: shadow, complete_for: 0}
  |                                   ^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "complete_for: 0s",
        "complete_for: 1w",
        "
20-cache.yaml:8:35: `1w` is not a duration
  |
8 |   - {phase: shadow, complete_for: 1w}
  |                                   ^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "complete_for: 0s",
        "completed_for: 0s",
        "
20-cache.yaml:8:21: unknown field `completed_for` of a requirement
  |
8 |   - {phase: shadow, completed_for: 0s}
  |                     ^^^^^^^^^^^^^ did you mean `complete_for`?",
    ),
    (
        "{signoff: dashboards-reviewed}",
        "{signoff: Dashboards}",
        "
20-cache.yaml:9:15: a sign-off: `Dashboards` is not a name of lower-case letters, digits and dashes, 63 at most
  |
9 |   - {signoff: Dashboards}
  |               ^^^^^^^^^^",
    ),
    (
        "{signoff: dashboards-reviewed}",
        "{signoff: a, phase: shadow}",
        "
20-cache.yaml:9:6: a requirement has `phase` and `signoff`
  |
9 |   - {signoff: a, phase: shadow}
  |      ^^^^^^^ one of them",
    ),
    (
        "{signoff: dashboards-reviewed}",
        "{}",
        "
20-cache.yaml:9:5: a requirement has none of `phase`, `signoff`, `check`
  |
9 |   - {}
  |     ^",
    ),
    (
        "steps:\n  - {expose: {pods: 1}, bake: 1h}\n  - {expose: {traffic: 10%}, bake: 48h}\n  - {expose: full, bake: 24h}\n",
        "steps: []\n",
        "
20-cache.yaml:10:8: no step
   |
10 | steps: []
   |        ^ at least {expose: full, bake: …}",
    ),
    (
        "  - {expose: full, bake: 24h}\n",
        "",
        "
20-cache.yaml:12:14: the last step does not expose fully
   |
12 |   - {expose: {traffic: 10%}, bake: 48h}
   |              ^ end with {expose: full, bake: …}",
    ),
    (
        "{pods: 1}",
        "{traffic: 20%}",
        "
20-cache.yaml:12:14: exposes less than the step before
   |
12 |   - {expose: {traffic: 10%}, bake: 48h}
   |              ^ exposure only grows",
    ),
    (
        "{pods: 1}",
        "full",
        "
20-cache.yaml:12:14: exposes less than the step before
   |
12 |   - {expose: {traffic: 10%}, bake: 48h}
   |              ^ exposure only grows",
    ),
    (
        "{pods: 1}",
        "{pods: 0}",
        "
20-cache.yaml:11:21: `0` is not a whole number in range
   |
11 |   - {expose: {pods: 0}, bake: 1h}
   |                     ^ from 1 to 1000",
    ),
    (
        "{traffic: 10%}",
        "{traffic: 0.1}",
        "
20-cache.yaml:12:24: `0.1` is not a percentage
   |
12 |   - {expose: {traffic: 0.1}, bake: 48h}
   |                        ^^^ write it like 1% or 0.5%",
    ),
    (
        "{traffic: 10%}",
        "{traffic: 100%}",
        "
20-cache.yaml:12:24: `100%` is out of range
   |
12 |   - {expose: {traffic: 100%}, bake: 48h}
   |                        ^^^^ more than 0% and less than 100%",
    ),
    (
        "{pods: 1}",
        "{pod: 1}",
        "
20-cache.yaml:11:15: unknown field `pod` of an exposure
   |
11 |   - {expose: {pod: 1}, bake: 1h}
   |               ^^^ did you mean `pods`?",
    ),
    (
        "expose: full",
        "expose: all",
        "
20-cache.yaml:13:14: expose is `all`
   |
13 |   - {expose: all, bake: 24h}
   |              ^^^ {pods: 1}, {traffic: 10%} or full",
    ),
    (
        "bake: 24h",
        "bake: 1d12h",
        "
20-cache.yaml:13:26: `1d12h` is not a duration
   |
13 |   - {expose: full, bake: 1d12h}
   |                          ^^^^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "rollback:\n",
        "rollback:\n  - {signoff: dashboards-reviewed}\n",
        "
20-cache.yaml:19:6: a sign-off is no trigger
   |
19 |   - {signoff: dashboards-reviewed}
   |      ^^^^^^^ it belongs under `gates`",
    ),
];

#[test]
fn flags_requirements_and_steps() {
    check(FLAGS_REQUIREMENTS_AND_STEPS);
}
