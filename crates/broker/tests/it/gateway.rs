//! Gateways: what is checked, what is kept, and what an edit costs.

use crate::world::{World, bearer};
use doorward_broker::{
    Access, AskedUpstream, AuthorizationInput, BrokerError, DiscoveredGateway, Edit, GatewayInput, OAuthInput,
};
use doorward_domain::{
    ClientSecret, GatewayAuthorization, GatewayState, HeaderSecret, RegistrationKind, TokenEndpointAuth,
};

fn field(error: &BrokerError) -> &str {
    match error {
        BrokerError::Invalid { field, .. } | BrokerError::Conflict { field, .. } => field,
        other => panic!("{other}"),
    }
}

fn oauth(input: OAuthInput) -> GatewayInput {
    GatewayInput { authorization: Some(AuthorizationInput::OAuth(Box::new(input))), ..Default::default() }
}

#[tokio::test]
async fn a_draft_is_for_administrators_until_it_is_published() {
    let world = World::start().await;
    let input = GatewayInput { state: None, ..world.gateway_input("draft") };
    let draft = world.broker.create_gateway(&world.admin, input).await.unwrap();
    assert_eq!(draft.state, GatewayState::Draft);
    assert!(world.broker.gateway(&world.alice, draft.id).await.is_err());
    assert!(world.broker.gateways(&world.alice).await.unwrap().is_empty());
    assert_eq!(world.broker.usable_gateways(&world.admin).await.unwrap().len(), 1);
    let publish = GatewayInput { state: Some(GatewayState::Published), ..Default::default() };
    world.broker.update_gateway(&world.admin, draft.id, None, publish).await.unwrap();
    assert!(world.broker.gateway_by_slug(&world.alice, "draft").await.is_ok());
    let disable = GatewayInput { state: Some(GatewayState::Disabled), ..Default::default() };
    world.broker.update_gateway(&world.admin, draft.id, None, disable).await.unwrap();
    assert!(world.broker.usable_gateways(&world.admin).await.unwrap().is_empty());
    assert!(world.broker.gateway_by_slug(&world.alice, "draft").await.is_err());
}

#[tokio::test]
async fn a_user_may_change_nothing() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let (alice, id) = (&world.alice, gateway.id);
    let forbidden = [
        world.broker.create_gateway(alice, world.gateway_input("mine")).await.map(drop).unwrap_err(),
        world.broker.update_gateway(alice, id, None, GatewayInput::default()).await.map(drop).unwrap_err(),
        world.broker.delete_gateway(alice, id, None).await.unwrap_err(),
        world.broker.discover(alice, asked("https://a.example")).await.map(drop).unwrap_err(),
    ];
    for error in forbidden {
        assert_eq!(error.to_string(), "this needs the permission 'manage_gateways'");
    }
}

#[tokio::test]
async fn discovery_fills_everything_and_registers_a_client() {
    let world = World::start().await;
    let url = world.demo.mcp_server.url().to_string();
    let found = world.broker.discover(&world.admin, asked(&url)).await.unwrap();
    assert!(matches!(found, DiscoveredGateway::OAuth { can_register: true, .. }));
    let input = GatewayInput { url: Some(url), name: Some("Demo Server".into()), ..Default::default() };
    let gateway = world.broker.create_gateway(&world.admin, input).await.unwrap();
    let settings = gateway.oauth().unwrap();
    assert_eq!(gateway.slug.as_str(), "demo-server");
    assert_eq!(settings.registration.kind, RegistrationKind::Dynamic);
    assert!(settings.iss_promised && settings.registration.client_secret.is_some());
    assert_eq!(world.demo.authorization_server.log().registrations, 1);
}

#[tokio::test]
async fn an_edit_never_loses_a_secret_and_a_move_asks_for_it_again() {
    let world = World::start().await;
    let gateway = world.connected().await;
    let secret =
        |gateway: &doorward_domain::Gateway| gateway.oauth().unwrap().registration.client_secret.clone();
    let update = async |input| world.broker.update_gateway(&world.admin, gateway.id, None, input).await;
    let rename = GatewayInput { name: Some("New name".into()), ..Default::default() };
    let renamed = update(rename).await.unwrap();
    assert_eq!((secret(&renamed.gateway), renamed.must_reauthorize), (secret(&gateway), 0));
    let keep = OAuthInput { client_secret: Edit::Keep, scopes: vec!["notes".into()], ..world.oauth_input() };
    let kept = update(oauth(keep.clone())).await.unwrap();
    assert_eq!((secret(&kept.gateway), kept.must_reauthorize), (secret(&gateway), 0));
    bearer(&world.access(&kept.gateway).await);

    let moved = [
        OAuthInput { token_url: "http://127.0.0.1:9/token".into(), ..keep.clone() },
        OAuthInput { issuer: None, ..keep.clone() },
        OAuthInput { client_id: "another".into(), ..keep.clone() },
        OAuthInput { resource: None, ..keep.clone() },
    ];
    for input in moved {
        let error = update(oauth(input)).await.unwrap_err();
        assert_eq!(field(&error), "authorization.client_secret");
        assert!(error.to_string().contains("give the client secret again"));
    }
    let elsewhere = GatewayInput { url: Some("http://127.0.0.1:9/mcp".into()), ..Default::default() };
    assert_eq!(field(&update(elsewhere).await.unwrap_err()), "authorization.client_secret");
    bearer(&world.access(&world.broker.gateway(&world.alice, gateway.id).await.unwrap()).await);

    let public = OAuthInput {
        client_secret: Edit::Clear,
        token_endpoint_auth: Some(TokenEndpointAuth::Basic),
        ..world.oauth_input()
    };
    assert_eq!(field(&update(oauth(public.clone())).await.unwrap_err()), "authorization.client_secret");
    let public = OAuthInput { token_endpoint_auth: None, ..public };
    let cleared = update(oauth(public)).await.unwrap();
    assert_eq!(cleared.gateway.oauth().unwrap().registration.token_endpoint_auth, TokenEndpointAuth::None);
    let elsewhere = GatewayInput { url: Some("http://127.0.0.1:9/mcp".into()), ..Default::default() };
    let parked = update(elsewhere).await.unwrap();
    assert_eq!(parked.must_reauthorize, 1, "no secret to ask for, but the tokens stay home");
    assert!(matches!(world.access(&parked.gateway).await, Access::MustAuthorize { .. }));
}

#[tokio::test]
async fn two_administrators_do_not_overwrite_each_other() {
    let world = World::start().await;
    let gateway = world.gateway().await;
    let rename = || GatewayInput { name: Some("Mine".into()), ..Default::default() };
    world.broker.update_gateway(&world.admin, gateway.id, Some(1), rename()).await.unwrap();
    let stale = world.broker.update_gateway(&world.admin, gateway.id, Some(1), rename()).await;
    assert!(matches!(stale.unwrap_err(), BrokerError::VersionMismatch));
    let stale = world.broker.delete_gateway(&world.admin, gateway.id, Some(1)).await;
    assert!(matches!(stale.unwrap_err(), BrokerError::VersionMismatch));
    world.broker.delete_gateway(&world.admin, gateway.id, Some(2)).await.unwrap();
    assert!(world.broker.delete_gateway(&world.admin, gateway.id, None).await.is_err());
}

#[tokio::test]
async fn a_static_header_is_sealed_and_stays_with_its_host() {
    let world = World::start().await;
    let header = |value| AuthorizationInput::StaticHeader { name: "X-Api-Key".into(), value };
    let input = GatewayInput {
        authorization: Some(header(Edit::Set(HeaderSecret::new("canary")))),
        ..world.gateway_input("keyed")
    };
    let gateway = world.broker.create_gateway(&world.admin, input).await.unwrap();
    for _ in 0..2 {
        let Access::Header(sent) = world.access(&gateway).await else { panic!() };
        assert_eq!((sent.name.as_str(), sent.value.to_str().unwrap()), ("x-api-key", "canary"));
        assert!(sent.value.is_sensitive() && sent.used.is_none());
    }
    let update = async |input| world.broker.update_gateway(&world.admin, gateway.id, None, input).await;
    let kept = GatewayInput { authorization: Some(header(Edit::Keep)), ..Default::default() };
    assert!(update(kept.clone()).await.is_ok());
    let elsewhere = GatewayInput { url: Some("http://127.0.0.1:9/mcp".into()), ..Default::default() };
    assert_eq!(field(&update(elsewhere.clone()).await.unwrap_err()), "authorization.value");
    let both = GatewayInput { authorization: kept.authorization, ..elsewhere };
    assert_eq!(field(&update(both).await.unwrap_err()), "authorization.value");
    let cleared = GatewayInput { authorization: Some(header(Edit::Clear)), ..Default::default() };
    assert_eq!(field(&update(cleared).await.unwrap_err()), "authorization.value");
    let open = GatewayInput { authorization: Some(AuthorizationInput::None), ..Default::default() };
    let opened = update(open).await.unwrap();
    assert_eq!(opened.gateway.authorization, GatewayAuthorization::None);
    assert!(matches!(world.access(&opened.gateway).await, Access::Open));
    assert!(world.broker.begin_authorization(&world.alice, "keyed", None).await.is_err());
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let world = World::start().await;
    world.gateway().await;
    let base = || world.gateway_input("other");
    let cases = [
        ("url", GatewayInput { url: None, ..base() }),
        ("url", GatewayInput { url: Some("javascript:alert(1)".into()), ..base() }),
        ("url", GatewayInput { url: Some("https://10.0.0.1/mcp".into()), ..base() }),
        ("url", GatewayInput { url: Some("http://elsewhere.example/mcp".into()), ..base() }),
        ("slug", GatewayInput { slug: Some("Not A Slug".into()), ..base() }),
        ("slug", GatewayInput { slug: Some("demo".into()), ..base() }),
        ("name", GatewayInput { name: Some(" ".into()), ..base() }),
        (
            "authorization.token_url",
            GatewayInput {
                ..oauth_base(&world, OAuthInput { token_url: "x".into(), ..world.oauth_input() })
            },
        ),
        (
            "authorization.client_id",
            GatewayInput {
                ..oauth_base(&world, OAuthInput { client_id: String::new(), ..world.oauth_input() })
            },
        ),
        (
            "authorization.client_secret",
            GatewayInput {
                ..oauth_base(
                    &world,
                    OAuthInput { client_secret: Edit::Set(ClientSecret::new("")), ..world.oauth_input() },
                )
            },
        ),
    ];
    for (expected, input) in cases {
        assert_eq!(field(&world.broker.create_gateway(&world.admin, input).await.unwrap_err()), expected);
    }
    let slug = GatewayInput { slug: Some("renamed".into()), ..Default::default() };
    let gateway = world.broker.gateway_by_slug(&world.admin, "demo").await.unwrap();
    let error = world.broker.update_gateway(&world.admin, gateway.id, None, slug).await.unwrap_err();
    assert_eq!(field(&error), "slug");
    let refused = world.broker.discover(&world.admin, asked("http://127.0.0.1:9/mcp")).await.unwrap_err();
    assert_eq!(field(&refused), "url");
}

fn asked(url: &str) -> AskedUpstream {
    AskedUpstream { url: url.to_owned(), ..AskedUpstream::default() }
}

fn oauth_base(world: &World, input: OAuthInput) -> GatewayInput {
    GatewayInput { authorization: oauth(input).authorization, ..world.gateway_input("other") }
}
