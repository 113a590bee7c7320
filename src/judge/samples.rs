//! What one look at Prometheus brought home, and which pods it is judged for.
//!
//! It does not know the queries that fetched it.

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
            Self::Requests | Self::RequestTimes => "requests",
            Self::Errors => "errors",
            Self::Buckets | Self::BucketTimes => "latency histogram",
            Self::BreakerState { .. } => "breaker state",
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
    /// Greatest difference between the clocks of this machine, the API server and Prometheus; None if unknown.
    pub clock_skew: Option<SignedDuration>,
    /// Pods of more than one template are running.
    pub rolling: bool,
}

/// A pod that ought to deliver samples.
#[derive(Debug, Clone, PartialEq)]
pub struct LivePod {
    pub name: String,
    pub started: Timestamp,
}
