//! The user's own PromQL: one float sample against a limit, or every point of a stretch of time.
//!
//! It does not know what the query means; that is why it insists on exactly one series.

use std::time::Duration;

use super::condition::{Condition, Metric, Query};
use super::counts::Window;
use super::latency;
use super::quality;
use super::samples::{Samples, Scope};
use super::verdict::{Evidence, Fault, Finding, Gap, Judgement, Trouble};

/// Points that a query is evaluated at when every point of its window has to comply.
pub const POINTS: usize = 60;
/// With fewer samples in a range its rate jumps about, or is none at all.
const SCRAPES_IN_A_RANGE: u32 = 4;
/// How often the samples behind a query were taken is not known; most are scraped about this often.
const USUAL_INTERVAL: Duration = Duration::from_secs(15);

pub fn judge(
    condition: &Condition,
    query: &Query,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let series = samples.get(&Metric::Query(query.clone(), condition.window))?;
    let [series] = series else {
        return Err(Gap::SeveralSeries { count: series.len() }.into());
    };
    quality::check_clocks(scope, USUAL_INTERVAL)?;
    if let (Some(range), Some(interval)) = (query.shortest_range, quality::scrape_interval(samples))
        && range < interval * SCRAPES_IN_A_RANGE
    {
        return Err(Gap::ShortRange { range, interval }.into());
    }
    if query.of_latency {
        let top = latency::Histogram::of(scope, samples)?.top();
        if let Some(top) = top.filter(|top| query.limit >= *top) {
            return Err(Fault::AboveTopBucket { top }.into());
        }
    }
    let Some(newest) = series.points.last() else {
        return Err(Gap::NoSeries { metric: "query".to_owned() }.into());
    };
    let complies = |value: f64| query.comparison.holds(value, query.limit);
    let holds = if query.throughout {
        if series.points.len() <= POINTS {
            return Err(Gap::Interrupted { have: series.points.len(), need: POINTS + 1 }.into());
        }
        series.points.iter().all(|point| complies(point.value))
    } else {
        complies(newest.value)
    };
    let Window { from, to } = window;
    let finding = Finding::Value { value: newest.value, points: series.points.len() };
    let evidence = Evidence { from, to, coverage: None, newest: newest.at, finding, apart: None };
    Ok(if holds { Judgement::Met(evidence) } else { Judgement::Unmet(evidence) })
}
