//! A gradual rollback: what to reduce next, and whether things are better since.
//!
//! First the canaries, halved until none of their pods is left, then the record's changes, newest first, and in the
//! end every breaker. Everything that it goes by is in the cluster, so that another run goes on where this one ended.
//! It does not know how a reduction is carried out or waited for.

mod fewer;
mod recorded;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::canary::canary_of;
use super::decision::{Judged, Outcome};
use super::declaration::{Breaker, Rollout};
use super::name::BreakerName;
use super::plan::{self, Change, NothingToRollBack, Operation, Plan, Record};
use super::position::{Place, Position, Reduced};
use super::standing::Standing;
use super::workload::{FlagValue, Workload};
pub use fewer::Fewer;
pub use recorded::leaves_a_canary;

/// Samples arrive late: so much longer than its window a trigger may take to say something.
const MARGIN: Duration = Duration::from_secs(60);

/// What to reduce.
#[derive(Debug, Clone, PartialEq)]
pub enum Reduction {
    /// The canary on record: half of it, or what is left of it with the way back to before there was one.
    Recorded(Fewer, Plan),
    /// The pods of this canary, which was made by hand.
    Canary(String),
    /// Flags of the Deployment itself.
    Flags(Plan),
}

/// What did not become as small as it was to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Canaries that do not keep the number of pods that they are given; one that is on record goes as a whole.
    pub canaries: BTreeSet<String>,
    /// The one on record does not go either.
    pub recorded: bool,
}

/// What the rollback triggers say since the last reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of them are quiet, and at least one was measured.
    Better,
    /// One of them fires again.
    Firing,
    /// Nothing was proven, which is no reason to stay.
    Unproven,
}

impl Verdict {
    pub fn of(triggers: &[Judged]) -> Self {
        let measured = triggers.iter().any(|judged| matches!(judged, Judged::Measured(..)));
        Self::of_worst(triggers.iter().map(Judged::outcome).min(), measured)
    }

    fn of_worst(worst: Option<Outcome>, measured: bool) -> Self {
        match worst {
            Some(Outcome::RollBack) => Self::Firing,
            Some(Outcome::Proceed | Outcome::NothingToDo) if measured => Self::Better,
            Some(Outcome::Proceed | Outcome::NothingToDo | Outcome::Held | Outcome::Error | Outcome::Inconclusive)
            | None => Self::Unproven,
        }
    }
}

/// What to reduce next, of what is not given up.
pub fn next(
    rollout: &Rollout,
    workload: &Workload,
    given_up: &GivenUp,
    operation: &Operation,
) -> Result<Reduction, NothingToRollBack> {
    let off = rollout.header.breakers_off();
    match (&workload.emergency, workload.has(&off)) {
        (Some(_), true) => return Err(NothingToRollBack::EmergencyInForce),
        (Some(_), false) => return Err(NothingToRollBack::EmergencyOverridden),
        (None, _) => {}
    }
    if !given_up.recorded {
        let as_a_whole = given_up.canaries.contains(&canary_of(&workload.deployment));
        if let Some((fewer, plan)) = recorded::next(workload, as_a_whole, operation) {
            return Ok(Reduction::Recorded(fewer, only_off(rollout, plan)));
        }
    }
    if let Some(canary) = canaries(workload).find(|canary| !given_up.canaries.contains(*canary)) {
        return Ok(Reduction::Canary(canary.to_owned()));
    }
    if workload.has(&off) {
        return Err(NothingToRollBack::AlreadyOff);
    }
    let mut plan = back(rollout, workload, operation)?;
    if given_up.recorded {
        plan.canary = None;
    }
    Ok(Reduction::Flags(plan))
}

/// What would be reduced one after the other, if nothing made things better; canaries that were made by hand aside.
pub fn all_the_way(rollout: &Rollout, workload: &Workload, operation: &Operation) -> Vec<Reduction> {
    let own = canary_of(&workload.deployment);
    let by_hand = workload.canary_names().into_iter().filter(|name| *name != own || !workload.has_canary());
    let given_up = GivenUp { canaries: by_hand.map(str::to_owned).collect(), recorded: false };
    let mut reductions = Vec::new();
    let mut at = workload.clone();
    while let Ok(reduction) = next(rollout, &at, &given_up, operation) {
        let (Reduction::Recorded(_, plan) | Reduction::Flags(plan)) = &reduction else { break };
        at = recorded::carried_out(plan, &at);
        reductions.push(reduction);
    }
    reductions
}

/// Whether a gradual rollback was begun, and its last reduction carried out, so that it has to be judged before
/// anything more is reduced.
pub fn is_begun(workload: &Workload) -> bool {
    let is_made = |reduced: &Reduced| reduced.fewer.is_made(workload);
    let begun = |position: &Position| position.rolled_back || position.reduced.as_ref().is_some_and(is_made);
    workload.recorded_position().is_some_and(begun) && !recorded::is_under_way(workload)
}

/// Whether the rollout stands as it was left: only that its canary has arrived since makes another time of it.
pub fn is_as_left(left: &Workload, seen: &Workload) -> bool {
    match (left.recorded_position(), seen.recorded_position()) {
        (Some(left), Some(seen)) => {
            let place = Place { since: seen.place.since, ..left.place.clone() };
            Position { place, ..left.clone() } == *seen
        }
        _ => left.position == seen.position,
    }
}

/// The plan that writes down how many pods a canary is to have; None where there is no record to write it to.
pub fn announcing(workload: &Workload, fewer: &Fewer, operation: &Operation) -> Option<Plan> {
    let reduced = Reduced { fewer: fewer.clone(), operation: operation.id.clone(), at: operation.at };
    let position = Position { reduced: Some(reduced), ..workload.recorded_position()?.clone() };
    Some(Plan {
        changes: Vec::new(),
        template: None,
        record: Record::Write(Box::new(position)),
        canary: None,
        accepts_emergency: false,
        resource_version: workload.resource_version.clone(),
    })
}

/// How long the triggers of the present place may take to say something; no time at all where there are none.
pub fn patience(rollout: &Rollout, workload: &Workload) -> Duration {
    let place = Standing::of(rollout, workload).place;
    let triggers = place.map(|place| rollout.phases[place.phase].triggers.as_slice()).unwrap_or_default();
    let longest = triggers.iter().map(|trigger| trigger.window).max();
    longest.map_or(Duration::ZERO, |longest| longest + rollout.header.warm_up + MARGIN)
}

/// Canaries that still have pods.
pub fn canaries(workload: &Workload) -> impl Iterator<Item = &str> {
    workload.canary_names().into_iter().filter(|canary| workload.canary_pods(canary) > 0)
}

/// Takes back the newest change on record that has something to take back, and that brings no canary back; every breaker
/// is switched off where the record knows none.
pub fn back(rollout: &Rollout, workload: &Workload, operation: &Operation) -> Result<Plan, NothingToRollBack> {
    if let Some(position) = workload.recorded_position() {
        for oldest in (0..position.trail.len()).rev() {
            let plan = only_off(rollout, plan::restoring(workload, position, oldest, operation));
            let brings_one_back = plan.canary.as_ref().is_some_and(|record| record.canary().is_some());
            if !plan.changes.is_empty() && !brings_one_back {
                return Ok(plan);
            }
        }
    }
    let every: Vec<BreakerName> = rollout.header.breakers.iter().map(|breaker| breaker.name.clone()).collect();
    plan::breakers_off(rollout, workload, &every, operation)
}

fn only_off(rollout: &Rollout, mut plan: Plan) -> Plan {
    plan.changes.retain(|change| !switches_on(rollout, change));
    plan
}

/// A breaker that is off stays off, whatever was there before the rollout.
fn switches_on(rollout: &Rollout, change: &Change) -> bool {
    let of_flag = |breaker: &&Breaker| breaker.flag == change.flag;
    rollout.header.breakers.iter().find(of_flag).is_some_and(|breaker| {
        change.before.literal() == Some(&breaker.off) || change.after == FlagValue::Literal(breaker.on.clone())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{
        all_off, any_workload, flag, literal, operation, pod as made_up, promoted, rollout, switch_off, workload,
    };
    use super::super::workload::Pod;
    use super::*;

    /// shadow, cache (two steps), http.
    fn at_http() -> Workload {
        (0..4).fold(all_off(), |workload, step| promoted(&workload, step * 100))
    }

    fn pod(name: &str, terminating: bool) -> Pod {
        Pod { terminating, ..made_up(name) }
    }

    fn with_canary(mut workload: Workload, pods: usize) -> Workload {
        workload.pods = (0..12).map(|index| pod(&format!("web-6f7d-{index}"), false)).collect();
        workload.canary = (0..pods).map(|index| pod(&format!("web-canary-6f7d-{index}"), false)).collect();
        workload.canary.push(pod("web-canary-6f7d-ends", true));
        workload
    }

    fn next_of(workload: &Workload, given_up: &[&str]) -> Result<Reduction, NothingToRollBack> {
        let canaries = given_up.iter().map(|canary| (*canary).to_owned()).collect();
        let given_up = GivenUp { canaries, recorded: false };
        next(&rollout(), workload, &given_up, &operation(1_000))
    }

    fn flags_back(workload: &Workload, second: i64) -> Vec<Plan> {
        let of_flags = |reduction| match reduction {
            Reduction::Flags(plan) => plan,
            Reduction::Recorded(..) | Reduction::Canary(_) => panic!("there is no canary on record"),
        };
        all_the_way(&rollout(), workload, &operation(second)).into_iter().map(of_flags).collect()
    }

    fn places(workload: &Workload) -> Vec<Option<String>> {
        let plans = flags_back(workload, 1_000);
        plans.iter().map(|plan| plan.record.place().map(|place| format!("{} {}", place.phase, place.step))).collect()
    }

    #[test]
    fn only_a_measured_quiet_is_better_and_only_a_proof_is_firing() {
        for (worst, measured, verdict) in [
            (Some(Outcome::RollBack), true, Verdict::Firing),
            (Some(Outcome::RollBack), false, Verdict::Firing),
            (Some(Outcome::Held), true, Verdict::Unproven),
            (Some(Outcome::Error), true, Verdict::Unproven),
            (Some(Outcome::Inconclusive), true, Verdict::Unproven),
            (Some(Outcome::Proceed), true, Verdict::Better),
            (Some(Outcome::Proceed), false, Verdict::Unproven),
            (None, false, Verdict::Unproven),
        ] {
            assert_eq!(Verdict::of_worst(worst, measured), verdict, "{worst:?}, measured: {measured}");
        }
    }

    #[test]
    fn canaries_go_before_breakers_and_are_halved_to_nothing() {
        let both = with_canary(at_http(), 5);
        assert_eq!(next_of(&both, &[]), Ok(Reduction::Canary("web-canary".into())));
        assert!(matches!(next_of(&both, &["web-canary"]), Ok(Reduction::Flags(_))), "it does not keep its number");
        assert!(matches!(next_of(&with_canary(at_http(), 0), &[]), Ok(Reduction::Flags(_))), "the last pod only ends");
        let alone = with_canary(all_off(), 1);
        assert_eq!(next_of(&alone, &[]), Ok(Reduction::Canary("web-canary".into())), "whatever the main one runs");
        assert_eq!(next_of(&alone, &["web-canary"]), Err(NothingToRollBack::AlreadyOff));

        let steps = std::iter::successors(Some(Fewer::of(&with_canary(at_http(), 4), "web-canary", 4)), Fewer::next);
        let shown: Vec<_> = steps.map(|fewer| (fewer.from, fewer.to, fewer.shares())).collect();
        let share = |pods: f64| pods / (pods + 12.0);
        assert_eq!(
            shown,
            [(4, 2, (share(4.0), share(2.0))), (2, 1, (share(2.0), share(1.0))), (1, 0, (share(1.0), 0.0)),]
        );
    }

    #[test]
    fn steps_that_changed_no_flag_are_passed_over() {
        let step = |phase: &str, step: usize| Some(format!("{phase} {step}"));
        assert_eq!(places(&at_http()), [step("cache", 2), step("shadow", 1)]);
    }

    #[test]
    fn what_the_record_does_not_know_is_switched_off_in_the_end() {
        let on = [("CB_CACHE", literal("true")), ("CB_HTTP", literal("false"))];
        let strange = workload(&on);
        let plans = flags_back(&strange, 1_000);
        assert_eq!(plans.len(), 1);
        assert_eq!(plans[0].record, Record::Keep, "there is no record to write to");
        let mut unreadable = at_http();
        unreadable.position = Some(Err("not JSON".into()));
        assert_eq!(places(&unreadable), [None]);
        assert_eq!(next_of(&all_off(), &[]), Err(NothingToRollBack::AlreadyOff));
    }

    #[test]
    fn what_was_on_before_the_rollout_is_not_switched_on() {
        let before = workload(&[("CB_CACHE", literal("false")), ("CB_HTTP", literal("true"))]);
        let cache = promoted(&promoted(&before, 0), 100);
        assert_eq!(places(&cache), [Some("shadow 1".to_owned())], "and not to before shadow, which put http off");
    }

    #[test]
    fn an_emergency_is_left_alone() {
        let off = switch_off(&with_canary(at_http(), 4), 500);
        assert_eq!(next_of(&off, &[]), Err(NothingToRollBack::EmergencyInForce));
        let mut on_again = off;
        on_again.flags.insert(flag("CB_HTTP"), literal("true"));
        assert_eq!(next_of(&on_again, &[]), Err(NothingToRollBack::EmergencyOverridden));
    }

    #[test]
    fn a_later_run_knows_what_an_earlier_one_has_done() {
        let fresh = with_canary(promoted(&promoted(&all_off(), 0), 100), 4);
        assert!(!is_begun(&fresh));
        let fewer = Fewer::of(&fresh, "web-canary", 4);
        let announced = announcing(&fresh, &fewer, &operation(600)).unwrap().outcome(&fresh);
        assert!(!is_begun(&announced), "it died before the canary was scaled");
        assert!(is_begun(&with_canary(announced.clone(), 2)));
        assert!(is_begun(&with_canary(announced.clone(), 0)), "it has no pods by which it could be found");
        assert_eq!(announced.flags, fresh.flags);
        assert_eq!(announced.recorded_place(), fresh.recorded_place(), "the bake goes on");
        assert!(!is_begun(&with_canary(promoted(&announced, 700), 2)), "the next promotion is another story");
        let back = back(&rollout(), &announced, &operation(700)).unwrap().outcome(&announced);
        assert!(is_begun(&back) && back.recorded_position().unwrap().reduced.is_none());
        assert_eq!(announcing(&all_off(), &fewer, &operation(600)), None, "there is no record");
    }

    #[test]
    fn a_reduction_whose_pods_have_not_gone_yet_is_brought_to_its_end() {
        let fresh = with_canary(promoted(&promoted(&all_off(), 0), 100), 4);
        let fewer = Fewer::of(&fresh, "web-canary", 4);
        let announced = announcing(&fresh, &fewer, &operation(600)).unwrap().outcome(&fresh);
        let next = |pods: usize, desired: usize| {
            let fewer = Fewer::of(&with_canary(announced.clone(), pods), "web-canary", desired);
            (fewer.from, fewer.to)
        };
        assert_eq!(next(4, 4), (4, 2), "it died before the canary was scaled");
        assert_eq!(next(4, 2), (4, 2), "and after it, before any pod went");
        assert_eq!(next(3, 2), (4, 2));
        assert_eq!(next(2, 2), (2, 1), "they have gone: the next one");
    }

    #[test]
    fn nothing_is_waited_for_where_nothing_is_measured() {
        assert_eq!(patience(&rollout(), &at_http()), Duration::ZERO);
        assert_eq!(patience(&rollout(), &all_off()), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn it_ends_with_every_breaker_off_and_never_switches_one_on(before in any_workload(), given in 0..2_usize) {
            let mut at = if given == 0 { before } else { back(&rollout(), &before, &operation(9_000)).map_or(before.clone(), |plan| plan.outcome(&before)) };
            let on = |workload: &Workload, name: &str| workload.flags[&flag(name)] == literal("true");
            let longest = at.recorded_position().map_or(0, |position| position.trail.len()) + 1;
            let plans = flags_back(&at, 10_000);
            prop_assert!(plans.len() <= longest, "{} reductions of {longest} at most", plans.len());
            for plan in plans {
                let after = plan.outcome(&at);
                prop_assert!(!plan.changes.is_empty(), "every reduction reduces something");
                for name in ["CB_CACHE", "CB_HTTP"] {
                    prop_assert!(!on(&after, name) || on(&at, name), "{name} is switched on");
                    let off = |workload: &Workload| workload.flags[&flag(name)] == literal("false");
                    prop_assert!(!off(&at) || off(&after), "{name} was off");
                }
                // A run that ends here is gone on with from what is there.
                let rest = all_the_way(&rollout(), &after, &operation(11_000));
                prop_assert!(rest.len() < longest);
                at = after;
            }
            prop_assert!(at.has(&rollout().header.breakers_off()));
        }
    }
}
