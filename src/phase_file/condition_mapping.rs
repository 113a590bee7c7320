//! Conditions written as a mapping: an indicator, its limit and window, and options.
//!
//! It does not know the one-line form, but renders what it reads in the same words.

use super::asked::{self, Asked, Word};
use super::error::{Fault, Place};
use super::fields::{Fields, scalar, text};
use super::node::Node;
use super::relation::{self, Relation, relation, who_says_the_window, window_word};
use super::{indicator, options};
use crate::judge::condition::{Condition, Role};
use crate::rollout::declaration::Header;

const FIELDS: [&str; 16] = [
    "indicator",
    "breaker",
    "below",
    "at_most",
    "above",
    "at_least",
    "equals",
    "within",
    "beyond",
    "over",
    "for",
    "confidence",
    "min_requests",
    "no_data",
    "method",
    "healthy",
];

/// `{indicator: p95, below: 400ms, over: 30m, confidence: 0.95, min_requests: 500}`
pub fn from_indicator(node: &Node, role: Role, header: &Header) -> Result<Condition, Fault> {
    let fields = Fields::open(node, "a condition", &FIELDS)?;
    let named = fields.require("indicator")?;
    let name = Word { text: text(named, "the indicator")?, place: named.place };
    let indicator = indicator::indicator(name.text, name.place, header)?;
    asked::suits(indicator, role, name)?;
    let taken: Vec<_> = relation::taken(indicator, role).iter().map(|relation| relation.field()).collect();
    for field in relation::FIELDS {
        if let Some(key) = fields.key(field) {
            if taken.is_empty() {
                return Err(leave_out(key.place, format!("`{}` has no limit", name.text)));
            }
            relation(field, key.place, (indicator, name.text), role, Relation::field)?;
        }
    }
    let right = window_word(indicator, role);
    if let Some(key) = ["over", "for"].into_iter().filter(|word| *word != right).find_map(|word| fields.key(word)) {
        let who = who_says_the_window(indicator, name.text, role);
        let message = format!("{who} says `{right}`, not `{}`", key.text);
        return Err(Fault::new(key.place, message).label(format!("write `{right}`")));
    }
    let breaker = match (indicator.is_of_a_breaker(), fields.key("breaker")) {
        (true, _) => {
            let node = fields.require("breaker")?;
            Some(Word { text: text(node, "the breaker")?, place: node.place })
        }
        (false, None) => None,
        (false, Some(key)) => {
            return Err(leave_out(key.place, format!("`{}` is not measured by breaker", name.text)));
        }
    };
    let limit = match taken.as_slice() {
        [] => None,
        [only] => Some((*only, fields.require(only)?)),
        several => Some(fields.one_of(several)?),
    };
    let limit = match limit {
        None => None,
        Some((field, node)) => {
            let relation = relation(field, node.place, (indicator, name.text), role, Relation::field)?;
            Some((relation, Word { text: &scalar(node, "the limit")?.text, place: node.place }))
        }
    };
    let window = fields.require(right)?;
    let window = Word { text: &scalar(window, "the window")?.text, place: window.place };
    let asked = Asked { role, indicator, name, breaker, limit, window };
    let condition = asked.condition(rendered(&asked), header)?;
    options::apply(&fields, name.text, condition)
}

fn leave_out(place: Place, message: String) -> Fault {
    Fault::new(place, message).label("leave it out")
}

/// The one-line form.
fn rendered(asked: &Asked<'_>) -> String {
    let breaker = asked.breaker.map(|breaker| format!("({})", breaker.text)).unwrap_or_default();
    let limit = asked.limit.map(|(relation, limit)| {
        let of = if relation.is_to_the_baseline() { " of baseline" } else { "" };
        format!(" {} {}{of}", relation.sign(), limit.text)
    });
    let word = window_word(asked.indicator, asked.role);
    format!("{}{breaker}{} {word} {}", asked.name.text, limit.unwrap_or_default(), asked.window.text)
}
