//! Who and what is refused at the door, in which order, and how it is told.

use super::harness::{Door, legacy, request};
use super::upstreams::listing;
use crate::revision::Revision;
use crate::upstream::tests::fixture::Upstream;
use axum::body::Body;
use doorward_domain::Audience;
use serde_json::json;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn every_url_without_a_token_is_a_401() {
    let door = Door::open().await;
    let upstream = Upstream::plain(Revision::LATEST).await;
    door.house.gateway(&upstream).await;
    let own = door.token(&door.house.alice, "own", Audience::Own, None).await;
    for path in ["/mcp", "/gateways/up/mcp", "/gateways/none/mcp", "/mcp?access_token=dw_own&token=dw_own"] {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "HEAD"] {
            let plain = door.ask(request(method, path, &[("cookie", "session=x")], PING)).await;
            assert_eq!(
                (plain.status.as_u16(), plain.header("www-authenticate")),
                (401, "Bearer realm=\"doorward\"")
            );
            for wrong in ["Bearer dw_unknown", &format!("Bearer {own}")] {
                let refused = door.ask(request(method, path, &[("authorization", wrong)], PING)).await;
                assert_eq!(refused.status, 401, "{method} {path}");
                assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
            }
        }
    }
    assert!(upstream.all().is_empty());
}

#[tokio::test]
async fn trap_24_foreign_pages_and_hosts_are_refused_before_anything_else() {
    let door = Door::open().await;
    let token = format!("Bearer {}", door.alice().await);
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        for header in [("origin", "http://evil.example"), ("origin", "null"), ("host", "evil.example")] {
            let answer = door.ask(request(method, "/mcp", &[("authorization", &token), header], PING)).await;
            assert_eq!(answer.status, 403, "{method} {header:?}");
        }
    }
    let preflight = [("origin", "http://localhost:6274"), ("access-control-request-method", "POST")];
    let answer = door.ask(request("OPTIONS", "/mcp", &preflight, "")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:6274");
    let answer = door.ask(request("POST", "/mcp", &[("origin", "http://localhost:4444")], PING)).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("access-control-expose-headers").contains("www-authenticate"));
    let allowed = door.ask(request("OPTIONS", "/mcp", &[("authorization", &token)], "")).await;
    assert_eq!(allowed.status, 204);
    let put = door.ask(request("PUT", "/mcp", &[("authorization", &token)], "")).await;
    assert_eq!((put.status.as_u16(), put.header("allow")), (405, "GET, POST, DELETE, OPTIONS"));
}

#[tokio::test]
async fn a_token_that_is_narrowed_to_gateways_finds_no_others() {
    let door = Door::open().await;
    let upstream = Upstream::plain(Revision::LATEST).await;
    let mine = door.house.gateway_named(&upstream, "mine").await;
    door.house.gateway_named(&upstream, "other").await;
    let token = door.token(&door.house.alice, "narrow", Audience::Mcp, Some(vec![mine.id])).await;
    assert_eq!(door.client(&token, "/gateways/mine/mcp").initialize("2025-11-25").await.status, 200);
    for slug in ["other", "none", "..", "a%2Fb"] {
        let answer = door.client(&token, &format!("/gateways/{slug}/mcp")).initialize("2025-11-25").await;
        assert_eq!(answer.status, 404, "{slug}");
    }
}

#[tokio::test]
async fn what_is_no_message_is_told_so() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp");
    for (body, code) in [("{", -32_700), ("[]", -32_600), (r#"{"id":1}"#, -32_600)] {
        let answer = client.post(body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code), "{body}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let large = format!("\"{}\"", "x".repeat(4 << 20));
    assert_eq!(client.post(&large).await.status, 413);
    let bearer = format!("Bearer {token}");
    let text = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    assert_eq!(door.ask(request("POST", "/mcp", &text, PING)).await.status, 415);
    let html = [("authorization", bearer.as_str()), ("accept", "text/html")];
    assert_eq!(door.ask(request("POST", "/mcp", &html, PING)).await.status, 406);
    let any = [("authorization", bearer.as_str()), ("accept", "*/*")];
    assert_eq!(door.ask(request("POST", "/mcp", &any, PING)).await.json()["id"], 1);
}

#[tokio::test]
async fn a_modern_request_is_refused_with_its_id() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp");
    for (method, status) in [
        ("initialize", 404),
        ("ping", 404),
        ("logging/setLevel", 404),
        ("resources/subscribe", 404),
        ("vendor/method", 404),
        ("tasks/list", 404),
    ] {
        let answer = client.modern(method, json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, -32_601), "{method}");
        assert_eq!(answer.json()["id"], "m");
    }
    assert_eq!(client.modern("subscriptions/listen", json!({})).await.code(), -32_602);
    let bearer = format!("Bearer {token}");
    let body = client.modern_body("tools/list", json!({})).replace("2026-07-28", "2099-01-01");
    let headers = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2099-01-01"),
        ("mcp-method", "tools/list"),
    ];
    let answer = door.ask(request("POST", "/mcp", &headers, &body)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32_022));
    assert_eq!(answer.json()["error"]["data"]["requested"], "2099-01-01");
    assert_eq!(answer.json()["error"]["data"]["supported"][0], "2026-07-28");
    let body = client.modern_body("tools/list", json!({}));
    let answer = door.ask(request("POST", "/mcp", &headers, &body)).await;
    assert_eq!((answer.status.as_u16(), answer.code(), &answer.json()["id"]), (400, -32_020, &json!("m")));
    let none =
        [("authorization", bearer.as_str()), ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "ping")];
    let answer = door.ask(request("POST", "/mcp", &none, PING)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, -32_602));
    let response = r#"{"jsonrpc":"2.0","id":"dw-1","result":{}}"#;
    assert_eq!(door.ask(request("POST", "/mcp", &none, response)).await.status, 400);
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
    assert_eq!(door.ask(request("POST", "/mcp", &none, notification)).await.status, 202);
    for method in ["GET", "DELETE"] {
        let answer = door.ask(request(method, "/mcp", &none, "")).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    }
}

#[tokio::test]
async fn trap_9_a_legacy_request_needs_a_known_version_and_session() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp");
    assert_eq!(client.call("tools/list", "{}").await.status, 400);
    assert_eq!(client.call("initialize", "{}").await.code(), -32_602);
    let bearer = format!("Bearer {token}");
    let unknown = [("authorization", bearer.as_str()), ("mcp-session-id", "nobody")];
    let answer = door.ask(request("POST", "/mcp", &unknown, &legacy("tools/list", "{}"))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (404, &json!(1)));
    let old = [("authorization", bearer.as_str()), ("mcp-protocol-version", "1999-01-01")];
    for body in [legacy("tools/list", "{}"), legacy("initialize", r#"{"protocolVersion":"2025-11-25"}"#)] {
        assert_eq!(door.ask(request("POST", "/mcp", &old, &body)).await.status, 400);
    }
}

#[tokio::test]
async fn c1_several_messages_at_once_are_refused_since_2025_06_18() {
    let door = Door::open().await;
    let token = door.alice().await;
    for version in ["2025-06-18", "2025-11-25"] {
        let client = door.client(&token, "/mcp").initialized(version).await;
        let batch = client.post(&format!("[{PING}]")).await;
        assert_eq!((batch.status.as_u16(), batch.code()), (400, -32_600), "{version}");
    }
    let bearer = format!("Bearer {token}");
    let modern = [("authorization", bearer.as_str()), ("mcp-protocol-version", "2026-07-28")];
    let batch = door.ask(request("POST", "/mcp", &modern, &format!("[{PING}]"))).await;
    assert_eq!((batch.status.as_u16(), batch.code()), (400, -32_600));
}

#[tokio::test]
async fn c2_ids_that_are_null_fractional_or_no_ids_at_all_are_refused() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp").initialized("2025-11-25").await;
    for id in ["null", "1.5", "true", "{}"] {
        let answer = client.post(&PING.replace("\"id\":1", &format!("\"id\":{id}"))).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, -32_600), "{id}");
    }
}

#[tokio::test]
async fn c3_notifications_are_answered_by_an_empty_202() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp").initialized("2025-11-25").await;
    for method in ["notifications/initialized", "notifications/vendor"] {
        let taken = client.post(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#)).await;
        assert_eq!((taken.status.as_u16(), taken.text.as_str()), (202, ""), "{method}");
    }
}

#[tokio::test]
async fn c4_an_error_about_what_could_not_be_read_has_no_id() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp").initialized("2025-11-25").await;
    let unreadable = client.post("{").await;
    assert_eq!(unreadable.code(), -32_700);
    assert!(unreadable.json().get("id").is_none(), "nobody could tell whose it was");
}

/// A server that lists in an order of its own, and takes calls without answering them.
async fn only_accepting() -> Upstream {
    Upstream::with(Revision::LATEST, |seen| async move {
        match seen.method() {
            "tools/call" => {
                Some(axum::response::Response::builder().status(202).body(Body::empty()).unwrap())
            }
            _ => listing(&seen, json!([{"name": "z"}, {"name": "a"}, {"name": "m"}])),
        }
    })
    .await
}

#[tokio::test]
async fn c6_a_server_that_only_accepts_a_call_ends_in_an_error_that_says_so() {
    let door = Door::open().await;
    let token = door.alice().await;
    door.house.gateway(&only_accepting().await).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let legacy = client.initialized("2025-11-25").await;
    let answers = [
        legacy.call("tools/call", r#"{"name":"z"}"#).await,
        door.client(&token, "/mcp").modern("tools/call", json!({"name": "up-z"})).await,
    ];
    for answer in answers {
        assert!(answer.text.contains("neither JSON nor an event stream"), "{answer:?}");
    }
}

#[tokio::test]
async fn c9_a_ping_is_between_two_neighbours() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = only_accepting().await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized("2025-11-25").await;
    client.call("ping", "{}").await.result();
    assert!(upstream.seen("ping").is_empty());
}

#[tokio::test]
async fn c10_lists_come_in_the_same_order_each_time() {
    let door = Door::open().await;
    let token = door.alice().await;
    for slug in ["up", "also"] {
        door.house.gateway_named(&only_accepting().await, slug).await;
    }
    for path in ["/gateways/up/mcp", "/mcp"] {
        let client = door.client(&token, path).initialized("2025-11-25").await;
        let first = client.call("tools/list", "{}").await.text;
        for _ in 0..3 {
            assert_eq!(client.call("tools/list", "{}").await.text, first);
        }
        let at = |name: &str| first.rfind(&format!("{name}\"")).unwrap();
        assert!(at("z") < at("a") && at("a") < at("m"), "the server's own order: {first}");
    }
}
