//! What comes out of targets, checks, sign-offs and routers.

use std::time::Duration;

use super::reading_tests::phase;
use super::refusal_tests::{PHASE, ROLLOUT};
use super::{fingerprint, parse_header};
use crate::judge::condition::Share;
use crate::rollout::declaration::{Check, Exposure, Gate, Probe, RequiredSignOff, Requirement};
use crate::rollout::router::{Backends, RouterKind};

const TARGETS: &str = r#"targets:
  - {name: reads, flags: {CB_CACHE_MS: "1"}}
  - name: lists
    flags: {CB_HTTP_ENABLED: "true"}
    gates: [{signoff: fallbacks}, error_rate < 0.1% over 1h]
  - {name: both, flags: {CB_CACHE_MS: "2"}}
steps:
"#;

fn with_targets() -> String {
    PHASE.replace("steps:\n", TARGETS)
}

#[test]
fn each_target_goes_through_all_steps() {
    let phase = phase(&with_targets());
    let of = |step: usize| {
        let step = &phase.steps[step];
        let flags: Vec<_> = step.flags.iter().map(|(flag, value)| format!("{flag}={value}")).collect();
        (step.target.as_ref().unwrap().to_string(), step.exposure, flags.join(" "), step.gates.len())
    };
    assert_eq!(phase.steps.len(), 9);
    assert_eq!(of(0), ("reads".to_owned(), Exposure::Pods(1), "CB_CACHE_MS=1".to_owned(), 0));
    assert_eq!(of(2), ("reads".to_owned(), Exposure::Full, "CB_CACHE_MS=1".to_owned(), 0));
    assert_eq!(of(3), ("lists".to_owned(), Exposure::Pods(1), "CB_CACHE_MS=1 CB_HTTP_ENABLED=true".to_owned(), 2));
    assert_eq!(of(8), ("both".to_owned(), Exposure::Full, "CB_CACHE_MS=2 CB_HTTP_ENABLED=true".to_owned(), 0));
    assert_eq!(phase.steps[4].bake, Duration::from_hours(48));
}

#[test]
fn without_targets_a_step_has_nothing_of_its_own() {
    for step in phase(PHASE).steps {
        assert!(step.target.is_none() && step.flags.is_empty() && step.gates.is_empty(), "{step:?}");
    }
}

#[test]
fn a_target_may_set_what_the_phase_sets() {
    let first = PHASE.replace("steps:\n", "targets: [{name: a, flags: {CB_CACHE_ENABLED: \"true\"}}]\nsteps:\n");
    assert_eq!(phase(&first).steps[0].flags.len(), 1, "there is nothing before the first one");
    let other = PHASE.replace("steps:\n", "targets: [{name: a, flags: {CB_CACHE_ENABLED: \"false\"}}]\nsteps:\n");
    assert_eq!(phase(&other).steps[0].flags.values().next().map(String::as_str), Some("false"));
}

#[test]
fn the_gates_of_targets_say_what_is_healthy_too() {
    assert_eq!(phase(PHASE).triggers[0].healthy, None);
    assert_eq!(phase(&with_targets()).triggers[0].healthy, Share::new(0.001));
}

#[test]
fn sign_offs_and_checks_are_required_and_gate() {
    let second = Duration::from_secs(1);
    let http = |path: &str, port, timeout| Check { probe: Probe::Http { path: path.to_owned(), port }, timeout };
    let command = |words: &[&str], timeout| Check {
        probe: Probe::Command(words.iter().map(|word| (*word).to_owned()).collect()),
        timeout,
    };
    let sign_off = |valid_for| RequiredSignOff { name: "dashboards-reviewed".parse().unwrap(), valid_for };
    for (written, gate, requirement) in [
        ("{signoff: dashboards-reviewed}", Gate::SignOff(sign_off(None)), Requirement::SignOff(sign_off(None))),
        (
            "{signoff: dashboards-reviewed, valid_for: 30d}",
            Gate::SignOff(sign_off(Some(Duration::from_hours(30 * 24)))),
            Requirement::SignOff(sign_off(Some(Duration::from_hours(30 * 24)))),
        ),
        (
            "{check: {http: /readinessz}}",
            Gate::Check(http("/readinessz", None, 10 * second)),
            Requirement::Check(http("/readinessz", None, 10 * second)),
        ),
        (
            "{check: {http: '/a/..b/c?of=../x&y=%20', port: 8080, timeout: 5s}}",
            Gate::Check(http("/a/..b/c?of=../x&y=%20", Some(8080), 5 * second)),
            Requirement::Check(http("/a/..b/c?of=../x&y=%20", Some(8080), 5 * second)),
        ),
        (
            "{check: {command: [./smoke.sh, --fast, '']}}",
            Gate::Check(command(&["./smoke.sh", "--fast", ""], 60 * second)),
            Requirement::Check(command(&["./smoke.sh", "--fast", ""], 60 * second)),
        ),
        (
            "{check: {command: [sh, -c, 'a  b'], timeout: 10m}}",
            Gate::Check(command(&["sh", "-c", "a  b"], 600 * second)),
            Requirement::Check(command(&["sh", "-c", "a  b"], 600 * second)),
        ),
    ] {
        let read = phase(&PHASE.replace("p95 < 400ms over 30m", written));
        assert_eq!(read.gates[0], gate, "{written}");
        let read = phase(&PHASE.replace("{signoff: dashboards-reviewed}", written));
        assert_eq!(read.requires[1], requirement, "{written}");
    }
}

#[test]
fn every_kind_of_router() {
    let backends = || Backends { stable: "web".to_owned(), canary: "web-canary".to_owned() };
    for (kind, expected) in [
        ("httproute: {name: a.b, stable: web, canary: web-canary}", RouterKind::HttpRoute(backends())),
        ("virtualservice: {name: a.b, stable: web, canary: web-canary}", RouterKind::VirtualService(backends())),
        ("traefikservice: {name: a.b, stable: web, canary: web-canary}", RouterKind::TraefikService(backends())),
        ("ingress: {name: a.b}", RouterKind::Ingress),
    ] {
        let traffic = format!("traffic: {{{kind}, canary_labels: {{track: canary, a.b/C_1: \"1\"}}}}\nindicators:");
        let router = parse_header("rollout.yaml", &ROLLOUT.replace("indicators:", &traffic)).unwrap().router.unwrap();
        assert_eq!((router.name.as_str(), router.kind), ("a.b", expected));
        let labels: Vec<_> = router.canary_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["a.b/C_1=1", "track=canary"]);
    }
    assert_eq!(parse_header("rollout.yaml", ROLLOUT).unwrap().router, None);
}

#[test]
fn whoever_signs_signs_the_text() {
    assert_eq!(phase(PHASE).content, fingerprint(PHASE));
    assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    assert_ne!(fingerprint(PHASE), fingerprint(&with_targets()));
}
