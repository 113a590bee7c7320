//! What holds for any object of a kind: a share comes out as it was given, and goes without a trace.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Fault, give, read, restore};
use crate::rollout::router::{Backends, RouterKind, Weights};

const NAMESPACE: &str = "shop";

fn backends() -> Backends {
    Backends { stable: "web".into(), canary: "web-canary".into() }
}

pub(super) fn kinds() -> [RouterKind; 4] {
    [
        RouterKind::HttpRoute(backends()),
        RouterKind::VirtualService(backends()),
        RouterKind::TraefikService(backends()),
        RouterKind::Ingress,
    ]
}

/// A merge patch as the API server applies it, which keeps no annotations where none are left.
pub(super) fn merged(object: &Value, patch: Option<Value>) -> Value {
    fn merge(target: &mut Value, patch: Value) {
        let Value::Object(fields) = patch else {
            *target = patch;
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (field, value) in fields {
            if value.is_null() {
                target.as_object_mut().unwrap().remove(&field);
            } else {
                merge(&mut target[field], value);
            }
        }
    }
    let mut object = object.clone();
    if let Some(patch) = patch {
        merge(&mut object, patch);
    }
    if object["metadata"]["annotations"] == json!({}) {
        object["metadata"].as_object_mut().unwrap().remove("annotations");
    }
    object
}

fn unit(kind: &RouterKind) -> f64 {
    if matches!(kind, RouterKind::VirtualService(_)) { 1.0 } else { 0.01 }
}

fn given(kind: &RouterKind, object: &Value, percent: f64) -> Result<Value, Fault> {
    Ok(merged(object, give(kind, NAMESPACE, object, percent)?))
}

fn restored(kind: &RouterKind, object: &Value, weights: &Weights) -> Value {
    merged(object, restore(kind, NAMESPACE, object, weights).unwrap())
}

/// Service, weight, and something else that may be said of a backend.
type Parts = (u8, Option<u64>, bool);

fn parts() -> impl Strategy<Value = Vec<Vec<Parts>>> {
    let weight = prop_oneof![Just(None), (0..=100_u64).prop_map(Some)];
    let backend = (0..5_u8, weight, any::<bool>());
    prop::collection::vec(prop::collection::vec(backend, 0..4), 1..4)
}

/// An object of the kind, in which each Service is at most once in a list.
fn object(kind: &RouterKind, lists: &[Vec<Parts>]) -> Value {
    let names = ["web", "web-canary", "web", "api", "static"];
    let backend = |(name, weight, extra): &Parts| {
        let name = names[usize::from(*name)];
        let mut backend = match kind {
            RouterKind::VirtualService(_) if *extra => {
                json!({"destination": {"host": format!("{name}.shop.svc.cluster.local"), "subset": "v1"}})
            }
            RouterKind::VirtualService(_) => json!({"destination": {"host": name, "port": {"number": 80}}}),
            RouterKind::HttpRoute(_) | RouterKind::TraefikService(_) | RouterKind::Ingress if *extra => {
                json!({"name": name, "port": 80, "kind": "Service", "filters": [{"type": "X"}]})
            }
            RouterKind::HttpRoute(_) | RouterKind::TraefikService(_) | RouterKind::Ingress => {
                json!({"name": name, "port": 8080})
            }
        };
        if let Some(weight) = weight {
            backend["weight"] = json!(weight);
        }
        (name, backend)
    };
    let list = |parts: &Vec<Parts>| {
        let mut found: Vec<(&str, Value)> = Vec::new();
        for part in parts {
            let (name, backend) = backend(part);
            if found.iter().all(|(other, _)| *other != name) {
                found.push((name, backend));
            }
        }
        found.into_iter().map(|(_, backend)| backend).collect::<Vec<_>>()
    };
    let entries = |field: &str, told_by: &str| {
        let entry = |(at, parts): (usize, &Vec<Parts>)| {
            // Some are alike.
            json!({told_by: [{"path": at / 2}], field: list(parts), "timeout": "1s"})
        };
        lists.iter().enumerate().map(entry).collect::<Vec<_>>()
    };
    match kind {
        RouterKind::HttpRoute(_) => json!({"metadata": {}, "spec": {"rules": entries("backendRefs", "matches")}}),
        RouterKind::VirtualService(_) => json!({"metadata": {}, "spec": {"http": entries("route", "match")}}),
        RouterKind::TraefikService(_) => json!({"metadata": {}, "spec": {"weighted": {"services": list(&lists[0])}}}),
        RouterKind::Ingress => ingress(&lists[0]),
    }
}

fn ingress(parts: &[Parts]) -> Value {
    let mut annotations = Map::new();
    for (which, weight, extra) in parts {
        let (key, value) = match which {
            0 | 2 => ("canary", extra.to_string()),
            1 => ("canary-weight", weight.unwrap_or(0).to_string()),
            3 => ("canary-weight-total", (weight.unwrap_or(0) * 7 + 1).to_string()),
            _ => ("canary-by-header", "x-canary".to_owned()),
        };
        annotations.insert(format!("nginx.ingress.kubernetes.io/{key}"), Value::from(value));
    }
    match annotations.is_empty() {
        true => json!({"metadata": {}}),
        false => json!({"metadata": {"annotations": annotations}}),
    }
}

/// The lists of backends as (Service, weight).
fn weights(kind: &RouterKind, object: &Value) -> Vec<Vec<(String, u64)>> {
    let (lists, implied): (Vec<&Value>, fn(usize) -> u64) = match kind {
        RouterKind::HttpRoute(_) => (entries(&object["spec"]["rules"], "backendRefs"), |_| 1),
        RouterKind::VirtualService(_) => {
            (entries(&object["spec"]["http"], "route"), |backends| if backends == 1 { 100 } else { 0 })
        }
        RouterKind::TraefikService(_) => (vec![&object["spec"]["weighted"]["services"]], |_| 1),
        RouterKind::Ingress => (Vec::new(), |_| 0),
    };
    let weights = |list: &Value| {
        let list = list.as_array().unwrap();
        let backend = |backend: &Value| {
            let name = backend["name"].as_str().or(backend["destination"]["host"].as_str()).unwrap();
            let name = name.split('.').next().unwrap().to_owned();
            (name, backend["weight"].as_u64().unwrap_or_else(|| implied(list.len())))
        };
        list.iter().map(backend).collect()
    };
    lists.into_iter().map(weights).collect()
}

fn entries<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().map(|entry| &entry[field]).collect()
}

fn sum(list: &[(String, u64)], ours: bool) -> u64 {
    let is_ours = |name: &str| backends().stable == name || backends().canary == name;
    list.iter().filter(|(name, _)| is_ours(name) == ours).map(|(_, weight)| weight).sum()
}

fn percents() -> impl Strategy<Value = f64> {
    prop_oneof![
        (0..=100_u32).prop_map(f64::from),
        (0..=10_000_u32).prop_map(|hundredths| f64::from(hundredths) / 100.0)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_share_is_read_as_it_was_given_and_goes_without_a_trace(
        which in 0..4_usize, lists in parts(), first in percents(), second in percents(),
    ) {
        let kind = &kinds()[which];
        let object = object(kind, &lists);
        let Ok((_, before)) = read(kind, NAMESPACE, &object) else { return Ok(()) };
        let once = given(kind, &object, first).unwrap();
        let twice = given(kind, &once, second).unwrap();

        for (percent, given) in [(first, &once), (second, &twice)] {
            let (found, _) = read(kind, NAMESPACE, given).unwrap();
            let unit = unit(kind);
            let nearest = match percent {
                0.0 | 100.0 => percent,
                _ => ((percent / unit).round() * unit).clamp(unit, 100.0 - unit),
            };
            prop_assert!((found - nearest).abs() < unit / 2.0, "{percent} {found} {given}");
            prop_assert_eq!(percent > 0.0, found > 0.0);
            prop_assert_eq!(percent < 100.0, found < 100.0);
            prop_assert_eq!(give(kind, NAMESPACE, given, percent), Ok(None));
            prop_assert_eq!(&restored(kind, given, &before), &object);
        }
        prop_assert_eq!(restore(kind, NAMESPACE, &object, &before), Ok(None));
        prop_assert_eq!(given(kind, &restored(kind, &once, &before), first).unwrap(), once);
    }

    #[test]
    fn what_goes_elsewhere_is_kept(which in 0..4_usize, lists in parts(), percent in percents()) {
        let kind = &kinds()[which];
        let object = object(kind, &lists);
        let Ok(given) = given(kind, &object, percent) else { return Ok(()) };
        for (before, after) in weights(kind, &object).iter().zip(weights(kind, &given)) {
            if before.iter().all(|(name, _)| *name != backends().stable) {
                prop_assert_eq!(before, &after);
                continue;
            }
            // Beside others the proportion is the same; a list of its own is divided as is easy to read.
            let others: Vec<_> = before.iter().filter(|(name, _)| sum(&[(name.clone(), 1)], false) > 0).collect();
            let still: Vec<_> = after.iter().filter(|(name, _)| sum(&[(name.clone(), 1)], false) > 0).collect();
            prop_assert_eq!(others.len(), still.len());
            for (other, still) in others.iter().zip(&still) {
                prop_assert_eq!(&other.0, &still.0);
                prop_assert_eq!(other.1 * sum(&after, true), still.1 * sum(before, true));
            }
        }
    }

    #[test]
    fn what_others_do_meanwhile_stays(
        which in 0..3_usize, lists in parts(), percent in percents(), weight in 1..100_u64,
    ) {
        let kind = &kinds()[which];
        let object = object(kind, &lists);
        let Ok((share, before)) = read(kind, NAMESPACE, &object) else { return Ok(()) };
        let mut meanwhile = given(kind, &object, percent).unwrap();
        let other = match kind {
            RouterKind::VirtualService(_) => json!({"destination": {"host": "new"}, "weight": weight}),
            RouterKind::HttpRoute(_) | RouterKind::TraefikService(_) | RouterKind::Ingress => json!({"name": "new", "weight": weight}),
        };
        let list = match kind {
            RouterKind::HttpRoute(_) => &mut meanwhile["spec"]["rules"],
            RouterKind::VirtualService(_) => &mut meanwhile["spec"]["http"],
            RouterKind::TraefikService(_) | RouterKind::Ingress => &mut meanwhile["spec"]["weighted"]["services"],
        };
        let list = list.as_array_mut().unwrap();
        match kind {
            RouterKind::HttpRoute(_) => list.insert(0, json!({"matches": ["new"], "backendRefs": [other]})),
            RouterKind::VirtualService(_) => list.insert(0, json!({"match": ["new"], "route": [other]})),
            RouterKind::TraefikService(_) | RouterKind::Ingress => list.push(other),
        }
        let after = restored(kind, &meanwhile, &before);
        prop_assert_eq!(restore(kind, NAMESPACE, &after, &before), Ok(None));
        let mut expected = object.clone();
        match kind {
            RouterKind::HttpRoute(_) => {
                expected["spec"]["rules"].as_array_mut().unwrap().insert(0, meanwhile["spec"]["rules"][0].clone());
                prop_assert_eq!(after, expected);
            }
            RouterKind::VirtualService(_) => {
                expected["spec"]["http"].as_array_mut().unwrap().insert(0, meanwhile["spec"]["http"][0].clone());
                prop_assert_eq!(after, expected);
            }
            RouterKind::TraefikService(_) | RouterKind::Ingress => {
                // The new one keeps its proportion to the others, whatever total they have.
                let (found, _) = read(kind, NAMESPACE, &after).unwrap();
                prop_assert!((found - share).abs() < 0.005, "{} {}", found, share);
                let (was, is) = (&weights(kind, &meanwhile)[0], &weights(kind, &after)[0]);
                prop_assert_eq!(sum(was, true) * sum(is, false), sum(is, true) * sum(was, false));
                prop_assert_eq!(was.iter().any(|(name, _)| name == "new"), is.iter().any(|(name, _)| name == "new"));
            }
        }
    }
}
