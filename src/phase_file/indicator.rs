//! The indicators that a condition may name, and what each needs to be declared.
//!
//! It does not know how a condition is written.

use super::error::{Fault, Place, excerpt};
use super::nearest::nearest;
use super::unit;
use crate::judge::condition::{Measure, Quantile};
use crate::rollout::declaration::{Breaker, Header};

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
const ERROR_RATE: &str = "error_rate";
const STUCK_OPEN: &str = "stuck_open";
const HINT: &str = "the indicators are error_rate, p50, p75, p80, p90, p95, p98, p99, p99.5, p99.9 and \
                    stuck_open(BREAKER); anything else is a query: {name: …, query: '…', below: …}";

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Indicator {
    ErrorRate,
    Latency(Quantile),
    StuckOpen,
}

/// The indicator called `word`, if the rollout declares what it is measured by.
pub fn indicator(word: &str, place: Place, header: &Header) -> Result<Indicator, Fault> {
    let quantile = QUANTILES.iter().find(|(name, _)| *name == word).and_then(|(_, value)| Quantile::new(*value));
    let (indicator, missing) = match (word, quantile) {
        (_, Some(quantile)) => {
            let missing = header.indicators.latency_histogram.is_none().then_some("indicators.latency");
            (Indicator::Latency(quantile), missing)
        }
        (ERROR_RATE, None) => {
            (Indicator::ErrorRate, header.indicators.error_rate.is_none().then_some("indicators.error_rate"))
        }
        (STUCK_OPEN, None) => (Indicator::StuckOpen, header.breaker_metrics.is_none().then_some("breakers.metrics")),
        (_, None) => {
            let names = QUANTILES.iter().map(|(name, _)| *name).chain([ERROR_RATE, STUCK_OPEN]);
            return Err(Fault::new(place, format!("unknown indicator `{}`", excerpt(word)))
                .did_you_mean(nearest(word, names))
                .hint(HINT));
        }
    };
    match missing {
        None => Ok(indicator),
        Some(missing) => {
            Err(Fault::new(place, format!("`{word}` is not declared"))
                .label(format!("needs `{missing}` in rollout.yaml")))
        }
    }
}

/// What is measured for an indicator with a limit.
pub fn limited(indicator: Indicator, limit: &str, place: Place) -> Result<Measure, Fault> {
    match indicator {
        Indicator::ErrorRate => Ok(Measure::ErrorRate { limit: unit::share(limit, place)? }),
        Indicator::Latency(quantile) => {
            Ok(Measure::Latency { quantile, limit: unit::positive_duration(limit, place, "a latency")? })
        }
        Indicator::StuckOpen => Err(Fault::new(place, "`stuck_open` has no limit").label("only a duration")),
    }
}

/// What is measured for `stuck_open` of a breaker.
pub fn stuck_open(breaker: &str, place: Place, header: &Header) -> Result<Measure, Fault> {
    let (Some(declared), Some(metrics)) = (header.breaker(breaker), &header.breaker_metrics) else {
        return Err(unknown_breaker(breaker, place, &header.breakers));
    };
    Ok(Measure::StuckOpen { breaker: declared.name.to_string(), encoding: metrics.encoding })
}

fn unknown_breaker(name: &str, place: Place, declared: &[Breaker]) -> Fault {
    let names: Vec<&str> = declared.iter().map(|breaker| breaker.name.as_str()).collect();
    Fault::new(place, format!("unknown breaker `{}`", excerpt(name)))
        .did_you_mean(nearest(name, names.iter().copied()))
        .hint(format!("the breakers are {}", names.join(", ")))
}
