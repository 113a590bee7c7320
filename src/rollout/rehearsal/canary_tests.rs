//! What is tried of a canary, what it needs, and each finding about it from the fact that causes it.

use std::time::Duration;

use super::super::canary::{Beside, CanaryTrouble};
use super::super::declaration::{Check, Exposure, Gate, Probe, Requirement, Step};
use super::super::replacement::{Amount, Limit, Replacement};
use super::super::router::{Backends, Router, RouterKind, Split, Weights};
use super::super::tests::{all_off, at, literal, operation, pod, promoted as next, rollout as plain};
use super::super::workload::Replicas;
use super::*;

/// Two canary steps before the last one of the cache's phase.
fn rollout() -> Rollout {
    let mut rollout = plain();
    let full = rollout.phases[1].steps.pop().unwrap();
    rollout.phases[1].steps = vec![
        Step { exposure: Exposure::Pods(1), ..full.clone() },
        Step { exposure: Exposure::Pods(2), ..full.clone() },
        full,
    ];
    rollout
}

fn routed() -> Rollout {
    let mut rollout = rollout();
    let kind = RouterKind::HttpRoute(Backends { stable: "web".into(), canary: "web-canary".into() });
    rollout.header.router = Some(Router { name: "public".into(), kind, canary_labels: [].into() });
    rollout
}

/// Three pods in the first phase, which has been baked.
fn shadow() -> Workload {
    let replacement = Replacement {
        readiness: Some(Duration::from_secs(8)),
        grace_period: Duration::from_secs(30),
        ..Replacement::default()
    };
    next(&Workload { replacement, ..all_off() }, 0)
}

fn split(percent: f64) -> Split {
    let weights = Weights(percent.to_string());
    Split { resource_version: "1".into(), percent, weights }
}

/// The promotion of a workload, and what it makes of it.
fn promotion(rollout: &Rollout, workload: &Workload, second: i64) -> (Option<Plan>, Workload) {
    let route = next_step(rollout, workload, at(second));
    let plan = plan::promotion(rollout, workload, &route, &operation(second));
    let promoted = plan.as_ref().map_or_else(|| workload.clone(), |plan| plan.outcome(workload));
    (plan, promoted)
}

fn asked_of(rollout: &Rollout, workload: &Workload, second: i64) -> (Asked, Workload) {
    let (plan, promoted) = promotion(rollout, workload, second);
    (asked(rollout, workload, &promoted, plan.as_ref(), &operation(9_000)), promoted)
}

/// Its canary runs as recorded, and the router gives it its part.
fn arrived(mut promoted: Workload) -> Workload {
    let mut record = promoted.recorded_canary().unwrap().clone();
    let super::super::canary::Aim::Runs(canary) = &mut record.aim else { panic!("none is to run") };
    canary.arrived = true;
    promoted.beside = Some(Beside {
        is_ours: true,
        template: Some(canary.template.clone()),
        flags: canary.flags.iter().map(|(flag, value)| (flag.clone(), FlagSource::Value(value.clone()))).collect(),
        replicas: Replicas { desired: i32::try_from(canary.pods).unwrap(), ..Replicas::default() },
        ..Beside::default()
    });
    if let Some(percent) = canary.percent {
        promoted.split = Some(Ok(split(percent)));
    }
    promoted.canary = vec![pod("web-canary-5f-abcde"); canary.pods as usize];
    promoted.canary_record = Some(Ok(record));
    promoted
}

fn told(trials: &[Trial]) -> Vec<String> {
    trials.iter().map(|trial| format!("{} {:?}", trial.object, trial.action)).collect()
}

#[test]
fn what_a_step_does_to_its_canary_is_tried_and_so_is_taking_it_away() {
    let (first, promoted) = asked_of(&rollout(), &shadow(), 1_000);
    assert_eq!(told(&first.trials), ["deployment/web-canary Make"]);
    let ways = ["deployment/web-canary SwitchOff", "deployment/web-canary Delete"];
    let (second, promoted) = asked_of(&rollout(), &arrived(promoted), 2_000);
    assert_eq!(told(&second.trials), [&["deployment/web-canary Adapt"][..], &ways].concat());
    let (full, _) = asked_of(&rollout(), &arrived(promoted), 3_000);
    assert_eq!(told(&full.trials), ways, "which are the step's own");
    let (none, _) = asked_of(&plain(), &shadow(), 1_000);
    assert_eq!((none.trials.len(), none.permissions.len()), (0, 0));
}

#[test]
fn what_a_router_is_asked_is_tried_as_well() {
    let (first, promoted) = asked_of(&routed(), &Workload { split: Some(Ok(split(0.0))), ..shadow() }, 1_000);
    assert_eq!(told(&first.trials), ["deployment/web-canary Make", "httproute/public Give { percent: 25.0 }"]);
    let (second, _) = asked_of(&routed(), &arrived(promoted), 2_000);
    let told = told(&second.trials);
    assert_eq!(told[..2], ["deployment/web-canary Adapt", "httproute/public Give { percent: 40.0 }"]);
    assert_eq!(told[4], "httproute/public Restore");
}

#[test]
fn a_canary_that_is_not_ours_or_about_to_go_is_not_touched() {
    let stranger = Workload { beside: Some(Beside::default()), ..shadow() };
    assert_eq!(asked_of(&rollout(), &stranger, 1_000).0.trials, []);
    let going = Workload { beside: Some(Beside { is_ours: true, terminating: true, ..Beside::default() }), ..shadow() };
    assert_eq!(asked_of(&rollout(), &going, 1_000).0.trials, []);
}

#[test]
fn every_way_back_from_a_canary_is_rehearsed() {
    let commands = |asked: &Asked| -> Vec<String> {
        asked.forms.iter().map(|form| form.commands.join(", ")).filter(|told| !told.contains("--")).collect()
    };
    let all = |asked: &Asked| asked.forms.iter().flat_map(|form| form.commands.clone()).collect::<Vec<_>>();
    let (first, promoted) = asked_of(&rollout(), &shadow(), 1_000);
    let of_the_step = "rollback, rollback --to shadow, rollback cache, abort";
    assert!(first.forms.iter().any(|form| form.commands.join(", ") == of_the_step), "{:?}", all(&first));
    let (second, promoted) = asked_of(&rollout(), &arrived(promoted), 2_000);
    assert_eq!(commands(&second), ["rollback"], "to one pod again; all others lead back to shadow");
    assert!(all(&second).contains(&"abort".to_owned()));
    let (full, _) = asked_of(&rollout(), &arrived(promoted), 3_000);
    assert!(!all(&full).contains(&"abort".to_owned()), "none is left by then");
}

#[test]
fn a_canary_takes_permissions_of_its_own() {
    let needed = |rollout: &Rollout, workload: &Workload| -> Vec<String> {
        let told = |permission: Permission| {
            [permission.verb, permission.resource, &permission.name.unwrap_or_default()].join(" ").trim().to_owned()
        };
        asked_of(rollout, workload, 1_000).0.permissions.into_iter().map(told).collect()
    };
    let of_canary = ["get", "patch", "delete"].map(|verb| format!("{verb} deployments web-canary"));
    let mut all = vec!["create deployments".to_owned()];
    all.extend(of_canary);
    assert_eq!(needed(&rollout(), &shadow()), all, "already in the phase before");
    let recorded = promotion(&rollout(), &shadow(), 1_000).1;
    assert_eq!(needed(&plain(), &recorded), all, "of one that is not declared any more");
    all.extend(["get httproutes public", "patch httproutes public"].map(str::to_owned));
    assert_eq!(needed(&routed(), &shadow()), all);

    let mut checked = plain();
    let probe = Probe::Command(vec!["./smoke.sh".into()]);
    checked.phases[2].gates = vec![Gate::Check(Check { probe, timeout: Duration::from_secs(1) })];
    assert_eq!(needed(&checked, &shadow()), Vec::<String>::new(), "a program asks nobody");
    let probe = Probe::Http { path: "/readinessz".into(), port: None };
    checked.phases[1].requires = vec![Requirement::Check(Check { probe, timeout: Duration::from_secs(1) })];
    assert_eq!(needed(&checked, &shadow()), ["get pods/proxy"]);
}

/// What is found when the first canary is to be made of this, in these surroundings.
fn judged(workload: &Workload, adapt: impl FnOnce(&mut Surroundings)) -> Rehearsal {
    let (asked, promoted) = asked_of(&rollout(), workload, 1_000);
    let mut surroundings = Surroundings {
        answers: vec![Answer::Accepted; asked.forms.len()],
        tried: vec![Answer::Accepted; asked.trials.len()],
        permissions: vec![],
        quotas: Ok(vec![]),
        budgets: Ok(vec![]),
        autoscalers: Ok(vec![]),
        controllers: vec![],
    };
    adapt(&mut surroundings);
    judge(&rollout(), &promoted, &[], asked, surroundings, Some(Duration::from_secs(200)))
}

fn only(rehearsal: &Rehearsal) -> (&Finding, Outcome, bool) {
    assert_eq!(rehearsal.findings.len(), 1, "{:?}", rehearsal.findings);
    (&rehearsal.findings[0], rehearsal.outcome(), rehearsal.findings[0].is_of_the_step())
}

#[test]
fn with_nothing_in_the_way_only_its_own_pods_have_to_end() {
    let rehearsal = judged(&shadow(), |_| ());
    assert_eq!((rehearsal.outcome(), &rehearsal.findings[..]), (Outcome::Proceed, &[][..]));
    let course = rehearsal.course.unwrap();
    assert_eq!((course.waves, course.expected.as_secs()), (0, 30), "and no stable pod, however long that took before");
    let mut http = rollout();
    let one = Step { exposure: Exposure::Pods(1), ..http.phases[2].steps[0].clone() };
    http.phases[2].steps.insert(0, one);
    let on = next(&next(&next(&shadow(), 1_000), 2_000), 3_000);
    assert_eq!(on.flags[&super::super::tests::flag("CB_CACHE")], literal("true"));
    let forms = forms(&http, &on, &operation(9_000));
    assert_eq!(canary::course(&on, &forms), None, "an emergency replaces every pod that runs a breaker");
}

#[test]
fn a_canary_that_the_server_would_not_take_holds() {
    let denied = |forbidden| Answer::Refused { forbidden, message: "denied".into() };
    let refused = judged(&shadow(), |seen| seen.tried[0] = denied(true));
    let trial = Trial { object: "deployment/web-canary".into(), action: Action::Make };
    let finding = Finding::CanaryRefused { trial, message: "denied".into() };
    assert_eq!(only(&refused), (&finding, Outcome::Held, true));
    let failed = judged(&shadow(), |seen| seen.tried[0] = Answer::Failed { message: "503".into() });
    assert!(matches!(only(&failed), (Finding::CanaryUnanswered { .. }, Outcome::Error, true)));
    let not_allowed = judged(&shadow(), |seen| {
        let permission = Permission { verb: "create", resource: "deployments", name: None, for_history: false };
        seen.permissions = vec![(permission, Ok(false))];
        seen.tried[0] = denied(true);
    });
    assert!(matches!(only(&not_allowed), (Finding::NotAllowed { .. }, Outcome::Held, true)), "told once");
}

#[test]
fn a_quota_has_to_have_room_for_it_beside_a_rollback() {
    let with = |workload: &Workload, resource: &str, room: f64| {
        judged(workload, |seen| {
            let limits = vec![Limit { resource: resource.into(), hard: 9.0 + room, used: 9.0 }];
            seen.quotas = Ok(vec![Quota { name: "compute".into(), limits }]);
        })
    };
    let mut workload = shadow();
    for (room, surge, found) in [
        (0.0, 1, "NoRoomForCanary"),
        (1.0, 1, "NoRoomForCanary"),
        (2.0, 1, ""),
        (2.0, 2, "LittleRoom"),
        (3.0, 2, ""),
        (0.0, 0, "NoRoomForCanary"),
        (1.0, 0, ""),
    ] {
        let unavailable = Amount::Count(1);
        workload.replacement.strategy = Strategy::Rolling { surge: Amount::Count(surge), unavailable };
        let findings = with(&workload, "pods", room).findings;
        let told: Vec<String> = findings.iter().map(|finding| format!("{finding:?}")).collect();
        assert_eq!(told.len(), usize::from(!found.is_empty()), "{room} {surge}: {told:?}");
        assert!(told.iter().all(|told| told.starts_with(found)), "{room} {surge}: {told:?}");
    }
    let sets = with(&shadow(), "count/replicasets.apps", 0.0);
    assert!(matches!(only(&sets), (Finding::NoRoomForCanary { .. }, Outcome::Held, true)));
    assert_eq!(with(&shadow(), "count/replicasets.apps", 1.0).findings, []);
}

#[test]
fn only_pods_that_it_does_not_have_yet_need_room() {
    let first = promotion(&rollout(), &shadow(), 1_000).1;
    assert_eq!(canary::added_pods(&first), 1);
    let running = arrived(first);
    assert_eq!(canary::added_pods(&running), 0, "it runs");
    let mut second = promotion(&rollout(), &running, 2_000).1;
    assert_eq!(canary::added_pods(&second), 1, "the second one");
    second.beside.as_mut().unwrap().template = Some("older".into());
    assert_eq!(canary::added_pods(&second), 2, "and one more while both are replaced");
}

#[test]
fn who_else_counts_its_pods_is_told() {
    let scaler = |of_canary| Autoscaler { name: "web".into(), most: 9, of_canary };
    let foreign = judged(&shadow(), |seen| seen.autoscalers = Ok(vec![scaler(true)]));
    assert_eq!(only(&foreign), (&Finding::CanaryAutoscaled { name: "web".into() }, Outcome::Held, true));
    let common = judged(&shadow(), |seen| seen.autoscalers = Ok(vec![scaler(false)]));
    assert!(matches!(only(&common), (Finding::Autoscaled { counts_canary: true, .. }, Outcome::Proceed, _)));
    let budget = |of_stable, of_canary| {
        let budget = Budget { name: "web".into(), disruptions_allowed: 1, of_stable, of_canary };
        judged(&shadow(), |seen| seen.budgets = Ok(vec![budget]))
    };
    assert!(matches!(only(&budget(true, true)).0, Finding::Budget { of_canary: true, .. }));
    assert!(matches!(only(&budget(true, false)).0, Finding::Budget { of_canary: false, .. }), "a label of its own");
    assert!(matches!(only(&budget(false, true)).0, Finding::Budget { of_canary: true, .. }));
}

#[test]
fn what_is_wrong_with_it_in_itself_is_an_obstacle_here_too() {
    let stranger = Workload { beside: Some(Beside::default()), ..shadow() };
    let route = next_step(&rollout(), &stranger, at(1_000));
    let (asked, promoted) = asked_of(&rollout(), &stranger, 1_000);
    let surroundings = Surroundings {
        answers: vec![Answer::Accepted; asked.forms.len()],
        tried: vec![],
        permissions: vec![],
        quotas: Ok(vec![]),
        budgets: Ok(vec![]),
        autoscalers: Ok(vec![Autoscaler { name: "web".into(), most: 9, of_canary: true }]),
        controllers: vec![],
    };
    let rehearsal = judge(&rollout(), &promoted, &route.obstacles, asked, surroundings, None);
    let (finding, outcome, _) = only(&rehearsal);
    let stranger =
        |obstacle: &Obstacle| matches!(obstacle, Obstacle::Canary { detail: CanaryTrouble::Stranger { .. }, .. });
    assert!(matches!(finding, Finding::Obstacle { obstacle } if stranger(obstacle)), "{finding:?}");
    assert_eq!(outcome, Outcome::Held);
}
