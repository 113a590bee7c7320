//! The whole way of a rollout, from the first look to an emergency.

use crate::harness::World;

#[tokio::test]
async fn promotes_one_phase_after_the_other() {
    let world = World::new().await;
    let run = world.cbctl(&["promote", "shadow"]).await;
    insta::assert_snapshot!(run);
    let run = world.cbctl(&["promote", "cache"]).await;
    insta::assert_snapshot!(run);
    assert_eq!(world.place().await.as_deref(), Some("cache 1"));
}
