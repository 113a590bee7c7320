//! A detector that restarts: a late regression must not drown in a healthy past.
//!
//! A sum of likelihood ratios that are started at every moment (Shiryaev–Roberts), mixed over alternatives. While the
//! share stays at or below the null, its expectation grows by one a minute, so that within `horizon` minutes it reaches
//! horizon/α with probability at most α. Source: Shin, Ramdas and Rinaldo (arXiv 2203.03532).
//!
//! It does not know which share is watched, nor what follows from an alarm.

use std::time::Duration;

use jiff::Timestamp;

use super::condition::Share;
use super::evidence::{Bursts, Tally, Weights, alternative, as_float, log_mean_exp};

/// Multiples of the limit that a trigger watches for: a breach of the limit, however small, and not only of the null.
pub const BREACHES: [f64; 9] = [1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0];

/// Watches a share, block by block.
#[derive(Debug, Clone)]
pub struct Detector {
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone)]
struct Alternative {
    weights: Weights,
    /// ln of the sum over all starts, in minutes.
    log_sum: f64,
    /// The greatest log-likelihood ratio of any start (a CUSUM), that start, and what was counted since.
    best: f64,
    start: Option<Timestamp>,
    since: Tally,
}

impl Detector {
    /// Tells the alternatives, multiples of `limit`, from a share of at most `null`.
    pub fn new(null: Share, limit: Share, multiples: &[f64], bursts: Bursts) -> Self {
        let against = |multiple: &f64| Alternative {
            weights: Weights::new(null.get(), alternative(limit.get(), *multiple), bursts),
            log_sum: f64::NEG_INFINITY,
            best: 0.0,
            start: None,
            since: Tally::default(),
        };
        Self { alternatives: multiples.iter().map(against).collect() }
    }

    /// Puts as much weight on the first moment as on so many minutes of starts.
    pub fn with_head_start(mut self, minutes: f64) -> Self {
        for alternative in &mut self.alternatives {
            alternative.log_sum = minutes.ln();
        }
        self
    }

    /// Looks at one block, which began at `from` and took this long.
    pub fn add(&mut self, from: Timestamp, length: Duration, counts: Tally) {
        let start = (length.as_secs_f64() / 60.0).ln();
        for alternative in &mut self.alternatives {
            let gained = alternative.weights.of(counts);
            alternative.log_sum = log_add(start, alternative.log_sum) + gained;
            if alternative.best + gained <= 0.0 {
                (alternative.best, alternative.start, alternative.since) = (0.0, None, Tally::default());
            } else {
                alternative.best += gained;
                alternative.start.get_or_insert(from);
                alternative.since += counts;
            }
        }
    }

    /// The mean over the alternatives, in minutes; to be held against horizon/α.
    pub fn minutes(&self) -> f64 {
        let logs: Vec<f64> = self.alternatives.iter().map(|alternative| alternative.log_sum).collect();
        log_mean_exp(&logs).exp().min(f64::MAX)
    }

    /// The most likely beginning of the breach, and what was counted since.
    pub fn onset(&self) -> Option<(Timestamp, Tally)> {
        let best = self.alternatives.iter().max_by(|a, b| a.best.total_cmp(&b.best))?;
        Some((best.start?, best.since))
    }
}

pub fn in_minutes(duration: Duration) -> f64 {
    as_float(duration.as_secs().max(1)) / 60.0
}

/// ln(eᵃ + eᵇ).
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn trigger() -> Detector {
        Detector::new(Share::new(0.01).unwrap(), Share::new(0.02).unwrap(), &BREACHES, Bursts::NONE)
    }

    fn run(detector: &mut Detector, minutes: std::ops::Range<i64>, share: f64, requests: f64) {
        for minute in minutes {
            detector.add(at(minute), MINUTE, Tally { events: requests * share, requests });
        }
    }

    #[test]
    fn a_breach_is_dated_where_it_began_however_long_it_was_healthy_before() {
        for healthy in [10, 1_440] {
            let mut detector = trigger();
            run(&mut detector, 0..healthy, 0.005, 600.0);
            assert!(detector.minutes() < 100.0);
            run(&mut detector, healthy..healthy + 3, 0.05, 600.0);
            let (onset, since) = detector.onset().unwrap();
            assert_eq!(onset, at(healthy));
            assert!((since.share() - 0.05).abs() < 1e-9);
            assert!(detector.minutes() > in_minutes(Duration::from_secs(48 * 3_600)) * 100.0);
        }
    }

    #[test]
    fn blocks_of_any_length_say_the_same() {
        let healthy = |length: u32| {
            let mut detector = trigger();
            for block in 0..(1_200 / length) {
                let requests = f64::from(10 * length);
                let from = at(i64::from(block * length) / 60);
                detector.add(from, Duration::from_secs(length.into()), Tally { events: requests * 0.03, requests });
            }
            detector.minutes().ln()
        };
        assert!((healthy(60) / healthy(20) - 1.0).abs() < 0.02, "{} {}", healthy(60), healthy(20));
    }

    #[test]
    fn the_sum_is_worth_its_minutes_when_nothing_is_known() {
        let mut detector = trigger();
        assert!(detector.minutes() < f64::EPSILON, "nothing was seen yet");
        run(&mut detector, 0..7, 0.0, 0.0);
        assert!((detector.minutes() - 7.0).abs() < 1e-9);
        assert_eq!(detector.onset(), None);
    }
}
