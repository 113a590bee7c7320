//! The options of a condition in the mapping form, and which conditions have them.
//!
//! An option that would change nothing is refused: who writes it believes that it does.

use super::error::{Fault, excerpt};
use super::fields::{Fields, scalar, text};
use super::nearest::nearest;
use super::node::Node;
use super::unit;
use crate::judge::condition::{Condition, Measure, Method, NoData, Role, Share};

const METHODS: [(&str, Method); 3] =
    [("sequential", Method::Sequential), ("threshold", Method::Threshold), ("interpolated", Method::Interpolated)];
const NO_DATA: [(&str, NoData); 2] = [("hold", NoData::Hold), ("fail", NoData::Fail)];

/// The condition on the indicator called `name`, with the options that are given.
pub fn apply(fields: &Fields<'_>, name: &str, condition: Condition) -> Result<Condition, Fault> {
    let mut condition = with_no_data(fields, condition)?;
    let share = share(&condition.measure);
    if let Some(node) = fields.get("method") {
        if share.is_none() {
            return Err(refused(
                fields,
                node,
                "method",
                &format!("{} is judged in one way only", subject(name, &condition)),
            ));
        }
        condition.method = one_of(node, "method", &METHODS)?;
        if condition.method == Method::Interpolated && !matches!(condition.measure, Measure::Latency { .. }) {
            let message = format!("`{name}` lies in no bucket that could be interpolated");
            return Err(Fault::new(node.place, message).label("`sequential` or `threshold`"));
        }
    }
    if let Some(node) = fields.get("confidence") {
        if condition.method != Method::Sequential {
            return Err(refused(fields, node, "confidence", "only the method `sequential` has a confidence"));
        }
        if !is_uncertain(&condition.measure) {
            return Err(refused(
                fields,
                node,
                "confidence",
                &format!("`{name}` has no confidence: it is measured, not estimated"),
            ));
        }
        condition.confidence = confidence(node)?;
    }
    if let Some(node) = fields.get("min_requests") {
        if !is_uncertain(&condition.measure) && !matches!(condition.measure, Measure::Trips { .. }) {
            return Err(refused(fields, node, "min_requests", &format!("`{name}` does not count requests")));
        }
        // Up to here every count has a floating-point number of its own.
        condition.min_requests = unit::whole(&scalar(node, "min_requests")?.text, node.place, 0..=1 << 53)?;
    }
    if let Some(node) = fields.get("healthy") {
        let reason = match (share, condition.role, condition.method) {
            (_, Role::Gate, _) => Some("a gate has no `healthy`: its limit is what is healthy".to_owned()),
            (None, ..) => Some(format!("{} has no `healthy`: it is no share of events", subject(name, &condition))),
            (Some(_), _, Method::Threshold | Method::Interpolated) => {
                Some("only the method `sequential` looks at `healthy`".to_owned())
            }
            (Some(_), Role::Trigger, Method::Sequential) => None,
        };
        if let Some(reason) = reason {
            return Err(refused(fields, node, "healthy", &reason));
        }
        condition.healthy = share.map(|limit| healthy(node, limit)).transpose()?;
    }
    Ok(condition)
}

/// The condition with its `no_data`, which queries have as well.
pub fn with_no_data(fields: &Fields<'_>, condition: Condition) -> Result<Condition, Fault> {
    let Some(node) = fields.get("no_data") else {
        return Ok(condition);
    };
    if condition.role == Role::Trigger {
        return Err(refused(fields, node, "no_data", "a trigger never fires on missing data"));
    }
    Ok(Condition { no_data: one_of(node, "no_data", &NO_DATA)?, ..condition })
}

/// The share of events that a condition allows, if it is about one.
pub fn share(measure: &Measure) -> Option<Share> {
    match measure {
        Measure::ErrorRate { limit } | Measure::BreakerFailures { limit, .. } => Some(*limit),
        Measure::Latency { quantile, .. } => Some(quantile.allowance()),
        Measure::ErrorRateAgainstBaseline { .. }
        | Measure::LatencyAgainstBaseline { .. }
        | Measure::Stuck { .. }
        | Measure::Trips { .. }
        | Measure::MemoryGrowth { .. }
        | Measure::MemoryUse { .. }
        | Measure::Query(_) => None,
    }
}

/// Whether more requests would make a verdict surer.
fn is_uncertain(measure: &Measure) -> bool {
    let compared = matches!(measure, Measure::ErrorRateAgainstBaseline { .. } | Measure::LatencyAgainstBaseline { .. });
    compared || share(measure).is_some()
}

fn subject(name: &str, condition: &Condition) -> String {
    if is_uncertain(&condition.measure) { "a comparison with the baseline".to_owned() } else { format!("`{name}`") }
}

fn refused(fields: &Fields<'_>, node: &Node, option: &str, reason: &str) -> Fault {
    let place = fields.key(option).map_or(node.place, |key| key.place);
    Fault::new(place, reason).label("leave it out")
}

fn one_of<T: Copy>(node: &Node, option: &str, values: &[(&str, T)]) -> Result<T, Fault> {
    let written = text(node, option)?;
    if let Some((_, value)) = values.iter().find(|(word, _)| *word == written) {
        return Ok(*value);
    }
    let words: Vec<_> = values.iter().map(|(word, _)| *word).collect();
    let fault = Fault::new(node.place, format!("unknown {option} `{}`", excerpt(written)));
    let fault = fault.label(format!("one of {}", words.join(", ")));
    Err(fault.did_you_mean(nearest(written, words.iter().copied())))
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

fn healthy(node: &Node, limit: Share) -> Result<Share, Fault> {
    let written = scalar(node, "healthy")?.text.as_str();
    let healthy = unit::share(written, node.place)?;
    if healthy < limit {
        return Ok(healthy);
    }
    Err(Fault::new(node.place, format!("`{}` is not below what the limit allows", excerpt(written)))
        .label(format!("less than {}%", (limit.get() * 1e8).round() / 1e6)))
}
