//! What holds a promotion up, in words, each with what lifts it.

use super::canary::trouble;
use super::step;
use super::words::duration;
use crate::rollout::name::SignOffName;
use crate::rollout::route::Obstacle;
use crate::rollout::sign_off::Signed;
use crate::rollout::standing::{Drift, Unusable};
use crate::rollout::workload::{FlagSource, FlagValue};

pub fn obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Skips { next } => format!("phases are entered one by one: next is {next} (cbctl promote {next})"),
        Obstacle::NotNext { asked, next } => {
            let on = if asked > next { ", and --wait goes on from there" } else { "" };
            format!("step {asked} is not next, step {next} is: steps are taken one by one (--step {next}){on}")
        }
        Obstacle::FlagsOfNoPhase { differing } => {
            format!(
                "no position is recorded and the flags are those of no phase ({}): --adopt takes it over",
                drifts(differing)
            )
        }
        Obstacle::Drift { flags } => {
            format!("not as the position says: {}: --adopt accepts it", drifts(flags))
        }
        Obstacle::PositionUnusable { detail } => {
            format!("{}: --adopt starts anew from the live flags", unusable(detail))
        }
        Obstacle::StepsLeft { phase, step, steps } => {
            format!("{phase} is at step {step} of {steps}: cbctl promote {phase} first")
        }
        Obstacle::Baking { phase, step, steps, have, need } => {
            let left = need.saturating_sub(*have);
            format!(
                "{} bakes: {} of {}, {} more",
                step::numbered(phase, *step, *steps),
                duration(*have),
                duration(*need),
                duration(left)
            )
        }
        Obstacle::PhaseIncomplete { phase } => format!("{phase} is not complete: cbctl promote {phase}"),
        Obstacle::CompleteFor { phase, have, need } => {
            let left = need.saturating_sub(*have);
            format!("{phase} is complete for {} of {}, {} more", duration(*have), duration(*need), duration(left))
        }
        Obstacle::Unsigned { name, signed } => format!("signed {name}: {}", word_given(name, signed)),
        Obstacle::HighRisk { phase } => {
            format!("{phase} is of high risk: cbctl promote {phase} --yes-high-risk --reason '…'")
        }
        Obstacle::Frozen { until, because } => {
            let zone = until.time_zone().iana_name().map(|zone| format!(" {zone}")).unwrap_or_default();
            format!(
                "frozen until {}{zone}{}, as rollout.yaml says",
                until.strftime("%Y-%m-%d %H:%M"),
                reason(because.as_deref())
            )
        }
        Obstacle::OnHold { by, so_far, because, .. } => on_hold(by, *so_far, because.as_deref()),
        Obstacle::Canary { detail, adoptable } => {
            format!("{}{}", trouble(detail), if *adoptable { ", or cbctl abort takes it away" } else { "" })
        }
        Obstacle::Unmanageable { flag, source } => {
            let adopt = if source.is_restorable() { ", or --adopt takes it over" } else { "" };
            format!("{flag} is {}: make it a plain value of the container first{adopt}", source_of(source))
        }
        Obstacle::OwnedElsewhere { flag, manager } => {
            format!("{flag} belongs to {manager}, which would put it back: take it out of what that tool applies")
        }
        Obstacle::RollingOut { updated, available, desired } => {
            format!("the deployment is rolling out: {updated} of {desired} pods updated, {available} available")
        }
        Obstacle::RolloutFailed { detail } => format!("the deployment's rollout has failed: {detail}"),
        Obstacle::Paused => "the deployment is paused: kubectl rollout resume".to_owned(),
    }
}

/// That somebody has paused the rollout.
pub fn on_hold(by: &str, so_far: std::time::Duration, because: Option<&str>) -> String {
    format!("paused by {by} {} ago{}: cbctl resume", duration(so_far), reason(because))
}

/// A reason in passing.
pub fn reason(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

/// What became of somebody's word, with what makes it count again.
pub fn word_given(name: &SignOffName, signed: &Signed) -> String {
    match signed {
        Signed::Valid(sign_off) => match &sign_off.reason {
            Some(reason) => format!("by {}: {reason}", sign_off.by),
            None => format!("by {}", sign_off.by),
        },
        Signed::Nobody => format!("nobody yet: cbctl sign-off {name}"),
        Signed::Changed { sign_off, ago } => format!(
            "by {} {} ago, but the phase's file has changed since: cbctl sign-off {name}",
            sign_off.by,
            duration(*ago)
        ),
        Signed::Expired { sign_off, ago } => {
            format!("by {}, expired {} ago: cbctl sign-off {name}", sign_off.by, duration(*ago))
        }
    }
}

pub fn unusable(unusable: &Unusable) -> String {
    match unusable {
        Unusable::Unreadable { detail } => format!("the recorded position cannot be read ({detail})"),
        Unusable::UnknownPhase { phase } => format!("the recorded phase {phase} is not declared"),
        Unusable::UnknownStep { phase, step, steps } => {
            format!("the recorded step {step} of {phase} is not declared: it has {steps}")
        }
    }
}

pub fn drifts(drifts: &[Drift]) -> String {
    let each = drifts.iter().map(|drift| format!("{}={}, not {}", drift.flag, value_of(&drift.found), drift.expected));
    each.collect::<Vec<_>>().join("; ")
}

/// A flag's value as it is shown.
pub fn value_of(source: &FlagSource) -> String {
    match source {
        FlagSource::Value(value) => value_text(value),
        FlagSource::Twice | FlagSource::MaybeFrom(_) => format!("({})", source_of(source)),
    }
}

pub fn value_text(value: &FlagValue) -> String {
    match value {
        FlagValue::Literal(value) => value.clone(),
        FlagValue::Absent => "(not set)".to_owned(),
        FlagValue::Reference(_) => "(a reference)".to_owned(),
    }
}

fn source_of(source: &FlagSource) -> String {
    match source {
        FlagSource::Value(FlagValue::Reference(_)) => "a reference (valueFrom)".to_owned(),
        FlagSource::Value(FlagValue::Absent) => "not set".to_owned(),
        FlagSource::Value(FlagValue::Literal(value)) => value.clone(),
        FlagSource::Twice => "set twice".to_owned(),
        FlagSource::MaybeFrom(sources) => format!("perhaps set through envFrom by {}", sources.join(", ")),
    }
}
