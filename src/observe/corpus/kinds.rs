//! One condition of every kind, all of which a healthy service satisfies.

use std::time::Duration;

use crate::judge::condition::{Comparison, Condition, Encoding, Measure, Quantile, Query, Role, Share, StuckState};

/// Every kind of condition, in the role that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ErrorGate,
    ErrorTrigger,
    LatencyGate,
    LatencyTrigger,
    StuckOpen,
    StuckHalfOpen,
    TripsGate,
    TripsTrigger,
    FalseTrips,
    FalseTripsOfHealth,
    FailuresGate,
    FailuresTrigger,
    Growth,
    Use,
    InstantGate,
    InstantTrigger,
    ThroughoutGate,
    ThroughoutTrigger,
    ErrorVersus,
    LatencyVersus,
}

use Kind::{
    ErrorGate, ErrorTrigger, ErrorVersus, FailuresGate, FailuresTrigger, FalseTrips, FalseTripsOfHealth, Growth,
    InstantGate, InstantTrigger, LatencyGate, LatencyTrigger, LatencyVersus, StuckHalfOpen, StuckOpen, ThroughoutGate,
    ThroughoutTrigger, TripsGate, TripsTrigger, Use,
};

pub const ALL: &[Kind] = &[
    ErrorGate,
    ErrorTrigger,
    LatencyGate,
    LatencyTrigger,
    StuckOpen,
    StuckHalfOpen,
    TripsGate,
    TripsTrigger,
    FalseTrips,
    FalseTripsOfHealth,
    FailuresGate,
    FailuresTrigger,
    Growth,
    Use,
    InstantGate,
    InstantTrigger,
    ThroughoutGate,
    ThroughoutTrigger,
    ErrorVersus,
    LatencyVersus,
];
pub const ERRORS: &[Kind] = &[ErrorGate, ErrorTrigger, ErrorVersus];
pub const LATENCY: &[Kind] = &[LatencyGate, LatencyTrigger, LatencyVersus];
pub const STUCK: &[Kind] = &[StuckOpen, StuckHalfOpen];
/// Gates on trips need calls as well as states.
pub const TRIP_GATES: &[Kind] = &[TripsGate, FalseTrips, FalseTripsOfHealth];
pub const TRIPS: &[Kind] = &[TripsGate, TripsTrigger, FalseTrips, FalseTripsOfHealth];
pub const FAILURES: &[Kind] = &[FailuresGate, FailuresTrigger];
pub const MEMORY: &[Kind] = &[Growth, Use];
pub const INSTANT: &[Kind] = &[InstantGate, InstantTrigger];
pub const THROUGHOUT: &[Kind] = &[ThroughoutGate, ThroughoutTrigger];
pub const VERSUS: &[Kind] = &[ErrorVersus, LatencyVersus];

impl Kind {
    pub fn condition(self) -> Condition {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let gate = |measure, window| Condition::new(Role::Gate, format!("{self:?}"), measure, minutes(window));
        let trigger = |measure, window| Condition::new(Role::Trigger, format!("{self:?}"), measure, minutes(window));
        let error_rate = |limit: f64| Measure::ErrorRate { limit: share(limit) };
        let latency = Measure::Latency { quantile: p95(), limit: Duration::from_millis(500) };
        let stuck = |state| Measure::Stuck { breaker: "cache".to_owned(), state, encoding: Encoding::OF_LABELS };
        let failures = |limit| Measure::BreakerFailures { breaker: "cache".to_owned(), limit: share(limit) };
        match self {
            ErrorGate => gate(error_rate(0.01), 30),
            ErrorTrigger => trigger(error_rate(0.02), 4),
            LatencyGate => gate(latency, 30),
            LatencyTrigger => trigger(latency, 5),
            StuckOpen => trigger(stuck(StuckState::Open), 10),
            StuckHalfOpen => trigger(stuck(StuckState::HalfOpen), 10),
            TripsGate => gate(trips(false, None, Comparison::AtMost), 30),
            TripsTrigger => trigger(trips(false, None, Comparison::Above), 30),
            FalseTrips => gate(trips(true, None, Comparison::AtMost), 30),
            FalseTripsOfHealth => gate(trips(true, Some("min(redis_up)"), Comparison::AtMost), 30),
            FailuresGate => gate(failures(0.05), 30),
            FailuresTrigger => trigger(failures(0.1), 10),
            Growth => trigger(Measure::MemoryGrowth { limit: 0.2 }, 30),
            Use => trigger(Measure::MemoryUse { limit: share(0.9) }, 10),
            InstantGate => gate(query("min(redis_ready)", Comparison::Equals, false), 0),
            InstantTrigger => trigger(query("max(redis_lag)", Comparison::Above, false), 0),
            ThroughoutGate => gate(query("min(redis_up)", Comparison::Equals, true), 5),
            ThroughoutTrigger => trigger(query("max(redis_load)", Comparison::Above, true), 5),
            ErrorVersus => gate(Measure::ErrorRateAgainstBaseline { factor: 1.5 }, 30),
            LatencyVersus => gate(Measure::LatencyAgainstBaseline { quantile: p95(), factor: 1.5 }, 30),
        }
    }
}

fn trips(only_false: bool, health: Option<&str>, comparison: Comparison) -> Measure {
    let (breaker, health) = ("cache".to_owned(), health.map(str::to_owned));
    Measure::Trips { breaker, only_false, health, encoding: Encoding::OF_LABELS, comparison, limit: 0 }
}

fn query(promql: &str, comparison: Comparison, throughout: bool) -> Measure {
    Measure::Query(Query {
        promql: promql.to_owned(),
        comparison,
        limit: 1.0,
        throughout,
        reach: Duration::ZERO,
        shortest_range: None,
        of_latency: false,
    })
}

fn share(value: f64) -> Share {
    Share::new(value).unwrap()
}

fn p95() -> Quantile {
    Quantile::new(0.95).unwrap()
}
