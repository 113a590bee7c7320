//! What is refused in `rollout.yaml`; see `refusal_tests`.

use super::refusal_tests::check;

const WHAT_A_ROLLOUT_DECLARES: &[(&str, &str, &str)] = &[
        (
            "container: app",
            "containr: app",
            "
rollout.yaml:4:29: unknown field `containr` of a target
  |
4 | target: {deployment: updog, containr: app}
  |                             ^^^^^^^^ did you mean `container`?",
        ),
        (
            "deployment: updog",
            "deployment: up_dog",
            "
rollout.yaml:4:22: `up_dog` is not the name of a deployment
  |
4 | target: {deployment: up_dog, container: app}
  |                      ^^^^^^ lower-case letters, digits, dashes and dots",
        ),
        (
            r#""http://prometheus:9090""#,
            "prometheus:9090",
            "
rollout.yaml:5:19: `prometheus:9090` is not the address of a Prometheus
  |
5 | prometheus: {url: prometheus:9090}
  |                   ^^^^^^^^^^^^^^^ write it like http://prometheus:9090",
        ),
        (
            r#"{url: "http://prometheus:9090"}"#,
            "{selector: {pod: $pod}}",
            "
rollout.yaml:5:30: unknown variable `$pod`
  |
5 | prometheus: {selector: {pod: $pod}}
  |                              ^^^^ did you mean `$pods`?",
        ),
        (
            r#"{url: "http://prometheus:9090"}"#,
            "{selector: {my-pod: x}}",
            "
rollout.yaml:5:25: `my-pod` is not the name of a label
  |
5 | prometheus: {selector: {my-pod: x}}
  |                         ^^^^^^",
        ),
        (
            "histogram: seconds",
            "histogram: sum(seconds)",
            "
rollout.yaml:7:24: `sum(seconds)` is not the name of a metric
  |
7 |   latency: {histogram: sum(seconds)}
  |                        ^^^^^^^^^^^^",
        ),
        (
            "requests: seconds_count",
            r#"requests: "rate(seconds_count[5m])""#,
            r#"
rollout.yaml:8:26: `rate(seconds_count[5m])` is more than a metric with label matchers
  |
8 |   error_rate: {requests: "rate(seconds_count[5m])", errors: 'seconds_count{status=~"5.."}'}
  |                          ^^^^^^^^^^^^^^^^^^^^^^^^^ write it like requests_total{status=~"5.."}"#,
        ),
        (
            "requests: seconds_count",
            r#"requests: "seconds_count{""#,
            r#"
rollout.yaml:8:26: `seconds_count{` is not PromQL: unexpected end of input inside braces
  |
8 |   error_rate: {requests: "seconds_count{", errors: 'seconds_count{status=~"5.."}'}
  |                          ^^^^^^^^^^^^^^^^"#,
        ),
        (
            "match: '.*cache.*'",
            "match: '.*(cache'",
            "
rollout.yaml:11:42: `.*(cache` is not a regular expression
   |
11 |   cache: {flag: CB_CACHE_ENABLED, match: '.*(cache', settings: [CB_CACHE_MS]}
   |                                          ^^^^^^^^^^",
        ),
        (
            ", open: 2",
            ", open: 1",
            "
rollout.yaml:10:66: two states are 1
   |
10 |   metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 1}, label: breaker}
   |                                                                  ^ each its own value",
        ),
        (
            ", open: 2",
            "",
            "
rollout.yaml:10:20: state has no `open`
   |
10 |   metrics: {state: {gauge: state, closed: 0, half_open: 1}, label: breaker}
   |                    ^",
        ),
        (
            "label: breaker",
            "label: breaker-name",
            "
rollout.yaml:10:77: `breaker-name` is not the name of a label
   |
10 |   metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 2}, label: breaker-name}
   |                                                                             ^^^^^^^^^^^^",
        ),
        (
            "CB_HTTP_ENABLED",
            "CB_CACHE_MS",
            "
rollout.yaml:12:3: `CB_CACHE_MS` of breaker `http` belongs to `cache` already
   |
12 |   http: {flag: CB_CACHE_MS, match: '.*http.*'}
   |   ^^^^",
        ),
        (
            "CB_HTTP_ENABLED",
            "CB-HTTP",
            "
rollout.yaml:12:16: a flag: `CB-HTTP` is not the name of an environment variable
   |
12 |   http: {flag: CB-HTTP, match: '.*http.*'}
   |                ^^^^^^^",
        ),
        (
            "[CB_CACHE_MS]",
            "[CB_CACHE_MS, CB_CACHE_MS]",
            "
rollout.yaml:11:79: `CB_CACHE_MS` is given twice in settings
   |
11 |   cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', settings: [CB_CACHE_MS, CB_CACHE_MS]}
   |                                                                               ^^^^^^^^^^^",
        ),
        (
            "[CB_CACHE_MS]",
            "CB_CACHE_MS",
            "
rollout.yaml:11:65: settings is a list, not `CB_CACHE_MS`
   |
11 |   cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', settings: CB_CACHE_MS}
   |                                                                 ^^^^^^^^^^^",
        ),
        (
            "CB_HTTP_ENABLED,",
            "CB_HTTP_ENABLED, on: true,",
            r#"
rollout.yaml:12:37: on is not a quoted string
   |
12 |   http: {flag: CB_HTTP_ENABLED, on: true, match: '.*http.*'}
   |                                     ^^^^ quote it: "true""#,
        ),
        (
            "CB_HTTP_ENABLED,",
            r#"CB_HTTP_ENABLED, off: "true","#,
            r#"
rollout.yaml:12:33: `true` is on and off
   |
12 |   http: {flag: CB_HTTP_ENABLED, off: "true", match: '.*http.*'}
   |                                 ^^^ two different values"#,
        ),
        (
            "  http: {",
            "  HTTP: {",
            "
rollout.yaml:12:3: the name of a breaker: `HTTP` is not a name of lower-case letters, digits, dashes and underscores, 63 at most
   |
12 |   HTTP: {flag: CB_HTTP_ENABLED, match: '.*http.*'}
   |   ^^^^",
        ),
        (
            "  cache: {flag: CB_CACHE_ENABLED, match: '.*cache.*', settings: [CB_CACHE_MS]}\n  http: {flag: CB_HTTP_ENABLED, match: '.*http.*'}\n",
            "",
            "
rollout.yaml:10:3: no breaker is declared
   |
10 |   metrics: {state: {gauge: state, closed: 0, half_open: 1, open: 2}, label: breaker}
   |   ^^^^^^^ add one: cache: {flag: …, match: …}",
        ),
];

#[test]
fn what_a_rollout_declares() {
    check(WHAT_A_ROLLOUT_DECLARES);
}
