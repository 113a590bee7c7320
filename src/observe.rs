//! One look at the world: cluster and Prometheus together, for one moment.
//!
//! The only room that sees both edges. It decides which samples are needed and fetches each of them once; it judges
//! nothing.

mod grid;

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::judge::condition::{Condition, Metric};
use crate::judge::query::POINTS;
use crate::judge::samples::{LivePod, Point, Samples, Scope, Series};
use crate::judge::verdict::{Fault, Trouble};
use crate::prometheus::selector::{Pods, pod_pattern};
use crate::prometheus::{Answer, Prometheus, Query, RawSeries};
use crate::rollout::declaration::Header;
use crate::rollout::standing::Standing;
use crate::rollout::workload::{Health, Workload};
use grid::Grid;

/// Queries under way at once.
const AT_ONCE: usize = 8;
/// When and about what to look.
pub struct Moment {
    pub now: Timestamp,
    /// `now` is a past time: the pods of that time are those that Prometheus knows.
    pub past: bool,
    /// How far the API server's clock is ahead of ours.
    pub cluster_clock_offset: Option<SignedDuration>,
}

/// What was looked at, ready to be judged.
pub struct Observation {
    pub scope: Scope,
    pub samples: Samples,
    /// The queries as they were sent, for the record.
    pub queries: serde_json::Value,
}

/// Fetches what the conditions need, each metric once.
pub async fn sample(
    prometheus: Option<&Prometheus>,
    header: &Header,
    workload: &Workload,
    standing: &Standing,
    conditions: &[&Condition],
    moment: &Moment,
) -> Observation {
    // Prometheus is asked in whole seconds.
    let now = Timestamp::from_second(moment.now.as_second()).unwrap_or(moment.now);
    let mut metrics: Vec<Metric> = Vec::new();
    for metric in conditions.iter().flat_map(|condition| condition.needs()) {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let templates = if moment.past { Vec::new() } else { workload.templates().into_iter().collect() };
    let pattern = pod_pattern(&workload.deployment, templates.into_iter());
    let pods = Pods { namespace: &workload.namespace, pattern: &pattern, labels: &header.prometheus.selector };
    let counted = conditions.iter().filter(|condition| condition.needs().iter().any(Metric::is_counted));
    let grid = Grid::of(counted.map(|condition| condition.window), now);
    let mut asked: Vec<Query> = Vec::new();
    let mut share = |query: Query| {
        asked.iter().position(|same| *same == query).unwrap_or_else(|| {
            asked.push(query);
            asked.len() - 1
        })
    };
    let needed: Vec<(Metric, Result<Vec<usize>, Fault>)> = metrics
        .into_iter()
        .map(|metric| {
            let queries = queries(&metric, header, &pods, &grid);
            (metric, queries.map(|queries| queries.into_iter().map(&mut share).collect()))
        })
        .collect();
    let answers = ask(prometheus, &asked).await;
    let mut samples = Samples::on_grid(grid.moments());
    for (metric, queries) in needed {
        let parts = queries.map(|queries| queries.iter().map(|index| answers[*index].series.clone()).collect());
        let series = parts.map_err(Trouble::from).and_then(|parts: Vec<_>| parts.into_iter().collect());
        let series = series.map(|parts: Vec<_>| by_pod(parts, &metric, header, &pods));
        samples.insert(metric, series);
    }
    // An answer that never came tells no time, and is told as what it is.
    let answered = answers.iter().filter(|answer| answer.clock_offset.is_some() || answer.series.is_ok());
    let offsets: Vec<_> =
        [moment.cluster_clock_offset].into_iter().chain(answered.map(|answer| answer.clock_offset)).collect();
    let clock_skew = if moment.past { Some(SignedDuration::ZERO) } else { skew(&offsets) };
    Observation {
        scope: scope(workload, standing, moment, now, clock_skew),
        samples,
        queries: serde_json::json!(asked),
    }
}

fn scope(
    workload: &Workload,
    standing: &Standing,
    moment: &Moment,
    now: Timestamp,
    clock_skew: Option<SignedDuration>,
) -> Scope {
    // A restart of the pods that this rollout did not make spoils a window all the same.
    let entered = standing.place.as_ref().map(|place| place.since);
    let switched_off = workload.emergency.as_ref().map(|mark| mark.at);
    let since = begin_of_evidence([entered, switched_off, workload.replicas.rolled_out], now, moment.past);
    if moment.past {
        return Scope { pods: None, since, now, clock_skew, rolling: false };
    }
    let pods = workload
        .live_pods()
        .map(|pod| LivePod { name: pod.name.clone(), started: pod.started.unwrap_or(now) })
        .collect();
    let rolling = workload.templates().len() > 1 || workload.replicas.health() != Health::Healthy;
    Scope { pods: Some(pods), since, now, clock_skew, rolling }
}

/// The last of the moments before which nothing counts. Seen from a past time, what came later bounds nothing; but a
/// rollout that ends just now seems to end in the future, because its end is known in whole seconds only.
fn begin_of_evidence(bounds: [Option<Timestamp>; 3], now: Timestamp, past: bool) -> Option<Timestamp> {
    bounds.into_iter().flatten().filter(|bound| !past || *bound <= now).max()
}

impl Metric {
    /// Read on the common grid.
    fn is_counted(&self) -> bool {
        match self {
            Self::Requests | Self::RequestTimes | Self::Errors | Self::Buckets | Self::BucketTimes => true,
            Self::BreakerState { .. } | Self::Query(..) => false,
        }
    }
}

fn queries(metric: &Metric, header: &Header, pods: &Pods<'_>, grid: &Grid) -> Result<Vec<Query>, Fault> {
    let error_rate =
        || header.indicators.error_rate.as_ref().ok_or(Fault::NotDeclared { indicator: "indicators.error_rate" });
    let histogram =
        || header.indicators.latency_histogram.as_deref().ok_or(Fault::NotDeclared { indicator: "indicators.latency" });
    Ok(match metric {
        Metric::Requests => grid.queries(&pods.counter(&error_rate()?.requests)),
        Metric::RequestTimes => grid.queries(&pods.sample_times(&error_rate()?.requests)),
        Metric::Errors => grid.queries(&pods.errors(&error_rate()?.errors)),
        Metric::Buckets => grid.queries(&pods.buckets(histogram()?)),
        Metric::BucketTimes => grid.queries(&pods.sample_times(&format!("{}_count", histogram()?))),
        Metric::BreakerState { breaker, window } => {
            let metrics =
                header.breaker_metrics.as_ref().ok_or(Fault::NotDeclared { indicator: "breakers.metrics" })?;
            let declared = header.breaker(breaker).ok_or(Fault::NotDeclared { indicator: "breakers" })?;
            let promql = pods.breaker_states(&metrics.state_gauge, &metrics.label, &declared.pattern, *window);
            vec![Query::Raw { promql, at: grid.now() }]
        }
        Metric::Query(query, window) => {
            let promql = pods.substitute(&query.promql);
            if query.throughout {
                let from = grid.now().checked_sub(*window).unwrap_or(Timestamp::MIN);
                let step = *window / u32::try_from(POINTS).unwrap_or(1);
                vec![Query::Range { promql, from, to: grid.now(), step }]
            } else {
                vec![Query::Instant { promql, at: grid.now() }]
            }
        }
    })
}

/// Sends the queries, some at once; without a server each is answered by that lack.
async fn ask(prometheus: Option<&Prometheus>, queries: &[Query]) -> Vec<Answer> {
    let Some(prometheus) = prometheus else {
        let nowhere = || Err(Fault::NotDeclared { indicator: "prometheus.url" }.into());
        return queries.iter().map(|_| Answer { series: nowhere(), clock_offset: None }).collect();
    };
    stream::iter(queries).map(|query| prometheus.ask(query)).buffered(AT_ONCE).collect().await
}

/// Names each series by its pod, and by the label that tells the series of one pod apart; the parts of a grid, which
/// come in order of time, are joined.
fn by_pod(parts: Vec<Vec<RawSeries>>, metric: &Metric, header: &Header, pods: &Pods<'_>) -> Vec<Series> {
    let part_label = match metric {
        Metric::Buckets => Some("le"),
        Metric::BreakerState { .. } => header.breaker_metrics.as_ref().map(|metrics| metrics.label.as_str()),
        Metric::Requests | Metric::RequestTimes | Metric::Errors | Metric::BucketTimes | Metric::Query(..) => None,
    };
    let mut joined: BTreeMap<BTreeMap<String, String>, Vec<Point>> = BTreeMap::new();
    for RawSeries { labels, points } in parts.into_iter().flatten() {
        joined.entry(labels).or_default().extend(points);
    }
    joined
        .into_iter()
        .map(|(mut labels, mut points)| {
            // The moment at which two parts meet is in both.
            points.dedup_by_key(|point| point.at);
            let pod = labels.remove(pods.label()).unwrap_or_default();
            let part = part_label.and_then(|label| labels.remove(label)).unwrap_or_default();
            Series { pod, part, points }
        })
        .collect()
}

/// The greatest difference between any two clocks; None if one of them is unknown.
fn skew(offsets: &[Option<SignedDuration>]) -> Option<SignedDuration> {
    let known: Vec<SignedDuration> = offsets.iter().copied().collect::<Option<_>>()?;
    Some(*known.iter().max()? - *known.iter().min()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_from_before_a_rollout_that_ended_in_this_very_second() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let now = at(1_000).unwrap();
        assert_eq!(begin_of_evidence([at(10), None, at(1_001)], now, false), at(1_001));
        assert_eq!(begin_of_evidence([at(10), at(990), at(900)], now, false), at(990));
        assert_eq!(begin_of_evidence([at(10), None, at(1_500)], now, true), at(10), "a later restart spoils nothing");
    }
}
