//! Sample rows. Each call gives a new one, unlike all others where the tables want that.

use doorward_domain::authorization_request::AUTHORIZATION_REQUEST_LIFETIME;
use doorward_domain::connect_request::CONNECT_REQUEST_LIFETIME;
use doorward_domain::user::PasswordHash;
use doorward_domain::*;
use doorward_storage::{End, Inserted, Storage, StoredGrant};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

/// When every test begins.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub(crate) fn hash() -> TokenHash {
    TokenHash(Entropy.bytes())
}

pub(crate) fn event(action: &'static str) -> NewAuditEvent {
    NewAuditEvent::new(Actor::System, action)
}

/// An end by an administrator's hand.
pub(crate) fn revoked() -> End<'static> {
    End::by(EndCause::Revoked, &Actor::System)
}

pub(crate) fn sealed(text: &str) -> Sealed {
    Sealed { key_id: KeyId("k1".into()), bytes: text.as_bytes().to_vec() }
}

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

pub(crate) fn user(email: &str) -> User {
    User {
        id: Entropy.id(NOW),
        email: email.into(),
        name: "Ada".into(),
        role: Role::User,
        state: UserState::Active,
        password_hash: Some(PasswordHash("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".into())),
        has_second_factor: false,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

pub(crate) fn gateway(slug: &str) -> Gateway {
    let mut gateway = Gateway {
        id: Entropy.id(NOW),
        slug: Slug::parse(slug).unwrap(),
        name: format!("The {slug}"),
        url: url("https://mcp.example.com/mcp"),
        state: GatewayState::Published,
        access: AccessList::Everyone,
        tool_access: [].into(),
        authorization: GatewayAuthorization::None,
        client_certificate: None,
        catalog_sharing: CatalogSharing::PerUser,
        on_change: doorward_domain::OnChange::Allow,
        era: doorward_domain::EraChoice::Automatic,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    };
    gateway.authorization = GatewayAuthorization::OAuth(Box::new(oauth(&gateway.url)));
    gateway
}

pub(crate) fn oauth(upstream: &Url) -> OAuthSettings {
    let mut settings = OAuthSettings {
        grant_type: Default::default(),
        identity_provider: None,
        audience: Some("tools".into()),
        authorization_url: Some(url("https://as.example.com/authorize")),
        token_url: url("https://as.example.com/token"),
        revocation_url: Some(url("https://as.example.com/revoke")),
        issuer: Some("https://as.example.com".into()),
        iss_promised: true,
        resource: Some("https://mcp.example.com/mcp".into()),
        scopes: vec!["read".into(), "write".into()],
        scope_ceiling: vec!["admin".into()],
        refused_scopes: Vec::new(),
        authorize_params: BTreeMap::from([("prompt".into(), "consent".into())]),
        facts: ProviderFacts {
            replay_safe: true,
            idle_death_days: Some(90),
            user_apps_url: Some(url("https://as.example.com/apps")),
            whoami: Some(Whoami {
                url: url("https://as.example.com/me"),
                method: WhoamiMethod::Get,
                subject_path: "id".into(),
                name_path: Some("profile.login".into()),
                headers: BTreeMap::from([("x-version".into(), "1".into())]),
                body: None,
            }),
            ..ProviderFacts::default()
        },
        template: Some(UsedTemplate {
            id: "example".into(),
            version: 2,
            inputs: BTreeMap::from([("host".into(), "as.example.com".into())]),
        }),
        keep_alive: true,
        registration_problem: None,
        former_issuer: None,
        registration: ClientRegistration {
            id: Entropy.id(NOW),
            issuer: "https://as.example.com".into(),
            kind: RegistrationKind::Dynamic,
            client_id: "doorward".into(),
            client_secret: Some(sealed("client secret")),
            assertion_kid: None,
            handle: None,
            dpop_key: None,
            fingerprint: Fingerprint("to be computed".into()),
            token_endpoint_auth: TokenEndpointAuth::Basic,
        },
    };
    settings.registration.fingerprint = settings.fingerprint(upstream);
    settings
}

pub(crate) fn grant(owner: GrantOwner, gateway: &Gateway) -> Grant {
    Grant {
        id: Entropy.id(NOW),
        owner,
        gateway_id: gateway.id,
        label: String::new(),
        state: GrantState::Active,
        orphaned_since: None,
        fingerprint: gateway.fingerprint().unwrap_or(Fingerprint("none".into())),
        account: Some(ProviderAccount { subject: "sub-1".into(), name: Some("ada".into()) }),
        scopes_requested: vec!["read".into(), "write".into()],
        scopes_granted: vec!["read".into()],
        tokens: SealedTokenSet {
            access_token: sealed("access"),
            refresh_token: Some(sealed("refresh")),
            id_token: None,
            expires_at: Some(later(3_600)),
        },
        refresh_number: 1,
        redeeming_number: None,
        created_at: NOW,
        authorized_at: NOW,
        issued_at: NOW,
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
    }
}

pub(crate) fn api_token(user: UserId) -> ApiToken {
    ApiToken {
        id: Entropy.id(NOW),
        user_id: user,
        name: "editor".into(),
        hash: hash(),
        hint: "Ab12".into(),
        audience: Audience::Mcp,
        gateways: None,
        created_at: NOW,
        expires_at: later(90 * 86_400),
        last_used_at: None,
        ended_at: None,
    }
}

pub(crate) fn browser_session(user: UserId) -> BrowserSession {
    BrowserSession {
        id: Entropy.id(NOW),
        address: Some("192.0.2.7".into()),
        hash: hash(),
        user_id: user,
        created_at: NOW,
        authenticated_at: NOW,
        last_seen_at: NOW,
        expires_at: later(86_400),
    }
}

pub(crate) fn mcp_session(token: &ApiToken) -> McpSession {
    McpSession {
        hash: hash(),
        user_id: token.user_id,
        api_token_id: token.id,
        endpoint: "/mcp".into(),
        protocol_version: "2025-11-25".into(),
        client_name: "inspector".into(),
        capabilities: r#"{"elicitation":{}}"#.into(),
        created_at: NOW,
        last_seen_at: NOW,
    }
}

pub(crate) fn connect_request(user: UserId, gateway: GatewayId, client_name: &str) -> ConnectRequest {
    ConnectRequest {
        id: Entropy.id(NOW),
        user_id: user,
        gateway_id: gateway,
        client_name: client_name.into(),
        created_at: NOW,
        expires_at: NOW.plus(CONNECT_REQUEST_LIFETIME),
        completed_at: None,
    }
}

pub(crate) fn authorization_request(user: UserId, gateway: &Gateway) -> AuthorizationRequest {
    AuthorizationRequest {
        id: Entropy.id(NOW),
        user_id: user,
        gateway_id: gateway.id,
        connect_request_id: None,
        state_hash: hash(),
        cookie_hash: hash(),
        pkce_verifier: sealed("verifier"),
        expected_issuer: Some("https://as.example.com".into()),
        iss_promised: true,
        fingerprint: gateway.fingerprint().unwrap(),
        scopes: vec!["read".into()],
        purpose: AuthorizationPurpose::ConnectAnyAccount,
        created_at: NOW,
        expires_at: NOW.plus(AUTHORIZATION_REQUEST_LIFETIME),
    }
}

/// A stored person.
pub(crate) async fn stored_user(storage: &Storage, email: &str) -> User {
    let user = user(email);
    assert_eq!(storage.insert_user(&user, event("user.create")).await.unwrap(), Inserted::Yes);
    user
}

/// A stored, published gateway with OAuth.
pub(crate) async fn stored_gateway(storage: &Storage, slug: &str) -> Gateway {
    let gateway = gateway(slug);
    assert_eq!(storage.insert_gateway(&gateway, event("gateway.create")).await.unwrap(), Inserted::Yes);
    gateway
}

/// A stored grant of a person, as it stands in the database.
pub(crate) async fn stored_grant(storage: &Storage, user: &User, gateway: &Gateway) -> Grant {
    let grant = grant(GrantOwner::User(user.id), gateway);
    let stored = storage.store_authorized_grant(&grant, event("grant.authorize")).await.unwrap();
    assert_eq!(stored, StoredGrant::Stored { grant_id: grant.id, replaced: false });
    storage.grant(grant.id).await.unwrap().unwrap()
}
