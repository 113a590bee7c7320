//! What a correct Prometheus answers to the planned queries, from what was scraped.
//!
//! It does not know what is asked of the answers.

use serde_json::{Value, json};

use super::world::{NOW, PERIOD, World};
use crate::judge::condition::Metric;
use crate::prometheus::Query;
use crate::prometheus::selector::TAG;

/// How far back the server looks, in seconds; the queries ask for it.
pub const LOOKBACK: i64 = 120;
/// Upper bounds of the buckets, and how many of a thousand requests are in them.
pub const BUCKETS: [(&str, i64); 6] =
    [("0.05", 600), ("0.1", 900), ("0.25", 970), ("0.5", 995), ("1", 1_000), ("+Inf", 1_000)];
/// Instances that the pattern of the breaker matches.
pub const BREAKERS: [&str; 2] = ["product-cache", "redis"];

/// One sample of one target, as it was scraped; of what belongs to no pod the name is empty.
pub struct Scrape<'a> {
    pub pod: &'a str,
    /// In Unix seconds.
    pub at: i64,
}

/// Which scrapes there were, and how far back the server looks.
pub struct Store<'a> {
    pub kept: &'a dyn Fn(&Scrape<'_>) -> bool,
    pub lookback: i64,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The tag of its metric; "state", "query" or "health" for those that have no word for a tag.
    pub metric: &'static str,
    pub labels: Vec<(String, String)>,
    /// Times in seconds.
    pub points: Vec<(f64, Value)>,
}

/// The answer to one query.
#[derive(Debug, Clone)]
pub struct Reply {
    pub query: Query,
    pub lines: Vec<Line>,
}

impl Line {
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }

    pub fn pod(&self) -> &str {
        self.label("pod")
    }

    /// Puts a label in place of the one of this name, or adds it.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.labels.retain(|(label, _)| label != name);
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Reply {
    /// The same as of [`Self::json`], but quickly.
    pub fn body(&self) -> Vec<u8> {
        let instant = matches!(self.query, Query::Instant { .. });
        let line = |line: &Line| {
            let labels: serde_json::Map<String, Value> =
                line.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let points: Vec<String> = line.points.iter().map(|(at, value)| format!("[{at},{value}]")).collect();
            let samples = match points.as_slice() {
                [only] if instant => format!("\"value\":{only}"),
                points => format!("\"values\":[{}]", points.join(",")),
            };
            format!("{{\"metric\":{},{samples}}}", Value::Object(labels))
        };
        let body = self.lines.iter().map(line).collect::<Vec<_>>().join(",");
        let result_type = if instant { "vector" } else { "matrix" };
        format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{result_type}\",\"result\":[{body}]}}}}")
            .into_bytes()
    }

    pub fn json(&self) -> Value {
        let instant = matches!(self.query, Query::Instant { .. });
        let result: Vec<Value> = self.lines.iter().map(|line| line.json(instant)).collect();
        let result_type = if instant { "vector" } else { "matrix" };
        json!({"status": "success", "data": {"resultType": result_type, "result": result}})
    }
}

impl Line {
    fn json(&self, instant: bool) -> Value {
        let metric: serde_json::Map<String, Value> =
            self.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let pair = |(at, value): &(f64, Value)| json!([at, value]);
        match self.points.as_slice() {
            [only] if instant => json!({"metric": metric, "value": pair(only)}),
            points => json!({"metric": metric, "values": points.iter().map(pair).collect::<Vec<_>>()}),
        }
    }
}

/// The answers to all queries of the plan, in their order.
pub fn replies(world: &World, store: &Store<'_>) -> Vec<Reply> {
    let plan = &world.plan;
    let replies = plan.queries.iter().enumerate().map(|(index, query)| {
        let mut told: Vec<&str> = Vec::new();
        let mut lines = Vec::new();
        for fetch in plan.fetches.iter().filter(|fetch| fetch.queries.as_ref().unwrap().contains(&index)) {
            let (metric, tag) = (&fetch.metric, fetch.metric.tag());
            // Not every metric of a family is in each of its queries.
            if tag.is_empty() || promql(query).contains(&format!("\"{TAG}\", \"{tag}\"")) && !told.contains(&tag) {
                told.push(tag);
                lines.extend(series(metric, query, world, store));
            }
        }
        Reply { query: query.clone(), lines: lines.into_iter().filter(|line| !line.points.is_empty()).collect() }
    });
    replies.collect()
}

pub fn promql(query: &Query) -> &str {
    let (Query::Instant { promql, .. } | Query::Raw { promql, .. } | Query::Range { promql, .. }) = query;
    promql
}

/// The series of one metric, one for each pod and part.
fn series(metric: &Metric, query: &Query, world: &World, store: &Store<'_>) -> Vec<Line> {
    let whole = |labels: &[(&str, &str)], value: &dyn Fn(i64) -> i64| {
        // What was before the change was scraped long ago.
        line(metric, labels, moments(query).into_iter().map(|at| (at, Some(value(at as i64)))))
    };
    match metric {
        Metric::RequestsBefore => return vec![whole(&[], &|at| 1_000_000 + 150 * (at - NOW + 7_200))],
        Metric::ErrorsBefore => return vec![whole(&[], &|at| 3 * (at - NOW + 7_200) / 20)],
        Metric::BucketsBefore => {
            let bucket =
                |(edge, share): (&str, i64)| whole(&[("le", edge)], &|at| 150 * (at - NOW + 7_200) * share / 1_000);
            return BUCKETS.map(bucket).into();
        }
        Metric::MemoryBefore => return vec![whole(&[("pod", "updog-5d5d5-zzzzz")], &|_| 100 << 20)],
        Metric::Query(..) | Metric::Health(_) => return vec![of_pod(metric, &[], query, store, "", &|_| 1)],
        _ => {}
    }
    world.pods().flat_map(|pod| of_one_pod(metric, query, store, &pod.name, pod.started.as_second())).collect()
}

fn of_one_pod(metric: &Metric, query: &Query, store: &Store<'_>, pod: &str, started: i64) -> Vec<Line> {
    let one = |value: &dyn Fn(i64) -> i64| vec![of_pod(metric, &[("pod", pod)], query, store, pod, value)];
    let by_breaker = |value: &dyn Fn(i64) -> i64| -> Vec<Line> {
        let line = |breaker| of_pod(metric, &[("breaker", breaker), ("pod", pod)], query, store, pod, value);
        BREAKERS.map(line).into()
    };
    let requests = |at: i64| 50 * (at - started);
    match metric {
        Metric::Requests => one(&requests),
        Metric::Errors => one(&|at| requests(at) / 1_000),
        Metric::RequestTimes | Metric::BucketTimes | Metric::MemoryTimes => one(&|at| at),
        Metric::RequestSources | Metric::BucketSources => one(&|_| 1),
        Metric::Buckets => {
            let bucket = |(edge, share): (&str, i64)| {
                let value = |at| requests(at) * share / 1_000;
                of_pod(metric, &[("le", edge), ("pod", pod)], query, store, pod, &value)
            };
            BUCKETS.map(bucket).into()
        }
        Metric::BreakerHighest { .. } | Metric::BreakerLowest { .. } => by_breaker(&|_| 0),
        Metric::BreakerTimes { .. } => by_breaker(&|at| at),
        Metric::BreakerRequests { .. } => by_breaker(&|at| 20 * (at - started)),
        Metric::BreakerFailures { .. } => by_breaker(&|at| (at - started) / 50),
        Metric::BreakerState { .. } => {
            let labels = |breaker| {
                [("__name__", "breaker_state"), ("breaker", breaker), ("instance", pod), ("job", "updog"), ("pod", pod)]
            };
            BREAKERS.map(|breaker| of_pod(metric, &labels(breaker), query, store, pod, &|_| 0)).into()
        }
        Metric::Memory => one(&|at| (100 << 20) + at % 7 * 1_000),
        other => panic!("{other:?} belongs to no pod"),
    }
}

/// The series of one target: at each moment the value that it had at its last scrape, if that was not too long ago.
fn of_pod(
    metric: &Metric,
    labels: &[(&str, &str)],
    query: &Query,
    store: &Store<'_>,
    pod: &str,
    value: &dyn Fn(i64) -> i64,
) -> Line {
    let offset = pod.bytes().last().map_or(0, |last| i64::from(last) % PERIOD);
    let scraped = |at: i64| (at - offset).rem_euclid(PERIOD) == 0 && (store.kept)(&Scrape { pod, at });
    if let Query::Raw { promql, at } = query {
        let seconds: i64 = promql.rsplit_once('[').unwrap().1.trim_end_matches("s]").parse().unwrap();
        let times = (at.as_second() - seconds + 1..at.as_second()).filter(|at| scraped(*at));
        // Raw samples have the time of their scrape, in milliseconds.
        return line(metric, labels, times.map(|at| (at as f64 + 0.123, Some(value(at)))));
    }
    let lookback = match (metric, query) {
        (Metric::BreakerHighest { .. } | Metric::BreakerLowest { .. }, Query::Range { step, .. }) => {
            step.as_secs() as i64
        }
        _ => store.lookback,
    };
    let newest = |at: f64| (0..lookback).map(|age| at.floor() as i64 - age).find(|at| scraped(*at));
    line(metric, labels, moments(query).into_iter().map(|at| (at, newest(at).map(value))))
}

fn line(metric: &Metric, labels: &[(&str, &str)], points: impl Iterator<Item = (f64, Option<i64>)>) -> Line {
    let tag = metric.tag();
    let mut labels: Vec<(String, String)> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if !tag.is_empty() {
        labels.push((TAG.to_owned(), tag.to_owned()));
    }
    let points = points.filter_map(|(at, value)| Some((at, json!(value?.to_string())))).collect();
    Line { metric: word(metric), labels, points }
}

fn moments(query: &Query) -> Vec<f64> {
    match query {
        Query::Instant { at, .. } | Query::Raw { at, .. } => vec![at.as_second() as f64],
        Query::Range { from, to, step, .. } => {
            let (from, to, step) = (from.as_millisecond(), to.as_millisecond(), step.as_millis() as usize);
            (from..=to).step_by(step).map(|at| at as f64 / 1_000.0).collect()
        }
    }
}

fn word(metric: &Metric) -> &'static str {
    match metric {
        Metric::Requests => "requests",
        Metric::RequestTimes => "request_times",
        Metric::RequestSources => "request_sources",
        Metric::Errors => "errors",
        Metric::RequestsBefore => "requests_before",
        Metric::ErrorsBefore => "errors_before",
        Metric::Buckets => "buckets",
        Metric::BucketTimes => "bucket_times",
        Metric::BucketSources => "bucket_sources",
        Metric::BucketsBefore => "buckets_before",
        Metric::BreakerState { .. } => "state",
        Metric::BreakerHighest { .. } => "highest",
        Metric::BreakerLowest { .. } => "lowest",
        Metric::BreakerTimes { .. } => "breaker_times",
        Metric::BreakerRequests { .. } => "breaker_requests",
        Metric::BreakerFailures { .. } => "breaker_failures",
        Metric::Health(_) => "health",
        Metric::Memory => "memory",
        Metric::MemoryTimes => "memory_times",
        Metric::MemoryBefore => "memory_before",
        Metric::Query(..) => "query",
    }
}
