//! `cbctl promote`: one step further, if everything that stands against it is gone and the way back is clear; with --wait
//! one after the other, see `onward`.

mod step;

use super::interrupt::interrupted;
use super::onward::{Onward, SoFar};
use super::{Aim, Context, Look, known_phase};
use crate::cli::{Promote, Standpoint, StepChoice};
use crate::error::{Error, ExitStatus};
use crate::output::change::{ChangeReport, Result as Outcome};
use crate::output::check::CheckReport;
use crate::output::step::{named, recorded};
use crate::rollout::decision;
use crate::rollout::declaration::Rollout;
use crate::rollout::onward::Goal;
use crate::rollout::route::Consent;
use crate::rollout::standing::Standing;
use crate::rollout::workload::Workload;
pub(super) use step::{Failed, Taken, Taking, WAY_BACK};

/// What was asked for, and may be refused.
pub(super) struct Asked {
    /// Index of the phase that was named.
    pub phase: Option<usize>,
    pub consent: Consent,
    step: Option<StepChoice>,
    from: Option<Standpoint>,
}

pub(super) async fn run(context: &Context, arguments: &Promote) -> Result<ExitStatus, Error> {
    let rollout = &context.rollout()?;
    let asked = &Asked::of(rollout, arguments)?;
    let cluster = &context.cluster(rollout.header.namespace.as_deref()).await?;
    let (timeout, reason) = (arguments.timeout, arguments.write.reason.as_ref());
    if let Some(time) = arguments.wait {
        let so_far = SoFar::default();
        let onward = Onward { context, cluster, rollout, asked, timeout, reason, time, so_far };
        return Box::pin(onward.run()).await;
    }
    let aim = Aim { phase: asked.phase, consent: asked.consent, revisions: true, ..Aim::default() };
    let (look, identity) = tokio::join!(context.look_and_try(rollout, cluster, aim), cluster.identity());
    let Look { workload, mut decision, scope, queries, now } = look?;
    asked.stands_there(rollout, &workload, &decision.route.standing)?;
    let goal = asked.goal(rollout, decision.route.phase())?;
    let phase = &rollout.phases[goal.phase];
    decision.route.obstacles.extend(goal.not_next(&decision.route, phase.steps.len()));
    let report = CheckReport::of(rollout, &workload, &decision, scope, queries, now);
    if let Some(step) = goal.step.filter(|_| goal.is_reached(&decision.route))
        && decision.outcome() != decision::Outcome::RollBack
    {
        let headline = format!("nothing to do: {} is entered already", named(phase, step));
        let (deployment, namespace) = (&workload.deployment, &cluster.namespace);
        let mut report = ChangeReport::new("promote", deployment, namespace, Outcome::NothingToDo, headline);
        report.place = workload.recorded_place();
        context.printer.answer(&report);
        return Ok(ExitStatus::Success);
    }
    let taking = Taking { context, cluster, rollout, timeout, reason, dry_run: arguments.write.dry_run };
    match taking.take((&workload, &decision, &report), identity, &mut interrupted(), |_| ()).await {
        Ok(Taken::None) => {
            context.printer.answer(&report);
            Ok(decision.outcome().into())
        }
        Ok(Taken::NotClear(rehearsal, clear)) => {
            context.printer.answer(&*rehearsal);
            Ok(clear.into())
        }
        Ok(Taken::Ended(ended)) => {
            context.printer.answer(&*ended);
            Ok(ended.result.exit_status())
        }
        Err(Failed { error, report }) => {
            if let Some(report) = report {
                context.printer.answer(&*report);
            }
            Err(error)
        }
    }
}

impl Asked {
    /// Checked against the files, before anything is connected to.
    fn of(rollout: &Rollout, arguments: &Promote) -> Result<Self, Error> {
        // A yes without a reason is none.
        let reason = arguments.write.reason.as_ref().filter(|reason| !reason.trim().is_empty());
        let consent = Consent { adopt: arguments.adopt, high_risk: arguments.yes_high_risk && reason.is_some() };
        let phase = known_phase(rollout, arguments.phase.as_ref())?;
        let asked = Self { phase, consent, step: arguments.step, from: arguments.from.clone() };
        if let Some(phase) = phase {
            asked.goal(rollout, phase)?;
        }
        if let Some(Standpoint::At { phase, step }) = &asked.from {
            let index = known_phase(rollout, Some(phase))?;
            index.zip(*step).map_or(Ok(()), |(index, step)| declared(rollout, index, step).map(drop))?;
        }
        Ok(asked)
    }

    /// Where it is to come to in this phase.
    pub(super) fn goal(&self, rollout: &Rollout, phase: usize) -> Result<Goal, Error> {
        let steps = rollout.phases[phase].steps.len();
        let step = match self.step {
            None => None,
            Some(StepChoice::Full) => Some(steps.saturating_sub(1)),
            Some(StepChoice::Number(asked)) => Some(declared(rollout, phase, asked)?),
        };
        Ok(Goal { phase, step })
    }

    /// Whether the rollout stands where it was said to stand.
    pub(super) fn stands_there(
        &self,
        rollout: &Rollout,
        workload: &Workload,
        standing: &Standing,
    ) -> Result<(), Error> {
        let Some(from) = &self.from else { return Ok(()) };
        let place = standing.place.as_ref().map(|place| place.record(rollout));
        let there = match (from, &place) {
            (Standpoint::NotBegun, None) => workload.position.is_none(),
            (Standpoint::At { phase, step }, Some(place)) => {
                place.phase == *phase && step.is_none_or(|step| step == place.step)
            }
            (Standpoint::NotBegun, Some(_)) | (Standpoint::At { .. }, None) => false,
        };
        let found = || place.as_ref().map_or("no step yet".to_owned(), recorded);
        if there { Ok(()) } else { Err(Error::Elsewhere { found: found(), from: from.to_string() }) }
    }
}

/// The index of a step that was counted from 1.
fn declared(rollout: &Rollout, phase: usize, asked: usize) -> Result<usize, Error> {
    let phase = &rollout.phases[phase];
    let steps = phase.steps.len();
    let missing = || Error::NoStep { phase: phase.name.clone(), steps, asked };
    asked.checked_sub(1).filter(|step| *step < steps).ok_or_else(missing)
}
