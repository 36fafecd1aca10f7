//! An MCP server over Streamable HTTP, in both eras of the protocol, that asks for a token of the demo
//! authorization server (or of nobody) and remembers every request for tests to look at.

mod bearer;
mod data;
mod endpoint;
mod faults;
mod legacy;
mod log;
mod methods;
mod modern;
mod options;
mod prompts;
mod resources;
mod tools;
mod wire;

pub use bearer::TokenCheck;
pub use faults::{McpFault, McpServerFaults};
pub use log::SeenRequest;
pub use options::{AnswerForm, McpServerOptions, Revision};

use crate::authorization_server::AuthorizationServer;
use crate::listener::{self, Serving};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use data::Notes;
use http::HeaderMap;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::Url;

/// Older requests are forgotten, so that a long demo does not grow.
const LOG_LENGTH: usize = 10_000;
const BODY_LIMIT: usize = 16 * 1024 * 1024;
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// A running MCP server on loopback; dropping it ends it and forgets everything.
pub struct McpServer {
    shared: Arc<Shared>,
    _serving: Serving,
}

struct Shared {
    url: Url,
    options: McpServerOptions,
    /// Who issues the tokens; none: everyone may come in.
    authority: Option<Authority>,
    faults: McpServerFaults,
    notes: Notes,
    /// Legacy sessions and the account that opened each.
    sessions: Mutex<HashMap<String, String>>,
    log: Mutex<VecDeque<SeenRequest>>,
}

/// Who issues the tokens, and how they are checked.
struct Authority {
    issuer: String,
    check: TokenCheck,
}

/// Whose request it is, and its headers.
struct Caller<'a> {
    account: &'a str,
    headers: &'a HeaderMap,
}

impl McpServer {
    /// Starts on a loopback address; port 0 picks a free one. Without an authorization server it is open.
    ///
    /// # Errors
    /// When the address is not on loopback or is taken.
    pub async fn start(
        listen: SocketAddr,
        authorization_server: Option<&AuthorizationServer>,
        options: McpServerOptions,
    ) -> io::Result<Self> {
        let authority = authorization_server.map(|server| Authority {
            issuer: server.issuer().to_owned(),
            check: bearer::check_in_process(server.shared()),
        });
        Self::start_with(listen, authority, options).await
    }

    /// Starts with tokens of another issuer, which `check` knows to judge.
    ///
    /// # Errors
    /// When the address is not on loopback or is taken.
    pub async fn start_trusting(
        listen: SocketAddr,
        issuer: &str,
        check: TokenCheck,
        options: McpServerOptions,
    ) -> io::Result<Self> {
        Self::start_with(listen, Some(Authority { issuer: issuer.to_owned(), check }), options).await
    }

    async fn start_with(
        listen: SocketAddr,
        authority: Option<Authority>,
        options: McpServerOptions,
    ) -> io::Result<Self> {
        let socket = listener::bind(listen).await?;
        let url = format!("http://{}/mcp", socket.local_addr()?);
        let shared = Arc::new(Shared {
            url: Url::parse(&url).map_err(io::Error::other)?,
            options,
            authority,
            faults: McpServerFaults::default(),
            notes: Notes::default(),
            sessions: Mutex::default(),
            log: Mutex::default(),
        });
        let serving = listener::serve(socket, router(Arc::clone(&shared)));
        Ok(Self { shared, _serving: serving })
    }

    /// The MCP endpoint, which is also the RFC 8707 resource that tokens must be for.
    pub fn url(&self) -> &Url {
        &self.shared.url
    }

    /// The requests at the MCP endpoint, oldest first: the last ten thousand.
    pub fn log(&self) -> Vec<SeenRequest> {
        self.shared.lock_log().iter().cloned().collect()
    }

    /// Starts the log anew.
    pub fn clear_log(&self) {
        self.shared.lock_log().clear();
    }

    /// The switches that make it misbehave.
    pub fn faults(&self) -> &McpServerFaults {
        &self.shared.faults
    }

    /// Forgets every legacy session, as a restart does: the next request of each meets a 404.
    pub fn forget_sessions(&self) {
        self.shared.sessions().clear();
    }
}

impl Shared {
    /// Where the RFC 9728 metadata is, in its path form.
    fn metadata_url(&self) -> String {
        format!("{}{METADATA_PATH}{}", self.url.origin().ascii_serialization(), self.url.path())
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_log(&self) -> MutexGuard<'_, VecDeque<SeenRequest>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, request: SeenRequest) {
        let mut log = self.lock_log();
        if log.len() == LOG_LENGTH {
            log.pop_front();
        }
        log.push_back(request);
    }
}

impl Caller<'_> {
    fn session(&self) -> Option<&str> {
        self.headers.get(legacy::SESSION)?.to_str().ok()
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let endpoint = get(endpoint::handle).post(endpoint::handle).delete(endpoint::handle);
    Router::new()
        .route("/mcp", endpoint)
        .route(METADATA_PATH, get(bearer::metadata))
        .route("/.well-known/oauth-protected-resource/mcp", get(bearer::metadata))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}
