//! The history of a rollout: what happened, who did it and on which evidence, chained so that nothing can be changed,
//! dropped or reordered unseen.
//!
//! Entries are links of a chain: each carries its number and the seal of the one before. They are kept in pages, of
//! which the newest is written to and the others never change again. Where history and the Deployment's record
//! disagree, the record is right, and [`catch_up`] tells what the history lacks. It does not know how pages are stored.

pub mod entry;
pub mod page;
pub mod verify;

use std::time::Duration;

use entry::{Action, Ending, Entry};
use page::Page;

use super::plan::Operation;
use super::workload::Workload;

/// What there is to write down when an operation is over: what the history lacks, and the operation itself, unless it
/// has told this result already.
pub fn additions(newest: &Page, seen: Option<&Workload>, entry: &Entry) -> Vec<Entry> {
    let is_this = |told: &Entry| told.operation == entry.operation && told.result == entry.result;
    if newest.links().any(|link| is_this(&link.entry)) {
        return Vec::new();
    }
    let missing = seen.map(|seen| catch_up(newest, seen, &entry.operation));
    missing.into_iter().flatten().chain([entry.clone()]).collect()
}

/// How long replacing every pod usually took: the middle one of the last five times. A single slow one, of a day on
/// which a node was lost, shall not stand against every promotion that follows.
pub fn usual_time(newest: &Page) -> Option<Duration> {
    const TIMES: usize = 5;
    let by_values = |action| matches!(action, Action::Promote | Action::Rollback);
    let of_words = |action| matches!(action, Action::SignOff | Action::Pause | Action::Resume);
    let replaced = |entry: &Entry| match by_values(entry.action) {
        true => !entry.changes.is_empty(),
        false => !of_words(entry.action),
    };
    let took = |entry: &Entry| Duration::try_from_secs_f64(entry.took_seconds?).ok();
    let done =
        newest.links().rev().map(|link| link.entry).filter(|entry| entry.result == Ending::Done && replaced(entry));
    let mut times: Vec<Duration> = done.filter_map(|entry| took(&entry)).take(TIMES).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// What the Deployment's records tell and the history does not: an operation that died before it could write it down,
/// or that nobody waited for. Oldest first; in the words of the record, because nobody knows how it ended.
///
/// `writing` is the operation whose own entry comes next.
pub fn catch_up(newest: &Page, workload: &Workload, writing: &str) -> Vec<Entry> {
    let known: Vec<Entry> = newest.links().map(|link| link.entry).collect();
    let is_missing = |operation: &str| operation != writing && known.iter().all(|entry| entry.operation != operation);
    // An emergency moves no record: the place before it is still the one that was written last.
    let place = known.iter().rev().find(|entry| entry.action != Action::Emergency).and_then(|entry| entry.to.clone());
    let found = |id: &str, at, action| {
        let by = entry::NOBODY_KNOWS.to_owned();
        let operation = Operation { id: id.to_owned(), by, at, reason: None, history: None };
        Entry { version: String::new(), ..Entry::of(&operation, action, Ending::Found) }
    };
    let mut missing = Vec::new();
    let undone = workload.template.undone.as_ref();
    match &workload.position {
        Some(Ok(position)) if is_missing(&position.operation) => {
            let (action, from) = match position.rolled_back {
                true if undone.is_some_and(|undone| undone.operation == position.operation) => (Action::Undo, place),
                true => (Action::Rollback, place),
                false => (Action::Promote, position.trail.last().and_then(|taken| taken.from.clone())),
            };
            missing.push(Entry {
                by: position.by.clone(),
                reason: position.reason.clone(),
                from,
                to: Some(position.place.clone()),
                ..found(&position.operation, position.at, action)
            });
        }
        // The record is gone, and the last that was written down says there is one.
        None if place.is_some() => {
            let last = known.last().map_or(jiff::Timestamp::UNIX_EPOCH, |entry| entry.at);
            missing.push(Entry { from: place, ..found("", last, Action::Rollback) });
        }
        _ => {}
    }
    // One that left the record where it was.
    let recorded = workload.recorded_position();
    let of_template = undone.filter(|undone| recorded.is_none_or(|position| position.operation != undone.operation));
    if let Some(undone) = of_template.filter(|undone| is_missing(&undone.operation)) {
        let there = workload.recorded_place();
        let entry = found(&undone.operation, undone.at, Action::Undo);
        missing.push(Entry { from: there.clone(), to: there, ..entry });
    }
    // It is written down before the canary is scaled, and counts once the canary is that small.
    let reduced = recorded.and_then(|position| position.reduced.as_ref());
    let reduced = reduced.filter(|reduced| reduced.fewer.is_made(workload));
    if let Some(reduced) = reduced.filter(|reduced| is_missing(&reduced.operation)) {
        let there = workload.recorded_place();
        let entry = found(&reduced.operation, reduced.at, Action::Rollback);
        missing.push(Entry { from: there.clone(), to: there, canary: Some(reduced.fewer.clone()), ..entry });
    }
    if let Some(mark) = workload.emergency.as_ref().filter(|mark| is_missing(&mark.operation)) {
        let from = workload.recorded_place();
        let entry = found(&mark.operation, mark.at, Action::Emergency);
        missing.push(Entry { from, reason: mark.reason.clone(), ..entry });
    }
    missing.sort_by_key(|entry| entry.at);
    missing
}

#[cfg(test)]
mod tests;
