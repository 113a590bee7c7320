//! One look at the world: cluster and Prometheus together, for one moment.
//!
//! The only room that sees both edges. It decides which samples are needed and fetches each of them once; it judges
//! nothing.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::judge::condition::{Condition, Metric};
use crate::judge::query::POINTS;
use crate::judge::samples::{LivePod, Samples, Scope, Series};
use crate::judge::verdict::{Fault, Trouble};
use crate::prometheus::selector::{Pods, pod_pattern};
use crate::prometheus::{Prometheus, Query, RawSeries};
use crate::rollout::declaration::Header;
use crate::rollout::standing::Standing;
use crate::rollout::workload::{Health, Workload};

/// Queries under way at once.
const AT_ONCE: usize = 8;
/// Points of the grid inside the shortest window.
const POINTS_IN_SHORTEST: f64 = 8.0;
/// Points of the grid in all, well below the 11,000 that Prometheus allows.
const MOST_POINTS: f64 = 5_000.0;

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
    let grid = Grid::of(conditions, now);
    let mut asked: Vec<(Query, Vec<Metric>)> = Vec::new();
    let mut samples = Samples::default();
    for metric in metrics {
        match query(&metric, header, &pods, &grid) {
            Err(fault) => samples.insert(metric, Err(fault.into())),
            Ok(query) => match asked.iter_mut().find(|(same, _)| *same == query) {
                Some((_, shared)) => shared.push(metric),
                None => asked.push((query, vec![metric])),
            },
        }
    }
    let mut offsets = vec![Some(SignedDuration::ZERO), moment.cluster_clock_offset];
    if let Some(prometheus) = prometheus {
        let answers: Vec<_> =
            stream::iter(&asked).map(|(query, _)| prometheus.ask(query)).buffered(AT_ONCE).collect().await;
        for ((_, metrics), answer) in asked.iter().zip(answers) {
            offsets.push(answer.clock_offset);
            for metric in metrics {
                let series = answer.series.clone().map(|series| by_pod(series, metric, header, &pods));
                samples.insert(metric.clone(), series);
            }
        }
    } else {
        for metric in asked.iter().flat_map(|(_, metrics)| metrics) {
            let nowhere = Trouble::Fault(Fault::NotDeclared { indicator: "prometheus.url" });
            samples.insert(metric.clone(), Err(nowhere));
        }
    }
    let clock_skew = if moment.past { Some(SignedDuration::ZERO) } else { skew(&offsets) };
    let queries = serde_json::json!(asked.iter().map(|(query, _)| query).collect::<Vec<_>>());
    Observation { scope: scope(workload, standing, moment, now, clock_skew), samples, queries }
}

fn scope(
    workload: &Workload,
    standing: &Standing,
    moment: &Moment,
    now: Timestamp,
    clock_skew: Option<SignedDuration>,
) -> Scope {
    let entered = standing.place.as_ref().map(|place| place.since);
    // A restart of the pods that this rollout did not make spoils a window all the same.
    let since = entered.max(workload.replicas.rolled_out);
    if moment.past {
        return Scope { pods: None, since: since.filter(|since| *since <= now), now, clock_skew, rolling: false };
    }
    let pods = workload
        .live_pods()
        .map(|pod| LivePod { name: pod.name.clone(), started: pod.started.unwrap_or(now) })
        .collect();
    let rolling = workload.templates().len() > 1 || workload.replicas.health() != Health::Healthy;
    Scope { pods: Some(pods), since, now, clock_skew, rolling }
}

/// The moments at which counters are read: one grid for all, so that each counter is fetched once.
struct Grid {
    from: Timestamp,
    to: Timestamp,
    step: Duration,
}

impl Grid {
    fn of(conditions: &[&Condition], now: Timestamp) -> Self {
        let windows = conditions
            .iter()
            .filter(|condition| condition.needs().iter().any(Metric::is_counted))
            .map(|condition| condition.window.as_secs_f64().ceil().max(1.0));
        let (shortest, longest) =
            windows.fold((f64::INFINITY, 1.0_f64), |(low, high), window| (low.min(window), high.max(window)));
        let points = (longest / shortest.min(longest) * POINTS_IN_SHORTEST).ceil().min(MOST_POINTS);
        let from = now.checked_sub(Duration::from_secs_f64(longest)).unwrap_or(Timestamp::MIN);
        Self { from, to: now, step: Duration::from_secs_f64(longest / points) }
    }

    fn range(&self, promql: String) -> Query {
        Query::Range { promql, from: self.from, to: self.to, step: self.step }
    }
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

fn query(metric: &Metric, header: &Header, pods: &Pods<'_>, grid: &Grid) -> Result<Query, Fault> {
    let error_rate =
        || header.indicators.error_rate.as_ref().ok_or(Fault::NotDeclared { indicator: "indicators.error_rate" });
    let histogram =
        || header.indicators.latency_histogram.as_deref().ok_or(Fault::NotDeclared { indicator: "indicators.latency" });
    Ok(match metric {
        Metric::Requests => grid.range(pods.counter(&error_rate()?.requests)),
        Metric::RequestTimes => grid.range(pods.sample_times(&error_rate()?.requests)),
        Metric::Errors => grid.range(pods.errors(&error_rate()?.errors)),
        Metric::Buckets => grid.range(pods.buckets(histogram()?)),
        Metric::BucketTimes => grid.range(pods.sample_times(&format!("{}_count", histogram()?))),
        Metric::BreakerState { breaker, window } => {
            let metrics =
                header.breaker_metrics.as_ref().ok_or(Fault::NotDeclared { indicator: "breakers.metrics" })?;
            let declared = header.breaker(breaker).ok_or(Fault::NotDeclared { indicator: "breakers" })?;
            let promql = pods.breaker_states(&metrics.state_gauge, &metrics.label, &declared.pattern, *window);
            Query::Raw { promql, at: grid.to }
        }
        Metric::Query(query, window) => {
            let promql = pods.substitute(&query.promql);
            if query.throughout {
                let from = grid.to.checked_sub(*window).unwrap_or(Timestamp::MIN);
                let step = *window / u32::try_from(POINTS).unwrap_or(1);
                Query::Range { promql, from, to: grid.to, step }
            } else {
                Query::Instant { promql, at: grid.to }
            }
        }
    })
}

/// Names each series by its pod, and by the label that tells the series of one pod apart.
fn by_pod(series: Vec<RawSeries>, metric: &Metric, header: &Header, pods: &Pods<'_>) -> Vec<Series> {
    let part = match metric {
        Metric::Buckets => Some("le"),
        Metric::BreakerState { .. } => header.breaker_metrics.as_ref().map(|metrics| metrics.label.as_str()),
        Metric::Requests | Metric::RequestTimes | Metric::Errors | Metric::BucketTimes | Metric::Query(..) => None,
    };
    series
        .into_iter()
        .map(|RawSeries { mut labels, points }| Series {
            pod: labels.remove(pods.label()).unwrap_or_default(),
            part: part.and_then(|label| labels.remove(label)).unwrap_or_default(),
            points,
        })
        .collect()
}

/// The greatest difference between any two clocks; None if one of them is unknown.
fn skew(offsets: &[Option<SignedDuration>]) -> Option<SignedDuration> {
    let known: Vec<SignedDuration> = offsets.iter().copied().collect::<Option<_>>()?;
    Some(*known.iter().max()? - *known.iter().min()?)
}
