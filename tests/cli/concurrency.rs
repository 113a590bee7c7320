//! Several writers at once: one of them wins, what the others wrote is not lost, and the history tells what happened.
//!
//! Two promotions at once are with `promote`, an emergency in the middle of a promotion with `emergency`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{Barrier, watch};

use crate::harness::cluster::{env_of, flag_patch};
use crate::harness::proxy::{Act, Journal, Proxy};
use crate::harness::{CONTAINER, FLAGS, World, files, until};

/// Both have decided before either writes.
fn both_first() -> Act {
    all_first(2)
}

/// So many have decided before one of them writes.
fn all_first(writers: usize) -> Act {
    let all = Arc::new(Barrier::new(writers));
    Act::before(move || {
        let all = all.clone();
        async move {
            all.wait().await;
        }
    })
}

/// What other programs write.
fn others() -> [(&'static str, Value); 3] {
    let image = json!({"name": CONTAINER, "image": "registry.invalid/storefront:2"});
    [
        ("a flag", flag_patch(FLAGS[2], "true")),
        ("a scale", json!({"spec": {"replicas": 3}})),
        ("an image", json!({"spec": {"template": {"spec": {"containers": [image]}}}})),
    ]
}

fn actions(history: &[Value]) -> Vec<String> {
    let line = |entry: &Value| format!("{} {}", entry["action"].as_str().unwrap(), entry["result"].as_str().unwrap());
    history.iter().map(line).collect()
}

#[tokio::test]
async fn of_two_rollbacks_one_steps_back_and_the_other_has_nothing_to_do() {
    let world = World::promoted_to(&["shadow", "cache", "http"]).await;
    world.api.on_next(2, "PATCH deployments/storefront", both_first());
    let (one, other) = tokio::join!(world.cbctl(&["rollback"]).into_future(), world.cbctl(&["rollback"]).into_future());
    assert_eq!((one.status, other.status), (0, 0), "{one}\n{other}");
    assert!(one.says("nothing to do") != other.says("nothing to do"), "{one}\n{other}");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"), "one step, not two");
    assert_eq!(world.flag("CB_HTTP_ENABLED").await.as_deref(), Some("false"));
    assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("true"));
    let history = actions(&world.history().await);
    assert_eq!(history.iter().filter(|line| line.starts_with("rollback")).count(), 1, "{history:?}");
}

#[tokio::test]
async fn a_rollback_gets_through_against_a_promotion() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on_next(2, "PATCH deployments/storefront", both_first());
    let (promotion, rollback) =
        tokio::join!(world.cbctl(&["promote", "http"]).into_future(), world.cbctl(&["rollback"]).into_future());
    assert_eq!(rollback.status, 0, "{rollback}");
    world.until_healthy().await;
    let place = world.place().await.unwrap();
    let history = actions(&world.history().await);
    match promotion.status {
        // The promotion was first, and was taken back.
        6 if promotion.says("has overtaken") => {
            promotion.expect(6, &["somebody else's change has overtaken http"]);
            assert_eq!(place, "cache 1", "{promotion}\n{rollback}");
            assert!(history.contains(&"promote overtaken".to_owned()), "{history:?}");
        }
        // The rollback was first, and the promotion was decided on what is no longer there.
        6 => {
            assert_eq!(place, "shadow 1", "{promotion}\n{rollback}");
            assert!(!history.iter().any(|line| line == "promote overtaken"), "{history:?}");
        }
        // The promotion had arrived in every pod before the rollback came through, and was taken back all the same.
        0 => {
            assert_eq!(place, "cache 1", "{promotion}\n{rollback}");
            assert!(history.contains(&"promote done".to_owned()), "{history:?}");
        }
        _ => panic!("neither won:\n{promotion}\n{rollback}"),
    }
    assert_eq!(world.flag_in_pods("CB_HTTP_ENABLED").await, vec![Some("false".to_owned()); 2]);
    let cache = if place == "cache 1" { "true" } else { "false" };
    assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some(cache.to_owned()); 2]);
    assert!(history.contains(&"rollback done".to_owned()), "{history:?}");
}

#[tokio::test]
async fn a_rollback_gets_through_against_two_promotions() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on_next(3, "PATCH deployments/storefront", all_first(3));
    let (one, other, rollback) = tokio::join!(
        world.cbctl(&["promote", "http"]).into_future(),
        world.cbctl(&["promote", "http"]).into_future(),
        world.cbctl(&["rollback"]).into_future()
    );
    assert_eq!(rollback.status, 0, "{rollback}");
    world.until_healthy().await;
    let history = actions(&world.history().await);
    let overtaken = history.iter().filter(|line| *line == "promote overtaken").count();
    let place = world.place().await.unwrap();
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    match statuses {
        // The rollback was first, and both promotions were decided on what is no longer there.
        [6, 6] if overtaken == 0 => assert_eq!(place, "shadow 1", "{one}\n{other}\n{rollback}"),
        // One promotion was first, and was taken back, on a busy machine when it had arrived in every pod already.
        [6, 6] => assert_eq!((place.as_str(), overtaken), ("cache 1", 1), "{one}\n{other}\n{rollback}"),
        [0, 6] => assert_eq!((place.as_str(), overtaken), ("cache 1", 0), "{one}\n{other}\n{rollback}"),
        _ => panic!("both won, or nobody:\n{one}\n{other}\n{rollback}"),
    }
    assert_eq!(world.flag_in_pods("CB_HTTP_ENABLED").await, vec![Some("false".to_owned()); 2]);
    assert_eq!(history.iter().filter(|line| *line == "rollback done").count(), 1, "{history:?}");
}

#[tokio::test]
async fn what_somebody_else_writes_before_a_promotion_stops_it() {
    join_all(others().map(async |(name, patch)| {
        let world = World::promoted_to(&["shadow"]).await;
        world.api.on_next(1, "PATCH deployments/storefront", world.somebody_patches_first(move || patch.clone()));
        let run = world.cbctl(&["promote", "cache"]).await;
        run.expect(6, &["hint: somebody changed the deployment meanwhile"]);
        assert!(run.stdout.is_empty(), "{name}:\n{run}");
        assert_eq!(world.flag("CB_CACHE_ENABLED").await.as_deref(), Some("false"), "{name}:\n{run}");
        assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{name}:\n{run}");
        assert_eq!(actions(&world.history().await), ["promote done"], "{name}: only shadow's");
    }))
    .await;
}

#[tokio::test]
async fn what_somebody_else_writes_after_a_promotion_stays_and_is_waited_for() {
    join_all(others().map(async |(name, patch)| {
        let world = World::promoted_to(&["shadow"]).await;
        world.api.on_next(1, "PATCH deployments/storefront", world.somebody_patches_after(move || patch.clone()));
        let run = world.cbctl(&["promote", "cache"]).await;
        run.expect(0, &["cache, step 1 of 1 is entered, every pod is healthy"]);
        let values = world.flag_in_pods("CB_CACHE_ENABLED").await;
        let pods = if name == "a scale" { 3 } else { 2 };
        assert!(values.iter().filter(|value| value.as_deref() == Some("true")).count() >= pods, "{name}:\n{run}");
        let theirs = if name == "a flag" { "true" } else { "false" };
        assert_eq!(world.flag(FLAGS[2]).await.as_deref(), Some(theirs), "{name}");
        assert_eq!(actions(&world.history().await), ["promote done", "promote done"], "{name}");
    }))
    .await;
}

#[tokio::test]
async fn a_flag_that_somebody_sets_back_is_no_promotion() {
    let world = World::promoted_to(&["shadow"]).await;
    let back = || flag_patch(FLAGS[0], "false");
    world.api.on_next(1, "PATCH deployments/storefront", world.somebody_patches_after(back));
    let run = world.cbctl(&["promote", "cache", "--timeout", "5s"]).await;
    run.expect(5, &["did not become healthy (not healthy within 5s)", "every pod runs the old values again"]);
    assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("false".to_owned()); 2], "{run}");
    assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{run}");
    assert_eq!(actions(&world.history().await), ["promote done", "promote rolled_back"], "{run}");
}

#[tokio::test]
async fn what_somebody_else_writes_in_the_middle_of_a_rollback_stays() {
    join_all(others().map(async |(name, patch)| {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        world.api.on_next(1, "PATCH deployments/storefront", world.somebody_patches_first(move || patch.clone()));
        let run = world.cbctl(&["rollback"]).await;
        assert_eq!(run.status, 0, "{name}:\n{run}");
        let pods = if name == "a scale" { 3 } else { 2 };
        assert_eq!(
            world.flag_in_pods("CB_CACHE_ENABLED").await,
            vec![Some("false".to_owned()); pods],
            "{name}:\n{run}"
        );
        assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{name}");
        assert_eq!(actions(&world.history().await).last().unwrap(), "rollback done", "{name}");
        let theirs = if name == "a flag" { "true" } else { "false" };
        assert_eq!(world.flag(FLAGS[2]).await.as_deref(), Some(theirs), "{name}");
        let spec = world.deployment().await.spec.unwrap().template.spec.unwrap();
        let tag = if name == "an image" { "2" } else { "1" };
        assert_eq!(spec.containers[0].image.as_deref(), Some(&*format!("registry.invalid/storefront:{tag}")), "{name}");
    }))
    .await;
}

#[tokio::test]
async fn a_rollback_goes_on_whichever_request_fails() {
    let requests =
        ["GET deployments/storefront", "LIST pods", "POST selfsubjectreviews", "PATCH deployments/storefront"];
    let retry_after = Act::Answer { status: 429, headers: vec![("retry-after", "1".to_owned())], body: String::new() };
    let acts = [
        ("429", retry_after),
        ("500", Act::status(500)),
        ("503", Act::status(503)),
        ("closed", Act::Close),
        ("broken off", Act::BreakOff),
    ];
    join_all(acts.map(async |(name, act)| {
        let world = World::promoted_to(&["shadow", "cache"]).await;
        for request in requests {
            world.api.on_next(1, request, act.clone());
        }
        let run = world.cbctl(&["rollback", "--timeout", "30s"]).await;
        assert_eq!(run.status, 0, "{name}:\n{run}");
        assert_eq!(world.place().await.as_deref(), Some("shadow 1"), "{name}: not one step too far");
        assert_eq!(world.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("false".to_owned()); 2], "{name}");
    }))
    .await;
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up_and_asked_for_again() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on_next(1, "PATCH deployments/storefront", Act::Drip(Duration::from_millis(500)));
    let run = world.cbctl(&["rollback", "--timeout", "40s"]).await;
    run.expect(0, &["no answer within 10s", "back at shadow, step 1"]);
    let patches = run.lines().iter().filter(|line| line.starts_with("PATCH deployments")).count();
    assert_eq!(patches, 1, "it had arrived, and is not sent a second time:\n{run}");
}

#[tokio::test]
async fn a_server_that_only_drips_is_told_at_the_deadline() {
    let world = World::promoted_to(&["shadow", "cache"]).await;
    world.api.on("", Act::Drip(Duration::from_millis(500)));
    let run = world.cbctl(&["rollback", "--timeout", "3s"]).await;
    run.expect(1, &["error: cannot read deployment \"storefront\"", "no answer within"]);
    assert!(run.stdout.is_empty(), "{run}");
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
}

/// Every request but the first waits until it is let through.
fn all_but_the_first(through: &watch::Receiver<bool>) -> Act {
    let (through, turns) = (through.clone(), Arc::new(AtomicUsize::new(0)));
    Act::before(move || {
        let (mut through, turn) = (through.clone(), turns.fetch_add(1, Ordering::SeqCst));
        async move {
            if turn > 0 {
                through.wait_for(|through| *through).await.unwrap();
            }
        }
    })
}

#[tokio::test]
async fn a_promotion_on_top_of_a_rollback_whose_answer_was_lost_stays() {
    let certain = "the rollback was made, its answer was lost, and admin has moved the rollout to";
    let unknown = "since: whether it was made is not known";
    let cases = [
        (&["shadow", "cache"][..], &["rollback"][..], "cache", certain),
        (&["shadow", "cache", "http"], &["rollback", "http"], "http", certain),
        (&["shadow", "cache"], &["rollback", "--undo"], "cache", certain),
        // It takes the record away, and with it what tells that it was there.
        (&["shadow"], &["rollback"], "shadow", unknown),
    ];
    join_all(cases.map(async |(phases, arguments, again, told)| {
        let world = World::empty().await;
        world.write_files(files::UNGATED);
        // Absent flags, so that the first step changes something.
        world.deploy(|manifest| env_of(manifest).retain(|entry| entry["name"] == FLAGS[0])).await;
        world.cbctl(&["promote", "shadow", "--adopt"]).await.expect(0, &[]);
        world.promote_through(&phases[1..]).await;
        let (let_through, through) = watch::channel(false);
        world.api.on_next(1, "PATCH deployments/storefront", Act::LoseAnswer);
        world.api.on("GET deployments/storefront", all_but_the_first(&through));
        let elsewhere = Proxy::before_api_server(world.kube.clone(), &Journal::default()).await;
        let before = world.place().await;
        let rollback = world.cbctl(arguments).start();
        until("the rollback has arrived", async || (world.place().await != before).then_some(())).await;
        world.until_healthy().await;
        let promotion = world.cbctl(&["promote", again, "--adopt"]).api(&world, &elsewhere).await;
        promotion.expect(0, &["is entered"]);
        let promoted = (world.place().await, world.template().await);
        let_through.send(true).unwrap();
        let run = rollback.finish().await;
        run.expect(1, &[told, "hint: cbctl status shows where things stand"]);
        assert_eq!((world.place().await, world.template().await), promoted, "{arguments:?}:\n{run}");
        let history = actions(&world.history().await);
        assert_eq!(history.iter().any(|line| line.ends_with(" overtaken")), told == certain, "{history:?}");
    }))
    .await;
}
