//! What conditions on every indicator mean, in both forms, and what they are measured by.

use std::time::Duration;

use super::refusal_tests::{EVERYTHING, PHASE, refusal};
use super::{PhaseFile, parse_header, parse_phase};
use crate::judge::condition::{Comparison, Condition, Encoding, Measure, Method, NoData, Quantile, Share, StuckState};
use crate::rollout::declaration::{Gate, Header, Phase, StateSource};

const GATE: &str = "p95 < 400ms over 30m";
const TRIGGER: &str = "error_rate > 2% for 2m";
const BY_NUMBER: &str = "closed: 0, half_open: 1, open: 2";
const BY_LABEL: &str = "label: state, closed: closed, half_open: half-open, open: OPEN";

fn header(text: &str) -> Header {
    parse_header("rollout.yaml", text).unwrap()
}

fn phase(rollout: &str, text: &str) -> Phase {
    let file = PhaseFile { number: 20, name: "cache".to_owned(), file_name: "20-cache.yaml".to_owned() };
    let read = parse_phase(&file, file.file_name.clone(), text.to_owned(), &header(rollout));
    read.unwrap_or_else(|error| panic!("{error}\n{}", error.snippet().unwrap_or_default())).placed.phase
}

fn gate(condition: &str) -> Condition {
    match phase(EVERYTHING, &PHASE.replace(GATE, condition)).gates.swap_remove(0) {
        Gate::Measured(condition) => condition,
        Gate::SignOff(_) | Gate::Check(_) => panic!("measured"),
    }
}

fn trigger(condition: &str) -> Condition {
    phase(EVERYTHING, &PHASE.replace(TRIGGER, condition)).triggers.swap_remove(0)
}

fn share(value: f64) -> Share {
    Share::new(value).unwrap()
}

fn trips(comparison: Comparison, limit: u64, only_false: bool) -> Measure {
    Measure::Trips {
        breaker: "cache".to_owned(),
        only_false,
        health: only_false.then(|| "min(redis_up)".to_owned()),
        encoding: Encoding { closed: 0.0, half_open: 1.0, open: 2.0 },
        comparison,
        limit,
    }
}

/// Both forms mean the same, and are called the same.
fn same(read: fn(&str) -> Condition, line: &str, mapping: &str) -> Condition {
    let condition = read(line);
    assert_eq!(read(mapping), condition, "{mapping}");
    assert_eq!(condition.text, line);
    condition
}

#[test]
fn stuck() {
    let condition =
        same(trigger, "stuck_half_open(cache) for 10m", "{indicator: stuck_half_open, breaker: cache, for: 10m}");
    let Measure::Stuck { breaker, state, .. } = condition.measure else { panic!("{condition:?}") };
    assert_eq!((breaker.as_str(), state, condition.window), ("cache", StuckState::HalfOpen, Duration::from_mins(10)));
}

#[test]
fn trips_of_a_breaker() {
    for (line, mapping, measure) in [
        (
            "false_trips(cache) == 0 over 48h",
            "{indicator: false_trips, breaker: cache, equals: 0, over: 48h}",
            trips(Comparison::Equals, 0, true),
        ),
        (
            "trips(cache) <= 2 over 48h",
            "{indicator: trips, breaker: cache, at_most: 2, over: 48h}",
            trips(Comparison::AtMost, 2, false),
        ),
        (
            "trips(cache) < 3 over 48h",
            "{indicator: trips, breaker: cache, below: 3, over: 48h}",
            trips(Comparison::Below, 3, false),
        ),
    ] {
        let condition = same(gate, line, mapping);
        assert_eq!((condition.measure, condition.min_requests), (measure, 100), "{line}");
    }
    for (line, mapping, measure) in [
        (
            "trips(cache) > 3 for 10m",
            "{indicator: trips, breaker: cache, above: 3, for: 10m}",
            trips(Comparison::Above, 3, false),
        ),
        (
            "false_trips(cache) >= 1 for 10m",
            "{indicator: false_trips, breaker: cache, at_least: 1, for: 10m}",
            trips(Comparison::AtLeast, 1, true),
        ),
    ] {
        let condition = same(trigger, line, mapping);
        assert_eq!((condition.measure, condition.min_requests), (measure, 0), "{line}");
    }
    let fewer = gate("{indicator: trips, breaker: cache, equals: 0, over: 48h, min_requests: 5, no_data: fail}");
    assert_eq!((fewer.min_requests, fewer.no_data), (5, NoData::Fail));
    let other = gate("false_trips(http) == 0 over 48h").measure;
    let Measure::Trips { health, .. } = other else { panic!("{other:?}") };
    assert_eq!(health, None, "by the breaker's own failures");
}

#[test]
fn shares_and_memory() {
    let below = same(
        gate,
        "breaker_failures(cache) < 10% over 30m",
        "{indicator: breaker_failures, breaker: cache, below: 10%, over: 30m}",
    );
    let limit = share(0.1);
    assert_eq!(below.measure, Measure::BreakerFailures { breaker: "cache".to_owned(), limit });
    let above = same(
        trigger,
        "breaker_failures(cache) > 10% for 5m",
        "{indicator: breaker_failures, breaker: cache, above: 10%, for: 5m}",
    );
    assert_eq!((above.measure, above.window), (below.measure, Duration::from_mins(5)));

    let grown =
        same(trigger, "memory_growth > 20% over 6h", "{indicator: memory_growth, above: 20%, over: 6h}").measure;
    assert_eq!(grown, Measure::MemoryGrowth { limit: 0.2 });
    let grows = same(gate, "memory_growth < 150% over 6h", "{indicator: memory_growth, below: 150%, over: 6h}").measure;
    assert_eq!(grows, Measure::MemoryGrowth { limit: 1.5 });
    let used = same(trigger, "memory_use > 90% for 10m", "{indicator: memory_use, above: 90%, for: 10m}").measure;
    assert_eq!(used, Measure::MemoryUse { limit: share(0.9) });
    same(gate, "memory_use < 90% over 10m", "{indicator: memory_use, below: 90%, over: 10m}");
}

#[test]
fn against_the_baseline() {
    let quantile = Quantile::new(0.95).unwrap();
    let within = same(gate, "p95 within 10% of baseline over 30m", "{indicator: p95, within: 10%, over: 30m}").measure;
    assert_eq!(within, Measure::LatencyAgainstBaseline { quantile, factor: 1.1 });
    let beyond = same(trigger, "p95 beyond 1.5x of baseline for 5m", "{indicator: p95, beyond: 1.5x, for: 5m}").measure;
    assert_eq!(beyond, Measure::LatencyAgainstBaseline { quantile, factor: 1.5 });
    let errors =
        same(gate, "error_rate within 1.5x of baseline over 30m", "{indicator: error_rate, within: 1.5x, over: 30m}");
    assert_eq!(errors.measure, Measure::ErrorRateAgainstBaseline { factor: 1.5 });
    let errors = "{indicator: error_rate, beyond: 1x, for: 5m, confidence: 0.999, min_requests: 50}";
    let errors = trigger(errors);
    assert_eq!(errors.measure, Measure::ErrorRateAgainstBaseline { factor: 1.0 });
    assert_eq!((errors.confidence, errors.min_requests), (0.999, 50));
}

#[test]
fn options() {
    for (method, read) in
        [("sequential", Method::Sequential), ("threshold", Method::Threshold), ("interpolated", Method::Interpolated)]
    {
        assert_eq!(gate(&format!("{{indicator: p95, below: 1s, over: 30m, method: {method}}}")).method, read);
    }
    let failures = "{indicator: breaker_failures, breaker: cache, below: 10%, over: 30m, method: threshold}";
    assert_eq!(gate(failures).method, Method::Threshold);
    for (no_data, read) in [("hold", NoData::Hold), ("fail", NoData::Fail)] {
        for condition in [
            "{indicator: memory_use, below: 90%, over: 30m, no_data: HERE}",
            "{name: q, query: min(up), equals: 1, for: 5m, no_data: HERE}",
        ] {
            assert_eq!(gate(&condition.replace("HERE", no_data)).no_data, read, "{condition}");
        }
    }
    let healthy = |condition: &str| trigger(condition).healthy.map(Share::get);
    assert_eq!(healthy("{indicator: error_rate, above: 2%, for: 2m, healthy: 1%}"), Some(0.01));
    assert_eq!(healthy("{indicator: p95, above: 1s, for: 2m, healthy: 4%}"), Some(0.04), "5% may be slower");
    assert_eq!(healthy("{indicator: error_rate, above: 2%, for: 2m}"), None);
}

#[test]
fn what_gates_allow_is_healthy() {
    let with = |gate: &str, trigger: &str| {
        let text = PHASE.replace(GATE, gate).replace(TRIGGER, trigger);
        phase(EVERYTHING, &text).triggers.swap_remove(0).healthy.map(Share::get)
    };
    let two = "error_rate < 1% over 30m\n  - error_rate < 0.5% over 24h";
    assert_eq!(with(two, TRIGGER), Some(0.005), "the lowest");
    assert_eq!(with(two, "{indicator: error_rate, above: 2%, for: 2m, healthy: 1.5%}"), Some(0.015), "the file's own");
    assert_eq!(with("error_rate < 2% over 30m", TRIGGER), None, "not below the limit");
    assert_eq!(with(GATE, "p95 > 500ms for 5m"), None, "another latency");
    let failures = "breaker_failures(cache) < 5% over 30m";
    assert_eq!(with(failures, "breaker_failures(cache) > 10% for 5m"), Some(0.05));
    assert_eq!(with(failures, "breaker_failures(http) > 10% for 5m"), None, "another breaker");
    assert_eq!(with(failures, TRIGGER), None, "another share");
}

#[test]
fn how_things_are_measured() {
    let read = header(EVERYTHING);
    assert_eq!((read.warm_up, read.indicators.memory.as_deref()), (Duration::from_mins(2), Some("memory_bytes")));
    assert_eq!(read.breaker("cache").unwrap().health.as_deref(), Some("min(redis_up)"));
    let metrics = read.breaker_metrics.unwrap();
    assert_eq!(
        (metrics.requests.as_deref(), metrics.failures.as_deref(), metrics.label.as_str()),
        (Some("calls_total"), Some("failed_calls_total"), "breaker")
    );
    assert_eq!(header(&EVERYTHING.replace("warm_up: 2m\n", "")).warm_up, Duration::ZERO);
    assert_eq!(header(&EVERYTHING.replace("warm_up: 2m", "warm_up: 1h")).warm_up, Duration::from_hours(1));
    assert_eq!(read.rollback_within, Duration::from_mins(5), "what is promised unless the file says otherwise");
    let within = header(&EVERYTHING.replace("warm_up: 2m", "rollback_within: 90s")).rollback_within;
    assert_eq!(within, Duration::from_secs(90));
}

#[test]
fn states_by_label() {
    let text = EVERYTHING.replace(BY_NUMBER, BY_LABEL);
    let metrics = header(&text).breaker_metrics.unwrap();
    let labels = ["state", "state", "closed", "half-open", "OPEN"].map(str::to_owned);
    let [gauge, label, closed, half_open, open] = labels;
    assert_eq!(metrics.state, StateSource::Labels { gauge, label, closed, half_open, open });
    let trips = PHASE.replace(GATE, "trips(cache) == 0 over 48h");
    assert_eq!(refusal(&text, &trips), "nothing");
}

#[test]
fn closed_may_be_the_greatest_state_and_stuck_takes_any() {
    let trips = PHASE.replace(GATE, "trips(cache) == 0 over 48h");
    let greatest = EVERYTHING.replace(BY_NUMBER, "closed: 2, half_open: 1, open: 0");
    assert_eq!(refusal(&greatest, &trips), "nothing");
    let between = EVERYTHING.replace(BY_NUMBER, "closed: 1, half_open: 0, open: 2");
    assert_eq!(refusal(&between, PHASE), "nothing");
}

#[test]
fn queries_that_are_right() {
    for query in [
        "sum(rate(errors_total[5m])) or 0 * sum(rate(requests_total[5m]))",
        "count(up) or absent(up) - 1",
        "delta(sum(queue_length)[1h:])",
        "max_over_time(sum(rate(x_total[5m]))[1h:])",
        "sum(increase(x_total[1h]))",
        "max(histogram_quantile(0.95, sum by (le, pod) (rate(x_bucket[5m]))))",
        "sum(histogram_quantile(0.95, sum by (le, pod) (rate(x_bucket[5m]))) > bool 0.4)",
        "avg(count(histogram_quantile(0.95, rate(x_bucket[5m])) > 0.4))",
        "histogram_quantile(0.95, sum without (pod) (rate(x_bucket[5m])))",
        "histogram_quantile(0.95, topk(100, rate(x_bucket[5m])))",
        "histogram_quantile(0.95, sum(rate(native[5m])))",
        "vector(1)",
    ] {
        let trigger = format!("{{name: q, query: '{query}', above: 1, for: 5m}}");
        assert_eq!(refusal(EVERYTHING, &PHASE.replace(TRIGGER, &trigger)), "nothing", "{query}");
        if !query.contains("absent") {
            assert_eq!(refusal(EVERYTHING, &PHASE.replace(GATE, &trigger)), "nothing", "{query}");
        }
    }
    let absent = "{name: gone, query: 'absent(up)', equals: 1, for: 5m}";
    assert_eq!(refusal(EVERYTHING, &PHASE.replace(TRIGGER, absent)), "nothing", "in a trigger it is fine");
}
