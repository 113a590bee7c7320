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
    pub no_data: NoData,
    pub method: Method,
    /// The share of events that a service may have without being rolled back, below the limit; only triggers on shares
    /// look at it. None is half of the limit.
    pub healthy: Option<Share>,
}

/// What a gate says when the samples that it needs are missing although its window is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// Inconclusive.
    #[default]
    Hold,
    /// Failed.
    Fail,
}

/// How a share of requests is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By the evidence of counts, which may be looked at as often as one likes.
    #[default]
    Sequential,
    /// The estimate over the window against the limit, however few requests it stands on.
    Threshold,
    /// A latency quantile interpolated inside its bucket, as `histogram_quantile` does it, against the limit.
    Interpolated,
}

impl Condition {
    /// Confidence of a gate unless the file says otherwise.
    pub const GATE_CONFIDENCE: f64 = 0.95;
    /// Confidence of a trigger unless the file says otherwise: a false rollback is dearer than a false wait.
    pub const TRIGGER_CONFIDENCE: f64 = 0.99;

    /// A condition with the defaults of its role.
    pub fn new(role: Role, text: String, measure: Measure, window: Duration) -> Self {
        let confidence = match role {
            Role::Gate => Self::GATE_CONFIDENCE,
            Role::Trigger => Self::TRIGGER_CONFIDENCE,
        };
        Self {
            role,
            text,
            measure,
            window,
            confidence,
            min_requests: 0,
            no_data: NoData::default(),
            method: Method::default(),
            healthy: None,
        }
    }

    /// How far back samples have to reach before it can be judged.
    pub fn reach(&self) -> Duration {
        match &self.measure {
            Measure::Query(query) if query.throughout => self.window + query.reach,
            Measure::Query(query) => self.window.max(query.reach),
            Measure::ErrorRate { .. }
            | Measure::Latency { .. }
            | Measure::ErrorRateAgainstBaseline { .. }
            | Measure::LatencyAgainstBaseline { .. }
            | Measure::Stuck { .. }
            | Measure::Trips { .. }
            | Measure::BreakerFailures { .. }
            | Measure::MemoryGrowth { .. }
            | Measure::MemoryUse { .. } => self.window,
        }
    }

    /// Whether it holds the canary against the stable pods.
    pub fn compares(&self) -> bool {
        matches!(self.measure, Measure::ErrorRateAgainstBaseline { .. } | Measure::LatencyAgainstBaseline { .. })
    }

    /// The likelihood ratio 1/α that a verdict needs.
    pub fn needed(&self) -> f64 {
        // Without the dust of 1 − 0.95.
        1.0 / (((1.0 - self.confidence) * 1e12).round() / 1e12)
    }

    /// Whether its verdict is drawn from counts, so that chance alone brings it about now and then.
    pub fn fires_by_chance(&self) -> bool {
        let counts = match self.measure {
            Measure::ErrorRate { .. }
            | Measure::Latency { .. }
            | Measure::ErrorRateAgainstBaseline { .. }
            | Measure::LatencyAgainstBaseline { .. }
            | Measure::BreakerFailures { .. } => true,
            Measure::Stuck { .. }
            | Measure::Trips { .. }
            | Measure::MemoryGrowth { .. }
            | Measure::MemoryUse { .. }
            | Measure::Query(_) => false,
        };
        counts && self.method == Method::Sequential
    }

    /// The metrics that have to be sampled over the window to judge this condition.
    pub fn needs(&self) -> Vec<Metric> {
        let of = |breaker: &String| breaker.clone();
        match &self.measure {
            Measure::ErrorRate { .. } | Measure::ErrorRateAgainstBaseline { .. } => vec![
                Metric::Requests,
                Metric::RequestTimes,
                Metric::RequestSources,
                Metric::Errors,
                Metric::RequestsBefore,
                Metric::ErrorsBefore,
            ],
            Measure::Latency { .. } | Measure::LatencyAgainstBaseline { .. } => {
                vec![Metric::Buckets, Metric::BucketTimes, Metric::BucketSources, Metric::BucketsBefore]
            }
            Measure::Stuck { breaker, .. } => vec![Metric::BreakerState { breaker: of(breaker) }],
            Measure::Trips { breaker, health, .. } => {
                let mut metrics = vec![
                    Metric::BreakerHighest { breaker: of(breaker) },
                    Metric::BreakerLowest { breaker: of(breaker) },
                    Metric::BreakerTimes { breaker: of(breaker) },
                    Metric::BreakerRequests { breaker: of(breaker) },
                    Metric::BreakerFailures { breaker: of(breaker) },
                ];
                metrics.extend(health.clone().map(Metric::Health));
                metrics
            }
            Measure::BreakerFailures { breaker, .. } => vec![
                Metric::BreakerTimes { breaker: of(breaker) },
                Metric::BreakerRequests { breaker: of(breaker) },
                Metric::BreakerFailures { breaker: of(breaker) },
            ],
            Measure::MemoryGrowth { .. } => vec![Metric::Memory, Metric::MemoryTimes, Metric::MemoryBefore],
            Measure::MemoryUse { .. } => vec![Metric::Memory, Metric::MemoryTimes],
            Measure::Query(query) => {
                let edges = query.of_latency.then_some([Metric::Buckets, Metric::BucketTimes, Metric::BucketSources]);
                edges.into_iter().flatten().chain([Metric::Query(query.clone(), self.window)]).collect()
            }
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
    /// The canary's share of errors is at most `factor` times that of the stable pods.
    ErrorRateAgainstBaseline { factor: f64 },
    /// The canary's quantile is at most `factor` times that of the stable pods.
    LatencyAgainstBaseline { quantile: Quantile, factor: f64 },
    /// A breaker that stayed in one state during the whole window.
    Stuck { breaker: String, state: StuckState, encoding: Encoding },
    /// How often a breaker stopped being closed.
    Trips {
        breaker: String,
        /// Count only those whose dependency was healthy.
        only_false: bool,
        /// PromQL that is above zero while the dependency is healthy; None to go by the breaker's own failures.
        health: Option<String>,
        encoding: Encoding,
        comparison: Comparison,
        limit: u64,
    },
    /// Share of a breaker's calls that failed.
    BreakerFailures { breaker: String, limit: Share },
    /// How much more memory a pod uses at the end of the window than at its beginning, as a share: 0.2 is 20 % more.
    MemoryGrowth { limit: f64 },
    /// Share of its container's memory limit that a pod uses.
    MemoryUse { limit: Share },
    /// Any PromQL that returns one number.
    Query(Query),
}

/// The state that a breaker does not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StuckState {
    /// Never closed: half-open probes interrupt a breaker that is stuck open.
    Open,
    /// Half-open all the time: the probes neither close nor open it.
    HalfOpen,
}

/// Which value of the state gauge means what; libraries differ, so that it is always declared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoding {
    pub closed: f64,
    pub half_open: f64,
    pub open: f64,
}

impl Encoding {
    /// What states that come as one series for each state label are turned into.
    pub const OF_LABELS: Self = Self { closed: 0.0, half_open: 1.0, open: 2.0 };
}

/// The PromQL escape hatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub promql: String,
    pub comparison: Comparison,
    pub limit: f64,
    /// Every point of the window has to comply (`for:`), not only the newest one.
    pub throughout: bool,
    /// How far the query itself looks back from each moment; what it sees must not lie before the change.
    pub reach: Duration,
    /// The shortest stretch of samples that it looks at.
    pub shortest_range: Option<Duration>,
    /// It returns a quantile of the declared latency histogram.
    pub of_latency: bool,
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
        // Without the dust of 1 − 0.95.
        Share(((1.0 - self.0.get()) * 1e12).round() / 1e12)
    }
}

/// One thing to sample. Equal metrics are fetched once and shared by all conditions.
///
/// Unless said otherwise it is read on the common grid, and has one series a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// Cumulative requests.
    Requests,
    /// Time of the newest sample of the request counter, in Unix seconds.
    RequestTimes,
    /// From how many scrape targets and Prometheus replicas the request counter of a pod comes: more than one counts
    /// everything several times.
    RequestSources,
    /// Cumulative errors.
    Errors,
    /// Cumulative requests of all pods together in the day before the change, on a grid of its own.
    RequestsBefore,
    /// Errors in the same way.
    ErrorsBefore,
    /// Cumulative requests by upper bound of the bucket.
    Buckets,
    /// Time of the newest sample of the histogram.
    BucketTimes,
    BucketSources,
    /// Cumulative requests of all pods together before the change, in the same way, by upper bound of the bucket.
    BucketsBefore,
    /// Raw samples of the state of one breaker, by breaker instance.
    BreakerState {
        breaker: String,
    },
    /// The highest state, by breaker instance, since the grid's moment before.
    BreakerHighest {
        breaker: String,
    },
    /// The lowest one.
    BreakerLowest {
        breaker: String,
    },
    /// Time of the newest sample of the state, by breaker instance.
    BreakerTimes {
        breaker: String,
    },
    /// Cumulative calls of a breaker, by breaker instance.
    BreakerRequests {
        breaker: String,
    },
    /// Cumulative failed calls of a breaker, by breaker instance.
    BreakerFailures {
        breaker: String,
    },
    /// The user's query for the health of a dependency; one series without a pod.
    Health(String),
    /// Memory in bytes.
    Memory,
    /// Time of the newest sample of the memory.
    MemoryTimes,
    /// Memory before the change, each moment as long before it as the grid's is before now.
    MemoryBefore,
    /// The user's own query, with the window that its `for` covers; no pods.
    Query(Query, Duration),
}
