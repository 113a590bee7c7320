//! Routes and plans on made-up rollouts: a table of where a promotion leads, and what holds for every plan.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::declaration::*;
use super::name::{BreakerName, FlagName, PhaseName};
use super::plan::{self, NothingToRollBack, Operation, Plan, Record};
use super::position::Emergency;
use super::replacement::Replacement;
use super::route::{Consent, Destination, Obstacle, Route};
use super::standing::Standing;
use super::template::Template;
use super::workload::{FlagSource, FlagValue, Pod, Replicas, Upkeep, Workload};
use crate::judge::condition::Encoding;

const BAKE: u64 = 100;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn operation(second: i64) -> Operation {
    Operation { id: format!("operation-{second}"), by: "alice".into(), at: at(second), reason: None, history: None }
}

pub fn flag(name: &str) -> FlagName {
    name.parse().unwrap()
}

/// off → cache (two steps) → http, with a setting for each breaker.
pub fn rollout() -> Rollout {
    let breaker = |name: &str| Breaker {
        name: name.parse().unwrap(),
        flag: flag(&format!("CB_{}", name.to_uppercase())),
        on: "true".into(),
        off: "false".into(),
        pattern: name.into(),
        health: None,
        settings: vec![flag(&format!("SET_{}", name.to_uppercase()))],
        never_for: vec![],
    };
    let phase = |name: &str, flags: &[(&str, &str)], steps: usize| Phase {
        name: name.parse().unwrap(),
        title: name.into(),
        high_risk: false,
        content: "content-1".into(),
        flags: flags.iter().map(|(name, value)| (flag(name), (*value).to_owned())).collect(),
        requires: vec![],
        steps: vec![
            Step {
                exposure: Exposure::Full,
                bake: Duration::from_secs(BAKE),
                target: None,
                flags: Flags::new(),
                gates: vec![],
            };
            steps
        ],
        gates: vec![],
        triggers: vec![],
    };
    Rollout {
        header: Header {
            name: "updog".into(),
            deployment: "web".into(),
            container: Some("app".into()),
            namespace: None,
            prometheus: PrometheusSource {
                url: None,
                ca_file: None,
                token_file: None,
                selector: BTreeMap::new(),
                allowed_warnings: vec![],
            },
            warm_up: Duration::ZERO,
            rollback_within: Duration::from_secs(300),
            router: None,
            freezes: vec![],
            indicators: Indicators::default(),
            breaker_metrics: Some(BreakerMetrics {
                requests: None,
                failures: None,
                state: StateSource::Values { gauge: "state".into(), encoding: Encoding::OF_LABELS },
                label: "breaker".into(),
            }),
            breakers: vec![breaker("cache"), breaker("http")],
        },
        phases: vec![
            phase("shadow", &[("CB_CACHE", "false"), ("CB_HTTP", "false")], 1),
            phase("cache", &[("CB_CACHE", "true"), ("SET_CACHE", "10")], 2),
            phase("http", &[("CB_HTTP", "true"), ("SET_HTTP", "5")], 1),
        ],
    }
}

pub fn workload(flags: &[(&str, FlagSource)]) -> Workload {
    let all = ["CB_CACHE", "CB_HTTP", "SET_CACHE", "SET_HTTP"];
    let absent = FlagSource::Value(FlagValue::Absent);
    let mut found: BTreeMap<FlagName, FlagSource> = all.iter().map(|name| (flag(name), absent.clone())).collect();
    found.extend(flags.iter().map(|(name, source)| (flag(name), source.clone())));
    Workload {
        namespace: "shop".into(),
        deployment: "web".into(),
        uid: "c0ffee".into(),
        container: "app".into(),
        resource_version: "1".into(),
        flags: found,
        environment: vec![],
        owned_elsewhere: BTreeMap::new(),
        position: None,
        emergency: None,
        pause: None,
        canary_record: None,
        beside: None,
        split: None,
        selector: BTreeMap::new(),
        fingerprint: "template-1".into(),
        sign_offs: BTreeMap::new(),
        template: Template::default(),
        replicas: Replicas { desired: 3, updated: 3, available: 3, total: 3, ..Replicas::default() },
        paused: false,
        pods: vec![],
        canary: vec![],
        memory_limit: None,
        replacement: Replacement::default(),
        upkeep: Upkeep::default(),
    }
}

/// A ready pod that tells nothing else of itself.
pub fn pod(name: &str) -> Pod {
    Pod {
        name: name.into(),
        template: "6f7d".into(),
        started: None,
        accepted: None,
        ready_since: None,
        ready: true,
        terminating: false,
        waiting: None,
        restarts: 0,
        flags: BTreeMap::new(),
    }
}

pub fn literal(value: &str) -> FlagSource {
    FlagSource::Value(FlagValue::Literal(value.into()))
}

pub fn all_off() -> Workload {
    workload(&[("CB_CACHE", literal("false")), ("CB_HTTP", literal("false"))])
}

/// What the API server makes of a plan.
pub fn apply(workload: &Workload, plan: &Plan) -> Workload {
    plan.outcome(workload)
}

/// What an emergency rollback makes of it.
pub fn switch_off(workload: &Workload, second: i64) -> Workload {
    let mut after = workload.clone();
    for (flag, value) in rollout().header.breakers_off() {
        after.flags.insert(flag, literal(&value));
    }
    after.emergency = Some(Emergency { at: at(second), operation: "emergency".into(), reason: None });
    after
}

/// One step on, whether gates would allow it or not.
pub fn promoted(workload: &Workload, second: i64) -> Workload {
    let route = Route::find(&rollout(), workload, None, Consent { adopt: true, ..Consent::default() }, at(second));
    match plan::promotion(&rollout(), workload, &route, &operation(second)) {
        Some(plan) => apply(workload, &plan),
        None => workload.clone(),
    }
}

fn route(workload: &Workload, target: &str, second: i64) -> Route {
    let target = rollout().index_of(&target.parse::<PhaseName>().unwrap());
    Route::find(&rollout(), workload, target, Consent::default(), at(second))
}

#[test]
fn a_promotion_leads_one_step_on() {
    let fresh = all_off();
    assert_eq!(route(&fresh, "shadow", 0).destination, Destination::Adopt { phase: 0 });
    assert!(matches!(route(&fresh, "cache", 0).obstacles[0], Obstacle::Skips { .. }));

    let shadow = promoted(&fresh, 0);
    assert!(matches!(route(&shadow, "shadow", 50).destination, Destination::Bake { phase: 0 }));
    assert!(matches!(route(&shadow, "cache", 50).obstacles[..], [Obstacle::Baking { .. }]));
    assert_eq!(route(&shadow, "shadow", 100).destination, Destination::Complete { phase: 0 });
    let entering = route(&shadow, "cache", 100);
    assert_eq!((entering.destination, entering.obstacles.len()), (Destination::Step { phase: 1, step: 0 }, 0));
    assert_eq!(entering.gates_of, Some(0), "the gates of the phase before");
    assert!(matches!(route(&shadow, "http", 100).obstacles[..], [Obstacle::Skips { .. }]));

    let cache = promoted(&shadow, 100);
    let inside = route(&cache, "cache", 200);
    assert_eq!((inside.destination, inside.gates_of), (Destination::Step { phase: 1, step: 1 }, Some(1)));
    assert!(matches!(route(&cache, "http", 200).obstacles[..], [Obstacle::StepsLeft { .. }]));
    assert_eq!(route(&cache, "shadow", 200).destination, Destination::Complete { phase: 0 });

    let http = promoted(&promoted(&cache, 200), 300);
    assert_eq!(route(&http, "http", 400).destination, Destination::Complete { phase: 2 });
    assert!(http.has(&rollout().flags_through(2)));
}

#[test]
fn flags_of_no_phase_are_taken_over_only_on_demand() {
    let strange = workload(&[("CB_CACHE", literal("maybe"))]);
    assert!(matches!(route(&strange, "shadow", 0).obstacles[..], [Obstacle::FlagsOfNoPhase { .. }]));
    let adopted = promoted(&strange, 0);
    assert!(adopted.has(&rollout().flags_through(0)));
}

#[test]
fn what_cannot_be_restored_or_would_come_back_holds() {
    let reference = FlagSource::Value(FlagValue::Reference("{}".into()));
    for source in [reference, FlagSource::Twice, FlagSource::MaybeFrom(vec!["configmap/flags".into()])] {
        let shadow = promoted(&all_off(), 0);
        let mut spoiled = shadow.clone();
        spoiled.flags.insert(flag("SET_CACHE"), source);
        let obstacles = route(&spoiled, "cache", 100).obstacles;
        assert!(matches!(obstacles[..], [Obstacle::Unmanageable { .. }]), "{obstacles:?}");
        let mut owned = shadow;
        owned.owned_elsewhere.insert(flag("CB_CACHE"), "argocd-controller".into());
        assert!(matches!(route(&owned, "cache", 100).obstacles[..], [Obstacle::OwnedElsewhere { .. }]));
    }
}

#[test]
fn drift_holds_until_it_is_accepted() {
    let mut drifted = promoted(&all_off(), 0);
    drifted.flags.insert(flag("CB_HTTP"), literal("true"));
    assert!(matches!(route(&drifted, "cache", 100).obstacles[..], [Obstacle::Drift { .. }]));
    let accepted = promoted(&drifted, 100);
    assert!(accepted.has(&rollout().flags_through(1)), "brought to the phase's flags");
    let back = plan::step_back(&accepted, &operation(200)).unwrap();
    assert_eq!(apply(&accepted, &back).flags, drifted.flags, "and restored exactly");
}

#[test]
fn accepted_drift_is_mended_even_where_there_is_no_step_to_take() {
    let http = promoted(&promoted(&promoted(&promoted(&all_off(), 0), 100), 200), 300);
    let mut drifted = http.clone();
    drifted.flags.insert(flag("SET_HTTP"), literal("99"));
    let mended = promoted(&drifted, 1_000);
    assert_eq!(mended.flags, http.flags);
}

#[test]
fn a_breaker_that_no_phase_so_far_speaks_of_must_not_be_on() {
    let mut silent = rollout();
    silent.phases[0].flags.remove(&flag("CB_HTTP"));
    let route = Route::find(&silent, &all_off(), None, Consent::default(), at(0));
    let plan = plan::promotion(&silent, &all_off(), &route, &operation(0)).unwrap();
    let mut touched = apply(&all_off(), &plan);
    assert!(Standing::of(&silent, &touched).drift.is_empty());
    touched.flags.insert(flag("CB_HTTP"), literal("true"));
    assert_eq!(Standing::of(&silent, &touched).drift.len(), 1);
}

#[test]
fn a_record_that_cannot_be_read_is_neither_overwritten_nor_taken_for_nothing() {
    let mut unreadable = promoted(&promoted(&all_off(), 0), 100);
    unreadable.position = Some(Err("not JSON".into()));
    assert_eq!(plan::step_back(&unreadable, &operation(200)), Err(NothingToRollBack::RecordUnreadable));
    let off = plan::breakers_off(&rollout(), &unreadable, &["cache".parse().unwrap()], &operation(200)).unwrap();
    assert_eq!(off.record, Record::Keep);
}

#[test]
fn after_an_emergency_the_rollout_stands_where_everything_is_off() {
    let cache = promoted(&promoted(&all_off(), 0), 100);
    let off = switch_off(&cache, 150);
    let standing = Standing::of(&rollout(), &off);
    assert_eq!(standing.place.as_ref().map(|place| place.phase), Some(0));
    assert!(standing.drift.is_empty() && standing.emergency);
    let again = route(&off, "cache", 160);
    assert_eq!((again.destination, again.obstacles.len()), (Destination::Step { phase: 1, step: 0 }, 0));
    let on = promoted(&off, 160);
    assert!(on.emergency.is_none() && on.has(&rollout().flags_through(1)));
    assert_eq!(plan::step_back(&off, &operation(170)), Err(NothingToRollBack::EmergencyInForce));
}

#[test]
fn one_breaker_off_leads_back_to_the_last_phase_without_it() {
    let http = promoted(&promoted(&promoted(&promoted(&all_off(), 0), 100), 200), 300);
    let breakers: Vec<BreakerName> = vec!["http".parse().unwrap()];
    let plan = plan::breakers_off(&rollout(), &http, &breakers, &operation(350)).unwrap();
    let after = apply(&http, &plan);
    let standing = Standing::of(&rollout(), &after);
    assert_eq!(standing.place.as_ref().map(|place| (place.phase, place.step)), Some((1, 1)));
    assert!(standing.drift.is_empty());
    assert_eq!(after.flags[&flag("CB_CACHE")], literal("true"));
    assert_eq!(plan::breakers_off(&rollout(), &after, &breakers, &operation(360)), Err(NothingToRollBack::AlreadyOff));
    assert_eq!(after.flags[&flag("SET_HTTP")], FlagSource::Value(FlagValue::Absent), "its settings are restored");
    assert_eq!(plan::step_back(&after, &operation(370)), Err(NothingToRollBack::NoEarlierStep), "only once");
    let back = apply(&after, &plan::back_to(&after, &"shadow".parse().unwrap(), &operation(380)).unwrap());
    assert_eq!(back.flags, all_off().flags, "but further if that is asked for");
}

#[test]
fn a_breaker_that_others_were_built_on_takes_them_along() {
    let http = promoted(&promoted(&promoted(&promoted(&all_off(), 0), 100), 200), 300);
    let plan = plan::breakers_off(&rollout(), &http, &["cache".parse().unwrap()], &operation(350)).unwrap();
    let after = apply(&http, &plan);
    assert_eq!(after.flags, all_off().flags);
    assert!(Standing::of(&rollout(), &after).drift.is_empty());
}

#[test]
fn a_phase_is_restored_as_it_was_left() {
    let shadow = promoted(&all_off(), 0);
    let cache = promoted(&promoted(&shadow, 100), 200);
    let http = promoted(&cache, 300);
    let to = |workload: &Workload, phase: &str| plan::back_to(workload, &phase.parse().unwrap(), &operation(400));
    let after = apply(&http, &to(&http, "cache").unwrap());
    assert_eq!(after.flags, cache.flags);
    assert_eq!(after.recorded_place(), cache.recorded_place());
    let after = apply(&http, &to(&http, "shadow").unwrap());
    assert_eq!((&after.flags, after.recorded_place()), (&shadow.flags, shadow.recorded_place()));
    assert_eq!(to(&after, "shadow"), Err(NothingToRollBack::AlreadyThere));
    assert_eq!(to(&after, "http"), Err(NothingToRollBack::NeverThere));
    assert_eq!(to(&switch_off(&http, 350), "cache"), Err(NothingToRollBack::EmergencyInForce));
}

#[test]
fn what_was_changed_before_an_emergency_is_restored_after_it() {
    let http = promoted(&promoted(&promoted(&promoted(&all_off(), 0), 100), 200), 300);
    let again = promoted(&switch_off(&http, 350), 400);
    let back = apply(&again, &plan::step_back(&again, &operation(500)).unwrap());
    assert_eq!(back.flags, all_off().flags);
}

#[test]
fn the_last_phase_without_a_breaker() {
    let off = |name: &str| Flags::from([(flag(name), "false".to_owned())]);
    assert_eq!(rollout().last_phase_without(&off("CB_CACHE")), Some(0));
    assert_eq!(rollout().last_phase_without(&off("CB_HTTP")), Some(1));
    assert_eq!(rollout().last_phase_without(&rollout().header.breakers_off()), Some(0));
}

fn any_source() -> impl Strategy<Value = FlagSource> {
    prop_oneof![Just(FlagSource::Value(FlagValue::Absent)), "(true|false|10|x)".prop_map(|value| literal(&value)),]
}

prop_compose! {
    /// A Deployment as somebody left it, some steps into the rollout.
    pub fn any_workload()(sources in proptest::collection::vec(any_source(), 4), steps in 0..5_i64) -> Workload {
        let names = ["CB_CACHE", "CB_HTTP", "SET_CACHE", "SET_HTTP"];
        let flags: Vec<_> = names.into_iter().zip(sources).collect();
        (0..steps).fold(workload(&flags), |workload, step| promoted(&workload, step * 1_000))
    }
}

proptest! {
    #[test]
    fn planning_again_after_applying_changes_no_flag(before in any_workload()) {
        let route = Route::find(&rollout(), &before, None, Consent { adopt: true, ..Consent::default() }, at(10_000));
        let Some(plan) = plan::promotion(&rollout(), &before, &route, &operation(10_000)) else { return Ok(()) };
        let after = apply(&before, &plan);
        let again = plan::promotion(&rollout(), &after, &route, &operation(10_001)).unwrap();
        prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
    }

    #[test]
    fn stepping_back_restores_every_flag_and_the_place(before in any_workload()) {
        let after = promoted(&before, 10_000);
        if after == before {
            return Ok(()); // The last phase was complete.
        }
        if let Ok(back) = plan::step_back(&after, &operation(10_001)) {
                let restored = apply(&after, &back);
                prop_assert_eq!(&restored.flags, &before.flags);
                prop_assert_eq!(Standing::of(&rollout(), &restored).place, Standing::of(&rollout(), &before).place);
                prop_assert_eq!(plan::step_back(&restored, &operation(10_002)), Err(NothingToRollBack::NoEarlierStep));
        } else {
            prop_assert_eq!(&after.flags, &before.flags, "there was nothing to take back");
        }
    }

    #[test]
    fn a_plan_touches_declared_flags_only(before in any_workload()) {
        let rollout = rollout();
        let declared: Vec<&FlagName> = rollout.header.declared_flags().collect();
        let route = Route::find(&rollout, &before, None, Consent { adopt: true, ..Consent::default() }, at(10_000));
        let promotion = plan::promotion(&rollout, &before, &route, &operation(10_000));
        let back = plan::step_back(&before, &operation(10_000)).ok();
        for plan in promotion.into_iter().chain(back) {
            prop_assert!(plan.changes.iter().all(|change| declared.contains(&&change.flag)));
        }
    }

    #[test]
    fn a_promotion_never_leads_further_than_one_phase(before in any_workload(), target in 0..3_usize) {
        let present = Standing::of(&rollout(), &before).place.map(|place| place.phase);
        let route = Route::find(&rollout(), &before, Some(target), Consent::default(), at(10_000));
        if let (Some(present), Destination::Step { phase, .. }) = (present, route.destination) {
            let skips = route.obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Skips { .. }));
            prop_assert!(phase <= present + 1 || skips);
        }
    }
}
