//! The name of a step, and of a recorded place.
//!
//! Every text that names one takes it from here. It does not know what happens there.

use crate::rollout::declaration::Phase;
use crate::rollout::name::PhaseName;
use crate::rollout::position::Place;

/// A declared step, by its index: "http, step 2 of 6 (market-data)".
pub fn named(phase: &Phase, step: usize) -> String {
    let target = phase.steps.get(step).and_then(|step| step.target.as_ref());
    let target = target.map(|target| format!(" ({target})")).unwrap_or_default();
    format!("{}{target}", numbered(&phase.name, step + 1, phase.steps.len()))
}

/// A step of which only the number is known, counted from 1: "http, step 2 of 6".
pub fn numbered(phase: &PhaseName, step: usize, steps: usize) -> String {
    format!("{phase}, step {step} of {steps}")
}

/// A place as it is recorded: "http, step 2".
pub fn recorded(place: &Place) -> String {
    format!("{}, step {}", place.phase, place.step)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rollout::declaration::{Exposure, Flags, Step};

    #[test]
    fn a_step_is_named_with_its_target() {
        let bake = Duration::ZERO;
        let step = Step { exposure: Exposure::Full, bake, target: None, flags: Flags::new(), gates: vec![] };
        let mut phase = Phase {
            name: "cache".parse().unwrap(),
            title: String::new(),
            high_risk: false,
            content: String::new(),
            flags: Flags::new(),
            requires: vec![],
            steps: vec![step; 2],
            gates: vec![],
            triggers: vec![],
        };
        assert_eq!(named(&phase, 0), "cache, step 1 of 2");
        phase.steps[1].target = Some("market-data".parse().unwrap());
        assert_eq!(named(&phase, 1), "cache, step 2 of 2 (market-data)");
        assert_eq!(numbered(&phase.name, 2, 2), "cache, step 2 of 2");
        let since = jiff::Timestamp::UNIX_EPOCH;
        assert_eq!(recorded(&Place { phase: phase.name, step: 2, since }), "cache, step 2");
    }
}
