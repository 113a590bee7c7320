//! Which queries bring home what the conditions need: each metric once, and as many of them in one query as belong
//! together.
//!
//! It does not know how queries are sent, nor what the conditions are.

use std::time::Duration;

use jiff::Timestamp;

use super::grid::{Grid, Stretch};
use crate::judge::condition::{Condition, Metric};
use crate::judge::query::POINTS;
use crate::judge::verdict::Fault;
use crate::prometheus::Query;
use crate::prometheus::selector::{Pods, tagged};
use crate::rollout::declaration::{BreakerMetrics, Header};

/// What to ask, and which answer belongs to which metric.
pub struct Plan {
    pub grid: Grid,
    pub queries: Vec<Query>,
    pub fetches: Vec<Fetch>,
}

/// One metric and the queries that carry it, in order of time.
pub struct Fetch {
    pub metric: Metric,
    /// Indices into [`Plan::queries`], or why there is none.
    pub queries: Result<Vec<usize>, Fault>,
}

/// How the pods of before and after the change are found.
pub struct Selection<'a> {
    pub judged: Pods<'a>,
    /// Pods of any template.
    pub any: Pods<'a>,
    /// When the evidence begins, with the change.
    pub since: Option<Timestamp>,
}

/// Metrics that one query carries, told apart by a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Service,
    Latency,
    Breakers,
    /// The day before the change.
    Before,
}

impl Plan {
    pub fn of(conditions: &[&Condition], grid: Grid, header: &Header, selection: &Selection<'_>) -> Self {
        let mut metrics: Vec<Metric> = Vec::new();
        for metric in conditions.iter().flat_map(|condition| condition.needs()) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        let mut plan = Self { grid, queries: Vec::new(), fetches: Vec::new() };
        let breakers: Vec<&str> = metrics.iter().filter_map(Metric::breaker).collect();
        let expressions = Expressions { header, selection, now: plan.grid.now(), breakers };
        let before = selection.since.map(Stretch::before);
        for family in [Family::Service, Family::Latency, Family::Breakers, Family::Before] {
            let of_family = metrics.iter().filter(|metric| metric.family() == Some(family));
            plan.add_family(of_family, &expressions, before.as_ref().filter(|_| family == Family::Before));
        }
        for metric in metrics.iter().filter(|metric| metric.family().is_none()) {
            let query = plan.alone(metric, conditions, &expressions);
            let queries = query.map(|query| vec![plan.ask(query)]);
            plan.fetches.push(Fetch { metric: metric.clone(), queries });
        }
        plan
    }

    /// One query for all metrics of a family, on each stretch of the grid or on this one alone.
    fn add_family<'a>(
        &mut self,
        metrics: impl Iterator<Item = &'a Metric>,
        expressions: &Expressions<'_>,
        alone: Option<&Stretch>,
    ) {
        let (mut declared, mut missing): (Vec<&Metric>, Vec<(&Metric, Fault)>) = (Vec::new(), Vec::new());
        for metric in metrics {
            match expressions.of(metric, self.grid.fine()) {
                Ok(_) => declared.push(metric),
                Err(fault) => missing.push((metric, fault)),
            }
        }
        let query = |stretch: &Stretch| {
            let mut parts: Vec<String> = Vec::new();
            for metric in &declared {
                let part = expressions.of(metric, stretch).ok().flatten().map(|promql| tagged(&promql, metric.tag()));
                parts.extend(part.filter(|part| !parts.contains(part)));
            }
            (!parts.is_empty()).then(|| stretch.query(parts.join(" or ")))
        };
        let queries: Vec<Query> = match alone {
            Some(stretch) => query(stretch).into_iter().collect(),
            None => self.grid.stretches().filter_map(query).collect(),
        };
        let asked: Vec<usize> = queries.into_iter().map(|query| self.ask(query)).collect();
        let found = declared.into_iter().map(|metric| (metric, Ok(asked.clone())));
        for (metric, queries) in found.chain(missing.into_iter().map(|(metric, fault)| (metric, Err(fault)))) {
            self.fetches.push(Fetch { metric: metric.clone(), queries });
        }
    }

    /// A metric that has a query of its own.
    fn alone(&self, metric: &Metric, conditions: &[&Condition], expressions: &Expressions<'_>) -> Result<Query, Fault> {
        let now = self.grid.now();
        if let Metric::Query(query, window) = metric {
            let promql = expressions.selection.judged.substitute(&query.promql);
            if !query.throughout {
                return Ok(Query::Instant { promql, at: now });
            }
            let from = now.checked_sub(*window).unwrap_or(Timestamp::MIN);
            let step = *window / u32::try_from(POINTS).unwrap_or(1);
            return Ok(Query::Range { promql, from, to: now, step });
        }
        let states = |condition: &&&Condition| {
            condition.needs().iter().any(|need| need.breaker().is_some() && need.family().is_none())
        };
        let window = conditions.iter().filter(states).map(|condition| condition.window).max().unwrap_or_default();
        let promql =
            expressions.selection.judged.breaker_states(expressions.metrics()?, &expressions.pattern(), window);
        Ok(Query::Raw { promql, at: now })
    }

    fn ask(&mut self, query: Query) -> usize {
        self.queries.iter().position(|same| *same == query).unwrap_or_else(|| {
            self.queries.push(query);
            self.queries.len() - 1
        })
    }
}

/// What is declared, put into PromQL.
struct Expressions<'a> {
    header: &'a Header,
    selection: &'a Selection<'a>,
    now: Timestamp,
    /// Those that some condition asks for.
    breakers: Vec<&'a str>,
}

impl Expressions<'_> {
    /// The expression that reads a metric on a stretch of the grid; None where there is no time before the change.
    fn of(&self, metric: &Metric, stretch: &Stretch) -> Result<Option<String>, Fault> {
        let Selection { judged, any, since } = self.selection;
        let indicators = &self.header.indicators;
        let missing = |indicator| Fault::NotDeclared { indicator };
        let error_rate = || indicators.error_rate.as_ref().ok_or(missing("indicators.error_rate"));
        let histogram = || indicators.latency_histogram.as_deref().ok_or(missing("indicators.latency"));
        let memory = || indicators.memory.as_deref().ok_or(missing("indicators.memory"));
        let counter = |name: &'static str, counter: fn(&BreakerMetrics) -> Option<&String>| {
            counter(self.metrics()?).ok_or(missing(name))
        };
        let before = |promql: String| since.map(|_| promql);
        Ok(Some(match metric {
            Metric::Requests => judged.counter(&error_rate()?.requests),
            Metric::RequestTimes => judged.sample_times(&error_rate()?.requests),
            Metric::RequestSources => judged.sources(&error_rate()?.requests),
            Metric::Errors => judged.errors(&error_rate()?.errors),
            Metric::RequestsBefore => return Ok(before(any.total(&error_rate()?.requests))),
            Metric::ErrorsBefore => return Ok(before(format!("sum({})", any.errors(&error_rate()?.errors)))),
            Metric::Buckets => judged.buckets(histogram()?),
            Metric::BucketTimes => judged.histogram_times(histogram()?),
            Metric::BucketSources => judged.histogram_sources(histogram()?),
            Metric::BucketsBefore => return Ok(before(any.total_buckets(histogram()?))),
            Metric::BreakerHighest { .. } => judged.highest_state(self.metrics()?, &self.pattern(), stretch.step),
            Metric::BreakerLowest { .. } => judged.lowest_state(self.metrics()?, &self.pattern(), stretch.step),
            Metric::BreakerTimes { .. } => judged.state_times(self.metrics()?, &self.pattern()),
            Metric::BreakerRequests { .. } => {
                let requests = counter("breakers.metrics.requests", |metrics| metrics.requests.as_ref())?;
                judged.breaker_counter(requests, &self.metrics()?.label, &self.pattern())
            }
            Metric::BreakerFailures { .. } => {
                let failures = counter("breakers.metrics.failures", |metrics| metrics.failures.as_ref())?;
                let requests = counter("breakers.metrics.requests", |metrics| metrics.requests.as_ref())?;
                judged.breaker_failures(failures, requests, &self.metrics()?.label, &self.pattern())
            }
            Metric::Health(promql) => judged.substitute(promql),
            Metric::Memory => judged.counter(memory()?),
            Metric::MemoryTimes => judged.sample_times(memory()?),
            Metric::MemoryBefore => {
                let memory = memory()?;
                let age = since.map(|since| self.now.duration_since(since).as_secs().max(1));
                return Ok(age.map(|age| any.gauge_before(memory, &format!(" offset {age}s"))));
            }
            Metric::BreakerState { .. } | Metric::Query(..) => return Ok(None),
        }))
    }

    fn metrics(&self) -> Result<&BreakerMetrics, Fault> {
        self.header.breaker_metrics.as_ref().ok_or(Fault::NotDeclared { indicator: "breakers.metrics" })
    }

    /// A pattern for the breakers that are asked for.
    fn pattern(&self) -> String {
        let declared = self.header.breakers.iter().filter(|breaker| self.breakers.contains(&breaker.name.as_str()));
        let patterns: Vec<&str> = declared.map(|breaker| breaker.pattern.as_str()).collect();
        match patterns.as_slice() {
            [only] => (*only).to_owned(),
            several => several.iter().map(|pattern| format!("({pattern})")).collect::<Vec<_>>().join("|"),
        }
    }
}

impl Metric {
    /// The breaker that it is about.
    pub fn breaker(&self) -> Option<&str> {
        match self {
            Self::BreakerState { breaker }
            | Self::BreakerHighest { breaker }
            | Self::BreakerLowest { breaker }
            | Self::BreakerTimes { breaker }
            | Self::BreakerRequests { breaker }
            | Self::BreakerFailures { breaker } => Some(breaker),
            Self::Requests
            | Self::RequestTimes
            | Self::RequestSources
            | Self::Errors
            | Self::RequestsBefore
            | Self::ErrorsBefore
            | Self::Buckets
            | Self::BucketTimes
            | Self::BucketSources
            | Self::BucketsBefore
            | Self::Health(_)
            | Self::Memory
            | Self::MemoryTimes
            | Self::MemoryBefore
            | Self::Query(..) => None,
        }
    }

    /// Read on the common grid.
    pub fn is_counted(&self) -> bool {
        self.family().is_some_and(|family| family != Family::Before)
    }

    fn family(&self) -> Option<Family> {
        match self {
            Self::Requests
            | Self::RequestTimes
            | Self::RequestSources
            | Self::Errors
            | Self::Memory
            | Self::MemoryTimes
            | Self::MemoryBefore => Some(Family::Service),
            Self::Buckets | Self::BucketTimes | Self::BucketSources => Some(Family::Latency),
            Self::RequestsBefore | Self::ErrorsBefore | Self::BucketsBefore => Some(Family::Before),
            Self::BreakerHighest { .. }
            | Self::BreakerLowest { .. }
            | Self::BreakerTimes { .. }
            | Self::BreakerRequests { .. }
            | Self::BreakerFailures { .. }
            | Self::Health(_) => Some(Family::Breakers),
            Self::BreakerState { .. } | Self::Query(..) => None,
        }
    }

    /// Whether it tells when samples were taken.
    pub fn is_time(&self) -> bool {
        matches!(self, Self::RequestTimes | Self::BucketTimes | Self::MemoryTimes | Self::BreakerTimes { .. })
    }

    /// Whether it is about something else than the pods of now.
    pub fn is_shared(&self) -> bool {
        let before =
            matches!(self, Self::RequestsBefore | Self::ErrorsBefore | Self::BucketsBefore | Self::MemoryBefore);
        before || matches!(self, Self::Health(_) | Self::Query(..))
    }

    /// What tells its series apart from those of the other metrics in the same query.
    pub fn tag(&self) -> &str {
        match self {
            Self::Requests => "requests",
            Self::RequestTimes => "request_times",
            Self::RequestSources => "request_sources",
            Self::Errors => "errors",
            Self::RequestsBefore => "requests_before",
            Self::ErrorsBefore => "errors_before",
            Self::Buckets => "buckets",
            Self::BucketTimes => "bucket_times",
            Self::BucketSources => "bucket_sources",
            Self::BucketsBefore => "buckets_before",
            Self::BreakerHighest { .. } => "highest",
            Self::BreakerLowest { .. } => "lowest",
            Self::BreakerTimes { .. } => "breaker_times",
            Self::BreakerRequests { .. } => "breaker_requests",
            Self::BreakerFailures { .. } => "breaker_failures",
            Self::Health(promql) => promql,
            Self::Memory => "memory",
            Self::MemoryTimes => "memory_times",
            Self::MemoryBefore => "memory_before",
            Self::BreakerState { .. } | Self::Query(..) => "",
        }
    }
}

impl Stretch {
    /// The day before a change, in blocks of three minutes.
    fn before(change: Timestamp) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let from = change.checked_sub(DAY).unwrap_or(Timestamp::MIN);
        Self { from, to: change, step: Duration::from_secs(180) }
    }

    fn query(&self, promql: String) -> Query {
        Query::Range { promql, from: self.from, to: self.to, step: self.step }
    }
}

/// How far back evidence reaches at most, whatever came before.
pub const LONGEST_EVIDENCE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
