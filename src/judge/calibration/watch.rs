//! A gate and a trigger that are looked at after every block, in one pass.
//!
//! The same accumulators as in `share`, which goes through everything since the change at each look: that they say the
//! same is tested here.

use std::time::Duration;

use jiff::Timestamp;

use super::history::{BAKE, at};
use super::traffic::Counted;
use crate::judge::condition::{Condition, Measure, Share};
use crate::judge::counts::age;
use crate::judge::detector::{BREACHES, Detector, in_minutes};
use crate::judge::evidence::{Bursts, Tally, WORSE, of_compliance};

const WEIGHT_OF_THE_CHANGE: f64 = 3.0;

pub struct Gate {
    limit: Share,
    needed: f64,
    bursts: Bursts,
    window: usize,
    detector: Detector,
    since: Counted,
    /// Blocks between two looks for compliance, which grows slowly.
    pub every: usize,
}

/// What was said at any of the looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Said {
    pub failed: bool,
    pub passed: bool,
}

fn limit(condition: &Condition) -> Share {
    let Measure::ErrorRate { limit } = condition.measure else { panic!("not a share") };
    limit
}

fn tally(counted: Counted) -> Tally {
    Tally::of(counted.errors, counted.requests)
}

fn share(counted: Counted) -> f64 {
    if counted.requests == 0 { 0.0 } else { counted.errors as f64 / counted.requests as f64 }
}

impl Gate {
    pub fn new(condition: &Condition, step: usize, bursts: Bursts) -> Self {
        Self {
            limit: limit(condition),
            needed: condition.needed(),
            bursts,
            window: condition.window.as_secs() as usize / step,
            detector: Self::detector(limit(condition), bursts),
            since: Counted::default(),
            every: 1,
        }
    }

    fn detector(limit: Share, bursts: Bursts) -> Detector {
        Detector::new(limit, limit, &WORSE, bursts).with_head_start(WEIGHT_OF_THE_CHANGE * in_minutes(BAKE))
    }

    /// What a look just after the newest of these blocks finds proven.
    pub fn add(&mut self, blocks: &[Counted], step: usize) -> Said {
        let mut said = Said::default();
        let Some(newest) = blocks.last() else { return said };
        self.since += *newest;
        let from = at((blocks.len() - 1) * step);
        self.detector.add(from, Duration::from_secs(step as u64), tally(*newest));
        // Between errors the evidence of a violation only falls.
        if newest.errors > 0 {
            let evidence = self.detector.minutes() / ((1.0 + WEIGHT_OF_THE_CHANGE) * in_minutes(BAKE));
            let above = || self.detector.onset().is_some_and(|(_, since)| since.share() > self.limit.get());
            if evidence >= self.needed && above() {
                (self.detector, self.since, said.failed) =
                    (Self::detector(self.limit, self.bursts), Counted::default(), true);
            }
        }
        if blocks.len().is_multiple_of(self.every) && blocks.len() >= self.window {
            let in_window: Counted = blocks[blocks.len() - self.window..].iter().copied().sum();
            let below = share(in_window) < self.limit.get();
            said.passed = below && of_compliance(tally(self.since), self.limit, self.bursts) >= self.needed;
        }
        said
    }
}

pub struct Trigger {
    limit: Share,
    needed: f64,
    window: Duration,
    detector: Detector,
}

impl Trigger {
    pub fn new(condition: &Condition, bursts: Bursts) -> Self {
        let limit = limit(condition);
        let healthy = condition.healthy.or_else(|| Share::new(limit.get() / 2.0)).unwrap();
        Self {
            limit,
            needed: condition.needed(),
            window: condition.window,
            detector: Detector::new(healthy, limit, &BREACHES, bursts),
        }
    }

    /// Whether a look just after this block fires.
    pub fn fires(&mut self, from: Timestamp, length: Duration, block: Counted) -> bool {
        self.detector.add(from, length, tally(block));
        // The breach has to have begun so long ago that most blocks can do without the sum.
        let Some((onset, since)) = self.detector.onset() else { return false };
        age(onset, from + length) >= self.window
            && since.share() > self.limit.get()
            && self.detector.minutes() / in_minutes(BAKE) >= self.needed
    }
}
