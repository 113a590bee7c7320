//! PromQL for the built-in indicators: declared selectors, narrowed to the judged pods.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use promql_parser::parser::{Expr, VectorSelector};

/// How the judged pods appear in Prometheus.
#[derive(Debug, Clone)]
pub struct Pods<'a> {
    pub namespace: &'a str,
    /// Regular expression for their names.
    pub pattern: &'a str,
    /// Declared label to value, with `$namespace` and `$pods` in it.
    pub labels: &'a BTreeMap<String, String>,
}

impl Pods<'_> {
    /// The label that carries the pod's name.
    pub fn label(&self) -> &str {
        self.labels.iter().find(|(_, value)| value.contains("$pods")).map_or("pod", |(label, _)| label)
    }

    /// Puts the observed values in place of `$namespace` and `$pods`.
    pub fn substitute(&self, promql: &str) -> String {
        promql.replace("$namespace", &escape(self.namespace)).replace("$pods", &escape(self.pattern))
    }

    /// Cumulative count by pod of everything that the selector matches.
    pub fn counter(&self, selector: &str) -> String {
        format!("sum by ({}) ({})", self.label(), self.narrow(selector))
    }

    /// Time of the newest sample by pod.
    pub fn sample_times(&self, selector: &str) -> String {
        format!("max by ({}) (timestamp({}))", self.label(), self.narrow(selector))
    }

    /// Cumulative errors by pod, with an explicit zero for a pod that has none yet.
    ///
    /// The zero is taken from the pod's series of the same metric that carry the labels the selector asks for: a
    /// label that no series has is a wrong name, not a lack of errors, and then there is no zero either.
    pub fn errors(&self, selector: &str) -> String {
        let Some(parsed) = parse(selector) else { return self.counter(selector) };
        let labels: Vec<&str> = parsed.matchers.matchers.iter().map(|matcher| matcher.name.as_str()).collect();
        let presence = labels.iter().map(|label| format!("{label}!=\"\"")).collect::<Vec<_>>().join(",");
        let base = format!("{}{{{presence}}}", parsed.name.as_deref().unwrap_or_default());
        format!("{} or 0 * {}", self.counter(selector), self.counter(&base))
    }

    /// Cumulative count by pod and bucket of a classic histogram.
    pub fn buckets(&self, histogram: &str) -> String {
        format!("sum by ({}, le) ({})", self.label(), self.narrow(&format!("{histogram}_bucket")))
    }

    /// Raw samples of the state gauge of the breakers that match.
    pub fn breaker_states(&self, gauge: &str, label: &str, pattern: &str, window: Duration) -> String {
        let selector = self.narrow(&format!("{gauge}{{{label}=~\"{}\"}}", escape(pattern)));
        format!("{selector}[{}s]", window.as_secs().max(1))
    }

    /// The selector with the pods' labels added.
    fn narrow(&self, selector: &str) -> String {
        let (name, mut matchers) = match parse(selector) {
            Some(parsed) => (parsed.name.unwrap_or_default(), parsed.matchers.to_string()),
            None => (selector.to_owned(), String::new()),
        };
        for (label, value) in self.labels {
            let operator = if value.contains("$pods") { "=~" } else { "=" };
            let comma = if matchers.is_empty() { "" } else { "," };
            // Writing to a text cannot fail.
            let _ = write!(matchers, "{comma}{label}{operator}\"{}\"", self.substitute(value));
        }
        format!("{name}{{{matchers}}}")
    }
}

/// A pattern for all pods of a Deployment that run one of these templates; of any template if there is none.
pub fn pod_pattern<'a>(deployment: &str, templates: impl Iterator<Item = &'a str>) -> String {
    let templates: Vec<&str> = templates.filter(|template| !template.is_empty()).collect();
    let template = match templates.as_slice() {
        [] => "[a-z0-9]+".to_owned(),
        [only] => (*only).to_owned(),
        several => format!("({})", several.join("|")),
    };
    format!("{}-{template}-[a-z0-9]{{5}}", deployment.replace('.', "\\."))
}

fn parse(selector: &str) -> Option<VectorSelector> {
    match promql_parser::parser::parse(selector) {
        Ok(Expr::VectorSelector(parsed)) => Some(parsed),
        _ => None,
    }
}

/// Inside a quoted PromQL text.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pods<T>(test: impl FnOnce(&Pods<'_>) -> T) -> T {
        let labels =
            BTreeMap::from([("namespace".to_owned(), "$namespace".to_owned()), ("pod".to_owned(), "$pods".to_owned())]);
        let pattern = pod_pattern("updog.v2", ["6f7d"].into_iter());
        test(&Pods { namespace: "shop", pattern: &pattern, labels: &labels })
    }

    #[test]
    fn selectors_are_narrowed_to_the_pods() {
        let narrowed = r#"namespace="shop",pod=~"updog\\.v2-6f7d-[a-z0-9]{5}""#;
        with_pods(|pods| {
            assert_eq!(pods.counter("requests_total"), format!("sum by (pod) (requests_total{{{narrowed}}})"));
            assert_eq!(
                pods.breaker_states("state", "name", ".*db.*", Duration::from_secs(600)),
                format!(r#"state{{name=~".*db.*",{narrowed}}}[600s]"#)
            );
        });
    }

    #[test]
    fn no_errors_yet_is_zero_only_where_the_labels_exist() {
        let narrowed = r#"namespace="shop",pod=~"updog\\.v2-6f7d-[a-z0-9]{5}""#;
        with_pods(|pods| {
            assert_eq!(
                pods.errors(r#"n{status=~"5.."}"#),
                format!(
                    r#"sum by (pod) (n{{status=~"5..",{narrowed}}}) or 0 * sum by (pod) (n{{status!="",{narrowed}}})"#
                )
            );
        });
    }
}
