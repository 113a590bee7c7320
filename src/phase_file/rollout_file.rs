//! `rollout.yaml`: what is rolled out, and how it is observed.
//!
//! It does not know the phases.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::breakers::breakers;
use super::error::{Fault, Place, excerpt};
use super::fields::{Fields, entries, list, name, scalar, text};
use super::freeze::freezes;
use super::node::{Node, Style, Value};
use super::traffic::router;
use super::{promql, unit};
use crate::rollout::declaration::{ErrorRateSource, Header, Indicators, PrometheusSource};
use crate::rollout::name::PhaseName;

pub const API_VERSION: &str = "cbctl.dev/v1";

/// Reads the header out of the document of `rollout.yaml`.
pub fn header(document: &Node) -> Result<Header, Fault> {
    const KNOWN: [&str; 11] = [
        "apiVersion",
        "kind",
        "name",
        "target",
        "prometheus",
        "warm_up",
        "rollback_within",
        "traffic",
        "freeze",
        "indicators",
        "breakers",
    ];
    let fields = open(document, "Rollout", "a rollout", &KNOWN)?;
    // The same characters as a phase's: it becomes part of the name of a ConfigMap.
    let own_name: PhaseName = name(fields.require("name")?, "the name of a rollout")?;
    let target = Fields::open(fields.require("target")?, "a target", &["deployment", "container", "namespace"])?;
    let declared = breakers(fields.require("breakers")?)?;
    Ok(Header {
        name: own_name.to_string(),
        deployment: object_name(target.require("deployment")?, "the name of a deployment")?,
        container: target.get("container").map(|node| label(node, "the name of a container")).transpose()?,
        namespace: target.get("namespace").map(|node| label(node, "a namespace")).transpose()?,
        prometheus: prometheus(fields.get("prometheus"))?,
        warm_up: fields.get("warm_up").map_or(Ok(Duration::ZERO), warm_up)?,
        rollback_within: fields.get("rollback_within").map_or(Ok(ROLLBACK_WITHIN), rollback_within)?,
        router: fields.get("traffic").map(router).transpose()?,
        freezes: fields.get("freeze").map_or(Ok(vec![]), freezes)?,
        indicators: fields.get("indicators").map_or_else(|| Ok(Indicators::default()), indicators)?,
        breaker_metrics: declared.metrics,
        breakers: declared.breakers,
    })
}

/// Longer than any service takes to get warm; all the while no gate and no trigger sees anything.
const LONGEST_WARM_UP: Duration = Duration::from_secs(60 * 60);

fn warm_up(node: &Node) -> Result<Duration, Fault> {
    let written = &scalar(node, "warm_up")?.text;
    let warm_up = unit::duration(written, node.place)?;
    if warm_up <= LONGEST_WARM_UP {
        return Ok(warm_up);
    }
    Err(Fault::new(node.place, format!("a warm-up of {}", excerpt(written))).label("1h at most"))
}

/// What a rollback is promised to take at most, where the file does not say.
const ROLLBACK_WITHIN: Duration = Duration::from_secs(5 * 60);

fn rollback_within(node: &Node) -> Result<Duration, Fault> {
    unit::positive_duration(&scalar(node, "rollback_within")?.text, node.place, "a rollback_within")
}

/// Opens a document of the given kind, and refuses any other before it looks at the fields.
pub fn open<'a>(document: &'a Node, kind: &str, what: &'a str, known: &[&str]) -> Result<Fields<'a>, Fault> {
    if let Value::Scalar(scalar) = &document.value
        && scalar.style == Style::Null
    {
        return Err(Fault::new(Place::START, "the file is empty").label(format!("expected `kind: {kind}`")));
    }
    let entries = entries(document, what)?;
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", kind)] {
        let Some((_, node)) = entries.iter().find(|(key, _)| key.text == field) else {
            let fault = Fault::new(document.place, format!("{what} has no `{field}`"));
            return Err(fault.label(format!("add `{field}: {expected}`")));
        };
        let value = scalar(node, field)?;
        if value.text != expected {
            return Err(Fault::new(node.place, format!("{field} is `{}`, not `{expected}`", excerpt(&value.text)))
                .label(format!("expected `{expected}`")));
        }
    }
    Fields::open(document, what, known)
}

fn prometheus(node: Option<&Node>) -> Result<PrometheusSource, Fault> {
    const KNOWN: [&str; 5] = ["url", "ca_file", "token_file", "selector", "allow_warnings"];
    let default = [("namespace", "$namespace"), ("pod", "$pods")];
    let default = || default.map(|(label, value)| (label.to_owned(), value.to_owned())).into();
    let Some(node) = node else {
        let selector = default();
        return Ok(PrometheusSource { url: None, ca_file: None, token_file: None, selector, allowed_warnings: vec![] });
    };
    let fields = Fields::open(node, "prometheus", &KNOWN)?;
    let file = |field: &str, what| fields.get(field).map(|node| text(node, what).map(str::to_owned)).transpose();
    Ok(PrometheusSource {
        url: fields.get("url").map(url).transpose()?,
        ca_file: file("ca_file", "a certificate file")?,
        token_file: file("token_file", "a token file")?,
        selector: fields.get("selector").map_or_else(|| Ok(default()), selector)?,
        allowed_warnings: fields.get("allow_warnings").map_or(Ok(vec![]), warnings)?,
    })
}

fn url(node: &Node) -> Result<String, Fault> {
    let url = text(node, "a url")?;
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Ok(url.to_owned())
        }
        _ => Err(Fault::new(node.place, format!("`{}` is not the address of a Prometheus", excerpt(url)))
            .label("write it like http://prometheus:9090")),
    }
}

/// Without `$pods` in it the samples of other pods would be counted as well.
fn selector(node: &Node) -> Result<BTreeMap<String, String>, Fault> {
    let labels = labels(node)?;
    if labels.values().any(|value| value == "$pods") {
        return Ok(labels);
    }
    Err(Fault::new(node.place, "the selector does not name the pods".to_owned())
        .label("add a label with `$pods`, such as pod: $pods"))
}

fn labels(node: &Node) -> Result<BTreeMap<String, String>, Fault> {
    entries(node, "a selector")?
        .iter()
        .map(|(key, value)| {
            promql::label_name(&key.text, key.place)?;
            let text = text(value, "the value of a label")?;
            promql::variables(text, value.place)?;
            Ok((key.text.clone(), text.to_owned()))
        })
        .collect()
}

/// An empty text would be contained in every warning.
fn warnings(node: &Node) -> Result<Vec<String>, Fault> {
    list(node, "allow_warnings")?.iter().map(|entry| text(entry, "a warning").map(str::to_owned)).collect()
}

fn indicators(node: &Node) -> Result<Indicators, Fault> {
    let fields = Fields::open(node, "indicators", &["latency", "error_rate", "memory"])?;
    let memory =
        |node| -> Result<String, Fault> { selector_text(Fields::open(node, "memory", &["gauge"])?.require("gauge")?) };
    let latency = |node| -> Result<String, Fault> {
        metric(Fields::open(node, "latency", &["histogram"])?.require("histogram")?)
    };
    let error_rate = |node| -> Result<ErrorRateSource, Fault> {
        let fields = Fields::open(node, "error_rate", &["requests", "errors"])?;
        let requests = selector_text(fields.require("requests")?)?;
        Ok(ErrorRateSource { requests, errors: selector_text(fields.require("errors")?)? })
    };
    Ok(Indicators {
        latency_histogram: fields.get("latency").map(latency).transpose()?,
        error_rate: fields.get("error_rate").map(error_rate).transpose()?,
        memory: fields.get("memory").map(memory).transpose()?,
    })
}

fn selector_text(node: &Node) -> Result<String, Fault> {
    let selector = text(node, "a metric")?;
    promql::selector(selector, node.place)?;
    Ok(selector.to_owned())
}

/// The name of a metric.
pub fn metric(node: &Node) -> Result<String, Fault> {
    let name = text(node, "a metric")?;
    promql::metric_name(name, node.place)?;
    Ok(name.to_owned())
}

/// A name as Kubernetes gives it to objects.
pub fn object_name(node: &Node, what: &str) -> Result<String, Fault> {
    let text = text(node, what)?;
    if is_object_name(text) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(node.place, format!("`{}` is not {what}", excerpt(text)))
        .label("lower-case letters, digits, dashes and dots"))
}

/// Labels with dots in between.
pub fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| PhaseName::from_str(part).is_ok())
}

fn label(node: &Node, what: &str) -> Result<String, Fault> {
    name::<PhaseName>(node, what).map(|label| label.to_string())
}
