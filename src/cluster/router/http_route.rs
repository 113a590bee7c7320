//! `HTTPRoute` of the Gateway API: `spec.rules[].backendRefs[]`, with weights up to a million.

use serde_json::Value;

use super::backends::Kind;

pub(super) struct HttpRoute;

impl Kind for HttpRoute {
    const LIST: &'static [&'static str] = &["spec", "rules"];
    const BACKENDS: Option<&'static str> = Some("backendRefs");
    const TOLD_BY: &'static [&'static str] = &["name", "matches"];
    const UNIT: u64 = 1;
    const TOLERANCE: u64 = 0;

    fn leads_to(backend: &Value, service: &str, namespace: &str) -> bool {
        let is = |field: &str, implied: &str, wanted: &str| backend[field].as_str().unwrap_or(implied) == wanted;
        is("name", "", service)
            && is("kind", "Service", "Service")
            && is("group", "", "")
            && is("namespace", namespace, namespace)
    }

    fn lead_to(backend: &mut Value, service: &str, _: &str) {
        backend["name"] = Value::from(service);
    }

    fn implied(_: usize) -> u64 {
        1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::property_tests::{kinds, merged};
    use super::super::{Fault, give, read, restore};
    use super::*;

    fn rule(backends: &Value) -> Value {
        json!({"matches": [{"path": {"value": "/"}}], "backendRefs": backends})
    }

    fn route(rules: &[Value]) -> Value {
        json!({"metadata": {"name": "web", "resourceVersion": "7"}, "spec": {"hostnames": ["shop"], "rules": rules}})
    }

    #[test]
    fn the_canary_comes_right_behind_the_stable_service() {
        let kind = &kinds()[0];
        let other_rule = json!({"filters": [{"type": "RequestRedirect"}]});
        let abroad = json!({"name": "web", "namespace": "elsewhere", "port": 80});
        let stable = json!({"group": "", "kind": "Service", "name": "web", "port": 80, "filters": [{"type": "X"}]});
        let mut with = (stable.clone(), stable.clone());
        with.0["weight"] = json!(875);
        with.1["weight"] = json!(125);
        with.1["name"] = json!("web-canary");
        let object = route(&[rule(&json!([stable])), other_rule.clone(), rule(&json!([abroad]))]);
        let patch = give(kind, "shop", &object, 12.5).unwrap().unwrap();
        let rules = json!([rule(&json!([with.0, with.1])), other_rule, rule(&json!([abroad]))]);
        assert_eq!(patch, json!({"spec": {"rules": rules}}));
        let (percent, before) = read(kind, "shop", &object).unwrap();
        assert!(percent.abs() < 1e-9);
        let given = merged(&object, Some(patch));
        assert_eq!(merged(&given, restore(kind, "shop", &given, &before).unwrap()), object);
    }

    #[test]
    fn shares_of_what_is_there() {
        let web = |weight: Value| json!({"name": "web", "port": 80, "weight": weight});
        let canary = |port: u16, weight: Value| json!({"name": "web-canary", "port": port, "weight": weight});
        let other = json!({"name": "static", "port": 80, "weight": 100});
        for (rules, expected) in [
            (vec![json!([web(json!(9)), canary(80, json!(1))])], Ok(10.0)),
            // Another port of the canary's; others do not count.
            (vec![json!([web(json!(3)), other, canary(8080, json!(1))])], Ok(25.0)),
            (vec![json!([web(Value::Null), canary(80, Value::Null)])], Ok(50.0)),
            // Nobody knows what traffic a rule has.
            (vec![json!([web(json!(1))]), json!([web(json!(4)), canary(80, json!(1))])], Ok(10.0)),
            (vec![json!([web(json!(0))]), json!([web(json!(4)), canary(80, json!(1))])], Ok(20.0)),
            (vec![json!([other])], Err("nothing in it leads to service \"web\"")),
            (vec![json!([web(json!(0))])], Err("nothing in it leads to service \"web\"")),
            (vec![], Err("nothing in it leads to service \"web\"")),
            (vec![json!([web(json!("1"))])], Err("spec.rules[0].backendRefs[0].weight is \"1\", which is no weight")),
            (vec![json!([web(json!(-1))])], Err("spec.rules[0].backendRefs[0].weight is -1, which is no weight")),
            (vec![json!({})], Err("spec.rules[0].backendRefs is not a list")),
            (
                vec![json!([web(json!(1)), canary(80, json!(1)), canary(81, json!(1))])],
                Err("spec.rules[0].backendRefs leads to \"web-canary\" in more ways than to its stable Service"),
            ),
        ] {
            let rules: Vec<Value> = rules.iter().map(rule).collect();
            let found = read(&kinds()[0], "shop", &route(&rules)).map(|(percent, _)| percent).map_err(Fault::detail);
            assert_eq!(found, expected.map_err(str::to_owned), "{rules:?}");
        }
    }

    #[test]
    fn what_somebody_does_to_other_backends_meanwhile_stays() {
        let kind = &kinds()[0];
        let (web, canary) = ("web", "web-canary");
        let list = |backends: &[(&str, Option<u64>)]| {
            let backend = |(name, weight): &(&str, Option<u64>)| match weight {
                Some(weight) => json!({"name": name, "port": 80, "weight": weight}),
                None => json!({"name": name, "port": 80}),
            };
            route(&[rule(&backends.iter().map(backend).collect())])
        };
        for (before, meanwhile, after) in [
            // Added: its part of the whole is the same.
            (
                vec![(web, None)],
                vec![(web, Some(90)), (canary, Some(10)), ("new", Some(50))],
                vec![(web, Some(100)), ("new", Some(50))],
            ),
            // Gone.
            (vec![(web, None), ("api", None)], vec![(web, Some(9)), (canary, Some(1))], vec![(web, None)]),
            // Given another weight, where nothing had to be multiplied.
            (
                vec![(web, Some(90)), ("api", Some(10))],
                vec![(web, Some(81)), (canary, Some(9)), ("api", Some(30))],
                vec![(web, Some(90)), ("api", Some(30))],
            ),
            // The canary was taken out.
            (vec![(web, Some(5))], vec![(web, Some(90))], vec![(web, Some(5))]),
            // Stable and canary were divided otherwise.
            (
                vec![(web, Some(5)), (canary, Some(0))],
                vec![(web, Some(1)), (canary, Some(1))],
                vec![(web, Some(5)), (canary, Some(0))],
            ),
        ] {
            let (_, weights) = read(kind, "shop", &list(&before)).unwrap();
            let meanwhile = list(&meanwhile);
            let restored = merged(&meanwhile, restore(kind, "shop", &meanwhile, &weights).unwrap());
            assert_eq!(restored, list(&after), "{before:?}");
        }
    }

    #[test]
    fn a_rule_that_has_come_meanwhile_does_not_share_with_a_canary_that_goes() {
        let kind = &kinds()[0];
        let web = |weight: u64| json!({"name": "web", "weight": weight});
        let before = route(&[rule(&json!([web(1)]))]);
        let (_, weights) = read(kind, "shop", &before).unwrap();
        let come = |backends: Value| json!({"matches": [{"path": {"value": "/new"}}], "backendRefs": backends});
        let meanwhile = route(&[come(json!([web(7)])), rule(&json!([web(1)]))]);
        let given = merged(&meanwhile, give(kind, "shop", &meanwhile, 10.0).unwrap());
        let restored = merged(&given, restore(kind, "shop", &given, &weights).unwrap());
        assert_eq!(restored, route(&[come(json!([web(100)])), rule(&json!([web(1)]))]));
    }

    #[test]
    fn too_little_beside_the_others() {
        let object = route(&[rule(&json!([{"name": "web"}, {"name": "api", "weight": 900_000}]))]);
        let error = give(&kinds()[0], "shop", &object, 10.0).unwrap_err().detail();
        assert_eq!(error, "in spec.rules[0] a weight of 1 for web is too little beside the others to be divided");
    }
}
