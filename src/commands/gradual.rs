//! `cbctl rollback --gradual`: one reduction after the other, each judged, until things are better or every breaker is
//! off.
//!
//! What cannot be found out never stops it: without proof that things are better it goes on. Where it stands is in the
//! cluster, so that another run goes on where this one ended.

mod canary;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use canary::{canary_target, desired};

use super::interrupt::interrupted;
use super::looking::{self, Patience};
use super::rollback::Nothing;
use super::settle::{self, Made, Sent, Settling};
use super::{Aim, Context, now, operation, target_of};
use crate::cli::Rollback;
use crate::cluster::{Cluster, Error as ClusterError, Target, retry};
use crate::error::{Error, ExitStatus};
use crate::output::change::{self, Result as Outcome};
use crate::output::gradual::{self as report, GradualReport, JudgedReport, ReductionReport};
use crate::rollout::canary::canary_of;
use crate::rollout::declaration::Rollout;
use crate::rollout::gradual::{self, Fewer, GivenUp, Reduction, Verdict};
use crate::rollout::history::entry::{Action, Ending, Entry, NOBODY_KNOWS};
use crate::rollout::plan::Operation;
use crate::rollout::position::Place;
use crate::rollout::workload::Workload;

/// Somebody waits for it: a Prometheus that fails is asked a second time, and no more.
const FAILURES: u32 = 1;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &Context, arguments: &Rollback) -> Result<ExitStatus, Error> {
    let began = now();
    let deadline = Instant::now() + arguments.back.timeout;
    let rollout = context.rollout()?;
    let mut interrupted = interrupted();
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    let target = target_of(&rollout);
    let told = |error: &ClusterError| context.printer.retrying(error);
    let found = retry(deadline, &mut interrupted, told, async || cluster.read(&target).await).await?.workload;
    let by = cluster.identity().await.unwrap_or_else(|_| NOBODY_KNOWS.to_owned());
    let first = operation(by.clone(), began, arguments.back.write.reason.as_ref());
    if let Err(reason) = gradual::next(&rollout, &found, &GivenUp::default(), &first) {
        let nothing = Nothing { context, cluster: &cluster, target: &target, workload: found, reason, began, deadline };
        return nothing.answer(&arguments.back, &mut interrupted).await;
    }
    let mut gradual = Gradual {
        context,
        arguments,
        rollout: &rollout,
        cluster: &cluster,
        target,
        by,
        began,
        left: gradual::is_begun(&found).then(|| found.clone()),
        given_up: GivenUp::default(),
        judged_first: None,
        reductions: Vec::new(),
        unsettled: None,
    };
    if arguments.back.write.dry_run {
        return gradual.preview(&found, &first).await;
    }
    let mut at = found;
    // The first reduction is made without asking, unless an earlier run has made it.
    let mut judges = gradual.left.is_some();
    while gradual::next(&rollout, &at, &gradual.given_up, &first).is_ok() {
        if judges {
            let (verdict, seen) = gradual.judge(&at, &mut interrupted).await?;
            if verdict == Verdict::Better {
                return Ok(gradual.better(&seen));
            }
        }
        at = Box::pin(gradual.reduce(&mut interrupted)).await?;
        judges = true;
    }
    gradual.all_the_way(&at)
}

/// A gradual rollback on its way.
struct Gradual<'a> {
    context: &'a Context,
    arguments: &'a Rollback,
    rollout: &'a Rollout,
    cluster: &'a Cluster,
    target: Target,
    by: String,
    began: Timestamp,
    /// The Deployment as the last reduction has left it; None before the first.
    left: Option<Workload>,
    /// What did not become as small as it was to.
    given_up: GivenUp,
    judged_first: Option<JudgedReport>,
    reductions: Vec<ReductionReport>,
    /// Why the last reduction is not verified.
    unsettled: Option<Error>,
}

impl Gradual<'_> {
    /// What the triggers say where the rollout stands now.
    async fn judge(
        &mut self,
        at: &Workload,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<(Verdict, Workload), Error> {
        if self.unsettled.is_some() {
            // What is not there makes nothing better.
            let unproven = JudgedReport::unproven("the reduction is not verified");
            return Ok((self.judged(unproven), at.clone()));
        }
        let aim = Aim { only_triggers: true, ..Aim::default() };
        let time = gradual::patience(self.rollout, at);
        let patience = Patience { time, failures: FAILURES, pause: LONGEST_PAUSE };
        let pointless = |seen: &Workload| !self.is_ours(seen) || self.grown_again(seen).is_some();
        let looked = tokio::select! {
            biased;
            () = &mut *interrupted => {
                let what = format!("interrupted: {}; cbctl rollback --gradual goes on from there", report::stands(at));
                return Err(Error::Unverified { what, source: None });
            }
            looked = looking::until_conclusive(self.context, self.rollout, self.cluster, aim, patience, pointless) => {
                looked
            }
        };
        let (judged, seen) = match looked {
            Ok(looked) if !self.is_ours(&looked.workload) => return Err(overtaken(&looked.workload)),
            Ok(looked) => {
                let judged = match self.grown_again(&looked.workload) {
                    Some((canary, pods)) => {
                        self.given_up.canaries.insert(canary.clone());
                        JudgedReport::unproven(&format!("{canary} has {pods} pods again: something scales it up"))
                    }
                    None => JudgedReport::of(Verdict::of(&looked.decision.triggers), &looked.report),
                };
                (judged, looked.workload)
            }
            Err(error) => {
                self.context.printer.warn(&error);
                (JudgedReport::unproven("nobody could look"), at.clone())
            }
        };
        Ok((self.judged(judged), seen))
    }

    fn judged(&mut self, judged: JudgedReport) -> Verdict {
        self.context.printer.tell(&judged.line());
        let verdict = judged.verdict;
        match self.reductions.last_mut() {
            Some(reduction) => reduction.judged = Some(judged),
            None => self.judged_first = Some(judged),
        }
        verdict
    }

    /// One reduction, carried out and waited for; the Deployment as it then is.
    async fn reduce(&mut self, interrupted: &mut (impl Future<Output = ()> + Unpin)) -> Result<Workload, Error> {
        let deadline = Instant::now() + self.arguments.back.timeout;
        let operation = operation(self.by.clone(), now(), self.arguments.back.write.reason.as_ref());
        let seen = self.read(&self.target, deadline, interrupted).await?;
        if !self.is_ours(&seen) {
            return Err(overtaken(&seen));
        }
        self.unsettled = None;
        match gradual::next(self.rollout, &seen, &self.given_up, &operation) {
            Ok(Reduction::Canary(canary)) => {
                if let Some(error) = self.shrink(&seen, &canary, &operation, deadline, interrupted).await? {
                    self.context.printer.warn(&error);
                    self.given_up.canaries.insert(canary);
                    self.unsettled = Some(error);
                }
                self.read(&self.target, deadline, interrupted).await
            }
            Ok(Reduction::Recorded(..) | Reduction::Flags(_)) => {
                Box::pin(self.write_and_settle(&operation, deadline, interrupted)).await
            }
            Err(_) => Ok(seen),
        }
    }

    /// Makes the recorded canary smaller, or takes the newest change on record back, as `rollback` does.
    async fn write_and_settle(
        &mut self,
        operation: &Operation,
        deadline: Instant,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Workload, Error> {
        let next = |seen: &Workload| match self.is_ours(seen) {
            true => gradual::next(self.rollout, seen, &self.given_up, operation).ok(),
            false => None,
        };
        let planned = |seen: &Workload| match next(seen) {
            Some(Reduction::Recorded(_, plan) | Reduction::Flags(plan)) => Ok(plan),
            Some(Reduction::Canary(_)) | None => Err(()),
        };
        let told = |error: &ClusterError| self.context.printer.retrying(error);
        let sent = settle::send(self.cluster, &self.target, (deadline, &mut *interrupted), told, false, planned);
        let Made { before, plan, applied } = match sent.await? {
            Sent::Made(made) => *made,
            Sent::Nothing(seen, ()) if self.is_ours(&seen) => return Ok(*seen),
            Sent::Nothing(seen, ()) | Sent::Overtaken { now: seen, .. } => return Err(overtaken(&seen)),
        };
        let fewer = match next(&before) {
            Some(Reduction::Recorded(fewer, _)) => Some(fewer),
            Some(Reduction::Canary(_) | Reduction::Flags(_)) | None => None,
        };
        let left = plan.outcome(&before);
        if let Some(fewer) = &fewer {
            self.context.printer.tell(&report::canary_line(fewer));
        }
        if fewer.is_none() || report::leads_back(&plan) {
            self.context.printer.tell(&change::announcement(&change::restored(&plan), &before, &plan));
        }
        let settling = Settling {
            context: self.context,
            cluster: self.cluster,
            target: &self.target,
            applied: &applied,
            goal: &plan.goal(&before),
            canary: plan.canary.as_deref(),
            began: operation.at,
            deadline,
            still_ours: &|seen| gradual::is_as_left(&left, seen) && seen.emergency.is_none(),
        };
        let settled = settling.settle(interrupted).await;
        let result = if settled.is_ok() { Ending::Done } else { Ending::Unverified };
        let to = left.recorded_place();
        let entry = self.entry(operation, (before.recorded_place(), to), result);
        let entry = Entry { changes: plan.changes.clone(), canary: fewer.clone(), ..entry };
        self.remember(&before, entry).await;
        let reduction = match &fewer {
            Some(fewer) => ReductionReport::of_record(Some(&operation.id), fewer, &plan, Some(result)),
            None => ReductionReport::of_flags(Some(&operation.id), &plan, Some(result)),
        };
        self.reductions.push(reduction);
        self.left = Some(left.clone());
        match settled {
            Ok(after) => Ok(after),
            Err(unsettled) if unsettled.in_time => Err(unsettled.error()),
            Err(unsettled) => {
                let error = unsettled.error();
                self.context.printer.warn(&error);
                self.unsettled = Some(error);
                if let Some(fewer) = fewer {
                    self.given_up.recorded = fewer.to == 0;
                    self.given_up.canaries.insert(fewer.deployment);
                }
                Ok(left)
            }
        }
    }

    /// Every reduction there is to make; the API server checks the first.
    async fn preview(&self, found: &Workload, operation: &Operation) -> Result<ExitStatus, Error> {
        let ahead = gradual::all_the_way(self.rollout, found, operation);
        let of_record = ahead.iter().filter_map(|reduction| match reduction {
            Reduction::Recorded(fewer, plan) => Some((ReductionReport::of_record(None, fewer, plan, None), plan)),
            Reduction::Canary(_) | Reduction::Flags(_) => None,
        });
        let (mut reductions, mut plans): (Vec<_>, Vec<_>) = of_record.unzip();
        let own = found.has_canary().then(|| canary_of(&found.deployment));
        for canary in gradual::canaries(found).filter(|canary| own.as_deref() != Some(*canary)) {
            let of_canary = self.cluster.read(&canary_target(found, canary)).await?.workload;
            let mut next = Some(Fewer::of(found, canary, desired(&of_canary)));
            while let Some(fewer) = next {
                if reductions.is_empty() {
                    self.cluster.scale(&of_canary, fewer.to, true).await?;
                }
                let place = found.recorded_place();
                reductions.push(ReductionReport::of_canary(None, &fewer, place, None));
                next = fewer.next();
            }
        }
        for reduction in &ahead {
            if let Reduction::Flags(plan) = reduction {
                if reductions.is_empty() {
                    plans.push(plan);
                }
                reductions.push(ReductionReport::of_flags(None, plan, None));
            }
        }
        if let Some(plan) = plans.first() {
            self.cluster.apply(plan, found, true).await?;
        }
        let summary = "dry run: at most these, one after the other; the API server accepts the first".to_owned();
        let mut report = GradualReport::new(found, Outcome::DryRun, summary);
        report.reductions = reductions;
        self.context.printer.answer(&report);
        Ok(ExitStatus::Success)
    }

    fn better(&self, at: &Workload) -> ExitStatus {
        let (result, done) = match self.reductions.is_empty() {
            true => (Outcome::NothingToDo, "nothing to do".to_owned()),
            false => (Outcome::Done, format!("done in {}", change::took(self.began, now()))),
        };
        let mut next = vec!["next: cbctl promote, once cbctl check passes".to_owned()];
        let earlier = at.recorded_position().and_then(|position| position.trail.last()?.from.clone());
        if let Some(Place { phase, .. }) = earlier {
            next.push(format!("further back: cbctl rollback --to {phase}"));
        }
        self.answer(at, result, &format!("{done}: better: {}", report::stands(at)), next)
    }

    fn all_the_way(&mut self, at: &Workload) -> Result<ExitStatus, Error> {
        if let Some(error) = self.unsettled.take() {
            return Err(error);
        }
        if let Some(canary) = self.given_up.canaries.iter().find(|canary| at.canary_pods(canary) > 0) {
            let what = format!("every breaker of {} is off, but {}", at.deployment, report::of_canary(at, canary));
            return Err(Error::Unverified { what, source: None });
        }
        if gradual::leaves_a_canary(at) {
            let what =
                format!("every breaker of {} is off, but its canary is not gone: see cbctl abort", at.deployment);
            return Err(Error::Unverified { what, source: None });
        }
        let took = change::took(self.began, now());
        let headline = format!("done in {took}: every breaker is off, and no improvement was proven on the way");
        Ok(self.answer(at, Outcome::Done, &headline, Vec::new()))
    }

    fn answer(&self, at: &Workload, result: Outcome, headline: &str, next: Vec<String>) -> ExitStatus {
        let (spread, pods) = report::pods(at);
        let mut report = GradualReport::new(at, result, format!("{headline}; {pods}"));
        report.judged_first.clone_from(&self.judged_first);
        report.reductions.clone_from(&self.reductions);
        report.pods = Some(spread);
        // Of one that is on record the last reduction leaves nothing.
        let by_hand = self.reductions.iter().filter(|reduction| !reduction.is_recorded);
        let made = by_hand.filter_map(|reduction| Some(&reduction.canary.as_ref()?.deployment));
        let reduced = at.recorded_position().and_then(|position| position.reduced.as_ref());
        let canaries: BTreeSet<&String> = made.chain(reduced.map(|reduced| &reduced.fewer.deployment)).collect();
        report.next = next;
        report.next.extend(canaries.into_iter().map(|canary| report::of_canary(at, canary)));
        self.context.printer.answer(&report);
        result.exit_status()
    }

    /// Nobody else has moved the rollout since the last reduction.
    fn is_ours(&self, seen: &Workload) -> bool {
        seen.emergency.is_none() && self.left.as_ref().is_none_or(|left| gradual::is_as_left(left, seen))
    }

    /// The canary that was reduced last, if it has more pods than that.
    fn grown_again(&self, seen: &Workload) -> Option<(String, usize)> {
        let fewer = self.reductions.last()?.canary.as_ref()?;
        (!fewer.is_made(seen) && !self.given_up.canaries.contains(&fewer.deployment))
            .then(|| (fewer.deployment.clone(), seen.canary_pods(&fewer.deployment)))
    }

    async fn read(
        &self,
        target: &Target,
        deadline: Instant,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Workload, Error> {
        let told = |error: &ClusterError| self.context.printer.retrying(error);
        Ok(retry(deadline, interrupted, told, async || self.cluster.read(target).await).await?.workload)
    }

    /// What the history tells of a reduction, and what was judged before it.
    fn entry(&self, operation: &Operation, (from, to): (Option<Place>, Option<Place>), result: Ending) -> Entry {
        let judged = self.reductions.last().map_or(&self.judged_first, |reduction| &reduction.judged);
        Entry {
            from,
            to,
            evidence: judged.as_ref().map(|judged| judged.conditions.clone()).unwrap_or_default(),
            ..Entry::of(operation, Action::Rollback, result)
        }
    }

    async fn remember(&self, seen: &Workload, entry: Entry) {
        self.context.remember(self.cluster, &self.rollout.header.name, Some(seen), entry).await;
    }
}

fn overtaken(seen: &Workload) -> Error {
    let by = if seen.emergency.is_some() { "an emergency rollback" } else { "somebody else's change" };
    let what = format!("{by} has overtaken this rollback: nothing more is reduced; {}", report::stands(seen));
    Error::Unverified { what, source: None }
}
