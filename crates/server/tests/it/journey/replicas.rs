//! Two replicas on one PostgreSQL database: what any of them serves, and what lives in one process and ends in a clear error
//! at the other.

use super::walk::{Process, modern_that_can, published};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use doorward_broker::AuthorizationInput;
use doorward_domain::Audience;
use doorward_testkit::app::{TestApp, TestAppOptions};
use doorward_testkit::client::{Answer, Client};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Who waits for the client's answer.
type Waiting = Arc<Mutex<Option<mpsc::UnboundedSender<Value>>>>;

struct Stage {
    _app: TestApp,
    _other: Process,
    here: Client,
    there: Client,
}

impl Stage {
    /// A server of 2025-11-25 whose tool asks its client before it answers, behind two replicas.
    async fn set() -> Self {
        let app = TestApp::with(TestAppOptions { postgres: true, ..TestAppOptions::default() }).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(answer).with_state(Waiting::default());
        tokio::spawn(async move { axum::serve(listener, router).await });
        app.register_input(published("ask", &url, AuthorizationInput::None)).await;
        let other = Process::beside(&app).await;
        let alice = app.user("alice").await;
        let token = app.api_token(&alice, Audience::Mcp).await;
        let (here, there) = (app.anonymous().with_bearer(&token), other.client.clone().with_bearer(&token));
        Self { _app: app, _other: other, here, there }
    }
}

async fn answer(State(waiting): State<Waiting>, request: axum::extract::Request) -> Response {
    let is_post = request.method() == Method::POST;
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    if !is_post {
        return Response::builder().status(405).body(Body::empty()).unwrap();
    }
    let seen: Value = serde_json::from_slice(&body).unwrap();
    let result = |result: Value| json!({ "jsonrpc": "2.0", "id": seen["id"], "result": result });
    let message = match seen["method"].as_str() {
        Some("initialize") => {
            result(json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "ask", "version": "1" } }))
        }
        Some("tools/list") => {
            result(json!({ "tools": [{ "name": "ask", "inputSchema": { "type": "object" } }] }))
        }
        Some("tools/call") => return asks(&seen, &waiting),
        Some("server/discover") => {
            json!({ "jsonrpc": "2.0", "id": seen["id"], "error": { "code": -32601, "message": "none" } })
        }
        method => {
            if method.is_none()
                && let Some(waiting) = &*waiting.lock().unwrap()
            {
                waiting.send(seen["result"].clone()).unwrap();
            }
            return Response::builder().status(202).body(Body::empty()).unwrap();
        }
    };
    let response = Response::builder().header("content-type", "application/json");
    response.header("mcp-session-id", "s").body(Body::from(message.to_string())).unwrap()
}

fn asks(seen: &Value, waiting: &Waiting) -> Response {
    let (sender, mut told) = mpsc::unbounded_channel();
    *waiting.lock().unwrap() = Some(sender);
    let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create",
        "params": { "message": "Who?", "requestedSchema": { "type": "object" } } });
    let id = seen["id"].clone();
    let last = stream::once(async move {
        let told: Value = told.recv().await.unwrap();
        json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [], "told": told } })
    });
    let events = stream::iter([question]).chain(last);
    let events = events.map(|message| Ok::<_, std::convert::Infallible>(format!("data: {message}\n\n")));
    Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(events)).unwrap()
}

async fn legacy(client: &Client, method: Method, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
    let mut request = client.request(method, "/mcp").header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client
        .send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
}

#[tokio::test]
async fn any_replica_serves_a_session_and_a_stream_is_resumed_where_it_was_begun_or_refused_with_the_reason()
{
    let stage = Stage::set().await;
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "journey", "version": "1" } });
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let opened = legacy(&stage.here, Method::POST, &[], Some(hello)).await;
    let session = opened.header("mcp-session-id").to_owned();
    let of_session = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    for client in [&stage.there, &stage.here] {
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        let listed = legacy(client, Method::POST, &of_session, Some(list)).await;
        assert!(listed.text.contains("ask-ask"), "{listed:?}");
    }
    // The call asks; its stream breaks after the question.
    let call = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": "ask-ask" } });
    let mut request = stage.here.request(Method::POST, "/mcp").json(&call);
    request = request.header("accept", "application/json, text/event-stream");
    for (name, value) in of_session {
        request = request.header(name, value);
    }
    let mut stream = request.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while !text.contains("elicitation/create") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    drop(stream);
    let id = |text: &str| {
        text.lines().rev().find_map(|line| line.strip_prefix("id: ").map(str::to_owned)).unwrap()
    };
    let last = id(&text);
    let again = [of_session.as_slice(), &[("last-event-id", last.as_str())]].concat();
    let refused = legacy(&stage.there, Method::GET, &again, None).await;
    assert!(refused.status == 400 && refused.text.contains("another replica has it"), "{refused:?}");
    // Where it was begun it goes on, with the answer.
    let question: Value = serde_json::from_str(
        text.lines()
            .rev()
            .find_map(|line| line.strip_prefix("data: ").filter(|data| data.contains("elicit")))
            .unwrap(),
    )
    .unwrap();
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    assert_eq!(legacy(&stage.here, Method::POST, &of_session, Some(answer)).await.status, 202);
    let resumed = legacy(&stage.here, Method::GET, &again, None).await;
    assert!(resumed.text.contains(r#""told":{"action":"decline"}"#), "{resumed:?}");
}

#[tokio::test]
async fn a_call_that_waits_for_its_clients_answers_goes_on_at_its_replica_and_ends_clearly_at_another() {
    let stage = Stage::set().await;
    let can = json!({ "elicitation": {} });
    let call = json!({ "name": "ask-ask" });
    for (retried_at, is_its_own) in [(&stage.there, false), (&stage.here, true)] {
        let asked = modern_that_can(&can, &stage.here, "/mcp", "tools/call", &call).await["result"].clone();
        assert_eq!(asked["resultType"], "input_required", "{asked:#}");
        let key = asked["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
        let mut retry = call.clone();
        retry["requestState"] = asked["requestState"].clone();
        retry["inputResponses"] = json!({ key: { "action": "decline" } });
        let answer = modern_that_can(&can, retried_at, "/mcp", "tools/call", &retry).await;
        if is_its_own {
            assert_eq!(answer["result"]["told"]["action"], "decline", "{answer:#}");
        } else {
            let error = answer["error"]["message"].as_str().unwrap_or_default();
            assert!(error.contains("start it again"), "{answer:#}");
        }
    }
}
