//! What is asked of the samples: an indicator, a limit and a window.
//!
//! It does not know how a condition is written (`phase_file`) nor how it is judged.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Which way a condition works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Must hold before the rollout goes on.
    Gate,
    /// Calls for a rollback when it is met.
    Trigger,
}

/// One gate or trigger on measured data.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub role: Role,
    /// The condition as the user wrote it; the word by which reports call it.
    pub text: String,
    pub measure: Measure,
    /// How far back the samples reach that are judged; zero only for a query that looks at one moment.
    pub window: Duration,
    /// 1 − α, in (0, 1): how sure a verdict has to be.
    pub confidence: f64,
    /// No verdict below this number of requests, whatever they say.
    pub min_requests: u64,
}

impl Condition {
    /// Confidence of a gate unless the file says otherwise.
    pub const GATE_CONFIDENCE: f64 = 0.95;
    /// Confidence of a trigger unless the file says otherwise: it is looked at far more often than a gate.
    pub const TRIGGER_CONFIDENCE: f64 = 0.99;

    /// The metrics that have to be sampled over the window to judge this condition.
    pub fn needs(&self) -> Vec<Metric> {
        match &self.measure {
            Measure::ErrorRate { .. } => vec![Metric::Requests, Metric::RequestTimes, Metric::Errors],
            Measure::Latency { .. } => vec![Metric::Buckets, Metric::BucketTimes],
            Measure::StuckOpen { breaker, .. } => {
                vec![Metric::BreakerState { breaker: breaker.clone(), window: self.window }]
            }
            Measure::Query(query) => vec![Metric::Query(query.clone(), self.window)],
        }
    }
}

/// What is measured, and the limit that it is held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// Share of requests that are errors.
    ErrorRate { limit: Share },
    /// At most `1 − quantile` of the requests may take longer than `limit`.
    Latency { quantile: Quantile, limit: Duration },
    /// A breaker that was never closed during the window.
    StuckOpen { breaker: String, encoding: Encoding },
    /// Any PromQL that returns one number.
    Query(Query),
}

/// Which value of the state gauge means what; libraries differ, so that it is always declared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoding {
    pub closed: f64,
    pub half_open: f64,
    pub open: f64,
}

/// The PromQL escape hatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub promql: String,
    pub comparison: Comparison,
    pub limit: f64,
    /// Every point of the window has to comply (`for:`), not only the newest one.
    pub throughout: bool,
}

/// How a query's value is held against its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equals,
}

impl Comparison {
    /// Whether `value` stands in this relation to `limit`; never true of a NaN.
    #[expect(clippy::float_cmp, reason = "the user asks for this very number")]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Equals => value == limit,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Equals => "==",
        })
    }
}

/// A share of requests, above 0 and below 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// None unless `value` lies strictly between 0 and 1: a limit of 0 or of everything can be judged on no sample.
    pub fn new(value: f64) -> Option<Self> {
        (value > 0.0 && value < 1.0).then_some(Self(value))
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

/// A quantile such as 0.95, above 0 and below 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile(Share);

impl Quantile {
    /// None unless `value` lies strictly between 0 and 1.
    pub fn new(value: f64) -> Option<Self> {
        Share::new(value).map(Self)
    }

    pub fn get(self) -> f64 {
        self.0.get()
    }

    /// The share of requests that may be slower.
    pub fn allowance(self) -> Share {
        Share(1.0 - self.0.get())
    }
}

/// One thing to sample. Equal metrics are fetched once and shared by all conditions.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// Cumulative requests by pod.
    Requests,
    /// Time of the newest sample of the request counter, by pod.
    RequestTimes,
    /// Cumulative errors by pod.
    Errors,
    /// Cumulative requests by pod and upper bound of the bucket.
    Buckets,
    /// Time of the newest sample of the histogram, by pod.
    BucketTimes,
    /// Raw samples of the state of one breaker, by pod and breaker instance.
    BreakerState { breaker: String, window: Duration },
    /// The user's own query, with the window that its `for` covers.
    Query(Query, Duration),
}
