//! What every test here starts from: a broker over SQLite, a demo provider, an administrator and a user,
//! and one clock for all.

use doorward_broker::{
    Access, AuthorizationInput, BeganAuthorization, Broker, BrokerParts, Callback, Caller, Edit, Finished,
    GatewayInput, NewPerson, NewUser, OAuthInput,
};
use doorward_demo::{AuthorizationServerOptions, Demo};
use doorward_domain::{
    AuthorizationCode, ClientSecret, Clock, Entropy, Gateway, GatewayState, Grant, GrantOwner, Password,
    Policy, Role, StateToken, Timestamp,
};
use doorward_oauth::OAuthClient;
use doorward_outbound::{EgressPolicy, Outbound};
use doorward_storage::Storage;
use doorward_vault::{KeyRing, Vault};
use std::collections::HashMap;
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
        let clock = Clock::mock(Timestamp::from_millis(1_800_000_000_000));
        let data = TempDir::new().unwrap();
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

    /// OAuth settings of the demo provider, as an administrator would type them.
    pub fn oauth_input(&self) -> OAuthInput {
        let server = &self.demo.authorization_server;
        OAuthInput {
            authorization_url: server.authorization_url().to_string(),
            token_url: server.token_url().to_string(),
            revocation_url: None,
            facts: None,
            keep_alive: None,
            issuer: Some(server.issuer().to_owned()),
            resource: Some(self.demo.mcp_server.url().to_string()),
            scopes: vec!["openid".into(), "notes".into()],
            authorize_params: [("prompt".to_owned(), "consent".to_owned())].into(),
            client_id: server.client_id().to_owned(),
            client_secret: Edit::Set(ClientSecret::new(server.client_secret())),
            token_endpoint_auth: None,
        }
    }

    pub fn gateway_input(&self, slug: &str) -> GatewayInput {
        GatewayInput {
            slug: Some(slug.to_owned()),
            name: Some("Demo".into()),
            url: Some(self.demo.mcp_server.url().to_string()),
            state: Some(GatewayState::Published),
            catalog_sharing: None,
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
    let policy = EgressPolicy::parse("127.0.0.1/32", "127.0.0.1").unwrap();
    let outbound = Outbound::new(policy, Duration::from_secs(5)).unwrap();
    Broker::new(BrokerParts {
        storage: storage.clone(),
        vault: Vault::new(KeyRing::parse(ring).unwrap()),
        oauth: OAuthClient::new(outbound),
        clock: clock.clone(),
        entropy: Entropy,
        policy: Policy::default(),
        public_url: "http://localhost:4444".parse().unwrap(),
    })
}

pub async fn sign_in(broker: &Broker, email: &str) -> Caller {
    let login = broker.log_in(email, &Password::new(PASSWORD), Some("127.0.0.1".into())).await.unwrap();
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
