//! A latency quantile, judged as a share: at most `1 − quantile` of the requests may be slower than the limit.
//!
//! On a bucket edge the slow requests are counted exactly; between two edges only within bounds. Interpolation, as
//! `histogram_quantile` does it, can pass with 2.5 times the allowed slow requests, and serves here for display only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::condition::{Condition, Metric, Quantile};
use super::counts::{self, Window};
use super::evidence::as_float;
use super::quality;
use super::samples::{Samples, Scope, Series};
use super::share::{self, Counts};
use super::verdict::{Fault, Gap, Judgement, Trouble};

pub fn judge(
    condition: &Condition,
    quantile: Quantile,
    limit: Duration,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let buckets = samples.get(&Metric::Buckets)?;
    let quality = quality::of_times(&Metric::BucketTimes, window, scope, samples)?;
    let histogram = Histogram::count(buckets, window, scope)?;
    let (below, above) = histogram.edges_around(limit.as_secs_f64())?;
    let counts = Counts {
        least: histogram.slower_than(above)?,
        most: histogram.slower_than(below)?.values().sum(),
        requests: histogram.total.clone(),
        between: (below < above).then_some((below, above)),
        quantile_seconds: histogram.interpolate(quantile.get()),
    };
    share::judge(condition, quantile.allowance(), &counts, window, quality)
}

/// Requests of one window by pod and upper bound of the bucket, in seconds.
struct Histogram<'a> {
    cumulative: BTreeMap<OrderedEdge, BTreeMap<&'a str, u64>>,
    total: BTreeMap<&'a str, u64>,
}

/// A bucket edge; parsed from a label, never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct OrderedEdge(f64);

impl Eq for OrderedEdge {}
impl Ord for OrderedEdge {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
impl PartialOrd for OrderedEdge {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Histogram<'a> {
    fn count(buckets: &'a [Series], window: Window, scope: &Scope) -> Result<Self, Trouble> {
        let mut edges: BTreeSet<OrderedEdge> = BTreeSet::new();
        for series in buckets {
            edges.insert(edge(&series.part)?);
        }
        let mut cumulative = BTreeMap::new();
        for wanted in edges {
            let of_edge = buckets.iter().filter(|series| edge(&series.part).is_ok_and(|edge| edge == wanted));
            cumulative.insert(wanted, counts::increases(of_edge, window, scope)?);
        }
        let Some(total) = cumulative.remove(&OrderedEdge(f64::INFINITY)) else {
            return Err(Fault::Malformed { detail: "the histogram has no +Inf bucket".to_owned() }.into());
        };
        // An edge that some pod lacks would count that pod's requests as slow.
        cumulative.retain(|_, pods| pods.len() == total.len());
        Ok(Self { cumulative, total })
    }

    /// Requests by pod that took longer than an edge.
    fn slower_than(&self, edge: f64) -> Result<BTreeMap<&'a str, u64>, Gap> {
        let faster = &self.cumulative[&OrderedEdge(edge)];
        let slower = |(pod, all): (&&'a str, &u64)| {
            let faster = faster.get(pod).copied().unwrap_or_default();
            let impossible = Gap::ImpossibleCount { events: faster, requests: *all };
            Ok((*pod, all.checked_sub(faster).ok_or(impossible)?))
        };
        self.total.iter().map(slower).collect()
    }

    /// The greatest edge that is at most `limit` and the least that is at least `limit`, in seconds.
    fn edges_around(&self, limit: f64) -> Result<(f64, f64), Trouble> {
        let top = self.cumulative.keys().next_back().map(|edge| edge.0);
        let Some(top) = top else {
            return Err(Gap::NoSeries { metric: Metric::Buckets.label().to_owned() }.into());
        };
        if limit >= top {
            return Err(Fault::AboveTopBucket { top }.into());
        }
        let below = self.cumulative.keys().rev().find(|edge| edge.0 <= limit);
        let above = self.cumulative.keys().find(|edge| edge.0 >= limit);
        match (below, above) {
            (Some(below), Some(above)) => Ok((below.0, above.0)),
            // Below the lowest edge nothing is known to be fast enough.
            _ => Err(Fault::Malformed {
                detail: format!("the limit is below the lowest bucket edge of the histogram ({limit}s)"),
            }
            .into()),
        }
    }

    /// The quantile in seconds, linear inside its bucket as Prometheus does it.
    fn interpolate(&self, quantile: f64) -> Option<f64> {
        let all: u64 = self.total.values().sum();
        let rank = quantile * as_float(all);
        let (mut lower, mut below) = (0.0, 0.0);
        for (edge, pods) in &self.cumulative {
            let count = as_float(pods.values().sum());
            if count >= rank && count > below {
                return Some(lower + (edge.0 - lower) * (rank - below) / (count - below));
            }
            (lower, below) = (edge.0, count);
        }
        (all > 0).then_some(lower)
    }
}

fn edge(label: &str) -> Result<OrderedEdge, Fault> {
    let parsed = if label == "+Inf" { Some(f64::INFINITY) } else { label.parse::<f64>().ok() };
    parsed
        .filter(|edge| !edge.is_nan())
        .map(OrderedEdge)
        .ok_or_else(|| Fault::Malformed { detail: format!("a bucket has the bound {label:?}") })
}
