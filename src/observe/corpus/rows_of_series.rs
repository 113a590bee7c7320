//! Series of nobody, of somebody else, twice, or not at all.

use super::edit::{
    COUNTERS, QUERIES, SOURCES, STATES, TIMES, lines, lines_of, lines_of_victim, lines_of_victim_of, number, value,
};
use super::kinds::{ALL, ERRORS, FAILURES, INSTANT, LATENCY, MEMORY, STUCK, THROUGHOUT, TRIPS};
use super::server::Line;
use super::table::{Change, Row};
use crate::prometheus::selector::TAG;

const NO_POD: &str = "updog-6f7d8-zzzzz";
const KNOWN_BY_SERIES: &str = "a breaker is known by its series alone, which libraries create when it is first used";
const NOT_OF_PODS: &str = "a query of the user's own is not about pods";

pub fn rows() -> Vec<Row> {
    let mut rows = of_tags();
    rows.extend(of_pods());
    rows.extend(of_metrics());
    rows.extend(of_breakers());
    rows.extend(of_sources());
    rows
}

/// No series of what is asked for, of any family.
fn none(row: Row) -> Row {
    none_of_pods(row).says(INSTANT, "NoSeries { metric: \"query\"").says(THROUGHOUT, "NoSeries { metric: \"query\"")
}

fn none_of_pods(row: Row) -> Row {
    row.says(ERRORS, "NoSeries { metric: \"requests\" }|MissingPods { metric: \"requests\"")
        .says(LATENCY, "NoSeries { metric: \"latency histogram\" }|MissingPods { metric: \"latency histogram\"")
        .says(STUCK, "NoSeries { metric: \"breaker state\" }")
        .says(TRIPS, "NoSeries { metric: \"breaker ")
        .says(FAILURES, "NoSeries { metric: \"breaker ")
        .says(MEMORY, "NoSeries { metric: \"memory\" }")
}

fn one_pod_missing(row: Row) -> Row {
    row.says(ERRORS, "MissingPods { metric: \"requests\", pods: [\"updog-")
        .says(LATENCY, "MissingPods { metric: \"latency histogram\", pods: [\"updog-")
        .says(STUCK, "MissingPods { metric: \"breaker state\", pods: [\"updog-")
        .says(TRIPS, "MissingPods { metric: \"breaker ")
        .says(FAILURES, "MissingPods { metric: \"breaker ")
        .says(MEMORY, "MissingPods { metric: \"memory\", pods: [\"updog-")
}

fn of_tags() -> Vec<Row> {
    let tagged = lines(|line| {
        let other = format!("{}_other", line.label(TAG));
        vec![line.with(TAG, &other)]
    });
    let as_requests = lines(|line| vec![line.with(TAG, "requests")]);
    vec![
        // Without it the series of several metrics cannot be told apart any more.
        Row::new("the tag is missing", lines(|line| vec![without(line, TAG)]))
            .all("Malformed { detail: \"a series comes twice\" }"),
        none(Row::new("the tag is another", tagged)),
        none(Row::new(
            "the tag is on what has none",
            lines_of(&["state", "query"], |line| vec![line.with(TAG, "other")]),
        )),
        none(Row::new("every series carries the tag of requests", as_requests))
            .says(ERRORS, "Malformed { detail: \"a series comes twice\" }")
            .says(LATENCY, "Malformed { detail: \"a series comes twice\" }")
            .says(TRIPS, "Malformed { detail: \"a series comes twice\" }")
            .says(FAILURES, "Malformed { detail: \"a series comes twice\" }")
            .says(MEMORY, "Malformed { detail: \"a series comes twice\" }"),
    ]
}

fn of_pods() -> Vec<Row> {
    vec![
        none_of_pods(Row::new("the pod label is missing", instead_of_pods(|line| without(line, "pod")))),
        none_of_pods(Row::new("the pod label is empty", instead_of_pods(|line| line.with("pod", "")))),
        one_pod_missing(Row::new(
            "the pod label is missing at one pod",
            lines_of_victim(|line| vec![without(line, "pod")]),
        )),
        none_of_pods(Row::new(
            "the pods have another label",
            each_of_pods(|line| {
                let pod = line.pod().to_owned();
                without(line, "pod").with("kubernetes_pod_name", &pod)
            }),
        ))
        .says(ERRORS, "NoSeries { metric: |Malformed { detail: \"several ")
        .says(LATENCY, "NoSeries { metric: |Malformed { detail: \"several ")
        .says(TRIPS, "NoSeries { metric: |Malformed { detail: \"several ")
        .says(FAILURES, "NoSeries { metric: |Malformed { detail: \"several ")
        .says(MEMORY, "NoSeries { metric: |Malformed { detail: \"several "),
        none_of_pods(Row::new("series of another pod only", instead_of_pods(|line| line.with("pod", NO_POD)))),
        none_of_pods(Row::new(
            "series of another tenant only",
            each_of_pods(|line| {
                let pod = line.pod().replace("updog", "other");
                line.with("pod", &pod)
            }),
        )),
        Row::new("series of another pod as well", lines_of_victim(|line| vec![line.clone().with("pod", NO_POD), line]))
            .harmless(ALL, "a pod that has gone counts with what it served, and owes nothing any more"),
        one_pod_missing(Row::new("one pod is missing", lines_of_victim(|_| vec![]))),
        none_of_pods(Row::new(
            "all pods are missing",
            lines(|line| if line.pod().is_empty() { vec![line] } else { vec![] }),
        )),
    ]
}

fn of_metrics() -> Vec<Row> {
    vec![
        Row::new("one pod has no counters", lines_of_victim_of(COUNTERS, |_| vec![]))
            .says(ERRORS, "MissingPods { metric: \"requests\", pods: [\"updog-")
            .says(LATENCY, "MissingPods { metric: \"latency histogram\", pods: [\"updog-")
            .harmless(TRIPS, "the states of that pod were watched, and the calls of the others are enough")
            .says(FAILURES, "MissingPods"),
        one_pod_missing(Row::new("one pod has no sample times", lines_of_victim_of(TIMES, |_| vec![]))),
        Row::new("one pod has no sources", lines_of_victim_of(SOURCES, |_| vec![]))
            .says(ERRORS, "MissingPods { metric: \"requests\", pods: [\"updog-")
            .says(LATENCY, "MissingPods { metric: \"latency histogram\", pods: [\"updog-"),
        one_pod_missing(Row::new("one pod has no states", lines_of_victim_of(STATES, |_| vec![])))
            .says(TRIPS, "MissingPods { metric: \"breaker |Coverage { metric: \"breaker state\", pod: \"updog-"),
        Row::new("one pod has no errors", lines_of_victim_of(&["errors"], |_| vec![]))
            .says(ERRORS, "MissingPods { metric: \"errors\", pods: [\"updog-"),
        Row::new("nobody has errors", lines_of(&["errors"], |_| vec![]))
            .says(ERRORS, "NoSeries { metric: \"errors\" }"),
        none_of_pods(Row::new("nobody has requests", lines_of(&["requests"], |_| vec![]))),
        none_of_pods(Row::new("nobody has sample times", lines_of(TIMES, |_| vec![]))),
        none_of_pods(Row::new("nobody has sources", lines_of(SOURCES, |_| vec![]))),
        Row::new(
            "nothing is known of before the change",
            lines(|line| if line.metric.ends_with("_before") { vec![] } else { vec![line] }),
        )
        .harmless(ERRORS, "the baseline tells how errors come in bursts; without it they are taken for independent")
        .harmless(LATENCY, "as with errors")
        .harmless(MEMORY, "how pods grew before is taken off where it is known"),
        Row::new(
            "queries return two series",
            lines_of(QUERIES, |line| vec![line.clone().with("instance", "a"), line.with("instance", "b")]),
        )
        .says(INSTANT, "SeveralSeries { count: 2 }")
        .says(THROUGHOUT, "SeveralSeries { count: 2 }")
        .harmless(TRIPS, "nothing tripped, so that nobody asks whether the dependency was healthy"),
        Row::new("queries return nothing", lines_of(QUERIES, |_| vec![]))
            .says(INSTANT, "NoSeries { metric: \"query\" }")
            .says(THROUGHOUT, "NoSeries { metric: \"query\" }")
            .harmless(TRIPS, "nothing tripped, so that nobody asks whether the dependency was healthy"),
        Row::new("queries return labels as well", lines_of(QUERIES, |line| vec![line.with("instance", "a")]))
            .harmless(ALL, "one series is one series, whatever its labels are"),
    ]
}

fn of_breakers() -> Vec<Row> {
    let redis = |line: Line| if line.label("breaker") == "redis" { vec![] } else { vec![line] };
    let instead = |label: Option<&'static str>| {
        lines(move |line| match (line.label("breaker"), label) {
            ("", _) => vec![line],
            ("redis", Some(other)) => vec![line.with("breaker", other)],
            ("redis", None) => vec![without(line, "breaker")],
            _ => vec![],
        })
    };
    vec![
        Row::new("one pod has no states of one breaker", lines_of_victim_of(STATES, redis))
            .harmless(STUCK, KNOWN_BY_SERIES)
            .says(TRIPS, "MissingPods { metric: \"breaker |Coverage { metric: \"breaker state\", pod: \"updog-"),
        Row::new("nobody has states of one breaker", lines_of(STATES, redis))
            .harmless(STUCK, KNOWN_BY_SERIES)
            .says(TRIPS, "MissingPods { metric: \"breaker |Coverage { metric: \"breaker state\", pod: \"updog-"),
        Row::new("the breaker label is missing", instead(None))
            .says(STUCK, "NoSeries { metric: \"breaker state\" }")
            .says(TRIPS, "NoSeries { metric: \"breaker ")
            .says(FAILURES, "NoSeries { metric: \"breaker ")
            .says(MEMORY, "NoSeries { metric: \"memory\" }"),
        Row::new("the breakers are others", instead(Some("postgres")))
            .says(STUCK, "NoSeries { metric: \"breaker state\" }")
            .says(TRIPS, "NoSeries { metric: \"breaker ")
            .says(FAILURES, "NoSeries { metric: \"breaker ")
            .says(MEMORY, "NoSeries { metric: \"memory\" }"),
    ]
}

fn of_sources() -> Vec<Row> {
    let of_two = |row: Row| {
        row.says(ERRORS, "SeveralSources { metric: \"requests\", pod: \"updog-")
            .says(LATENCY, "SeveralSources { metric: \"latency histogram\", pod: \"updog-")
    };
    vec![
        Row::new("every series comes twice", lines(|line| vec![line.clone(), line]))
            .all("Malformed { detail: \"a series comes twice\" }"),
        Row::new(
            "every series comes from two replicas",
            lines(|line| vec![line.clone().with("replica", "a"), line.with("replica", "b")]),
        )
        .says(ERRORS, "Malformed")
        .says(LATENCY, "Malformed")
        .harmless(STUCK, "each series of states is judged by itself, and a second one of a breaker says the same")
        .says(INSTANT, "SeveralSeries { count: 2 }")
        .says(THROUGHOUT, "SeveralSeries { count: 2 }")
        .says(TRIPS, "Malformed { detail: \"several ")
        .says(FAILURES, "Malformed { detail: \"several ")
        .says(MEMORY, "Malformed { detail: \"several "),
        Row::new(
            "counters are split by a label",
            lines_of(COUNTERS, |line| vec![halved(line.clone(), "a"), halved(line, "b")]),
        )
        .says(ERRORS, "Malformed")
        .says(LATENCY, "Malformed")
        .says(TRIPS, "Malformed { detail: \"several ")
        .says(FAILURES, "Malformed { detail: \"several "),
        Row::new("every series has one more label", lines(|line| vec![line.with("cluster", "eu")]))
            .harmless(ALL, "it says nothing that is asked for, and there is one series all the same"),
        of_two(Row::new("two sources of each pod", lines_of(SOURCES, |line| vec![all_values(line, 2.0)]))),
        of_two(Row::new("two sources of one pod", lines_of_victim_of(SOURCES, |line| vec![all_values(line, 2.0)]))),
        of_two(Row::new("two sources of late", lines_of(SOURCES, |line| vec![last_value(line, 2.0)]))),
        Row::new("no source", lines_of(SOURCES, |line| vec![all_values(line, 0.0)]))
            .harmless(ERRORS, "nothing counts twice")
            .harmless(LATENCY, "nothing counts twice"),
        Row::new(
            "series without labels beside the others",
            lines_of(QUERIES, |line| {
                vec![line.clone(), Line { labels: vec![("pod".to_owned(), NO_POD.to_owned())], ..line }]
            }),
        )
        .says(INSTANT, "SeveralSeries { count: 2 }")
        .says(THROUGHOUT, "SeveralSeries { count: 2 }")
        .harmless(TRIPS, "nothing tripped, so that nobody asks whether the dependency was healthy"),
        Row::new(
            "queries return two series of the judged pods",
            Change::Lines(Box::new(|line, victim| {
                if !QUERIES.contains(&line.metric) {
                    return vec![line];
                }
                vec![line.clone().with("pod", victim), line.with("pod", &format!("{victim}x"))]
            })),
        )
        .says(INSTANT, "SeveralSeries { count: 2 }")
        .says(THROUGHOUT, "SeveralSeries { count: 2 }")
        .harmless(TRIPS, "nothing tripped, so that nobody asks whether the dependency was healthy"),
        Row::new(
            "queries return a series of a judged pod",
            Change::Lines(Box::new(|line, victim| {
                vec![if QUERIES.contains(&line.metric) { line.with("pod", victim) } else { line }]
            })),
        )
        .harmless(INSTANT, NOT_OF_PODS)
        .harmless(THROUGHOUT, NOT_OF_PODS)
        .harmless(TRIPS, "nothing tripped, so that nobody asks whether the dependency was healthy"),
    ]
}

/// What belongs to a pod.
fn each_of_pods(change: fn(Line) -> Line) -> Change {
    lines(move |line| if line.pod().is_empty() { vec![line] } else { vec![change(line)] })
}

/// One series in place of those of all pods, as sums by a label that is not there give it.
fn instead_of_pods(change: fn(Line) -> Line) -> Change {
    Change::Lines(Box::new(move |line, victim| match line.pod() {
        "" => vec![line],
        pod if pod == victim => vec![change(line)],
        _ => vec![],
    }))
}

fn without(mut line: Line, label: &str) -> Line {
    line.labels.retain(|(name, _)| name != label);
    line
}

fn halved(line: Line, by: &str) -> Line {
    let mut half = line.with("code", by);
    for (_, count) in &mut half.points {
        *count = value((number(count) / 2.0).floor());
    }
    half
}

fn all_values(mut line: Line, number: f64) -> Line {
    line.points.iter_mut().for_each(|(_, old)| *old = value(number));
    line
}

fn last_value(mut line: Line, number: f64) -> Line {
    line.points.last_mut().unwrap().1 = value(number);
    line
}
