//! What tells one state of the model from another.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};

use super::super::plan;
use super::super::workload::Workload;
use super::{Stage, State};

const IDS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// An id that nobody still asks for.
pub fn unused(state: &State) -> &'static str {
    let used = used(state);
    IDS.into_iter().find(|id| !used.iter().any(|used| used == id)).unwrap()
}

pub fn used(state: &State) -> Vec<String> {
    let position = state.workload.recorded_position().map(|position| position.operation.clone());
    let record = state.workload.recorded_canary().map(|record| record.operation.clone());
    let actors = state.actors.iter().flatten().filter_map(|actor| Some(actor.plan.canary.as_ref()?.operation.clone()));
    let positions = state.actors.iter().flatten().filter_map(|actor| match &actor.plan.record {
        plan::Record::Write(position) => Some(position.operation.clone()),
        plan::Record::Remove | plan::Record::Keep => None,
    });
    position.into_iter().chain(record).chain(actors).chain(positions).collect()
}

/// What tells states apart: ids only by which are the same, and the trail without them.
pub fn key(state: &State) -> u64 {
    let Workload { flags, position, emergency, canary_record, beside, split, fingerprint, replicas, .. } =
        &state.workload;
    let mut ids: Vec<String> = Vec::new();
    let mut number = |id: &str| {
        if let Some(index) = ids.iter().position(|known| known == id) {
            return index;
        }
        ids.push(id.to_owned());
        ids.len() - 1
    };
    let mut position = position.clone();
    let mut of_position = None;
    if let Some(Ok(position)) = &mut position {
        of_position = Some(number(&position.operation));
        position.operation.clear();
        for taken in &mut position.trail {
            taken.base = None;
            if let Some(canary) = &mut taken.canary {
                canary.operation.clear();
            }
        }
    }
    let mut record = canary_record.clone();
    let mut of_record = None;
    if let Some(Ok(record)) = &mut record {
        of_record = Some(number(&record.operation));
        record.operation.clear();
    }
    let mut actors: Vec<_> = state
        .actors
        .iter()
        .flatten()
        .map(|actor| {
            let canary = actor.plan.canary.as_ref();
            let aim = match actor.stage {
                Stage::Planned { .. } => String::new(),
                Stage::Bringing { .. } => format!("{:?}", canary.map(|canary| (&canary.aim, &canary.route))),
            };
            let id = canary.map(|canary| number(&canary.operation));
            (actor.verb, actor.stage, aim, id.filter(|_| actor.stage != Stage::Planned { stale: false }))
        })
        .collect();
    actors.sort();
    let beside = beside.as_ref().map(|beside| (&beside.flags, &beside.template, beside.replicas.desired));
    let mut hasher = Hashed(DefaultHasher::new());
    let told = write!(
        hasher,
        "{flags:?} {position:?} {of_position:?} {emergency:?} {record:?} {of_record:?} {beside:?} {split:?} {fingerprint} \
         {} {actors:?} {} {}",
        replicas.desired, state.hunting, state.strangers
    );
    told.unwrap();
    hasher.0.finish()
}

struct Hashed(DefaultHasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
