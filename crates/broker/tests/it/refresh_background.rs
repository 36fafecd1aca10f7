//! What the clock refreshes, and what it leaves alone.

use crate::world::{World, bearer, provider, used};
use doorward_demo::{AuthorizationServerOptions, TokenFault};
use doorward_domain::{GrantState, ProviderFacts};
use std::time::Duration;

const DAY: u64 = 86_400;

/// Lets the clock run and the background with it, a beat every `step` seconds.
async fn run(world: &World, seconds: u64, step: u64) {
    for _ in 0..seconds / step {
        world.broker.refresh_due().await.unwrap();
        world.advance(step);
    }
}

fn hour(clock: &doorward_domain::Clock) -> AuthorizationServerOptions {
    AuthorizationServerOptions { access_token_seconds: 3_600, ..provider(clock) }
}

#[tokio::test]
async fn a_grant_that_is_used_is_renewed_by_the_clock_and_one_that_is_not_falls_asleep() {
    let world = World::with_provider(hour).await;
    let gateway = world.connected().await;
    run(&world, 3_299, 60).await;
    assert_eq!(world.refreshes(), 0, "not before its margin");
    run(&world, 301, 60).await;
    assert_eq!(world.refreshes(), 1);
    world.broker.served(&used(&world.access(&gateway).await));
    world.broker.flush_last_used().await.unwrap();
    run(&world, 10 * DAY, 600).await;
    let asleep = world.refreshes();
    assert!((7 * 24..=9 * 24).contains(&asleep), "{asleep} refreshes in a week of use");
    run(&world, 5 * DAY, 600).await;
    assert_eq!(world.refreshes(), asleep, "nobody has used it for a week");

    // The next call wakes it.
    let access = world.access(&gateway).await;
    bearer(&access);
    assert_eq!(world.refreshes(), asleep + 1);
    world.broker.served(&used(&access));
    world.broker.flush_last_used().await.unwrap();
    run(&world, 2 * 3_600, 60).await;
    assert_eq!(world.refreshes(), asleep + 3);
}

#[tokio::test]
async fn m5_an_idle_grant_is_kept_alive_before_the_provider_ends_it_where_the_gateway_says_so() {
    let world = World::with_provider(hour).await;
    let gateway = world.gateway().await;
    let facts = ProviderFacts { idle_death_days: Some(30), ..ProviderFacts::default() };
    let gateway = world
        .edited(&gateway, |oauth| {
            oauth.facts = Some(facts.clone());
            oauth.keep_alive = Some(true);
        })
        .await;
    world.connect(&world.broker, &world.alice, None).await;
    let forecast = |grant: &doorward_domain::Grant| grant.issued_at.until(grant.ends_at.unwrap()).as_secs();
    assert_eq!(forecast(&world.grant(&gateway).await.unwrap()), 30 * DAY);
    run(&world, 9 * DAY, 600).await;
    let (asleep, since) = (world.refreshes(), world.grant(&gateway).await.unwrap().issued_at);
    run(&world, 200 * DAY, 6 * 3_600).await;
    let kept = world.refreshes() - asleep;
    assert!((9..=11).contains(&kept), "every twenty days, not {kept} times in two hundred days");
    let grant = world.grant(&gateway).await.unwrap();
    assert!(grant.issued_at > since && grant.ends_at.unwrap() > world.clock.now());
    assert_eq!(forecast(&grant), 30 * DAY);

    // Without it, idle is idle.
    world.edited(&gateway, |oauth| oauth.keep_alive = Some(false)).await;
    let before = world.refreshes();
    run(&world, 60 * DAY, 6 * 3_600).await;
    assert_eq!(world.refreshes(), before);
}

#[tokio::test]
async fn r16_what_is_parked_is_left_alone() {
    let world = World::with_provider(hour).await;
    let gateway = world.connected().await;
    world.advance(3_400);
    let refused = TokenFault::Refused { status: 400, error: "invalid_grant".into() };
    world.demo.authorization_server.faults().next_token_answer(refused);
    run(&world, 10 * DAY, 600).await;
    assert_eq!(world.refresh_requests(), 1);
    assert!(matches!(world.grant(&gateway).await.unwrap().state, GrantState::NeedsAuthorization(_)));
}

#[tokio::test]
async fn r15_a_failing_provider_is_asked_rarely_and_a_deleted_gateway_not_at_all() {
    let world = World::with_provider(hour).await;
    let gateway = world.connected().await;
    world.advance(3_300);
    let down = TokenFault::Unavailable { retry_after_seconds: 0 };
    world.demo.authorization_server.faults().every_token_answer(Some(down));
    let mut asked_at = vec![];
    for second in (0..DAY).step_by(5) {
        world.broker.refresh_due().await.unwrap();
        if world.refresh_requests() > asked_at.len() {
            asked_at.push(second);
        }
        assert_eq!(world.refresh_requests(), asked_at.len(), "no two requests on one beat");
        world.advance(5);
    }
    assert!(asked_at.len() < 900, "{} requests in a day", asked_at.len());
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!((grant.state, grant.failures), (GrantState::Active, 5), "the rest is the provider's failure");

    world.broker.delete_gateway(&world.admin, gateway.id, None).await.unwrap();
    world.demo.authorization_server.clear_log();
    run(&world, DAY, 60).await;
    assert_eq!(world.refresh_requests(), 0);
}

#[tokio::test]
async fn tokens_of_one_minute_do_not_fall_due_in_one() {
    let world = World::with_provider(hour).await;
    let gateway = world.connected().await;
    for number in 0..60 {
        world.one_more_grant(&gateway, &format!("account {number}")).await;
        world.clock.advance(Duration::from_millis(17));
    }
    world.advance(3_297);
    let mut busiest = 0;
    for _ in 0..200 {
        let before = world.refreshes();
        world.broker.refresh_due().await.unwrap();
        busiest = busiest.max(world.refreshes() - before);
        world.advance(1);
    }
    assert_eq!(world.refreshes(), 61);
    assert!(busiest <= 4, "{busiest} at once");
}
