//! The reductions of a canary that is on record: halved with its traffic, and in the end taken away.
//!
//! It never makes a canary, never gives one more than it has, and switches nothing on: what could not be made smaller
//! without that goes as a whole. It does not know how a record is carried out.

use super::super::canary::{Aim, Beside, Canary, CanaryRecord, canary_of};
use super::super::plan::{self, Operation, Plan};
use super::super::router::{Router, Split, Weights};
use super::super::workload::{FlagSource, Replicas, Workload, owner};
use super::fewer::{Fewer, LessTraffic};

/// Whether anything of a canary that this program made is there to be taken away.
pub fn leaves_a_canary(workload: &Workload) -> bool {
    let beside = workload.beside.as_ref();
    workload.canary_record.is_some() || beside.is_some_and(|beside| beside.is_ours && !beside.terminating)
}

/// The next reduction of the canary; None where nothing of one is left. `as_a_whole` takes it away at once.
pub(super) fn next(workload: &Workload, as_a_whole: bool, operation: &Operation) -> Option<(Fewer, Plan)> {
    if !leaves_a_canary(workload) {
        return None;
    }
    if let Some((canary, fewer)) = smaller(workload).filter(|_| !as_a_whole)
        && let Some(plan) = plan::reduced(workload, canary, &fewer, operation)
    {
        return Some((fewer, plan));
    }
    let plan = plan::abort(workload, operation).ok()?;
    Some((gone(workload), plan))
}

/// Whether what was decided of the canary has yet to be carried out, so that there is nothing to judge.
pub(super) fn is_under_way(workload: &Workload) -> bool {
    match workload.recorded_canary().map(|record| &record.aim) {
        Some(Aim::Runs(canary)) => !canary.arrived,
        Some(Aim::Gone) => true,
        None => false,
    }
}

/// The workload when what a plan says of the canary has been carried out as well.
pub(super) fn carried_out(plan: &Plan, before: &Workload) -> Workload {
    let mut after = plan.outcome(before);
    let Some(record) = plan.canary.as_deref() else { return after };
    match &record.aim {
        Aim::Runs(canary) => {
            let replicas = Replicas { desired: i32::try_from(canary.pods).unwrap_or(i32::MAX), ..Replicas::default() };
            let flags = canary.flags.iter().map(|(flag, value)| (flag.clone(), FlagSource::Value(value.clone())));
            let (template, flags) = (Some(canary.template.clone()), flags.collect());
            after.beside = Some(Beside { is_ours: true, template, flags, replicas, ..Beside::default() });
            if let Some(percent) = canary.percent {
                let split = Split { resource_version: String::new(), percent, weights: Weights(String::new()) };
                after.split = Some(Ok(split));
            }
            if let Some(arrival) = plan::arrival(&after, record_time(&after)) {
                after = arrival.outcome(&after);
            }
        }
        Aim::Gone => {
            let own = canary_of(&before.deployment);
            after.canary.retain(|pod| owner(&pod.name) != Some(&own));
            (after.canary_record, after.beside, after.split) = (None, None, None);
        }
    }
    after
}

fn record_time(workload: &Workload) -> jiff::Timestamp {
    workload.recorded_place().map_or(jiff::Timestamp::UNIX_EPOCH, |place| place.since)
}

/// The canary half as great, where it can become so by nothing but less of what is there.
fn smaller(workload: &Workload) -> Option<(Canary, Fewer)> {
    let record = workload.recorded_canary()?;
    let canary = record.canary()?;
    let beside = workload.beside.as_ref().filter(|beside| beside.is_ours && !beside.terminating)?;
    let as_live = canary.template == workload.fingerprint && beside.template.as_ref() == Some(&canary.template);
    if !as_live || !beside.runs(&canary.flags) {
        return None;
    }
    let found = u32::try_from(beside.replicas.desired).ok()?;
    if let Some(unfinished) = unfinished(workload, record, canary).filter(|_| found >= canary.pods) {
        return Some((canary.clone(), unfinished));
    }
    let pods = canary.pods.min(found);
    let fewer_pods = (pods / 2).max(1);
    let routed = record.route.as_ref().zip(canary.percent);
    let traffic = match routed {
        Some((route, percent)) => Some(less_traffic(workload, &route.router, percent)?),
        None => None,
    };
    let less = traffic.as_ref().is_some_and(|traffic| traffic.from >= 1.0 && traffic.to < traffic.from);
    if pods <= 1 && (pods == 0 || !less) {
        return None;
    }
    let percent = traffic.as_ref().map(|traffic| traffic.to).or(canary.percent);
    let fewer = Fewer::between(workload, &canary_of(&workload.deployment), (size(pods), size(fewer_pods)), traffic);
    Some((Canary { pods: fewer_pods, percent, ..canary.clone() }, fewer))
}

/// The reduction that is on record, and that nobody has brought to its end.
fn unfinished(workload: &Workload, record: &CanaryRecord, canary: &Canary) -> Option<Fewer> {
    let reduced = workload.recorded_position()?.reduced.as_ref()?;
    let found = |traffic: &LessTraffic| {
        let split = workload.split.as_ref().and_then(|split| split.as_ref().ok());
        split.is_some_and(|split| split.percent >= traffic.to)
    };
    let can_go_on = reduced.fewer.traffic.as_ref().is_none_or(found);
    (!canary.arrived && reduced.operation == record.operation && can_go_on).then(|| reduced.fewer.clone())
}

/// Half of what the router gives it now, and of what is recorded at most; None where it cannot be given less.
fn less_traffic(workload: &Workload, router: &Router, recorded: f64) -> Option<LessTraffic> {
    let found = workload.split.as_ref()?.as_ref().ok()?.percent;
    let from = recorded.min(found);
    if router.kind.is_near(from, 0.0) {
        return None;
    }
    let to = router.kind.nearest(from / 2.0).min(from);
    Some(LessTraffic { router: router.object(), from, to })
}

/// Everything that is left of it.
fn gone(workload: &Workload) -> Fewer {
    let name = canary_of(&workload.deployment);
    let beside = workload.beside.as_ref().filter(|beside| beside.is_ours);
    let pods = beside.and_then(|beside| usize::try_from(beside.replicas.desired).ok());
    let traffic = workload.recorded_canary().and_then(|record| {
        let route = record.route.as_ref()?;
        let from = workload.split.as_ref()?.as_ref().ok()?.percent;
        Some(LessTraffic { router: route.router.object(), from, to: 0.0 })
    });
    let pods = pods.unwrap_or_else(|| workload.canary_pods(&name));
    Fewer::between(workload, &name, (pods, 0), traffic)
}

fn size(pods: u32) -> usize {
    usize::try_from(pods).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::canary::Routed;
    use super::super::super::declaration::{Exposure, Rollout};
    use super::super::super::plan::Record;
    use super::super::super::position::Place;
    use super::super::super::route::{Consent, Route};
    use super::super::super::router::{Backends, RouterKind, Unsplittable};
    use super::super::super::tests::{all_off, at, flag, literal, operation, rollout};
    use super::super::{GivenUp, Reduction, all_the_way, is_begun, next as next_reduction};
    use super::*;

    /// shadow, then cache by some pods, by a share and in full, then http in the same way.
    fn stepped() -> Rollout {
        let mut rollout = rollout();
        for phase in &mut rollout.phases[1..] {
            let step = phase.steps[0].clone();
            let exposed = |exposure| super::super::super::declaration::Step { exposure, ..step.clone() };
            phase.steps = vec![exposed(Exposure::Pods(4)), exposed(Exposure::Traffic(60.0)), exposed(Exposure::Full)];
        }
        rollout
    }

    fn kind(unit: f64) -> RouterKind {
        let backends = Backends { stable: "web".into(), canary: "web-canary".into() };
        if unit < 1.0 { RouterKind::HttpRoute(backends) } else { RouterKind::VirtualService(backends) }
    }

    fn split(percent: f64) -> Split {
        Split { resource_version: "7".into(), percent, weights: Weights("now".into()) }
    }

    /// One step on, and its canary as it is to be.
    fn promoted(workload: &Workload, second: i64) -> Workload {
        let consent = Consent { adopt: true, ..Consent::default() };
        let route = Route::find(&stepped(), workload, None, consent, at(second));
        match plan::promotion(&stepped(), workload, &route, &operation(second)) {
            Some(plan) => carried_out(&plan, workload),
            None => workload.clone(),
        }
    }

    /// So many steps into the rollout.
    fn after(steps: i64) -> Workload {
        (0..steps).fold(all_off(), |workload, step| promoted(&workload, step * 1_000))
    }

    /// At the first step of cache, with this canary there and on record.
    fn with(pods: u32, routed: Option<(RouterKind, f64)>) -> Workload {
        let mut workload = after(2);
        if let Some(Ok(record)) = &mut workload.canary_record {
            let Aim::Runs(canary) = &mut record.aim else { panic!("it is to run") };
            canary.pods = pods;
            canary.percent = routed.as_ref().map(|(_, percent)| *percent);
            workload.split = routed.as_ref().map(|(_, percent)| Ok(split(*percent)));
            record.route = routed.map(|(kind, _)| Routed {
                router: Router { name: "web".into(), kind, canary_labels: [].into() },
                weights: Weights("before".into()),
            });
        }
        if let Some(beside) = &mut workload.beside {
            beside.replicas.desired = i32::try_from(pods).unwrap();
        }
        workload
    }

    fn reduced(workload: &Workload) -> (Fewer, Plan) {
        next(workload, false, &operation(9_000)).unwrap()
    }

    fn told(reduction: &(Fewer, Plan)) -> String {
        let Fewer { from, to, traffic, .. } = &reduction.0;
        let traffic = traffic.as_ref().map(|traffic| format!(", {} -> {}%", traffic.from, traffic.to));
        format!("{from} -> {to}{}", traffic.unwrap_or_default())
    }

    /// Every reduction until it is gone.
    fn course(mut workload: Workload) -> Vec<String> {
        let mut course = Vec::new();
        while let Some(reduction) = next(&workload, false, &operation(9_000)) {
            workload = carried_out(&reduction.1, &workload);
            course.push(told(&reduction));
        }
        assert_eq!((&workload.canary_record, &workload.beside), (&None, &None));
        course
    }

    #[test]
    fn pods_are_halved_down_to_one_and_the_last_goes_as_a_whole() {
        assert_eq!(course(with(1, None)), ["1 -> 0"]);
        assert_eq!(course(with(4, None)), ["4 -> 2", "2 -> 1", "1 -> 0"]);
        assert_eq!(course(with(5, None)), ["5 -> 2", "2 -> 1", "1 -> 0"]);
    }

    #[test]
    fn what_a_router_gives_is_halved_along_with_the_pods() {
        assert_eq!(
            course(with(4, Some((kind(0.01), 10.0)))),
            [
                "4 -> 2, 10 -> 5%",
                "2 -> 1, 5 -> 2.5%",
                "1 -> 1, 2.5 -> 1.25%",
                "1 -> 1, 1.25 -> 0.63%",
                "1 -> 0, 0.63 -> 0%"
            ]
        );
        assert_eq!(
            course(with(2, Some((kind(1.0), 3.0)))),
            ["2 -> 1, 3 -> 2%", "1 -> 1, 2 -> 1%", "1 -> 0, 1 -> 0%"],
            "by whole percents"
        );
        assert_eq!(
            course(with(4, Some((kind(1.0), 1.0)))),
            ["4 -> 2, 1 -> 1%", "2 -> 1, 1 -> 1%", "1 -> 0, 1 -> 0%"],
            "not less than the unit"
        );
    }

    #[test]
    fn a_reduction_changes_the_record_and_leaves_the_place() {
        let before = with(4, Some((kind(0.01), 10.0)));
        let (fewer, plan) = reduced(&before);
        let after = plan.outcome(&before);
        let (was, is) = (before.recorded_canary().unwrap(), after.recorded_canary().unwrap());
        assert_eq!((&is.route, is.operation.as_str()), (&was.route, "operation-9000"));
        let smaller = Canary { pods: 2, percent: Some(5.0), arrived: false, ..was.canary().unwrap().clone() };
        assert_eq!(is.canary(), Some(&smaller));
        assert!(plan.changes.is_empty());
        let (was, is) = (before.recorded_position().unwrap(), after.recorded_position().unwrap());
        assert_eq!((&was.place, &was.operation, was.at), (&is.place, &is.operation, is.at));
        assert_eq!(is.reduced.as_ref().unwrap().fewer, fewer);
        assert_eq!(is.last_rollback(), Some(at(9_000)));
    }

    #[test]
    fn the_last_reduction_leads_back_to_before_there_was_a_canary() {
        let place = |workload: &Workload| {
            let (fewer, plan) = next(workload, true, &operation(9_000)).unwrap();
            let Record::Write(position) = &plan.record else { panic!("{:?}", plan.record) };
            let Place { phase, step, .. } = &position.place;
            assert!(position.rolled_back && position.reduced.is_none() && fewer.to == 0);
            assert_eq!(plan.canary.as_ref().map(|record| &record.aim), Some(&Aim::Gone));
            format!("{phase} {step}")
        };
        assert_eq!(place(&after(2)), "shadow 1");
        assert_eq!(place(&after(3)), "shadow 1", "from the second step of a canary");
        assert_eq!(place(&after(5)), "cache 3", "of http");
    }

    #[test]
    fn what_cannot_only_shrink_goes_as_a_whole() {
        let goes = |change: fn(&mut Workload), routed| {
            let mut workload = with(4, routed);
            change(&mut workload);
            told(&reduced(&workload)).split(',').next().unwrap().to_owned()
        };
        let beside = |workload: &mut Workload, change: fn(&mut Beside)| change(workload.beside.as_mut().unwrap());
        assert_eq!(goes(|_| (), None), "4 -> 2");
        assert_eq!(goes(|workload| workload.beside = None, None), "0 -> 0", "somebody has deleted it");
        let stranger = |workload: &mut Workload| workload.beside.as_mut().unwrap().is_ours = false;
        assert_eq!(goes(stranger, None), "0 -> 0", "somebody else has its name");
        assert_eq!(goes(|workload| workload.fingerprint = "template-2".into(), None), "4 -> 0", "it cannot be adapted");
        let mut switched = with(4, None);
        beside(&mut switched, |beside| drop(beside.flags.insert(flag("CB_CACHE"), literal("false"))));
        assert_eq!(told(&reduced(&switched)), "4 -> 0", "adapting it would switch it on");
        let scaled = |pods: fn(&mut Workload)| goes(pods, None);
        assert_eq!(scaled(|workload| workload.beside.as_mut().unwrap().replicas.desired = 8), "4 -> 2", "as recorded");
        assert_eq!(scaled(|workload| workload.beside.as_mut().unwrap().replicas.desired = 3), "3 -> 1", "as found");
        assert_eq!(scaled(|workload| workload.beside.as_mut().unwrap().replicas.desired = 1), "1 -> 0");
        assert_eq!(scaled(|workload| workload.beside.as_mut().unwrap().replicas.desired = 0), "0 -> 0");
        let routed = || Some((kind(0.01), 10.0));
        assert_eq!(goes(|workload| workload.split = Some(Ok(split(0.0))), routed()), "4 -> 0", "it gets nothing");
        let missing = |workload: &mut Workload| {
            workload.split = Some(Err(Unsplittable::Missing { router: "httproute/web".into() }));
        };
        assert_eq!(goes(missing, routed()), "4 -> 0");
        let mut lowered = with(4, routed());
        lowered.split = Some(Ok(split(4.0)));
        assert_eq!(told(&reduced(&lowered)), "4 -> 2, 4 -> 2%", "half of what it gets");
        assert_eq!(next(&with(4, None), true, &operation(9_000)).unwrap().0.to, 0, "it was given up");
    }

    #[test]
    fn what_was_begun_is_brought_to_its_end_before_it_is_judged() {
        let before = with(4, None);
        assert!(!is_begun(&before));
        let (_, plan) = reduced(&before);
        let died = plan.outcome(&before);
        assert!(!is_begun(&died), "there is nothing to judge yet");
        let again = reduced(&died);
        assert_eq!(told(&again), "4 -> 2");
        assert_eq!(again.1.outcome(&died).recorded_canary().unwrap().canary().unwrap().pods, 2, "not halved twice");
        let arrived = carried_out(&plan, &before);
        assert!(is_begun(&arrived));
        assert_eq!(told(&reduced(&arrived)), "2 -> 1");
        assert!(!is_begun(&promoted(&arrived, 9_500)), "the next promotion is another story");
        let (_, away) = next(&arrived, true, &operation(9_000)).unwrap();
        assert!(!is_begun(&away.outcome(&arrived)) && is_begun(&carried_out(&away, &arrived)));
        assert_eq!(course(away.outcome(&arrived)).len(), 1, "it is gone on with");
        let mut of_a_promotion = before;
        if let Some(Ok(CanaryRecord { aim: Aim::Runs(canary), .. })) = &mut of_a_promotion.canary_record {
            canary.arrived = false;
        }
        assert_eq!(told(&reduced(&of_a_promotion)), "4 -> 2");
    }

    #[test]
    fn a_promotion_that_was_cut_short_brings_a_reduced_canary_up_as_it_is() {
        let before = with(4, None);
        let died = reduced(&before).1.outcome(&before);
        let resumed = promoted(&died, 9_500);
        assert_eq!(resumed.recorded_canary().unwrap().canary().unwrap().pods, 2);
    }

    #[test]
    fn a_canary_does_not_come_back_on_the_way_down() {
        let places = |workload: &Workload| -> Vec<String> {
            let told = |reduction: &Reduction| {
                let (Reduction::Recorded(_, plan) | Reduction::Flags(plan)) = reduction else { panic!("by hand") };
                let place = plan.record.place().map(|place| format!("{} {}", place.phase, place.step));
                place.unwrap_or_default()
            };
            all_the_way(&stepped(), workload, &operation(9_000)).iter().map(told).collect()
        };
        assert_eq!(places(&after(4)), ["shadow 1"], "from everything");
        assert_eq!(places(&after(5)), ["http 1", "http 1", "cache 3", "shadow 1"], "with a canary of http");
        assert_eq!(places(&after(7)), ["cache 3", "shadow 1"]);
    }

    #[test]
    fn what_is_left_of_a_canary_goes_first_and_what_does_not_go_is_passed_over() {
        let mut left_over = after(4);
        left_over.beside = with(2, None).beside;
        let given_up = |recorded| GivenUp { canaries: [].into(), recorded };
        let next = |workload: &Workload, recorded| {
            next_reduction(&stepped(), workload, &given_up(recorded), &operation(9_000))
        };
        assert!(matches!(next(&left_over, false), Ok(Reduction::Recorded(Fewer { from: 2, to: 0, .. }, _))));
        assert!(matches!(next(&left_over, true), Ok(Reduction::Flags(plan)) if plan.canary.is_none()));
        left_over.beside.as_mut().unwrap().terminating = true;
        assert!(matches!(next(&left_over, false), Ok(Reduction::Flags(_))), "it is on its way out");
    }

    proptest! {
        #[test]
        fn it_ends_with_nothing_on_and_makes_no_canary(
            steps in 0..8_i64,
            // The canary and what the router gives it, as somebody else has left them.
            found in proptest::option::of(0..9_i32),
            percent in proptest::option::of(0.0..30.0_f64),
            cut_short in 0..12_usize,
        ) {
            let mut at = after(steps);
            if let (Some(percent), Some(Ok(record))) = (percent, &mut at.canary_record)
                && let Aim::Runs(canary) = &mut record.aim
            {
                let router = Router { name: "web".into(), kind: kind(0.01), canary_labels: [].into() };
                record.route = Some(Routed { router, weights: Weights("before".into()) });
                (canary.percent, at.split) = (Some(20.0), Some(Ok(split(percent))));
            }
            match (found, &mut at.beside) {
                (Some(found), Some(beside)) => beside.replicas.desired = found,
                _ => at.beside = None,
            }
            let on = |workload: &Workload, name: &str| workload.flags[&flag(name)] == literal("true");
            let mut count = 0;
            while let Ok(reduction) = next_reduction(&stepped(), &at, &GivenUp::default(), &operation(10_000 + count)) {
                let (Reduction::Recorded(_, plan) | Reduction::Flags(plan)) = &reduction else { panic!("by hand") };
                let before = at.clone();
                // A run that dies before anything is carried out is gone on with.
                let died = usize::try_from(count) == Ok(cut_short);
                at = if died { plan.outcome(&at) } else { carried_out(plan, &at) };
                for name in ["CB_CACHE", "CB_HTTP"] {
                    prop_assert!(!on(&at, name) || on(&before, name), "{name} is switched on");
                }
                if let Some(canary) = plan.canary.as_ref().and_then(|record| record.canary()) {
                    let found = before.beside.as_ref().map_or(0, |beside| beside.replicas.desired);
                    prop_assert!(i64::from(canary.pods) <= i64::from(found), "{} pods of {found}", canary.pods);
                    if let (Some(percent), Some(Ok(split))) = (canary.percent, &before.split) {
                        prop_assert!(percent <= split.percent, "{percent} of {}", split.percent);
                    }
                }
                count += 1;
                prop_assert!(count < 24, "it does not come to an end");
            }
            prop_assert!(at.has(&stepped().header.breakers_off()) && !leaves_a_canary(&at));
            prop_assert!(at.recorded_canary().is_none());
        }
    }
}
