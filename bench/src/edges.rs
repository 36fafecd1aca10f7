//! `doorward-bench edges`: clients and servers that misbehave, and what the calls of others and the memory of the
//! process have of it. Each kind is held against the calls of the same person right before.

use crate::first_byte::{self, Beginning};
use crate::load::{self, Measured, Target};
use crate::prepare::{AnyError, broker, gateway, prepare};
use crate::{LISTEN, process, start, target, upstream};
use bytes::Bytes;
use doorward_broker::{AuthorizationInput, GatewayInput, NewApiToken, NewUser};
use doorward_demo::{AuthorizationServer, AuthorizationServerOptions};
use doorward_domain::{Audience, Clock, Role};
use doorward_storage::Storage;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use secrecy::ExposeSecret;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The calls of somebody who has nothing to do with all this.
const CONNECTIONS: usize = 4;
const PAUSE: Duration = Duration::from_millis(10);
const TIME: Duration = Duration::from_secs(10);

const IDLE: usize = 10_000;
const SLOW: usize = 1_000;
const HANGING: usize = 300;
const SILENT: usize = 100;
/// What a client asks for that it never reads.
const POURED: usize = 64 << 20;

/// Who misbehaves.
#[derive(Clone, Copy)]
enum Edge {
    IdleConnections,
    SlowHeaders,
    HangingGateway,
    ClientsThatNeverRead,
}

impl Edge {
    const ALL: [Self; 4] =
        [Self::IdleConnections, Self::SlowHeaders, Self::HangingGateway, Self::ClientsThatNeverRead];

    fn name(self) -> String {
        match self {
            Self::IdleConnections => format!("{IDLE} idle connections"),
            Self::SlowHeaders => format!("{SLOW} clients that send a byte of their headers a second"),
            Self::HangingGateway => format!("{HANGING} calls to a gateway that hangs"),
            Self::ClientsThatNeverRead => {
                format!("{SILENT} clients that never read their {} MiB", POURED >> 20)
            }
        }
    }
}

/// Measures, and fails when a call of the bystander does.
pub async fn run() -> Result<(), AnyError> {
    let owner_only = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().permissions(owner_only).tempdir()?;
    let server =
        AuthorizationServer::start("127.0.0.1:0".parse()?, AuthorizationServerOptions::default()).await?;
    let upstream = format!("http://{}/mcp", upstream::start().await?);
    let prepared = prepare(directory.path(), &server, &upstream).await?;
    let other = misbehaving(directory.path(), &prepared.key_ring, &server).await?;
    let mut gateway = start(directory.path(), &prepared.key_ring).await?;
    let calls = target(format!("http://{LISTEN}/gateways/bench/mcp"), &prepared.api_token)?;
    let calls = Target { pause: PAUSE, ..calls };
    load::run(&calls, CONNECTIONS, Duration::from_secs(2)).await;
    say(
        "| beside the calls of somebody else | p50 / p99 µs before | p50 / p99 µs during | p99 of before | memory MiB before | during |\n|---|---|---|---|---|---|\n",
    )?;
    for edge in Edge::ALL {
        let before = load::run(&calls, CONNECTIONS, TIME).await;
        let memory = process::resident_mib(gateway.pid());
        let guests = misbehave(edge, &other).await?;
        let during = load::run(&calls, CONNECTIONS, TIME).await;
        row(edge, (&before, memory), (&during, process::resident_mib(gateway.pid())))?;
        drop(guests);
    }
    say("\n| from the server to its client | p50 ms | p99 ms | bound |\n|---|---|---|---|\n")?;
    for beginning in Beginning::ALL {
        let times = first_byte::measure(beginning, &other).await?;
        let of = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1_000.0;
        say(&format!("| {} | {:.2} | {:.2} | 50 |\n", beginning.name(), of(0.5), of(0.99)))?;
    }
    gateway.stop();
    Ok(())
}

/// Another person, with a gateway that hangs or pours; an API token for it.
async fn misbehaving(
    directory: &Path,
    key_ring: &str,
    server: &AuthorizationServer,
) -> Result<String, AnyError> {
    let address = bad_upstream().await?;
    let storage = Storage::open_sqlite(&directory.join("doorward.db"), Clock::System).await?;
    let broker = broker(&storage, key_ring)?;
    let admin =
        broker.caller_on_command_line("bench@example.com").await?.ok_or("the administrator is there")?;
    let input = GatewayInput {
        authorization: Some(AuthorizationInput::None),
        ..gateway(server, &format!("http://{address}/mcp"), "bad")
    };
    broker.create_gateway(&admin, input).await?;
    let email = "other@example.com".to_owned();
    let new = NewUser { email: email.clone(), name: "Other".into(), role: Role::User, password: None };
    broker.create_user(&admin, new).await?;
    let other = broker.caller_on_command_line(&email).await?.ok_or("the other person is there")?;
    let token = NewApiToken { name: "other".into(), audience: Audience::Mcp, gateways: None, days: None };
    let made = broker.create_api_token(&other, token).await?;
    storage.close().await;
    Ok(made.plain.expose_secret().to_owned())
}

/// Starts what goes on until it is dropped.
async fn misbehave(edge: Edge, token: &str) -> Result<JoinSet<()>, AnyError> {
    let mut guests = JoinSet::new();
    let count = match edge {
        Edge::IdleConnections => IDLE,
        Edge::SlowHeaders => SLOW,
        Edge::HangingGateway => HANGING,
        Edge::ClientsThatNeverRead => SILENT,
    };
    for _ in 0..count {
        let stream = TcpStream::connect(LISTEN).await?;
        let request = match edge {
            Edge::IdleConnections => None,
            Edge::SlowHeaders => Some("POST /mcp HTTP/1.1\r\nhost: localhost:14444\r\nx-slow: ".to_owned()),
            Edge::HangingGateway => Some(call(token, "hang")),
            Edge::ClientsThatNeverRead => Some(call(token, "pour")),
        };
        guests.spawn(guest(stream, request, matches!(edge, Edge::SlowHeaders)));
    }
    Ok(guests)
}

/// Sends what it has, perhaps a byte a second after that, and never reads.
async fn guest(mut stream: TcpStream, request: Option<String>, dawdles: bool) {
    if let Some(request) = request {
        let _ = stream.write_all(request.as_bytes()).await;
    }
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if dawdles && stream.write_all(b"x").await.is_err() {
            return;
        }
    }
}

/// A call as text, by a client that wants every log line.
pub fn call(token: &str, tool: &str) -> String {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/logLevel":"debug"}}}}}}"#
    );
    format!(
        "POST /gateways/bad/mcp HTTP/1.1\r\nhost: localhost:14444\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An upstream whose tools never answer, or pour.
async fn bad_upstream() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let serve = service_fn(answer);
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), serve)
                    .await;
            });
        }
    });
    Ok(address)
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let tool = request.headers().get("mcp-name").and_then(|name| name.to_str().ok());
    if let Some(beginning) = Beginning::ALL.into_iter().find(|beginning| Some(beginning.tool()) == tool) {
        return Ok(beginning.answer());
    }
    match tool {
        Some("hang") => std::future::pending().await,
        Some("pour") => {
            let mut response = Response::new(Pouring { left: POURED }.boxed());
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            Ok(response)
        }
        _ => {
            // The gateway asks for no authorization, and the bare upstream wants to see some.
            let bearer = http::HeaderValue::from_static("Bearer any");
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
            upstream::answer(request).await.map(|response| response.map(BodyExt::boxed))
        }
    }
}

/// The beginning of a large answer, which exists only as it is sent.
struct Pouring {
    left: usize,
}

impl Body for Pouring {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const HEAD: &[u8] = br#"{"result":{"content":[{"type":"text","text":""#;
        const PIECE: &[u8] = &[b'x'; 64 << 10];
        if self.left == POURED {
            self.left -= 1;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(HEAD)))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left = self.left.saturating_sub(PIECE.len());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PIECE)))))
    }
}

fn row(edge: Edge, before: (&Measured, f64), during: (&Measured, f64)) -> Result<(), AnyError> {
    let name = edge.name();
    for calls in [before.0, during.0] {
        if calls.failures > 0 || calls.calls == 0 {
            return Err(format!("{name}: {} calls of somebody else failed", calls.failures).into());
        }
    }
    let of = |calls: &Measured| (calls.percentile_us(0.5), calls.percentile_us(0.99));
    let ((p50, p99), (beside50, beside99)) = (of(before.0), of(during.0));
    let ratio = beside99 as f64 / p99 as f64;
    say(&format!(
        "| {name} | {p50} / {p99} | {beside50} / {beside99} | {ratio:.2} | {:.1} | {:.1} |\n",
        before.1, during.1
    ))
}

fn say(text: &str) -> Result<(), AnyError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
