//! `cbctl rollback --emergency` with a canary, with `--all` and with `-l`: many Deployments, and none of them hides
//! what became of another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;

use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::cluster::{env_of, flag_patch, service};
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::{CONTAINER, DEPLOYMENT, FLAGS, World, until};
use crate::permissions::{account, role_of_readme};

const ALL: [&str; 5] = ["rollback", "--emergency", "--all", "-f", "rollouts"];
const MARK: &str = "cbctl.dev/canary";

fn rollout(name: &str, namespace: Option<&str>) -> String {
    let namespace = namespace.map(|namespace| format!(", namespace: {namespace}")).unwrap_or_default();
    format!(
        "apiVersion: cbctl.dev/v1\nkind: Rollout\nname: {name}-rollout\n\
         target: {{deployment: {name}, container: {CONTAINER}{namespace}}}\n\
         breakers:\n  cache: {{flag: {}, match: '.*'}}\n",
        FLAGS[0]
    )
}

/// A Deployment of one pod with a breaker on.
fn switched_on(name: &str) -> Value {
    let mut manifest = service();
    manifest["metadata"]["name"] = json!(name);
    manifest["metadata"]["labels"] = json!({"tier": "web"});
    manifest["spec"]["replicas"] = json!(1);
    manifest["spec"]["selector"]["matchLabels"] = json!({"app": name});
    manifest["spec"]["template"]["metadata"]["labels"] = json!({"app": name});
    env_of(&mut manifest)[0]["value"] = json!("true");
    manifest
}

/// A Deployment beside the one with the label `app`, marked as its canary or not.
fn beside(app: &str, name: &str, marked: bool) -> Value {
    let mut manifest = switched_on(name);
    let labels = if marked { json!({"app": app, MARK: "true"}) } else { json!({"app": "others"}) };
    manifest["spec"]["selector"]["matchLabels"] = labels.clone();
    manifest["spec"]["template"]["metadata"]["labels"] = labels;
    manifest
}

impl World {
    async fn add(&self, manifest: Value) {
        let deployment = serde_json::from_value(manifest).unwrap();
        self.deployments().create(&PostParams::default(), &deployment).await.unwrap();
    }

    /// Deployments of these names, each with a folder of its own.
    async fn team(names: &[&str]) -> Self {
        let world = Self::empty().await;
        join_all(names.iter().map(|name| world.add(switched_on(name)))).await;
        for name in names {
            world.write(&format!("rollouts/{name}/rollout.yaml"), &rollout(name, None));
        }
        for name in names {
            world.until_rolled_out(name).await;
        }
        world
    }

    async fn until_rolled_out(&self, name: &str) {
        until(&format!("{name} is rolled out"), async || {
            let deployment = self.deployments().get(name).await.unwrap();
            let status = deployment.status?;
            let settled = status.observed_generation == deployment.metadata.generation;
            (settled && status.available_replicas == deployment.spec?.replicas).then_some(())
        })
        .await;
    }

    /// The flag in the Deployment and in each of its pods.
    async fn everywhere(&self, name: &str) -> Vec<String> {
        let deployment: Deployment = self.deployments().get(name).await.unwrap();
        let spec = deployment.spec.unwrap();
        let labels = spec.selector.match_labels.unwrap();
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let pods = self.pod_objects().list(&ListParams::default().labels(&labels.join(","))).await.unwrap();
        let specs = pods.items.into_iter().map(|pod| pod.spec.unwrap()).chain([spec.template.spec.unwrap()]);
        specs
            .map(|spec| {
                let env = spec.containers.into_iter().next().unwrap().env.unwrap();
                env.into_iter().find(|entry| entry.name == FLAGS[0]).unwrap().value.unwrap()
            })
            .collect()
    }

    async fn assert_off(&self, names: &[&str], run: &Run) {
        for name in names {
            let values = self.everywhere(name).await;
            assert!(values.len() > 1 && values.iter().all(|value| value == "false"), "{name}: {values:?}\n{run}");
        }
    }

    async fn assert_on(&self, name: &str, run: &Run) {
        assert_eq!(self.everywhere(name).await, ["true", "true"], "{name}\n{run}");
    }
}

#[tokio::test]
async fn the_canary_is_switched_off_beside_the_others() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.add(beside("store-pods", "storefront-canary", true)).await;
    world.until_rolled_out("storefront-canary").await;
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    insta::assert_snapshot!(run.redacted(), @r"
    off   deployment/storefront   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    off   deployment/storefront-canary   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    done in AGE: every breaker of 2 deployments is off; 3 of 3 pods run the new values
    was cache, step 1, for AGE; goes on with: cbctl promote
    ");
    assert_eq!(run.status, 0, "{run}");
    // Which of the first two arrives first is up to the connections.
    let first: BTreeSet<&str> = run.lines()[..2].iter().copied().collect();
    assert_eq!(first, ["GET deployments/storefront-canary", "PATCH deployments/storefront"].into());
    world.assert_off(&[DEPLOYMENT, "storefront-canary"], &run).await;

    let run = world.cbctl(&["rollback", "--emergency", "--no-wait"]).await;
    run.expect(0, &["sent   deployment/storefront-canary   CB_CACHE_ENABLED", "off in 2 deployments"]);
    let requests: BTreeSet<&str> = run.lines().into_iter().collect();
    let canary = ["GET deployments/storefront-canary", "PATCH deployments/storefront-canary"];
    assert_eq!(requests, [canary[0], canary[1], "PATCH deployments/storefront"].into());
}

#[tokio::test]
async fn the_canary_is_found_without_files_too() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.add(beside("store-pods", "storefront-canary", true)).await;
    world.until_rolled_out("storefront-canary").await;
    std::fs::remove_dir_all(world.path("phases")).unwrap();
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    run.expect(0, &["every breaker of 2 deployments is off"]);
    world.assert_off(&[DEPLOYMENT, "storefront-canary"], &run).await;
}

#[tokio::test]
async fn somebody_elses_deployment_with_the_name_of_a_canary_is_left_alone() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.add(beside("store-pods", "storefront-canary", false)).await;
    world.until_rolled_out("storefront-canary").await;
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    run.expect(0, &["warning: deployment/storefront-canary is left alone", "every breaker is off; 2 of 2 pods"]);
    world.assert_on("storefront-canary", &run).await;
}

#[tokio::test]
async fn pods_of_a_canary_with_another_name_are_not_forgotten() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.add(beside("store-pods", "storefront-trial", true)).await;
    world.until_rolled_out("storefront-trial").await;
    let run = world.cbctl(&["rollback", "--emergency", "--timeout", "10s"]).await;
    run.expect(1, &["not verified in every pod: 1 of 3 pods still run CB_CACHE_ENABLED=true"]);
}

#[tokio::test]
async fn a_canary_that_cannot_be_looked_for_is_told() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on("GET deployments/storefront-canary", Act::status(403));
    let run = world.cbctl(&["rollback", "--emergency", "--no-wait"]).await;
    insta::assert_snapshot!(run.redacted(), @r#"
    sent   deployment/storefront   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    unknown   deployment/storefront-canary   cannot read deployment "storefront-canary" in namespace "shop": the API server answered 403
    failed in AGE: not every breaker is known to be off: 1 sent, 1 unknown
    "#);
    run.expect(1, &["warning: cannot read deployment \"storefront-canary\"", "hint: needs `get` on deployments"]);
    assert_eq!(world.flag(FLAGS[0]).await.as_deref(), Some("false"));
}

#[tokio::test]
async fn what_fails_hides_none_of_the_others() {
    let world = World::team(&["basket", "search"]).await;
    world.write("rollouts/gone/rollout.yaml", &rollout("gone", None));
    world.write("rollouts/team/broken/rollout.yaml", "apiVersion: cbctl.dev/v1\nkind: Rolout\n");
    let run = world.cbctl(&ALL).await;
    insta::assert_snapshot!(run.redacted(), @r#"
    off   deployment/basket   CB_CACHE_ENABLED   AGE
    off   deployment/search   CB_CACHE_ENABLED   AGE
    error   rollouts/team/broken/rollout.yaml:2:7: kind is `Rolout`, not `Rollout`
    failed   deployment/gone   cannot patch deployment "gone" in namespace "shop": deployments.apps "gone" not found (404)
    failed in AGE: not every breaker is known to be off: 2 off, 1 error, 1 failed
    "#);
    run.expect(1, &["hint: check `target` in rollout.yaml", "2 | kind: Rolout"]);
    world.assert_off(&["basket", "search"], &run).await;

    let run = world.cbctl(&[&ALL[..], &["-o", "json", "-q"]].concat()).await;
    let json = run.json();
    assert_eq!(run.status, 1, "{run}");
    assert_eq!([&json["schema"], &json["exit"]], [&json!(1), &json!(1)]);
    assert_eq!(json["counts"], json!({"done": 2, "refused": 1, "failed": 1}));
    assert_eq!(json["deployments"][0]["changes"], json!([{"flag": FLAGS[0], "after": {"literal": "false"}}]));
    assert!(json["deployments"][0]["took_ms"].is_u64(), "{json}");

    std::fs::remove_dir_all(world.path("rollouts/gone")).unwrap();
    world.cbctl(&ALL).await.expect(2, &["not every breaker is known to be off: 2 off, 1 error"]);
}

#[tokio::test]
async fn a_folder_without_rollouts_is_refused() {
    let world = World::empty().await;
    std::fs::create_dir(world.path("rollouts")).unwrap();
    world.cbctl(&ALL).await.expect(2, &["error: there is no rollout.yaml in \"rollouts\" or below it"]);
    std::os::unix::fs::symlink("..", world.path("rollouts/up")).unwrap();
    world.write("rollouts/broken/rollout.yaml", "");
    world.cbctl(&ALL).await.expect(2, &["rollouts/broken/rollout.yaml", "1 error"]);
    let run = world.cbctl(&["rollback", "--emergency", "-l", "tier=web"]).await;
    run.expect(2, &["error: no deployment in namespace \"shop\" has the labels `tier=web`"]);
}

#[tokio::test]
async fn many_are_chosen_only_in_an_emergency_and_in_one_way() {
    let world = World::empty().await;
    for arguments in [
        &["rollback", "--all"][..],
        &["rollback", "-l", "tier=web"],
        &["rollback", "--emergency", "--all", "-l", "tier=web"],
        &["rollback", "--emergency", "--all", "--deployment", "basket"],
        &["rollback", "--emergency", "-l", "tier=web", "--deployment", "basket"],
        &["rollback", "--emergency", "-l", ""],
        &["rollback", "--emergency", "--all", "cache"],
    ] {
        let run = world.cbctl(arguments).await;
        assert_eq!(run.status, 2, "{arguments:?}\n{run}");
        assert!(run.requests.is_empty(), "{arguments:?}\n{run}");
    }
}

#[tokio::test]
async fn by_label_what_the_records_say_is_switched_off() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.patch_as_somebody_else(json!({"metadata": {"labels": {"tier": "web"}}})).await;
    world.add(beside("store-pods", "storefront-canary", true)).await;
    world.add(switched_on("unrecorded")).await;
    world.until_rolled_out("storefront-canary").await;
    world.until_rolled_out("unrecorded").await;
    let run = world.cbctl(&["rollback", "--emergency", "-l", "tier=web"]).await;
    insta::assert_snapshot!(run.redacted(), @r#"
    off   deployment/storefront   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    off   deployment/storefront-canary   CB_CACHE_ENABLED CB_DB_ENABLED CB_HTTP_ENABLED   AGE
    error   deployment/unrecorded   deployment "unrecorded" in namespace "shop" carries no cbctl position
    failed in AGE: not every breaker is known to be off: 2 off, 1 error
    "#);
    run.expect(1, &["hint: name what to switch off: "]);
    assert_eq!(run.lines()[0], "LIST deployments");
    assert!(!run.lines().contains(&"GET deployments/unrecorded-canary"), "{run}");
    world.assert_off(&[DEPLOYMENT, "storefront-canary"], &run).await;
    world.assert_on("unrecorded", &run).await;

    let named = ["rollback", "--emergency", "-l", "app notin (nothing),tier in (web)", "--flag", FLAGS[0]];
    let run = world.cbctl(&named).await;
    run.expect(0, &["off   deployment/unrecorded   CB_CACHE_ENABLED", "every breaker of 3 deployments is off"]);
    world.assert_off(&["unrecorded"], &run).await;
}

#[tokio::test]
async fn one_that_is_refused_for_a_while_is_tried_again() {
    for act in [Act::status(500), Act::status(409), Act::LoseAnswer] {
        let world = World::team(&["basket", "cart", "search"]).await;
        world.api.on_next(2, "PATCH deployments/cart", act);
        let run = world.cbctl(&ALL).await;
        run.expect(0, &["trying again", "every breaker of 3 deployments is off; 3 of 3 pods run the new values"]);
        let of = |name: &str| run.lines().iter().filter(|line| **line == format!("PATCH deployments/{name}")).count();
        assert_eq!([of("basket"), of("cart"), of("search")], [1, 3, 1], "{run}");
        world.assert_off(&["basket", "cart", "search"], &run).await;
    }
}

#[tokio::test]
async fn one_that_is_refused_for_good_takes_nobodys_turn() {
    let names: Vec<String> = (0..40).map(|number| format!("broken-{number:02}")).collect();
    let world = World::team(&["search"]).await;
    for name in &names {
        world.write(&format!("rollouts/{name}/rollout.yaml"), &rollout(name, None));
    }
    world.api.on("PATCH deployments/broken", Act::status(503));
    let run = world.cbctl(&[&ALL[..], &["--timeout", "30s"]].concat()).await;
    run.expect(1, &["not every breaker is known to be off: 1 off, 40 failed"]);
    assert_eq!(world.everywhere("search").await.last().unwrap(), "false", "{run}");
    assert_eq!(run.stderr.matches("trying again").count(), 1, "the same for all is told once:\n{run}");
}

#[tokio::test]
async fn a_namespace_without_permission_hides_no_other() {
    let world = World::team(&["basket", "search"]).await;
    let other = World::team(&["payments"]).await;
    world.write("rollouts/payments/rollout.yaml", &rollout("payments", Some(&other.namespace)));
    let kubeconfig = account(&world, role_of_readme()).await;
    let run = world.cbctl(&ALL).env("KUBECONFIG", &kubeconfig).await;
    insta::assert_snapshot!(run.redacted(), @r#"
    off   deployment/basket in shop   CB_CACHE_ENABLED   AGE
    off   deployment/search in shop   CB_CACHE_ENABLED   AGE
    unknown   deployment/payments-canary in shop   cannot read deployment "payments-canary" in namespace "shop": deployments.apps "payments-canary" is forbidden: User "system:serviceaccount:shop:ci" cannot get resource "deployments" in API group "apps" in the namespace "shop" (403)
    failed   deployment/payments in shop   cannot patch deployment "payments" in namespace "shop": deployments.apps "payments" is forbidden: User "system:serviceaccount:shop:ci" cannot patch resource "deployments" in API group "apps" in the namespace "shop" (403)
    failed in AGE: not every breaker is known to be off: 2 off, 1 unknown, 1 failed
    "#);
    run.expect(1, &["hint: needs `patch` on deployments in namespace shop"]);
    other.assert_on("payments", &run).await;
}

#[tokio::test]
async fn many_are_verified_by_two_lists_a_look_and_one_by_one_without_that_permission() {
    let names: Vec<String> = (0..30).map(|number| format!("shop-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::team(&names).await;
    world.add(beside("shop-05", "shop-05-canary", true)).await;
    world.add(beside("shop-06", "shop-06-canary", false)).await;
    world.until_rolled_out("shop-05-canary").await;
    world.until_rolled_out("shop-06-canary").await;
    let off = [&names[..], &["shop-05-canary"]].concat();
    let run = world.cbctl(&ALL).await;
    run.expect(0, &["every breaker of 31 deployments is off; 31 of 31 pods", "shop-06-canary is left alone"]);
    world.assert_off(&off, &run).await;
    world.assert_on("shop-06-canary", &run).await;
    let lines = run.lines();
    let count = |piece: &str| lines.iter().filter(|line| line.starts_with(piece)).count();
    assert_eq!(count("PATCH deployments/"), 31, "{run}");
    // A list tells which canaries there are. One that was switched off is looked at like every Deployment.
    let canary = "deployments/shop-05-canary";
    let switched_off = lines.iter().position(|line| line.starts_with(&format!("PATCH {canary}"))).unwrap();
    let of_a_canary = |line: &&str| line.starts_with("GET deployments/") && line.ends_with("-canary");
    let seen = lines.iter().enumerate().filter(|(_, line)| of_a_canary(line));
    let mut unasked = seen.filter(|(at, line)| *at < switched_off || !line.ends_with(canary));
    assert_eq!(unasked.next(), None, "{run}");
    assert_eq!([count("GET configmaps/"), count("POST configmaps"), count("POST events")], [30, 30, 30], "{run}");
    // While few are on their way, at the beginning and at the end, each of them is read alone.
    let alone: BTreeSet<&&str> = lines.iter().filter(|line| line.starts_with("GET deployments/")).collect();
    assert!(alone.len() < names.len(), "many are read by two lists\n{run}");
    assert!(count("LIST pods") <= count("LIST deployments") + count("GET deployments/"), "{run}");
    let of_a_rollout = |line: &&str| line.starts_with("PATCH deployments/") && !line.ends_with("-canary");
    let last_patch = lines.iter().rposition(of_a_rollout).unwrap();
    let first_look = lines.iter().position(|line| *line == "LIST pods").unwrap();
    assert!(last_patch < first_look, "first everything is switched off\n{run}");
    let history = world.config_maps().get("cbctl-shop-07-rollout").await.unwrap().data.unwrap();
    let entry: Value = serde_json::from_str(history.values().next().unwrap()).unwrap();
    assert_eq!([&entry["action"], &entry["result"]], ["emergency", "done"]);

    // The role of the README has no `list` on deployments.
    let kubeconfig = account(&world, role_of_readme()).await;
    for name in &off {
        let deployments = world.deployments();
        deployments
            .patch(name, &PatchParams::default(), &Patch::Strategic(flag_patch(FLAGS[0], "true")))
            .await
            .unwrap();
    }
    let run = world.cbctl(&ALL).env("KUBECONFIG", &kubeconfig).await;
    run.expect(0, &["every breaker of 31 deployments is off; 31 of 31 pods run the new values"]);
    world.assert_off(&off, &run).await;
}

#[tokio::test]
async fn a_second_run_finishes_what_a_killed_one_began() {
    let names = ["basket", "cart", "payments", "search"];
    let world = World::team(&names).await;
    let process: Arc<OnceLock<Pid>> = Arc::default();
    let victim = process.clone();
    world.api.on_next(
        1,
        "PATCH deployments/payments",
        Act::before(move || {
            let victim = victim.clone();
            async move {
                let pid = until("the process is known", async || victim.get().copied()).await;
                kill_process(pid, Signal::KILL).unwrap();
                std::future::pending::<()>().await;
            }
        }),
    );
    let running = world.cbctl(&ALL).start();
    process.set(running.pid()).unwrap();
    let killed = running.finish().await;
    assert_eq!((killed.status, &*killed.stdout), (-1, ""), "{killed}");
    let run = world.cbctl(&ALL).await;
    run.expect(0, &["every breaker of 4 deployments is off; 4 of 4 pods run the new values"]);
    world.assert_off(&names, &run).await;
}

#[tokio::test]
async fn two_at_once_do_not_disturb_each_other() {
    let names = ["basket", "cart", "payments", "search"];
    let world = World::team(&names).await;
    let (one, other) = tokio::join!(world.cbctl(&ALL).into_future(), world.cbctl(&ALL).into_future());
    for run in [&one, &other] {
        run.expect(0, &["every breaker of 4 deployments is off"]);
    }
    world.assert_off(&names, &one).await;
    let history = world.config_maps().get("cbctl-cart-rollout").await.unwrap().data.unwrap();
    // Whoever is first finds the mark of the other, which has nothing to tell yet.
    let done = history.values().filter(|entry| entry.contains(r#""result":"done""#)).count();
    assert_eq!(done, 2, "an entry of each: {history:#?}");
}

#[tokio::test]
async fn an_interruption_reports_what_was_done() {
    let world = World::team(&["basket", "cart"]).await;
    world.api.on("PATCH deployments/cart", Act::status(503));
    let running = world.cbctl(&ALL).start();
    running.says("1 of 2 deployments off; 1 verified").await;
    running.signal(Signal::INT);
    let run = running.finish().await;
    run.expect(
        1,
        &[
            "off   deployment/basket",
            "failed   deployment/cart   interrupted: cannot patch deployment \"cart\"",
            "not every breaker is known to be off: 1 off, 1 failed",
        ],
    );
    world.assert_off(&["basket"], &run).await;
}

#[tokio::test]
async fn a_dry_run_of_many_changes_nothing() {
    let world = World::team(&["basket", "cart"]).await;
    let run = world.cbctl(&[&ALL[..], &["--dry-run"]].concat()).await;
    run.expect(0, &["dry run   deployment/basket", "would switch every breaker of 2 deployments off"]);
    assert!(!run.dry_runs().is_empty(), "{run}");
    world.assert_on("basket", &run).await;
}
