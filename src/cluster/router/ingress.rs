//! The Ingress of a canary, by the annotations of NGINX's controller.
//!
//! A rule by header or cookie that it has besides stays as it is, and goes before the weight.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Fault;
use super::division::{Fraction, WHOLE};
use super::record::{from_weights, to_weights};
use crate::rollout::router::Weights;

const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const TOTAL: &str = "nginx.ingress.kubernetes.io/canary-weight-total";
/// What the weight is of where no total is said.
const IMPLIED_TOTAL: u64 = 100;

/// The annotations; None where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Annotations {
    canary: Option<String>,
    weight: Option<String>,
    total: Option<String>,
}

/// The canary's part in percent, and the annotations.
#[expect(clippy::cast_precision_loss, reason = "weights are far below 2^52")]
pub(super) fn read(object: &Value) -> Result<(f64, Weights), Fault> {
    let found = Annotations::of(object)?;
    let (weight, total) = found.numbers()?;
    let percent = if found.is_canary() { 100.0 * weight.min(total) as f64 / total as f64 } else { 0.0 };
    Ok((percent, to_weights(&found)?))
}

/// The merge patch that gives the canary its percentage; None where it has it.
pub(super) fn give(object: &Value, percent: f64) -> Result<Option<Value>, Fault> {
    let before = Annotations::of(object)?;
    let (weight, total) = before.numbers()?;
    let Fraction { part, of } = Fraction::of_percent(percent, 1);
    let now = if before.is_canary() { weight.min(total) } else { 0 };
    if now * of == part * total {
        return Ok(None);
    }
    // Of hundredths of a percent at least the last one holds.
    let totals = [total, IMPLIED_TOTAL, WHOLE];
    let total = totals.into_iter().find(|total| (total * part).is_multiple_of(of)).unwrap_or(WHOLE);
    let after = Annotations {
        canary: Some("true".to_owned()),
        weight: Some((total * part / of).to_string()),
        total: match (&before.total, total) {
            (None, IMPLIED_TOTAL) => None,
            _ => Some(total.to_string()),
        },
    };
    Ok(before.patch_to(&after))
}

/// The merge patch that puts recorded annotations back; None where they are there.
pub(super) fn restore(object: &Value, weights: &Weights) -> Result<Option<Value>, Fault> {
    Ok(Annotations::of(object)?.patch_to(&from_weights(weights)?))
}

impl Annotations {
    fn of(object: &Value) -> Result<Self, Fault> {
        let text = |key: &str| match &object["metadata"]["annotations"][key] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(Fault::Unreadable(format!("annotation {key} is {other}, not a text")))
            }
        };
        Ok(Self { canary: text(CANARY)?, weight: text(WEIGHT)?, total: text(TOTAL)? })
    }

    fn is_canary(&self) -> bool {
        self.canary.as_deref() == Some("true")
    }

    /// Weight and total.
    fn numbers(&self) -> Result<(u64, u64), Fault> {
        let number = |key: &str, text: &Option<String>, implied: u64| {
            let Some(text) = text else { return Ok(implied) };
            let number = text.parse::<u32>().map(u64::from);
            number.map_err(|_| Fault::Unreadable(format!("annotation {key} is \"{text}\", not a whole number")))
        };
        let total = number(TOTAL, &self.total, IMPLIED_TOTAL)?;
        if total == 0 {
            return Err(Fault::Unreadable(format!("annotation {TOTAL} is 0: there is nothing to divide")));
        }
        Ok((number(WEIGHT, &self.weight, 0)?, total))
    }

    fn patch_to(&self, wanted: &Self) -> Option<Value> {
        let fields = |of: &Self| [(CANARY, of.canary.clone()), (WEIGHT, of.weight.clone()), (TOTAL, of.total.clone())];
        let mut annotations = json!({});
        for ((key, before), (_, after)) in fields(self).into_iter().zip(fields(wanted)) {
            if before != after {
                annotations[key] = Value::from(after);
            }
        }
        (self != wanted).then(|| json!({"metadata": {"annotations": annotations}}))
    }
}

#[cfg(test)]
mod tests {
    use super::super::property_tests::merged;
    use super::*;

    fn ingress(annotations: &[(&str, &str)]) -> Value {
        let mut object = json!({"metadata": {}, "spec": {"ingressClassName": "nginx"}});
        for (key, value) in annotations {
            object["metadata"]["annotations"][format!("nginx.ingress.kubernetes.io/{key}")] = json!(value);
        }
        object
    }

    #[test]
    fn parts_by_annotations() {
        let (canary, weight, total) = ("canary", "canary-weight", "canary-weight-total");
        let header = ("canary-by-header", "x-canary");
        for (before, found, percent, after) in [
            (vec![], 0.0, 10.0, vec![(canary, "true"), (weight, "10")]),
            (vec![], 0.0, 12.5, vec![(canary, "true"), (weight, "1250"), (total, "10000")]),
            (vec![], 0.0, 0.0, vec![]),
            (vec![(canary, "true"), (weight, "5"), header], 5.0, 20.0, vec![(canary, "true"), (weight, "20"), header]),
            (vec![(canary, "true"), (weight, "5")], 5.0, 0.0, vec![(canary, "true"), (weight, "0")]),
            (vec![(canary, "false"), (weight, "5")], 0.0, 5.0, vec![(canary, "true"), (weight, "5")]),
            (
                vec![(canary, "true"), (weight, "5"), (total, "1000")],
                0.5,
                12.5,
                vec![(canary, "true"), (weight, "125"), (total, "1000")],
            ),
            (
                vec![(canary, "true"), (weight, "1"), (total, "3")],
                100.0 / 3.0,
                10.0,
                vec![(canary, "true"), (weight, "10"), (total, "100")],
            ),
            (vec![(canary, "true"), (weight, "200")], 100.0, 100.0, vec![(canary, "true"), (weight, "200")]),
        ] {
            let object = ingress(&before);
            let (now, weights) = read(&object).unwrap();
            assert!((now - found).abs() < 1e-9, "{before:?}");
            let given = merged(&object, give(&object, percent).unwrap());
            assert_eq!(given, ingress(&after), "{before:?} at {percent}");
            assert_eq!(merged(&given, restore(&given, &weights).unwrap()), object);
        }
    }

    #[test]
    fn what_is_no_number() {
        for (key, value, expected) in [
            (
                "canary-weight",
                "ten",
                "annotation nginx.ingress.kubernetes.io/canary-weight is \"ten\", not a whole number",
            ),
            (
                "canary-weight",
                "-1",
                "annotation nginx.ingress.kubernetes.io/canary-weight is \"-1\", not a whole number",
            ),
            (
                "canary-weight-total",
                "0",
                "annotation nginx.ingress.kubernetes.io/canary-weight-total is 0: there is nothing to divide",
            ),
        ] {
            assert_eq!(read(&ingress(&[(key, value)])), Err(Fault::Unreadable(expected.to_owned())));
        }
    }
}
