//! `cbctl rollback --emergency`: every breaker off, now, verified; in one Deployment or in many.
//!
//! One patch for each, which reads nothing first and carries no version, because it must win; and one for its canary.
//! Nothing on this path needs the phase files or Prometheus.

mod ledger;
mod order;
mod row;
mod sending;
mod urgency;
mod verification;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use self::ledger::Ledger;
use self::order::{Orders, Refused};
use self::row::Row;
use self::sending::Sending;
use self::urgency::{AT_ONCE, Urgency};
use self::verification::Verification;
use super::{Context, now, operation};
use crate::cli::Rollback;
use crate::error::{Error, ExitStatus};
use crate::output::change;
use crate::output::emergency::{self, EmergencyReport};
use crate::rollout::history::entry::{Action, Ending, Entry, NOBODY_KNOWS};
use crate::rollout::plan::Operation;
use crate::rollout::position::Emergency;

/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// For all entries of the history together: the answer is not held back for what is written of it.
const HISTORY: Duration = Duration::from_secs(10);

pub(super) async fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus, Error> {
    let (began, mut operation) =
        (Instant::now(), operation(String::new(), now(), arguments.back.write.reason.as_ref()));
    let urgency = Urgency::new(context, began + arguments.back.timeout);
    let Orders { list, refused } = order::find(arguments, &urgency).await?;
    let many = arguments.emergency.all || arguments.emergency.selector.is_some();
    let dry_run = arguments.back.write.dry_run;
    let waits = !arguments.back.no_wait && !dry_run;

    let mark =
        Emergency { at: operation.at, operation: operation.id.clone(), reason: arguments.back.write.reason.clone() };
    let ledger = Ledger::default();
    let told = many.then_some(list.len());
    let sending = Sending { urgency: &urgency, ledger: &ledger, mark: &mark, dry_run, began, waits, many };
    let verification = Verification::new(&urgency, &ledger, !many);
    let verify = async || if waits { verification.verify().await } else { None };
    let missed = tokio::select! {
        biased;
        ((), missed) = async { tokio::join!(biased; sending.send(list), verify()) } => missed,
        never = tell_numbers(context, &ledger, told, waits) => match never {},
    };
    let rows = ledger.close(missed);
    if waits {
        // Only now is there time to ask who we are, and to write it down.
        remember(context, &mut operation, &rows).await;
    }

    let rows = if many { rows } else { row::unless_alone(rows)? };
    let next = rows.iter().find_map(|row| row.next(&operation)).filter(|_| !many);
    let hints: BTreeSet<String> =
        rows.iter().filter_map(Row::hint).chain(refused.iter().filter_map(Refused::hint)).collect();
    let reports = rows.into_iter().map(|row| row.report(dry_run)).chain(refused.into_iter().map(Refused::report));
    let took = change::took(operation.at, now());
    let report = EmergencyReport::of(reports.collect(), (!dry_run).then_some(operation.id), &took, next);
    context.printer.answer(&report);
    for hint in hints {
        context.printer.tell(&format!("hint: {hint}"));
    }
    Ok(report.exit_status())
}

/// Many are told by their number as long as it takes; there may be more of them, because canaries are found on the way.
async fn tell_numbers(context: &Context, ledger: &Ledger, orders: Option<usize>, waits: bool) -> Infallible {
    let Some(orders) = orders else { return std::future::pending().await };
    let mut told = String::new();
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let progress = ledger.with(|rows| {
            let off = rows.iter().filter(|row| row.sent().is_some()).count();
            let verified = rows.iter().filter(|row| row.is_done()).count();
            emergency::progress(off, orders.max(rows.len()), waits.then_some(verified))
        });
        if progress != told {
            context.printer.tell(&progress);
            told = progress;
        }
    }
}

/// Adds to the history of every rollout that was switched off; a canary belongs to that of the Deployment beside it.
async fn remember(context: &Context, operation: &mut Operation, rows: &[Row]) {
    let entries: Vec<_> = rows.iter().filter_map(|row| Some((row, row.order.name.as_ref()?, row.sent()?))).collect();
    let Some((first, ..)) = entries.first() else { return };
    let undone: BTreeSet<_> = rows.iter().filter(|row| !row.is_done()).map(|row| row.order.key()).collect();
    let mut written = 0;
    let writing = async {
        operation.by = first.order.cluster.identity().await.unwrap_or_else(|_| NOBODY_KNOWS.to_owned());
        let operation = &*operation;
        let write = async |(row, name, sent): &(&Row, &String, &row::Sent)| {
            let is_done = !undone.contains(&row.order.key()) && !undone.contains(&row.order.canary_key());
            let result = if is_done { Ending::Done } else { Ending::Unverified };
            let entry = Entry { from: sent.was(), ..Entry::of(operation, Action::Emergency, result) };
            context.remember(&row.order.cluster, name, sent.last.as_ref(), entry).await;
        };
        let mut writes = stream::iter(&entries).map(write).buffer_unordered(AT_ONCE);
        while writes.next().await.is_some() {
            written += 1;
        }
    };
    if tokio::time::timeout(HISTORY, writing).await.is_err() {
        context.printer.tell(&emergency::unwritten(entries.len() - written, HISTORY));
    }
}
