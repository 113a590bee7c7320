//! A service that is well, what is asked of it, and the way from the bytes of the answers to verdicts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::super::grid::Grid;
use super::super::plan::{Plan, Selection};
use super::super::sort;
use super::kinds::{ALL, Kind};
use super::server::{LOOKBACK, Line, Reply, Store, promql, replies};
use crate::judge::condition::{Condition, Encoding, Metric};
use crate::judge::samples::{Group, LivePod, Look, Scope};
use crate::judge::verdict::{Judgement, Trouble};
use crate::prometheus::selector::Pods;
use crate::prometheus::{Answer, Query, RawSeries, decode};
use crate::rollout::declaration::{
    Breaker, BreakerMetrics, ErrorRateSource, Header, Indicators, PrometheusSource, StateSource,
};

pub const NOW: i64 = 1_800_000_000;
/// The change was so many seconds ago.
pub const SINCE: i64 = 2_400;
/// Seconds between two scrapes.
pub const PERIOD: i64 = 15;

const STABLE: [&str; 3] = ["updog-6f7d8-aaaaa", "updog-6f7d8-bbbbb", "updog-6f7d8-ccccc"];
const CANARY: [&str; 2] = ["updog-canary-5c9f4-ddddd", "updog-canary-5c9f4-eeeee"];

/// What one body says.
pub type Decoded = Result<Vec<RawSeries>, Trouble>;

pub struct World {
    pub header: Header,
    pub plan: Plan,
    pub conditions: Vec<(Kind, Condition)>,
    pub judged: Scope,
    /// Beside a canary.
    pub stable: Option<Scope>,
}

impl World {
    /// Three pods, all of which are judged.
    pub fn plain() -> Self {
        Self::with(ALL, scope(&STABLE), None)
    }

    /// Two canary pods beside two others.
    pub fn canary() -> Self {
        Self::with(ALL, scope(&CANARY), Some(scope(&STABLE[..2])))
    }

    pub fn with(kinds: &[Kind], judged: Scope, stable: Option<Scope>) -> Self {
        let header = header();
        let conditions: Vec<(Kind, Condition)> = kinds.iter().map(|kind| (*kind, kind.condition())).collect();
        let plan = plan(&header, &conditions, &judged);
        Self { header, plan, conditions, judged, stable }
    }

    /// With this condition first, on all pods.
    pub fn of(condition: Condition) -> Self {
        Self::of_scope(condition, all_pods())
    }

    /// With this condition first, and one of a short window beside it, so that the grid is as fine as it is usually.
    pub fn of_scope(condition: Condition, judged: Scope) -> Self {
        Self::of_conditions(vec![condition, Kind::ErrorTrigger.condition()], judged)
    }

    pub fn of_conditions(conditions: Vec<Condition>, judged: Scope) -> Self {
        let header = header();
        let conditions = conditions.into_iter().map(|condition| (Kind::ErrorGate, condition)).collect::<Vec<_>>();
        let plan = plan(&header, &conditions, &judged);
        Self { header, plan, conditions, judged, stable: None }
    }

    pub fn pods(&self) -> impl Iterator<Item = &LivePod> {
        [Some(&self.judged), self.stable.as_ref()].into_iter().flatten().flat_map(|scope| scope.pods.iter().flatten())
    }

    /// The pod to which something happens.
    pub fn victim(&self) -> String {
        self.pods().next().unwrap().name.clone()
    }

    pub fn good_replies(&self) -> Vec<Reply> {
        replies(self, &Store { kept: &|_| true, lookback: LOOKBACK })
    }

    /// Everything between the bytes of the answers and what is judged.
    pub fn look(&self, bodies: &[Vec<u8>]) -> Look {
        self.look_at(self.plan.queries.iter().zip(bodies).map(|(query, body)| self.decode(query, body)).collect())
    }

    pub fn decode(&self, query: &Query, body: &[u8]) -> Decoded {
        decode(body, query, &self.header.prometheus.allowed_warnings)
    }

    pub fn look_at(&self, decoded: Vec<Decoded>) -> Look {
        let answers: Vec<Answer> = decoded.into_iter().map(|series| Answer { series, clock_offset: None }).collect();
        let samples = sort::samples(&self.plan, &answers, &self.header, "pod");
        match &self.stable {
            None => Look { judged: Group { scope: self.judged.clone(), samples }, stable: None },
            Some(scope) => {
                let (canary, stable) = sort::apart(samples, &BTreeSet::from(["updog-canary"]));
                Look {
                    judged: Group { scope: self.judged.clone(), samples: canary },
                    stable: Some(Group { scope: scope.clone(), samples: stable }),
                }
            }
        }
    }

    /// The verdict on the first condition, on sound answers.
    pub fn verdict(&self) -> Judgement {
        self.verdict_on(|line| vec![line])
    }

    /// The verdict on the first condition, on answers whose series are changed.
    pub fn verdict_on(&self, change: impl Fn(Line) -> Vec<Line>) -> Judgement {
        let mut replies = self.good_replies();
        for reply in &mut replies {
            reply.lines = std::mem::take(&mut reply.lines).into_iter().flat_map(&change).collect();
        }
        self.verdict_of(&replies)
    }

    /// The verdict on the first condition, where only these scrapes happened; the times are seconds before now.
    pub fn verdict_after(&self, kept: impl Fn(i64) -> bool) -> Judgement {
        self.verdict_of(&replies(self, &Store { kept: &|scrape| kept(NOW - scrape.at), lookback: LOOKBACK }))
    }

    /// The verdict on the first condition, on answers with these words in place of others.
    pub fn verdict_with(&self, old: &str, new: &str) -> Judgement {
        let spoil = |reply: &Reply| reply.json().to_string().replace(old, new).into_bytes();
        self.verdict_of_bodies(&self.good_replies().iter().map(spoil).collect::<Vec<_>>())
    }

    pub fn verdict_of_bodies(&self, bodies: &[Vec<u8>]) -> Judgement {
        crate::judge::judge(&self.conditions[0].1, &self.look(bodies))
    }

    fn verdict_of(&self, replies: &[Reply]) -> Judgement {
        self.verdict_of_bodies(&replies.iter().map(Reply::body).collect::<Vec<_>>())
    }

    /// Every expression that is sent.
    pub fn expressions(&self) -> Vec<&str> {
        self.plan.queries.iter().map(promql).collect()
    }
}

fn plan(header: &Header, conditions: &[(Kind, Condition)], scope: &Scope) -> Plan {
    let conditions: Vec<&Condition> = conditions.iter().map(|(_, condition)| condition).collect();
    let counted = conditions.iter().filter(|condition| condition.needs().iter().any(Metric::is_counted));
    let grid = Grid::of(counted.map(|condition| condition.window), scope.since, scope.now, 3);
    let pods = |pattern| Pods { namespace: "shop", pattern, labels: &header.prometheus.selector };
    let any = pods("updog-[a-z0-9]+-[a-z0-9]{5}");
    Plan::of(&conditions, grid, header, &Selection { judged: any.clone(), any, since: scope.since })
}

pub fn at(ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - ago).unwrap()
}

/// All pods, since the change.
pub fn all_pods() -> Scope {
    scope(&STABLE)
}

fn scope(pods: &[&str]) -> Scope {
    // They started on behalf of the change, one after the other.
    let live = |(index, name): (i64, &&str)| LivePod {
        name: (*name).to_owned(),
        started: at(SINCE + 30 + 10 * index),
        restarts: 0,
    };
    Scope {
        pods: Some((0..).zip(pods).map(live).collect()),
        since: Some(at(SINCE)),
        now: at(0),
        horizon: Duration::from_secs(48 * 60 * 60),
        memory_limit: Some(512 << 20),
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    }
}

fn header() -> Header {
    let text = |text: &str| text.to_owned();
    Header {
        name: text("updog"),
        deployment: text("updog"),
        container: None,
        namespace: None,
        prometheus: PrometheusSource {
            url: None,
            ca_file: None,
            token_file: None,
            selector: BTreeMap::from([(text("namespace"), text("$namespace")), (text("pod"), text("$pods"))]),
            allowed_warnings: vec![text("known to be harmless")],
        },
        warm_up: Duration::ZERO,
        rollback_within: Duration::from_secs(300),
        router: None,
        freezes: vec![],
        indicators: Indicators {
            latency_histogram: Some(text("seconds")),
            error_rate: Some(ErrorRateSource {
                requests: text("seconds_count"),
                errors: text("seconds_count{status=~\"5..\"}"),
            }),
            memory: Some(text("memory_bytes")),
        },
        breaker_metrics: Some(BreakerMetrics {
            requests: Some(text("breaker_requests_total")),
            failures: Some(text("breaker_failures_total")),
            state: StateSource::Values { gauge: text("breaker_state"), encoding: Encoding::OF_LABELS },
            label: text("breaker"),
        }),
        breakers: vec![Breaker {
            name: "cache".parse().unwrap(),
            flag: "CB_CACHE_ENABLED".parse().unwrap(),
            on: text("true"),
            off: text("false"),
            pattern: text(".*(cache|redis).*"),
            health: None,
            settings: vec![],
            never_for: vec![],
        }],
    }
}
