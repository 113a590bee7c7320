//! What a promotion that goes on by itself does after each look: take a step, go back, watch on or end.
//!
//! Pure: whoever looks, and how often, is not known here.

use super::decision::Outcome;
use super::gradual::Fewer;
use super::position::Emergency;
use super::route::{Destination, Obstacle, Route};
use super::workload::Workload;

/// Where it is to come to. Phase and step are indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    pub phase: usize,
    /// It is enough to enter this step; without it the phase is to be complete.
    pub step: Option<usize>,
}

/// What one look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub outcome: Outcome,
    /// Pods run something of the phase, which is to be watched.
    pub live: bool,
    /// The step that was asked for is entered.
    pub reached: bool,
    /// The time is over.
    pub over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Step,
    RollBack,
    Watch,
    End,
}

/// What comes next. A trigger that fires outranks everything; a step that nobody would watch is not taken any more; and
/// where nothing is exposed, nothing is to be watched until somebody acts.
pub fn turn(seen: Seen) -> Turn {
    let Seen { outcome, live, reached, over } = seen;
    match outcome {
        Outcome::RollBack if live => Turn::RollBack,
        Outcome::RollBack | Outcome::NothingToDo => Turn::End,
        _ if reached || over => Turn::End,
        Outcome::Proceed => Turn::Step,
        Outcome::Held if !live => Turn::End,
        Outcome::Held | Outcome::Error | Outcome::Inconclusive => Turn::Watch,
    }
}

impl Goal {
    /// Whether the rollout stands in the phase, with its flags in force.
    pub fn is_live(&self, route: &Route) -> bool {
        !route.standing.emergency && route.standing.place.as_ref().is_some_and(|place| place.phase == self.phase)
    }

    /// Whether the step that was asked for is entered, or one behind it.
    pub fn is_reached(&self, route: &Route) -> bool {
        let (Some(step), Some(place)) = (self.step, &route.standing.place) else { return false };
        (place.phase, place.step) >= (self.phase, step) && !route.resumes && !route.standing.emergency
    }

    /// What stands against taking exactly the step that was asked for, where another one is next.
    pub fn not_next(&self, route: &Route, steps: usize) -> Option<Obstacle> {
        let asked = self.step?;
        let next = match route.destination {
            Destination::Step { step, .. } => step,
            Destination::Adopt { .. } => steps.saturating_sub(1),
            Destination::Bake { .. } | Destination::Complete { .. } => return None,
        };
        (next != asked).then_some(Obstacle::NotNext { asked: asked + 1, next: next + 1 })
    }
}

/// Whose records a Deployment carries: as long as they are the same, nobody else has changed the rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Stand {
    emergency: Option<Emergency>,
    /// The operation that wrote the position, and a canary that was made smaller since.
    position: Option<Result<(String, Option<Fewer>), String>>,
    /// The operation that wrote what is recorded of the canary, and whether one is to run.
    canary: Option<Result<(String, bool), String>>,
}

impl Stand {
    pub fn of(workload: &Workload) -> Self {
        let position = workload.position.as_ref().map(|position| match position {
            Ok(position) => {
                let reduced = position.reduced.as_ref().map(|reduced| reduced.fewer.clone());
                Ok((position.operation.clone(), reduced))
            }
            Err(detail) => Err(detail.clone()),
        });
        let canary = workload.canary_record.as_ref().map(|record| match record {
            Ok(record) => Ok((record.operation.clone(), record.canary().is_some())),
            Err(detail) => Err(detail.clone()),
        });
        Self { emergency: workload.emergency.clone(), position, canary }
    }

    /// Whether this still is how things stand. A canary that was to go may be forgotten meanwhile.
    pub fn is_still(&self, now: &Workload) -> bool {
        let now = Self::of(now);
        let forgotten = now.canary.is_none() && matches!(self.canary, Some(Ok((_, false))));
        self.emergency == now.emergency && self.position == now.position && (self.canary == now.canary || forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::super::route::Consent;
    use super::super::tests::{at, operation, rollout, workload};
    use super::super::workload::{FlagSource, FlagValue};
    use super::*;

    #[test]
    fn what_comes_next_after_a_look() {
        use Outcome::{Error, Held, Inconclusive, NothingToDo, Proceed, RollBack};
        // (outcome, live, reached, over)
        for (outcome, live, reached, over, next) in [
            (RollBack, true, false, false, Turn::RollBack),
            (RollBack, true, true, true, Turn::RollBack),
            (RollBack, false, false, false, Turn::End),
            (Held, true, false, false, Turn::Watch),
            (Held, true, false, true, Turn::End),
            (Held, false, false, false, Turn::End),
            (Held, true, true, false, Turn::End),
            (Error, true, false, false, Turn::Watch),
            (Error, false, false, false, Turn::Watch),
            (Error, true, false, true, Turn::End),
            (Inconclusive, true, false, false, Turn::Watch),
            (Inconclusive, false, false, false, Turn::Watch),
            (Inconclusive, true, false, true, Turn::End),
            (Inconclusive, true, true, false, Turn::End),
            (Proceed, true, false, false, Turn::Step),
            (Proceed, false, false, false, Turn::Step),
            (Proceed, true, true, false, Turn::End),
            (Proceed, true, false, true, Turn::End),
            (NothingToDo, true, false, false, Turn::End),
            (NothingToDo, false, false, true, Turn::End),
        ] {
            let seen = Seen { outcome, live, reached, over };
            assert_eq!(turn(seen), next, "{seen:?}");
        }
    }

    fn off() -> FlagSource {
        FlagSource::Value(FlagValue::Literal("false".into()))
    }

    #[test]
    fn a_change_by_somebody_else_shows_and_ones_own_does_not() {
        let rollout = rollout();
        let before = workload(&[("CB_CACHE", off()), ("CB_HTTP", off())]);
        let route = Route::find(&rollout, &before, None, Consent::default(), at(10));
        let after = plan::promotion(&rollout, &before, &route, &operation(10)).unwrap().outcome(&before);
        let stand = Stand::of(&after);
        assert!(stand.is_still(&after) && !stand.is_still(&before));
        let mut later = after.clone();
        later.resource_version = "later".into();
        later.pause = None;
        assert!(stand.is_still(&later));
        later.emergency = Some(Emergency { at: at(20), operation: "other".into(), reason: None });
        assert!(!stand.is_still(&later));
        let mut arrived = after.clone();
        if let Some(Ok(position)) = &mut arrived.position {
            position.place.since = at(30);
        }
        assert!(stand.is_still(&arrived), "its bake begins when its pods have arrived");
    }

    #[test]
    fn only_the_step_that_was_asked_for_is_taken() {
        let rollout = rollout();
        let before = workload(&[("CB_CACHE", off()), ("CB_HTTP", off())]);
        let route = Route::find(&rollout, &before, None, Consent::default(), at(10));
        let begun = plan::promotion(&rollout, &before, &route, &operation(10)).unwrap().outcome(&before);
        let route = Route::find(&rollout, &begun, Some(1), Consent::default(), at(1_000));
        let goal = |step| Goal { phase: 1, step };
        assert_eq!(goal(Some(0)).not_next(&route, 2), None);
        assert_eq!(goal(Some(1)).not_next(&route, 2), Some(Obstacle::NotNext { asked: 2, next: 1 }));
        assert_eq!(goal(None).not_next(&route, 2), None);
        assert!(!goal(Some(0)).is_reached(&route) && !goal(Some(0)).is_live(&route));
        let entered = plan::promotion(&rollout, &begun, &route, &operation(1_000)).unwrap().outcome(&begun);
        let route = Route::find(&rollout, &entered, Some(1), Consent::default(), at(1_001));
        assert!(goal(Some(0)).is_reached(&route) && !goal(Some(1)).is_reached(&route) && goal(None).is_live(&route));
    }
}
