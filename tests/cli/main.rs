//! The whole command against a real API server and a real Prometheus: what it prints, how it exits, and which requests
//! it sends.
//!
//! Each test has a namespace of its own and sees both servers through proxies on which it can make them fail.
//! `tests/run` starts the servers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

mod canary;
mod check;
mod cluster_faults;
mod concurrency;
mod crash;
mod crash_canary;
mod emergency;
mod evidence;
mod files;
mod gradual;
mod gradual_canary;
mod harness;
mod history;
mod indicators;
mod layers;
mod many;
mod obstacles;
mod obstacles_canary;
mod onward;
mod outage;
mod pause;
mod permissions;
mod prerequisites;
mod progress;
mod prometheus_faults;
mod promote;
mod references;
mod rehearse;
mod rollback;
mod router;
mod steps;
mod stories;
mod story;
mod surprises;
mod template;
mod texts;
mod waiting;

/// Named so that it is the first to start: it takes longest, and the others run beside it.
#[tokio::test]
async fn a_rollout_from_shadow_to_full_and_off_again() {
    story::from_shadow_to_full_and_off_again().await;
}

/// A file that nobody declares would be a test that never runs.
#[test]
fn every_file_is_a_module() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    for (parent, files) in [("main.rs", folder.clone()), ("harness.rs", folder.join("harness"))] {
        let declared = std::fs::read_to_string(folder.join(parent)).unwrap();
        for file in std::fs::read_dir(files).unwrap() {
            let path = file.unwrap().path();
            let Some(module) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".rs") else { continue };
            let is_declared = declared.lines().any(|line| line.trim_start_matches("pub ") == format!("mod {module};"));
            assert!(is_declared || module == "main", "{parent} does not say `mod {module};`");
        }
    }
}
