//! Queries that can be evaluated, and are wrong all the same: the mistakes that make a number out of nothing.
//!
//! It does not know the limits that a query is held against. A query with several series is not refused here: how many
//! there are is known only when it is asked, and then it is told by name.

use promql_parser::parser::token::{T_AVG, T_BOTTOMK, T_COUNT, T_GROUP, T_LIMIT_RATIO, T_LIMITK, T_LOR, T_SUM, T_TOPK};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier};

use super::error::{Fault, Place};
use super::node::Node;
use super::promql_parts::{bare, buckets_of_quantile, metric, parts, parts_while, selector};

/// What is made of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Gate,
    Trigger,
    /// Whether a breaker's dependency is healthy.
    Health,
}

/// A longer query is pointed at as a whole.
const LONGEST_TO_SEARCH: usize = 500;
const QUANTILE: &str = "write histogram_quantile(0.95, sum by (le) (rate(…_bucket[5m])))";

/// Refuses the query that `node` holds as `text` where it would answer something else than it is asked.
pub fn check(query: &Expr, text: &str, node: &Node, purpose: Purpose) -> Result<(), Fault> {
    let place = |part: &Expr| place(part, text, node);
    for part in parts(query) {
        let fault = missing_data_as_a_number(part, &place)
            .or_else(|| absence_as_a_gate(part, purpose, &place))
            .or_else(|| rate_of_an_aggregation(part, &place))
            .or_else(|| mean_of_quantiles(part, &place))
            .or_else(|| quantile_without_buckets(part, &place));
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    Ok(())
}

/// The part itself, where it was written as it is rendered, and only once.
fn place(part: &Expr, text: &str, node: &Node) -> Place {
    if text.len() > LONGEST_TO_SEARCH {
        return node.place;
    }
    let rendered = part.to_string();
    let mut found = text.match_indices(&rendered);
    match (found.next(), found.next()) {
        (Some((start, _)), None) => node.part(start..start + rendered.len()),
        _ => node.place,
    }
}

/// `… or vector(0)`: where nothing was measured, the number would be judged.
fn missing_data_as_a_number(part: &Expr, place: &impl Fn(&Expr) -> Place) -> Option<Fault> {
    let Expr::Binary(BinaryExpr { op, lhs, rhs, .. }) = part else {
        return None;
    };
    let reads_nothing = |side: &Expr| parts(side).all(|part| selector(part).is_none());
    let constant = [rhs, lhs].into_iter().find(|side| op.id() == T_LOR && reads_nothing(side))?;
    Some(
        Fault::new(place(constant), "`or` puts a number in the place of missing data")
            .label("leave `or` and this out")
            .hint("without it, a query that finds nothing is inconclusive; a gate with no_data: fail fails then"),
    )
}

/// `absent(…)` is 1 when there is no data, whatever the reason.
fn absence_as_a_gate(part: &Expr, purpose: Purpose, place: &impl Fn(&Expr) -> Place) -> Option<Fault> {
    let Expr::Call(Call { func, .. }) = part else {
        return None;
    };
    let absence = matches!(func.name, "absent" | "absent_over_time");
    (absence && purpose == Purpose::Gate).then(|| {
        Fault::new(place(part), format!("`{}` makes a gate pass on missing data", func.name))
            .label("write count(…) and how many there have to be")
            .hint("a typing error in the metric would pass too; in a trigger it does no harm")
    })
}

/// `rate(sum(…)[5m:])`: a counter that starts again is invisible in the sum, and the rate is of the step.
fn rate_of_an_aggregation(part: &Expr, place: &impl Fn(&Expr) -> Place) -> Option<Fault> {
    let Expr::Call(Call { func, args }) = part else {
        return None;
    };
    let inner = args.args.iter().find_map(|argument| {
        let Expr::Subquery(subquery) = bare(argument) else { return None };
        Some(&subquery.expr)
    })?;
    let of_counters = match func.name {
        "rate" | "irate" | "increase" | "resets" => true,
        // Of a gauge they are right.
        "delta" | "idelta" | "deriv" => parts(inner).filter_map(selector).any(|selector| {
            let endings = ["_total", "_count", "_sum", "_bucket"];
            metric(selector).is_some_and(|metric| endings.iter().any(|ending| metric.ends_with(ending)))
        }),
        _ => false,
    };
    let aggregation = parts(inner).filter(|_| of_counters).find_map(aggregation)?;
    let (operation, function) = (aggregation.op, func.name);
    let of_a_counter = match function {
        "delta" => "increase",
        "idelta" => "irate",
        "deriv" => "rate",
        _ => function,
    };
    Some(
        Fault::new(place(part), format!("`{function}` of `{operation}` loses the resets of the counters"))
            .label(format!("write {operation}({of_a_counter}(…[5m]))")),
    )
}

/// `avg(histogram_quantile(…))`: the mean of some 95th percentiles is no percentile of anything.
fn mean_of_quantiles(part: &Expr, place: &impl Fn(&Expr) -> Place) -> Option<Fault> {
    let (mean, inner) = if let Expr::Aggregate(AggregateExpr { op, expr, .. }) = part
        && [T_AVG, T_SUM].contains(&op.id())
    {
        (op.to_string(), expr)
    } else if let Expr::Call(Call { func, args }) = part
        && matches!(func.name, "avg_over_time" | "sum_over_time")
    {
        (func.name.to_owned(), args.args.first()?)
    } else {
        return None;
    };
    // A number of quantiles, or of those above a limit, is a number like any other.
    let only_counted = |part: &Expr| {
        matches!(part, Expr::Aggregate(aggregation) if [T_COUNT, T_GROUP].contains(&aggregation.op.id()))
            || matches!(part, Expr::Binary(binary) if binary.modifier.as_ref().is_some_and(|how| how.return_bool))
            || matches!(part, Expr::Call(call) if matches!(call.func.name, "count_over_time" | "present_over_time"))
    };
    parts_while(inner, |part| !only_counted(part)).find(|part| buckets_of_quantile(part).is_some())?;
    Some(Fault::new(place(part), format!("`{mean}` of quantiles is no quantile")).label(QUANTILE))
}

/// `histogram_quantile(0.95, sum(…_bucket…))`: without `le` nobody knows which bucket is which.
fn quantile_without_buckets(part: &Expr, place: &impl Fn(&Expr) -> Place) -> Option<Fault> {
    let buckets = buckets_of_quantile(part)?;
    let lost = parts(buckets).find(|part| aggregation(part).is_some_and(drops_buckets))?;
    let operation = aggregation(lost)?.op;
    Some(
        Fault::new(place(lost), format!("`{operation}` drops the label `le`, without which there is no quantile"))
            .label(format!("write {operation} by (le) (…)")),
    )
}

fn drops_buckets(aggregation: &AggregateExpr) -> bool {
    let has_le = |modifier: &LabelModifier| modifier.labels().labels.iter().any(|label| label == "le");
    let dropped = match &aggregation.modifier {
        None => true,
        Some(modifier) => modifier.is_include() != has_le(modifier),
    };
    // These choose among the series and leave them as they are.
    let keeps_series = [T_TOPK, T_BOTTOMK, T_LIMITK, T_LIMIT_RATIO].contains(&aggregation.op.id());
    let mut metrics = parts(&aggregation.expr).filter_map(selector).filter_map(metric);
    dropped && !keeps_series && metrics.any(|metric| metric.ends_with("_bucket"))
}

fn aggregation(part: &Expr) -> Option<&AggregateExpr> {
    let Expr::Aggregate(aggregation) = part else { return None };
    Some(aggregation)
}
