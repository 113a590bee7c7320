//! What is accepted, and what comes out of it.

use std::time::Duration;

use super::refusal_tests::{PHASE, ROLLOUT, refusal};
use super::{PhaseFile, parse_header, parse_phase, phase_file};
use crate::judge::condition::{Comparison, Condition, Measure};
use crate::rollout::declaration::{Gate, Phase};

pub(super) fn phase(text: &str) -> Phase {
    let header = parse_header("rollout.yaml", ROLLOUT).unwrap();
    let file = PhaseFile { number: 20, name: "cache".to_owned(), file_name: "20-cache.yaml".to_owned() };
    parse_phase(&file, file.file_name.clone(), text.to_owned(), &header).unwrap().placed.phase
}

/// The first gate of the good phase file with this condition in its place.
fn gate(condition: &str) -> Condition {
    match phase(&PHASE.replace("p95 < 400ms over 30m", condition)).gates.swap_remove(0) {
        Gate::Measured(condition) => condition,
        Gate::SignOff(_) | Gate::Check(_) => panic!("measured"),
    }
}

fn trigger(condition: &str) -> Condition {
    phase(&PHASE.replace("error_rate > 2% for 2m", condition)).triggers.swap_remove(0)
}

#[test]
fn on_and_off_are_words_as_keys() {
    let text = ROLLOUT.replace("flag: CB_HTTP_ENABLED", "flag: CB_HTTP_ENABLED, on: \"1\", off: \"0\"");
    let header = parse_header("rollout.yaml", &text).unwrap();
    let http = header.breaker("http").unwrap();
    assert_eq!((http.on.as_str(), http.off.as_str()), ("1", "0"));
    let cache = header.breaker("cache").unwrap();
    assert_eq!((cache.on.as_str(), cache.off.as_str()), ("true", "false"));
}

#[test]
fn defaults_of_prometheus() {
    let without = ROLLOUT.replace("prometheus: {url: \"http://prometheus:9090\"}\n", "");
    let header = parse_header("rollout.yaml", &without).unwrap();
    assert_eq!(header.prometheus.url, None);
    assert_eq!(header.prometheus.selector["namespace"], "$namespace");
    assert_eq!(header.prometheus.selector["pod"], "$pods");
    let all = "{ca_file: a.pem, token_file: t, selector: {ns: $namespace, p: $pods}, allow_warnings: [PromQL info]}";
    let header = parse_header("rollout.yaml", &ROLLOUT.replace("{url: \"http://prometheus:9090\"}", all)).unwrap();
    assert_eq!(
        (header.prometheus.ca_file.as_deref(), header.prometheus.token_file.as_deref()),
        (Some("a.pem"), Some("t"))
    );
    assert_eq!(header.prometheus.selector.len(), 2);
    assert_eq!(header.prometheus.allowed_warnings, ["PromQL info"]);
}

#[test]
fn a_condition_is_called_as_it_was_written() {
    for (written, text) in [
        ("p95 < 400ms over 30m", "p95 < 400ms over 30m"),
        ("'p95  <  400ms   over 30m '", "p95 < 400ms over 30m"),
        ("p95<400ms over\n    30m", "p95<400ms over 30m"),
        ("{indicator: error_rate, below: 1%, over: 30m}", "error_rate < 1% over 30m"),
        ("{name: redis-up, query: min(redis_up), at_least: 1, for: 5m}", "redis-up >= 1 for 5m"),
        ("{name: redis-up, query: min(redis_up), below: 0.5, over: 48h}", "redis-up < 0.5 over 48h"),
        ("{name: redis-up, query: min(redis_up), equals: 1}", "redis-up == 1"),
    ] {
        assert_eq!(gate(written).text, text, "{written}");
    }
    for (written, text) in [
        ("stuck_open(cache) for 10m", "stuck_open(cache) for 10m"),
        ("{indicator: stuck_open, breaker: cache, for: 10m}", "stuck_open(cache) for 10m"),
        ("{indicator: p99.9, above: 1000ms, for: 5m}", "p99.9 > 1000ms for 5m"),
    ] {
        assert_eq!(trigger(written).text, text, "{written}");
    }
}

#[test]
fn both_forms_of_a_condition_mean_the_same() {
    assert_eq!(gate("{indicator: p95, below: 400ms, over: 30m}"), gate("p95 < 400ms over 30m"));
    assert_eq!(trigger("{indicator: error_rate, above: 2%, for: 2m}"), trigger("error_rate > 2% for 2m"));
    let options = gate("{indicator: p95, below: 400ms, over: 30m, confidence: 0.99, min_requests: 500}");
    assert_eq!((options.confidence, options.min_requests), (0.99, 500));
}

#[test]
fn a_query_looks_at_a_moment_or_throughout() {
    for (word, comparison) in [
        ("below", Comparison::Below),
        ("at_most", Comparison::AtMost),
        ("above", Comparison::Above),
        ("at_least", Comparison::AtLeast),
        ("equals", Comparison::Equals),
    ] {
        for (stretch, throughout, window) in [
            ("", false, Duration::ZERO),
            (", for: 5m", true, Duration::from_mins(5)),
            (", over: 5m", false, Duration::from_mins(5)),
        ] {
            let condition = gate(&format!("{{name: q, query: 'x{{pod=~\"$pods\"}}', {word}: -1.5{stretch}}}"));
            let Measure::Query(query) = condition.measure else { panic!("{word}") };
            assert_eq!((query.comparison, query.limit, query.throughout), (comparison, -1.5, throughout));
            assert_eq!((query.promql.as_str(), condition.window), ("x{pod=~\"$pods\"}", window));
        }
    }
}

#[test]
fn windows_line_ends_are_read() {
    assert_eq!(refusal(&ROLLOUT.replace('\n', "\r\n"), &PHASE.replace('\n', "\r\n")), "nothing");
    let bad = PHASE.replace("p95", "p59").replace('\n', "\r\n");
    let expected = "20-cache.yaml:15:5: unknown indicator `p59`\n   |\n15 |   - p59 < 400ms over 30m\n   |     ^^^ did you mean `p95`?";
    assert_eq!(refusal(ROLLOUT, &bad), expected);
}

#[test]
fn file_names() {
    let parts = |name| phase_file(name).map(|file| (file.number, file.name));
    assert_eq!(parts("20-cache.yaml"), Some((20, "cache".to_owned())));
    assert_eq!(parts("007-partner-api.yaml"), Some((7, "partner-api".to_owned())));
    for bad in
        ["cache.yaml", "20_cache.yaml", "20-.yaml", "-cache.yaml", "+2-cache.yaml", "20-Cache.yaml", "20-cache.yml"]
    {
        assert!(parts(bad).is_none(), "{bad}");
    }
}
