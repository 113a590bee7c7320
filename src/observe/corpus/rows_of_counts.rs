//! Counts, states and sizes that cannot be.

use super::edit::{COUNTERS, STATES, lines_of, lines_of_victim_of, number, points_of, value, with_points};
use super::kinds::{ERRORS, FAILURES, Kind, LATENCY, MEMORY, STUCK, TRIP_GATES, TRIPS};
use super::server::Line;
use super::table::{Change, Row};

const IMPOSSIBLE_OR_WORSE: &str = "ImpossibleCount { events: |CounterFell { pod: |Malformed { detail: \"a counter";
const NO_LIMIT: &str = "a comparison has no limit of its own, and the edges that are there say the same of both";

pub fn rows() -> Vec<Row> {
    let mut rows = of_counters();
    rows.extend(of_errors());
    rows.extend(of_edges());
    rows.extend(of_buckets());
    rows.extend(of_states_and_sizes());
    rows
}

fn counted(row: Row, reason: &'static str) -> Row {
    let row = row.says(ERRORS, reason).says(LATENCY, reason).says(FAILURES, reason);
    let of_trips = if reason == "NoTraffic" { "BreakerTraffic { have: 0, need: " } else { reason };
    // The comparison of two histograms finds the contradiction before it finds the fall.
    let row = if of_trips == reason { row.says(&[Kind::LatencyVersus], IMPOSSIBLE_OR_WORSE) } else { row };
    in_states(row.says(TRIP_GATES, of_trips))
}

fn in_states(row: Row) -> Row {
    row.harmless(&[Kind::TripsTrigger], "a trip is seen in the states, whatever the calls are")
}

fn without_trips(row: Row) -> Row {
    row.harmless(TRIPS, "nothing tripped, so that nobody asks what failed")
}

fn of_counters() -> Vec<Row> {
    let fell = "CounterFell { pod: \"updog-";
    vec![
        counted(
            Row::new(
                "counters fall and no pod restarted",
                points_of(COUNTERS, |index, all, at, old| {
                    Some((at, if index > all / 2 { value((number(&old) / 10.0).floor()) } else { old }))
                }),
            ),
            fell,
        ),
        counted(
            Row::new(
                "counters of one pod fall for a moment",
                lines_of_victim_of(COUNTERS, |line| {
                    vec![with_points(line, &|index, all, at, old| {
                        Some((at, if index == all / 2 { value((number(&old) / 4.0).floor()) } else { old }))
                    })]
                }),
            ),
            fell,
        ),
        counted(
            Row::new(
                "counters are negative",
                points_of(COUNTERS, |_, _, at, old| Some((at, value(-1.0 - number(&old))))),
            ),
            "Malformed { detail: \"a counter of pod updog-",
        ),
        counted(
            Row::new(
                "counters count backwards",
                points_of(COUNTERS, |_, _, at, old| Some((at, value(1_000_000.0 - number(&old))))),
            ),
            fell,
        ),
        in_states(
            Row::new(
                "counters are fractions",
                points_of(COUNTERS, |_, _, at, old| Some((at, value(number(&old) / 1e6)))),
            )
            .says(ERRORS, "Malformed")
            .says(LATENCY, "Malformed")
            .says(FAILURES, "Malformed")
            .says(TRIP_GATES, "Malformed"),
        ),
        counted(
            Row::new("counters stand still", points_of(COUNTERS, |_, _, at, _| Some((at, value(1_000.0))))),
            "NoTraffic",
        ),
        counted(Row::new("counters are zero", points_of(COUNTERS, |_, _, at, _| Some((at, value(0.0))))), "NoTraffic"),
    ]
}

fn of_errors() -> Vec<Row> {
    const ERRORS_OF: &[&str] = &["errors", "breaker_failures"];
    const IMPOSSIBLE: &str = "ImpossibleCount { events: ";
    vec![
        in_states(
            Row::new(
                "requests are zero",
                points_of(&["requests", "breaker_requests"], |_, _, at, _| Some((at, value(0.0)))),
            )
            .says(ERRORS, IMPOSSIBLE)
            .says(FAILURES, IMPOSSIBLE)
            .says(TRIP_GATES, "BreakerTraffic { have: 0, need: "),
        ),
        without_trips(
            Row::new(
                "more errors than requests",
                points_of(ERRORS_OF, |_, _, at, old| Some((at, value(number(&old) * 10_000.0)))),
            )
            .says(ERRORS, IMPOSSIBLE)
            .says(FAILURES, IMPOSSIBLE),
        ),
        without_trips(
            Row::new(
                "more errors than requests at one pod",
                lines_of_victim_of(ERRORS_OF, |line| {
                    vec![with_points(line, &|_, _, at, old| Some((at, value(number(&old) * 1_300.0))))]
                }),
            )
            .says(ERRORS, IMPOSSIBLE)
            .says(&[Kind::ErrorVersus], IMPOSSIBLE)
            .says(FAILURES, IMPOSSIBLE),
        ),
        without_trips(
            Row::new("errors are rates", points_of(ERRORS_OF, |_, _, at, _| Some((at, value(0.001)))))
                .says(ERRORS, "Malformed")
                .says(FAILURES, "Malformed"),
        ),
    ]
}

fn of_edges() -> Vec<Row> {
    let only = |edges: &'static [&'static str]| {
        lines_of(&["buckets"], move |line| if edges.contains(&line.label("le")) { vec![line] } else { vec![] })
    };
    let bound = "Malformed { detail: \"a bucket has the bound ";
    vec![
        Row::new("no +Inf bucket", bucket("+Inf", |_| vec![]))
            .says(LATENCY, "Malformed { detail: \"the histogram has no +Inf bucket\" }"),
        Row::new("no +Inf bucket at one pod", of_victims_bucket(&["+Inf"], |_| vec![]))
            .says(LATENCY, "MissingPods { metric: \"latency histogram\""),
        Row::new("one pod lacks the bucket of the limit", of_victims_bucket(&["0.5"], |_| vec![]))
            .harmless(LATENCY, "the edges beside it bound what is slow, and both bounds comply")
            .says(
                &[Kind::LatencyVersus],
                "Malformed { detail: \"canary and stable pods have different histogram buckets",
            ),
        Row::new("one pod lacks the buckets around the limit", of_victims_bucket(&["0.25", "0.5"], |_| vec![]))
            .says(LATENCY, "BetweenBuckets { below: 0.1, above: 1.0 }")
            .says(
                &[Kind::LatencyVersus],
                "Malformed { detail: \"canary and stable pods have different histogram buckets",
            ),
        Row::new(
            "one pod has a bucket more",
            of_victims_bucket(&["0.5"], |line| vec![line.clone().with("le", "0.4"), line]),
        )
        .harmless(LATENCY, "an edge that not every pod has is no edge"),
        Row::new("only the +Inf bucket", only(&["+Inf"]))
            .says(LATENCY, "Malformed")
            .says(&[Kind::LatencyVersus], "Malformed"),
        Row::new("the top bucket is below the limit", only(&["0.05", "0.1", "0.25", "+Inf"]))
            .says(LATENCY, "AboveTopBucket { top: 0.25 }")
            .harmless(&[Kind::LatencyVersus], NO_LIMIT),
        Row::new("the limit is the top bucket", only(&["0.05", "0.1", "0.25", "0.5", "+Inf"]))
            .says(LATENCY, "AboveTopBucket { top: 0.5 }")
            .harmless(&[Kind::LatencyVersus], NO_LIMIT),
        Row::new("the lowest bucket is above the limit", only(&["1", "+Inf"]))
            .says(LATENCY, "Malformed { detail: \"the limit is below the lowest bucket edge")
            .says(&[Kind::LatencyVersus], "BetweenBuckets { below: "),
        Row::new(
            "bounds in milliseconds",
            lines_of(&["buckets"], |line| {
                let edge = line.label("le").to_owned();
                let edge = if edge == "+Inf" { edge } else { (edge.parse::<f64>().unwrap() * 1_000.0).to_string() };
                vec![line.with("le", &edge)]
            }),
        )
        .says(LATENCY, "Malformed { detail: \"the limit is below the lowest bucket edge")
        .harmless(&[Kind::LatencyVersus], NO_LIMIT),
        Row::new("a bucket bound that is a word", bucket("0.5", |line| vec![line.with("le", "half")]))
            .says(LATENCY, bound),
        Row::new("a bucket bound that is NaN", bucket("0.5", |line| vec![line.with("le", "NaN")])).says(LATENCY, bound),
        Row::new("a bucket without a bound", bucket("0.5", |line| vec![line.with("le", "")])).says(LATENCY, bound),
        Row::new("a negative bucket bound", bucket("0.05", |line| vec![line.with("le", "-1")]))
            .harmless(LATENCY, "what is slow is counted at the edge of the limit"),
        Row::new("two bounds of one value", bucket("0.5", |line| vec![line.clone().with("le", "0.50"), line]))
            .harmless(LATENCY, "an edge that is there twice is no edge, and those beside it decide"),
    ]
}

fn of_buckets() -> Vec<Row> {
    vec![
        Row::new("a higher bucket with fewer requests", bucket("1", |line| vec![scaled(line, 0.5)]))
            .says(LATENCY, "ImpossibleCount { events: "),
        Row::new("a bucket with more than all requests", bucket("0.5", |line| vec![scaled(line, 2.0)]))
            .says(LATENCY, "ImpossibleCount { events: "),
        Row::new(
            "a bucket with more than all requests at one pod",
            of_victims_bucket(&["0.5"], |line| vec![scaled(line, 2.0)]),
        )
        .says(LATENCY, "ImpossibleCount { events: "),
        Row::new("buckets that are not cumulative", bucket("0.5", |line| vec![scaled(line, 0.025)]))
            .says(LATENCY, "ImpossibleCount { events: "),
        Row::new("the +Inf bucket is empty", bucket("+Inf", |line| vec![scaled(line, 0.0)]))
            .says(LATENCY, "ImpossibleCount { events: "),
    ]
}

fn of_states_and_sizes() -> Vec<Row> {
    let strange = "Malformed { detail: \"breaker product-cache of pod updog-";
    vec![
        Row::new("a state that is not declared", points_of(STATES, |_, _, at, _| Some((at, value(5.0)))))
            .says(STUCK, strange)
            .says(TRIPS, strange),
        Row::new("a negative state", points_of(STATES, |_, _, at, _| Some((at, value(-1.0)))))
            .says(STUCK, strange)
            .says(TRIPS, strange),
        Row::new(
            "one state that is not declared",
            points_of(STATES, |index, all, at, old| Some((at, if index == all / 2 { value(7.0) } else { old }))),
        )
        .says(STUCK, strange)
        .says(TRIPS, strange),
        Row::new("states between two states", points_of(STATES, |_, _, at, _| Some((at, value(0.5)))))
            .says(STUCK, strange)
            .says(TRIPS, strange),
        Row::new("the lowest state is above the highest", points_of(&["lowest"], |_, _, at, _| Some((at, value(2.0)))))
            .says(TRIPS, "Coverage { metric: \"breaker state\", pod: \"updog-"),
        Row::new("breaker failures only", lines_of(&["breaker_requests"], |_| vec![]))
            .says(TRIPS, "NoSeries { metric: \"breaker requests\" }")
            .says(FAILURES, "NoSeries { metric: \"breaker requests\" }")
            .harmless(&[Kind::TripsTrigger], "a trip is seen in the states, whatever the calls are"),
        Row::new("breaker calls only", lines_of(&["breaker_failures"], |_| vec![]))
            .says(FAILURES, "NoSeries { metric: \"breaker failures\" }")
            .harmless(TRIPS, "nothing tripped, so that nobody asks what failed"),
        Row::new(
            "a breaker that nobody called",
            points_of(&["breaker_requests", "breaker_failures"], |_, _, at, _| Some((at, value(0.0)))),
        )
        .says(TRIPS, "BreakerTraffic { have: 0, need: ")
        .says(FAILURES, "NoTraffic")
        .harmless(&[Kind::TripsTrigger], "a trip is seen in the states, whatever the calls are"),
        Row::new("no memory", points_of(&["memory"], |_, _, at, _| Some((at, value(0.0))))).says(MEMORY, "Malformed"),
        Row::new("negative memory", points_of(&["memory"], |_, _, at, old| Some((at, value(-number(&old))))))
            .says(MEMORY, "Malformed"),
        Row::new("no memory at one pod", lines_of_victim_of(&["memory", "memory_times"], |_| vec![]))
            .says(MEMORY, "MissingPods { metric: \"memory\", pods: [\"updog-"),
    ]
}

fn bucket(edge: &'static str, change: fn(Line) -> Vec<Line>) -> Change {
    lines_of(&["buckets"], move |line| if line.label("le") == edge { change(line) } else { vec![line] })
}

fn of_victims_bucket(edges: &'static [&'static str], change: fn(Line) -> Vec<Line>) -> Change {
    lines_of_victim_of(
        &["buckets"],
        move |line| {
            if edges.contains(&line.label("le")) { change(line) } else { vec![line] }
        },
    )
}

fn scaled(line: Line, by: f64) -> Line {
    with_points(line, &|_, _, at, old| Some((at, value((number(&old) * by).floor()))))
}
