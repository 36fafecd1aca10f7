//! Whose credential an upstream sees: the caller's own, or none.

use super::fixture::{House, Upstream, answer_to, client, plain_text};
use crate::revision::Revision;
use crate::upstream::CallError;
use doorward_broker::Caller;
use doorward_domain::client_registration::{RegistrationKind, TokenEndpointAuth};
use doorward_domain::{
    AccessToken, Actor, Catalog, CatalogItem, CatalogKind, ClientRegistration, Entropy, Fingerprint, Gateway,
    GatewayAuthorization, Grant, GrantId, GrantOwner, GrantState, HeaderSecret, NewAuditEvent, OAuthSettings,
    RefreshToken, SealedTokenSet, StaticHeader,
};
use doorward_vault::Place;
use http::StatusCode;
use std::sync::Arc;

const LATEST: Revision = Revision::LATEST;

/// A gateway at `upstream` whose tokens come from `provider`.
pub(crate) async fn oauth_gateway(house: &House, upstream: &Upstream, provider: &str) -> Arc<Gateway> {
    let mut gateway = super::gateway_at(&upstream.url);
    let token_url: url::Url = format!("{provider}/token").parse().unwrap();
    let fingerprint = Fingerprint::of_oauth(&gateway.url, &token_url, None, "client", None);
    gateway.authorization = GatewayAuthorization::OAuth(Box::new(OAuthSettings {
        grant_type: Default::default(),
        identity_provider: None,
        audience: None,
        authorization_url: Some(format!("{provider}/authorize").parse().unwrap()),
        token_url,
        revocation_url: None,
        issuer: None,
        iss_promised: false,
        resource: None,
        scopes: Vec::new(),
        scope_ceiling: Vec::new(),
        refused_scopes: Vec::new(),
        authorize_params: std::collections::BTreeMap::new(),
        facts: Default::default(),
        template: None,
        keep_alive: false,
        registration_problem: None,
        former_issuer: None,
        registration: ClientRegistration {
            id: Entropy.id(house.clock.now()),
            issuer: provider.to_owned(),
            kind: RegistrationKind::PreRegistered,
            client_id: "client".into(),
            client_secret: None,
            assertion_kid: None,
            handle: None,
            dpop_key: None,
            fingerprint,
            token_endpoint_auth: TokenEndpointAuth::None,
        },
    }));
    house.register(gateway).await
}

/// Stores a grant with this access token.
pub(crate) async fn grant(house: &House, caller: &Caller, gateway: &Gateway, token: &str) {
    let id: GrantId = Entropy.id(house.clock.now());
    let now = house.clock.now();
    let seal = |place, text: &str| house.vault.seal(&place, &RefreshToken::new(text));
    let grant = Grant {
        id,
        owner: GrantOwner::User(caller.user.id),
        gateway_id: gateway.id,
        label: String::new(),
        state: GrantState::Active,
        orphaned_since: None,
        fingerprint: gateway.fingerprint().unwrap(),
        account: None,
        scopes_requested: Vec::new(),
        scopes_granted: Vec::new(),
        tokens: SealedTokenSet {
            access_token: house.vault.seal(&Place::grant_access_token(id), &AccessToken::new(token)),
            refresh_token: Some(seal(Place::grant_refresh_token(id), "refresh-canary")),
            id_token: None,
            expires_at: None,
        },
        refresh_number: 0,
        redeeming_number: None,
        created_at: now,
        authorized_at: now,
        issued_at: now,
        last_used_at: None,
        last_refreshed_at: None,
        ends_at: None,
        retry_at: None,
        failures: 0,
        last_error: None,
        provider_words: None,
        reference: None,
        deposited_by: None,
        exchanged: false,
        version: 0,
    };
    let audit = NewAuditEvent::new(Actor::System, "grant.authorize");
    let _ = house.storage.store_authorized_grant(&grant, audit).await.unwrap();
}

#[tokio::test]
async fn each_user_is_seen_with_their_own_token_and_without_one_not_at_all() {
    let house = House::new().await;
    let (bob, eve) = (house.person("bob").await, house.person("eve").await);
    let upstream = Upstream::plain(LATEST).await;
    let gateway = oauth_gateway(&house, &upstream, "http://127.0.0.1:1").await;
    grant(&house, &house.alice, &gateway, "alice-token").await;
    grant(&house, &bob, &gateway, "bob-token").await;
    let call = ("tools/call", r#"{"name":"x"}"#, "1");
    for (caller, token) in [(&house.alice, "Bearer alice-token"), (&bob, "Bearer bob-token")] {
        house.call_as(caller, &gateway, &client(LATEST), call, true).await.unwrap();
        assert_eq!(upstream.all().pop().unwrap().header("authorization"), Some(token));
    }
    let before = upstream.all().len();
    let error = house.call_as(&eve, &gateway, &client(LATEST), call, true).await.err().unwrap();
    assert!(matches!(error, CallError::MustAuthorize { .. }), "{error}");
    assert_eq!(upstream.all().len(), before);
}

#[tokio::test]
async fn trap_25_a_refused_token_is_renewed_once_and_the_call_repeated() {
    let house = House::new().await;
    let provider = Upstream::with(LATEST, |_| async {
        Some(super::fixture::json(
            200,
            r#"{"access_token":"new","token_type":"Bearer","expires_in":3600,"refresh_token":"r2"}"#,
        ))
    })
    .await;
    let upstream = Upstream::with(LATEST, |seen| async move {
        (seen.header("authorization") != Some("Bearer new")).then(|| plain_text(StatusCode::UNAUTHORIZED, ""))
    })
    .await;
    let gateway = oauth_gateway(&house, &upstream, provider.url.trim_end_matches("/mcp")).await;
    grant(&house, &house.alice, &gateway, "old").await;
    house.text(&gateway, &client(LATEST), "tools/call", r#"{"name":"x"}"#).await;
    assert_eq!(upstream.seen("server/discover").len(), 2);
    assert_eq!(upstream.seen("tools/call").len(), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_again_and_again_is_not_sent_for_ever() {
    let house = House::new().await;
    let provider = Upstream::with(LATEST, |_| async {
        Some(super::fixture::json(
            200,
            r#"{"access_token":"new","token_type":"Bearer","expires_in":3600,"refresh_token":"r2"}"#,
        ))
    })
    .await;
    let upstream = Upstream::with(LATEST, |_| async { Some(plain_text(StatusCode::UNAUTHORIZED, "")) }).await;
    let gateway = oauth_gateway(&house, &upstream, provider.url.trim_end_matches("/mcp")).await;
    grant(&house, &house.alice, &gateway, "old").await;
    let error = house.call(&gateway, &client(LATEST), "tools/list", "{}").await.err().unwrap();
    assert!(
        matches!(error, CallError::MustAuthorize { .. } | CallError::Upstream { status: 401, .. }),
        "{error}"
    );
    assert_eq!(upstream.all().len(), 2);
}

#[tokio::test]
async fn an_open_gateway_that_asks_for_authorization_says_so() {
    let house = House::new().await;
    let upstream = Upstream::with(LATEST, |_| async { Some(plain_text(StatusCode::UNAUTHORIZED, "")) }).await;
    let gateway = house.gateway(&upstream).await;
    let error = house.call(&gateway, &client(LATEST), "tools/list", "{}").await.err().unwrap();
    assert!(error.to_string().contains("settings do not give"), "{error}");
}

#[tokio::test]
async fn a_static_header_is_the_same_for_everyone() {
    let house = House::new().await;
    let upstream = Upstream::plain(LATEST).await;
    let mut gateway = super::gateway_at(&upstream.url);
    gateway.id = Entropy.id(house.clock.now());
    gateway.authorization = GatewayAuthorization::StaticHeader(StaticHeader {
        name: "x-api-key".into(),
        value: house.vault.seal(&Place::static_header(gateway.id), &HeaderSecret::new("key-1")),
        fingerprint: Fingerprint::of_static_header(&gateway.url),
    });
    let gateway = Arc::new(gateway);
    house.text(&gateway, &client(LATEST), "tools/list", "{}").await;
    assert!(upstream.all().iter().all(|seen| seen.header("x-api-key") == Some("key-1")));
}

#[tokio::test]
async fn nothing_runs_where_nobody_listens() {
    let house = House::new().await;
    let gateway = house.register(super::gateway_at("http://127.0.0.1:1/mcp")).await;
    let error = house.call(&gateway, &client(LATEST), "tools/list", "{}").await.err().unwrap();
    assert!(matches!(&error, CallError::Unreachable { may_have_run: false, .. }), "{error}");
    let private = super::gateway_at("http://10.0.0.1/mcp");
    let private =
        house.register(Gateway { slug: doorward_domain::Slug::parse("private").unwrap(), ..private }).await;
    let error = house.call(&private, &client(LATEST), "tools/list", "{}").await.err().unwrap();
    assert!(error.to_string().contains("DOORWARD_ALLOW"), "{error}");
}

#[tokio::test]
async fn annotated_arguments_are_mirrored_for_a_client_that_knows_nothing_of_it() {
    let house = House::new().await;
    let upstream = Upstream::with(LATEST, |seen| async move {
        (seen.method() == "tools/call").then(|| answer_to(&seen, r#"{"resultType":"complete"}"#))
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let tool =
        r#"{"name":"sql","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;
    let item = CatalogItem { kind: CatalogKind::Tool, name: "sql".into(), json: tool.into() };
    let catalog = Catalog {
        gateway_id: gateway.id,
        user_id: Some(house.alice.user.id),
        items: vec![item],
        instructions: None,
        fetched_at: house.clock.now(),
    };
    house.storage.put_catalog(&catalog).await.unwrap();
    let params = r#"{"name":"sql","arguments":{"region":"us"}}"#;
    house.text(&gateway, &client(Revision::LATEST_LEGACY), "tools/call", params).await;
    let seen = upstream.seen("tools/call").pop().unwrap();
    assert_eq!((seen.header("mcp-param-region"), seen.header("mcp-name")), (Some("us"), Some("sql")));
}

#[tokio::test]
async fn a_refusal_for_want_of_scopes_asks_the_user_within_the_ceiling() {
    let house = House::new().await;
    let upstream = Upstream::with(LATEST, |seen| async move {
        let mut response = plain_text(StatusCode::FORBIDDEN, "no");
        let challenge = r#"Bearer error="insufficient_scope", scope="write""#;
        response.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        (seen.method() == "tools/call").then_some(response)
    })
    .await;
    let gateway = oauth_gateway(&house, &upstream, "http://127.0.0.1:1").await;
    grant(&house, &house.alice, &gateway, "alice-token").await;
    let call = ("tools/call", r#"{"name":"x"}"#);
    let beyond = house.call(&gateway, &client(LATEST), call.0, call.1).await.err().unwrap();
    let CallError::Upstream { status: 403, problem, .. } = beyond else { panic!("{beyond}") };
    assert!(problem.contains("an administrator") && !problem.contains("write"), "{problem}");

    let mut opened = Gateway::clone(&gateway);
    if let GatewayAuthorization::OAuth(settings) = &mut opened.authorization {
        settings.scope_ceiling = vec!["write".into()];
    }
    let audit = NewAuditEvent::new(Actor::System, "gateway.update");
    let _ = house.storage.update_gateway(&opened, None, audit).await.unwrap();
    let opened = Arc::new(Gateway { version: opened.version + 1, ..opened });
    let asked = house.call(&opened, &client(LATEST), call.0, call.1).await.err().unwrap();
    assert!(matches!(asked, CallError::MustAuthorize { .. }), "{asked}");
}
