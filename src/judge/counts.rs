//! From cumulative counters to integer counts in a window.
//!
//! It does not know what the counts are compared with, nor whether enough samples are behind them (`quality`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::samples::{Scope, Series};
use super::verdict::{Fault, Gap, Trouble};

/// How far a pod's start may lie outside the two samples that it is seen between.
const START_TOLERANCE: Duration = Duration::from_secs(2);

/// A stretch of time that is judged; `from` is before `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    pub fn contains(self, at: Timestamp) -> bool {
        at >= self.from && at <= self.to
    }
}

/// The window that ends now.
///
/// # Errors
/// [`Gap::WindowNotFull`] if it would reach before the change, and the gaps that make any window worthless.
pub fn window(length: Duration, scope: &Scope) -> Result<Window, Gap> {
    if scope.rolling {
        return Err(Gap::RolloutInProgress);
    }
    if scope.pods.as_ref().is_some_and(Vec::is_empty) {
        return Err(Gap::NoPods);
    }
    if let Some(since) = scope.since {
        let have = scope.now.duration_since(since).max(SignedDuration::ZERO).unsigned_abs();
        if have < length {
            return Err(Gap::WindowNotFull { have, need: length });
        }
    }
    Ok(Window { from: before(scope.now, length), to: scope.now })
}

/// Counts that were added in the window, by pod.
///
/// # Errors
/// [`Gap::CounterFell`] for a fall that no restart explains, [`Fault::Malformed`] for a negative counter.
pub fn increases<'a>(
    series: impl Iterator<Item = &'a Series>,
    window: Window,
    scope: &Scope,
) -> Result<BTreeMap<&'a str, u64>, Trouble> {
    let mut counts = BTreeMap::new();
    for series in series {
        *counts.entry(series.pod.as_str()).or_default() += increase(series, window, scope)?;
    }
    Ok(counts)
}

/// What one cumulative counter added in the window. A fall is a restart of the pod's process, which begins at zero; a
/// process that began inside the window begins at zero as well, or the errors before its first scrape were lost.
fn increase(series: &Series, window: Window, scope: &Scope) -> Result<u64, Trouble> {
    if series.points.iter().any(|point| point.value < 0.0) {
        let detail = format!("a counter of pod {} is negative", series.pod);
        return Err(Fault::Malformed { detail }.into());
    }
    let pods = scope.pods.as_deref().unwrap_or_default();
    let started = pods.iter().find(|live| live.name == series.pod).map(|live| live.started);
    let mut inside = series.points.iter().filter(|point| window.contains(point.at));
    let Some(first) = inside.next() else { return Ok(0) };
    let born_inside = started.is_some_and(|started| started >= window.from);
    let mut total = if born_inside { first.value } else { 0.0 };
    let mut previous = first;
    for point in inside {
        if point.value >= previous.value {
            total += point.value - previous.value;
        } else if started.is_some_and(|started| between(started, previous.at, point.at)) {
            total += point.value;
        } else {
            // One of several sources of a sum went away: what it counts from now on is not what it counted before.
            return Err(Gap::CounterFell { pod: series.pod.clone() }.into());
        }
        previous = point;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a non-negative count below 2^53")]
    Ok(total.round() as u64)
}

/// Start times are whole seconds, and sample times are those of the grid.
fn between(started: Timestamp, earlier: Timestamp, later: Timestamp) -> bool {
    started >= before(earlier, START_TOLERANCE) && started <= after(later, START_TOLERANCE)
}

pub fn before(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

pub fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}
