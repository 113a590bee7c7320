//! `cbctl pause` and `cbctl resume`: whether anything is promoted. Rollbacks do not ask.

use super::{Context, operation, shared_now, target};
use crate::cli::Pause;
use crate::cluster::Found;
use crate::error::{Error, ExitStatus};
use crate::output::change::{ChangeReport, Result as Outcome};
use crate::output::obstacle::{on_hold, reason};
use crate::phase_file;
use crate::rollout::history::entry::{Action, Ending, Entry};
use crate::rollout::position;
use crate::rollout::standing::elapsed;

/// Running it twice is harmless: who paused first stays on record.
pub(super) async fn run(context: &Context, arguments: &Pause, pause: bool) -> Result<ExitStatus, Error> {
    let header = phase_file::load_header(&context.global.files)?;
    let cluster = context.cluster(header.namespace.as_deref()).await?;
    let target = target(&header);
    let (found, identity) = tokio::join!(cluster.read(&target), cluster.identity());
    let Found { workload, clock_offset } = found?;
    let operation = operation(identity?, shared_now(clock_offset), arguments.write.reason.as_ref());
    let (kind, action) = if pause { ("pause", Action::Pause) } else { ("resume", Action::Resume) };
    let report = |result, headline| ChangeReport::new(kind, &workload.deployment, &cluster.namespace, result, headline);

    let already = match (&workload.pause, pause) {
        (Some(standing), true) => {
            Some(on_hold(&standing.by, elapsed(standing.at, operation.at), standing.reason.as_deref()))
        }
        (None, false) => Some("not paused".to_owned()),
        (None, true) | (Some(_), false) => None,
    };
    if let Some(already) = already {
        context.printer.answer(&report(Outcome::NothingToDo, format!("nothing to do: {already}")));
        return Ok(Outcome::NothingToDo.exit_status());
    }

    let word = position::Pause { by: operation.by.clone(), at: operation.at, reason: operation.reason.clone() };
    let dry_run = arguments.write.dry_run;
    cluster.pause(&workload.deployment, Some(&word).filter(|_| pause), dry_run).await?;
    let why = reason(operation.reason.as_deref());
    if dry_run {
        let headline = format!("dry run: {kind} by {}{why}; the API server accepts the change", operation.by);
        context.printer.answer(&report(Outcome::DryRun, headline));
        return Ok(Outcome::DryRun.exit_status());
    }
    let there = workload.recorded_place();
    let entry = Entry { from: there.clone(), to: there.clone(), ..Entry::of(&operation, action, Ending::Done) };
    context.remember(&cluster, &header.name, Some(&workload), entry).await;
    let headline = match pause {
        true => format!("paused by {}{why}: nothing is promoted until cbctl resume; rollbacks go on as ever", word.by),
        false => format!("resumed by {}{why}: promotions go on", word.by),
    };
    let mut report = report(Outcome::Done, headline);
    report.operation = Some(operation.id);
    report.place = there;
    context.printer.answer(&report);
    Ok(Outcome::Done.exit_status())
}
