//! What has to be done next so that the canary becomes what is recorded of it.
//!
//! One move at a time, each from what is there: it does not matter how far anybody has come before. More traffic is given
//! last and taken first, so that none goes where nothing answers.

use super::super::pods::crashes_again_and_again;
use super::super::router::Unsplittable;
use super::super::workload::{Health, Workload};
use super::trouble::CanaryTrouble;
use super::{Aim, Beside, Canary, CanaryRecord, canary_of};

#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Have the router give it this part of the traffic, in percent.
    Give {
        percent: f64,
    },
    /// Put the router's weights back to what they were before.
    Restore,
    Make,
    /// Bring the Deployment that is there to the record.
    Adapt,
    Delete,
    /// An emergency outranks the record: what it has not reached gets the values of the stable pods.
    Revoke,
    /// Pods come or go, or the router does not answer for now.
    Wait,
    /// It is as recorded.
    Done,
    /// It cannot become so.
    Failed(String),
    Blocked(CanaryTrouble),
    /// Something else was decided since.
    Overtaken,
}

/// The next move. `restored` says that the weights were put back already.
pub fn next(record: &CanaryRecord, workload: &Workload, restored: bool) -> Move {
    match (&workload.canary_record, &record.aim) {
        // Somebody else has brought it to its end; what has come since is theirs.
        (None, Aim::Gone) => Move::Done,
        (Some(Ok(found)), Aim::Gone) if found.operation == record.operation => away(record, workload, restored),
        (Some(Ok(found)), Aim::Runs(canary)) if found.operation == record.operation => match &workload.emergency {
            None => onward(record, canary, workload),
            Some(_) if escaped(workload) => Move::Revoke,
            Some(_) => Move::Overtaken,
        },
        _ => Move::Overtaken,
    }
}

/// Whether the canary runs a breaker otherwise than the stable pods: it was made while the emergency looked for it.
fn escaped(workload: &Workload) -> bool {
    let (Some(beside), Some(position)) = (&workload.beside, workload.recorded_position()) else { return false };
    let differs = |flag| beside.flags.get(flag) != workload.flags.get(flag);
    beside.is_ours && !beside.terminating && position.off.keys().any(differs)
}

fn onward(record: &CanaryRecord, canary: &Canary, workload: &Workload) -> Move {
    let share = match (&record.route, canary.percent, &workload.split) {
        (Some(route), Some(percent), Some(Ok(split))) => Some((&route.router, percent, split.percent)),
        (Some(_), Some(_), Some(Err(Unsplittable::Unanswered { .. }))) => return Move::Wait,
        (Some(_), Some(_), Some(Err(detail))) => {
            return Move::Blocked(CanaryTrouble::Unsplittable { detail: detail.clone() });
        }
        _ => None,
    };
    if let Some((router, wanted, found)) = share
        && found > wanted
        && !router.kind.is_near(found, wanted)
    {
        return Move::Give { percent: wanted };
    }
    let deployment = canary_of(&workload.deployment);
    let beside = match &workload.beside {
        None if canary.template != workload.fingerprint => {
            return Move::Blocked(CanaryTrouble::Outdated { deployment });
        }
        None => return Move::Make,
        Some(beside) if beside.terminating => return Move::Wait,
        Some(beside) if !beside.is_ours => return Move::Blocked(CanaryTrouble::Stranger { deployment }),
        Some(beside) => beside,
    };
    if !beside.is(canary) {
        return match canary.template == workload.fingerprint {
            true => Move::Adapt,
            false => Move::Blocked(CanaryTrouble::Outdated { deployment }),
        };
    }
    match beside.replicas.health() {
        Health::Failed(reason) => return Move::Failed(reason),
        // It runs nothing but the change: what calls for a rollback of a canary that has arrived ends its way there.
        Health::Progressing => return crash_loop(workload).map_or(Move::Wait, Move::Failed),
        Health::Healthy if !has_pods(canary, workload) => return Move::Wait,
        Health::Healthy => {}
    }
    match share {
        Some((router, wanted, found)) if !router.kind.is_near(found, wanted) => Move::Give { percent: wanted },
        _ => Move::Done,
    }
}

fn away(record: &CanaryRecord, workload: &Workload, restored: bool) -> Move {
    match (&record.route, &workload.split) {
        (Some(route), Some(Ok(split))) if !restored && split.weights != route.weights => return Move::Restore,
        (_, Some(Err(Unsplittable::Unanswered { .. }))) => return Move::Wait,
        // Of a router that has gone nothing is left to restore; one that cannot be read may still send traffic.
        (_, None | Some(Ok(_) | Err(Unsplittable::Missing { .. }))) => {}
        (_, Some(Err(detail))) => return Move::Blocked(CanaryTrouble::Unsplittable { detail: detail.clone() }),
    }
    match &workload.beside {
        Some(Beside { is_ours: true, terminating: false, .. }) => Move::Delete,
        _ if workload.canary.is_empty() => Move::Done,
        _ => Move::Wait,
    }
}

/// A pod of it that crashes again and again.
fn crash_loop(workload: &Workload) -> Option<String> {
    let pod = workload.live_canary().find(|pod| !pod.ready && crashes_again_and_again(pod))?;
    Some(format!("{} crashes again and again", pod.name))
}

/// Whether its pods are there and run what they are to run.
fn has_pods(canary: &Canary, workload: &Workload) -> bool {
    let live = workload.live_canary().filter(|pod| pod.ready && pod.runs(&canary.flags)).count();
    u32::try_from(live) == Ok(canary.pods) && workload.live_canary().count() == live
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::tests::{all_off, pod};
    use super::super::super::workload::{Pod, Replicas};
    use super::*;

    /// A canary of one pod that restarted so often.
    fn moved(restarts: i32, waiting: &str, ready: bool) -> Move {
        let pod = Pod { ready, waiting: Some(waiting.to_owned()), restarts, ..pod("web-canary-6f7d-abcde") };
        let mut workload = all_off();
        let template = workload.fingerprint.clone();
        let replicas = Replicas { desired: 1, ..Replicas::default() };
        let beside = Beside { is_ours: true, template: Some(template.clone()), replicas, ..Beside::default() };
        (workload.canary, workload.beside) = (vec![pod], Some(beside));
        let canary = Canary { pods: 1, flags: BTreeMap::new(), percent: None, template, arrived: false };
        let record = CanaryRecord { operation: "operation-1".into(), aim: Aim::Runs(canary), route: None };
        workload.canary_record = Some(Ok(record.clone()));
        next(&record, &workload, false)
    }

    #[test]
    fn a_canary_that_crashes_again_and_again_is_not_waited_for() {
        assert_eq!(moved(0, "ContainerCreating", false), Move::Wait);
        assert_eq!(moved(1, "CrashLoopBackOff", false), Move::Wait, "once may have any cause");
        assert_eq!(moved(5, "", true), Move::Wait, "it serves again");
        let failed = Move::Failed("web-canary-6f7d-abcde crashes again and again".into());
        assert_eq!(moved(2, "CrashLoopBackOff", false), failed);
        assert_eq!(moved(3, "", false), failed);
    }
}
