//! Watching a change until every pod runs it.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::{Cluster, Error, Target};
use crate::rollout::progress::Goal;
use crate::rollout::workload::{Health, Replicas, Workload};

/// Between two looks at few pods, and before the last one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at very many.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How many pods the API server is asked for in a second, so that waiting for a great Deployment does not load it.
const PODS_PER_SECOND: u32 = 100;
/// How much longer than the Deployment's own progress deadline nothing may move: its controller speaks first.
const GRACE: Duration = Duration::from_secs(10);

/// What to wait for.
pub struct Wait<'a> {
    pub target: &'a Target,
    /// The Deployment's generation that the change made.
    pub generation: i64,
    pub goal: &'a Goal,
    /// Pods that are on their way out have to be gone as well: they still run the old values.
    pub until_gone: bool,
    /// A rollout that has failed ends the wait, instead of being given the whole time to recover.
    pub give_up_on_failure: bool,
    pub deadline: Instant,
    /// Whether the record still is the one of this change; somebody else's ends the wait.
    pub still_ours: &'a dyn Fn(&Workload) -> bool,
}

/// How a wait ended; the workload as it was last seen, if it was.
#[derive(Debug)]
pub enum Ended {
    Done(Workload),
    /// The rollout failed, with the reason.
    Failed(Workload, String),
    Deadline(Option<Workload>, Option<Error>),
    /// Looking fails in a way that does not pass: no permission, or no such Deployment any more.
    Lost(Option<Workload>, Error),
    Interrupted(Option<Workload>),
    /// Somebody else has changed the rollout since.
    Overtaken(Workload),
}

impl Cluster {
    /// Looks until the change has arrived, failed, or run out of time; `seen` hears of every look.
    ///
    /// A passing error of one look does not end it: the change is made, and only looking tells what became of it.
    pub async fn await_rollout(
        &self,
        wait: &Wait<'_>,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
        mut seen: impl FnMut(&Workload),
    ) -> Ended {
        let mut standstill = Standstill::default();
        let verdict = |workload: &Workload| {
            seen(workload);
            let ready = workload.live_pods().filter(|pod| pod.ready).count();
            let overdue = standstill.overdue(&workload.replicas, ready, Instant::now());
            verdict(wait, workload).or(overdue.filter(|_| wait.give_up_on_failure).map(Health::Failed))
        };
        self.await_verdict((wait.target, wait.deadline), interrupted, wait.still_ours, verdict).await
    }

    /// Looks until a Deployment that was given so many pods has no more, those on their way out included. Another
    /// number in its spec ends the wait: somebody else scales it as well.
    pub async fn await_pods(
        &self,
        target: &Target,
        pods: usize,
        deadline: Instant,
        interrupted: &mut (impl Future<Output = ()> + Unpin),
    ) -> Ended {
        let still_ours = |seen: &Workload| seen.replicas.desired <= i32::try_from(pods).unwrap_or(i32::MAX);
        let verdict = |seen: &Workload| {
            let left = seen.pods.len() + seen.canary.len();
            (seen.replicas.is_observed() && left <= pods).then_some(Health::Healthy)
        };
        self.await_verdict((target, deadline), interrupted, &still_ours, verdict).await
    }

    async fn await_verdict(
        &self,
        (target, deadline): (&Target, Instant),
        interrupted: &mut (impl Future<Output = ()> + Unpin),
        still_ours: &dyn Fn(&Workload) -> bool,
        mut verdict: impl FnMut(&Workload) -> Option<Health>,
    ) -> Ended {
        let (mut last, mut trouble, mut next): (Option<Workload>, _, _) = (None, None, Instant::now());
        loop {
            tokio::select! {
                biased;
                () = &mut *interrupted => return Ended::Interrupted(last),
                () = tokio::time::sleep_until(deadline) => return Ended::Deadline(last, trouble),
                looked = async { tokio::time::sleep_until(next).await; self.read(target).await } => match looked {
                    Err(error) if !error.is_transient() => return Ended::Lost(last, error),
                    Err(error) => trouble = Some(error),
                    Ok(found) => {
                        trouble = None;
                        if !still_ours(&found.workload) {
                            return Ended::Overtaken(found.workload);
                        }
                        match verdict(&found.workload) {
                            Some(Health::Healthy) => return Ended::Done(found.workload),
                            Some(Health::Failed(reason)) => return Ended::Failed(found.workload, reason),
                            Some(Health::Progressing) | None => last = Some(found.workload),
                        }
                    }
                },
            }
            let pause = pause(last.as_ref().map_or(0, |last| last.pods.len()));
            let now = Instant::now();
            // However long the pauses are, the last look is not long before the deadline.
            let before_deadline = deadline.checked_sub(SHORTEST_PAUSE).unwrap_or(now);
            next = (now + pause).min(before_deadline).max(now + SHORTEST_PAUSE);
        }
    }
}

/// Between two looks at this many pods.
fn pause(pods: usize) -> Duration {
    let pods = u32::try_from(pods).unwrap_or(u32::MAX);
    (Duration::from_secs(1) * pods / PODS_PER_SECOND).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// None while the wait goes on.
fn verdict(wait: &Wait<'_>, workload: &Workload) -> Option<Health> {
    if workload.has_arrived(wait.generation, wait.goal, wait.until_gone) {
        return Some(Health::Healthy);
    }
    let replicas = &workload.replicas;
    if replicas.observed_generation < wait.generation {
        return None;
    }
    match replicas.health() {
        Health::Failed(reason) if wait.give_up_on_failure => Some(Health::Failed(reason)),
        Health::Healthy | Health::Failed(_) | Health::Progressing => None,
    }
}

/// Since when the counts of a rollout have not moved. A pod that becomes ready is progress, as it is to the controller,
/// though it may have to stay so for a while until it is available.
///
/// The Deployment's controller says itself that a rollout is overdue, but not always: where its first write of the status
/// collides with another change, it forgets that the rollout has begun, and never calls it overdue.
#[derive(Default)]
pub struct Standstill {
    counts: ([i64; 4], usize),
    since: Option<Instant>,
}

impl Standstill {
    /// What is wrong, if these counts have been the same for longer than they may.
    pub fn overdue(&mut self, replicas: &Replicas, ready: usize, now: Instant) -> Option<String> {
        let Replicas { observed_generation, updated, available, total, .. } = *replicas;
        let counts = ([observed_generation, updated.into(), available.into(), total.into()], ready);
        let since = self.since.filter(|_| counts == self.counts).unwrap_or(now);
        (self.counts, self.since) = (counts, Some(since));
        let allowed = replicas.progress_deadline + GRACE;
        // The friendly form of jiff: 10m 10s.
        let told = || SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX);
        (now - since > allowed).then(|| format!("no pod has come or gone for {:#}", told()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_do_not_move_for_too_long_are_a_failure() {
        let replicas = Replicas { updated: 1, progress_deadline: Duration::from_secs(60), ..Replicas::default() };
        let moved = Replicas { updated: 2, ..replicas.clone() };
        let began = Instant::now();
        let at = |second| began + Duration::from_secs(second);
        let mut standstill = Standstill::default();
        let looks = [
            (0, &replicas, 0),
            (69, &replicas, 0),
            (71, &moved, 0),
            (140, &moved, 0),
            (141, &moved, 0),
            (142, &moved, 1),
            (212, &moved, 1),
        ];
        assert!(looks.iter().all(|(second, seen, ready)| standstill.overdue(seen, *ready, at(*second)).is_none()));
        let overdue = standstill.overdue(&moved, 1, at(213)).unwrap();
        assert_eq!(overdue, "no pod has come or gone for 1m 10s");
    }

    #[test]
    fn many_pods_are_looked_at_less_often() {
        for (pods, milliseconds) in [(0, 500), (10, 500), (50, 500), (80, 800), (400, 4_000), (5_000, 10_000)] {
            assert_eq!(pause(pods), Duration::from_millis(milliseconds), "{pods} pods");
        }
    }
}
