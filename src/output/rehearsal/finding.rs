//! What was found in a rehearsal, in words: what each finding is about, and what lifts it.
//!
//! It does not know how a report is laid out.

use std::time::Duration;

use super::super::canary::share;
use super::super::obstacle::{obstacle, value_text};
use super::super::words::{duration, plural};
use crate::rollout::canary::canary_of;
use crate::rollout::name::FlagName;
use crate::rollout::rehearsal::{Action, Finding, Permission};
use crate::rollout::replacement::Course;
use crate::rollout::workload::Workload;

/// What a finding is about, and what it says.
pub(super) fn found(finding: &Finding, workload: &Workload) -> (String, String) {
    const ROLE: &str = "the role in README \"Permissions\" gives it";
    let namespace = &workload.namespace;
    let deployment = || format!("deployment/{}", workload.deployment);
    match finding {
        Finding::Refused { commands, message } => {
            (commands.join(", "), format!("refused: {message}: change what refuses it, before it is needed"))
        }
        Finding::Unanswered { commands, message } => (commands.join(", "), format!("{message}: try again")),
        Finding::CanaryRefused { trial, message } => {
            let cannot = done(trial.action);
            (trial.object.clone(), format!("cannot {cannot}: {message}: change what refuses it, before it is needed"))
        }
        Finding::CanaryUnanswered { trial, message } => {
            (trial.object.clone(), format!("whether it can {} is not known: {message}: try again", done(trial.action)))
        }
        Finding::NotAllowed { permission: Permission { verb, resource, name, for_history } } => {
            let consequence = if *for_history { ", or nothing remembers a rollback" } else { "" };
            let of = name.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
            let needs = format!("needs `{verb}` on {resource} in namespace {namespace}{of}: {ROLE}{consequence}");
            ("permissions".to_owned(), needs)
        }
        Finding::Unseen { resource, forbidden: true, .. } => (
            (*resource).to_owned(),
            format!("needs `{}` on {resource} in namespace {namespace}: {ROLE}", looking(resource)),
        ),
        Finding::Unseen { resource, message, .. } => ((*resource).to_owned(), format!("{message}: try again")),
        Finding::Obstacle { obstacle: barred } => (deployment(), obstacle(barred)),
        Finding::NoRoom { quota, resource } => (
            format!("resourcequota/{quota}"),
            format!(
                "{resource}: no room for one more pod: raise it, or let old ones go first (maxSurge 0, maxUnavailable 1)"
            ),
        ),
        Finding::NoRoomForCanary { quota, resource, room, pods, surge } => {
            let beside = if *surge > 0 { " beside a rollback" } else { "" };
            let all = pods + surge;
            let text = format!("{resource}: room for {room} of the {all} more that a canary{beside} takes: raise it");
            (format!("resourcequota/{quota}"), text)
        }
        Finding::CanaryAutoscaled { name } => (
            format!("horizontalpodautoscaler/{name}"),
            format!(
                "would change the number of pods of deployment/{}: take it away first",
                canary_of(&workload.deployment)
            ),
        ),
        Finding::ShutOut { quota, resource } => (
            format!("resourcequota/{quota}"),
            format!(
                "counts {resource}, which not every container asks for: no new pod is let in until the template does"
            ),
        ),
        Finding::LittleRoom { quota, resource, room, surge } => (
            format!("resourcequota/{quota}"),
            format!(
                "{resource}: room for {room} of the {} that a rolling update adds: slower",
                plural(u64::from(*surge), "pod")
            ),
        ),
        Finding::SwitchedOnByApply { flag, value, off } => (
            deployment(),
            format!(
                "the next kubectl apply sets {flag} to {} again: apply a manifest without it, or with {off:?}",
                value_text(value)
            ),
        ),
        Finding::TakenBackByApply { flags } => {
            (deployment(), format!("the next kubectl apply takes the promotion back: {}", names(flags)))
        }
        Finding::ManagedBy { tool } => {
            (deployment(), format!("{tool} manages it and owns none of the flags: keep them out of what it applies"))
        }
        Finding::TwoControllers { object } => {
            (object.clone(), format!("steers deployment/{} as well: take it away first", workload.deployment))
        }
        Finding::Autoscaled { name, most, counts_canary, course } => {
            (format!("horizontalpodautoscaler/{name}"), autoscaled(*most, *counts_canary, course.as_ref()))
        }
        Finding::Budget { name, disruptions_allowed, of_canary } => {
            let counts = if *of_canary { "; it counts the canary's pods as well" } else { "" };
            (
                format!("poddisruptionbudget/{name}"),
                format!("lets {disruptions_allowed} pods be evicted: a rolling update does not ask it{counts}"),
            )
        }
        Finding::AllAtOnce => {
            (deployment(), "strategy Recreate: every change, a rollback too, stops all pods at once".to_owned())
        }
        Finding::TooSlow { course, within } => ("time".to_owned(), too_slow(course, *within)),
        Finding::Unmeasured => {
            ("time".to_owned(), "no pod tells how long it takes to be ready: once one is ready it does".to_owned())
        }
    }
}

/// The verb by which a resource is looked at.
fn looking(resource: &str) -> &'static str {
    if resource == "selfsubjectaccessreviews" { "create" } else { "list" }
}

fn names(flags: &[FlagName]) -> String {
    flags.iter().map(FlagName::as_str).collect::<Vec<_>>().join(", ")
}

/// What an autoscaler does to the pods, and to the share of a canary beside them.
fn autoscaled(most: u32, counts_canary: bool, course: Option<&Course>) -> String {
    let then = course.map(|course| format!(": then about {}", duration(course.expected))).unwrap_or_default();
    let counts = match counts_canary {
        true => {
            "; it counts the canary's pods among the stable ones, and whenever it scales those, the canary's part of all \
             pods is another"
        }
        false => "",
    };
    format!("may make it {}{then}{counts}", plural(u64::from(most), "pod"))
}

fn too_slow(course: &Course, within: Duration) -> String {
    let (expected, within) = (duration(course.expected), duration(within));
    match course.waves {
        0 => format!(
            "about {expected} until the canary's pods have ended, {within} at most: shorten \
             terminationGracePeriodSeconds, or raise rollback_within"
        ),
        waves => format!(
            "about {expected} ({} of {}), {within} at most: raise maxSurge, make pods ready sooner, or raise \
             rollback_within",
            plural(u64::from(waves), "wave"),
            duration(course.wave)
        ),
    }
}

/// What a permission is for: `deployments/web-canary`, or the kind alone.
pub(super) fn object(permission: &Permission) -> String {
    let name = permission.name.iter().map(|name| format!("/{name}"));
    std::iter::once(permission.resource.to_owned()).chain(name).collect()
}

/// What can be done, after "can" and "cannot".
pub(super) fn done(action: Action) -> String {
    match action {
        Action::Make => "be made".to_owned(),
        Action::Adapt => "be changed".to_owned(),
        Action::Give { percent } => format!("give {} to the canary", share(percent)),
        Action::SwitchOff => "be switched off".to_owned(),
        Action::Restore => "get its weights back".to_owned(),
        Action::Delete => "be deleted".to_owned(),
    }
}
