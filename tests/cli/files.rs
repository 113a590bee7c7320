//! Files that cannot be used: the place, the words in question, what was meant, exit code 2, and no request at all.

use std::fmt::Write;

use crate::harness::{World, repository};

/// (what is wrong, file, text that is there, text instead)
const FAULTS: &[(&str, &str, &str, &str)] = &[
    ("unknown field", "20-cache.yaml", "title:", "titel:"),
    ("duplicate key", "20-cache.yaml", "title: Cache canary", "title: Cache canary\ntitle: Again"),
    ("tab", "20-cache.yaml", "  - {expose: full", "\t- {expose: full"),
    ("wrong unit", "20-cache.yaml", "bake: 0s", "bake: 10min"),
    ("flag that is not declared", "20-cache.yaml", "CB_CACHE_ENABLED", "CB_CASH_ENABLED"),
    ("flag that is a boolean", "20-cache.yaml", "\"true\"", "true"),
    ("phase named unlike its file", "20-cache.yaml", "name: cache", "name: shadow"),
    ("circle in requires", "10-shadow.yaml", "steps:", "requires: [{phase: http, complete_for: 0s}]\nsteps:"),
    ("unknown phase required", "20-cache.yaml", "phase: shadow", "phase: shade"),
    ("indicator that is not declared", "20-cache.yaml", "steps:", "gates: [memory < 1% over 5m]\nsteps:"),
    ("breaker that is not declared", "20-cache.yaml", "steps:", "rollback: [stuck_open(cash) for 5m]\nsteps:"),
    ("a gate that is written like a trigger", "20-cache.yaml", "steps:", "gates: [error_rate > 1% for 5m]\nsteps:"),
    ("a query that is no PromQL", "20-cache.yaml", "steps:", "gates: [{name: up, query: 'sum(', equals: 1}]\nsteps:"),
    ("unknown field of the rollout", "rollout.yaml", "target:", "taget:"),
    ("another kind", "rollout.yaml", "kind: Rollout", "kind: Phase"),
    ("an escape sequence", "20-cache.yaml", "title: Cache canary", "\"\\u001b[31mtitle\": 1"),
];

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "most of them are what the program says")]
async fn each_fault_is_shown_at_its_place() {
    let mut shown = String::new();
    for (name, file, old, new) in FAULTS {
        let world = World::with_files_only().await;
        world.edit(&format!("phases/{file}"), old, new);
        for arguments in [&["check", "cache"][..], &["promote", "cache"], &["status"], &["rollback", "cache"]] {
            let run = world.cbctl(arguments).await;
            assert_eq!(run.status, 2, "{name}, {arguments:?}:\n{run}");
            assert!(run.requests.is_empty(), "{name}, {arguments:?}:\n{run}");
            assert!(run.stdout.is_empty(), "{name}, {arguments:?}:\n{run}");
            if arguments[0] == "check" {
                writeln!(shown, "# {name}\n{}", run.stderr).unwrap();
            }
        }
    }
    insta::assert_snapshot!(shown, @r#"
    # unknown field
    error: phases/20-cache.yaml:4:1: unknown field `titel` of a phase
      |
    4 | titel: Cache canary
      | ^^^^^ did you mean `title`?

    hint: the fields of a phase are apiVersion, kind, name, title, risk, flags, requires, targets, steps, gates, rollback

    # duplicate key
    error: phases/20-cache.yaml:5:1: `title` is given twice
      |
    5 | title: Again
      | ^^^^^ the second time

    # tab
    error: phases/20-cache.yaml:9:1: a tab in the indentation
      |
    9 |  - {expose: full, bake: 0s}
      | ^ use spaces

    # wrong unit
    error: phases/20-cache.yaml:9:26: `10min` is not a duration
      |
    9 |   - {expose: full, bake: 10min}
      |                          ^^^^^ write 500ms, 90s, 30m, 48h or 7d

    # flag that is not declared
    error: phases/20-cache.yaml:5:9: flag `CB_CASH_ENABLED` is not declared in rollout.yaml
      |
    5 | flags: {CB_CASH_ENABLED: "true", CB_CACHE_OP_TIMEOUT_MS: "3000"}
      |         ^^^^^^^^^^^^^^^ did you mean `CB_CACHE_ENABLED`?

    hint: a rollout touches the flags and settings of its breakers, and nothing else

    # flag that is a boolean
    error: phases/20-cache.yaml:5:27: the value of `CB_CACHE_ENABLED` is not a quoted string
      |
    5 | flags: {CB_CACHE_ENABLED: true, CB_CACHE_OP_TIMEOUT_MS: "3000"}
      |                           ^^^^ quote it: "true"

    hint: an environment variable holds text; without quotes YAML makes a boolean or a number of it

    # phase named unlike its file
    error: phases/20-cache.yaml:3:7: the phase is called `shadow`, its file `cache`
      |
    3 | name: shadow
      |       ^^^^^^ call both the same

    # circle in requires
    error: phases/10-shadow.yaml:6:20: phases require each other: shadow -> http -> cache -> shadow
      |
    6 | requires: [{phase: http, complete_for: 0s}]
      |                    ^^^^ the circle begins here

    # unknown phase required
    error: phases/20-cache.yaml:7:13: unknown phase `shade`
      |
    7 |   - {phase: shade, complete_for: 0s}
      |             ^^^^^

    # indicator that is not declared
    error: phases/20-cache.yaml:8:9: unknown indicator `memory`
      |
    8 | gates: [memory < 1% over 5m]
      |         ^^^^^^

    hint: the indicators are error_rate, p50, p75, p80, p90, p95, p98, p99, p99.5, p99.9, memory_growth, memory_use and, of a breaker, stuck_open(BREAKER), stuck_half_open, trips, false_trips and breaker_failures; anything else is a query: {name: …, query: '…', below: …}

    # breaker that is not declared
    error: phases/20-cache.yaml:8:23: unknown breaker `cash`
      |
    8 | rollback: [stuck_open(cash) for 5m]
      |                       ^^^^

    hint: the breakers are cache, http, db

    # a gate that is written like a trigger
    error: phases/20-cache.yaml:8:20: a gate says `<`, not `>`
      |
    8 | gates: [error_rate > 1% for 5m]
      |                    ^ write `<`

    # a query that is no PromQL
    error: phases/20-cache.yaml:8:27: `sum(` is not PromQL: unclosed left parenthesis
      |
    8 | gates: [{name: up, query: 'sum(', equals: 1}]
      |                           ^^^^^^

    # unknown field of the rollout
    error: phases/rollout.yaml:4:1: unknown field `taget` of a rollout
      |
    4 | taget: {deployment: storefront, container: web}
      | ^^^^^ did you mean `target`?

    hint: the fields of a rollout are apiVersion, kind, name, target, prometheus, warm_up, rollback_within, traffic, freeze, indicators, breakers

    # another kind
    error: phases/rollout.yaml:2:7: kind is `Phase`, not `Rollout`
      |
    2 | kind: Phase
      |       ^^^^^ expected `Rollout`

    # an escape sequence
    error: phases/20-cache.yaml:4:1: unknown field `[31mtitle` of a phase
      |
    4 | "\u001b[31mtitle": 1
      | ^^^^^^^^^^^^^^^^^

    hint: the fields of a phase are apiVersion, kind, name, title, risk, flags, requires, targets, steps, gates, rollback
    "#);
}

#[tokio::test]
async fn a_folder_that_is_no_rollout() {
    let mut shown = String::new();
    for fault in ["named twice", "empty file", "no rollout.yaml", "no phase", "no folder", "no phase's name"] {
        let world = World::with_files_only().await;
        match fault {
            "named twice" => {
                let twin = std::fs::read_to_string(world.path("phases/20-cache.yaml")).unwrap();
                world.write("phases/25-cache.yaml", &twin);
            }
            "empty file" => world.write("phases/20-cache.yaml", ""),
            "no rollout.yaml" => std::fs::remove_file(world.path("phases/rollout.yaml")).unwrap(),
            "no phase" => {
                for file in ["10-shadow.yaml", "20-cache.yaml", "30-http.yaml"] {
                    std::fs::remove_file(world.path(&format!("phases/{file}"))).unwrap();
                }
            }
            "no folder" => std::fs::remove_dir_all(world.path("phases")).unwrap(),
            _ => world.write("phases/cache.yaml", "kind: Phase\n"),
        }
        let run = world.cbctl(&["check", "cache"]).await;
        assert_eq!(run.status, 2, "{fault}:\n{run}");
        assert!(run.requests.is_empty(), "{fault}:\n{run}");
        writeln!(shown, "# {fault}\n{}", run.stderr).unwrap();
    }
    insta::assert_snapshot!(shown, @r#"
    # named twice
    error: phases/25-cache.yaml:3:7: phase `cache` is in "phases/20-cache.yaml" too
      |
    3 | name: cache
      |       ^^^^^ one name, one phase

    # empty file
    error: phases/20-cache.yaml:1:1: the file is empty
      |
    1 |
      | ^ expected `kind: Phase`

    # no rollout.yaml
    error: cannot read "phases/rollout.yaml"
      caused by: No such file or directory (os error 2)

    hint: a rollout is a folder with rollout.yaml and one file a phase, such as 10-shadow.yaml

    # no phase
    error: "phases" holds no phase

    hint: a rollout is a folder with rollout.yaml and one file a phase, such as 10-shadow.yaml

    # no folder
    error: cannot list the folder "phases"
      caused by: No such file or directory (os error 2)

    hint: a rollout is a folder with rollout.yaml and one file a phase, such as 10-shadow.yaml

    # no phase's name
    error: phases/cache.yaml: not the name of a phase file

    hint: a phase file is called NN-NAME.yaml, such as 20-cache.yaml; the number gives the order
    "#);
}

#[tokio::test]
async fn wrong_arguments_are_usage_errors() {
    let world = World::with_files_only().await;
    for arguments in [
        &["promot"][..],
        &["promote", "cache", "--timeout", "soon"],
        &["promote", "Cache"],
        &["check", "--at", "yesterday"],
        &["rollback", "cache", "--emergency"],
        &["rollback", "--deployment", "storefront"],
        &["status", "-o", "yaml"],
        &[],
    ] {
        let run = world.cbctl(arguments).await;
        assert_eq!(run.status, 2, "{arguments:?}:\n{run}");
        assert!(run.requests.is_empty() && run.stdout.is_empty(), "{arguments:?}:\n{run}");
    }
}

#[tokio::test]
async fn the_files_of_the_repository_are_good() {
    let world = World::with_files_only().await;
    for folder in ["phases", "examples/quick"] {
        let folder = repository().join(folder);
        let run = world.cbctl(&["-f", folder.to_str().unwrap(), "status"]).await;
        run.expect(1, &["error: cannot read deployment \"updog\" in namespace \"shop\""]);
    }
}

#[tokio::test]
async fn the_namespace_of_the_command_line_outranks_the_file() {
    let world = World::with_files_only().await;
    world.edit("phases/rollout.yaml", "container: web}", "container: web, namespace: elsewhere}");
    world.cbctl(&["status"]).await.expect(1, &["\"storefront\" in namespace \"elsewhere\""]);
    world.cbctl(&["status", "-n", "nowhere"]).await.expect(1, &["\"storefront\" in namespace \"nowhere\""]);
}

impl World {
    async fn with_files_only() -> Self {
        let world = Self::empty().await;
        world.write_files(crate::harness::files::UNGATED);
        world
    }
}
