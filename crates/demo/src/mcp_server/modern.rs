//! The revision 2026-07-28: no sessions, the version and the capabilities in each request, and headers
//! that must say what the body says.

use super::legacy::{VERSION, progress_token};
use super::methods::{self, MethodError, Reply};
use super::options::Revision;
use super::wire::{self, Envelope, RpcError};
use super::{Caller, Shared};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Whether a request is marked as modern, by its header or by its `_meta`.
pub(super) fn is_marked(headers: &HeaderMap, message: &Envelope<'_>) -> bool {
    let in_header = headers.get(VERSION).is_some_and(|version| version == Revision::V2026_07_28.as_str());
    in_header || meta(&params(message))[VERSION_KEY].is_string()
}

/// A POST of the modern era.
pub(super) fn post(server: &Shared, caller: &Caller<'_>, message: &Envelope<'_>) -> Response {
    let (Some(method), Some(id)) = (message.method.as_deref(), message.id) else {
        let is_notification = message.method.is_some();
        return if is_notification { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST }.into_response();
    };
    let reply = check(server, caller.headers, method, &params(message))
        .and_then(|()| run(server, caller.account, method, message.params));
    match reply {
        Ok(reply) => {
            let token = progress_token(message.params);
            wire::result(server.options.answer, id, &complete(&reply), token)
        }
        Err(error) => wire::error(Some(id), &error),
    }
}

fn run(server: &Shared, account: &str, method: &str, raw: Option<&RawValue>) -> Result<Reply, RpcError> {
    if method == "server/discover" {
        let versions: Vec<&str> = server.options.revisions.iter().map(|known| known.as_str()).collect();
        return Ok(Reply::cacheable(&json!({
            "supportedVersions": versions,
            "capabilities": methods::capabilities(),
            "instructions": methods::INSTRUCTIONS,
        })));
    }
    methods::run(server, account, method, raw).map_err(rpc_error)
}

fn params(message: &Envelope<'_>) -> Value {
    message.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default()
}

fn meta(params: &Value) -> &Value {
    &params["_meta"]
}

/// The checks in the order of the specification: headers against body, required `_meta`, version.
fn check(server: &Shared, headers: &HeaderMap, method: &str, params: &Value) -> Result<(), RpcError> {
    let version = meta(params)[VERSION_KEY].as_str();
    let name = match method {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        _ => None,
    };
    for (header, expected) in [(VERSION, version), ("mcp-method", Some(method)), ("mcp-name", name)] {
        let sent = headers.get(header).and_then(|value| decoded(value.to_str().ok()?));
        if expected.is_some() && sent.as_deref() != expected {
            let why = format!("the header {header} is missing or differs from the body");
            return Err(RpcError::bad(-32020, why));
        }
    }
    let Some(version) = version else {
        return Err(RpcError::bad(-32602, format!("_meta must hold {VERSION_KEY}")));
    };
    if !meta(params)[CAPABILITIES_KEY].is_object() {
        return Err(RpcError::bad(-32602, format!("_meta must hold {CAPABILITIES_KEY}")));
    }
    if server.options.speaks(version, true).is_none() {
        return Err(unsupported(server, version));
    }
    Ok(())
}

/// The answer to a version that this server does not speak, with those it does.
pub(super) fn unsupported(server: &Shared, requested: &str) -> RpcError {
    let supported: Vec<&str> = server.options.revisions.iter().map(|known| known.as_str()).collect();
    let data = Some(json!({ "supported": supported, "requested": requested }));
    RpcError { data, ..RpcError::bad(-32022, "this protocol version is not supported") }
}

/// A header's value; one that a header cannot carry comes as `=?base64?...?=`.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// Adds what every modern result has, without touching the text of the result itself.
fn complete(reply: &Reply) -> String {
    let info = json!({ SERVER_INFO_KEY: methods::server_info() });
    let caching = if reply.is_cacheable { r#""ttlMs":1000,"cacheScope":"private","# } else { "" };
    let fields = reply.text.strip_prefix('{').unwrap_or(&reply.text);
    format!(r#"{{"resultType":"complete",{caching}"_meta":{info},{fields}"#)
}

fn rpc_error(error: MethodError) -> RpcError {
    match error {
        MethodError::UnknownMethod => {
            let status = StatusCode::NOT_FOUND;
            RpcError { status, ..RpcError::bad(-32601, "there is no such method") }
        }
        MethodError::InvalidParams(why) => RpcError { status: StatusCode::OK, ..RpcError::bad(-32602, why) },
        MethodError::ResourceNotFound { uri } => RpcError {
            status: StatusCode::OK,
            data: Some(json!({ "uri": uri })),
            ..RpcError::bad(-32602, format!("there is no resource {uri}"))
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{McpCaller, open_server};
    use crate::{McpServerOptions, Revision};
    use serde_json::json;

    #[tokio::test]
    async fn discover_names_the_revisions_and_every_list_says_how_long_it_holds() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        let found = caller.modern("server/discover", "", "").await.1;
        assert_eq!(found["result"]["supportedVersions"], json!(["2025-06-18", "2025-11-25", "2026-07-28"]));
        for method in
            ["server/discover", "tools/list", "resources/list", "resources/templates/list", "prompts/list"]
        {
            let (status, answer) = caller.modern(method, "", "").await;
            assert_eq!((status, &answer["result"]["resultType"]), (200, &json!("complete")), "{method}");
            assert_eq!(
                (&answer["result"]["ttlMs"], &answer["result"]["cacheScope"]),
                (&json!(1000), &json!("private"))
            );
            assert_eq!(
                answer["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
                "doorward-demo"
            );
        }
    }

    #[tokio::test]
    async fn headers_must_say_what_the_body_says() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        let body = McpCaller::modern_body("tools/call", r#""name":"whoami","#);
        for headers in [
            vec![
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/list"),
                ("mcp-name", "whoami"),
            ],
            vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "other")],
            vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")],
            vec![("mcp-method", "tools/call"), ("mcp-name", "whoami")],
            vec![
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", "=?base64?!?="),
            ],
        ] {
            let (status, answer) = caller.post(&body, &headers).await;
            assert_eq!(
                (status, &answer["error"]["code"], &answer["id"]),
                (400, &json!(-32020), &json!("m-1"))
            );
        }
        let encoded = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?d2hvYW1p?="),
        ];
        assert_eq!(caller.post(&body, &encoded).await.0, 200);
    }

    #[tokio::test]
    async fn required_meta_and_a_known_version_are_asked_for() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
        for meta in ["{}", r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#] {
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#);
            let (status, answer) = caller.post(&body, &headers).await;
            assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32602)));
        }
        let body = McpCaller::modern_body("tools/list", "").replace("2026-07-28", "2031-01-01");
        let headers = [("mcp-protocol-version", "2031-01-01"), ("mcp-method", "tools/list")];
        let (status, answer) = caller.post(&body, &headers).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32022)));
        assert_eq!(answer["error"]["data"]["requested"], "2031-01-01");
    }

    #[tokio::test]
    async fn unknown_and_removed_methods_are_404_and_notifications_are_accepted() {
        let server = open_server(McpServerOptions::only(Revision::V2026_07_28)).await;
        let caller = McpCaller::of(&server);
        for method in ["initialize", "ping", "vendor/unknown"] {
            let (status, answer) = caller.modern(method, "", "").await;
            assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32601)), "{method}");
        }
        let headers = [("mcp-protocol-version", "2026-07-28")];
        let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        assert_eq!(caller.post(cancelled, &headers).await.0, 202);
        assert_eq!(caller.post(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, &headers).await.0, 400);
    }

    #[tokio::test]
    async fn wrong_names_and_uris_have_their_codes() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        let (_, answer) = caller.modern("tools/call", r#""name":"nothing","#, "nothing").await;
        assert_eq!(answer["error"]["code"], -32602);
        let (_, answer) = caller.modern("resources/read", r#""uri":"demo://x","#, "demo://x").await;
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["data"]["uri"]),
            (&json!(-32602), &json!("demo://x"))
        );
    }
}
