//! The Deployment and its pods as they were found, and what can be read from them.
//!
//! It does not know Kubernetes' own types.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::canary::{Beside, CanaryRecord};
use super::declaration::Flags;
use super::name::{FlagName, SignOffName};
use super::position::{Emergency, Pause, Place, Position, SignOff};
use super::replacement::Replacement;
use super::router::{Split, Unsplittable};
use super::template::Template;

/// What one look at the cluster found.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    pub namespace: String,
    pub deployment: String,
    /// Tells it from an earlier one of the same name.
    pub uid: String,
    pub container: String,
    /// Carried by every change as its precondition.
    pub resource_version: String,
    /// Declared flags only.
    pub flags: BTreeMap<FlagName, FlagSource>,
    /// Every name in the container's environment, in the order that `$(NAME)` inside a value relies on.
    pub environment: Vec<String>,
    /// Flags that a deployment tool owns and would put back, with that tool's field manager.
    pub owned_elsewhere: BTreeMap<FlagName, String>,
    /// What the annotation says: nothing, a position, or a text that is none.
    pub position: Option<Result<Position, String>>,
    pub emergency: Option<Emergency>,
    pub pause: Option<Pause>,
    /// What the canary is to be, or a text that says nothing of it.
    pub canary_record: Option<Result<CanaryRecord, String>>,
    /// What has the canary's name, where it was looked for.
    pub beside: Option<Beside>,
    /// How the router divides the traffic, where one was looked at.
    pub split: Option<Result<Split, Unsplittable>>,
    /// The labels that it selects its pods by.
    pub selector: BTreeMap<String, String>,
    /// Of its pod template, declared flags aside.
    pub fingerprint: String,
    pub sign_offs: BTreeMap<SignOffName, SignOff>,
    pub template: Template,
    pub replicas: Replicas,
    /// Its controller replaces no pod.
    pub paused: bool,
    pub pods: Vec<Pod>,
    /// Pods of the canary beside it, which carry the same labels and one more.
    pub canary: Vec<Pod>,
    /// Memory limit of the container in bytes, where it has one.
    pub memory_limit: Option<u64>,
    /// How its controller puts new pods in the place of old ones.
    pub replacement: Replacement,
    pub upkeep: Upkeep,
}

/// Who else writes to the Deployment, as it tells itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Upkeep {
    /// The flags in what `kubectl apply` applied last; the next apply sets them again.
    pub applied: BTreeMap<FlagName, FlagValue>,
    /// Deployment tools that left their mark, whether they own a flag or not.
    pub tools: Vec<&'static str>,
}

/// Where the value of an environment entry comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagSource {
    Value(FlagValue),
    /// The list has two entries of this name; the later one wins in the container.
    Twice,
    /// Not in the list, and these `envFrom` sources may hold it.
    MaybeFrom(Vec<String>),
}

/// One environment entry, exactly enough to restore it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagValue {
    Literal(String),
    Absent,
    /// The JSON of `valueFrom`.
    Reference(String),
}

impl FlagSource {
    /// Whether it is exactly this value.
    pub fn is(&self, value: &FlagValue) -> bool {
        matches!(self, Self::Value(found) if found == value)
    }

    /// Whether a rollback can restore it exactly: not one of two entries, nor a reference of a kind that is unknown here
    /// and therefore looks empty.
    pub fn is_restorable(&self) -> bool {
        match self {
            Self::Value(FlagValue::Reference(source)) => source != "{}",
            Self::Value(FlagValue::Literal(_) | FlagValue::Absent) | Self::MaybeFrom(_) => true,
            Self::Twice => false,
        }
    }

    pub fn literal(&self) -> Option<&str> {
        match self {
            Self::Value(FlagValue::Literal(value)) => Some(value),
            Self::Value(_) | Self::Twice | Self::MaybeFrom(_) => None,
        }
    }
}

/// A Deployment's replica counts and where its controller stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replicas {
    pub generation: i64,
    pub observed_generation: i64,
    pub desired: i32,
    pub updated: i32,
    pub available: i32,
    pub total: i32,
    /// Pods that the Deployment is to have and does not, those for a rollout included.
    pub missing: i32,
    /// `ReplicaFailure`: why they cannot be made.
    pub refused: Option<String>,
    /// `ProgressDeadlineExceeded` or `ReplicaFailure`, with its message.
    pub failure: Option<String>,
    /// When the Deployment was complete for the last time: after a rollout, or after it was scaled.
    pub rolled_out: Option<Timestamp>,
    /// A rollout that takes longer has failed.
    pub progress_deadline: Duration,
}

/// Where a Deployment stands in rolling out its present template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Progressing,
    Failed(String),
}

impl Replicas {
    /// Whether the counts are of the present generation. Every write to the spec or to an annotation begins a new one.
    pub fn is_observed(&self) -> bool {
        self.observed_generation >= self.generation
    }

    /// Whether pods are being put in the place of others. Pods that are not available are not enough for that: the
    /// change may have made them so.
    pub fn is_replacing(&self) -> bool {
        !self.is_observed() || self.updated != self.desired || self.total != self.desired
    }

    /// Judged from generation and counts, never from the `Available` condition, which may describe the rollout before.
    pub fn health(&self) -> Health {
        if !self.is_observed() {
            return Health::Progressing;
        }
        if !self.is_replacing() && self.available == self.desired {
            return Health::Healthy;
        }
        match &self.failure {
            Some(reason) => Health::Failed(reason.clone()),
            None => Health::Progressing,
        }
    }
}

/// One pod of the Deployment that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    pub name: String,
    /// The ReplicaSet's part of the name, the same for all pods of one template.
    pub template: String,
    /// The last start of its container, or the pod's own while the container does not run.
    pub started: Option<Timestamp>,
    /// When a node took the pod on, however often its container was started since.
    pub accepted: Option<Timestamp>,
    /// When it became ready for the last time.
    pub ready_since: Option<Timestamp>,
    pub ready: bool,
    pub terminating: bool,
    /// Why a pod that is not ready is not, as the kubelet or the scheduler says it.
    pub waiting: Option<String>,
    pub restarts: i32,
    /// Declared flags only, as its containers were started with.
    pub flags: BTreeMap<FlagName, FlagSource>,
}

impl Pod {
    /// When it began to run its values. Of a container that was started again only the start of the pod is known.
    pub fn exposed_since(&self) -> Option<Timestamp> {
        if self.restarts > 0 { self.accepted } else { self.started }
    }

    /// Whether the pod was started with exactly these values.
    pub fn runs(&self, wanted: &BTreeMap<FlagName, FlagValue>) -> bool {
        wanted.iter().all(|(flag, value)| self.runs_value(flag, value))
    }

    pub fn runs_value(&self, flag: &FlagName, value: &FlagValue) -> bool {
        match self.flags.get(flag) {
            Some(FlagSource::Value(found)) => found == value,
            Some(FlagSource::MaybeFrom(_)) | None => *value == FlagValue::Absent,
            Some(FlagSource::Twice) => false,
        }
    }

    /// From its start on a node until it was ready, for one that never crashed. Both are told in whole seconds.
    pub fn took_to_be_ready(&self) -> Option<Duration> {
        let once = self.ready && self.restarts == 0;
        let took = self.ready_since.filter(|_| once)?.duration_since(self.accepted?);
        Duration::try_from(took).ok().map(|took| took.max(Duration::from_secs(1)))
    }
}

impl Workload {
    /// The flags that have a value of their own in the template.
    pub fn literals(&self) -> BTreeMap<FlagName, FlagValue> {
        let literals = self.flags.iter().filter_map(|(flag, source)| Some((flag, source.literal()?)));
        literals.map(|(flag, value)| (flag.clone(), FlagValue::Literal(value.to_owned()))).collect()
    }

    /// What an entry of each flag in the template would have to be, so that another template had the same.
    pub fn values(&self) -> BTreeMap<FlagName, FlagValue> {
        let value = |source: &FlagSource| match source {
            FlagSource::Value(value) => Some(value.clone()),
            FlagSource::MaybeFrom(_) => Some(FlagValue::Absent),
            FlagSource::Twice => None,
        };
        self.flags.iter().filter_map(|(flag, source)| Some((flag.clone(), value(source)?))).collect()
    }

    /// The position that the annotation tells, if it can be read.
    pub fn recorded_position(&self) -> Option<&Position> {
        self.position.as_ref()?.as_ref().ok()
    }

    /// What is recorded of the canary, if it can be read.
    pub fn recorded_canary(&self) -> Option<&CanaryRecord> {
        self.canary_record.as_ref()?.as_ref().ok()
    }

    /// Whether anything of a canary is left: its record, or a Deployment that was made as one.
    pub fn has_canary(&self) -> bool {
        self.canary_record.is_some() || self.has_own_canary()
    }

    /// Whether a Deployment that was made as its canary stands beside it.
    pub fn has_own_canary(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.is_ours)
    }

    /// The place of that position.
    pub fn recorded_place(&self) -> Option<Place> {
        self.recorded_position().map(|position| position.place.clone())
    }

    /// Pods that serve and are not on their way out.
    pub fn live_pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| !pod.terminating)
    }

    /// The same of the canary.
    pub fn live_canary(&self) -> impl Iterator<Item = &Pod> {
        self.canary.iter().filter(|pod| !pod.terminating)
    }

    /// The same with the canary's pods counted among the others.
    pub fn with_canary(mut self) -> Self {
        self.pods.append(&mut self.canary);
        self
    }

    /// Its canary, as a Deployment of its own.
    pub fn canary_alone(&self) -> Option<Self> {
        let replicas = self.beside.as_ref()?.replicas.clone();
        Some(Self { replicas, pods: self.canary.clone(), canary: Vec::new(), ..self.clone() })
    }

    /// The Deployments that the canary's pods belong to.
    pub fn canary_names(&self) -> BTreeSet<&str> {
        self.canary.iter().filter_map(|pod| owner(&pod.name)).collect()
    }

    /// Live pods of one of these Deployments.
    pub fn canary_pods(&self, canary: &str) -> usize {
        self.live_canary().filter(|pod| owner(&pod.name) == Some(canary)).count()
    }

    /// Templates that live pods run.
    pub fn templates(&self) -> BTreeSet<&str> {
        self.live_pods().map(|pod| pod.template.as_str()).collect()
    }

    /// When the present template was rolled out, at the latest. Scaling completes the Deployment anew; but the pods that
    /// were there before tell that the rollout itself was over within its deadline after they started.
    pub fn rolled_out(&self) -> Option<Timestamp> {
        let oldest = self.live_pods().filter_map(|pod| pod.accepted).min();
        let over = oldest.and_then(|oldest| oldest.checked_add(self.replicas.progress_deadline).ok());
        self.replicas.rolled_out.map(|complete| over.map_or(complete, |over| complete.min(over)))
    }

    /// Whether the live flags are all as wanted.
    pub fn has(&self, wanted: &Flags) -> bool {
        self.differing(wanted).next().is_none()
    }

    /// Flags that are not a literal of the wanted value.
    pub fn differing<'a>(&'a self, wanted: &'a Flags) -> impl Iterator<Item = (&'a FlagName, &'a str, &'a FlagSource)> {
        const ABSENT: &FlagSource = &FlagSource::Value(FlagValue::Absent);
        wanted.iter().filter_map(move |(flag, value)| {
            let found = self.flags.get(flag).unwrap_or(ABSENT);
            (found.literal() != Some(value)).then_some((flag, value.as_str(), found))
        })
    }
}

/// The Deployment that a pod's name begins with: what comes before the hash of its template and its own five characters.
pub fn owner(pod: &str) -> Option<&str> {
    pod.rsplitn(3, '-').nth(2)
}

/// The part of a pod's name that all pods of its template share.
pub fn template(pod: &str) -> Option<&str> {
    pod.rsplit_once('-').map(|(template, _)| template)
}

#[cfg(test)]
mod tests {
    use super::super::tests;
    use super::*;

    fn replicas(updated: i32, available: i32, total: i32) -> Replicas {
        Replicas { generation: 2, observed_generation: 2, desired: 3, updated, available, total, ..Replicas::default() }
    }

    #[test]
    fn healthy_needs_every_replica_of_this_generation() {
        assert_eq!(replicas(3, 3, 3).health(), Health::Healthy);
        assert_eq!(replicas(3, 3, 4).health(), Health::Progressing, "an old pod still runs");
        assert_eq!(replicas(3, 2, 3).health(), Health::Progressing);
        assert_eq!(replicas(2, 3, 3).health(), Health::Progressing);
        let unseen = Replicas { observed_generation: 1, ..replicas(3, 3, 3) };
        assert_eq!(unseen.health(), Health::Progressing, "the status describes the generation before");
        assert!(!unseen.is_observed() && replicas(3, 3, 3).is_observed());
    }

    #[test]
    fn a_pod_that_crashes_now_and_then_is_exposed_all_the_time() {
        let at = |second| Timestamp::from_second(second).ok();
        let pod = |restarts| Pod { started: at(900), accepted: at(100), restarts, ..tests::pod("canary") };
        assert_eq!(pod(0).exposed_since(), at(900), "its image was pulled first");
        assert_eq!(pod(2).exposed_since(), at(100), "or no window would ever be full");
    }

    #[test]
    fn pods_that_are_not_available_are_no_rollout() {
        assert!(!replicas(3, 0, 3).is_replacing(), "they may be what a trigger looks for");
        let unseen = Replicas { observed_generation: 1, ..replicas(3, 3, 3) };
        assert!(replicas(2, 3, 3).is_replacing() && replicas(3, 3, 4).is_replacing() && unseen.is_replacing());
    }

    #[test]
    fn a_failure_of_the_generation_before_does_not_count() {
        let failed = Replicas { failure: Some("ProgressDeadlineExceeded".into()), ..replicas(1, 2, 4) };
        assert!(matches!(failed.health(), Health::Failed(_)));
        assert_eq!(Replicas { observed_generation: 1, ..failed }.health(), Health::Progressing);
    }

    #[test]
    fn scaling_is_no_rollout() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let pod = |accepted| {
            let started = Some(at(accepted));
            Pod { started, accepted: started, ..tests::pod(&format!("web-{accepted}")) }
        };
        let rolled_out = |complete, pods: &[i64]| {
            let deadline = Duration::from_secs(600);
            let replicas =
                Replicas { rolled_out: Some(at(complete)), progress_deadline: deadline, ..Replicas::default() };
            let pods = pods.iter().map(|accepted| pod(*accepted)).collect();
            Workload { replicas, pods, ..tests::workload(&[]) }.rolled_out()
        };
        assert_eq!(rolled_out(1_060, &[1_000, 1_030]), Some(at(1_060)), "a rollout");
        assert_eq!(rolled_out(9_000, &[1_000, 1_030, 8_990]), Some(at(1_600)), "a third pod, hours later");
        assert_eq!(rolled_out(9_000, &[8_960, 8_990]), Some(at(9_000)), "every pod restarted");
    }
}
