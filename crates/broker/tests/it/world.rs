//! What every test here starts from: a broker over SQLite, a demo provider, an administrator and a user,
//! and one clock for all.

use doorward_broker::{
    Access, AuthorizationInput, BeganAuthorization, Broker, BrokerParts, Callback, Caller, Edit, Finished,
    GatewayInput, NewPerson, NewUser, OAuthInput,
};
use doorward_demo::{AuthorizationServerOptions, Demo};
use doorward_domain::{
    AccessToken, Actor, AuditEvent, AuthorizationCode, ClientSecret, Clock, Entropy, Gateway, GatewayId,
    GatewayState, Grant, GrantId, GrantOwner, GrantState, NewAuditEvent, PageRequest, Password, Policy,
    RefreshToken, Role, SealedTokenSet, SessionPolicy, StateToken, Timestamp,
};
use doorward_oauth::{OAuthClient, ProviderTemplates};
use doorward_outbound::{EgressPolicy, Outbound};
use doorward_storage::{AuditFilter, Storage, StoredGrant};
use doorward_vault::{KeyRing, Place, Vault};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use url::Url;

pub const PASSWORD: &str = "correct horse battery";

pub struct World {
    pub broker: Broker,
    pub storage: Storage,
    pub clock: Clock,
    pub demo: Demo,
    pub admin: Caller,
    pub alice: Caller,
    pub ring: String,
    _data: TempDir,
}

/// How the provider is set up: five-minute tokens that rotate.
pub fn provider(clock: &Clock) -> AuthorizationServerOptions {
    AuthorizationServerOptions { access_token_seconds: 300, clock: clock.clone(), ..Default::default() }
}

impl World {
    pub async fn start() -> Self {
        Self::with_provider(provider).await
    }

    pub async fn with_provider(options: impl FnOnce(&Clock) -> AuthorizationServerOptions) -> Self {
        Self::in_directory(TempDir::new().unwrap(), options).await
    }

    /// With the database in memory where the machine has such a place, for tests that write very much.
    pub async fn in_memory(options: impl FnOnce(&Clock) -> AuthorizationServerOptions) -> Self {
        let data = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        Self::in_directory(data, options).await
    }

    async fn in_directory(data: TempDir, options: impl FnOnce(&Clock) -> AuthorizationServerOptions) -> Self {
        let clock = Clock::mock(Timestamp::from_millis(1_800_000_000_000));
        let any = "127.0.0.1:0".parse().unwrap();
        let demo = Demo::start(any, any, options(&clock)).await.unwrap();
        let ring =
            secrecy::ExposeSecret::expose_secret(&KeyRing::generate(Entropy, "k1").to_text()).to_owned();
        let storage = Storage::open_sqlite(&data.path().join("doorward.db"), clock.clone()).await.unwrap();
        let broker = broker_over(&storage, &clock, &ring);
        let person = NewPerson {
            email: "admin@example.com".into(),
            name: "Ada".into(),
            password: Password::new(PASSWORD),
        };
        assert!(broker.create_first_administrator(person).await.unwrap());
        let admin = sign_in(&broker, "admin@example.com").await;
        let new = NewUser {
            email: "alice@example.com".into(),
            name: "Alice".into(),
            role: Role::User,
            password: Some(Password::new(PASSWORD)),
        };
        broker.create_user(&admin, new).await.unwrap();
        let alice = sign_in(&broker, "alice@example.com").await;
        Self { broker, storage, clock, demo, admin, alice, ring, _data: data }
    }

    /// Writes what Doorward would not write, as a hand in the database might.
    pub async fn by_hand(&self, sql: &'static str) {
        let url = format!("sqlite://{}", self._data.path().join("doorward.db").display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// A second process on the same database: another broker, with caches and flights of its own.
    pub fn second_broker(&self) -> Broker {
        broker_over(&self.storage, &self.clock, &self.ring)
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self._data.path().join("doorward.db")
    }

    /// One more grant of alice, as a consent would have left it, told apart by its label.
    pub async fn one_more_grant(&self, gateway: &Gateway, label: &str) -> Grant {
        let now = self.clock.now();
        let id: GrantId = Entropy.id(now);
        let grant = Grant {
            id,
            owner: GrantOwner::User(self.alice.user.id),
            gateway_id: gateway.id,
            label: label.to_owned(),
            state: GrantState::Active,
            orphaned_since: None,
            fingerprint: gateway.fingerprint().unwrap(),
            account: None,
            scopes_requested: vec![],
            scopes_granted: vec![],
            tokens: self.handed_out(id),
            refresh_number: 1,
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
        let event = NewAuditEvent::new(Actor::System, "grant.authorize").subject(id);
        let stored = self.storage.store_authorized_grant(&grant, event).await.unwrap();
        assert!(matches!(stored, StoredGrant::Stored { .. }), "{stored:?}");
        Grant { version: 1, ..grant }
    }

    /// The grant as its user's new consent leaves it.
    pub async fn authorized_anew(&self, grant: &Grant) {
        let now = self.clock.now();
        let anew = Grant {
            state: GrantState::Active,
            tokens: self.handed_out(grant.id),
            refresh_number: grant.refresh_number + 1,
            authorized_at: now,
            issued_at: now,
            last_error: None,
            retry_at: None,
            ..grant.clone()
        };
        let event = NewAuditEvent::new(Actor::System, "grant.authorize").subject(grant.id);
        let stored = self.storage.store_authorized_grant(&anew, event).await.unwrap();
        assert!(matches!(stored, StoredGrant::Stored { .. }), "{stored:?}");
    }

    /// Tokens of the demo provider, sealed for a grant.
    fn handed_out(&self, id: GrantId) -> SealedTokenSet {
        let resource = self.demo.mcp_server.url().to_string();
        let given = self.demo.authorization_server.hand_out("alice", &resource);
        let vault = Vault::new(KeyRing::parse(&self.ring).unwrap());
        let access_token = AccessToken::new(given.access_token);
        let refresh_token = RefreshToken::new(given.refresh_token);
        SealedTokenSet {
            access_token: vault.seal(&Place::grant_access_token(id), &access_token),
            refresh_token: Some(vault.seal(&Place::grant_refresh_token(id), &refresh_token)),
            id_token: None,
            expires_at: Some(self.clock.now().plus(given.lifetime)),
        }
    }

    /// The gateway as the administrator edits its OAuth settings; the secret is given again.
    pub async fn edited(&self, gateway: &Gateway, edit: impl FnOnce(&mut OAuthInput)) -> Arc<Gateway> {
        let mut oauth = self.oauth_input();
        edit(&mut oauth);
        let input = GatewayInput {
            authorization: Some(AuthorizationInput::OAuth(Box::new(oauth))),
            ..Default::default()
        };
        self.broker.update_gateway(&self.admin, gateway.id, None, input).await.unwrap().gateway
    }

    /// What the time line of a grant says, oldest first.
    pub async fn time_line(&self, id: GrantId) -> Vec<AuditEvent> {
        let page = PageRequest { limit: 200, cursor: None };
        let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
        let mut events = self.storage.audit_events(&filter, &page).await.unwrap().items;
        events.reverse();
        events
    }

    /// The actions of the trail about a gateway, oldest first.
    pub async fn time_line_of_gateway(&self, id: GatewayId) -> Vec<String> {
        let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
        let page = PageRequest { limit: 200, cursor: None };
        let events = self.storage.audit_events(&filter, &page).await.unwrap().items;
        events.into_iter().rev().map(|event| event.action).collect()
    }

    /// Words and numbers out of the database.
    pub async fn numbers(&self, sql: &'static str) -> BTreeMap<String, i64> {
        let url = format!("sqlite://{}", self.database().display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
        pool.close().await;
        rows.into_iter().collect()
    }

    /// How many refreshes were asked for, whether or not they were carried out.
    pub fn refresh_requests(&self) -> usize {
        self.demo.authorization_server.log().token_requests_of("refresh_token")
    }

    /// OAuth settings of the demo provider, as an administrator would type them.
    pub fn oauth_input(&self) -> OAuthInput {
        let server = &self.demo.authorization_server;
        OAuthInput {
            grant_type: None,
            identity_provider: None,
            audience: None,
            assertion_kid: None,
            authorization_url: server.authorization_url().to_string(),
            token_url: server.token_url().to_string(),
            revocation_url: Some(server.revocation_url().to_string()),
            facts: None,
            keep_alive: None,
            issuer: Some(server.issuer().to_owned()),
            resource: Some(self.demo.mcp_server.url().to_string()),
            scopes: vec!["openid".into(), "notes".into()],
            scope_ceiling: None,
            authorize_params: [("prompt".to_owned(), "consent".to_owned())].into(),
            client_id: server.client_id().to_owned(),
            client_secret: Edit::Set(ClientSecret::new(server.client_secret())),
            token_endpoint_auth: None,
            template: None,
        }
    }

    pub fn gateway_input(&self, slug: &str) -> GatewayInput {
        GatewayInput {
            slug: Some(slug.to_owned()),
            name: Some("Demo".into()),
            url: Some(self.demo.mcp_server.url().to_string()),
            state: Some(GatewayState::Published),
            access: None,
            on_change: None,
            era: None,
            tool_access: None,
            catalog_sharing: None,
            client_certificate: Default::default(),
            authorization: Some(AuthorizationInput::OAuth(Box::new(self.oauth_input()))),
        }
    }

    pub async fn gateway(&self) -> Arc<Gateway> {
        self.broker.create_gateway(&self.admin, self.gateway_input("demo")).await.unwrap()
    }

    /// A gateway that alice has authorized.
    pub async fn connected(&self) -> Arc<Gateway> {
        let gateway = self.gateway().await;
        let finished = self.connect(&self.broker, &self.alice, None).await;
        assert!(matches!(finished, Finished::Connected { .. }), "{finished:?}");
        gateway
    }

    /// The whole round trip of one user at `demo`.
    pub async fn connect(&self, finish_with: &Broker, caller: &Caller, request: Option<&str>) -> Finished {
        let began = self.broker.begin_authorization(caller, "demo", request).await.unwrap();
        let callback = self.at_provider(&began, "allow").await;
        finish_with.finish_authorization(caller, callback, Some(began.cookie)).await.unwrap()
    }

    /// Logs alice in at the provider and lets her decide; the answer is what the browser brings back.
    pub async fn at_provider(&self, began: &BeganAuthorization, decision: &str) -> Callback {
        let account = &self.demo.authorization_server.accounts()[0];
        let form = [("username", &*account.name), ("password", &*account.password), ("decision", decision)];
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let answer = client.post(began.redirect.clone()).form(&form).send().await.unwrap();
        let location: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
        let mut query: HashMap<String, String> = location.query_pairs().into_owned().collect();
        Callback {
            state: query.remove("state").map(StateToken::new),
            code: query.remove("code").map(AuthorizationCode::new),
            error: query.remove("error"),
            error_description: query.remove("error_description"),
            iss: query.remove("iss"),
        }
    }

    pub async fn grant(&self, gateway: &Gateway) -> Option<Grant> {
        self.storage.grant_of(GrantOwner::User(self.alice.user.id), gateway.id).await.unwrap()
    }

    pub async fn access(&self, gateway: &Arc<Gateway>) -> Access {
        self.broker.access(&self.alice, gateway).await.unwrap()
    }

    pub fn refreshes(&self) -> u64 {
        self.demo.authorization_server.log().refreshes
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub fn broker_over(storage: &Storage, clock: &Clock, ring: &str) -> Broker {
    broker_with(storage, clock, ring, Policy::default())
}

pub fn broker_with(storage: &Storage, clock: &Clock, ring: &str, policy_of_use: Policy) -> Broker {
    broker_of(storage, clock, ring, policy_of_use, ProviderTemplates::shipped())
}

pub fn broker_of(
    storage: &Storage,
    clock: &Clock,
    ring: &str,
    policy_of_use: Policy,
    templates: ProviderTemplates,
) -> Broker {
    Broker::new(parts_of(storage, clock, ring, policy_of_use, templates))
}

/// What a broker of these tests is made of.
pub fn parts_of(
    storage: &Storage,
    clock: &Clock,
    ring: &str,
    policy_of_use: Policy,
    templates: ProviderTemplates,
) -> BrokerParts {
    let policy = EgressPolicy::parse("127.0.0.1/32", "127.0.0.1").unwrap();
    let outbound = Outbound::new(policy, Duration::from_secs(5)).unwrap();
    BrokerParts {
        storage: storage.clone(),
        vault: Vault::new(KeyRing::parse(ring).unwrap()),
        ring_file: None,
        oauth: OAuthClient::new(outbound),
        templates,
        clock: clock.clone(),
        entropy: Entropy,
        policy: Policy { sessions: lasting(), ..policy_of_use },
        public_url: "http://localhost:4444".parse().unwrap(),
        client_metadata_url: None,
    }
}

/// Logins that stay fresh however far a test moves the clock: what wants a fresh one is tried elsewhere.
fn lasting() -> SessionPolicy {
    SessionPolicy { fresh_login: Duration::from_secs(100 * 365 * 86_400), ..SessionPolicy::default() }
}

/// The metrics of this process. Each test is one.
pub fn metrics() -> PrometheusHandle {
    PrometheusBuilder::new().install_recorder().unwrap()
}

/// The login of somebody without a second factor.
pub fn done(signed_in: doorward_broker::SignIn) -> doorward_broker::Login {
    match signed_in {
        doorward_broker::SignIn::Done(login) => login,
        doorward_broker::SignIn::CodeNeeded(_) => panic!("a code is asked for"),
    }
}

pub async fn sign_in(broker: &Broker, email: &str) -> Caller {
    let login = done(broker.log_in(email, &Password::new(PASSWORD), Some("127.0.0.1".into())).await.unwrap());
    broker.caller_by_session(&login.session, Some("127.0.0.1".into())).await.unwrap().unwrap()
}

/// The bearer that a call would carry.
pub fn bearer(access: &Access) -> String {
    match access {
        Access::Header(header) => header.value.to_str().unwrap().to_owned(),
        other => panic!("no header: {other:?}"),
    }
}

pub fn used(access: &Access) -> doorward_broker::UsedToken {
    match access {
        Access::Header(header) => header.used.unwrap(),
        other => panic!("no header: {other:?}"),
    }
}
