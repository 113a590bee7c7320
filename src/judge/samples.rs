//! What one look at Prometheus brought home, and which pods it is judged for.
//!
//! It does not know the queries that fetched it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::condition::Metric;
use super::verdict::{Fault, Gap, Trouble};

/// One time series of one pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub pod: String,
    /// What tells the series of one pod apart: a bucket's upper bound, a breaker's name; empty where there is one.
    pub part: String,
    /// In order of time.
    pub points: Vec<Point>,
}

/// A value at a time. The value is finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub at: Timestamp,
    pub value: f64,
}

/// The answers of one look, by metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// The grid that counters were read on, in order.
    moments: Vec<Timestamp>,
    answers: Vec<(Metric, Result<Vec<Series>, Trouble>)>,
}

impl Samples {
    pub fn on_grid(moments: Vec<Timestamp>) -> Self {
        Self { moments, answers: Vec::new() }
    }

    pub fn moments(&self) -> &[Timestamp] {
        &self.moments
    }

    /// The moments from this one on.
    pub fn moments_since(&self, since: Timestamp) -> &[Timestamp] {
        &self.moments[self.moments.partition_point(|moment| *moment < since)..]
    }

    /// The series of a metric that a judgement can do without.
    pub fn if_any(&self, metric: &Metric) -> &[Series] {
        self.get(metric).unwrap_or_default()
    }

    /// Every metric that was answered, with its series.
    pub fn answered(&self) -> impl Iterator<Item = (&Metric, &[Series])> {
        self.answers.iter().filter_map(|(metric, answer)| Some((metric, answer.as_ref().ok()?.as_slice())))
    }

    /// The same answers without the series that are not kept.
    pub fn filtered(mut self, keep: impl Fn(&Metric, &Series) -> bool) -> Self {
        for (metric, answer) in &mut self.answers {
            if let Ok(series) = answer {
                series.retain(|series| keep(metric, series));
            }
        }
        self
    }

    pub fn insert(&mut self, metric: Metric, answer: Result<Vec<Series>, Trouble>) {
        self.answers.push((metric, answer));
    }

    /// The series of a metric.
    ///
    /// # Errors
    /// The trouble that its query met, or [`Gap::NoSeries`] when the answer is empty.
    pub fn get(&self, metric: &Metric) -> Result<&[Series], Trouble> {
        let answer = self.answers.iter().find(|(sampled, _)| sampled == metric);
        match answer {
            None => Err(Fault::Malformed { detail: format!("{} was not sampled", metric.label()) }.into()),
            Some((_, Err(trouble))) => Err(trouble.clone()),
            Some((_, Ok(series))) if series.iter().all(|series| series.points.is_empty()) => {
                Err(Gap::NoSeries { metric: metric.label().to_owned() }.into())
            }
            Some((_, Ok(series))) => Ok(series),
        }
    }
}

impl Metric {
    /// The word for it in reasons.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Requests | Self::RequestTimes | Self::RequestSources | Self::RequestsBefore => "requests",
            Self::Errors | Self::ErrorsBefore => "errors",
            Self::Buckets | Self::BucketTimes | Self::BucketSources | Self::BucketsBefore => "latency histogram",
            Self::BreakerState { .. }
            | Self::BreakerHighest { .. }
            | Self::BreakerLowest { .. }
            | Self::BreakerTimes { .. } => "breaker state",
            Self::BreakerRequests { .. } => "breaker requests",
            Self::BreakerFailures { .. } => "breaker failures",
            Self::Health(_) => "dependency health",
            Self::Memory | Self::MemoryTimes | Self::MemoryBefore => "memory",
            Self::Query(..) => "query",
        }
    }
}

/// The pods and the time that a judgement is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// The pods that run now; None for a past time, where the samples themselves are the only record.
    pub pods: Option<Vec<LivePod>>,
    /// Nothing older enters a window: when the present exposure was complete.
    pub since: Option<Timestamp>,
    pub now: Timestamp,
    /// For how long, all together, the triggers of the rollout are armed: a healthy service is rolled back with
    /// probability α at most in all that time, not in every check.
    pub horizon: Duration,
    /// Memory limit in bytes of the container, where it has one.
    pub memory_limit: Option<u64>,
    /// Greatest difference between the clocks of this machine, the API server and Prometheus; None if unknown.
    pub clock_skew: Option<SignedDuration>,
    /// Pods of more than one template are running.
    pub rolling: bool,
}

impl Scope {
    /// That each live pod has what is asked for.
    ///
    /// # Errors
    /// [`Gap::MissingPods`] with those that have not.
    pub fn all_in(&self, metric: &Metric, has: impl Fn(&str) -> bool) -> Result<(), Gap> {
        let names = self.pods.iter().flatten().map(|pod| &pod.name);
        let pods: Vec<String> = names.filter(|name| !has(name)).cloned().collect();
        if pods.is_empty() { Ok(()) } else { Err(Gap::MissingPods { metric: metric.label().to_owned(), pods }) }
    }

    /// Whether the pod is one of the judged ones and still runs; of a past time, whoever delivered samples does.
    pub fn covers(&self, pod: &str) -> bool {
        self.pods.as_ref().is_none_or(|pods| pods.iter().any(|live| live.name == pod))
    }
}

/// What is judged: the canary's pods where there is a canary, every pod of the Deployment otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    pub judged: Group,
    /// The stable pods beside a canary.
    pub stable: Option<Group>,
}

/// Some pods and their samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub scope: Scope,
    pub samples: Samples,
}

/// A pod that ought to deliver samples.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePod {
    pub name: String,
    /// The last start of its container.
    pub started: Timestamp,
    /// How often its container was started again.
    pub restarts: u32,
}
