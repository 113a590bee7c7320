//! Bringing the canary to what is recorded of it, one move after the other, whoever recorded it and however far anybody
//! has come.
//!
//! Which move comes next is decided in `rollout::canary`; when a canary is called for is decided by the verbs.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::settle::Telling;
use super::{Context, shared_now};
use crate::cluster::{Cluster, Error as ClusterError, Found, Standstill, Target, retry};
use crate::output::canary::{about_to, trouble};
use crate::rollout::canary::{self, Aim, CanaryRecord, CanaryTrouble, Move, canary_of};
use crate::rollout::plan;
use crate::rollout::progress::Goal;
use crate::rollout::router::Unsplittable;
use crate::rollout::workload::Workload;

/// So often its Deployment is brought to the record; who changes it again does so every time.
const OFTEN_ENOUGH: u32 = 5;
/// Between two looks while pods come or go.
const PAUSE: Duration = Duration::from_millis(500);
/// So often in a row a router may be somebody else's version before its traffic is no longer waited for.
const CONFLICTS: usize = 3;

/// A canary that is to become what is recorded of it.
pub(super) struct Bringing<'a> {
    pub context: &'a Context,
    pub cluster: &'a Cluster,
    pub target: &'a Target,
    pub record: &'a CanaryRecord,
    pub deadline: Instant,
    /// Whether nobody else has changed the rollout since, the record of the canary aside.
    pub still_ours: &'a dyn Fn(&Workload) -> bool,
}

/// A canary that did not become what it is to be.
pub(super) struct Stopped {
    pub why: Why,
    /// The Deployment as it was last seen.
    pub last: Option<Box<Workload>>,
}

pub(super) enum Why {
    /// Its pods do not become healthy, with the reason.
    Failed(String),
    Blocked(CanaryTrouble),
    /// The last look or write failed, if one did.
    Deadline(Option<ClusterError>),
    /// Something failed that does not pass.
    Lost(ClusterError),
    Interrupted,
    Overtaken,
}

impl Why {
    /// In words, with the error behind it.
    pub(super) fn told(self) -> (String, Option<ClusterError>) {
        match self {
            Self::Failed(reason) => (reason, None),
            Self::Blocked(found) => (trouble(&found), None),
            Self::Deadline(source) => ("time is up".to_owned(), source),
            Self::Lost(source) => ("it cannot be gone on with".to_owned(), Some(source)),
            Self::Interrupted => ("interrupted".to_owned(), None),
            Self::Overtaken => ("somebody else has changed the rollout since".to_owned(), None),
        }
    }
}

/// What one look led to.
enum Turn {
    /// Something was done: what is there now is another thing.
    Moved,
    Pause,
    Done(Box<Workload>),
    Stop(Why, Box<Workload>),
}

impl Bringing<'_> {
    /// Until it is as recorded, and that is written down.
    pub(super) async fn bring(
        &self,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Workload, Stopped> {
        let mut progress = Progress::new(self.deadline);
        let (mut last, mut trouble, mut next) = (None, None, Instant::now());
        loop {
            let turn = tokio::select! {
                biased;
                () = &mut *interrupted => return Err(Stopped { why: Why::Interrupted, last }),
                () = sleep_until(self.deadline) => return Err(Stopped { why: Why::Deadline(trouble), last }),
                turn = async { sleep_until(next).await; self.turn(&mut progress).await } => turn,
            };
            next = Instant::now() + PAUSE;
            match turn {
                Ok(Turn::Done(workload)) => return Ok(*workload),
                Ok(Turn::Stop(why, seen)) => return Err(Stopped { why, last: Some(seen) }),
                Ok(Turn::Moved) => next = Instant::now(),
                Ok(Turn::Pause) => {}
                Err((error, seen)) if !error.is_transient() && !error.is_conflict() => {
                    return Err(Stopped { why: Why::Lost(error), last: seen.or(last) });
                }
                Err((error, seen)) => {
                    if trouble.is_none() && !error.is_conflict() {
                        self.context.printer.retrying(&error);
                    }
                    (trouble, last) = (Some(error), seen.or(last));
                    continue;
                }
            }
            trouble = None;
        }
    }

    /// One look, and the move that it calls for.
    async fn turn(&self, progress: &mut Progress) -> Result<Turn, (ClusterError, Option<Box<Workload>>)> {
        let Found { workload, clock_offset } = self.cluster.read(self.target).await.map_err(|error| (error, None))?;
        let seen = Box::new(workload);
        if !(self.still_ours)(&seen) {
            return Ok(Turn::Stop(Why::Overtaken, seen));
        }
        let moved = canary::next(self.record, &seen, progress.restored);
        let router = self.record.route.as_ref().map(|route| route.router.object());
        let telling = about_to(&moved, &canary_of(&seen.deployment), router.as_deref());
        if let Some(line) = telling.filter(|line| progress.told.as_ref() != Some(line)) {
            self.context.printer.tell(&line);
            progress.told = Some(line);
        }
        let made = match &moved {
            Move::Done => {
                let written = self.write_down(&seen, shared_now(clock_offset)).await;
                return written.map(|after| Turn::Done(Box::new(after))).map_err(|error| (error, Some(seen)));
            }
            Move::Overtaken => return Ok(Turn::Stop(Why::Overtaken, seen)),
            Move::Failed(reason) => return Ok(Turn::Stop(Why::Failed(reason.clone()), seen)),
            Move::Blocked(trouble) => {
                let trouble = trouble.clone();
                self.spare_the_users(progress).await;
                return Ok(Turn::Stop(Why::Blocked(trouble), seen));
            }
            Move::Wait => {
                if matches!(seen.split, Some(Err(Unsplittable::Unanswered { .. }))) {
                    self.spare_the_users(progress).await;
                }
                return Ok(match progress.overdue(self, &seen) {
                    Some(reason) => Turn::Stop(Why::Failed(reason), seen),
                    None => Turn::Pause,
                });
            }
            Move::Adapt if progress.adapted == OFTEN_ENOUGH => {
                let reason = format!("something changes deployment/{} again and again", canary_of(&seen.deployment));
                return Ok(Turn::Stop(Why::Failed(reason), seen));
            }
            Move::Make | Move::Adapt | Move::Delete | Move::Revoke => self.change_the_deployment(&moved, &seen).await,
            Move::Give { percent } => self.give(&seen, Some(*percent)).await,
            Move::Restore => {
                progress.restored = true;
                self.give(&seen, None).await
            }
        };
        match made {
            Ok(()) => {
                progress.adapted += u32::from(moved == Move::Adapt);
                Ok(Turn::Moved)
            }
            Err(error) => {
                progress.restored = false;
                progress.refusals += 1;
                // The next look may know the version that this one did not.
                let passes = error.is_conflict() && progress.refusals < CONFLICTS;
                if matches!(moved, Move::Restore) && !passes {
                    self.spare_the_users(progress).await;
                }
                Err((error, Some(seen)))
            }
        }
    }

    /// Writes down that the canary runs as recorded, from when its bake counts; or forgets the one that is gone.
    async fn write_down(&self, seen: &Workload, at: Timestamp) -> Result<Workload, ClusterError> {
        let Some(found) = seen.recorded_canary() else { return Ok(seen.clone()) };
        match found.canary() {
            None => {
                self.cluster.forget_canary(seen).await?;
                Ok(Workload { canary_record: None, ..seen.clone() })
            }
            Some(canary) if canary.arrived => Ok(seen.clone()),
            Some(_) => {
                let Some(plan) = plan::arrival(seen, at) else { return Ok(seen.clone()) };
                self.cluster.apply(&plan, seen, false).await?;
                Ok(plan.outcome(seen))
            }
        }
    }

    async fn change_the_deployment(&self, moved: &Move, seen: &Workload) -> Result<(), ClusterError> {
        let router = self.record.route.as_ref().map(|route| &route.router);
        match (moved, self.record.canary(), &seen.beside) {
            (Move::Make, Some(canary), _) => self.cluster.make_canary(seen, canary, router, false).await,
            (Move::Adapt, Some(canary), Some(beside)) => {
                self.cluster.adapt_canary(seen, beside, canary, router, false).await
            }
            (Move::Revoke, _, Some(beside)) => self.cluster.switch_canary_to_stable(seen, beside).await,
            (Move::Delete, _, Some(beside)) => self.cluster.delete_canary(seen, beside, false).await,
            _ => Ok(()),
        }
    }

    /// Gives the canary a part of the traffic, or puts the weights back.
    async fn give(&self, seen: &Workload, percent: Option<f64>) -> Result<(), ClusterError> {
        let (Some(route), Some(Ok(split))) = (&self.record.route, &seen.split) else { return Ok(()) };
        match percent {
            Some(percent) => self.cluster.give_share(&route.router, split, percent, false).await,
            None => self.cluster.restore_weights(&route.router, split, &route.weights, false).await,
        }
    }

    /// A canary that is to go, and that a router may still send traffic to, gets the values of the stable pods: without
    /// its pods those requests would fail.
    async fn spare_the_users(&self, progress: &mut Progress) {
        if self.record.aim != Aim::Gone || progress.spared {
            return;
        }
        let printer = &self.context.printer;
        let switch = async || {
            let Found { workload: seen, .. } = self.cluster.read(self.target).await?;
            match seen.beside.as_ref().filter(|beside| beside.is_ours && !beside.terminating) {
                Some(beside) => self.cluster.switch_canary_to_stable(&seen, beside).await.map(|()| true),
                None => Ok(false),
            }
        };
        let told = |error: &ClusterError| printer.retrying(error);
        match retry(self.deadline, &mut std::future::pending(), told, switch).await {
            Ok(is_there) => {
                progress.spared = true;
                if is_there {
                    printer.tell(&format!(
                        "deployment/{} stays, with the values of the stable pods: the router may still send it traffic",
                        canary_of(&self.target.deployment)
                    ));
                }
            }
            Err(error) => printer.warn(&error),
        }
    }
}

/// What was seen and told of it so far.
struct Progress {
    /// The router's weights were put back.
    restored: bool,
    /// How often its Deployment was brought to the record.
    adapted: u32,
    /// The canary that is to go has the values of the stable pods.
    spared: bool,
    /// How many changes were refused.
    refusals: usize,
    told: Option<String>,
    telling: Telling,
    standstill: Standstill,
}

impl Progress {
    fn new(deadline: Instant) -> Self {
        Self {
            restored: false,
            adapted: 0,
            spared: false,
            refusals: 0,
            told: None,
            telling: Telling::new(deadline),
            standstill: Standstill::default(),
        }
    }

    /// Tells how far its pods have come; what is wrong, if they do not come any further.
    fn overdue(&mut self, bringing: &Bringing<'_>, seen: &Workload) -> Option<String> {
        let canary = bringing.record.canary()?;
        let goal = Goal::Values(canary.flags.clone());
        let apart = seen.canary_alone()?;
        self.telling.tell(&bringing.context.printer, apart.spread(&goal), &goal, seen.readiness());
        let ready = apart.live_pods().filter(|pod| pod.ready).count();
        self.standstill.overdue(&apart.replicas, ready, Instant::now())
    }
}
