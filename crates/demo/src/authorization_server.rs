//! The authorization server: login, consent, codes, tokens, registration, and what it saw of it all.
//!
//! It follows OAuth 2.1 where that is stricter (PKCE S256 always, exact redirects, single-use codes), so
//! that a client which works here works elsewhere; its misbehaviour comes only from `faults`.

mod authorize;
mod authorize_request;
mod client;
mod faults;
mod id_token;
mod ledger;
mod log;
mod metadata;
mod options;
mod page;
mod register;
mod revoke;
mod token;
mod token_answer;
mod token_grants;

pub use faults::{AuthorizationServerFaults, IssuerInRedirect, TokenFault};
pub use log::{AuthorizationServerLog, RevocationRequest, TokenRequest};
pub use options::{Account, AuthorizationServerOptions};

pub(crate) use client::is_loopback;
pub(crate) use ledger::Permission;
pub(crate) use metadata::SCOPES;

use crate::listener::{self, Serving};
use axum::Router;
use axum::routing::{delete, get, post};
use client::{Client, Redirects};
use doorward_domain::Entropy;
use ledger::Ledger;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// The client id that exists from the start.
const CLIENT_ID: &str = "doorward";

/// A running authorization server on loopback; dropping it ends it and forgets everything.
pub struct AuthorizationServer {
    shared: Arc<Shared>,
    authorization_url: Url,
    token_url: Url,
    registration_url: Url,
    revocation_url: Url,
    _serving: Serving,
}

/// What one consent gave. It holds secrets in plain form and has no `Debug` for that reason.
pub struct HandedOut {
    pub access_token: String,
    pub refresh_token: String,
    /// Of the access token.
    pub lifetime: Duration,
}

/// What the handlers, and the MCP server that trusts these tokens, share.
pub(crate) struct Shared {
    pub(crate) issuer: String,
    options: AuthorizationServerOptions,
    faults: AuthorizationServerFaults,
    inner: Mutex<Inner>,
}

struct Inner {
    clients: HashMap<String, Client>,
    /// What a client that registered itself is removed with.
    registration_tokens: HashMap<String, String>,
    ledger: Ledger,
    log: AuthorizationServerLog,
}

impl AuthorizationServer {
    /// Starts on a loopback address; port 0 picks a free one. The issuer is the address.
    ///
    /// # Errors
    /// When the address is not on loopback or is taken.
    pub async fn start(listen: SocketAddr, options: AuthorizationServerOptions) -> io::Result<Self> {
        let socket = listener::bind(listen).await?;
        let shared = Arc::new(Shared::new(format!("http://{}", socket.local_addr()?), options));
        let url = |path| Url::parse(&shared.endpoint(path)).map_err(io::Error::other);
        Ok(Self {
            authorization_url: url("authorize")?,
            token_url: url("token")?,
            registration_url: url("register")?,
            revocation_url: url("revoke")?,
            _serving: listener::serve(socket, router(Arc::clone(&shared))),
            shared,
        })
    }

    /// The issuer identifier (RFC 8414 §2), without a trailing slash.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Where browsers log in and consent. A POST to a complete authorization URL with the form fields
    /// `username`, `password` and `decision` (`allow` or `deny`) is the headless way through.
    pub fn authorization_url(&self) -> &Url {
        &self.authorization_url
    }

    /// The token endpoint.
    pub fn token_url(&self) -> &Url {
        &self.token_url
    }

    /// The registration endpoint (RFC 7591).
    pub fn registration_url(&self) -> &Url {
        &self.registration_url
    }

    /// The revocation endpoint (RFC 7009).
    pub fn revocation_url(&self) -> &Url {
        &self.revocation_url
    }

    /// The preregistered client, which may be sent back to any `http` address on loopback.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// The preregistered client's secret, for `client_secret_basic` or `client_secret_post`.
    pub fn client_secret(&self) -> &str {
        &self.shared.options.client_secret
    }

    /// Who can log in, and with which password.
    pub fn accounts(&self) -> &[Account] {
        &self.shared.options.accounts
    }

    /// What was asked since the start or the last `clear_log`.
    pub fn log(&self) -> AuthorizationServerLog {
        self.shared.with(|inner| inner.log.clone())
    }

    /// Starts the log anew.
    pub fn clear_log(&self) {
        self.shared.with(|inner| inner.log = AuthorizationServerLog::default());
    }

    /// The switches that make it misbehave.
    pub fn faults(&self) -> &AuthorizationServerFaults {
        &self.shared.faults
    }

    /// The resource that an access token was issued for, whether or not it still lives; none when it was
    /// not issued here.
    pub fn resource_of(&self, token: &str) -> Option<String> {
        self.shared
            .with(|inner| inner.ledger.issued(token).and_then(|permission| permission.resource.clone()))
    }

    /// Tokens as a consent of this account would have given them to the preregistered client, for tests that
    /// need many.
    pub fn hand_out(&self, account: &str, resource: &str) -> HandedOut {
        let permission = Permission {
            account: account.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            scopes: Vec::new(),
            resource: Some(resource.to_owned()),
        };
        let (access_token, refresh_token) =
            (self.shared.new_secret("access"), self.shared.new_secret("refresh"));
        let lifetime = Duration::from_secs(self.shared.options.access_token_seconds);
        let end = self.shared.options.clock.now().plus(lifetime);
        self.shared.with(|inner| {
            let family = inner.ledger.new_family();
            inner.ledger.add_access_token(access_token.clone(), family, permission.clone(), end);
            inner.ledger.add_refresh_token(refresh_token.clone(), family, permission);
        });
        HandedOut { access_token, refresh_token, lifetime }
    }

    /// Whether an access token would be accepted now.
    pub fn lives(&self, access_token: &str) -> bool {
        self.shared.introspect(access_token).is_some()
    }

    /// Ends every access token before its time; refresh tokens live on.
    pub fn end_access_tokens(&self) {
        self.shared.with(|inner| inner.ledger.end_access_tokens());
    }

    /// Ends everything handed out so far, as when a person withdraws the consent at the provider.
    pub fn end_grants(&self) {
        self.shared.with(|inner| inner.ledger.end_grants());
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Shared {
    fn new(issuer: String, options: AuthorizationServerOptions) -> Self {
        let preregistered = Client {
            id: CLIENT_ID.to_owned(),
            name: "Doorward".to_owned(),
            secret: Some(options.client_secret.clone()),
            redirects: Redirects::AnyLoopback,
        };
        let inner = Inner {
            clients: HashMap::from([(CLIENT_ID.to_owned(), preregistered)]),
            registration_tokens: HashMap::new(),
            ledger: Ledger::default(),
            log: AuthorizationServerLog::default(),
        };
        Self { issuer, options, faults: AuthorizationServerFaults::default(), inner: Mutex::new(inner) }
    }

    fn endpoint(&self, path: &str) -> String {
        format!("{}/{path}", self.issuer)
    }

    /// Whom an access token speaks for; none when it is unknown, expired or ended.
    pub(crate) fn introspect(&self, access_token: &str) -> Option<Permission> {
        let now = self.options.clock.now();
        self.with(|inner| inner.ledger.access(access_token, now).cloned())
    }

    fn account(&self, name: &str) -> Option<&Account> {
        self.options.accounts.iter().find(|account| account.name == name)
    }

    /// A fresh unguessable value that says what it is, and carries the canary where one is planted.
    fn new_secret(&self, kind: &str) -> String {
        self.faults.mark(format!("demo-{kind}-{}", Entropy.token()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page::home))
        .route("/style.css", get(page::style))
        .route("/.well-known/oauth-authorization-server", get(metadata::show))
        .route("/.well-known/openid-configuration", get(metadata::show))
        .route("/authorize", get(authorize::open).post(authorize::decide))
        .route("/token", post(token::exchange))
        .route("/register", post(register::register))
        .route("/register/{id}", delete(register::remove))
        .route("/revoke", post(revoke::revoke))
        .with_state(shared)
}
