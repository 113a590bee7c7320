//! From answers to series: by metric, by pod, and the canary's apart from the stable ones.
//!
//! It judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use regex::Regex;

use super::edges;
use super::plan::{Fetch, Plan};
use crate::judge::condition::{Encoding, Metric};
use crate::judge::samples::{Point, Samples, Series};
use crate::judge::verdict::{Fault, Trouble};
use crate::prometheus::selector::TAG;
use crate::prometheus::{Answer, RawSeries};
use crate::rollout::declaration::{Header, StateSource};
use crate::rollout::workload::{owner, template};

/// No declared state.
const STRANGE: f64 = -1.0;

/// The series of every metric that was planned.
pub fn samples(plan: &Plan, answers: &[Answer], header: &Header, pod_label: &str) -> Samples {
    let mut samples = Samples::on_grid(plan.grid.moments());
    for Fetch { metric, queries } in &plan.fetches {
        let parts = queries.as_ref().map_err(|fault| Trouble::from(fault.clone()));
        let parts = parts.and_then(|indices| {
            indices
                .iter()
                .map(|index| answers[*index].series.as_ref().map_err(Trouble::clone))
                .collect::<Result<Vec<_>, _>>()
        });
        let series = parts.and_then(|parts| by_pod(&parts, metric, header, pod_label));
        samples.insert(metric.clone(), series);
    }
    samples
}

/// The canary's series and the others; those that are not about the pods of now go to both.
pub fn apart(samples: Samples, canaries: &BTreeSet<&str>) -> (Samples, Samples) {
    let is_canary = |series: &Series| owner(&series.pod).is_some_and(|owner| canaries.contains(owner));
    let of = |samples: Samples, canary: bool| {
        samples.filtered(|metric, series| metric.is_shared() || is_canary(series) == canary)
    };
    (of(samples.clone(), true), of(samples, false))
}

/// Of a past time, the series of pods whose template still delivered at the end: those that it had replaced by then were
/// on their way out. Where nobody delivered at the end, it is an outage, and everybody counts.
pub fn of_that_time(samples: Samples) -> Samples {
    let Some(end) = samples.moments().last().copied() else { return samples };
    let at_the_end = |series: &&Series| series.points.last().is_some_and(|point| point.at == end);
    let times = samples.answered().filter(|(metric, _)| metric.is_time());
    let present: BTreeSet<String> = times
        .flat_map(|(_, series)| series.iter().filter(at_the_end))
        .filter_map(|series| template(&series.pod).map(str::to_owned))
        .collect();
    if present.is_empty() {
        return samples;
    }
    let is_present = |series: &Series| template(&series.pod).is_none_or(|template| present.contains(template));
    samples.filtered(|metric, series| metric.is_shared() || is_present(series))
}

/// Names each series by its pod, and by the label that tells the series of one pod apart; the parts of a grid, which
/// come in order of time, are joined.
fn by_pod(
    parts: &[&Vec<RawSeries>],
    metric: &Metric,
    header: &Header,
    pod_label: &str,
) -> Result<Vec<Series>, Trouble> {
    let tag = metric.tag();
    let mut joined: BTreeMap<BTreeMap<&str, &str>, Vec<Point>> = BTreeMap::new();
    for RawSeries { labels, points } in parts.iter().copied().flatten() {
        let mut labels: BTreeMap<&str, &str> =
            labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if labels.remove(TAG).unwrap_or_default() == tag {
            joined.entry(labels).or_default().extend(points);
        }
    }
    if matches!(metric, Metric::BreakerState { .. })
        && let Some(metrics) = &header.breaker_metrics
    {
        joined = one_gauge(joined, &metrics.state);
    }
    let breaker_label = || header.breaker_metrics.as_ref().map(|metrics| metrics.label.as_str());
    let part_label = if matches!(metric, Metric::Buckets | Metric::BucketsBefore) {
        Some("le")
    } else {
        metric.breaker().and_then(|_| breaker_label())
    };
    let wanted = metric.breaker().map(|breaker| pattern_of(breaker, header)).transpose()?;
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    let named = joined.into_iter().map(|(mut labels, mut points)| {
        // The moment at which two parts meet is in both.
        points.dedup_by_key(|point| point.at);
        let of_pods = metric.is_counted() && !matches!(metric, Metric::Health(_));
        let pod = labels.remove(pod_label).filter(|_| of_pods || metric.breaker().is_some());
        let pod = pod.unwrap_or_default().to_owned();
        let part = part_label.and_then(|label| labels.remove(label)).unwrap_or_default().to_owned();
        // The query asked for one of a kind.
        if metric.is_counted() && !metric.is_shared() && !known.insert((pod.clone(), part.clone())) {
            return Err(Fault::Malformed { detail: format!("several {} series of pod {pod}", metric.label()) }.into());
        }
        Ok(Series { pod, part, points })
    });
    let ours = |series: &Series| wanted.as_ref().is_none_or(|wanted| wanted.is_match(&series.part));
    let named = named.filter(|named| named.as_ref().map_or(true, ours)).collect::<Result<Vec<_>, Trouble>>()?;
    Ok(if matches!(metric, Metric::Buckets) { edges::complete(named) } else { named })
}

/// Prometheus' own expressions are anchored, and RE2 is what the crate speaks too.
fn pattern_of(breaker: &str, header: &Header) -> Result<Regex, Fault> {
    let declared = header.breaker(breaker).ok_or(Fault::NotDeclared { indicator: "breakers" })?;
    Regex::new(&format!("^(?s:{})$", declared.pattern))
        .map_err(|_| Fault::Malformed { detail: format!("the pattern {:?} cannot be read", declared.pattern) })
}

/// One series a breaker out of one for each of its states: whichever is 1 is the present one.
fn one_gauge<'a>(
    series: BTreeMap<BTreeMap<&'a str, &'a str>, Vec<Point>>,
    source: &StateSource,
) -> BTreeMap<BTreeMap<&'a str, &'a str>, Vec<Point>> {
    let StateSource::Labels { label, closed, half_open, open, .. } = source else { return series };
    let Encoding { closed: is_closed, half_open: is_half_open, open: is_open } = Encoding::OF_LABELS;
    let value = |state: &str| match state {
        state if state == closed => is_closed,
        state if state == half_open => is_half_open,
        state if state == open => is_open,
        _ => STRANGE,
    };
    let mut states: BTreeMap<BTreeMap<&str, &str>, BTreeMap<Timestamp, f64>> = BTreeMap::new();
    for (mut labels, points) in series {
        let state = value(labels.remove(label.as_str()).unwrap_or_default());
        let breaker = states.entry(labels).or_default();
        for point in points.iter().filter(|point| point.value > 0.5) {
            breaker.insert(point.at, state);
        }
    }
    let points = |states: BTreeMap<Timestamp, f64>| states.into_iter().map(|(at, value)| Point { at, value }).collect();
    states.into_iter().map(|(labels, states)| (labels, points(states))).collect()
}
