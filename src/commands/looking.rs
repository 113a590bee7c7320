//! Looking at what there is, once or again and again until time and traffic have nothing more to add.
//!
//! `check --wait` and a gradual rollback wait in this way. It decides nothing about what then happens.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Aim, Context, Look};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::check::CheckReport;
use crate::rollout::decision::{Decision, Judged, Outcome};
use crate::rollout::declaration::Rollout;
use crate::rollout::workload::Workload;

/// How long to look, and how much may go wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub time: Duration,
    /// Looks that may fail in a row: a server that restarts is no verdict.
    pub failures: u32,
    /// The longest pause between two looks.
    pub pause: Duration,
}

/// What one look found, ready to be reported.
pub(super) struct Looked {
    pub report: CheckReport,
    pub decision: Decision,
    pub workload: Workload,
}

pub(super) async fn once(context: &Context, rollout: &Rollout, cluster: &Cluster, aim: Aim) -> Result<Looked, Error> {
    Ok(Looked::of(rollout, context.look(rollout, cluster, aim).await?))
}

impl Looked {
    pub(super) fn of(rollout: &Rollout, look: Look) -> Self {
        let Look { workload, decision, scope, queries, now } = look;
        let report = CheckReport::of(rollout, &workload, &decision, scope, queries, now);
        Self { report, decision, workload }
    }
}

/// Looks until the answer is conclusive but for checks that are to be tried, the time is over, or what is there makes it pointless.
pub(super) async fn until_conclusive(
    context: &Context,
    rollout: &Rollout,
    cluster: &Cluster,
    aim: Aim,
    patience: Patience,
    pointless: impl Fn(&Workload) -> bool,
) -> Result<Looked, Error> {
    let begun = Instant::now();
    let (mut failures, mut told) = (0, None);
    loop {
        let looked = once(context, rollout, cluster, aim).await;
        let over = begun.elapsed() >= patience.time;
        let pause = match looked {
            Ok(looked) => {
                let outcome = looked.decision.outcome();
                failures = if outcome == Outcome::Error { failures + 1 } else { 0 };
                let to_try = !looked.decision.left_to_try().is_empty();
                let conclusive = !matches!(outcome, Outcome::Inconclusive | Outcome::Error)
                    || failures > patience.failures
                    || to_try;
                if conclusive || over || pointless(&looked.workload) {
                    return Ok(looked);
                }
                // Often at first, then ever more rarely: nobody reads a line a second for two days.
                let due = told.is_none_or(|told: Instant| told.elapsed() > begun.elapsed() / 20);
                if due || outcome == Outcome::Error {
                    let line = looked.report.waits_for();
                    context.printer.tell(&if outcome == Outcome::Error {
                        format!("warning: {line}; trying again")
                    } else {
                        format!("waiting: {line}")
                    });
                    told = Some(Instant::now());
                }
                pause(&looked.decision, patience.pause)
            }
            Err(error) if failures == patience.failures || over => return Err(error),
            Err(error) => {
                failures += 1;
                context.printer.retrying(&error);
                patience.pause
            }
        };
        sleep(pause.min(patience.time.saturating_sub(begun.elapsed()))).await;
    }
}

/// An eighth of the shortest window: as often as the samples in it change.
pub(super) fn pause(decision: &Decision, longest: Duration) -> Duration {
    let window = |judged: &Judged| match judged {
        Judged::Measured(condition, _) => Some(condition.window),
        Judged::SignOff(..) | Judged::Check(..) | Judged::Exposure(_) | Judged::Nothing | Judged::Pods(_) => None,
    };
    let windows = decision.gates.iter().chain(&decision.triggers).filter_map(window).filter(|window| !window.is_zero());
    (windows.min().unwrap_or(longest) / 8).min(longest)
}
