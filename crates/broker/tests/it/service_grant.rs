//! A gateway that is authorized itself (client credentials): one grant for all of its users.

use crate::world::{World, bearer, provider, used};
use doorward_broker::{
    Access, AuthorizationInput, BrokerError, CheckVerdict, Edit, GatewayInput, OAuthInput, RefreshedNow,
};
use doorward_demo::TokenFault;
use doorward_domain::{
    ClientSecret, Gateway, GatewayId, Grant, GrantId, GrantOwner, GrantType, ProviderEnd, TokenEndpointAuth,
};
use std::sync::Arc;

fn own(world: &World) -> OAuthInput {
    // Nobody is sent to a browser, so no authorization URL is asked for.
    OAuthInput {
        grant_type: Some(GrantType::ClientCredentials),
        authorization_url: String::new(),
        ..world.oauth_input()
    }
}

async fn stored(world: &World, id: GatewayId) -> Option<Grant> {
    world.storage.grant_of(GrantOwner::Service, id).await.unwrap()
}

async fn registered(world: &World, oauth: OAuthInput) -> Result<Arc<Gateway>, BrokerError> {
    let authorization = Some(AuthorizationInput::OAuth(Box::new(oauth)));
    let input = GatewayInput { authorization, ..world.gateway_input("demo") };
    world.broker.create_gateway(&world.admin, input).await
}

fn requests(world: &World) -> usize {
    world.demo.authorization_server.log().token_requests_of("client_credentials")
}

#[tokio::test]
async fn one_grant_serves_every_user_and_is_renewed_like_any_other() {
    let world = World::with_provider(provider).await;
    let gateway = registered(&world, own(&world)).await.unwrap();
    assert_eq!(requests(&world), 0, "nobody has asked yet");
    let calls = (0..8).map(|n| {
        let (broker, gateway) = (world.broker.clone(), Arc::clone(&gateway));
        let caller = if n % 2 == 0 { world.alice.clone() } else { world.admin.clone() };
        async move { bearer(&broker.access(&caller, &gateway).await.unwrap()) }
    });
    let bearers = futures_util::future::join_all(calls).await;
    assert!(bearers.iter().all(|one| *one == bearers[0]));
    assert_eq!(requests(&world), 1, "eight callers cause one request");
    let grant = stored(&world, gateway.id).await.unwrap();
    assert!(grant.tokens.refresh_token.is_none() && grant.renews_itself());

    world.advance(280);
    assert_eq!(world.broker.refresh_due().await.unwrap(), 1, "the clock renews it before its end");
    assert_eq!(requests(&world), 2);
    let renewed = bearer(&world.access(&gateway).await);
    assert_ne!(renewed, bearers[0]);
    world.advance(600);
    assert_ne!(bearer(&world.access(&gateway).await), renewed, "and a call after it");
    let now = world.broker.refresh_now(&world.admin, grant.id).await.unwrap();
    assert!(matches!(now, RefreshedNow::Fresh(_)), "{now:?}");
    assert_eq!(requests(&world), 4);
}

#[tokio::test]
async fn a_lost_answer_or_a_refused_token_spends_nothing() {
    let world = World::start().await;
    let gateway = registered(&world, own(&world)).await.unwrap();
    let server = &world.demo.authorization_server;
    server.faults().next_token_answer(TokenFault::AnswerLost);
    assert!(matches!(world.access(&gateway).await, Access::Unavailable { .. }));
    let first = world.access(&gateway).await;
    let replaced = world.broker.access_after_refusal(&world.alice, &gateway, &used(&first)).await.unwrap();
    assert_ne!(bearer(&replaced), bearer(&first));
    // A fresh one that is refused as well is nobody's to mend but an administrator's: no user is asked.
    let again = world.broker.access_after_refusal(&world.alice, &gateway, &used(&replaced)).await.unwrap();
    let Access::Unavailable { problem, .. } = again else { panic!("{again:?}") };
    assert!(problem.contains("an administrator has to mend the gateway"), "{problem}");
}

#[tokio::test]
async fn a_client_that_is_refused_flags_the_gateway_and_asks_nobody() {
    let world = World::start().await;
    let wrong = OAuthInput { client_secret: Edit::Set(ClientSecret::new("wrong")), ..own(&world) };
    let gateway = registered(&world, wrong).await.unwrap();
    let access = world.access(&gateway).await;
    let Access::Unavailable { problem, .. } = &access else { panic!("{access:?}") };
    assert!(problem.contains("invalid_client"), "{problem}");
    let flagged = world.broker.gateway(&world.admin, gateway.id).await.unwrap();
    assert_eq!(flagged.oauth().unwrap().registration_problem.as_ref().unwrap().code, "invalid_client");
    let asked = requests(&world);
    assert!(matches!(world.access(&gateway).await, Access::Unavailable { .. }));
    assert_eq!(requests(&world), asked, "a client that was refused is not shown again at once");
    assert!(world.broker.begin_authorization(&world.alice, "demo", None).await.is_err());
}

#[tokio::test]
async fn a_revoked_one_serves_no_later_call_and_the_next_gets_another() {
    let world = World::start().await;
    let gateway = registered(&world, own(&world)).await.unwrap();
    let first = bearer(&world.access(&gateway).await);
    let id: GrantId = stored(&world, gateway.id).await.unwrap().id;
    world.broker.revoke(&world.admin, id, None, ProviderEnd::UnlessWide).await.unwrap();
    assert!(stored(&world, gateway.id).await.is_none());
    let second = world.access(&gateway).await;
    assert_ne!(bearer(&second), first);
    assert_ne!(used(&second).grant(), id);
}

#[tokio::test]
async fn it_needs_a_client_that_can_show_who_it_is() {
    let world = World::start().await;
    let field = async |oauth| match registered(&world, oauth).await.unwrap_err() {
        BrokerError::Invalid { field, .. } => field,
        other => panic!("{other}"),
    };
    let public = OAuthInput {
        client_secret: Edit::Clear,
        token_endpoint_auth: Some(TokenEndpointAuth::None),
        ..own(&world)
    };
    assert_eq!(field(public).await, "authorization.client_secret");
    let no_key = OAuthInput { token_endpoint_auth: Some(TokenEndpointAuth::PrivateKeyJwt), ..own(&world) };
    assert_eq!(field(no_key).await, "authorization.client_secret");
}

#[tokio::test]
async fn m11_the_doctor_asks_for_a_token_and_throws_it_away() {
    let world = World::start().await;
    let verdicts = async |gateway: &Gateway| {
        let check = world.broker.check_gateway(&world.admin, gateway.id).await.unwrap();
        let of_client = check.findings.into_iter().find(|found| found.subject == "client_authentication");
        of_client.unwrap()
    };
    let gateway = registered(&world, own(&world)).await.unwrap();
    let good = verdicts(&gateway).await;
    assert_eq!(good.verdict, CheckVerdict::Good, "{good:?}");
    assert!(stored(&world, gateway.id).await.is_none(), "nothing is kept");
    assert_eq!(world.demo.authorization_server.log().revocations.len(), 1);
    world.broker.delete_gateway(&world.admin, gateway.id, None).await.unwrap();
    let wrong = OAuthInput { client_secret: Edit::Set(ClientSecret::new("wrong")), ..own(&world) };
    let bad = verdicts(&registered(&world, wrong).await.unwrap()).await;
    assert!(bad.verdict == CheckVerdict::Wrong && bad.text.contains("'invalid_client'"), "{bad:?}");
}
