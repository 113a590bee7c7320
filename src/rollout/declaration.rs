//! What the user declares: the rollout and its phases, already checked.
//!
//! It does not know the file format; a value of these types cannot be wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::freeze::Freeze;
use super::name::{BreakerName, FlagName, PhaseName, SignOffName, TargetName};
use super::router::Router;
use super::workload::FlagValue;
use crate::judge::condition::{Condition, Encoding};

/// Flags of a container and the value that each should have.
pub type Flags = BTreeMap<FlagName, String>;

/// Everything that the files say.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    pub header: Header,
    /// In the order in which they are entered; at least one.
    pub phases: Vec<Phase>,
}

/// What `rollout.yaml` says; enough to switch everything off.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub name: String,
    pub deployment: String,
    /// None where the Deployment has only one.
    pub container: Option<String>,
    pub namespace: Option<String>,
    pub prometheus: PrometheusSource,
    /// How long after a change samples do not count yet: caches and breakers start cold.
    pub warm_up: Duration,
    /// How long a rollback may take until every pod runs the old values; a promotion is held where it would take longer.
    pub rollback_within: Duration,
    /// What divides the traffic between stable and canary pods; None where they share it by their numbers.
    pub router: Option<Router>,
    /// When nothing is promoted.
    pub freezes: Vec<Freeze>,
    pub indicators: Indicators,
    pub breaker_metrics: Option<BreakerMetrics>,
    pub breakers: Vec<Breaker>,
}

/// Where Prometheus is, and how this deployment's pods appear in it.
#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusSource {
    pub url: Option<String>,
    pub ca_file: Option<String>,
    pub token_file: Option<String>,
    /// Label to value, where `$namespace` and `$pods` stand for the observed ones.
    pub selector: BTreeMap<String, String>,
    /// Warnings of Prometheus that contain one of these texts do not spoil an answer.
    pub allowed_warnings: Vec<String>,
}

/// How the built-in indicators are measured; `PromQL` vector selectors and metric names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Indicators {
    /// Base name of a histogram.
    pub latency_histogram: Option<String>,
    pub error_rate: Option<ErrorRateSource>,
    /// Gauge of a pod's memory in bytes.
    pub memory: Option<String>,
}

/// The counters behind `error_rate`.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorRateSource {
    pub requests: String,
    pub errors: String,
}

/// How breakers appear in Prometheus.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerMetrics {
    /// Counter of calls, by breaker.
    pub requests: Option<String>,
    /// Counter of failed calls, by breaker.
    pub failures: Option<String>,
    pub state: StateSource,
    /// The label that carries the breaker's name.
    pub label: String,
}

/// How the state of a breaker is told; libraries differ.
#[derive(Debug, Clone, PartialEq)]
pub enum StateSource {
    /// One gauge, whose value is the state.
    Values { gauge: String, encoding: Encoding },
    /// One gauge for each state, told apart by a label; 1 for the present state.
    Labels { gauge: String, label: String, closed: String, half_open: String, open: String },
}

impl BreakerMetrics {
    /// Which number stands for which state in the samples.
    pub fn encoding(&self) -> Encoding {
        match &self.state {
            StateSource::Values { encoding, .. } => *encoding,
            StateSource::Labels { .. } => Encoding::OF_LABELS,
        }
    }
}

/// One circuit breaker of the service.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    pub name: BreakerName,
    pub flag: FlagName,
    pub on: String,
    pub off: String,
    /// Regular expression for the breaker's label value in Prometheus.
    pub pattern: String,
    /// `PromQL` that is above zero while what the breaker guards is healthy.
    pub health: Option<String>,
    pub settings: Vec<FlagName>,
    /// Classes of calls that this breaker must never guard.
    pub never_for: Vec<String>,
}

/// One declared stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: PhaseName,
    pub title: String,
    pub high_risk: bool,
    /// Fingerprint of the phase's file: whoever signs, signs this.
    pub content: String,
    /// Of this phase alone; see [`Rollout::flags_through`].
    pub flags: Flags,
    pub requires: Vec<Requirement>,
    /// At least one; the last one exposes fully.
    pub steps: Vec<Step>,
    pub gates: Vec<Gate>,
    pub triggers: Vec<Condition>,
}

/// What has to be true before a phase may be entered.
#[derive(Debug, Clone, PartialEq)]
pub enum Requirement {
    Phase { phase: PhaseName, complete_for: Duration },
    SignOff(RequiredSignOff),
    Check(Check),
}

/// Somebody's word that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RequiredSignOff {
    pub name: SignOffName,
    /// How long it counts after it was given; None for as long as the phase's file stays as it was.
    pub valid_for: Option<Duration>,
}

/// Something that is tried whenever a promotion is decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub probe: Probe,
    /// Above zero.
    pub timeout: Duration,
}

/// How it is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A request to every judged pod, which must answer with 2xx. Without a port it goes to the first one that the
    /// container names.
    Http { path: String, port: Option<u16> },
    /// A program with its arguments, started where cbctl runs, which must end with 0.
    Command(Vec<String>),
}

/// One exposure and how long it is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub exposure: Exposure,
    pub bake: Duration,
    /// What it enables the phase for, where that is declared.
    pub target: Option<TargetName>,
    /// Those of all targets up to this one, over the phase's own.
    pub flags: Flags,
    /// Those of its target alone, besides the phase's.
    pub gates: Vec<Gate>,
}

/// How much of the service carries the phase's flags.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    Pods(u32),
    /// Share of the traffic in percent, above 0 and below 100.
    Traffic(f64),
    Full,
}

/// What has to be true before a step may be left.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    Measured(Condition),
    SignOff(RequiredSignOff),
    Check(Check),
}

impl Breaker {
    /// What its flag is when it is off.
    pub fn switched_off(&self) -> FlagValue {
        FlagValue::Literal(self.off.clone())
    }
}

impl Step {
    /// Whether it exposes a part of the service only.
    pub fn is_canary(&self) -> bool {
        self.exposure != Exposure::Full
    }
}

impl Phase {
    /// Its flags with those of all of its targets.
    fn all_flags(&self) -> Flags {
        self.flags
            .iter()
            .chain(self.steps.last().into_iter().flat_map(|step| &step.flags))
            .map(|(flag, value)| (flag.clone(), value.clone()))
            .collect()
    }

    fn sequential_triggers(&self) -> u32 {
        let by_chance = self.triggers.iter().filter(|trigger| trigger.fires_by_chance());
        u32::try_from(by_chance.count()).unwrap_or(u32::MAX)
    }
}

impl Header {
    /// Every breaker flag with the value that switches it off.
    pub fn breakers_off(&self) -> Flags {
        self.breakers.iter().map(|breaker| (breaker.flag.clone(), breaker.off.clone())).collect()
    }

    pub fn breaker(&self, name: &str) -> Option<&Breaker> {
        self.breakers.iter().find(|breaker| breaker.name.as_str() == name)
    }

    /// Every flag and setting that this rollout may touch.
    pub fn declared_flags(&self) -> impl Iterator<Item = &FlagName> {
        self.breakers.iter().flat_map(|breaker| std::iter::once(&breaker.flag).chain(&breaker.settings))
    }
}

impl Rollout {
    /// For how long, all together, the triggers of all phases are armed that may fire by chance; after the last phase they stay armed, and a
    /// week of that counts.
    pub fn trigger_time(&self) -> Duration {
        const AFTERWARDS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
        let armed = |phase: &Phase| -> Duration {
            let bakes: Duration = phase.steps.iter().map(|step| step.bake).sum();
            bakes * phase.sequential_triggers()
        };
        let last = self.phases.last().map_or(0, Phase::sequential_triggers);
        self.phases.iter().map(armed).sum::<Duration>() + AFTERWARDS * last.max(1)
    }

    pub fn index_of(&self, phase: &PhaseName) -> Option<usize> {
        self.phases.iter().position(|declared| declared.name == *phase)
    }

    /// What the exposed pods run at a step: its flags merged over those of its phase and of all phases before.
    pub fn flags_at(&self, phase: usize, step: usize) -> Flags {
        let before = self.phases.iter().take(phase).flat_map(Phase::all_flags);
        let here = &self.phases[phase];
        before.chain(here.flags.clone()).chain(here.steps[step].flags.clone()).collect()
    }

    /// The same at the last step of a phase, when all pods run it.
    pub fn flags_through(&self, phase: usize) -> Flags {
        self.phases.iter().take(phase + 1).flat_map(Phase::all_flags).collect()
    }

    /// What the stable pods run at a step: the flags of the last step that exposed fully. None before the first one.
    pub fn stable_flags_at(&self, phase: usize, step: usize) -> Option<Flags> {
        let full = |step: &usize| self.phases[phase].steps[*step].exposure == Exposure::Full;
        match (0..=step).rev().find(full) {
            Some(step) => Some(self.flags_at(phase, step)),
            None => phase.checked_sub(1).map(|before| self.flags_through(before)),
        }
    }

    /// Whether any step exposes a part of the service only.
    pub fn has_canaries(&self) -> bool {
        self.phases.iter().flat_map(|phase| &phase.steps).any(Step::is_canary)
    }

    /// The last phase, if any, in which none of these breaker flags is on.
    pub fn last_phase_without(&self, off: &Flags) -> Option<usize> {
        let without = |phase: usize| {
            let flags = self.flags_through(phase);
            off.iter().all(|(flag, off)| flags.get(flag).is_none_or(|value| value == off))
        };
        (0..self.phases.len()).take_while(|phase| without(*phase)).last()
    }
}
