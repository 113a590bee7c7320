//! One planted fault for each invariant, which has to find it.

use super::super::canary::{self, Move};
use super::super::plan::{self, NothingToRollBack, Plan};
use super::super::workload::Workload;
use super::{FEW, Invariant, ONE, PRODUCTION, Rules, Scope, search};

#[test]
fn every_invariant_finds_the_fault_it_is_there_for() {
    let safe = Scope { alone: false, ..ONE };
    let two = Scope { actors: 2, verbs: &FEW, ..safe };
    let mutants = [
        (
            Invariant::NoCanaryWithoutARecord,
            safe,
            // What has arrived is forgotten.
            Rules { write_down: |workload| Workload { canary_record: None, ..workload.clone() }, ..PRODUCTION },
        ),
        (
            Invariant::EmergencyOutranks,
            safe,
            Rules {
                next: |record, workload, restored| {
                    let unknowing = Workload { emergency: None, ..workload.clone() };
                    canary::next(record, &unknowing, restored)
                },
                ..PRODUCTION
            },
        ),
        (
            Invariant::AbortLeavesNothing,
            ONE,
            // The place changes, and the canary stays.
            Rules {
                abort: |workload, operation| Ok(Plan { canary: None, ..plan::abort(workload, operation)? }),
                ..PRODUCTION
            },
        ),
        (
            Invariant::EmergencyAndAbortLeaveNothing,
            ONE,
            Rules {
                abort: |workload, operation| match workload.emergency {
                    Some(_) => Err(NothingToRollBack::EmergencyInForce),
                    None => plan::abort(workload, operation),
                },
                ..PRODUCTION
            },
        ),
        (
            Invariant::PromotionGoesOn,
            ONE,
            // One breaker off leaves the place of the canary that it takes away.
            Rules {
                breakers_off: |rollout, workload, operation| {
                    let plan = PRODUCTION.breakers_off;
                    Ok(Plan { record: plan::Record::Keep, ..plan(rollout, workload, operation)? })
                },
                ..PRODUCTION
            },
        ),
        (
            Invariant::NoTrafficWithoutPods,
            safe,
            // The traffic comes first.
            Rules {
                next: |record, workload, restored| {
                    let moved = canary::next(record, workload, restored);
                    let is_there = workload.beside.is_some();
                    if moved == Move::Restore { if is_there { Move::Delete } else { Move::Done } } else { moved }
                },
                ..PRODUCTION
            },
        ),
        (Invariant::OneWriterWins, two, Rules { send: |workload, plan, _| plan.outcome(workload), ..PRODUCTION }),
        (
            Invariant::DoneIsDone,
            safe,
            // The bake begins anew with every look.
            Rules {
                write_down: |workload| {
                    let mut after = (PRODUCTION.write_down)(workload);
                    if let (Some(Ok(position)), Some(_)) = (&mut after.position, &after.canary_record) {
                        position.place.since += jiff::SignedDuration::from_secs(1);
                    }
                    after
                },
                ..PRODUCTION
            },
        ),
    ];
    for (invariant, scope, mutant) in mutants {
        assert_eq!(search(&mutant, scope), Err(invariant));
    }
}
