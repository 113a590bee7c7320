//! Simulated blocks as the samples that a look at Prometheus would bring home.
//!
//! It does not know how the blocks came about.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::traffic::{Counted, Random};
use crate::judge::condition::{Condition, Measure, Metric, Role, Share};
use crate::judge::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use crate::judge::verdict::Judgement;

/// When the simulated change was complete.
const CHANGE: i64 = 1_800_000_000;
/// Blocks of the newest part of the grid, and most points of its older part.
const FINE: usize = 60;
const COARSE_POINTS: usize = 480;

pub const BAKE: Duration = Duration::from_secs(48 * 3_600);

/// What happened since the change, and before it.
pub struct History {
    /// Seconds of one block.
    pub step: usize,
    pub blocks: Vec<Counted>,
    pub before: Vec<Counted>,
    pub pods: usize,
    /// Which pod restarted in the middle of which block.
    pub restarts: Vec<(usize, usize)>,
}

pub fn at(seconds: usize) -> Timestamp {
    Timestamp::from_second(CHANGE + seconds as i64).unwrap()
}

pub fn error_rate(role: Role, limit: f64, window: Duration) -> Condition {
    Condition::new(role, "under test".into(), Measure::ErrorRate { limit: Share::new(limit).unwrap() }, window)
}

impl History {
    pub fn new(step: usize, blocks: Vec<Counted>, before: Vec<Counted>) -> Self {
        Self { step, blocks, before, pods: 1, restarts: Vec::new() }
    }

    /// Several pods, one of which restarts every so many blocks.
    pub fn restarting(mut self, pods: usize, every: usize, random: &mut Random) -> Self {
        self.pods = pods;
        let blocks = (1..self.blocks.len()).filter(|_| random.below(every) == 0).collect::<Vec<_>>();
        self.restarts = blocks.into_iter().map(|block| (block, random.below(pods))).collect();
        self
    }

    /// Judges what is known after so many blocks.
    pub fn judge(&self, condition: &Condition, blocks: usize) -> Judgement {
        let (scope, samples) = self.look(blocks);
        crate::judge::judge(condition, &Look { judged: Group { scope, samples }, stable: None })
    }

    pub fn look(&self, blocks: usize) -> (Scope, Samples) {
        let coarse = blocks.saturating_sub(FINE);
        let stride = coarse.div_ceil(COARSE_POINTS).max(1);
        let moments: Vec<usize> = (0..coarse).step_by(stride).chain(coarse..=blocks).collect();
        let time = |block: &usize| at(block * self.step);
        let mut samples = Samples::on_grid(moments.iter().map(time).collect());
        let series = |pod: usize, values: Vec<f64>| Series {
            pod: format!("pod-{pod}"),
            part: String::new(),
            points: moments.iter().map(time).zip(values).map(|(at, value)| Point { at, value }).collect(),
        };
        let each =
            |values: &dyn Fn(usize) -> Vec<f64>| Ok((0..self.pods).map(|pod| series(pod, values(pod))).collect());
        samples.insert(Metric::Requests, each(&|pod| self.counter(pod, &moments, |counted| counted.requests)));
        samples.insert(Metric::Errors, each(&|pod| self.counter(pod, &moments, |counted| counted.errors)));
        let own_time = |block: &usize| (CHANGE + (block * self.step) as i64) as f64;
        samples.insert(Metric::RequestTimes, each(&|_| moments.iter().map(own_time).collect()));
        samples.insert(Metric::RequestSources, each(&|_| vec![1.0; moments.len()]));
        // The time before the change has a grid of its own.
        let stride = self.before.len().div_ceil(COARSE_POINTS).max(1);
        let baseline = |of: fn(&Counted) -> u64| {
            let mut total = 0;
            let mut points = vec![Point { at: at(0) - SignedDuration::from_hours(48), value: 0.0 }];
            for (index, blocks) in (1..).zip(self.before.chunks(stride)) {
                total += blocks.iter().map(of).sum::<u64>();
                let time = Duration::from_secs((index * stride * self.step) as u64);
                points.push(Point { at: points[0].at + time, value: total as f64 });
            }
            let series = Series { pod: String::new(), part: String::new(), points };
            if self.before.is_empty() { vec![] } else { vec![series] }
        };
        samples.insert(Metric::RequestsBefore, Ok(baseline(|counted| counted.requests)));
        samples.insert(Metric::ErrorsBefore, Ok(baseline(|counted| counted.errors)));
        (self.scope(blocks), samples)
    }

    fn scope(&self, blocks: usize) -> Scope {
        let restarts = |pod: usize| self.restarts.iter().filter(move |(block, of)| *of == pod && *block < blocks);
        let live = |pod: usize| LivePod {
            name: format!("pod-{pod}"),
            started: restarts(pod).next_back().map_or(at(0), |(block, _)| at(block * self.step + self.step / 2)),
            restarts: restarts(pod).count() as u32,
        };
        Scope {
            pods: Some((0..self.pods).map(live).collect()),
            since: Some(at(0)),
            now: at(blocks * self.step),
            horizon: BAKE,
            memory_limit: None,
            clock_skew: Some(SignedDuration::ZERO),
            rolling: false,
        }
    }

    /// One pod's cumulative counter at these ends of blocks; what it counted before it restarted in a block is lost.
    fn counter(&self, pod: usize, moments: &[usize], of: fn(&Counted) -> u64) -> Vec<f64> {
        let mut total = 0_u64;
        let mut restarts = self.restarts.iter().filter(|(_, of)| *of == pod).peekable();
        let mut known = moments.iter().peekable();
        let mut values = Vec::with_capacity(moments.len());
        for (index, counted) in std::iter::once(&Counted::default()).chain(&self.blocks).enumerate() {
            // The first value is that of the change itself, before any block.
            let part = (of(counted) + ((pod + index) % self.pods) as u64) / self.pods as u64;
            total += part;
            if restarts.next_if(|(block, _)| block + 1 == index).is_some() {
                total = part / 2;
            }
            if known.next_if_eq(&&index).is_some() {
                values.push(total as f64);
            }
        }
        values
    }
}
