//! Conditions written as one line: `p95 < 400ms over 30m`, `error_rate > 2% for 2m`, `stuck_open(cache) for 10m`.
//!
//! It does not know where conditions stand in a file, which words suit which indicator, nor how they are judged.

use std::ops::Range;

use super::asked::{self, Asked, Word};
use super::error::{Fault, Place, excerpt};
use super::indicator;
use super::node::{Node, Scalar};
use super::relation::{self, Relation, relation, who_says_the_window, window_word};
use crate::judge::condition::{Condition, Role};
use crate::rollout::declaration::Header;

/// Reads the condition that `scalar`, the value of `node`, holds.
pub fn from_text(node: &Node, scalar: &Scalar, role: Role, header: &Header) -> Result<Condition, Fault> {
    let mut line = Line { node, tokens: tokens(&scalar.text), next: 0, end: scalar.text.trim_end().len() };
    let subject = line.take("an indicator")?;
    let (name, breaker) = split_breaker(&line, &subject)?;
    let name = line.word(&name);
    let indicator = indicator::indicator(name.text, name.place, header)?;
    asked::suits(indicator, role, name)?;
    let breaker = breaker.map(|token| line.word(&token));
    match (breaker, indicator.is_of_a_breaker()) {
        (None, true) => {
            return Err(Fault::new(name.place, format!("`{}` of which breaker?", name.text))
                .label(format!("write {}(BREAKER)", name.text)));
        }
        (Some(breaker), false) => {
            let message = format!("`{}` is not measured by breaker", name.text);
            return Err(Fault::new(breaker.place, message).label("leave it out"));
        }
        (None, false) | (Some(_), true) => {}
    }
    let limit = match relation::taken(indicator, role) {
        [] => None,
        [first, ..] => {
            let written = line.take(&format!("`{}`", first.sign()))?;
            let place = line.place(&written);
            let relation = relation(written.text, place, (indicator, name.text), role, Relation::sign)?;
            let limit = line.take(if relation.is_to_the_baseline() { "a distance" } else { "a limit" })?;
            if relation.is_to_the_baseline() {
                line.expect("of", "a comparison")?;
                line.expect("baseline", "a comparison")?;
            }
            Some((relation, line.word(&limit)))
        }
    };
    line.expect(window_word(indicator, role), &who_says_the_window(indicator, name.text, role))?;
    let window = line.take("a duration")?;
    let window = line.word(&window);
    let text = scalar.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let condition = Asked { role, indicator, name, breaker, limit, window }.condition(text, header)?;
    line.finish()?;
    Ok(condition)
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

    fn word(&self, token: &Token<'a>) -> Word<'a> {
        Word { text: token.text, place: self.place(token) }
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
            .label(format!("write {}(BREAKER)", excerpt(name))));
    };
    let start = token.range.start;
    let inner = start + name.len() + 1;
    let name = Token { text: name, range: start..start + name.len() };
    Ok((name, Some(Token { text: breaker, range: inner..inner + breaker.len() })))
}
