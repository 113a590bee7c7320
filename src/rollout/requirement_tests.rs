//! Tables of what holds a promotion up before any sample is looked at, on made-up rollouts.

use std::time::Duration;

use super::decision::{self, Checked, Given, Outcome, Tried};
use super::declaration::{Check, Gate, Probe, RequiredSignOff, Requirement, Rollout};
use super::freeze::Freeze;
use super::plan;
use super::position::Pause;
use super::requirement::last_trouble;
use super::route::{Consent, Obstacle, Route};
use super::tests::{all_off, apply, at, operation, promoted, rollout, switch_off};
use super::workload::Workload;
use crate::judge::condition::{Condition, Measure, Role, Share};
use crate::judge::verdict::{Gap, Judgement};

const WEEK: u64 = 7 * 86_400;

/// The phase http asks for a week of cache, or of another phase.
fn after_a_week_of(phase: &str) -> Rollout {
    let mut rollout = rollout();
    let complete_for = Duration::from_secs(WEEK);
    rollout.phases[2].requires = vec![Requirement::Phase { phase: phase.parse().unwrap(), complete_for }];
    rollout
}

fn route(rollout: &Rollout, workload: &Workload, second: i64) -> Route {
    Route::find(rollout, workload, Some(2), Consent::default(), at(second))
}

/// For how long the phase has been complete in peace, in the eyes of whoever wants to enter http.
fn have(phase: &str, workload: &Workload, second: i64) -> Option<u64> {
    let obstacles = route(&after_a_week_of(phase), workload, second).obstacles;
    obstacles.iter().find_map(|obstacle| {
        if let Obstacle::CompleteFor { have, .. } = obstacle { Some(have.as_secs()) } else { None }
    })
}

/// In shadow at 0, in cache at 100, at its last step at 200, complete at 300.
fn cache() -> Workload {
    promoted(&promoted(&promoted(&all_off(), 0), 100), 200)
}

#[test]
fn only_time_in_peace_counts() {
    let cache = cache();
    let back =
        |workload: &Workload, second: i64| apply(workload, &plan::step_back(workload, &operation(second)).unwrap());
    let cases = [
        ("complete and never troubled", cache.clone(), "cache", 1_000, Some(700)),
        ("its bake is no part of it", cache.clone(), "cache", 250, Some(0)),
        ("a phase before it, from when it was left", cache.clone(), "shadow", 1_000, Some(900)),
        ("a rollback from http", back(&promoted(&cache, 400), 500), "cache", 1_000, Some(500)),
        ("which a phase before it feels as well", back(&promoted(&cache, 400), 500), "shadow", 1_000, Some(500)),
        (
            "a rollback stays known after the next promotion",
            promoted(&back(&cache, 5_000), 6_000),
            "shadow",
            6_500,
            Some(1_500),
        ),
        ("enough", cache.clone(), "cache", 300 + i64::try_from(WEEK).unwrap(), None),
    ];
    for (name, workload, phase, second, expected) in cases {
        assert_eq!(have(phase, &workload, second), expected, "{name}");
    }
}

#[test]
fn an_emergency_is_trouble_and_stays_known_when_it_is_accepted() {
    let off = switch_off(&cache(), 1_000);
    assert_eq!(last_trouble(&off), Some(at(1_000)));
    let on_again = promoted(&off, 2_000);
    assert!(on_again.emergency.is_none());
    assert_eq!(last_trouble(&on_again), Some(at(1_000)));
    assert_eq!(last_trouble(&promoted(&on_again, 3_000)), Some(at(1_000)));
    assert_eq!(last_trouble(&cache()), None);
}

#[test]
fn a_record_of_an_earlier_version_says_what_it_can() {
    let mut back = apply(&cache(), &plan::step_back(&cache(), &operation(500)).unwrap());
    let position = back.position.as_mut().unwrap().as_mut().unwrap();
    position.troubled = None;
    let text = serde_json::to_string(position).unwrap();
    assert!(!text.contains("troubled"), "{text}");
    assert_eq!(serde_json::from_str::<super::position::Position>(&text).unwrap(), *position);
    assert_eq!(last_trouble(&back), Some(at(500)));
}

#[test]
fn time_counts_from_when_a_trigger_has_fired_last() {
    let rollout = after_a_week_of("cache");
    let cache = cache();
    let week = i64::try_from(WEEK).unwrap();
    for (name, second, fired, expected) in [
        ("while it fires no time counts", 1_000, 1_000, vec![0]),
        ("since it has become quiet", 1_000, 900, vec![100]),
        ("what was while it still baked does not count anyway", 1_000, 200, vec![700]),
        ("it fires long after", 2 * week, 2 * week, vec![0]),
        ("it has fired in the week", 2 * week, week + 1, vec![WEEK - 1]),
        ("and before it", 2 * week, week, vec![]),
    ] {
        let mut route = route(&rollout, &cache, second);
        super::requirement::count_from(&rollout, &mut route, at(fired), at(second));
        let have = |obstacle: &Obstacle| {
            if let Obstacle::CompleteFor { have, .. } = obstacle { have.as_secs() } else { panic!("{obstacle:?}") }
        };
        assert_eq!(route.obstacles.iter().map(have).collect::<Vec<_>>(), expected, "{name}");
    }
    let mut triggers_only = route(&rollout, &cache, 2 * week).without_gates();
    super::requirement::count_from(&rollout, &mut triggers_only, at(2 * week), at(2 * week));
    assert!(triggers_only.obstacles.is_empty(), "a rollback asks for nothing");
    let shadow = promoted(&all_off(), 0);
    let mut too_early = route(&rollout, &shadow, 100);
    let before = too_early.obstacles.clone();
    super::requirement::count_from(&rollout, &mut too_early, at(100), at(100));
    assert_eq!(too_early.obstacles, before, "a phase that is not complete stays so");
}

#[test]
fn a_phase_asks_for_signatures_of_what_its_file_says_now() {
    let mut rollout = rollout();
    let name = "reviewed".parse().unwrap();
    let required = RequiredSignOff { name, valid_for: Some(Duration::from_secs(1_000)) };
    rollout.phases[2].requires = vec![Requirement::SignOff(required.clone())];
    let mut workload = cache();
    let unsigned = |rollout: &Rollout, workload: &Workload, second| {
        let obstacles = route(rollout, workload, second).obstacles;
        serde_json::to_value(obstacles).unwrap()[0]["signed"]["state"].as_str().map(str::to_owned)
    };
    assert_eq!(unsigned(&rollout, &workload, 1_000).as_deref(), Some("nobody"));
    let contents = super::sign_off::contents(&rollout, &required.name);
    let word = super::position::SignOff { by: "bob".into(), at: at(1_000), reason: None, contents };
    workload.sign_offs.insert(required.name.clone(), word);
    assert_eq!(unsigned(&rollout, &workload, 1_500), None);
    assert_eq!(unsigned(&rollout, &workload, 2_000).as_deref(), Some("expired"));
    rollout.phases[2].content = "content-2".into();
    assert_eq!(unsigned(&rollout, &workload, 1_500).as_deref(), Some("changed"));
}

#[test]
fn the_first_phase_asks_as_well_however_it_is_entered() {
    let mut rollout = rollout();
    let name: super::name::SignOffName = "kicked-off".parse().unwrap();
    let required = RequiredSignOff { name: name.clone(), valid_for: None };
    rollout.phases[0].requires = vec![Requirement::SignOff(required), Requirement::Check(check("./smoke.sh"))];
    let mut of_no_phase = all_off();
    of_no_phase.flags.insert(super::tests::flag("CB_CACHE"), super::tests::literal("true"));
    for mut workload in [all_off(), of_no_phase] {
        let consent = Consent { adopt: true, ..Consent::default() };
        let find = |workload: &Workload| Route::find(&rollout, workload, Some(0), consent, at(0));
        assert!(matches!(find(&workload).obstacles[..], [Obstacle::Unsigned { .. }]));
        assert_eq!(super::requirement::checks(&rollout, &find(&workload)).count(), 1);
        let contents = super::sign_off::contents(&rollout, &name);
        let word = super::position::SignOff { by: "bob".into(), at: at(0), reason: None, contents };
        workload.sign_offs.insert(name.clone(), word);
        assert_eq!(find(&workload).obstacles, []);
    }
}

#[test]
fn a_high_risk_needs_a_yes_at_every_step_and_nothing_else_does() {
    let mut rollout = rollout();
    rollout.phases[1].high_risk = true;
    let shadow = promoted(&all_off(), 0);
    let cache_1 = promoted(&shadow, 100);
    let yes = Consent { high_risk: true, ..Consent::default() };
    for (workload, target, second, held) in [
        (&all_off(), 0, 0, false),
        (&shadow, 1, 100, true),
        (&cache_1, 1, 200, true),
        (&cache(), 1, 300, false),
        (&cache(), 2, 300, false),
    ] {
        let obstacles = |consent| Route::find(&rollout, workload, Some(target), consent, at(second)).obstacles;
        let is_risk = |obstacle: &Obstacle| matches!(obstacle, Obstacle::HighRisk { .. });
        assert_eq!(obstacles(Consent::default()).iter().any(is_risk), held, "{target} at {second}");
        assert_eq!(obstacles(yes), [], "{target} at {second}");
    }
}

#[test]
fn a_freeze_and_a_pause_hold_whatever_would_be_written() {
    let mut rollout = rollout();
    let zoned = |time: &str| format!("1970-01-01T{time}[UTC]").parse().unwrap();
    rollout.header.freezes = vec![Freeze { from: zoned("00:05"), to: zoned("00:10"), reason: Some("sale".into()) }];
    let paused = |workload: Workload| Workload {
        pause: Some(Pause { by: "bob".into(), at: at(100), reason: None }),
        ..workload
    };
    for (name, workload, second, obstacles) in [
        ("before the freeze", cache(), 299, vec!["baking"]),
        ("in it", cache(), 300, vec!["frozen"]),
        ("after it", cache(), 600, vec![]),
        ("paused", paused(cache()), 600, vec!["on_hold"]),
        ("both", paused(cache()), 400, vec!["frozen", "on_hold"]),
        ("taking over", paused(all_off()), 600, vec!["on_hold"]),
        ("nothing to write", paused(promoted(&cache(), 300)), 400, vec![]),
    ] {
        let found = Route::find(&rollout, &workload, None, Consent::default(), at(second));
        assert!(found.obstacles.iter().all(|obstacle| {
            let waits = matches!(obstacle, Obstacle::Baking { .. });
            obstacle.passes_with_time() == waits
        }));
        let told = serde_json::to_value(&found.obstacles).unwrap();
        let told: Vec<&str> = told.as_array().unwrap().iter().map(|each| each["reason"].as_str().unwrap()).collect();
        assert_eq!(told, obstacles, "{name}");
    }
    assert!(plan::step_back(&paused(cache()), &operation(400)).is_ok(), "a rollback does not ask");
}

fn check(program: &str) -> Check {
    Check { probe: Probe::Command(vec![program.into()]), timeout: Duration::from_secs(1) }
}

fn never_judged(_: &Condition) -> Judgement {
    Judgement::Inconclusive(Gap::NoTraffic, None)
}

#[test]
fn checks_are_tried_when_nothing_else_stands_in_the_way() {
    let mut rollout = rollout();
    rollout.phases[1].gates = vec![Gate::Check(check("./smoke.sh")), Gate::Check(check("./admin.sh"))];
    // The one that stands in both places is tried once.
    rollout.phases[2].requires =
        vec![Requirement::Check(check("./smoke.sh")), Requirement::Check(check("./replicas.sh"))];
    let decide = |rollout: &Rollout, second: i64, tried: &Tried| {
        let given = Given { now: at(second), past: false, tried, share: None };
        let cache = cache();
        let route = Route::find(rollout, &cache, Some(2), Consent::default(), at(second));
        decision::decide(rollout, &cache, route, given, never_judged)
    };
    let names =
        |checks: Vec<&Check>| -> Vec<String> { checks.into_iter().map(|check| format!("{:?}", check.probe)).collect() };
    let open = decide(&rollout, 400, &Tried::default());
    assert_eq!(open.outcome(), Outcome::Inconclusive);
    let all = ["./smoke.sh", "./admin.sh", "./replicas.sh"].map(|name| format!("{:?}", check(name).probe));
    assert_eq!(names(open.left_to_try()), all);

    let baking = decide(&rollout, 250, &Tried::default());
    assert!(baking.left_to_try().is_empty(), "it still bakes");
    let mut measured = rollout.clone();
    let limit = Measure::ErrorRate { limit: Share::new(0.01).unwrap() };
    let gate = Condition::new(Role::Gate, "error_rate < 1% over 30m".into(), limit, Duration::from_secs(1_800));
    measured.phases[1].gates.push(Gate::Measured(gate));
    assert!(decide(&measured, 400, &Tried::default()).left_to_try().is_empty(), "a gate is open");

    let mut tried = Tried::default();
    for name in ["./smoke.sh", "./admin.sh", "./replicas.sh"] {
        tried.add(&check(name), Checked::Passed);
    }
    assert_eq!(decide(&rollout, 400, &tried).outcome(), Outcome::Proceed);
    let mut tried = Tried::default();
    tried.add(&check("./smoke.sh"), Checked::Failed("ended with 1".into()));
    let failed = decide(&rollout, 400, &tried);
    assert_eq!(failed.outcome(), Outcome::Held);
    assert!(failed.left_to_try().is_empty());
}
