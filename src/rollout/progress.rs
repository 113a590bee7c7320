//! How far a change has come, pod by pod: what runs, what does not come and why, and how long it will take.
//!
//! It does not know how any of it is worded, nor what the time is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::name::FlagName;
use super::workload::{FlagSource, FlagValue, Health, Pod, Workload};

/// What every pod has to come to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// These values.
    Values(BTreeMap<FlagName, FlagValue>),
    /// The present template, and not one of these, which pods ran before.
    Template { old: BTreeSet<String> },
}

/// Pods by what they run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub new: usize,
    pub starting: usize,
    pub old: usize,
    /// Of the old ones: those that are on their way out.
    pub ending: usize,
    /// Why pods that start are not ready.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<String, usize>,
    /// Pods that the cluster does not let the Deployment make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// What old pods still run, breakers first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still: Vec<Still>,
    /// The Deployment is paused: no pod is replaced.
    pub paused: bool,
}

/// Pods that are missing because they cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub pods: usize,
    /// Name of the quota that is used up, if that is the reason.
    pub quota: Option<String>,
    pub message: String,
}

/// A value that old pods run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Still {
    pub flag: FlagName,
    pub value: FlagSource,
    pub pods: usize,
}

impl Goal {
    /// Any template but those of the pods that are there, unless one of them is known to be the wanted one.
    pub fn other_template(before: &Workload, known: Option<&String>) -> Self {
        let old = before.pods.iter().map(|pod| pod.template.clone()).filter(|template| Some(template) != known);
        Self::Template { old: old.collect() }
    }

    pub fn is_run_by(&self, pod: &Pod) -> bool {
        match self {
            Self::Values(wanted) => pod.runs(wanted),
            Self::Template { old } => !old.contains(&pod.template),
        }
    }

    /// Whether these are the pods of a change that is through, given that the Deployment's own counts say so. Then the
    /// pods that stay are of the present template, whichever that is, and all others are on their way out.
    pub fn is_reached_by(&self, pods: &[Pod], until_gone: bool) -> bool {
        match self {
            Self::Values(wanted) => pods.iter().all(|pod| pod.runs(wanted) || (pod.terminating && !until_gone)),
            Self::Template { .. } => {
                let counted = pods.iter().filter(|pod| until_gone || !pod.terminating);
                counted.map(|pod| &pod.template).collect::<BTreeSet<_>>().len() <= 1
            }
        }
    }
}

/// The pods of several Deployments together.
impl std::iter::Sum for Spread {
    fn sum<I: Iterator<Item = Self>>(spreads: I) -> Self {
        spreads.reduce(Self::and).unwrap_or_default()
    }
}

impl Spread {
    fn and(mut self, other: Self) -> Self {
        self.new += other.new;
        self.starting += other.starting;
        self.old += other.old;
        self.ending += other.ending;
        self.paused |= other.paused;
        for (reason, pods) in other.waiting {
            *self.waiting.entry(reason).or_default() += pods;
        }
        self.refused = match (self.refused, other.refused) {
            (Some(one), Some(other)) => Some(Refused { pods: one.pods + other.pods, ..one }),
            (one, other) => one.or(other),
        };
        for still in other.still {
            match self.still.iter_mut().find(|known| known.flag == still.flag && known.value == still.value) {
                Some(known) => known.pods += still.pods,
                None => self.still.push(still),
            }
        }
        self
    }

    pub fn total(&self) -> usize {
        self.new + self.starting + self.old + self.missing()
    }

    /// Pods that are to be there and cannot be made.
    pub fn missing(&self) -> usize {
        self.refused.as_ref().map_or(0, |refused| refused.pods)
    }

    /// How many pods the change has yet to reach.
    fn open(&self) -> usize {
        self.total() - self.new
    }

    /// The time that is left, as far as it can be told: at the pace at which pods have been replaced since the change,
    /// `arrived` of them in `elapsed`; or, before the first one is there, by the time that the old pods took to become
    /// ready, as many at once as start now. None where there is nothing to base it on: pods that cannot be made, a
    /// paused Deployment, no old pod that tells, or a first pod that is overdue.
    pub fn time_left(&self, arrived: usize, elapsed: Duration, readiness: Option<Duration>) -> Option<Duration> {
        let open = u32::try_from(self.open()).ok()?;
        if open == 0 || self.missing() > 0 || self.paused {
            return None;
        }
        match u32::try_from(arrived).ok()? {
            0 => {
                let at_once = u32::try_from(self.starting).ok()?.max(1);
                readiness?.checked_mul(open.div_ceil(at_once))?.checked_sub(elapsed)
            }
            arrived => elapsed.checked_mul(open)?.checked_div(arrived),
        }
    }
}

impl Refused {
    /// What the message of the failed creation tells; the name of a quota stands between two fixed words.
    fn of(pods: usize, message: &str) -> Self {
        let (_, quota) = message.split_once("exceeded quota: ").unzip();
        let quota = quota.and_then(|text| text.split([',', ' ']).next()).map(str::to_owned);
        Self { pods, quota, message: message.to_owned() }
    }
}

impl Workload {
    /// Whether the change that made this generation is through: the Deployment is healthy, and its pods are at the goal.
    pub fn has_arrived(&self, generation: i64, goal: &Goal, until_gone: bool) -> bool {
        self.replicas.observed_generation >= generation
            && self.replicas.health() == Health::Healthy
            && goal.is_reached_by(&self.pods, until_gone)
    }

    /// How many pods run what is wanted, start with it, or still run something else.
    pub fn spread(&self, goal: &Goal) -> Spread {
        let mut spread = Spread { paused: self.paused, ..Spread::default() };
        let mut still: BTreeMap<(&FlagName, String), Still> = BTreeMap::new();
        for pod in &self.pods {
            match (goal.is_run_by(pod), pod.ready) {
                (false, _) => {
                    spread.old += 1;
                    spread.ending += usize::from(pod.terminating);
                    for (flag, value) in differing(pod, goal) {
                        let first = || Still { flag: flag.clone(), value: value.clone(), pods: 0 };
                        still.entry((flag, format!("{value:?}"))).or_insert_with(first).pods += 1;
                    }
                }
                (true, _) if pod.terminating => {}
                (true, true) => spread.new += 1,
                (true, false) => {
                    spread.starting += 1;
                    if let Some(reason) = &pod.waiting {
                        *spread.waiting.entry(reason.clone()).or_default() += 1;
                    }
                }
            }
        }
        let missing = usize::try_from(self.replicas.missing).unwrap_or_default();
        let refusal = self.replicas.refused.as_deref().filter(|_| missing > 0 && self.replicas.is_observed());
        spread.refused = refusal.map(|message| Refused::of(missing, message));
        spread.still = still.into_values().collect();
        spread.still.sort_by_key(|still| (!self.is_breaker(&still.flag), std::cmp::Reverse(still.pods)));
        spread
    }

    /// How long a pod takes to become ready, by the median of those that did so once and stayed it.
    pub fn readiness(&self) -> Option<Duration> {
        let mut times: Vec<Duration> = self.live_pods().filter_map(Pod::took_to_be_ready).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// Whether the record says that it is a breaker's flag, and not a setting.
    fn is_breaker(&self, flag: &FlagName) -> bool {
        matches!(&self.position, Some(Ok(position)) if position.off.contains_key(flag))
    }
}

/// What a pod runs instead of what it should.
fn differing<'a>(pod: &'a Pod, goal: &'a Goal) -> impl Iterator<Item = (&'a FlagName, &'a FlagSource)> {
    const ABSENT: &FlagSource = &FlagSource::Value(FlagValue::Absent);
    let wanted = match goal {
        Goal::Values(wanted) => Some(wanted),
        Goal::Template { .. } => None,
    };
    let found = |flag| (flag, pod.flags.get(flag).unwrap_or(ABSENT));
    wanted.into_iter().flatten().filter(|(flag, value)| !pod.runs_value(flag, value)).map(move |(flag, _)| found(flag))
}

#[cfg(test)]
pub mod tests {
    use super::super::tests::{at, flag, literal, workload};
    use super::*;

    pub fn pod(template: &str, values: &[(&str, &str)], ready: bool) -> Pod {
        Pod {
            name: format!("web-{template}-x2lq8"),
            template: template.into(),
            started: Some(at(0)),
            accepted: Some(at(0)),
            ready_since: ready.then(|| at(20)),
            ready,
            terminating: false,
            waiting: None,
            restarts: 0,
            flags: values.iter().map(|(name, value)| (flag(name), literal(value))).collect(),
        }
    }

    fn goal(values: &[(&str, &str)]) -> Goal {
        Goal::Values(values.iter().map(|(name, value)| (flag(name), FlagValue::Literal((*value).into()))).collect())
    }

    #[test]
    fn pods_count_by_what_they_run() {
        let mut workload = workload(&[]);
        let ending = Pod { terminating: true, ..pod("a", &[("CB_CACHE", "true")], true) };
        let waits = Pod { waiting: Some("Unschedulable".into()), ..pod("b", &[("CB_CACHE", "false")], false) };
        workload.pods = vec![
            pod("b", &[("CB_CACHE", "false")], true),
            pod("a", &[("CB_CACHE", "true")], true),
            pod("a", &[("CB_CACHE", "true")], true),
            ending,
            waits,
            Pod { terminating: true, ..pod("b", &[("CB_CACHE", "false")], true) },
        ];
        let spread = workload.spread(&goal(&[("CB_CACHE", "false")]));
        assert_eq!((spread.new, spread.starting, spread.old, spread.ending), (1, 1, 3, 1));
        assert_eq!(spread.still, [Still { flag: flag("CB_CACHE"), value: literal("true"), pods: 3 }]);
        assert_eq!(spread.waiting, BTreeMap::from([("Unschedulable".to_owned(), 1)]));
        let by_template = workload.spread(&Goal::Template { old: BTreeSet::from(["a".to_owned()]) });
        assert_eq!((by_template.new, by_template.starting, by_template.old), (1, 1, 3));
    }

    #[test]
    fn a_template_has_arrived_when_no_pod_is_of_another() {
        let goal = Goal::Template { old: BTreeSet::from(["a".to_owned()]) };
        let ending = Pod { terminating: true, ..pod("a", &[], true) };
        assert!(goal.is_reached_by(&[pod("b", &[], true), pod("b", &[], true)], true));
        assert!(!goal.is_reached_by(&[pod("b", &[], true), ending.clone()], true));
        assert!(goal.is_reached_by(&[pod("b", &[], true), ending], false));
        assert!(goal.is_reached_by(&[], true), "scaled to zero");
    }

    #[test]
    fn pods_that_cannot_be_made_wait_for_what_forbids_them() {
        let message =
            "pods \"web-b-x2lq8\" is forbidden: exceeded quota: pods-of-shop, requested: pods=1, used: pods=10";
        for (message, quota) in [(message, Some("pods-of-shop")), ("violates PodSecurity \"restricted\"", None)] {
            let mut workload = workload(&[]);
            workload.pods = vec![pod("a", &[("CB_CACHE", "true")], true); 6];
            workload.replicas.missing = 4;
            workload.replicas.refused = Some(message.to_owned());
            let spread = workload.spread(&goal(&[("CB_CACHE", "false")]));
            let refused = spread.refused.clone().unwrap();
            assert_eq!((refused.pods, refused.quota.as_deref(), spread.total()), (4, quota, 10));
            workload.replicas.generation = 9;
            assert_eq!(workload.spread(&goal(&[])).refused, None, "it is of the generation before");
        }
    }

    #[test]
    fn the_time_left_is_that_of_the_pace_so_far() {
        let seconds = Duration::from_secs;
        let spread = |new, starting, old| Spread { new, starting, old, ..Spread::default() };
        let refused = Spread { refused: Some(Refused::of(2, "no")), ..spread(5, 0, 5) };
        let paused = Spread { paused: true, ..spread(5, 0, 5) };
        let cases = [
            (spread(5, 1, 4), 5, 50, Some(20), Some(50), "as long again"),
            (spread(5, 1, 4), 1, 10, None, Some(50), "four of the new ones were there before"),
            (spread(0, 2, 10), 0, 5, Some(20), Some(115), "six rounds of two pods"),
            (spread(0, 0, 4), 0, 0, Some(10), Some(40), "one by one, as long as none starts"),
            (spread(0, 2, 10), 0, 5, None, None, "no pod tells how long it takes"),
            (spread(0, 1, 0), 0, 30, Some(20), None, "the first is overdue"),
            (spread(10, 0, 0), 10, 50, Some(20), None, "nothing is left"),
            (refused, 5, 50, Some(20), None, "nobody knows when there will be room"),
            (paused, 5, 50, Some(20), None, "nobody knows when it goes on"),
        ];
        for (spread, arrived, elapsed, readiness, left, why) in cases {
            let found = spread.time_left(arrived, seconds(elapsed), readiness.map(seconds));
            assert_eq!(found, left.map(seconds), "{why}");
        }
    }

    #[test]
    fn readiness_is_the_median_of_the_pods_that_never_crashed() {
        let took = |after: i64| Pod { ready_since: Some(at(after)), ..pod("a", &[], true) };
        let crashed = Pod { restarts: 1, ..took(500) };
        let mut workload = workload(&[]);
        assert_eq!(workload.readiness(), None);
        workload.pods = vec![took(40), took(10), took(20), crashed];
        assert_eq!(workload.readiness(), Some(Duration::from_secs(20)));
        workload.pods = vec![took(0)];
        assert_eq!(workload.readiness(), Some(Duration::from_secs(1)), "it is told in whole seconds");
    }
}
