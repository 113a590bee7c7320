//! `cbctl rollback [BREAKER…]`: breakers off, or back to before the last step or to an earlier phase. It needs the API server and nothing
//! else, and tries until the deadline.

use jiff::Timestamp;
use tokio::time::Instant;

use super::interrupt::interrupted;
use super::settle::{self, Settling};
use super::{Context, now, operation, target, unknown};
use crate::cli::Rollback;
use crate::cluster::{Applied, Cluster, Entry, Target, retry};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, ChangeReport, Result as Outcome};
use crate::phase_file;
use crate::rollout::declaration::Rollout;
use crate::rollout::plan::{self, NothingToRollBack, Operation, Plan, Record};
use crate::rollout::workload::Workload;

pub(super) async fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus, Error> {
    let began = now();
    let deadline = Instant::now() + arguments.timeout;
    let mut interrupted = interrupted();
    // Which phase lacks a breaker only the phase files say; the step before is on record.
    let rollout = if arguments.breakers.is_empty() { None } else { Some(known_breakers(context, arguments)?) };
    let told = |error: &crate::cluster::Error| context.printer.retrying(error);
    let (cluster, target, name) = find_target(context, rollout.as_ref(), (deadline, &mut interrupted)).await?;
    // Who we are is good to know for the record, and no reason to hold a rollback up.
    let by = cluster.identity().await.unwrap_or_else(|_| "unknown".to_owned());
    let operation = operation(by, began);
    let planned = |workload: &Workload| match (&rollout, &arguments.to) {
        (Some(rollout), _) => plan::breakers_off(rollout, workload, &arguments.breakers, &operation),
        (None, Some(phase)) => plan::back_to(workload, phase, &operation),
        (None, None) => plan::step_back(workload, &operation),
    };
    let dry_run = arguments.write.dry_run;
    let sent = settle::send(&cluster, &target, (deadline, &mut interrupted), told, dry_run, planned).await?;
    let (before, plan, applied) = match sent {
        Ok(changed) => changed,
        Err((workload, reason)) => {
            let nothing = Nothing { context, cluster: &cluster, target: &target, workload, reason, began, deadline };
            return nothing.answer(arguments, &mut interrupted).await;
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
            to: plan.record.place().cloned(),
            changes: plan.changes.clone(),
            canary: None,
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
        let headline = format!("{} in the deployment; its pods restart now, nobody waits for them", done(&plan));
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
async fn find_target(
    context: &Context,
    rollout: Option<&Rollout>,
    (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
) -> Result<(Cluster, Target, String), Error> {
    let header = match rollout {
        Some(rollout) => Ok(rollout.header.clone()),
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

/// What a plan does, in words.
pub(super) fn done(plan: &Plan) -> String {
    match &plan.record {
        Record::Write(position) => format!("back at {}, step {}", position.place.phase, position.place.step),
        Record::Remove => "back to before the rollout began".to_owned(),
        Record::Keep => "off".to_owned(),
    }
}

/// A rollback that changes nothing in the Deployment.
pub(super) struct Nothing<'a> {
    pub context: &'a Context,
    pub cluster: &'a Cluster,
    pub target: &'a Target,
    pub workload: Workload,
    pub reason: NothingToRollBack,
    pub began: Timestamp,
    pub deadline: Instant,
}

impl Nothing<'_> {
    /// The pods may still be on their way: an earlier rollback may have been left before it had arrived.
    pub(super) async fn answer(
        &self,
        arguments: &Rollback,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<ExitStatus, Error> {
        let why = match self.reason {
            NothingToRollBack::NoEarlierStep => "no step is on record that could be taken back",
            NothingToRollBack::AlreadyOff => "already off",
            NothingToRollBack::AlreadyThere => "the rollout stands in that phase",
            NothingToRollBack::EmergencyInForce => {
                "an emergency rollback is in force, every breaker is off until the next promote"
            }
            NothingToRollBack::NeverThere => {
                let what = "no step from that phase is on record; cbctl status shows where the rollout is".to_owned();
                return Err(Error::Unverified { what, source: None });
            }
            NothingToRollBack::EmergencyOverridden => {
                let what = "an emergency rollback is in force, and somebody has switched a breaker on again: \
                            cbctl rollback --emergency"
                    .to_owned();
                return Err(Error::Unverified { what, source: None });
            }
            NothingToRollBack::RecordUnreadable => {
                let what = "the recorded position cannot be read: cbctl rollback BREAKER, or --emergency".to_owned();
                return Err(Error::Unverified { what, source: None });
            }
        };
        let (deployment, namespace) = (&self.workload.deployment, &self.workload.namespace);
        let mut headline = format!("nothing to do: {why}");
        if !arguments.no_wait && !arguments.write.dry_run {
            let wanted = self.workload.literals();
            let settling = Settling {
                context: self.context,
                cluster: self.cluster,
                target: self.target,
                applied: &Applied { generation: self.workload.replicas.generation },
                wanted: &wanted,
                began: self.began,
                deadline: self.deadline,
                still_ours: &|_| true,
            };
            let (after, _) = settling.verify(interrupted, why).await?;
            headline = format!("{headline}; {}", change::progress(&after.spread(&wanted)));
        }
        let report = ChangeReport::new("rollback", deployment, namespace, Outcome::NothingToDo, headline);
        self.context.printer.answer(&report);
        Ok(ExitStatus::Success)
    }
}

fn report(before: &Workload, operation: &Operation, plan: &Plan, result: Outcome, headline: String) -> ChangeReport {
    let mut report = ChangeReport::new("rollback", &before.deployment, &before.namespace, result, headline);
    report.operation = (result != Outcome::DryRun).then(|| operation.id.clone());
    report.place = plan.record.place().cloned();
    report.changes = plan.changes.iter().map(change::Applied::of).collect();
    report
}
