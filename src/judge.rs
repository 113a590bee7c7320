//! From samples to a verdict.
//!
//! Owns the conditions, the samples that they are judged on, and the rules that turn the one into a verdict on the
//! other. Everything here is a pure function of (samples, scope, now): the same code serves live, at a past time and
//! in replay.
//!
//! It does not know phases, Kubernetes, or how Prometheus is asked.

pub mod breaker;
pub mod condition;
pub mod counts;
pub mod error_rate;
pub mod evidence;
pub mod latency;
pub mod query;
pub mod samples;
pub mod share;
pub mod verdict;

#[cfg(test)]
mod tests;

use condition::{Condition, Measure};
use samples::{Samples, Scope};
use verdict::Judgement;

/// Judges one condition on what one look at the world found.
pub fn judge(condition: &Condition, scope: &Scope, samples: &Samples) -> Judgement {
    let judged = match &condition.measure {
        Measure::ErrorRate { limit } => error_rate::judge(condition, *limit, scope, samples),
        Measure::Latency { quantile, limit } => latency::judge(condition, *quantile, *limit, scope, samples),
        Measure::StuckOpen { breaker, encoding } => {
            breaker::judge_stuck_open(condition, breaker, *encoding, scope, samples)
        }
        Measure::Query(promql) => query::judge(condition, promql, scope, samples),
    };
    judged.unwrap_or_else(Judgement::from)
}
