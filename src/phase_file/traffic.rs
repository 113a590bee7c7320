//! The `traffic:` of `rollout.yaml`: what divides the traffic between stable and canary pods.
//!
//! It does not know whether there is such an object.

use std::collections::BTreeMap;

use super::error::{Fault, excerpt};
use super::fields::{Fields, entries, text};
use super::node::{Key, Node};
use super::rollout_file::{is_object_name, object_name};
use crate::rollout::canary::CANARY_LABEL;
use crate::rollout::router::{Backends, Router, RouterKind};

const KINDS: [&str; 4] = ["httproute", "virtualservice", "traefikservice", "ingress"];

/// Reads the one router, and what tells the pods of the canary from the stable ones.
pub fn router(node: &Node) -> Result<Router, Fault> {
    const KNOWN: [&str; 5] = [KINDS[0], KINDS[1], KINDS[2], KINDS[3], "canary_labels"];
    let fields = Fields::open(node, "traffic", &KNOWN)?;
    let (kind, object) = fields.one_of(&KINDS)?;
    let what = if kind.starts_with(['h', 'i']) { format!("an {kind}") } else { format!("a {kind}") };
    let known: &[&str] = if kind == "ingress" { &["name"] } else { &["name", "stable", "canary"] };
    let object = Fields::open(object, &what, known)?;
    let name = object_name(object.require("name")?, &format!("the name of {what}"))?;
    let kind = match kind {
        "httproute" => RouterKind::HttpRoute(backends(&object)?),
        "virtualservice" => RouterKind::VirtualService(backends(&object)?),
        "traefikservice" => RouterKind::TraefikService(backends(&object)?),
        _ => RouterKind::Ingress,
    };
    Ok(Router { name, kind, canary_labels: labels(fields.require("canary_labels")?)? })
}

fn backends(fields: &Fields<'_>) -> Result<Backends, Fault> {
    let canary_node = fields.require("canary")?;
    let stable = object_name(fields.require("stable")?, "the name of a service")?;
    let canary = object_name(canary_node, "the name of a service")?;
    if stable == canary {
        return Err(Fault::new(canary_node.place, format!("`{}` is stable and canary", excerpt(&stable)))
            .label("two different services"));
    }
    Ok(Backends { stable, canary })
}

fn labels(node: &Node) -> Result<BTreeMap<String, String>, Fault> {
    let labels = entries(node, "canary_labels")?;
    if labels.is_empty() {
        return Err(Fault::new(node.place, "no label tells canary pods from stable ones")
            .label("at least one, such as {track: canary}"));
    }
    labels.iter().map(|(key, value)| label(key, value)).collect()
}

fn label(key: &Key, node: &Node) -> Result<(String, String), Fault> {
    if key.text == CANARY_LABEL {
        return Err(Fault::new(key.place, format!("every canary has `{CANARY_LABEL}` anyway")).label("another label"));
    }
    if !is_key(&key.text) {
        return Err(Fault::new(key.place, format!("`{}` is not the name of a label", excerpt(&key.text)))
            .label("write it like track or example.com/track"));
    }
    let value = text(node, "the value of a label")?;
    if !is_word(value) {
        return Err(Fault::new(node.place, format!("`{}` is not the value of a label", excerpt(value)))
            .label("letters, digits, dashes, underscores and dots, 63 at most"));
    }
    Ok((key.text.clone(), value.to_owned()))
}

/// A word, with the name of a domain and a slash before it or not.
fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        None => is_word(text),
        Some((domain, word)) => is_object_name(domain) && is_word(word),
    }
}

/// What Kubernetes takes for the value of a label, and for a key without a domain.
fn is_word(text: &str) -> bool {
    let at_ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && at_ends(text.bytes().next())
        && at_ends(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
