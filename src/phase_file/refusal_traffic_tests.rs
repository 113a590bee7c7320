//! What is refused of routers and freezes in `rollout.yaml`; see `refusal_tests`.

use super::refusal_tests::check;

const TRAFFIC: &[(&str, &str, &str)] = &[
    (
        "indicators:\n",
        "traffic: web\nindicators:\n",
        "
rollout.yaml:6:10: traffic is a mapping, not `web`
  |
6 | traffic: web
  |          ^^^",
    ),
    (
        "indicators:\n",
        "traffic: {canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:10: traffic has none of `httproute`, `virtualservice`, `traefikservice`, `ingress`
  |
6 | traffic: {canary_labels: {track: canary}}
  |          ^",
    ),
    (
        "indicators:\n",
        "traffic: {httproutes: {name: web, stable: web, canary: web-canary}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:11: unknown field `httproutes` of traffic
  |
6 | traffic: {httproutes: {name: web, stable: web, canary: web-canary}, canary_labels: {track: canary}}
  |           ^^^^^^^^^^ did you mean `httproute`?",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, ingress: {name: web}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:68: traffic has `httproute` and `ingress`
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, ingress: {name: web}, canary_labe
  |                                                                    ^^^^^^^ one of them",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: web, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:22: an httproute is a mapping, not `web`
  |
6 | traffic: {httproute: web, canary_labels: {track: canary}}
  |                      ^^^",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {stable: web, canary: web-canary}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:22: an httproute has no `name`
  |
6 | traffic: {httproute: {stable: web, canary: web-canary}, canary_labels: {track: canary}}
  |                      ^",
    ),
    (
        "indicators:\n",
        "traffic: {virtualservice: {name: web, stable: web}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:27: a virtualservice has no `canary`
  |
6 | traffic: {virtualservice: {name: web, stable: web}, canary_labels: {track: canary}}
  |                           ^",
    ),
    (
        "indicators:\n",
        "traffic: {traefikservice: {name: web, canary: web}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:27: a traefikservice has no `stable`
  |
6 | traffic: {traefikservice: {name: web, canary: web}, canary_labels: {track: canary}}
  |                           ^",
    ),
    (
        "indicators:\n",
        "traffic: {ingress: {name: web, stable: web}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:32: unknown field `stable` of an ingress
  |
6 | traffic: {ingress: {name: web, stable: web}, canary_labels: {track: canary}}
  |                                ^^^^^^",
    ),
    (
        "indicators:\n",
        "traffic: {ingress: {name: Web}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:27: `Web` is not the name of an ingress
  |
6 | traffic: {ingress: {name: Web}, canary_labels: {track: canary}}
  |                           ^^^ lower-case letters, digits, dashes and dots",
    ),
    (
        "indicators:\n",
        "traffic: {virtualservice: {name: we_b, stable: web, canary: web-canary}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:34: `we_b` is not the name of a virtualservice
  |
6 | traffic: {virtualservice: {name: we_b, stable: web, canary: web-canary}, canary_labels: {track: cana
  |                                  ^^^^ lower-case letters, digits, dashes and dots",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web:80, canary: web-canary}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:42: `web:80` is not the name of a service
  |
6 | traffic: {httproute: {name: web, stable: web:80, canary: web-canary}, canary_labels: {track: canary}
  |                                          ^^^^^^ lower-case letters, digits, dashes and dots",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web}, canary_labels: {track: canary}}\nindicators:\n",
        "
rollout.yaml:6:55: `web` is stable and canary
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web}, canary_labels: {track: canary}}
  |                                                       ^^^ two different services",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}}\nindicators:\n",
        "
rollout.yaml:6:10: traffic has no `canary_labels`
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}}
  |          ^",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {}}\nindicators:\n",
        "
rollout.yaml:6:83: no label tells canary pods from stable ones
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {}}
  |                                                                                   ^ at least one, such as {track: canary}",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: [track]}\nindicators:\n",
        "
rollout.yaml:6:83: canary_labels is a mapping, not a list
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: [track]}
  |                                                                                   ^",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {cbctl.dev/canary: web}}\nindicators:\n",
        "
rollout.yaml:6:84: every canary has `cbctl.dev/canary` anyway
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {cbctl.dev/canary:
  |                                                                                    ^^^^^^^^^^^^^^^^ another label",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {-track: canary}}\nindicators:\n",
        "
rollout.yaml:6:84: `-track` is not the name of a label
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {-track: canary}}
  |                                                                                    ^^^^^^ write it like track or example.com/track",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {a.B/track: canary}}\nindicators:\n",
        "
rollout.yaml:6:84: `a.B/track` is not the name of a label
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {a.B/track: canary
  |                                                                                    ^^^^^^^^^ write it like track or example.com/track",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {track: a canary}}\nindicators:\n",
        "
rollout.yaml:6:91: `a canary` is not the value of a label
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {track: a canary}}
  |                                                                                           ^^^^^^^^ letters, digits, dashes, underscores and dots, 63 at most",
    ),
    (
        "indicators:\n",
        "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {track: true}}\nindicators:\n",
        r#"
rollout.yaml:6:91: the value of a label is not a string
  |
6 | traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {track: true}}
  |                                                                                           ^^^^ quote it: "true""#,
    ),
];

#[test]
fn traffic() {
    check(TRAFFIC);
}

const FREEZES: &[(&str, &str, &str)] = &[
    (
        "indicators:\n",
        "freeze: {from: 2026-12-20}\nindicators:\n",
        "
rollout.yaml:6:9: freeze is a list, not a mapping
  |
6 | freeze: {from: 2026-12-20}
  |         ^",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2027-01-02, zone: Europe/Berlin}\nindicators:\n",
        "
rollout.yaml:7:40: unknown field `zone` of a freeze
  |
7 |   - {from: 2026-12-20, to: 2027-01-02, zone: Europe/Berlin}
  |                                        ^^^^",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2027-01-02}\nindicators:\n",
        "
rollout.yaml:7:5: a freeze has no `timezone`
  |
7 |   - {from: 2026-12-20, to: 2027-01-02}
  |     ^",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {to: 2027-01-02, timezone: Europe/Berlin}\nindicators:\n",
        "
rollout.yaml:7:5: a freeze has no `from`
  |
7 |   - {to: 2027-01-02, timezone: Europe/Berlin}
  |     ^",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2027-01-02, timezone: Europe/Berln}\nindicators:\n",
        "
rollout.yaml:7:50: unknown time zone `Europe/Berln`
  |
7 |   - {from: 2026-12-20, to: 2027-01-02, timezone: Europe/Berln}
  |                                                  ^^^^^^^^^^^^ did you mean `Europe/Berlin`?",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2027-01-02, timezone: Berlin}\nindicators:\n",
        "
rollout.yaml:7:50: unknown time zone `Berlin`
  |
7 |   - {from: 2026-12-20, to: 2027-01-02, timezone: Berlin}
  |                                                  ^^^^^^ did you mean `Europe/Berlin`?",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2027-01-02, timezone: \"+01:00\"}\nindicators:\n",
        r#"
rollout.yaml:7:50: unknown time zone `+01:00`
  |
7 |   - {from: 2026-12-20, to: 2027-01-02, timezone: "+01:00"}
  |                                                  ^^^^^^^^ an IANA name, such as Europe/Berlin"#,
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2026-12-20T00:00, timezone: Europe/Berlin}\nindicators:\n",
        "
rollout.yaml:7:28: the freeze ends before it begins
  |
7 |   - {from: 2026-12-20, to: 2026-12-20T00:00, timezone: Europe/Berlin}
  |                            ^^^^^^^^^^^^^^^^ later than `from`",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 20.12.2026, to: 2027-01-02, timezone: Europe/Berlin}\nindicators:\n",
        "
rollout.yaml:7:12: from is `20.12.2026`, not a day and a time
  |
7 |   - {from: 20.12.2026, to: 2027-01-02, timezone: Europe/Berlin}
  |            ^^^^^^^^^^ write it like 2026-12-20T00:00",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20 00:00, to: 2027-01-02, timezone: Europe/Berlin}\nindicators:\n",
        "
rollout.yaml:7:12: from is `2026-12-20 00:00`, not a day and a time
  |
7 |   - {from: 2026-12-20 00:00, to: 2027-01-02, timezone: Europe/Berlin}
  |            ^^^^^^^^^^^^^^^^ write it like 2026-12-20T00:00",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: \"2026-12-20T00:00Z\", to: 2027-01-02, timezone: Europe/Berlin}\nindicators:\n",
        r#"
rollout.yaml:7:12: from is `2026-12-20T00:00Z`, not a day and a time
  |
7 |   - {from: "2026-12-20T00:00Z", to: 2027-01-02, timezone: Europe/Berlin}
  |            ^^^^^^^^^^^^^^^^^^^ write it like 2026-12-20T00:00"#,
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2027-02-29, timezone: Europe/Berlin}\nindicators:\n",
        "
rollout.yaml:7:28: there is no `2027-02-29`
  |
7 |   - {from: 2026-12-20, to: 2027-02-29, timezone: Europe/Berlin}
  |                            ^^^^^^^^^^ a day of the calendar, up to 23:59:59",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20T24:00, to: 2027-01-02, timezone: Europe/Berlin}\nindicators:\n",
        "
rollout.yaml:7:12: there is no `2026-12-20T24:00`
  |
7 |   - {from: 2026-12-20T24:00, to: 2027-01-02, timezone: Europe/Berlin}
  |            ^^^^^^^^^^^^^^^^ a day of the calendar, up to 23:59:59",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026, to: 2027-01-02, timezone: Europe/Berlin}\nindicators:\n",
        r#"
rollout.yaml:7:12: from is not a string
  |
7 |   - {from: 2026, to: 2027-01-02, timezone: Europe/Berlin}
  |            ^^^^ quote it: "2026""#,
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 9999-12-31T23:59, timezone: America/New_York}\nindicators:\n",
        "
rollout.yaml:7:28: there is no `9999-12-31T23:59:00`
  |
7 |   - {from: 2026-12-20, to: 9999-12-31T23:59, timezone: America/New_York}
  |                            ^^^^^^^^^^^^^^^^ a day of the calendar, up to 23:59:59",
    ),
    (
        "indicators:\n",
        "freeze:\n  - {from: 2026-12-20, to: 2027-01-02, reason: \"\", timezone: Europe/Berlin}\nindicators:\n",
        r#"
rollout.yaml:7:48: a reason is empty
  |
7 |   - {from: 2026-12-20, to: 2027-01-02, reason: "", timezone: Europe/Berlin}
  |                                                ^^"#,
    ),
];

#[test]
fn freezes() {
    check(FREEZES);
}
