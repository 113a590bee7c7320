//! `cbctl check`: decides exactly what `promote` would decide now, and touches nothing; on request again and again
//! until the answer is conclusive.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Aim, Context, Look, known_phase, now};
use crate::cli::Check;
use crate::cluster::Cluster;
use crate::error::{Error, ExitStatus};
use crate::output::check::CheckReport;
use crate::rollout::decision::{Decision, Judged, Outcome};
use crate::rollout::declaration::Rollout;

/// The longest pause between two looks: about the time in which a scrape brings something new.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Looks that may fail in a row while waiting: a server that restarts is no verdict.
const FAILURES: u32 = 5;

pub(super) async fn run(context: &Context, arguments: &Check) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let phase = known_phase(&rollout, arguments.phase.as_ref())?;
    if let Some(at) = arguments.at.filter(|at| *at > now()) {
        return Err(Error::Future { at });
    }
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let aim = Aim { phase, adopt: false, at: arguments.at };
    let (report, outcome) = match arguments.wait {
        None => look(context, &rollout, &cluster, aim).await.map(|(report, decision)| (report, decision.outcome()))?,
        Some(timeout) => wait(context, &rollout, &cluster, aim, timeout).await?,
    };
    context.printer.answer(&report);
    Ok(outcome.into())
}

async fn look(
    context: &Context,
    rollout: &Rollout,
    cluster: &Cluster,
    aim: Aim,
) -> Result<(CheckReport, Decision), Error> {
    let Look { workload, decision, scope, queries, now } = context.look(rollout, cluster, aim).await?;
    Ok((CheckReport::of(rollout, &workload, &decision, scope, queries, now), decision))
}

/// Looks until time and traffic have nothing more to add, or the time is over.
async fn wait(
    context: &Context,
    rollout: &Rollout,
    cluster: &Cluster,
    aim: Aim,
    timeout: Duration,
) -> Result<(CheckReport, Outcome), Error> {
    let begun = Instant::now();
    let (mut failures, mut told) = (0, None);
    loop {
        let looked = look(context, rollout, cluster, aim).await;
        let over = begun.elapsed() >= timeout;
        let pause = match looked {
            Ok((report, decision)) => {
                let outcome = decision.outcome();
                failures = if outcome == Outcome::Error { failures + 1 } else { 0 };
                let conclusive = !matches!(outcome, Outcome::Inconclusive | Outcome::Error) || failures > FAILURES;
                if conclusive || over {
                    return Ok((report, outcome));
                }
                // Often at first, then ever more rarely: nobody reads a line a second for two days.
                let due = told.is_none_or(|told: Instant| told.elapsed() > begun.elapsed() / 20);
                if due || outcome == Outcome::Error {
                    let line = report.waits_for();
                    context.printer.tell(&if outcome == Outcome::Error {
                        format!("warning: {line}; trying again")
                    } else {
                        format!("waiting: {line}")
                    });
                    told = Some(Instant::now());
                }
                pause(&decision)
            }
            Err(error) if failures == FAILURES || over => return Err(error),
            Err(error) => {
                failures += 1;
                context.printer.retrying(&error);
                LONGEST_PAUSE
            }
        };
        sleep(pause.min(timeout.saturating_sub(begun.elapsed()))).await;
    }
}

/// An eighth of the shortest window: as often as the samples in it change.
fn pause(decision: &Decision) -> Duration {
    let window = |judged: &Judged| match judged {
        Judged::Measured(condition, _) => Some(condition.window),
        Judged::SignOff(..) | Judged::Pods(_) => None,
    };
    let windows = decision.gates.iter().chain(&decision.triggers).filter_map(window).filter(|window| !window.is_zero());
    (windows.min().unwrap_or(LONGEST_PAUSE) / 8).min(LONGEST_PAUSE)
}
