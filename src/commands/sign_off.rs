//! `cbctl sign-off`: records somebody's word on the Deployment, under the name that the API server knows them by, for
//! every phase that asks for it as its file is now.

use super::{Context, operation, shared_now, target, unknown};
use crate::cli::SignOff;
use crate::cluster::Found;
use crate::error::{Error, ExitStatus};
use crate::output::change::{ChangeReport, Result as Outcome};
use crate::rollout::history::entry::{Action, Ending, Entry};
use crate::rollout::name::{PhaseName, SignOffName};
use crate::rollout::{position, sign_off};

pub(super) async fn run(context: &Context, arguments: &SignOff) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let SignOff { name, write } = arguments;
    let contents = sign_off::contents(&rollout, name);
    if contents.is_empty() {
        let asked: Vec<&str> = sign_off::names(&rollout).map(SignOffName::as_str).collect();
        return Err(unknown("sign-off", name.as_str(), &asked));
    }
    let phases: Vec<&str> = contents.keys().map(PhaseName::as_str).collect();
    let phases = phases.join(", ");
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let target = target(&rollout.header);
    let (found, identity) = tokio::join!(cluster.read(&target), cluster.identity());
    let Found { workload, clock_offset } = found?;
    let operation = operation(identity?, shared_now(clock_offset), write.reason.as_ref());
    let (by, at, reason) = (operation.by.clone(), operation.at, operation.reason.clone());
    let word = position::SignOff { by, at, reason, contents };
    cluster.sign_off(&workload.deployment, name, &word, write.dry_run).await?;

    let result = if write.dry_run { Outcome::DryRun } else { Outcome::Done };
    let there = workload.recorded_place();
    if !write.dry_run {
        let entry = Entry {
            from: there.clone(),
            to: there.clone(),
            signed: Some(name.clone()),
            ..Entry::of(&operation, Action::SignOff, Ending::Done)
        };
        context.remember(&cluster, &rollout.header.name, Some(&workload), entry).await;
    }
    let headline = match write.dry_run {
        true => format!("dry run: {name} would be signed by {} for {phases}", word.by),
        false => format!("signed {name} by {} for {phases}", word.by),
    };
    context.printer.answer(&ChangeReport::new("sign_off", &workload.deployment, &cluster.namespace, result, headline));
    Ok(result.exit_status())
}
