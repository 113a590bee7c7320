//! What Kubernetes itself says of the judged pods: a pod that dies at its start never reports a metric.
//!
//! It does not know which samples there are, nor how anything is worded.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::declaration::Rollout;
use super::exposure;
use super::standing::StandingPlace;
use super::workload::{Pod, Workload};

/// Restarts from which a pod that is not ready crashes again and again, whatever it waits for at the moment.
const LOOP: i32 = 3;
/// One restart may have any cause, and such a pod is told as crashing until it is ready again; the second one is a loop
/// where the kubelet says so as well.
const LOOP_IF_TOLD: i32 = 2;
/// Starts are told in whole seconds, and by another clock than the change.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The judged pods: the stable ones, and the canary's where those are judged apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PodSignals {
    pub judged: usize,
    pub ready: usize,
    /// Restarts of those whose container started after the change, in sum; some may have been before it.
    pub restarts: u64,
    /// Pods that started after the change and crash again and again: they call for a rollback.
    pub crash_loops: Vec<String>,
    /// Other pods that are not ready.
    pub not_ready: Vec<NotReady>,
}

/// A pod that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotReady {
    pub pod: String,
    /// As the scheduler or the kubelet says it; None of one that just starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl PodSignals {
    /// Reads them from the pods. A crash loop speaks against the change only if the pod started after it, and if the
    /// place that it led to has a breaker on: where all are off there is nothing that a rollback could take away.
    pub fn of(rollout: &Rollout, workload: &Workload, place: &StandingPlace) -> Self {
        let flags = rollout.flags_at(place.phase, place.step);
        let off = rollout.header.breakers_off();
        let armed = off.iter().any(|(flag, off)| flags.get(flag).is_some_and(|value| value != off));
        // A place may begin when the exposure was complete, and its pods were started before.
        let changed = workload.recorded_position().map_or(place.since, |position| position.at.min(place.since));
        let of_rollout = exposure::is_partial(rollout, Some(place)) && workload.recorded_canary().is_some();
        let mut signals = Self::default();
        for (pod, is_canary) in judged(workload, exposure::is_judged_apart(rollout, workload, Some(place))) {
            signals.judged += 1;
            // The rollout's own canary runs nothing but the change.
            let is_new = is_canary && of_rollout || is_after(pod.accepted, changed);
            signals.restarts +=
                if is_after(pod.started, changed) { u64::try_from(pod.restarts).unwrap_or_default() } else { 0 };
            if pod.ready {
                signals.ready += 1;
            } else if armed && is_new && crashes_again_and_again(pod) {
                signals.crash_loops.push(pod.name.clone());
            } else {
                signals.not_ready.push(NotReady { pod: pod.name.clone(), why: pod.waiting.clone() });
            }
        }
        signals
    }

    /// Whether there is anything to tell: a pod that is not ready, or one that restarted since the change.
    pub fn is_remarkable(&self) -> bool {
        self.ready < self.judged || self.restarts > 0
    }
}

/// The stable pods, and the canary's where those are judged apart; of each, whether it is the canary's.
fn judged(workload: &Workload, apart: bool) -> impl Iterator<Item = (&Pod, bool)> {
    let canary = workload.live_canary().filter(move |_| apart);
    workload.live_pods().map(|pod| (pod, false)).chain(canary.map(|pod| (pod, true)))
}

/// Of a pod that is not ready.
pub(super) fn crashes_again_and_again(pod: &Pod) -> bool {
    let told = pod.waiting.as_deref().is_some_and(|why| matches!(why, "crash loop" | "CrashLoopBackOff"));
    pod.restarts >= LOOP || told && pod.restarts >= LOOP_IF_TOLD
}

fn is_after(at: Option<Timestamp>, change: Timestamp) -> bool {
    at.and_then(|at| at.checked_add(TOLERANCE).ok()).is_some_and(|at| at >= change)
}

#[cfg(test)]
mod tests {
    use super::super::canary::{Aim, CanaryRecord};
    use super::super::decision::{Judged, Outcome};
    use super::super::declaration::Exposure;
    use super::super::tests::{pod as made_up, rollout, workload};
    use super::*;

    const SINCE: i64 = 1_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(name: &str, started: i64, restarts: i32, waiting: Option<&str>, ready: bool) -> Pod {
        let started = Some(at(started));
        let waiting = waiting.map(str::to_owned);
        Pod { started, accepted: started, restarts, waiting, ready, ..made_up(name) }
    }

    /// What the pods say at this phase of off → cache → http.
    fn signals(phase: usize, pods: Vec<Pod>) -> (PodSignals, Outcome) {
        let place = StandingPlace { phase, step: 0, since: at(SINCE) };
        let signals = PodSignals::of(&rollout(), &Workload { pods, ..workload(&[]) }, &place);
        (signals.clone(), Judged::Pods(signals).outcome())
    }

    #[test]
    fn only_a_crash_loop_after_the_change_calls_for_a_rollback() {
        let healthy = || pod("healthy", 1_010, 0, None, true);
        let cases = [
            (pod("a", 1_010, 0, None, true), Outcome::Proceed, "healthy"),
            (pod("a", 1_030, 5, None, true), Outcome::Proceed, "it crashed, and serves again"),
            (pod("a", 1_010, 0, None, false), Outcome::Inconclusive, "it starts"),
            (pod("a", 1_010, 0, Some("Unschedulable"), false), Outcome::Inconclusive, "no room"),
            (pod("a", 1_010, 1, Some("crash loop"), false), Outcome::Inconclusive, "once is no loop"),
            (pod("a", 1_010, 2, Some("crash loop"), false), Outcome::RollBack, "twice is"),
            (pod("a", 1_010, 2, Some("CrashLoopBackOff"), false), Outcome::RollBack, "in the kubelet's word"),
            (pod("a", 1_010, 2, Some("ImagePullBackOff"), false), Outcome::Inconclusive, "another reason"),
            (pod("a", 1_010, 3, None, false), Outcome::RollBack, "whatever it waits for"),
            (pod("a", 999, 3, Some("crash loop"), false), Outcome::RollBack, "in the very second of the change"),
            (pod("a", 500, 9, Some("crash loop"), false), Outcome::Inconclusive, "it began before the change"),
        ];
        for (pod, outcome, why) in cases {
            assert_eq!(signals(1, vec![healthy(), pod]).1, outcome, "{why}");
        }
    }

    #[test]
    fn a_canary_of_the_rollout_runs_nothing_but_the_change() {
        let mut rollout = rollout();
        rollout.phases[1].steps[0].exposure = Exposure::Pods(1);
        let place = |step| StandingPlace { phase: 1, step, since: at(SINCE) };
        // It was seen to run at SINCE, and therefore started before.
        let canary = vec![pod("canary", 900, 3, Some("crash loop"), false)];
        let record = CanaryRecord { operation: String::new(), aim: Aim::Gone, route: None };
        let workload = Workload { canary, canary_record: Some(Ok(record)), ..workload(&[]) };
        assert_eq!(PodSignals::of(&rollout, &workload, &place(0)).crash_loops, ["canary"]);
        assert_eq!(PodSignals::of(&rollout, &workload, &place(1)), PodSignals::default(), "it is about to go");
    }

    #[test]
    fn with_every_breaker_off_there_is_nothing_to_roll_back() {
        let (signals, outcome) = signals(0, vec![pod("a", 1_010, 9, Some("crash loop"), false)]);
        assert_eq!(outcome, Outcome::Inconclusive);
        assert_eq!(signals.not_ready, [NotReady { pod: "a".into(), why: Some("crash loop".into()) }]);
    }

    #[test]
    fn it_tells_what_is_remarkable() {
        let (healthy, _) = signals(1, vec![pod("a", 1_010, 0, None, true), pod("b", 500, 4, None, true)]);
        assert_eq!((healthy.judged, healthy.ready, healthy.restarts), (2, 2, 0), "b restarted before the change");
        assert!(!healthy.is_remarkable());
        assert!(signals(1, vec![pod("a", 1_010, 1, None, true)]).0.is_remarkable());
        assert!(signals(1, vec![pod("a", 1_010, 0, None, false)]).0.is_remarkable());
    }

    #[test]
    fn the_canary_is_judged_and_the_stable_pods_beside_it_but_not_those_that_end() {
        let place = StandingPlace { phase: 1, step: 0, since: at(SINCE) };
        let ending = Pod { terminating: true, ..pod("ending", 1_010, 9, Some("crash loop"), false) };
        let broken = |name: &str| pod(name, 1_010, 9, Some("crash loop"), false);
        let mut workload = Workload { pods: vec![ending.clone()], ..workload(&[]) };
        assert_eq!(PodSignals::of(&rollout(), &workload, &place), PodSignals::default());
        workload.pods.push(broken("stable"));
        workload.canary = vec![pod("canary", 1_010, 0, None, true), broken("second"), ending];
        let signals = PodSignals::of(&rollout(), &workload, &place);
        assert_eq!((signals.judged, signals.ready), (3, 1));
        assert_eq!(signals.crash_loops, ["stable", "second"]);
    }
}
