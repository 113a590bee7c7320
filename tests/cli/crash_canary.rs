//! The process is killed at every request that matters while it makes, changes or takes away a canary: a promotion or an
//! abort later things have come to a good end, and nothing is left over.
//!
//! The same command again would take the next step where the first was decided before it died. So it is not compared with
//! an uninterrupted run; both ends are looked at instead.

use futures_util::StreamExt;

use crate::crash::{AT_ONCE, Case};
use crate::harness::proxy::Seen;
use crate::harness::{World, until};

/// Where to go after a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Full,
    Aborted,
}

impl World {
    /// Promotes until the phase is complete, however many steps are left and whatever was cut short.
    async fn promote_to_the_end(&self, case: &str) {
        until("the phase is complete", async || {
            let run = self.cbctl(&["promote", "cache"]).await;
            assert!(matches!(run.status, 0 | 4 | 6), "{case}\nthen\n{run}");
            run.says("cache is complete").then_some(())
        })
        .await;
        assert_eq!(self.place().await.as_deref(), Some("cache 3"), "{case}");
        assert_eq!(self.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some("true".to_owned()); 2], "{case}");
    }

    /// Its router, where there is one, is as it was before there was a canary.
    async fn gives_the_canary_nothing(&self, case: &str) {
        let Some(route) = self.routes().get_opt("public").await.unwrap() else { return };
        let backends = route.data["spec"]["rules"][0]["backendRefs"].as_array().unwrap();
        let weights: Vec<i64> = backends.iter().map(|backend| backend["weight"].as_i64().unwrap()).collect();
        assert_eq!(weights, [1, 0], "{case}");
    }

    async fn abort_to_the_end(&self, case: &str) {
        until("there is no canary to abort", async || {
            let run = self.cbctl(&["abort"]).await;
            assert_eq!(run.status, 0, "{case}\nthen\n{run}");
            run.says("there is no canary").then_some(())
        })
        .await;
        let place = self.place().await;
        assert!(matches!(place.as_deref(), Some("shadow 1" | "cache 3")), "{case}: {place:?}");
        let on = if place.as_deref() == Some("cache 3") { "true" } else { "false" };
        assert_eq!(self.flag_in_pods("CB_CACHE_ENABLED").await, vec![Some(on.to_owned()); 2], "{case}");
    }
}

/// Kills a command at every request that matters, and prints how many deaths that were.
#[expect(clippy::print_stdout, reason = "how many deaths there were is worth knowing")]
async fn survives(prepared: impl AsyncFn() -> World, arguments: &[&str]) {
    let run = prepared().await.cbctl(arguments).await;
    assert_eq!(run.status, 0, "{run}");
    // Each death goes one way, and the next one the other.
    let ends = [End::Full, End::Aborted, End::Aborted, End::Full].into_iter().cycle();
    // Before its first write a command has changed nothing: the deaths at one look stand for those at all others.
    let looks = run.requests.iter().position(Seen::writes).unwrap_or_default();
    let mut cases = Case::all(&run);
    cases.drain(1..looks.max(1));
    let deaths: Vec<bool> = futures_util::stream::iter(cases.into_iter().zip(ends))
        .map(|(case, end)| dies(&prepared, arguments, case, end))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let killed = deaths.iter().filter(|killed| **killed).count();
    println!("{}: killed {killed} times", arguments.join(" "));
}

/// Whether it was killed.
async fn dies(prepared: &impl AsyncFn() -> World, arguments: &[&str], case: Case, end: End) -> bool {
    let world = prepared().await;
    let run = world.dies_at(arguments, &case).await;
    let (killed, first) = (run.status == -1, case.occurrence == 0);
    let case = format!("{arguments:?} dead at {case:?}, then {end:?}:\n{run}");
    // A look at the pods may not have been needed this time; everything else is asked every time.
    assert!(killed || (run.status == 0 && !first), "{case}");
    match end {
        End::Full => world.promote_to_the_end(&case).await,
        End::Aborted => world.abort_to_the_end(&case).await,
    }
    world.until_no_canary().await;
    world.gives_the_canary_nothing(&case).await;
    world.cbctl(&["history", "--verify"]).await.expect(0, &[]);
    killed
}

#[tokio::test]
async fn making_a_canary_survives_death_at_every_request() {
    survives(World::before_a_canary, &["promote", "cache"]).await;
}

#[tokio::test]
async fn making_it_greater_survives_death_at_every_request() {
    survives(async || World::at_step(1).await, &["promote", "cache"]).await;
}

#[tokio::test]
async fn everything_after_a_canary_survives_death_at_every_request() {
    survives(async || World::at_step(2).await, &["promote", "cache"]).await;
}

#[tokio::test]
async fn a_canary_that_comes_back_survives_death_at_every_request() {
    survives(async || World::at_step(3).await, &["rollback"]).await;
}

#[tokio::test]
async fn an_abort_survives_death_at_every_request() {
    survives(async || World::at_step(2).await, &["abort"]).await;
}

#[tokio::test]
async fn making_a_canary_behind_a_router_survives_death_at_every_request() {
    survives(async || World::before_a_routed_canary(true).await, &["promote", "cache"]).await;
}

#[tokio::test]
async fn an_abort_behind_a_router_survives_death_at_every_request() {
    let at_the_canary = async || {
        let world = World::before_a_routed_canary(true).await;
        world.cbctl(&["promote", "cache"]).await.expect(0, &["33% of the traffic"]);
        world
    };
    survives(at_the_canary, &["abort"]).await;
}
