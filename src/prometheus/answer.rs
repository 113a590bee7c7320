//! The body of an answer, read strictly.
//!
//! The client's own types drop warnings and take NaN for a number; this file takes nothing that is not one finite
//! float sample where one was asked for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, Unit};
use serde::Deserialize;
use serde_json::Value;

use super::native::{self, NativeHistogram};
use super::selector::TAG;
use super::{Query, unallowed};
use crate::judge::samples::Point;
use crate::judge::verdict::{Fault, Gap, Trouble};

/// A series with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct RawSeries {
    pub labels: BTreeMap<String, String>,
    pub points: Vec<Point>,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Sampled {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<(Value, Value)>,
    values: Option<Vec<(Value, Value)>>,
    histogram: Option<Value>,
    histograms: Option<Value>,
}

/// Reads the answer to `query`.
pub fn decode(body: &[u8], query: &Query, allowed_warnings: &[String]) -> Result<Vec<RawSeries>, Trouble> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    if envelope.status != "success" {
        let (Some(kind), Some(detail)) = (envelope.error_type, envelope.error) else {
            return Err(malformed(&format!("its status is {:?}", envelope.status)));
        };
        return Err(Fault::Refused { kind, detail }.into());
    }
    unallowed(envelope.warnings, allowed_warnings)?;
    let data = envelope.data.ok_or_else(|| malformed("the answer has no data"))?;
    let (expected, from, to) = match query {
        Query::Raw { at, .. } => ("matrix", Timestamp::MIN, *at),
        Query::Instant { at, .. } => ("vector", *at, *at),
        Query::Range { from, to, .. } => ("matrix", *from, *to),
    };
    let scalar = expected == "vector" && data.result_type == "scalar";
    if data.result_type != expected && !scalar {
        return Err(Fault::WrongResultType { expected, got: data.result_type }.into());
    }
    if scalar {
        let value = serde_json::from_value(data.result).map_err(|_| malformed("a scalar is not a pair"))?;
        return Ok(vec![RawSeries { labels: BTreeMap::new(), points: vec![point(&value, from, to)?] }]);
    }
    let series: Vec<Sampled> = serde_json::from_value(data.result)
        .map_err(|error| malformed(&format!("the result is no list of series: {error}")))?;
    let series = series
        .into_iter()
        .map(|sampled| match sampled {
            Sampled { metric, value: None, values: None, histogram: None, histograms: Some(histograms) }
                if is_of_buckets(&metric) =>
            {
                let samples: Vec<(Value, NativeHistogram)> =
                    serde_json::from_value(histograms).map_err(|_| Trouble::from(Fault::HistogramSample))?;
                native::classic(&metric, &samples, |at| time(at, from, to))
            }
            sampled => read_series(sampled, expected == "vector", from, to).map(|series| vec![series]),
        })
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    let mut seen = BTreeSet::new();
    if series.iter().any(|series| !seen.insert(&series.labels)) {
        return Err(malformed("a series comes twice"));
    }
    Ok(series)
}

/// The fault behind an answer whose status is an error.
pub(super) fn refusal(status: u16, body: &[u8]) -> Fault {
    match serde_json::from_slice::<Envelope>(body) {
        Ok(Envelope { error_type: Some(kind), error: Some(detail), .. }) => Fault::Refused { kind, detail },
        _ => Fault::HttpStatus {
            status,
            detail: String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned(),
        },
    }
}

fn read_series(sampled: Sampled, instant: bool, from: Timestamp, to: Timestamp) -> Result<RawSeries, Trouble> {
    if sampled.histogram.is_some() || sampled.histograms.is_some() {
        return Err(Fault::HistogramSample.into());
    }
    let values = match (instant, sampled.value, sampled.values) {
        (true, Some(value), None) => vec![value],
        (false, None, Some(values)) => values,
        _ => return Err(malformed("a series has no samples of the kind asked for")),
    };
    let points = values.iter().map(|value| point(value, from, to)).collect::<Result<Vec<_>, _>>()?;
    if points.windows(2).any(|pair| pair[0].at >= pair[1].at) {
        return Err(malformed("the samples are not in order of time"));
    }
    Ok(RawSeries { labels: sampled.metric, points })
}

/// Only there a histogram is what was asked for.
fn is_of_buckets(labels: &BTreeMap<String, String>) -> bool {
    labels.get(TAG).is_some_and(|tag| tag.starts_with("buckets"))
}

fn point((at, value): &(Value, Value), from: Timestamp, to: Timestamp) -> Result<Point, Trouble> {
    let at = time(at, from, to)?;
    Ok(Point { at, value: number(value)? })
}

/// The time of a sample, which has to be one of those that were asked for.
fn time(at: &Value, from: Timestamp, to: Timestamp) -> Result<Timestamp, Trouble> {
    let at = at
        .as_f64()
        .and_then(|seconds| jiff::SignedDuration::try_from_secs_f64(seconds).ok())
        // Prometheus counts in milliseconds, which a float does not hold exactly.
        .and_then(|since_epoch| Timestamp::from_duration(since_epoch).ok()?.round(Unit::Millisecond).ok())
        .ok_or_else(|| malformed("a sample has no time"))?;
    let tolerance = jiff::SignedDuration::from_secs(1);
    if from.duration_since(at) > tolerance || at.duration_since(to) > tolerance {
        return Err(malformed(&format!("a sample is of {at}, which was not asked for")));
    }
    Ok(at)
}

/// A finite number, which Prometheus writes as a text.
pub(super) fn number(value: &Value) -> Result<f64, Trouble> {
    let text = value.as_str().ok_or_else(|| malformed("a sample's value is not a text"))?;
    let value: f64 = text.parse().map_err(|_| malformed(&format!("a sample has the value {text:?}")))?;
    if value.is_nan() {
        return Err(Gap::NotANumber.into());
    }
    if value.is_infinite() {
        return Err(Gap::Infinite.into());
    }
    Ok(value)
}

fn unreadable(error: &serde_json::Error) -> Trouble {
    if error.is_eof() { Fault::Truncated.into() } else { malformed(&error.to_string()) }
}

pub(super) fn malformed(detail: &str) -> Trouble {
    Fault::Malformed { detail: detail.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(body: &str) -> Result<Vec<RawSeries>, Trouble> {
        let at = Timestamp::from_second(1_000).unwrap();
        decode(body.as_bytes(), &Query::Instant { promql: "x".into(), at }, &[])
    }

    fn vector(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#)
    }

    #[test]
    fn one_float_sample_is_read() {
        let series = instant(&vector(r#"{"metric":{"a":"b"},"value":[1000,"0.5"]}"#)).unwrap();
        assert_eq!(series[0].points[0].value.to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn every_bad_answer_has_its_own_trouble() {
        let sample = |value: &str| vector(&format!(r#"{{"metric":{{}},"value":[1000,{value}]}}"#));
        let cases = [
            (sample(r#""NaN""#), "NotANumber"),
            (sample(r#""+Inf""#), "Infinite"),
            (sample(r#""-Inf""#), "Infinite"),
            (sample("0.5"), "not a text"),
            (sample(r#""0x1p-4""#), "0x1p-4"),
            (vector(r#"{"metric":{},"value":[1,"0.5"]}"#), "was not asked for"),
            (vector(r#"{"metric":{},"value":["now","0.5"]}"#), "no time"),
            (vector(r#"{"metric":{},"value":[1000]}"#), "Malformed"),
            (vector(r#"{"metric":{},"histogram":[1000,{}]}"#), "HistogramSample"),
            (vector(r#"{"metric":{}}"#), "no samples"),
            (vector("null"), "Malformed"),
            (vector(r#"{"metric":{},"value":[1000,"0.9"]},{"metric":{},"value":[1000,"0.1"]}"#), "twice"),
            (r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.into(), "WrongResultType"),
            (r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#.into(), "WrongResultType"),
            (r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.into(), "Refused"),
            (r#"{"status":"success"}"#.into(), "no data"),
            (r#"{"status":"success","data":{"resultType":"vector","result":["#.into(), "Truncated"),
            (String::new(), "Truncated"),
            ("<html>".into(), "Malformed"),
            ("{}".into(), "status"),
            (r#"{"status":"success","status":"success"}"#.into(), "duplicate"),
            (
                r#"{"status":"success","warnings":["partial"],"data":{"resultType":"vector","result":[]}}"#.into(),
                "Warnings",
            ),
            (format!("{}x", sample(r#""1""#)), "trailing"),
        ];
        for (body, trouble) in cases {
            let told = format!("{:?}", instant(&body).unwrap_err());
            assert!(told.contains(trouble), "{body}: {told}, not {trouble}");
        }
    }

    #[test]
    fn an_allowed_warning_spoils_nothing() {
        let body = r#"{"status":"success","warnings":["store x: partial"],"data":{"resultType":"vector","result":[]}}"#;
        let query = Query::Instant { promql: "x".into(), at: Timestamp::from_second(1_000).unwrap() };
        assert!(decode(body.as_bytes(), &query, &["partial".into()]).is_ok());
    }
}
