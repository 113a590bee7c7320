//! A latency quantile, judged as a share: at most `1 − quantile` of the requests may be slower than the limit.
//!
//! On a bucket edge the slow requests are counted exactly; between two edges only within bounds. Interpolation, as
//! `histogram_quantile` does it, can pass with 2.5 times the allowed slow requests, and serves here for display only.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::condition::{Condition, Metric, Quantile};
use super::counts::{Increments, Window};
use super::dispersion;
use super::evidence::Bursts;
use super::quality;
use super::samples::{Point, Samples, Scope, Series};
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
    let moments = samples.moments_since(scope.since.unwrap_or(window.from));
    let histogram = Histogram::of(scope, samples)?;
    let (below, above) = histogram.edges_around(limit.as_secs_f64())?;
    let (least, requests) = histogram.slower_than(above, moments, scope)?;
    let most = if below < above { histogram.slower_than(below, moments, scope)?.0 } else { least.clone() };
    let quality = quality::of_evidence(condition, &Metric::BucketTimes, window, scope, samples)?;
    let counts = Counts {
        moments,
        least,
        most,
        requests,
        between: (below < above).then_some((below, above)),
        quantile: histogram
            .interpolate(quantile.get(), window)?
            .map(|interpolated| share::Quantile { interpolated, limit: limit.as_secs_f64() }),
        bursts: bursts(samples, below),
    };
    share::judge(condition, quantile.allowance(), &counts, window, quality, scope)
}

/// Cumulative counters by upper bound of the bucket, in seconds.
pub struct Histogram<'a> {
    /// Finite bounds that every pod has.
    edges: BTreeMap<OrderedEdge, Vec<&'a Series>>,
    all: Vec<&'a Series>,
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
    pub fn of(scope: &Scope, samples: &'a Samples) -> Result<Self, Trouble> {
        let buckets = samples.get(&Metric::Buckets)?;
        quality::one_source(&Metric::BucketSources, scope, samples)?;
        let mut edges = by_edge(buckets)?;
        let Some(all) = edges.remove(&OrderedEdge(f64::INFINITY)) else {
            return Err(Fault::Malformed { detail: "the histogram has no +Inf bucket".to_owned() }.into());
        };
        scope.all_in(&Metric::Buckets, |pod| all.iter().any(|series| series.pod == pod))?;
        // An edge that some pod lacks would count that pod's requests as slow.
        edges.retain(|_, pods| pods.len() == all.len());
        if edges.is_empty() {
            return Err(Fault::Malformed { detail: "the histogram has no finite bucket".to_owned() }.into());
        }
        Ok(Self { edges, all })
    }

    /// The finite bounds that every pod has, in seconds and in order.
    pub fn edges(&self) -> impl Iterator<Item = f64> {
        self.edges.keys().map(|edge| edge.0)
    }

    /// Requests that took longer than an edge, and all requests, between these moments.
    pub fn slower_than(
        &self,
        edge: f64,
        moments: &[Timestamp],
        scope: &Scope,
    ) -> Result<(Increments<'a>, Increments<'a>), Trouble> {
        let count = |series: &[&'a Series]| Increments::of(series.iter().copied(), moments, &Metric::Buckets, scope);
        let all = count(&self.all)?;
        let faster = count(self.edges.get(&OrderedEdge(edge)).map(Vec::as_slice).unwrap_or_default())?;
        Ok((all.without(&faster)?, all))
    }

    /// The highest finite edge.
    pub fn top(&self) -> Option<f64> {
        self.edges.keys().next_back().map(|edge| edge.0)
    }

    /// The greatest edge that is at most `limit` and the least that is at least `limit`, in seconds.
    pub fn edges_around(&self, limit: f64) -> Result<(f64, f64), Trouble> {
        let Some(top) = self.top() else {
            return Err(Fault::Malformed { detail: "the histogram has no finite bucket".to_owned() }.into());
        };
        if limit >= top {
            return Err(Fault::AboveTopBucket { top }.into());
        }
        let below = self.edges.keys().rev().find(|edge| edge.0 <= limit);
        let above = self.edges.keys().find(|edge| edge.0 >= limit);
        match (below, above) {
            (Some(below), Some(above)) => Ok((below.0, above.0)),
            // Below the lowest edge nothing is known to be fast enough.
            _ => Err(Fault::Malformed {
                detail: format!("the limit is below the lowest bucket edge of the histogram ({limit}s)"),
            }
            .into()),
        }
    }

    /// The quantile of a window in seconds, linear inside its bucket as Prometheus does it.
    ///
    /// # Errors
    /// [`Gap::ImpossibleCount`] where a bucket has fewer requests than the one below it, which is a part of it.
    pub fn interpolate(&self, quantile: f64, window: Window) -> Result<Option<f64>, Gap> {
        let added = |series: &[&Series]| series.iter().map(|series| added(series, window)).sum::<f64>();
        let all = added(&self.all);
        let rank = quantile * all;
        let (mut lower, mut below, mut found) = (0.0, 0.0, None);
        for (edge, series) in &self.edges {
            let count = added(series);
            if count < below {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "non-negative counts")]
                let (events, requests) = (below as u64, count as u64);
                return Err(Gap::ImpossibleCount { events, requests });
            }
            if found.is_none() && count >= rank && count > below {
                found = Some(lower + (edge.0 - lower) * (rank - below) / (count - below));
            }
            (lower, below) = (edge.0, count);
        }
        Ok(found.or_else(|| (all > 0.0).then_some(lower)))
    }
}

/// What a counter added in a window, as far as it was read; for display only.
fn added(series: &Series, window: Window) -> f64 {
    let inside = &series.points[series.points.partition_point(|point| point.at < window.from)..];
    inside
        .windows(2)
        .map(|pair| if pair[1].value < pair[0].value { pair[1].value } else { pair[1].value - pair[0].value })
        .sum()
}

/// How requests slower than this edge (in seconds) came together before the change.
pub fn bursts(samples: &Samples, edge: f64) -> Option<Bursts> {
    Before::of(samples).bursts(edge)
}

/// The histogram of all pods together before the change.
struct Before<'a> {
    edges: BTreeMap<OrderedEdge, Vec<&'a Series>>,
}

impl<'a> Before<'a> {
    fn of(samples: &'a Samples) -> Self {
        Self { edges: by_edge(samples.if_any(&Metric::BucketsBefore)).unwrap_or_default() }
    }

    /// How requests slower than this edge came together.
    fn bursts(&self, edge: f64) -> Option<Bursts> {
        let of = |edge: f64| self.edges.get(&OrderedEdge(edge)).and_then(|series| series.first().copied());
        let (Some(all), Some(faster)) = (of(f64::INFINITY), of(edge)) else { return None };
        let faster_at = |at: Timestamp| {
            let found = faster.points.binary_search_by_key(&at, |point| point.at).ok()?;
            Some(faster.points[found].value)
        };
        let slower = all
            .points
            .iter()
            .filter_map(|point| Some(Point { at: point.at, value: point.value - faster_at(point.at)? }))
            .collect();
        let slower = Series { pod: String::new(), part: String::new(), points: slower };
        dispersion::bursts(std::slice::from_ref(all), &[slower])
    }
}

fn by_edge(buckets: &[Series]) -> Result<BTreeMap<OrderedEdge, Vec<&Series>>, Fault> {
    let mut edges: BTreeMap<OrderedEdge, Vec<&Series>> = BTreeMap::new();
    for series in buckets {
        edges.entry(edge(&series.part)?).or_default().push(series);
    }
    Ok(edges)
}

fn edge(label: &str) -> Result<OrderedEdge, Fault> {
    let parsed = if label == "+Inf" { Some(f64::INFINITY) } else { label.parse::<f64>().ok() };
    parsed
        .filter(|edge| !edge.is_nan())
        .map(OrderedEdge)
        .ok_or_else(|| Fault::Malformed { detail: format!("a bucket has the bound {label:?}") })
}
