//! Legacy clients: the handshake, whose a session is, its stream, its end, and what runs in it.

use super::harness::{Client, Door, Events, legacy};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Upstream, answer_to, events};
use doorward_domain::{Actor, ApiTokenPlain, Audience, NewAuditEvent, User, UserState};
use serde_json::json;
use std::time::Duration;

const V11: &str = "2025-11-25";

#[tokio::test]
async fn a_handshake_gives_a_session_and_says_what_is_there() {
    let door = Door::open().await;
    let token = door.alice().await;
    let answer = door.client(&token, "/mcp").initialize("2025-06-18").await;
    let result = answer.result();
    assert_eq!(result["protocolVersion"], "2025-06-18");
    assert_eq!(result["serverInfo"]["name"], "doorward");
    assert_eq!(result["capabilities"]["tools"]["listChanged"], true);
    assert!(result["instructions"].as_str().unwrap().contains("doorward-connections"));
    assert_eq!(answer.header("mcp-session-id").len(), 43);
    let client = door.client(&token, "/mcp").initialized(V11).await;
    let notification = client.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    assert_eq!((notification.status.as_u16(), notification.text.as_str()), (202, ""));
    assert_eq!(
        client.post(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#).await.status,
        202
    );
    assert_eq!(client.call("ping", "{}").await.text, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(client.call("logging/setLevel", r#"{"level":"debug"}"#).await.result(), json!({}));
    assert_eq!(client.call("logging/setLevel", r#"{"level":"loud"}"#).await.code(), -32_602);
    let unknown = client.call("resources/subscribe", r#"{"uri":"a:b"}"#).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (200, -32_002));
}

#[tokio::test]
async fn one_gateways_endpoint_speaks_for_its_upstream() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::plain(Revision::V2025_06_18).await;
    door.house.gateway(&upstream).await;
    let result = door.client(&token, "/gateways/up/mcp").initialize(V11).await.result();
    assert_eq!(result["instructions"], "be kind");
    assert!(result["capabilities"].get("completions").is_none());
    let discovered =
        door.client(&token, "/gateways/up/mcp").modern("server/discover", json!({})).await.result();
    assert_eq!(discovered["instructions"], "be kind");
    assert_eq!(discovered["supportedVersions"][0], "2026-07-28");
    assert_eq!((&discovered["ttlMs"], &discovered["cacheScope"]), (&json!(0), &json!("private")));
    assert_eq!(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "doorward");
}

#[tokio::test]
async fn trap_7_a_session_serves_its_user_token_and_endpoint_alone() {
    let door = Door::open().await;
    let token = door.alice().await;
    let bob = door.house.person("bob").await;
    let bobs = door.token(&bob, "bob", Audience::Mcp, None).await;
    let second = door.token(&door.house.alice, "second", Audience::Mcp, None).await;
    door.house.gateway(&Upstream::plain(Revision::LATEST).await).await;
    let client = door.client(&token, "/mcp").initialized(V11).await;
    for (token, path) in [(&bobs, "/mcp"), (&second, "/mcp"), (&token, "/gateways/up/mcp")] {
        let thief = Client { session: client.session.clone(), ..door.client(token, path) };
        assert_eq!(thief.call("ping", "{}").await.status, 404, "{path}");
    }
    assert_eq!(client.call("ping", "{}").await.status, 200);
    assert_eq!(client.bare("DELETE", &[]).await.status(), 204);
    assert_eq!(client.call("ping", "{}").await.status, 404);
    assert_eq!(client.bare("DELETE", &[]).await.status(), 404);
}

#[tokio::test]
async fn a_session_outlives_the_process_and_ends_when_nobody_uses_it() {
    let door = Door::open().await;
    let token = door.alice().await;
    let mut session = door.client(&token, "/mcp").initialized(V11).await.session;
    let door = Door::of(door.house);
    let client = Client { session: session.take(), ..door.client(&token, "/mcp") };
    door.house.clock.advance(Duration::from_secs(3_600));
    assert_eq!(client.call("ping", "{}").await.status, 200);
    let session = client.session.clone();
    let door = Door::of(door.house);
    let client = Client { session, ..door.client(&token, "/mcp") };
    door.house.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(client.call("ping", "{}").await.status, 404);
}

#[tokio::test]
async fn the_stream_of_a_session_is_one_and_says_what_cannot_be_had() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp").initialized(V11).await;
    let bearer = format!("Bearer {token}");
    let session = client.session.clone().unwrap();
    let json_only =
        [("authorization", bearer.as_str()), ("accept", "application/json"), ("mcp-session-id", &session)];
    assert_eq!(door.ask(super::harness::request("GET", "/mcp", &json_only, "")).await.status, 406);
    assert_eq!(client.bare("GET", &[("last-event-id", "7")]).await.status(), 400);
    assert_eq!(door.client(&token, "/mcp").bare("GET", &[]).await.status(), 400);
    let first = client.bare("GET", &[]).await;
    assert_eq!(first.headers()["x-accel-buffering"], "no");
    let mut first = Events::of(first);
    let mut second = Events::of(client.bare("GET", &[]).await);
    assert_eq!(first.next().await, None);
    door.house.broker.end_api_token(&door.house.alice, only_token(&door).await).await.unwrap();
    assert_eq!(second.next().await, None);
    assert_eq!(client.call("ping", "{}").await.status, 401);
}

async fn only_token(door: &Door) -> doorward_domain::ApiTokenId {
    door.house.broker.api_tokens(&door.house.alice).await.unwrap()[0].id
}

/// A tool that says one thing at once, and its result when it is told to.
async fn slow(released: std::sync::Arc<tokio::sync::Notify>) -> Upstream {
    Upstream::with(Revision::V2025_11_25, move |seen| {
        let released = std::sync::Arc::clone(&released);
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let progress =
                "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/vendor\",\"params\":{\"n\":1.10}}\n\n";
            let result =
                format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"n\":2.20}}}}\n\n", seen.id());
            let rest = async move {
                released.notified().await;
                result
            };
            let first = futures_util::stream::once(std::future::ready(progress.to_owned()));
            Some(events(futures_util::StreamExt::chain(first, futures_util::stream::once(rest))))
        }
    })
    .await
}

#[tokio::test]
async fn trap_3_events_pass_one_by_one_and_a_cancelled_call_gets_no_answer() {
    let door = Door::open().await;
    let token = door.alice().await;
    let released = std::sync::Arc::new(tokio::sync::Notify::new());
    let upstream = slow(std::sync::Arc::clone(&released)).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    let call = legacy("tools/call", r#"{"name":"x"}"#);
    let mut stream = Events::of(client.begin(&call).await);
    assert_eq!(stream.next().await.unwrap()["params"]["n"], 1.10);
    released.notify_one();
    let last = stream.next().await.unwrap();
    assert_eq!((&last["id"], &last["result"]["n"]), (&json!(1), &json!(2.20)));
    assert_eq!(stream.next().await, None);

    let mut stream = Events::of(client.begin(&call).await);
    stream.next().await.unwrap();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert_eq!(client.post(cancel).await.status, 202);
    assert_eq!(stream.next().await, None);
    upstream.wait_for(|seen| seen.method() == "notifications/cancelled").await;
}

#[tokio::test]
async fn trap_4_a_legacy_client_that_hangs_up_has_not_cancelled() {
    let door = Door::open().await;
    let token = door.alice().await;
    let released = std::sync::Arc::new(tokio::sync::Notify::new());
    let upstream = slow(std::sync::Arc::clone(&released)).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    let call = legacy("tools/call", r#"{"name":"x"}"#);
    drop(client.begin(&call).await);
    assert_eq!(client.call("ping", "{}").await.status, 200);
    released.notify_one();
    let mut stream = Events::of(client.begin(&call).await);
    stream.next().await.unwrap();
    assert!(upstream.seen("notifications/cancelled").is_empty());
}

#[tokio::test]
async fn a_call_that_is_cancelled_before_its_answer_begins_gets_an_empty_one() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::with(Revision::V2025_11_25, |seen| async move {
        match seen.method() {
            "tools/call" => {
                std::future::pending::<()>().await;
                Some(answer_to(&seen, "{}"))
            }
            _ => None,
        }
    })
    .await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    let call = legacy("tools/call", r#"{"name":"x"}"#);
    let cancel = async {
        upstream.wait_for(|seen| seen.method() == "tools/call").await;
        client.post(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await
    };
    let (answer, _) = tokio::join!(client.post(&call), cancel);
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
}

#[tokio::test]
async fn trap_4_a_modern_client_that_hangs_up_has_cancelled() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = slow(std::sync::Arc::default()).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let mut stream = Events::of(client.begin_modern("tools/call", json!({"name": "x"})).await);
    stream.next().await.unwrap();
    drop(stream);
    upstream.wait_for(|seen| seen.method() == "notifications/cancelled").await;
}

/// Edits Alice as an administrator would.
async fn edit_alice(door: &Door, change: impl FnOnce(&mut User)) {
    let storage = &door.house.storage;
    let mut user = storage.user(door.house.alice.user.id).await.unwrap().unwrap();
    change(&mut user);
    let _ = storage.update_user(&user, NewAuditEvent::new(Actor::System, "user.update")).await.unwrap();
}

#[tokio::test]
async fn what_a_user_runs_ends_with_the_token_or_the_user() {
    for disable in [false, true] {
        let door = Door::open().await;
        let token = door.alice().await;
        let released = std::sync::Arc::new(tokio::sync::Notify::new());
        let upstream = slow(std::sync::Arc::clone(&released)).await;
        door.house.gateway(&upstream).await;
        let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
        let plain = ApiTokenPlain::new(token.as_str());
        let caller = door.house.broker.caller_by_api_token(&plain, None).await.unwrap().unwrap();
        let call = legacy("tools/call", r#"{"name":"x"}"#);

        let mut stream = Events::of(client.begin(&call).await);
        stream.next().await.unwrap();
        edit_alice(&door, |alice| alice.name = "Alice B.".into()).await;
        released.notify_one();
        assert_eq!(stream.next().await.unwrap()["result"]["n"], 2.20);
        assert!(door.house.broker.still_may(&caller).await.unwrap());

        let mut stream = Events::of(client.begin(&call).await);
        stream.next().await.unwrap();
        if disable {
            edit_alice(&door, |alice| alice.state = UserState::Disabled).await;
        } else {
            door.house.broker.end_api_token(&door.house.alice, only_token(&door).await).await.unwrap();
        }
        // It is cut with an error, or abandoned with the session, whichever comes first; no answer arrives.
        if let Some(cut) = stream.next().await {
            assert_eq!(cut["error"]["code"], 4_012, "{cut}");
            assert_eq!(stream.next().await, None);
        }
        upstream.wait_for(|seen| seen.method() == "notifications/cancelled").await;
        assert!(!door.house.broker.still_may(&caller).await.unwrap());
    }
}

#[tokio::test]
async fn c1_a_client_of_2025_03_26_may_send_several_messages_at_once() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::with(Revision::V2025_03_26, |seen| async move {
        let id = seen.json()["id"].clone();
        (seen.method() == "tools/call").then(|| {
            let progress = r#"{"jsonrpc":"2.0","method":"notifications/vendor"}"#;
            let result = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"n":1.10}}}}"#);
            events(futures_util::stream::iter([format!("data: [{progress},{result}]\n\n")]))
        })
    })
    .await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized("2025-03-26").await;
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
    let call = legacy("tools/call", r#"{"name":"x"}"#);
    let answer = client.post(&format!("[{ping},{note},{call},3]")).await;
    let all = answer.json();
    assert_eq!(
        (&all[0]["id"], &all[1]["id"], &all[1]["result"]["n"]),
        (&json!("p"), &json!(1), &json!(1.10))
    );
    assert_eq!(all[2]["error"]["code"], -32_600);
    let notes = client.post(&format!("[{note}]")).await;
    assert_eq!((notes.status.as_u16(), notes.text.as_str()), (202, ""));
    assert_eq!(client.post("[]").await.code(), -32_600);
}
