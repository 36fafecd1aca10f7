//! Answers that are lost, and stores that are: what may be repeated, what is asked of the user, and what
//! fails closed.

use crate::world::{World, bearer, broker_over, provider, used};
use doorward_broker::{Access, BrokerError};
use doorward_demo::{AuthorizationServerOptions, TokenFault};
use doorward_domain::{Gateway, Grant, GrantState, ProviderFacts};
use doorward_storage::Storage;
use doorward_vault::KeyRing;
use std::sync::Arc;
use tokio::sync::Notify;

/// A provider whose refresh tokens stay good, and a gateway that says so.
async fn replay_safe() -> (World, Arc<Gateway>) {
    let options = |clock: &_| AuthorizationServerOptions { rotate_refresh_tokens: false, ..provider(clock) };
    let world = World::with_provider(options).await;
    let gateway = world.gateway().await;
    let facts = ProviderFacts { replay_safe: true, ..ProviderFacts::default() };
    let gateway = world.edited(&gateway, |oauth| oauth.facts = Some(facts)).await;
    world.connect(&world.broker, &world.alice, None).await;
    (world, gateway)
}

fn lose(world: &World) {
    world.demo.authorization_server.faults().next_token_answer(TokenFault::AnswerLost);
}

#[tokio::test]
async fn m2_a_lost_answer_is_recovered_once_where_a_replay_is_safe() {
    let (world, gateway) = replay_safe().await;
    world.advance(301);
    lose(&world);
    let Access::Unavailable { retry_after: Some(wait), reference: Some(_), .. } =
        world.access(&gateway).await
    else {
        panic!()
    };
    assert_eq!(world.grant(&gateway).await.unwrap().state, GrantState::Uncertain);
    assert!(matches!(world.access(&gateway).await, Access::Unavailable { .. }), "not before its time");
    assert_eq!(world.refreshes(), 1);
    world.clock.advance(wait);
    bearer(&world.access(&gateway).await);
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!((grant.state, grant.failures, world.refreshes()), (GrantState::Active, 0, 2));
}

#[tokio::test]
async fn m2_a_recovery_that_is_lost_too_is_the_last_one() {
    let (world, gateway) = replay_safe().await;
    world.advance(301);
    lose(&world);
    world.access(&gateway).await;
    world.advance(60);
    lose(&world);
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { reference: Some(_) }));
    for _ in 0..100 {
        world.advance(600);
        world.broker.refresh_due().await.unwrap();
        assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    }
    assert_eq!(world.refresh_requests(), 2);
    // Neither does a restart give another one.
    world.storage.recover_interrupted_refreshes(world.clock.now()).await.unwrap();
    assert!(matches!(
        world.second_broker().access(&world.alice, &gateway).await.unwrap(),
        Access::MustAuthorize { .. }
    ));
    assert_eq!(world.refresh_requests(), 2);
}

#[tokio::test]
async fn a_blip_does_not_use_the_recovery_up() {
    let (world, gateway) = replay_safe().await;
    world.advance(301);
    lose(&world);
    world.access(&gateway).await;
    world.advance(60);
    let down = TokenFault::Unavailable { retry_after_seconds: 1 };
    world.demo.authorization_server.faults().next_token_answer(down);
    assert!(matches!(world.access(&gateway).await, Access::Unavailable { .. }));
    assert_eq!(world.grant(&gateway).await.unwrap().state, GrantState::Uncertain);
    world.advance(60);
    assert_eq!(world.broker.refresh_due().await.unwrap(), 1, "the clock recovers it");
    bearer(&world.access(&gateway).await);
    assert_eq!(world.refreshes(), 2);
}

#[tokio::test]
async fn an_interrupted_refresh_follows_the_same_rule() {
    let (world, gateway) = replay_safe().await;
    let grant = world.grant(&gateway).await.unwrap();
    world.storage.begin_refresh(grant.id, grant.version).await.unwrap().unwrap();
    world.advance(301);
    let Access::Unavailable { retry_after: Some(wait), .. } = world.access(&gateway).await else { panic!() };
    world.clock.advance(wait);
    bearer(&world.access(&gateway).await);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_refused_token_is_recovered_too() {
    let (world, gateway) = replay_safe().await;
    let sent = used(&world.access(&gateway).await);
    lose(&world);
    let first = world.broker.access_after_refusal(&world.alice, &gateway, &sent).await.unwrap();
    let Access::Unavailable { retry_after: Some(wait), .. } = first else { panic!("{first:?}") };
    world.clock.advance(wait);
    bearer(&world.broker.access_after_refusal(&world.alice, &gateway, &sent).await.unwrap());
}

/// Starts a refresh whose answer the provider holds back until it is told.
async fn while_held<T>(
    world: &World,
    gateway: &Arc<Gateway>,
    meanwhile: impl AsyncFnOnce() -> T,
) -> Result<Access, BrokerError> {
    let release = Arc::new(Notify::new());
    world.demo.authorization_server.faults().next_token_answer(TokenFault::HeldUntil(Arc::clone(&release)));
    let then = async {
        while world.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        meanwhile().await;
        release.notify_one();
    };
    tokio::join!(world.broker.access(&world.alice, gateway), then).0
}

#[tokio::test]
async fn r7_tokens_that_cannot_be_stored_are_not_used_and_the_user_is_asked_once() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let failed = while_held(&world, &gateway, async || world.storage.close().await).await;
    let told = failed.unwrap_err();
    assert!(
        matches!(&told, BrokerError::Unavailable { problem, .. } if problem.contains("database")),
        "{told}"
    );
    assert_eq!(world.refreshes(), 1);

    // The database is back, and so is a process: the row tells what happened.
    let storage = Storage::open_sqlite(&world.database(), world.clock.clone()).await.unwrap();
    assert_eq!(storage.recover_interrupted_refreshes(world.clock.now()).await.unwrap(), 1);
    let restarted = broker_over(&storage, &world.clock, &world.ring);
    for _ in 0..3 {
        world.advance(600);
        restarted.refresh_due().await.unwrap();
        let access = restarted.access(&world.alice, &gateway).await.unwrap();
        assert!(matches!(access, Access::MustAuthorize { .. }));
    }
    let began = restarted.begin_authorization(&world.alice, "demo", None).await.unwrap();
    let callback = world.at_provider(&began, "allow").await;
    restarted.finish_authorization(&world.alice, callback, Some(began.cookie)).await.unwrap();
    bearer(&restarted.access(&world.alice, &gateway).await.unwrap());
    let log = world.demo.authorization_server.log();
    assert_eq!((log.refreshes, log.refresh_token_reuses), (1, 0));
}

/// The leases stand in the same database as the grants, so a lease store that is down is a database that is:
/// no intent can be committed then, and a refresh whose answer could not be stored would lose the grant.
/// "At most one refresh a replica" therefore comes to none; it is counted, and nothing that has ended is served.
#[tokio::test]
async fn r9_without_its_lease_store_no_refresh_leaves_and_no_ended_token_is_served() {
    let metrics = crate::world::metrics();
    let world = World::start().await;
    let gateway = world.connected().await;
    let grant = world.grant(&gateway).await.unwrap();
    let sent = used(&world.access(&gateway).await);
    world.advance(301);
    world.storage.close().await;
    let calls = (0..8).map(|_| world.broker.access(&world.alice, &gateway));
    for refused in futures_util::future::join_all(calls).await {
        assert!(refused.is_err(), "{refused:?}");
    }
    let refused = world.broker.access_after_refusal(&world.alice, &gateway, &sent).await;
    assert!(matches!(refused, Err(BrokerError::Unavailable { retry_after: Some(_), .. })), "{refused:?}");
    assert_eq!(world.refresh_requests(), 0, "{}", grant.id);
    assert!(metrics.render().contains("doorward_lease_unavailable_total"), "{}", metrics.render());
}

#[tokio::test]
async fn r11_a_kept_refresh_token_is_sealed_with_the_key_that_seals_now() {
    let options = |clock: &_| AuthorizationServerOptions { rotate_refresh_tokens: false, ..provider(clock) };
    let world = World::with_provider(options).await;
    let gateway = world.connected().await;
    let new_ring = {
        let new = KeyRing::generate(doorward_domain::Entropy, "k2").to_text();
        format!("{},{}", secrecy::ExposeSecret::expose_secret(&new), world.ring)
    };
    let rotated = broker_over(&world.storage, &world.clock, &new_ring);
    world.advance(301);
    bearer(&rotated.access(&world.alice, &gateway).await.unwrap());
    let tokens = world.grant(&gateway).await.unwrap().tokens;
    let keys = [&tokens.access_token.key_id.0, &tokens.refresh_token.as_ref().unwrap().key_id.0];
    assert_eq!(keys, ["k2", "k2"]);
    world.advance(301);
    bearer(&rotated.access(&world.alice, &gateway).await.unwrap());
    assert_eq!(world.refreshes(), 2);
}

#[tokio::test]
async fn r4_the_loser_of_a_race_uses_what_the_winner_left() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let release = Arc::new(Notify::new());
    let held = TokenFault::RequestHeldUntil(Arc::clone(&release));
    world.demo.authorization_server.faults().next_token_answer(held);
    let meanwhile = async {
        while world.refresh_requests() == 0 {
            tokio::task::yield_now().await;
        }
        // Somebody else has a new token stored, and the provider no longer knows the old one.
        let old = world.grant(&gateway).await.unwrap();
        world.demo.authorization_server.end_grants();
        let winner = world.one_more_grant(&gateway, "winner").await;
        let issued_at = world.clock.now();
        let stored = Grant {
            tokens: doorward_domain::SealedTokenSet {
                expires_at: winner.tokens.expires_at,
                ..old.tokens.clone()
            },
            refresh_number: old.refresh_number + 1,
            redeeming_number: None,
            issued_at,
            ..old.clone()
        };
        let event = doorward_domain::NewAuditEvent::new(doorward_domain::Actor::System, "grant.refresh");
        assert!(world.storage.finish_refresh(&stored, old.version, event).await.unwrap());
        release.notify_one();
    };
    let (access, ()) = tokio::join!(world.access(&gateway), meanwhile);
    bearer(&access);
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!((grant.state, grant.refresh_number), (GrantState::Active, 2));
}
