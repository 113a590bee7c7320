//! Sound answers of a server that did not scrape everything, and what is known of pods and clocks.

use jiff::SignedDuration;

use super::edit::{scope, scrapes, scrapes_of_victim};
use super::kinds::{ALL, ERRORS, FAILURES, INSTANT, Kind, LATENCY, MEMORY, STUCK, THROUGHOUT, TRIPS};
use super::table::{Change, Row};
use super::world::{NOW, at};
use crate::judge::samples::LivePod;

const GATES: &[Kind] = &[Kind::ErrorGate, Kind::LatencyGate];
const TRIGGERS: &[Kind] = &[Kind::ErrorTrigger, Kind::LatencyTrigger];
const OF_SHORT_WINDOWS: &[Kind] = &[Kind::ErrorTrigger, Kind::LatencyTrigger, Kind::FailuresTrigger, Kind::Use];
const RECENT: &str = "the holes are older than the window of the trigger";
const ONE_MOMENT: &str = "a query without `for` looks at this moment, and the server looks back two minutes at most";

pub fn rows() -> Vec<Row> {
    let mut rows = of_outages();
    rows.extend(of_holes());
    rows.extend(of_scopes());
    rows
}

fn stale(row: Row) -> Row {
    row.says(ERRORS, "Stale { metric: \"requests\", pod: \"updog-")
        .says(LATENCY, "Stale { metric: \"latency histogram\", pod: \"updog-")
        .says(STUCK, "Stale { metric: \"breaker state\", pod: \"updog-")
        .says(TRIPS, "Stale { metric: \"breaker state\", pod: \"updog-")
        .says(FAILURES, "Stale { metric: \"breaker state\", pod: \"updog-")
        .says(MEMORY, "Stale { metric: \"memory\", pod: \"updog-")
}

fn coverage(row: Row) -> Row {
    row.says(ERRORS, "Coverage { metric: \"requests\", pod: \"updog-")
        .says(LATENCY, "Coverage { metric: \"latency histogram\", pod: \"updog-")
        .says(STUCK, "Coverage { metric: \"breaker state\", pod: \"updog-")
        .says(TRIPS, "Coverage { metric: \"breaker state\", pod: \"updog-")
        .says(FAILURES, "Coverage { metric: \"breaker state\", pod: \"updog-")
        .says(MEMORY, "Coverage { metric: \"memory\", pod: \"updog-")
        .says(THROUGHOUT, "Interrupted { have: ")
}

fn of_outages() -> Vec<Row> {
    vec![
        stale(Row::new("one pod was not scraped for a minute and a half", scrapes_of_victim(|ago| ago > 95))),
        stale(Row::new("one pod was not scraped for five minutes", scrapes_of_victim(|ago| ago > 300)))
            .says(TRIGGERS, "Stale"),
        Row::new("one pod was never scraped", scrapes_of_victim(|_| false))
            .says(ERRORS, "MissingPods { metric: \"requests\", pods: [\"updog-")
            .says(LATENCY, "MissingPods { metric: \"latency histogram\", pods: [\"updog-")
            .says(STUCK, "MissingPods { metric: \"breaker state\", pods: [\"updog-")
            .says(TRIPS, "MissingPods { metric: \"breaker ")
            .says(FAILURES, "MissingPods { metric: \"breaker ")
            .says(MEMORY, "MissingPods { metric: \"memory\", pods: [\"updog-"),
        stale(Row::new("nothing was scraped for a minute and a half", scrapes(|ago| ago > 95)))
            .harmless(INSTANT, ONE_MOMENT)
            .harmless(THROUGHOUT, ONE_MOMENT),
        stale(Row::new("nothing was scraped for five minutes", scrapes(|ago| ago > 300)))
            .says(GATES, "Stale")
            .says(TRIGGERS, "Stale")
            .says(INSTANT, "NoSeries { metric: \"query\" }")
            .says(THROUGHOUT, "Interrupted { have: "),
        Row::new("nothing was ever scraped", scrapes(|_| false))
            .says(ERRORS, "NoSeries { metric: \"requests\" }")
            .says(LATENCY, "NoSeries { metric: \"latency histogram\" }")
            .says(STUCK, "NoSeries { metric: \"breaker state\" }")
            .says(TRIPS, "NoSeries { metric: \"breaker ")
            .says(FAILURES, "NoSeries { metric: \"breaker ")
            .says(MEMORY, "NoSeries { metric: \"memory\" }")
            .says(INSTANT, "NoSeries { metric: \"query\" }")
            .says(THROUGHOUT, "NoSeries { metric: \"query\" }"),
        stale(Row::new(
            "the last samples are four minutes old, and the server looks back five",
            Change::Scrapes { kept: Box::new(|scrape, _| NOW - scrape.at > 240), lookback: 300 },
        ))
        .says(GATES, "Stale")
        .says(TRIGGERS, "Stale"),
    ]
}

fn of_holes() -> Vec<Row> {
    vec![
        coverage(Row::new(
            "one pod was not scraped for six minutes",
            scrapes_of_victim(|ago| !(200..560).contains(&ago)),
        )),
        coverage(Row::new("nothing was scraped for six minutes", scrapes(|ago| !(200..560).contains(&ago)))),
        coverage(Row::new("one pod was scraped once", scrapes_of_victim(|ago| (20..35).contains(&ago)))),
        coverage(Row::new("nothing was scraped in the first half", scrapes(|ago| ago < 1_200)))
            .harmless(OF_SHORT_WINDOWS, RECENT),
        coverage(Row::new("one pod was not scraped in the first half", scrapes_of_victim(|ago| ago < 1_200)))
            .harmless(OF_SHORT_WINDOWS, RECENT),
        coverage(Row::new("a sample every five minutes", scrapes(|ago| ago % 300 < 15)))
            .says(ERRORS, "TooFewSamples { metric: |Coverage { metric: ")
            .says(LATENCY, "TooFewSamples { metric: |Coverage { metric: ")
            .harmless(STUCK, "one sample of a closed breaker in the window is enough to know that it is not stuck"),
        Row::new("every second scrape failed", scrapes(|ago| ago / 15 % 2 == 1))
            .harmless(ALL, "the scrape interval is measured: this is a server that scrapes every 30 seconds"),
    ]
}

fn of_scopes() -> Vec<Row> {
    vec![
        Row::new(
            "clocks a minute and a half apart",
            scope(|scope| {
                scope.clock_skew = Some(SignedDuration::from_secs(90));
            }),
        )
        .all("ClockSkew { seconds: 90 }"),
        Row::new(
            "clocks a minute and a half apart, the other way round",
            scope(|scope| {
                scope.clock_skew = Some(SignedDuration::from_secs(-90));
            }),
        )
        .all("ClockSkew { seconds: 90 }"),
        Row::new("clocks unknown", scope(|scope| scope.clock_skew = None)).all("ClockUnknown"),
        Row::new("a rollout is under way", scope(|scope| scope.rolling = true)).all("RolloutInProgress"),
        Row::new("no pods", scope(|scope| scope.pods = Some(vec![]))).all("NoPods"),
        Row::new("a change a minute ago", scope(|scope| scope.since = Some(at(60))))
            .all("WindowNotFull { have: 60s, need: ")
            .harmless(INSTANT, "a query without `for` looks at this moment, which is after the change"),
        Row::new("a change that is yet to come", scope(|scope| scope.since = Some(at(-60))))
            .all("WindowNotFull { have: 0ns, need: ")
            .says(INSTANT, "WindowNotFull"),
        Row::new(
            "a pod more than was sampled",
            scope(|scope| {
                let pod = scope.pods.as_ref().unwrap()[0].clone();
                let name = format!("{}x", pod.name);
                scope.pods.as_mut().unwrap().push(LivePod { name, ..pod });
            }),
        )
        .says(ERRORS, "MissingPods { metric: \"requests\", pods: [\"updog-")
        .says(LATENCY, "MissingPods { metric: \"latency histogram\", pods: [\"updog-")
        .says(STUCK, "MissingPods { metric: \"breaker state\", pods: [\"updog-")
        .says(TRIPS, "MissingPods { metric: \"breaker ")
        .says(FAILURES, "MissingPods { metric: \"breaker ")
        .says(MEMORY, "MissingPods { metric: \"memory\", pods: [\"updog-")
        .harmless(INSTANT, "a query of the user's own is not about pods")
        .harmless(THROUGHOUT, "a query of the user's own is not about pods"),
    ]
}
