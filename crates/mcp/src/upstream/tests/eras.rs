//! Nine pairs of revisions, and how an upstream's era is found and found again.

use super::fixture::{
    House, TRACEPARENT, Upstream, answer_to, client, client_with, error_to, json, message, plain_text,
};
use crate::revision::Revision;
use crate::upstream::{CallError, UpstreamAnswer};
use http::StatusCode;

const METHODS: [(&str, &str); 8] = [
    ("tools/list", "{}"),
    ("tools/call", r#"{"name":"größe","arguments":{"n":12345678901234567890123}}"#),
    ("resources/list", "{}"),
    ("resources/templates/list", "{}"),
    ("resources/read", r#"{"uri":"file:///x"}"#),
    ("prompts/list", "{}"),
    ("prompts/get", r#"{"name":"p"}"#),
    (
        "completion/complete",
        r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"b"}}"#,
    ),
];

#[tokio::test]
async fn trap_9_every_plain_call_works_between_every_pair_of_revisions() {
    let house = House::new().await;
    for upstream_revision in Revision::OFFERED {
        let upstream = Upstream::plain(upstream_revision).await;
        let gateway = house.gateway_named(&upstream, upstream_revision.as_str()).await;
        for client_revision in Revision::OFFERED {
            for (method, params) in METHODS {
                let text = house.text(&gateway, &client(client_revision), method, params).await;
                let pair = format!("{client_revision} to {upstream_revision}: {method}: {text}");
                assert!(text.contains(r#""id":"c1""#) && text.contains(r#""n":1.10"#), "{pair}");
                assert_eq!(text.contains("resultType"), client_revision.is_modern(), "{pair}");
                let seen = upstream.seen(method).pop().unwrap();
                check_hop(&seen, upstream_revision, method);
                assert!(
                    !params.contains("123456") || seen.body.contains("12345678901234567890123"),
                    "{pair}"
                );
            }
        }
        let handshakes = upstream.seen("initialize").len();
        let expected = if upstream_revision.is_modern() { 0 } else { Revision::OFFERED.len() };
        assert_eq!(handshakes, expected, "{upstream_revision}");
    }
}

/// Each hop speaks its own revision, and nothing of the client's own headers is on it.
fn check_hop(seen: &super::fixture::Seen, revision: Revision, method: &str) {
    assert_eq!(seen.header("mcp-protocol-version"), Some(revision.as_str()));
    assert!(!format!("{:?}", seen.headers).contains("client-canary"), "{:?}", seen.headers);
    let traceparent = seen.header("traceparent").unwrap();
    assert_eq!(traceparent[..36], TRACEPARENT[..36], "the trace goes on");
    assert_ne!(traceparent, TRACEPARENT, "under a span of ours");
    assert_eq!(seen.body.contains(traceparent), revision.is_modern(), "{}", seen.body);
    if revision.is_modern() {
        assert_eq!(seen.header("mcp-method"), Some(method));
        let name = match method {
            "tools/call" => Some("=?base64?Z3LDtsOfZQ==?="),
            "prompts/get" => Some("p"),
            "resources/read" => Some("file:///x"),
            _ => None,
        };
        assert_eq!(seen.header("mcp-name"), name);
        assert!(seen.body.contains(r#""io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}"#));
        assert!(seen.header("mcp-session-id").is_none());
    } else {
        assert!(seen.header("mcp-method").is_none() && seen.header("mcp-session-id").is_some());
        assert!(!seen.body.contains("io.modelcontextprotocol"));
    }
}

#[tokio::test]
async fn trap_11_an_upstream_hears_exactly_the_clients_capabilities_and_revision() {
    let house = House::new().await;
    let upstream = Upstream::plain(Revision::V2025_11_25).await;
    let gateway = house.gateway(&upstream).await;
    house.text(&gateway, &client_with(Revision::V2025_06_18, r#"{"x":1.10}"#), "tools/list", "{}").await;
    let initialize = upstream.seen("initialize").pop().unwrap();
    assert!(initialize.body.contains(
        r#""params":{"protocolVersion":"2025-06-18","capabilities":{"x":1.10},"clientInfo":{"name":"editor","version":"7"}}"#
    ));
    let facts = house.upstreams.server(&house.alice, &gateway, &client(Revision::LATEST)).await.unwrap();
    assert_eq!(facts.instructions.as_deref(), Some("be kind"));
    assert!(upstream.seen("initialize")[1].body.contains("2025-11-25"));
}

#[tokio::test]
async fn trap_10_two_hundred_to_everything_is_no_modern_server() {
    let house = House::new().await;
    let upstream = Upstream::with(Revision::V2025_11_25, |seen| async move {
        (seen.method() == "server/discover").then(|| answer_to(&seen, "{}"))
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    house.text(&gateway, &client(Revision::LATEST), "tools/list", "{}").await;
    assert_eq!(upstream.seen("initialize").len(), 1);
}

#[tokio::test]
async fn an_upstream_that_changes_its_era_is_found_again() {
    let house = House::new().await;
    let upstream = Upstream::plain(Revision::V2026_07_28).await;
    let gateway = house.gateway(&upstream).await;
    let ours = client(Revision::V2025_11_25);
    house.text(&gateway, &ours, "tools/list", "{}").await;
    upstream.become_revision(Revision::V2025_11_25);
    house.text(&gateway, &ours, "tools/list", "{}").await;
    assert_eq!(upstream.seen("initialize").len(), 1);
    let lost = Upstream::with(Revision::V2025_11_25, |seen| async move {
        let modern_now = seen.header("mcp-session-id") == Some("s1") && seen.method() == "tools/list";
        modern_now.then(|| error_to(&seen, 400, -32_022))
    })
    .await;
    let gateway = house.gateway_named(&lost, "lost").await;
    house.text(&gateway, &ours, "tools/list", "{}").await;
    assert_eq!((lost.seen("server/discover").len(), lost.seen("initialize").len()), (2, 2));
}

#[tokio::test]
async fn an_upstream_without_any_era_says_what_is_wrong() {
    let house = House::new().await;
    for (status, expected) in [
        (404, "no MCP server at this URL, neither with Streamable HTTP nor with HTTP+SSE"),
        (403, "forbids this user"),
        (429, "fewer requests"),
        (500, "did not accept `initialize`"),
    ] {
        let upstream = Upstream::with(Revision::LATEST, move |_| async move {
            Some(plain_text(StatusCode::from_u16(status).unwrap(), "<html>canary"))
        })
        .await;
        let gateway = house.gateway_named(&upstream, &format!("s{status}")).await;
        let error = house.call(&gateway, &client(Revision::LATEST), "tools/list", "{}").await.err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("canary"));
    }
    for (name, result, expected) in
        [("odd", r#"{"protocolVersion":"<b>9"}"#, "revision 'b9'"), ("none", "3", "revision ''")]
    {
        let upstream = Upstream::with(Revision::LATEST_LEGACY, move |seen| async move {
            (seen.method() == "initialize").then(|| answer_to(&seen, result))
        })
        .await;
        let gateway = house.gateway_named(&upstream, name).await;
        let error = house.call(&gateway, &client(Revision::LATEST), "tools/list", "{}").await.err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mute = Upstream::with(Revision::LATEST, |_| async { Some(json(200, "{}")) }).await;
    let gateway = house.gateway_named(&mute, "mute").await;
    let error = house.call(&gateway, &client(Revision::LATEST), "tools/list", "{}").await.err().unwrap();
    assert!(error.to_string().contains("did not answer `initialize`"), "{error}");
}

#[tokio::test]
async fn a_question_to_the_user_reaches_modern_clients_as_it_is_and_is_put_to_legacy_ones() {
    let house = House::new().await;
    let upstream = Upstream::with(Revision::LATEST, |seen| async move {
        let asks = seen.method() == "tools/call";
        asks.then(|| answer_to(&seen, r#"{"resultType":"input_required","requestState":"exact é"}"#))
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let text = house.text(&gateway, &client(Revision::LATEST), "tools/call", r#"{"name":"x"}"#).await;
    assert!(text.contains(r#""requestState":"exact é""#));
    let error = house.call(&gateway, &client(Revision::LATEST_LEGACY), "tools/call", r#"{"name":"x"}"#).await;
    let error = error.err().unwrap();
    assert!(matches!(&error, CallError::InputRequired { asked, .. } if asked.requests.is_empty()), "{error}");
}

#[tokio::test]
async fn modern_errors_travel_with_their_status() {
    let house = House::new().await;
    let upstream = Upstream::with(Revision::LATEST, |seen| async move {
        (seen.method() == "vendor/x").then(|| error_to(&seen, 404, -32_601))
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let answer = house.call(&gateway, &client(Revision::LATEST), "vendor/x", "{}").await.unwrap();
    let UpstreamAnswer::Message(answer) = answer else { panic!() };
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let answer = house.call(&gateway, &client(Revision::LATEST_LEGACY), "vendor/x", "{}").await.unwrap();
    assert!(message(answer).contains("-32601"));
}

#[tokio::test]
async fn methods_that_are_no_plain_calls_are_not_forwarded() {
    let house = House::new().await;
    let upstream = Upstream::plain(Revision::LATEST).await;
    let gateway = house.gateway(&upstream).await;
    for method in ["ping", "initialize", "server/discover", "subscriptions/listen"] {
        let error = house.call(&gateway, &client(Revision::LATEST), method, "{}").await.err().unwrap();
        assert!(matches!(error, CallError::NotForwarded { .. }), "{method}");
    }
    assert!(upstream.all().is_empty());
}

#[tokio::test]
async fn what_a_modern_upstream_tells_one_user_is_not_told_to_another() {
    let house = House::new().await;
    let asked = std::sync::atomic::AtomicU64::new(0);
    let upstream = Upstream::with(Revision::LATEST, move |seen| {
        let discovers = seen.method() == "server/discover";
        let account = if discovers { asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) } else { 0 };
        async move {
            let result = format!(
                r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"vendor":{account}}},"instructions":"account {account}"}}"#
            );
            discovers.then(|| answer_to(&seen, &result))
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let bob = house.person("bob").await;
    for (caller, account) in [(&house.alice, 0), (&bob, 1), (&house.alice, 0), (&bob, 1)] {
        let facts = house.upstreams.server(caller, &gateway, &client(Revision::LATEST)).await.unwrap();
        assert_eq!(facts.instructions, Some(format!("account {account}")));
        let capabilities = facts.capabilities.as_ref().unwrap().get();
        assert_eq!(capabilities, format!(r#"{{"vendor":{account}}}"#));
    }
}
