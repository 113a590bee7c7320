//! How a Deployment's controller puts new pods in the place of old ones: how many at once, and how long it takes.
//!
//! It knows no flags, and not how any of its figures is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::judge::verdict::seconds;

/// What is known of it beforehand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replacement {
    pub strategy: Strategy,
    /// How long a pod has to be ready before it counts as available.
    pub min_ready: Duration,
    /// How long a pod that is deleted may take to end.
    pub grace_period: Duration,
    /// From a pod's creation until it was ready: the slowest of the live ones that tell it.
    pub readiness: Option<Duration>,
    pub footprint: Footprint,
}

/// How many pods go and come at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strategy {
    /// All old pods end before the first new one starts.
    Recreate,
    Rolling {
        surge: Amount,
        unavailable: Amount,
    },
}

/// A number of pods, or a share of them in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    Count(u32),
    Percent(u32),
}

/// What one pod is to others: budgets select it by its labels, and quotas count what it asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footprint {
    pub labels: BTreeMap<String, String>,
    pub priority_class: Option<String>,
    /// By the names that quotas use, such as `requests.cpu`.
    pub needs: BTreeMap<String, f64>,
    /// What at least one of its containers does not ask for.
    pub unasked: BTreeSet<String>,
}

/// What every container has to ask for where a quota counts it, by the names of [`Footprint::needs`].
pub const COMPUTE: [&str; 4] = ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// A quota that counts these pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    pub name: String,
    pub limits: Vec<Limit>,
}

/// What a quota allows of one resource, and what is taken of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    pub resource: String,
    pub hard: f64,
    pub used: f64,
}

/// The limit that leaves the least room, in pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Tightest {
    pub quota: String,
    pub resource: String,
    pub room: u32,
}

/// How many pods a rolling update may have too many and too few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margins {
    pub surge: u32,
    pub unavailable: u32,
}

/// How a replacement of every pod would go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Course {
    pub waves: u32,
    /// Until the pods of one wave are available.
    #[serde(rename = "wave_seconds", serialize_with = "seconds")]
    pub wave: Duration,
    #[serde(rename = "expected_seconds", serialize_with = "seconds")]
    pub expected: Duration,
}

impl Default for Strategy {
    fn default() -> Self {
        Self::Rolling { surge: Amount::Percent(25), unavailable: Amount::Percent(25) }
    }
}

impl Amount {
    fn rounded_up(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => replicas.saturating_mul(percent).div_ceil(100),
        }
    }

    fn rounded_down(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => replicas.saturating_mul(percent) / 100,
        }
    }
}

impl Replacement {
    /// As Kubernetes rounds them: the surge up, what may be unavailable down, and never both to zero.
    pub fn margins(&self, replicas: u32) -> Margins {
        match self.strategy {
            Strategy::Recreate => Margins { surge: 0, unavailable: replicas },
            Strategy::Rolling { surge, unavailable } => {
                let surge = surge.rounded_up(replicas);
                let unavailable = unavailable.rounded_down(replicas).min(replicas);
                let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
                Margins { surge, unavailable }
            }
        }
    }

    /// How putting a new pod in the place of every old one goes, where quotas leave room for so many pods more.
    ///
    /// expected = waves × (readiness + minReadySeconds) + terminationGracePeriodSeconds, with
    /// waves = ⌈replicas ÷ (surge + unavailable)⌉: each wave waits until the one before it is available, and at the end
    /// the last old pods may take their whole grace period. What replacing them usually took is believed instead where
    /// that was longer. None where no pod tells how long it takes to be ready.
    pub fn course(&self, replicas: u32, room: Option<u32>, past: Option<Duration>) -> Option<Course> {
        if replicas == 0 {
            return Some(Course { waves: 0, wave: Duration::ZERO, expected: Duration::ZERO });
        }
        let Margins { surge, unavailable } = self.margins(replicas);
        let at_once = room.map_or(surge, |room| room.min(surge)).saturating_add(unavailable).max(1);
        let waves = replicas.div_ceil(at_once);
        let wave = self.readiness? + self.min_ready;
        let expected = wave * waves + self.grace_period;
        Some(Course { waves, wave, expected: expected.max(past.unwrap_or_default()) })
    }
}

impl Footprint {
    /// What one pod takes of a resource that a quota counts.
    fn need(&self, resource: &str) -> f64 {
        match resource {
            "pods" | "count/pods" => 1.0,
            resource => self.needs.get(&*in_full(resource)).copied().unwrap_or_default(),
        }
    }

    /// The first quota, and its resource, that lets no such pod in because it does not ask for what is counted.
    pub fn shut_out<'a>(&self, quotas: &'a [Quota]) -> Option<(&'a str, &'a str)> {
        let limits = quotas.iter().flat_map(|quota| quota.limits.iter().map(move |limit| (quota, limit)));
        let mut unasked = limits.filter(|(_, limit)| self.unasked.contains(&*in_full(&limit.resource)));
        unasked.next().map(|(quota, limit)| (quota.name.as_str(), limit.resource.as_str()))
    }

    /// The resources that it asks for, such as `cpu`.
    pub fn resources(&self) -> BTreeSet<&str> {
        self.needs.keys().filter_map(|name| name.split_once('.')).map(|(_, resource)| resource).collect()
    }

    /// The limit of these quotas that is reached first by more such pods; None where none counts them.
    pub fn tightest(&self, quotas: &[Quota]) -> Option<Tightest> {
        let limits = quotas.iter().flat_map(|quota| quota.limits.iter().map(move |limit| (quota, limit)));
        let rooms = limits.filter_map(|(quota, limit)| {
            let room = room(limit.hard - limit.used, self.need(&limit.resource))?;
            Some(Tightest { quota: quota.name.clone(), resource: limit.resource.clone(), room })
        });
        rooms.min_by_key(|tightest| tightest.room)
    }
}

/// A bare name is a request.
fn in_full(resource: &str) -> Cow<'_, str> {
    match resource {
        "cpu" | "memory" | "ephemeral-storage" => format!("requests.{resource}").into(),
        resource => resource.into(),
    }
}

/// How many times `need` fits; None where nothing is needed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn room(left: f64, need: f64) -> Option<u32> {
    // Tenths of a core are no binary fractions.
    const TOLERANCE: f64 = 1e-6;
    (need > 0.0).then(|| (left / need + TOLERANCE).floor().clamp(0.0, f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, proptest};

    fn rolling(surge: Amount, unavailable: Amount) -> Replacement {
        Replacement {
            strategy: Strategy::Rolling { surge, unavailable },
            min_ready: Duration::from_secs(2),
            grace_period: Duration::from_secs(30),
            readiness: Some(Duration::from_secs(8)),
            footprint: Footprint::default(),
        }
    }

    #[test]
    fn margins_are_rounded_as_kubernetes_does() {
        use Amount::{Count, Percent};
        for (surge, unavailable, replicas, expected) in [
            (Percent(25), Percent(25), 10, (3, 2)),
            (Percent(25), Percent(25), 2, (1, 0)),
            (Percent(25), Percent(25), 1, (1, 0)),
            (Percent(100), Count(0), 4, (4, 0)),
            (Count(0), Percent(25), 2, (0, 1)),
            (Count(0), Count(1), 5, (0, 1)),
            (Count(1), Count(9), 5, (1, 5)),
            (Percent(0), Percent(0), 3, (0, 1)),
        ] {
            let Margins { surge: more, unavailable: fewer } = rolling(surge, unavailable).margins(replicas);
            assert_eq!((more, fewer), expected, "{surge:?} {unavailable:?} of {replicas}");
        }
    }

    #[test]
    fn every_wave_waits_for_the_one_before_and_the_last_old_pods_may_take_their_time() {
        let quarter = rolling(Amount::Percent(25), Amount::Percent(25));
        let course = |replicas, room| {
            let Course { waves, expected, .. } = quarter.course(replicas, room, None).unwrap();
            (waves, expected.as_secs())
        };
        assert_eq!(course(10, None), (2, 50), "2 x (8 + 2) + 30");
        assert_eq!(course(10, Some(1)), (4, 70), "1 more and 2 fewer at once");
        assert_eq!(course(10, Some(9)), (2, 50), "more room than surge helps nothing");
        assert_eq!(course(1, None), (1, 40));
        assert_eq!(course(0, None), (0, 0), "nothing to replace");
        let recreate = Replacement { strategy: Strategy::Recreate, ..quarter };
        assert_eq!(recreate.course(100, Some(0), None).unwrap().waves, 1);
    }

    #[test]
    fn what_took_longer_in_the_past_is_believed() {
        let quarter = rolling(Amount::Percent(25), Amount::Percent(25));
        let seconds = |past| quarter.course(10, None, Some(Duration::from_secs(past))).unwrap().expected.as_secs();
        assert_eq!((seconds(20), seconds(90)), (50, 90));
    }

    #[test]
    fn without_a_ready_pod_nobody_knows() {
        let unknown = Replacement { readiness: None, ..rolling(Amount::Count(1), Amount::Count(0)) };
        assert_eq!(unknown.course(3, None, Some(Duration::from_secs(9))), None);
        assert!(unknown.course(0, None, None).is_some());
    }

    #[test]
    fn room_is_what_the_tightest_limit_leaves() {
        let needs = [("requests.cpu".to_owned(), 0.1), ("limits.memory".to_owned(), 512.0)].into();
        let footprint = Footprint { needs, ..Footprint::default() };
        let quota = |resource: &str, hard, used| {
            let limits = vec![Limit { resource: resource.into(), hard, used }];
            Quota { name: resource.into(), limits }
        };
        let room = |quotas: &[Quota]| footprint.tightest(quotas).map(|tightest| tightest.room);
        assert_eq!(room(&[quota("pods", 4.0, 3.0), quota("count/pods", 9.0, 3.0)]), Some(1));
        assert_eq!(room(&[quota("cpu", 1.0, 0.7)]), Some(3), "a bare name is a request");
        assert_eq!(room(&[quota("limits.memory", 1_024.0, 1_000.0)]), Some(0));
        assert_eq!(room(&[quota("pods", 3.0, 5.0)]), Some(0), "lowered below what is there");
        assert_eq!(room(&[quota("requests.memory", 1.0, 1.0), quota("services", 0.0, 0.0)]), None, "not asked for");
        assert_eq!(room(&[]), None);
        let asking = Footprint { unasked: ["requests.memory".to_owned()].into(), ..footprint.clone() };
        assert_eq!(asking.shut_out(&[quota("pods", 1.0, 1.0), quota("memory", 9.0, 0.0)]), Some(("memory", "memory")));
        assert_eq!(asking.shut_out(&[quota("limits.memory", 9.0, 0.0)]), None);
    }

    proptest! {
        #[test]
        fn more_margin_or_room_never_makes_it_slower(
            replicas in 0..200_u32, surge in 0..120_u32, unavailable in 0..120_u32, room in 0..50_u32,
        ) {
            let expected = |surge, unavailable, room| {
                let rolling = rolling(Amount::Percent(surge), Amount::Percent(unavailable));
                rolling.course(replicas, Some(room), None).unwrap().expected
            };
            let base = expected(surge, unavailable, room);
            // A surge of zero makes one pod unavailable, which a surge that finds no room does not.
            prop_assert!(surge == 0 || expected(surge + 1, unavailable, room) <= base);
            prop_assert!(expected(surge, unavailable + 1, room) <= base);
            prop_assert!(expected(surge, unavailable, room + 1) <= base);
        }
    }
}
