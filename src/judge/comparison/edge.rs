//! On which bucket edge two histograms are compared, and how many more slow requests the canary may have there.
//!
//! "The canary's p95 is at most F times that of the stable pods" says nothing about counts. A canary whose requests
//! all take F times as long has, above an edge e, as many as the stable pods have above e/F: that share is what it may
//! have. Only this limit is interpolated; the counts at e are exact. Where slow requests get rarer with the latency, the
//! straight line inside a bucket lies above the truth, and the limit is lenient rather than strict.
//!
//! It does not know how the counts are compared.

use crate::judge::verdict::Gap;

/// How many times the share that a quantile leaves above itself a canary may have above the edge, before a higher edge is
/// looked at: with a great factor, an edge near the stable pods' quantile would ask for hardly any fast request.
const LENIENT: f64 = 2.0;
/// A share of allowed slow requests above which an edge says nothing about a quantile.
const USELESS: f64 = 0.5;
/// What interpolation may be off by for rounding.
const ROUNDING: f64 = 1e-9;

/// Where the two are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    pub seconds: f64,
    /// How many times the stable pods' share of requests above the edge the canary may have, above 0.
    pub limit: f64,
}

/// The share of requests above each finite edge (in seconds), in order; and 1 above 0 seconds.
pub struct Tail(Vec<(f64, f64)>);

impl Tail {
    pub fn of(edges: impl Iterator<Item = (f64, f64)>) -> Self {
        Self([(0.0, 1.0)].into_iter().chain(edges.filter(|(edge, _)| *edge > 0.0)).collect())
    }

    /// The least edge that is not below the quantile of the stable pods; or a higher one for a great factor, or a lower
    /// one where no stable request is slower.
    ///
    /// # Errors
    /// [`Gap::BetweenBuckets`] where the buckets are too wide to tell.
    pub fn edge(&self, quantile_seconds: f64, factor: f64, allowance: f64) -> Result<Edge, Gap> {
        let reaches = |edge: f64, seconds: f64| edge >= seconds * (1.0 - ROUNDING);
        // A quantile above the top edge is seen from there.
        let first = self.0.iter().position(|(edge, _)| reaches(*edge, quantile_seconds)).unwrap_or(self.0.len() - 1);
        let last = self.0.iter().position(|(edge, _)| reaches(*edge, quantile_seconds * factor));
        let last = last.unwrap_or(self.0.len() - 1).max(first);
        let known = |index: &usize| self.0[*index].0 > 0.0 && self.0[*index].1 > 0.0;
        let not_too_many = |index: &usize| self.allowed(*index, factor) <= LENIENT * allowance;
        let chosen = (first..=last)
            .filter(known)
            .find(not_too_many)
            .or_else(|| (first..=last).rev().find(known))
            .or_else(|| (0..first).rev().find(known));
        let wide = |index: usize| {
            let (below, above) = (self.0[index.saturating_sub(1)].0, self.0[index].0);
            Gap::BetweenBuckets { below, above }
        };
        let chosen = chosen.ok_or_else(|| wide(first))?;
        let (seconds, share) = self.0[chosen];
        let allowed = self.allowed(chosen, factor);
        if allowed <= 0.0 || allowed > USELESS {
            return Err(wide(chosen));
        }
        Ok(Edge { seconds, limit: allowed / share })
    }

    /// The share of requests that a canary may have above an edge which takes `factor` times as long for all of them.
    fn allowed(&self, index: usize, factor: f64) -> f64 {
        let seconds = self.0[index].0 / factor;
        let above = self.0.partition_point(|(edge, _)| *edge < seconds);
        match (above.checked_sub(1).map(|below| self.0[below]), self.0.get(above)) {
            (Some((low, from)), Some((high, to))) => from + (to - from) * (seconds - low) / (high - low),
            (None, Some((_, share))) => *share,
            (Some((_, share)), None) => share,
            (None, None) => 1.0,
        }
    }
}
