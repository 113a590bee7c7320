//! Data that proves nothing, or hides what is bad: what plain rules make of the answers to their query, and what the
//! judge makes of the samples.
//!
//! The gate is "error rate below 1 % over 30 minutes", and p95 below a limit for the histograms. No case may pass.

use std::time::Duration;

use jiff::SignedDuration;

use super::history::{at, error_rate};
use super::rules::{Answer, GATES};
use crate::judge::condition::{Condition, Measure, Metric, Quantile, Role};
use crate::judge::samples::{Group, LivePod, Look, Point, Samples, Scope, Series};
use crate::judge::verdict::{Gap, Judgement};

/// Seconds: scrape interval, window, how long a series is served after its last sample, and now since the change.
const STEP: usize = 15;
const WINDOW: usize = 1_800;
const LOOKBACK: usize = 300;
const NOW: usize = 4 * 3_600;
const LIMIT: f64 = 0.01;

/// One scrape of a pod's two counters.
#[derive(Clone, Copy)]
struct Scrape {
    at: usize,
    requests: f64,
    errors: f64,
}

#[derive(Clone)]
struct Pod {
    name: &'static str,
    scrapes: Vec<Scrape>,
    started: usize,
    /// Scrape targets that its counters come from.
    sources: f64,
}

/// What Prometheus holds, and what the cluster knows beside it.
#[derive(Clone)]
struct World {
    pods: Vec<Pod>,
    live: Vec<&'static str>,
    since: usize,
    skew: i64,
    warnings: bool,
    /// The query ends in `or vector(0)`.
    or_zero: bool,
}

/// Counters of ten requests a second, of which this share are errors.
fn pod(name: &'static str, share: impl Fn(usize) -> f64) -> Pod {
    let (mut requests, mut errors) = (100_000.0, 100.0_f64);
    let scrapes = (0..=NOW).step_by(STEP).map(|at| {
        requests += 150.0;
        errors += 150.0 * share(at);
        Scrape { at, requests, errors: errors.floor() }
    });
    Pod { name, scrapes: scrapes.collect(), started: 0, sources: 1.0 }
}

fn world(pods: Vec<Pod>) -> World {
    let live = pods.iter().map(|pod| pod.name).collect();
    World { pods, live, since: 0, skew: 0, warnings: false, or_zero: false }
}

fn good() -> Pod {
    pod("good", |_| 0.001)
}

/// Bad in the last minutes only.
fn bad_since(seconds: usize, share: f64) -> Pod {
    pod("bad", move |at| if at > NOW - seconds { share } else { 0.001 })
}

impl World {
    /// Errors over requests, as `sum(rate(errors[…])) / sum(rate(requests[…]))` has it: resets start at zero, and the
    /// first sample of a series counts for nothing.
    fn query(&self, now: usize, window: usize) -> Option<f64> {
        let (mut requests, mut errors, mut found) = (0.0, 0.0, false);
        for pod in &self.pods {
            let inside: Vec<&Scrape> =
                pod.scrapes.iter().filter(|scrape| scrape.at + window >= now && scrape.at <= now).collect();
            found |= inside.len() > 1;
            let added = |before: f64, after: f64| if after < before { after } else { after - before };
            for pair in inside.windows(2) {
                requests += pod.sources * added(pair[0].requests, pair[1].requests);
                errors += pod.sources * added(pair[0].errors, pair[1].errors);
            }
        }
        let rate = found.then_some(errors / requests);
        if self.or_zero { rate.or(Some(0.0)) } else { rate }
    }

    fn answer(&self) -> Answer {
        // Whoever asks by a clock that is slow gets what was true then.
        let now = NOW - self.skew as usize;
        let minutes = (now - WINDOW + 60..=now).step_by(60);
        Answer {
            instant: self.query(now, WINDOW),
            range: minutes.clone().filter_map(|minute| self.query(minute, 300)).collect(),
            baseline: minutes.map(|_| 0.001).collect(),
        }
    }

    /// On the grid, what was scraped last within the lookback.
    fn samples(&self) -> Samples {
        let now = NOW - self.skew as usize;
        let moments: Vec<usize> = (self.since.min(now)..=now).step_by(STEP).collect();
        let mut samples = Samples::on_grid(moments.iter().map(|moment| at(*moment)).collect());
        let series = |pod: &Pod, value: &dyn Fn(&Scrape) -> f64| Series {
            pod: pod.name.into(),
            part: String::new(),
            points: moments
                .iter()
                .filter_map(|moment| {
                    let last = pod.scrapes[..pod.scrapes.partition_point(|scrape| scrape.at <= *moment)].last()?;
                    (last.at + LOOKBACK > *moment).then(|| Point { at: at(*moment), value: value(last) })
                })
                .collect(),
        };
        let all = |value: &dyn Fn(&Scrape) -> f64| match self.warnings {
            true => Err(Gap::Warnings { messages: vec!["partial response".into()] }.into()),
            false => Ok(self.pods.iter().map(|pod| series(pod, value)).collect()),
        };
        samples.insert(Metric::Requests, all(&|scrape| scrape.requests));
        samples.insert(Metric::Errors, all(&|scrape| scrape.errors));
        samples.insert(Metric::RequestTimes, all(&|scrape| at(scrape.at).as_second() as f64));
        let sources: Vec<Series> = self.pods.iter().map(|pod| series(pod, &|_| pod.sources)).collect();
        samples.insert(Metric::RequestSources, all(&|_| 0.0).map(|_| sources));
        samples.insert(Metric::RequestsBefore, Ok(vec![]));
        samples.insert(Metric::ErrorsBefore, Ok(vec![]));
        samples
    }

    fn scope(&self) -> Scope {
        let started = |name: &str| self.pods.iter().find(|pod| pod.name == name).map_or(0, |pod| pod.started);
        let live = |name: &&'static str| LivePod { name: (*name).into(), started: at(started(name)), restarts: 0 };
        Scope {
            pods: Some(self.live.iter().map(live).collect()),
            since: Some(at(self.since)),
            now: at(NOW - self.skew as usize),
            horizon: Duration::from_secs(48 * 3_600),
            memory_limit: None,
            clock_skew: Some(SignedDuration::from_secs(self.skew)),
            rolling: false,
        }
    }

    fn judge(&self) -> Judgement {
        let condition = error_rate(Role::Gate, LIMIT, Duration::from_secs(WINDOW as u64));
        judge(&condition, self.scope(), self.samples())
    }
}

fn judge(condition: &Condition, scope: Scope, samples: Samples) -> Judgement {
    crate::judge::judge(condition, &Look { judged: Group { scope, samples }, stable: None })
}

fn kept(mut pod: Pod, keep: impl Fn(usize) -> bool) -> Pod {
    pod.scrapes.retain(|scrape| keep(scrape.at));
    pod
}

/// Each kind of bad data, and the reason that the judge gives.
fn worlds() -> Vec<(&'static str, World, &'static str)> {
    let absent = |share: fn(usize) -> f64| World { live: vec!["good", "bad"], ..world(vec![pod("good", share)]) };
    let silent = Pod { scrapes: Vec::new(), ..good() };
    let idle = Pod {
        scrapes: good().scrapes.iter().map(|scrape| Scrape { requests: 9.0, errors: 0.0, ..*scrape }).collect(),
        ..good()
    };
    // Whatever restarted in the gap has taken its errors along.
    let holed = kept(good(), |at| !(NOW - 1_200..NOW - 300).contains(&at));
    // One of two processes behind a sum goes, and the rest looks like so many new requests.
    let mut fallen = pod("good", |_| 0.03);
    for scrape in fallen.scrapes.iter_mut().filter(|scrape| scrape.at > NOW - 600) {
        scrape.requests -= 1_000.0;
    }
    let mut born_bad = kept(good(), |at| at > NOW - 900);
    (born_bad.name, born_bad.started) = ("new", NOW - 898);
    for scrape in &mut born_bad.scrapes {
        let age = (scrape.at - (NOW - 900)) as f64;
        (scrape.requests, scrape.errors) = (900.0 + 10.0 * age, 900.0);
    }
    let few = Pod {
        scrapes: good()
            .scrapes
            .iter()
            .map(|scrape| Scrape { requests: (scrape.at / 90) as f64, errors: 0.0, ..*scrape })
            .collect(),
        ..good()
    };
    let doubled = Pod { sources: 6.0, ..good() };
    vec![
        ("no series", world(vec![silent.clone()]), "NoSeries"),
        ("no series, `or vector(0)`", World { or_zero: true, ..world(vec![silent]) }, "NoSeries"),
        ("no traffic: 0/0", world(vec![idle]), "NoTraffic"),
        ("nothing new for 4 minutes", world(vec![kept(good(), |at| at < NOW - 240)]), "Stale"),
        ("a quarter of an hour not scraped", world(vec![good(), holed]), "Coverage"),
        ("the failing pod has no series", absent(|_| 0.001), "MissingPods"),
        ("partial answer with a warning", World { warnings: true, ..absent(|_| 0.001) }, "Warnings"),
        ("a part of a summed counter went", world(vec![fallen]), "CounterFell"),
        (
            "window reaches before the change",
            World { since: NOW - 60, ..world(vec![bad_since(60, 0.04)]) },
            "WindowNotFull",
        ),
        ("errors before the first scrape", World { since: NOW - WINDOW, ..world(vec![good(), born_bad]) }, "Unmet"),
        ("twenty requests", world(vec![few]), "MoreRequests"),
        ("a good pod scraped six times", world(vec![doubled, pod("bad", |_| 0.03)]), "SeveralSources"),
        ("clock an hour slow", World { skew: 3_600, ..world(vec![bad_since(1_800, 0.3)]) }, "ClockSkew"),
    ]
}

/// A hundred requests a second by bucket, held against a p95 in milliseconds, and what `histogram_quantile` says of it.
fn latency(milliseconds: u64, buckets: [(&str, f64); 4], interpolated: f64) -> (Answer, Judgement) {
    let moments: Vec<usize> = (NOW - WINDOW..=NOW).step_by(STEP).collect();
    let mut samples = Samples::on_grid(moments.iter().map(|moment| at(*moment)).collect());
    let series = |part: &str, value: &dyn Fn(usize) -> f64| Series {
        pod: "pod".into(),
        part: part.into(),
        points: moments.iter().map(|moment| Point { at: at(*moment), value: value(*moment) }).collect(),
    };
    let cumulative = buckets.iter().map(|(edge, rate)| series(edge, &|moment| rate * moment as f64));
    samples.insert(Metric::Buckets, Ok(cumulative.collect()));
    samples.insert(Metric::BucketTimes, Ok(vec![series("", &|moment| at(moment).as_second() as f64)]));
    samples.insert(Metric::BucketSources, Ok(vec![series("", &|_| 1.0)]));
    samples.insert(Metric::BucketsBefore, Ok(vec![]));
    let measure =
        Measure::Latency { quantile: Quantile::new(0.95).unwrap(), limit: Duration::from_millis(milliseconds) };
    let window = Duration::from_secs(WINDOW as u64);
    let condition = Condition::new(Role::Gate, "under test".into(), measure, window);
    let scope = world(vec![Pod { name: "pod", ..good() }]).scope();
    // As a share of the limit, so that all rows have one limit; a baseline has the same.
    let interpolated = interpolated * 1_000.0 / milliseconds as f64;
    let range = vec![interpolated * LIMIT; 30];
    (Answer { instant: Some(interpolated * LIMIT), baseline: range.clone(), range }, judge(&condition, scope, samples))
}

#[test]
fn bad_data_passes_plain_rules_and_never_ours() {
    let mut rows: Vec<_> =
        worlds().into_iter().map(|(name, world, reason)| (name, world.answer(), world.judge(), reason)).collect();
    let between = latency(400, [("0.1", 50.0), ("0.25", 90.0), ("0.5", 99.0), ("+Inf", 100.0)], 0.389);
    rows.push(("p95 < 400ms, a tenth above 250ms", between.0, between.1, "BetweenBuckets"));
    let above = latency(2_000, [("0.25", 50.0), ("0.5", 60.0), ("1", 70.0), ("+Inf", 100.0)], 1.0);
    rows.push(("p95 < 2s, a third above the top edge", above.0, above.1, "AboveTopBucket"));
    eprintln!("{:<38}{}  cbctl", "passes?", GATES.map(|(name, _)| format!("{name:>9}")).concat());
    let mut passed = [0; GATES.len()];
    for (name, answer, judged, reason) in &rows {
        let passes = GATES.map(|(_, passes)| passes(answer, LIMIT));
        for (passed, passes) in passed.iter_mut().zip(passes) {
            *passed += usize::from(passes);
        }
        let cells = passes.map(|passes| format!("{:>9}", if passes { "PASSES" } else { "-" }));
        eprintln!("{name:<38}{}  - {reason}", cells.concat());
        let said = format!("{judged:?}");
        assert!(!matches!(judged, Judgement::Met(_)), "{name} passed: {said}");
        assert!(said.contains(reason), "{name}: {said}");
    }
    eprintln!("{:<38}{}  0", format!("of {}", rows.len()), passed.map(|count| format!("{count:>9}")).concat());
    assert!(passed.iter().all(|passed| *passed >= 5), "{passed:?}");
    let sound = world(vec![good()]);
    assert!(matches!(sound.judge(), Judgement::Met(_)), "what is good does pass: {:?}", sound.judge());
    assert!(GATES.iter().all(|(_, passes)| passes(&sound.answer(), LIMIT)));
}
