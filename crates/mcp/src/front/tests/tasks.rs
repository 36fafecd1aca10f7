//! Tasks of servers of 2026-07-28, whose ids are a user's own.

use super::harness::{Client, Door, Events, request};
use super::upstreams::{event, listing};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Seen, Upstream, answer_to, error_to, events};
use axum::response::Response;
use doorward_domain::Audience;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

pub(super) const TASKS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// A server that makes a task of every call, always under the same id.
pub(super) async fn tasking() -> Upstream {
    Upstream::with(Revision::LATEST, |seen| async move {
        let task = json!({"taskId": "t-1", "status": "working", "ttlMs": 60_000, "n": 7});
        let with = |kind: &str| {
            let mut result = task.clone();
            result["resultType"] = json!(kind);
            Some(answer_to(&seen, &result.to_string()))
        };
        match seen.method() {
            "tools/call" => with("task"),
            "tasks/get" if seen.json()["params"]["taskId"] == "t-1" => with("complete"),
            "tasks/update" | "tasks/cancel" => Some(answer_to(&seen, r#"{"resultType":"complete"}"#)),
            "tasks/get" => Some(error_to(&seen, 400, -32_602)),
            "subscriptions/listen" => Some(telling(&seen)),
            _ => listing(&seen, json!([{"name": "x", "inputSchema": {}}])),
        }
    })
    .await
}

/// Says of which of two tasks it tells, and then how each stands.
fn telling(seen: &Seen) -> Response {
    let acknowledged = json!({
        "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": {"notifications": {"taskIds": ["t-1"]}},
    });
    let subscription = json!({"io.modelcontextprotocol/subscriptionId": seen.json()["id"], "k": 1});
    let told = ["t-1", "t-2"].map(|id| {
        let params = json!({"taskId": id, "status": "completed", "result": {"n": 7}, "_meta": subscription});
        event(&json!({"jsonrpc": "2.0", "method": "notifications/tasks", "params": params}))
    });
    events(stream::iter([event(&acknowledged)].into_iter().chain(told)).chain(stream::pending()))
}

pub(super) async fn about(client: &Client<'_>, method: &str, id: &Value) -> super::harness::Answer {
    let bearer = format!("Bearer {}", client.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("mcp-name", id.as_str().unwrap()),
    ];
    let body = client.modern_body(method, json!({"taskId": id, "inputResponses": {"k": {"v": 1}}}));
    client.door.ask(request("POST", &client.path, &headers, &body)).await
}

#[tokio::test]
async fn c7_ids_of_tasks_lead_to_their_server_and_serve_their_user_alone() {
    let door = Door::open().await;
    let token = door.alice().await;
    let (first, second) = (tasking().await, tasking().await);
    for (slug, upstream) in [("up", &first), ("other", &second)] {
        door.house.gateway_named(upstream, slug).await;
    }
    let bob = door.house.person("bob").await;
    let bobs = door.token(&bob, "bob", Audience::Mcp, None).await;
    let client = door.client(&token, "/gateways/up/mcp").can(TASKS);
    let task = client.modern("tools/call", json!({"name": "x"})).await.result();
    assert_eq!((&task["resultType"], &task["n"]), (&json!("task"), &json!(7)));
    let id = task["taskId"].clone();
    assert_ne!(id, "t-1", "two servers may both have a task of this name");
    for path in ["/gateways/up/mcp", "/mcp"] {
        let client = door.client(&token, path).can(TASKS);
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let before = first.seen(method).len();
            let answer = about(&client, method, &id).await.result();
            assert_eq!(answer["resultType"], "complete", "{path} {method}");
            if method == "tasks/get" {
                assert_eq!((&answer["taskId"], &answer["n"]), (&id, &json!(7)), "{path}");
            }
            let seen = &first.seen(method)[before];
            assert_eq!(
                (seen.json()["params"]["taskId"].as_str(), seen.header("mcp-name")),
                (Some("t-1"), Some("t-1"))
            );
            assert_eq!(seen.json()["params"]["inputResponses"]["k"]["v"], 1);
        }
    }
    let mut changed = id.as_str().unwrap().to_owned();
    changed.replace_range(changed.len() - 4..changed.len() - 3, "!");
    let theirs = json!("t-1");
    for (token, path, id) in [
        (&bobs, "/gateways/up/mcp", &id),
        (&bobs, "/mcp", &id),
        (&token, "/gateways/other/mcp", &id),
        (&token, "/gateways/up/mcp", &theirs),
        (&token, "/mcp", &json!(changed)),
    ] {
        let client = door.client(token, path).can(TASKS);
        let refused = about(&client, "tasks/get", id).await;
        assert_eq!(refused.code(), -32_602, "{path}: {refused:?}");
    }
    assert!(second.seen("tasks/get").is_empty() && first.seen("tasks/get").len() == 2);
    // The header names the task that the body names.
    let body = client.modern_body("tasks/get", json!({"taskId": id}));
    let bearer = format!("Bearer {token}");
    let wrong = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tasks/get"),
        ("mcp-name", "t-1"),
    ];
    assert_eq!(door.ask(request("POST", "/mcp", &wrong, &body)).await.code(), -32_020);
}

#[tokio::test]
async fn tasks_are_promised_to_those_alone_who_can_have_them() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = tasking().await;
    door.house.gateway(&upstream).await;
    let extensions = r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"v/x":{}},"tasks":{}}"#;
    let client = door.client(&token, "/gateways/up/mcp").can(extensions).initialized("2025-11-25").await;
    client.call("tools/call", r#"{"name":"x"}"#).await;
    let said = upstream.seen("tools/call")[0].json()["params"]["_meta"].clone();
    let said = &said["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(said["extensions"], json!({"v/x": {}}), "an older client has no words for a task");
    let all = door.client(&token, "/mcp");
    let discovered = all.modern("server/discover", json!({})).await.result();
    assert!(discovered["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"].is_object());
    let old = all.initialize("2025-11-25").await.result();
    assert!(old["capabilities"]["tasks"]["list"].is_object(), "tasks of its own era: {old}");
    let older = all.initialize("2025-06-18").await.result();
    assert!(!older["capabilities"].to_string().contains("tasks"), "{older}");
}

#[tokio::test]
async fn a_listening_client_hears_how_its_tasks_stand_under_their_ids() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = tasking().await;
    door.house.gateway(&upstream).await;
    for path in ["/gateways/up/mcp", "/mcp"] {
        let client = door.client(&token, path).can(TASKS);
        client.modern("tools/list", json!({})).await.result();
        let name = if path == "/mcp" { "up-x" } else { "x" };
        let id = client.modern("tools/call", json!({"name": name})).await.result()["taskId"].clone();
        let before = upstream.seen("subscriptions/listen").len();
        let filter = json!({"notifications": {"taskIds": [id, "unknown"]}});
        let mut stream = Events::of(client.begin_modern("subscriptions/listen", filter.clone()).await);
        let first = stream.next().await.unwrap();
        assert_eq!(first["params"]["notifications"], json!({"taskIds": [id]}), "{path}");
        let told = stream.next().await.unwrap();
        let meta = json!({"io.modelcontextprotocol/subscriptionId": "m", "k": 1});
        let expected = json!({"taskId": id, "status": "completed", "result": {"n": 7}, "_meta": meta});
        assert_eq!((&told["method"], &told["params"]), (&json!("notifications/tasks"), &expected));
        let asked = upstream.seen("subscriptions/listen")[before].json()["params"].clone();
        assert_eq!(asked["notifications"], json!({"taskIds": ["t-1"]}));
        let declared = &asked["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert!(declared["extensions"]["io.modelcontextprotocol/tasks"].is_object(), "{declared}");
        // Whoever has not declared tasks is told what to declare; somebody else's are nobody's.
        let undeclared = door.client(&token, path).modern("subscriptions/listen", filter.clone()).await;
        assert_eq!(undeclared.code(), -32_021);
        let bob = door.house.person(if path == "/mcp" { "bob" } else { "bert" }).await;
        let bobs = door.token(&bob, &bob.user.name, Audience::Mcp, None).await;
        let bob = door.client(&bobs, path).can(TASKS);
        let mut stream = Events::of(bob.begin_modern("subscriptions/listen", filter).await);
        assert_eq!(stream.next().await.unwrap()["params"]["notifications"], json!({"taskIds": []}));
    }
}
