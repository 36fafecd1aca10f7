//! What servers ask of clients in the course of a call, carried between the eras in both directions.

use super::harness::{Client, Door, Events, legacy};
use super::upstreams::{asking, listing, wanting};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Upstream, answer_to, error_to, events};
use futures_util::stream;
use serde_json::{Value, json};

const V11: &str = "2025-11-25";
pub(super) const ALL: &str = r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#;
pub(super) const CALL: &str = r#"{"name":"x","arguments":{"a":1.10}}"#;

pub(super) fn form() -> Value {
    json!({"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": {"type": "object"}}})
}

pub(super) fn sampling() -> Value {
    json!({"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}})
}

pub(super) fn call() -> Value {
    serde_json::from_str(CALL).unwrap()
}

/// The next retry of a modern client: the same call with these answers and this state.
pub(super) fn retry(asked: &Value, answers: Value) -> Value {
    let mut params = call();
    params["inputResponses"] = answers;
    params["requestState"] = asked["requestState"].clone();
    params
}

pub(super) async fn legacy_client<'a>(door: &'a Door, token: &str, capabilities: &str) -> Client<'a> {
    door.client(token, "/gateways/up/mcp").can(capabilities).initialized(V11).await
}

#[tokio::test]
async fn trap_13_a_legacy_servers_questions_come_on_the_calls_stream_and_the_answers_go_back_under_its_ids() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking(vec![form(), sampling(), json!({"method": "roots/list"})]).await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, ALL).await;
    let mut on_get = Events::of(client.bare("GET", &[]).await);
    let mut on_call = Events::of(client.begin(&legacy("tools/call", CALL)).await);
    let mut ids = Vec::new();
    for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
        let question = on_call.next().await.unwrap();
        assert_eq!(question["method"], method);
        assert!(question["id"].as_str().unwrap().starts_with("dw-"), "an id of ours, never the server's");
        ids.push(question["id"].clone());
    }
    client.answer(&ids[2], json!({"roots": []})).await;
    client.answer(&ids[0], json!({"action": "accept", "content": {"n": 1}})).await;
    let error = json!({"jsonrpc": "2.0", "id": ids[1], "error": {"code": -1, "message": "no model"}});
    assert_eq!(client.post(&error.to_string()).await.status, 202);
    let answer = on_call.next().await.unwrap();
    assert_eq!(answer["id"], 1);
    let told = answer["result"]["told"].as_array().unwrap();
    let of = |id: u64| told.iter().find(|told| told["id"] == id).unwrap();
    assert_eq!(of(0)["result"]["content"]["n"], 1);
    assert_eq!(of(1)["error"]["message"], "no model");
    assert_eq!(of(2)["result"]["roots"], json!([]));
    client.bare("DELETE", &[]).await;
    assert_eq!(on_get.next().await, None, "nothing came on the session's own stream");
}

#[tokio::test]
async fn trap_13_two_servers_that_use_the_same_id_get_each_their_own_answer() {
    let door = Door::open().await;
    let token = door.alice().await;
    for slug in ["up", "other"] {
        let upstream = asking(vec![form()]).await;
        door.house.gateway_named(&upstream, slug).await;
    }
    let mut streams = Vec::new();
    for slug in ["up", "other"] {
        let client = door.client(&token, &format!("/gateways/{slug}/mcp")).can(ALL).initialized(V11).await;
        let mut stream = Events::of(client.begin(&legacy("tools/call", CALL)).await);
        let question = stream.next().await.unwrap();
        streams.push((slug, client, stream, question["id"].clone()));
    }
    for (slug, client, _, id) in &streams {
        client.answer(id, json!({"action": "accept", "content": {"at": slug}})).await;
    }
    for (slug, _, mut stream, _) in streams {
        let answer = stream.next().await.unwrap();
        assert_eq!(answer["result"]["told"][0]["result"]["content"]["at"], slug);
        assert_eq!(answer["result"]["told"][0]["id"], 0);
    }
}

#[tokio::test]
async fn trap_11_a_server_that_asks_what_the_client_did_not_declare_is_refused_and_the_call_goes_on() {
    let door = Door::open().await;
    let token = door.alice().await;
    let url = json!({"method": "elicitation/create", "params": {"mode": "url", "url": "https://x", "message": "m"}});
    let upstream = asking(vec![url, sampling()]).await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, r#"{"elicitation":{}}"#).await;
    let answer = client.call("tools/call", CALL).await;
    let told = if answer.header("content-type") == "application/json" {
        answer.result()["told"].clone()
    } else {
        panic!("nothing was asked, so the answer is one message: {answer:?}")
    };
    assert!(
        told.to_string().contains(r#""action":"cancel""#) && told.to_string().contains("-32601"),
        "{told}"
    );
    let modern =
        door.client(&token, "/gateways/up/mcp").can("{}").modern("tools/call", call()).await.result();
    assert_eq!(modern["resultType"], "complete");
}

#[tokio::test]
async fn bridge_a_a_modern_servers_wish_for_input_is_put_to_a_legacy_client_on_its_stream() {
    let door = Door::open().await;
    let token = door.alice().await;
    let state = json!("exact é");
    let requests =
        json!({"who": form(), "what": sampling(), "where": {"method": "roots/list", "params": {}}});
    let upstream = wanting(requests, state.clone()).await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, ALL).await;
    let mut stream = Events::of(client.begin(&legacy("tools/call", CALL)).await);
    for _ in 0..3 {
        let question = stream.next().await.unwrap();
        let answer = match question["method"].as_str().unwrap() {
            "elicitation/create" => json!({"action": "accept", "content": {"n": 1}}),
            "roots/list" => json!({"roots": [{"uri": "file:///r"}]}),
            _ => json!({"content": {"type": "text", "text": "hi"}}),
        };
        client.answer(&question["id"], answer).await;
    }
    let answer = stream.next().await.unwrap();
    assert_eq!(answer["id"], 1);
    let told = &answer["result"]["told"];
    assert_eq!(told["who"]["content"]["n"], 1);
    assert_eq!(told["where"]["roots"][0]["uri"], "file:///r");
    assert_eq!(told["what"]["content"]["text"], "hi");
    assert!(answer["result"].get("resultType").is_none());
    let calls = upstream.seen("tools/call");
    assert_eq!(calls[1].json()["params"]["requestState"], state);
    assert_eq!(calls[1].json()["params"]["arguments"], call()["arguments"]);
    assert_ne!(calls[0].id(), calls[1].id());
}

#[tokio::test]
async fn bridge_a_a_legacy_client_that_cannot_answer_ends_its_call_with_a_sentence() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = wanting(json!({"k": sampling()}), json!("s")).await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, ALL).await;
    let mut stream = Events::of(client.begin(&legacy("tools/call", CALL)).await);
    let question = stream.next().await.unwrap();
    let error =
        json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no model here"}});
    client.post(&error.to_string()).await;
    let answer = stream.next().await.unwrap();
    assert!(answer["error"]["message"].as_str().unwrap().contains("no model here"), "{answer}");
    let plain = legacy_client(&door, &token, "{}").await;
    let refused = Events::of(plain.begin(&legacy("tools/call", CALL)).await).next().await.unwrap();
    assert_eq!(refused["error"]["code"], -32_602);
    assert!(refused["error"]["message"].as_str().unwrap().contains("sampling"), "{refused}");
}

#[tokio::test]
async fn bridge_a_a_server_that_only_wants_to_be_asked_again_is() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = wanting(json!({}), json!("busy")).await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, "{}").await;
    let answer = Events::of(client.begin(&legacy("tools/call", CALL)).await).next().await.unwrap();
    assert_eq!(answer["result"]["content"], json!([]));
    assert_eq!(upstream.seen("tools/call").len(), 2);
}

#[tokio::test]
async fn bridge_a_a_url_gets_an_id_and_its_completion_is_told_before_the_answer() {
    let door = Door::open().await;
    let token = door.alice().await;
    let url = json!({"method": "elicitation/create", "params": {"mode": "url", "url": "https://x/y", "message": "Open"}});
    let upstream = wanting(json!({"k": url}), json!("s")).await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, ALL).await;
    let mut stream = Events::of(client.begin(&legacy("tools/call", CALL)).await);
    let question = stream.next().await.unwrap();
    assert_eq!(question["params"]["url"], "https://x/y");
    let id = question["params"]["elicitationId"].clone();
    assert!(id.is_string());
    client.answer(&question["id"], json!({"action": "accept"})).await;
    let complete = stream.next().await.unwrap();
    assert_eq!(complete["method"], "notifications/elicitation/complete");
    assert_eq!(complete["params"]["elicitationId"], id);
    assert_eq!(stream.next().await.unwrap()["result"]["told"]["k"]["action"], "accept");
}

#[tokio::test]
async fn trap_11_a_modern_servers_refusal_for_want_of_a_capability_reaches_both_eras() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::with(Revision::V2026_07_28, |seen| async move {
        (seen.method() == "tools/call").then(|| error_to(&seen, 400, -32_021))
    })
    .await;
    door.house.gateway(&upstream).await;
    let modern = door.client(&token, "/gateways/up/mcp").modern("tools/call", call()).await;
    assert_eq!((modern.status.as_u16(), modern.code()), (400, -32_021));
    let old = legacy_client(&door, &token, "{}").await.call("tools/call", CALL).await;
    assert_eq!((old.status.as_u16(), old.code()), (200, -32_602));
}

#[tokio::test]
async fn trap_6_a_stream_that_its_server_ends_early_is_resumed_and_the_client_notices_nothing() {
    let door = Door::open().await;
    let token = door.alice().await;
    let id = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
    let begun = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (of_call, closed_at) = (std::sync::Arc::clone(&id), std::sync::Arc::clone(&begun));
    let upstream = Upstream::with(Revision::V2025_11_25, move |seen| {
        let (id, closed_at) = (std::sync::Arc::clone(&of_call), std::sync::Arc::clone(&closed_at));
        async move {
            match seen.method() {
                "tools/call" => {
                    *id.lock().unwrap() = seen.json()["id"].clone();
                    *closed_at.lock().unwrap() = Some(std::time::Instant::now());
                    Some(events(stream::iter(["id: e7\nretry: 500\ndata: \n\n".to_owned()])))
                }
                "GET" if seen.header("last-event-id") == Some("e7") => {
                    let waited = closed_at.lock().unwrap().unwrap().elapsed();
                    let waited = waited >= std::time::Duration::from_millis(500);
                    let result =
                        json!({"jsonrpc": "2.0", "id": *id.lock().unwrap(), "result": {"waited": waited}});
                    Some(events(stream::iter([format!("id: e8\ndata: {result}\n\n")])))
                }
                _ => None,
            }
        }
    })
    .await;
    door.house.gateway(&upstream).await;
    for revision in [V11, "2026-07-28"] {
        let client = door.client(&token, "/gateways/up/mcp");
        let result = if revision == V11 {
            let client = client.initialized(V11).await;
            Events::of(client.begin(&legacy("tools/call", CALL)).await).next().await.unwrap()["result"]
                .clone()
        } else {
            let response = client.begin_modern("tools/call", call()).await;
            Events::of(response).next().await.unwrap()["result"].clone()
        };
        assert_eq!(result["waited"], true, "{result}");
    }
    assert_eq!(upstream.seen("tools/call").len(), 2, "no call ran twice");
}

#[tokio::test]
async fn trap_20_each_clients_log_level_is_its_own_in_every_pair_of_eras() {
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        let door = Door::open().await;
        let token = door.alice().await;
        let upstream = Upstream::with(revision, move |seen| async move {
            match seen.method() {
                "initialize" if !revision.is_modern() => Some(answer_to(
                    &seen,
                    r#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{}},"serverInfo":{"name":"n"}}"#,
                )),
                "tools/call" => {
                    let lines = ["debug", "error"].map(|level| {
                        super::upstreams::event(&json!({
                            "jsonrpc": "2.0", "method": "notifications/message",
                            "params": {"level": level, "data": level},
                        }))
                    });
                    let result = json!({"jsonrpc": "2.0", "id": seen.json()["id"], "result": {"content": []}});
                    let last = super::upstreams::event(&result);
                    Some(events(stream::iter(lines.into_iter().chain([last]).collect::<Vec<_>>())))
                }
                "notifications/initialized" | "logging/setLevel" => {
                    Some(answer_or_accept(&seen))
                }
                _ => listing(&seen, json!([{"name": "x"}])),
            }
        })
        .await;
        door.house.gateway(&upstream).await;
        let client = legacy_client(&door, &token, "{}").await;
        client.call("logging/setLevel", r#"{"level":"error"}"#).await.result();
        assert_eq!(levels(client.begin(&legacy("tools/call", CALL)).await).await, ["error"], "{revision}");
        if revision.is_modern() {
            let asked = upstream.seen("tools/call")[0].json();
            assert_eq!(asked["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "error");
        } else {
            assert_eq!(upstream.seen("logging/setLevel")[0].json()["params"]["level"], "error");
        }
        let all = door.client(&token, "/mcp").initialized(V11).await;
        all.call("logging/setLevel", r#"{"level":"debug"}"#).await.result();
        let mut stream = Events::of(all.begin(&legacy("tools/call", r#"{"name":"up-x"}"#)).await);
        assert_eq!(stream.next().await.unwrap()["params"]["logger"], "up", "on /mcp a line says whose it is");
        let modern = door.client(&token, "/gateways/up/mcp");
        assert!(levels(modern.begin_modern("tools/call", call()).await).await.is_empty(), "{revision}");
    }
}

fn answer_or_accept(seen: &crate::upstream::tests::fixture::Seen) -> axum::response::Response {
    if seen.envelope().id.is_some() {
        answer_to(seen, "{}")
    } else {
        axum::response::Response::builder().status(202).body(axum::body::Body::empty()).unwrap()
    }
}

/// The levels of the log lines in an answer, however it came.
async fn levels(response: axum::response::Response) -> Vec<String> {
    if response.headers()["content-type"] == "application/json" {
        return Vec::new();
    }
    let (mut events, mut levels) = (Events::of(response), Vec::new());
    while let Some(message) = events.next().await {
        levels.extend(message["params"]["level"].as_str().map(str::to_owned));
    }
    levels
}
