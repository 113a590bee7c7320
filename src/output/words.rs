//! Figures in words: durations, shares, counts, plurals.

use std::time::Duration;

use jiff::Timestamp;

use crate::rollout::standing::elapsed;

/// A duration in its greatest fitting unit, as the files write it: `900ms 45s 12m 31h 21d`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.subsec_millis() > 0 => format!("{}ms", duration.subsec_millis()),
        1..=9 if duration.subsec_millis() >= 100 => format!("{:.1}s", duration.as_secs_f64()),
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=259_199 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago a moment is, by the clock of the answer.
pub fn since(at: Timestamp, now: Timestamp) -> String {
    duration(elapsed(at, now))
}

/// Seconds as milliseconds below one second.
pub fn latency(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0}ms", seconds * 1_000.0) } else { format!("{seconds:.2}s") }
}

/// A share as a percentage with two significant digits below ten.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent == 0.0 => "0%".to_owned(),
        _ if percent < 10.0 => format!("{}%", trimmed(&format!("{percent:.2}"))),
        _ => format!("{percent:.0}%"),
    }
}

/// A plain number without needless digits.
pub fn number(value: f64) -> String {
    trimmed(&format!("{value:.4}")).to_owned()
}

/// A count with thousands separators.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// "1 pod", "2 pods".
pub fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", self::count(count), if count == 1 { "" } else { "s" })
}

/// The first few names, and how many more there are.
pub fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names.len() {
        0..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names[..SHOWN].join(", "), all - SHOWN),
    }
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(duration(Duration::from_secs(90)), "90s");
        assert_eq!(duration(Duration::from_secs(1_800)), "30m");
        assert_eq!(duration(Duration::from_secs(172_800)), "48h");
        assert_eq!(duration(Duration::from_secs(604_800)), "7d");
        assert_eq!(duration(Duration::from_millis(400)), "400ms");
        assert_eq!(duration(Duration::from_millis(1_940)), "1.9s");
        assert_eq!(percent(0.0184), "1.84%");
        assert_eq!(percent(0.01), "1%");
        assert_eq!(percent(0.125), "12%");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "pod"), "1 pod");
        assert_eq!(number(5.0), "5");
        assert_eq!(number(100.0), "100");
    }
}
