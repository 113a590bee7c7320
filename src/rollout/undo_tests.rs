//! Back to the revision before, on made-up rollouts: which flags, which record, and how often.

use super::declaration::Flags;
use super::plan::{self, Fate, NothingToRollBack, Plan, Record};
use super::progress::Goal;
use super::standing::Standing;
use super::template::{Revision, Template, TemplateChange};
use super::tests::{all_off, apply, flag, literal, operation, promoted, rollout, switch_off};
use super::workload::{FlagSource, FlagValue, Workload};

/// As if the template of `then` were the revision before that of `now`.
fn before(then: &Workload, now: Workload) -> Workload {
    let flags = then.flags.clone();
    let revision = Revision { number: 4, hash: "4f7d".into(), template: "{}".into(), flags, differs_elsewhere: false };
    Workload { template: Template { revision: 5, previous: Some(revision), ..Template::default() }, ..now }
}

fn undo(workload: &Workload) -> Result<Plan, NothingToRollBack> {
    let rollout = rollout();
    plan::undo(Some(&rollout), &rollout.header.breakers_off(), workload, &operation(1_000))
}

fn cache() -> Workload {
    promoted(&promoted(&all_off(), 0), 100)
}

fn http() -> Workload {
    promoted(&promoted(&cache(), 200), 300)
}

fn phase(workload: &Workload) -> Option<usize> {
    Standing::of(&rollout(), workload).place.map(|place| place.phase)
}

#[test]
fn what_the_last_step_replaced_moves_the_record_like_a_step_back() {
    let now = before(&promoted(&all_off(), 0), cache());
    let plan = undo(&now).unwrap();
    let step_back = plan::step_back(&now, &operation(1_000)).unwrap();
    assert_eq!((&plan.changes, &plan.record), (&step_back.changes, &step_back.record));
    let after = apply(&now, &plan);
    assert_eq!(after.flags, all_off().flags);
    assert_eq!(plan::step_back(&after, &operation(1_001)), Err(NothingToRollBack::NoEarlierStep), "taken once");
}

#[test]
fn without_a_flag_that_changes_the_record_stays() {
    let mut now = before(&cache(), cache());
    now.template.previous.as_mut().unwrap().differs_elsewhere = true;
    let plan = undo(&now).unwrap();
    assert_eq!((plan.changes.len(), &plan.record), (0, &Record::Keep));
    assert!(plan.template.is_some());
}

#[test]
fn several_steps_at_once_lead_to_the_last_phase_without_what_goes_off() {
    let now = before(&promoted(&all_off(), 0), http());
    let after = apply(&now, &undo(&now).unwrap());
    assert_eq!(after.flags, all_off().flags);
    assert_eq!(phase(&after), Some(0));
    assert!(Standing::of(&rollout(), &after).drift.is_empty());
}

#[test]
fn without_the_phases_the_record_stays_and_the_flags_go_off() {
    let now = before(&promoted(&all_off(), 0), http());
    let plan = plan::undo(None, &Flags::new(), &now, &operation(1_000)).unwrap();
    assert_eq!(plan.record, Record::Keep);
    assert_eq!(apply(&now, &plan).flags, all_off().flags);
}

#[test]
fn a_breaker_that_is_off_stays_off() {
    let absent = FlagSource::Value(FlagValue::Absent);
    let reference = FlagSource::Value(FlagValue::Reference("{\"fieldRef\":{}}".into()));
    let perhaps = FlagSource::MaybeFrom(vec!["configmap/flags".into()]);
    let (on, off) = (literal("true"), literal("false"));
    let cases = [
        (&off, &on, &off, "off stays off"),
        (&absent, &on, &absent, "not set may be off"),
        (&reference, &on, &reference, "a reference may be off"),
        (&off, &literal("yes"), &off, "whatever is not off is on"),
        (&on, &on, &on, "on already"),
        (&on, &off, &off, "it goes off"),
        (&on, &absent, &absent, "as it was before"),
        (&off, &reference, &off, "a reference may switch it on"),
        (&reference, &reference, &reference, "the same as now"),
        (&perhaps, &on, &perhaps, "envFrom may hold an off"),
    ];
    for (now, then, after, why) in cases {
        let with = |source: &FlagSource| {
            let mut workload = all_off();
            workload.flags.insert(flag("CB_HTTP"), source.clone());
            workload
        };
        let mut now = before(&with(then), with(now));
        now.template.previous.as_mut().unwrap().differs_elsewhere = true;
        assert_eq!(apply(&now, &undo(&now).unwrap()).flags[&flag("CB_HTTP")], *after, "{why}");
    }
}

#[test]
fn after_an_emergency_no_breaker_comes_back() {
    let mut then = cache();
    let reference = FlagSource::Value(FlagValue::Reference("{\"fieldRef\":{}}".into()));
    then.flags.insert(flag("CB_HTTP"), reference);
    let mut now = before(&then, switch_off(&then, 500));
    assert_eq!(undo(&now), Err(NothingToRollBack::SameButForBreakers));
    now.template.previous.as_mut().unwrap().differs_elsewhere = true;
    let plan = undo(&now).unwrap();
    assert_eq!(plan.kept().map(ToString::to_string).collect::<Vec<_>>(), ["CB_CACHE", "CB_HTTP"]);
    let after = apply(&now, &plan);
    assert_eq!(
        (&after.flags[&flag("CB_CACHE")], &after.flags[&flag("CB_HTTP")]),
        (&literal("false"), &literal("false"))
    );
    assert!(after.emergency.is_some() && plan.record == Record::Keep, "the emergency stays in force");
}

#[test]
fn there_may_be_nothing_to_bring_back() {
    assert_eq!(undo(&cache()), Err(NothingToRollBack::NoEarlierRevision));
    let rolled_back = before(&cache(), switch_off(&cache(), 500));
    assert_eq!(undo(&rolled_back), Err(NothingToRollBack::SameButForBreakers));
    let now = before(&promoted(&all_off(), 0), cache());
    let mut after = apply(&now, &undo(&now).unwrap());
    after.template.revision = 6;
    assert_eq!(undo(&after), Err(NothingToRollBack::AlreadyUndone));
    after.template.revision = 7;
    assert_ne!(undo(&after), Err(NothingToRollBack::AlreadyUndone), "somebody has changed the template since");
}

#[test]
fn every_pod_of_another_template_is_old_but_those_of_the_revision() {
    let pod = |template: &str| super::progress::tests::pod(template, &[], true);
    let mut now = before(&promoted(&all_off(), 0), cache());
    now.pods = vec![pod("4f7d"), pod("5a1b")];
    let old = |names: &[&str]| Goal::Template { old: names.iter().map(|&name| name.to_owned()).collect() };
    assert_eq!(undo(&now).unwrap().goal(&now), old(&["5a1b"]));
    assert_eq!(plan::restart(&now, &operation(1_000)).unwrap().goal(&now), old(&["4f7d", "5a1b"]));
}

#[test]
fn a_restart_changes_no_flag_and_no_record() {
    let now = cache();
    let plan = plan::restart(&now, &operation(1_000)).unwrap();
    assert_eq!((plan.changes.len(), &plan.record), (0, &Record::Keep));
    assert!(matches!(plan.template, Some(TemplateChange::Restart { .. })));
    let after = apply(&now, &plan);
    assert!(plan.is_applied_to(&after) && !plan.is_applied_to(&now));
    assert!(plan::restart(&after, &operation(1_001)).is_ok(), "twice is twice");
    let paused = Workload { paused: true, ..now };
    assert_eq!(plan::restart(&paused, &operation(1_000)), Err(NothingToRollBack::Paused));
}

#[test]
fn the_record_tells_what_became_of_a_plan_whose_answer_was_lost() {
    let now = cache();
    let plan = plan::step_back(&now, &operation(1_000)).unwrap();
    let back = apply(&now, &plan);
    let by_somebody = |workload: &Workload| {
        let mut moved = promoted(workload, 2_000);
        moved.flags.insert(flag("CB_HTTP"), literal("false"));
        moved
    };
    let mut touched = back.clone();
    touched.flags.insert(flag("CB_CACHE"), literal("true"));
    let mut removed = now.clone();
    removed.position = None;
    let another = apply(&now, &plan::step_back(&now, &operation(1_500)).unwrap());
    let cases = [
        (&back, Fate::Arrived, "it is there"),
        (&now, Fate::Missing, "nothing has happened"),
        (&by_somebody(&now), Fate::Missing, "a promotion was first, and it was refused"),
        (&by_somebody(&back), Fate::Overtaken { arrived: true }, "a promotion was made on top of it"),
        (&by_somebody(&by_somebody(&back)), Fate::Overtaken { arrived: true }, "and another one"),
        (&touched, Fate::Overtaken { arrived: true }, "somebody has set a flag since"),
        (&another, Fate::Overtaken { arrived: false }, "somebody else's rollback was first, or came after"),
        (&removed, Fate::Overtaken { arrived: false }, "the record is gone"),
    ];
    for (found, fate, why) in cases {
        assert_eq!(plan.fate(&now, found), fate, "{why}");
    }
}

#[test]
fn a_plan_that_takes_the_record_away_or_leaves_it_is_recognised_as_well() {
    let shadow = promoted(&super::tests::workload(&[]), 0);
    let first = plan::step_back(&shadow, &operation(1_000)).unwrap();
    assert_eq!(first.record, Record::Remove);
    let gone = apply(&shadow, &first);
    assert_eq!(first.fate(&shadow, &gone), Fate::Arrived);
    assert_eq!(first.fate(&shadow, &promoted(&gone, 2_000)), Fate::Overtaken { arrived: false });
    assert_eq!(first.fate(&shadow, &promoted(&shadow, 2_000)), Fate::Missing);

    let mut unrecorded = all_off();
    unrecorded.flags.insert(flag("CB_CACHE"), literal("true"));
    let off = plan::breakers_off(&rollout(), &unrecorded, &["cache".parse().unwrap()], &operation(1_000)).unwrap();
    assert_eq!(off.record, Record::Keep);
    let done = apply(&unrecorded, &off);
    assert_eq!(off.fate(&unrecorded, &done), Fate::Arrived);
    assert_eq!(off.fate(&unrecorded, &unrecorded), Fate::Missing, "sent again, it does no harm");
    let begun = promoted(&promoted(&done, 2_000), 3_000);
    assert_eq!(off.fate(&unrecorded, &begun), Fate::Overtaken { arrived: false });

    let mut now = before(&cache(), cache());
    now.template.previous.as_mut().unwrap().differs_elsewhere = true;
    let undone = undo(&now).unwrap();
    let mut moved = promoted(&apply(&now, &undone), 2_000);
    moved.template.revision = 7;
    assert_eq!(undone.fate(&now, &moved), Fate::Overtaken { arrived: true }, "its mark is there");
}
