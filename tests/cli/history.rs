//! `cbctl history` and `cbctl why`: what happened, told once and truly, and found out when somebody has touched it.

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::harness::proxy::Act;
use crate::harness::{DEPLOYMENT, ROLLOUT, World, until};

impl World {
    /// Changes the ConfigMap as somebody with kubectl would.
    async fn touch_history(&self, patch: Value) {
        let map = format!("cbctl-{ROLLOUT}");
        self.config_maps().patch(&map, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// An entry of the history with something in it replaced.
    async fn edited(&self, number: usize, old: &str, new: &str) -> String {
        let map = self.config_maps().get(&format!("cbctl-{ROLLOUT}")).await.unwrap();
        let text = &map.data.unwrap()[&format!("{number:08}")];
        assert!(text.contains(old), "{text}");
        text.replace(old, new)
    }
}

#[tokio::test]
async fn tells_who_did_what_when_and_why() {
    let world = World::new().await;
    let empty = world.cbctl(&["history"]).await;
    empty.expect(0, &["checkout has no history yet"]);
    world.promote_through(&["shadow"]).await;
    world.cbctl(&["promote", "cache", "--reason", "week 3"]).await.expect(0, &[]);
    world.cbctl(&["rollback", "--reason", "timeouts"]).await.expect(0, &[]);
    world.cbctl(&["rollback", "--emergency", "--reason", "checkout errors"]).await.expect(0, &[]);
    let run = world.cbctl(&["history", "--verify"]).await;
    insta::assert_snapshot!(run, @"
    #   WHEN   WHO   WHAT   PHASE/STEP   RESULT   REASON
    4   TIME   admin   emergency   shadow/1 -> all off   done in AGE   checkout errors
    3   TIME   admin   rollback   cache/1 -> shadow/1   done in AGE   timeouts
    2   TIME   admin   promote   shadow/1 -> cache/1   done in AGE   week 3
    1   TIME   admin   promote   - -> shadow/1   done in AGE
    whole: 4 entries, every one as it was written
    [exit status: 0]
    ------- requests -------
    GET configmaps/cbctl-checkout
    GET deployments/storefront
    LIST pods
    ");
    let short = world.cbctl(&["history", "--last", "1"]).await;
    short.expect(0, &["4   ", "emergency", "3 entries before: cbctl history --last 4"]);
    assert!(!short.says("week 3"), "{short}");

    let json: Value = serde_json::from_str(&world.cbctl(&["history", "-o", "json"]).await.stdout).unwrap();
    assert_eq!(json["entries"].as_array().unwrap().len(), 4);
    assert_eq!((&json["schema"], &json["untold"], &json["older"]), (&json!(1), &json!([]), &json!(0)));
}

#[tokio::test]
async fn why_shows_the_evidence_as_it_was_judged() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let newest = world.cbctl(&["why"]).await;
    insta::assert_snapshot!(newest, @"
    #2 promote: shadow, step 1 -> cache, step 1
    done in AGE, by admin, TIME (AGE ago)
      CB_CACHE_ENABLED   false -> true
      CB_CACHE_OP_TIMEOUT_MS   (not set) -> 3000
    operation UUID
    written by cbctl 0.1.0
    [exit status: 0]
    ------- requests -------
    GET configmaps/cbctl-checkout
    ");
    let first = world.cbctl(&["why", "1"]).await;
    first.expect(0, &["#1 promote: not started -> shadow, step 1"]);
    let json: Value = serde_json::from_str(&world.cbctl(&["why", "1", "-o", "json"]).await.stdout).unwrap();
    let id = json["operation"].as_str().unwrap();
    assert_eq!(world.cbctl(&["why", id]).await.stdout.lines().next(), first.stdout.lines().next(), "by its id");
    world.cbctl(&["why", "99"]).await.expect(2, &["the history of checkout has no entry `99`", "hint: cbctl history"]);
    world.cbctl(&["why", "0"]).await.expect(2, &["has no entry `0`"]);
}

#[tokio::test]
async fn without_a_history_there_is_no_why() {
    World::new().await.cbctl(&["why"]).await.expect(2, &["error: checkout has no history yet"]);
}

#[tokio::test]
async fn a_history_outlives_its_deployment() {
    let world = World::promoted_to(&["shadow"]).await;
    world.deployments().delete(DEPLOYMENT, &DeleteParams::default()).await.unwrap();
    let run = world.cbctl(&["history"]).await;
    run.expect(0, &["warning: cannot read deployment \"storefront\"", "promote   - -> shadow/1"]);
    world.cbctl(&["history", "--verify"]).await.expect(1, &["error: cannot read deployment \"storefront\""]);
}

#[tokio::test]
async fn whoever_touches_the_history_is_found_out() {
    let key = |number: usize| format!("{number:08}");
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let edited = world.edited(1, "admin", "mallory").await;
    let (one, two) = (world.edited(1, "", "").await, world.edited(2, "", "").await);
    let cases = [
        ("edited", json!({ "data": { key(1): edited } }), "failed: entry 1 is not the one that was written"),
        ("dropped", json!({ "data": { key(1): null } }), "failed: entry 1 is gone"),
        ("the newest dropped", json!({ "data": { key(2): null } }), "failed: entry 2 is gone"),
        (
            "reordered",
            json!({ "data": { key(1): two, key(2): one } }),
            "failed: entry 2 stands in the place of 00000001",
        ),
        ("forged", json!({ "data": { key(3): "{}" } }), "failed: what stands under 00000003 in page 1 is no entry"),
        (
            "the end forgotten",
            json!({"metadata": {"annotations": {"cbctl.dev/history": null}}}),
            "failed: nothing says",
        ),
        (
            "all gone",
            json!({"data": null, "metadata": {"annotations": null}}),
            "failed: entry 1 is not the one that the deployment's record knows",
        ),
    ];
    join_all(cases.map(async |(name, patch, told)| {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        world.cbctl(&["history", "--verify"]).await.expect(0, &["whole: 2 entries, every one as it was written"]);
        // Of another namespace, so that nothing but the touch is different: its own texts.
        let patch = match name {
            "edited" => json!({ "data": { key(1): world.edited(1, "admin", "mallory").await } }),
            "reordered" => {
                json!({ "data": { key(1): world.edited(2, "", "").await, key(2): world.edited(1, "", "").await } })
            }
            _ => patch,
        };
        world.touch_history(patch).await;
        world.cbctl(&["history", "--verify"]).await.expect(3, &[told]);
        world.cbctl(&["history"]).await.expect(0, &[]);
        // The rollout goes on, and what it writes does not cover it up.
        world.cbctl(&["rollback"]).await.expect(0, &[]);
        let later = world.cbctl(&["history", "--verify"]).await;
        assert_eq!(later.status, 3, "{name} is covered up:\n{later}");
    }))
    .await;
}

#[tokio::test]
async fn what_an_operation_could_not_write_down_is_caught_up_with() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on("configmaps", Act::status(503));
    let run = world.cbctl(&["promote", "cache", "--reason", "week 3"]).await;
    run.expect(0, &["warning: cannot write history to configmap \"cbctl-checkout\""]);
    world.api.repair();
    let run = world.cbctl(&["history"]).await;
    run.expect(
        0,
        &[
            "not written down yet",
            "promote, shadow, step 1 -> cache, step 1: not told, found in the record",
            ": week 3",
        ],
    );
    world.cbctl(&["rollback"]).await.expect(0, &[]);
    let history = world.history().await;
    let told: Vec<String> = history.iter().map(|entry| format!("{} {}", entry["action"], entry["result"])).collect();
    assert_eq!(told, [r#""promote" "done""#, r#""promote" "found""#, r#""rollback" "done""#]);
    assert_eq!((&history[1]["by"], &history[1]["reason"]), (&history[0]["by"], &json!("week 3")));
    world.cbctl(&["history", "--verify"]).await.expect(0, &["whole: 3 entries"]);
}

#[tokio::test]
async fn an_emergency_that_nobody_waited_for_is_caught_up_with() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    let run = world.cbctl(&["rollback", "--emergency", "--no-wait", "--reason", "errors"]).await;
    assert_eq!(run.writes(), ["PATCH deployments/storefront"]);
    world.until_healthy().await;
    world.cbctl(&["promote", "cache"]).await.expect(0, &[]);
    let told: Vec<Value> = world.history().await.iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(told, ["promote", "promote", "emergency", "promote"]);
}

#[tokio::test]
async fn a_history_that_somebody_else_writes_is_read_again() {
    let world = World::promoted_to(&["shadow"]).await;
    // Somebody else writes between the read and the write, three times.
    world.api.on_next(
        3,
        "PATCH configmaps",
        Act::before({
            let (maps, key) = (world.config_maps(), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
            move || {
                let (maps, turn) = (maps.clone(), key.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
                async move {
                    let patch = json!({"metadata": {"labels": {"touched": turn.to_string()}}});
                    maps.patch("cbctl-checkout", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
                }
            }
        }),
    );
    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(0, &["done in"]);
    assert!(!run.says("warning"), "{run}");
    assert_eq!(run.lines().iter().filter(|line| line.starts_with("PATCH configmaps")).count(), 4, "{run}");
    world.cbctl(&["history", "--verify"]).await.expect(0, &["whole: 2 entries"]);
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_entry() {
    let world = World::promoted_to(&["shadow"]).await;
    world.api.on_next(1, "PATCH configmaps", Act::LoseAnswer);
    world.cbctl(&["promote", "cache"]).await.expect(0, &["done in"]);
    world.cbctl(&["history", "--verify"]).await.expect(0, &["whole: 2 entries"]);
}

/// A page with so many entries of so many bytes, as years of use would make it.
fn page(entries: u64, bytes: usize) -> Value {
    let (mut texts, mut seal) = (serde_json::Map::new(), String::new());
    for number in 1..=entries {
        let text = json!({
            "number": number, "previous": seal, "operation": format!("operation-{number}"),
            "at": "2026-03-01T12:00:00Z", "by": "alice", "action": "promote", "from": null, "to": null, "changes": [],
            "evidence": [], "reason": "x".repeat(bytes), "result": "done", "took_seconds": 1.0, "version": "0.1.0",
        })
        .to_string();
        seal = digest(&SHA256, text.as_bytes())
            .as_ref()
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect();
        texts.insert(format!("{number:08}"), json!(text));
    }
    let extent = json!({"page": 1, "first": 1, "before": "", "last": entries, "seal": seal}).to_string();
    json!({"metadata": {"name": format!("cbctl-{ROLLOUT}"), "annotations": {"cbctl.dev/history": extent}}, "data": texts})
}

#[tokio::test]
async fn a_full_page_is_put_away_and_can_still_be_read() {
    let world = World::new().await;
    let full = serde_json::from_value(page(78, 9_900)).unwrap();
    world.config_maps().create(&PostParams::default(), &full).await.unwrap();
    world.cbctl(&["history", "--verify"]).await.expect(0, &["whole: 78 entries"]);
    // Whoever puts it away dies half-way: the full page is written, and the newest is not shortened yet.
    world.api.on("PATCH configmaps", Act::status(503));
    world.cbctl(&["promote", "shadow"]).await.expect(0, &["warning: cannot write history"]);
    world.api.repair();
    let put_away = format!("cbctl-{ROLLOUT}.0001");
    let closed = world.config_maps().get(&put_away).await.unwrap();
    assert_eq!(closed.immutable, Some(true), "nobody changes it by a slip");

    let run = world.cbctl(&["promote", "cache"]).await;
    run.expect(0, &["done in"]);
    assert!(!run.says("warning"), "{run}");
    let newest = world.config_maps().get(&format!("cbctl-{ROLLOUT}")).await.unwrap().data.unwrap();
    assert!(newest.len() < 40, "{} entries stay", newest.len());
    // The first promotion was caught up with.
    world.cbctl(&["history", "--verify"]).await.expect(0, &["whole: 80 entries", "60 entries before"]);
    world.cbctl(&["why", "1"]).await.expect(0, &["#1 promote: not started as before", "by alice"]);
    world.config_maps().delete(&put_away, &DeleteParams::default()).await.unwrap();
    world.cbctl(&["history", "--verify"]).await.expect(3, &["failed: page 1 is gone", "failed: entries 1 to"]);
    world.cbctl(&["history"]).await.expect(0, &["60 entries before"]);
}

#[tokio::test]
async fn kubectl_shows_what_happened() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.cbctl(&["rollback", "--emergency", "--reason", "errors"]).await.expect(0, &[]);
    let events: Api<Event> = Api::namespaced(world.kube.clone(), &world.namespace);
    let uid = world.deployment().await.metadata.uid.unwrap();
    let of_deployment = ListParams::default().fields(&format!("involvedObject.uid={uid},source=cbctl"));
    let told: Vec<String> = until("three events are there", async || {
        let events = events.list(&of_deployment).await.unwrap().items;
        let mut told: Vec<String> =
            events.into_iter().map(|event| format!("{}: {}", event.reason.unwrap(), event.message.unwrap())).collect();
        told.sort();
        (told.len() == 3).then_some(told)
    })
    .await;
    assert!(told[0].starts_with("BreakersPromoted: promote, not started -> shadow, step 1: done in"), "{told:?}");
    assert!(
        told[2].starts_with("BreakersSwitchedOff: emergency, cache, step 1 -> every breaker off: done in"),
        "{told:?}"
    );
    assert!(told[2].ends_with(": errors"), "{told:?}");
}
