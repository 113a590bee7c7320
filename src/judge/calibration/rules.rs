//! Plain rules, as other tools apply them to the answers of a query: what a number or its absence makes them say.
//!
//! Written down from their documentation and observed behaviour, each in its usual setting. They know nothing of how
//! many requests a number stands on.

/// Answers of one query of an error rate.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// One number for the whole window; None where no series was found, NaN for 0/0.
    pub instant: Option<f64>,
    /// One number a minute, each over five minutes, oldest first.
    pub range: Vec<f64>,
    /// The same of a baseline that runs beside it.
    pub baseline: Vec<f64>,
}

/// Whether a gate "below this limit" lets the rollout go on.
pub type Passes = fn(&Answer, f64) -> bool;

/// Each tool's name, and what it makes of an answer.
pub const GATES: [(&str, Passes); 6] = [
    ("alert", |answer, limit| !answer.instant.is_some_and(|value| value > limit)),
    // An empty answer is an error, retried until the run is given up.
    ("Argo", |answer, limit| answer.instant.is_some_and(|value| value < limit)),
    // NaN and no answer are failed checks.
    ("Flagger", |answer, limit| answer.instant.is_some_and(|value| value <= limit)),
    // One metric of three, not critical: without data it is left out of the score.
    ("Kayenta", |answer, _| !is_higher(&answer.range, &answer.baseline)),
    // Every point has to comply: where there is none, none fails.
    ("PipeCD", |answer, limit| answer.range.iter().all(|value| *value <= limit)),
    // The first point of the range is the one that counts, and it fails only if it compares as worse.
    ("Keptn", |answer, limit| {
        answer
            .range
            .first()
            .is_some_and(|value| !matches!(value.partial_cmp(&limit), Some(std::cmp::Ordering::Greater)))
    }),
];

/// The minutes of one service since its rollout, and what each rule is asked from.
pub struct Seen<'a> {
    /// By minute, over five minutes.
    pub rates: &'a [f64],
    pub baseline: &'a [f64],
    pub limit: f64,
}

/// The first minute, from this one on, after which a rule rolls back.
pub type RollsBack = fn(&Seen<'_>, usize) -> Option<usize>;

pub const TRIGGERS: [(&str, RollsBack); 7] = [
    ("threshold, no for", |seen, from| seen.minutes(from).find(|minute| seen.over(*minute))),
    ("alert, for 2m", |seen, from| {
        seen.minutes(from).find(|minute| (minute - 2..=*minute).all(|minute| seen.over(minute)))
    }),
    // Checked every minute; the fourth failed measurement is one too many.
    ("Argo, limit 3", |seen, from| seen.minutes(from).filter(|minute| seen.over(*minute)).nth(3)),
    // The fifth failed check rolls back at the next tick.
    ("Flagger, threshold 5", |seen, from| {
        seen.minutes(from).filter(|minute| seen.over(*minute)).nth(4).map(|minute| minute + 1)
    }),
    // Hourly, on the points of the last hour beside those of a baseline.
    ("Kayenta, hourly", |seen, from| {
        let hour = |minute: usize| minute - 60..minute;
        seen.minutes(from)
            .filter(|minute| minute % 60 == 0)
            .find(|minute| is_higher(&seen.rates[hour(*minute)], &seen.baseline[hour(*minute)]))
    }),
    // Every five minutes all points of them; the second failure is one too many.
    ("PipeCD, limit 1", |seen, from| {
        let five = |minute: &usize| (minute - 4..=*minute).any(|minute| seen.over(minute));
        seen.minutes(from).filter(|minute| minute % 5 == 0).filter(five).nth(1)
    }),
    // Every half hour, by the first point of it.
    ("Keptn, half-hourly", |seen, from| {
        seen.minutes(from).filter(|minute| minute % 30 == 0).find(|minute| seen.over(minute - 30))
    }),
];

impl Seen<'_> {
    fn minutes(&self, from: usize) -> std::ops::Range<usize> {
        from.max(60)..self.rates.len()
    }

    fn over(&self, minute: usize) -> bool {
        self.rates[minute] > self.limit
    }
}

/// Kayenta's rule: by a Mann-Whitney test at 98 % confidence the canary is higher by more than a quarter of the
/// estimated shift. Normal approximation with continuity and ties.
fn is_higher(canary: &[f64], baseline: &[f64]) -> bool {
    let numbers = |points: &[f64]| points.iter().copied().filter(|value| !value.is_nan()).collect::<Vec<_>>();
    let (canary, baseline) = (numbers(canary), numbers(baseline));
    if canary.is_empty() || baseline.is_empty() {
        return false;
    }
    let mut shifts: Vec<f64> = canary.iter().flat_map(|one| baseline.iter().map(move |other| one - other)).collect();
    let middle = shifts.len() / 2;
    let shift = *shifts.select_nth_unstable_by(middle, f64::total_cmp).1;
    let tolerated = 0.25 * shift.abs();
    let wins: f64 = shifts
        .iter()
        .map(|shift| {
            if *shift > tolerated {
                1.0
            } else if *shift < tolerated {
                0.0
            } else {
                0.5
            }
        })
        .sum();
    let (n, m) = (canary.len() as f64, baseline.len() as f64);
    let mut all: Vec<f64> = canary.iter().map(|value| value - tolerated).chain(baseline).collect();
    all.sort_by(f64::total_cmp);
    let cubes: f64 =
        all.chunk_by(|a, b| (a - b).abs() < 1e-12).map(|ties| (ties.len() as f64).powi(3) - ties.len() as f64).sum();
    let variance = n * m / 12.0 * (n + m + 1.0 - cubes / ((n + m) * (n + m - 1.0)));
    variance > 0.0 && (wins - n * m / 2.0 - 0.5) / variance.sqrt() > 2.326
}
