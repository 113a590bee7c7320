//! `cbctl check`: decides exactly what `promote` would decide now, and touches nothing; on request again and again
//! until the answer is conclusive.

use std::time::Duration;

use super::looking::{self, Patience};
use super::{Aim, Context, known_phase, now};
use crate::cli::Check;
use crate::error::{Error, ExitStatus};
use crate::rollout::decision::Outcome;
use crate::rollout::route::Consent;
use tokio::time::Instant;

/// About the time in which a scrape brings something new.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Looks that may fail in a row while waiting.
const FAILURES: u32 = 5;

pub(super) async fn run(context: &Context, arguments: &Check) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let phase = known_phase(&rollout, arguments.phase.as_ref())?;
    if let Some(at) = arguments.at.filter(|at| *at > now()) {
        return Err(Error::Future { at });
    }
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let consent = Consent { high_risk: arguments.yes_high_risk, ..Consent::default() };
    let aim = Aim { phase, consent, at: arguments.at, ..Aim::default() };
    let begun = Instant::now();
    let looked = loop {
        let left = arguments.wait.map(|time| time.saturating_sub(begun.elapsed()));
        let looked = match left {
            None => looking::once(context, &rollout, &cluster, aim).await?,
            Some(time) => {
                let patience = Patience { time, failures: FAILURES, pause: LONGEST_PAUSE };
                looking::until_conclusive(context, &rollout, &cluster, aim, patience, |_| false).await?
            }
        };
        let (looked, tried) = context.after_checks(&rollout, &cluster, aim, looked).await?;
        // While the checks ran, something else may have become uncertain.
        let again = tried && looked.decision.outcome() == Outcome::Inconclusive;
        if !again || arguments.wait.is_none_or(|time| begun.elapsed() >= time) {
            break looked;
        }
    };
    context.printer.answer(&looked.report);
    Ok(looked.decision.outcome().into())
}
