//! The share of requests that are errors.
//!
//! It does not know which requests count as errors: the two counters are declared by the user.

use super::condition::{Condition, Metric, Share};
use super::counts::{Increments, Window};
use super::dispersion;
use super::quality;
use super::samples::{Samples, Scope};
use super::share::{self, Counts};
use super::verdict::{Gap, Judgement, Trouble};

pub fn judge(
    condition: &Condition,
    limit: Share,
    window: Window,
    scope: &Scope,
    samples: &Samples,
) -> Result<Judgement, Trouble> {
    let moments = samples.moments_since(scope.since.unwrap_or(window.from));
    let (requests, errors) = count(moments, scope, samples)?;
    let quality = quality::of_evidence(condition, &Metric::RequestTimes, window, scope, samples)?;
    let counts = Counts {
        moments,
        least: errors.clone(),
        most: errors,
        requests,
        between: None,
        quantile: None,
        bursts: dispersion::bursts(samples.if_any(&Metric::RequestsBefore), samples.if_any(&Metric::ErrorsBefore)),
    };
    share::judge(condition, limit, &counts, window, quality, scope)
}

/// Requests and errors of every pod between these moments.
pub fn count<'a>(
    moments: &[jiff::Timestamp],
    scope: &Scope,
    samples: &'a Samples,
) -> Result<(Increments<'a>, Increments<'a>), Trouble> {
    quality::one_source(&Metric::RequestSources, scope, samples)?;
    let of = |metric: &Metric| Increments::of(samples.get(metric)?.iter(), moments, metric, scope);
    let (requests, errors) = (of(&Metric::Requests)?, of(&Metric::Errors)?);
    scope.all_in(&Metric::Requests, |pod| requests.has(pod))?;
    // Without a series of its own a pod's errors are unknown, not zero.
    scope.all_in(&Metric::Errors, |pod| errors.has(pod))?;
    let unknown: Vec<String> = requests.pods().filter(|pod| !errors.has(pod)).map(str::to_owned).collect();
    if !unknown.is_empty() {
        return Err(Gap::MissingPods { metric: Metric::Errors.label().to_owned(), pods: unknown }.into());
    }
    Ok((requests, errors))
}
