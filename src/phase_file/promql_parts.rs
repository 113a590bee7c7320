//! What a `PromQL` query is made of: its parts, its ranges, and the histogram behind a quantile.
//!
//! It does not know what is right or wrong. It never calls itself: a query may be nested as deeply as it is long.

use std::time::Duration;

use promql_parser::label::{METRIC_NAME, MatchOp};
use promql_parser::parser::{Call, Expr, Offset, VectorSelector};

/// Every part of a query, itself included.
pub fn parts(query: &Expr) -> impl Iterator<Item = &Expr> {
    parts_while(query, |_| true)
}

/// The same, but not what is inside parts for which `enter` is false.
pub fn parts_while(query: &Expr, enter: impl Fn(&Expr) -> bool) -> impl Iterator<Item = &Expr> {
    let mut ahead = vec![query];
    std::iter::from_fn(move || {
        let part = ahead.pop()?;
        if enter(part) {
            ahead.extend(children(part));
        }
        Some(part)
    })
}

fn children(part: &Expr) -> Vec<&Expr> {
    match part {
        Expr::Aggregate(aggregation) => aggregation.param.as_deref().into_iter().chain([&*aggregation.expr]).collect(),
        Expr::Unary(unary) => vec![&unary.expr],
        Expr::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        Expr::Paren(paren) => vec![&paren.expr],
        Expr::Subquery(subquery) => vec![&subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(|argument| &**argument).collect(),
        Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::Extension(_) => vec![],
    }
}

/// What stands inside any number of parentheses.
pub fn bare(mut part: &Expr) -> &Expr {
    while let Expr::Paren(paren) = part {
        part = &paren.expr;
    }
    part
}

/// The series that a part reads by itself, if it reads any.
pub fn selector(part: &Expr) -> Option<&VectorSelector> {
    match part {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        Expr::Aggregate(_)
        | Expr::Unary(_)
        | Expr::Binary(_)
        | Expr::Paren(_)
        | Expr::Subquery(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Call(_)
        | Expr::Extension(_) => None,
    }
}

/// The name of the metric that is selected, where the query says it.
pub fn metric(selector: &VectorSelector) -> Option<&str> {
    let by_label = || {
        let named =
            |matcher: &&promql_parser::label::Matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
        selector.matchers.matchers.iter().find(named).map(|matcher| matcher.value.as_str())
    };
    selector.name.as_deref().or_else(by_label)
}

/// The buckets of a call of `histogram_quantile` or the like, whatever is done to them before.
pub fn buckets_of_quantile(part: &Expr) -> Option<&Expr> {
    let Expr::Call(Call { func, args }) = part else {
        return None;
    };
    match func.name {
        "histogram_quantile" => args.args.get(1),
        "histogram_quantiles" => args.args.first(),
        _ => None,
    }
    .map(|buckets| &**buckets)
}

/// The shortest stretch of samples, such as `[5m]`, that a query looks at; None where it looks at moments only.
pub fn shortest_range(query: &Expr) -> Option<Duration> {
    let range = |part: &Expr| {
        let Expr::MatrixSelector(matrix) = part else { return None };
        Some(matrix.range)
    };
    parts(query).filter_map(range).min()
}

/// How far a query looks back at most: its ranges and offsets, one inside the other. What is pinned to a time by `@`
/// looks back from there and is not known here.
pub fn reach(query: &Expr) -> Duration {
    let own = |part: &Expr| match part {
        Expr::MatrixSelector(matrix) => matrix.range + back(matrix.vs.offset.as_ref()),
        Expr::VectorSelector(selector) => back(selector.offset.as_ref()),
        Expr::Subquery(subquery) => subquery.range + back(subquery.offset.as_ref()),
        Expr::Aggregate(_)
        | Expr::Unary(_)
        | Expr::Binary(_)
        | Expr::Paren(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Call(_)
        | Expr::Extension(_) => Duration::ZERO,
    };
    let (mut ahead, mut longest) = (vec![(query, Duration::ZERO)], Duration::ZERO);
    while let Some((part, before)) = ahead.pop() {
        let reached = before + own(part);
        longest = longest.max(reached);
        ahead.extend(children(part).into_iter().map(|child| (child, reached)));
    }
    longest
}

fn back(offset: Option<&Offset>) -> Duration {
    match offset {
        Some(Offset::Pos(offset)) => *offset,
        Some(Offset::Neg(_)) | None => Duration::ZERO,
    }
}

/// The histogram, without `_bucket`, whose quantile a query returns as it is.
pub fn histogram_of_quantile(query: &Expr) -> Option<String> {
    let buckets = buckets_of_quantile(bare(query))?;
    let mut metrics = parts(buckets).filter_map(selector).map(|selector| metric(selector)?.strip_suffix("_bucket"));
    let first = metrics.next()??;
    metrics.all(|other| other == Some(first)).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase_file::error::Place;
    use crate::phase_file::promql;

    fn parsed(promql: &str) -> Expr {
        promql::query(promql, Place::START).unwrap()
    }

    #[test]
    fn how_far_a_query_looks_back() {
        for (promql, seconds) in [
            ("min(up)", 0),
            ("rate(x[5m])", 300),
            ("max_over_time(rate(x[10m])[1h:10s])", 4_200),
            ("rate(x[5m] offset 1h) / rate(y[30m])", 3_900),
            ("x - x offset 6h", 21_600),
        ] {
            assert_eq!(reach(&parsed(promql)), Duration::from_secs(seconds), "{promql}");
        }
    }

    #[test]
    fn the_shortest_range() {
        for (promql, seconds) in [
            ("rate(x[5m])", Some(300)),
            (r#"rate(x{pod=~"$pods"}[5m]) / on() max_over_time(y[30s])"#, Some(30)),
            ("max_over_time(rate(x[10m])[1m:10s])", Some(600)),
            ("quantile(scalar(rate(x[20s])), y)", Some(20)),
            ("min(up)", None),
        ] {
            assert_eq!(shortest_range(&parsed(promql)), seconds.map(Duration::from_secs), "{promql}");
        }
    }

    #[test]
    fn the_histogram_of_a_quantile() {
        for (promql, histogram) in [
            ("histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket[5m])))", Some("http_seconds")),
            ("(histogram_quantile(0.95, rate({__name__=\"http_seconds_bucket\"}[5m])))", Some("http_seconds")),
            ("histogram_quantile(0.95, sum(rate(http_seconds[5m])))", None),
            ("histogram_quantile(0.95, sum by (le) (rate(a_bucket[5m]) + rate(b_bucket[5m])))", None),
            ("max(histogram_quantile(0.95, sum by (le, pod) (rate(http_seconds_bucket[5m]))))", None),
            ("http_seconds_bucket", None),
        ] {
            assert_eq!(histogram_of_quantile(&parsed(promql)).as_deref(), histogram, "{promql}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        assert_eq!(shortest_range(&parsed(&("-".repeat(4_000) + "x"))), None);
        assert_eq!(
            shortest_range(&parsed(&("(".repeat(2_000) + "rate(x[1m])" + &")".repeat(2_000)))),
            Some(Duration::from_secs(60))
        );
    }
}
