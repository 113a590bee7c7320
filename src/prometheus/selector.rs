//! PromQL for the built-in indicators: declared selectors, narrowed to the judged pods.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use promql_parser::parser::{Expr, VectorSelector};

use super::LOOKBACK;
use crate::judge::condition::Encoding;
use crate::rollout::declaration::{BreakerMetrics, StateSource};

/// Labels that tell the sources of one pod's samples apart: what scraped it, and which replica of a pair of Prometheus
/// servers did.
const SOURCE_LABELS: &str = "job, instance, prometheus_replica, replica, __replica__";
/// What a state that nobody declared is turned into.
const UNDECLARED: f64 = 9.0;
/// The label by which [`tagged`] expressions are told apart.
pub const TAG: &str = "cbctl";

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

    /// Sum by pod of everything that the selector matches.
    pub fn counter(&self, selector: &str) -> String {
        self.gauge_before(selector, "")
    }

    /// Sum by pod, as long ago as the offset says.
    pub fn gauge_before(&self, selector: &str, offset: &str) -> String {
        now_or_last(self.label(), &self.narrow(selector), offset)
    }

    /// Sum over all pods.
    pub fn total(&self, selector: &str) -> String {
        format!("sum(last_over_time({}[{LOOKBACK}]))", self.narrow(selector))
    }

    /// Time of the newest sample by pod.
    pub fn sample_times(&self, selector: &str) -> String {
        format!("max by ({}) (timestamp({}))", self.label(), self.narrow(selector))
    }

    /// From how many scrape targets and Prometheus replicas each pod's samples come.
    pub fn sources(&self, selector: &str) -> String {
        let pod = self.label();
        format!("count by ({pod}) (group by ({pod}, {SOURCE_LABELS}) ({}))", self.narrow(selector))
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
        or_zero(self.label(), &self.narrow(selector), &self.narrow(&base))
    }

    /// Cumulative count by pod and bucket of a histogram: a classic one, or a native one where there is no classic one.
    pub fn buckets(&self, histogram: &str) -> String {
        let pod = self.label();
        let (classic, native) = (self.narrow(&format!("{histogram}_bucket")), self.narrow(histogram));
        let buckets = now_or_last(&format!("{pod}, le"), &classic, "");
        let native = now_or_last(pod, &native, "");
        format!("{buckets} or (({native}) unless on ({pod}) last_over_time({classic}[{LOOKBACK}]))")
    }

    /// Cumulative count by bucket over all pods.
    pub fn total_buckets(&self, histogram: &str) -> String {
        let read = |metric: &str| format!("last_over_time({}[{LOOKBACK}])", self.narrow(metric));
        let (buckets, native) = (read(&format!("{histogram}_bucket")), read(histogram));
        format!("sum by (le) ({buckets}) or (sum ({native}) unless on () {buckets})")
    }

    /// Time of the newest sample of a histogram by pod.
    pub fn histogram_times(&self, histogram: &str) -> String {
        let (classic, native) = (self.narrow(&format!("{histogram}_count")), self.narrow(histogram));
        format!("max by ({}) (timestamp({classic}) or timestamp({native}))", self.label())
    }

    /// From how many scrape targets and Prometheus replicas each pod's histogram comes.
    pub fn histogram_sources(&self, histogram: &str) -> String {
        self.sources(&format!("{{__name__=~\"{histogram}(_count)?\"}}"))
    }

    /// Raw samples of the states of the breakers that match.
    pub fn breaker_states(&self, metrics: &BreakerMetrics, pattern: &str, window: Duration) -> String {
        let gauge = match &metrics.state {
            StateSource::Values { gauge, .. } | StateSource::Labels { gauge, .. } => gauge,
        };
        format!("{}[{}s]", self.of_breakers(gauge, &metrics.label, pattern, ""), window.as_secs().max(1))
    }

    /// The highest state by pod and breaker in the time before each moment.
    pub fn highest_state(&self, metrics: &BreakerMetrics, pattern: &str, time: Duration) -> String {
        let StateSource::Labels { gauge, label, closed, half_open, open } = &metrics.state else {
            return self.states_over("max", "max_over_time", metrics, pattern, "", time);
        };
        let over = |states: &str| {
            let selector = self.of_breakers(gauge, &metrics.label, pattern, states);
            format!("max_over_time({selector}[{}ms])", time.as_millis().max(1))
        };
        let [closed, half_open, open] = [closed, half_open, open].map(|state| escape(&regex::escape(state)));
        let not_closed = over(&format!("{label}=~\"{half_open}|{open}\""));
        let undeclared = over(&format!("{label}!~\"{closed}|{half_open}|{open}\""));
        let (pod, breaker, is_open) = (self.label(), &metrics.label, Encoding::OF_LABELS.open);
        format!("max by ({pod}, {breaker}) ({is_open} * {not_closed} or {UNDECLARED} * {undeclared})")
    }

    /// The lowest state by pod and breaker in the time before each moment.
    pub fn lowest_state(&self, metrics: &BreakerMetrics, pattern: &str, time: Duration) -> String {
        let StateSource::Labels { label, closed, .. } = &metrics.state else {
            return self.states_over("min", "min_over_time", metrics, pattern, "", time);
        };
        let closed = format!("{label}=\"{}\"", escape(closed));
        format!("1 - {}", self.states_over("max", "max_over_time", metrics, pattern, &closed, time))
    }

    /// The states in the time before each moment, brought together over time and then across series.
    fn states_over(
        &self,
        across: &str,
        over_time: &str,
        metrics: &BreakerMetrics,
        pattern: &str,
        also: &str,
        time: Duration,
    ) -> String {
        let (StateSource::Values { gauge, .. } | StateSource::Labels { gauge, .. }) = &metrics.state;
        let selector = self.of_breakers(gauge, &metrics.label, pattern, also);
        let (pod, breaker) = (self.label(), &metrics.label);
        format!("{across} by ({pod}, {breaker}) ({over_time}({selector}[{}ms]))", time.as_millis().max(1))
    }

    /// Time of the newest sample of the state by pod and breaker.
    pub fn state_times(&self, metrics: &BreakerMetrics, pattern: &str) -> String {
        let gauge = match &metrics.state {
            StateSource::Values { gauge, .. } | StateSource::Labels { gauge, .. } => gauge,
        };
        let selector = self.of_breakers(gauge, &metrics.label, pattern, "");
        format!("max by ({}, {}) (timestamp({selector}))", self.label(), metrics.label)
    }

    /// Cumulative failed calls by pod and breaker, with an explicit zero for a breaker that was called and has none yet.
    pub fn breaker_failures(&self, failures: &str, requests: &str, label: &str, pattern: &str) -> String {
        let narrowed = |counter: &str| self.of_breakers(counter, label, pattern, "");
        or_zero(&format!("{}, {label}", self.label()), &narrowed(failures), &narrowed(requests))
    }

    /// Cumulative count by pod and breaker.
    pub fn breaker_counter(&self, counter: &str, label: &str, pattern: &str) -> String {
        let selector = self.of_breakers(counter, label, pattern, "");
        now_or_last(&format!("{}, {label}", self.label()), &selector, "")
    }

    fn of_breakers(&self, metric: &str, label: &str, pattern: &str, also: &str) -> String {
        let comma = if also.is_empty() { "" } else { "," };
        self.narrow(&format!("{metric}{{{label}=~\"{}\"{comma}{also}}}", escape(pattern)))
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
            let _ = write!(matchers, "{comma}{label}{operator}\"{}\"", self.substitute(&escape(value)));
        }
        format!("{name}{{{matchers}}}")
    }
}

/// Sum of what the newest scrape showed. A scrape that failed leaves the last sum standing: it is coverage that
/// tells of it, not a hole in what was counted. But no series that a pod stopped to show is added to those that it
/// shows: after a restart those of the process before would go one by one, and each looks like one more restart.
fn now_or_last(by: &str, narrowed: &str, offset: &str) -> String {
    format!("sum by ({by}) ({narrowed}{offset}) or sum by ({by}) (last_over_time({narrowed}[{LOOKBACK}]{offset}))")
}

/// The sum of the one, and zero where only the other is there; both of the newest scrape, or else of the last one.
fn or_zero(by: &str, narrowed: &str, base: &str) -> String {
    let both =
        |of: &dyn Fn(&str) -> String| format!("sum by ({by}) ({}) or 0 * sum by ({by}) ({})", of(narrowed), of(base));
    let last = |narrowed: &str| format!("last_over_time({narrowed}[{LOOKBACK}])");
    format!("{} or {}", both(&str::to_owned), both(&last))
}

/// The expression with one more label, so that several can go into one query.
pub fn tagged(promql: &str, tag: &str) -> String {
    // A comment at the end must not swallow what follows.
    let end = if promql.contains('#') { "\n" } else { "" };
    format!("label_replace({promql}{end}, \"{TAG}\", \"{}\", \"\", \"\")", escape(tag).replace('$', "$$"))
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
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
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
            assert_eq!(
                pods.counter("requests_total"),
                format!(
                    "sum by (pod) (requests_total{{{narrowed}}}) \
                     or sum by (pod) (last_over_time(requests_total{{{narrowed}}}[2m]))"
                ),
                "what a restarted pod shows no more is not added to what it shows"
            );
            let metrics = BreakerMetrics {
                requests: None,
                failures: None,
                state: StateSource::Values { gauge: "state".into(), encoding: Encoding::OF_LABELS },
                label: "name".into(),
            };
            assert_eq!(
                pods.breaker_states(&metrics, ".*db.*", Duration::from_secs(600)),
                format!(r#"state{{name=~".*db.*",{narrowed}}}[600s]"#)
            );
        });
    }

    #[test]
    fn a_declared_label_value_is_taken_as_it_is() {
        let labels = BTreeMap::from([("team".to_owned(), r#"a"b\c"#.to_owned())]);
        let pods = Pods { namespace: "shop", pattern: "x", labels: &labels };
        assert_eq!(pods.total("n"), r#"sum(last_over_time(n{team="a\"b\\c"}[2m]))"#);
    }

    #[test]
    fn any_query_can_be_told_apart_by_its_own_text() {
        assert_eq!(
            tagged("min(a{b=~\"c$\"})\n  # why", "min(a{b=~\"c$\"})\n  # why"),
            "label_replace(min(a{b=~\"c$\"})\n  # why\n, \"cbctl\", \"min(a{b=~\\\"c$$\\\"})\\n  # why\", \"\", \"\")"
        );
    }

    #[test]
    fn no_errors_yet_is_zero_only_where_the_labels_exist() {
        let narrowed = r#"namespace="shop",pod=~"updog\\.v2-6f7d-[a-z0-9]{5}""#;
        let errors = format!(r#"n{{status=~"5..",{narrowed}}}"#);
        let all = format!(r#"n{{status!="",{narrowed}}}"#);
        with_pods(|pods| {
            assert_eq!(
                pods.errors(r#"n{status=~"5.."}"#),
                format!(
                    "sum by (pod) ({errors}) or 0 * sum by (pod) ({all}) or \
                     sum by (pod) (last_over_time({errors}[2m])) or 0 * sum by (pod) (last_over_time({all}[2m]))"
                )
            );
        });
    }
}
