//! Whether somebody's word counts: for the phase as its file is now, and for as long as it was to count.
//!
//! It does not know where sign-offs are kept, nor how a file's fingerprint is made.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::declaration::{Gate, Phase, RequiredSignOff, Requirement, Rollout};
use super::name::{PhaseName, SignOffName};
use super::position::SignOff;
use super::standing::elapsed;
use super::workload::Workload;
use crate::judge::verdict::seconds;

/// What was found of a sign-off that a phase asks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Signed {
    Valid(SignOff),
    Nobody,
    /// The phase's file is not the one that was signed, or did not ask for it then.
    Changed {
        sign_off: SignOff,
        /// How long ago it was given.
        #[serde(serialize_with = "seconds")]
        ago: Duration,
    },
    Expired {
        sign_off: SignOff,
        /// How long ago it stopped counting.
        #[serde(serialize_with = "seconds")]
        ago: Duration,
    },
}

impl Signed {
    pub fn counts(&self) -> bool {
        matches!(self, Self::Valid(_))
    }

    /// What was signed, whether it counts or not.
    pub fn sign_off(&self) -> Option<&SignOff> {
        match self {
            Self::Valid(sign_off) | Self::Changed { sign_off, .. } | Self::Expired { sign_off, .. } => Some(sign_off),
            Self::Nobody => None,
        }
    }
}

/// Holds what is recorded against what the phase asks for.
pub fn of(workload: &Workload, phase: &Phase, required: &RequiredSignOff, now: Timestamp) -> Signed {
    let Some(sign_off) = workload.sign_offs.get(&required.name).cloned() else { return Signed::Nobody };
    let ago = elapsed(sign_off.at, now);
    if sign_off.contents.get(&phase.name) != Some(&phase.content) {
        return Signed::Changed { sign_off, ago };
    }
    match required.valid_for.and_then(|valid_for| ago.checked_sub(valid_for)) {
        Some(ago) => Signed::Expired { sign_off, ago },
        None => Signed::Valid(sign_off),
    }
}

/// Every sign-off that a phase asks for.
fn asked_by(phase: &Phase) -> impl Iterator<Item = &RequiredSignOff> {
    let gates = phase.gates.iter().chain(phase.steps.iter().flat_map(|step| &step.gates));
    let of_gates = gates.filter_map(|gate| match gate {
        Gate::SignOff(required) => Some(required),
        Gate::Measured(_) | Gate::Check(_) => None,
    });
    let required = phase.requires.iter().filter_map(|requirement| match requirement {
        Requirement::SignOff(required) => Some(required),
        Requirement::Phase { .. } | Requirement::Check(_) => None,
    });
    of_gates.chain(required)
}

/// Every sign-off that the phases ask for.
pub fn names(rollout: &Rollout) -> impl Iterator<Item = &SignOffName> {
    rollout.phases.iter().flat_map(asked_by).map(|required| &required.name)
}

/// What a signature of this name is given to now: the phases that ask for it, each with what its file says.
pub fn contents(rollout: &Rollout, name: &SignOffName) -> BTreeMap<PhaseName, String> {
    let asks = |phase: &&Phase| asked_by(phase).any(|required| required.name == *name);
    rollout.phases.iter().filter(asks).map(|phase| (phase.name.clone(), phase.content.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all_off, at, rollout};
    use super::*;

    const DAY: u64 = 86_400;

    fn required(valid_for: Option<u64>) -> RequiredSignOff {
        RequiredSignOff { name: "reviewed".parse().unwrap(), valid_for: valid_for.map(Duration::from_secs) }
    }

    fn signed(contents: &[(&str, &str)]) -> Workload {
        let contents = contents.iter().map(|(phase, content)| (phase.parse().unwrap(), (*content).to_owned()));
        let sign_off = SignOff { by: "bob".into(), at: at(0), reason: None, contents: contents.collect() };
        Workload { sign_offs: [("reviewed".parse().unwrap(), sign_off)].into(), ..all_off() }
    }

    #[test]
    fn a_word_counts_for_what_was_signed_and_for_as_long_as_it_was_to_count() {
        let (day, now) = (Some(DAY), 86_400);
        for (contents, valid_for, second, state) in [
            (&[("shadow", "content-1")][..], None, 10 * now, "valid"),
            (&[("shadow", "content-1")], day, now - 1, "valid"),
            (&[("shadow", "content-1")], day, now, "expired 0"),
            (&[("shadow", "content-1")], day, now + 60, "expired 60"),
            (&[("shadow", "content-0")], None, 60, "changed 60"),
            (&[("shadow", "content-0")], day, now + 60, "changed 86460"),
            (&[("cache", "content-1")], None, 60, "changed 60"),
            (&[], None, 60, "changed 60"),
            (&[("shadow", "content-1")], day, -5, "valid"),
        ] {
            let phase = &rollout().phases[0];
            let found = match of(&signed(contents), phase, &required(valid_for), at(second)) {
                Signed::Valid(_) => "valid".to_owned(),
                Signed::Nobody => "nobody".to_owned(),
                Signed::Changed { ago, .. } => format!("changed {}", ago.as_secs()),
                Signed::Expired { ago, .. } => format!("expired {}", ago.as_secs()),
            };
            assert_eq!(found, state, "{contents:?} {valid_for:?} {second}");
        }
        assert_eq!(of(&all_off(), &rollout().phases[0], &required(None), at(0)), Signed::Nobody);
    }

    #[test]
    fn a_signature_is_given_to_every_phase_that_asks_for_it() {
        let mut rollout = rollout();
        rollout.phases[0].requires = vec![Requirement::SignOff(required(None))];
        rollout.phases[1].steps[1].gates = vec![Gate::SignOff(required(None))];
        rollout.phases[1].content = "content-2".into();
        let contents = contents(&rollout, &"reviewed".parse().unwrap());
        let told: Vec<String> = contents.iter().map(|(phase, content)| format!("{phase} {content}")).collect();
        assert_eq!(told, ["cache content-2", "shadow content-1"]);
        assert_eq!(names(&rollout).count(), 2);
    }
}
