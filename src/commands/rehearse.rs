//! `cbctl rehearse`: tries the way back without going it, before it is needed. `promote` does the same before it writes.

use std::time::Duration;

use super::{Context, operation, read_settled, shared_now, target_of};
use crate::cluster::{Cluster, Found, Target};
use crate::error::{Error, ExitStatus};
use crate::output::check::destination;
use crate::output::rehearsal::RehearsalReport;
use crate::rollout::decision::Outcome;
use crate::rollout::declaration::Rollout;
use crate::rollout::history::usual_time;
use crate::rollout::plan::{self, Operation, Plan};
use crate::rollout::rehearsal;
use crate::rollout::route::Route;
use crate::rollout::workload::Workload;

pub(super) async fn run(context: &Context) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let target = Target { revisions: true, ..target_of(&rollout) };
    let (found, identity, newest) =
        tokio::join!(read_settled(&cluster, &target), cluster.identity(), cluster.newest_history(&rollout.header.name));
    let Found { workload, clock_offset } = found?;
    let operation = operation(identity?, shared_now(clock_offset), None);
    // A history that cannot be read is no obstacle to a rollback.
    let past = newest.ok().flatten().and_then(|newest| usual_time(&newest));
    let route = rehearsal::next_step(&rollout, &workload, operation.at);
    let plan = plan::promotion(&rollout, &workload, &route, &operation);
    let way = Way { rollout: &rollout, workload: &workload, route: &route, plan: plan.as_ref(), past };
    let (report, outcome) = rehearse(&cluster, &way, &operation).await?;
    context.printer.answer(&report);
    Ok(outcome.into())
}

/// What there is to come back from.
pub(super) struct Way<'a> {
    pub rollout: &'a Rollout,
    pub workload: &'a Workload,
    pub route: &'a Route,
    /// The promotion that would have to be taken back; None where there is none to make.
    pub plan: Option<&'a Plan>,
    /// How long replacing every pod took before, where the history tells.
    pub past: Option<Duration>,
}

/// Rehearses the way back from what a plan leads to, or from what is there.
pub(super) async fn rehearse(
    cluster: &Cluster,
    way: &Way<'_>,
    operation: &Operation,
) -> Result<(RehearsalReport, Outcome), Error> {
    let Way { rollout, workload, route, plan, past } = *way;
    let promoted = plan.map_or_else(|| workload.clone(), |plan| plan.outcome(workload));
    let asked = rehearsal::asked(rollout, workload, &promoted, plan, operation);
    let surroundings = cluster.surroundings(workload, &asked, &rollout.header.name).await?;
    let rehearsal = rehearsal::judge(rollout, &promoted, &route.obstacles, asked, surroundings, past);
    let from = destination(rollout, route.destination);
    Ok((RehearsalReport::of(rollout, workload, &rehearsal, from, &operation.by), rehearsal.outcome()))
}
