//! What passes from one era to the other, as both wires see it, where no other test shows it.

use super::harness::{Door, Events, legacy};
use super::upstreams::event;
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Seen, Upstream, answer_to, events, json as answer};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

const V11: &str = "2025-11-25";

/// A server that fails a call in the way that the tool's name says.
async fn failing(revision: Revision) -> Upstream {
    Upstream::with(revision, |seen| async move {
        let fails = |status: u16, error: Value| {
            Some(answer(status, &json!({"jsonrpc": "2.0", "id": seen.json()["id"], "error": error}).to_string()))
        };
        let params = seen.json()["params"].clone();
        match (seen.method(), params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default()) {
            ("resources/read", "no:modern") => {
                fails(200, json!({"code": -32_602, "message": "m", "data": {"uri": "no:modern"}}))
            }
            ("resources/read", "no:legacy") => fails(200, json!({"code": -32_002, "message": "m"})),
            ("tools/call", "headers") => fails(400, json!({"code": -32_020, "message": "m"})),
            ("tools/call", "version") => fails(400, json!({"code": -32_022, "message": "m", "data": {"supported": []}})),
            ("tools/call", "needs") => {
                let needed = json!({"requiredCapabilities": {"sampling": {}}});
                fails(400, json!({"code": -32_021, "message": "m", "data": needed}))
            }
            ("prompts/get", "none") => fails(404, json!({"code": -32_601, "message": "m"})),
            ("tools/call", "list") => Some(answer_to(
                &seen,
                r#"{"resultType":"complete","content":[{"type":"text","text":"[1]"}],"structuredContent":[1],"v":1.10}"#,
            )),
            _ => None,
        }
    })
    .await
}

#[tokio::test]
async fn bridge_a_errors_and_results_of_a_modern_server_come_in_the_older_words() {
    let door = Door::open().await;
    let token = door.alice().await;
    door.house.gateway(&failing(Revision::V2026_07_28).await).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    for (method, params, code) in [
        ("resources/read", r#"{"uri":"no:modern"}"#, -32_002),
        ("tools/call", r#"{"name":"needs"}"#, -32_602),
        ("tools/call", r#"{"name":"headers"}"#, -32_603),
        ("tools/call", r#"{"name":"version"}"#, -32_603),
        ("prompts/get", r#"{"name":"none"}"#, -32_601),
    ] {
        let told = client.call(method, params).await;
        assert_eq!((told.status.as_u16(), told.code()), (200, code), "{params}: {told:?}");
        assert!(code != -32_602 || told.text.contains("sampling"), "{told:?}");
    }
    let told = client.call("tools/call", r#"{"name":"list"}"#).await;
    let expected = r#"{"content":[{"type":"text","text":"[1]"}],"v":1.10}"#;
    assert!(told.text.contains(expected), "the text copy carries it: {told:?}");
    let read = client.call("resources/read", r#"{"uri":"file:///x"}"#).await;
    assert!(!["resultType", "ttlMs", "cacheScope"].iter().any(|name| read.text.contains(name)), "{read:?}");
}

#[tokio::test]
async fn bridge_b_errors_and_results_of_an_older_server_come_in_the_newer_words() {
    let door = Door::open().await;
    let token = door.alice().await;
    door.house.gateway(&failing(Revision::V2025_11_25).await).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let unknown = client.modern("resources/read", json!({"uri": "no:legacy"})).await;
    assert_eq!((unknown.code(), &unknown.json()["error"]["data"]["uri"]), (-32_602, &json!("no:legacy")));
    let read = client.modern("resources/read", json!({"uri": "file:///x"})).await.result();
    let says = (&read["resultType"], &read["ttlMs"], &read["cacheScope"]);
    assert_eq!(says, (&json!("complete"), &json!(0), &json!("private")));
    let called = client.modern("tools/call", json!({"name": "x"})).await.result();
    assert_eq!((&called["resultType"], called.get("ttlMs")), (&json!("complete"), None));
}

#[tokio::test]
async fn bridge_b_that_something_outside_was_done_is_not_told_to_a_modern_client() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::with(Revision::V2025_11_25, |seen| async move {
        if seen.method() != "tools/call" {
            return None;
        }
        let done = json!({"jsonrpc": "2.0", "method": "notifications/elicitation/complete",
            "params": {"elicitationId": "e"}});
        let note = json!({"jsonrpc": "2.0", "method": "notifications/vendor", "params": {}});
        let last = json!({"jsonrpc": "2.0", "id": seen.json()["id"], "result": {"content": []}});
        Some(events(stream::iter([event(&note), event(&done), event(&last)])))
    })
    .await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let mut stream = Events::of(client.begin_modern("tools/call", json!({"name": "x"})).await);
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/vendor");
    assert_eq!(stream.next().await.unwrap()["result"]["resultType"], "complete");
}

/// Tells when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A modern server that says that it works, answers when it is told to, and tells when its stream was closed.
async fn held(go_on: Arc<Semaphore>, closed: Arc<Notify>) -> Upstream {
    Upstream::with(Revision::V2026_07_28, move |seen| {
        let (go_on, closed) = (Arc::clone(&go_on), Arc::clone(&closed));
        async move { (seen.method() == "tools/call").then(|| holds(&seen, go_on, closed)) }
    })
    .await
}

fn holds(seen: &Seen, go_on: Arc<Semaphore>, closed: Arc<Notify>) -> Response {
    let note = json!({"jsonrpc": "2.0", "method": "notifications/vendor", "params": {}});
    let (id, dropped) = (seen.json()["id"].clone(), Dropped(closed));
    let last = stream::once(async move {
        let _dropped = dropped;
        go_on.acquire().await.unwrap().forget();
        event(&json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "content": []}}))
    });
    events(stream::iter([event(&note)]).chain(last))
}

#[tokio::test]
async fn bridge_a_an_older_clients_cancellation_closes_a_modern_servers_stream_and_its_hanging_up_does_not() {
    let door = Door::open().await;
    let token = door.alice().await;
    let (go_on, closed) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let upstream = held(Arc::clone(&go_on), Arc::clone(&closed)).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    let call = legacy("tools/call", r#"{"name":"x"}"#);
    // It hangs up, and comes back for the answer.
    let mut stream = Events::of(client.begin(&call).await);
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/vendor");
    let seen = stream.last_id.clone().unwrap();
    drop(stream);
    go_on.add_permits(1);
    let mut resumed = Events::of(client.bare("GET", &[("last-event-id", &seen)]).await);
    assert!(resumed.next().await.unwrap()["result"]["content"].is_array());
    closed.notified().await;
    // It cancels.
    let mut stream = Events::of(client.begin(&call).await);
    stream.next().await.unwrap();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert_eq!(client.post(cancel).await.status, 202);
    assert_eq!(stream.next().await, None);
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), closed.notified()).await;
    told.expect("the server's stream is closed");
    assert!(upstream.seen("notifications/cancelled").is_empty(), "2026-07-28 has no such word over HTTP");
}

#[tokio::test]
async fn trap_4_a_modern_client_that_hangs_up_closes_a_modern_servers_stream() {
    let door = Door::open().await;
    let token = door.alice().await;
    let closed = Arc::new(Notify::new());
    let upstream = held(Arc::new(Semaphore::new(0)), Arc::clone(&closed)).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let mut stream = Events::of(client.begin_modern("tools/call", json!({"name": "x"})).await);
    stream.next().await.unwrap();
    drop(stream);
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), closed.notified()).await;
    told.expect("the server's stream is closed");
}
