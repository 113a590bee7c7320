//! A mapping with a fixed set of fields, and the values that such fields have.
//!
//! It knows no field by name: those are given by who reads a kind of mapping.

use std::str::FromStr;

use super::error::{Fault, Place, excerpt};
use super::nearest::nearest;
use super::node::{Key, Node, Scalar, Style, Value};

/// A mapping all of whose keys are known.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    pub place: Place,
    /// What is read, for messages: "a step".
    what: &'a str,
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    /// Refuses anything that is no mapping, and any key that is not in `known`.
    pub fn open(node: &'a Node, what: &'a str, known: &[&str]) -> Result<Self, Fault> {
        let entries = entries(node, what)?;
        if let Some((key, _)) = entries.iter().find(|(key, _)| !known.contains(&key.text.as_str())) {
            let fault = Fault::new(key.place, format!("unknown field `{}` of {what}", excerpt(&key.text)));
            let hint = format!("the fields of {what} are {}", known.join(", "));
            return Err(fault.did_you_mean(nearest(&key.text, known.iter().copied())).hint(hint));
        }
        Ok(Self { place: node.place, what, entries })
    }

    pub fn get(&self, name: &str) -> Option<&'a Node> {
        self.entry(name).map(|(_, node)| node)
    }

    pub fn require(&self, name: &str) -> Result<&'a Node, Fault> {
        self.get(name).ok_or_else(|| Fault::new(self.place, format!("{} has no `{name}`", self.what)))
    }

    /// The one field of `names` that is given; none of them, or two, is a fault.
    pub fn one_of(&self, names: &[&'static str]) -> Result<(&'static str, &'a Node), Fault> {
        self.at_most_one_of(names)?
            .ok_or_else(|| Fault::new(self.place, format!("{} has none of `{}`", self.what, names.join("`, `"))))
    }

    /// The field of `names` that is given, if any; two are a fault.
    pub fn at_most_one_of(&self, names: &[&'static str]) -> Result<Option<(&'static str, &'a Node)>, Fault> {
        let mut given = names.iter().filter_map(|name| Some((*name, self.entry(name)?)));
        let Some((first, (_, node))) = given.next() else {
            return Ok(None);
        };
        match given.next() {
            None => Ok(Some((first, node))),
            Some((second, (key, _))) => {
                Err(Fault::new(key.place, format!("{} has `{first}` and `{second}`", self.what)).label("one of them"))
            }
        }
    }

    /// A key that is given, to point at it.
    pub fn key(&self, name: &str) -> Option<&'a Key> {
        self.entry(name).map(|(key, _)| key)
    }

    fn entry(&self, name: &str) -> Option<&'a (Key, Node)> {
        self.entries.iter().find(|(key, _)| key.text == name)
    }
}

/// The entries of a mapping whose keys are the user's own.
pub fn entries<'a>(node: &'a Node, what: &str) -> Result<&'a [(Key, Node)], Fault> {
    match &node.value {
        Value::Map(entries) => Ok(entries),
        Value::Scalar(_) | Value::List(_) => Err(expected(node, what, "a mapping")),
    }
}

pub fn list<'a>(node: &'a Node, what: &str) -> Result<&'a [Node], Fault> {
    match &node.value {
        Value::List(entries) => Ok(entries),
        Value::Scalar(_) | Value::Map(_) => Err(expected(node, what, "a list")),
    }
}

/// Any single value, as it was written.
pub fn scalar<'a>(node: &'a Node, what: &str) -> Result<&'a Scalar, Fault> {
    match &node.value {
        Value::Scalar(scalar) if scalar.style != Style::Null => Ok(scalar),
        Value::Scalar(_) | Value::List(_) | Value::Map(_) => Err(expected(node, what, "one value")),
    }
}

/// Text that is not empty, and that YAML does not take for a number or a boolean.
pub fn text<'a>(node: &'a Node, what: &str) -> Result<&'a str, Fault> {
    let scalar = scalar(node, what)?;
    match scalar.style {
        Style::Boolean | Style::Number => Err(Fault::new(node.place, format!("{what} is not a string"))
            .label(format!("quote it: \"{}\"", excerpt(&scalar.text)))),
        Style::Quoted | Style::Word | Style::Null if scalar.text.trim().is_empty() => {
            Err(Fault::new(node.place, format!("{what} is empty")))
        }
        Style::Quoted | Style::Word | Style::Null => Ok(&scalar.text),
    }
}

/// Text in quotes, so that no reader of YAML takes it for anything else; it may be empty.
pub fn quoted<'a>(node: &'a Node, what: &str) -> Result<&'a str, Fault> {
    let scalar = scalar(node, what)?;
    match scalar.style {
        Style::Quoted => Ok(&scalar.text),
        Style::Word | Style::Boolean | Style::Number | Style::Null => {
            Err(Fault::new(node.place, format!("{what} is not a quoted string"))
                .label(format!("quote it: \"{}\"", excerpt(&scalar.text)))
                .hint("an environment variable holds text; without quotes YAML makes a boolean or a number of it"))
        }
    }
}

/// One of the names that have a type of their own.
pub fn name<T: FromStr<Err = String>>(node: &Node, what: &str) -> Result<T, Fault> {
    let text = text(node, what)?;
    text.parse().map_err(|_| not_a_name::<T>(node.place, what, text))
}

/// The fault of a text that `T` refuses; the reason is the type's own.
pub fn not_a_name<T: FromStr<Err = String>>(place: Place, what: &str, text: &str) -> Fault {
    let reason = excerpt(text).parse::<T>().err().unwrap_or_else(|| format!("`{}` cannot be used", excerpt(text)));
    Fault::new(place, format!("{what}: {reason}"))
}

/// A list of names, none of them twice.
pub fn names<T: FromStr<Err = String> + PartialEq>(node: &Node, field: &str, what: &str) -> Result<Vec<T>, Fault> {
    let mut names = Vec::new();
    for entry in list(node, field)? {
        let name = name(entry, what)?;
        if names.contains(&name) {
            return Err(Fault::new(entry.place, format!("{} is given twice in {field}", entry.described())));
        }
        names.push(name);
    }
    Ok(names)
}

fn expected(node: &Node, what: &str, expected: &str) -> Fault {
    if let Value::Scalar(Scalar { style: Style::Null, .. }) = &node.value {
        return Fault::new(node.place, format!("{what}: nothing is given")).label(format!("expected {expected}"));
    }
    Fault::new(node.place, format!("{what} is {expected}, not {}", node.described()))
}
