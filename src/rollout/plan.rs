//! The change to make: flags, template and record together, as one value that is printed, dry-run and applied as it is.

mod breakers;
mod canary;
mod fate;
mod template;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::canary::{Aim, CanaryRecord};
use super::declaration::Rollout;
use super::history::verify::Anchor;
use super::name::{FlagName, PhaseName};
use super::position::{Place, Position, Taken};
use super::progress::Goal;
use super::requirement;
use super::route::{Destination, Route};
use super::standing::StandingPlace;
use super::template::TemplateChange;
use super::workload::{FlagSource, FlagValue, Workload};

pub use breakers::breakers_off;
pub use canary::{abort, arrival, reduced, way_out};
pub use fate::Fate;
pub use template::{restart, undo};

/// One patch of the Deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub changes: Vec<Change>,
    /// What else becomes of the pod template.
    pub template: Option<TemplateChange>,
    pub record: Record,
    /// What is recorded of the canary, where that changes.
    pub canary: Option<Box<CanaryRecord>>,
    /// Takes the mark of an emergency away.
    pub accepts_emergency: bool,
    /// The version of the Deployment that this plan was made for.
    pub resource_version: String,
}

/// What becomes of the recorded position.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Write(Box<Position>),
    /// The rollout is back where it had not begun.
    Remove,
    /// There is no place to write down: what is recorded stays.
    Keep,
}

impl Record {
    /// The place that is written.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Write(position) => Some(&position.place),
            Self::Remove | Self::Keep => None,
        }
    }
}

/// One flag that becomes another value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub flag: FlagName,
    pub before: FlagSource,
    pub after: FlagValue,
}

/// Who does it, when, why, and under which operation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub id: String,
    pub by: String,
    pub at: Timestamp,
    pub reason: Option<String>,
    /// The end of the history as it was seen, where it was looked at.
    pub history: Option<Anchor>,
}

/// Why there is nothing to roll back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NothingToRollBack {
    /// The record knows no earlier place.
    NoEarlierStep,
    /// The rollout stands in the wanted phase.
    AlreadyThere,
    /// The record knows no change that led on from the wanted phase.
    NeverThere,
    AlreadyOff,
    /// An emergency rollback is in force: every breaker is off.
    EmergencyInForce,
    /// An emergency rollback is in force, and somebody has switched a breaker on again.
    EmergencyOverridden,
    /// There is a record, and it cannot be read.
    RecordUnreadable,
    /// The cluster knows no revision of the pod template but the present one.
    NoEarlierRevision,
    /// The last change of the pod template was a return to the revision before.
    AlreadyUndone,
    /// The revision before differs only in breakers that are off and stay so.
    SameButForBreakers,
    /// The Deployment is paused: a restart would replace no pod.
    Paused,
    /// There is no canary that could be taken away.
    NoCanary,
}

impl Plan {
    /// Whether the workload is already what this plan makes of it: an earlier attempt got through unheard.
    pub fn is_applied_to(&self, workload: &Workload) -> bool {
        let changed = |change: &Change| match workload.flags.get(&change.flag) {
            Some(FlagSource::Value(value)) => *value == change.after,
            // Absent from the list is all that a change can make of it.
            Some(FlagSource::MaybeFrom(_)) | None => change.after == FlagValue::Absent,
            Some(FlagSource::Twice) => false,
        };
        let template = self.template.as_ref().is_none_or(|template| template.is_applied_to(&workload.template));
        template
            && self.is_recorded_in(workload)
            && self.is_said_of_the_canary_in(workload)
            && self.changes.iter().all(changed)
    }

    /// Whether the recorded position is the one that this plan writes.
    pub fn is_recorded_in(&self, workload: &Workload) -> bool {
        match &self.record {
            Record::Write(position) => workload.recorded_position().is_some_and(|found| position.is(found)),
            Record::Remove => workload.position.is_none(),
            Record::Keep => true,
        }
    }

    /// Whether what it says of the canary is what is recorded, or done already.
    fn is_said_of_the_canary_in(&self, workload: &Workload) -> bool {
        self.canary.as_deref().is_none_or(|canary| match workload.recorded_canary() {
            Some(found) => found.operation == canary.operation,
            None => canary.aim == Aim::Gone && workload.canary_record.is_none(),
        })
    }

    /// The workload as the API server makes it of this plan. Its pods, and the version that the next change has to
    /// carry, are still those of before.
    pub fn outcome(&self, workload: &Workload) -> Workload {
        let mut after = workload.clone();
        for change in &self.changes {
            after.flags.insert(change.flag.clone(), FlagSource::Value(change.after.clone()));
        }
        match &self.record {
            Record::Write(position) => after.position = Some(Ok((**position).clone())),
            Record::Remove => after.position = None,
            Record::Keep => {}
        }
        if let Some(canary) = &self.canary {
            after.canary_record = Some(Ok((**canary).clone()));
        }
        if self.accepts_emergency {
            after.emergency = None;
        }
        match &self.template {
            Some(TemplateChange::Restart { at }) => after.template.restarted = Some(at.to_string()),
            Some(TemplateChange::Undo { mark, .. }) => after.template.undone = Some(mark.clone()),
            None if self.changes.is_empty() => {}
            None => after.template.moves_on(),
        }
        after
    }

    /// What every pod runs when the plan is done that was made on this.
    pub fn goal(&self, before: &Workload) -> Goal {
        let known = match &self.template {
            None => {
                let wanted = self.changes.iter().map(|change| (change.flag.clone(), change.after.clone()));
                return Goal::Values(wanted.collect());
            }
            Some(TemplateChange::Undo { revision, kept, .. }) if kept.is_empty() => Some(&revision.hash),
            Some(TemplateChange::Undo { .. } | TemplateChange::Restart { .. }) => None,
        };
        Goal::other_template(before, known)
    }

    /// Breakers that a return to an earlier template would have switched on, and that stay as they are.
    pub fn kept(&self) -> impl Iterator<Item = &FlagName> {
        let kept = match &self.template {
            Some(TemplateChange::Undo { kept, .. }) => Some(kept),
            Some(TemplateChange::Restart { .. }) | None => None,
        };
        kept.into_iter().flat_map(BTreeMap::keys)
    }
}

/// The patch that takes the route's step. None where the route leads nowhere.
pub fn promotion(rollout: &Rollout, workload: &Workload, route: &Route, operation: &Operation) -> Option<Plan> {
    if let (true, Some(place)) = (route.resumes, &route.standing.place) {
        return canary::resumption(rollout, workload, place, operation);
    }
    let (phase, step) = match route.destination {
        Destination::Step { phase, step } => (phase, step),
        Destination::Adopt { phase } => (phase, rollout.phases[phase].steps.len() - 1),
        Destination::Bake { .. } | Destination::Complete { .. } => return None,
    };
    let canary = match rollout.phases[phase].steps[step].is_canary() {
        true => Some(canary::runs(rollout, workload, (phase, step), operation)?),
        false => canary::gone(workload, operation),
    };
    let wanted = rollout.stable_flags_at(phase, step).unwrap_or_default();
    let changes = changes(workload, wanted.into_iter().map(|(flag, value)| (flag, FlagValue::Literal(value))));
    let mut completed = workload.recorded_position().map(|position| position.completed.clone()).unwrap_or_default();
    completed.retain(|name, _| rollout.index_of(name).is_some_and(|index| index < phase));
    if let (Some(place), Some(complete)) = (&route.standing.place, route.standing.complete_at(rollout))
        && place.phase < phase
    {
        completed.entry(rollout.phases[place.phase].name.clone()).or_insert(complete);
    }
    if let Destination::Adopt { .. } = route.destination {
        // Whoever went through the phases before did it without a record: they count from now on.
        for earlier in &rollout.phases[..phase] {
            completed.entry(earlier.name.clone()).or_insert(operation.at);
        }
    }
    let (mut trail, replaced) = match workload.recorded_position() {
        Some(position) => split_at(rollout, &position.trail, route.standing.place.as_ref()),
        None => (Vec::new(), BTreeMap::new()),
    };
    let mut prior: BTreeMap<FlagName, FlagValue> = changes
        .iter()
        .filter_map(|change| match &change.before {
            FlagSource::Value(value) => Some((change.flag.clone(), value.clone())),
            // What `envFrom` may hold shows again as soon as the list no longer has it.
            FlagSource::MaybeFrom(_) => Some((change.flag.clone(), FlagValue::Absent)),
            FlagSource::Twice => None,
        })
        .collect();
    // After an emergency the changes that led further than here are not forgotten: their settings are still there.
    prior.extend(replaced);
    let from = route.standing.place.as_ref().map(|place| place.record(rollout));
    let base = workload.recorded_position().map(|position| position.operation.clone());
    // What an emergency has switched off is not to be brought back; and where a canary is made anew at its own place, that
    // place had one, whatever has become of its record.
    let stays = route.standing.place.as_ref().is_some_and(|place| (place.phase, place.step) == (phase, step));
    let known = workload.recorded_canary().cloned().map(Box::new);
    let anew = canary.as_ref().filter(|_| stays).cloned();
    let before = known.or(anew).filter(|_| workload.emergency.is_none());
    trail.push(Taken { from, base, prior, canary: before });
    let position = Position {
        place: Place { phase: rollout.phases[phase].name.clone(), step: step + 1, since: operation.at },
        by: operation.by.clone(),
        operation: operation.id.clone(),
        at: operation.at,
        reason: operation.reason.clone(),
        history: operation.history.clone().or_else(|| workload.recorded_position()?.history.clone()),
        trail,
        rolled_back: false,
        troubled: requirement::last_trouble(workload),
        reduced: None,
        completed,
        container: workload.container.clone(),
        off: rollout.header.breakers_off(),
    };
    Some(Plan {
        changes,
        template: None,
        record: Record::Write(Box::new(position)),
        canary,
        accepts_emergency: workload.emergency.is_some(),
        resource_version: workload.resource_version.clone(),
    })
}

/// Whether a step is on record that can be taken back.
pub fn can_step_back(workload: &Workload) -> bool {
    let leads_back = |taken: &Taken| taken.from.is_some() || !taken.prior.is_empty() || workload.has_canary();
    let has_earlier = |position: &Position| !position.rolled_back && position.trail.last().is_some_and(leads_back);
    workload.emergency.is_none() && workload.recorded_position().is_some_and(has_earlier)
}

/// The patch that restores what the last change replaced; it needs no phase files.
pub fn step_back(workload: &Workload, operation: &Operation) -> Result<Plan, NothingToRollBack> {
    let position = restorable(workload)?;
    if !can_step_back(workload) {
        return Err(NothingToRollBack::NoEarlierStep);
    }
    Ok(restoring(workload, position, position.trail.len() - 1, operation))
}

/// The patch that restores the rollout as it was when it was about to leave a phase; it needs no phase files.
pub fn back_to(workload: &Workload, phase: &PhaseName, operation: &Operation) -> Result<Plan, NothingToRollBack> {
    let position = restorable(workload)?;
    if position.place.phase == *phase {
        return Err(NothingToRollBack::AlreadyThere);
    }
    let from = |taken: &Taken| taken.from.as_ref().is_some_and(|place| place.phase == *phase);
    let left = position.trail.iter().rposition(from).ok_or(NothingToRollBack::NeverThere)?;
    Ok(restoring(workload, position, left, operation))
}

/// The record, where what it knows may be restored.
fn restorable(workload: &Workload) -> Result<&Position, NothingToRollBack> {
    let position = match &workload.position {
        None => return Err(NothingToRollBack::NoEarlierStep),
        Some(Err(_)) => return Err(NothingToRollBack::RecordUnreadable),
        Some(Ok(position)) => position,
    };
    match (&workload.emergency, workload.has(&position.off)) {
        (None, _) => Ok(position),
        (Some(_), true) => Err(NothingToRollBack::EmergencyInForce),
        (Some(_), false) => Err(NothingToRollBack::EmergencyOverridden),
    }
}

/// Takes back the newest changes of the trail, from this one on.
pub(super) fn restoring(workload: &Workload, position: &Position, oldest: usize, operation: &Operation) -> Plan {
    let (trail, undone) = position.trail.split_at(oldest);
    let place = undone.first().and_then(|taken| taken.from.clone());
    let moved = |place| Record::Write(Box::new(moved_back(position, place, trail.to_vec(), operation)));
    let before = undone.first().and_then(|taken| taken.canary.as_deref());
    Plan {
        changes: changes(workload, Taken::replaced(undone)),
        template: None,
        record: place.map_or(Record::Remove, moved),
        canary: canary::as_before(workload, before, operation),
        accepts_emergency: false,
        resource_version: workload.resource_version.clone(),
    }
}

/// The record after a rollback.
fn moved_back(position: &Position, place: Place, trail: Vec<Taken>, operation: &Operation) -> Position {
    let mut completed = position.completed.clone();
    completed.remove(&place.phase);
    let Operation { id: operation, by, at, reason, .. } = operation.clone();
    Position {
        place,
        completed,
        by,
        operation,
        at,
        reason,
        trail,
        rolled_back: true,
        troubled: Some(at),
        reduced: None,
        ..position.clone()
    }
}

/// The changes that led to a place, and what those that led further replaced.
fn split_at(
    rollout: &Rollout,
    trail: &[Taken],
    place: Option<&StandingPlace>,
) -> (Vec<Taken>, BTreeMap<FlagName, FlagValue>) {
    let there = place.map(|place| (place.phase, place.step + 1));
    let leads_further = |taken: &Taken| match &taken.from {
        None => there.is_none(),
        // Of a phase that is declared no longer nobody knows where it was: it counts as passed.
        Some(from) => rollout.index_of(&from.phase).is_some_and(|phase| Some((phase, from.step)) >= there),
    };
    let (kept, further) = trail.split_at(trail.iter().position(leads_further).unwrap_or(trail.len()));
    (kept.to_vec(), Taken::replaced(further))
}

/// The wanted values that are not there already.
fn changes(workload: &Workload, wanted: impl IntoIterator<Item = (FlagName, FlagValue)>) -> Vec<Change> {
    wanted
        .into_iter()
        .filter_map(|(flag, after)| {
            let before = workload.flags.get(&flag).cloned().unwrap_or(FlagSource::Value(FlagValue::Absent));
            (before != FlagSource::Value(after.clone())).then_some(Change { flag, before, after })
        })
        .collect()
}

impl StandingPlace {
    /// The place as it is written down.
    pub fn record(&self, rollout: &Rollout) -> Place {
        Place { phase: rollout.phases[self.phase].name.clone(), step: self.step + 1, since: self.since }
    }
}
