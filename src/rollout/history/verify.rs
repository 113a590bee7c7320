//! Whether a history is still what was written.
//!
//! The chain shows every change that was not made by rewriting all that follows. Whoever may write the ConfigMap can do
//! that too; what they cannot do is change the [`Anchor`] on the Deployment, unless they may write that as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::page::{Link, Page, key, seal};

/// The end of the history as a promotion saw it, kept in the Deployment's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub number: u64,
    pub seal: String,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The text under this key is no entry.
    Unreadable { page: u32, key: String },
    /// The entry stands under another number than its own.
    Misplaced { key: String, number: u64 },
    /// These entries are gone.
    Missing { first: u64, last: u64 },
    /// The entry is not the one that was written.
    Changed { number: u64 },
    /// More entries than were written.
    Added { first: u64 },
    /// A page does not say where it begins and ends, or did not when this entry was added: what was dropped at its end
    /// is not known.
    NoEnd { number: u64 },
    /// A page is gone, with these entries.
    PageMissing { page: u32 },
    /// The Deployment's record knows another history.
    NotTheRecorded { number: u64 },
}

/// What the pages say of themselves, together.
struct Ends {
    first: u64,
    last: u64,
    /// Seals that somebody else wrote down: of a link's number, by a page's extent or the anchor.
    seals: BTreeMap<u64, String>,
}

/// Holds every link against its neighbours and against what the pages and the Deployment say of them.
///
/// `pages` are all there are, oldest first; a page that is gone is None. No faults: nothing was changed, dropped, added
/// or reordered since it was written.
pub fn verify(pages: &[Option<Page>], anchor: Option<&Anchor>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut links: BTreeMap<u64, (Link, String)> = BTreeMap::new();
    for (index, page) in (1..).zip(pages) {
        let Some(page) = page else {
            faults.push(Fault::PageMissing { page: index });
            continue;
        };
        for (found, text) in &page.texts {
            match serde_json::from_str::<Link>(text) {
                Err(_) => faults.push(Fault::Unreadable { page: index, key: found.clone() }),
                Ok(link) => {
                    if key(link.number) != *found {
                        faults.push(Fault::Misplaced { key: found.clone(), number: link.number });
                    }
                    links.insert(link.number, (link, seal(text)));
                }
            }
        }
    }
    let ends = ends(pages, &links, &mut faults);
    gaps(&ends, &links, &mut faults);
    seals(&ends, &links, &mut faults);
    if let Some(anchor) = anchor
        && links.get(&anchor.number).is_none_or(|(_, seal)| *seal != anchor.seal)
    {
        faults.push(Fault::NotTheRecorded { number: anchor.number });
    }
    faults
}

fn ends(pages: &[Option<Page>], links: &BTreeMap<u64, (Link, String)>, faults: &mut Vec<Fault>) -> Ends {
    let found_last = links.keys().next_back().copied().unwrap_or_default();
    let mut ends = Ends { first: 1, last: found_last, seals: BTreeMap::new() };
    for page in pages.iter().flatten().filter(|page| !page.texts.is_empty() || page.extent.is_some()) {
        match &page.extent {
            None => faults.push(Fault::NoEnd { number: page.links().last().map_or(0, |link| link.number) }),
            Some(extent) => {
                ends.seals.insert(extent.last, extent.seal.clone());
                if extent.first > 1 {
                    ends.seals.entry(extent.first - 1).or_insert_with(|| extent.before.clone());
                }
            }
        }
    }
    if let Some(extent) = pages.last().and_then(Option::as_ref).and_then(|page| page.extent.as_ref()) {
        ends.last = extent.last;
        if found_last > extent.last {
            faults.push(Fault::Added { first: extent.last + 1 });
        }
    }
    faults
        .extend(links.values().filter(|(link, _)| link.resumed).map(|(link, _)| Fault::NoEnd { number: link.number }));
    ends
}

fn gaps(ends: &Ends, links: &BTreeMap<u64, (Link, String)>, faults: &mut Vec<Fault>) {
    let mut next = ends.first;
    for number in links.keys().copied().chain([ends.last + 1]) {
        if number > next {
            faults.push(Fault::Missing { first: next, last: number - 1 });
        }
        next = next.max(number + 1);
    }
}

/// From the newest back: a link that was changed is no witness against the one before.
fn seals(ends: &Ends, links: &BTreeMap<u64, (Link, String)>, faults: &mut Vec<Fault>) {
    let mut changed: BTreeMap<u64, bool> = BTreeMap::new();
    for (number, (_, seal)) in links.iter().rev() {
        let by_the_next = links.get(&(number + 1)).filter(|_| changed.get(&(number + 1)) == Some(&false));
        let witness = ends.seals.get(number).or(by_the_next.map(|(next, _)| &next.previous));
        let is_changed = witness.is_some_and(|witness| witness != seal);
        if is_changed {
            faults.push(Fault::Changed { number: *number });
        }
        changed.insert(*number, is_changed);
    }
    if let Some((first, _)) = links.get(&1).filter(|(first, _)| !first.previous.is_empty()) {
        faults.push(Fault::Changed { number: first.number });
    }
}
