//! The share of requests that are errors.
//!
//! It does not know which requests count as errors: the two counters are declared by the user.

use super::condition::{Condition, Metric, Share};
use super::counts::{self, Window};
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
    let requests = samples.get(&Metric::Requests)?;
    let errors = samples.get(&Metric::Errors)?;
    let quality = quality::of_times(&Metric::RequestTimes, window, scope, samples)?;
    let requests = counts::increases(requests.iter(), window, scope)?;
    let errors = counts::increases(errors.iter(), window, scope)?;
    // Without a series of its own a pod's errors are unknown, not zero.
    let unknown: Vec<String> =
        requests.keys().filter(|pod| !errors.contains_key(*pod)).map(|pod| (*pod).to_owned()).collect();
    if !unknown.is_empty() {
        return Err(Gap::MissingPods { metric: Metric::Errors.label().to_owned(), pods: unknown }.into());
    }
    let most = errors.values().sum();
    let counts = Counts { least: errors, most, requests, between: None, quantile_seconds: None };
    share::judge(condition, limit, &counts, window, quality)
}
