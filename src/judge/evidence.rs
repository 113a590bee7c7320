//! How strongly counts speak for or against a limit.
//!
//! A mixture of likelihood ratios over a grid of alternatives (an e-value): under the null hypothesis its expectation
//! is at most 1, so that by Markov's inequality it reaches 1/α with probability at most α. Source: Robbins 1970;
//! Howard, Ramdas, `McAuliffe` and Sekhon 2021 (arXiv 1810.08240).

use super::condition::Share;

/// Multiples of the limit that a violation is tested against.
const WORSE: [f64; 9] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0];
/// Multiples of the limit that compliance is tested against.
const BETTER: [f64; 10] = [0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.0];

/// Evidence that the true share is above `limit`, as a likelihood ratio.
pub fn of_violation(events: u64, requests: u64, limit: Share) -> f64 {
    mixture(&WORSE, events, requests, limit.get())
}

/// Evidence that the true share is below `limit`, as a likelihood ratio.
pub fn of_compliance(events: u64, requests: u64, limit: Share) -> f64 {
    mixture(&BETTER, events, requests, limit.get())
}

/// The least number of requests without any event that proves compliance with evidence `needed`.
pub fn least_requests(limit: Share, needed: f64) -> u64 {
    least(|n| of_compliance(0, n, limit) >= needed).unwrap_or(u64::MAX)
}

/// How many more requests prove compliance, if they go on as the `events` in `requests` so far; None if they never do.
pub fn more_requests(events: u64, requests: u64, limit: Share, needed: f64) -> Option<u64> {
    if requests == 0 {
        return Some(least_requests(limit, needed));
    }
    let share = as_float(events) / as_float(requests);
    if share >= limit.get() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is a count")]
    let expected = |n: u64| (share * as_float(n)).ceil() as u64;
    least(|n| of_compliance(expected(n), n, limit) >= needed).map(|n| n.saturating_sub(requests).max(1))
}

/// Bounds of the true share: what neither a violation nor a compliance with evidence `needed` rules out.
pub fn bounds(events: u64, requests: u64, needed: f64) -> (f64, f64) {
    if requests == 0 {
        return (0.0, 1.0);
    }
    let estimate = as_float(events) / as_float(requests);
    let ruled_out = |p: f64, test: fn(u64, u64, Share) -> f64| {
        Share::new(p).is_some_and(|limit| test(events, requests, limit) >= needed)
    };
    (bisect(estimate, 0.0, |p| ruled_out(p, of_violation)), bisect(estimate, 1.0, |p| ruled_out(p, of_compliance)))
}

/// ln of the mean over `multiples` of the likelihood ratio of p·k against p, taken back from log space at the end.
fn mixture(multiples: &[f64], events: u64, requests: u64, p: f64) -> f64 {
    let (bad, good) = (as_float(events), as_float(requests.saturating_sub(events)));
    // A multiple that is no share any more is brought half-way between the limit and everything.
    let alternatives = multiples.iter().map(|k| (p * k).min(f64::midpoint(p, 1.0)));
    let logs = alternatives.map(|alternative| {
        let of_bad = if events == 0 { 0.0 } else { bad * (alternative / p).ln() };
        of_bad + good * ((1.0 - alternative) / (1.0 - p)).ln()
    });
    let logs: Vec<f64> = logs.collect();
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - top).exp()).sum();
    // Beyond the greatest number it is enough for anything.
    (top + (sum / as_float(logs.len() as u64)).ln()).exp().min(f64::MAX)
}

/// The least number for which `enough` holds, by doubling and bisection, if there is one below 2⁴⁰.
fn least(enough: impl Fn(u64) -> bool) -> Option<u64> {
    let high = (0..=40).map(|power| 1_u64 << power).find(|n| enough(*n))?;
    let (mut no, mut yes) = (high / 2, high);
    while yes - no > 1 {
        let middle = no.midpoint(yes);
        if enough(middle) { yes = middle } else { no = middle }
    }
    Some(yes)
}

/// The edge between what is kept (near `from`) and what is ruled out (near `to`).
fn bisect(from: f64, to: f64, ruled_out: impl Fn(f64) -> bool) -> f64 {
    let (mut kept, mut out) = (from, to);
    for _ in 0..40 {
        let middle = f64::midpoint(kept, out);
        if ruled_out(middle) { out = middle } else { kept = middle }
    }
    out
}

/// Counts stay far below 2⁵³, where every integer is a float.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(value: f64) -> Share {
        Share::new(value).unwrap()
    }

    #[test]
    fn zero_errors_prove_one_percent_after_the_known_number_of_requests() {
        assert_eq!(least_requests(share(0.01), 100.0), 555, "alpha 0.01");
        assert_eq!(least_requests(share(0.01), 20.0), 378, "alpha 0.05");
    }

    #[test]
    fn five_times_the_limit_is_found_near_the_known_median_of_127_requests() {
        assert!(of_violation(5, 100, share(0.01)) < 100.0);
        assert!(of_violation(8, 160, share(0.01)) >= 100.0);
    }

    #[test]
    fn nothing_is_proven_by_no_requests() {
        assert!(of_violation(0, 0, share(0.01)) <= 1.0);
        assert!(of_compliance(0, 0, share(0.01)) <= 1.0);
    }

    #[test]
    fn bounds_enclose_the_estimate_and_shrink() {
        let (low, high) = bounds(10, 1_000, 20.0);
        assert!(low < 0.01 && 0.01 < high && low > 0.0 && high < 0.03, "{low} {high}");
        let (nearer_low, nearer_high) = bounds(100, 10_000, 20.0);
        assert!(low < nearer_low && nearer_high < high);
    }

    #[test]
    fn a_share_at_the_limit_never_gets_enough() {
        assert_eq!(more_requests(10, 1_000, share(0.01), 20.0), None);
        assert!(more_requests(1, 1_000, share(0.01), 20.0).is_some());
    }
}
