//! What servers tell unasked, in every pair of eras, and streams that are resumed.

use super::harness::{Door, Events, legacy};
use super::upstreams::{Telling, event};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Upstream, events};
use doorward_domain::ApiTokenPlain;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

const V11: &str = "2025-11-25";
const ERAS: [Revision; 2] = [Revision::V2025_11_25, Revision::V2026_07_28];
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn filter(uris: &[&str]) -> Value {
    json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": uris}})
}

#[tokio::test]
async fn a_modern_client_listens_to_servers_of_either_era() {
    for revision in ERAS {
        let door = Door::open().await;
        let token = door.alice().await;
        let telling = Telling::start(revision).await;
        door.house.gateway(&telling.upstream).await;
        for path in ["/gateways/up/mcp", "/mcp"] {
            let client = door.client(&token, path);
            let listening = client.begin_modern("subscriptions/listen", filter(&["file:///x", "no:1"])).await;
            let mut stream = Events::of(listening);
            let first = stream.next().await.unwrap();
            assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{revision} {path}");
            assert_eq!(first["params"]["_meta"][SUBSCRIPTION], "m");
            assert_eq!(first["params"]["notifications"]["toolsListChanged"], true);
            telling.tell("notifications/prompts/list_changed", json!({}));
            telling.tell("notifications/resources/updated", json!({"uri": "file:///other"}));
            telling.tell(
                "notifications/resources/updated",
                json!({"uri": "file:///x", "v": 1.10, "_meta": {"k": 1}}),
            );
            let updated = stream.next().await.unwrap();
            assert_eq!(updated["params"]["uri"], "file:///x");
            assert_eq!(updated["params"]["v"], 1.10);
            assert_eq!(updated["params"]["_meta"], json!({"k": 1, SUBSCRIPTION: "m"}));
            telling.tell("notifications/tools/list_changed", json!({}));
            let changed = stream.next().await.unwrap();
            assert_eq!(changed["method"], "notifications/tools/list_changed");
            assert_eq!(changed["params"]["_meta"][SUBSCRIPTION], "m");
        }
    }
}

#[tokio::test]
async fn a_legacy_client_hears_on_its_stream_what_servers_of_either_era_tell() {
    for revision in ERAS {
        let door = Door::open().await;
        let token = door.alice().await;
        let telling = Telling::start(revision).await;
        door.house.gateway(&telling.upstream).await;
        let client = door.client(&token, "/mcp").initialized(V11).await;
        let mut stream = Events::of(client.bare("GET", &[]).await);
        assert_eq!(client.call("resources/subscribe", r#"{"uri":"file:///x"}"#).await.result(), json!({}));
        telling
            .tell("notifications/resources/updated", json!({"uri": "file:///x", "_meta": {SUBSCRIPTION: 7}}));
        let updated = stream.next().await.unwrap();
        assert_eq!(updated["params"], json!({"uri": "file:///x"}), "{revision}");
        telling.tell("notifications/tools/list_changed", json!({}));
        assert_eq!(stream.next().await.unwrap()["method"], "notifications/tools/list_changed");
        assert_eq!(client.call("resources/unsubscribe", r#"{"uri":"file:///x"}"#).await.result(), json!({}));
        let names_it = |seen: &crate::upstream::tests::fixture::Seen| {
            seen.json()["params"]["notifications"].get("resourceSubscriptions").is_some()
        };
        // How many streams there were before is open: one that begins late names the resource from the start.
        let gone = |seen: &crate::upstream::tests::fixture::Seen| {
            let listens = telling.upstream.seen("subscriptions/listen");
            seen.method() == "resources/unsubscribe"
                || (listens.iter().any(names_it) && listens.last().is_some_and(|last| !names_it(last)))
        };
        telling.upstream.wait_for(gone).await;
    }
}

#[tokio::test]
async fn trap_16_many_changes_of_a_list_are_told_once() {
    let door = Door::open().await;
    let token = door.alice().await;
    let telling = Telling::start(Revision::V2026_07_28).await;
    door.house.gateway(&telling.upstream).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let mut stream = Events::of(client.begin_modern("subscriptions/listen", filter(&["file:///x"])).await);
    stream.next().await.unwrap();
    for _ in 0..15 {
        telling.tell("notifications/tools/list_changed", json!({}));
    }
    telling.tell("notifications/resources/updated", json!({"uri": "file:///x"}));
    let mut changes = 0;
    while stream.next().await.unwrap()["method"] == "notifications/tools/list_changed" {
        changes += 1;
    }
    assert!(changes <= 2, "{changes}");
}

#[tokio::test]
async fn trap_16_a_gateway_that_comes_or_goes_changes_every_list() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp");
    let mut stream = Events::of(client.begin_modern("subscriptions/listen", filter(&[])).await);
    stream.next().await.unwrap();
    let upstream = Upstream::plain(Revision::V2026_07_28).await;
    door.house.gateway(&upstream).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_listening_stream_ends_with_its_token_by_a_result() {
    let door = Door::open().await;
    let token = door.alice().await;
    let client = door.client(&token, "/mcp");
    let mut stream = Events::of(client.begin_modern("subscriptions/listen", filter(&[])).await);
    stream.next().await.unwrap();
    let plain = ApiTokenPlain::new(token.as_str());
    let caller = door.house.broker.caller_by_api_token(&plain, None).await.unwrap().unwrap();
    let id = door.house.broker.api_tokens(&caller).await.unwrap()[0].id;
    door.house.broker.end_api_token(&door.house.alice, id).await.unwrap();
    let end = stream.next().await.unwrap();
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!("m"), &json!("complete")));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn what_a_server_tells_ends_with_the_grant() {
    for revision in ERAS {
        let door = Door::open().await;
        let token = door.alice().await;
        let telling = Telling::start(revision).await;
        let gateway = door.house.gateway(&telling.upstream).await;
        let client = door.client(&token, "/gateways/up/mcp");
        let mut stream = Events::of(client.begin_modern("subscriptions/listen", filter(&[])).await);
        stream.next().await.unwrap();
        assert_eq!(telling.listeners(), 1, "{revision}");
        door.cut(door.house.alice.user.id, gateway.id);
        // The lists may be others now; and the server's stream is closed.
        assert_eq!(stream.next().await.unwrap()["method"], "notifications/tools/list_changed");
        let closed = async {
            while telling.listeners() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), closed).await.expect("the stream is closed");
    }
}

#[tokio::test]
async fn a_server_without_news_is_not_listened_to() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::plain(Revision::V2025_11_25).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    let _stream = client.bare("GET", &[]).await;
    let refused = client.call("resources/subscribe", r#"{"uri":"file:///x"}"#).await;
    assert_eq!(refused.code(), -32_603);
    assert!(refused.text.contains("does not tell of changes"), "{refused:?}");
    assert!(upstream.seen("GET").is_empty());
}

/// A server that says five things, each when it is told to, and then answers.
async fn telling(go_on: Arc<Notify>) -> Upstream {
    Upstream::with(Revision::V2025_11_25, move |seen| {
        let go_on = Arc::clone(&go_on);
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let id = seen.json()["id"].clone();
            let said = stream::unfold(0, move |n| {
                let (go_on, id) = (Arc::clone(&go_on), id.clone());
                async move {
                    if n > 0 {
                        go_on.notified().await;
                    }
                    let message = match n {
                        0..5 => {
                            json!({"jsonrpc": "2.0", "method": "notifications/vendor", "params": {"n": n}})
                        }
                        5 => json!({"jsonrpc": "2.0", "id": id, "result": {"n": n}}),
                        _ => return None,
                    };
                    Some((event(&message), n + 1))
                }
            });
            Some(events(said.boxed()))
        }
    })
    .await
}

#[tokio::test]
async fn trap_5_a_dropped_stream_is_resumed_after_the_last_event_exactly_once_and_alone() {
    let door = Door::open().await;
    let token = door.alice().await;
    let go_on = Arc::new(Notify::new());
    let upstream = telling(Arc::clone(&go_on)).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    let mut other = Events::of(client.begin(&legacy("tools/call", r#"{"name":"other"}"#)).await);
    other.next().await.unwrap();
    let mut stream = Events::of(client.begin(&legacy("tools/call", r#"{"name":"x"}"#)).await);
    assert_eq!(stream.next().await.unwrap()["params"]["n"], 0);
    let seen = stream.last_id.clone().unwrap();
    drop((stream, other));
    let resumed = client.bare("GET", &[("last-event-id", &seen)]).await;
    let mut resumed = Events::of(resumed);
    for n in 1..=5 {
        // The other call listens too: whoever is woken goes on.
        go_on.notify_waiters();
        go_on.notify_one();
        let message = loop {
            go_on.notify_waiters();
            let next = tokio::time::timeout(std::time::Duration::from_millis(20), resumed.next()).await;
            if let Ok(message) = next {
                break message.unwrap();
            }
        };
        let found = if n == 5 { &message["result"]["n"] } else { &message["params"]["n"] };
        assert_eq!(found, n);
    }
    assert_eq!(resumed.next().await, None);
    // Again from the same place: the same events again, from the buffer alone.
    let mut again = Events::of(client.bare("GET", &[("last-event-id", &seen)]).await);
    assert_eq!(again.next().await.unwrap()["params"]["n"], 1);
    for unknown in ["nobody.1", "x", &format!("{seen}0")] {
        let refused = client.bare("GET", &[("last-event-id", unknown)]).await;
        assert_eq!(refused.status(), 400, "{unknown}");
    }
    let second = door.client(&token, "/gateways/up/mcp").initialized(V11).await;
    assert_eq!(second.bare("GET", &[("last-event-id", &seen)]).await.status(), 400, "another session's");
}

#[tokio::test]
async fn a_stream_begins_with_an_event_that_names_it_for_clients_that_know_of_that() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = telling(Arc::new(Notify::new())).await;
    door.house.gateway(&upstream).await;
    for (version, primed) in [(V11, true), ("2025-06-18", false)] {
        let client = door.client(&token, "/gateways/up/mcp").initialized(version).await;
        let response = client.begin(&legacy("tools/call", r#"{"name":"x"}"#)).await;
        let first = response.into_body().into_data_stream().next().await.unwrap().unwrap();
        let first = std::str::from_utf8(&first).unwrap().to_owned();
        assert_eq!(first.contains("retry: ") && first.contains("data: \n"), primed, "{first}");
        assert!(first.starts_with("id: "), "{first}");
    }
}
