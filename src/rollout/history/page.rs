//! A page of the history: links under their numbers, and what the page says of itself.
//!
//! A page is one ConfigMap, which holds one MiB at most. Nothing is ever thrown away: when the newest page is full, its
//! older links become a page of their own, which is never written again.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::verify::Anchor;

/// A page that would become larger than this, in bytes, is divided first. The API server's limit is 1 MiB.
pub const FULL: usize = 768 * 1024;
/// What stays on the newest page when it is divided.
const KEPT: usize = 256 * 1024;
/// The evidence of one entry is left out beyond this many bytes, and the entry says so.
const LARGEST_EVIDENCE: usize = 128 * 1024;

/// One page as it is stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// What it says of itself; None where that is missing or cannot be read.
    pub extent: Option<Extent>,
    /// The links' texts under their keys.
    pub texts: BTreeMap<String, String>,
}

/// Where a page begins and ends. Written with every link, so that a dropped end shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Counted from 1.
    pub page: u32,
    /// Number of the page's first link.
    pub first: u64,
    /// Seal of the link before the first; empty for the very first.
    pub before: String,
    /// Number of its last link.
    pub last: u64,
    /// Seal of its last link.
    pub seal: String,
}

/// An entry in its place in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Counted from 1 without gaps, over all pages.
    pub number: u64,
    /// Seal of the link before; empty for the very first.
    pub previous: String,
    /// The page did not say where it ended when this link was added: nobody knows whether one was dropped there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    #[serde(flatten)]
    pub entry: Entry,
}

/// Links to be added to a page, with what it then says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Addition {
    pub texts: BTreeMap<String, String>,
    pub extent: Extent,
}

/// A full page in two.
#[derive(Debug, Clone, PartialEq)]
pub struct Division {
    /// The older part, complete.
    pub closed: Page,
    /// What the newest page then says of itself, without the links of `closed`.
    pub rest: Extent,
}

/// What a text is recognised by: its SHA-256, in hexadecimal digits.
pub fn seal(text: &str) -> String {
    digest(&SHA256, text.as_bytes())
        .as_ref()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Sorts like the number.
pub fn key(number: u64) -> String {
    format!("{number:08}")
}

impl Page {
    /// Its readable links, oldest first.
    pub fn links(&self) -> impl DoubleEndedIterator<Item = Link> + '_ {
        self.texts.values().filter_map(|text| serde_json::from_str(text).ok())
    }

    /// Where it ends, as it says itself.
    pub fn anchor(&self) -> Option<Anchor> {
        let extent = self.extent.as_ref()?;
        Some(Anchor { number: extent.last, seal: extent.seal.clone() })
    }

    /// Bytes of its keys and texts.
    pub fn size(&self) -> usize {
        size(&self.texts)
    }

    /// Where the chain goes on. What the page says of itself outranks what is found in it: if they differ, that stays
    /// visible in every later link.
    fn end(&self) -> (Extent, bool) {
        if let Some(extent) = &self.extent {
            return (extent.clone(), false);
        }
        let mut extent = Extent { page: 1, first: 1, before: String::new(), last: 0, seal: String::new() };
        let numbered = |text: &String| Some((serde_json::from_str::<Link>(text).ok()?, seal(text)));
        let links: Vec<(Link, String)> = self.texts.values().filter_map(numbered).collect();
        if let (Some((first, _)), Some((last, seal))) = (links.first(), links.last()) {
            extent.first = first.number;
            extent.before.clone_from(&first.previous);
            extent.last = last.number;
            extent.seal.clone_from(seal);
        }
        (extent, !self.texts.is_empty())
    }

    /// The links that add these entries.
    ///
    /// # Errors
    /// If an entry cannot be written as JSON.
    pub fn add(&self, entries: Vec<Entry>) -> Result<Addition, serde_json::Error> {
        let (mut extent, mut resumed) = self.end();
        let mut texts = BTreeMap::new();
        // What somebody else put behind the end is not written over: it stays, and it shows.
        let beyond = self.texts.keys().filter_map(|key| key.parse().ok()).max();
        extent.last = beyond.map_or(extent.last, |beyond: u64| beyond.max(extent.last));
        for entry in entries {
            extent.last += 1;
            let entry = bounded(entry)?;
            let link = Link { number: extent.last, previous: extent.seal, resumed, entry };
            let text = serde_json::to_string(&link)?;
            extent.seal = seal(&text);
            texts.insert(key(link.number), text);
            resumed = false;
        }
        Ok(Addition { texts, extent })
    }

    /// Takes the older links out as a page of their own, if the page would be too large with the addition.
    pub fn divide(&self, addition: &Addition) -> Option<Division> {
        if self.size() + size(&addition.texts) <= FULL {
            return None;
        }
        let (extent, _) = self.end();
        let mut kept = 0;
        let is_kept = |(key, text): &(&String, &String)| {
            kept += key.len() + text.len();
            kept <= KEPT
        };
        let stay = self.texts.iter().rev().take_while(is_kept).count();
        let closed: BTreeMap<String, String> =
            self.texts.iter().take(self.texts.len() - stay).map(|(key, text)| (key.clone(), text.clone())).collect();
        let text = closed.values().next_back()?;
        let last: Link = serde_json::from_str(text).ok()?;
        let seal = seal(text);
        let rest = Extent { page: extent.page + 1, first: last.number + 1, before: seal.clone(), ..extent.clone() };
        let extent = Extent { last: last.number, seal, ..extent };
        Some(Division { closed: Page { extent: Some(extent), texts: closed }, rest })
    }
}

fn size(texts: &BTreeMap<String, String>) -> usize {
    texts.iter().map(|(key, text)| key.len() + text.len()).sum()
}

/// An entry that fits into a page with others.
fn bounded(mut entry: Entry) -> Result<Entry, serde_json::Error> {
    let bytes = serde_json::to_string(&entry.evidence)?.len();
    if bytes > LARGEST_EVIDENCE {
        entry.evidence = vec![serde_json::json!({ "left_out_bytes": bytes })];
    }
    Ok(entry)
}
