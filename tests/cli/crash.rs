//! The process is killed at every request in turn, and the same command is run again: what is left is what an
//! uninterrupted run leaves.
//!
//! How many requests a command makes is taken from a first run. Each is the last one twice: once it never arrives,
//! which is a death after the answer before it, and once it arrives and its answer is never read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::canary::CANARY;
use crate::harness::cluster::RESTARTED;
use crate::harness::proxy::Act;
use crate::harness::redact::redact;
use crate::harness::run::Run;
use crate::harness::{World, until};

/// Worlds at once, of each test.
pub const AT_ONCE: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The request never arrives.
    Unsent,
    /// It arrives, and nobody reads the answer.
    Unheard,
}

/// What a command leaves, without what is different every time.
#[derive(Debug, PartialEq)]
struct Left {
    env: Value,
    pods: Vec<Value>,
    record: String,
    emergency: bool,
    restarted: bool,
    /// Replicas of the canary, where there is one.
    canary: Option<i32>,
}

impl World {
    async fn left(&self) -> Left {
        self.until_healthy().await;
        let mut record = self.record("rollout").await.unwrap_or_default();
        // Whoever made the change that is the last one now may be the first or the second run.
        if let Some(place) = record.get_mut("place") {
            place["since"] = Value::Null;
            record["history"] = Value::Null;
        }
        let canary = until("the canary has the pods that it is to have", async || {
            let canary = self.deployments().get_opt(CANARY).await.unwrap();
            let wanted = canary.as_ref().and_then(|canary| canary.spec.as_ref()?.replicas).unwrap_or_default();
            (self.canary_pods().await.len() == usize::try_from(wanted).unwrap()).then_some(canary)
        })
        .await;
        let mut pods: Vec<Value> = self.pods().await.iter().map(|pod| json!(env_of(pod.spec.as_ref()))).collect();
        pods.sort_by_key(ToString::to_string);
        Left {
            env: json!(self.env().await),
            pods,
            record: redact(&record.to_string()),
            emergency: self.record("emergency").await.is_some(),
            restarted: self.template().await["metadata"]["annotations"].get(RESTARTED).is_some(),
            canary: canary.and_then(|canary| canary.spec?.replicas),
        }
    }

    /// What `history` tells to have happened, whether it is written down already or still to be caught up with.
    async fn told(&self) -> BTreeSet<String> {
        let history = self.cbctl(&["history", "--verify", "-o", "json"]).await;
        assert_eq!(history.status, 0, "{history}");
        let history: Value = serde_json::from_str(&history.stdout).unwrap();
        let all = ["entries", "untold"].map(|list| history[list].as_array().unwrap().clone()).concat();
        let phase = |place: &Value| place["phase"].as_str().unwrap_or("-").to_owned();
        all.iter()
            .map(|entry| {
                let places = format!("{} to {}", phase(&entry["from"]), phase(&entry["to"]));
                format!("{}: {places}: {}", entry["action"], entry["canary"])
            })
            .collect()
    }

    /// Runs a command that dies at this request, or that ends before it comes to it.
    pub async fn dies_at(&self, arguments: &[&str], case: &Case) -> Run {
        let Case { occurrence, death, .. } = *case;
        let process: Arc<OnceLock<Pid>> = Arc::default();
        let (victim, count) = (process.clone(), Arc::new(AtomicUsize::new(0)));
        let kill = move || {
            let (victim, turn) = (victim.clone(), count.fetch_add(1, Ordering::SeqCst));
            async move {
                if turn != occurrence {
                    return;
                }
                let pid = until("the process is known", async || victim.get().copied()).await;
                kill_process(pid, Signal::KILL).unwrap();
                if death == Death::Unsent {
                    // The connection ends with the process, and this with it.
                    std::future::pending::<()>().await;
                }
            }
        };
        self.api.on(&case.line, if death == Death::Unsent { Act::before(kill) } else { Act::after(kill) });
        let running = self.cbctl(arguments).start();
        process.set(running.pid()).unwrap();
        let run = running.finish().await;
        self.api.repair();
        run
    }

    /// Runs it until it is not told to wait for pods any more.
    async fn again(&self, arguments: &[&str]) -> Run {
        until("the command does not have to wait", async || {
            let run = self.cbctl(arguments).await;
            (run.status != 4).then_some(run)
        })
        .await
    }
}

fn env_of(spec: Option<&k8s_openapi::api::core::v1::PodSpec>) -> Value {
    json!(spec.map(|spec| spec.containers.iter().map(|container| container.env.clone()).collect::<Vec<_>>()))
}

/// One death: at which request, counted among those of its kind, because looks at the pods are more or fewer each time.
#[derive(Debug, Clone)]
pub struct Case {
    pub line: String,
    pub occurrence: usize,
    pub death: Death,
}

impl Case {
    /// Every request of a run, unsent; and unheard where that leaves something behind.
    pub fn all(run: &Run) -> Vec<Self> {
        let mut cases = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for seen in &run.requests {
            let line = seen.line.as_str();
            let count = counts.entry(line).or_default();
            let deaths: &[Death] = if seen.writes() { &[Death::Unsent, Death::Unheard] } else { &[Death::Unsent] };
            cases.extend(deaths.iter().map(|death| Self { line: line.to_owned(), occurrence: *count, death: *death }));
            *count += 1;
        }
        cases
    }
}

/// Kills a command at every request, and prints how many deaths that were.
#[expect(clippy::print_stdout, reason = "how many deaths there were is worth knowing")]
async fn survives(prepared: impl AsyncFn() -> World, arguments: &[&str]) {
    let world = prepared().await;
    let run = world.cbctl(arguments).await;
    assert_eq!(run.status, 0, "{run}");
    let cases = Case::all(&run);
    world.again(arguments).await.expect(0, &[]);
    let (wanted, told) = (world.left().await, world.told().await);
    let deaths: Vec<bool> = futures_util::stream::iter(cases)
        .map(|case| dies(&prepared, arguments, case, &wanted, &told))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let killed = deaths.iter().filter(|killed| **killed).count();
    println!("{}: killed {killed} times", arguments.join(" "));
}

/// Whether it was killed.
async fn dies(
    prepared: &impl AsyncFn() -> World,
    arguments: &[&str],
    case: Case,
    wanted: &Left,
    told: &BTreeSet<String>,
) -> bool {
    let world = prepared().await;
    let run = world.dies_at(arguments, &case).await;
    let (killed, first) = (run.status == -1, case.occurrence == 0);
    let case = format!("{arguments:?} dead at {case:?}:\n{run}");
    // A look at the pods may not have been needed this time; everything else is asked every time.
    assert!(killed || (run.status == 0 && !first), "{case}");
    assert!(!killed || run.stdout.is_empty(), "dead, and claims something: {case}");
    let again = world.again(arguments).await;
    assert_eq!(again.status, 0, "{case}\nthen\n{again}");
    assert_eq!(world.left().await, *wanted, "{case}\nthen\n{again}");
    assert_eq!(world.told().await, *told, "{case}\nthen\n{again}");
    killed
}

#[tokio::test]
async fn a_promotion_survives_death_at_every_request() {
    survives(async || World::promoted_to(&["shadow"]).await, &["promote", "cache"]).await;
}

#[tokio::test]
async fn a_step_back_survives_death_at_every_request() {
    survives(async || World::promoted_to(&["shadow", "cache"]).await, &["rollback"]).await;
}

#[tokio::test]
async fn a_breaker_off_survives_death_at_every_request() {
    survives(async || World::promoted_to(&["shadow", "cache", "http"]).await, &["rollback", "http"]).await;
}

#[tokio::test]
async fn an_emergency_survives_death_at_every_request() {
    survives(async || World::promoted_to(&["shadow", "cache"]).await, &["rollback", "--emergency"]).await;
}

#[tokio::test]
async fn a_gradual_rollback_survives_death_at_every_request() {
    let with_a_canary = async || {
        let world = World::promoted_to(&["shadow", "cache", "http"]).await;
        world.add_a_canary(1, &[]).await;
        world
    };
    survives(with_a_canary, &["rollback", "--gradual"]).await;
}

#[tokio::test]
async fn an_undo_survives_death_at_every_request() {
    survives(async || World::promoted_to(&["shadow", "cache"]).await, &["rollback", "--undo"]).await;
}

/// Run again after a death, it may restart once more, which is what is asked for; all pods are of the last one.
#[tokio::test]
async fn a_restart_survives_death_at_every_request() {
    survives(async || World::promoted_to(&["shadow", "cache"]).await, &["rollback", "--restart"]).await;
}
