//! How a value is held against its limit: the words for it, and which of them an indicator takes.
//!
//! A gate says what must be (`<`, `within`, `over`), a trigger what must not (`>`, `beyond`, `for`). It does not know
//! what a limit may be.

use super::error::{Fault, Place, excerpt};
use super::indicator::Indicator;
use crate::judge::condition::{Comparison, Role};

/// How a value is held against its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Against a number.
    Limit(Comparison),
    /// At most so much worse than the baseline.
    Within,
    /// More than so much worse than the baseline.
    Beyond,
}

/// Each with its word on one line and its field in a mapping.
const WORDS: [(Relation, &str, &str); 7] = [
    (Relation::Limit(Comparison::Below), "<", "below"),
    (Relation::Limit(Comparison::AtMost), "<=", "at_most"),
    (Relation::Limit(Comparison::Above), ">", "above"),
    (Relation::Limit(Comparison::AtLeast), ">=", "at_least"),
    (Relation::Limit(Comparison::Equals), "==", "equals"),
    (Relation::Within, "within", "within"),
    (Relation::Beyond, "beyond", "beyond"),
];
/// The fields of a mapping that hold a limit.
pub const FIELDS: [&str; 7] = ["below", "at_most", "above", "at_least", "equals", "within", "beyond"];

impl Relation {
    pub fn is_to_the_baseline(self) -> bool {
        match self {
            Self::Limit(_) => false,
            Self::Within | Self::Beyond => true,
        }
    }

    /// The word on one line.
    pub fn sign(self) -> &'static str {
        self.words().0
    }

    /// The field in a mapping.
    pub fn field(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        WORDS.iter().find(|(relation, ..)| *relation == self).map_or(("", ""), |(_, sign, field)| (*sign, *field))
    }
}

/// "a gate", "a trigger".
pub fn described(role: Role) -> &'static str {
    match role {
        Role::Gate => "a gate",
        Role::Trigger => "a trigger",
    }
}

/// The relations that an indicator takes in a role, the most usual first; none where there is no limit.
pub fn taken(indicator: Indicator, role: Role) -> &'static [Relation] {
    use Comparison::{Above, AtLeast, AtMost, Below, Equals};
    use Relation::{Beyond, Limit, Within};
    match (indicator, role) {
        (Indicator::Stuck(_), _) => &[],
        (Indicator::Trips { .. }, Role::Gate) => &[Limit(Equals), Limit(Below), Limit(AtMost)],
        (Indicator::Trips { .. }, Role::Trigger) => &[Limit(Above), Limit(AtLeast)],
        (Indicator::ErrorRate | Indicator::Latency(_), Role::Gate) => &[Limit(Below), Within],
        (Indicator::ErrorRate | Indicator::Latency(_), Role::Trigger) => &[Limit(Above), Beyond],
        (Indicator::BreakerFailures | Indicator::MemoryGrowth | Indicator::MemoryUse, Role::Gate) => &[Limit(Below)],
        (Indicator::BreakerFailures | Indicator::MemoryGrowth | Indicator::MemoryUse, Role::Trigger) => &[Limit(Above)],
    }
}

/// The word before the window. What grows, grows over a time; anything else that calls for a rollback lasts for one.
pub fn window_word(indicator: Indicator, role: Role) -> &'static str {
    match (role, indicator) {
        (Role::Gate, _) | (Role::Trigger, Indicator::MemoryGrowth) => "over",
        (Role::Trigger, _) => "for",
    }
}

/// Who insists on the word before the window.
pub fn who_says_the_window(indicator: Indicator, name: &str, role: Role) -> String {
    match (indicator, role) {
        (Indicator::MemoryGrowth, Role::Trigger) => format!("`{name}`"),
        _ => described(role).to_owned(),
    }
}

/// The relation that `written` stands for, if the indicator takes it in this role; `word` is how the form at hand
/// writes relations.
pub fn relation(
    written: &str,
    place: Place,
    (indicator, name): (Indicator, &str),
    role: Role,
    word: fn(Relation) -> &'static str,
) -> Result<Relation, Fault> {
    let taken = taken(indicator, role);
    if let Some(relation) = taken.iter().find(|relation| word(**relation) == written) {
        return Ok(*relation);
    }
    let any = WORDS.iter().map(|(relation, ..)| *relation).find(|relation| word(*relation) == written);
    let to_the_baseline = any.is_some_and(Relation::is_to_the_baseline);
    let alike: Vec<_> = taken.iter().copied().filter(|it| it.is_to_the_baseline() == to_the_baseline).collect();
    let role = described(role);
    let (message, right) = match alike.as_slice() {
        [] => (format!("`{name}` is not compared with a baseline"), taken.to_vec()),
        [_] => (format!("{role} says {}, not `{}`", one_of(&alike, word), excerpt(written)), alike),
        _ => (format!("{role} on `{name}` says {}, not `{}`", one_of(&alike, word), excerpt(written)), alike),
    };
    Err(Fault::new(place, message).label(format!("write {}", one_of(&right, word))))
}

/// "`==`, `<` or `<=`".
fn one_of(relations: &[Relation], word: fn(Relation) -> &'static str) -> String {
    let words: Vec<_> = relations.iter().map(|relation| format!("`{}`", word(*relation))).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relation_has_words_and_is_among_the_fields() {
        for ((relation, sign, field), listed) in WORDS.iter().zip(FIELDS) {
            assert_eq!((relation.sign(), relation.field()), (*sign, *field));
            assert_eq!(*field, listed);
        }
    }
}
