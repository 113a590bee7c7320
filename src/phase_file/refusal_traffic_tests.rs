//! What is refused of routers and freezes in `rollout.yaml`; see `refusal_tests`.

use super::refusal_tests::check;

const TRAFFIC: &[(&str, &str, &str)] = &[];

const FREEZES: &[(&str, &str, &str)] = &[];

#[test]
fn traffic() {
    check(TRAFFIC);
}

#[test]
fn freezes() {
    check(FREEZES);
}
