//! What a condition asks, however it is written: words in, a checked condition out.
//!
//! It does not know in which form the words stood, nor of options.

use super::error::{Fault, Place, excerpt};
use super::indicator::Indicator;
use super::nearest::nearest;
use super::relation::Relation;
use super::unit;
use crate::judge::condition::{Comparison, Condition, Encoding, Measure, Role};
use crate::rollout::declaration::{Breaker, BreakerMetrics, Header};

/// A breaker that saw fewer calls than this proves nothing by not tripping.
pub const CALLS_WITHOUT_TRIPS: u64 = 100;
/// No breaker trips more often while anybody waits.
const MOST_TRIPS: u64 = 1_000_000;

/// A word, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    pub text: &'a str,
    pub place: Place,
}

/// The words of a condition; the indicator takes the relation in this role.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub role: Role,
    pub indicator: Indicator,
    pub name: Word<'a>,
    /// Of an indicator that is measured by breaker.
    pub breaker: Option<Word<'a>>,
    /// None of an indicator that has no limit.
    pub limit: Option<(Relation, Word<'a>)>,
    pub window: Word<'a>,
}

/// Refuses indicators in a role in which they say nothing.
pub fn suits(indicator: Indicator, role: Role, name: Word<'_>) -> Result<(), Fault> {
    match (indicator, role) {
        // A breaker that is not stuck proves nothing.
        (Indicator::Stuck(_), Role::Gate) => {
            Err(Fault::new(name.place, format!("`{}` is no gate", name.text)).label("it belongs under `rollback`"))
        }
        _ => Ok(()),
    }
}

impl Asked<'_> {
    /// The condition without options, called `text`.
    pub fn condition(&self, text: String, header: &Header) -> Result<Condition, Fault> {
        let measure = self.measure(header)?;
        let window = unit::positive_duration(self.window.text, self.window.place, "a window")?;
        let mut condition = Condition::new(self.role, text, measure, window);
        if let (Indicator::Trips { .. }, Role::Gate) = (self.indicator, self.role) {
            condition.min_requests = CALLS_WITHOUT_TRIPS;
        }
        Ok(condition)
    }

    fn measure(&self, header: &Header) -> Result<Measure, Fault> {
        Ok(match self.indicator {
            Indicator::ErrorRate => match self.limit()? {
                (Relation::Limit(_), limit) => Measure::ErrorRate { limit: unit::share(limit.text, limit.place)? },
                (Relation::Within | Relation::Beyond, limit) => {
                    Measure::ErrorRateAgainstBaseline { factor: unit::factor(limit.text, limit.place)? }
                }
            },
            Indicator::Latency(quantile) => match self.limit()? {
                (Relation::Limit(_), limit) => {
                    Measure::Latency { quantile, limit: unit::positive_duration(limit.text, limit.place, "a latency")? }
                }
                (Relation::Within | Relation::Beyond, limit) => {
                    Measure::LatencyAgainstBaseline { quantile, factor: unit::factor(limit.text, limit.place)? }
                }
            },
            Indicator::BreakerFailures => {
                let (breaker, _) = self.breaker(header)?;
                let (_, limit) = self.limit()?;
                Measure::BreakerFailures {
                    breaker: breaker.name.to_string(),
                    limit: unit::share(limit.text, limit.place)?,
                }
            }
            Indicator::Stuck(state) => {
                let (breaker, metrics) = self.breaker(header)?;
                Measure::Stuck { breaker: breaker.name.to_string(), state, encoding: metrics.encoding() }
            }
            Indicator::Trips { only_false } => self.trips(only_false, header)?,
            Indicator::MemoryGrowth => {
                let (_, limit) = self.limit()?;
                Measure::MemoryGrowth { limit: unit::growth(limit.text, limit.place)? }
            }
            Indicator::MemoryUse => {
                let (_, limit) = self.limit()?;
                Measure::MemoryUse { limit: unit::share(limit.text, limit.place)? }
            }
        })
    }

    fn trips(&self, only_false: bool, header: &Header) -> Result<Measure, Fault> {
        let (breaker, metrics) = self.breaker(header)?;
        let encoding = metrics.encoding();
        self.closed_is_at_an_end(encoding)?;
        let (Relation::Limit(comparison), limit) = self.limit()? else {
            return Err(Fault::new(self.name.place, format!("`{}` has no baseline", self.name.text)));
        };
        let number = unit::whole(limit.text, limit.place, 0..=MOST_TRIPS)?;
        let pointless = match (comparison, number) {
            (Comparison::Below, 0) => Some(("is never below 0", "write == 0")),
            (Comparison::AtLeast, 0) => Some(("is always at least 0", "write > 0")),
            _ => None,
        };
        if let Some((reason, advice)) = pointless {
            return Err(Fault::new(limit.place, format!("a number of trips {reason}")).label(advice));
        }
        Ok(Measure::Trips {
            breaker: breaker.name.to_string(),
            only_false,
            // Where all trips count, nobody asks whether the dependency was healthy.
            health: breaker.health.clone().filter(|_| only_false),
            encoding,
            comparison,
            limit: number,
        })
    }

    /// Between two samples only the highest and the lowest state are known: closed must be one of these.
    fn closed_is_at_an_end(&self, encoding: Encoding) -> Result<(), Fault> {
        let Encoding { closed, half_open, open } = encoding;
        if (closed < half_open) == (closed < open) {
            return Ok(());
        }
        let message = format!("`{}` cannot be counted while `closed` lies between the other states", self.name.text);
        Err(Fault::new(self.name.place, message)
            .label("needs the least or the greatest value for `closed` in rollout.yaml")
            .hint("a short trip shows only in the highest or the lowest state between two samples"))
    }

    fn limit(&self) -> Result<(Relation, Word<'_>), Fault> {
        self.limit.ok_or_else(|| Fault::new(self.name.place, format!("`{}` needs a limit", self.name.text)))
    }

    fn breaker<'h>(&self, header: &'h Header) -> Result<(&'h Breaker, &'h BreakerMetrics), Fault> {
        let Some(word) = self.breaker else {
            return Err(Fault::new(self.name.place, format!("`{}` of which breaker?", self.name.text)));
        };
        let (Some(declared), Some(metrics)) = (header.breaker(word.text), &header.breaker_metrics) else {
            return Err(unknown_breaker(word, &header.breakers));
        };
        Ok((declared, metrics))
    }
}

fn unknown_breaker(word: Word<'_>, declared: &[Breaker]) -> Fault {
    let names: Vec<&str> = declared.iter().map(|breaker| breaker.name.as_str()).collect();
    Fault::new(word.place, format!("unknown breaker `{}`", excerpt(word.text)))
        .did_you_mean(nearest(word.text, names.iter().copied()))
        .hint(format!("the breakers are {}", names.join(", ")))
}
