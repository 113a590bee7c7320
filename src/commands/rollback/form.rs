//! Which way back was asked for, and what each of them needs to know beforehand.

use super::super::{Context, unknown};
use crate::cli::Rollback;
use crate::cluster::Target;
use crate::error::Error;
use crate::phase_file;
use crate::rollout::declaration::{Flags, Header, Rollout};
use crate::rollout::history::entry::Action;
use crate::rollout::name::{BreakerName, PhaseName};
use crate::rollout::plan::{self, NothingToRollBack, Operation, Plan};
use crate::rollout::workload::Workload;

/// A way back.
pub(super) enum Form {
    /// What the last step replaced.
    StepBack,
    /// As it was when this phase was left.
    To(PhaseName),
    /// These breakers off. Which phase lacks them only the phase files say.
    Breakers(Box<Rollout>, Vec<BreakerName>),
    /// The revision before; the phases tell where the rollout then stands, and are not needed.
    Undo {
        rollout: Option<Box<Rollout>>,
        off: Flags,
    },
    Restart,
    /// The canary away.
    Abort,
}

impl Form {
    /// Reads the phase files as far as the form needs them.
    pub(super) fn of(context: &Context, arguments: &Rollback) -> Result<Self, Error> {
        if arguments.template.undo {
            return Ok(Self::undo(context));
        }
        if arguments.template.restart {
            return Ok(Self::Restart);
        }
        if let Some(phase) = &arguments.to {
            return Ok(Self::To(phase.clone()));
        }
        if arguments.breakers.is_empty() {
            return Ok(Self::StepBack);
        }
        let rollout = context.rollout()?;
        let known: Vec<&str> = rollout.header.breakers.iter().map(|breaker| breaker.name.as_str()).collect();
        match arguments.breakers.iter().find(|breaker| !known.contains(&breaker.as_str())) {
            Some(stranger) => Err(unknown("breaker", stranger.as_str(), &known)),
            None => Ok(Self::Breakers(Box::new(rollout), arguments.breakers.clone())),
        }
    }

    fn undo(context: &Context) -> Self {
        match (context.rollout(), phase_file::load_header(&context.global.files)) {
            (Ok(rollout), _) => {
                let off = rollout.header.breakers_off();
                Self::Undo { rollout: Some(Box::new(rollout)), off }
            }
            (Err(error), Ok(header)) => {
                context.printer.warn(&error);
                Self::Undo { rollout: None, off: header.breakers_off() }
            }
            // Whoever looks for the Deployment tells that rollout.yaml cannot be used.
            (Err(_), Err(_)) => Self::Undo { rollout: None, off: Flags::new() },
        }
    }

    /// What rollout.yaml says, where it has been read already.
    pub(super) fn header(&self) -> Option<&Header> {
        match self {
            Self::Breakers(rollout, _) | Self::Undo { rollout: Some(rollout), .. } => Some(&rollout.header),
            Self::Undo { rollout: None, .. } | Self::StepBack | Self::To(_) | Self::Restart | Self::Abort => None,
        }
    }

    /// What it is planned on: the template that was there before, or a canary that may not be on record.
    pub(super) fn looks_at(&self, target: Target) -> Target {
        Target { revisions: matches!(self, Self::Undo { .. }), beside: matches!(self, Self::Abort), ..target }
    }

    pub(super) fn verb(&self) -> &'static str {
        if matches!(self, Self::Abort) { "abort" } else { "rollback" }
    }

    pub(super) fn plan(&self, workload: &Workload, operation: &Operation) -> Result<Plan, NothingToRollBack> {
        match self {
            Self::StepBack => plan::step_back(workload, operation),
            Self::To(phase) => plan::back_to(workload, phase, operation),
            Self::Breakers(rollout, breakers) => plan::breakers_off(rollout, workload, breakers, operation),
            Self::Undo { rollout, off } => plan::undo(rollout.as_deref(), off, workload, operation),
            Self::Restart => plan::restart(workload, operation),
            Self::Abort => plan::abort(workload, operation),
        }
    }

    /// As the history tells it.
    pub(super) fn action(&self) -> Action {
        match self {
            Self::StepBack | Self::To(_) | Self::Breakers(..) => Action::Rollback,
            Self::Undo { .. } => Action::Undo,
            Self::Restart => Action::Restart,
            Self::Abort => Action::Abort,
        }
    }
}
