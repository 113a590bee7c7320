//! `TraefikService` of Traefik, a weighted one: `spec.weighted.services[]`.

use serde_json::Value;

use super::backends::Kind;

pub(super) struct TraefikService;

impl Kind for TraefikService {
    const LIST: &'static [&'static str] = &["spec", "weighted", "services"];
    const BACKENDS: Option<&'static str> = None;
    const TOLD_BY: &'static [&'static str] = &[];
    const UNIT: u64 = 1;
    const TOLERANCE: u64 = 0;

    fn leads_to(backend: &Value, service: &str, namespace: &str) -> bool {
        let is = |field: &str, implied: &str, wanted: &str| backend[field].as_str().unwrap_or(implied) == wanted;
        is("name", "", service) && is("kind", "Service", "Service") && is("namespace", namespace, namespace)
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

    #[test]
    fn services_by_weight() {
        let kind = &kinds()[2];
        let of = |services: Value| json!({"metadata": {}, "spec": {"weighted": {"services": services, "sticky": {"cookie": {}}}}});
        for (before, percent, after) in [
            (
                json!([{"name": "web", "port": 80}]),
                10.0,
                json!([{"name": "web", "port": 80, "weight": 90}, {"name": "web-canary", "port": 80, "weight": 10}]),
            ),
            (
                json!([{"name": "web", "weight": 1}, {"name": "inner", "kind": "TraefikService", "weight": 1}]),
                25.0,
                json!([
                    {"name": "web", "weight": 3},
                    {"name": "web-canary", "weight": 1},
                    {"name": "inner", "kind": "TraefikService", "weight": 4},
                ]),
            ),
        ] {
            let object = of(before);
            let given = merged(&object, give(kind, "shop", &object, percent).unwrap());
            assert_eq!(given, of(after));
            let (_, weights) = read(kind, "shop", &object).unwrap();
            assert_eq!(merged(&given, restore(kind, "shop", &given, &weights).unwrap()), object);
        }
    }

    #[test]
    fn one_that_is_not_weighted_has_no_backend() {
        for spec in [
            json!({"mirroring": {"name": "web"}}),
            json!({"weighted": {"services": [{"name": "web", "kind": "TraefikService"}]}}),
            json!({"weighted": {"services": [{"name": "web", "namespace": "other"}]}}),
        ] {
            let found = read(&kinds()[2], "shop", &json!({"spec": spec}));
            assert_eq!(found, Err(Fault::NoBackend { service: "web".into() }), "{spec}");
        }
    }
}
