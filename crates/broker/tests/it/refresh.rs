//! The one function that redeems refresh tokens, against a provider that rotates, detects reuse, and fails.

use crate::world::{World, bearer, provider, used};
use doorward_broker::{Access, AuthorizationInput, Edit, GatewayInput};
use doorward_demo::{AuthorizationServerOptions, TokenFault};
use doorward_domain::{GrantState, ProviderEnd, ReauthorizationReason};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

#[tokio::test]
async fn r1_r2_eight_calls_on_an_expired_token_cause_one_refresh() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let calls = (0..8).map(|_| world.broker.access(&world.alice, &gateway));
    let answers = futures_util::future::join_all(calls).await;
    let bearers: Vec<String> = answers.into_iter().map(|access| bearer(&access.unwrap())).collect();
    assert!(bearers.iter().all(|one| one == &bearers[0]));
    assert_eq!(world.refreshes(), 1);
    world.advance(301);
    world.access(&gateway).await;
    assert_eq!(world.refreshes(), 2, "the grant lives");
    assert_eq!(world.demo.authorization_server.log().refresh_token_reuses, 0);
}

#[tokio::test]
async fn two_processes_on_one_database_cause_one_refresh() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let other = world.second_broker();
    world.advance(301);
    let calls = (0..8).map(|n| {
        let broker = if n % 2 == 0 { &world.broker } else { &other };
        broker.access(&world.alice, &gateway)
    });
    for access in futures_util::future::join_all(calls).await {
        bearer(&access.unwrap());
    }
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_token_that_is_still_valid_is_served_while_one_refresh_runs() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let first = bearer(&world.access(&gateway).await);
    world.advance(250);
    let release = Arc::new(Notify::new());
    world.demo.authorization_server.faults().next_token_answer(TokenFault::HeldUntil(Arc::clone(&release)));
    for _ in 0..3 {
        assert_eq!(bearer(&world.access(&gateway).await), first);
    }
    let mut changes = world.storage.changes();
    release.notify_one();
    changes.recv().await.unwrap();
    assert_ne!(bearer(&world.access(&gateway).await), first);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn r12_a_caller_that_hangs_up_does_not_stop_the_refresh() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let release = Arc::new(Notify::new());
    world.demo.authorization_server.faults().next_token_answer(TokenFault::HeldUntil(Arc::clone(&release)));
    let mut changes = world.storage.changes();
    let hung_up = tokio::time::timeout(Duration::from_millis(300), world.access(&gateway)).await;
    assert!(hung_up.is_err());
    release.notify_one();
    changes.recv().await.unwrap();
    bearer(&world.access(&gateway).await);
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn r10_an_answer_without_a_refresh_token_keeps_the_one_there_is() {
    let options = |clock: &_| AuthorizationServerOptions { rotate_refresh_tokens: false, ..provider(clock) };
    let world = World::with_provider(options).await;
    let gateway = world.connected().await;
    for expected in 1..=2 {
        world.advance(301);
        bearer(&world.access(&gateway).await);
        assert_eq!(world.refreshes(), expected);
    }
}

#[tokio::test]
async fn r13_a_blip_keeps_the_grant_and_backs_off() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let faults = world.demo.authorization_server.faults().clone();
    faults.next_token_answer(TokenFault::Unavailable { retry_after_seconds: 7 });
    let Access::Unavailable { retry_after, .. } = world.access(&gateway).await else { panic!() };
    assert!(retry_after.unwrap() >= Duration::from_secs(7));
    let Access::Unavailable { .. } = world.access(&gateway).await else { panic!() };
    assert_eq!(world.demo.authorization_server.log().token_requests_of("refresh_token"), 1, "it waits");
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!((grant.state, grant.failures, grant.redeeming_number), (GrantState::Active, 1, None));
    world.advance(60);
    bearer(&world.access(&gateway).await);
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!((grant.failures, grant.last_error, grant.retry_at), (0, None, None));
}

#[tokio::test]
async fn r14_a_wrong_registration_keeps_the_grant_and_a_refused_one_asks_the_user() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let refuse = |error: &str| {
        let fault = TokenFault::Refused { status: 400, error: error.into() };
        world.demo.authorization_server.faults().next_token_answer(fault);
    };
    world.advance(301);
    refuse("invalid_client");
    assert!(matches!(world.access(&gateway).await, Access::Unavailable { .. }));
    assert_eq!(world.grant(&gateway).await.unwrap().state, GrantState::Active);
    world.advance(60);
    refuse("invalid_grant");
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!(grant.state, GrantState::NeedsAuthorization(ReauthorizationReason::InvalidGrant));
    world.demo.authorization_server.clear_log();
    world.advance(3_600);
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    assert_eq!(world.demo.authorization_server.log().token_requests.len(), 0, "R16: a parked grant is quiet");
}

#[tokio::test]
async fn r8_a_lost_answer_is_uncertain_and_never_replayed() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    world.demo.authorization_server.faults().next_token_answer(TokenFault::AnswerLost);
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    assert_eq!(world.grant(&gateway).await.unwrap().state, GrantState::Uncertain);
    world.advance(3_600);
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    let log = world.demo.authorization_server.log();
    assert_eq!((log.refreshes, log.refresh_token_reuses), (1, 0));
}

#[tokio::test]
async fn an_uncertain_grant_serves_the_token_it_has_until_that_ends() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let first = bearer(&world.access(&gateway).await);
    world.advance(250);
    let mut changes = world.storage.changes();
    world.demo.authorization_server.faults().next_token_answer(TokenFault::Malformed);
    assert_eq!(bearer(&world.access(&gateway).await), first);
    changes.recv().await.unwrap();
    assert_eq!(world.grant(&gateway).await.unwrap().state, GrantState::Uncertain);
    assert_eq!(bearer(&world.access(&gateway).await), first);
    world.advance(60);
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
}

#[tokio::test]
async fn an_intent_without_an_answer_is_found_and_not_replayed() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let grant = world.grant(&gateway).await.unwrap();
    world.storage.begin_refresh(grant.id, grant.version).await.unwrap().unwrap();
    world.advance(301);
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    assert_eq!(world.grant(&gateway).await.unwrap().state, GrantState::Uncertain);
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn r17_a_refused_token_is_renewed_once_and_a_refused_fresh_one_asks_the_user() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let first = world.access(&gateway).await;
    let second = world.broker.access_after_refusal(&world.alice, &gateway, &used(&first)).await.unwrap();
    assert_ne!(bearer(&first), bearer(&second));
    let late = world.broker.access_after_refusal(&world.alice, &gateway, &used(&first)).await.unwrap();
    assert_eq!(bearer(&late), bearer(&second), "who was refused with the old token gets the new one");
    assert_eq!(world.refreshes(), 1);
    let third = world.broker.access_after_refusal(&world.alice, &gateway, &used(&second)).await.unwrap();
    assert!(matches!(third, Access::MustAuthorize { .. }));
    let state = world.grant(&gateway).await.unwrap().state;
    assert_eq!(state, GrantState::NeedsAuthorization(ReauthorizationReason::RefusedFreshToken));
    assert_eq!(world.refreshes(), 1);
}

#[tokio::test]
async fn a_token_that_nothing_renews_asks_the_user_when_it_ends() {
    let options = |clock: &_| AuthorizationServerOptions { refresh_tokens: false, ..provider(clock) };
    let world = World::with_provider(options).await;
    let gateway = world.connected().await;
    world.advance(299);
    bearer(&world.access(&gateway).await);
    world.advance(2);
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    let state = world.grant(&gateway).await.unwrap().state;
    assert_eq!(state, GrantState::NeedsAuthorization(ReauthorizationReason::NothingToRefreshWith));
}

#[tokio::test]
async fn r24_a_grant_that_ended_during_its_refresh_stays_ended() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(301);
    let release = Arc::new(Notify::new());
    world.demo.authorization_server.faults().next_token_answer(TokenFault::HeldUntil(Arc::clone(&release)));
    let end = async {
        while world.demo.authorization_server.log().token_requests_of("refresh_token") == 0 {
            tokio::task::yield_now().await;
        }
        world.broker.disconnect(&world.alice, gateway.id, ProviderEnd::UnlessWide).await.unwrap();
        release.notify_one();
    };
    let (access, ()) = tokio::join!(world.access(&gateway), end);
    assert!(!matches!(access, Access::Header(_)));
    assert!(world.grant(&gateway).await.is_none());
}

#[tokio::test]
async fn a_gateway_that_points_elsewhere_sends_no_token_there() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let edit = GatewayInput {
        authorization: Some(AuthorizationInput::OAuth(Box::new(doorward_broker::OAuthInput {
            resource: Some("https://elsewhere.example/mcp".into()),
            client_secret: Edit::Set(doorward_domain::ClientSecret::new("given again")),
            ..world.oauth_input()
        }))),
        ..Default::default()
    };
    let updated =
        world.broker.update_gateway(&world.admin, gateway.id, Some(gateway.version), edit).await.unwrap();
    assert_eq!(updated.must_reauthorize, 1);
    assert!(matches!(world.access(&updated.gateway).await, Access::MustAuthorize { .. }));
    let state = world.grant(&gateway).await.unwrap().state;
    assert_eq!(state, GrantState::NeedsAuthorization(ReauthorizationReason::GatewayChanged));
}

#[tokio::test]
async fn use_is_noted_in_batches() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let access = world.access(&gateway).await;
    world.broker.served(&used(&access));
    assert_eq!(world.grant(&gateway).await.unwrap().last_used_at, None);
    world.broker.flush_last_used().await.unwrap();
    assert_eq!(world.grant(&gateway).await.unwrap().last_used_at, Some(world.clock.now()));
    world.broker.flush_last_used().await.unwrap();
}

#[tokio::test]
async fn r17_a_forced_token_that_worked_for_a_while_is_renewed_again() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let first = world.access(&gateway).await;
    let second = world.broker.access_after_refusal(&world.alice, &gateway, &used(&first)).await.unwrap();
    world.advance(120);
    let third = world.broker.access_after_refusal(&world.alice, &gateway, &used(&second)).await.unwrap();
    assert_ne!(bearer(&second), bearer(&third));
    assert_eq!(world.refreshes(), 2);
}

#[tokio::test]
async fn a_refused_token_of_an_uncertain_grant_is_not_sent_again() {
    let world = World::start().await;
    let gateway = world.connected().await;
    world.advance(250);
    let mut changes = world.storage.changes();
    world.demo.authorization_server.faults().next_token_answer(TokenFault::AnswerLost);
    let access = world.access(&gateway).await;
    changes.recv().await.unwrap();
    assert_eq!(world.grant(&gateway).await.unwrap().state, GrantState::Uncertain);
    let after = world.broker.access_after_refusal(&world.alice, &gateway, &used(&access)).await.unwrap();
    assert!(matches!(after, Access::MustAuthorize { .. }));
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
}

#[tokio::test]
async fn an_answer_lost_while_the_upstream_refuses_leaves_nothing_to_try() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let access = world.access(&gateway).await;
    world.demo.authorization_server.faults().next_token_answer(TokenFault::AnswerLost);
    let after = world.broker.access_after_refusal(&world.alice, &gateway, &used(&access)).await.unwrap();
    assert!(matches!(after, Access::MustAuthorize { .. }));
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
}

#[tokio::test]
async fn an_intent_left_behind_is_parked_when_the_upstream_refuses_the_token() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let access = world.access(&gateway).await;
    let grant = world.grant(&gateway).await.unwrap();
    world.storage.begin_refresh(grant.id, grant.version).await.unwrap().unwrap();
    let after = world.broker.access_after_refusal(&world.alice, &gateway, &used(&access)).await.unwrap();
    assert!(matches!(after, Access::MustAuthorize { .. }));
    assert_eq!(world.refreshes(), 0);
}

#[tokio::test]
async fn a_call_that_holds_the_gateway_as_it_was_parks_no_new_grant() {
    let world = World::start().await;
    let before = world.connected().await;
    let used_before = used(&world.access(&before).await);
    let edit = GatewayInput {
        authorization: Some(AuthorizationInput::OAuth(Box::new(doorward_broker::OAuthInput {
            issuer: None,
            client_secret: Edit::Set(doorward_domain::ClientSecret::new(
                world.demo.authorization_server.client_secret(),
            )),
            ..world.oauth_input()
        }))),
        ..Default::default()
    };
    let after = world.broker.update_gateway(&world.admin, before.id, None, edit).await.unwrap().gateway;
    world.connect(&world.broker, &world.alice, None).await;
    assert!(matches!(world.access(&before).await, Access::Unavailable { .. }));
    let late = world.broker.access_after_refusal(&world.alice, &before, &used_before).await.unwrap();
    assert!(!matches!(late, Access::MustAuthorize { .. }));
    bearer(&world.access(&after).await);
}
