//! What Doorward does not know passes through a whole gateway as it came, in both directions.

use super::harness::{Door, request};
use crate::bridge::tests::json;
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Upstream, events, json as json_answer};
use futures_util::stream;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::sync::{Arc, Mutex};

/// What the server answers with: members of its result, and of the message around it.
type Said = Arc<Mutex<(String, String)>>;

/// A server of a revision that answers calls with what a test says, in JSON or, to every other call, in events after a
/// vendor's notification.
async fn saying(revision: Revision, said: &Said) -> Upstream {
    let said = Arc::clone(said);
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    Upstream::with(revision, move |seen| {
        let (said, count) = (Arc::clone(&said), Arc::clone(&count));
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let (members, outer) = said.lock().unwrap().clone();
            // A modern server says that it is done.
            let kind = if revision.is_modern() { "\"resultType\":\"complete\"," } else { "" };
            let id = seen.id().to_owned();
            let answer =
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{outer},\"result\":{{{kind}{members}}}}}");
            if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2) {
                return Some(json_answer(200, &answer));
            }
            let note = format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/vendor\",{outer},\"params\":{{{members}}}}}"
            );
            let frame = |message: &str| format!("data: {}\n\n", message.replace('\n', " "));
            Some(events(stream::iter([frame(&note), frame(&answer)])))
        }
    })
    .await
}

/// One call of a client of either era, with these members in its arguments, beside them and in `_meta`; the text of all
/// that came back.
async fn called(door: &Door, token: &str, slug: &str, members: &str, modern: Option<&str>) -> String {
    let path = format!("/gateways/{slug}/mcp");
    let own = format!("\"name\":\"x\",\"arguments\":{{{members}}},{members}");
    let Some(_) = modern else {
        let client = door.client(token, &path).initialized("2025-11-25").await;
        let params = format!("{{{own},\"_meta\":{{{members}}}}}");
        return client.call("tools/call", &params).await.text;
    };
    let meta = "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
                \"io.modelcontextprotocol/clientInfo\":{\"name\":\"a\",\"version\":\"1\"},\
                \"io.modelcontextprotocol/clientCapabilities\":{}";
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":\"m\",\"method\":\"tools/call\",\"params\":{{{own},\"_meta\":{{{meta},{members}}}}}}}"
    );
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "x"),
    ];
    door.ask(request("POST", &path, &headers, &body)).await.text
}

#[test]
fn trap_21_random_messages_are_bit_equal_through_a_gateway_in_every_pair_of_eras() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let said: Said = Arc::default();
    let (door, token, servers) = runtime.block_on(async {
        let door = Door::open().await;
        let token = door.alice().await;
        let mut servers = Vec::new();
        for (slug, revision) in [("old", Revision::LATEST_LEGACY), ("new", Revision::LATEST)] {
            let server = saying(revision, &said).await;
            door.house.gateway_named(&server, slug).await;
            servers.push((slug, server));
        }
        (door, token, servers)
    });
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let through = |(before, after): (String, String)| {
        let outer = format!("\"z\":{after}");
        // A content block of a type that nobody knows, and everything else.
        let members = format!(
            "\"v/x\" : {before},\t\"content\":[ {{\"type\":\"hologram\", \"d\":{after}}}], \"$defs\":{after}"
        );
        *said.lock().unwrap() = (members.clone(), outer.clone());
        for (slug, server) in &servers {
            for modern in [None, Some("modern")] {
                let before = server.seen("tools/call").len();
                for _ in 0..2 {
                    let got = runtime.block_on(called(&door, &token, slug, &members, modern));
                    let one_line = |text: &str| text.replace('\n', " ");
                    prop_assert!(one_line(&got).contains(&one_line(&members)), "{slug} {modern:?}: {got}");
                    prop_assert!(one_line(&got).contains(&one_line(&outer)), "{slug} {modern:?}: {got}");
                }
                let seen = server.seen("tools/call");
                prop_assert_eq!(seen.len(), before + 2);
                let body = &seen[before].body;
                let count = body.matches(members.as_str()).count();
                prop_assert_eq!(count, 3, "{} {:?}: {}", slug, modern, body);
            }
        }
        Ok(())
    };
    TestRunner::new(config).run(&(json(), json()), through).unwrap();
}

#[tokio::test]
async fn c11_a_clients_changed_roots_reach_the_sessions_that_stand_for_its_own_and_no_others() {
    let door = Door::open().await;
    let token = door.alice().await;
    let old = Upstream::plain(Revision::V2025_11_25).await;
    let new = Upstream::plain(Revision::LATEST).await;
    let unused = Upstream::plain(Revision::V2025_06_18).await;
    for (slug, upstream) in [("old", &old), ("new", &new), ("unused", &unused)] {
        door.house.gateway_named(upstream, slug).await;
    }
    let client = door.client(&token, "/gateways/old/mcp").can(r#"{"roots":{"listChanged":true}}"#);
    let client = client.initialized("2025-11-25").await;
    client.call("tools/call", r#"{"name":"x"}"#).await.result();
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{"v":1.10}}"#;
    assert_eq!(client.post(changed).await.status, 202);
    let told = old.wait_for(|seen| seen.method() == "notifications/roots/list_changed").await;
    assert_eq!(told.body, changed);
    assert!(told.header("mcp-session-id").is_some());
    let vendors = r#"{"jsonrpc":"2.0","method":"notifications/vendor"}"#;
    assert_eq!(client.post(vendors).await.status, 202);
    old.wait_for(|seen| seen.method() == "notifications/vendor").await;
    // At /mcp the same client stands before all of them: only who has a session with it is told.
    let all = door.client(&token, "/mcp").can(r#"{"roots":{"listChanged":true}}"#);
    let all = all.initialized("2025-11-25").await;
    assert_eq!(all.post(changed).await.status, 202);
    let twice = async {
        while old.seen("notifications/roots/list_changed").len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), twice).await.unwrap();
    for other in [&new, &unused] {
        assert!(other.all().iter().all(|seen| !seen.body.contains("notifications/roots")));
    }
}
