//! What is refused in targets, checks and sign-offs, and what a breaker must never guard; see `refusal_tests`.

use super::refusal_tests::{ROLLOUT, check, check_with};

const TARGETS: &[(&str, &str, &str)] = &[];

const CHECKS_AND_SIGN_OFFS: &[(&str, &str, &str)] = &[];

#[test]
fn targets() {
    check(TARGETS);
}

#[test]
fn checks_and_sign_offs() {
    check(CHECKS_AND_SIGN_OFFS);
}

const NEVER: &[(&str, &str, &str)] = &[];

#[test]
fn what_a_breaker_must_never_guard() {
    let rollout = ROLLOUT
        .replace("settings: [CB_CACHE_MS]", "settings: [CB_CACHE_MS], never_for: [write operations, Payments]")
        .replace("match: '.*http.*'", "match: '.*http.*', settings: [CB_HTTP_FOR]");
    check_with(&rollout, NEVER);
}
