//! `VirtualService` of Istio: `spec.http[].route[]`, by whole percents.

use serde_json::Value;

use super::backends::Kind;

pub(super) struct VirtualService;

impl Kind for VirtualService {
    const LIST: &'static [&'static str] = &["spec", "http"];
    const BACKENDS: Option<&'static str> = Some("route");
    const TOLD_BY: &'static [&'static str] = &["name", "match"];
    const UNIT: u64 = 100;
    // Less than half a unit. Older versions of Istio insist that the weights of a route sum to a hundred.
    const TOLERANCE: u64 = 49;

    fn leads_to(backend: &Value, service: &str, namespace: &str) -> bool {
        let host = backend["destination"]["host"].as_str().unwrap_or_default();
        domain(host, namespace).map_or(host, |(name, _)| name) == service
    }

    fn lead_to(backend: &mut Value, service: &str, namespace: &str) {
        let host = backend["destination"]["host"].as_str().unwrap_or_default();
        let domain = domain(host, namespace).map_or("", |(_, domain)| domain);
        backend["destination"]["host"] = Value::from(format!("{service}{domain}"));
    }

    fn implied(backends: usize) -> u64 {
        if backends == 1 { 100 } else { 0 }
    }
}

/// The name of a Service of the namespace and what follows it, where a host is written in full.
fn domain<'a>(host: &'a str, namespace: &str) -> Option<(&'a str, &'a str)> {
    let (name, rest) = host.split_once('.')?;
    let behind = rest.strip_prefix(namespace)?.strip_prefix(".svc")?;
    (behind.is_empty() || behind.starts_with('.')).then(|| host.split_at(name.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::property_tests::{kinds, merged};
    use super::super::{give, read, restore};
    use super::*;

    fn service(routes: &Value) -> Value {
        json!({"metadata": {}, "spec": {"hosts": ["web"], "http": [{"route": routes, "timeout": "1s"}]}})
    }

    #[test]
    fn routes_by_whole_percents() {
        let to = |host: &str, subset: &str| json!({"destination": {"host": host, "subset": subset}});
        let by = |host: &str, subset: &str, weight: u64| {
            let mut found = to(host, subset);
            found["weight"] = json!(weight);
            found
        };
        let full = "web.shop.svc.cluster.local";
        for (before, percent, after) in [
            (json!([to("web", "v1")]), 12.5, json!([by("web", "v1", 87), by("web-canary", "v1", 13)])),
            (json!([to("web", "v1")]), 0.1, json!([by("web", "v1", 99), by("web-canary", "v1", 1)])),
            (json!([to("web", "v1")]), 99.9, json!([by("web", "v1", 1), by("web-canary", "v1", 99)])),
            (
                json!([to(full, "v1")]),
                20.0,
                json!([by(full, "v1", 80), by("web-canary.shop.svc.cluster.local", "v1", 20)]),
            ),
            // Both subsets share with the canary.
            (
                json!([by("web", "v1", 90), by("web", "v2", 10)]),
                10.0,
                json!([by("web", "v1", 81), by("web-canary", "v1", 9), by("web", "v2", 9), by("web-canary", "v2", 1)]),
            ),
            // The sum stays if it can.
            (
                json!([by("web", "v1", 99), by("api", "v1", 1)]),
                10.0,
                json!([by("web", "v1", 89), by("web-canary", "v1", 10), by("api", "v1", 1)]),
            ),
            (
                json!([by("web", "v1", 70), by("api", "v1", 30)]),
                25.0,
                json!([by("web", "v1", 105), by("web-canary", "v1", 35), by("api", "v1", 60)]),
            ),
        ] {
            let object = service(&before);
            let given = merged(&object, give(&kinds()[1], "shop", &object, percent).unwrap());
            assert_eq!(given, service(&after), "{before} at {percent}");
            let (_, weights) = read(&kinds()[1], "shop", &object).unwrap();
            assert_eq!(merged(&given, restore(&kinds()[1], "shop", &given, &weights).unwrap()), object);
        }
    }

    #[test]
    fn hosts_of_the_service() {
        for (host, leads) in [
            ("web", true),
            ("web.shop.svc", true),
            ("web.shop.svc.cluster.local", true),
            ("web.shop.svc.example.org", true),
            ("web.other.svc.cluster.local", false),
            ("web.shop.example.org", false),
            ("web.shop.svcs", false),
            ("website", false),
        ] {
            assert_eq!(
                VirtualService::leads_to(&json!({"destination": {"host": host}}), "web", "shop"),
                leads,
                "{host}"
            );
        }
    }
}
