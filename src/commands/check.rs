//! `cbctl check`: decides exactly what `promote` would decide now, and touches nothing.

use super::{Aim, Context, Look, known_phase, now};
use crate::cli::Check;
use crate::error::{Error, ExitStatus};
use crate::output::check::CheckReport;

pub(super) async fn run(context: &Context, arguments: &Check) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let phase = known_phase(&rollout, arguments.phase.as_ref())?;
    if let Some(at) = arguments.at.filter(|at| *at > now()) {
        return Err(Error::Future { at });
    }
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let aim = Aim { phase, adopt: false, at: arguments.at };
    let Look { workload, decision, queries, now } = context.look(&rollout, &cluster, aim).await?;
    context.printer.answer(&CheckReport::of(&rollout, &workload, &decision, queries, now));
    Ok(decision.outcome().into())
}
