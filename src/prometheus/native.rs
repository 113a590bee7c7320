//! Native histograms, read as classic ones: cumulative counts by upper bound.
//!
//! Every bound is one of the histogram's own buckets, so that nothing is interpolated. It does not know which bounds
//! will be asked for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::answer::{RawSeries, malformed, number};
use crate::judge::samples::Point;
use crate::judge::verdict::Trouble;

/// Empty buckets are left out, so that nothing was faster than the lowest or slower than the highest one: these bounds
/// say so wherever no bucket reaches across them.
const OUTERMOST: [f64; 2] = [1e-9, f64::MAX];

/// One sample of a native histogram.
#[derive(Deserialize)]
pub struct NativeHistogram {
    count: Value,
    /// Which bounds are included, the lower bound, the upper bound, and the count; empty buckets are left out.
    #[serde(default)]
    buckets: Vec<(u8, Value, Value, Value)>,
}

/// A sample that was read: its time, everything it counted, and its buckets.
type Read = (Timestamp, f64, Vec<Bucket>);

struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
}

/// One series for each bound that no bucket of any sample lies across, and one for everything.
pub fn classic(
    labels: &BTreeMap<String, String>,
    samples: &[(Value, NativeHistogram)],
    time: impl Fn(&Value) -> Result<Timestamp, Trouble>,
) -> Result<Vec<RawSeries>, Trouble> {
    let mut read: Vec<Read> = Vec::new();
    for (at, histogram) in samples {
        let buckets = histogram.buckets.iter().map(bucket).collect::<Result<Vec<_>, _>>()?;
        read.push((time(at)?, number(&histogram.count)?, buckets));
    }
    if read.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(malformed("the samples are not in order of time"));
    }
    let buckets = || read.iter().flat_map(|(_, _, buckets)| buckets);
    // As bits: positive numbers are in the same order.
    let own = buckets().flat_map(|bucket| [bucket.lower, bucket.upper]).filter(is_bound);
    let bounds: BTreeSet<u64> = own.chain(OUTERMOST).map(f64::to_bits).collect();
    let clear = |bound: &f64| !buckets().any(|bucket| bucket.lower < *bound && *bound < bucket.upper);
    let series = |le: String, count: &dyn Fn(&Read) -> f64| {
        let mut labels = labels.clone();
        labels.insert("le".to_owned(), le);
        RawSeries { labels, points: read.iter().map(|sample| Point { at: sample.0, value: count(sample) }).collect() }
    };
    let below = |bound: f64| {
        series(format!("{bound:?}"), &|(_, _, buckets)| {
            buckets.iter().filter(|bucket| bucket.upper <= bound).map(|bucket| bucket.count).sum()
        })
    };
    let mut all: Vec<RawSeries> = bounds.into_iter().map(f64::from_bits).filter(clear).map(below).collect();
    all.push(series("+Inf".to_owned(), &|(_, count, _)| *count));
    Ok(all)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "a filter hands out references")]
fn is_bound(bound: &f64) -> bool {
    bound.is_finite() && *bound > 0.0
}

fn bucket((_, lower, upper, count): &(u8, Value, Value, Value)) -> Result<Bucket, Trouble> {
    // The outermost buckets have no end.
    let bound = |value: &Value| match value.as_str() {
        Some("+Inf") => Ok(f64::INFINITY),
        Some("-Inf") => Ok(f64::NEG_INFINITY),
        _ => number(value),
    };
    Ok(Bucket { lower: bound(lower)?, upper: bound(upper)?, count: number(count)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn classic_of(samples: Value) -> Result<Vec<(String, Vec<f64>)>, Trouble> {
        let samples: Vec<(Value, NativeHistogram)> = serde_json::from_value(samples).unwrap();
        let at = |value: &Value| Ok(Timestamp::from_second(value.as_i64().unwrap()).unwrap());
        let series = classic(&BTreeMap::new(), &samples, at)?;
        let values = |series: &RawSeries| series.points.iter().map(|point| point.value).collect();
        Ok(series.iter().map(|series| (series.labels["le"].clone(), values(series))).collect())
    }

    #[test]
    fn buckets_become_cumulative_counts_at_their_own_bounds() {
        let one =
            json!([[1, {"count": "10", "sum": "3", "buckets": [[0, "0.1", "0.2", "4"], [0, "0.4", "0.8", "6"]]}]]);
        let (least, most) = ("1e-9", "1.7976931348623157e308");
        let expected =
            [(least, 0.0), ("0.1", 0.0), ("0.2", 4.0), ("0.4", 4.0), ("0.8", 10.0), (most, 10.0), ("+Inf", 10.0)];
        let expected: Vec<_> = expected.map(|(le, count)| (le.to_owned(), vec![count])).into();
        assert_eq!(classic_of(one).unwrap(), expected);
    }

    #[test]
    fn a_bound_inside_a_coarser_bucket_of_another_sample_is_none() {
        let coarser = json!([
            [1, {"count": "4", "sum": "1", "buckets": [[0, "0.1", "0.2", "4"]]}],
            [2, {"count": "6", "sum": "2", "buckets": [[0, "0.05", "0.4", "6"]]}],
        ]);
        let bounds: Vec<String> = classic_of(coarser).unwrap().into_iter().map(|(le, _)| le).collect();
        assert_eq!(bounds[1..3], ["0.05", "0.4"]);
    }

    #[test]
    fn what_lies_beyond_the_highest_bound_of_custom_buckets_is_unknown() {
        let open = json!([[1, {"count": "5", "sum": "9", "buckets": [[0, "1", "2.5", "4"], [0, "2.5", "+Inf", "1"]]}]]);
        let bounds: Vec<String> = classic_of(open).unwrap().into_iter().map(|(le, _)| le).collect();
        assert_eq!(bounds, ["1e-9", "1.0", "2.5", "+Inf"]);
    }

    #[test]
    fn a_sample_that_makes_no_sense_is_refused() {
        for count in [json!("NaN"), json!("many"), json!(3)] {
            assert!(classic_of(json!([[1, {"count": count, "sum": "1", "buckets": []}]])).is_err());
        }
    }
}
