//! `cbctl sign-off`: records somebody's word on the Deployment, under the name that the API server knows them by.

use std::collections::BTreeMap;

use super::{Context, now, target, unknown};
use crate::cli::SignOff;
use crate::error::{Error, ExitStatus};
use crate::output::change::{ChangeReport, Result as Outcome};
use crate::rollout::declaration::{Gate, Requirement, Rollout};
use crate::rollout::position;

pub(super) async fn run(context: &Context, arguments: &SignOff) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let asked: Vec<&str> = sign_offs(&rollout);
    if !asked.contains(&arguments.name.as_str()) {
        return Err(unknown("sign-off", arguments.name.as_str(), &asked));
    }
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let by = cluster.identity().await?;
    let reason = arguments.write.reason.clone();
    let sign_off = position::SignOff { by, at: now(), reason, contents: BTreeMap::new() };
    let deployment = target(&rollout.header).deployment;
    cluster.sign_off(&deployment, &arguments.name, &sign_off, arguments.write.dry_run).await?;
    let (result, headline) = if arguments.write.dry_run {
        (Outcome::DryRun, format!("dry run: {} would be signed by {}", arguments.name, sign_off.by))
    } else {
        (Outcome::Done, format!("signed {} by {}", arguments.name, sign_off.by))
    };
    let report = ChangeReport::new("sign_off", &deployment, &cluster.namespace, result, headline);
    context.printer.answer(&report);
    Ok(result.exit_status())
}

/// Every sign-off that the phases ask for.
fn sign_offs(rollout: &Rollout) -> Vec<&str> {
    let of_gates = rollout.phases.iter().flat_map(|phase| &phase.gates).filter_map(|gate| match gate {
        Gate::SignOff(required) => Some(required.name.as_str()),
        Gate::Measured(_) | Gate::Check(_) => None,
    });
    let required =
        rollout.phases.iter().flat_map(|phase| &phase.requires).filter_map(|requirement| match requirement {
            Requirement::SignOff(required) => Some(required.name.as_str()),
            Requirement::Phase { .. } | Requirement::Check(_) => None,
        });
    of_gates.chain(required).collect()
}
