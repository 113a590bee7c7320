//! YAML as a tree in which every key and value knows its place.
//!
//! It knows YAML, but nothing of rollouts. The tree keeps how a scalar was written (`10`, `"10"`), which derived types
//! lose, and it lets every rule point at the very word that breaks it.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::error::{Fault, Place, excerpt};

/// Deeper than any valid file, and shallow enough for any stack.
const MAX_DEPTH: usize = 16;

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping; always a string, so that `on` and `off` are just words.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub place: Place,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Of a string its content, of anything else what was written.
    pub text: String,
    pub style: Style,
    /// Where `text` begins within what was written, if it stands there word for word.
    verbatim: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Quoted,
    Word,
    Boolean,
    Number,
    Null,
}

/// Reads the only document of `text`.
pub fn parse(text: &str) -> Result<Node, Fault> {
    if let Some(place) = indenting_tab(text) {
        return Err(Fault::new(place, "a tab in the indentation").label("use spaces"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| fault(&error))?;
    Ok(node(raw, text))
}

impl Node {
    /// What was written, for a message: `"a list"`, `"`10`"`.
    pub fn described(&self) -> String {
        match &self.value {
            Value::Scalar(Scalar { style: Style::Null, .. }) => "nothing".to_owned(),
            Value::Scalar(scalar) => format!("`{}`", excerpt(&scalar.text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The place of a part of this scalar's text, given in bytes; the whole value if it is not written word for word.
    pub fn part(&self, range: Range<usize>) -> Place {
        let Value::Scalar(Scalar { text, verbatim: Some(shift), .. }) = &self.value else {
            return self.place;
        };
        let characters = |range: Range<usize>| text.get(range).map_or(0, |part| part.chars().count());
        let before = characters(0..range.start);
        Place { column: self.place.column + shift + before, width: characters(range).max(1), ..self.place }
    }
}

/// The first line that is indented with a tab.
fn indenting_tab(text: &str) -> Option<Place> {
    text.replace("\r\n", "\n").split(['\n', '\r']).enumerate().find_map(|(index, line)| {
        let indentation = line.split(|c: char| !c.is_whitespace()).next().unwrap_or_default();
        let column = indentation.chars().position(|c| c == '\t')?;
        Some(Place { line: index + 1, column: column + 1, width: 1 })
    })
}

fn fault(error: &serde_saphyr::Error) -> Fault {
    use serde_saphyr::Error;
    let place = error.location().map_or(Place::START, |location| place(location, 1));
    let error = error.without_snippet();
    if let Error::DuplicateMappingKey { key: Some(key), .. } = error {
        let place = Place { width: key.chars().count().max(1), ..place };
        return Fault::new(place, format!("`{}` is given twice", excerpt(key))).label("the second time");
    }
    if let Error::MultipleDocuments { .. } = error {
        return Fault::new(place, "a second document").label("one file holds one document");
    }
    if let Error::MergeKeyNotAllowed { .. } = error {
        return Fault::new(place, "a merge key").label("write the fields out");
    }
    Fault::new(place, format!("not valid YAML: {}", UserMessageFormatter.format_message(error)))
}

fn place(location: Location, width: usize) -> Place {
    let at_least_one = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).max(1);
    Place { line: at_least_one(location.line()), column: at_least_one(location.column()), width: width.max(1) }
}

/// What stands at `location`, of which the columns are counted.
fn written(location: Location, text: &str) -> &str {
    let range = || {
        let start = usize::try_from(location.span().byte_offset()?).ok()?;
        let length = usize::try_from(location.span().byte_len()?).ok()?;
        Some(start..start.checked_add(length)?)
    };
    range().and_then(|range| text.get(range)).unwrap_or_default().trim_end()
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let written = written(raw.defined, text);
    let width = written.lines().next().unwrap_or_default().chars().count();
    let own_place = place(raw.referenced, width);
    let scalar = |content: Option<String>, style| {
        let content = content.unwrap_or_else(|| written.to_owned());
        // Only of a value on one line, and not of an alias, are the columns known.
        let in_place = raw.referenced == raw.defined && !written.contains(['\n', '\r']);
        let verbatim = written.find(&content).filter(|_| in_place).map(|start| written[..start].chars().count());
        Node { place: own_place, value: Value::Scalar(Scalar { text: content, style, verbatim }) }
    };
    match raw.value {
        Raw::Text(content) => {
            let quoted = written.starts_with(['"', '\'']);
            scalar(Some(content), if quoted { Style::Quoted } else { Style::Word })
        }
        Raw::Boolean => scalar(None, Style::Boolean),
        Raw::Number => scalar(None, Style::Number),
        Raw::Null => scalar(Some(String::new()), Style::Null),
        Raw::List(entries) => {
            let entries = entries.into_iter().map(|entry| node(entry, text)).collect();
            Node { place: Place { width: 1, ..own_place }, value: Value::List(entries) }
        }
        Raw::Map(entries) => {
            let entries: Vec<_> =
                entries.into_iter().map(|(name, value)| (key(name, text), node(value, text))).collect();
            // A block mapping begins with its first key.
            let first = entries.first().map(|(key, _)| key.place);
            let place = first.filter(|first| first.line == own_place.line && first.column == own_place.column);
            Node { place: place.unwrap_or(Place { width: 1, ..own_place }), value: Value::Map(entries) }
        }
    }
}

fn key(raw: Spanned<String>, text: &str) -> Key {
    let width = written(raw.defined, text).lines().next().unwrap_or_default().chars().count();
    Key { place: place(raw.referenced, width), text: raw.value }
}

/// A value as the parser hands it over.
enum Raw {
    Text(String),
    Boolean,
    Number,
    Null,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Boolean)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_element()? {
            entries.push(entry);
        }
        Ok(Raw::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
