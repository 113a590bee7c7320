//! The `flags:` of a phase or of one of its targets: what is declared, with values that the breaker knows.
//!
//! It does not know whose flags they are, nor what comes before them.

use super::error::{Fault, excerpt};
use super::fields::{entries, quoted};
use super::nearest::nearest;
use super::never_for;
use super::node::{Key, Node};
use crate::rollout::declaration::{Breaker, Flags, Header};
use crate::rollout::name::FlagName;

/// Reads flags and settings with their values.
pub fn flags(node: &Node, header: &Header) -> Result<Flags, Fault> {
    entries(node, "flags")?.iter().map(|(key, value)| flag(key, value, header)).collect()
}

fn flag(key: &Key, node: &Node, header: &Header) -> Result<(FlagName, String), Fault> {
    let Some(flag) = header.declared_flags().find(|flag| flag.as_str() == key.text) else {
        let declared = header.declared_flags().map(FlagName::as_str);
        return Err(Fault::new(key.place, format!("flag `{}` is not declared in rollout.yaml", excerpt(&key.text)))
            .did_you_mean(nearest(&key.text, declared))
            .hint("a rollout touches the flags and settings of its breakers, and nothing else"));
    };
    let value = quoted(node, &format!("the value of `{flag}`"))?;
    let breaker = header.breakers.iter().find(|breaker| breaker.flag == *flag);
    if let Some(breaker) = breaker
        && ![&breaker.on, &breaker.off].iter().any(|allowed| *allowed == value)
    {
        return Err(Fault::new(
            node.place,
            format!("`{}` switches `{}` neither on nor off", excerpt(value), breaker.name),
        )
        .label(format!("\"{}\" or \"{}\"", breaker.on, breaker.off)));
    }
    if let Some(breaker) = owner(flag, header) {
        never_for::check(value, node, breaker)?;
    }
    Ok((flag.clone(), value.to_owned()))
}

/// The breaker whose flag or setting this is.
pub fn owner<'a>(flag: &FlagName, header: &'a Header) -> Option<&'a Breaker> {
    header.breakers.iter().find(|breaker| breaker.flag == *flag || breaker.settings.contains(flag))
}
