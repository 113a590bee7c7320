//! The `breakers:` of `rollout.yaml`: the flags that may be touched, and how breakers appear in Prometheus.
//!
//! It does not know which phase switches which breaker on.

use super::error::{Fault, excerpt};
use super::fields::{Fields, entries, list, name, names, not_a_name, quoted, scalar, text};
use super::node::{Key, Node};
use super::promql;
use super::rollout_file::metric;
use super::unit;
use crate::judge::condition::Encoding;
use crate::rollout::declaration::{Breaker, BreakerMetrics};
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

/// `requests` and `failures` are part of the format, but nothing of this version reads them.
fn metrics(node: &Node) -> Result<BreakerMetrics, Fault> {
    let fields = Fields::open(node, "metrics", &["requests", "failures", "state", "label"])?;
    for counter in ["requests", "failures"] {
        fields.get(counter).map(metric).transpose()?;
    }
    let state = Fields::open(fields.require("state")?, "state", &["gauge", "closed", "half_open", "open"])?;
    let mut values: Vec<f64> = Vec::new();
    for name in ["closed", "half_open", "open"] {
        let node = state.require(name)?;
        let value = unit::number(&scalar(node, "the value of a state")?.text, node.place)?;
        if values.iter().any(|other| (other - value).abs() < f64::EPSILON) {
            return Err(Fault::new(node.place, format!("two states are {value}")).label("each its own number"));
        }
        values.push(value);
    }
    let &[closed, half_open, open] = values.as_slice() else {
        return Err(Fault::new(state.place, "three states are needed"));
    };
    let label = fields.require("label")?;
    let label_text = text(label, "a label")?;
    promql::label_name(label_text, label.place)?;
    Ok(BreakerMetrics {
        state_gauge: metric(state.require("gauge")?)?,
        encoding: Encoding { closed, half_open, open },
        label: label_text.to_owned(),
    })
}

fn breaker(key: &Key, node: &Node) -> Result<Breaker, Fault> {
    const KNOWN: [&str; 6] = ["flag", "on", "off", "match", "settings", "never_for"];
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
    Ok(Breaker { name: own_name, flag, on, off, pattern: pattern.to_owned(), settings, never_for })
}

fn classes(node: &Node) -> Result<Vec<String>, Fault> {
    list(node, "never_for")?.iter().map(|entry| text(entry, "a class of calls").map(str::to_owned)).collect()
}
