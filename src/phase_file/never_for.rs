//! What a breaker must never guard is refused wherever a file names it, even when it is asked for.
//!
//! It compares words, and does not know what they stand for.

use std::ops::Range;

use super::error::{Fault, excerpt};
use super::node::Node;
use crate::rollout::declaration::Breaker;

/// Refuses a text of this node that names a class of calls that the breaker must never guard.
pub fn check(text: &str, node: &Node, breaker: &Breaker) -> Result<(), Fault> {
    let named = breaker.never_for.iter().find_map(|class| Some((class, find(text, class)?)));
    match named {
        None => Ok(()),
        Some((class, range)) => {
            Err(Fault::new(node.part(range), format!("`{}` must never guard `{}`", breaker.name, excerpt(class)))
                .label("leave it out")
                .hint("never_for of the breaker in rollout.yaml says so, and nothing on the command line overrides it"))
        }
    }
}

/// Whether a class can be told at all.
pub fn has_words(class: &str) -> bool {
    words(class, 0).next().is_some()
}

/// Where one of the items between commas contains the words of the class, one after the other.
fn find(text: &str, class: &str) -> Option<Range<usize>> {
    let class: Vec<String> = words(class, 0).map(|(_, word)| word).collect();
    let mut start = 0;
    text.split_inclusive(',').find_map(|item| {
        let words: Vec<(Range<usize>, String)> = words(item, start).collect();
        start += item.len();
        let is_class = |row: &&[(Range<usize>, String)]| row.iter().map(|(_, word)| word).eq(&class);
        let row = words.windows(class.len().max(1)).find(is_class)?;
        Some(row.first()?.0.start..row.last()?.0.end)
    })
}

/// The words of a text in lower case, whatever stands between them, with their places in bytes from `start` on.
fn words(text: &str, start: usize) -> impl Iterator<Item = (Range<usize>, String)> {
    let mut end = start;
    text.split_inclusive(|c: char| !c.is_alphanumeric()).filter_map(move |piece| {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        let range = end..end + word.len();
        end += piece.len();
        (!word.is_empty()).then(|| (range, word.to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_found_however_it_is_spelt() {
        for (text, class, expected) in [
            ("write operations", "write operations", Some(0..16)),
            ("reports,Write-Operations", "write operations", Some(8..24)),
            ("reports , WRITE_OPERATIONS ,x", "write operations", Some(10..26)),
            ("all write  operations of orders", "write-operations", Some(4..21)),
            ("[\"writes\"]", "writes", Some(2..8)),
            ("übung:writes", "Writes", Some(7..13)),
            ("write, operations", "write operations", None),
            ("rewrite operations", "write operations", None),
            ("write operation", "write operations", None),
            ("operations write", "write operations", None),
            ("", "writes", None),
            ("true", "writes", None),
            ("anything", "--", None),
        ] {
            assert_eq!(find(text, class), expected, "{text} / {class}");
        }
        assert!(has_words("a") && !has_words(" -_, "));
    }
}
