//! The revisions with `initialize` and sessions, 2025-06-18 and 2025-11-25.

use super::methods::{self, MethodError, Reply};
use super::wire::{self, Envelope, RpcError};
use super::{Caller, Shared};
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use doorward_domain::Entropy;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::convert::Infallible;

pub(super) const SESSION: &str = "mcp-session-id";
pub(super) const VERSION: &str = "mcp-protocol-version";

/// A POST that carries no mark of the modern revision.
pub(super) fn post(server: &Shared, caller: &Caller<'_>, message: &Envelope<'_>) -> Response {
    if message.method.as_deref() == Some("initialize") {
        return initialize(server, caller, message);
    }
    if let Err(refused) = check_session(server, caller).and_then(|()| check_version(server, caller.headers)) {
        return wire::error(message.id, &refused);
    }
    let (Some(method), Some(id)) = (message.method.as_deref(), message.id) else {
        // A notification, or an answer to a request that this server never sends.
        return StatusCode::ACCEPTED.into_response();
    };
    let reply = match method {
        "ping" => Ok(Reply::plain(&json!({}))),
        _ => methods::run(server, caller.account, method, message.params),
    };
    match reply {
        Ok(reply) => wire::result(server.options.answer, id, &reply.text, progress_token(message.params)),
        Err(error) => wire::error(Some(id), &rpc_error(error)),
    }
}

#[derive(Deserialize)]
struct InitializeParams {
    #[serde(rename = "protocolVersion")]
    protocol_version: String,
}

fn initialize(server: &Shared, caller: &Caller<'_>, message: &Envelope<'_>) -> Response {
    let Some(id) = message.id else {
        return wire::error(None, &RpcError::bad(-32600, "initialize is a request and needs an id"));
    };
    let Ok(params) = methods::read::<InitializeParams>(message.params) else {
        return wire::error(Some(id), &RpcError::bad(-32602, "initialize needs `protocolVersion`"));
    };
    let agreed =
        server.options.speaks(&params.protocol_version, false).or_else(|| server.options.newest_legacy());
    let Some(revision) = agreed else {
        return wire::error(
            Some(id),
            &RpcError::bad(-32600, "this server speaks no revision with initialize"),
        );
    };
    let result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": methods::capabilities(),
        "serverInfo": methods::server_info(),
        "instructions": methods::INSTRUCTIONS,
    });
    let session = Entropy.token();
    let mut response = wire::result(server.options.answer, id, &result.to_string(), None);
    let value = HeaderValue::from_str(&session).expect("a base64url token is a header value");
    response.headers_mut().insert(SESSION, value);
    server.sessions().insert(session, caller.account.to_owned());
    response
}

/// GET: a stream that stays open and says nothing.
pub(super) fn listen(server: &Shared, caller: &Caller<'_>) -> Response {
    if let Err(refused) = check_session(server, caller) {
        return wire::error(None, &refused);
    }
    let opened = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b": open\n\n")) });
    let body = Body::from_stream(opened.chain(stream::pending()));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// DELETE: the client ends its session.
pub(super) fn end(server: &Shared, caller: &Caller<'_>) -> Response {
    if let Err(refused) = check_session(server, caller) {
        return wire::error(None, &refused);
    }
    server.sessions().remove(caller.session().unwrap_or_default());
    StatusCode::NO_CONTENT.into_response()
}

/// A session belongs to the account that opened it; to anyone else it does not exist.
fn check_session(server: &Shared, caller: &Caller<'_>) -> Result<(), RpcError> {
    let session =
        caller.session().ok_or_else(|| RpcError::bad(-32600, "the Mcp-Session-Id header is missing"))?;
    match server.sessions().get(session) {
        Some(owner) if owner == caller.account => Ok(()),
        Some(_) | None => {
            let status = StatusCode::NOT_FOUND;
            Err(RpcError { status, ..RpcError::bad(-32001, "this session does not exist (any more)") })
        }
    }
}

fn check_version(server: &Shared, headers: &HeaderMap) -> Result<(), RpcError> {
    let Some(version) = headers.get(VERSION) else { return Ok(()) };
    let known = version.to_str().ok().and_then(|version| server.options.speaks(version, false));
    known.map(|_| ()).ok_or_else(|| RpcError::bad(-32600, "this MCP-Protocol-Version is not supported"))
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<ProgressMeta<'a>>,
}

#[derive(Deserialize)]
struct ProgressMeta<'a> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

/// The request's progress token, raw, so that its type comes back as it was.
pub(super) fn progress_token(params: Option<&RawValue>) -> Option<&RawValue> {
    serde_json::from_str::<Meta<'_>>(params?.get()).ok()?.meta?.progress_token
}

/// Errors of a legacy method come with status 200.
fn rpc_error(error: MethodError) -> RpcError {
    let (code, message, data) = match error {
        MethodError::UnknownMethod => (-32601, "there is no such method".to_owned(), None),
        MethodError::InvalidParams(why) => (-32602, why, None),
        MethodError::ResourceNotFound { uri } => {
            (-32002, format!("there is no resource {uri}"), Some(json!({ "uri": uri })))
        }
    };
    RpcError { status: StatusCode::OK, code, message, data }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, Journey, McpCaller, client, open_server};
    use crate::{AuthorizationServerOptions, Demo, McpServerOptions, Revision};
    use serde_json::json;

    const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

    #[tokio::test]
    async fn initialize_agrees_on_a_version_and_opens_a_session() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        for (asked, agreed) in
            [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("1999-01-01", "2025-11-25")]
        {
            let (session, answer) = caller.initialize(asked).await;
            assert_eq!(answer["result"]["protocolVersion"], agreed);
            assert_eq!(session.unwrap().len(), 43);
        }
        for params in [r#""id":1,"method":"initialize""#, r#""method":"initialize""#] {
            assert_eq!(caller.post(&format!(r#"{{"jsonrpc":"2.0",{params}}}"#), &[]).await.0, 400);
        }
    }

    #[tokio::test]
    async fn a_session_lives_until_it_is_deleted_or_forgotten() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        assert_eq!(caller.post(PING, &[]).await.0, 400);
        assert_eq!(caller.post(PING, &[("mcp-session-id", "unknown")]).await.0, 404);

        let session = caller.initialize("2025-11-25").await.0.unwrap();
        let headers = [("mcp-session-id", session.as_str())];
        assert_eq!(
            caller.post(PING, &headers).await,
            (200, json!({"jsonrpc": "2.0", "id": 1, "result": {}}))
        );
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(caller.post(initialized, &headers).await.0, 202);
        let old_version = [headers[0], ("mcp-protocol-version", "1999-01-01")];
        assert_eq!(caller.post(PING, &old_version).await.0, 400);

        let delete = || client().delete(server.url().clone()).header("mcp-session-id", &session).send();
        assert_eq!(delete().await.unwrap().status(), 204);
        assert_eq!(delete().await.unwrap().status(), 404);

        let session = caller.initialize("2025-11-25").await.0.unwrap();
        server.forget_sessions();
        assert_eq!(caller.post(PING, &[("mcp-session-id", &session)]).await.0, 404);
    }

    #[tokio::test]
    async fn the_stream_of_a_session_opens_and_stays_silent() {
        let server = open_server(McpServerOptions::default()).await;
        let session = McpCaller::of(&server).initialize("2025-11-25").await.0.unwrap();
        let stream = || client().get(server.url().clone());
        let mut opened = stream().header("mcp-session-id", session).send().await.unwrap();
        assert_eq!(opened.headers()["content-type"], "text/event-stream");
        assert_eq!(opened.chunk().await.unwrap().unwrap(), ": open\n\n");
        assert_eq!(stream().send().await.unwrap().status(), 400);
    }

    #[tokio::test]
    async fn a_session_is_no_ones_but_its_accounts() {
        let demo = Demo::start(ANY_PORT, ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        let mut callers = Vec::new();
        for name in ["alice", "bob"] {
            let tokens = Journey::of(&demo, name).tokens().await;
            callers.push(McpCaller::of(&demo.mcp_server).bearer(tokens["access_token"].as_str().unwrap()));
        }
        let session = callers[0].initialize("2025-11-25").await.0.unwrap();
        let headers = [("mcp-session-id", session.as_str())];
        assert_eq!(callers[0].post(PING, &headers).await.0, 200);
        assert_eq!(callers[1].post(PING, &headers).await.0, 404);
    }

    #[tokio::test]
    async fn errors_of_methods_come_with_status_200_and_legacy_codes() {
        let server = open_server(McpServerOptions::only(Revision::V2025_06_18)).await;
        let caller = McpCaller::of(&server);
        for (method, params, code) in [
            ("vendor/unknown", "", -32601),
            ("tools/call", r#""name":"nothing""#, -32602),
            ("tools/call", "", -32602),
            ("resources/read", r#""uri":"demo://repo/unknown""#, -32002),
            ("prompts/get", r#""name":"nothing""#, -32602),
            ("prompts/get", r#""name":"pr-summary""#, -32602),
            ("tools/list", r#""cursor":"99""#, -32602),
        ] {
            let (status, answer) = caller.legacy(method, params).await;
            assert_eq!((status, &answer["error"]["code"]), (200, &json!(code)), "{method} {params}");
        }
    }

    #[tokio::test]
    async fn a_modern_request_to_an_older_server_meets_an_error_it_knows() {
        let server = open_server(McpServerOptions::only(Revision::V2025_11_25)).await;
        let (status, answer) = McpCaller::of(&server).modern("server/discover", "", "").await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32000)));
    }
}
