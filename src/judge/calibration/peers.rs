//! The same simulated services under plain rules and under ours: how often a healthy one is rolled back, and how soon
//! a bad one is.

use std::time::Duration;

use super::false_alarms::estimated;
use super::history::{at, error_rate};
use super::rules::{RollsBack, Seen, TRIGGERS};
use super::traffic::{Counted, Random, Traffic, median};
use super::watch::Trigger;
use crate::judge::condition::{Role, Share};
use crate::judge::evidence::Bursts;

const RUNS: usize = 100;
const DAY: usize = 24 * 60;
const BAKE: usize = 2 * DAY;
const LIMIT: f64 = 0.02;
const HEALTHY: f64 = 0.005;

/// Two days of a service, the same time of its baseline, and what was known of it before.
struct Service {
    blocks: Vec<Counted>,
    rates: Vec<f64>,
    baseline: Vec<f64>,
    bursts: Bursts,
}

/// Healthy for so many minutes, and then not.
fn service(traffic: Traffic, healthy: usize, minutes: usize, random: &mut Random) -> Service {
    let (good, bad) = (traffic.in_blocks(60), Traffic { share: 0.05, ..traffic }.in_blocks(60));
    let mut blocks = good.blocks(0..healthy, random);
    blocks.extend(bad.blocks(healthy..minutes, random));
    let beside = good.blocks(0..minutes, random);
    let (rates, baseline) = (rates(&blocks), rates(&beside));
    Service { blocks, rates, baseline, bursts: estimated(good.blocks(0..DAY, random)) }
}

/// Over the last five minutes, by minute.
fn rates(blocks: &[Counted]) -> Vec<f64> {
    let five = |minute: usize| blocks[minute.saturating_sub(4)..=minute].iter().copied().sum::<Counted>();
    (0..blocks.len()).map(five).map(|sum| sum.errors as f64 / sum.requests as f64).collect()
}

/// The first minute after which our trigger on more than 2 % errors for 2 minutes fires.
fn ours(service: &Service) -> Option<usize> {
    let mut condition = error_rate(Role::Trigger, LIMIT, Duration::from_secs(120));
    condition.healthy = Share::new(0.01);
    let mut trigger = Trigger::new(&condition, service.bursts);
    let minute = Duration::from_secs(60);
    (0..service.blocks.len()).find(|index| trigger.fires(at(index * 60), minute, service.blocks[*index]))
}

/// Of how many runs a healthy service was rolled back, and after how many minutes a bad one was.
fn outcome(traffic: Traffic, seed: u64, rule: &dyn Fn(&Service, usize) -> Option<usize>) -> (usize, f64) {
    let mut random = Random::new(seed);
    let false_alarm = |random: &mut Random| rule(&service(traffic, BAKE, BAKE, random), 0).is_some();
    let rolled_back = (0..RUNS).filter(|_| false_alarm(&mut random)).count();
    let found = |random: &mut Random| {
        let found = rule(&service(traffic, DAY, DAY + 180, random), DAY);
        found.map_or(f64::INFINITY, |minute| (minute + 1) as f64 - DAY as f64)
    };
    (rolled_back, median((0..RUNS).map(|_| found(&mut random)).collect()))
}

#[test]
fn a_healthy_service_is_rolled_back_by_plain_rules_and_not_by_ours() {
    let kinds = [
        ("1 rps", Traffic::steady(1.0, HEALTHY)),
        ("1 rps, bursts of 4", Traffic::bursty(1.0, HEALTHY, 4.0)),
        ("10 rps", Traffic::steady(10.0, HEALTHY)),
        ("10 rps, bursts of 4", Traffic::bursty(10.0, HEALTHY, 4.0)),
    ];
    eprintln!("healthy 0.5 %: rolled back in 48 h, of {RUNS}; 5 % errors after a healthy day: minutes until it is");
    eprintln!("{:<22}{}", "", kinds.map(|(name, _)| format!("{name:>21}")).concat());
    let plain = |rule: RollsBack| {
        move |service: &Service, from: usize| {
            rule(&Seen { rates: &service.rates, baseline: &service.baseline, limit: LIMIT }, from)
        }
    };
    let mut table = Vec::new();
    for (name, rule) in TRIGGERS {
        table.push((name, kinds.map(|(_, traffic)| outcome(traffic, 7, &plain(rule)))));
    }
    // What fired before the onset is a false alarm, and no find.
    let own = |service: &Service, from: usize| ours(service).filter(|minute| *minute >= from);
    table.push(("cbctl", kinds.map(|(_, traffic)| outcome(traffic, 7, &own))));
    for (name, outcomes) in &table {
        let cells = outcomes.map(|(rolled_back, minutes)| format!("{:>21}", format!("{rolled_back} / {minutes}m")));
        eprintln!("{name:<22}{}", cells.concat());
    }
    let of = |rule: &str| table.iter().find(|(name, _)| *name == rule).unwrap().1;
    let (ours, alert) = (of("cbctl"), of("alert, for 2m"));
    assert!(ours.iter().all(|(rolled_back, _)| *rolled_back * 100 <= RUNS), "{ours:?}");
    assert!(alert[0].0 > 20, "{alert:?}");
    assert!(alert[1].0 > 90, "{alert:?}");
    assert!(ours[0].1 <= 8.0 && ours[2].1 <= 2.0 && ours[3].1 <= 8.0, "{ours:?}");
}
