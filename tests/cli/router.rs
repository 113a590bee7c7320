//! What divides the traffic while a canary runs: the objects of all four kinds after every step, what others write into
//! them in between, and what becomes of a canary whose router is in the way of taking it back.

use futures_util::future::join_all;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::World;
use crate::harness::canary::ROUTE;
use crate::harness::proxy::Act;
use crate::harness::run::Run;

const FLAG: &str = "CB_CACHE_ENABLED";

/// An object that divides traffic.
struct Router {
    version: &'static str,
    kind: &'static str,
    /// As in `traffic:`.
    declared: &'static str,
    /// Where its lists of backends, or its annotations, are.
    places: &'static [&'static str],
    made: fn() -> Value,
}

const NAME: &str = "public";

const HTTP_ROUTE: Router = Router {
    version: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    declared: ROUTE,
    places: &["/spec/rules/0/backendRefs", "/spec/rules/1/backendRefs"],
    made: || {
        let slow = json!([{"path": {"type": "PathPrefix", "value": "/slow"}}]);
        json!({"spec": {"hostnames": ["store.example.org"], "rules": [
            {"backendRefs": [{"name": "store", "port": 80}], "timeouts": {"request": "3s"}},
            {"matches": slow, "backendRefs": [{"name": "store", "port": 80, "weight": 9}, {"name": "api", "port": 80, "weight": 1}]},
        ]}})
    },
};

const VIRTUAL_SERVICE: Router = Router {
    version: "networking.istio.io/v1",
    kind: "VirtualService",
    declared: "virtualservice: {name: public, stable: store, canary: store-canary}",
    places: &["/spec/http/0/route"],
    made: || {
        json!({"spec": {"hosts": ["store.example.org"], "http": [
            {"route": [{"destination": {"host": "store"}}], "timeout": "3s"},
        ]}})
    },
};

const TRAEFIK_SERVICE: Router = Router {
    version: "traefik.io/v1alpha1",
    kind: "TraefikService",
    declared: "traefikservice: {name: public, stable: store, canary: store-canary}",
    places: &["/spec/weighted/services"],
    made: || {
        json!({"spec": {"weighted": {
            "services": [{"name": "store", "port": 80, "weight": 3}, {"name": "store-canary", "port": 80, "weight": 0}],
            "sticky": {"cookie": {"name": "backend"}},
        }}})
    },
};

const INGRESS: Router = Router {
    version: "networking.k8s.io/v1",
    kind: "Ingress",
    declared: "ingress: {name: public}",
    places: &["/metadata/annotations"],
    made: || {
        let backend = json!({"service": {"name": "store-canary", "port": {"number": 80}}});
        json!({
            "metadata": {"annotations": {"team": "store"}},
            "spec": {"ingressClassName": "nginx", "defaultBackend": backend},
        })
    },
};

/// What of it its owner wrote.
fn owned(object: &DynamicObject) -> Value {
    json!({"annotations": object.metadata.annotations, "spec": object.data["spec"]})
}

impl World {
    /// A service with a router, before a phase with a step of one pod, one of half the traffic, and everything.
    async fn before_a_canary_of(router: &Router) -> Self {
        Self::before_a_canary_behind(router.declared, async |world| {
            let mut made = (router.made)();
            made["metadata"]["name"] = json!(NAME);
            (made["apiVersion"], made["kind"]) = (json!(router.version), json!(router.kind));
            let made = serde_json::from_value(made).unwrap();
            world.routers(router).create(&PostParams::default(), &made).await.unwrap();
        })
        .await
    }

    async fn at_a_canary_of(router: &Router) -> Self {
        let world = Self::before_a_canary_of(router).await;
        world.cbctl(&["promote", "cache"]).await.expect(0, &["1 canary pod runs it with 33% of the traffic"]);
        world
    }

    fn routers(&self, router: &Router) -> Api<DynamicObject> {
        self.objects(router.version, router.kind, true)
    }

    async fn router(&self, router: &Router) -> DynamicObject {
        self.routers(router).get(NAME).await.unwrap()
    }

    /// What divides the traffic in it.
    async fn divided(&self, router: &Router) -> String {
        let object = serde_json::to_value(self.router(router).await).unwrap();
        let lines: Vec<String> = router.places.iter().map(|place| object.pointer(place).unwrap().to_string()).collect();
        lines.join("\n")
    }

    async fn rewrite_router(&self, router: &Router, change: impl FnOnce(&mut Value)) {
        let mut object = serde_json::to_value(self.router(router).await).unwrap();
        change(&mut object);
        let object = serde_json::from_value(object).unwrap();
        self.routers(router).replace(NAME, &PostParams::default(), &object).await.unwrap();
    }

    /// The canary is there, and runs what all others run.
    async fn is_spared(&self) {
        assert_eq!(self.canary_flag(FLAG).await.as_deref(), Some("false"));
    }
}

/// Through all steps of a phase, back by one step, and away: what its list of backends is after each.
async fn through_all_steps(router: &Router) -> String {
    let world = World::before_a_canary_of(router).await;
    let before = owned(&world.router(router).await);
    let mut seen = vec![format!("before\n{}", world.divided(router).await)];
    for (command, says) in [
        (&["promote", "cache"][..], "1 canary pod runs it with 33% of the traffic"),
        (&["promote", "cache"], "1 canary pod runs it with 50% of the traffic"),
        (&["promote", "cache"], "cache, step 3 of 3 is entered, every pod is healthy"),
        (&["rollback"], "back at cache, step 2"),
        (
            &["rollback"],
            "nothing to do: no step is on record that could be taken back; cbctl abort takes the canary away",
        ),
        (&["abort"], "the canary is gone"),
    ] {
        let run = world.cbctl(command).await;
        run.expect(0, &[says]);
        if says.contains("every pod") || says.contains("is gone") {
            assert_eq!(owned(&world.router(router).await), before, "restored exactly, after\n{run}");
        } else {
            seen.push(format!("{}: {says}\n{}", command[0], world.divided(router).await));
        }
        world.until_healthy().await;
    }
    world.until_no_canary().await;
    seen.join("\n")
}

#[tokio::test]
async fn an_http_route_goes_with_the_steps() {
    insta::assert_snapshot!(through_all_steps(&HTTP_ROUTE).await, @r#"
    before
    [{"group":"","kind":"Service","name":"store","port":80,"weight":1}]
    [{"group":"","kind":"Service","name":"store","port":80,"weight":9},{"group":"","kind":"Service","name":"api","port":80,"weight":1}]
    promote: 1 canary pod runs it with 33% of the traffic
    [{"group":"","kind":"Service","name":"store","port":80,"weight":6667},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":3333}]
    [{"group":"","kind":"Service","name":"store","port":80,"weight":60003},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":29997},{"group":"","kind":"Service","name":"api","port":80,"weight":10000}]
    promote: 1 canary pod runs it with 50% of the traffic
    [{"group":"","kind":"Service","name":"store","port":80,"weight":50},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":50}]
    [{"group":"","kind":"Service","name":"store","port":80,"weight":45000},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":45000},{"group":"","kind":"Service","name":"api","port":80,"weight":10000}]
    rollback: back at cache, step 2
    [{"group":"","kind":"Service","name":"store","port":80,"weight":50},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":50}]
    [{"group":"","kind":"Service","name":"store","port":80,"weight":9},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":9},{"group":"","kind":"Service","name":"api","port":80,"weight":2}]
    rollback: nothing to do: no step is on record that could be taken back; cbctl abort takes the canary away
    [{"group":"","kind":"Service","name":"store","port":80,"weight":50},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":50}]
    [{"group":"","kind":"Service","name":"store","port":80,"weight":9},{"group":"","kind":"Service","name":"store-canary","port":80,"weight":9},{"group":"","kind":"Service","name":"api","port":80,"weight":2}]
    "#);
}

#[tokio::test]
async fn a_virtual_service_goes_with_the_steps() {
    insta::assert_snapshot!(through_all_steps(&VIRTUAL_SERVICE).await, @r#"
    before
    [{"destination":{"host":"store"}}]
    promote: 1 canary pod runs it with 33% of the traffic
    [{"destination":{"host":"store"},"weight":67},{"destination":{"host":"store-canary"},"weight":33}]
    promote: 1 canary pod runs it with 50% of the traffic
    [{"destination":{"host":"store"},"weight":50},{"destination":{"host":"store-canary"},"weight":50}]
    rollback: back at cache, step 2
    [{"destination":{"host":"store"},"weight":50},{"destination":{"host":"store-canary"},"weight":50}]
    rollback: nothing to do: no step is on record that could be taken back; cbctl abort takes the canary away
    [{"destination":{"host":"store"},"weight":50},{"destination":{"host":"store-canary"},"weight":50}]
    "#);
}

#[tokio::test]
async fn a_traefik_service_goes_with_the_steps() {
    insta::assert_snapshot!(through_all_steps(&TRAEFIK_SERVICE).await, @r#"
    before
    [{"name":"store","port":80,"weight":3},{"name":"store-canary","port":80,"weight":0}]
    promote: 1 canary pod runs it with 33% of the traffic
    [{"name":"store","port":80,"weight":6667},{"name":"store-canary","port":80,"weight":3333}]
    promote: 1 canary pod runs it with 50% of the traffic
    [{"name":"store","port":80,"weight":50},{"name":"store-canary","port":80,"weight":50}]
    rollback: back at cache, step 2
    [{"name":"store","port":80,"weight":50},{"name":"store-canary","port":80,"weight":50}]
    rollback: nothing to do: no step is on record that could be taken back; cbctl abort takes the canary away
    [{"name":"store","port":80,"weight":50},{"name":"store-canary","port":80,"weight":50}]
    "#);
}

#[tokio::test]
async fn the_ingress_of_a_canary_goes_with_the_steps() {
    insta::assert_snapshot!(through_all_steps(&INGRESS).await, @r#"
    before
    {"team":"store"}
    promote: 1 canary pod runs it with 33% of the traffic
    {"nginx.ingress.kubernetes.io/canary":"true","nginx.ingress.kubernetes.io/canary-weight":"3333","nginx.ingress.kubernetes.io/canary-weight-total":"10000","team":"store"}
    promote: 1 canary pod runs it with 50% of the traffic
    {"nginx.ingress.kubernetes.io/canary":"true","nginx.ingress.kubernetes.io/canary-weight":"5000","nginx.ingress.kubernetes.io/canary-weight-total":"10000","team":"store"}
    rollback: back at cache, step 2
    {"nginx.ingress.kubernetes.io/canary":"true","nginx.ingress.kubernetes.io/canary-weight":"50","team":"store"}
    rollback: nothing to do: no step is on record that could be taken back; cbctl abort takes the canary away
    {"nginx.ingress.kubernetes.io/canary":"true","nginx.ingress.kubernetes.io/canary-weight":"50","team":"store"}
    "#);
}

/// More traffic comes last and goes first: what the router sends the canary finds a pod that answers.
#[tokio::test]
async fn traffic_comes_last_and_goes_first() {
    let world = World::before_a_canary_of(&TRAEFIK_SERVICE).await;
    let made = world.cbctl(&["promote", "cache"]).await;
    let writes = |run: &Run| -> Vec<String> {
        let changes = run.writes().into_iter().filter(|line| !line.contains("configmaps") && !line.contains("events"));
        changes.map(str::to_owned).collect()
    };
    let record = "PATCH deployments/storefront";
    assert_eq!(writes(&made), [record, "POST deployments", "PATCH traefikservices/public", record], "{made}");
    let gone = world.cbctl(&["abort"]).await;
    assert_eq!(
        writes(&gone),
        [record, "PATCH traefikservices/public", "DELETE deployments/storefront-canary", record],
        "{gone}"
    );
}

#[tokio::test]
async fn what_others_write_stays() {
    let world = World::before_a_canary_of(&HTTP_ROUTE).await;
    let before = world.router(&HTTP_ROUTE).await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &["33% of the traffic"]);
    let theirs = |spec: &mut Value| {
        let mut rule = spec["rules"][1].clone();
        rule["matches"][0]["path"]["value"] = json!("/new");
        rule["backendRefs"] = json!([{"group": "", "kind": "Service", "name": "new", "port": 80, "weight": 1}]);
        spec["rules"].as_array_mut().unwrap().push(rule);
        spec["rules"][0]["timeouts"]["request"] = json!("9s");
    };
    world.rewrite_router(&HTTP_ROUTE, |object| theirs(&mut object["spec"])).await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &["50% of the traffic"]);
    world.cbctl(&["abort"]).await.expect(0, &["the canary is gone"]);
    let mut expected = before.data["spec"].clone();
    theirs(&mut expected);
    assert_eq!(world.router(&HTTP_ROUTE).await.data["spec"], expected);
}

#[tokio::test]
async fn a_share_that_somebody_else_has_set_holds_until_it_is_adopted() {
    let world = World::at_a_canary_of(&VIRTUAL_SERVICE).await;
    world
        .rewrite_router(&VIRTUAL_SERVICE, |object| {
            for (route, weight) in [(0, 10), (1, 90)] {
                object["spec"]["http"][0]["route"][route]["weight"] = json!(weight);
            }
        })
        .await;
    let held = world.cbctl(&["promote", "cache"]).await;
    held.expect(3, &["held", "virtualservice/public gives the canary 90%, not 33%: somebody has changed it: --adopt"]);
    assert!(held.writes().is_empty(), "{held}");
    world.cbctl(&["promote", "cache", "--adopt"]).await.expect(0, &["cache, step 1 of 3 is entered"]);
    assert!(world.divided(&VIRTUAL_SERVICE).await.contains("\"weight\":33"));
    world.cbctl(&["abort"]).await.expect(0, &["the canary is gone"]);
    let (left, before) = (world.router(&VIRTUAL_SERVICE).await, (VIRTUAL_SERVICE.made)());
    assert_eq!(left.data["spec"], before["spec"], "as it was before the canary");
}

#[tokio::test]
async fn a_router_that_has_gone_lets_the_canary_go() {
    let world = World::at_a_canary_of(&TRAEFIK_SERVICE).await;
    world.routers(&TRAEFIK_SERVICE).delete(NAME, &DeleteParams::default()).await.unwrap();
    world
        .cbctl(&["promote", "cache"])
        .await
        .expect(3, &["held", "there is no traefikservice/public in the namespace (traffic: in rollout.yaml)"]);
    world.cbctl(&["abort"]).await.expect(0, &["the canary is gone"]);
    world.until_no_canary().await;
}

/// A canary that would be deleted while the router sends it traffic would have those requests fail.
#[tokio::test]
async fn a_router_that_cannot_be_restored_keeps_the_canary_with_the_stable_values() {
    join_all([403, 422].map(async |status| {
        let world = World::at_a_canary_of(&HTTP_ROUTE).await;
        let before = world.divided(&HTTP_ROUTE).await;
        world.api.on("PATCH httproutes", Act::status(status));
        let run = world.cbctl(&["abort"]).await;
        run.expect(
            1,
            &[
                "deployment/storefront-canary stays, with the values of the stable pods",
                "cannot patch httproute/public",
            ],
        );
        world.is_spared().await;
        assert_eq!(world.divided(&HTTP_ROUTE).await, before);
        world.api.repair();
        world.cbctl(&["abort"]).await.expect(0, &["the canary is gone"]);
        assert_eq!(owned(&world.router(&HTTP_ROUTE).await)["spec"]["hostnames"], json!(["store.example.org"]));
        assert!(!world.divided(&HTTP_ROUTE).await.contains("store-canary"));
        world.until_no_canary().await;
    }))
    .await;
}

#[tokio::test]
async fn a_router_that_does_not_answer_keeps_it_until_it_does() {
    let world = World::at_a_canary_of(&HTTP_ROUTE).await;
    world.api.on("GET httproutes", Act::status(503));
    let running = world.cbctl(&["rollback"]).start();
    running.says("deployment/storefront-canary stays, with the values of the stable pods").await;
    world.is_spared().await;
    world.api.repair();
    running.finish().await.expect(0, &["back at shadow, step 1"]);
    world.until_no_canary().await;
    assert!(!world.divided(&HTTP_ROUTE).await.contains("store-canary"));
}

#[tokio::test]
async fn a_router_that_does_not_answer_is_no_obstacle_for_an_emergency() {
    let world = World::at_a_canary_of(&HTTP_ROUTE).await;
    for of in ["GET httproutes", "PATCH httproutes"] {
        world.api.on(of, Act::status(503));
    }
    let run = world.cbctl(&["rollback", "--emergency"]).await;
    run.expect(0, &["every breaker of 2 deployments is off"]);
    assert_eq!(world.canary_flag(FLAG).await.as_deref(), Some("false"));
    assert!(run.writes().iter().all(|line| !line.contains("httproutes")), "{run}");
}

#[tokio::test]
async fn a_router_that_cannot_be_read_any_more_is_told_and_keeps_it() {
    let world = World::at_a_canary_of(&INGRESS).await;
    let write = async |weight: Option<&str>| {
        let patch = json!({"metadata": {"annotations": {"nginx.ingress.kubernetes.io/canary-weight": weight}}});
        world.routers(&INGRESS).patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    write(Some("most")).await;
    let what = "annotation nginx.ingress.kubernetes.io/canary-weight is \"most\", not a whole number";
    world.cbctl(&["promote", "cache"]).await.expect(3, &["held", "ingress/public cannot be read", what]);
    world.cbctl(&["abort"]).await.expect(1, &[what, "stays, with the values of the stable pods"]);
    world.is_spared().await;
    write(None).await;
    world.cbctl(&["abort"]).await.expect(0, &["the canary is gone"]);
    let left = world.router(&INGRESS).await;
    assert_eq!(json!(left.metadata.annotations), (INGRESS.made)()["metadata"]["annotations"]);
}

#[tokio::test]
async fn somebody_who_writes_at_the_same_time_is_no_obstacle() {
    for (world, command, says) in [
        (World::before_a_canary_of(&HTTP_ROUTE).await, &["promote", "cache"][..], "33% of the traffic"),
        (World::at_a_canary_of(&HTTP_ROUTE).await, &["abort"], "the canary is gone"),
    ] {
        let routers = world.routers(&HTTP_ROUTE);
        let touch = move || {
            let routers = routers.clone();
            async move {
                let patch = Patch::Merge(json!({"metadata": {"labels": {"touched": "yes"}}}));
                routers.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
            }
        };
        world.api.on_next(1, "PATCH httproutes", Act::before(touch));
        let run = world.cbctl(command).await;
        run.expect(0, &[says]);
        assert_eq!(run.writes().iter().filter(|line| line.contains("httproutes")).count(), 2, "{run}");
        assert_eq!(world.router(&HTTP_ROUTE).await.metadata.labels.unwrap()["touched"], "yes");
    }
}

/// What the route promises is what the pods count.
#[tokio::test]
async fn a_share_is_measured_by_counting() {
    let world = World::before_a_canary_of(&HTTP_ROUTE).await;
    world.serve_as("store", json!({"app": "store-pods", "track": "stable"})).await;
    world.serve_as("store-canary", json!({"app": "store-pods", "track": "canary"})).await;
    world.edit("phases/20-cache.yaml", "{expose: {pods: 1}, bake: 0s}", "{expose: {traffic: 10%}, bake: 0s}");
    world.scenario("traffic: {rps: 400, httproute: public}\n").await;
    world.append("phases/20-cache.yaml", "gates:\n  - error_rate < 5% over 6s\n");
    world.cbctl(&["promote", "cache"]).await.expect(0, &["1 canary pod runs it with 10% of the traffic"]);
    let even = ["passed", "exposure: 10% by httproute/public, 33% by pods (1 of 3), measured 10% of"];
    world.check_says("cache", &even).await;
    // The route says what it said, and nobody obeys it any more.
    world.serve(json!({"app": "store-pods"})).await;
    world.scenario("traffic: {rps: 400, service: storefront}\n").await;
    let uneven = ["held", "the canary gets far more than its part", "look at the weights of httproute/public"];
    world.check_says("cache", &uneven).await;
}
