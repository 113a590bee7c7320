//! Conditions written as a mapping: an indicator with options, or any `PromQL` query.
//!
//! It does not know the one-line form, but renders what it reads in the same words.

use std::time::Duration;

use super::condition::{Words, condition, stuck_open_is_no_gate};
use super::error::{Fault, excerpt};
use super::fields::{Fields, not_a_name, scalar, text};
use super::indicator::{self, Indicator};
use super::node::Node;
use super::{promql, unit};
use crate::judge::condition::{Comparison, Condition, Measure, Query, Role};
use crate::rollout::declaration::Header;
use crate::rollout::name::BreakerName;

const INDICATOR_FIELDS: [&str; 8] =
    ["indicator", "breaker", "below", "above", "over", "for", "confidence", "min_requests"];
const QUERY_FIELDS: [&str; 9] = ["name", "query", "below", "at_most", "above", "at_least", "equals", "for", "over"];

/// `{indicator: p95, below: 400ms, over: 30m, confidence: 0.95, min_requests: 500}`
pub fn from_indicator(node: &Node, role: Role, header: &Header) -> Result<Condition, Fault> {
    let fields = Fields::open(node, "a condition", &INDICATOR_FIELDS)?;
    let words = Words::of(role);
    for (wrong, right) in [(words.other_limit, words.limit), (words.other_window, words.window)] {
        if let Some(key) = fields.key(wrong) {
            let message = format!("{} says `{right}`, not `{wrong}`", words.role);
            return Err(Fault::new(key.place, message).label(format!("write `{right}`")));
        }
    }
    let named = fields.require("indicator")?;
    let name = text(named, "the indicator")?;
    let indicator = indicator::indicator(name, named.place, header)?;
    let window_node = fields.require(words.window)?;
    let window_text = scalar(window_node, "the window")?.text.as_str();
    let window = unit::positive_duration(window_text, window_node.place, "a window")?;
    let (measure, subject) = match indicator {
        Indicator::StuckOpen => {
            stuck_open_is_no_gate(role, named.place)?;
            unwanted(&fields, words.limit, "`stuck_open` has no limit")?;
            unwanted(&fields, "min_requests", "`stuck_open` does not count requests")?;
            let breaker = fields.require("breaker")?;
            let breaker_name = text(breaker, "the breaker")?;
            let measure = indicator::stuck_open(breaker_name, breaker.place, header)?;
            (measure, format!("stuck_open({breaker_name})"))
        }
        Indicator::ErrorRate | Indicator::Latency(_) => {
            unwanted(&fields, "breaker", &format!("`{name}` is not measured by breaker"))?;
            let limit = fields.require(words.limit)?;
            let limit_text = scalar(limit, "the limit")?.text.as_str();
            let measure = indicator::limited(indicator, limit_text, limit.place)?;
            (measure, format!("{name} {} {limit_text}", words.operator))
        }
    };
    let defaults = condition(role, format!("{subject} {} {window_text}", words.window), measure, window);
    Ok(Condition {
        confidence: fields.get("confidence").map_or(Ok(defaults.confidence), confidence)?,
        min_requests: fields.get("min_requests").map_or(Ok(defaults.min_requests), min_requests)?,
        ..defaults
    })
}

/// `{name: redis-up, query: 'min(redis_up)', equals: 1, for: 5m}`
pub fn from_query(node: &Node, role: Role) -> Result<Condition, Fault> {
    let fields = Fields::open(node, "a query", &QUERY_FIELDS)?;
    let named = fields.require("name")?;
    let name = text(named, "the name of a query")?;
    if name.parse::<BreakerName>().is_err() {
        return Err(not_a_name::<BreakerName>(named.place, "the name of a query", name));
    }
    let query = fields.require("query")?;
    let promql = text(query, "the query")?;
    promql::query(promql, query.place)?;
    let (word, limit_node) = fields.one_of(&["below", "at_most", "above", "at_least", "equals"])?;
    let comparison = match word {
        "below" => Comparison::Below,
        "at_most" => Comparison::AtMost,
        "above" => Comparison::Above,
        "at_least" => Comparison::AtLeast,
        _ => Comparison::Equals,
    };
    let limit_text = scalar(limit_node, "the limit")?.text.as_str();
    let limit = unit::number(limit_text, limit_node.place)?;
    let stretch = fields.at_most_one_of(&["for", "over"])?;
    let (throughout, window, suffix) = match stretch {
        None => (false, Duration::ZERO, String::new()),
        Some((word, node)) => {
            let written = scalar(node, "the window")?.text.as_str();
            let window = unit::positive_duration(written, node.place, "a window")?;
            (word == "for", window, format!(" {word} {written}"))
        }
    };
    let measure = Measure::Query(Query { promql: promql.to_owned(), comparison, limit, throughout });
    Ok(condition(role, format!("{name} {comparison} {limit_text}{suffix}"), measure, window))
}

fn unwanted(fields: &Fields<'_>, name: &str, reason: &str) -> Result<(), Fault> {
    match fields.key(name) {
        None => Ok(()),
        Some(key) => Err(Fault::new(key.place, reason).label("leave it out")),
    }
}

fn confidence(node: &Node) -> Result<f64, Fault> {
    let written = scalar(node, "the confidence")?.text.as_str();
    let confidence = unit::number(written, node.place)?;
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(confidence);
    }
    Err(Fault::new(node.place, format!("a confidence of `{}`", excerpt(written)))
        .label("between 0 and 1, such as 0.95"))
}

fn min_requests(node: &Node) -> Result<u64, Fault> {
    // Up to here every count has a floating-point number of its own.
    unit::whole(&scalar(node, "min_requests")?.text, node.place, 0..=1 << 53)
}
