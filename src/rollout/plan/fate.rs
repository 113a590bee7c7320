//! What became of a plan whose answer was lost, read from what is there now.
//!
//! It does not know how a plan is sent again.

use super::{Plan, Record};
use crate::rollout::workload::Workload;

/// What became of a plan whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is what is there now.
    Arrived,
    /// Somebody has moved the rollout on; `arrived` if it is certain that this plan was carried out before.
    Overtaken { arrived: bool },
    /// It was not carried out.
    Missing,
}

impl Plan {
    /// Whether something in the workload was written by this plan, or made on what it wrote.
    fn has_left_a_trace_in(&self, workload: &Workload) -> bool {
        let record = match (&self.record, workload.recorded_position()) {
            (Record::Write(ours), Some(found)) => {
                found.operation == ours.operation || found.is_built_on(&ours.operation)
            }
            (Record::Write(_) | Record::Remove | Record::Keep, _) => false,
        };
        let canary = self
            .canary
            .as_ref()
            .is_some_and(|ours| workload.recorded_canary().is_some_and(|found| found.operation == ours.operation));
        record
            || canary
            || self.template.as_ref().is_some_and(|template| template.has_left_a_mark_in(&workload.template))
    }

    /// What became of this plan, made on `before` and sent without an answer, as the record now tells.
    pub fn fate(&self, before: &Workload, now: &Workload) -> Fate {
        let operation = |workload: &Workload| workload.recorded_position().map(|position| position.operation.clone());
        let (planned_on, found) = (operation(before), operation(now));
        let last_base = now.recorded_position().and_then(|position| position.trail.last()?.base.clone());
        if self.is_applied_to(now) {
            Fate::Arrived
        } else if self.has_left_a_trace_in(now) {
            Fate::Overtaken { arrived: true }
        } else if found == planned_on
            || (self.record != Record::Keep && planned_on.is_some() && last_base == planned_on)
        {
            // Nobody has moved the rollout; or it was moved from where it stood, so that this patch was refused.
            Fate::Missing
        } else {
            Fate::Overtaken { arrived: false }
        }
    }
}
