//! The upstream that both runs call: a bare HTTP server that answers each MCP request with a fixed
//! result of about 400 bytes under the caller's id, and refuses requests without a bearer token.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Starts the upstream on a free loopback port.
pub async fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
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

/// Answers one message.
pub async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let authorized = request.headers().contains_key(header::AUTHORIZATION);
    let Ok(body) = request.into_body().collect().await.map(http_body_util::Collected::to_bytes) else {
        return Ok(plain(StatusCode::BAD_REQUEST, ""));
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    if !authorized {
        return Ok(plain(StatusCode::UNAUTHORIZED, ""));
    }
    let Some(id) = member(&body, "id") else { return Ok(plain(StatusCode::ACCEPTED, "")) };
    let result = match member(&body, "method") {
        Some("\"server/discover\"") => DISCOVERED.to_owned(),
        Some("\"initialize\"") => INITIALIZED.to_owned(),
        Some("\"tools/list\"") => TOOLS.to_owned(),
        Some("\"tools/call\"") => called(),
        Some("\"resources/list\"") => r#"{"resources":[]}"#.to_owned(),
        Some("\"resources/templates/list\"") => r#"{"resourceTemplates":[]}"#.to_owned(),
        Some("\"prompts/list\"") => r#"{"prompts":[]}"#.to_owned(),
        _ => {
            return Ok(json(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"unknown"}}}}"#
            )));
        }
    };
    Ok(json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)))
}

const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#;
const TOOLS: &str =
    r#"{"tools":[{"name":"work","description":"answers a fixed text","inputSchema":{"type":"object"}}]}"#;

fn called() -> String {
    format!(
        r#"{{"content":[{{"type":"text","text":"{}"}}],"isError":false,"resultType":"complete"}}"#,
        "x".repeat(330)
    )
}

/// The raw text of a scalar member; enough for the two members that this server reads.
fn member<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let start = body.find(&format!("\"{name}\":"))? + name.len() + 3;
    let rest = body[start..].trim_start();
    let end = rest.find([',', '}'])?;
    Some(rest[..end].trim())
}

fn json(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response
}
