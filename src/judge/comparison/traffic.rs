//! Whether the canary gets the share of requests that its number of pods promises.
//!
//! It does not know of routers: where one splits the traffic, the share that it promises is another one.

use super::split::Pair;
use crate::judge::evidence::{as_float, log_mean_exp};

/// Multiples of the promised odds that are tested.
const MULTIPLES: [f64; 10] = [0.1, 0.2, 0.35, 0.5, 0.65, 1.5, 2.0, 3.0, 5.0, 10.0];
/// What counts of requests are divided by: they come in sessions and over kept connections, and are not independent.
const DISPERSION: f64 = 20.0;
/// By how much the share must be off to be worth a word. With enough requests any difference is certain.
const NOTICEABLE: f64 = 1.25;

/// The canary's share of the requests, and the one that its pods would give it, where they differ by more than a factor
/// of 1.25 and by more than chance explains at evidence `needed`.
///
/// A mixture of likelihood ratios of the binomial, on both sides of the promised share.
pub fn uneven(counts: Pair, canary_pods: usize, stable_pods: usize, needed: f64) -> Option<(f64, f64)> {
    let (canary, stable) = (as_float(counts.canary.requests), as_float(counts.stable.requests));
    if canary_pods == 0 || stable_pods == 0 || canary + stable <= 0.0 {
        return None;
    }
    let of_pods = as_float(canary_pods as u64) / as_float((canary_pods + stable_pods) as u64);
    let of_requests = canary / (canary + stable);
    let noticeable = of_requests > of_pods * NOTICEABLE || of_requests * NOTICEABLE < of_pods;
    let logs = MULTIPLES.map(|multiple| {
        let of_all = of_pods * multiple + 1.0 - of_pods;
        (canary * multiple.ln() - (canary + stable) * of_all.ln()) / DISPERSION
    });
    (noticeable && log_mean_exp(&logs) >= needed.ln()).then_some((of_requests, of_pods))
}
