//! The `breakers:` of `rollout.yaml`: the flags that may be touched, and how breakers appear in Prometheus.
//!
//! It does not know which phase switches which breaker on.

use std::fmt::Display;

use super::error::{Fault, Place, excerpt};
use super::fields::{Fields, entries, list, name, names, not_a_name, quoted, scalar, text};
use super::node::{Key, Node};
use super::promql_lint::{self, Purpose};
use super::rollout_file::metric;
use super::{never_for, promql, unit};
use crate::judge::condition::Encoding;
use crate::rollout::declaration::{Breaker, BreakerMetrics, StateSource};
use crate::rollout::name::{BreakerName, FlagName};

/// No breaker can have this name.
const METRICS: &str = "metrics";

pub struct Breakers {
    pub metrics: Option<BreakerMetrics>,
    pub breakers: Vec<Breaker>,
}

/// Reads the breakers, at least one, and refuses a flag that belongs to two.
pub fn breakers(node: &Node) -> Result<Breakers, Fault> {
    let mut declared = Breakers { metrics: None, breakers: vec![] };
    for (key, value) in entries(node, "breakers")? {
        if key.text == METRICS {
            declared.metrics = Some(metrics(value)?);
            continue;
        }
        let breaker = breaker(key, value)?;
        let mut flags = std::iter::once(&breaker.flag).chain(&breaker.settings);
        let taken = |flag: &FlagName| {
            let owner = |other: &&Breaker| other.flag == *flag || other.settings.contains(flag);
            declared.breakers.iter().find(owner).map(|owner| (flag.clone(), owner.name.clone()))
        };
        if let Some((flag, owner)) = flags.find_map(taken) {
            return Err(Fault::new(
                key.place,
                format!("`{flag}` of breaker `{}` belongs to `{owner}` already", breaker.name),
            ));
        }
        declared.breakers.push(breaker);
    }
    if declared.breakers.is_empty() {
        return Err(Fault::new(node.place, "no breaker is declared").label("add one: cache: {flag: …, match: …}"));
    }
    Ok(declared)
}

fn metrics(node: &Node) -> Result<BreakerMetrics, Fault> {
    let fields = Fields::open(node, "metrics", &["requests", "failures", "state", "label"])?;
    let counter = |name: &str| fields.get(name).map(metric).transpose();
    let (requests, failures) = (counter("requests")?, counter("failures")?);
    let state_node = fields.require("state")?;
    let state = state(state_node)?;
    let label = label(fields.require("label")?)?;
    if let StateSource::Labels { label: of_state, .. } = &state
        && *of_state == label
    {
        return Err(Fault::new(state_node.place, format!("`{label}` tells the breakers apart, not their states"))
            .label("the label of `state` is another one"));
    }
    Ok(BreakerMetrics { requests, failures, state, label })
}

/// One gauge whose value is the state, or, with a label, one gauge for each state.
fn state(node: &Node) -> Result<StateSource, Fault> {
    let fields = Fields::open(node, "state", &["gauge", "label", "closed", "half_open", "open"])?;
    let gauge = metric(fields.require("gauge")?)?;
    let number = |node: &Node| unit::number(&scalar(node, "the value of a state")?.text, node.place);
    let Some(label_node) = fields.get("label") else {
        let same = |a: &f64, b: &f64| (a - b).abs() < f64::EPSILON;
        let [closed, half_open, open] = three_states(&fields, number, same)?;
        return Ok(StateSource::Values { gauge, encoding: Encoding { closed, half_open, open } });
    };
    let label = label(label_node)?;
    let value = |node: &Node| text(node, "the label value of a state").map(str::to_owned);
    let [closed, half_open, open] = three_states(&fields, value, |a, b| a == b)?;
    Ok(StateSource::Labels { gauge, label, closed, half_open, open })
}

/// What stands for closed, half-open and open; refuses two that are the same.
fn three_states<T: Display>(
    fields: &Fields<'_>,
    read: impl Fn(&Node) -> Result<T, Fault>,
    same: impl Fn(&T, &T) -> bool,
) -> Result<[T; 3], Fault> {
    let state = |name: &str| -> Result<(T, Place), Fault> {
        let node = fields.require(name)?;
        Ok((read(node)?, node.place))
    };
    let [closed, half_open, open] = [state("closed")?, state("half_open")?, state("open")?];
    for (a, b) in [(&closed, &half_open), (&closed, &open), (&half_open, &open)] {
        if same(&a.0, &b.0) {
            return Err(
                Fault::new(b.1, format!("two states are {}", excerpt(&a.0.to_string()))).label("each its own value")
            );
        }
    }
    Ok([closed.0, half_open.0, open.0])
}

fn label(node: &Node) -> Result<String, Fault> {
    let label = text(node, "a label")?;
    promql::label_name(label, node.place)?;
    Ok(label.to_owned())
}

fn health(node: &Node) -> Result<String, Fault> {
    let query = text(node, "the health query")?;
    promql_lint::check(&promql::query(query, node.place)?, query, node, Purpose::Health)?;
    Ok(query.to_owned())
}

fn breaker(key: &Key, node: &Node) -> Result<Breaker, Fault> {
    const KNOWN: [&str; 7] = ["flag", "on", "off", "match", "health", "settings", "never_for"];
    let what = "the name of a breaker";
    let own_name =
        key.text.parse::<BreakerName>().map_err(|_| not_a_name::<BreakerName>(key.place, what, &key.text))?;
    let fields = Fields::open(node, "a breaker", &KNOWN)?;
    let value = |field: &str, default: &str| {
        fields.get(field).map_or(Ok(default), |node| quoted(node, field)).map(str::to_owned)
    };
    let (on, off) = (value("on", "true")?, value("off", "false")?);
    if on == off {
        let place = fields.key("off").or(fields.key("on")).map_or(fields.place, |key| key.place);
        return Err(Fault::new(place, format!("`{}` is on and off", excerpt(&on))).label("two different values"));
    }
    let matching = fields.require("match")?;
    let pattern = text(matching, "match")?;
    promql::pattern(pattern, matching.place)?;
    let flag: FlagName = name(fields.require("flag")?, "a flag")?;
    let settings: Vec<FlagName> =
        fields.get("settings").map_or(Ok(vec![]), |node| names(node, "settings", "a setting"))?;
    if settings.contains(&flag) {
        return Err(Fault::new(key.place, format!("`{flag}` is the flag and a setting")));
    }
    let never_for = fields.get("never_for").map_or(Ok(vec![]), classes)?;
    let health = fields.get("health").map(health).transpose()?;
    Ok(Breaker { name: own_name, flag, on, off, pattern: pattern.to_owned(), health, settings, never_for })
}

fn classes(node: &Node) -> Result<Vec<String>, Fault> {
    list(node, "never_for")?.iter().map(class).collect()
}

/// Without a word in it no value could ever be told to name it.
fn class(node: &Node) -> Result<String, Fault> {
    let class = text(node, "a class of calls")?;
    if never_for::has_words(class) {
        return Ok(class.to_owned());
    }
    Err(Fault::new(node.place, format!("`{}` names no class of calls", excerpt(class)))
        .label("in words, such as write operations"))
}
