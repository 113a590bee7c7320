//! No text whatsoever makes the reader panic, and every refusal can be shown.

use proptest::prelude::*;

use super::{Error, PhaseFile, nearest, node, order, parse_header, parse_phase};

const HEADER: &str = include_str!("../../phases/rollout.yaml");
const PHASE: &str = include_str!("../../phases/20-cache.yaml");
const TARGETS: &str = include_str!("../../phases/30-http.yaml");
/// What the checked-in files do not use.
const TRAFFIC: &str = "traffic: {httproute: {name: web, stable: web, canary: web-canary}, canary_labels: {a.b/c: d}}
freeze: [{from: 2026-12-20T00:00, to: 2027-01-02, timezone: Europe/Berlin, reason: rest}]\nindicators:";
const CHECKS: &str = "requires:
  - {check: {http: /readinessz, port: 8080, timeout: 5s}}
  - {check: {command: [./smoke.sh, --fast], timeout: 2m}}
  - {signoff: reviewed, valid_for: 30d}";
/// What mutations insert: the characters and words that mean something here.
const PIECES: [&str; 24] = [
    "\t", "\n", ": ", "- ", "{", "}", "[", "]", "\"", "'", "#", "&a ", "*a", "!!int ", "<", ">", "%", "$", "(", ")",
    "0", "over", "\u{1b}", "ü",
];

fn read(header: &str, phase: &str) -> Result<(), Error> {
    let header = parse_header("rollout.yaml", header)?;
    let name = if phase.contains("CB_HTTP_TARGETS") { "http" } else { "cache" };
    let file = PhaseFile { number: 20, name: name.to_owned(), file_name: format!("20-{name}.yaml") };
    let entry = parse_phase(&file, file.file_name.clone(), phase.to_owned(), &header)?;
    order::in_order(vec![entry]).map(drop)
}

fn show(result: Result<(), Error>) {
    if let Err(error) = result {
        let shown = format!("{error}\n{}\n{}", error.snippet().unwrap_or_default(), error.hint().unwrap_or_default());
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    }
}

/// `text` with a stretch replaced, at character boundaries.
fn mutated(text: &str, at: usize, remove: usize, insert: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let start = at % (characters.len() + 1);
    let end = (start + remove).min(characters.len());
    let kept = |part: &[char]| part.iter().collect::<String>();
    kept(&characters[..start]) + insert + &kept(&characters[end..])
}

/// Words of conditions and of queries, so that what is made of them gets further than the first word.
const CONDITION_WORDS: [&str; 34] = [
    "p95",
    "error_rate",
    "trips(cache)",
    "false_trips(http)",
    "stuck_open(db)",
    "stuck_half_open(cache)",
    "breaker_failures(cache)",
    "memory_growth",
    "memory_use",
    "<",
    "<=",
    ">",
    ">=",
    "==",
    "within",
    "beyond",
    "of",
    "baseline",
    "over",
    "for",
    "0",
    "3",
    "10%",
    "150%",
    "1.5x",
    "0x",
    "400ms",
    "30m",
    "0s",
    "48h",
    "(",
    ")",
    "ü",
    "",
];
const QUERY_PIECES: [&str; 24] = [
    "sum",
    "avg",
    "max by (le) ",
    "sum without (le) ",
    "rate",
    "delta",
    "absent",
    "vector",
    "avg_over_time",
    "histogram_quantile",
    "(",
    "(",
    ")",
    ")",
    "0.95, ",
    "x_bucket",
    "x_total",
    "[5m]",
    "[1h:]",
    " or ",
    " / on() ",
    "-",
    "0",
    "{a=\"b\"}",
];

proptest! {
    #[test]
    fn any_words_are_a_condition_or_refused(
        words in prop::collection::vec(prop::sample::select(&CONDITION_WORDS[..]), 1..9),
        query in prop::collection::vec(prop::sample::select(&QUERY_PIECES[..]), 1..12),
    ) {
        let header = parse_header("rollout.yaml", HEADER).unwrap();
        let (condition, query) = (words.join(" "), query.concat());
        for list in ["gates", "rollback"] {
            for entry in [format!("'{condition}'"), format!("{{name: q, query: '{query}', below: 1}}")] {
                let text = format!(
                    "apiVersion: cbctl.dev/v1\nkind: Phase\nname: cache\ntitle: t\nflags: {{}}\n\
                     steps: [{{expose: full, bake: 0s}}]\n{list}:\n  - {entry}\n"
                );
                show(node::parse(&text).and_then(|document| super::phase::phase(&document, "cache", &header)).map(drop)
                    .map_err(|fault| fault.within("f", &text)));
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        show(read(&text, PHASE));
        show(read(HEADER, &text));
    }

    #[test]
    fn any_condition_is_read_or_refused(condition in "[p<>=()a-z0-9%. _ü]{0,30}", query in "[a-z0-9(){}\\[\\]=~$,:+*/ ]{0,40}") {
        let header = parse_header("rollout.yaml", HEADER).unwrap();
        for list in ["gates", "rollback"] {
            let text = format!(
                "apiVersion: cbctl.dev/v1\nkind: Phase\nname: cache\ntitle: t\nflags: {{}}\nsteps: [{{expose: full, bake: 0s}}]\n\
                 {list}:\n  - '{condition}'\n  - {{name: q, query: '{query}', below: 1}}\n"
            );
            show(node::parse(&text).and_then(|document| super::phase::phase(&document, "cache", &header)).map(drop)
                .map_err(|fault| fault.within("f", &text)));
            show(super::promql::query(&query, super::error::Place::START).map(drop).map_err(|fault| fault.within("f", &text)));
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        damage in prop::collection::vec((any::<usize>(), 0_usize..12, prop::sample::select(&PIECES[..])), 1..4),
    ) {
        let damaged = |text: &str| {
            damage.iter().fold(text.to_owned(), |text, (at, remove, insert)| mutated(&text, *at, *remove, insert))
        };
        show(read(&damaged(HEADER), PHASE));
        show(read(HEADER, &damaged(PHASE)));
        show(read(&damaged(&HEADER.replace("indicators:", TRAFFIC)), PHASE));
        show(read(HEADER, &damaged(&TARGETS.replace("requires:", CHECKS))));
    }

    #[test]
    fn the_nearest_word_is_one_of_the_candidates(word in any::<String>(), candidates in prop::collection::vec("[a-z_]{0,12}", 0..6)) {
        let found = nearest(&word, candidates.iter().map(String::as_str));
        prop_assert!(found.is_none_or(|found| candidates.iter().any(|candidate| candidate == found)));
    }
}
