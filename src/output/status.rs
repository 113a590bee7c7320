//! The answer of `status`: where the rollout stands, and what holds up the next step.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::canary::share;
use super::check::{conditions, destination, held_and_judged, way_back};
use super::condition::ConditionReport;
use super::obstacle::{drifts, on_hold, unusable};
use super::words::{duration, plural, since};
use super::{Report, SCHEMA, step, table};
use crate::rollout::decision::{Decision, Outcome};
use crate::rollout::declaration::{Exposure, Phase, Rollout, Step};
use crate::rollout::exposure::is_partial;
use crate::rollout::name::{FlagName, PhaseName};
use crate::rollout::position::{Emergency, Pause};
use crate::rollout::route::Obstacle;
use crate::rollout::standing::{Drift, Standing, Unusable, elapsed};
use crate::rollout::workload::{Pod, Workload};

#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    schema: u8,
    kind: &'static str,
    rollout: String,
    deployment: String,
    namespace: String,
    context: Option<String>,
    at: Timestamp,
    pods: Pods,
    phases: Vec<PhaseReport>,
    emergency: Option<Emergency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<Pause>,
    drift: Vec<Drift>,
    position_unusable: Option<Unusable>,
    outcome: &'static str,
    obstacles: Vec<Obstacle>,
    conditions: Vec<ConditionReport>,
    #[serde(skip)]
    present: String,
    /// A step that was begun, and not brought to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_short: Option<String>,
    #[serde(skip)]
    next: String,
}

#[derive(Debug, Clone, Serialize)]
struct Pods {
    ready: usize,
    total: usize,
    restarts: i32,
    /// Those of the canary, which are not among the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Box<Self>>,
}

impl Pods {
    fn of<'a>(pods: impl Iterator<Item = &'a Pod>) -> Self {
        let none = Self { ready: 0, total: 0, restarts: 0, canary: None };
        pods.fold(none, |sum, pod| Self {
            ready: sum.ready + usize::from(pod.ready),
            total: sum.total + 1,
            restarts: sum.restarts + pod.restarts,
            canary: None,
        })
    }

    /// The canary apart from the others, where there is one or ought to be.
    fn of_both(rollout: &Rollout, workload: &Workload, standing: &Standing) -> Self {
        let canary = Self::of(workload.live_canary());
        let apart = canary.total > 0 || is_partial(rollout, standing.place.as_ref());
        Self { canary: apart.then(|| Box::new(canary)), ..Self::of(workload.live_pods()) }
    }

    /// "3 of 3 pods ready, canary 1 of 1, 0 restarts"
    fn line(&self) -> String {
        let Self { ready, total, restarts, canary } = self;
        let beside = canary.as_ref().map(|canary| format!(", canary {} of {}", canary.ready, canary.total));
        let restarts = restarts + canary.as_ref().map_or(0, |canary| canary.restarts);
        format!(
            "{ready} of {} ready{}, {}",
            plural(*total as u64, "pod"),
            beside.unwrap_or_default(),
            plural(u64::try_from(restarts).unwrap_or_default(), "restart")
        )
    }
}

#[derive(Debug, Clone, Serialize)]
struct PhaseReport {
    phase: PhaseName,
    title: String,
    state: &'static str,
    step: Option<usize>,
    steps: usize,
    since: Option<Timestamp>,
    high_risk: bool,
    #[serde(skip)]
    row: Vec<String>,
}

impl StatusReport {
    pub fn of(
        rollout: &Rollout,
        workload: &Workload,
        decision: &Decision,
        context: Option<&str>,
        at: Timestamp,
    ) -> Self {
        let outcome = decision.outcome();
        let standing = &decision.route.standing;
        Self {
            schema: SCHEMA,
            kind: "status",
            rollout: rollout.header.name.clone(),
            deployment: workload.deployment.clone(),
            namespace: workload.namespace.clone(),
            context: context.map(str::to_owned),
            at,
            pods: Pods::of_both(rollout, workload, standing),
            phases: phases(rollout, workload, standing, at),
            emergency: workload.emergency.clone(),
            pause: workload.pause.clone(),
            drift: standing.drift.clone(),
            position_unusable: standing.unusable.clone(),
            outcome: outcome.word(),
            obstacles: decision.route.obstacles.clone(),
            conditions: conditions(decision),
            present: present(rollout, standing, at),
            cut_short: decision.route.resumes.then(|| {
                let phase = &rollout.phases[decision.route.phase()].name;
                format!("cut short: cbctl promote {phase} goes on with it")
            }),
            next: next(rollout, workload, decision, outcome),
        }
    }
}

impl Report for StatusReport {
    fn lines(&self) -> Vec<String> {
        let context = self.context.as_ref().map(|context| format!(" ({context})")).unwrap_or_default();
        let mut lines =
            vec![format!("{} in {}{context}: {}", self.deployment, self.namespace, self.pods.line()), String::new()];
        let headers = ["PHASE", "STATE", "SINCE", "EXPOSURE", "FLAGS"];
        lines.extend(table::lines(&headers, &[2], self.phases.iter().map(|phase| phase.row.clone())));
        lines.push(String::new());
        if let Some(Emergency { at, reason, .. }) = &self.emergency {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            lines.push(format!("emergency rollback {} ago{reason}; the next promote accepts it", since(*at, self.at)));
        }
        let told = self.obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::OnHold { .. }));
        if let Some(Pause { by, at, reason }) = self.pause.as_ref().filter(|_| !told) {
            lines.push(on_hold(by, elapsed(*at, self.at), reason.as_deref()));
        }
        lines.extend(self.position_unusable.iter().map(|reason| format!("warning: {}", unusable(reason))));
        if !self.drift.is_empty() {
            lines.push(format!("warning: not as the position says: {}", drifts(&self.drift)));
        }
        lines.push(self.present.clone());
        lines.extend(self.cut_short.clone());
        lines.extend(self.conditions.iter().find_map(ConditionReport::exposure));
        lines.extend(held_and_judged(&self.obstacles, &self.conditions));
        lines.push(String::new());
        lines.push(self.next.clone());
        lines
    }
}

fn phases(rollout: &Rollout, workload: &Workload, standing: &Standing, now: Timestamp) -> Vec<PhaseReport> {
    let completed = workload.position.as_ref().and_then(|position| position.as_ref().ok());
    let describe = |(index, phase): (usize, &Phase)| {
        let place = standing.place.as_ref();
        let steps = phase.steps.len();
        let (state, since_when, step) = match place {
            Some(place) if place.phase == index => match place.complete_at(rollout).filter(|at| *at <= now) {
                Some(at) => ("complete", Some(at), Some(place.step)),
                None if phase.steps[place.step].is_canary() => ("canary", Some(place.since), Some(place.step)),
                None => ("baking", Some(place.since), Some(place.step)),
            },
            Some(place) if place.phase > index => {
                let at = completed.and_then(|position| position.completed.get(&phase.name).copied());
                ("complete", at, Some(steps - 1))
            }
            _ => ("not started", None, None),
        };
        let row = vec![
            phase.name.to_string(),
            match step {
                Some(step) if state == "baking" => format!("baking, step {} of {steps}", step + 1),
                _ => state.to_owned(),
            },
            since_when.map(|at| since(at, now)).unwrap_or_default(),
            step.map(|step| exposed(phase.steps[step].exposure, workload)).unwrap_or_default(),
            flags(rollout, index),
        ];
        PhaseReport {
            phase: phase.name.clone(),
            title: phase.title.clone(),
            state,
            step: step.map(|step| step + 1),
            steps,
            since: since_when,
            high_risk: phase.high_risk,
            row,
        }
    };
    rollout.phases.iter().enumerate().map(describe).collect()
}

/// The breaker flags that a phase switches on, and how many settings come with them.
fn flags(rollout: &Rollout, index: usize) -> String {
    let phase = &rollout.phases[index];
    let breakers = &rollout.header.breakers;
    // Its targets may bring flags of their own.
    let own: BTreeMap<_, _> =
        phase.flags.iter().chain(phase.steps.last().into_iter().flat_map(|step| &step.flags)).collect();
    let on: Vec<String> = breakers
        .iter()
        .filter(|breaker| own.get(&breaker.flag) == Some(&&breaker.on))
        .filter(|breaker| index == 0 || rollout.flags_through(index - 1).get(&breaker.flag) != Some(&breaker.on))
        .map(|breaker| format!("{}={}", breaker.flag, breaker.on))
        .collect();
    let is_flag = |flag: &FlagName| breakers.iter().any(|breaker| breaker.flag == *flag);
    let settings = own.keys().filter(|flag| !is_flag(flag)).count() as u64;
    let mut text = if on.is_empty() { "nothing on".to_owned() } else { on.join(" ") };
    if settings > 0 {
        text.push_str(" +");
        text.push_str(&plural(settings, "setting"));
    }
    if phase.high_risk {
        text.push_str(", high risk");
    }
    text
}

pub fn exposure(exposure: Exposure) -> String {
    match exposure {
        Exposure::Full => "full".to_owned(),
        Exposure::Pods(pods) => plural(u64::from(pods), "pod"),
        Exposure::Traffic(percent) => format!("{} of traffic", share(percent)),
    }
}

/// The same with the number of pods that a share of the traffic comes to.
fn exposed(declared: Exposure, workload: &Workload) -> String {
    match declared {
        Exposure::Traffic(percent) => {
            format!("{}, {}", share(percent), plural(workload.live_canary().count() as u64, "pod"))
        }
        Exposure::Full | Exposure::Pods(_) => exposure(declared),
    }
}

fn present(rollout: &Rollout, standing: &Standing, now: Timestamp) -> String {
    let Some(place) = &standing.place else { return "not started".to_owned() };
    let phase = &rollout.phases[place.phase];
    let Step { bake, exposure: declared, .. } = &phase.steps[place.step];
    let baked = duration(elapsed(place.since, now).min(*bake));
    format!("{}: {}; baked {baked} of {}", step::named(phase, place.step), exposure(*declared), duration(*bake))
}

fn next(rollout: &Rollout, workload: &Workload, decision: &Decision, outcome: Outcome) -> String {
    let phase = &rollout.phases[decision.route.phase()].name;
    match outcome {
        Outcome::RollBack => format!("next: {} (a trigger fires)", way_back(workload)),
        Outcome::Proceed => format!("next: cbctl promote {phase}"),
        Outcome::NothingToDo => "next: nothing, the last phase is complete".to_owned(),
        Outcome::Held | Outcome::Error | Outcome::Inconclusive => {
            let open =
                decision.gates.iter().chain(&decision.triggers).filter(|judged| judged.outcome() < Outcome::Proceed);
            let open = open.count() + decision.route.obstacles.len();
            let to = destination(rollout, decision.route.destination);
            format!(
                "next: cbctl promote {phase} (to {to}), once the {} above no longer stand against it",
                plural(open as u64, "line")
            )
        }
    }
}
