//! Which revisions of the protocol an MCP server speaks, asked without a token (2026-07-28, backward compatibility): the
//! newer way first, then the older one.

use super::DiscoveryError;
use super::probe::{FIRST, METHOD, VERSION};
use crate::client::OAuthClient;
use bytes::Bytes;
use doorward_outbound::{OutboundRequest, OutboundResponse};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use url::Url;

/// What Doorward speaks.
const KNOWN: [&str; 4] = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];

const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"doorward","version":"1"}}}}"#;

/// The error of a server that does not speak the revision it was asked in.
const UNSUPPORTED: i64 = -32_022;

/// What a server says it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// Without a token it does not say.
    NotSaid,
    /// By sessions that begin with `initialize`; it chose this revision.
    Sessions { revision: Option<String> },
    /// It lists its revisions.
    Listed { revisions: Vec<String> },
    /// It lists some, and Doorward knows none of them.
    Foreign { revisions: Vec<String> },
}

impl OAuthClient {
    /// Asks a server which revisions it speaks.
    pub async fn spoken(&self, upstream: &Url) -> Result<Spoken, DiscoveryError> {
        let answer = self.say(upstream, DISCOVER, "2026-07-28", Some("server/discover")).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok(Spoken::NotSaid);
        }
        let message = message(&answer.body);
        let listed = match &message["error"]["code"] {
            code if code.as_i64() == Some(UNSUPPORTED) => &message["error"]["data"]["supported"],
            _ => &message["result"]["supportedVersions"],
        };
        if let Some(revisions) = words(listed) {
            let known = revisions.iter().any(|revision| KNOWN.contains(&revision.as_str()));
            return Ok(if known { Spoken::Listed { revisions } } else { Spoken::Foreign { revisions } });
        }
        let first = self.say(upstream, FIRST, "2025-11-25", None).await?;
        if !first.status.is_success() {
            return Ok(Spoken::NotSaid);
        }
        let revision = self::message(&first.body)["result"]["protocolVersion"].as_str().map(shown);
        Ok(Spoken::Sessions { revision })
    }

    async fn say(
        &self,
        upstream: &Url,
        message: &'static str,
        version: &'static str,
        method: Option<&'static str>,
    ) -> Result<OutboundResponse, DiscoveryError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(VERSION, HeaderValue::from_static(version));
        headers.extend(method.map(|method| (METHOD, HeaderValue::from_static(method))));
        let body = Bytes::from_static(message.as_bytes());
        let request = OutboundRequest { method: Method::POST, url: upstream.clone(), headers, body };
        Ok(self.outbound.call(request).await?)
    }
}

/// A message in JSON, or the last one of an event stream; null where there is none.
fn message(body: &[u8]) -> Value {
    if let Ok(message) = serde_json::from_slice(body) {
        return message;
    }
    let text = String::from_utf8_lossy(body);
    let data = text.lines().rev().find_map(|line| line.strip_prefix("data:"));
    data.and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default()
}

fn words(list: &Value) -> Option<Vec<String>> {
    let list = list.as_array().filter(|list| !list.is_empty())?;
    Some(list.iter().filter_map(Value::as_str).take(10).map(shown).collect())
}

/// A server's word, fit to be shown.
fn shown(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{client, serve, url};
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use serde_json::json;

    async fn said(modern: (u16, Value), legacy: (u16, Value)) -> Spoken {
        let answer = move |headers: HeaderMap| {
            let (status, body) =
                if headers.contains_key("mcp-method") { modern.clone() } else { legacy.clone() };
            std::future::ready((StatusCode::from_u16(status).unwrap(), axum::Json(body)))
        };
        let base = serve(Router::new().fallback(answer)).await;
        client().spoken(&url(&format!("{base}/mcp"))).await.unwrap()
    }

    #[tokio::test]
    async fn a_server_says_its_revisions_in_the_newer_way_or_the_older() {
        let gone = || (400, json!({}));
        let listed = |revisions: Value| (200, json!({ "result": { "supportedVersions": revisions } }));
        let both = said(listed(json!(["2026-07-28", "2025-11-25"])), gone()).await;
        assert_eq!(both, Spoken::Listed { revisions: vec!["2026-07-28".into(), "2025-11-25".into()] });
        let foreign = said(listed(json!(["2031-01-01"])), gone()).await;
        assert_eq!(foreign, Spoken::Foreign { revisions: vec!["2031-01-01".into()] });
        let refused = json!({ "error": { "code": -32_022, "data": { "supported": ["2025-11-25"] } } });
        let named = said((400, refused), gone()).await;
        assert_eq!(named, Spoken::Listed { revisions: vec!["2025-11-25".into()] });
        let older = (200, json!({ "result": { "protocolVersion": "2025-06-18\n" } }));
        let sessions = said((404, json!({})), older).await;
        assert_eq!(sessions, Spoken::Sessions { revision: Some("2025-06-18".into()) });
        assert_eq!(said((401, json!({})), gone()).await, Spoken::NotSaid);
        assert_eq!(said((500, json!({})), (500, json!({}))).await, Spoken::NotSaid);
    }

    #[test]
    fn a_message_may_come_as_an_event() {
        assert_eq!(message(b"event: message\ndata: {\"result\":1}\n\n")["result"], 1);
        assert_eq!(message(b"<html>"), Value::Null);
    }
}
