//! `cbctl history`: what happened to the rollout, newest first; on request also whether that is still what was written.

use super::{Context, target};
use crate::cli::History;
use crate::cluster::{Cluster, Found};
use crate::error::{Error, ExitStatus};
use crate::output::history::HistoryReport;
use crate::phase_file;
use crate::rollout::history::catch_up;
use crate::rollout::history::page::{Link, Page};
use crate::rollout::history::verify::verify;

pub(super) async fn run(context: &Context, arguments: &History) -> Result<ExitStatus, Error> {
    let header = phase_file::load_header(&context.global.files)?;
    let cluster = context.cluster(header.namespace.as_deref()).await?;
    let target = target(&header);
    let (pages, found) = tokio::join!(pages(&cluster, &header.name, arguments), cluster.read(&target));
    let pages = pages?;
    let workload = match found {
        Ok(Found { workload, .. }) => Some(workload),
        Err(error) if arguments.verify => return Err(error.into()),
        // A history outlives its Deployment.
        Err(error) => {
            context.printer.warn(&error);
            None
        }
    };
    let newest = pages.last().cloned().flatten().unwrap_or_default();
    let untold = workload.as_ref().map(|workload| catch_up(&newest, workload, "")).unwrap_or_default();
    let mut links: Vec<Link> = pages.iter().flatten().flat_map(Page::links).collect();
    let shown = links.split_off(links.len().saturating_sub(arguments.last));
    let older = shown.first().map_or(0, |first| first.number.saturating_sub(1));
    let mut report = HistoryReport::of(&header.name, &cluster.namespace, shown, older, untold);
    if arguments.verify {
        let position = workload.as_ref().and_then(|workload| workload.position.as_ref()?.as_ref().ok());
        let faults = verify(&pages, position.and_then(|position| position.history.as_ref()));
        report = report.verified(faults);
    }
    context.printer.answer(&report);
    Ok(report.exit_status())
}

/// The newest page, and the older ones where they are asked for.
async fn pages(cluster: &Cluster, name: &str, arguments: &History) -> Result<Vec<Option<Page>>, Error> {
    let Some(newest) = cluster.newest_history(name).await? else { return Ok(Vec::new()) };
    if !arguments.verify && newest.links().count() >= arguments.last {
        return Ok(vec![Some(newest)]);
    }
    Ok(cluster.whole_history(name, newest).await?)
}
