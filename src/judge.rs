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
pub mod quality;
pub mod query;
pub mod samples;
pub mod share;
pub mod verdict;

#[cfg(test)]
mod tests;

use condition::{Condition, Measure};
use samples::{Samples, Scope};
use verdict::{Judgement, Trouble};

/// Judges one condition on what one look at the world found.
pub fn judge(condition: &Condition, scope: &Scope, samples: &Samples) -> Judgement {
    judge_window(condition, scope, samples).unwrap_or_else(Judgement::from)
}

/// A broken answer is told before anything else; and before the change is old enough, nothing else matters.
fn judge_window(condition: &Condition, scope: &Scope, samples: &Samples) -> Result<Judgement, Trouble> {
    for metric in condition.needs() {
        if let Err(Trouble::Fault(fault)) = samples.get(&metric) {
            return Err(fault.into());
        }
    }
    let window = counts::window(condition.window, scope)?;
    match &condition.measure {
        Measure::ErrorRate { limit } => error_rate::judge(condition, *limit, window, scope, samples),
        Measure::Latency { quantile, limit } => latency::judge(condition, *quantile, *limit, window, scope, samples),
        Measure::StuckOpen { breaker, encoding } => {
            breaker::judge_stuck_open(condition, breaker, *encoding, window, scope, samples)
        }
        Measure::Query(asked) => query::judge(condition, asked, window, scope, samples),
    }
}
