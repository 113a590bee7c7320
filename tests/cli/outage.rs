//! The API server goes away in the middle of a command and comes back: what must get through gets through, and what
//! was done is told as it is.
//!
//! At the proxy nobody listens for a while. A server that hangs is a real one, stopped by a signal, in a cluster of
//! the test's own that the others do not feel.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::cluster::{annotate, simulated};
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::{FLAGS, World, files, repository, until};

const PATCH: &str = "PATCH deployments/storefront";
const SOON: Duration = Duration::from_secs(2);

/// When it goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The patch never arrives.
    BeforeThePatch,
    /// The patch arrives, and its answer is lost.
    AfterThePatch,
    /// The pods are being waited for.
    Waiting,
}

const MOMENTS: [Moment; 3] = [Moment::BeforeThePatch, Moment::AfterThePatch, Moment::Waiting];

impl World {
    /// A service whose pods take their time, promoted through these phases.
    async fn slow(self, phases: &[&str]) -> Self {
        self.write_files(files::UNGATED);
        self.deploy(|manifest| annotate(manifest, &simulated("ready-after"), "1s")).await;
        self.promote_through(phases).await;
        self
    }

    /// Runs a command during which this happens once.
    async fn meanwhile(&self, arguments: &[&str], moment: Moment, act: Act) -> Run {
        if moment != Moment::Waiting {
            self.api.on_next(1, PATCH, act);
            return self.cbctl(arguments).await;
        }
        let running = self.cbctl(arguments).start();
        running.says("new values").await;
        self.api.on_next(1, "GET deployments/storefront", act);
        running.finish().await
    }

    /// The newest entry of the history, and how many are like it.
    async fn newest(&self, action: &str) -> (Option<String>, usize) {
        let history = self.history().await;
        let alike: Vec<&Value> = history.iter().filter(|entry| entry["action"] == action).collect();
        (alike.last().map(|entry| entry["result"].as_str().unwrap().to_owned()), alike.len())
    }

    async fn every_pod_runs(&self, flag: &str, value: &str) {
        until(&format!("every pod runs {flag}={value}"), async || {
            let found = self.flag_in_pods(flag).await;
            (found.len() == 2 && found.iter().all(|found| found.as_deref() == Some(value))).then_some(())
        })
        .await;
    }
}

fn outage(moment: Moment, lasts: Duration) -> Act {
    Act::Outage { arrives: moment == Moment::AfterThePatch, lasts }
}

#[tokio::test]
async fn a_rollback_gets_through_an_outage() {
    join_all(MOMENTS.map(async |moment| {
        let world = World::empty().await.slow(&["shadow", "cache"]).await;
        let run = world.meanwhile(&["rollback", "--timeout", "60s"], moment, outage(moment, SOON)).await;
        run.expect(0, &["back at shadow, step 1; 2 of 2 pods run the new values"]);
        assert_eq!(run.says("trying again"), moment != Moment::Waiting, "{moment:?}:\n{run}");
        assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{moment:?}: not one step too far");
        world.every_pod_runs("CB_CACHE_ENABLED", "false").await;
        assert_eq!(world.newest("rollback").await, (Some("done".to_owned()), 1), "{moment:?}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn an_emergency_gets_through_an_outage() {
    join_all(MOMENTS.map(async |moment| {
        let world = World::empty().await.slow(&["shadow", "cache"]).await;
        let run = world.meanwhile(&["rollback", "--emergency", "--timeout", "60s"], moment, outage(moment, SOON)).await;
        run.expect(0, &["every breaker is off; 2 of 2 pods run the new values"]);
        for flag in FLAGS {
            world.every_pod_runs(flag, "false").await;
        }
        assert_eq!(world.newest("emergency").await, (Some("done".to_owned()), 1), "{moment:?}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn a_gradual_rollback_gets_through_an_outage() {
    join_all(MOMENTS.map(async |moment| {
        let world = World::empty().await.slow(&["shadow", "cache", "http"]).await;
        let run = world.meanwhile(&["rollback", "--gradual"], moment, outage(moment, SOON)).await;
        run.expect(0, &["every breaker is off"]);
        assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{moment:?}:\n{run}");
        world.every_pod_runs("CB_CACHE_ENABLED", "false").await;
        assert_eq!(world.newest("rollback").await, (Some("done".to_owned()), 2), "{moment:?}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn a_promotion_finds_out_what_became_of_its_patch() {
    join_all(MOMENTS.map(async |moment| {
        let world = World::empty().await.slow(&["shadow"]).await;
        let run = world.meanwhile(&["promote", "cache", "--timeout", "60s"], moment, outage(moment, SOON)).await;
        if moment == Moment::BeforeThePatch {
            // It was decided on what was there before the outage, and is not decided again.
            run.expect(1, &["error: cannot patch deployment \"storefront\""]);
            assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{run}");
            assert_eq!(world.newest("promote").await.1, 1, "only shadow's:\n{run}");
            world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 1 of 1 is entered"]);
        } else {
            run.expect(0, &["cache, step 1 of 1 is entered, every pod is healthy"]);
        }
        assert_eq!(world.place().await.as_deref(), Some("cache 1"), "{moment:?}:\n{run}");
        world.every_pod_runs("CB_CACHE_ENABLED", "true").await;
        assert_eq!(world.newest("promote").await, (Some("done".to_owned()), 2), "{moment:?}:\n{run}");
    }))
    .await;
}

#[tokio::test]
async fn an_outage_that_is_too_long_is_told_and_the_next_run_ends_it() {
    for arguments in [&["rollback", "--timeout", "2s"][..], &["rollback", "--emergency", "--timeout", "2s"]] {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        world.api.on_next(1, PATCH, outage(Moment::BeforeThePatch, Duration::from_secs(6)));
        let run = world.cbctl(arguments).await;
        run.expect(1, &["error: cannot ", "hint: is the API server up"]);
        assert!(run.stdout.is_empty(), "{run}");
        assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("true"), "{run}");
        until("the same command gets through", async || (world.cbctl(arguments).await.status == 0).then_some(())).await;
        world.every_pod_runs("CB_CACHE_ENABLED", "false").await;
    }
}

#[tokio::test]
async fn a_connection_that_is_half_closed_is_given_up_at_once() {
    let worlds = [["rollback", "--timeout=30s"], ["rollback", "--emergency"], ["rollback", "--gradual"]];
    join_all(worlds.map(async |arguments| {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        for line in [PATCH, "GET deployments/storefront", "LIST pods", "PATCH configmaps"] {
            world.api.on_next(1, line, Act::HalfClose);
        }
        let run = world.cbctl(&arguments).await;
        assert_eq!(run.status, 0, "{run}");
        assert!(!run.says("no answer within"), "{run}");
        world.every_pod_runs("CB_CACHE_ENABLED", "false").await;
    }))
    .await;
}

/// A cluster that this test alone uses, and that ends with it in whatever way that ends.
pub struct OwnCluster {
    name: String,
    directory: PathBuf,
    kubeconfig: PathBuf,
    prometheus: String,
    api_server: Pid,
}

impl OwnCluster {
    pub fn up(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let started = script("up", &name);
        let told = |variable: &str| {
            let line = started.lines().find_map(|line| line.strip_prefix(&format!("{variable}=")));
            line.unwrap_or_else(|| panic!("up does not say {variable}:\n{started}")).to_owned()
        };
        let directory = PathBuf::from(told("DIR"));
        let pid = std::fs::read_to_string(directory.join("apiserver.pid")).unwrap();
        let api_server = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        Self { name, directory, kubeconfig: told("KUBECONFIG").into(), prometheus: told("PROMETHEUS"), api_server }
    }

    pub async fn empty_world(&self) -> World {
        World::empty_in(self.kubeconfig.clone(), &self.prometheus).await
    }

    async fn world(&self, phases: &[&str]) -> World {
        self.empty_world().await.slow(phases).await
    }

    /// The API server stops just before it hears of the request.
    fn hangs(&self) -> Act {
        let api_server = self.api_server;
        Act::before(move || async move {
            kill_process(api_server, Signal::STOP).unwrap();
            // On a busy machine its threads go on for a while, and answer.
            until("every thread of the API server stands still", async || stands_still(api_server).then_some(())).await;
        })
    }

    fn goes_on(&self) {
        kill_process(self.api_server, Signal::CONT).unwrap();
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        script("down", &self.name);
        // Its name is used once: nobody would look at what is left of it.
        let _ = std::fs::remove_dir_all(&self.directory);
        let _ = std::fs::remove_file(self.directory.with_extension("lock"));
    }
}

/// Whether every thread of a process is stopped.
fn stands_still(process: Pid) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).unwrap();
    let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
        // The state follows the name, which may hold anything and is in brackets.
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    tasks.into_iter().all(is_stopped)
}

fn script(script: &str, name: &str) -> String {
    let output = Command::new(repository().join("tests/cluster").join(script)).args(["--name", name]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One after the other: a server that hangs hangs for all.
#[tokio::test]
async fn a_server_that_hangs_is_asked_again_and_what_it_does_late_is_not_done_twice() {
    let cluster = OwnCluster::up("outage");

    let world = cluster.world(&["shadow", "cache", "http"]).await;
    world.api.on_next(1, PATCH, cluster.hangs());
    let running = world.cbctl(&["rollback", "--timeout", "60s"]).start();
    running.says("no answer within 10s; trying again").await;
    cluster.goes_on();
    let run = running.finish().await;
    run.expect(0, &["back at cache, step 1; 2 of 2 pods run the new values"]);
    assert_eq!(world.place().await.as_deref(), Some("cache 1"), "not one step too far:\n{run}");
    assert_eq!(world.newest("rollback").await, (Some("done".to_owned()), 1), "{run}");

    world.api.on_next(1, PATCH, cluster.hangs());
    let running = world.cbctl(&["rollback", "--emergency", "--timeout", "60s"]).start();
    running.says("no answer within 10s; trying again").await;
    cluster.goes_on();
    let run = running.finish().await;
    run.expect(0, &["every breaker is off; 2 of 2 pods run the new values"]);
    world.every_pod_runs("CB_CACHE_ENABLED", "false").await;
    assert_eq!(world.newest("emergency").await, (Some("done".to_owned()), 1), "{run}");

    // It hangs while the pods are waited for; the second look is sent when the first one has been given up.
    let world = cluster.world(&["shadow"]).await;
    let running = world.cbctl(&["promote", "cache", "--timeout", "60s"]).start();
    running.says("new values").await;
    let look = "GET deployments/storefront";
    world.api.on_next(1, look, cluster.hangs());
    let looks = world.api.journal.count(look);
    until("it looks again", async || (world.api.journal.count(look) > looks + 1).then_some(())).await;
    cluster.goes_on();
    running.finish().await.expect(0, &["cache, step 1 of 1 is entered, every pod is healthy"]);
    assert_eq!(world.newest("promote").await, (Some("done".to_owned()), 2));

    // It hangs when the patch comes: whatever it then makes of it, the command says so.
    world.api.on_next(1, PATCH, cluster.hangs());
    let running = world.cbctl(&["promote", "http", "--timeout", "60s"]).start();
    running.says("warning: cannot patch deployment").await;
    cluster.goes_on();
    let run = running.finish().await;
    match run.status {
        0 => assert_eq!(world.newest("promote").await, (Some("done".to_owned()), 3), "{run}"),
        1 => run.expect(1, &["error: cannot patch deployment \"storefront\"", "no answer within 10s"]),
        _ => panic!("neither done nor told:\n{run}"),
    }
    world.until_healthy().await;
    let again = world.cbctl(&["promote", "http"]).await;
    assert_eq!(again.status, 0, "{run}\nthen\n{again}");
    assert_eq!(world.place().await.as_deref(), Some("http 1"), "{run}\nthen\n{again}");
    world.every_pod_runs("CB_HTTP_ENABLED", "true").await;
    drop(world);
}
