//! `cbctl rollback --emergency`: every breaker off, now, verified.
//!
//! One patch that reads nothing first and carries no version, because it must win. Nothing on this path needs the
//! phase files or Prometheus.

use jiff::Timestamp;
use tokio::time::Instant;

use super::interrupt::interrupted;
use super::settle::Settling;
use super::{Context, now, operation};
use crate::cli::Rollback;
use crate::cluster::{Applied, Cluster, Entry, Target, retry};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, ChangeReport, Result as Outcome};
use crate::phase_file;
use crate::rollout::declaration::Flags;
use crate::rollout::plan::Operation;
use crate::rollout::position::Emergency;
use crate::rollout::workload::{FlagValue, Workload};

/// What to switch off, however it was found out.
struct Order {
    cluster: Cluster,
    /// Under which the history is kept.
    name: String,
    deployment: String,
    container: String,
    off: Flags,
}

pub(super) async fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus, Error> {
    let began = now();
    let deadline = Instant::now() + arguments.timeout;
    let mut interrupted = interrupted();
    let order = order(context, arguments, deadline, &mut interrupted).await?;
    let Order { cluster, deployment, container, off, .. } = &order;
    let operation = operation(String::new(), began);
    let mark = Emergency { at: began, operation: operation.id.clone(), reason: arguments.write.reason.clone() };
    let told = |error: &crate::cluster::Error| context.printer.retrying(error);
    let switch_off = async || cluster.switch_off(deployment, container, off, &mark, arguments.write.dry_run).await;
    let applied = retry(deadline, &mut interrupted, told, switch_off).await?;

    if arguments.write.dry_run {
        let headline = "dry run: the API server would switch every breaker off".to_owned();
        return Ok(answer(context, &order, &operation, Outcome::DryRun, headline, None));
    }
    if arguments.no_wait {
        let headline = "off in the deployment; its pods restart now, nobody waits for them".to_owned();
        return Ok(answer(context, &order, &operation, Outcome::Sent, headline, None));
    }
    context.printer.tell(&format!("off: deployment/{deployment} in {}", change::took(began, now())));
    verify(context, arguments, &order, operation, &applied, began, deadline, &mut interrupted).await
}

#[expect(clippy::too_many_arguments, reason = "the second half of one function")]
async fn verify(
    context: &Context,
    arguments: &Rollback,
    order: &Order,
    mut operation: Operation,
    applied: &Applied,
    began: Timestamp,
    deadline: Instant,
    interrupted: &mut (impl Future<Output = ()> + Unpin),
) -> Result<ExitStatus, Error> {
    let Order { cluster, deployment, container, off, .. } = order;
    let target = Target {
        deployment: deployment.clone(),
        container: Some(container.clone()),
        flags: off.keys().cloned().collect(),
    };
    let wanted = off.iter().map(|(flag, value)| (flag.clone(), FlagValue::Literal(value.clone()))).collect();
    let settling = Settling {
        context,
        cluster,
        target: &target,
        applied,
        wanted: &wanted,
        began,
        deadline,
        still_ours: &|seen| seen.emergency.is_some(),
    };
    let settled = settling.verify(interrupted, "every breaker is off").await;
    // Only now is there time to ask who we are, and to write it down.
    operation.by = cluster.identity().await.unwrap_or_else(|_| "unknown".to_owned());
    let result = if settled.is_ok() { "done" } else { "unverified" };
    remember(context, order, arguments, &operation, settled.as_ref().ok().map(|(after, _)| after), result).await;
    let (after, headline) = settled?;
    Ok(answer(context, order, &operation, Outcome::Done, headline, Some(&after)))
}

/// From rollout.yaml; from the command line and the Deployment's record where that cannot be used.
async fn order(
    context: &Context,
    arguments: &Rollback,
    deadline: Instant,
    interrupted: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Order, Error> {
    let told = |error: &crate::cluster::Error| context.printer.retrying(error);
    let named: Flags = arguments.flags.iter().map(|flag| (flag.clone(), "false".to_owned())).collect();
    let header = match (&arguments.deployment, phase_file::load_header(&context.global.files)) {
        (None, Ok(header)) => header,
        (_, header) => {
            let files = header.err();
            if let Some(error) = &files {
                context.printer.warn(error);
            }
            let mut cluster = context.cluster(None).await?;
            cluster.keep_deadline(deadline);
            return recorded_order(cluster, arguments, named, deadline, interrupted, told).await.map_err(
                |error| match (error, files) {
                    (Error::Cluster(error @ crate::cluster::Error::NoRecord { .. }), Some(files)) => {
                        Error::NothingNamed { files: Box::new(files), hint: error.hint().unwrap_or_default() }
                    }
                    (error, _) => error,
                },
            );
        }
    };
    let mut cluster = context.cluster(header.namespace.as_deref()).await?;
    cluster.keep_deadline(deadline);
    let container = match header.container.clone() {
        Some(container) => container,
        None => retry(deadline, interrupted, told, async || cluster.only_container(&header.deployment).await).await?,
    };
    let off = header.breakers_off();
    Ok(Order { cluster, name: header.name, deployment: header.deployment, container, off })
}

async fn recorded_order(
    cluster: Cluster,
    arguments: &Rollback,
    named: Flags,
    deadline: Instant,
    interrupted: &mut (impl Future<Output = ()> + Unpin),
    told: impl Fn(&crate::cluster::Error),
) -> Result<Order, Error> {
    match (&arguments.deployment, named.is_empty()) {
        (Some(deployment), false) => {
            let container = match arguments.container.clone() {
                Some(container) => container,
                None => retry(deadline, interrupted, &told, async || cluster.only_container(deployment).await).await?,
            };
            let (name, deployment) = (deployment.clone(), deployment.clone());
            Ok(Order { cluster, name, deployment, container, off: named })
        }
        (deployment, _) => {
            let read = async || cluster.recorded_target(deployment.as_deref()).await;
            let (target, off) = retry(deadline, interrupted, &told, read).await?;
            let container = arguments.container.clone().or(target.container).unwrap_or_default();
            Ok(Order { cluster, name: target.deployment.clone(), deployment: target.deployment, container, off })
        }
    }
}

fn answer(
    context: &Context,
    order: &Order,
    operation: &Operation,
    result: Outcome,
    headline: String,
    after: Option<&Workload>,
) -> ExitStatus {
    let mut report = ChangeReport::new("emergency", &order.deployment, &order.cluster.namespace, result, headline);
    report.operation = (result != Outcome::DryRun).then(|| operation.id.clone());
    report.changes = order.off.iter().map(|(flag, value)| change::Applied::unread(flag, value)).collect();
    let wanted = order.off.iter().map(|(flag, value)| (flag.clone(), FlagValue::Literal(value.clone()))).collect();
    report.pods = after.map(|after| after.spread(&wanted));
    if let Some(Ok(position)) = after.and_then(|after| after.position.as_ref()) {
        let place = &position.place;
        report.next = Some(format!("was {}, step {}; goes on with: cbctl promote", place.phase, place.step));
    }
    context.printer.answer(&report);
    result.exit_status()
}

async fn remember(
    context: &Context,
    order: &Order,
    arguments: &Rollback,
    operation: &Operation,
    after: Option<&Workload>,
    result: &'static str,
) {
    let recorded = after.and_then(|after| after.position.as_ref()).and_then(|position| position.as_ref().ok());
    let entry = Entry {
        operation: operation.id.clone(),
        at: operation.at,
        by: operation.by.clone(),
        action: "emergency",
        from: recorded.map(|position| position.place.clone()),
        to: None,
        changes: Vec::new(),
        evidence: serde_json::Value::Null,
        reason: arguments.write.reason.clone(),
        result,
        version: env!("CARGO_PKG_VERSION"),
    };
    if let Err(error) = order.cluster.write_history(&order.name, &entry).await {
        context.printer.warn(&error);
    }
}
