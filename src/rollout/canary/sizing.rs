//! How great a canary has to be for the exposure that a step declares, and why one may not be made at all.

use super::super::declaration::{Exposure, Rollout};
use super::super::workload::{FlagValue, Workload};
use super::trouble::CanaryTrouble;
use super::{Canary, canary_of};

/// The longest name of a Deployment that is whole in the names of its pods: 63 characters less what the ReplicaSet's hash
/// and the pod's own five add to it.
const LONGEST_NAME: usize = 46;
/// By so much the share that pods give may be greater than the declared one: this factor, or these percentage points.
const COARSE_FACTOR: f64 = 1.5;
const COARSE_POINTS: f64 = 5.0;

/// The canary of a step. Phase and step are indices.
///
/// # Errors
/// What stands against making it, before anything is created.
pub fn planned(rollout: &Rollout, workload: &Workload, phase: usize, step: usize) -> Result<Canary, CanaryTrouble> {
    let deployment = canary_of(&workload.deployment);
    if deployment.len() > LONGEST_NAME {
        return Err(CanaryTrouble::NameTooLong { deployment, most: LONGEST_NAME });
    }
    if workload.beside.as_ref().is_some_and(|beside| !beside.is_ours) {
        return Err(CanaryTrouble::Stranger { deployment });
    }
    let stable = u32::try_from(workload.replicas.desired).unwrap_or_default();
    if stable == 0 {
        return Err(CanaryTrouble::NothingStable);
    }
    // Exposure only grows, also where pods have become fewer meanwhile; what an emergency has ended grows anew.
    let before = workload.recorded_canary().and_then(|record| record.canary()).filter(|_| workload.emergency.is_none());
    let at_least = before.map_or(1, |before| before.pods.max(1));
    let exposure = rollout.phases[phase].steps[step].exposure;
    let (pods, percent) = if let Some(router) = super::router(rollout, workload) {
        routed(workload, router)?;
        let pods = pods(exposure, stable, |share| share * f64::from(stable)).max(at_least);
        let wanted = match exposure {
            Exposure::Traffic(percent) => percent,
            Exposure::Pods(_) | Exposure::Full => by_pods(pods, stable),
        };
        (pods, Some(router.kind.nearest(wanted)))
    } else {
        let pods = pods(exposure, stable, |share| share * f64::from(stable) / (1.0 - share)).max(at_least);
        if let Exposure::Traffic(wanted) = exposure {
            let percent = by_pods(pods, stable);
            if percent > wanted * COARSE_FACTOR && percent > wanted + COARSE_POINTS {
                return Err(CanaryTrouble::Coarse { wanted, percent, pods, stable });
            }
        }
        (pods, None)
    };
    let mut flags = workload.values();
    flags.extend(rollout.flags_at(phase, step).into_iter().map(|(flag, value)| (flag, FlagValue::Literal(value))));
    Ok(Canary { pods, flags, percent, template: workload.fingerprint.clone(), arrived: false })
}

/// What canary pods have of all pods, in percent: of the traffic too, where all of them share one Service.
pub fn by_pods(canary: u32, stable: u32) -> f64 {
    100.0 * f64::from(canary) / f64::from((canary + stable).max(1))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the pods that there are")]
fn pods(exposure: Exposure, stable: u32, of_share: impl Fn(f64) -> f64) -> u32 {
    match exposure {
        Exposure::Pods(pods) => pods,
        Exposure::Traffic(percent) => (of_share(percent / 100.0).round() as u32).max(1),
        Exposure::Full => stable,
    }
}

/// Whether the router can tell canary pods from stable ones, and gives them nothing yet.
fn routed(workload: &Workload, router: &super::super::router::Router) -> Result<(), CanaryTrouble> {
    for (label, value) in &router.canary_labels {
        if workload.selector.contains_key(label) {
            return Err(CanaryTrouble::LabelSelected { label: label.clone() });
        }
        match workload.replacement.footprint.labels.get(label) {
            Some(stable) if stable != value => {}
            _ => return Err(CanaryTrouble::LabelMissing { label: label.clone(), value: value.clone() }),
        }
    }
    match &workload.split {
        Some(Err(detail)) => Err(CanaryTrouble::Unsplittable { detail: detail.clone() }),
        Some(Ok(split)) if split.percent > 0.0 && workload.recorded_canary().is_none() => {
            Err(CanaryTrouble::AlreadySplit { router: router.object(), percent: split.percent })
        }
        None | Some(Ok(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::router::{Backends, Router, RouterKind, Split, Unsplittable, Weights};
    use super::super::super::tests::{all_off, rollout};
    use super::super::super::workload::Replicas;
    use super::super::Beside;
    use super::*;

    fn stable(pods: i32) -> Workload {
        Workload { replicas: Replicas { desired: pods, ..Replicas::default() }, ..all_off() }
    }

    fn sized(
        exposure: Exposure,
        workload: &Workload,
        router: Option<Router>,
    ) -> Result<(u32, Option<f64>), CanaryTrouble> {
        let mut rollout = rollout();
        rollout.header.router = router;
        rollout.phases[1].steps[0].exposure = exposure;
        planned(&rollout, workload, 1, 0).map(|canary| (canary.pods, canary.percent))
    }

    fn router() -> Router {
        let backends = Backends { stable: "web".into(), canary: "web-canary".into() };
        let labels = [("track".to_owned(), "canary".to_owned())].into();
        Router { name: "web".into(), kind: RouterKind::HttpRoute(backends), canary_labels: labels }
    }

    fn routed(pods: i32) -> Workload {
        let mut workload = stable(pods);
        workload.replacement.footprint.labels.insert("track".into(), "stable".into());
        workload
    }

    #[test]
    fn pods_make_the_share_that_comes_nearest() {
        for (percent, stable_pods, pods) in [(10.0, 9, 1), (10.0, 18, 2), (10.0, 10, 1), (25.0, 3, 1), (50.0, 4, 4)] {
            assert_eq!(sized(Exposure::Traffic(percent), &stable(stable_pods), None), Ok((pods, None)), "{percent}");
        }
        assert_eq!(sized(Exposure::Pods(2), &stable(3), None), Ok((2, None)), "as declared, whatever the share is");
        let coarse = CanaryTrouble::Coarse { wanted: 10.0, percent: 25.0, pods: 1, stable: 3 };
        assert_eq!(sized(Exposure::Traffic(10.0), &stable(3), None), Err(coarse));
        assert_eq!(sized(Exposure::Pods(1), &stable(0), None), Err(CanaryTrouble::NothingStable));
    }

    #[test]
    fn a_router_gives_any_share_to_enough_pods() {
        let sized = |exposure, pods| sized(exposure, &routed(pods), Some(router()));
        assert_eq!(sized(Exposure::Traffic(10.0), 3), Ok((1, Some(10.0))));
        assert_eq!(sized(Exposure::Traffic(10.0), 30), Ok((3, Some(10.0))));
        assert_eq!(sized(Exposure::Pods(1), 3), Ok((1, Some(25.0))), "as many requests as any other pod");
    }

    #[test]
    fn what_forbids_a_canary_is_found_before_one_is_made() {
        let mut long = stable(3);
        long.deployment = "a".repeat(40);
        assert!(matches!(sized(Exposure::Pods(1), &long, None), Err(CanaryTrouble::NameTooLong { .. })));
        let mut strange = stable(3);
        strange.beside = Some(Beside::default());
        assert!(matches!(sized(Exposure::Pods(1), &strange, None), Err(CanaryTrouble::Stranger { .. })));
        let with = |workload: &Workload| sized(Exposure::Pods(1), workload, Some(router()));
        assert!(matches!(with(&stable(3)), Err(CanaryTrouble::LabelMissing { .. })), "the Service could not tell them");
        let mut selected = routed(3);
        selected.selector.insert("track".into(), "stable".into());
        assert!(matches!(with(&selected), Err(CanaryTrouble::LabelSelected { .. })), "nobody would find its pods");
        let mut taken = routed(3);
        taken.split = Some(Ok(Split { resource_version: "1".into(), percent: 5.0, weights: Weights("{}".into()) }));
        assert!(matches!(with(&taken), Err(CanaryTrouble::AlreadySplit { .. })));
        taken.split = Some(Err(Unsplittable::Missing { router: "httproute/web".into() }));
        assert!(matches!(with(&taken), Err(CanaryTrouble::Unsplittable { .. })));
    }
}
