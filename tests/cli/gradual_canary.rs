//! `cbctl rollback --gradual` with a canary that cbctl made: reduced through its record, and never brought back.

use kube::api::{Api, DynamicObject};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gradual::{ALL_FAILS, CANARY_FAILS, HEALTHY, TRIGGER, story};
use crate::harness::canary::CANARY;
use crate::harness::proxy::Act;
use crate::harness::{World, files, until};

const TRAFFIC: &str = "traffic:\n  httproute: {name: storefront, stable: store, canary: store-canary}\n  \
                       canary_labels: {track: canary}\n";
/// Weights as somebody has written them, before there was a canary.
const WEIGHTS: [(&str, Option<u64>); 2] = [("store", Some(7)), ("other", None)];

impl World {
    /// A service so many steps into a phase whose first step is a canary of four pods, which a trigger watches from now
    /// on.
    async fn stepped(steps: usize, scenario: &str) -> Self {
        let world = Self::before_four_pods(false).await;
        world.watched_after(steps, scenario).await;
        world
    }

    /// A service before that phase, whose traffic a router divides if asked for.
    async fn before_four_pods(routed: bool) -> Self {
        let world = Self::empty().await;
        world.write_files(files::STEPPED);
        world.edit("phases/20-cache.yaml", "pods: 1", "pods: 4");
        world.edit("phases/20-cache.yaml", "traffic: 50%", "traffic: 70%");
        if routed {
            world.make_route().await;
            world.append("phases/rollout.yaml", TRAFFIC);
        }
        world
            .deploy(|manifest| {
                if routed {
                    manifest["spec"]["template"]["metadata"]["labels"]["track"] = json!("stable");
                }
            })
            .await;
        world.promote_through(&["shadow"]).await;
        world
    }

    async fn watched_after(&self, steps: usize, scenario: &str) {
        for _ in 0..steps {
            self.cbctl(&["promote", "cache"]).await.expect(0, &["done in"]);
        }
        for name in ["10-shadow.yaml", "20-cache.yaml", "30-http.yaml"] {
            self.append(&format!("phases/{name}"), TRIGGER);
        }
        self.scenario(scenario).await;
    }

    pub fn routes(&self) -> Api<DynamicObject> {
        self.objects("gateway.networking.k8s.io/v1", "HTTPRoute", true)
    }

    async fn make_route(&self) {
        let backends = WEIGHTS.map(|(name, weight)| match weight {
            Some(weight) => json!({"name": name, "port": 80, "weight": weight}),
            None => json!({"name": name, "port": 80}),
        });
        let spec = json!({"rules": [{"backendRefs": backends}]});
        self.make("gateway.networking.k8s.io/v1", "HTTPRoute", "storefront", spec).await;
    }

    /// The rules of the route without their defaults.
    async fn rules(&self) -> Value {
        self.routes().get("storefront").await.unwrap().data["spec"]["rules"].clone()
    }

    /// The canary's percentage on record.
    async fn recorded_percent(&self) -> Option<f64> {
        self.record("rollout-canary").await?["aim"]["runs"]["percent"].as_f64()
    }
}

#[tokio::test]
async fn a_canary_on_record_keeps_the_pods_with_which_things_are_better() {
    let world = World::stepped(1, HEALTHY).await;
    let env = world.env().await;
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(
        0,
        &[
            "better: the rollout stands at cache, step 1",
            "canary storefront-canary has 2 pods: cbctl abort takes it away",
            "deployment/storefront-canary   replicas   4 -> 2 (about 67% -> 50% of the pods)   better",
        ],
    );
    assert_eq!(story(&run), ["canary: 4 -> 2 pods, about 67% -> 50% of the pods", "better: every trigger is quiet"]);
    assert_eq!((world.canary_pods().await.len(), world.place().await.as_deref()), (2, Some("cache 1")));
    assert_eq!(world.env().await, env, "the Deployment itself was left alone");
    assert_eq!(world.told_of_rollbacks().await, ["cache -> cache 4 -> 2: done"]);
    let again = world.cbctl(&["rollback", "--gradual"]).await;
    again.expect(0, &["nothing to do: better"]);
    assert!(again.writes().is_empty(), "{again}");
}

#[tokio::test]
async fn a_canary_on_record_that_is_the_cause_goes_and_the_rollout_goes_back() {
    let world = World::stepped(1, CANARY_FAILS).await;
    let run = world.cbctl(&["rollback", "--gradual", "-o", "json"]).await;
    assert_eq!(run.status, 0, "{run}");
    assert_eq!(
        story(&run),
        [
            "canary: 4 -> 2 pods, about 67% -> 50% of the pods",
            "judged: error_rate for 3s still fires",
            "canary: 2 -> 1 pod, about 50% -> 33% of the pods",
            "judged: error_rate for 3s still fires",
            "canary: 1 -> 0 pods, about 33% -> 0% of the pods",
            "back at shadow, step 1: the canary goes",
        ]
    );
    world.until_no_canary().await;
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    let told = world.told_of_rollbacks().await;
    assert_eq!(told, ["cache -> cache 4 -> 2: done", "cache -> cache 2 -> 1: done", "cache -> shadow 1 -> 0: done"]);
    let reduction = &run.json()["reductions"][0];
    assert_eq!((&reduction["share"]["by"], &reduction["share"]["after"]), (&json!("pods"), &json!(0.5)), "{run}");
    world.cbctl(&["rollback", "--gradual"]).await.expect(0, &["nothing to do: already off"]);
}

#[tokio::test]
async fn a_reduction_that_was_killed_is_brought_to_its_end_and_gone_on_with() {
    let world = World::stepped(1, CANARY_FAILS).await;
    world.api.on("PATCH deployments/storefront-canary", Act::status(503));
    let running = world.cbctl(&["rollback", "--gradual"]).start();
    running.says("deployment/storefront-canary is brought to what is recorded").await;
    running.signal(Signal::KILL);
    running.finish().await;
    assert_eq!(world.canary_pods().await.len(), 4);
    world.api.repair();
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(0, &["every breaker is off"]);
    assert_eq!(
        story(&run)[..3],
        [
            "canary: 4 -> 2 pods, about 67% -> 50% of the pods",
            "judged: error_rate for 3s still fires",
            "canary: 2 -> 1 pod, about 50% -> 33% of the pods",
        ]
    );
    world.until_no_canary().await;
}

#[tokio::test]
async fn from_everything_it_leads_to_shadow_without_a_canary_coming_back() {
    let world = World::stepped(3, ALL_FAILS).await;
    world.until_no_canary().await;
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(0, &["every breaker is off"]);
    assert_eq!(story(&run), ["back at shadow, step 1: 2 flags of deployment/storefront change"]);
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"));
    assert!(!run.writes().iter().any(|write| write.contains(CANARY) || write.starts_with("POST deployments")), "{run}");
    world.until_no_canary().await;
}

#[tokio::test]
async fn a_canary_on_record_that_something_scales_up_goes_as_a_whole() {
    let world = World::stepped(1, ALL_FAILS).await;
    let (deployments, four) = (world.deployments(), json!({"spec": {"replicas": 4}}));
    let autoscaler = move || {
        let (deployments, four) = (deployments.clone(), four.clone());
        async move {
            let patch = kube::api::Patch::Merge(four);
            deployments.patch(CANARY, &kube::api::PatchParams::default(), &patch).await.unwrap();
        }
    };
    world.api.on("PATCH deployments/storefront-canary", Act::after(autoscaler));
    let run = world.cbctl(&["rollback", "--gradual"]).await;
    run.expect(0, &["something changes deployment/storefront-canary again and again", "every breaker is off"]);
    world.until_no_canary().await;
    assert_eq!(world.told_of_rollbacks().await, ["cache -> cache 4 -> 2: unverified", "cache -> shadow 4 -> 0: done"]);
}

#[tokio::test]
async fn what_a_router_gives_a_canary_is_halved_first_and_restored_in_the_end() {
    let world = World::before_four_pods(true).await;
    let before = world.rules().await;
    world.watched_after(1, HEALTHY).await;
    let given = world.recorded_percent().await.unwrap();
    assert_ne!(world.rules().await, before);
    let preview = world.cbctl(&["rollback", "--gradual", "--dry-run"]).await;
    preview.expect(0, &["replicas   4 -> 2", "httproute/storefront", "replicas   1 -> 0", "the API server accepts"]);
    assert!(preview.writes().is_empty(), "{preview}");

    let run = world.cbctl(&["rollback", "--gradual", "-o", "json"]).await;
    assert_eq!(run.status, 0, "{run}");
    let halved = world.recorded_percent().await.unwrap();
    assert!((halved - given / 2.0).abs() < 0.01, "{given} -> {halved}");
    let reduction = &run.json()["reductions"][0];
    assert_eq!(reduction["share"]["by"], "router", "{run}");
    assert_eq!(reduction["canary"]["traffic"]["router"], "httproute/storefront", "{run}");
    let writes = run.writes();
    let first = |of: &str| writes.iter().position(|write| write.starts_with(of)).unwrap();
    assert!(first("PATCH httproutes/storefront") < first("PATCH deployments/storefront-canary"), "{run}");

    world.scenario(ALL_FAILS).await;
    until("the trigger fires", async || (world.cbctl(&["check", "cache"]).await.status == 5).then_some(())).await;
    world.cbctl(&["rollback", "--gradual"]).await.expect(0, &["every breaker is off"]);
    world.until_no_canary().await;
    assert_eq!(world.rules().await, before, "exactly as it was");
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"));
}
