//! What a judgement may say, with the reason as data.
//!
//! Owns the order of verdicts and the evidence that a good one must carry. It does not know how anything is worded.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::apart::Apart;
use super::condition::StuckState;

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
    /// The samples are missing, and the gate says that this fails it.
    Missing(Gap),
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
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) apart: Option<Box<Apart>>,
}

impl Evidence {
    /// The end of the window.
    pub fn to(&self) -> Timestamp {
        self.to
    }

    /// When a trigger on counts would have fired last.
    pub fn fired(&self) -> Option<Timestamp> {
        if let Finding::Share(share) = &self.finding { share.fired } else { None }
    }

    pub fn finding(&self) -> &Finding {
        &self.finding
    }
}

/// The figures of a verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// `events` of `requests` were errors, slower than the limit, or failed calls of a breaker.
    Share(Share),
    /// Breaker instances that stayed in a state during the whole window.
    Breaker { state: StuckState, watched: usize, not_closed_now: usize, stuck: Vec<Stuck> },
    /// Breaker instances that stopped being closed, newest last; of those the ones that were asked for are counted.
    Trips {
        /// At least so many.
        counted: u64,
        watched: usize,
        /// Calls of all instances in the window, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        requests: Option<u64>,
        trips: Vec<Trip>,
    },
    /// The canary beside the stable pods, over the same minutes.
    Comparison(Comparison),
    /// The pod whose memory grew most.
    Growth {
        pod: String,
        /// By this share of what it had at the beginning of the window, before anything is taken off.
        growth: f64,
        /// By how much pods grew as long before the change, where that is known; it is taken off if it is positive.
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<f64>,
    },
    /// The pod that decides on the use of memory, with the shares of the limit that it used in the window.
    Use { pod: String, least: f64, most: f64, newest: f64, limit_bytes: u64 },
    /// The newest value of a query, and how many points were compared.
    Value { value: f64, points: usize },
}

/// Counts against a limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// In the window.
    pub events: u64,
    pub requests: u64,
    /// Bounds of the true share in the window at the condition's confidence, 0 to 1.
    pub low: f64,
    pub high: f64,
    /// Likelihood ratio reached since evidence began, and the one that is needed.
    pub evidence: f64,
    pub needed: f64,
    /// When evidence began: at the change, or after the last proven violation.
    pub since: Timestamp,
    /// Counts since then.
    pub events_since: u64,
    pub requests_since: u64,
    /// How many events come together on average, at least 1, as the day before the change showed it, or else the time
    /// since.
    pub bursts: f64,
    /// Of a trigger: the most likely beginning of the breach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onset: Option<Timestamp>,
    /// Of a trigger: the last time since the change that it would have fired, as the samples of then show it; those of
    /// long ago lie further apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired: Option<Timestamp>,
    /// The quantile in seconds, interpolated between bucket edges; for display only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantile_seconds: Option<f64>,
    /// The pod with the greatest share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<PodShare>,
}

/// Canary counts beside stable ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub canary_events: u64,
    pub canary_requests: u64,
    pub stable_events: u64,
    pub stable_requests: u64,
    /// The canary's share over the stable pods' share in the window; None where the stable pods had no event.
    pub ratio: Option<f64>,
    /// Bounds of the true ratio in the window at the condition's confidence; None where nothing bounds it from above.
    pub low: f64,
    pub high: Option<f64>,
    /// The greatest ratio that is allowed, above 0. Of a latency it is that of the requests slower than `edge_seconds`.
    pub limit: f64,
    /// Likelihood ratio reached since evidence began, and the one that is needed.
    pub evidence: f64,
    pub needed: f64,
    pub since: Timestamp,
    /// How many events come together on average, at least 1, as the time before the change showed it.
    pub bursts: f64,
    /// Events are the requests slower than this bucket edge; none of errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_seconds: Option<f64>,
    /// The quantile in seconds of canary and stable pods, interpolated; for display only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantile_seconds: Option<(f64, f64)>,
    /// The canary's share of the requests, and the one that its number of pods would give it, where they differ by more
    /// than a factor of 1.25 and more than chance explains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uneven_traffic: Option<(f64, f64)>,
}

/// A breaker that stopped being closed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trip {
    pub pod: String,
    pub breaker: String,
    /// The end of the block in which it happened.
    pub at: Timestamp,
    /// The dependency was healthy: the trip was false. None where that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// The breaker's calls just before, and how many of them failed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u64>,
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
    /// No pod of the canary is there, and the stable pods are not judged in its place.
    NoPodsInCanary,
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
    /// The first sample of a pod that ran already comes too long after the beginning: what happened before is unknown.
    BeginsLate {
        metric: String,
        pod: String,
        #[serde(serialize_with = "seconds")]
        missing: Duration,
    },
    /// A pod's counter comes from several scrape targets or Prometheus replicas, and would be counted several times.
    SeveralSources {
        metric: String,
        pod: String,
        sources: u64,
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
    /// The breach has not lasted long enough.
    BreachYoung {
        #[serde(serialize_with = "seconds")]
        have: Duration,
        #[serde(serialize_with = "seconds")]
        need: Duration,
    },
    /// No canary runs beside stable pods: there is nothing to compare.
    NoBaseline,
    /// A breaker that saw few calls proves nothing by not tripping.
    BreakerTraffic {
        have: u64,
        need: u64,
    },
    /// What happened between two samples decides: the trips were between so many and so many.
    TripsUnclear {
        least: u64,
        most: u64,
    },
    /// The container has no memory limit to hold its use against.
    NoMemoryLimit,
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
    /// A range in the query holds fewer than four samples.
    ShortRange {
        #[serde(serialize_with = "seconds")]
        range: Duration,
        #[serde(serialize_with = "seconds")]
        interval: Duration,
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
