//! One row of the table: what is done to sound answers, and what each kind of condition has to say about it.

use super::kinds::{ALL, Kind};
use super::server::{Line, Scrape};
use crate::judge::samples::Scope;
use serde_json::Value;

type LinesChange = dyn Fn(Line, &str) -> Vec<Line>;
type Kept = dyn Fn(&Scrape<'_>, &str) -> bool;

/// What is done.
pub enum Change {
    /// To the bytes of every answer.
    Bytes(Box<dyn Fn(Vec<u8>) -> Vec<u8>>),
    /// To the JSON of every answer.
    Json(Box<dyn Fn(&mut Value)>),
    /// To every series; the text is the pod to which something happens.
    Lines(Box<LinesChange>),
    /// To what was scraped, before it is asked for.
    Scrapes { kept: Box<Kept>, lookback: i64 },
    /// To what is known of the pods and clocks.
    Scope(fn(&mut Scope)),
}

/// What a kind of condition has to make of it.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "why something is harmless is there to be read in the rows")]
pub enum Expected {
    /// Neither good nor bad: this reason, by the beginning of its debug text.
    Reason(&'static str),
    /// As good as before, and why that is right.
    Harmless(&'static str),
    /// A verdict that no rollout goes on with, and why it is right on these answers.
    Bad(&'static str),
}

pub struct Row {
    pub name: String,
    pub change: Change,
    pub says: Vec<(&'static [Kind], Expected)>,
}

impl Row {
    pub fn new(name: impl Into<String>, change: Change) -> Self {
        Self { name: name.into(), change, says: Vec::new() }
    }

    /// The same reason from all kinds; later words about some of them outrank it.
    pub fn all(self, reason: &'static str) -> Self {
        self.says(ALL, reason)
    }

    pub fn says(mut self, kinds: &'static [Kind], reason: &'static str) -> Self {
        self.says.push((kinds, Expected::Reason(reason)));
        self
    }

    pub fn harmless(mut self, kinds: &'static [Kind], because: &'static str) -> Self {
        self.says.push((kinds, Expected::Harmless(because)));
        self
    }

    pub fn bad(mut self, kinds: &'static [Kind], because: &'static str) -> Self {
        self.says.push((kinds, Expected::Bad(because)));
        self
    }

    /// Whether nothing of what such a row says is about a kind that it harms.
    pub fn may_change_nothing(&self) -> bool {
        self.says.iter().all(|(_, expected)| matches!(expected, Expected::Harmless(_)))
    }

    /// What a kind has to say; None where nobody has said.
    pub fn expected(&self, kind: Kind) -> Option<Expected> {
        self.says.iter().rev().find(|(kinds, _)| kinds.contains(&kind)).map(|(_, expected)| *expected)
    }
}
