//! Each finding from the fact that causes it, and every form that a promotion can need.

use std::time::Duration;

use proptest::{prop_assert, prop_assert_eq, proptest};

use super::super::replacement::{Amount, Footprint, Limit, Replacement};
use super::super::route::Destination;
use super::super::template::{Revision, Template};
use super::super::tests::{all_off, at, flag, literal, operation, rollout, switch_off};
use super::*;

/// A Deployment of three pods that are ready after eight seconds.
fn ready(workload: Workload) -> Workload {
    let replacement = Replacement {
        readiness: Some(Duration::from_secs(8)),
        grace_period: Duration::from_secs(30),
        ..Replacement::default()
    };
    Workload { replacement, ..workload }
}

/// So many steps into the rollout, each of which has been baked.
fn promoted(steps: i64) -> Workload {
    (0..steps).fold(ready(all_off()), |workload, step| {
        let now = at(step * 1_000);
        let route = next_step(&rollout(), &workload, now);
        let plan = plan::promotion(&rollout(), &workload, &route, &operation(step * 1_000));
        plan.map_or(workload.clone(), |plan| plan.outcome(&workload))
    })
}

fn needed(workload: &Workload) -> Vec<Form> {
    forms(&rollout(), workload, &operation(9_000))
}

fn commands(workload: &Workload) -> Vec<String> {
    needed(workload).iter().map(|form| form.commands.join(", ")).collect()
}

/// Where everything is as it should be.
fn clear(forms: &[Form]) -> Surroundings {
    let permission = |verb, resource, for_history| (Permission { verb, resource, name: None, for_history }, Ok(true));
    Surroundings {
        answers: vec![Answer::Accepted; forms.len()],
        tried: vec![],
        permissions: vec![permission("patch", "deployments", false), permission("create", "configmaps", true)],
        quotas: Ok(vec![]),
        budgets: Ok(vec![]),
        autoscalers: Ok(vec![]),
        controllers: vec![Ok(vec![]), Ok(vec![])],
    }
}

fn judged(workload: &Workload, adapt: impl FnOnce(&mut Surroundings)) -> Rehearsal {
    let forms = needed(workload);
    let mut surroundings = clear(&forms);
    adapt(&mut surroundings);
    judge(&rollout(), workload, &[], only_forms(forms), surroundings, None)
}

fn only_forms(forms: Vec<Form>) -> Asked {
    Asked { forms, trials: vec![], canary: None, permissions: vec![] }
}

/// The only finding, and what it decides.
fn only(rehearsal: &Rehearsal) -> (&Finding, Outcome) {
    assert_eq!(rehearsal.findings.len(), 1, "{:?}", rehearsal.findings);
    (&rehearsal.findings[0], rehearsal.outcome())
}

fn unseen(forbidden: bool) -> Unseen {
    Unseen { resource: "resourcequotas", forbidden, message: "no".into() }
}

#[test]
fn with_nothing_in_the_way_it_passes() {
    let rehearsal = judged(&promoted(2), |_| ());
    assert_eq!((rehearsal.outcome(), &rehearsal.findings[..]), (Outcome::Proceed, &[][..]));
    let course = rehearsal.course.unwrap();
    assert_eq!((course.waves, course.expected.as_secs()), (3, 54), "one at once: 3 x 8 + 30");
}

#[test]
fn every_form_that_could_be_needed_and_each_patch_once() {
    let always = ["rollback --emergency", "rollback --restart"];
    assert_eq!(commands(&promoted(1)), always, "nothing to take back, and these always are");
    let of_the_step = "rollback, rollback --to shadow, rollback cache";
    let with = |forms: &[&'static str]| [&always[..1], forms, &always[1..]].concat();
    assert_eq!(commands(&promoted(2)), with(&[of_the_step]), "the step before is the only one");
    let of_several = ["rollback, rollback --to cache, rollback http", "rollback --to shadow, rollback cache"];
    assert_eq!(commands(&promoted(4)), with(&of_several));
    assert_eq!(commands(&switch_off(&promoted(4), 9)), always, "in force already");
}

#[test]
fn a_promotion_makes_the_present_template_the_one_before() {
    let mut shadow = promoted(1);
    let flags = shadow.flags.clone();
    let present = Revision { number: 3, hash: "4f7d".into(), template: "{}".into(), flags, differs_elsewhere: false };
    shadow.template = Template { revision: 3, present: Some(present), ..Template::default() };
    let cache = super::super::tests::promoted(&shadow, 1_000);
    assert_eq!(cache.template.previous.as_ref().map(|revision| revision.number), Some(3));
    assert!(commands(&cache).contains(&"rollback --undo".to_owned()), "{:?}", commands(&cache));
}

#[test]
fn a_breaker_that_the_phases_do_not_know_can_be_switched_off_as_well() {
    let mut strange = ready(all_off());
    strange.flags.insert(flag("CB_HTTP"), literal("maybe"));
    assert_eq!(commands(&strange), ["rollback --emergency", "rollback http", "rollback --restart"]);
    strange.flags.insert(flag("CB_HTTP"), FlagSource::Value(FlagValue::Absent));
    assert_eq!(commands(&strange), ["rollback --emergency", "rollback --restart"], "not set is off");
}

#[test]
fn the_next_step_is_the_one_after_the_bake_however_long_that_still_is() {
    let next = |workload: &Workload, second| next_step(&rollout(), workload, at(second)).destination;
    assert_eq!(next(&all_off(), 0), Destination::Adopt { phase: 0 });
    assert_eq!(next(&promoted(1), 1), Destination::Step { phase: 1, step: 0 }, "shadow has just begun");
    assert_eq!(next(&promoted(2), 1_001), Destination::Step { phase: 1, step: 1 });
    assert_eq!(next(&promoted(3), 2_001), Destination::Step { phase: 2, step: 0 });
    assert!(matches!(next(&promoted(4), 3_001), Destination::Bake { phase: 2 }), "the last one");
    assert_eq!(next(&promoted(4), 9_000), Destination::Complete { phase: 2 });
}

#[test]
fn a_rollback_that_the_server_would_not_take_holds() {
    let refused = |forbidden| Answer::Refused { forbidden, message: "denied".into() };
    let rehearsal = judged(&promoted(2), |seen| seen.answers[1] = refused(false));
    let commands = ["rollback", "rollback --to shadow", "rollback cache"].map(str::to_owned).to_vec();
    let finding = Finding::Refused { commands, message: "denied".into() };
    assert_eq!(only(&rehearsal), (&finding, Outcome::Held));
    assert_eq!(rehearsal.forms[1].1, refused(false), "told of the form that it was about");

    let rehearsal = judged(&promoted(2), |seen| seen.answers[0] = refused(true));
    assert!(matches!(only(&rehearsal), (Finding::Refused { .. }, Outcome::Held)), "an admission plugin");
    let rehearsal = judged(&promoted(2), |seen| seen.answers[0] = Answer::Failed { message: "503".into() });
    assert!(matches!(only(&rehearsal), (Finding::Unanswered { .. }, Outcome::Error)));
}

#[test]
fn a_missing_permission_holds_and_is_told_once() {
    let rehearsal = judged(&promoted(2), |seen| {
        seen.permissions[0].1 = Ok(false);
        seen.answers.fill(Answer::Refused { forbidden: true, message: "may not patch".into() });
    });
    let (finding, outcome) = only(&rehearsal);
    assert!(matches!(finding, Finding::NotAllowed { permission } if permission.verb == "patch"), "{finding:?}");
    assert_eq!(outcome, Outcome::Held);
    let rehearsal = judged(&promoted(2), |seen| seen.permissions[1].1 = Ok(false));
    assert!(matches!(only(&rehearsal), (Finding::NotAllowed { .. }, Outcome::Proceed)), "of the history: a note");
}

#[test]
fn what_cannot_be_seen_is_never_taken_for_nothing() {
    let spoil: [fn(&mut Surroundings, Unseen); 5] = [
        |seen, why| seen.permissions[0].1 = Err(why),
        |seen, why| seen.quotas = Err(why),
        |seen, why| seen.budgets = Err(why),
        |seen, why| seen.autoscalers = Err(why),
        |seen, why| seen.controllers[1] = Err(why),
    ];
    for (index, spoil) in spoil.into_iter().enumerate() {
        for (forbidden, outcome) in [(true, Outcome::Held), (false, Outcome::Error)] {
            let rehearsal = judged(&promoted(2), |seen| spoil(seen, unseen(forbidden)));
            let (finding, decided) = only(&rehearsal);
            assert!(matches!(finding, Finding::Unseen { .. }), "{index}: {finding:?}");
            assert_eq!(decided, outcome, "{index}");
        }
    }
}

#[test]
fn a_quota_has_to_leave_room_for_one_more_pod() {
    let with_room = |workload: &Workload, room: f64| {
        judged(workload, |seen| {
            let limits = vec![Limit { resource: "pods".into(), hard: 3.0 + room, used: 3.0 }];
            seen.quotas = Ok(vec![Quota { name: "compute".into(), limits }]);
        })
    };
    let mut workload = promoted(2);
    let no_room = Finding::NoRoom { quota: "compute".into(), resource: "pods".into() };
    assert_eq!(only(&with_room(&workload, 0.0)), (&no_room, Outcome::Held));
    assert_eq!(with_room(&workload, 1.0).findings, [], "as much as the surge");
    let strategy =
        |surge, unavailable| Strategy::Rolling { surge: Amount::Count(surge), unavailable: Amount::Count(unavailable) };
    workload.replacement.strategy = strategy(2, 1);
    assert_eq!(only(&with_room(&workload, 0.0)), (&no_room, Outcome::Held), "the controller would try all the same");
    let slower = with_room(&workload, 1.0);
    assert!(matches!(only(&slower), (Finding::LittleRoom { room: 1, surge: 2, .. }, Outcome::Proceed)));
    assert_eq!(slower.course.unwrap().waves, 2, "two at once instead of three");
    workload.replacement.strategy = strategy(0, 1);
    assert_eq!(with_room(&workload, 0.0).findings, [], "old pods go first");

    workload.replacement.footprint.unasked = ["requests.cpu".to_owned()].into();
    let cpu = Limit { resource: "cpu".into(), hard: 9.0, used: 0.0 };
    let quota = Quota { name: "cpu".into(), limits: vec![cpu] };
    let shut = judged(&workload, |seen| seen.quotas = Ok(vec![quota.clone()]));
    assert!(matches!(only(&shut), (Finding::ShutOut { .. }, Outcome::Held)), "room or not");
    workload.replicas.desired = 0;
    assert_eq!(judged(&workload, |seen| seen.quotas = Ok(vec![quota])).findings, [], "no pod has to change");
}

#[test]
fn what_is_applied_next_may_undo_a_rollback_or_the_promotion() {
    let applied = |flags: &[(&str, &str)]| {
        let mut workload = promoted(2);
        let value = |value: &str| FlagValue::Literal(value.into());
        workload.upkeep.applied = flags.iter().map(|(name, text)| (flag(name), value(text))).collect();
        judged(&workload, |_| ())
    };
    let on = applied(&[("CB_CACHE", "true")]);
    assert!(matches!(only(&on), (Finding::SwitchedOnByApply { .. }, Outcome::Held)));
    let later = applied(&[("CB_HTTP", "true")]);
    assert_eq!(later.outcome(), Outcome::Held, "even of a breaker that is not on yet: {:?}", later.findings);
    let off = applied(&[("CB_CACHE", "false"), ("SET_CACHE", "10"), ("CB_HTTP", "false")]);
    let taken_back = Finding::TakenBackByApply { flags: vec![flag("CB_CACHE")] };
    assert_eq!(only(&off), (&taken_back, Outcome::Proceed), "and of what is right already nothing");
    assert_eq!(applied(&[("SET_CACHE", "10")]).findings, []);
}

#[test]
fn whoever_else_has_a_say_is_told() {
    let mut workload = promoted(2);
    workload.upkeep.tools = vec!["Helm"];
    assert_eq!(only(&judged(&workload, |_| ())), (&Finding::ManagedBy { tool: "Helm" }, Outcome::Proceed));
    workload.owned_elsewhere.insert(flag("CB_CACHE"), "helm".into());
    assert_eq!(judged(&workload, |_| ()).findings, [], "the obstacle says it");

    let workload = promoted(2);
    let steered = judged(&workload, |seen| seen.controllers[0] = Ok(vec!["rollouts/web".into()]));
    assert_eq!(only(&steered), (&Finding::TwoControllers { object: "rollouts/web".into() }, Outcome::Held));
    let scaled = judged(&workload, |seen| {
        seen.autoscalers = Ok(vec![Autoscaler { name: "web".into(), most: 30, of_canary: false }]);
    });
    let (finding, outcome) = only(&scaled);
    assert!(matches!(finding, Finding::Autoscaled { course: Some(course), .. } if course.waves == 2), "{finding:?}");
    assert_eq!(outcome, Outcome::Proceed);
    let budget = Budget { name: "web".into(), disruptions_allowed: 0, of_stable: true, of_canary: true };
    let budgeted = judged(&workload, |seen| seen.budgets = Ok(vec![budget]));
    assert!(matches!(only(&budgeted), (Finding::Budget { .. }, Outcome::Proceed)));
    let recreate = Replacement { strategy: Strategy::Recreate, ..workload.replacement.clone() };
    let recreated = judged(&Workload { replacement: recreate, ..workload }, |_| ());
    assert_eq!(only(&recreated), (&Finding::AllAtOnce, Outcome::Proceed));
}

#[test]
fn of_the_obstacles_of_a_promotion_those_count_that_bar_the_way_back() {
    let workload = promoted(2);
    let forms = needed(&workload);
    let owned = Obstacle::OwnedElsewhere { flag: flag("CB_CACHE"), manager: "flux".into() };
    let obstacles = [Obstacle::Paused, owned, Obstacle::PhaseIncomplete { phase: "shadow".parse().unwrap() }];
    let rehearsal = judge(&rollout(), &workload, &obstacles, only_forms(forms.clone()), clear(&forms), None);
    assert_eq!((rehearsal.findings.len(), rehearsal.outcome()), (2, Outcome::Held));
}

#[test]
fn it_has_to_be_over_within_the_promised_time() {
    let mut workload = promoted(2);
    workload.replicas.desired = 40;
    let slow = Replacement { readiness: Some(Duration::from_secs(136)), ..workload.replacement.clone() };
    let rehearsal = judged(&Workload { replacement: slow, ..workload.clone() }, |_| ());
    assert!(matches!(only(&rehearsal), (Finding::TooSlow { .. }, Outcome::Held)), "2 x 136 + 30");
    let forms = needed(&workload);
    let past = Some(Duration::from_secs(301));
    let rehearsal = judge(&rollout(), &workload, &[], only_forms(forms.clone()), clear(&forms), past);
    assert!(matches!(only(&rehearsal), (Finding::TooSlow { .. }, Outcome::Held)), "as it was before");
    let unmeasured = Replacement { readiness: None, ..workload.replacement.clone() };
    let rehearsal = judged(&Workload { replacement: unmeasured, ..workload }, |_| ());
    assert_eq!(only(&rehearsal), (&Finding::Unmeasured, Outcome::Inconclusive));
}

#[test]
fn the_worst_comes_first() {
    let mut workload = promoted(2);
    workload.replacement = Replacement { strategy: Strategy::Recreate, ..Replacement::default() };
    workload.replacement.footprint = Footprint::default();
    let rehearsal = judged(&workload, |seen| {
        seen.quotas = Err(unseen(false));
        seen.controllers[0] = Ok(vec!["rollouts/web".into()]);
    });
    let outcomes: Vec<Outcome> = rehearsal.findings.iter().map(Finding::outcome).collect();
    assert_eq!(outcomes, [Outcome::Held, Outcome::Error, Outcome::Inconclusive, Outcome::Proceed]);
    assert_eq!(rehearsal.outcome(), Outcome::Held);
}

proptest! {
    #[test]
    fn every_form_is_made_for_the_version_that_is_there_and_switches_nothing_on(
        steps in 0..5_i64, drifted in proptest::option::of("(true|false)"),
    ) {
        let mut workload = promoted(steps);
        if let Some(value) = drifted {
            workload.flags.insert(flag("CB_HTTP"), literal(&value));
        }
        for Form { patch, .. } in needed(&workload) {
            let Patch::Restore(plan) = patch else { continue };
            prop_assert_eq!(&plan.resource_version, &workload.resource_version);
            let after = plan.outcome(&workload);
            for name in ["CB_CACHE", "CB_HTTP"] {
                let is_on = |workload: &Workload| workload.flags[&flag(name)] == literal("true");
                prop_assert!(is_on(&workload) || !is_on(&after), "{} switches {} on", steps, name);
            }
        }
    }
}
