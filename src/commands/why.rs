//! `cbctl why [ID]`: one operation of the history, and on which evidence it was decided.

use super::{Context, now};
use crate::cli::Why;
use crate::error::{Error, ExitStatus};
use crate::output::why::WhyReport;
use crate::phase_file;
use crate::rollout::history::page::{Link, Page};

pub(super) async fn run(context: &Context, arguments: &Why) -> Result<ExitStatus, Error> {
    let header = phase_file::load_header(&context.global.files)?;
    let cluster = context.cluster(header.namespace.as_deref()).await?;
    let newest = cluster.newest_history(&header.name).await?.unwrap_or_default();
    let matching = |pages: &[Option<Page>]| -> Vec<Link> {
        let links = pages.iter().flatten().flat_map(Page::links);
        links.filter(|link| arguments.id.as_deref().is_none_or(|id| is_called(link, id))).collect()
    };
    let mut found = matching(&[Some(newest.clone())]);
    if found.is_empty() {
        found = matching(&cluster.whole_history(&header.name, newest).await?);
    }
    let same_operation = found.windows(2).all(|pair| pair[0].entry.operation == pair[1].entry.operation);
    let link = match (found.pop(), &arguments.id) {
        // Of an operation that was told twice the later telling knows more.
        (Some(newest), Some(_)) if same_operation => newest,
        (Some(newest), None) => newest,
        (Some(newest), Some(id)) => {
            let numbers = found.iter().chain([&newest]).map(|link| link.number).collect();
            return Err(Error::SeveralEntries { id: id.clone(), numbers });
        }
        (None, id) => return Err(Error::NoEntry { rollout: header.name, id: id.clone() }),
    };
    context.printer.answer(&WhyReport::of(&header.name, &cluster.namespace, link, now()));
    Ok(ExitStatus::Success)
}

/// By its number, or by the beginning of its operation's id.
fn is_called(link: &Link, id: &str) -> bool {
    match id.trim_start_matches('#').parse::<u64>() {
        // An id may begin with digits alone; no history is that long.
        Ok(number) if id.len() < 8 => link.number == number,
        _ => link.entry.operation.starts_with(id),
    }
}
