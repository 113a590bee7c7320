//! `cbctl rehearse`: tries the way back without going it, before it is needed. `promote` does the same before it writes.

use super::{Context, operation, read_settled, shared_now, target};
use crate::cluster::{Cluster, Found};
use crate::error::{Error, ExitStatus};
use crate::output::check::destination;
use crate::output::rehearsal::RehearsalReport;
use crate::rollout::decision::Outcome;
use crate::rollout::declaration::Rollout;
use crate::rollout::plan::{self, Operation, Plan};
use crate::rollout::rehearsal;
use crate::rollout::route::Route;
use crate::rollout::workload::Workload;

pub(super) async fn run(context: &Context) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let target = target(&rollout.header);
    let (found, identity) = tokio::join!(read_settled(&cluster, &target), cluster.identity());
    let Found { workload, clock_offset } = found?;
    let operation = operation(identity?, shared_now(clock_offset));
    let route = rehearsal::next_step(&rollout, &workload, operation.at);
    let plan = plan::promotion(&rollout, &workload, &route, &operation);
    let (report, outcome) = rehearse(&cluster, &rollout, &workload, &route, plan.as_ref(), &operation).await?;
    context.printer.answer(&report);
    Ok(outcome.into())
}

/// Rehearses the way back from what a plan leads to, or from what is there.
pub(super) async fn rehearse(
    cluster: &Cluster,
    rollout: &Rollout,
    workload: &Workload,
    route: &Route,
    plan: Option<&Plan>,
    operation: &Operation,
) -> Result<(RehearsalReport, Outcome), Error> {
    let promoted = plan.map_or_else(|| workload.clone(), |plan| plan.outcome(workload));
    let forms = rehearsal::forms(rollout, &promoted, operation);
    let surroundings = cluster.surroundings(workload, &forms, &rollout.header.name).await?;
    let rehearsal = rehearsal::judge(rollout, &promoted, &route.obstacles, forms, surroundings, &[]);
    let from = destination(rollout, route.destination);
    Ok((RehearsalReport::of(rollout, workload, &rehearsal, from, &operation.by), rehearsal.outcome()))
}
