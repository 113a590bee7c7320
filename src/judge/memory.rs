//! Memory of the judged pods: growth over a window, and use against the limit.
//!
//! A single spike, or the saw of a garbage collector, is no growth: slope and level are medians. It does not know where
//! the limit is declared.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::condition::{Condition, Metric, Role, Share};
use super::counts::{Window, age};
use super::evidence::as_float;
use super::quality;
use super::samples::{Point, Samples, Scope, Series};
use super::verdict::{Evidence, Fault, Finding, Gap, Judgement, Trouble};

/// Points that a slope is taken from at most: it looks at each pair of them.
const POINTS: u32 = 200;
/// A slope of fewer points says nothing.
const LEAST_POINTS: usize = 5;
/// Least share of a window that the points of a pod have to cover.
const COVERAGE: f64 = 0.9;

/// Holds the growth of the pod that grew most against the limit: a trigger fires above it, a gate passes below it.
///
/// Growth is the Theil–Sen slope over the window times its length, over the level at its beginning, so that 0.2 is 20 %
/// more (Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"). What pods grew as long before the
/// change, their median, is taken off if it is positive. Pods that started inside the window are left out.
///
/// # Errors
/// [`Gap::WindowNotFull`] where every pod started inside the window, and the gaps of samples that are missing.
pub fn judge_growth(
    condition: &Condition,
    limit: f64,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let memory = samples.get(&Metric::Memory)?;
    check_some(memory)?;
    let quality = quality::of_times(&Metric::MemoryTimes, window, scope, samples)?;
    if let Some(pods) = &scope.pods
        && pods.iter().all(|pod| pod.started > window.from)
    {
        let have = pods.iter().map(|pod| age(pod.started, window.to)).max().unwrap_or_default();
        return Err(Gap::WindowNotFull { have, need: age(window.from, window.to) }.into());
    }
    let too_few = || Gap::TooFewSamples { metric: Metric::Memory.label().to_owned() };
    let grown: Vec<(&str, f64)> = memory
        .iter()
        .filter(|series| is_old_enough(series, window, scope, samples.moments()))
        .map(|series| Some((series.pod.as_str(), growth(series, window, samples.moments())?)))
        .collect::<Option<_>>()
        .ok_or_else(too_few)?;
    let Some((pod, growth)) = grown.into_iter().max_by(|(_, a), (_, b)| a.total_cmp(b)) else {
        return Err(too_few().into());
    };
    let before = usual_growth(samples.if_any(&Metric::MemoryBefore), window, samples.moments());
    let net = growth - before.unwrap_or_default().max(0.0);
    let finding = Finding::Growth { pod: pod.to_owned(), growth, before };
    let Window { from, to } = window;
    let evidence =
        Evidence { from, to, coverage: Some(quality.coverage), newest: quality.newest, finding, apart: None };
    let met = match condition.role {
        Role::Gate => net < limit,
        Role::Trigger => net > limit,
    };
    Ok(if met { Judgement::Met(evidence) } else { Judgement::Unmet(evidence) })
}

/// Holds each pod's share of its memory limit against `limit`: a trigger fires where one pod was above it at every
/// point of the whole window, a gate passes where every pod was below it at every point.
///
/// # Errors
/// [`Gap::NoMemoryLimit`] without a limit, and the gaps of samples that are missing.
pub fn judge_use(
    condition: &Condition,
    limit: Share,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let Some(limit_bytes) = scope.memory_limit.filter(|bytes| *bytes > 0) else {
        return Err(Gap::NoMemoryLimit.into());
    };
    let memory = samples.get(&Metric::Memory)?;
    check_some(memory)?;
    let quality = quality::of_times(&Metric::MemoryTimes, window, scope, samples)?;
    let used = |series: &Series| {
        let shares = || inside(series, window).map(|point| point.value / as_float(limit_bytes));
        let newest = shares().last()?;
        let (least, most) = (shares().fold(newest, f64::min), shares().fold(newest, f64::max));
        Some(Used { pod: series.pod.clone(), least, most, newest })
    };
    let live = || memory.iter().filter(|series| scope.covers(&series.pod));
    let sustained = live()
        .filter(|series| is_old_enough(series, window, scope, samples.moments()))
        .filter_map(used)
        .max_by(|a, b| a.least.total_cmp(&b.least));
    let highest = live().filter_map(used).max_by(|a, b| a.most.total_cmp(&b.most));
    let (met, decides) = match (condition.role, sustained, highest) {
        (_, _, None) => return Err(Gap::NoSeries { metric: Metric::Memory.label().to_owned() }.into()),
        (Role::Gate, _, Some(highest)) => (highest.most < limit.get(), highest),
        (Role::Trigger, Some(sustained), Some(_)) => (sustained.least > limit.get(), sustained),
        // Only pods that were not watched for long enough: they may still turn out to be above it.
        (Role::Trigger, None, Some(highest)) => (false, highest),
    };
    let Used { pod, least, most, newest } = decides;
    let finding = Finding::Use { pod, least, most, newest, limit_bytes };
    let Window { from, to } = window;
    let evidence =
        Evidence { from, to, coverage: Some(quality.coverage), newest: quality.newest, finding, apart: None };
    Ok(if met { Judgement::Met(evidence) } else { Judgement::Unmet(evidence) })
}

/// A process that runs has some memory.
fn check_some(memory: &[Series]) -> Result<(), Fault> {
    let nothing = memory.iter().find(|series| series.points.iter().any(|point| point.value <= 0.0));
    match nothing {
        None => Ok(()),
        Some(series) => Err(Fault::Malformed { detail: format!("pod {} has no memory at all", series.pod) }),
    }
}

/// Shares of the limit that one pod used in the window.
struct Used {
    pod: String,
    least: f64,
    most: f64,
    newest: f64,
}

/// The median growth of the pods before the change, whose points stand at the moments of the window already.
fn usual_growth(before: &[Series], window: Window, moments: &[Timestamp]) -> Option<f64> {
    let whole = before.iter().filter(|series| covers(series, window, moments));
    median(whole.filter_map(|series| growth(series, window, moments)).collect())
}

/// By which share of its level at the beginning of the window a series grew in it; None of too few points, or of a
/// level that is none.
fn growth(series: &Series, window: Window, moments: &[Timestamp]) -> Option<f64> {
    if !covers(series, window, moments) {
        return None;
    }
    let since = |at: Timestamp| at.duration_since(window.from).as_secs_f64();
    let points: Vec<(f64, f64)> = thinned(series, window).map(|point| (since(point.at), point.value)).collect();
    if points.len() < LEAST_POINTS {
        return None;
    }
    let pairs = points.iter().enumerate().flat_map(|(index, (early, low))| {
        points[index + 1..].iter().map(move |(late, high)| (high - low) / (late - early))
    });
    let slope = median(pairs.collect())?;
    let level = median(points.iter().map(|(after, value)| value - slope * after).collect())?;
    // A curve that bends upwards may put the line's beginning below nothing: then what was there at first counts.
    let first = median(points[..points.len().div_ceil(LEAST_POINTS)].iter().map(|(_, value)| *value).collect())?;
    let level = if level > 0.0 { level } else { first };
    (level > 0.0).then(|| slope * since(window.to) / level)
}

/// At most so many points of the window as slopes are taken from, evenly in time however dense the grid is.
fn thinned(series: &Series, window: Window) -> impl Iterator<Item = &Point> {
    let apart = age(window.from, window.to) / POINTS;
    let mut due = window.from;
    inside(series, window).filter(move |point| {
        let take = point.at >= due;
        while take && due <= point.at && !apart.is_zero() {
            due = super::counts::after(due, apart);
        }
        take
    })
}

fn inside(series: &Series, window: Window) -> impl Iterator<Item = &Point> {
    series.points.iter().filter(move |point| window.contains(point.at))
}

/// A live pod that ran during the whole window; of a past time, any whose points cover it.
fn is_old_enough(series: &Series, window: Window, scope: &Scope, moments: &[Timestamp]) -> bool {
    match &scope.pods {
        Some(pods) => pods.iter().any(|pod| pod.name == series.pod && pod.started <= window.from),
        None => covers(series, window, moments),
    }
}

/// Whether a series has a point at nearly every moment of the window, each standing for the time since the one before.
fn covers(series: &Series, window: Window, moments: &[Timestamp]) -> bool {
    let mut points = series.points.iter().peekable();
    let (mut owed, mut had) = (0.0, 0.0);
    let moments: Vec<&Timestamp> = moments.iter().filter(|moment| window.contains(**moment)).collect();
    for pair in moments.windows(2) {
        let stands_for = age(*pair[0], *pair[1]).as_secs_f64();
        owed += stands_for;
        while points.next_if(|point| point.at < *pair[1]).is_some() {}
        if points.peek().is_some_and(|point| point.at == *pair[1]) {
            had += stands_for;
        }
    }
    owed > 0.0 && had >= COVERAGE * owed
}

/// The middle value, or the mean of the two middle ones; None of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let high = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], high) } else { high })
}
