//! One look at the world: cluster and Prometheus together, for one moment.
//!
//! The only room that sees both edges. It decides which samples are needed and fetches each of them once; it judges
//! nothing.

#[cfg(test)]
mod corpus;
mod edges;
mod grid;
mod plan;
mod sort;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::judge::condition::{Condition, Metric};
use crate::judge::samples::{Group, LivePod, Look, Samples, Scope};
use crate::judge::verdict::Fault;
use crate::prometheus::selector::{Pods, pod_pattern};
use crate::prometheus::{Answer, DEADLINE, Prometheus, Query};
use crate::rollout::canary::canary_of;
use crate::rollout::declaration::Rollout;
use crate::rollout::exposure;
use crate::rollout::standing::Standing;
use crate::rollout::workload::{Pod, Workload};
use grid::Grid;
use plan::{LONGEST_EVIDENCE, Plan, Selection};

/// Queries under way at once.
const AT_ONCE: usize = 8;

/// When and about what to look.
pub struct Moment {
    pub now: Timestamp,
    /// `now` is a past time: the pods of that time are those that Prometheus knows.
    pub past: bool,
    /// How far the API server's clock is ahead of ours.
    pub cluster_clock_offset: Option<SignedDuration>,
}

/// What was looked at, ready to be judged.
pub struct Observation {
    pub look: Look,
    /// The queries as they were sent, for the record.
    pub queries: serde_json::Value,
}

/// Fetches what the conditions need, each metric once.
pub async fn sample(
    prometheus: Option<&Prometheus>,
    rollout: &Rollout,
    workload: &Workload,
    standing: &Standing,
    conditions: &[&Condition],
    moment: &Moment,
) -> Observation {
    // Prometheus is asked in whole seconds.
    let now = Timestamp::from_second(moment.now.as_second()).unwrap_or(moment.now);
    let header = &rollout.header;
    let apart = exposure::is_judged_apart(rollout, workload, standing.place.as_ref());
    let partial = exposure::is_partial(rollout, standing.place.as_ref());
    let since = since(workload, standing, partial, header.warm_up, now, moment.past).map(|since| {
        let reach = conditions.iter().map(|condition| condition.reach()).fold(LONGEST_EVIDENCE, Duration::max);
        since.max(now.checked_sub(reach).unwrap_or(Timestamp::MIN))
    });
    let templates = if moment.past { Vec::new() } else { workload.templates().into_iter().collect() };
    let stable = pod_pattern(&workload.deployment, templates.into_iter());
    let own = canary_of(&workload.deployment);
    let mut names = workload.canary_names();
    if partial {
        // What its pods have served counts, whether or not one of them is there at the moment.
        names.insert(&own);
    }
    let canaries = names.iter().map(|name| pod_pattern(name, std::iter::empty())).filter(|_| apart);
    let pattern = canaries.fold(stable, |all, canary| format!("{all}|{canary}"));
    let any = pod_pattern(&workload.deployment, std::iter::empty());
    let pods = |pattern| Pods { namespace: &workload.namespace, pattern, labels: &header.prometheus.selector };
    let selection = Selection { judged: pods(&pattern), any: pods(&any), since };
    let counted = conditions.iter().filter(|condition| condition.needs().iter().any(Metric::is_counted));
    let grid = Grid::of(counted.map(|condition| condition.window), since, now, workload.pods.len());
    let plan = Plan::of(conditions, grid, header, &selection);
    let answers = ask(prometheus, &plan.queries).await;
    // An answer that never came tells no time, and is told as what it is.
    let answered = answers.iter().filter(|answer| answer.clock_offset.is_some() || answer.series.is_ok());
    let offsets: Vec<_> =
        [moment.cluster_clock_offset].into_iter().chain(answered.map(|answer| answer.clock_offset)).collect();
    let clock_skew = if moment.past { Some(SignedDuration::ZERO) } else { skew(&offsets) };
    let scope = Scope {
        pods: None,
        since,
        now,
        horizon: rollout.trigger_time(),
        memory_limit: workload.memory_limit,
        clock_skew,
        rolling: false,
    };
    let samples = sort::samples(&plan, &answers, header, selection.judged.label());
    Observation {
        look: look(workload, scope, samples, moment.past, Some(names).filter(|_| apart)),
        queries: serde_json::json!(plan.queries),
    }
}

/// The pods and samples of these canaries apart from the others, where they are judged apart.
fn look(workload: &Workload, scope: Scope, samples: Samples, past: bool, canaries: Option<BTreeSet<&str>>) -> Look {
    if past {
        return Look { judged: Group { scope, samples: sort::of_that_time(samples) }, stable: None };
    }
    let now = scope.now;
    let live = |pod: &Pod| LivePod {
        name: pod.name.clone(),
        started: pod.started.unwrap_or(now),
        restarts: u32::try_from(pod.restarts).unwrap_or_default(),
    };
    let rolling = workload.templates().len() > 1 || workload.replicas.is_replacing();
    let pods = Some(workload.live_pods().map(live).collect());
    let main = Scope { pods, rolling, ..scope.clone() };
    let Some(canaries) = canaries else {
        return Look { judged: Group { scope: main, samples }, stable: None };
    };
    let canary = Scope { pods: Some(workload.live_canary().map(live).collect()), ..scope };
    let (of_canary, of_stable) = sort::apart(samples, &canaries);
    Look {
        judged: Group { scope: canary, samples: of_canary },
        stable: Some(Group { scope: main, samples: of_stable }),
    }
}

/// When the evidence begins: when the present exposure was complete and warm.
fn since(
    workload: &Workload,
    standing: &Standing,
    partial: bool,
    warm_up: Duration,
    now: Timestamp,
    past: bool,
) -> Option<Timestamp> {
    // A restart of the pods that this rollout did not make spoils a window all the same.
    let entered = standing.place.as_ref().map(|place| place.since);
    let switched_off = workload.emergency.as_ref().map(|mark| mark.at);
    // Once the canary has been seen to run, its place says since when; a pod of it that is replaced begins nothing anew.
    let seen = partial && exposure::has_arrived(workload);
    let canary = workload.live_canary().filter(|_| !seen).filter_map(Pod::exposed_since).max();
    // What the canary did with more pods says nothing about what it does with fewer.
    let reduced = workload.recorded_position().and_then(|position| position.reduced.as_ref()).map(|reduced| reduced.at);
    let begin = begin_of_evidence([entered, switched_off, workload.rolled_out(), canary, reduced], now, past);
    begin.and_then(|begin| begin.checked_add(warm_up).ok())
}

/// The last of the moments before which nothing counts. Seen from a past time, what came later bounds nothing; but a
/// rollout that ends just now seems to end in the future, because its end is known in whole seconds only.
fn begin_of_evidence(bounds: [Option<Timestamp>; 5], now: Timestamp, past: bool) -> Option<Timestamp> {
    bounds.into_iter().flatten().filter(|bound| !past || *bound <= now).max()
}

/// Sends the queries, some at once; without a server each is answered by that lack. One that is not answered when the
/// time for all of them is over was too slow.
async fn ask(prometheus: Option<&Prometheus>, queries: &[Query]) -> Vec<Answer> {
    let unanswered = |fault: Fault| Answer { series: Err(fault.into()), clock_offset: None };
    let Some(prometheus) = prometheus else {
        return queries.iter().map(|_| unanswered(Fault::NotDeclared { indicator: "prometheus.url" })).collect();
    };
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let asked = stream::iter(queries).map(async |query| {
        let answered = tokio::time::timeout_at(deadline, prometheus.ask(query)).await;
        answered.unwrap_or_else(|_| unanswered(Fault::Timeout { after: DEADLINE }))
    });
    asked.buffered(AT_ONCE).collect().await
}

/// The greatest difference between any two clocks; None if one of them is unknown.
fn skew(offsets: &[Option<SignedDuration>]) -> Option<SignedDuration> {
    let known: Vec<SignedDuration> = offsets.iter().copied().collect::<Option<_>>()?;
    Some(*known.iter().max()? - *known.iter().min()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_from_before_a_rollout_that_ended_in_this_very_second() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let now = at(1_000).unwrap();
        assert_eq!(begin_of_evidence([at(10), None, at(1_001), None, None], now, false), at(1_001));
        assert_eq!(begin_of_evidence([at(10), at(990), at(900), None, None], now, false), at(990));
        assert_eq!(
            begin_of_evidence([at(10), None, at(1_500), None, None], now, true),
            at(10),
            "a later restart spoils nothing"
        );
    }
}
