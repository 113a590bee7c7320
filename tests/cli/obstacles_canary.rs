//! What forbids a canary is found before anything is created: by `promote` and by `rehearse` alike, and the cluster stays
//! as it was.

use futures_util::future::join_all;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::harness::canary::{CANARY, ROUTE};
use crate::harness::proxy::Act;
use crate::harness::run::Run;
use crate::harness::{DEPLOYMENT, World, files, until};
use crate::permissions::{account, role_of_readme};

impl World {
    /// As [`Self::before_a_canary`], with a route for it; `there` says whether it is.
    pub async fn before_a_routed_canary(there: bool) -> Self {
        Self::before_a_canary_behind(ROUTE, async |world| {
            if there {
                let backends =
                    json!([{"name": "store", "port": 80}, {"name": "store-canary", "port": 80, "weight": 0}]);
                let spec = json!({"rules": [{"backendRefs": backends}]});
                world.make("gateway.networking.k8s.io/v1", "HTTPRoute", "public", spec).await;
            }
        })
        .await
    }

    async fn scale_by_autoscaler(&self, name: &str, target: &str) {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": target});
        let spec = json!({"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 20});
        self.make("autoscaling/v2", "HorizontalPodAutoscaler", name, spec).await;
    }
}

/// The same by itself, before a promotion, and before one that would be dry; and nothing is made.
async fn forbids(world: &World, status: i32, pieces: &[&str]) -> Run {
    forbids_as(world, None, status, pieces).await
}

async fn forbids_as(world: &World, kubeconfig: Option<&std::path::Path>, status: i32, pieces: &[&str]) -> Run {
    let version = world.generation().await;
    let found = world.canary().await.map(|canary| canary.metadata.uid);
    let mut last = None;
    for arguments in [&["promote", "cache", "--dry-run"][..], &["promote", "cache"], &["rehearse"]] {
        let run = match kubeconfig {
            Some(kubeconfig) => world.cbctl(arguments).env("KUBECONFIG", kubeconfig).await,
            None => world.cbctl(arguments).await,
        };
        run.expect(status, pieces);
        assert!(run.writes().is_empty(), "{arguments:?}:\n{run}");
        last = Some(run);
    }
    assert_eq!(world.generation().await, version, "nothing was written");
    assert_eq!(world.canary().await.map(|canary| canary.metadata.uid), found, "and none was made");
    last.unwrap()
}

const HELD: &str = "held: cache, step 1 of 3 cannot be entered";

#[tokio::test]
async fn with_nothing_in_its_way_it_says_what_was_tried() {
    let world = World::before_a_canary().await;
    let run = world.cbctl(&["rehearse"]).await;
    insta::assert_snapshot!(run, @"
    passed: nothing is in the way back from cache, step 1 of 3
    passed   rollback --emergency   the API server would take it
    passed   rollback, rollback --to shadow, rollback cache, abort   the API server would take it
    passed   rollback --restart   the API server would take it
    passed   deployment/storefront-canary   can be made
    passed   permissions   admin may get deployments, patch deployments, list pods, list replicasets, get configmaps, create configmaps, patch configmaps, create events, create deployments, get deployments/storefront-canary, patch deployments/storefront-canary, delete deployments/storefront-canary
    passed   time   about 1s, 5m at most: only the canary's pods end
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments
    DRYRUN deployments/storefront
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    GET deployments/storefront-canary
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
    assert!(world.canary().await.is_none(), "it was only tried");
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(0, &["canary and way back rehearsed: 3 requests, about AGE, allowed for admin, nothing in the way"]);
    let run = world.cbctl(&["rehearse"]).await;
    insta::assert_snapshot!(run, @"
    passed: nothing is in the way back from cache, step 2 of 3
    passed   rollback --emergency   the API server would take it
    passed   rollback   the API server would take it
    passed   rollback --to shadow, rollback cache, abort   the API server would take it
    passed   rollback --restart   the API server would take it
    passed   deployment/storefront-canary   can be changed
    passed   deployment/storefront-canary   can be switched off
    passed   deployment/storefront-canary   can be deleted
    passed   permissions   admin may get deployments, patch deployments, list pods, list replicasets, get configmaps, create configmaps, patch configmaps, create events, create deployments, get deployments/storefront-canary, patch deployments/storefront-canary, delete deployments/storefront-canary
    passed   time   about 1s, 5m at most: only the canary's pods end
    [exit status: 0]
    ------- requests -------
    DRYRUN deployments/storefront
    DRYRUN deployments/storefront-canary
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    GET deployments/storefront-canary
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
    let answer = world.cbctl(&["rehearse", "-o", "json"]).await.json();
    let made = json!({"object": "deployment/storefront-canary", "action": "adapt", "accepted": true});
    assert_eq!(answer["canary"][0], made);
    let needed = json!({"verb": "delete", "resource": "deployments", "name": CANARY, "allowed": true});
    assert!(answer["permissions"].as_array().unwrap().contains(&needed), "{answer:#}");
}

#[tokio::test]
async fn a_router_is_tried_as_well() {
    let world = World::before_a_routed_canary(true).await;
    let run = world.cbctl(&["rehearse"]).await;
    let lines = ["passed   httproute/public   can give 33% to the canary", "get httproutes/public"];
    run.expect(0, &lines);
    world.cbctl(&["promote", "cache"]).await.expect(0, &["1 canary pod runs it with 33% of the traffic"]);
    let run = world.cbctl(&["rehearse"]).await;
    let lines = ["httproute/public   can give 50% to the canary", "httproute/public   can get its weights back"];
    run.expect(0, &lines);
}

#[tokio::test]
async fn a_quota_without_room_for_it_holds() {
    join_all(
        [
            (json!({"pods": "2"}), "pods: room for 0 of the 2 more that a canary beside a rollback takes: raise it"),
            (json!({"pods": "3"}), "pods: room for 1 of the 2 more that a canary beside a rollback takes: raise it"),
            (json!({"count/deployments.apps": "1"}), "deployment/storefront-canary   cannot be made: deployments.apps"),
            (
                json!({"count/replicasets.apps": "1"}),
                "count/replicasets.apps: room for 0 of the 1 more that a canary takes",
            ),
        ]
        .map(async |(hard, line)| {
            let world = World::before_a_canary().await;
            world.limit(hard).await;
            forbids(&world, 3, &[HELD, line]).await;
        }),
    )
    .await;
    let world = World::before_a_canary().await;
    world.limit(json!({"pods": "4", "count/deployments.apps": "2"})).await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &["cache, step 1 of 3 is entered"]);
}

#[tokio::test]
async fn an_autoscaler_of_its_name_holds_and_one_of_the_service_is_a_note() {
    let world = World::before_a_canary().await;
    world.scale_by_autoscaler("theirs", CANARY).await;
    let lifts = "would change the number of pods of deployment/storefront-canary: take it away first";
    forbids(&world, 3, &[HELD, "horizontalpodautoscaler/theirs", lifts]).await;

    let world = World::before_a_canary().await;
    world.scale_by_autoscaler("ours", DEPLOYMENT).await;
    let selector = json!({"matchLabels": {"app": "store-pods"}});
    world.make("policy/v1", "PodDisruptionBudget", "ours", json!({"minAvailable": 2, "selector": selector})).await;
    let apart = json!({"matchLabels": {"cbctl.dev/canary": "true"}});
    world.make("policy/v1", "PodDisruptionBudget", "apart", json!({"minAvailable": 1, "selector": apart})).await;
    let notes = [
        "horizontalpodautoscaler/ours   may make it 20 pods",
        "it counts the canary's pods among the stable ones",
        "a rolling update does not ask it; it counts the canary's pods as well",
        "poddisruptionbudget/apart",
    ];
    world.cbctl(&["promote", "cache"]).await.expect(0, &notes);
}

#[tokio::test]
async fn a_policy_that_refuses_it_is_found() {
    const VERSION: &str = "admissionregistration.k8s.io/v1";
    let world = World::before_a_canary().await;
    let name = world.namespace.clone();
    let policy = json!({"metadata": {"name": name}, "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{
            "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"],
        }]},
        "validations": [{"expression": "!object.metadata.name.endsWith('-canary')", "message": "no canaries here"}],
    }});
    let selected = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
    let binding = json!({"metadata": {"name": name}, "spec": {
        "policyName": name, "validationActions": ["Deny"], "matchResources": selected,
    }});
    let kinds = [("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)];
    for (kind, object) in &kinds {
        let mut object: Value = object.clone();
        (object["apiVersion"], object["kind"]) = (json!(VERSION), json!(kind));
        let object = serde_json::from_value(object).unwrap();
        world.objects(VERSION, kind, false).create(&PostParams::default(), &object).await.unwrap();
    }
    until("the policy is in force", async || (world.cbctl(&["rehearse"]).await.status == 3).then_some(())).await;
    let run = forbids(&world, 3, &[HELD, "cannot be made", "no canaries here", "change what refuses it"]).await;
    for (kind, _) in kinds {
        world.objects(VERSION, kind, false).delete(&name, &DeleteParams::default()).await.unwrap();
    }
    insta::assert_snapshot!(run.stdout_with("held"), @r#"
    held: cache, step 1 of 3 cannot be entered
    held   deployment/storefront-canary   cannot be made: deployments.apps "storefront-canary" is forbidden: ValidatingAdmissionPolicy 'shop' with binding 'shop' denied request: no canaries here (422): change what refuses it, before it is needed
    [exit status: 3]
    "#);
}

#[tokio::test]
async fn a_permission_that_it_takes_and_that_is_missing_holds() {
    join_all(["create", "delete"].map(async |verb| {
        let world = World::before_a_canary().await;
        let mut role = role_of_readme();
        for rule in role.rules.as_mut().unwrap() {
            rule.verbs.retain(|other| other != verb || rule.resources.as_ref().unwrap()[0] != "deployments");
        }
        let kubeconfig = account(&world, role).await;
        let needs = format!("needs `{verb}` on deployments in namespace shop");
        forbids_as(&world, Some(&kubeconfig), 3, &[&needs, "the role in README \"Permissions\" gives it"]).await;
    }))
    .await;
}

#[tokio::test]
async fn a_router_that_is_missing_or_not_to_be_changed_holds() {
    let world = World::before_a_routed_canary(false).await;
    forbids(&world, 3, &[HELD, "there is no httproute/public in the namespace (traffic: in rollout.yaml)"]).await;

    let world = World::before_a_routed_canary(true).await;
    let mut role = role_of_readme();
    for rule in role.rules.as_mut().unwrap() {
        rule.verbs.retain(|verb| verb != "patch" || rule.resources.as_ref().unwrap()[0] != "httproutes");
    }
    let kubeconfig = account(&world, role).await;
    let needs = "needs `patch` on httproutes in namespace shop for public";
    forbids_as(&world, Some(&kubeconfig), 3, &[needs]).await;

    let denied = r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "not today", "code": 422}"#;
    world.api.on("DRYRUN httproutes/public", Act::body(422, "application/json", denied));
    forbids(&world, 3, &[HELD, "httproute/public   cannot give 33% to the canary: not today (422)"]).await;
    world.api.on("DRYRUN httproutes/public", Act::status(503));
    let unknown = "whether it can give 33% to the canary is not known: the API server answered 503: try again";
    forbids(&world, 1, &["error: whether cache, step 1 of 3 can be entered could not be looked at", unknown]).await;
}

#[tokio::test]
async fn a_label_that_the_deployment_selects_by_holds() {
    let world = World::empty().await;
    world.write_files(files::STEPPED);
    world.append("phases/rollout.yaml", &format!("traffic: {{{ROUTE}, canary_labels: {{app: canary}}}}\n"));
    world.deploy(|_| ()).await;
    world.promote_through(&["shadow"]).await;
    forbids(&world, 3, &[HELD, "the deployment selects its pods by it: take a label that only the stable"]).await;
}

#[tokio::test]
async fn a_name_that_its_pods_would_cut_short_holds() {
    let long = "storefront-of-the-long-name-in-the-far-east";
    let world = World::empty().await;
    world.write_files(files::STEPPED);
    world.edit("phases/rollout.yaml", "deployment: storefront", &format!("deployment: {long}"));
    world.create(|manifest| manifest["metadata"]["name"] = json!(long)).await;
    until("its pods are ready", async || (world.cbctl(&["promote", "shadow"]).await.status == 0).then_some(())).await;
    for arguments in [&["promote", "cache"][..], &["rehearse"]] {
        let run = world.cbctl(arguments).await;
        run.expect(3, &[HELD, &format!("the canary would be called {long}-canary, 50 characters")]);
        assert!(run.writes().is_empty(), "{run}");
    }
}

#[tokio::test]
async fn somebody_elses_deployment_of_its_name_holds() {
    let world = World::before_a_canary().await;
    world.add_a_canary(1, &[]).await;
    forbids(&world, 3, &[HELD, "deployment/storefront-canary is there and was not made by cbctl"]).await;
}

#[tokio::test]
async fn so_few_pods_that_the_share_is_another_hold() {
    let world = World::before_a_canary().await;
    world.edit("phases/20-cache.yaml", "{expose: {pods: 1}, bake: 0s}", "{expose: {traffic: 10%}, bake: 0s}");
    forbids(&world, 3, &[HELD, "10% of the traffic cannot be had by pods: 1 beside 2 would get 33%"]).await;
}
