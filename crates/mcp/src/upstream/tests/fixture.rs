//! An upstream whose every answer a test can choose, and a house with people and gateways around it.

use crate::envelope::{Envelope, MessageKind, raw, text_member};
use crate::revision::{Revision, wire};
use crate::upstream::{Answered, CallError, ClientFacts, UpstreamAnswer, UpstreamCall, Upstreams};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use doorward_broker::{Broker, BrokerParts, Caller, Credential};
use doorward_domain::user::PasswordHash;
use doorward_domain::{
    Actor, CatalogSharing, Clock, Entropy, Gateway, GatewayAuthorization, GatewayState, Limits,
    NewAuditEvent, Policy, Role, Slug, Timestamp, User, UserState,
};
use doorward_oauth::{OAuthClient, ProviderTemplates};
use doorward_outbound::{EgressPolicy, Outbound};
use doorward_storage::Storage;
use doorward_vault::{KeyRing, Vault};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// One message that an upstream got.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `POST`, `GET` or `DELETE`.
    pub(crate) http: http::Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn envelope(&self) -> Envelope<'_> {
        Envelope::parse(self.body.as_bytes()).unwrap()
    }

    /// The message's method; for what is no message that of HTTP.
    pub(crate) fn method(&self) -> &str {
        if self.http == http::Method::POST {
            self.envelope().method.unwrap_or_default()
        } else {
            self.http.as_str()
        }
    }

    /// The message as a value.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.envelope().id.unwrap().get()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Answering = Pin<Box<dyn Future<Output = Option<Response>> + Send>>;
type Behaviour = Box<dyn Fn(Seen) -> Answering + Send + Sync>;

/// A scripted MCP server. What the test's behaviour does not answer, the era's own manners do.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) url: String,
    state: Arc<State>,
}

struct State {
    revision: Mutex<Revision>,
    seen: Mutex<Vec<Seen>>,
    behaviour: Behaviour,
    /// The number of the session that is valid now.
    session: AtomicU64,
}

impl Upstream {
    /// A server that answers as its era does.
    pub(crate) async fn plain(revision: Revision) -> Self {
        Self::with(revision, |_| async { None }).await
    }

    pub(crate) async fn with<F>(
        revision: Revision,
        behaviour: impl Fn(Seen) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<Response>> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let state = Arc::new(State {
            revision: Mutex::new(revision),
            seen: Mutex::default(),
            behaviour: Box::new(move |seen| Box::pin(behaviour(seen))),
            session: AtomicU64::new(0),
        });
        let upstream = Self { url, state };
        let serving = upstream.clone();
        let router = Router::new().fallback(
            move |http: http::Method, uri: http::Uri, headers: HeaderMap, body: String| {
                let upstream = serving.clone();
                async move {
                    let path = uri.to_string();
                    upstream.answer(Seen { http, path, headers, body }).await
                }
            },
        );
        tokio::spawn(async move { axum::serve(listener, router).await });
        upstream
    }

    async fn answer(&self, seen: Seen) -> Response {
        self.state.seen.lock().unwrap().push(seen.clone());
        if let Some(response) = (self.state.behaviour)(seen.clone()).await {
            return response;
        }
        if seen.http != http::Method::POST {
            return Response::builder().status(405).body(Body::empty()).unwrap();
        }
        let revision = *self.state.revision.lock().unwrap();
        if revision.is_modern() { modern_manners(&seen) } else { self.legacy_manners(revision, &seen) }
    }

    fn legacy_manners(&self, revision: Revision, seen: &Seen) -> Response {
        match seen.method() {
            "initialize" => {
                let number = self.state.session.fetch_add(1, Ordering::SeqCst) + 1;
                let result = format!(
                    r#"{{"protocolVersion":"{revision}","capabilities":{{"tools":{{}},"resources":{{}},"prompts":{{}}}},"serverInfo":{{"name":"old"}},"instructions":"be kind"}}"#
                );
                let mut response = answer_to(seen, &result);
                response.headers_mut().insert(wire::HEADER_SESSION, format!("s{number}").parse().unwrap());
                response
            }
            "server/discover" => plain_text(StatusCode::BAD_REQUEST, "Bad Request: no session"),
            _ if seen.header(wire::HEADER_SESSION) != Some(&self.session_id()) => {
                plain_text(StatusCode::NOT_FOUND, "Session not found")
            }
            _ if seen.envelope().kind() == MessageKind::Request => answer_to(seen, &result_of(seen)),
            _ => Response::builder().status(202).body(Body::empty()).unwrap(),
        }
    }

    fn session_id(&self) -> String {
        format!("s{}", self.state.session.load(Ordering::SeqCst))
    }

    /// Ends the present session, as a restart does.
    pub(crate) fn end_session(&self) {
        self.state.session.fetch_add(100, Ordering::SeqCst);
    }

    pub(crate) fn become_revision(&self, revision: Revision) {
        *self.state.revision.lock().unwrap() = revision;
    }

    /// What it got, of one method.
    pub(crate) fn seen(&self, method: &str) -> Vec<Seen> {
        self.all().into_iter().filter(|seen| seen.method() == method).collect()
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits until a message arrived that a test looks for.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let looking = async {
            loop {
                if let Some(found) = self.all().into_iter().find(&wanted) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looking).await.expect("the message arrives")
    }
}

fn modern_manners(seen: &Seen) -> Response {
    match seen.method() {
        "server/discover" => answer_to(
            seen,
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"prompts":{}},"ttlMs":0,"cacheScope":"private"}"#,
        ),
        "initialize" => error_to(seen, 404, -32_601),
        _ => answer_to(seen, &result_of(seen).replacen('{', r#"{"resultType":"complete","#, 1)),
    }
}

/// A result that shows what was asked.
fn result_of(seen: &Seen) -> String {
    let params = seen.envelope().params;
    let name = params.and_then(|params| text_member(params, "name").or_else(|| text_member(params, "uri")));
    format!(r#"{{"method":"{}","name":"{}","n":1.10}}"#, seen.method(), name.unwrap_or_default())
}

pub(crate) fn answer_to(seen: &Seen, result: &str) -> Response {
    json(200, &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, seen.id()))
}

pub(crate) fn error_to(seen: &Seen, status: u16, code: i32) -> Response {
    json(
        status,
        &format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":"m"}}}}"#, seen.id()),
    )
}

pub(crate) fn json(status: u16, body: &str) -> Response {
    let response =
        Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
    response.header("set-cookie", "upstream=1").body(Body::from(body.to_owned())).unwrap()
}

pub(crate) fn plain_text(status: StatusCode, body: &'static str) -> Response {
    Response::builder().status(status).header("content-type", "text/html").body(Body::from(body)).unwrap()
}

/// An event stream from pieces of text.
pub(crate) fn events(pieces: impl futures_util::Stream<Item = String> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces.map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

/// Doorward around an upstream: a database, a broker, a user.
pub(crate) struct House {
    pub(crate) upstreams: Upstreams,
    pub(crate) broker: Broker,
    pub(crate) storage: Storage,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    pub(crate) alice: Caller,
    _directory: TempDir,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::limited(Limits::default()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::mock(Timestamp::from_millis(1_800_000_000_000));
        let storage = Storage::open_sqlite(&directory.path().join("d.db"), clock.clone()).await.unwrap();
        let policy = EgressPolicy::parse("127.0.0.1", "127.0.0.1").unwrap();
        let outbound = Outbound::new(policy, Duration::from_secs(10)).unwrap();
        let vault = Vault::new(KeyRing::generate(Entropy, "k1"));
        let broker = Broker::new(BrokerParts {
            storage: storage.clone(),
            vault: vault.clone(),
            ring_file: None,
            oauth: OAuthClient::new(outbound.clone()),
            templates: ProviderTemplates::shipped(),
            clock: clock.clone(),
            entropy: Entropy,
            policy: Policy { limits, ..Policy::default() },
            public_url: "http://localhost:4444".parse().unwrap(),
            client_metadata_url: None,
        });
        let upstreams = Upstreams::new(broker.clone(), storage.clone(), outbound);
        let alice = person(&storage, &clock, "alice").await;
        Self { upstreams, broker, storage, vault, clock, alice, _directory: directory }
    }

    pub(crate) async fn person(&self, name: &str) -> Caller {
        person(&self.storage, &self.clock, name).await
    }

    /// Registers an upstream as a gateway that wants no authorization.
    pub(crate) async fn gateway(&self, upstream: &Upstream) -> Arc<Gateway> {
        self.register(gateway_at(&upstream.url)).await
    }

    pub(crate) async fn gateway_named(&self, upstream: &Upstream, slug: &str) -> Arc<Gateway> {
        self.register(Gateway { slug: Slug::parse(slug).unwrap(), ..gateway_at(&upstream.url) }).await
    }

    pub(crate) async fn register(&self, mut gateway: Gateway) -> Arc<Gateway> {
        gateway.id = Entropy.id(self.clock.now());
        let audit = NewAuditEvent::new(Actor::System, "gateway.create");
        let inserted = self.storage.insert_gateway(&gateway, audit).await.unwrap();
        assert_eq!(inserted, doorward_storage::Inserted::Yes);
        Arc::new(gateway)
    }

    /// Alice's call from a client that takes events.
    pub(crate) async fn call(
        &self,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        method: &str,
        params: &str,
    ) -> Result<UpstreamAnswer, CallError> {
        self.call_as(&self.alice, gateway, client, (method, params, "\"c1\""), true).await
    }

    pub(crate) async fn call_as(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        (method, params, id): (&str, &str, &str),
        accept_sse: bool,
    ) -> Result<UpstreamAnswer, CallError> {
        let (id, params) = (raw(id.into()).unwrap(), raw(params.into()).unwrap());
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "origin", "mcp-session-id", "dpop"] {
            headers.insert(name, "client-canary".parse().unwrap());
        }
        headers.insert("traceparent", TRACEPARENT.parse().unwrap());
        let (params, client_headers) = (Some(&*params), &headers);
        let call = UpstreamCall { id: &id, method, params, client_headers, accept_sse, session: None };
        self.upstreams.call(caller, gateway, client, call).await
    }

    /// The text of a single-message answer to Alice.
    pub(crate) async fn text(
        &self,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        method: &str,
        params: &str,
    ) -> String {
        message(self.call(gateway, client, method, params).await.unwrap())
    }
}

/// What every call of the tests comes with.
pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn person(storage: &Storage, clock: &Clock, name: &str) -> Caller {
    let user = User {
        id: Entropy.id(clock.now()),
        email: format!("{name}@example.com"),
        name: name.to_owned(),
        role: Role::User,
        state: UserState::Active,
        password_hash: None::<PasswordHash>,
        has_second_factor: false,
        created_at: clock.now(),
        updated_at: clock.now(),
        version: 1,
    };
    let audit = NewAuditEvent::new(Actor::System, "user.create");
    let _ = storage.insert_user(&user, audit).await.unwrap();
    Caller { user: Arc::new(user), credential: Credential::CommandLine, address: None }
}

pub(crate) fn gateway_at(url: &str) -> Gateway {
    Gateway {
        id: Entropy.id(Timestamp::from_millis(0)),
        slug: Slug::parse("up").unwrap(),
        name: "Up".into(),
        url: url.parse().unwrap(),
        state: GatewayState::Published,
        access: doorward_domain::AccessList::Everyone,
        tool_access: [].into(),
        authorization: GatewayAuthorization::None,
        client_certificate: None,
        catalog_sharing: CatalogSharing::PerUser,
        on_change: doorward_domain::OnChange::Allow,
        era: doorward_domain::EraChoice::Automatic,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
        version: 1,
    }
}

/// A client of a revision.
pub(crate) fn client(revision: Revision) -> ClientFacts {
    client_with(revision, r#"{"elicitation":{}}"#)
}

pub(crate) fn client_with(revision: Revision, capabilities: &str) -> ClientFacts {
    ClientFacts {
        revision,
        name: "editor".into(),
        version: "7".into(),
        capabilities: raw(capabilities.into()).unwrap(),
        log_level: None,
    }
}

pub(crate) fn message(answer: UpstreamAnswer) -> String {
    match answer {
        UpstreamAnswer::Message(Answered { body, .. }) => String::from_utf8(body.to_vec()).unwrap(),
        UpstreamAnswer::Stream(_) | UpstreamAnswer::Passing(_) => panic!("the answer is a stream"),
    }
}

/// All events of a stream.
pub(crate) async fn streamed(answer: UpstreamAnswer) -> Vec<String> {
    let UpstreamAnswer::Stream(stream) = answer else { panic!("the answer is one message") };
    stream.map(|event| String::from_utf8(event.unwrap().data.to_vec()).unwrap()).collect().await
}
