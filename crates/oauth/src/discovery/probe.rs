//! Asks an MCP server something without a token, as a client of each era would, until it asks for one.

use super::DiscoveryError;
use super::challenge::{self, Challenge};
use crate::client::OAuthClient;
use bytes::Bytes;
use doorward_outbound::{OutboundError, OutboundRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use std::time::Duration;
use url::Url;

/// How long an upstream has to begin its answer.
const PROBE_TIME: Duration = Duration::from_secs(15);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// What an old or new server answers, or refuses for want of a token.
pub(super) const FIRST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"doorward","version":"1"}}}"#;

/// What follows in a session of revision 2025-11-25.
const LEGACY_LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;

/// The same for a server that knows no `initialize` (revision 2026-07-28).
const MODERN_LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"doorward","version":"1"}}}}"#;

impl OAuthClient {
    /// What the server asks for; none when it serves without a token.
    pub(super) async fn probe(&self, upstream: &Url) -> Result<Option<Challenge>, DiscoveryError> {
        let first = self.ask(upstream, FIRST, HeaderMap::new()).await?;
        let legacy = match first.status() {
            StatusCode::UNAUTHORIZED => return Ok(Some(challenge::read(first.headers()))),
            status if status.is_success() => true,
            // A server of the modern era only answers 400 to `initialize`.
            StatusCode::BAD_REQUEST => false,
            status => return Err(DiscoveryError::NoMcpServer { status: status.as_u16() }),
        };
        // Some welcome anybody's first request and want a token for the next.
        let session = first.headers().get(SESSION).cloned();
        let mut headers = HeaderMap::new();
        headers.extend(session.clone().map(|session| (SESSION, session)));
        headers.insert(VERSION, HeaderValue::from_static(if legacy { "2025-11-25" } else { "2026-07-28" }));
        if !legacy {
            headers.insert(METHOD, HeaderValue::from_static("tools/list"));
        }
        let second =
            self.ask(upstream, if legacy { LEGACY_LIST } else { MODERN_LIST }, headers.clone()).await?;
        if session.is_some() {
            self.end_session(upstream, headers).await;
        }
        match second.status() {
            StatusCode::UNAUTHORIZED => Ok(Some(challenge::read(second.headers()))),
            // A page of a web server before it, such as nginx's for want of a client certificate: no MCP server spoke.
            status if !legacy && !status.is_success() && is_page(second.headers()) => {
                Err(DiscoveryError::NoMcpServer { status: status.as_u16() })
            }
            _ => Ok(None),
        }
    }

    /// Only status and headers matter; an event stream's body might never end.
    async fn ask(
        &self,
        upstream: &Url,
        message: &'static str,
        mut headers: HeaderMap,
    ) -> Result<Response<()>, OutboundError> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let body = Bytes::from_static(message.as_bytes());
        let request = OutboundRequest { method: Method::POST, url: upstream.clone(), headers, body };
        Ok(self.outbound.stream_within(request, PROBE_TIME).await?.map(drop))
    }

    /// A session that nobody uses is ended; what the server says to that does not matter.
    async fn end_session(&self, upstream: &Url, headers: HeaderMap) {
        let request =
            OutboundRequest { method: Method::DELETE, url: upstream.clone(), headers, body: Bytes::new() };
        drop(self.outbound.stream_within(request, PROBE_TIME).await);
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}
