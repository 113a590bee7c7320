//! The verdict on a share of requests: errors, or requests slower than a limit.
//!
//! It does not know where the counts come from. Where they are known only within bounds, a good verdict needs the
//! upper one and a bad verdict the lower one.

use std::collections::BTreeMap;

use super::condition::{Condition, Role, Share};
use super::counts::Window;
use super::evidence;
use super::quality::Quality;
use super::verdict::{Evidence, Finding, Gap, Judgement, PodShare, Trouble};

/// Counts of one window.
pub struct Counts<'a> {
    /// At least this many events, by pod.
    pub least: BTreeMap<&'a str, u64>,
    /// At most this many, over all pods; the same where every event was counted exactly.
    pub most: u64,
    pub requests: BTreeMap<&'a str, u64>,
    /// The edges (in seconds) between which the limit lies, where `least` and `most` differ for that reason.
    pub between: Option<(f64, f64)>,
    pub quantile_seconds: Option<f64>,
}

/// Holds the share of events against `limit`.
pub fn judge(
    condition: &Condition,
    limit: Share,
    counts: &Counts<'_>,
    window: Window,
    quality: Quality,
) -> Result<Judgement, Trouble> {
    let requests: u64 = counts.requests.values().sum();
    let (least, most) = (counts.least.values().sum::<u64>(), counts.most);
    if most.max(least) > requests {
        return Err(Gap::ImpossibleCount { events: most.max(least), requests }.into());
    }
    if requests == 0 {
        return Err(Gap::NoTraffic.into());
    }
    let needed = 1.0 / (1.0 - condition.confidence);
    let violation = evidence::of_violation(least, requests, limit);
    let compliance = evidence::of_compliance(most, requests, limit);
    let share = |events: u64| evidence::as_float(events) / evidence::as_float(requests);
    let enough = requests >= condition.min_requests;
    let (low, high) = (evidence::bounds(least, requests, needed).0, evidence::bounds(most, requests, needed).1);
    let found = |evidence: f64| Evidence {
        from: window.from,
        to: window.to,
        coverage: Some(quality.coverage),
        newest: quality.newest,
        finding: Finding::Share {
            events: least,
            requests,
            low,
            high,
            evidence,
            needed,
            quantile_seconds: counts.quantile_seconds,
            worst: worst(counts),
        },
    };
    let violated = violation >= needed && enough && share(least) > limit.get();
    let settled = match condition.role {
        Role::Gate if violated => Some(Judgement::Unmet(found(violation))),
        Role::Gate if compliance >= needed && enough && share(most) < limit.get() => {
            Some(Judgement::Met(found(compliance)))
        }
        Role::Trigger if violated => Some(Judgement::Met(found(violation))),
        Role::Trigger if share(most) <= limit.get() && enough => Some(Judgement::Unmet(found(compliance))),
        Role::Gate | Role::Trigger => None,
    };
    Ok(settled.unwrap_or_else(|| {
        let gap = match counts.between {
            Some((below, above))
                if share(least) < limit.get() && evidence::of_compliance(least, requests, limit) >= needed =>
            {
                Gap::BetweenBuckets { below, above }
            }
            _ => more_requests(condition, limit, most, requests, needed, window),
        };
        let toward = match condition.role {
            Role::Gate => compliance,
            Role::Trigger => violation,
        };
        Judgement::Inconclusive(gap, Some(Box::new(found(toward))))
    }))
}

fn more_requests(condition: &Condition, limit: Share, events: u64, requests: u64, needed: f64, window: Window) -> Gap {
    let for_minimum = condition.min_requests.saturating_sub(requests);
    let more = evidence::more_requests(events, requests, limit, needed).map(|more| more.max(for_minimum));
    let seconds = window.to.duration_since(window.from).as_secs_f64();
    let about = more.and_then(|more| {
        let seconds = evidence::as_float(more) / evidence::as_float(requests) * seconds;
        std::time::Duration::try_from_secs_f64(seconds.ceil()).ok()
    });
    Gap::MoreRequests { have: requests, more, about }
}

/// The pod with the greatest share of events.
fn worst(counts: &Counts<'_>) -> Option<PodShare> {
    let shares = counts.least.iter().filter(|(_, events)| **events > 0).filter_map(|(pod, events)| {
        let requests = counts.requests.get(pod).copied().filter(|requests| *requests > 0)?;
        Some(PodShare { pod: (*pod).to_owned(), events: *events, requests })
    });
    let share = |pod: &PodShare| evidence::as_float(pod.events) / evidence::as_float(pod.requests);
    shares.max_by(|a, b| share(a).total_cmp(&share(b)))
}
