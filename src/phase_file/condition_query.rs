//! Conditions on any `PromQL` query: the escape hatch for what no indicator measures.
//!
//! It does not know what is wrong with a query that can be evaluated (`promql_lint`).

use std::time::Duration;

use super::error::Fault;
use super::fields::{Fields, not_a_name, scalar, text};
use super::node::Node;
use super::promql_lint::{self, Purpose};
use super::{options, promql, promql_parts, unit};
use crate::judge::condition::{Comparison, Condition, Measure, Query, Role};
use crate::rollout::declaration::Header;
use crate::rollout::name::BreakerName;

const FIELDS: [&str; 10] =
    ["name", "query", "below", "at_most", "above", "at_least", "equals", "for", "over", "no_data"];

/// `{name: redis-up, query: 'min(redis_up)', equals: 1, for: 5m}`
pub fn from_query(node: &Node, role: Role, header: &Header) -> Result<Condition, Fault> {
    let fields = Fields::open(node, "a query", &FIELDS)?;
    let named = fields.require("name")?;
    let name = text(named, "the name of a query")?;
    if name.parse::<BreakerName>().is_err() {
        return Err(not_a_name::<BreakerName>(named.place, "the name of a query", name));
    }
    let query = fields.require("query")?;
    let promql = text(query, "the query")?;
    let purpose = match role {
        Role::Gate => Purpose::Gate,
        Role::Trigger => Purpose::Trigger,
    };
    let parsed = promql::query(promql, query.place)?;
    promql_lint::check(&parsed, promql, query, purpose)?;
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
    let measure = Measure::Query(Query {
        promql: promql.to_owned(),
        comparison,
        limit,
        throughout,
        reach: promql_parts::reach(&parsed),
        shortest_range: promql_parts::shortest_range(&parsed),
        of_latency: promql_parts::histogram_of_quantile(&parsed)
            .is_some_and(|histogram| header.indicators.latency_histogram.as_deref() == Some(&histogram)),
    });
    let text = format!("{name} {comparison} {limit_text}{suffix}");
    options::with_no_data(&fields, Condition::new(role, text, measure, window))
}
