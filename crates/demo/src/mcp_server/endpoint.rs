//! The one URL of the MCP server: notes what came, lets faults strike, asks for a token, picks the era.

use super::log::SeenRequest;
use super::wire::{self, RpcError};
use super::{Caller, McpFault, Shared, bearer, legacy, modern};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use std::sync::Arc;
use url::Url;

pub(super) async fn handle(
    State(server): State<Arc<Shared>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8_lossy(&body);
    let account = bearer::account(&server, &headers).await;
    server.note(seen(&method, &headers, &body, account.clone()));
    if method == Method::POST {
        match server.faults.take() {
            Some(McpFault::Unauthorized) => return bearer::challenge(&server, true),
            Some(McpFault::ServerError) => {
                return (StatusCode::INTERNAL_SERVER_ERROR, "Something broke.").into_response();
            }
            Some(McpFault::Hang) => std::future::pending().await,
            Some(McpFault::HeldUntil(released)) => released.notified().await,
            None => {}
        }
    }
    if !is_origin_welcome(&headers) {
        return (StatusCode::FORBIDDEN, "This Origin is not welcome.").into_response();
    }
    let Some(account) = account else {
        return bearer::challenge(&server, bearer::token(&headers).is_some());
    };
    dispatch(&server, &method, &Caller { account: &account, headers: &headers }, &body)
}

fn dispatch(server: &Shared, method: &Method, caller: &Caller<'_>, body: &str) -> Response {
    if method != Method::POST && server.options.newest_legacy().is_none() {
        // A modern server knows neither a stream of its own nor sessions to end.
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match *method {
        Method::GET => legacy::listen(server, caller),
        Method::DELETE => legacy::end(server, caller),
        _ => post(server, caller, body),
    }
}

fn post(server: &Shared, caller: &Caller<'_>, body: &str) -> Response {
    let message = match wire::read(body) {
        Ok(message) => message,
        Err(error) => return wire::error(None, &error),
    };
    match (modern::is_marked(caller.headers, &message), server.options.is_modern()) {
        (true, true) => modern::post(server, caller, &message),
        // Servers of the older revisions know no modern error codes.
        (true, false) => {
            let why = "Bad Request: Unsupported protocol version";
            wire::error(message.id, &RpcError::bad(-32000, why))
        }
        (false, true) if server.options.newest_legacy().is_none() => {
            wire::error(message.id, &modern::unsupported(server, "2025-03-26"))
        }
        (false, _) => legacy::post(server, caller, &message),
    }
}

fn seen(method: &Method, headers: &HeaderMap, body: &str, account: Option<String>) -> SeenRequest {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    SeenRequest {
        http_method: method.to_string(),
        method: wire::read(body).ok().and_then(|message| Some(message.method?.into_owned())),
        bearer: bearer::token(headers).map(str::to_owned),
        account,
        session: text(legacy::SESSION),
        headers: headers.clone(),
        body: body.to_owned(),
    }
}

/// Pages of other sites must not reach a server on loopback (DNS rebinding); a missing Origin is fine.
fn is_origin_welcome(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_none_or(|origin| {
        let url = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
        url.is_some_and(|url| crate::authorization_server::is_loopback(&url))
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, Journey, McpCaller, client, open_server};
    use crate::{AuthorizationServerOptions, Demo, McpFault, McpServer, McpServerOptions, Revision};
    use futures_util::FutureExt;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn without_a_good_token_for_this_resource_there_is_a_challenge() {
        let demo = Demo::start(ANY_PORT, ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        let url = demo.mcp_server.url();
        let elsewhere =
            Journey::of(&demo, "alice").with("resource", "https://elsewhere.example/").tokens().await;
        let elsewhere = elsewhere["access_token"].as_str().unwrap();
        for token in [None, Some("made-up"), Some(elsewhere)] {
            let request = client().post(url.clone()).body("{}");
            let answer = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let answer = answer.send().await.unwrap();
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
            assert_eq!(
                (answer.status().as_u16(), challenge.contains("invalid_token")),
                (401, token.is_some())
            );
            let metadata = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
            let metadata: Value = client().get(metadata).send().await.unwrap().json().await.unwrap();
            assert_eq!(metadata["resource"], url.as_str());
            let issuer = metadata["authorization_servers"][0].as_str().unwrap();
            for path in ["oauth-authorization-server", "openid-configuration"] {
                let about: Value = client()
                    .get(format!("{issuer}/.well-known/{path}"))
                    .send()
                    .await
                    .unwrap()
                    .json()
                    .await
                    .unwrap();
                assert_eq!(about["issuer"], demo.authorization_server.issuer());
                assert_eq!(about["token_endpoint"], demo.authorization_server.token_url().as_str());
            }
        }
        let accounts: Vec<Option<String>> =
            demo.mcp_server.log().into_iter().map(|seen| seen.account).collect();
        assert_eq!(accounts, [None, None, None]);
    }

    #[tokio::test]
    async fn an_open_server_has_no_metadata_and_knows_nobody() {
        let server = open_server(McpServerOptions::default()).await;
        let metadata = server.url().join("/.well-known/oauth-protected-resource").unwrap();
        assert_eq!(client().get(metadata).send().await.unwrap().status(), 404);
        let answer = McpCaller::of(&server).legacy("tools/call", r#""name":"whoami""#).await.1;
        assert_eq!(answer["result"]["content"][0]["text"], "nobody");
    }

    #[tokio::test]
    async fn the_log_holds_every_request_whole() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server).bearer("a-token");
        caller.post("{ not json", &[("x-own", "1"), ("mcp-session-id", "s")]).await;
        caller.modern("tools/list", "", "").await;
        let log = server.log();
        assert_eq!((log[0].body.as_str(), log[0].method.as_deref()), ("{ not json", None));
        assert_eq!((log[0].bearer.as_deref(), log[0].session.as_deref()), (Some("a-token"), Some("s")));
        assert_eq!((log[0].http_method.as_str(), &log[0].headers["x-own"]), ("POST", &"1".parse().unwrap()));
        assert_eq!((log[1].method.as_deref(), log.len()), (Some("tools/list"), 2));
        server.clear_log();
        assert!(server.log().is_empty());
    }

    #[tokio::test]
    async fn faults_strike_once_each_and_in_turn() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        let released = Arc::new(Notify::new());
        for fault in [
            McpFault::Unauthorized,
            McpFault::ServerError,
            McpFault::HeldUntil(Arc::clone(&released)),
            McpFault::Hang,
        ] {
            server.faults().next_answer(fault);
        }
        assert_eq!(caller.modern("tools/list", "", "").await.0, 401);
        assert_eq!(caller.modern("tools/list", "", "").await.0, 500);
        released.notify_one();
        assert_eq!(caller.modern("tools/list", "", "").await.0, 200);
        {
            let mut hung = Box::pin(caller.modern("tools/list", "", ""));
            while server.log().len() < 4 {
                assert!((&mut hung).now_or_never().is_none());
                tokio::task::yield_now().await;
            }
            assert!(hung.now_or_never().is_none());
        }
        assert_eq!(caller.modern("tools/list", "", "").await.0, 200);
    }

    #[tokio::test]
    async fn a_foreign_origin_is_refused_and_a_local_one_is_not() {
        let server = open_server(McpServerOptions::default()).await;
        let body = McpCaller::modern_body("tools/list", "");
        let status = async |origin: &str| {
            let headers =
                [("origin", origin), ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
            McpCaller::of(&server).post(&body, &headers).await.0
        };
        assert_eq!(status("http://localhost:6274").await, 200);
        assert_eq!(status("https://evil.example").await, 403);
        assert_eq!(status("null").await, 403);
    }

    #[tokio::test]
    async fn malformed_messages_are_refused() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        for (body, code) in [
            ("[]", -32600),
            ("{", -32700),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        ] {
            let (status, answer) = caller.post(body, &[]).await;
            assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)), "{body}");
        }
    }

    #[tokio::test]
    async fn a_modern_only_server_knows_no_streams_sessions_or_older_requests() {
        let server = open_server(McpServerOptions::only(Revision::V2026_07_28)).await;
        assert_eq!(client().get(server.url().clone()).send().await.unwrap().status(), 405);
        assert_eq!(client().delete(server.url().clone()).send().await.unwrap().status(), 405);
        let initialize =
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
        let (status, answer) = McpCaller::of(&server).post(initialize, &[]).await;
        assert_eq!((status, &answer["error"]["data"]["supported"]), (400, &json!(["2026-07-28"])));
    }

    #[tokio::test]
    async fn a_dropped_server_frees_its_address() {
        let server = open_server(McpServerOptions::default()).await;
        let address = format!("127.0.0.1:{}", server.url().port().unwrap()).parse().unwrap();
        assert!(McpServer::start(address, None, McpServerOptions::default()).await.is_err());
        drop(server);
        loop {
            // The listener closes as soon as the runtime has dropped its task.
            match McpServer::start(address, None, McpServerOptions::default()).await {
                Ok(_) => break,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}
