//! The role in README.md is enough for every command, and each verb of it is needed and named when it is missing.

use futures_util::{StreamExt, stream};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::api::{Api, PostParams};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::harness::run::Run;
use crate::harness::{World, files, repository, required, until};

/// The role as README.md prints it.
pub fn role_of_readme() -> Role {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, section) = readme.split_once("## Permissions").expect("README.md has a section \"Permissions\"");
    let mut blocks = section.split("```yaml").skip(1).map(|block| block.split("```").next().unwrap());
    let role = blocks.find(|block| block.contains("kind: Role\n")).expect("a role is there as YAML");
    serde_saphyr::from_str(role).unwrap()
}

/// A service account that may do what a role says, and its kubeconfig over TLS.
pub async fn account(world: &World, mut role: Role) -> std::path::PathBuf {
    let namespace = &world.namespace;
    let post = PostParams::default();
    role.metadata.name = Some("rollout-engineer".to_owned());
    role.metadata.namespace = None;
    let account = serde_json::from_value(json!({"metadata": {"name": "ci"}})).unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(world.kube.clone(), namespace);
    accounts.create(&post, &account).await.unwrap();
    Api::<Role>::namespaced(world.kube.clone(), namespace).create(&post, &role).await.unwrap();
    let binding = serde_json::from_value(json!({
        "metadata": {"name": "ci"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rollout-engineer"},
        "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": namespace}],
    }));
    Api::<RoleBinding>::namespaced(world.kube.clone(), namespace).create(&post, &binding.unwrap()).await.unwrap();
    until_in_force(world, &role).await;

    let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let token = accounts.create_token_request("ci", &post, &request).await.unwrap().status.unwrap().token;
    let administrator = Kubeconfig::read_from(required("CBCTL_TEST_KUBECONFIG")).unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "staging",
        "clusters": [{"name": "east", "cluster": administrator.clusters[0].cluster}],
        "users": [{"name": "ci", "user": {"token": token}}],
        "contexts": [{"name": "staging", "context": {"cluster": "east", "user": "ci", "namespace": namespace}}],
    });
    world.write("ci.kubeconfig", &kubeconfig.to_string());
    world.path("ci.kubeconfig")
}

/// The API server learns of a role a moment after it is stored.
async fn until_in_force(world: &World, role: &Role) {
    let Some(rule) = role.rules.iter().flatten().next_back() else { return };
    let review: Value = json!({"spec": {
        "user": format!("system:serviceaccount:{}:ci", world.namespace),
        "resourceAttributes": {
            "namespace": world.namespace,
            "group": rule.api_groups.as_ref().unwrap()[0],
            "resource": rule.resources.as_ref().unwrap()[0],
            "verb": rule.verbs[0],
        },
    }});
    until("the role is in force", async || {
        let review: SubjectAccessReview = serde_json::from_value(review.clone()).unwrap();
        let reviews: Api<SubjectAccessReview> = Api::all(world.kube.clone());
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        answer.status.unwrap().allowed.then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_role_of_the_readme_is_enough() {
    let world = World::new().await;
    let kubeconfig = account(&world, role_of_readme()).await;
    world.edit("phases/20-cache.yaml", "requires:\n", "requires:\n  - {signoff: dashboards-reviewed}\n");
    world.edit("phases/10-shadow.yaml", "steps:", "gates: [{check: {http: /readinessz}}]\nsteps:");
    for arguments in [
        &["status"][..],
        &["promote", "shadow"],
        &["sign-off", "dashboards-reviewed"],
        &["pause"],
        &["resume"],
        &["check", "cache"],
        &["rehearse"],
        &["promote", "cache", "--dry-run"],
        &["promote", "cache"],
        &["rollback"],
        &["promote", "cache"],
        &["rollback", "--restart"],
        &["rollback", "cache"],
        &["promote", "cache"],
        &["rollback", "--undo"],
        &["promote", "cache"],
        &["rollback", "--gradual"],
        &["promote", "cache"],
        &["rollback", "--emergency"],
        &["history", "--verify"],
        &["why"],
    ] {
        world.until_healthy().await;
        let run = world.cbctl(arguments).env("KUBECONFIG", &kubeconfig).await;
        assert_eq!(run.status, 0, "{arguments:?}:\n{run}");
        assert!(!run.says("warning") && !run.says("forbidden"), "{arguments:?}:\n{run}");
    }
    let history = world.history().await;
    assert_eq!(history.len(), 15, "{history:#?}");
    let user = format!("system:serviceaccount:{}:ci", world.namespace);
    assert!(history.iter().all(|entry| entry["by"] == user.as_str()), "{history:#?}");
}

#[tokio::test]
async fn the_role_of_the_readme_is_enough_for_a_canary_and_its_router() {
    let world = World::before_a_routed_canary(true).await;
    world.edit("phases/20-cache.yaml", "requires:\n", "requires:\n  - {check: {http: /readinessz}}\n");
    let kubeconfig = account(&world, role_of_readme()).await;
    for arguments in [
        &["rehearse"][..],
        &["promote", "cache"],
        &["status"],
        &["promote", "cache"],
        &["rehearse"],
        &["rollback"],
        &["promote", "cache"],
        &["promote", "cache"],
        &["rollback"],
        &["abort"],
        &["promote", "cache"],
        &["rollback", "cache"],
        &["promote", "cache"],
        &["rollback", "--emergency"],
        &["promote", "cache"],
        &["rollback", "--to", "shadow"],
    ] {
        world.until_healthy().await;
        let run = world.cbctl(arguments).env("KUBECONFIG", &kubeconfig).await;
        assert_eq!(run.status, 0, "{arguments:?}:\n{run}");
        assert!(!run.says("warning") && !run.says("forbidden"), "{arguments:?}:\n{run}");
    }
    world.until_no_canary().await;
}

/// As README.md says that the role can be bound closer.
#[tokio::test]
async fn names_of_objects_are_enough_where_a_verb_knows_them() {
    let world = World::before_a_routed_canary(true).await;
    let mut role = role_of_readme();
    let rules = role.rules.as_mut().unwrap();
    let mut closer = Vec::new();
    for rule in rules.iter_mut() {
        let named = match rule.resources.as_ref().unwrap()[0].as_str() {
            "deployments" => ["storefront", "storefront-canary"],
            "httproutes" => ["public", "public"],
            "configmaps" => ["cbctl-checkout", "cbctl-checkout-1"],
            _ => continue,
        };
        let knows_names = |verb: &String| !["create", "list"].contains(&verb.as_str());
        let (of_names, others): (Vec<String>, Vec<String>) = rule.verbs.drain(..).partition(knows_names);
        closer.push(PolicyRule { verbs: others, ..rule.clone() });
        rule.resource_names = Some(named.map(str::to_owned).to_vec());
        rule.verbs = of_names;
    }
    rules.splice(0..0, closer.into_iter().filter(|rule| !rule.verbs.is_empty()));
    let kubeconfig = account(&world, role).await;
    for arguments in [&["promote", "cache"][..], &["rehearse"], &["promote", "cache"], &["abort"]] {
        world.until_healthy().await;
        let run = world.cbctl(arguments).env("KUBECONFIG", &kubeconfig).await;
        assert_eq!(run.status, 0, "{arguments:?}:\n{run}");
        assert!(!run.says("warning") && !run.says("forbidden"), "{arguments:?}:\n{run}");
    }
}

#[tokio::test]
async fn a_verb_that_is_missing_is_named() {
    let cases = role_of_readme().rules.unwrap_or_default().into_iter().enumerate().flat_map(|(index, rule)| {
        rule.verbs.into_iter().map(move |verb| (index, verb, rule.resources.as_ref().unwrap()[0].clone()))
    });
    // A world each: all at once would be more than a small machine answers in time.
    let runs = stream::iter(cases).map(async |(index, verb, resource)| {
        let mut role = role_of_readme();
        role.rules.as_mut().unwrap()[index].verbs.retain(|other| *other != verb);
        let run = run_without(role, &verb, &resource).await;
        let hint = format!("needs `{verb}` on {resource} in namespace shop");
        // What cannot be written down stops nothing, and one permission lets the other's failure come first.
        match resource.as_str() {
            "configmaps" => {
                run.expect(0, &["warning: cannot write history to configmap \"cbctl-checkout\"", "forbidden", &hint]);
            }
            "events" => {
                run.expect(0, &["warning: cannot write an event on deployment \"storefront\"", "forbidden", &hint]);
            }
            "deployments" if ["create", "delete"].contains(&verb.as_str()) => {
                run.expect(3, &[&hint, "the role in README \"Permissions\" gives it"]);
            }
            "httproutes" | "virtualservices" | "traefikservices" | "ingresses" => {
                run.expect(3, &[&format!("{hint} for public: the role in README \"Permissions\" gives it")]);
            }
            "deployments" | "pods" | "pods/proxy" | "replicasets" => {
                run.expect(1, &[&format!("hint: {hint}"), "the role in README \"Permissions\" gives it"]);
            }
            // What is not seen might be in the way back.
            _ => run.expect(3, &[&format!("{hint}: the role in README \"Permissions\" gives it")]),
        }
    });
    runs.buffer_unordered(6).collect::<()>().await;
}

/// Runs the command that comes across the missing verb.
async fn run_without(role: Role, verb: &str, resource: &str) -> Run {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.deploy(|_| ()).await;
    let arguments: &[&str] = match (resource, verb) {
        ("deployments", "get") | ("pods", "list") => &["status"],
        ("deployments", "patch") => &["rollback", "--emergency"],
        ("deployments", "create" | "delete") => {
            world.write_files(files::STEPPED);
            world.promote_through(&["shadow"]).await;
            &["promote", "cache"]
        }
        ("httproutes" | "virtualservices" | "traefikservices" | "ingresses", "get" | "patch") => {
            world.write_files(files::STEPPED);
            let (kind, services) = match resource {
                "ingresses" => ("ingress", ""),
                several => (several.strip_suffix('s').unwrap(), ", stable: store, canary: store-canary"),
            };
            let declared = format!("traffic: {{{kind}: {{name: public{services}}}, canary_labels: {{track: canary}}}}");
            world.edit("phases/rollout.yaml", "target:", &format!("{declared}\ntarget:"));
            &["rehearse"]
        }
        ("pods/proxy", "get") => {
            world.edit("phases/10-shadow.yaml", "steps:", "gates: [{check: {http: /readinessz}}]\nsteps:");
            world.promote_through(&["shadow"]).await;
            &["check", "cache"]
        }
        ("replicasets", "list") => &["rollback", "--undo"],
        ("configmaps", "create" | "get") | ("events", "create") | (_, "list") => &["promote", "shadow"],
        ("configmaps", "patch") => {
            // There is a history already, so that it has to be patched.
            world.promote_through(&["shadow"]).await;
            &["promote", "cache"]
        }
        _ => panic!("README.md asks for `{verb}` on {resource}, and no test needs it"),
    };
    // A rule without verbs is none.
    let mut role = role;
    role.rules.as_mut().unwrap().retain(|rule| !rule.verbs.is_empty());
    let kubeconfig = account(&world, role).await;
    world.cbctl(arguments).env("KUBECONFIG", &kubeconfig).await
}

#[tokio::test]
async fn an_emergency_needs_nothing_but_patch_to_switch_off_what_it_is_told() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let mut role = role_of_readme();
    role.rules.as_mut().unwrap().truncate(1);
    role.rules.as_mut().unwrap()[0].verbs = vec!["patch".to_owned()];
    let kubeconfig = account(&world, role).await;
    let run = world.cbctl(&["rollback", "--emergency", "--no-wait"]).env("KUBECONFIG", &kubeconfig).await;
    run.expect(1, &["sent   deployment/storefront ", "unknown   deployment/storefront-canary", "hint: needs `get` on"]);
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    let run = world.cbctl(&["rollback", "--emergency", "--timeout", "3s"]).env("KUBECONFIG", &kubeconfig).await;
    run.expect(1, &["not verified in every pod", "forbidden"]);
}
