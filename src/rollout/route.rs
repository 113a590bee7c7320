//! Which step a promotion would take, and what stands in its way before any sample is looked at.

use std::time::Duration;

use jiff::{Timestamp, Zoned};
use serde::Serialize;

use super::canary::{self, CanaryTrouble};
use super::declaration::Rollout;
use super::name::{FlagName, PhaseName, SignOffName};
use super::requirement;
use super::sign_off::Signed;
use super::standing::{Drift, Standing, StandingPlace, Unusable, drift, elapsed};
use super::workload::{FlagSource, FlagValue, Health, Workload};
use crate::judge::verdict::seconds;

/// The way from where the rollout stands to where it is asked to go.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub standing: Standing,
    pub destination: Destination,
    pub obstacles: Vec<Obstacle>,
    /// Index of the phase whose gates decide; None where no gate is asked for.
    pub gates_of: Option<usize>,
    /// The step was entered and its canary was not brought to its end: it was decided then, and is gone on with.
    pub resumes: bool,
}

/// What the user has said yes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consent {
    /// Drift and flags of no phase are accepted as they are and then brought to the destination's.
    pub adopt: bool,
    /// A phase of high risk may be entered.
    pub high_risk: bool,
}

/// Where a promotion leads. Phases and steps are indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The next step.
    Step { phase: usize, step: usize },
    /// Take over a Deployment that already runs the phase's flags.
    Adopt { phase: usize },
    /// The last step of the phase still bakes: there is nothing to do but wait.
    Bake { phase: usize },
    /// The phase is complete: there is nothing to do.
    Complete { phase: usize },
}

/// Something that holds a promotion up, whatever the samples say.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Obstacle {
    /// Phases are entered one by one.
    Skips {
        next: PhaseName,
    },
    /// One step was asked for, and another one is next; both counted from 1.
    NotNext {
        asked: usize,
        next: usize,
    },
    /// No position is recorded, and the live flags are those of no phase.
    FlagsOfNoPhase {
        differing: Vec<Drift>,
    },
    Drift {
        flags: Vec<Drift>,
    },
    PositionUnusable {
        detail: Unusable,
    },
    /// The phase before has steps left.
    StepsLeft {
        phase: PhaseName,
        step: usize,
        steps: usize,
    },
    Baking {
        phase: PhaseName,
        step: usize,
        steps: usize,
        #[serde(serialize_with = "seconds")]
        have: Duration,
        #[serde(serialize_with = "seconds")]
        need: Duration,
    },
    PhaseIncomplete {
        phase: PhaseName,
    },
    CompleteFor {
        phase: PhaseName,
        #[serde(serialize_with = "seconds")]
        have: Duration,
        #[serde(serialize_with = "seconds")]
        need: Duration,
    },
    /// Nobody has signed it, or not what there is now.
    Unsigned {
        name: SignOffName,
        signed: Box<Signed>,
    },
    /// Nobody has said yes to entering this phase.
    HighRisk {
        phase: PhaseName,
    },
    /// Nothing is promoted for a declared time.
    Frozen {
        until: Box<Zoned>,
        because: Option<String>,
    },
    /// Nothing is promoted until somebody resumes.
    OnHold {
        by: String,
        since: Timestamp,
        #[serde(serialize_with = "seconds")]
        so_far: Duration,
        because: Option<String>,
    },
    /// The canary is not as it should be, or cannot be made.
    Canary {
        detail: CanaryTrouble,
        /// `adopt` makes it anew.
        adoptable: bool,
    },
    /// The flag is no literal of its own: setting it would hide another source, which `adopt` accepts where a rollback
    /// can bring it back.
    Unmanageable {
        flag: FlagName,
        source: FlagSource,
    },
    OwnedElsewhere {
        flag: FlagName,
        manager: String,
    },
    RollingOut {
        updated: i32,
        available: i32,
        desired: i32,
    },
    RolloutFailed {
        detail: String,
    },
    Paused,
}

impl Obstacle {
    /// Whether time alone can lift it.
    pub fn passes_with_time(&self) -> bool {
        matches!(self, Self::Baking { .. } | Self::CompleteFor { .. } | Self::RollingOut { .. })
    }
}

impl Route {
    /// The way to `target` (an index), or one step on if None.
    ///
    /// What the user has said yes to is no obstacle.
    pub fn find(
        rollout: &Rollout,
        workload: &Workload,
        target: Option<usize>,
        consent: Consent,
        now: Timestamp,
    ) -> Self {
        let adopt = consent.adopt;
        let standing = Standing::of(rollout, workload);
        let mut route = match standing.place.clone() {
            None => Self::into_the_rollout(rollout, workload, standing, target, adopt, now),
            Some(place) => Self::onward(rollout, workload, standing, &place, target, now),
        };
        route.check_present_canary(rollout, workload, adopt);
        if !adopt {
            if !route.standing.drift.is_empty() {
                route.obstacles.push(Obstacle::Drift { flags: route.standing.drift.clone() });
            }
            route.obstacles.extend(route.standing.unusable.clone().map(|detail| Obstacle::PositionUnusable { detail }));
        }
        if adopt {
            route.repair();
        }
        route.check_exposure(rollout, workload);
        route.check_flags(rollout, workload, adopt);
        route.check_workload(workload);
        route.obstacles.extend(requirement::holds(rollout, workload, route.destination, consent, now));
        route
    }

    /// Whether it leads to the step that the rollout stands at already, for the sake of its canary: what was decided then
    /// is carried out, once more or to its end, and no evidence of now has a part in it.
    pub fn stays(&self) -> bool {
        let here = self.standing.place.as_ref().map(|place| Destination::Step { phase: place.phase, step: place.step });
        self.resumes || self.gates_of.is_none() && here == Some(self.destination)
    }

    /// The same standing without what a promotion needs: only the rollback triggers are left to be judged.
    pub fn without_gates(self) -> Self {
        Self { obstacles: Vec::new(), gates_of: None, ..self }
    }

    /// The phase that is asked about, as an index.
    pub fn phase(&self) -> usize {
        match self.destination {
            Destination::Step { phase, .. }
            | Destination::Adopt { phase }
            | Destination::Bake { phase }
            | Destination::Complete { phase } => phase,
        }
    }

    /// Index of the phase whose rollback triggers are armed.
    pub fn triggers_of(&self) -> Option<usize> {
        self.standing.place.as_ref().map(|place| place.phase)
    }

    fn into_the_rollout(
        rollout: &Rollout,
        workload: &Workload,
        standing: Standing,
        target: Option<usize>,
        adopt: bool,
        now: Timestamp,
    ) -> Self {
        let matching = (0..rollout.phases.len()).rev().find(|phase| workload.has(&rollout.flags_through(*phase)));
        let wanted = target.or(matching).unwrap_or(0);
        let mut obstacles = Vec::new();
        let destination = if workload.has(&rollout.flags_through(wanted)) {
            Destination::Adopt { phase: wanted }
        } else {
            if wanted > 0 {
                let next = matching.unwrap_or(0);
                obstacles.push(Obstacle::Skips { next: rollout.phases[next].name.clone() });
            } else if !adopt {
                let flags = rollout.flags_through(0);
                obstacles.push(Obstacle::FlagsOfNoPhase { differing: drift(workload, &flags) });
            }
            Destination::Step { phase: wanted, step: 0 }
        };
        // Of a later phase that is taken over, somebody has decided on it by hand.
        if wanted == 0 {
            obstacles.extend(requirement::unmet(rollout, workload, &standing, 0, now));
        }
        Self { standing, destination, obstacles, gates_of: None, resumes: false }
    }

    fn onward(
        rollout: &Rollout,
        workload: &Workload,
        standing: Standing,
        place: &StandingPlace,
        target: Option<usize>,
        now: Timestamp,
    ) -> Self {
        let present = &rollout.phases[place.phase];
        let baked = now >= place.bake_ends(rollout);
        let last_step = place.is_last_step(rollout);
        let next = if last_step && baked { place.phase + 1 } else { place.phase };
        let target = target.unwrap_or(next.min(rollout.phases.len() - 1));
        let baking = || Obstacle::Baking {
            phase: present.name.clone(),
            step: place.step + 1,
            steps: present.steps.len(),
            have: elapsed(place.since, now),
            need: present.steps[place.step].bake,
        };
        let mut obstacles = Vec::new();
        let (destination, gates_of) = if target < place.phase {
            (Destination::Complete { phase: target }, Some(target))
        } else if target == place.phase {
            let destination = match (last_step, baked) {
                (false, _) => Destination::Step { phase: target, step: place.step + 1 },
                (true, false) => Destination::Bake { phase: target },
                (true, true) => Destination::Complete { phase: target },
            };
            if !baked {
                obstacles.push(baking());
            }
            (destination, Some(target))
        } else if target == place.phase + 1 {
            if !last_step {
                let (step, steps) = (place.step + 1, present.steps.len());
                obstacles.push(Obstacle::StepsLeft { phase: present.name.clone(), step, steps });
            }
            if !baked {
                obstacles.push(baking());
            }
            obstacles.extend(requirement::unmet(rollout, workload, &standing, target, now));
            (Destination::Step { phase: target, step: 0 }, Some(place.phase))
        } else {
            obstacles.push(Obstacle::Skips { next: rollout.phases[place.phase + 1].name.clone() });
            (Destination::Step { phase: target, step: 0 }, None)
        };
        Self { standing, destination, obstacles, gates_of, resumes: false }
    }

    /// A step that was begun is brought to its end before anything else; and what is wrong with a canary that was seen to
    /// run holds, until it is made anew where that is accepted.
    fn check_present_canary(&mut self, rollout: &Rollout, workload: &Workload, adopt: bool) {
        let Some(place) = self.standing.place.clone().filter(|_| workload.emergency.is_none()) else { return };
        let here = Destination::Step { phase: place.phase, step: place.step };
        if canary::is_unfinished(rollout, workload, &place) {
            *self = Self { destination: here, obstacles: vec![], gates_of: None, resumes: true, ..self.clone() };
        } else if let Some(detail) = canary::trouble_at(rollout, workload, &place) {
            if adopt && detail.is_adoptable() {
                *self = Self { destination: here, obstacles: vec![], gates_of: None, ..self.clone() };
            } else {
                let adoptable = detail.is_adoptable();
                self.obstacles.push(Obstacle::Canary { detail, adoptable });
            }
        }
    }

    /// Where there is no step to take, accepted drift is brought to the present step's flags all the same.
    fn repair(&mut self) {
        let (Destination::Bake { phase } | Destination::Complete { phase }) = self.destination else { return };
        let present = self.standing.place.as_ref().filter(|place| place.phase == phase);
        if let Some(place) = present.filter(|_| !self.standing.drift.is_empty()) {
            self.destination = Destination::Step { phase, step: place.step };
            self.obstacles.retain(|obstacle| !matches!(obstacle, Obstacle::Baking { .. }));
        }
    }

    fn check_exposure(&mut self, rollout: &Rollout, workload: &Workload) {
        if let Destination::Step { phase, step } = self.destination
            && rollout.phases[phase].steps[step].is_canary()
            && let Err(detail) = canary::planned(rollout, workload, phase, step)
        {
            self.obstacles.push(Obstacle::Canary { detail, adoptable: false });
        }
    }

    fn check_flags(&mut self, rollout: &Rollout, workload: &Workload, adopt: bool) {
        for flag in rollout.flags_through(self.phase()).keys() {
            match workload.flags.get(flag) {
                None | Some(FlagSource::Value(FlagValue::Literal(_) | FlagValue::Absent)) => {}
                Some(source) if adopt && source.is_restorable() => {}
                Some(source) => {
                    let (flag, source) = (flag.clone(), source.clone());
                    self.obstacles.push(Obstacle::Unmanageable { flag, source });
                }
            }
            if let Some(manager) = workload.owned_elsewhere.get(flag) {
                let (flag, manager) = (flag.clone(), manager.clone());
                self.obstacles.push(Obstacle::OwnedElsewhere { flag, manager });
            }
        }
    }

    fn check_workload(&mut self, workload: &Workload) {
        if workload.paused {
            self.obstacles.push(Obstacle::Paused);
        }
        let replicas = &workload.replicas;
        match replicas.health() {
            Health::Healthy => {}
            Health::Progressing => self.obstacles.push(Obstacle::RollingOut {
                updated: replicas.updated,
                available: replicas.available,
                desired: replicas.desired,
            }),
            Health::Failed(detail) => self.obstacles.push(Obstacle::RolloutFailed { detail }),
        }
    }
}
