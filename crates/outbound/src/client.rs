//! The two ways to call: [`Outbound::call`] for short answers (OAuth), [`Outbound::stream`] for MCP.

use crate::check::{self, Refusal};
use crate::connector::{Connector, root_cause};
use crate::error::OutboundError;
use crate::identity::ClientIdentity;
use crate::policy::EgressPolicy;
use crate::proxy::OutboundProxy;
use crate::resolver::Resolver;
use crate::tls::{self, ExtraRoots};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// The longest answer that [`Outbound::call`] reads.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long resolving, connecting and the TLS handshake may take together.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a stream's first byte (its headers) may take, unless the caller says otherwise.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// An idle connection is kept this long: less than the idle time of common servers and balancers.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);

/// Idle connections kept for one host.
const IDLE_CONNECTIONS_PER_HOST: usize = 256;

/// A multiplexed connection with open streams is probed this often, and given up after the same time.
const HTTP2_PROBE: Duration = Duration::from_secs(20);

const OUR_USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("doorward/", env!("CARGO_PKG_VERSION")));
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Clients with a certificate of their own that are kept, and for how long after their last use.
const IDENTITIES: u64 = 1_000;
const IDENTITY_IDLE: Duration = Duration::from_secs(10 * 60);

/// The guarded HTTP client. Clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    inner: Arc<Inner>,
    /// What is shown to the servers that it is for.
    identity: Option<ClientIdentity>,
}

struct Inner {
    policy: Arc<EgressPolicy>,
    clients: Arc<Clients>,
    /// By certificate and key: connections of one are never another's.
    identified: moka::sync::Cache<[u8; 32], Arc<Clients>>,
    making: Making,
    request_timeout: Duration,
}

/// What clients are made of.
struct Making {
    roots: RootCertStore,
    resolver: Resolver,
    proxy: Option<OutboundProxy>,
    /// For resolving, connecting and the TLS handshake together.
    connect_within: Duration,
}

struct Clients {
    /// Without a pool: a request on an old connection that breaks just then may or may not have
    /// arrived, and with a refresh token in it that doubt costs a user's grant. TLS sessions resume.
    calls: Client<Connector, Full<Bytes>>,
    /// Pooled, for the hot path.
    streams: Client<Connector, Full<Bytes>>,
}

/// A request to the outside.
pub struct OutboundRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A whole answer. Redirects (3xx) are answers like any other.
pub struct OutboundResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A request that passed the checks, and the means to see whether it was given to a connection.
struct Prepared {
    host: String,
    request: Request<Full<Bytes>>,
    connection: CaptureConnection,
}

impl Outbound {
    /// Over the machine's resolver and trusted roots. `request_timeout` is for a whole [`Outbound::call`].
    pub fn new(policy: EgressPolicy, request_timeout: Duration) -> Result<Self, OutboundError> {
        Self::with_roots(policy, request_timeout, tls::system_roots())
    }

    /// As [`Outbound::new`], perhaps through a proxy, and trusting further roots beside the machine's.
    pub fn through(
        policy: EgressPolicy,
        request_timeout: Duration,
        proxy: Option<OutboundProxy>,
        extra: ExtraRoots,
    ) -> Result<Self, OutboundError> {
        let roots = extra.beside(tls::system_roots());
        Self::built(policy, request_timeout, roots, Resolver::System, proxy)
    }

    /// As [`Outbound::new`], but trusts other roots.
    pub fn with_roots(
        policy: EgressPolicy,
        request_timeout: Duration,
        roots: RootCertStore,
    ) -> Result<Self, OutboundError> {
        Self::with_roots_and_resolver(policy, request_timeout, roots, Resolver::System)
    }

    /// As [`Outbound::with_roots`], with another resolver.
    pub fn with_roots_and_resolver(
        policy: EgressPolicy,
        request_timeout: Duration,
        roots: RootCertStore,
        resolver: Resolver,
    ) -> Result<Self, OutboundError> {
        Self::built(policy, request_timeout, roots, resolver, None)
    }

    fn built(
        policy: EgressPolicy,
        request_timeout: Duration,
        roots: RootCertStore,
        resolver: Resolver,
        proxy: Option<OutboundProxy>,
    ) -> Result<Self, OutboundError> {
        let making = Making { roots, resolver, proxy, connect_within: CONNECT_WITHIN };
        Self::over(Arc::new(policy), request_timeout, making)
    }

    fn over(
        policy: Arc<EgressPolicy>,
        request_timeout: Duration,
        making: Making,
    ) -> Result<Self, OutboundError> {
        let clients = Arc::new(making.clients(&policy, None)?);
        let identified =
            moka::sync::Cache::builder().max_capacity(IDENTITIES).time_to_idle(IDENTITY_IDLE).build();
        let inner = Inner { policy, clients, identified, making, request_timeout };
        Ok(Self { inner: Arc::new(inner), identity: None })
    }

    /// The same client, which shows this certificate to the servers that it is for.
    #[must_use]
    pub fn showing(&self, identity: Option<ClientIdentity>) -> Self {
        Self { inner: Arc::clone(&self.inner), identity }
    }

    /// The clients that a request goes out by.
    fn clients(&self, url: &Url) -> Result<Arc<Clients>, OutboundError> {
        let Some(identity) = self.identity.as_ref().filter(|identity| identity.is_for(url)) else {
            return Ok(Arc::clone(&self.inner.clients));
        };
        if let Some(known) = self.inner.identified.get(&identity.id) {
            return Ok(known);
        }
        let made = Arc::new(self.inner.making.clients(&self.inner.policy, Some(identity))?);
        // Whoever was faster keeps its own.
        Ok(self.inner.identified.get_with(identity.id, || made))
    }

    /// Whether a URL may be called, as far as that is known before its name is resolved.
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        check::check_url(&self.inner.policy, url)
    }

    /// Sends a request on a connection of its own and reads the whole answer, within the request
    /// timeout and up to 1 MiB.
    pub async fn call(&self, mut request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        // A body that must be unpacked could grow beyond any limit; small answers need no packing.
        request.headers.insert(ACCEPT_ENCODING, IDENTITY);
        let clients = self.clients(&request.url)?;
        let Prepared { host, request, connection } = self.prepare(request)?;
        let exchange = async {
            let response = clients.calls.request(request).await;
            read(
                &host,
                response.map_err(|error| OutboundError::of_request(&host, &error, has_one(&connection)))?,
            )
            .await
        };
        let answered = timeout(self.inner.request_timeout, exchange).await;
        answered.unwrap_or_else(|_| Err(OutboundError::TimedOut { sent: has_one(&connection), host }))
    }

    /// Sends a request, on a pooled connection where there is one, and hands back the answer as soon
    /// as its headers are there, within 30 seconds. The body has no limit of size or time here.
    pub async fn stream(&self, request: OutboundRequest) -> Result<Response<Incoming>, OutboundError> {
        self.stream_within(request, HEADERS_WITHIN).await
    }

    /// As [`Outbound::stream`], with another time limit until the headers are there.
    pub async fn stream_within(
        &self,
        request: OutboundRequest,
        limit: Duration,
    ) -> Result<Response<Incoming>, OutboundError> {
        let clients = self.clients(&request.url)?;
        let Prepared { host, request, connection } = self.prepare(request)?;
        match timeout(limit, clients.streams.request(request)).await {
            Ok(answered) => {
                answered.map_err(|error| OutboundError::of_request(&host, &error, has_one(&connection)))
            }
            Err(_) => Err(OutboundError::TimedOut { sent: has_one(&connection), host }),
        }
    }

    fn prepare(&self, request: OutboundRequest) -> Result<Prepared, OutboundError> {
        let OutboundRequest { method, url, mut headers, body } = request;
        self.check_url(&url)?;
        let host = check::host_of(&url);
        let Ok(uri) = http::Uri::try_from(url.as_str()) else {
            return Err(Refusal::Malformed { host }.into());
        };
        headers.entry(USER_AGENT).or_insert(OUR_USER_AGENT);
        if let Some(credentials) = headers.get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let connection = capture_connection(&mut request);
        Ok(Prepared { host, request, connection })
    }
}

impl Making {
    fn clients(
        &self,
        policy: &Arc<EgressPolicy>,
        identity: Option<&ClientIdentity>,
    ) -> Result<Clients, OutboundError> {
        let tls = tls::client_config(self.roots.clone(), identity)
            .map_err(|error| OutboundError::Setup { why: error.to_string() })?;
        let connector = Connector::new(
            Arc::clone(policy),
            self.resolver.clone(),
            self.proxy.clone(),
            tls,
            self.connect_within,
        );
        let calls = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_max_idle_per_host(0)
            .build(connector.clone());
        let streams = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
            .http2_keep_alive_interval(HTTP2_PROBE)
            .http2_keep_alive_timeout(HTTP2_PROBE)
            .http2_adaptive_window(true)
            .build(connector);
        Ok(Clients { calls, streams })
    }
}

/// Whether the request has been given to a connection, from where on it may be on its way.
fn has_one(connection: &CaptureConnection) -> bool {
    connection.connection_metadata().is_some()
}

async fn read(host: &str, response: Response<Incoming>) -> Result<OutboundResponse, OutboundError> {
    let (parts, body) = response.into_parts();
    let broken = |why: String| OutboundError::Broken { host: host.to_owned(), why };
    if parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != IDENTITY) {
        return Err(broken("it is compressed, although that was not asked for".to_owned()));
    }
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => {
            Ok(OutboundResponse { status: parts.status, headers: parts.headers, body: collected.to_bytes() })
        }
        Err(error) if error.is::<LengthLimitError>() => {
            Err(OutboundError::TooLarge { host: host.to_owned(), limit: BODY_LIMIT })
        }
        Err(error) => Err(broken(root_cause(&*error))),
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Outbound").field(&self.inner.policy).finish()
    }
}

impl std::fmt::Debug for OutboundRequest {
    /// Method and host; the rest may carry secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutboundRequest({} {})", self.method, check::host_of(&self.url))
    }
}

impl std::fmt::Debug for OutboundResponse {
    /// Status and length; the rest may carry secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutboundResponse({}, {} bytes)", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests;
