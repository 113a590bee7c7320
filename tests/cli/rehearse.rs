//! `cbctl rehearse`, and the same before a promotion: whatever would stop, undo or slow down a rollback is found before
//! it is needed, and nothing is written.

use futures_util::future::join_all;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::harness::cluster::{annotate, simulated};
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::{CONTAINER, DEPLOYMENT, FLAGS, World, files, until};

/// The same finding by itself and before a promotion to the cache's phase, which does not happen.
async fn finds(world: &World, status: i32, pieces: &[&str]) {
    let version = world.generation().await;
    for arguments in [&["rehearse"][..], &["promote", "cache"], &["promote", "cache", "--dry-run"]] {
        let run = world.cbctl(arguments).await;
        run.expect(status, pieces);
        assert!(run.writes().is_empty(), "{arguments:?}:\n{run}");
    }
    assert_eq!(world.generation().await, version, "nothing was written");
}

impl World {
    /// It grows with every write to the spec or to an annotation, and not with the controller's to the status.
    pub async fn generation(&self) -> Option<i64> {
        self.deployment().await.metadata.generation
    }

    /// Objects of any kind, in this namespace or of the whole cluster.
    pub fn objects(&self, version: &str, kind: &str, namespaced: bool) -> Api<DynamicObject> {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespaced {
            true => Api::namespaced_with(self.kube.clone(), &self.namespace, &resource),
            false => Api::all_with(self.kube.clone(), &resource),
        }
    }

    pub async fn make(&self, version: &str, kind: &str, name: &str, spec: Value) {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).unwrap();
        self.objects(version, kind, true).create(&PostParams::default(), &object).await.unwrap();
    }

    /// A quota that the controller has counted.
    pub async fn limit(&self, hard: Value) {
        self.make("v1", "ResourceQuota", "compute", json!({"hard": hard})).await;
        until("the quota is counted", async || {
            let quota = self.objects("v1", "ResourceQuota", true).get("compute").await.unwrap();
            quota.data["status"]["used"].is_object().then_some(())
        })
        .await;
    }

    /// What `kubectl apply` would have left.
    async fn applied_last(&self, env: Value) {
        let manifest = json!({"spec": {"template": {"spec": {"containers": [{"name": CONTAINER, "env": env}]}}}});
        let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": manifest.to_string()});
        self.patch_as_somebody_else(json!({"metadata": {"annotations": annotations}})).await;
    }
}

#[tokio::test]
async fn with_nothing_in_the_way_it_says_what_was_tried() {
    let world = World::promoted_to(&["shadow"]).await;
    let version = world.generation().await;
    let run = world.cbctl(&["rehearse"]).await;
    insta::assert_snapshot!(run, @"
    passed: nothing is in the way back from cache, step 1 of 1
    passed   rollback --emergency   the API server would take it
    passed   rollback, rollback --to shadow, rollback cache   the API server would take it
    passed   rollback --undo   the API server would take it
    passed   rollback --restart   the API server would take it
    passed   permissions   admin may get deployments, patch deployments, list pods, list replicasets, get configmaps, create configmaps, patch configmaps, create events
    passed   time   about AGE, 5m at most: 2 waves of AGE
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    ");
    assert_eq!(world.generation().await, version);
    assert_eq!(world.history().await.len(), 1, "a rehearsal is no event");
}

#[tokio::test]
async fn as_json_it_is_one_document() {
    let world = World::promoted_to(&["shadow"]).await;
    let answer = world.cbctl(&["rehearse", "-o", "json"]).await.json();
    assert_eq!((&answer["schema"], &answer["kind"]), (&json!(1), &json!("rehearsal")));
    assert_eq!((&answer["outcome"], &answer["exit"], &answer["by"]), (&json!("passed"), &json!(0), &json!("admin")));
    assert_eq!(answer["requests"][0], json!({"commands": ["rollback --emergency"], "accepted": true}));
    assert_eq!(answer["permissions"][1], json!({"verb": "patch", "resource": "deployments", "allowed": true}));
    assert_eq!((&answer["within_seconds"], &answer["course"]["waves"]), (&json!(300.0), &json!(2)));
    world.patch_as_somebody_else(json!({"spec": {"paused": true}})).await;
    let run = world.cbctl(&["rehearse", "-o", "json"]).await;
    let finding = &run.json()["findings"][0];
    assert_eq!((run.status, &finding["outcome"], &finding["reason"]), (3, &json!("held"), &json!("obstacle")));
}

#[tokio::test]
async fn sends_the_very_patches_that_the_rollbacks_would() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let rehearsed = world.cbctl(&["rehearse"]).await;
    rehearsed.expect(0, &["nothing is in the way back from http, step 1 of 1"]);
    let patch_of = |run: &Run, verb: &str| -> Vec<Value> {
        let of_verb = run.requests.iter().filter(|seen| seen.line == format!("{verb} deployments/{DEPLOYMENT}"));
        let without_version = of_verb.map(|seen| {
            let mut patch = seen.json();
            patch["metadata"] = Value::Null;
            patch
        });
        without_version.collect()
    };
    let rehearsed = patch_of(&rehearsed, "DRYRUN");
    world.promote_through(&["http"]).await;
    for arguments in [&["rollback", "http"][..], &["rollback", "--to", "shadow"], &["rollback", "--emergency"]] {
        let run = world.cbctl(arguments).await;
        run.expect(0, &[]);
        let sent = patch_of(&run, "PATCH").remove(0);
        assert!(rehearsed.contains(&sent), "{arguments:?} sends\n{sent}\nand rehearsed was\n{rehearsed:#?}");
        world.promote_through(&if arguments[1] == "http" { vec!["http"] } else { vec!["cache", "http"] }).await;
    }
}

#[tokio::test]
async fn needs_no_prometheus_and_judges_no_gate() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.deploy(|_| ()).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    world.until_healthy().await;
    let run = world.cbctl(&["rehearse"]).without("CBCTL_PROMETHEUS").await;
    run.expect(0, &["passed: nothing is in the way back from cache, step 1 of 1"]);
    assert!(run.queries().is_empty(), "{run}");
}

#[tokio::test]
async fn a_last_phase_is_rehearsed_as_it_is() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    let run = world.cbctl(&["rehearse"]).await;
    run.expect(0, &["nothing is in the way back from http", "rollback --to shadow, rollback cache", "rollback http"]);
}

#[tokio::test]
async fn a_policy_that_refuses_to_switch_off_is_found_before_it_is_needed() {
    const VERSION: &str = "admissionregistration.k8s.io/v1";
    let world = World::promoted_to(&["shadow"]).await;
    let name = world.namespace.clone();
    let expression = format!(
        "!object.spec.template.spec.containers.exists(c, has(c.env) && \
         c.env.exists(e, e.name == '{}' && has(e.value) && e.value == 'false'))",
        FLAGS[0]
    );
    let policy = json!({"metadata": {"name": name}, "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{
            "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"],
        }]},
        "validations": [{"expression": expression, "message": "the cache's breaker has to be on"}],
    }});
    let selected = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
    let binding = json!({"metadata": {"name": name}, "spec": {
        "policyName": name, "validationActions": ["Deny"], "matchResources": selected,
    }});
    let kinds = [("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)];
    for (kind, object) in &kinds {
        let mut object = object.clone();
        (object["apiVersion"], object["kind"]) = (json!(VERSION), json!(kind));
        let object = serde_json::from_value(object).unwrap();
        world.objects(VERSION, kind, false).create(&PostParams::default(), &object).await.unwrap();
    }
    // Switched on, so that only the way back is refused.
    until("the policy is in force", async || {
        let run = world.cbctl(&["rehearse"]).await;
        (run.status == 3).then_some(())
    })
    .await;
    let version = world.generation().await;
    let run = world.cbctl(&["promote", "cache"]).await;
    for (kind, _) in kinds {
        world.objects(VERSION, kind, false).delete(&name, &DeleteParams::default()).await.unwrap();
    }
    insta::assert_snapshot!(run, @r#"
    held: the way back from cache, step 1 of 1 is barred
    held   rollback --emergency   refused: deployments.apps "storefront" is forbidden: ValidatingAdmissionPolicy 'shop' with binding 'shop' denied request: the cache's breaker has to be on (422): change what refuses it, before it is needed
    held   rollback, rollback --to shadow, rollback cache   refused: deployments.apps "storefront" is forbidden: ValidatingAdmissionPolicy 'shop' with binding 'shop' denied request: the cache's breaker has to be on (422): change what refuses it, before it is needed
    held   rollback --undo   refused: deployments.apps "storefront" is forbidden: ValidatingAdmissionPolicy 'shop' with binding 'shop' denied request: the cache's breaker has to be on (422): change what refuses it, before it is needed
    held   rollback --restart   refused: deployments.apps "storefront" is forbidden: ValidatingAdmissionPolicy 'shop' with binding 'shop' denied request: the cache's breaker has to be on (422): change what refuses it, before it is needed
    passed   permissions   admin may get deployments, patch deployments, list pods, list replicasets, get configmaps, create configmaps, patch configmaps, create events
    passed   time   about AGE, 5m at most: 2 waves of AGE
    [exit status: 3]
    ------- requests -------
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST canaries
    LIST horizontalpodautoscalers
    LIST poddisruptionbudgets
    LIST pods
    LIST replicasets
    LIST resourcequotas
    LIST rollouts
    POST selfsubjectaccessreviews
    POST selfsubjectreviews
    "#);
    assert_eq!(world.generation().await, version);
}

#[tokio::test]
async fn a_quota_without_room_holds_unless_old_pods_go_first() {
    let world = World::promoted_to(&["shadow"]).await;
    world.limit(json!({"pods": "2"})).await;
    finds(&world, 3, &["held   resourcequota/compute   pods: no room for one more pod: raise it, or let old ones go"])
        .await;

    let world = World::empty().await;
    world.write_files(files::UNGATED);
    let old_first = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
    world.deploy(|manifest| manifest["spec"]["strategy"] = old_first).await;
    world.promote_through(&["shadow", "cache"]).await;
    world.limit(json!({"pods": "2"})).await;
    world.cbctl(&["rehearse"]).await.expect(0, &["passed: nothing is in the way back from http"]);
}

#[tokio::test]
async fn a_quota_with_room_for_a_part_of_the_surge_is_a_note() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    let rolling = json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}});
    world.deploy(|manifest| manifest["spec"]["strategy"] = rolling).await;
    world.promote_through(&["shadow"]).await;
    world.limit(json!({"pods": "3"})).await;
    let slower = "note   resourcequota/compute   pods: room for 1 of the 2 pods that a rolling update adds: slower";
    world.cbctl(&["rehearse"]).await.expect(0, &[slower]);
}

#[tokio::test]
async fn a_quota_on_what_the_pods_do_not_ask_for_holds() {
    let world = World::promoted_to(&["shadow"]).await;
    world.limit(json!({"requests.cpu": "10"})).await;
    finds(&world, 3, &["counts requests.cpu, which not every container asks for: no new pod is let in"]).await;
}

#[tokio::test]
async fn what_the_next_apply_would_undo() {
    let world = World::promoted_to(&["shadow"]).await;
    world.applied_last(json!([{"name": FLAGS[0], "value": "true"}])).await;
    let again =
        "the next kubectl apply sets CB_CACHE_ENABLED to true again: apply a manifest without it, or with \"false\"";
    finds(&world, 3, &[again]).await;
    world.applied_last(json!([{"name": FLAGS[0], "value": "false"}, {"name": FLAGS[1], "value": "false"}])).await;
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(0, &["the next kubectl apply takes the promotion back: CB_CACHE_ENABLED"]);
    assert!(!run.says("back: CB_CACHE_ENABLED, "), "the other one is off anyway:\n{run}");
}

#[tokio::test]
async fn a_paused_deployment_holds() {
    let world = World::promoted_to(&["shadow"]).await;
    world.patch_as_somebody_else(json!({"spec": {"paused": true}})).await;
    finds(&world, 3, &["the deployment is paused: kubectl rollout resume"]).await;
}

#[tokio::test]
async fn a_way_back_that_takes_too_long_holds() {
    let world = World::promoted_to(&["shadow"]).await;
    world.edit("phases/rollout.yaml", "target:", "rollback_within: 1s\ntarget:");
    let lifts = ["raise maxSurge, make pods ready sooner, or raise rollback_within", "(2 waves of", "1s at most"];
    finds(&world, 3, &lifts).await;
    world.edit("phases/rollout.yaml", "rollback_within: 1s", "rollback_within: 1m");
    world.cbctl(&["promote", "cache"]).await.expect(0, &["way back rehearsed: 4 requests"]);
}

#[tokio::test]
async fn without_a_ready_pod_the_time_is_not_known_yet() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.create(|manifest| annotate(manifest, &simulated("ready"), "false")).await;
    until("the pods are there", async || (world.pods().await.len() == 2).then_some(())).await;
    let run = world.cbctl(&["rehearse"]).await;
    run.expect(4, &["waiting   time   no pod tells how long it takes to be ready: once one is ready it does"]);
}

#[tokio::test]
async fn what_does_not_stop_a_rollback_is_a_note() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world
        .deploy(|manifest| {
            manifest["spec"]["strategy"] = json!({"type": "Recreate"});
            manifest["metadata"]["labels"] = json!({"argocd.argoproj.io/instance": "shop"});
        })
        .await;
    let of = |name: &str| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    for (name, target) in [("ours", DEPLOYMENT), ("theirs", "other")] {
        let spec = json!({"scaleTargetRef": of(target), "minReplicas": 1, "maxReplicas": 20});
        world.make("autoscaling/v2", "HorizontalPodAutoscaler", name, spec).await;
    }
    for (name, label) in [("ours", "store-pods"), ("theirs", "other")] {
        let spec = json!({"minAvailable": 2, "selector": {"matchLabels": {"app": label}}});
        world.make("policy/v1", "PodDisruptionBudget", name, spec).await;
    }
    let run = world.cbctl(&["rehearse"]).await;
    run.expect(
        0,
        &[
            "note   horizontalpodautoscaler/ours   may make it 20 pods: then about",
            "note   poddisruptionbudget/ours   lets 0 pods be evicted: a rolling update does not ask it",
            "note   deployment/storefront   strategy Recreate: every change, a rollback too, stops all pods at once",
            "Argo CD manages it and owns none of the flags: keep them out of what it applies",
        ],
    );
    assert!(!run.says("theirs"), "of others nothing is told:\n{run}");
    world.cbctl(&["promote", "shadow"]).await.expect(0, &["way back rehearsed", "stops all pods at once"]);
}

/// The kinds are not installed in the test cluster, and one definition would be seen by every test.
#[tokio::test]
async fn another_rollout_controller_of_the_same_deployment_holds() {
    let reference = |name: &str| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    for (resource, field, line) in [
        ("rollouts", "workloadRef", "rollouts/web   steers deployment/storefront as well: take it away first"),
        ("canaries", "targetRef", "canaries/web   steers deployment/storefront as well: take it away first"),
    ] {
        let world = World::promoted_to(&["shadow"]).await;
        let answer = |deployment: &str| {
            let object = json!({"metadata": {"name": "web"}, "spec": {field: reference(deployment)}});
            let list = json!({"apiVersion": "example.com/v1", "kind": "List", "metadata": {}, "items": [object]});
            Act::body(200, "application/json", &list.to_string())
        };
        world.api.on(&format!("LIST {resource}"), answer(DEPLOYMENT));
        finds(&world, 3, &[line]).await;
        world.api.on(&format!("LIST {resource}"), answer("another"));
        world.cbctl(&["rehearse"]).await.expect(0, &[]);
    }
}

#[tokio::test]
async fn whatever_cannot_be_looked_at_lets_nothing_go_on() {
    let lists = ["LIST resourcequotas", "LIST poddisruptionbudgets", "LIST horizontalpodautoscalers", "LIST rollouts"];
    let asked = lists.into_iter().chain(["LIST canaries", "POST selfsubjectaccessreviews", "DRYRUN deployments"]);
    join_all(asked.map(async |line| {
        let world = World::promoted_to(&["shadow"]).await;
        world.api.on(line, Act::status(503));
        finds(&world, 1, &["error: not all of the way back from cache, step 1 of 1 could be looked at", "try again"])
            .await;
        world.api.on(line, Act::Close);
        world.cbctl(&["rehearse"]).await.expect(1, &["try again"]);
        world.api.repair();
        world.cbctl(&["promote", "cache"]).await.expect(0, &[]);
    }))
    .await;
}

#[tokio::test]
async fn a_verb_that_the_server_would_not_allow_is_named() {
    let verbs = [("get", "deployments"), ("patch", "deployments"), ("list", "pods")];
    let verbs = verbs.into_iter().chain([("create", "configmaps"), ("patch", "configmaps")]);
    join_all(verbs.enumerate().map(async |(index, (verb, resource))| {
        let world = World::promoted_to(&["shadow"]).await;
        let (verb_denied, resource_denied) = (verb.to_owned(), resource.to_owned());
        let denied = Act::alter(move |review| {
            let asked = &review["spec"]["resourceAttributes"];
            if asked["verb"] == verb_denied.as_str() && asked["resource"] == resource_denied.as_str() {
                review["status"] = json!({"allowed": false});
            }
        });
        world.api.on("POST selfsubjectaccessreviews", denied);
        let needs =
            format!("needs `{verb}` on {resource} in namespace shop: the role in README \"Permissions\" gives it");
        if index < 3 {
            finds(&world, 3, &["the way back from cache, step 1 of 1 is barred", &needs]).await;
        } else {
            world.cbctl(&["promote", "cache"]).await.expect(0, &[&needs, "or nothing remembers a rollback"]);
        }
    }))
    .await;
}

#[tokio::test]
async fn the_cluster_that_moves_in_between_is_a_conflict() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on("DRYRUN deployments/storefront", world.somebody_writes_first());
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(6, &["somebody changed the deployment meanwhile"]);
    assert!(run.writes().is_empty() && run.stdout.is_empty(), "{run}");
}
