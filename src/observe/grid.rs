//! At which moments counters are read: one grid for all conditions, so that each counter is fetched once.
//!
//! Fine where the short windows lie, coarse for the older part that only long windows need, and for what lies before
//! them. Every window begins at a moment, so that none is judged on less than it says. It does not know which counters
//! there are.

use std::time::Duration;

use jiff::Timestamp;

/// Points of the fine part inside the shortest window.
const POINTS_IN_SHORTEST: f64 = 8.0;
/// The fine part covers windows up to this multiple of the shortest one.
const FINE_MULTIPLE: f64 = 30.0;
/// However long the windows are, in seconds: the newest points lie so close that they show when pods are scraped.
const LONGEST_SHORTEST: f64 = 120.0;
/// Points of all coarse stretches together at least, and at most.
const COARSE_POINTS: (f64, f64) = (60.0, 480.0);
/// Samples that the coarse part of one metric should not exceed, all pods and buckets together.
const COARSE_SAMPLES: f64 = 50_000.0;
/// Series of one pod, most of them buckets.
const SERIES_OF_A_POD: f64 = 16.0;

/// Neighbouring stretches of time.
#[derive(Debug, PartialEq)]
pub struct Grid {
    /// In order of time; one for each long window, and one for what lies before all windows.
    coarse: Vec<Stretch>,
    fine: Stretch,
}

#[derive(Debug, PartialEq)]
pub struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
    pub step: Duration,
}

impl Grid {
    /// A grid that ends now, in whole seconds, and covers these windows; back to the beginning of the evidence if that
    /// is known, and no further.
    pub fn of(windows: impl Iterator<Item = Duration>, since: Option<Timestamp>, now: Timestamp, pods: usize) -> Self {
        let whole = |window: Duration| window.as_secs_f64().ceil().max(1.0);
        let windows: Vec<f64> = windows.map(whole).collect();
        let asked = windows.iter().copied().fold(1.0, f64::max);
        let shortest = windows.iter().copied().fold(asked, f64::min).min(LONGEST_SHORTEST);
        // In whole seconds, and never before.
        let longest = since.map_or(asked, |since| now.duration_since(since).as_secs_f64().floor().max(1.0));
        let covered = windows.iter().copied().filter(|window| *window <= shortest * FINE_MULTIPLE);
        let fine = covered.fold(shortest, f64::max).min(longest);
        let before = |seconds: f64| now.checked_sub(Duration::from_secs_f64(seconds)).unwrap_or(Timestamp::MIN);
        let stretch = |from: f64, to: f64, points: f64| Stretch {
            from: before(from),
            to: before(to),
            // Prometheus counts in milliseconds.
            step: whole_milliseconds(Duration::from_secs_f64((from - to) / points.ceil())),
        };
        let fine_points = (fine / shortest * POINTS_IN_SHORTEST).max(1.0);
        let affordable = COARSE_SAMPLES / (SERIES_OF_A_POD * f64::from(u32::try_from(pods.max(1)).unwrap_or(u32::MAX)));
        let mut begins: Vec<f64> = windows.into_iter().chain([longest]).collect();
        begins.retain(|begin| *begin > fine && *begin <= longest);
        begins.sort_by(|a, b| b.total_cmp(a));
        begins.dedup();
        let ends = begins.iter().copied().skip(1).chain([fine]);
        let share = affordable.clamp(COARSE_POINTS.0, COARSE_POINTS.1)
            / f64::from(u32::try_from(begins.len()).unwrap_or(u32::MAX));
        let finest = |from: f64, to: f64| (from - to) / (fine / fine_points.ceil());
        let coarse = begins.iter().zip(ends).map(|(from, to)| stretch(*from, to, share.min(finest(*from, to))));
        Self { coarse: coarse.collect(), fine: stretch(fine, 0.0, fine_points) }
    }

    /// The moments of the grid, in order, as Prometheus counts them.
    pub fn moments(&self) -> Vec<Timestamp> {
        let mut moments = Vec::new();
        for Stretch { from, to, step } in self.stretches() {
            let at = |index: u32| from.checked_add(step.saturating_mul(index)).ok().filter(|at| at <= to);
            moments.extend((0..).map_while(at));
        }
        moments.dedup();
        moments
    }

    pub fn now(&self) -> Timestamp {
        self.fine.to
    }

    pub fn fine(&self) -> &Stretch {
        &self.fine
    }

    /// In order of time.
    pub fn stretches(&self) -> impl Iterator<Item = &Stretch> {
        self.coarse.iter().chain([&self.fine])
    }
}

fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(windows: &[u64]) -> Grid {
        Grid::of(windows.iter().copied().map(Duration::from_secs), None, Timestamp::from_second(1_000_000).unwrap(), 10)
    }

    #[test]
    fn windows_of_one_size_share_one_fine_grid() {
        let Grid { coarse, fine } = grid(&[120, 300, 1_800]);
        assert_eq!(coarse, []);
        assert_eq!((fine.from.as_second(), fine.to.as_second()), (998_200, 1_000_000));
        assert_eq!(fine.step, Duration::from_secs(15), "eight in the shortest");
    }

    #[test]
    fn only_long_windows_read_the_older_part_and_coarsely() {
        let Grid { coarse, fine } = grid(&[120, 1_800, 86_400]);
        let [coarse] = coarse.try_into().unwrap();
        assert_eq!(coarse.from.as_second(), 913_600);
        assert_eq!(coarse.to, fine.from);
        assert!(coarse.step > Duration::from_secs(200));
    }

    #[test]
    fn every_long_window_begins_at_a_moment_however_old_the_evidence_is() {
        let now = Timestamp::from_second(2_000_000).unwrap();
        let ago = |seconds: i64| Timestamp::from_second(2_000_000 - seconds).unwrap();
        let (day, windows) = (86_400, [120, 21_600, 172_800]);
        let durations = windows.iter().map(|window| Duration::from_secs(*window));
        let moments = Grid::of(durations, Some(ago(14 * day)), now, 50).moments();
        assert_eq!(moments[0], ago(14 * day));
        assert!(moments.is_sorted() && moments.len() < 100, "{}", moments.len());
        for window in windows {
            let first = moments.iter().find(|moment| **moment >= ago(window.cast_signed()));
            assert_eq!(first, Some(&ago(window.cast_signed())), "{window}");
        }
    }

    #[test]
    fn without_windows_there_is_a_grid_all_the_same() {
        assert_eq!(grid(&[]).fine.step, Duration::from_millis(125));
    }
}
