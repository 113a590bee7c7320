//! What went wrong, and what the process says of it with its exit code.
//!
//! A gate that says no is no error: that is an outcome of `rollout`.

use std::process::ExitCode;

use jiff::Timestamp;

use crate::rollout::decision::Outcome;
use crate::rollout::name::PhaseName;
use crate::{cluster, phase_file, prometheus};

/// Everything that can keep a command from its answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error(transparent)]
    PhaseFile(#[from] phase_file::Error),
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    #[error("unknown {kind} `{name}`")]
    Unknown { kind: &'static str, name: String, nearest: Option<String>, known: Vec<String> },
    /// The target of an emergency cannot be taken from the files.
    #[error("rollout.yaml cannot be used, and there is no other way to know what to switch off")]
    NothingNamed {
        #[source]
        files: Box<phase_file::Error>,
        hint: String,
    },
    #[error("{}", match id {
        Some(id) => format!("the history of {rollout} has no entry `{id}`"),
        None => format!("{rollout} has no history yet"),
    })]
    NoEntry { rollout: String, id: Option<String> },
    #[error("`{id}` begins the ids of several operations: {}", numbers.iter().map(|number| format!("#{number}")).collect::<Vec<_>>().join(", "))]
    SeveralEntries { id: String, numbers: Vec<u64> },
    #[error("no deployment in namespace \"{namespace}\" has the labels `{selector}`")]
    NothingLabelled { namespace: String, selector: String },
    #[error("{at} lies ahead: only a past moment can be judged")]
    Future { at: Timestamp },
    #[error("cannot start")]
    Start {
        #[source]
        source: std::io::Error,
    },
    /// The way that was asked for is not there; nothing was touched.
    #[error("{what}")]
    Impossible { what: &'static str, hint: &'static str },
    /// A change was sent, and it has not arrived in every pod.
    #[error("{what}")]
    NotArrived {
        what: String,
        hint: String,
        #[source]
        source: Option<Box<cluster::Error>>,
    },
    /// Somebody else has changed the rollout: what was going on is given up in favour of that.
    #[error("{what}")]
    Overtaken { what: String },
    /// The rollout does not stand where it was said to stand; nothing was touched.
    #[error("the rollout stands at {found}, and not at {from}: nothing was touched")]
    Elsewhere { found: String, from: String },
    #[error("{phase} has {steps} step{}, and no step {asked}", if *steps == 1 { "" } else { "s" })]
    NoStep { phase: PhaseName, steps: usize, asked: usize },
    /// A change was sent, and what became of it could not be found out.
    #[error("{what}")]
    Unverified {
        what: String,
        #[source]
        source: Option<Box<cluster::Error>>,
    },
}

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    Success = 0,
    Error = 1,
    Usage = 2,
    Held = 3,
    Inconclusive = 4,
    RolledBack = 5,
    Conflict = 6,
}

impl Error {
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Cluster(error) if error.is_conflict() => ExitStatus::Conflict,
            Self::Overtaken { .. } | Self::Elsewhere { .. } => ExitStatus::Conflict,
            Self::Cluster(
                cluster::Error::NoContainer { .. }
                | cluster::Error::SeveralContainers { .. }
                | cluster::Error::SeveralRecords { .. },
            )
            | Self::PhaseFile(_)
            | Self::Prometheus(_)
            | Self::Unknown { .. }
            | Self::NoStep { .. }
            | Self::Future { .. }
            | Self::NoEntry { .. }
            | Self::SeveralEntries { .. }
            | Self::NothingNamed { .. }
            | Self::NothingLabelled { .. } => ExitStatus::Usage,
            Self::Cluster(_)
            | Self::Start { .. }
            | Self::Impossible { .. }
            | Self::NotArrived { .. }
            | Self::Unverified { .. } => ExitStatus::Error,
        }
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cluster(error) => error.hint(),
            Self::PhaseFile(error) => error.hint(),
            Self::Prometheus(_) => Some("see `prometheus` in rollout.yaml, or --prometheus URL".to_owned()),
            Self::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Unknown { known, kind, .. } => Some(format!("declared {kind}s: {}", known.join(", "))),
            Self::NothingNamed { hint, .. } | Self::NotArrived { hint, .. } => Some(hint.clone()),
            Self::Impossible { hint, .. } => Some((*hint).to_owned()),
            Self::NoEntry { id: Some(_), .. } => Some("cbctl history lists them by number".to_owned()),
            Self::SeveralEntries { .. } => Some("name one by its number, or by more of its id".to_owned()),
            Self::NothingLabelled { .. } => {
                Some("check the selector (-l), the namespace (-n) and the cluster (--context)".to_owned())
            }
            Self::Start { .. } | Self::Future { .. } | Self::NoStep { .. } | Self::NoEntry { id: None, .. } => None,
            Self::Unverified { .. } | Self::Overtaken { .. } | Self::Elsewhere { .. } => {
                Some("cbctl status shows where things stand".to_owned())
            }
        }
    }
}

impl From<Outcome> for ExitStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Proceed | Outcome::NothingToDo => Self::Success,
            Outcome::RollBack => Self::RolledBack,
            Outcome::Held => Self::Held,
            Outcome::Error => Self::Error,
            Outcome::Inconclusive => Self::Inconclusive,
        }
    }
}

impl ExitStatus {
    /// What several ends come to: one that may have left a breaker on outranks one that touched nothing, which outranks
    /// one that went well.
    pub fn worst(ends: impl IntoIterator<Item = Self>) -> Self {
        const FROM_THE_WORST: [ExitStatus; 7] = [
            ExitStatus::Error,
            ExitStatus::Conflict,
            ExitStatus::Usage,
            ExitStatus::RolledBack,
            ExitStatus::Held,
            ExitStatus::Inconclusive,
            ExitStatus::Success,
        ];
        let rank = |end: &Self| FROM_THE_WORST.iter().position(|other| other == end);
        ends.into_iter().min_by_key(rank).unwrap_or(Self::Success)
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_end_counts() {
        use ExitStatus::{Conflict, Error, Success, Usage};
        for (ends, worst) in [
            (&[][..], Success),
            (&[Success, Success], Success),
            (&[Success, Usage], Usage),
            (&[Usage, Conflict, Success], Conflict),
            (&[Usage, Error, Conflict], Error),
        ] {
            assert_eq!(ExitStatus::worst(ends.iter().copied()), worst, "{ends:?}");
        }
    }
}
