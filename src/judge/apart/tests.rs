//! A canary beside stable pods: which of the two a verdict is about.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects")]

use super::*;
use crate::judge::condition::{Metric, NoData};
use crate::judge::samples::Scope;
use crate::judge::tests::{error_rate, scope, series, traffic};
use crate::judge::verdict::Share;

/// Pods of a hundred requests a second, so many of them errors.
fn group(pods: &[&str], errors: f64) -> Group {
    let served: Vec<(&str, f64, f64)> = pods.iter().map(|pod| (*pod, 100.0, errors)).collect();
    let mut samples = traffic(&served);
    let sources = pods.iter().map(|pod| series(pod, "", |_| Some(1.0))).collect();
    samples.insert(Metric::RequestSources, Ok(sources));
    for before in [Metric::RequestsBefore, Metric::ErrorsBefore] {
        samples.insert(before, Ok(vec![]));
    }
    Group { scope: scope(pods), samples }
}

fn said(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Met(_) => "met",
        Judgement::Unmet(_) => "unmet",
        Judgement::Inconclusive(Gap::NoPodsInCanary, _) => "no canary",
        Judgement::Inconclusive(..) => "inconclusive",
        Judgement::Missing(Gap::NoPodsInCanary) => "missing canary",
        Judgement::Missing(_) => "missing",
        Judgement::Error(_) => "error",
    }
}

#[test]
fn a_gate_is_about_the_canary_and_a_trigger_about_whichever_is_worse() {
    use Pods::{Canary, Stable};
    let cases = [
        (Role::Gate, 0.0, 0.0, "met", Canary),
        (Role::Gate, 0.0, 20.0, "met", Canary),
        (Role::Gate, 20.0, 0.0, "unmet", Canary),
        (Role::Trigger, 0.0, 0.0, "unmet", Canary),
        (Role::Trigger, 20.0, 0.0, "met", Canary),
        (Role::Trigger, 0.0, 20.0, "met", Stable),
        (Role::Trigger, 20.0, 20.0, "met", Canary),
    ];
    for (role, of_canary, of_stable, verdict, pods) in cases {
        let judgement = judge(&error_rate(role, 0.02), &group(&["canary"], of_canary), &group(&["a", "b"], of_stable));
        let evidence = judgement.evidence().unwrap();
        let about = (said(&judgement), evidence.pods());
        assert_eq!(about, (verdict, Some(pods)), "{role:?}: {of_canary} and {of_stable}");
        let beside = evidence.stable().map(|finding| match finding {
            Finding::Share(Share { events, requests, .. }) => (*events > 0, *requests),
            other => panic!("no share: {other:?}"),
        });
        let both = Some((of_stable > 0.0, 12_000));
        assert_eq!(beside, if pods == Canary { both } else { None }, "the figure of the others stands beside it");
    }
}

#[test]
fn without_a_canary_pod_the_stable_ones_are_not_judged_in_its_place() {
    let none = |of: &Group| {
        let nobody = Scope { pods: Some(vec![]), ..of.scope.clone() };
        Group { scope: nobody, samples: of.samples.clone() }
    };
    // What it served before it went is there, and so are the others, who do well.
    let (gone, healthy, broken) = (none(&group(&["canary"], 0.0)), group(&["a", "b"], 0.0), group(&["a", "b"], 20.0));
    let gate = error_rate(Role::Gate, 0.02);
    let trigger = error_rate(Role::Trigger, 0.02);
    assert_eq!(said(&judge(&gate, &gone, &healthy)), "no canary");
    let strict = Condition { no_data: NoData::Fail, ..gate };
    assert_eq!(said(&judge(&strict, &gone, &healthy)), "missing canary");
    assert_eq!(said(&judge(&trigger, &gone, &healthy)), "no canary", "quiet can only be said of both");
    assert_eq!(said(&judge(&trigger, &gone, &broken)), "met", "a service that is down is rolled back all the same");
}

#[test]
fn a_comparison_stays_one_of_both() {
    let measure = Measure::ErrorRateAgainstBaseline { factor: 2.0 };
    let condition = Condition { measure, ..error_rate(Role::Gate, 0.02) };
    let judgement = judge(&condition, &group(&["canary"], 20.0), &group(&["a", "b"], 2.0));
    assert_eq!((said(&judgement), judgement.evidence().unwrap().pods()), ("unmet", None));
    // The canary has a third of the pods and most of the requests.
    let uneven = |judgement: &Judgement| match judgement.evidence().map(Evidence::finding) {
        Some(Finding::Comparison(comparison)) => comparison.uneven_traffic,
        _ => None,
    };
    let mut busy = traffic(&[("canary", 1_000.0, 10.0)]);
    for metric in [Metric::RequestSources, Metric::RequestsBefore, Metric::ErrorsBefore] {
        let series = if metric == Metric::RequestSources { vec![series("canary", "", |_| Some(1.0))] } else { vec![] };
        busy.insert(metric, Ok(series));
    }
    let busy = Group { scope: scope(&["canary"]), samples: busy };
    let judgement = judge(&condition, &busy, &group(&["a", "b"], 1.0));
    assert!(uneven(&judgement).is_some());
    assert_eq!(uneven(&judgement.routed()), None, "a router promises another share");
}
