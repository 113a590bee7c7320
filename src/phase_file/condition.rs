//! Conditions written as one line: `p95 < 400ms over 30m`, `error_rate > 2% for 2m`, `stuck_open(cache) for 10m`.
//!
//! A gate says what must be (`<`, `over`), a trigger what must not (`>`, `for`). It does not know where conditions stand
//! in a file, nor how they are judged.

use std::ops::Range;
use std::time::Duration;

use super::error::{Fault, Place, excerpt};
use super::indicator::{self, Indicator};
use super::node::{Node, Scalar};
use super::unit;
use crate::judge::condition::{Condition, Measure, Role};
use crate::rollout::declaration::Header;

/// The words that belong to a role, and those of the other one.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// "a gate", "a trigger".
    pub role: &'static str,
    pub operator: &'static str,
    /// The operator in the mapping form.
    pub limit: &'static str,
    pub window: &'static str,
    pub other_limit: &'static str,
    pub other_window: &'static str,
}

impl Words {
    pub fn of(role: Role) -> Self {
        match role {
            Role::Gate => Self {
                role: "a gate",
                operator: "<",
                limit: "below",
                window: "over",
                other_limit: "above",
                other_window: "for",
            },
            Role::Trigger => Self {
                role: "a trigger",
                operator: ">",
                limit: "above",
                window: "for",
                other_limit: "below",
                other_window: "over",
            },
        }
    }
}

/// A condition with the defaults of its role.
pub fn condition(role: Role, text: String, measure: Measure, window: Duration) -> Condition {
    let confidence = match role {
        Role::Gate => Condition::GATE_CONFIDENCE,
        Role::Trigger => Condition::TRIGGER_CONFIDENCE,
    };
    Condition { role, text, measure, window, confidence, min_requests: 0 }
}

/// Reads the condition that `scalar`, the value of `node`, holds.
pub fn from_text(node: &Node, scalar: &Scalar, role: Role, header: &Header) -> Result<Condition, Fault> {
    let mut line = Line { node, tokens: tokens(&scalar.text), next: 0, end: scalar.text.trim_end().len() };
    let words = Words::of(role);
    let subject = line.take("an indicator")?;
    let (name, breaker) = split_breaker(&line, &subject)?;
    let indicator = indicator::indicator(name.text, line.place(&name), header)?;
    let measure = match (indicator, breaker) {
        (Indicator::StuckOpen, Some(breaker)) => {
            stuck_open_is_no_gate(role, line.place(&name))?;
            indicator::stuck_open(breaker.text, line.place(&breaker), header)?
        }
        (Indicator::StuckOpen, None) => {
            return Err(
                Fault::new(line.place(&name), "`stuck_open` of which breaker?").label("write stuck_open(BREAKER)")
            );
        }
        (Indicator::ErrorRate | Indicator::Latency(_), Some(breaker)) => {
            let message = format!("`{}` is not measured by breaker", name.text);
            return Err(Fault::new(line.place(&breaker), message).label("leave it out"));
        }
        (Indicator::ErrorRate | Indicator::Latency(_), None) => {
            line.expect(words.operator, words.role)?;
            let limit = line.take("a limit")?;
            indicator::limited(indicator, limit.text, line.place(&limit))?
        }
    };
    line.expect(words.window, words.role)?;
    let window = line.take("a duration")?;
    let window = unit::positive_duration(window.text, line.place(&window), "a window")?;
    line.finish()?;
    let text = scalar.text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(condition(role, text, measure, window))
}

/// A breaker that is not stuck proves nothing.
pub fn stuck_open_is_no_gate(role: Role, place: Place) -> Result<(), Fault> {
    match role {
        Role::Trigger => Ok(()),
        Role::Gate => Err(Fault::new(place, "`stuck_open` is no gate").label("it belongs under `rollback`")),
    }
}

/// A word or an operator, and where it stands in the text, in bytes.
#[derive(Debug, Clone, PartialEq)]
struct Token<'a> {
    text: &'a str,
    range: Range<usize>,
}

/// The tokens of a condition, read from left to right.
struct Line<'a> {
    node: &'a Node,
    tokens: Vec<Token<'a>>,
    next: usize,
    end: usize,
}

impl<'a> Line<'a> {
    fn place(&self, token: &Token<'_>) -> Place {
        self.node.part(token.range.clone())
    }

    fn take(&mut self, expected: &str) -> Result<Token<'a>, Fault> {
        let Some(token) = self.tokens.get(self.next).cloned() else {
            return Err(Fault::new(
                self.node.part(self.end..self.end),
                format!("the condition ends before {expected}"),
            )
            .label(format!("{expected} is missing")));
        };
        self.next += 1;
        Ok(token)
    }

    fn expect(&mut self, word: &str, role: &str) -> Result<(), Fault> {
        let token = self.take(&format!("`{word}`"))?;
        if token.text == word {
            return Ok(());
        }
        Err(Fault::new(self.place(&token), format!("{role} says `{word}`, not `{}`", excerpt(token.text)))
            .label(format!("write `{word}`")))
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.tokens.get(self.next) {
            None => Ok(()),
            Some(token) => Err(Fault::new(self.place(token), format!("`{}` is too much", excerpt(token.text)))
                .label("the condition is complete before it")),
        }
    }
}

/// Words, and runs of comparison signs.
fn tokens(text: &str) -> Vec<Token<'_>> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Space,
        Operator,
        Word,
    }
    let kind = |c: char| match c {
        '<' | '>' | '=' | '!' => Kind::Operator,
        c if c.is_whitespace() => Kind::Space,
        _ => Kind::Word,
    };
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut last = Kind::Space;
    for (start, c) in text.char_indices() {
        let end = start + c.len_utf8();
        let this = kind(c);
        match tokens.last_mut() {
            Some(token) if this == last && this != Kind::Space => {
                *token = Token { text: &text[token.range.start..end], range: token.range.start..end };
            }
            _ if this != Kind::Space => tokens.push(Token { text: &text[start..end], range: start..end }),
            _ => {}
        }
        last = this;
    }
    tokens
}

/// `stuck_open(cache)` into its two parts.
fn split_breaker<'a>(line: &Line<'_>, token: &Token<'a>) -> Result<(Token<'a>, Option<Token<'a>>), Fault> {
    let Some((name, rest)) = token.text.split_once('(') else {
        return Ok((token.clone(), None));
    };
    let Some(breaker) = rest.strip_suffix(')') else {
        return Err(Fault::new(line.place(token), format!("`{}` has no closing parenthesis", excerpt(token.text)))
            .label("write stuck_open(BREAKER)"));
    };
    let start = token.range.start;
    let inner = start + name.len() + 1;
    let name = Token { text: name, range: start..start + name.len() };
    Ok((name, Some(Token { text: breaker, range: inner..inner + breaker.len() })))
}
