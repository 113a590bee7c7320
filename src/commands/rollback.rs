//! `cbctl rollback [BREAKER…]`: breakers off, or back to before the last step. It needs the API server and nothing
//! else, and tries until the deadline.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::interrupt::interrupted;
use super::settle::Settling;
use super::{Context, now, operation, target, unknown};
use crate::cli::Rollback;
use crate::cluster::{Applied, Cluster, Entry, Found, Target, retry};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, ChangeReport, Result as Outcome};
use crate::phase_file;
use crate::rollout::declaration::Rollout;
use crate::rollout::plan::{self, NothingToRollBack, Operation, Plan};
use crate::rollout::workload::Workload;

pub(super) async fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus, Error> {
    let began = now();
    let deadline = Instant::now() + arguments.timeout;
    let mut interrupted = interrupted();
    // Which phase lacks a breaker only the phase files say; the step before is on record.
    let rollout = if arguments.breakers.is_empty() { None } else { Some(known_breakers(context, arguments)?) };
    let (mut cluster, target, name) = find_target(context, rollout.as_ref()).await?;
    cluster.keep_deadline(deadline);
    let told = |error: &crate::cluster::Error| context.printer.retrying(error);
    let by = retry(deadline, &mut interrupted, told, async || cluster.identity().await).await?;
    let operation = operation(by, began);

    let mut sent: Option<(Workload, Plan)> = None;
    let attempt = async || {
        let Found { workload, .. } = cluster.read(&target).await?;
        if let Some((before, plan)) = sent.take_if(|(_, plan)| plan.is_applied_to(&workload)) {
            let applied = Applied { generation: workload.replicas.generation };
            return Ok(Ok((before, plan, applied)));
        }
        let planned = match &rollout {
            None => plan::step_back(&workload, &operation),
            Some(rollout) => plan::breakers_off(rollout, &workload, &arguments.breakers, &operation),
        };
        match planned {
            Err(nothing) => Ok(Err((workload, nothing))),
            Ok(plan) => {
                let (before, plan) = sent.insert((workload, plan));
                let applied = cluster.apply(plan, before, arguments.write.dry_run).await?;
                Ok(Ok((before.clone(), plan.clone(), applied)))
            }
        }
    };
    let (before, plan, applied) = match retry(deadline, &mut interrupted, told, attempt).await? {
        Ok(changed) => changed,
        Err((workload, nothing)) => {
            context.printer.answer(&nothing_to_do(&workload, nothing));
            return Ok(ExitStatus::Success);
        }
    };
    context.printer.tell(&change::announcement(&done(&plan), &before.deployment, &plan));
    let remember = async |result| {
        let entry = Entry {
            operation: operation.id.clone(),
            at: operation.at,
            by: operation.by.clone(),
            action: "rollback",
            from: before.recorded_place(),
            to: plan.position.as_ref().map(|position| position.place.clone()),
            changes: plan.changes.clone(),
            evidence: serde_json::Value::Null,
            reason: arguments.write.reason.clone(),
            result,
            version: env!("CARGO_PKG_VERSION"),
        };
        context.remember(&cluster, &name, &entry).await;
    };
    let report = |result, headline| report(&before, &operation, &plan, result, headline);
    if arguments.write.dry_run {
        context.printer.answer(&report(Outcome::DryRun, "dry run: the API server accepts the change".to_owned()));
        return Ok(ExitStatus::Success);
    }
    if arguments.no_wait {
        remember("sent").await;
        let headline = "off in the deployment; its pods restart now, nobody waits for them".to_owned();
        context.printer.answer(&report(Outcome::Sent, headline));
        return Ok(ExitStatus::Success);
    }
    let wanted = plan.wanted();
    let settling = Settling {
        context,
        cluster: &cluster,
        target: &target,
        applied: &applied,
        wanted: &wanted,
        began,
        deadline,
        still_ours: &|seen| plan.is_recorded_in(seen),
    };
    let settled = settling.verify(&mut interrupted, &done(&plan)).await;
    let result = if settled.is_ok() { "done" } else { "unverified" };
    remember(result).await;
    let (after, headline) = settled?;
    let mut report = report(Outcome::Done, headline);
    report.pods = Some(after.spread(&wanted));
    context.printer.answer(&report);
    Ok(ExitStatus::Success)
}

fn known_breakers(context: &Context, arguments: &Rollback) -> Result<Rollout, Error> {
    let rollout = context.rollout()?;
    let known: Vec<&str> = rollout.header.breakers.iter().map(|breaker| breaker.name.as_str()).collect();
    let stranger = arguments.breakers.iter().find(|breaker| !known.contains(&breaker.as_str()));
    match stranger {
        Some(stranger) => Err(unknown("breaker", stranger.as_str(), &known)),
        None => Ok(rollout),
    }
}

/// The target by rollout.yaml or, where that cannot be used, by the one record in the namespace.
async fn find_target(context: &Context, rollout: Option<&Rollout>) -> Result<(Cluster, Target, String), Error> {
    let header = match rollout {
        Some(rollout) => Ok(rollout.header.clone()),
        None => phase_file::load_header(&context.global.files),
    };
    match header {
        Ok(header) => {
            let mut target = target(&header);
            let cluster = context.cluster(header.namespace.as_deref()).await?;
            target.flags.extend(header.breakers_off().into_keys().collect::<BTreeSet<_>>());
            Ok((cluster, target, header.name))
        }
        Err(error) => {
            context.printer.warn(&error);
            let cluster = context.cluster(None).await?;
            let (target, _) = cluster.recorded_target(None).await?;
            let name = target.deployment.clone();
            Ok((cluster, target, name))
        }
    }
}

fn done(plan: &Plan) -> String {
    match &plan.position {
        Some(position) => format!("back at {}, step {}", position.place.phase, position.place.step),
        None => "back to before the rollout began".to_owned(),
    }
}

fn nothing_to_do(workload: &Workload, nothing: NothingToRollBack) -> ChangeReport {
    let why = match nothing {
        NothingToRollBack::NoEarlierStep => "nothing to do: no step is on record that could be taken back",
        NothingToRollBack::AlreadyOff => "nothing to do: already off",
        NothingToRollBack::EmergencyInForce => {
            "nothing to do: an emergency rollback is in force, every breaker is off until the next promote"
        }
    };
    let (deployment, namespace) = (&workload.deployment, &workload.namespace);
    ChangeReport::new("rollback", deployment, namespace, Outcome::NothingToDo, why.to_owned())
}

fn report(before: &Workload, operation: &Operation, plan: &Plan, result: Outcome, headline: String) -> ChangeReport {
    let mut report = ChangeReport::new("rollback", &before.deployment, &before.namespace, result, headline);
    report.operation = (result != Outcome::DryRun).then(|| operation.id.clone());
    report.place = plan.position.as_ref().map(|position| position.place.clone());
    report.changes = plan.changes.iter().map(change::Applied::of).collect();
    report
}
