//! The pod template as a whole: which revision it is, which one was there before, and what is written down of a return
//! to that one.
//!
//! It does not know what a template looks like: that is a text for whoever applies it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::FlagName;
use super::workload::{FlagSource, FlagValue};

/// The present template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    /// Its number, which the Deployment's controller gives; 0 before it has given any.
    pub revision: i64,
    /// Itself, where the revisions were asked for and its controller has seen it.
    pub present: Option<Revision>,
    /// The moment of the last restart on request, as it is written there.
    pub restarted: Option<String>,
    pub undone: Option<Undone>,
    /// The revision before, where the revisions were asked for and there is one.
    pub previous: Option<Revision>,
}

/// A template that the cluster keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    pub number: i64,
    pub hash: String,
    /// Its JSON.
    pub template: String,
    /// Declared flags only, as in [`super::workload::Workload::flags`].
    pub flags: BTreeMap<FlagName, FlagSource>,
    /// Whether it differs from the present template in anything but those flags; false of that one itself.
    pub differs_elsewhere: bool,
}

/// The mark of a return to the revision before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    pub at: Timestamp,
    pub operation: String,
    /// The revision that was left.
    pub revision: i64,
}

/// What becomes of the template, besides its flags.
#[derive(Debug, Clone, PartialEq)]
pub enum TemplateChange {
    /// It stays, but for a moment that is written into it, so that every pod is replaced.
    Restart { at: Timestamp },
    /// It becomes an earlier one, in which these flags are as they are now.
    Undo { revision: Box<Revision>, kept: BTreeMap<FlagName, FlagValue>, mark: Undone },
}

impl Template {
    /// Another template takes the place of the present one, which becomes the revision before.
    pub fn moves_on(&mut self) {
        self.revision += 1;
        self.previous = self.present.take().or(self.previous.take());
    }

    /// Whether the last change of the template was a return to the revision before. That return has made a revision of
    /// its own, the one after the revision that it left, and any further change would have made another.
    pub fn is_undone(&self) -> bool {
        self.undone.as_ref().is_some_and(|undone| self.revision <= undone.revision + 1)
    }
}

impl TemplateChange {
    /// Whether it was carried out, whatever has happened since.
    pub fn has_left_a_mark_in(&self, template: &Template) -> bool {
        match self {
            Self::Restart { .. } => self.is_applied_to(template),
            Self::Undo { mark, .. } => template.undone.as_ref() == Some(mark),
        }
    }

    /// Whether the present template is what this makes of it.
    pub fn is_applied_to(&self, template: &Template) -> bool {
        match self {
            Self::Restart { at } => template.restarted.as_deref() == Some(&at.to_string()),
            Self::Undo { mark, .. } => template.undone.as_ref() == Some(mark) && template.is_undone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undo_counts_as_the_last_change_until_the_template_changes_again() {
        let undone = Undone { at: Timestamp::UNIX_EPOCH, operation: "undo".into(), revision: 4 };
        let template = |revision| Template { revision, undone: Some(undone.clone()), ..Template::default() };
        assert!(template(4).is_undone(), "the controller has not looked yet");
        assert!(template(5).is_undone());
        assert!(!template(6).is_undone(), "somebody has changed it since");
        assert!(!Template { revision: 5, ..Template::default() }.is_undone());
    }
}
