//! `cbctl rollback --undo` and `--restart`: the pod template as a whole.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::cluster::{RESTARTED, env_of, simulated};
use crate::harness::proxy::Act;
use crate::harness::{CONTAINER, FLAGS, World, files};

fn image(tag: &str) -> String {
    format!("registry.invalid/storefront:{tag}")
}

impl World {
    /// As a deployment of another version does it, with flags or without.
    async fn deploy_version(&self, tag: &str, env: Value) {
        let container = json!({"name": CONTAINER, "image": image(tag), "env": env});
        self.patch_as_somebody_else(json!({"spec": {"template": {"spec": {"containers": [container]}}}})).await;
        self.until_healthy().await;
    }

    /// The image of each pod, of those that end as well.
    async fn images(&self) -> Vec<String> {
        let image = |pod: k8s_openapi::api::core::v1::Pod| pod.spec.unwrap().containers[0].image.clone().unwrap();
        self.pods().await.into_iter().map(image).collect()
    }
}

#[tokio::test]
async fn an_undo_of_the_last_step_is_a_step_back() {
    let world = World::promoted_to(&["shadow"]).await;
    let before = world.template().await;
    world.promote_through(&["cache"]).await;
    let run = world.cbctl(&["rollback", "--undo", "--reason", "timeouts"]).await;
    insta::assert_snapshot!(run, @"
      deployment/storefront   CB_CACHE_ENABLED   true -> false
          CB_CACHE_OP_TIMEOUT_MS   3000 -> (not set)
    done in AGE: revision 1 is back, and the rollout back at shadow, step 1; 2 of 2 pods run the new template
    ------- stderr -------
    revision 1 is back, and the rollout back at shadow, step 1: 2 flags of deployment/storefront change
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    LIST replicasets
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    assert_eq!(world.template().await, before);
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    assert_eq!(world.flag_in_pods(FLAGS[0]).await, vec![Some("false".to_owned()); 2]);
    let entry = world.history().await.pop().unwrap();
    assert_eq!([&entry["action"], &entry["result"], &entry["reason"]], ["undo", "done", "timeouts"]);
    world.cbctl(&["rollback"]).await.expect(0, &["nothing to do: no step is on record"]);
    world.cbctl(&["promote", "cache"]).await.expect(0, &["done in AGE: cache, step 1 of 1 is entered"]);
}

#[tokio::test]
async fn an_undo_brings_the_version_before_back_and_the_flags_stay() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let before = world.template().await;
    world.deploy_version("2", json!([{"name": "UNRELATED", "value": "new"}])).await;
    let run = world.cbctl(&["rollback", "--undo"]).await;
    run.expect(0, &["every pod of deployment/storefront is replaced", "is back; 2 of 2 pods run the new template"]);
    assert_eq!(world.images().await, [image("1"), image("1")], "\"done\" was said while an old pod still ran");
    assert_eq!(world.template().await, before);
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
    world.cbctl(&["status"]).await.expect(0, &["cache", "complete"]);
}

#[tokio::test]
async fn a_second_undo_has_nothing_to_do_until_the_template_changes_again() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.deploy_version("2", json!([])).await;
    world.cbctl(&["rollback", "--undo"]).await.expect(0, &["is back"]);
    let version = world.resource_version().await;
    let again = world.cbctl(&["rollback", "--undo"]).await;
    insta::assert_snapshot!(again, @r"
    nothing to do: the last change of the pod template was an undo, which is taken once; 2 of 2 pods run the new template
    ------- stderr -------
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    LIST replicasets
    POST selfsubjectreviews
    ");
    assert_eq!((world.images().await, world.resource_version().await), (vec![image("1"); 2], version));
    world.deploy_version("3", json!([])).await;
    world.cbctl(&["rollback", "--undo"]).await.expect(0, &["is back"]);
    assert_eq!(world.images().await, [image("1"), image("1")]);
}

#[tokio::test]
async fn an_undo_at_once_after_an_undo_has_nothing_to_do_either() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.deploy_version("2", json!([])).await;
    world.cbctl(&["rollback", "--undo", "--no-wait"]).await.expect(0, &["its pods restart now"]);
    world.cbctl(&["rollback", "--undo"]).await.expect(0, &["nothing to do", "2 of 2 pods run the new template"]);
    assert_eq!(world.images().await, [image("1"), image("1")]);
}

#[tokio::test]
async fn a_breaker_that_is_off_stays_off_whatever_the_revision_says() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let before = world.template().await;
    world.deploy_version("2", json!([{"name": FLAGS[0], "value": "false"}])).await;
    let run = world.cbctl(&["rollback", "--undo"]).await;
    run.expect(0, &["is back; 2 of 2", "off, and stay off: CB_CACHE_ENABLED"]);
    assert_eq!(world.images().await, [image("1"), image("1")]);
    assert_eq!(world.flag_in_pods(FLAGS[0]).await, vec![Some("false".to_owned()); 2]);
    let mut wanted = before;
    *wanted.pointer_mut("/spec/containers/0/env/0/value").unwrap() = json!("false");
    assert_eq!(world.template().await, wanted, "everything else is as it was");
    // The same as data, of a check of it.
    world.deploy_version("3", json!([])).await;
    let run = world.cbctl(&["rollback", "--undo", "--dry-run", "-o", "json"]).await;
    assert_eq!((run.json()["result"].clone(), run.json()["kept"].clone()), (json!("dry_run"), Value::Null), "{run}");
}

#[tokio::test]
async fn after_a_rollback_the_revision_before_differs_only_in_what_stays_off() {
    let world = World::promoted_to(&["shadow"]).await;
    world.edit("phases/20-cache.yaml", ", CB_CACHE_OP_TIMEOUT_MS: \"3000\"", "");
    world.promote_through(&["cache"]).await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &[]);
    let run = world.cbctl(&["rollback", "--undo"]).await;
    run.expect(0, &["nothing to do: the revision before differs only in breakers that are off, and stay off"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn without_an_earlier_revision_it_fails_and_says_so() {
    let world = World::new().await;
    let run = world.cbctl(&["rollback", "--undo"]).await;
    insta::assert_snapshot!(run, @r"
    ------- stderr -------
    error: the cluster knows no earlier revision of the pod template that could be brought back

    hint: cbctl rollback --emergency switches every breaker off; how many revisions are kept says spec.revisionHistoryLimit
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    LIST replicasets
    POST selfsubjectreviews
    ");
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|manifest| manifest["spec"]["revisionHistoryLimit"] = json!(0)).await;
    world.promote_through(&["shadow", "cache"]).await;
    let replica_sets = async || {
        let sets: kube::Api<k8s_openapi::api::apps::v1::ReplicaSet> =
            kube::Api::namespaced(world.kube.clone(), &world.namespace);
        (sets.list(&kube::api::ListParams::default()).await.unwrap().items.len() == 1).then_some(())
    };
    crate::harness::until("the old revision is gone", replica_sets).await;
    world.cbctl(&["rollback", "--undo"]).await.expect(1, &["knows no earlier revision"]);
}

#[tokio::test]
async fn a_dry_run_of_either_changes_nothing() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let version = world.resource_version().await;
    for form in ["--undo", "--restart"] {
        let run = world.cbctl(&["rollback", form, "--dry-run"]).await;
        run.expect(0, &["dry run: the API server accepts the change"]);
        assert_eq!(run.dry_runs(), ["DRYRUN deployments/storefront"]);
    }
    assert_eq!(world.resource_version().await, version);
}

#[tokio::test]
async fn an_undo_needs_no_phase_files() {
    for broken in ["phase", "folder"] {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        match broken {
            "phase" => world.write("phases/20-cache.yaml", "name: ["),
            _ => std::fs::remove_dir_all(world.path("phases")).unwrap(),
        }
        let run = world.cbctl(&["rollback", "--undo"]).await;
        run.expect(0, &["warning: ", "revision 1 is back, and the rollout back at shadow, step 1"]);
        assert_eq!(run.stderr.matches("warning: ").count(), 1, "{run}");
        assert_eq!(world.flag(FLAGS[0]).await.as_deref(), Some("false"), "{broken}");
    }
}

#[tokio::test]
async fn either_goes_on_whatever_the_server_answers_for_a_while_and_is_done_once() {
    let acts = [
        ("500", Act::status(500)),
        ("closed", Act::Close),
        ("answer lost", Act::LoseAnswer),
        ("broken off", Act::BreakOff),
    ];
    let cases = acts.into_iter().flat_map(|act| ["--undo", "--restart"].map(|form| (form, act.clone())));
    join_all(cases.map(async |(form, (name, act))| {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        let revision = world.revision().await;
        world.api.on_next(2, "PATCH deployments/storefront", act.clone());
        world.api.on_next(1, "LIST replicasets", act);
        let run = world.cbctl(&["rollback", form, "--timeout", "40s"]).await;
        assert_eq!(run.status, 0, "{form}, {name}:\n{run}");
        assert_eq!(world.revision().await, revision + 1, "{form}, {name}: once\n{run}");
    }))
    .await;
}

impl World {
    async fn revision(&self) -> i64 {
        let annotations = self.deployment().await.metadata.annotations.unwrap();
        annotations["deployment.kubernetes.io/revision"].parse().unwrap()
    }
}

#[tokio::test]
async fn a_restart_replaces_every_pod_and_nothing_else() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let (before, record, old) = (world.template().await, world.record("rollout").await, world.pod_names().await);
    let run = world.cbctl(&["rollback", "--restart"]).await;
    insta::assert_snapshot!(run, @"
    done in AGE: restarted; 2 of 2 pods run the new template
    ------- stderr -------
    restarted: every pod of deployment/storefront is replaced
    [exit status: 0]
    ------- requests -------
    GET deployments/storefront
    LIST pods
    POST selfsubjectreviews
    PATCH deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    PATCH configmaps/cbctl-checkout
    POST events
    ");
    let new = world.pod_names().await;
    assert!(new.is_disjoint(&old), "{old:?} {new:?}");
    assert_eq!(world.record("rollout").await, record);
    let mut after = world.template().await;
    let annotations = after["metadata"]["annotations"].as_object_mut().unwrap();
    let first = annotations.remove(RESTARTED).unwrap();
    if before["metadata"].get("annotations").is_none() {
        after["metadata"].as_object_mut().unwrap().remove("annotations");
    }
    assert_eq!(after, before);

    world.cbctl(&["rollback", "--restart"]).await.expect(0, &["done in AGE: restarted"]);
    assert!(world.pod_names().await.is_disjoint(&new), "twice is twice");
    assert_ne!(world.template().await["metadata"]["annotations"][RESTARTED], first);
    let actions: Vec<Value> = world.history().await.iter().rev().take(2).map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["restart", "restart"]);
}

#[tokio::test]
async fn a_paused_deployment_is_not_restarted() {
    let world = World::promoted_to(&["shadow"]).await;
    world.patch_as_somebody_else(json!({"spec": {"paused": true}})).await;
    let run = world.cbctl(&["rollback", "--restart"]).await;
    run.expect(1, &["error: the deployment is paused: a restart would replace no pod", "hint: kubectl rollout resume"]);
    assert!(run.writes().is_empty(), "{run}");
}

#[tokio::test]
async fn either_is_not_done_while_an_old_pod_is_on_its_way_out() {
    for form in ["--undo", "--restart"] {
        let world = World::empty().await;
        world.write_files(files::UNGATED);
        world
            .deploy(|manifest| {
                manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(10);
                manifest["spec"]["template"]["metadata"]["annotations"][simulated("stop-after")] = json!("3s");
            })
            .await;
        // Its flags are the same, so that only the template tells the pods apart.
        world.deploy_version("2", json!([])).await;
        let old = world.pod_names().await;
        let run = world.cbctl(&["rollback", form]).await;
        run.expect(0, &["2 of 2 pods run the new template"]);
        assert!(world.pod_names().await.is_disjoint(&old), "\"done\" was said while an old pod still ran:\n{run}");
    }
}

#[tokio::test]
async fn an_undo_follows_no_reference_that_an_emergency_overwrote() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.edit("phases/10-shadow.yaml", ", CB_DB_ENABLED: \"false\"", "");
    world.make_config_map("flags", json!({"db": "false"})).await;
    let reference = json!({"configMapKeyRef": {"name": "flags", "key": "db", "optional": false}});
    world.deploy(|manifest| env_of(manifest)[2] = json!({"name": FLAGS[2], "valueFrom": reference})).await;
    world.promote_through(&["shadow", "cache"]).await;
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &[]);
    let after = world.template().await;
    // It may switch the breaker on: whoever wants it back applies it.
    let run = world.cbctl(&["rollback", "--undo"]).await;
    run.expect(0, &["nothing to do"]);
    assert_eq!(world.template().await, after);
}

#[tokio::test]
async fn the_forms_exclude_each_other() {
    let world = World::empty().await;
    let forms: [&[&str]; 5] = [&["--undo"], &["--restart"], &["http"], &["--to", "shadow"], &["--emergency"]];
    for (index, one) in forms.iter().enumerate() {
        for other in &forms[index + 1..] {
            let run = world.cbctl(&[&["rollback"], *one, *other].concat()).await;
            run.expect(2, &["cannot be used with"]);
        }
    }
}
