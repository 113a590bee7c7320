//! How strongly counts speak for or against a limit.
//!
//! A mixture of likelihood ratios over a grid of alternatives (an e-value): under the null hypothesis its expectation
//! is at most 1, so that by Markov's inequality it reaches 1/α with probability at most α. Source: Robbins 1970;
//! Howard, Ramdas, `McAuliffe` and Sekhon 2021 (arXiv 1810.08240).

use super::condition::Share;

/// Multiples of the limit that a violation is tested against.
pub const WORSE: [f64; 9] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0];
/// Multiples of the limit that compliance is tested against.
pub const BETTER: [f64; 10] = [0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.0];

/// Counts that evidence is drawn from.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    pub events: f64,
    pub requests: f64,
}

impl Tally {
    pub fn of(events: u64, requests: u64) -> Self {
        Self { events: as_float(events), requests: as_float(requests) }
    }

    /// The share of events; none of no requests.
    pub fn share(self) -> f64 {
        if self.requests > 0.0 { self.events / self.requests } else { 0.0 }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.requests += other.requests;
    }
}

/// How many events come together: bursts of geometric length, whose counts vary 2·mean − 1 times as much as independent
/// ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    mean: f64,
}

impl Bursts {
    /// Events that have nothing to do with each other.
    pub const NONE: Self = Self { mean: 1.0 };

    /// The bursts that explain a dispersion, at least 1, of the events of a block.
    pub fn of_dispersion(dispersion: f64) -> Self {
        Self { mean: f64::midpoint(dispersion.max(1.0), 1.0) }
    }

    /// Bursts of this mean length, at least 1.
    pub fn of_mean(mean: f64) -> Self {
        Self { mean: mean.max(1.0) }
    }

    /// Mean length, at least 1.
    pub fn mean(self) -> f64 {
        self.mean
    }

    /// The factor by which each event has to count so that a burst is `multiple` times as long on average, as seen
    /// through the factor; and the expectation of the factor to the power of the length.
    fn tilt(self, multiple: f64) -> (f64, f64) {
        let more = 1.0 - 1.0 / self.mean;
        let square = multiple * self.mean * more * more;
        let linear = 2.0 * multiple * self.mean * more + 1.0 / self.mean;
        // The smaller root of square·x² − linear·x + multiple·mean, written so that a small square divides nothing.
        let constant = multiple * self.mean;
        let factor = 2.0 * constant / (linear + (linear * linear - 4.0 * square * constant).max(0.0).sqrt());
        (factor, factor / self.mean / (1.0 - more * factor))
    }
}

/// What one event and one request add to the logarithm of the evidence for an alternative.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    of_event: f64,
    of_request: f64,
}

impl Weights {
    /// A weight for each event, and what every request loses so that the expectation of the product is at most 1 while
    /// the share is `null`. Of single events it is the binomial likelihood ratio, of bursts that of a compound Poisson
    /// process.
    pub fn new(null: f64, alternative: f64, bursts: Bursts) -> Self {
        if bursts == Bursts::NONE {
            let of_other = ((1.0 - alternative) / (1.0 - null)).ln();
            return Self { of_event: (alternative / null).ln() - of_other, of_request: of_other };
        }
        let (factor, expectation) = bursts.tilt(alternative / null);
        Self { of_event: factor.ln(), of_request: -null / bursts.mean * (expectation - 1.0) }
    }

    /// What these counts add.
    pub fn of(self, tally: Tally) -> f64 {
        // No event at all is possible under the alternative that there is none.
        let of_events = if tally.events > 0.0 { tally.events * self.of_event } else { 0.0 };
        of_events + tally.requests * self.of_request
    }
}

/// Evidence that the true share is above `limit`, as a likelihood ratio.
pub fn of_violation(tally: Tally, limit: Share, bursts: Bursts) -> f64 {
    mixture(&WORSE, tally, limit.get(), bursts)
}

/// Evidence that the true share is below `limit`, as a likelihood ratio.
pub fn of_compliance(tally: Tally, limit: Share, bursts: Bursts) -> f64 {
    mixture(&BETTER, tally, limit.get(), bursts)
}

/// The least number of requests without any event that proves compliance with evidence `needed`.
pub fn least_requests(limit: Share, needed: f64, bursts: Bursts) -> u64 {
    let proven = |n: u64| of_compliance(Tally::of(0, n), limit, bursts) >= needed;
    least(proven).unwrap_or(u64::MAX)
}

/// How many more requests prove compliance, if they go on as those so far; None if they never do.
pub fn more_requests(tally: Tally, limit: Share, needed: f64, bursts: Bursts) -> Option<u64> {
    if tally.requests <= 0.0 {
        return Some(least_requests(limit, needed, bursts));
    }
    let share = tally.share();
    if share >= limit.get() {
        return None;
    }
    let expected = |n: u64| Tally { events: share * as_float(n), requests: as_float(n) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count below 2^53")]
    let have = tally.requests.floor() as u64;
    least(|n| of_compliance(expected(n), limit, bursts) >= needed).map(|n| n.saturating_sub(have).max(1))
}

/// Bounds of the true share: what neither a violation nor a compliance with evidence `needed` rules out.
pub fn bounds(tally: Tally, needed: f64, bursts: Bursts) -> (f64, f64) {
    if tally.requests <= 0.0 {
        return (0.0, 1.0);
    }
    let ruled_out =
        |p: f64, test: fn(Tally, Share, Bursts) -> f64| Share::new(p).is_some_and(|p| test(tally, p, bursts) >= needed);
    let estimate = tally.share();
    (bisect(estimate, 0.0, |p| ruled_out(p, of_violation)), bisect(estimate, 1.0, |p| ruled_out(p, of_compliance)))
}

/// What a multiple of the limit stands for; one that is no share any more is brought half-way between the limit and
/// everything.
pub fn alternative(limit: f64, multiple: f64) -> f64 {
    (limit * multiple).min(f64::midpoint(limit, 1.0))
}

/// The mean over `multiples` of the evidence for p·k against p.
fn mixture(multiples: &[f64], tally: Tally, p: f64, bursts: Bursts) -> f64 {
    let logs = multiples.iter().map(|multiple| Weights::new(p, alternative(p, *multiple), bursts).of(tally));
    // Beyond the greatest number it is enough for anything.
    log_mean_exp(&logs.collect::<Vec<_>>()).exp().min(f64::MAX)
}

/// ln of the mean of e to these powers, without leaving the range of numbers on the way.
pub fn log_mean_exp(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    let sum: f64 = logs.iter().map(|log| (log - top).exp()).sum();
    top + (sum / as_float(logs.len() as u64)).ln()
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
        assert_eq!(least_requests(share(0.01), 100.0, Bursts::NONE), 555, "alpha 0.01");
        assert_eq!(least_requests(share(0.01), 20.0, Bursts::NONE), 378, "alpha 0.05");
    }

    fn tally(events: f64, requests: f64) -> Tally {
        Tally { events, requests }
    }

    #[test]
    fn five_times_the_limit_is_found_near_the_known_median_of_127_requests() {
        assert!(of_violation(tally(5.0, 100.0), share(0.01), Bursts::NONE) < 100.0);
        assert!(of_violation(tally(8.0, 160.0), share(0.01), Bursts::NONE) >= 100.0);
    }

    #[test]
    fn nothing_is_proven_by_no_requests() {
        assert!(of_violation(Tally::default(), share(0.01), Bursts::NONE) <= 1.0);
        assert!(of_compliance(Tally::default(), share(0.01), Bursts::NONE) <= 1.0);
    }

    #[test]
    fn bounds_enclose_the_estimate_and_shrink() {
        let (low, high) = bounds(tally(10.0, 1_000.0), 20.0, Bursts::NONE);
        assert!(low < 0.01 && 0.01 < high && low > 0.0 && high < 0.03, "{low} {high}");
        let (nearer_low, nearer_high) = bounds(tally(100.0, 10_000.0), 20.0, Bursts::NONE);
        assert!(low < nearer_low && nearer_high < high);
    }

    #[test]
    fn a_share_at_the_limit_never_gets_enough() {
        assert_eq!(more_requests(tally(10.0, 1_000.0), share(0.01), 20.0, Bursts::NONE), None);
        assert!(more_requests(tally(1.0, 1_000.0), share(0.01), 20.0, Bursts::NONE).is_some());
    }

    #[test]
    fn events_in_bursts_weigh_less_and_never_without_bound() {
        let of =
            |dispersion: f64| of_violation(tally(100.0, 2_000.0), share(0.01), Bursts::of_dispersion(dispersion)).ln();
        assert!(of(2.0) < 0.7 * of(1.0), "{} {}", of(2.0), of(1.0));
        assert!(of(9.0) < 0.3 * of(1.0) && of(9.0).is_finite(), "{}", of(9.0));
    }

    #[test]
    fn single_events_weigh_their_likelihood_ratio() {
        let weights = Weights::new(0.01, 0.05, Bursts::NONE);
        let ratio = 7.0 * (0.05_f64 / 0.01).ln() + 93.0 * (0.95_f64 / 0.99).ln();
        assert!((weights.of(tally(7.0, 100.0)) - ratio).abs() < 1e-9);
        let never = Weights::new(0.01, 0.0, Bursts::NONE);
        assert!((never.of(tally(0.0, 100.0)) + 100.0 * 0.99_f64.ln()).abs() < 1e-9);
        assert!(never.of(tally(1.0, 100.0)) < f64::MIN);
    }
}
