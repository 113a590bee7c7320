//! How long two days of a large service take to be judged: a benchmark, run by `tests/bench/run`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::condition::{Condition, Measure, Metric, Quantile, Role, Share};
use super::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use super::verdict::Judgement;

const PODS: usize = 100;
const MINUTES: i64 = 48 * 60;
const NOW: i64 = 1_800_000_000;

fn moments() -> impl Iterator<Item = Timestamp> {
    (0..=MINUTES).map(|minute| Timestamp::from_second(NOW - (MINUTES - minute) * 60).unwrap())
}

fn series(part: &str, value: impl Fn(f64) -> f64) -> Vec<Series> {
    let points = || {
        let seconds = (0_u32..).map(|minute| f64::from(minute) * 60.0);
        moments().zip(seconds).map(|(at, second)| Point { at, value: value(second) }).collect()
    };
    (0..PODS).map(|pod| Series { pod: format!("updog-{pod}"), part: part.to_owned(), points: points() }).collect()
}

fn look() -> Look {
    let begin = moments().next().unwrap();
    let mut samples = Samples::on_grid(moments().collect());
    let times = |second: f64| begin.as_duration().as_secs_f64() + second;
    samples.insert(Metric::Requests, Ok(series("", |second| second * 10.0)));
    samples.insert(Metric::Errors, Ok(series("", |second| (second / 20.0).floor())));
    samples.insert(Metric::RequestTimes, Ok(series("", times)));
    samples.insert(Metric::RequestSources, Ok(series("", |_| 1.0)));
    let shares = [("0.25", 0.95), ("0.4", 0.97), ("0.5", 0.99), ("1", 1.0), ("+Inf", 1.0)];
    let buckets = shares.iter().flat_map(|(edge, share)| series(edge, |second| (second * 10.0 * share).round()));
    samples.insert(Metric::Buckets, Ok(buckets.collect()));
    samples.insert(Metric::BucketTimes, Ok(series("", times)));
    samples.insert(Metric::BucketSources, Ok(series("", |_| 1.0)));
    for before in [Metric::RequestsBefore, Metric::ErrorsBefore, Metric::BucketsBefore] {
        samples.insert(before, Ok(Vec::new()));
    }
    let live = |pod| LivePod { name: format!("updog-{pod}"), started: begin, restarts: 0 };
    let scope = Scope {
        pods: Some((0..PODS).map(live).collect()),
        since: Some(begin),
        now: Timestamp::from_second(NOW).unwrap(),
        horizon: Duration::from_secs(30 * 24 * 3_600),
        memory_limit: None,
        clock_skew: Some(SignedDuration::ZERO),
        rolling: false,
    };
    Look { judged: Group { scope, samples }, stable: None }
}

fn conditions() -> [Condition; 4] {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let errors = |share: f64| Measure::ErrorRate { limit: Share::new(share).unwrap() };
    let p95 = |milliseconds| Measure::Latency {
        quantile: Quantile::new(0.95).unwrap(),
        limit: Duration::from_millis(milliseconds),
    };
    [
        Condition::new(Role::Gate, "error_rate < 1% over 30m".into(), errors(0.01), minutes(30)),
        Condition::new(Role::Gate, "p95 < 400ms over 30m".into(), p95(400), minutes(30)),
        Condition::new(Role::Trigger, "error_rate > 2% for 2m".into(), errors(0.02), minutes(2)),
        Condition::new(Role::Trigger, "p95 > 500ms for 5m".into(), p95(500), minutes(5)),
    ]
}

/// Of this process, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

#[test]
#[ignore = "a benchmark: tests/bench/run"]
fn two_days_of_a_hundred_pods() {
    let before = peak_memory();
    let look = look();
    let sampled = peak_memory();
    let mut fastest = Duration::MAX;
    for _ in 0..11 {
        let begun = Instant::now();
        for condition in &conditions() {
            let judgement = black_box(super::judge(condition, &look));
            assert!(matches!(judgement, Judgement::Met(_) | Judgement::Unmet(_)), "{judgement:?}");
        }
        fastest = fastest.min(begun.elapsed());
    }
    println!(
        "judging 48 h of 100 pods, 4 conditions: {:.1} ms; samples {} MiB, judging {} MiB more",
        fastest.as_secs_f64() * 1e3,
        (sampled - before) >> 10,
        (peak_memory() - sampled) >> 10
    );
}
