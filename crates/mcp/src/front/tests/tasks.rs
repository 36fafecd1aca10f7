//! Tasks of servers of 2026-07-28, whose ids are a user's own.

use super::harness::{Client, Door, request};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Upstream, answer_to, error_to};
use doorward_domain::Audience;
use serde_json::{Value, json};

const TASKS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// A server that makes a task of every call, always under the same id.
async fn tasking() -> Upstream {
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
            _ => None,
        }
    })
    .await
}

async fn about(client: &Client<'_>, method: &str, id: &Value) -> super::harness::Answer {
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
async fn cheap_and_often_forgotten_ids_of_tasks_lead_to_their_server_and_serve_their_user_alone() {
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
    let refused = client.call("tasks/get", r#"{"taskId":"t"}"#).await;
    assert!(
        refused.code() == -32_601 && refused.text.contains("not supported by this version"),
        "{refused:?}"
    );
    let all = door.client(&token, "/mcp");
    let discovered = all.modern("server/discover", json!({})).await.result();
    assert!(discovered["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"].is_object());
    let old = all.initialize("2025-11-25").await.result();
    assert!(!old["capabilities"].to_string().contains("tasks"), "{old}");
}
