//! At which moments counters are read: one grid for all conditions, so that each counter is fetched once.
//!
//! Fine where the short windows lie, coarse for the older part that only long windows need. It does not know which
//! counters there are.

use std::time::Duration;

use jiff::Timestamp;

use crate::prometheus::Query;

/// Points of the fine part inside the shortest window.
const POINTS_IN_SHORTEST: f64 = 8.0;
/// The fine part covers windows up to this multiple of the shortest one.
const FINE_MULTIPLE: f64 = 30.0;
/// Points of the coarse part; with the fine one that is far below the 11,000 that Prometheus allows.
const COARSE_POINTS: f64 = 240.0;

/// Two stretches of time, the older first.
#[derive(Debug, PartialEq)]
pub struct Grid {
    coarse: Option<Stretch>,
    fine: Stretch,
}

#[derive(Debug, PartialEq)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
    step: Duration,
}

impl Grid {
    /// A grid that ends now, in whole seconds, and covers these windows.
    pub fn of(windows: impl Iterator<Item = Duration>, now: Timestamp) -> Self {
        let windows: Vec<f64> = windows.map(|window| window.as_secs_f64().ceil().max(1.0)).collect();
        let longest = windows.iter().copied().fold(1.0, f64::max);
        let shortest = windows.iter().copied().fold(longest, f64::min);
        let covered = windows.iter().copied().filter(|window| *window <= shortest * FINE_MULTIPLE);
        let fine = covered.fold(shortest, f64::max);
        let before = |seconds: f64| now.checked_sub(Duration::from_secs_f64(seconds)).unwrap_or(Timestamp::MIN);
        let stretch = |from: f64, to: f64, points: f64| Stretch {
            from: before(from),
            to: before(to),
            // Prometheus counts in milliseconds.
            step: whole_milliseconds(Duration::from_secs_f64((from - to) / points.ceil())),
        };
        Self {
            coarse: (longest > fine).then(|| stretch(longest, fine, COARSE_POINTS)),
            fine: stretch(fine, 0.0, fine / shortest * POINTS_IN_SHORTEST),
        }
    }

    /// The moments of the grid, in order, as Prometheus counts them.
    pub fn moments(&self) -> Vec<Timestamp> {
        let mut moments = Vec::new();
        for Stretch { from, to, step } in self.coarse.iter().chain([&self.fine]) {
            let at = |index: u32| from.checked_add(step.saturating_mul(index)).ok().filter(|at| at <= to);
            moments.extend((0..).map_while(at));
        }
        moments.dedup();
        moments
    }

    pub fn now(&self) -> Timestamp {
        self.fine.to
    }

    /// The queries that read this expression on the grid, in order of time.
    pub fn queries(&self, promql: &str) -> Vec<Query> {
        let range = |stretch: &Stretch| Query::Range {
            promql: promql.to_owned(),
            from: stretch.from,
            to: stretch.to,
            step: stretch.step,
        };
        self.coarse.iter().chain([&self.fine]).map(range).collect()
    }
}

fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(windows: &[u64]) -> Grid {
        Grid::of(windows.iter().copied().map(Duration::from_secs), Timestamp::from_second(1_000_000).unwrap())
    }

    #[test]
    fn windows_of_one_size_share_one_fine_grid() {
        let Grid { coarse, fine } = grid(&[120, 300, 1_800]);
        assert_eq!(coarse, None);
        assert_eq!((fine.from.as_second(), fine.to.as_second()), (998_200, 1_000_000));
        assert_eq!(fine.step, Duration::from_secs(15), "eight in the shortest");
    }

    #[test]
    fn only_long_windows_read_the_older_part_and_coarsely() {
        let Grid { coarse, fine } = grid(&[120, 1_800, 86_400]);
        let coarse = coarse.unwrap();
        assert_eq!(coarse.from.as_second(), 913_600);
        assert_eq!(coarse.to, fine.from);
        assert!(coarse.step > Duration::from_secs(300));
    }

    #[test]
    fn without_windows_there_is_a_grid_all_the_same() {
        assert_eq!(grid(&[]).fine.step, Duration::from_millis(125));
    }
}
