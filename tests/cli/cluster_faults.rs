//! An API server that cannot be reached, does not let us, or does not have what we look for.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;

use crate::harness::cluster::{alice, client_of};
use crate::harness::proxy::{Act, Journal, Proxy};
use crate::harness::{World, files, required};

/// One of each, as short as it can be.
const COMMANDS: [&[&str]; 5] = [
    &["status"],
    &["check", "cache"],
    &["promote", "cache"],
    &["rollback", "--timeout", "3s"],
    &["rollback", "--emergency", "--timeout", "3s"],
];

#[tokio::test]
async fn no_kubeconfig() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    for arguments in COMMANDS {
        let run = world.cbctl(arguments).without("KUBECONFIG").await;
        run.expect(1, &["error: cannot find out which cluster to talk to", "hint: set KUBECONFIG"]);
        assert!(run.stdout.is_empty(), "{run}");
    }
    insta::assert_snapshot!(world.cbctl(&["status"]).env("KUBECONFIG", "nowhere").await, @r#"
    ------- stderr -------
    error: cannot find out which cluster to talk to
      caused by: failed to read kubeconfig from '"nowhere"': No such file or directory (os error 2)

    hint: set KUBECONFIG, or name one of the kubeconfig's contexts with --context
    [exit status: 1]
    "#);
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.write("broken", "apiVersion: v1\nclusters: [");
    world.cbctl(&["status"]).env("KUBECONFIG", "broken").await.expect(1, &["cannot find out which cluster to talk to"]);
    let run = world.cbctl(&["status", "--context", "production"]).await;
    run.expect(1, &["cannot find out which cluster to talk to", "production", "--context"]);
}

#[tokio::test]
async fn nobody_listens() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let kubeconfig = world.kubeconfig_for(&url);
    for arguments in COMMANDS {
        let run = world.cbctl(arguments).env("KUBECONFIG", &kubeconfig).await;
        run.expect(1, &["error: cannot ", "refused", "hint: is the API server up, and is this the right --context?"]);
        assert!(run.stdout.is_empty(), "{run}");
    }
    insta::assert_snapshot!(world.cbctl(&["status"]).env("KUBECONFIG", &kubeconfig).await, @r#"
    ------- stderr -------
    error: cannot read deployment "storefront" in namespace "shop"
      caused by: http://127.0.0.1:PORT: Connection refused (os error 111)

    hint: is the API server up, and is this the right --context?
    [exit status: 1]
    "#);
}

#[tokio::test]
async fn answers_that_an_api_server_does_not_give() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    for (name, act, reason) in [
        ("closed", Act::Close, "error: cannot read deployment"),
        ("HTML", Act::body(200, "text/html", "<html>maintenance</html>"), "not what the API server should say"),
        ("truncated", Act::body(200, "application/json", "{\"kind\": \"Deplo"), "not what the API server should say"),
        ("500", Act::status(500), "the API server answered 500"),
        ("503 with HTML", Act::body(503, "text/html", "<html>"), "the API server answered 503"),
        ("302", Act::status(302), "the API server answered 302"),
    ] {
        let proxy = Proxy::before_api_server(world.kube.clone(), &Journal::default()).await;
        proxy.on("", act);
        let run = world.cbctl(&["status"]).api(&world, &proxy).await;
        assert_eq!(run.status, 1, "{name}:\n{run}");
        assert!(run.stderr.contains(reason) && run.stdout.is_empty(), "{name}:\n{run}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for_for_ever() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.api.on("", Act::Delay(Duration::from_secs(60)));
    let run = world.cbctl(&["status"]).await;
    run.expect(1, &["error: cannot read deployment \"storefront\"", "caused by: no answer within 10s"]);
}

#[tokio::test]
async fn works_over_tls_with_a_client_certificate() {
    let world = World::promoted_to(&["shadow"]).await;
    let kubeconfig = required("CBCTL_TEST_KUBECONFIG");
    let with_tls = |arguments: &[&str]| {
        world.cbctl(&[arguments, &["-n", &world.namespace]].concat()).env("KUBECONFIG", &kubeconfig)
    };
    with_tls(&["status"]).await.expect(0, &["storefront in shop"]);
    with_tls(&["promote", "cache"]).await.expect(0, &["cache, step 1 of 1 is entered"]);
    with_tls(&["rollback", "--emergency"]).await.expect(0, &["every breaker is off"]);
    assert!(world.prometheus.journal.take().iter().all(|seen| !seen.line.contains("deployments")), "not by the proxy");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    let kubeconfig = std::fs::read_to_string(required("CBCTL_TEST_KUBECONFIG")).unwrap();
    let authority = regex::Regex::new("certificate-authority-data: ?[^,}\\s]+,?").unwrap();
    assert!(authority.is_match(&kubeconfig), "{kubeconfig}");
    world.write("stranger", &authority.replace(&kubeconfig, ""));
    let run = world.cbctl(&["status"]).env("KUBECONFIG", "stranger").await;
    run.expect(1, &["error: cannot ", "ertificate"]);
}

#[tokio::test]
async fn credentials_that_have_expired() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    let expired = std::path::Path::new(&required("CBCTL_TEST_DIR")).join("expired.kubeconfig");
    for arguments in COMMANDS {
        let run = world.cbctl(&[arguments, &["-n", &world.namespace]].concat()).env("KUBECONFIG", &expired).await;
        run.expect(1, &["error: cannot ", "hint: the credentials are missing, wrong or expired: log in again"]);
        assert!(run.stdout.is_empty(), "{run}");
    }
}

#[tokio::test]
async fn a_user_without_rights() {
    let world = World::promoted_to(&["shadow"]).await;
    let proxy = Proxy::before_api_server(alice().await, &Journal::default()).await;
    let mut shown = String::new();
    for arguments in COMMANDS {
        let run = world.cbctl(arguments).api(&world, &proxy).await;
        assert!(run.stdout.is_empty(), "{run}");
        let is_emergency = arguments.contains(&"--emergency");
        let run = if is_emergency { run.apart_from("GET deployments/storefront-canary") } else { run };
        writeln!(shown, "$ cbctl {}\n{run}\n", arguments.join(" ")).unwrap();
    }
    insta::assert_snapshot!(shown, @r#"
    $ cbctl status
    ------- stderr -------
    error: cannot read deployment "storefront" in namespace "shop"
      caused by: deployments.apps "storefront" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" in the namespace "shop" (403)

    hint: needs `get` on deployments in namespace shop: the role in README "Permissions" gives it
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront

    $ cbctl check cache
    ------- stderr -------
    error: cannot read deployment "storefront" in namespace "shop"
      caused by: deployments.apps "storefront" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" in the namespace "shop" (403)

    hint: needs `get` on deployments in namespace shop: the role in README "Permissions" gives it
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront

    $ cbctl promote cache
    ------- stderr -------
    error: cannot read deployment "storefront" in namespace "shop"
      caused by: deployments.apps "storefront" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" in the namespace "shop" (403)

    hint: needs `get` on deployments in namespace shop: the role in README "Permissions" gives it
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront
    POST selfsubjectreviews

    $ cbctl rollback --timeout 3s
    ------- stderr -------
    error: cannot read deployment "storefront" in namespace "shop"
      caused by: deployments.apps "storefront" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" in the namespace "shop" (403)

    hint: needs `get` on deployments in namespace shop: the role in README "Permissions" gives it
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront
    POST selfsubjectreviews

    $ cbctl rollback --emergency --timeout 3s
    ------- stderr -------
    warning: cannot read deployment "storefront-canary" in namespace "shop"
      caused by: deployments.apps "storefront-canary" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" in the namespace "shop" (403)
    error: cannot patch deployment "storefront" in namespace "shop"
      caused by: deployments.apps "storefront" is forbidden: User "alice" cannot patch resource "deployments" in API group "apps" in the namespace "shop" (403)

    hint: needs `patch` on deployments in namespace shop: the role in README "Permissions" gives it
    [exit status: 1]
    ------- requests -------
    PATCH deployments/storefront
    "#);
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}

#[tokio::test]
async fn no_such_deployment() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    insta::assert_snapshot!(world.cbctl(&["check", "cache"]).await, @r#"
    ------- stderr -------
    error: cannot read deployment "storefront" in namespace "shop"
      caused by: deployments.apps "storefront" not found (404)

    hint: check `target` in rollout.yaml, and the namespace (-n) and cluster (--context)
    [exit status: 1]
    ------- requests -------
    GET deployments/storefront
    "#);
    for arguments in COMMANDS {
        world
            .cbctl(arguments)
            .await
            .expect(1, &["deployments.apps \"storefront\" not found (404)", "hint: check `target`"]);
    }
}

#[tokio::test]
async fn no_such_container() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.edit("phases/rollout.yaml", "container: web", "container: wbe");
    world.deploy(|_| ()).await;
    for arguments in COMMANDS.iter().take(4) {
        let run = world.cbctl(arguments).await;
        run.expect(2, &["has no container \"wbe\", but \"web\"", "hint: name it in rollout.yaml"]);
    }
    let run = world.cbctl(COMMANDS[4]).await;
    run.expect(1, &["error: cannot patch deployment \"storefront\""]);
    assert_eq!(world.deployment().await.spec.unwrap().template.spec.unwrap().containers.len(), 1, "none was added");
}

#[tokio::test]
async fn two_containers_and_none_is_named() {
    let world = World::empty().await;
    world.write_files(files::UNGATED);
    world.edit("phases/rollout.yaml", ", container: web", "");
    world
        .deploy(|manifest| {
            let containers = manifest["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
            containers.push(json!({"name": "sidecar", "image": "registry.invalid/proxy:1"}));
        })
        .await;
    for arguments in COMMANDS {
        let run = world.cbctl(arguments).await;
        run.expect(
            2,
            &["has several containers (\"web\", \"sidecar\") and none is named", "hint: name it in rollout.yaml"],
        );
        assert!(run.writes().is_empty(), "{run}");
    }
}

#[tokio::test]
async fn a_closed_pipe_does_not_change_the_exit_code() {
    let world = World::promoted_to(&["shadow"]).await;
    world.cbctl(&["status"]).with_closed_stdout().await.expect(0, &[]);
    world.cbctl(&["check", "http"]).with_closed_stdout().await.expect(3, &[]);
    world.cbctl(&["--help"]).with_closed_stdout().await.expect(0, &[]);
    world.cbctl(&["completions", "bash"]).with_closed_stdout().await.expect(0, &[]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_shown_and_holds() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.patch_as_somebody_else(json!({"metadata": {"annotations": {"cbctl.dev/rollout": "{\"place\": 7}"}}})).await;
    world.until_healthy().await;
    world.cbctl(&["status"]).await.expect(0, &["warning: the recorded position cannot be read"]);
    world.cbctl(&["promote", "http"]).await.expect(3, &["the recorded position cannot be read", "--adopt"]);
    world.cbctl(&["rollback", "--emergency"]).await.expect(0, &["every breaker is off"]);
}

#[tokio::test]
async fn a_service_without_pods_proves_nothing() {
    let world = World::empty().await;
    world.write_files(files::GATED);
    world.deploy(|manifest| manifest["spec"]["replicas"] = json!(0)).await;
    world.cbctl(&["promote", "shadow"]).await.expect(0, &[]);
    let run = world.cbctl(&["check", "cache"]).await;
    run.expect(4, &["no pod to judge: the deployment has no replicas"]);
}

#[tokio::test]
async fn the_user_of_the_kubeconfig_is_the_one_on_record() {
    let world = World::promoted_to(&["shadow"]).await;
    let bob = client_of(&std::path::Path::new(&required("CBCTL_TEST_DIR")).join("bob.kubeconfig")).await;
    let proxy = Proxy::before_api_server(bob, &Journal::default()).await;
    // Bob may not look, but the API server says who he is.
    let run = world.cbctl(&["promote", "cache"]).api(&world, &proxy).await;
    run.expect(1, &["User \"bob\" cannot"]);
    assert_eq!(world.record("rollout").await.unwrap()["by"], "admin");
}
