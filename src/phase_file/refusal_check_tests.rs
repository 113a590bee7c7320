//! What is refused in checks and sign-offs; see `refusal_tests`.

use super::refusal_tests::check;

const CHECKS_AND_SIGN_OFFS: &[(&str, &str, &str)] = &[
    (
        "p95 < 400ms over 30m",
        "{signoff: a, valid_for: 0s}",
        "
20-cache.yaml:15:29: a valid_for of zero
   |
15 |   - {signoff: a, valid_for: 0s}
   |                             ^^ more than zero",
    ),
    (
        "p95 < 400ms over 30m",
        "{signoff: a, valid_for: 30}",
        "
20-cache.yaml:15:29: `30` is not a duration
   |
15 |   - {signoff: a, valid_for: 30}
   |                             ^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "{signoff: dashboards-reviewed}",
        "{signoff: a, complete_for: 7d}",
        "
20-cache.yaml:9:18: unknown field `complete_for` of a sign-off
  |
9 |   - {signoff: a, complete_for: 7d}
  |                  ^^^^^^^^^^^^",
    ),
    (
        "{signoff: dashboards-reviewed}",
        "{phase: shadow, complete_for: 7d, valid_for: 7d}",
        "
20-cache.yaml:9:39: unknown field `valid_for` of a required phase
  |
9 |   - {phase: shadow, complete_for: 7d, valid_for: 7d}
  |                                       ^^^^^^^^^",
    ),
    (
        "{signoff: dashboards-reviewed}",
        "{check: {http: /}, valid_for: 7d}",
        "
20-cache.yaml:9:24: unknown field `valid_for` of a required check
  |
9 |   - {check: {http: /}, valid_for: 7d}
  |                        ^^^^^^^^^",
    ),
    (
        "{signoff: dashboards-reviewed}",
        "{check: {http: /}, signoff: a}",
        "
20-cache.yaml:9:6: a requirement has `signoff` and `check`
  |
9 |   - {check: {http: /}, signoff: a}
  |      ^^^^^ one of them",
    ),
    (
        "p95 < 400ms over 30m",
        "{chekc: {http: /}}",
        "
20-cache.yaml:15:6: unknown field `chekc` of a condition
   |
15 |   - {chekc: {http: /}}
   |      ^^^^^",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: /readinessz}",
        "
20-cache.yaml:15:13: a check is a mapping, not `/readinessz`
   |
15 |   - {check: /readinessz}
   |             ^^^^^^^^^^^",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {}}",
        "
20-cache.yaml:15:13: a check has none of `http`, `command`
   |
15 |   - {check: {}}
   |             ^",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {htpp: /readinessz}}",
        "
20-cache.yaml:15:14: unknown field `htpp` of a check
   |
15 |   - {check: {htpp: /readinessz}}
   |              ^^^^ did you mean `http`?",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /, command: [a]}}",
        "
20-cache.yaml:15:23: a check has `http` and `command`
   |
15 |   - {check: {http: /, command: [a]}}
   |                       ^^^^^^^ one of them",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: readinessz}}",
        "
20-cache.yaml:15:20: `readinessz` is not the path of a pod
   |
15 |   - {check: {http: readinessz}}
   |                    ^^^^^^^^^^ write it like /readinessz",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: 'http://pod/readinessz'}}",
        "
20-cache.yaml:15:20: `http://pod/readinessz` is not the path of a pod
   |
15 |   - {check: {http: 'http://pod/readinessz'}}
   |                    ^^^^^^^^^^^^^^^^^^^^^^^ write it like /readinessz",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /a/../b}}",
        "
20-cache.yaml:15:20: `/a/../b` leads out of the pod
   |
15 |   - {check: {http: /a/../b}}
   |                    ^^^^^^^ without `..`",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: '/a/%2E./b'}}",
        "
20-cache.yaml:15:20: `/a/%2E./b` leads out of the pod
   |
15 |   - {check: {http: '/a/%2E./b'}}
   |                    ^^^^^^^^^^^ without `..`",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: '/a b'}}",
        "
20-cache.yaml:15:20: `/a b` has a character that no path has
   |
15 |   - {check: {http: '/a b'}}
   |                    ^^^^^^ write it as %20, for example",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: \"/a\\nb\"}}",
        r#"
20-cache.yaml:15:20: `/ab` has a character that no path has
   |
15 |   - {check: {http: "/a\nb"}}
   |                    ^^^^^^^ write it as %20, for example"#,
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: '/a#b'}}",
        "
20-cache.yaml:15:20: `/a#b` has a character that no path has
   |
15 |   - {check: {http: '/a#b'}}
   |                    ^^^^^^ write it as %20, for example",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: 1}}",
        r#"
20-cache.yaml:15:20: the path of a check is not a string
   |
15 |   - {check: {http: 1}}
   |                    ^ quote it: "1""#,
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /, port: 0}}",
        "
20-cache.yaml:15:29: `0` is not a whole number in range
   |
15 |   - {check: {http: /, port: 0}}
   |                             ^ from 1 to 65535",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /, port: 65536}}",
        "
20-cache.yaml:15:29: `65536` is not a whole number in range
   |
15 |   - {check: {http: /, port: 65536}}
   |                             ^^^^^ from 1 to 65535",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /, port: metrics}}",
        "
20-cache.yaml:15:29: `metrics` is not a whole number in range
   |
15 |   - {check: {http: /, port: metrics}}
   |                             ^^^^^^^ from 1 to 65535",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /, timeout: 0s}}",
        "
20-cache.yaml:15:32: a timeout of zero
   |
15 |   - {check: {http: /, timeout: 0s}}
   |                                ^^ more than zero",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /, timeout: 11m}}",
        "
20-cache.yaml:15:32: a timeout of 11m
   |
15 |   - {check: {http: /, timeout: 11m}}
   |                                ^^^ 10m at most",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {http: /, timeout: 10}}",
        "
20-cache.yaml:15:32: `10` is not a duration
   |
15 |   - {check: {http: /, timeout: 10}}
   |                                ^^ write 500ms, 90s, 30m, 48h or 7d",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {command: ./smoke.sh}}",
        "
20-cache.yaml:15:23: a command is a list, not `./smoke.sh`
   |
15 |   - {check: {command: ./smoke.sh}}
   |                       ^^^^^^^^^^",
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {command: []}}",
        "
20-cache.yaml:15:23: a command without a program
   |
15 |   - {check: {command: []}}
   |                       ^ write it like [./smoke.sh, --fast]",
    ),
    (
        "p95 < 400ms over 30m",
        r#"{check: {command: [""]}}"#,
        r#"
20-cache.yaml:15:24: a command without a program
   |
15 |   - {check: {command: [""]}}
   |                        ^^ write it like [./smoke.sh, --fast]"#,
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {command: [sleep, 5]}}",
        r#"
20-cache.yaml:15:31: a word of a command is not a string
   |
15 |   - {check: {command: [sleep, 5]}}
   |                               ^ quote it: "5""#,
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {command: [a, \"b\\0\"]}}",
        r#"
20-cache.yaml:15:27: a word of a command holds a NUL
   |
15 |   - {check: {command: [a, "b\0"]}}
   |                           ^^^^^ no program can be given it"#,
    ),
    (
        "p95 < 400ms over 30m",
        "{check: {command: [a], port: 80}}",
        "
20-cache.yaml:15:28: a command has no port
   |
15 |   - {check: {command: [a], port: 80}}
   |                            ^^^^ leave it out",
    ),
    (
        "rollback:\n",
        "rollback:\n  - {check: {http: /}}\n",
        "
20-cache.yaml:19:6: a check is no trigger
   |
19 |   - {check: {http: /}}
   |      ^^^^^ it belongs under `gates`",
    ),
];

#[test]
fn checks_and_sign_offs() {
    check(CHECKS_AND_SIGN_OFFS);
}
