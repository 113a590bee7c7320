//! `cbctl promote`: one step further, if everything that stands against it is gone and the way back is clear; and back by
//! itself if the pods do not become healthy.

use std::time::Duration;

use tokio::time::Instant;

use super::canary::{Bringing, Stopped, Why};
use super::interrupt::interrupted;
use super::rehearse::{Way, rehearse};
use super::settle::{self, Made, Sent, Settling};
use super::{Aim, Context, Look, known_phase, now, operation, target_of};
use crate::cli::Promote;
use crate::cluster::{Applied, Cluster, Ended, Found, Target, Wait, retry};
use crate::error::{Error, ExitStatus};
use crate::output::canary::{CanaryChange, entered as canary_entered};
use crate::output::change::{self, ChangeReport, Result as Outcome};
use crate::output::check::{CheckReport, destination};
use crate::output::in_one_line;
use crate::output::words::duration;
use crate::rollout::canary::{self, CanaryRecord};
use crate::rollout::decision;
use crate::rollout::declaration::Rollout;
use crate::rollout::history::entry::{Action, Ending, Entry};
use crate::rollout::history::usual_time;
use crate::rollout::plan::{self, Operation, Plan};
use crate::rollout::progress::Spread;
use crate::rollout::route::Consent;
use crate::rollout::workload::Workload;

/// How long taking an unhealthy change back may take.
const WAY_BACK: Duration = Duration::from_secs(5 * 60);

pub(super) async fn run(context: &Context, arguments: &Promote) -> Result<ExitStatus, Error> {
    let rollout = context.rollout()?;
    let phase = known_phase(&rollout, arguments.phase.as_ref())?;
    let cluster = context.cluster(rollout.header.namespace.as_deref()).await?;
    // A yes without a reason is none.
    let reason = arguments.write.reason.as_ref().filter(|reason| !reason.trim().is_empty());
    let consent = Consent { adopt: arguments.adopt, high_risk: arguments.yes_high_risk && reason.is_some() };
    let aim = Aim { phase, consent, revisions: true, ..Aim::default() };
    let (look, identity) = tokio::join!(context.look_and_try(&rollout, &cluster, aim), cluster.identity());
    let Look { workload, decision, scope, queries, now } = look?;
    let report = CheckReport::of(&rollout, &workload, &decision, scope, queries, now);
    let planned = match decision.outcome() {
        decision::Outcome::Proceed => {
            // A history that cannot be read stops nothing: the record then keeps the end that it knew.
            let newest = cluster.newest_history(&rollout.header.name).await.ok().flatten().unwrap_or_default();
            let operation = operation(identity?, now, arguments.write.reason.as_ref());
            let operation = Operation { history: newest.anchor(), ..operation };
            let plan = plan::promotion(&rollout, &workload, &decision.route, &operation);
            plan.map(|plan| (operation, plan, usual_time(&newest)))
        }
        decision::Outcome::RollBack
        | decision::Outcome::Held
        | decision::Outcome::Error
        | decision::Outcome::Inconclusive
        | decision::Outcome::NothingToDo => None,
    };
    let Some((operation, plan, past)) = planned else {
        context.printer.answer(&report);
        return Ok(decision.outcome().into());
    };

    let way = Way { rollout: &rollout, workload: &workload, route: &decision.route, plan: Some(&plan), past };
    let (rehearsal, clear) = rehearse(&cluster, &way, &operation).await?;
    if clear != decision::Outcome::Proceed {
        context.printer.answer(&rehearsal);
        return Ok(clear.into());
    }
    for line in rehearsal.passed() {
        context.printer.tell(&line);
    }

    let to = destination(&rollout, decision.route.destination);
    context.printer.tell(&change::announcement(&to, &workload, &plan));
    let promotion = Promotion {
        context,
        cluster: &cluster,
        rollout: &rollout,
        before: &workload,
        target: target_of(&rollout),
        to,
        operation,
        timeout: arguments.timeout,
        report,
    };
    promotion.carry_out(arguments, &workload, &plan).await
}

/// A decided step, on its way.
struct Promotion<'a> {
    context: &'a Context,
    cluster: &'a Cluster,
    rollout: &'a Rollout,
    /// What it was decided on.
    before: &'a Workload,
    target: Target,
    /// The step in words.
    to: String,
    operation: Operation,
    timeout: Duration,
    /// What the decision was made on, for the history.
    report: CheckReport,
}

impl Promotion<'_> {
    async fn carry_out(&self, arguments: &Promote, workload: &Workload, plan: &Plan) -> Result<ExitStatus, Error> {
        let mut interrupted = interrupted();
        let deadline = Instant::now() + arguments.timeout;
        if arguments.write.dry_run {
            self.cluster.apply(plan, workload, true).await?;
            let headline = format!("dry run: {} would be entered; the API server accepts the change", self.to);
            return Ok(self.answer(Outcome::DryRun, headline, plan, None));
        }
        let applied = self.apply(plan, workload, (deadline, &mut interrupted)).await?;
        if plan.changes.is_empty() && plan.canary.is_none() {
            self.remember(workload, plan, Ending::Done).await;
            let headline = format!("done: {} begins, no flag had to change", self.to);
            return Ok(self.answer(Outcome::Done, headline, plan, None));
        }
        let mut pods = None;
        if !plan.changes.is_empty() {
            match self.wait_for_pods(workload, plan, &applied, (deadline, &mut interrupted)).await? {
                Ok(spread) => pods = Some(spread),
                Err(why) => return self.take_back(workload, plan, &why).await,
            }
        }
        if let Some(record) = &plan.canary {
            match self.bring_the_canary(workload, plan, record, (deadline, &mut interrupted)).await? {
                Ok(()) => {}
                Err(why) => return self.take_back(workload, plan, &why).await,
            }
        }
        self.remember(workload, plan, Ending::Done).await;
        let took = change::took(self.operation.at, now());
        let healthy = match plan.canary.as_ref().and_then(|record| record.canary()) {
            Some(canary) => canary_entered(canary, workload),
            None => "every pod is healthy".to_owned(),
        };
        let headline = format!("done in {took}: {} is entered, {healthy}", self.to);
        Ok(self.answer(Outcome::Done, headline, plan, pods))
    }

    /// Waits until every pod of the Deployment itself runs what is wanted; why it has to be taken back, if it has to.
    async fn wait_for_pods(
        &self,
        workload: &Workload,
        plan: &Plan,
        applied: &Applied,
        (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
    ) -> Result<Result<Spread, String>, Error> {
        let goal = plan.goal(workload);
        let wait = Wait {
            target: &self.target,
            generation: applied.generation,
            goal: &goal,
            until_gone: false,
            give_up_on_failure: true,
            deadline,
            still_ours: &|seen| self.is_ours(seen) && seen.emergency.is_none(),
        };
        match settle::watch(self.context, self.cluster, &wait, interrupted).await {
            Ended::Done(after) => Ok(Ok(after.spread(&goal))),
            Ended::Interrupted(_) => Err(self.interrupted(workload, plan).await),
            Ended::Lost(_, error) => {
                self.remember(workload, plan, Ending::Unverified).await;
                let what = format!("{} is applied, and nothing more can be seen of it", self.to);
                Err(Error::Unverified { what, source: Some(Box::new(error)) })
            }
            Ended::Overtaken(after) => Err(self.overtaken(workload, plan, Some(&after)).await),
            Ended::Failed(_, why) => Ok(Err(why)),
            Ended::Deadline(..) => Ok(Err(self.not_in_time())),
        }
    }

    /// Brings the canary to what is recorded of it; why the step has to be taken back, if it has to. One that should be
    /// gone and is not takes nothing back: every pod runs the step's flags by then.
    async fn bring_the_canary(
        &self,
        workload: &Workload,
        plan: &Plan,
        record: &CanaryRecord,
        (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
    ) -> Result<Result<(), String>, Error> {
        // One that runs is taken back from by its emergency itself.
        let still_ours = |seen: &Workload| seen.emergency.is_none() || record.canary().is_some();
        let bringing = Bringing {
            context: self.context,
            cluster: self.cluster,
            target: &self.target,
            record,
            deadline,
            still_ours: &still_ours,
        };
        let Err(Stopped { why, last }) = bringing.bring(interrupted).await else { return Ok(Ok(())) };
        match why {
            Why::Interrupted => Err(self.interrupted(workload, plan).await),
            Why::Overtaken => Err(self.overtaken(workload, plan, last.as_deref()).await),
            why if record.aim == canary::Aim::Gone => {
                self.remember(workload, plan, Ending::Unverified).await;
                let (why, source) = why.told();
                let what = format!("{} is entered, and its canary is not gone yet: {why}", self.to);
                let hint = format!("the same command again goes on with it, as cbctl promote {} does", self.to);
                Err(Error::NotArrived { what, hint, source: source.map(Box::new) })
            }
            Why::Deadline(_) => Ok(Err(self.not_in_time())),
            why => {
                let (why, source) = why.told();
                Ok(Err(source.map_or_else(|| why.clone(), |source| in_one_line(&source))))
            }
        }
    }

    fn not_in_time(&self) -> String {
        format!("not healthy within {}", duration(self.timeout))
    }

    async fn interrupted(&self, workload: &Workload, plan: &Plan) -> Error {
        self.remember(workload, plan, Ending::Interrupted).await;
        let what = format!("interrupted: {} is applied, and its pods go on rolling out", self.to);
        Error::Unverified { what, source: None }
    }

    async fn overtaken(&self, workload: &Workload, plan: &Plan, seen: Option<&Workload>) -> Error {
        self.remember(workload, plan, Ending::Overtaken).await;
        let emergency = seen.is_some_and(|seen| seen.emergency.is_some());
        let by = if emergency { "an emergency rollback" } else { "somebody else's change" };
        let what = format!("{by} has overtaken {}: it is not waited for any longer", self.to);
        Error::Unverified { what, source: None }
    }

    /// Sends the patch once. Where no answer came, the record tells whether it arrived, as soon as it can be read.
    async fn apply(
        &self,
        plan: &Plan,
        workload: &Workload,
        (deadline, interrupted): (Instant, &mut (impl Future<Output = ()> + Unpin)),
    ) -> Result<Applied, Error> {
        let error = match self.cluster.apply(plan, workload, false).await {
            Ok(applied) => return Ok(applied),
            Err(error) => error,
        };
        if error.is_conflict() || !error.is_transient() {
            return Err(error.into());
        }
        self.context.printer.warn(&error);
        let told = |error: &crate::cluster::Error| self.context.printer.retrying(error);
        match retry(deadline, interrupted, told, async || self.cluster.read(&self.target).await).await {
            Ok(Found { workload, .. }) if self.is_ours(&workload) => {
                Ok(Applied { generation: workload.replicas.generation })
            }
            Ok(_) => Err(error.into()),
            Err(_) => Err(Error::Unverified {
                what: "the change was sent, and the API server did not say whether it took it".to_owned(),
                source: Some(Box::new(error)),
            }),
        }
    }

    /// Restores what was there before, unless somebody has moved the rollout on meanwhile.
    async fn take_back(&self, before: &Workload, plan: &Plan, why: &str) -> Result<ExitStatus, Error> {
        let printer = &self.context.printer;
        printer.tell(&format!("rollback: {} did not become healthy: {why}", self.to));
        let deadline = Instant::now() + WAY_BACK;
        // Taking an unhealthy change back is not interrupted.
        let mut never = std::future::pending();
        let planned = |workload: &Workload| match self.is_ours(workload) {
            true => {
                let back = plan::step_back(workload, &self.operation);
                back.or_else(|_| plan::abort(workload, &self.operation)).map_err(drop)
            }
            false => Err(()),
        };
        let told = |error: &crate::cluster::Error| printer.retrying(error);
        let sent = settle::send(self.cluster, &self.target, (deadline, &mut never), told, false, planned);
        let Made { before: unhealthy, plan: back, applied } = match sent.await {
            Ok(Sent::Made(made)) => *made,
            Ok(Sent::Nothing(..) | Sent::Overtaken { .. }) => {
                let overtaken = "somebody else has changed the rollout since";
                return Err(self.not_taken_back(before, plan, &format!("{why}; {overtaken}"), None).await);
            }
            Err(error) => return Err(self.not_taken_back(before, plan, why, Some(error)).await),
        };
        let goal = back.goal(&unhealthy);
        let settling = Settling {
            context: self.context,
            cluster: self.cluster,
            target: &self.target,
            applied: &applied,
            goal: &goal,
            canary: back.canary.as_deref(),
            began: self.operation.at,
            deadline,
            still_ours: &|seen| back.is_recorded_in(seen),
        };
        let settled = settling.verify(&mut never, "the old values are back").await;
        self.remember(before, plan, if settled.is_ok() { Ending::RolledBack } else { Ending::Unverified }).await;
        let report = |what| self.report(Outcome::Unverified, what, &back, None);
        let (after, _) = settled.map_err(|unsettled| unsettled.answer(self.context, report))?;
        let headline =
            format!("rollback: {} did not become healthy ({why}); every pod runs the old values again", self.to);
        let pods = after.spread(&goal);
        Ok(self.answer(Outcome::RolledBack, headline, &back, Some(pods)))
    }

    async fn not_taken_back(
        &self,
        before: &Workload,
        plan: &Plan,
        why: &str,
        source: Option<crate::cluster::Error>,
    ) -> Error {
        self.remember(before, plan, Ending::NotTakenBack).await;
        let what = format!("{} is applied, did not become healthy ({why}), and was not taken back", self.to);
        Error::Unverified { what, source: source.map(Box::new) }
    }

    fn is_ours(&self, workload: &Workload) -> bool {
        let of_canary = workload.recorded_canary().map(|record| &record.operation);
        let of_position = workload.recorded_position().map(|position| &position.operation);
        [of_position, of_canary].contains(&Some(&self.operation.id))
    }

    async fn remember(&self, before: &Workload, plan: &Plan, result: Ending) {
        let entry = Entry {
            from: before.recorded_place(),
            to: plan.record.place().cloned(),
            changes: plan.changes.clone(),
            evidence: self.report.evidence(),
            ..Entry::of(&self.operation, Action::Promote, result)
        };
        self.context.remember(self.cluster, &self.rollout.header.name, Some(before), entry).await;
    }

    fn answer(&self, result: Outcome, headline: String, applied: &Plan, pods: Option<Spread>) -> ExitStatus {
        self.context.printer.answer(&self.report(result, headline, applied, pods));
        result.exit_status()
    }

    fn report(&self, result: Outcome, headline: String, applied: &Plan, pods: Option<Spread>) -> ChangeReport {
        let namespace = &self.cluster.namespace;
        let mut report = ChangeReport::new("promote", &self.target.deployment, namespace, result, headline);
        report.operation = (result != Outcome::DryRun).then(|| self.operation.id.clone());
        report.place = applied.record.place().cloned();
        report.changes = applied.changes.iter().map(change::Applied::of).collect();
        let made = applied.canary.as_deref().filter(|_| result != Outcome::RolledBack);
        report.canary = made.map(|record| CanaryChange::of(record, self.before));
        report.pods = pods;
        report.next = (result == Outcome::Done).then(|| "next: cbctl check".to_owned());
        report
    }
}
