//! A canary, in words: what is wrong with it and what lifts that, and what becomes of it.

use serde::Serialize;

use super::words::{percent, plural};
use crate::rollout::canary::{Canary, CanaryRecord, CanaryTrouble, Move, by_pods, canary_of};
use crate::rollout::router::Unsplittable;
use crate::rollout::workload::Workload;

/// What is wrong, and what lifts it.
pub fn trouble(trouble: &CanaryTrouble) -> String {
    match trouble {
        CanaryTrouble::NameTooLong { deployment, most } => format!(
            "the canary would be called {deployment}, {} characters: its pods' names are whole up to {most}; a \
             deployment with a shorter name can have one",
            deployment.len()
        ),
        CanaryTrouble::Stranger { deployment } => {
            format!(
                "deployment/{deployment} is there and was not made by cbctl for this one: rename or delete it first"
            )
        }
        CanaryTrouble::NothingStable => {
            "the deployment is to have no pods: scale it up, a canary stands beside others".to_owned()
        }
        CanaryTrouble::Coarse { wanted, percent, pods, stable } => format!(
            "{} of the traffic cannot be had by pods: {} beside {stable} would get {}; more pods, a router (traffic: in \
             rollout.yaml) or {{pods: {pods}}} can",
            share(*wanted),
            pods,
            share(*percent)
        ),
        CanaryTrouble::LabelSelected { label } => format!(
            "canary pods are to have another {label} (canary_labels), and the deployment selects its pods by it: take a \
             label that only the stable Service selects"
        ),
        CanaryTrouble::LabelMissing { label, value } => format!(
            "the stable pods have no {label} other than {value} (canary_labels), so that the stable Service would reach \
             the canary as well: give the pod template one, and have the Service select it"
        ),
        CanaryTrouble::Unsplittable { detail } => unsplittable(detail),
        CanaryTrouble::AlreadySplit { router, percent } => format!(
            "{router} gives {} to a canary already, and none is on record: put its weights back first",
            share(*percent)
        ),
        CanaryTrouble::Unreadable { detail } => {
            format!("what is recorded of the canary cannot be read ({detail}): --adopt makes it anew")
        }
        CanaryTrouble::Unrecorded => "no canary is on record for this step: --adopt makes it anew".to_owned(),
        CanaryTrouble::Missing { deployment } => format!("deployment/{deployment} has gone: --adopt makes it anew"),
        CanaryTrouble::Outdated { deployment } => format!(
            "the live pod template has changed since deployment/{deployment} was made, so that it does not show what \
             runs: --adopt makes it anew and bakes from the beginning"
        ),
        CanaryTrouble::Changed { deployment } => {
            format!("deployment/{deployment} is not as recorded, somebody has changed it: --adopt makes it anew")
        }
        CanaryTrouble::Reduced { deployment, pods } => format!(
            "a gradual rollback has left deployment/{deployment} {}: --adopt makes it as great as the step asks for, and \
             bakes from the beginning",
            plural(u64::from(*pods), "pod")
        ),
        CanaryTrouble::OtherShare { router, expected, found } => format!(
            "{router} gives the canary {}, not {}: somebody has changed it: --adopt sets it again",
            share(*found),
            share(*expected)
        ),
    }
}

pub fn unsplittable(why: &Unsplittable) -> String {
    match why {
        Unsplittable::Missing { router } => format!("there is no {router} in the namespace (traffic: in rollout.yaml)"),
        Unsplittable::NoBackend { router, service } => {
            format!(
                "nothing in {router} leads to Service {service}: declare its stable Service (traffic: in rollout.yaml)"
            )
        }
        Unsplittable::Unreadable { router, detail } | Unsplittable::Unanswered { router, detail } => {
            format!("{router} cannot be read: {detail}")
        }
    }
}

/// What is done next with it.
pub fn about_to(moved: &Move, deployment: &str, router: Option<&str>) -> Option<String> {
    let router = router.unwrap_or("the router");
    match moved {
        Move::Give { percent } => Some(format!("{router}: {} of the traffic to {deployment}", share(*percent))),
        Move::Restore => Some(format!("{router}: the weights of before")),
        Move::Make => Some(format!("deployment/{deployment} is made")),
        Move::Adapt => Some(format!("deployment/{deployment} is brought to what is recorded")),
        Move::Delete => Some(format!("deployment/{deployment} is deleted")),
        Move::Revoke => Some(format!("an emergency is in force: deployment/{deployment} gets the stable pods' values")),
        Move::Wait | Move::Done | Move::Failed(_) | Move::Blocked(_) | Move::Overtaken => None,
    }
}

/// What becomes of a canary.
#[derive(Debug, Clone, Serialize)]
pub struct CanaryChange {
    deployment: String,
    pods_before: u32,
    pods: u32,
    /// Of the traffic, where a router gives it, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    router: Option<String>,
}

impl CanaryChange {
    /// What this record makes of what was there.
    pub fn of(record: &CanaryRecord, before: &Workload) -> Self {
        let beside = before.beside.as_ref().filter(|beside| beside.is_ours);
        let found = beside.and_then(|beside| u32::try_from(beside.replicas.desired).ok());
        let router = record.route.as_ref().map(|route| route.router.object());
        Self {
            deployment: canary_of(&before.deployment),
            pods_before: found.unwrap_or_default(),
            pods: record.canary().map_or(0, |canary| canary.pods),
            percent: router.is_some().then(|| record.canary().and_then(|canary| canary.percent).unwrap_or_default()),
            router,
        }
    }

    /// Objects, and what becomes of each.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let deployment = format!("  deployment/{}", self.deployment);
        let pods = vec![deployment, "pods".to_owned(), format!("{} -> {}", self.pods_before, self.pods)];
        let traffic = self.router.iter().zip(self.percent).map(|(router, percent)| {
            let given =
                if percent > 0.0 { format!("{} to the canary", share(percent)) } else { "as before".to_owned() };
            vec![format!("  {router}"), "traffic".to_owned(), given]
        });
        std::iter::once(pods).chain(traffic).collect()
    }

    /// What is about to happen, in short.
    pub fn announced(&self) -> String {
        let given = self
            .percent
            .filter(|percent| *percent > 0.0)
            .map(|percent| format!(" and {} of the traffic", share(percent)));
        match self.pods {
            0 => "the canary goes".to_owned(),
            pods => format!("{}{}", plural(u64::from(pods), "canary pod"), given.unwrap_or_default()),
        }
    }
}

/// What a step has made of the canary.
pub fn entered(canary: &Canary, beside: &Workload) -> String {
    let stable = u32::try_from(beside.replicas.desired).unwrap_or_default();
    let runs = if canary.pods == 1 { "runs" } else { "run" };
    let pods = plural(u64::from(canary.pods), "canary pod");
    match canary.percent {
        Some(percent) => format!("{pods} {runs} it with {} of the traffic", share(percent)),
        None => format!("{pods} {runs} it beside {stable}, {} of all", share(by_pods(canary.pods, stable))),
    }
}

/// A part of the traffic, which is given in percent.
pub fn share(in_percent: f64) -> String {
    percent(in_percent / 100.0)
}
