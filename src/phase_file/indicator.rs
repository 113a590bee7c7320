//! The indicators that a condition may name, and what each needs to be declared.
//!
//! It does not know how a condition is written, nor what its limit may be.

use super::error::{Fault, Place, excerpt};
use super::nearest::nearest;
use crate::judge::condition::{Quantile, StuckState};
use crate::rollout::declaration::Header;

/// Only these, so that a slip such as `p59` is found.
const QUANTILES: [(&str, f64); 9] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p80", 0.8),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p98", 0.98),
    ("p99", 0.99),
    ("p99.5", 0.995),
    ("p99.9", 0.999),
];
const OTHERS: [(&str, Indicator); 8] = [
    ("error_rate", Indicator::ErrorRate),
    ("breaker_failures", Indicator::BreakerFailures),
    ("stuck_open", Indicator::Stuck(StuckState::Open)),
    ("stuck_half_open", Indicator::Stuck(StuckState::HalfOpen)),
    ("trips", Indicator::Trips { only_false: false }),
    ("false_trips", Indicator::Trips { only_false: true }),
    ("memory_growth", Indicator::MemoryGrowth),
    ("memory_use", Indicator::MemoryUse),
];
const HINT: &str = "the indicators are error_rate, p50, p75, p80, p90, p95, p98, p99, p99.5, p99.9, memory_growth, \
                    memory_use and, of a breaker, stuck_open(BREAKER), stuck_half_open, trips, false_trips and \
                    breaker_failures; anything else is a query: {name: …, query: '…', below: …}";

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Indicator {
    ErrorRate,
    Latency(Quantile),
    BreakerFailures,
    Stuck(StuckState),
    Trips { only_false: bool },
    MemoryGrowth,
    MemoryUse,
}

impl Indicator {
    /// Whether it is measured by breaker, which then has to be named.
    pub fn is_of_a_breaker(self) -> bool {
        match self {
            Self::BreakerFailures | Self::Stuck(_) | Self::Trips { .. } => true,
            Self::ErrorRate | Self::Latency(_) | Self::MemoryGrowth | Self::MemoryUse => false,
        }
    }

    /// The field of `rollout.yaml` that it needs and that is not there.
    fn missing(self, header: &Header) -> Option<&'static str> {
        let breaker_calls = || match &header.breaker_metrics {
            None => Some("breakers.metrics"),
            Some(metrics) if metrics.requests.is_none() => Some("breakers.metrics.requests"),
            Some(metrics) => metrics.failures.is_none().then_some("breakers.metrics.failures"),
        };
        match self {
            Self::ErrorRate => header.indicators.error_rate.is_none().then_some("indicators.error_rate"),
            Self::Latency(_) => header.indicators.latency_histogram.is_none().then_some("indicators.latency"),
            Self::Stuck(_) => header.breaker_metrics.is_none().then_some("breakers.metrics"),
            Self::BreakerFailures | Self::Trips { .. } => breaker_calls(),
            Self::MemoryGrowth | Self::MemoryUse => header.indicators.memory.is_none().then_some("indicators.memory"),
        }
    }
}

/// The indicator called `word`, if the rollout declares what it is measured by.
pub fn indicator(word: &str, place: Place, header: &Header) -> Result<Indicator, Fault> {
    let quantile = || QUANTILES.iter().find(|(name, _)| *name == word).and_then(|(_, value)| Quantile::new(*value));
    let other = OTHERS.iter().find(|(name, _)| *name == word).map(|(_, indicator)| *indicator);
    let Some(indicator) = other.or_else(|| quantile().map(Indicator::Latency)) else {
        let names = QUANTILES.iter().map(|(name, _)| *name).chain(OTHERS.iter().map(|(name, _)| *name));
        return Err(Fault::new(place, format!("unknown indicator `{}`", excerpt(word)))
            .did_you_mean(nearest(word, names))
            .hint(HINT));
    };
    match indicator.missing(header) {
        None => Ok(indicator),
        Some(missing) => {
            Err(Fault::new(place, format!("`{word}` is not declared"))
                .label(format!("needs `{missing}` in rollout.yaml")))
        }
    }
}
