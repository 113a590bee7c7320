//! `cbctl rollback --emergency`: every breaker off, now, verified.
//!
//! One patch that reads nothing first and carries no version, because it must win. Nothing on this path needs the
//! phase files or Prometheus.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::interrupt::interrupted;
use super::settle::Settling;
use super::{Context, now, operation};
use crate::cli::Rollback;
use crate::cluster::{Applied, Cluster, Entry, Error as ClusterError, Target, retry};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, ChangeReport, Result as Outcome};
use crate::phase_file;
use crate::rollout::declaration::{Flags, Header};
use crate::rollout::name::FlagName;
use crate::rollout::plan::Operation;
use crate::rollout::position::Emergency;
use crate::rollout::workload::{FlagValue, Workload};

pub(super) async fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus, Error> {
    let operation = operation(String::new(), now());
    let deadline = Instant::now() + arguments.timeout;
    let mut interrupted = interrupted();
    let order = find_order(context, arguments, deadline, &mut interrupted).await?;
    let mark = Emergency { at: operation.at, operation: operation.id.clone(), reason: arguments.write.reason.clone() };
    let told = |error: &ClusterError| context.printer.retrying(error);
    let dry_run = arguments.write.dry_run;
    let switch_off =
        async || order.cluster.switch_off(&order.deployment, &order.container, &order.off, &mark, dry_run).await;
    let applied = retry(deadline, &mut interrupted, told, switch_off).await?;

    let (result, headline) = match (dry_run, arguments.no_wait) {
        (true, _) => (Outcome::DryRun, "dry run: the API server would switch every breaker off".to_owned()),
        (false, true) => {
            (Outcome::Sent, "off in the deployment; its pods restart now, nobody waits for them".to_owned())
        }
        (false, false) => {
            let took = change::took(operation.at, now());
            context.printer.tell(&format!("off: deployment/{} in {took}", order.deployment));
            let emergency = Verification { context, arguments, order, applied, deadline };
            return emergency.verify(operation, &mut interrupted).await;
        }
    };
    context.printer.answer(&order.report(&operation, result, headline, None));
    Ok(result.exit_status())
}

/// What to switch off, however it was found out.
struct Order {
    cluster: Cluster,
    /// Under which the history is kept.
    name: String,
    deployment: String,
    container: String,
    off: Flags,
}

/// A patch that the API server has taken, until every pod runs it.
struct Verification<'a> {
    context: &'a Context,
    arguments: &'a Rollback,
    order: Order,
    applied: Applied,
    deadline: Instant,
}

impl Verification<'_> {
    async fn verify(
        &self,
        mut operation: Operation,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<ExitStatus, Error> {
        let Self { context, order, .. } = self;
        let target = Target {
            deployment: order.deployment.clone(),
            container: Some(order.container.clone()),
            flags: order.off.keys().cloned().collect(),
        };
        let settling = Settling {
            context,
            cluster: &order.cluster,
            target: &target,
            applied: &self.applied,
            wanted: &order.wanted(),
            began: operation.at,
            deadline: self.deadline,
            still_ours: &|seen| seen.emergency.is_some(),
        };
        let settled = settling.verify(interrupted, "every breaker is off").await;
        // Only now is there time to ask who we are, and to write it down.
        operation.by = order.cluster.identity().await.unwrap_or_else(|_| "unknown".to_owned());
        let entry = Entry {
            operation: operation.id.clone(),
            at: operation.at,
            by: operation.by.clone(),
            action: "emergency",
            from: settled.as_ref().ok().and_then(|(after, _)| after.recorded_place()),
            to: None,
            changes: Vec::new(),
            canary: None,
            evidence: serde_json::Value::Null,
            reason: self.arguments.write.reason.clone(),
            result: if settled.is_ok() { "done" } else { "unverified" },
            version: env!("CARGO_PKG_VERSION"),
        };
        context.remember(&order.cluster, &order.name, &entry).await;
        let (after, headline) = settled?;
        context.printer.answer(&order.report(&operation, Outcome::Done, headline, Some(&after)));
        Ok(ExitStatus::Success)
    }
}

impl Order {
    /// What every pod has to run.
    fn wanted(&self) -> BTreeMap<FlagName, FlagValue> {
        self.off.iter().map(|(flag, value)| (flag.clone(), FlagValue::Literal(value.clone()))).collect()
    }

    fn report(
        &self,
        operation: &Operation,
        result: Outcome,
        headline: String,
        after: Option<&Workload>,
    ) -> ChangeReport {
        let mut report = ChangeReport::new("emergency", &self.deployment, &self.cluster.namespace, result, headline);
        report.operation = (result != Outcome::DryRun).then(|| operation.id.clone());
        report.changes = self.off.iter().map(|(flag, value)| change::Applied::unread(flag, value)).collect();
        report.pods = after.map(|after| after.spread(&self.wanted()));
        report.next = after.and_then(Workload::recorded_place).map(|place| {
            let since = change::took(place.since, operation.at);
            format!("was {}, step {}, for {since}; goes on with: cbctl promote", place.phase, place.step)
        });
        report
    }
}

/// From the command line, then rollout.yaml, and then the Deployment's own record.
async fn find_order(
    context: &Context,
    arguments: &Rollback,
    deadline: Instant,
    interrupted: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Order, Error> {
    let told = |error: &ClusterError| context.printer.retrying(error);
    let (header, files) = match phase_file::load_header(&context.global.files) {
        Ok(header) => (Some(header), None),
        Err(error) => (None, Some(error)),
    };
    if let Some(error) = &files {
        context.printer.warn(error);
    }
    let mut cluster = context.cluster(header.as_ref().and_then(|header| header.namespace.as_deref())).await?;
    cluster.keep_deadline(deadline);
    // Of another Deployment than the declared one nothing else that is declared holds.
    let header = header.filter(|header| arguments.deployment.as_ref().is_none_or(|name| *name == header.deployment));
    let named: Flags = arguments.flags.iter().map(|flag| (flag.clone(), "false".to_owned())).collect();
    let deployment = arguments.deployment.as_ref().or(header.as_ref().map(|header| &header.deployment));
    let off = if named.is_empty() { header.as_ref().map(Header::breakers_off) } else { Some(named) };
    if let (Some(deployment), Some(off)) = (deployment, off) {
        let declared = header.as_ref().and_then(|header| header.container.clone());
        let container = match arguments.container.clone().or(declared) {
            Some(container) => container,
            None => retry(deadline, interrupted, told, async || cluster.only_container(deployment).await).await?,
        };
        let name = header.as_ref().map_or_else(|| deployment.clone(), |header| header.name.clone());
        return Ok(Order { cluster, name, deployment: deployment.clone(), container, off });
    }
    let read = async || cluster.recorded_target(arguments.deployment.as_deref()).await;
    match (retry(deadline, interrupted, told, read).await, files) {
        (Ok((target, off)), _) => {
            let container = arguments.container.clone().or(target.container).unwrap_or_default();
            Ok(Order { cluster, name: target.deployment.clone(), deployment: target.deployment, container, off })
        }
        (Err(error @ ClusterError::NoRecord { .. }), Some(files)) => {
            Err(Error::NothingNamed { files: Box::new(files), hint: error.hint().unwrap_or_default() })
        }
        (Err(error), _) => Err(error.into()),
    }
}
