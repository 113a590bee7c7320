//! The floors of the program: who may use whom, read from the sources.
//!
//! One crate cannot have Cargo enforce this. The map is in `src/main.rs`; this is the same map as rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::harness::repository;

/// A file has one subject; when it outgrows this it becomes a folder.
const LONGEST_FILE: usize = 450;

/// (room, rooms that it may use, single items of other rooms that it may use)
const FLOORS: &[(&str, &[&str], &[&str])] = &[
    (
        "main",
        &[
            "commands",
            "observe",
            "cluster",
            "prometheus",
            "phase_file",
            "program",
            "output",
            "cli",
            "error",
            "rollout",
            "judge",
        ],
        &[],
    ),
    (
        "commands",
        &["observe", "cluster", "prometheus", "phase_file", "program", "output", "cli", "error", "rollout", "judge"],
        &[],
    ),
    ("observe", &["cluster", "prometheus", "rollout", "judge"], &[]),
    ("cluster", &["rollout", "judge"], &[]),
    ("prometheus", &["rollout", "judge"], &[]),
    ("phase_file", &["rollout", "judge"], &[]),
    ("program", &[], &[]),
    ("output", &["rollout", "judge"], &["cli::Format", "error::ExitStatus"]),
    ("cli", &["rollout", "judge"], &[]),
    ("error", &["rollout", "judge"], &["cluster::Error", "prometheus::Error", "phase_file::Error"]),
    ("rollout", &["judge"], &[]),
    ("judge", &[], &[]),
];

/// (word, rooms that alone may say it)
const OWNED: &[(&str, &[&str])] = &[
    ("kube", &["cluster"]),
    ("k8s_openapi", &["cluster"]),
    ("prometheus_http_query", &["prometheus"]),
    ("reqwest", &["prometheus"]),
    ("promql_parser", &["prometheus", "phase_file"]),
    ("comfy_table", &["output"]),
    // Of another program it is read, of this one written.
    ("stdout", &["output", "program"]),
    ("stderr", &["output", "program"]),
    ("println", &["output"]),
    ("eprintln", &["output"]),
    ("print", &["output"]),
    ("eprint", &["output"]),
    ("clap", &["cli", "commands", "main"]),
];

/// What the pure rooms never say: they neither wait nor look at the world.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "now()",
    "SystemTime",
    "Instant",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
];
const PURE: &[&str] = &["rollout", "judge"];

#[test]
fn arrows_only_point_down() {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| violations(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_owns_and_is_short() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not open with `//! `", path.display());
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines, {LONGEST_FILE} at most", path.display());
    }
}

#[test]
fn every_room_has_its_floor() {
    let rooms: BTreeSet<String> = sources().iter().map(|(path, _)| room(path)).collect();
    let floors: BTreeSet<String> = FLOORS.iter().map(|(room, ..)| (*room).to_owned()).collect();
    assert_eq!(rooms, floors);
}

#[test]
fn a_wrong_arrow_is_found() {
    for (path, text, expected) in [
        ("judge/counts.rs", "use crate::rollout::plan::Plan;", "uses crate::rollout"),
        ("judge/counts.rs", "async fn sample() {}", "says `async`"),
        ("rollout/plan.rs", "fn f() { let at = Timestamp::now(); }", "says `now()`"),
        ("rollout/plan.rs", "fn f() { std::env::var(\"X\"); }", "says `std::env`"),
        ("rollout/plan.rs", "use super::super::cluster::Error;", "uses crate::cluster"),
        ("rollout.rs", "use super::cluster::Error;", "uses crate::cluster"),
        ("cluster/patch.rs", "use crate::output::Printer;", "uses crate::output"),
        ("cluster.rs", "use crate::{prometheus, rollout};", "uses crate::prometheus"),
        (
            "cluster.rs",
            "use crate::{\n    prometheus::{Query, Answer},\n    rollout::plan,\n};",
            "uses crate::prometheus",
        ),
        ("prometheus/answer.rs", "fn f(error: crate::cluster::Error) {}", "uses crate::cluster"),
        ("output/check.rs", "use crate::cli::Cli;", "uses crate::cli::Cli"),
        ("output/check.rs", "use crate::{cli, judge};", "uses crate::cli"),
        (
            "error.rs",
            "use crate::{cluster, phase_file};\nfn f() -> cluster::Connection {}",
            "uses crate::cluster::Connection",
        ),
        ("commands/check.rs", "use kube::Client;", "says `kube`"),
        ("commands/check.rs", "fn f() { println!(\"{}\", 1) }", "says `println`"),
        ("phase_file.rs", "fn f() -> reqwest::Url {}", "says `reqwest`"),
    ] {
        let found = violations(Path::new(path), &format!("//! About.\n{text}\n"));
        assert!(found.iter().any(|violation| violation.contains(expected)), "{text}: {expected} is not in {found:?}");
    }
}

#[test]
fn a_right_arrow_is_not() {
    for (path, text) in [
        ("commands/check.rs", "use super::Context;\nuse crate::output::check::CheckReport;"),
        ("output/check.rs", "use crate::cli::Format;\nuse crate::error::ExitStatus;"),
        ("error.rs", "use crate::{cluster, phase_file};\nfn f(error: cluster::Error) -> phase_file::Error {}"),
        ("judge/counts.rs", "// Not async: kube and stdout are only named in a comment.\nuse super::samples::Point;"),
        ("rollout/plan.rs", "fn f() -> &'static str { \"kube, stdout, async\" }"),
        ("cluster.rs", "fn kubeconfig() {}"),
    ] {
        assert_eq!(violations(Path::new(path), &format!("//! About.\n{text}\n")), [""; 0], "{text}");
    }
}

/// Every source file, by its path below `src`.
fn sources() -> Vec<(PathBuf, String)> {
    let root = repository().join("src");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((path.strip_prefix(&root).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// The top module that a file belongs to.
fn room(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn violations(path: &Path, text: &str) -> Vec<String> {
    let (room, code) = (room(path), code_of(text));
    let (_, rooms, items) = FLOORS.iter().find(|(floor, ..)| *floor == room).unwrap_or(&("", &[], &[]));
    let arrows = arrows(path, &code).into_iter().filter(|arrow| {
        let target = arrow.split("::").next().unwrap();
        let by_item = items.iter().any(|item| arrow == item || arrow.starts_with(&format!("{item}::")));
        let known = FLOORS.iter().any(|(floor, ..)| *floor == target);
        known && target != room && !rooms.contains(&target) && !by_item
    });
    let mut found: Vec<String> = arrows.map(|arrow| format!("{}: uses crate::{arrow}", path.display())).collect();
    let mut says = |word: &str| found.push(format!("{}: says `{word}`", path.display()));
    let tokens: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for (word, owners) in OWNED {
        let table_of_a_test = word.ends_with("println") && is_only_for_tests(path);
        if tokens.contains(word) && !table_of_a_test && !owners.contains(&room.as_str()) && room != *word {
            says(word);
        }
    }
    if PURE.contains(&room.as_str()) && !is_only_for_tests(path) {
        for word in IMPURE {
            let said = if word.contains([':', '(']) { code.contains(word) } else { tokens.contains(word) };
            if said {
                says(word);
            }
        }
    }
    found
}

/// Files of tests may measure, and print what they measured.
fn is_only_for_tests(path: &Path) -> bool {
    let path = path.with_extension("");
    let names = path.iter().filter_map(|name| name.to_str());
    names.into_iter().any(|name| name.ends_with("tests") || name == "calibration" || name == "corpus")
}

/// The text without comments and without the contents of strings.
fn code_of(text: &str) -> String {
    let quoted = regex::Regex::new(r##"r#"[\s\S]*?"#|"(?:[^"\\]|\\[\s\S])*"|//[^\n]*|'(?:[^'\\]|\\.)'"##).unwrap();
    quoted.replace_all(text, "_").into_owned()
}

/// What a file uses of the crate, such as `rollout::plan` or `cluster::Error`.
///
/// A name that is imported as a whole room counts as what is then taken from it.
fn arrows(path: &Path, code: &str) -> Vec<String> {
    let mut arrows = Vec::new();
    for start in roots(path) {
        for (at, _) in code.match_indices(&start) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                collect(&code[at + start.len()..], "", &mut arrows);
            }
        }
    }
    let whole_rooms: Vec<String> = arrows.iter().filter(|arrow| !arrow.contains("::")).cloned().collect();
    for room in whole_rooms {
        let used = regex::Regex::new(&format!(r"(?:^|[^\w:]){room}::(\w+)")).unwrap();
        let items: Vec<String> = used.captures_iter(code).map(|found| format!("{room}::{}", &found[1])).collect();
        if !items.is_empty() {
            arrows.retain(|arrow| *arrow != room);
            arrows.extend(items);
        }
    }
    arrows
}

/// How a file can begin a path from the top of the crate.
fn roots(path: &Path) -> [String; 2] {
    ["crate::".to_owned(), "super::".repeat(path.components().count())]
}

/// The paths of a `use` tree, two segments deep.
fn collect(tree: &str, prefix: &str, arrows: &mut Vec<String>) {
    if let Some(group) = tree.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => return collect(group[start..at].trim(), prefix, arrows),
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    collect(group[start..at].trim(), prefix, arrows);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let name: String = tree.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return;
    }
    let full = if prefix.is_empty() { name.clone() } else { format!("{prefix}::{name}") };
    match tree[name.len()..].strip_prefix("::") {
        Some(rest) if prefix.is_empty() => collect(rest, &full, arrows),
        _ if name == "self" => arrows.push(prefix.to_owned()),
        _ => arrows.push(full),
    }
}
