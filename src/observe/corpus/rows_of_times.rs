//! Samples of another time, in the wrong order, too old, too few or with holes.

use serde_json::{Value, json};

use super::edit::{TIMES, lines, number, points, points_of, series, value};
use super::kinds::{ERRORS, FAILURES, INSTANT, Kind, LATENCY, MEMORY, STUCK, THROUGHOUT, TRIPS};
use super::table::{Change, Row};
use super::world::NOW;

const OF_SHORT_WINDOWS: &[Kind] = &[Kind::ErrorTrigger, Kind::LatencyTrigger, Kind::FailuresTrigger, Kind::Use];
const DISORDER: &str = "Malformed { detail: \"the samples are not in order of time\" }";
const NOT_ASKED_FOR: &str = "Malformed { detail: \"a sample is of ";

pub fn rows() -> Vec<Row> {
    let mut rows = of_order();
    rows.extend(shifted_rows());
    rows.extend(of_holes());
    rows.extend(of_sample_times());
    rows
}

fn of_order() -> Vec<Row> {
    vec![
        Row::new(
            "times in reverse order",
            lines(|mut line| {
                line.points.reverse();
                vec![line]
            }),
        )
        .all(DISORDER),
        Row::new(
            "two samples have changed places",
            lines(|mut line| {
                let middle = line.points.len() / 2;
                if middle > 0 {
                    line.points.swap(middle - 1, middle);
                }
                vec![line]
            }),
        )
        .all(DISORDER),
        Row::new(
            "one sample comes twice",
            lines(|mut line| {
                line.points.insert(0, line.points[0].clone());
                vec![line]
            }),
        )
        .all(DISORDER)
        .says(INSTANT, "Malformed { detail: \"a series has no samples of the kind asked for"),
        Row::new("all times are one", points(|_, _, _, value| Some((NOW as f64, value))))
            .all(NOT_ASKED_FOR)
            .says(STUCK, DISORDER)
            .says(THROUGHOUT, DISORDER),
    ]
}

fn shifted_rows() -> Vec<Row> {
    vec![
        Row::new("times of yesterday", shifted(-86_400.0))
            .all(NOT_ASKED_FOR)
            // A range selector has no beginning that the answer could be held against.
            .says(STUCK, "NoSeries { metric: \"breaker state\" }|Stale { metric: \"breaker state\""),
        Row::new("times of tomorrow", shifted(86_400.0)).all(NOT_ASKED_FOR),
        Row::new("times a minute ahead", shifted(60.0)).all(NOT_ASKED_FOR),
        Row::new("times a minute behind", shifted(-60.0))
            .all(NOT_ASKED_FOR)
            .says(STUCK, "Stale { metric: \"breaker state\", pod: \"updog-"),
        Row::new("times in milliseconds", points(|_, _, at, value| Some((at * 1_000.0, value))))
            .all("Malformed { detail: \"a sample has no time\" }"),
        Row::new("time zero", points(|_, _, _, value| Some((0.0, value)))).all(NOT_ASKED_FOR).says(STUCK, DISORDER),
        Row::new(
            "times between those asked for",
            points(|_, all, at, value| Some((if all > 1 { at + 0.7 } else { at }, value))),
        )
        .says(ERRORS, "Coverage { metric: \"requests\", pod: \"updog-")
        .says(LATENCY, "Coverage { metric: \"latency histogram\", pod: \"updog-")
        .says(TRIPS, "Coverage { metric: \"breaker state\", pod: \"updog-")
        .says(FAILURES, "Coverage { metric: \"breaker state\", pod: \"updog-")
        .says(MEMORY, "Coverage { metric: \"memory\", pod: \"updog-")
        .harmless(STUCK, "raw samples have times of their own")
        .harmless(THROUGHOUT, "all points are there, less than a second late"),
        Row::new("times that are texts", series(|series| each_pair(series, |pair| pair[0] = json!("now"))))
            .all("Malformed { detail: \"a sample has no time\" }"),
        Row::new("times that are null", series(|series| each_pair(series, |pair| pair[0] = Value::Null)))
            .all("Malformed { detail: \"a sample has no time\" }"),
    ]
}

fn of_holes() -> Vec<Row> {
    let no_value = "Malformed { detail: \"a series has no samples of the kind asked for";
    let coverage = |row: Row| {
        row.says(ERRORS, "Coverage { metric: \"requests\", pod: \"updog-")
            .says(LATENCY, "Coverage { metric: \"latency histogram\", pod: \"updog-")
            .says(TRIPS, "Coverage { metric: \"breaker state\", pod: \"updog-")
            .says(FAILURES, "Coverage { metric: \"breaker state\", pod: \"updog-")
            .says(MEMORY, "Coverage { metric: \"memory\", pod: \"updog-")
            .says(STUCK, "Coverage { metric: \"breaker state\", pod: \"updog-")
            .says(THROUGHOUT, "Interrupted { have: ")
    };
    let few = |row: Row| {
        row.says(ERRORS, "TooFewSamples { metric: \"requests\" }")
            .says(LATENCY, "TooFewSamples { metric: \"latency histogram\" }")
            .says(TRIPS, "TooFewSamples { metric: \"breaker state\" }")
            .says(FAILURES, "TooFewSamples { metric: \"breaker state\" }")
            .says(MEMORY, "TooFewSamples { metric: \"memory\" }")
            .says(STUCK, "TooFewSamples { metric: \"breaker state\" }")
            .says(THROUGHOUT, "Interrupted { have: ")
    };
    let recent = "the holes are older than the window of the trigger";
    vec![
        coverage(Row::new("every second sample is missing", kept(|index, _| index % 2 == 1)))
            .says(INSTANT, no_value)
            .harmless(STUCK, "the scrape interval is measured: these are half as many scrapes, all of which are there"),
        few(Row::new("a single sample", kept(|index, all| index + 1 == all))),
        few(Row::new("only the first sample", kept(|index, _| index == 0)))
            .says(ERRORS, "Stale")
            .says(LATENCY, "Stale")
            .says(&[Kind::ErrorTrigger, Kind::LatencyTrigger], "Stale")
            .says(TRIPS, "Stale|TooFewSamples|NoSeries")
            .says(FAILURES, "Stale|TooFewSamples|NoSeries")
            .says(MEMORY, "Stale|TooFewSamples|NoSeries"),
        coverage(Row::new("the first half is missing", kept(|index, all| index >= all / 2)))
            .harmless(OF_SHORT_WINDOWS, recent),
        coverage(Row::new(
            "a fifth in the middle is missing",
            kept(|index, all| index < all * 2 / 5 || index >= all * 3 / 5),
        ))
        .harmless(OF_SHORT_WINDOWS, recent),
        coverage(Row::new("the last tenth is missing", kept(|index, all| index < all * 9 / 10 || all == 1)))
            .says(ERRORS, "Stale")
            .says(LATENCY, "Stale")
            .says(STUCK, "Stale { metric: \"breaker state\", pod: \"updog-")
            .says(TRIPS, "Stale")
            .says(FAILURES, "Stale")
            .says(MEMORY, "Stale"),
    ]
}

fn of_sample_times() -> Vec<Row> {
    let none = |row: Row| {
        let reason = "NoSeries { metric: |Stale { metric: |TooFewSamples { metric: |Coverage { metric: ";
        row.says(ERRORS, reason).says(LATENCY, reason).says(TRIPS, reason).says(FAILURES, reason).says(MEMORY, reason)
    };
    vec![
        // No sample was taken inside the window.
        none(Row::new("sample times in milliseconds", sample_times(|at| at * 1_000.0))),
        none(Row::new("sample times are zero", sample_times(|_| 0.0))),
        none(Row::new("sample times are negative", sample_times(|at| -at))),
        none(Row::new("sample times are 1e300", sample_times(|_| 1e300))),
        none(Row::new("sample times are of the future", sample_times(|at| at + 600.0))),
        Row::new("sample times are a minute and a half behind", sample_times(|at| at - 100.0))
            .says(ERRORS, "Stale { metric: \"requests\", pod: \"updog-")
            .says(LATENCY, "Stale { metric: \"latency histogram\", pod: \"updog-")
            .says(TRIPS, "Stale { metric: \"breaker state\", pod: \"updog-")
            .says(FAILURES, "Stale { metric: \"breaker state\", pod: \"updog-")
            .says(MEMORY, "Stale { metric: \"memory\", pod: \"updog-"),
        Row::new("sample times stand still", sample_times(|_| (NOW - 5) as f64))
            .says(ERRORS, "TooFewSamples { metric: \"requests\" }")
            .says(LATENCY, "TooFewSamples { metric: \"latency histogram\" }")
            .says(TRIPS, "TooFewSamples { metric: \"breaker state\" }")
            .says(FAILURES, "TooFewSamples { metric: \"breaker state\" }")
            .says(MEMORY, "TooFewSamples { metric: \"memory\" }"),
    ]
}

fn kept(which: fn(usize, usize) -> bool) -> Change {
    points(move |index, all, at, value| which(index, all).then_some((at, value)))
}

fn shifted(by: f64) -> Change {
    points(move |_, _, at, value| Some((at + by, value)))
}

fn sample_times(change: fn(f64) -> f64) -> Change {
    points_of(TIMES, move |_, _, at, old| Some((at, value(change(number(&old))))))
}

fn each_pair(series: &mut Value, change: fn(&mut Value)) {
    if let Some(pair) = series.get_mut("value") {
        change(pair);
    }
    series.get_mut("values").and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}
