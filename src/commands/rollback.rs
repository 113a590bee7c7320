//! `cbctl rollback`: every way back but the emergency's. It needs the API server and nothing else, and tries until the
//! deadline.

mod form;
mod nothing;

use tokio::time::Instant;

use super::interrupt::interrupted;
use super::settle::{self, Made, Sent, Settling};
use super::{Context, now, operation, target};
use crate::cli::{Back, Rollback};
use crate::cluster::{Cluster, Target, retry};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, ChangeReport, Result as Outcome};
use crate::output::progress::overtaken;
use crate::phase_file;
use crate::rollout::declaration::Header;
use crate::rollout::history::entry::{Ending, Entry, NOBODY_KNOWS};
use crate::rollout::plan::{Operation, Plan};
use crate::rollout::workload::Workload;
use form::Form;
pub(super) use nothing::Nothing;

pub(super) async fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus, Error> {
    go_back(context, &Form::of(context, arguments)?, &arguments.back).await
}

/// `cbctl abort`: the way back of a canary.
pub(super) async fn abort(context: &Context, arguments: &Back) -> Result<ExitStatus, Error> {
    go_back(context, &Form::Abort, arguments).await
}

async fn go_back(context: &Context, form: &Form, arguments: &Back) -> Result<ExitStatus, Error> {
    let began = now();
    let deadline = Instant::now() + arguments.timeout;
    let mut interrupted = interrupted();
    let told = |error: &crate::cluster::Error| context.printer.retrying(error);
    let (cluster, target, name) = find_target(context, form.header(), (deadline, &mut interrupted)).await?;
    // Who we are is good to know for the record, and no reason to hold a rollback up.
    let by = cluster.identity().await.unwrap_or_else(|_| NOBODY_KNOWS.to_owned());
    let operation = operation(by, began, arguments.write.reason.as_ref());
    let remember = async |before: &Workload, plan: &Plan, result| {
        let entry = Entry {
            from: before.recorded_place(),
            to: plan.outcome(before).recorded_place(),
            changes: plan.changes.clone(),
            ..Entry::of(&operation, form.action(), result)
        };
        context.remember(&cluster, &name, Some(before), entry).await;
    };
    let planned = |workload: &Workload| form.plan(workload, &operation);
    let planned_on = form.looks_at(target.clone());
    let (dry_run, limits) = (arguments.write.dry_run, (deadline, &mut interrupted));
    let Made { before, plan, applied } =
        match settle::send(&cluster, &planned_on, limits, told, dry_run, planned).await? {
            Sent::Made(made) => *made,
            Sent::Nothing(workload, reason) => {
                let (cluster, target) = (&cluster, &target);
                let nothing = Nothing { context, cluster, target, workload: *workload, reason, began, deadline };
                return nothing.answer(arguments, &mut interrupted).await;
            }
            Sent::Overtaken { before, plan, now, arrived } => {
                if arrived {
                    remember(&before, &plan, Ending::Overtaken).await;
                }
                let (what, hint) = overtaken(&now, arrived);
                return Err(Error::NotArrived { what, hint, source: None });
            }
        };
    let done = change::restored(&plan);
    context.printer.tell(&change::announcement(&done, &before, &plan));
    let report = |result, headline| report(form, &before, &operation, &plan, result, headline);
    if arguments.write.dry_run {
        context.printer.answer(&report(Outcome::DryRun, "dry run: the API server accepts the change".to_owned()));
        return Ok(ExitStatus::Success);
    }
    if arguments.no_wait {
        remember(&before, &plan, Ending::Sent).await;
        let headline = format!("{done} in the deployment; its pods restart now, nobody waits for them");
        context.printer.answer(&report(Outcome::Sent, headline));
        return Ok(ExitStatus::Success);
    }
    let goal = plan.goal(&before);
    let settling = Settling {
        context,
        cluster: &cluster,
        target: &target,
        applied: &applied,
        goal: &goal,
        canary: plan.canary.as_deref(),
        began,
        deadline,
        still_ours: &|seen| plan.is_recorded_in(seen),
    };
    let settled = settling.verify(&mut interrupted, &done).await;
    remember(&before, &plan, if settled.is_ok() { Ending::Done } else { Ending::Unverified }).await;
    let (after, headline) = match settled {
        Ok(settled) => settled,
        Err(unsettled) => return Err(unsettled.answer(context, |what| report(Outcome::Unverified, what))),
    };
    let mut report = report(Outcome::Done, headline);
    report.pods = Some(after.spread(&goal));
    context.printer.answer(&report);
    Ok(ExitStatus::Success)
}

/// The target by rollout.yaml or, where that cannot be used, by the one record in the namespace.
async fn find_target(
    context: &Context,
    header: Option<&Header>,
    (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
) -> Result<(Cluster, Target, String), Error> {
    let header = match header {
        Some(header) => Ok(header.clone()),
        None => phase_file::load_header(&context.global.files),
    };
    match header {
        Ok(header) => {
            let mut cluster = context.cluster(header.namespace.as_deref()).await?;
            cluster.keep_deadline(deadline);
            Ok((cluster, target(&header), header.name))
        }
        Err(error) => {
            context.printer.warn(&error);
            let mut cluster = context.cluster(None).await?;
            cluster.keep_deadline(deadline);
            let told = |error: &crate::cluster::Error| context.printer.retrying(error);
            let read = async || cluster.recorded_target(None).await;
            let (target, _) = retry(deadline, interrupted, told, read).await?;
            let name = target.deployment.clone();
            Ok((cluster, target, name))
        }
    }
}

fn report(
    form: &Form,
    before: &Workload,
    operation: &Operation,
    plan: &Plan,
    result: Outcome,
    headline: String,
) -> ChangeReport {
    let mut report = ChangeReport::of_plan(form.verb(), before, operation, plan, result, headline);
    report.kept = plan.kept().cloned().collect();
    report
}
