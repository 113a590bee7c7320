//! Whatever Prometheus does wrong, no condition of any kind passes on it, and each says what was wrong.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use http::header::DATE;
use serde_json::{Value, json};

use crate::harness::World;
use crate::harness::proxy::{Act, Journal, Proxy};
use crate::harness::redact::redact;
use crate::harness::required;
use crate::harness::run::Run;

/// A row of the answer for each kind of condition.
const KINDS: [&str; 4] = ["error_rate over", "p95 over", "pods-seen", "stuck_open(cache)"];

/// A fault, the exit code, and the reason that each kind has to name.
struct Case {
    name: &'static str,
    act: Act,
    status: i32,
    reasons: [&'static str; 4],
}

fn all(name: &'static str, status: i32, reason: &'static str, act: Act) -> Case {
    Case { name, act, status, reasons: [reason; 4] }
}

/// Runs some cases at the same time, each behind a Prometheus of its own.
async fn check(cases: Vec<Case>) {
    const AT_ONCE: usize = 4;
    let world = World::judged().await;
    let runs = stream::iter(&cases).map(async |case| {
        let proxy = Proxy::before_prometheus(&required("CBCTL_TEST_PROMETHEUS"), &Journal::default()).await;
        proxy.on("QUERY", case.act.clone());
        (case, world.cbctl(&["check", "cache"]).prometheus(&proxy).await)
    });
    let runs: Vec<(&Case, Run)> = runs.buffer_unordered(AT_ONCE).collect().await;
    for (Case { name, status, reasons, .. }, run) in runs {
        assert_eq!(run.status, *status, "{name}:\n{run}");
        assert_no_pass(name, &run, reasons);
    }
    world.until_check_says(0).await;
}

fn assert_no_pass(name: &str, run: &Run, reasons: &[&str; 4]) {
    for (kind, reason) in KINDS.iter().zip(reasons) {
        let row = run.stdout.lines().find(|line| line.contains(kind));
        let row = row.unwrap_or_else(|| panic!("{name}: no row for {kind}\n{run}"));
        let verdict = row.split_whitespace().next().unwrap();
        assert!(!["passed", "quiet"].contains(&verdict), "{name}, {kind}: {row}\n{run}");
        assert!(redact(row).contains(reason), "{name}, {kind}: `{reason}` is not in `{row}`");
    }
}

#[tokio::test]
async fn an_answer_that_is_none() {
    let login = Act::Answer {
        status: 302,
        headers: vec![("location", "https://login.example/sso".to_owned())],
        body: String::new(),
    };
    check(vec![
        all("closed", 1, "Prometheus cannot be reached: ", Act::Close),
        all("slow", 1, "Prometheus did not answer within 10s", Act::Delay(Duration::from_secs(60))),
        all("HTML", 1, "the answer is text/html", Act::body(200, "text/html", "<html>Welcome</html>")),
        all("no type", 1, "the answer is untyped", Act::status(200)),
        all("HTML that says it is JSON", 1, "the answer makes no sense", Act::body(200, "application/json", "<html>")),
        all("401", 1, "Prometheus refuses our credentials (401)", Act::status(401)),
        all("403", 1, "Prometheus refuses our credentials (403)", Act::status(403)),
        all("404", 1, "Prometheus answered 404", Act::status(404)),
        all("429", 1, "Prometheus has too many requests (429)", Act::status(429)),
        all("500", 1, "Prometheus answered 500", Act::status(500)),
        all("503", 1, "Prometheus answered 503: starting up", Act::body(503, "text/plain", "starting up\n")),
        all("redirected to a login page", 1, "Prometheus redirects to https://login.example/sso", login),
        all("broken off", 1, "the answer breaks off", Act::BreakOff),
        all(
            "truncated JSON",
            1,
            "the answer breaks off",
            Act::body(200, "application/json", r#"{"status":"success","data":{"resultType":"vec"#),
        ),
        all("empty", 1, "the answer breaks off", Act::body(200, "application/json", "")),
        all(
            "refused",
            1,
            "Prometheus refuses the query: execution: query processing would load too many samples",
            Act::body(
                422,
                "application/json",
                r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples"}"#,
            ),
        ),
        all(
            "an error that is called 200",
            1,
            "Prometheus refuses the query: timeout: query timed out",
            Act::body(200, "application/json", r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#),
        ),
        all("no data", 1, "the answer makes no sense", Act::body(200, "application/json", r#"{"status":"success"}"#)),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_that_is_no_number() {
    let type_is = |text: &'static str| Act::alter(move |answer| answer["data"]["resultType"] = json!(text));
    check(vec![
        Case {
            name: "empty",
            act: Act::alter(|answer| answer["data"]["result"] = json!([])),
            status: 4,
            reasons: [
                "no requests series of these pods",
                "no latency histogram series of these pods",
                "the query returns nothing",
                "no breaker state series of these pods",
            ],
        },
        all("NaN", 4, "the value is NaN", values(|_, _| json!("NaN"))),
        all("+Inf", 4, "the value is infinite", values(|_, _| json!("+Inf"))),
        all("-Inf", 4, "the value is infinite", values(|_, _| json!("-Inf"))),
        all("no text", 1, "a sample's value is not a text", values(|_, _| json!(1))),
        all("words", 1, "a sample has the value \"many\"", values(|_, _| json!("many"))),
        all("a vector for a matrix", 1, "the query returns a vector, a matrix is needed", type_is("vector")),
        all("a text", 1, "the query returns a string, a matrix is needed", type_is("string")),
        all(
            "a histogram",
            1,
            "the query returns a histogram, a number is needed",
            Act::alter(|answer| {
                for series in answer["data"]["result"].as_array_mut().unwrap() {
                    let values = series.as_object_mut().unwrap().remove("values").unwrap();
                    series["histograms"] = values;
                }
            }),
        ),
        all(
            "warnings",
            4,
            "Prometheus warns: partial response",
            Act::alter(|answer| {
                answer["warnings"] = json!(["partial response: a store is down"]);
            }),
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_about_something_else() {
    check(vec![
        Case {
            name: "one pod is missing",
            act: Act::alter(|answer| {
                let series = answer["data"]["result"].as_array_mut().unwrap();
                let Some(missing) = series.first().map(|series| series["metric"]["pod"].clone()) else { return };
                if missing.is_string() {
                    series.retain(|series| series["metric"]["pod"] != missing);
                } else {
                    series.clear();
                }
            }),
            status: 4,
            reasons: [
                "no requests from storefront-POD",
                "no latency histogram from storefront-POD",
                "the query returns nothing",
                "no breaker state from storefront-POD",
            ],
        },
        Case {
            name: "the newest samples are missing",
            act: Act::alter(|answer| {
                for series in answer["data"]["result"].as_array_mut().unwrap() {
                    let points = series["values"].as_array_mut().unwrap();
                    let newest = points.last().unwrap()[0].as_f64().unwrap();
                    points.retain(|point| point[0].as_f64().unwrap() < newest - 3.0);
                }
            }),
            status: 4,
            reasons: [
                "stale: newest requests sample of storefront-POD is ",
                "stale: newest latency histogram sample of storefront-POD is ",
                "the series was interrupted",
                "stale: newest breaker state sample of storefront-POD is ",
            ],
        },
        Case {
            name: "samples of another time",
            act: values_at(|at, value| (at - 86_400.0, value)),
            status: 1,
            reasons: [
                "was not asked for",
                "was not asked for",
                "was not asked for",
                // A range selector is bounded by the server; what is too old there is no sample of the window.
                "breaker state",
            ],
        },
        all("clocks an hour apart", 4, "clocks differ by", Act::header(DATE, "Mon, 05 Jan 2026 10:00:00 GMT")),
    ])
    .await;
}

#[tokio::test]
async fn two_series_where_one_is_needed() {
    let world = World::judged().await;
    world.edit("phases/10-shadow.yaml", "count(up{", "sum by (pod) (up{");
    world.edit("phases/10-shadow.yaml", "equals: 2", "equals: 1");
    let run = world.cbctl(&["check", "cache"]).await;
    run.expect(3, &["the query returns 2 series, one is needed"]);
}

#[tokio::test]
async fn a_query_that_returns_nothing_or_no_number_for_real() {
    let cases = [
        (r#"up{pod="none"}"#, 4, "the query returns nothing"),
        ("0/0 * count(up{", 4, "the value is NaN"),
        ("1/0 * count(up{", 4, "the value is infinite"),
    ];
    join_all(cases.map(async |(query, status, reason)| {
        let world = World::judged().await;
        let old = r#"count(up{namespace="$namespace",pod=~"$pods"})"#;
        let new = if query.ends_with('{') { old.replacen("count(up{", query, 1) } else { query.to_owned() };
        world.edit("phases/10-shadow.yaml", old, &new);
        let run = world.cbctl(&["check", "cache"]).await;
        let row = run.stdout.lines().find(|line| line.contains("pods-seen")).unwrap_or_default();
        assert_eq!(run.status, status, "{query}:\n{run}");
        assert!(row.contains(reason), "{query}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn an_instant_query_takes_one_number_of_now_and_nothing_else() {
    let world = World::new().await;
    world.edit("phases/10-shadow.yaml", "steps:", "gates: [{name: seen, query: 'sum(vector(2))', equals: 2}]\nsteps:");
    world.promote_through(&["shadow"]).await;
    let result = |result: &'static str| {
        Act::alter(move |answer| {
            let now = answer["data"]["result"][0]["value"][0].clone();
            let text = result.replace("NOW", &now.to_string());
            answer["data"] = serde_json::from_str(&text).unwrap();
        })
    };
    for (name, act, status, reason) in [
        ("as it is", result(r#"{"resultType":"vector","result":[{"metric":{},"value":[NOW,"2"]}]}"#), 0, "passed"),
        ("a scalar", result(r#"{"resultType":"scalar","result":[NOW,"2"]}"#), 0, "passed"),
        (
            "another number",
            result(r#"{"resultType":"vector","result":[{"metric":{},"value":[NOW,"3"]}]}"#),
            3,
            "failed",
        ),
        ("empty", result(r#"{"resultType":"vector","result":[]}"#), 4, "the query returns nothing"),
        (
            "two series",
            result(
                r#"{"resultType":"vector","result":[{"metric":{"a":"1"},"value":[NOW,"2"]},{"metric":{"a":"2"},"value":[NOW,"2"]}]}"#,
            ),
            3,
            "the query returns 2 series, one is needed",
        ),
        (
            "a matrix",
            result(r#"{"resultType":"matrix","result":[{"metric":{},"values":[[NOW,"2"]]}]}"#),
            1,
            "the query returns a matrix, a vector is needed",
        ),
        (
            "a histogram",
            result(r#"{"resultType":"vector","result":[{"metric":{},"histogram":[NOW,{"count":"2","sum":"2"}]}]}"#),
            1,
            "the query returns a histogram, a number is needed",
        ),
        (
            "a number and a histogram",
            result(
                r#"{"resultType":"vector","result":[{"metric":{},"value":[NOW,"2"],"histogram":[NOW,{"count":"2","sum":"2"}]}]}"#,
            ),
            1,
            "the query returns a histogram, a number is needed",
        ),
        (
            "NaN",
            result(r#"{"resultType":"vector","result":[{"metric":{},"value":[NOW,"NaN"]}]}"#),
            4,
            "the value is NaN",
        ),
        (
            "+Inf",
            result(r#"{"resultType":"vector","result":[{"metric":{},"value":[NOW,"+Inf"]}]}"#),
            4,
            "the value is infinite",
        ),
        (
            "of another time",
            result(r#"{"resultType":"vector","result":[{"metric":{},"value":[1000000000,"2"]}]}"#),
            1,
            "which was not asked for",
        ),
    ] {
        world.prometheus.repair();
        world.until_check_says(0).await;
        world.prometheus.on("QUERY", act);
        let run = world.cbctl(&["check", "cache"]).await;
        assert_eq!(run.status, status, "{name}:\n{run}");
        assert!(run.says(reason), "{name}: `{reason}` is not in\n{run}");
    }
}

#[tokio::test]
async fn an_allowed_warning_does_not_spoil_the_answer() {
    let world = World::judged().await;
    world.edit(
        "phases/rollout.yaml",
        "indicators:\n",
        "prometheus: {allow_warnings: [\"a store is down\"]}\nindicators:\n",
    );
    let warns = Act::alter(|answer| answer["warnings"] = json!(["partial response: a store is down"]));
    world.prometheus.on("QUERY", warns);
    world.cbctl(&["check", "cache"]).await.expect(0, &["passed: cache, step 1 of 1 can be entered"]);
}

#[tokio::test]
async fn a_port_on_which_nobody_listens() {
    let world = World::judged().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let run = world.cbctl(&["check", "cache", "--prometheus", &url]).await;
    assert_eq!(run.status, 1, "{run}");
    assert_no_pass("down", &run, &["Prometheus cannot be reached: "; 4]);
    let run = world.cbctl(&["status", "--prometheus", &url]).await;
    run.expect(0, &["Prometheus cannot be reached: "]);
    let run = world.cbctl(&["promote", "cache", "--prometheus", &url]).await;
    run.expect(1, &["error: cache, step 1 of 1 cannot be entered"]);
    assert!(run.writes().is_empty(), "{run}");
}

/// Changes every value of an answer.
fn values(change: impl Fn(f64, Value) -> Value + Send + Sync + 'static) -> Act {
    values_at(move |at, value| (at, change(at, value)))
}

/// Changes time and value of every sample of an answer.
fn values_at(change: impl Fn(f64, Value) -> (f64, Value) + Send + Sync + 'static) -> Act {
    Act::alter(move |answer| {
        for series in answer["data"]["result"].as_array_mut().unwrap() {
            for point in series["values"].as_array_mut().unwrap() {
                let (at, value) = change(point[0].as_f64().unwrap(), point[1].clone());
                *point = json!([at, value]);
            }
        }
    })
}
