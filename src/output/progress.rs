//! How far a change has come, in words: while one waits, and when the time is up.

use std::time::Duration;

use super::obstacle::value_of;
use super::step;
use super::words::{duration, plural};
use crate::rollout::progress::{Goal, Refused, Spread, Still};
use crate::rollout::workload::Workload;

/// How many pods run what.
pub fn progress(spread: &Spread, goal: &Goal) -> String {
    let all = spread.total();
    let run = if all == 1 { "runs" } else { "run" };
    let what = match goal {
        Goal::Values(_) => "values",
        Goal::Template { .. } => "template",
    };
    let mut parts = vec![format!("{} of {} {run} the new {what}", spread.new, plural(all as u64, "pod"))];
    parts.extend(starting(spread));
    if spread.old > 0 {
        let ending = if spread.ending > 0 { format!(" ({} ending)", spread.ending) } else { String::new() };
        parts.push(format!("{} still old{ending}", spread.old));
    }
    parts.extend(spread.refused.as_ref().map(refused));
    if spread.paused {
        parts.push("the deployment is paused".to_owned());
    }
    parts.join(", ")
}

/// How long it will take, where that can be told.
pub fn expected(left: Option<Duration>, at_most: Duration) -> String {
    // What is a limit is rounded up.
    let at_most = match at_most.as_secs() {
        0..120 => at_most,
        seconds => Duration::from_secs(seconds.div_ceil(60) * 60),
    };
    let told = |left| format!("; about {} more, {} at most", duration(left), duration(at_most));
    left.map(told).unwrap_or_default()
}

/// What has not arrived, and what keeps it; and what can be done about it.
pub fn not_arrived(spread: &Spread, goal: &Goal) -> (String, Option<String>) {
    let total = plural(spread.total() as u64, "pod");
    let what = match spread.still.first() {
        Some(first) => format!("{} of {total} still run {}{}", first.pods, value(first), others(&spread.still)),
        None if spread.old > 0 => format!("{} of {total} still run the old template", spread.old),
        None if spread.starting > 0 => format!("{} of {total} are not ready", spread.starting),
        None => progress(spread, goal),
    };
    let mut why: Vec<String> = spread.refused.iter().map(refused).collect();
    if spread.paused {
        why.push("the deployment is paused".to_owned());
    }
    why.extend(starting(spread));
    if spread.ending > 0 {
        why.push(format!("{} ending", spread.ending));
    }
    if why.is_empty() && spread.old > 0 {
        why.push("no new one has been started".to_owned());
    }
    let why = if why.is_empty() { String::new() } else { format!(": {}", why.join(", ")) };
    (format!("{what}{why}"), hint(spread))
}

/// That somebody has moved the rollout on while the answer to a rollback was lost; and what can be done about it.
pub fn overtaken(now: &Workload, arrived: bool) -> (String, String) {
    let moved = match &now.position {
        Some(Ok(position)) => {
            format!("{} has moved the rollout to {}", position.by, step::recorded(&position.place))
        }
        Some(Err(_)) | None => "somebody has changed the record".to_owned(),
    };
    let what = match arrived {
        true => format!("the rollback was made, its answer was lost, and {moved} since"),
        false => format!("the answer to the rollback was lost, and {moved} since: whether it was made is not known"),
    };
    (what, "cbctl status shows where things stand; the same command again takes that back as well".to_owned())
}

fn starting(spread: &Spread) -> Option<String> {
    let reasons: Vec<String> = spread.waiting.iter().map(|(reason, pods)| format!("{pods} {reason}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    (spread.starting > 0).then(|| format!("{} starting{reasons}", spread.starting))
}

/// Pods that cannot be made, such as "4 wait for quota pods-of-shop".
fn refused(refused: &Refused) -> String {
    match &refused.quota {
        Some(quota) if refused.pods == 1 => format!("1 waits for quota {quota}"),
        Some(quota) => format!("{} wait for quota {quota}", refused.pods),
        None => format!("{} cannot be made ({})", refused.pods, refused.message),
    }
}

fn value(still: &Still) -> String {
    format!("{}={}", still.flag, value_of(&still.value))
}

/// What else old pods run, in short.
fn others(still: &[Still]) -> String {
    match still.iter().skip(1).filter(|other| other.flag != still[0].flag).count() as u64 {
        0 => String::new(),
        others => format!(" and {}", plural(others, "setting")),
    }
}

fn hint(spread: &Spread) -> Option<String> {
    if let Some(refused) = &spread.refused {
        return Some(match &refused.quota {
            Some(quota) => {
                format!("raise the quota {quota}, or remove what else uses it: kubectl describe quota {quota}")
            }
            None => "remove what forbids new pods: kubectl describe replicasets".to_owned(),
        });
    }
    if spread.paused {
        return Some("kubectl rollout resume: the pods follow then".to_owned());
    }
    if !spread.waiting.is_empty() {
        return Some("kubectl describe pods says why they do not start".to_owned());
    }
    (spread.ending > 0 && spread.starting == 0)
        .then(|| "pods end within their grace period: the same command again goes on waiting".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rollout::workload::{FlagSource, FlagValue};

    fn still(flag: &str, value: &str) -> Still {
        let value = FlagSource::Value(FlagValue::Literal(value.into()));
        Still { flag: flag.parse().unwrap(), value, pods: 6 }
    }

    fn values() -> Goal {
        Goal::Values(BTreeMap::new())
    }

    #[test]
    fn what_has_not_arrived_is_named_with_what_keeps_it() {
        let old = Spread { old: 6, still: vec![still("CB_CACHE_ENABLED", "true")], ..Spread::default() };
        let refused = |quota: Option<&str>| {
            Some(Refused { pods: 4, quota: quota.map(str::to_owned), message: "violates PodSecurity".into() })
        };
        let crashing = BTreeMap::from([("crash loop".to_owned(), 1)]);
        let two = vec![still("CB_CACHE_ENABLED", "true"), still("CB_CACHE_OP_TIMEOUT_MS", "3000")];
        let cases = [
            (
                Spread { refused: refused(Some("of-shop")), ..old.clone() },
                "6 of 10 pods still run CB_CACHE_ENABLED=true: 4 wait for quota of-shop",
                "raise the quota of-shop, or remove what else uses it: kubectl describe quota of-shop",
            ),
            (
                Spread { refused: refused(None), ..old.clone() },
                "6 of 10 pods still run CB_CACHE_ENABLED=true: 4 cannot be made (violates PodSecurity)",
                "remove what forbids new pods: kubectl describe replicasets",
            ),
            (
                Spread { paused: true, ..old.clone() },
                "6 of 6 pods still run CB_CACHE_ENABLED=true: the deployment is paused",
                "kubectl rollout resume: the pods follow then",
            ),
            (
                Spread { starting: 1, waiting: crashing, still: two, ..old.clone() },
                "6 of 7 pods still run CB_CACHE_ENABLED=true and 1 setting: 1 starting (1 crash loop)",
                "kubectl describe pods says why they do not start",
            ),
            (
                Spread { new: 2, ending: 6, still: vec![], ..old.clone() },
                "6 of 8 pods still run the old template: 6 ending",
                "pods end within their grace period: the same command again goes on waiting",
            ),
        ];
        for (spread, what, hint) in cases {
            assert_eq!(not_arrived(&spread, &values()), (what.to_owned(), Some(hint.to_owned())));
        }
        let no_reason = "6 of 6 pods still run CB_CACHE_ENABLED=true: no new one has been started";
        assert_eq!(not_arrived(&old, &values()), (no_reason.to_owned(), None));
    }

    #[test]
    fn progress_tells_the_time_only_where_it_is_known() {
        let spread = Spread { new: 7, starting: 2, old: 2, ending: 1, ..Spread::default() };
        assert_eq!(progress(&spread, &values()), "7 of 11 pods run the new values, 2 starting, 2 still old (1 ending)");
        let seconds = Duration::from_secs;
        assert_eq!(expected(Some(seconds(40)), seconds(300)), "; about 40s more, 5m at most");
        assert_eq!(expected(Some(seconds(40)), seconds(299)), "; about 40s more, 5m at most");
        assert_eq!(expected(None, seconds(300)), "");
    }
}
