//! The ways in which answers are spoilt, as short words for the rows.

use serde_json::Value;

use super::server::{LOOKBACK, Line, Scrape};
use super::table::Change;
use crate::judge::samples::Scope;

/// Cumulative ones.
pub const COUNTERS: &[&str] = &["requests", "errors", "buckets", "breaker_requests", "breaker_failures"];
/// Those that tell when the newest sample was taken.
pub const TIMES: &[&str] = &["request_times", "bucket_times", "breaker_times", "memory_times"];
pub const SOURCES: &[&str] = &["request_sources", "bucket_sources"];
pub const STATES: &[&str] = &["state", "highest", "lowest"];
pub const QUERIES: &[&str] = &["query", "health"];

pub fn bytes(change: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Change {
    Change::Bytes(Box::new(change))
}

/// Every answer is this text.
pub fn text(text: &'static str) -> Change {
    bytes(move |_| text.as_bytes().to_vec())
}

pub fn json(change: impl Fn(&mut Value) + 'static) -> Change {
    Change::Json(Box::new(change))
}

/// Every series, as JSON.
pub fn series(change: impl Fn(&mut Value) + 'static) -> Change {
    json(move |answer| answer["data"]["result"].as_array_mut().unwrap().iter_mut().for_each(&change))
}

/// Series of any metric.
pub fn lines(change: impl Fn(Line) -> Vec<Line> + 'static) -> Change {
    Change::Lines(Box::new(move |line, _| change(line)))
}

/// Series of these metrics.
pub fn lines_of(metrics: &'static [&'static str], change: impl Fn(Line) -> Vec<Line> + 'static) -> Change {
    lines(move |line| if metrics.contains(&line.metric) { change(line) } else { vec![line] })
}

/// Series of one pod.
pub fn lines_of_victim(change: impl Fn(Line) -> Vec<Line> + 'static) -> Change {
    Change::Lines(Box::new(move |line, victim| if line.pod() == victim { change(line) } else { vec![line] }))
}

/// Series of these metrics of one pod.
pub fn lines_of_victim_of(metrics: &'static [&'static str], change: impl Fn(Line) -> Vec<Line> + 'static) -> Change {
    lines_of_victim(move |line| if metrics.contains(&line.metric) { change(line) } else { vec![line] })
}

/// All points of each series, with the number of each and how many there are.
pub fn points(change: impl Fn(usize, usize, f64, Value) -> Option<(f64, Value)> + 'static) -> Change {
    lines(move |line| vec![with_points(line, &change)])
}

/// All points of each series of these metrics.
pub fn points_of(
    metrics: &'static [&'static str],
    change: impl Fn(usize, usize, f64, Value) -> Option<(f64, Value)> + 'static,
) -> Change {
    lines_of(metrics, move |line| vec![with_points(line, &change)])
}

pub fn with_points(mut line: Line, change: &impl Fn(usize, usize, f64, Value) -> Option<(f64, Value)>) -> Line {
    let all = line.points.len();
    let points = std::mem::take(&mut line.points);
    let changed = points.into_iter().enumerate().filter_map(|(index, (at, value))| change(index, all, at, value));
    Line { points: changed.collect(), ..line }
}

/// The number of a value.
pub fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// A value of this number.
pub fn value(number: f64) -> Value {
    Value::String(number.to_string())
}

/// Only these scrapes happened; the times are seconds before now.
pub fn scrapes(kept: impl Fn(i64) -> bool + 'static) -> Change {
    Change::Scrapes { kept: Box::new(move |Scrape { at, .. }, _| kept(super::world::NOW - at)), lookback: LOOKBACK }
}

/// Only these scrapes of one pod happened.
pub fn scrapes_of_victim(kept: impl Fn(i64) -> bool + 'static) -> Change {
    let kept = move |scrape: &Scrape<'_>, victim: &str| scrape.pod != victim || kept(super::world::NOW - scrape.at);
    Change::Scrapes { kept: Box::new(kept), lookback: LOOKBACK }
}

pub fn scope(change: fn(&mut Scope)) -> Change {
    Change::Scope(change)
}
