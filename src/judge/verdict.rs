//! What a judgement may say, with the reason as data.
//!
//! Owns the order of verdicts and the evidence that a good one must carry. It does not know how anything is worded.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// The verdict on one condition.
///
/// `Met` of a gate reads "passed", of a trigger "firing"; `Unmet` reads "failed" and "quiet". Both need [`Evidence`],
/// whose fields are private to `judge`: a verdict without evidence does not compile.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    Met(Evidence),
    Unmet(Evidence),
    /// Not enough evidence: time or traffic can lift it.
    Inconclusive(Gap, Option<Box<Evidence>>),
    /// The samples could not be had or make no sense: somebody has to look.
    Error(Fault),
}

impl From<Trouble> for Judgement {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Gap(gap) => Self::Inconclusive(gap, None),
            Trouble::Fault(fault) => Self::Error(fault),
        }
    }
}

/// Why there is nothing to judge.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    Gap(Gap),
    Fault(Fault),
}

impl From<Gap> for Trouble {
    fn from(gap: Gap) -> Self {
        Self::Gap(gap)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a verdict stands on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The least share of the expected samples that any judged pod delivered, 0 to 1; unknown of a query.
    pub(super) coverage: Option<f64>,
    pub(super) newest: Timestamp,
    pub(super) finding: Finding,
}

impl Evidence {
    pub fn finding(&self) -> &Finding {
        &self.finding
    }
}

/// The figures of a verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// `events` of `requests` were errors, or slower than the limit.
    Share {
        events: u64,
        requests: u64,
        /// Bounds of the true share at the condition's confidence, 0 to 1.
        low: f64,
        high: f64,
        /// Likelihood ratio reached, and the one that is needed.
        evidence: f64,
        needed: f64,
        /// The quantile in seconds, interpolated between bucket edges; for display only.
        #[serde(skip_serializing_if = "Option::is_none")]
        quantile_seconds: Option<f64>,
        /// The pod with the greatest share.
        #[serde(skip_serializing_if = "Option::is_none")]
        worst: Option<PodShare>,
    },
    /// Breaker instances that were never closed during the window.
    Breaker { watched: usize, not_closed_now: usize, stuck: Vec<Stuck> },
    /// The newest value of a query, and how many points were compared.
    Value { value: f64, points: usize },
}

/// One pod's part of a share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PodShare {
    pub pod: String,
    pub events: u64,
    pub requests: u64,
}

/// A breaker instance that does not close.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stuck {
    pub pod: String,
    pub breaker: String,
}

/// Why evidence is missing. Each lifts with time or traffic, or says who has to act.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Gap {
    /// The Deployment has no pod to judge.
    NoPods,
    /// Pods of more than one template run: there is no one thing to judge yet.
    RolloutInProgress,
    /// Time since the change is shorter than the window.
    WindowNotFull {
        #[serde(serialize_with = "seconds")]
        have: Duration,
        #[serde(serialize_with = "seconds")]
        need: Duration,
    },
    /// The query found no series at all.
    NoSeries {
        metric: String,
    },
    /// These live pods have no series.
    MissingPods {
        metric: String,
        pods: Vec<String>,
    },
    /// Too few samples in the window to tell the scrape interval.
    TooFewSamples {
        metric: String,
    },
    /// The newest sample is too old.
    Stale {
        metric: String,
        pod: String,
        #[serde(serialize_with = "seconds")]
        age: Duration,
        #[serde(serialize_with = "seconds")]
        allowed: Duration,
    },
    /// Samples are missing inside the window.
    Coverage {
        metric: String,
        pod: String,
        have: f64,
        need: f64,
    },
    /// A counter fell although its pod did not restart.
    CounterFell {
        pod: String,
    },
    /// No request was served in the window.
    NoTraffic,
    /// The evidence does not reach the confidence yet.
    MoreRequests {
        have: u64,
        /// Estimated number still missing, and how long that takes at the window's traffic.
        more: Option<u64>,
        #[serde(serialize_with = "optional_seconds")]
        about: Option<Duration>,
    },
    /// The limit lies between two bucket edges (in seconds), and the requests between them decide.
    BetweenBuckets {
        below: f64,
        above: f64,
    },
    /// Counters contradict each other: more events than requests.
    ImpossibleCount {
        events: u64,
        requests: u64,
    },
    /// The clocks of this machine, the API server and Prometheus differ by more than one scrape interval.
    ClockSkew {
        seconds: i64,
    },
    /// An answer carried no date, so that the clocks cannot be compared.
    ClockUnknown,
    /// Prometheus answered with warnings: the result may be incomplete.
    Warnings {
        messages: Vec<String>,
    },
    /// The value is not a number, as 0/0 is when there is no traffic.
    NotANumber,
    Infinite,
    /// A condition needs exactly one series.
    SeveralSeries {
        count: usize,
    },
    /// Points are missing inside `for`.
    Interrupted {
        have: usize,
        need: usize,
    },
}

/// Why samples could not be had, or make no sense.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Fault {
    Unreachable {
        detail: String,
    },
    Timeout {
        #[serde(serialize_with = "seconds")]
        after: Duration,
    },
    Unauthorized {
        status: u16,
    },
    TooManyRequests,
    HttpStatus {
        status: u16,
        detail: String,
    },
    Redirected {
        location: String,
    },
    NotJson {
        content_type: String,
    },
    Truncated,
    Malformed {
        detail: String,
    },
    /// Prometheus understood the request and refused it.
    Refused {
        kind: String,
        detail: String,
    },
    WrongResultType {
        expected: &'static str,
        got: String,
    },
    HistogramSample,
    /// The limit is at or above the top finite bucket edge (in seconds): such a gate can never fail.
    AboveTopBucket {
        top: f64,
    },
    /// The file declares nothing to measure this with.
    NotDeclared {
        indicator: &'static str,
    },
}

/// Durations are seconds in every machine-readable answer.
pub fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn optional_seconds<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}
