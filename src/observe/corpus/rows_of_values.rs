//! Samples whose value is no finite number, or no sample at all.

use serde_json::{Value, json};

use super::edit::{COUNTERS, points, points_of, series, value};
use super::kinds::{ERRORS, FAILURES, INSTANT, Kind, LATENCY, MEMORY, STUCK, THROUGHOUT, TRIP_GATES, TRIPS};
use super::table::{Change, Row};
use super::world::NOW;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new("NaN", all(json!("NaN"))).all("NotANumber"),
        Row::new("one NaN in the middle", only(|index, all| index == all / 2, json!("NaN"))).all("NotANumber"),
        Row::new("the last value is NaN", only(|index, all| index + 1 == all, json!("NaN"))).all("NotANumber"),
        Row::new("+Inf", all(json!("+Inf"))).all("Infinite"),
        Row::new("-Inf", all(json!("-Inf"))).all("Infinite"),
        Row::new("beyond the greatest number", all(json!("1e999"))).all("Infinite"),
        Row::new("words", all(json!("many"))).all("Malformed { detail: \"a sample has the value \\\"many\\\"\" }"),
        Row::new("an empty text", all(json!(""))).all("Malformed { detail: \"a sample has the value"),
        Row::new("a text with a space", all(json!(" 1"))).all("Malformed { detail: \"a sample has the value"),
        Row::new("digits in groups", all(json!("1,000"))).all("Malformed { detail: \"a sample has the value"),
        Row::new("hexadecimal", all(json!("0x1p4"))).all("Malformed { detail: \"a sample has the value"),
        Row::new("a number, not a text", all(json!(1))).all("Malformed { detail: \"a sample's value is not a text"),
        Row::new("values that are null", all(Value::Null)).all("Malformed { detail: \"a sample's value is not a text"),
        Row::new("true", all(json!(true))).all("Malformed { detail: \"a sample's value is not a text"),
        Row::new("a value of three", series(|series| each_pair(series, |pair| pair.push(json!("1")))))
            .all("Malformed { detail: \"the result is no list of series"),
        Row::new("a value of one", series(|series| each_pair(series, |pair| drop(pair.pop()))))
            .all("Malformed { detail: \"the result is no list of series"),
        Row::new("histograms in place of values", series(as_histograms)).all("HistogramSample"),
        Row::new("histograms beside values", series(|series| series["histograms"] = json!([]))).all("HistogramSample"),
        Row::new("no value", series(|series| rename(series, "nothing", "nothing")))
            .all("Malformed { detail: \"a series has no samples of the kind asked for"),
        Row::new(
            "a value and values",
            series(|series| {
                series["value"] = json!([1, "1"]);
                series["values"] = json!([[1, "1"]]);
            }),
        )
        .all("Malformed { detail: \"a series has no samples of the kind asked for"),
        Row::new(
            "no list of values",
            series(|series| {
                rename(series, "nothing", "nothing");
                series["values"] = Value::Null;
            }),
        )
        .all("Malformed { detail: \"a series has no samples of the kind asked for"),
        Row::new(
            "values are empty",
            series(|series| {
                rename(series, "nothing", "nothing");
                series["values"] = json!([]);
            }),
        )
        .says(ERRORS, "NoSeries { metric: \"requests\" }")
        .says(LATENCY, "NoSeries { metric: \"latency histogram\" }")
        .says(STUCK, "NoSeries { metric: \"breaker state\" }")
        .says(TRIPS, "NoSeries { metric: \"breaker state\" }")
        .says(FAILURES, "NoSeries { metric: \"breaker ")
        .says(MEMORY, "NoSeries { metric: \"memory\" }")
        .says(INSTANT, "Malformed { detail: \"a series has no samples of the kind asked for")
        .says(THROUGHOUT, "NoSeries { metric: \"query\" }"),
        Row::new("labels only", series(|series| *series = json!({"metric": series["metric"]})))
            .all("Malformed { detail: \"a series has no samples of the kind asked for"),
        Row::new("labels that are no texts", series(|series| series["metric"]["pod"] = json!(1))).all("Malformed"),
        huge(Row::new("every count 1e300", points_of(COUNTERS, |_, _, at, _| Some((at, value(1e300)))))),
        huge(Row::new(
            "a count jumps to 1e300 and back",
            points_of(COUNTERS, |index, all, at, old| Some((at, if index + 1 == all { value(1e300) } else { old }))),
        )),
        huge(Row::new("the newest count is 1e19", newest_count(1e19))),
        huge(Row::new("the newest count is 1e300", newest_count(1e300))),
        Row::new("every value 1e300", points(|_, _, at, _| Some((at, value(1e300)))))
            .says(ERRORS, "SeveralSources { metric: \"requests\", pod: \"updog-")
            .says(LATENCY, "SeveralSources { metric: \"latency histogram\", pod: \"updog-")
            .says(STUCK, "Malformed { detail: \"breaker product-cache of pod updog-")
            .says(TRIPS, "Malformed { detail: \"breaker product-cache of pod updog-")
            .says(FAILURES, "Malformed { detail: \"a counter of pod updog-")
            .says(MEMORY, "NoSeries { metric: \"memory\" }")
            .bad(INSTANT, "a finite number is a number, and this one is not what was asked for")
            .bad(THROUGHOUT, "as with one moment"),
    ]
}

fn all(value: Value) -> Change {
    points(move |_, _, at, _| Some((at, value.clone())))
}

/// More than can be counted one by one.
fn huge(row: Row) -> Row {
    row.says(ERRORS, "Malformed { detail: \"a counter of pod updog-")
        .says(LATENCY, "Malformed { detail: \"a counter of pod updog-")
        .says(&[Kind::LatencyVersus], "Malformed { detail: \"a counter of pod updog-")
        .says(FAILURES, "Malformed { detail: \"a counter of pod updog-")
        .says(TRIP_GATES, "Malformed { detail: \"a counter of pod updog-")
        .harmless(&[Kind::TripsTrigger], "a trip is seen in the states, whatever the calls are")
}

fn newest_count(number: f64) -> Change {
    points_of(COUNTERS, move |_, _, at, old| Some((at, if at >= NOW as f64 { value(number) } else { old })))
}

fn only(which: fn(usize, usize) -> bool, value: Value) -> Change {
    points(move |index, all, at, old| Some((at, if which(index, all) { value.clone() } else { old })))
}

fn each_pair(series: &mut Value, change: fn(&mut Vec<Value>)) {
    if let Some(pair) = series.get_mut("value") {
        change(pair.as_array_mut().unwrap());
    }
    for pair in series.get_mut("values").and_then(Value::as_array_mut).into_iter().flatten() {
        change(pair.as_array_mut().unwrap());
    }
}

/// Every value becomes a native histogram with one request.
fn as_histograms(series: &mut Value) {
    each_pair(series, |pair| pair[1] = json!({"count": "1", "sum": "1", "buckets": [[0, "0", "1", "1"]]}));
    rename(series, "histogram", "histograms");
}

/// Gives `value` and `values` other names.
fn rename(series: &mut Value, value: &str, values: &str) {
    let fields = series.as_object_mut().unwrap();
    for (old, new) in [("value", value), ("values", values)] {
        if let Some(content) = fields.remove(old) {
            fields.insert(new.to_owned(), content);
        }
    }
}
