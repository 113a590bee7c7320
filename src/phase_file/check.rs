//! The `check:` of a gate or a requirement: something that is tried, over HTTP or by a command.
//!
//! It does not know how it is tried, nor when.

use std::time::Duration;

use super::error::{Fault, excerpt};
use super::fields::{Fields, list, scalar, text};
use super::node::{Node, Scalar, Style, Value};
use super::unit;
use crate::rollout::declaration::{Check, Probe};

/// How long a pod may take to answer, where the file does not say.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// The same of a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// A promotion waits for it; what takes longer belongs into a job that ends with a sign-off.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Reads `{check: {http: /readinessz}}` or `{check: {command: [./smoke.sh]}}`.
pub fn check(node: &Node) -> Result<Check, Fault> {
    let node = Fields::open(node, "a required check", &["check"])?.require("check")?;
    let fields = Fields::open(node, "a check", &["http", "port", "command", "timeout"])?;
    let (kind, value) = fields.one_of(&["http", "command"])?;
    let given = fields.get("timeout").map(timeout).transpose()?;
    if kind == "http" {
        let port = fields.get("port").map(port).transpose()?;
        return Ok(Check { probe: Probe::Http { path: path(value)?, port }, timeout: given.unwrap_or(HTTP_TIMEOUT) });
    }
    if let Some(key) = fields.key("port") {
        return Err(Fault::new(key.place, "a command has no port").label("leave it out"));
    }
    Ok(Check { probe: Probe::Command(command(value)?), timeout: given.unwrap_or(COMMAND_TIMEOUT) })
}

fn timeout(node: &Node) -> Result<Duration, Fault> {
    let written = &scalar(node, "timeout")?.text;
    let timeout = unit::positive_duration(written, node.place, "a timeout")?;
    if timeout <= LONGEST_TIMEOUT {
        return Ok(timeout);
    }
    Err(Fault::new(node.place, format!("a timeout of {}", excerpt(written))).label("10m at most"))
}

fn port(node: &Node) -> Result<u16, Fault> {
    let port = unit::whole(&scalar(node, "port")?.text, node.place, 1..=65_535)?;
    Ok(u16::try_from(port).unwrap_or(u16::MAX))
}

/// A path, and whatever comes after a `?`, that stays below the root of the pod that is asked.
fn path(node: &Node) -> Result<String, Fault> {
    let text = text(node, "the path of a check")?;
    let fault = |message: &str, label: &str| {
        Err(Fault::new(node.place, format!("`{}` {message}", excerpt(text))).label(label.to_owned()))
    };
    if !text.starts_with('/') {
        return fault("is not the path of a pod", "write it like /readinessz");
    }
    if text.contains(|c: char| {
        !c.is_ascii_graphic() || matches!(c, '#' | '\\' | '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}')
    }) {
        return fault("has a character that no path has", "write it as %20, for example");
    }
    if climbs(text) {
        return fault("leads out of the pod", "without `..`");
    }
    Ok(text.to_owned())
}

/// Whether a segment is `..`, also in the disguises that somebody on the way may take off.
fn climbs(text: &str) -> bool {
    let path = text.split('?').next().unwrap_or_default().to_lowercase();
    let plain = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    plain.split('/').any(|segment| segment == "..")
}

fn command(node: &Node) -> Result<Vec<String>, Fault> {
    let words = list(node, "a command")?.iter().map(word).collect::<Result<Vec<_>, _>>()?;
    if words.first().is_some_and(|program| !program.trim().is_empty()) {
        return Ok(words);
    }
    let place = list(node, "a command")?.first().unwrap_or(node).place;
    Err(Fault::new(place, "a command without a program").label("write it like [./smoke.sh, --fast]"))
}

/// A program or an argument of it, which may be empty.
fn word(node: &Node) -> Result<String, Fault> {
    let word = match &node.value {
        Value::Scalar(Scalar { text, style: Style::Quoted, .. }) => text.as_str(),
        Value::Scalar(_) | Value::List(_) | Value::Map(_) => text(node, "a word of a command")?,
    };
    if word.contains('\0') {
        return Err(Fault::new(node.place, "a word of a command holds a NUL").label("no program can be given it"));
    }
    Ok(word.to_owned())
}
