//! The browser round trip: who may make it, what is refused, and what is stored.

use crate::world::{World, bearer, sign_in};
use doorward_broker::{
    Access, BrokerError, Callback, CallbackProblem, ConnectPage, ConnectionStatus, Finished,
};
use doorward_demo::{IssuerInRedirect, TokenFault};
use doorward_domain::{GatewayState, GrantState, Health, PageRequest, ProviderEnd, SessionToken};
use doorward_storage::AuditFilter;
use std::time::Duration;

fn problem(finished: Finished) -> CallbackProblem {
    match finished {
        Finished::Refused { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

async fn actions(world: &World, prefix: &str) -> usize {
    let filter = AuditFilter { action_prefix: Some(prefix.into()), ..AuditFilter::default() };
    world.broker.audit_events(&world.admin, &filter, &PageRequest::default()).await.unwrap().items.len()
}

#[tokio::test]
async fn s13_a_consent_makes_one_grant_of_one_user_and_shows_the_account() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    let finished = world.connect(&world.broker, &world.alice, None).await;
    assert!(matches!(finished, Finished::Connected { .. }));
    let grant = world.grant(&gateway).await.unwrap();
    assert_eq!(grant.state, GrantState::Active);
    assert_eq!(grant.account.unwrap().subject, "alice");
    assert!(bearer(&world.access(&gateway).await).starts_with("Bearer "));
    assert!(matches!(
        world.broker.access(&world.admin, &gateway).await.unwrap(),
        Access::MustAuthorize { .. }
    ));
    let connection = world.broker.connection(&world.alice, gateway.id).await.unwrap();
    assert_eq!(connection.status, ConnectionStatus::Connected(Health::Valid));
}

#[tokio::test]
async fn a_second_consent_takes_the_place_of_the_first() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let first = bearer(&world.access(&gateway).await);
    let id = world.grant(&gateway).await.unwrap().id;
    world.connect(&world.broker, &world.alice, None).await;
    assert_eq!(world.grant(&gateway).await.unwrap().id, id);
    assert_ne!(bearer(&world.access(&gateway).await), first, "R18: the next call carries the new token");
}

#[tokio::test]
async fn r36_an_authorization_begun_in_one_process_is_finished_in_another() {
    let world = World::start().await;
    world.gateway().await;
    let other = world.second_broker();
    assert!(matches!(world.connect(&other, &world.alice, None).await, Finished::Connected { .. }));
}

#[tokio::test]
async fn a_callback_is_good_once_for_its_user_and_browser_and_for_ten_minutes() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let finish = async |caller, callback, cookie| {
        problem(world.broker.finish_authorization(caller, callback, cookie).await.unwrap())
    };
    let copy = |callback: &Callback| Callback {
        state: callback.state.clone(),
        code: callback.code.clone(),
        iss: callback.iss.clone(),
        ..Callback::default()
    };
    let began = world.broker.begin_authorization(&world.alice, "demo", None).await.unwrap();
    let callback = world.at_provider(&began, "allow").await;
    assert_eq!(finish(&world.alice, copy(&callback), None).await, CallbackProblem::OtherBrowser);
    let foreign = Some(SessionToken::new("planted"));
    assert_eq!(finish(&world.alice, copy(&callback), foreign).await, CallbackProblem::OtherBrowser);
    let cookie = Some(began.cookie.clone());
    assert_eq!(finish(&world.admin, copy(&callback), cookie).await, CallbackProblem::OtherUser);
    let good =
        world.broker.finish_authorization(&world.alice, copy(&callback), Some(began.cookie.clone())).await;
    assert!(matches!(good.unwrap(), Finished::Connected { .. }), "a stranger's try consumed nothing");
    assert_eq!(
        finish(&world.alice, copy(&callback), Some(began.cookie)).await,
        CallbackProblem::UnknownState
    );
    assert_eq!(finish(&world.alice, Callback::default(), None).await, CallbackProblem::NoState);

    world.broker.disconnect(&world.alice, gateway.id, ProviderEnd::UnlessWide).await.unwrap();
    let late = world.broker.begin_authorization(&world.alice, "demo", None).await.unwrap();
    let callback = world.at_provider(&late, "allow").await;
    world.advance(601);
    assert_eq!(finish(&world.alice, callback, Some(late.cookie)).await, CallbackProblem::Expired);
    assert!(world.grant(&gateway).await.is_none());
    assert_eq!(actions(&world, "authorization.refused").await, 6);
}

#[tokio::test]
async fn r33_a_wrong_or_missing_issuer_is_refused_before_the_code_is_redeemed() {
    let world = World::start().await;
    let mut input = world.gateway_input("demo");
    input.authorization = Some(doorward_broker::AuthorizationInput::Discover(Box::default()));
    let gateway = world.broker.create_gateway(&world.admin, input).await.unwrap();
    let server = &world.demo.authorization_server;
    server.clear_log();
    for issuer in [IssuerInRedirect::Wrong("https://evil.example".into()), IssuerInRedirect::Missing] {
        server.faults().issuer_in_redirects(issuer);
        let finished = world.connect(&world.broker, &world.alice, None).await;
        assert_eq!(problem(finished), CallbackProblem::WrongIssuer);
    }
    assert_eq!(server.log().token_requests.len(), 0);
    assert!(world.grant(&gateway).await.is_none());
    server.faults().issuer_in_redirects(IssuerInRedirect::Right);
    assert!(matches!(world.connect(&world.broker, &world.alice, None).await, Finished::Connected { .. }));
}

#[tokio::test]
async fn every_answer_of_the_provider_has_an_end() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let began = world.broker.begin_authorization(&world.alice, "demo", None).await.unwrap();
    let callback = world.at_provider(&began, "deny").await;
    let denied = world.broker.finish_authorization(&world.alice, callback, Some(began.cookie)).await.unwrap();
    assert!(matches!(denied, Finished::Denied { .. }));

    let answers = [
        (Some("server_error"), CallbackProblem::ProviderError { code: "server_error".into() }),
        (None, CallbackProblem::NoCode),
    ];
    for (error, expected) in answers {
        let began = world.broker.begin_authorization(&world.alice, "demo", None).await.unwrap();
        let callback = world.at_provider(&began, "allow").await;
        let callback = Callback { code: None, error: error.map(str::to_owned), ..callback };
        let finished = world.broker.finish_authorization(&world.alice, callback, Some(began.cookie)).await;
        assert_eq!(problem(finished.unwrap()), expected);
    }
    world.demo.authorization_server.faults().next_token_answer(TokenFault::AnswerLost);
    let lost = problem(world.connect(&world.broker, &world.alice, None).await);
    assert!(matches!(lost, CallbackProblem::ExchangeFailed { .. }));
    assert!(world.grant(&gateway).await.is_none());
}

#[tokio::test]
async fn a_gateway_that_moved_meanwhile_redeems_nothing() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let began = world.broker.begin_authorization(&world.alice, "demo", None).await.unwrap();
    let callback = world.at_provider(&began, "allow").await;
    let edit = doorward_broker::GatewayInput { state: Some(GatewayState::Disabled), ..Default::default() };
    world.broker.update_gateway(&world.admin, gateway.id, None, edit).await.unwrap();
    let finished =
        world.broker.finish_authorization(&world.alice, callback, Some(began.cookie)).await.unwrap();
    assert_eq!(problem(finished), CallbackProblem::GatewayChanged);
    let disabled = world.broker.begin_authorization(&world.admin, "demo", None).await;
    assert!(matches!(disabled.unwrap_err(), BrokerError::Invalid { .. }));
}

#[tokio::test]
async fn r31_a_link_works_for_its_owner_alone_and_opening_it_consumes_nothing() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let link = world.broker.connect_link(&world.alice, &gateway, "Inspector\n").await.unwrap();
    let again = world.broker.connect_link(&world.alice, &gateway, "Inspector\n").await.unwrap();
    assert_eq!(link, again, "the pending one is reused");
    assert!(link.url.as_str().starts_with("http://localhost:4444/connect/demo?request="));
    let request = link.id.to_string();
    for _ in 0..3 {
        let page = world.broker.connect_page(&world.alice, "demo", Some(&request)).await.unwrap();
        let ConnectPage::Ask(ask) = page else { panic!("{page:?}") };
        assert_eq!(ask.client_name.as_deref(), Some("Inspector"));
        assert_eq!(ask.new_scopes, ["openid", "notes"]);
        assert_eq!(ask.provider_host, "127.0.0.1");
    }
    let stranger = world.broker.connect_page(&world.admin, "demo", Some(&request)).await.unwrap();
    assert!(matches!(stranger, ConnectPage::NotYours));
    assert!(world.broker.begin_authorization(&world.admin, "demo", Some(&request)).await.is_err());
    assert_eq!(actions(&world, "connect.refused").await, 2);
    assert_eq!(actions(&world, "authorization.begin").await, 0);

    let completed =
        async || world.storage.connect_request(link.id).await.unwrap().unwrap().completed_at.is_some();
    assert!(!completed().await);
    let finished = world.connect(&world.broker, &world.alice, Some(&request)).await;
    assert!(matches!(finished, Finished::Connected { .. }));
    assert!(completed().await);
}

#[tokio::test]
async fn an_expired_link_offers_its_owner_to_start_again() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let link = world.broker.connect_link(&world.alice, &gateway, "").await.unwrap();
    world.advance(601);
    let request = link.id.to_string();
    let alice = sign_in(&world.broker, "alice@example.com").await;
    let page = world.broker.connect_page(&alice, "demo", Some(&request)).await.unwrap();
    assert!(matches!(page, ConnectPage::StartAgain { .. }));
    let page = world.broker.connect_page(&alice, "demo", Some("nonsense")).await.unwrap();
    assert!(matches!(page, ConnectPage::StartAgain { .. }));
    assert_ne!(world.broker.connect_link(&alice, &gateway, "").await.unwrap().id, link.id);
    assert!(world.broker.connect_page(&alice, "nowhere", None).await.is_err());
}

#[tokio::test]
async fn whoever_waits_is_told_as_soon_as_the_user_has_authorized() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let (sender, heard) = std::sync::mpsc::channel();
    world.broker.on_connected(Box::new(move |user, gateway| sender.send((user, gateway)).unwrap()));
    let none = world.broker.wait_for_grant(&world.alice, gateway.id, Duration::from_millis(20)).await;
    assert!(!none.unwrap());
    let wait = world.broker.wait_for_grant(&world.alice, gateway.id, Duration::from_secs(20));
    let (waited, _) = tokio::join!(wait, world.connect(&world.broker, &world.alice, None));
    assert!(waited.unwrap());
    assert_eq!(heard.recv().unwrap(), (world.alice.user.id, gateway.id));
}

#[tokio::test]
async fn a_disconnected_grant_serves_no_later_call() {
    let world = World::start().await;
    let gateway = world.connected().await;
    assert!(matches!(world.access(&gateway).await, Access::Header(_)));
    world.broker.disconnect(&world.alice, gateway.id, ProviderEnd::UnlessWide).await.unwrap();
    assert!(matches!(world.access(&gateway).await, Access::MustAuthorize { .. }));
    assert!(world.broker.disconnect(&world.alice, gateway.id, ProviderEnd::UnlessWide).await.is_err());
    let connections = world.broker.connections(&world.alice).await.unwrap();
    assert_eq!(connections[0].status, ConnectionStatus::NotConnected);
}
