//! Stretches of time in which nothing is promoted. A rollback is never frozen.

use jiff::{Timestamp, Zoned};

/// From its beginning on, and up to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    /// Both in the zone that the file names.
    pub from: Zoned,
    pub to: Zoned,
    pub reason: Option<String>,
}

impl Freeze {
    pub fn covers(&self, now: Timestamp) -> bool {
        (self.from.timestamp()..self.to.timestamp()).contains(&now)
    }
}

/// The freeze of this moment that lasts longest.
pub fn in_force(freezes: &[Freeze], now: Timestamp) -> Option<&Freeze> {
    freezes.iter().filter(|freeze| freeze.covers(now)).max_by_key(|freeze| freeze.to.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_one_that_lasts_longest_is_told() {
        let freeze = |from: &str, to: &str| Freeze {
            from: format!("{from}[Europe/Berlin]").parse().unwrap(),
            to: format!("{to}[Europe/Berlin]").parse().unwrap(),
            reason: None,
        };
        let freezes = [freeze("2026-12-20T00:00", "2026-12-27T00:00"), freeze("2026-12-24T00:00", "2027-01-02T00:00")];
        let until = |now: &str| in_force(&freezes, now.parse().unwrap()).map(|freeze| freeze.to.to_string());
        assert_eq!(until("2026-12-19T22:59:59Z"), None);
        assert_eq!(until("2026-12-19T23:00:00Z").as_deref(), Some("2026-12-27T00:00:00+01:00[Europe/Berlin]"));
        assert_eq!(until("2026-12-25T00:00:00Z").as_deref(), Some("2027-01-02T00:00:00+01:00[Europe/Berlin]"));
        assert_eq!(until("2027-01-01T23:00:00Z"), None, "its end is not part of it");
    }
}
