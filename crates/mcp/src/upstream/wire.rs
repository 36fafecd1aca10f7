//! The bytes of a request to an upstream: the envelope, and headers by allow list. Nothing of the
//! client's own headers goes on but what is named here; never its bearer, cookie, host, origin or session.

use super::param_headers::header_value;
use crate::envelope::{json_string, text_member};
use crate::revision::{Revision, wire};
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_SSE: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
/// Compressed answers would hide their size from our limits.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The end of the legacy handshake.
pub(super) const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The headers of every POST to an upstream.
pub(super) fn base_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, JSON_OR_SSE);
    headers.insert(ACCEPT_ENCODING, IDENTITY);
    headers
}

/// The base headers with the revision.
pub(super) fn headers_of(version: HeaderValue) -> HeaderMap {
    let mut headers = base_headers();
    headers.insert(wire::HEADER_VERSION, version);
    headers
}

/// A revision as a header value.
pub(super) fn version_header(revision: Revision) -> HeaderValue {
    HeaderValue::from_static(revision.as_str())
}

/// What of the client's headers goes on as it is.
pub(super) fn pass_on(client: &HeaderMap, upstream: Revision, headers: &mut HeaderMap) {
    if !upstream.is_modern() {
        return;
    }
    for (name, value) in client {
        if name.as_str().starts_with(wire::HEADER_PARAM_PREFIX) {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// `Mcp-Method` and `Mcp-Name` mirror the body (2026-07-28, Streamable HTTP).
pub(super) fn mirror_routing(method: &str, params: Option<&RawValue>, headers: &mut HeaderMap) {
    headers.insert(HeaderName::from_static(wire::HEADER_METHOD), header_value(method));
    let name = match method {
        "tools/call" | "prompts/get" => params.and_then(|params| text_member(params, "name")),
        "resources/read" => params.and_then(|params| text_member(params, "uri")),
        "tasks/get" | "tasks/update" | "tasks/cancel" => {
            params.and_then(|params| text_member(params, "taskId"))
        }
        _ => None,
    };
    if let Some(name) = name {
        headers.insert(HeaderName::from_static(wire::HEADER_NAME), header_value(&name));
    }
}

/// A request with an id of ours.
pub(super) fn request(id: u64, method: &str, params: Option<&str>) -> Bytes {
    let method = json_string(method);
    let text = match params {
        Some(params) => {
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method},\"params\":{params}}}")
        }
        None => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method}}}"),
    };
    Bytes::from(text)
}

/// The error answer to a request that a server sent us.
pub(super) fn refusal(id: &RawValue, method: &str) -> String {
    let answer = match method {
        "ping" => "\"result\":{}",
        // The user was not asked, so nothing may be said in the user's name.
        "elicitation/create" => "\"result\":{\"action\":\"cancel\"}",
        _ => "\"error\":{\"code\":-32601,\"message\":\"Doorward does not carry this request to its client\"}",
    };
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{answer}}}", id.get())
}

/// A client's result for a request that a server sent.
pub(super) fn result(id: &RawValue, result: &RawValue) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}}", id.get(), result.get())
}

/// A client's error for a request that a server sent.
pub(super) fn error(id: &RawValue, error: &RawValue) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"error\":{}}}", id.get(), error.get())
}

/// Log levels by weight (RFC 5424 §6.2.1, least first).
pub(super) fn severity(level: &str) -> Option<usize> {
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
        .iter()
        .position(|known| *known == level)
}

/// Tells a legacy upstream that nobody waits for a request any more.
pub(super) fn cancelled(id: u64) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id}}}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::raw;

    #[test]
    fn trap_23_only_named_headers_of_the_client_go_on() {
        let mut client = HeaderMap::new();
        for name in [
            "authorization",
            "cookie",
            "host",
            "origin",
            "dpop",
            "mcp-session-id",
            "proxy-authorization",
            "x-forwarded-for",
            "mcp-name",
            "mcp-protocol-version",
            "traceparent",
            "tracestate",
            "mcp-param-region",
        ] {
            client.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let passed = |upstream| {
            let mut headers = HeaderMap::new();
            pass_on(&client, upstream, &mut headers);
            headers.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(passed(Revision::LATEST_LEGACY), [""; 0]);
        assert_eq!(passed(Revision::LATEST), ["mcp-param-region"]);
    }

    #[test]
    fn routing_headers_mirror_the_body() {
        let params = raw(r#"{"name":"größe","uri":"file:///x","taskId":"t 1"}"#.into()).unwrap();
        for (method, name) in [
            ("tools/call", Some("=?base64?Z3LDtsOfZQ==?=")),
            ("resources/read", Some("file:///x")),
            ("tools/list", None),
            ("tasks/get", Some("t 1")),
        ] {
            let mut headers = HeaderMap::new();
            mirror_routing(method, Some(&params), &mut headers);
            assert_eq!(headers["mcp-method"], method);
            assert_eq!(headers.get("mcp-name").map(|value| value.to_str().unwrap()), name);
        }
    }

    #[test]
    fn a_server_gets_an_answer_to_what_it_asks_of_us() {
        let id = raw("\"s1\"".into()).unwrap();
        assert_eq!(refusal(&id, "ping"), r#"{"jsonrpc":"2.0","id":"s1","result":{}}"#);
        assert!(refusal(&id, "elicitation/create").contains("cancel"));
        assert!(refusal(&id, "sampling/createMessage").contains("-32601"));
        assert_eq!(request(4, "x", None), r#"{"jsonrpc":"2.0","id":4,"method":"x"}"#);
    }
}
