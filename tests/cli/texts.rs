//! What users read and programs parse: help, completions, the manual page, JSON, and what must never get into a terminal.

use serde_json::{Value, json};

use crate::harness::cluster::{env_of, flag_patch, simulated};
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::{FLAGS, World, files, repository, until};

/// (file of the repository, arguments that print it)
const GENERATED: [(&str, &[&str]); 4] = [
    ("completions/cbctl.bash", &["completions", "bash"]),
    ("completions/_cbctl", &["completions", "zsh"]),
    ("completions/cbctl.fish", &["completions", "fish"]),
    ("man/cbctl.1", &["man"]),
];

#[tokio::test]
async fn generated_texts_are_those_of_the_program() {
    let world = World::empty().await;
    for (file, arguments) in GENERATED {
        let printed = world.cbctl(arguments).await;
        assert_eq!((printed.status, printed.stderr.as_str()), (0, ""), "{arguments:?}");
        let path = repository().join(file);
        if std::env::var_os("UPDATE_TEXTS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &printed.stdout).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == printed.stdout,
            "{file} is not what `cbctl {}` prints: UPDATE_TEXTS=1 rewrites it",
            arguments.join(" ")
        );
    }
}

/// The verbs that `--help` lists.
async fn verbs(world: &World) -> Vec<String> {
    let help = world.cbctl(&["--help"]).await.stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    // What is indented deeper goes on with the line before.
    let lines = commands.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_help_of_every_verb_has_an_example() {
    let world = World::empty().await;
    let verbs = verbs(&world).await;
    assert!(verbs.contains(&"promote".to_owned()), "{verbs:?}");
    for verb in verbs {
        let run = world.cbctl(&[&verb, "--help"]).await;
        run.expect(0, &["Example", &format!("  cbctl {verb}")]);
    }
}

#[tokio::test]
async fn help_fits_into_a_hundred_columns() {
    let world = World::empty().await;
    for verb in verbs(&world).await {
        for line in world.cbctl(&[&verb, "--help"]).await.stdout.lines() {
            assert!(line.chars().count() <= 100, "{verb}: {line}");
        }
    }
}

#[tokio::test]
async fn the_exit_codes_of_the_readme_are_those_of_the_help() {
    let world = World::empty().await;
    let help = world.cbctl(&["--help"]).await.stdout;
    let (_, listed) = help.split_once("Exit codes:\n").unwrap();
    let of_help: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.trim().split_once("  ")).collect();
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, section) = readme.split_once("## Exit codes").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit());
    let of_readme: Vec<Vec<&str>> =
        rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect();
    assert_eq!(of_help.len(), 7, "{of_help:?}");
    assert_eq!(of_readme.len(), 7, "{of_readme:?}");
    for ((code, meaning), row) in of_help.iter().zip(&of_readme) {
        assert_eq!(*code, row[0]);
        // The help is shorter; what it says first is what the table says.
        let words = meaning.split([';', ':', ',']).next().unwrap();
        assert!(
            row[1..].join(" ").to_lowercase().contains(&words.to_lowercase()),
            "{code}: `{words}` is not in {row:?}"
        );
    }
}

#[tokio::test]
async fn the_readme_names_every_verb_and_only_verbs_that_are() {
    let world = World::empty().await;
    let verbs = verbs(&world).await;
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let typed = regex::Regex::new(r"(?m)(?:^\$ |^    |`)cbctl ([a-z][a-z-]+)").unwrap();
    for found in typed.captures_iter(&readme) {
        assert!(verbs.contains(&found[1].to_owned()), "README.md says `cbctl {}`", &found[1]);
    }
    for verb in verbs {
        assert!(readme.contains(&format!("cbctl {verb}")), "README.md does not say `cbctl {verb}`");
    }
}

#[tokio::test]
async fn json_is_one_document_whatever_the_exit_code() {
    let world = World::new().await;
    world.edit("phases/20-cache.yaml", "steps:", "rollback: [{name: alarm, query: 'vector(1)', above: 0}]\nsteps:");
    world.edit("phases/20-cache.yaml", "bake: 0s", "bake: 1h");
    for (status, arguments) in [
        (0, &["status"][..]),
        (0, &["promote", "shadow", "--dry-run"]),
        (0, &["promote", "shadow"]),
        (3, &["check", "http"]),
        (3, &["promote", "http"]),
        (0, &["check", "cache"]),
        (0, &["promote", "cache"]),
        (5, &["check", "http"]),
        (5, &["promote", "http"]),
        (0, &["status"]),
        (0, &["rollback", "--dry-run"]),
        (0, &["rollback"]),
        (0, &["rollback"]),
        (0, &["rollback", "--emergency"]),
        (0, &["rollback", "--emergency", "--no-wait"]),
    ] {
        world.until_healthy().await;
        let call = [arguments, &["-o", "json"]].concat();
        // Even an alarm that always fires is known only after the first moment since the change.
        let run = until("there is evidence", async || {
            let run = world.cbctl(&call).await;
            (run.status != 4).then_some(run)
        })
        .await;
        assert_eq!(run.status, status, "{arguments:?}:\n{run}");
        let document = run.json();
        assert_eq!(document["schema"], 1, "{arguments:?}");
        assert!(document["kind"].is_string(), "{arguments:?}:\n{run}");
        if arguments[0] != "status" {
            assert_eq!(document["exit"], status, "{arguments:?}:\n{run}");
        }
        assert!(run.stdout.ends_with("}\n"), "{arguments:?}");
    }
}

#[tokio::test]
async fn json_says_4_and_what_is_missing() {
    let world = World::new().await;
    world.edit("phases/10-shadow.yaml", "bake: 0s", "bake: 1h");
    world.promote_through(&["shadow"]).await;
    let run = world.cbctl(&["check", "cache", "-o", "json"]).await;
    let document = run.json();
    assert_eq!((run.status, &document["exit"], &document["outcome"]), (4, &json!(4), &json!("inconclusive")));
    assert_eq!(document["obstacles"][0]["reason"], "baking");
    assert_eq!(document["obstacles"][0]["need"], 3600.0, "durations are seconds");
}

#[tokio::test]
async fn json_carries_evidence_as_figures() {
    let world = World::judged().await;
    let document = world.cbctl(&["check", "cache", "-o", "json"]).await.json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    insta::assert_snapshot!(keys(&document), @"at conditions exit kind namespace obstacles outcome phase queries rollout schema scope summary");
    // The pods stand on no samples.
    let on_samples = |condition: &&Value| condition.get("pods").is_none();
    for condition in document["conditions"].as_array().unwrap().iter().filter(on_samples) {
        let evidence = &condition["evidence"];
        assert!(evidence["from"].is_string() && evidence["newest"].is_string(), "{condition:#}");
        assert!(["passed", "quiet"].contains(&condition["verdict"].as_str().unwrap()), "{condition:#}");
    }
    let share = &document["conditions"][0]["evidence"]["finding"];
    let share = if share.get("share").is_some() { &share["share"] } else { share };
    assert!(share.to_string().contains("\"requests\":"), "{share}");
}

#[tokio::test]
async fn stdout_is_empty_when_there_is_no_answer() {
    let world = World::promoted_to(&["shadow"]).await;
    for output in ["table", "json"] {
        world.api.repair();
        let usage = world.cbctl(&["check", "cahce", "-o", output]).await;
        world.api.on("PATCH deployments", Act::status(409));
        let conflict = world.cbctl(&["promote", "cache", "-o", output]).await;
        world.api.on("", Act::status(500));
        let error = world.cbctl(&["status", "-o", output]).await;
        for (run, status) in [(usage, 2), (conflict, 6), (error, 1)] {
            assert_eq!((run.status, run.stdout.as_str()), (status, ""), "{run}");
            assert!(run.stderr.contains("error: "), "{run}");
        }
    }
}

#[tokio::test]
async fn quiet_silences_the_talk_and_nothing_else() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on("configmaps", Act::status(500));
    let run = world.cbctl(&["promote", "cache", "-q"]).await;
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run}");
    assert!(run.stdout.contains("done in"), "{run}");
    let run = world.cbctl(&["check", "cahce", "-q"]).await;
    run.expect(2, &["error: unknown phase `cahce`", "hint: did you mean `cache`?"]);
}

/// Control characters could rewrite what stands on the terminal, or its title.
fn assert_clean(name: &str, run: &Run) {
    for text in [&run.stdout, &run.stderr] {
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{name}:\n{text:?}");
    }
}

const ESCAPE: &str = "\u{1b}]0;owned\u{7}\u{1b}[31mred\u{9b}2J\r";

#[tokio::test]
async fn no_text_of_the_cluster_gets_into_the_terminal_raw() {
    let world = World::promoted_to(&["shadow"]).await;
    world.patch_as_somebody_else(flag_patch(FLAGS[0], ESCAPE)).await;
    let mark = json!({"at": "2026-01-01T00:00:00Z", "operation": ESCAPE, "reason": ESCAPE}).to_string();
    let signed = json!({"at": "2026-01-01T00:00:00Z", "by": ESCAPE, "reason": ESCAPE}).to_string();
    world.edit("phases/10-shadow.yaml", "steps:", "gates: [{signoff: reviewed}]\nsteps:");
    let annotations = json!({"cbctl.dev/emergency": mark, "sign-off.cbctl.dev/reviewed": signed});
    world.patch_as_somebody_else(json!({"metadata": {"annotations": annotations}})).await;
    world.until_healthy().await;
    for output in ["table", "json"] {
        for arguments in [&["status"][..], &["check", "cache"], &["promote", "cache"], &["rollback"]] {
            let run = world.cbctl(&[arguments, &["-o", output]].concat()).await;
            assert!(run.says("owned") || arguments[0] == "rollback", "the text does not come up: {arguments:?}\n{run}");
            assert_clean(&format!("{arguments:?}"), &run);
        }
    }
    world.patch_as_somebody_else(json!({"metadata": {"annotations": {"cbctl.dev/rollout": ESCAPE}}})).await;
    assert_clean("an unreadable record", &world.cbctl(&["status"]).await);

    let refusal = json!({"kind": "Status", "status": "Failure", "message": ESCAPE, "code": 403}).to_string();
    world.api.on("", Act::body(403, "application/json", &refusal));
    let run = world.cbctl(&["status"]).await;
    assert!(run.says("owned"), "{run}");
    assert_clean("a refusal", &run);
}

#[tokio::test]
async fn no_text_of_prometheus_gets_into_the_terminal_raw() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.edit("phases/10-shadow.yaml", "steps:", "gates: [{name: always, query: 'vector(1)', equals: 1}]\nsteps:");
    world.deploy(|manifest| env_of(manifest).push(json!({"name": "UNRELATED", "value": ESCAPE}))).await;
    world.promote_through(&["shadow"]).await;
    let error = json!({"status": "error", "errorType": ESCAPE, "error": ESCAPE}).to_string();
    let login = vec![("location", "https://login/\u{9b}31m-owned".to_owned())];
    for (name, act) in [
        ("an error", Act::body(422, "application/json", &error)),
        ("a text", Act::body(500, "text/plain", ESCAPE)),
        ("warnings", Act::alter(|answer| answer["warnings"] = json!([ESCAPE]))),
        ("a value", Act::alter(|answer| answer["data"]["result"][0]["value"][1] = json!(ESCAPE))),
        ("another type", Act::alter(|answer| answer["data"]["resultType"] = json!(ESCAPE))),
        ("a redirection", Act::Answer { status: 302, headers: login, body: String::new() }),
    ] {
        world.prometheus.repair();
        world.prometheus.on("QUERY", act);
        for output in ["table", "json"] {
            let run = world.cbctl(&["check", "cache", "-o", output]).await;
            assert_clean(name, &run);
            assert_ne!(run.status, 0, "{name}:\n{run}");
        }
    }
}

#[tokio::test]
async fn colour_is_for_terminals_and_can_be_refused() {
    let world = World::promoted_to(&["shadow"]).await;
    let check = ["check", "http"];
    let in_a_pipe = world.cbctl(&check).await;
    assert!(!in_a_pipe.stdout.contains('\u{1b}'), "{in_a_pipe}");
    let on_a_terminal = world.cbctl(&check).on_a_terminal().await;
    assert!(on_a_terminal.contains("\u{1b}[33mheld\u{1b}[0m"), "{on_a_terminal:?}");
    for plain in [
        world.cbctl(&check).env("NO_COLOR", "1").on_a_terminal().await,
        world.cbctl(&["check", "http", "--no-color"]).on_a_terminal().await,
        world.cbctl(&["check", "http", "-o", "json"]).on_a_terminal().await,
    ] {
        assert!(plain.contains("held") && !plain.contains('\u{1b}'), "{plain:?}");
    }
    let without = world.cbctl(&check).env("NO_COLOR", "").on_a_terminal().await;
    assert!(without.contains('\u{1b}'), "an empty NO_COLOR is none: {without:?}");
}

#[tokio::test]
async fn a_pod_that_fails_is_shown_with_its_reason() {
    let world = World::promoted_to(&["shadow"]).await;
    world
        .patch_as_somebody_else(
            json!({"spec": {"template": {"metadata": {"annotations": {simulated("crash-after"): "100ms"}}}}}),
        )
        .await;
    let run = world.cbctl(&["rollback", "--emergency", "--timeout", "10s"]).await;
    run.expect(1, &["crash loop"]);
}
