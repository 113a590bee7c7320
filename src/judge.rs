//! From samples to a verdict.
//!
//! Owns the conditions, the samples that they are judged on, and the rules that turn the one into a verdict on the
//! other. Everything here is a pure function of (samples, scope, now): the same code serves live, at a past time and
//! in replay.
//!
//! It does not know phases, Kubernetes, or how Prometheus is asked.

pub mod apart;
pub mod breaker;
pub mod comparison;
pub mod condition;
pub mod counts;
pub mod detector;
pub mod dispersion;
pub mod error_rate;
pub mod evidence;
pub mod latency;
pub mod memory;
pub mod quality;
pub mod query;
pub mod samples;
pub mod share;
pub mod trips;
pub mod verdict;

#[cfg(test)]
mod calibration;
#[cfg(test)]
mod speed_tests;
#[cfg(test)]
mod tests;

use condition::{Condition, Measure, NoData, Role};
use samples::{Group, Look, Samples, Scope};
use verdict::{Gap, Judgement, Trouble};

/// Judges one condition on what one look at the world found.
///
/// A gate looks at the canary alone where one is judged apart; a trigger at the stable pods as well, and the worse of the
/// two counts.
pub fn judge(condition: &Condition, look: &Look) -> Judgement {
    match &look.stable {
        None => judge_group(condition, &look.judged, None),
        Some(stable) => apart::judge(condition, &look.judged, stable),
    }
}

fn judge_group(condition: &Condition, group: &Group, stable: Option<&Group>) -> Judgement {
    let Group { scope, samples } = group;
    match judge_window(condition, scope, samples, stable) {
        Ok(judgement) => judgement,
        Err(Trouble::Gap(Gap::MissingPods { metric, pods })) if condition.role == Role::Trigger => {
            let others = judge_others(condition, group, pods.clone(), stable);
            others.unwrap_or(Judgement::Inconclusive(Gap::MissingPods { metric, pods }, None))
        }
        Err(Trouble::Gap(gap)) if condition.no_data == NoData::Fail && gap.is_lack_of_data() => Judgement::Missing(gap),
        Err(trouble) => trouble.into(),
    }
}

/// A pod that died, or that no node has room for, must not hide what the others suffer: a trigger fires where those
/// call for it on their own. That it is quiet can only be said of all.
fn judge_others(
    condition: &Condition,
    Group { scope, samples }: &Group,
    mut silent: Vec<String>,
    stable: Option<&Group>,
) -> Option<Judgement> {
    let mut others = scope.clone();
    while !silent.is_empty() {
        let live = others.pods.as_mut()?;
        let before = live.len();
        live.retain(|pod| !silent.contains(&pod.name));
        if live.len() == before {
            return None;
        }
        silent = match judge_window(condition, &others, samples, stable) {
            Ok(judgement) => return Some(judgement).filter(|judgement| matches!(judgement, Judgement::Met(_))),
            Err(Trouble::Gap(Gap::MissingPods { pods, .. })) => pods,
            Err(_) => return None,
        };
    }
    None
}

/// A broken answer is told before anything else; and before the change is old enough, nothing else matters.
fn judge_window(
    condition: &Condition,
    scope: &Scope,
    samples: &Samples,
    stable: Option<&Group>,
) -> Result<Judgement, Trouble> {
    for metric in condition.needs() {
        if let Err(Trouble::Fault(fault)) = samples.get(&metric) {
            return Err(fault.into());
        }
    }
    counts::window(condition.reach(), scope)?;
    let window = counts::window(condition.window, scope)?;
    match &condition.measure {
        Measure::ErrorRate { limit } => error_rate::judge(condition, *limit, window, scope, samples),
        Measure::Latency { quantile, limit } => latency::judge(condition, *quantile, *limit, window, scope, samples),
        Measure::ErrorRateAgainstBaseline { factor } => {
            comparison::judge_error_rate(condition, *factor, window, scope, samples, stable)
        }
        Measure::LatencyAgainstBaseline { quantile, factor } => {
            comparison::judge_latency(condition, *quantile, *factor, window, scope, samples, stable)
        }
        Measure::Stuck { breaker, state, encoding } => {
            breaker::judge_stuck(breaker, *state, *encoding, window, scope, samples)
        }
        measure @ Measure::Trips { .. } => trips::judge(condition, measure, window, scope, samples),
        Measure::BreakerFailures { breaker, limit } => {
            breaker::judge_failures(condition, breaker, *limit, window, scope, samples)
        }
        Measure::MemoryGrowth { limit } => memory::judge_growth(condition, *limit, window, scope, samples),
        Measure::MemoryUse { limit } => memory::judge_use(condition, *limit, window, scope, samples),
        Measure::Query(asked) => query::judge(condition, asked, window, scope, samples),
    }
}

impl Gap {
    /// Whether neither time nor traffic lifts it, but somebody who changes a file, the service or the scraping.
    pub fn needs_somebody(&self) -> bool {
        matches!(
            self,
            Self::NoMemoryLimit
                | Self::NoBaseline
                | Self::SeveralSources { .. }
                | Self::SeveralSeries { .. }
                | Self::ShortRange { .. }
        )
    }

    /// Whether samples are missing that ought to be there, rather than time or requests.
    fn is_lack_of_data(&self) -> bool {
        match self {
            Self::NoPods
            | Self::NoPodsInCanary
            | Self::NoSeries { .. }
            | Self::MissingPods { .. }
            | Self::TooFewSamples { .. }
            | Self::Stale { .. }
            | Self::Coverage { .. }
            | Self::BeginsLate { .. }
            | Self::NoTraffic
            | Self::BreakerTraffic { .. }
            | Self::NotANumber
            | Self::Interrupted { .. } => true,
            Self::RolloutInProgress
            | Self::WindowNotFull { .. }
            | Self::SeveralSources { .. }
            | Self::CounterFell { .. }
            | Self::MoreRequests { .. }
            | Self::BreachYoung { .. }
            | Self::NoBaseline
            | Self::NoMemoryLimit
            | Self::TripsUnclear { .. }
            | Self::BetweenBuckets { .. }
            | Self::ImpossibleCount { .. }
            | Self::ClockSkew { .. }
            | Self::ClockUnknown
            | Self::Warnings { .. }
            | Self::Infinite
            | Self::ShortRange { .. }
            | Self::SeveralSeries { .. } => false,
        }
    }
}
