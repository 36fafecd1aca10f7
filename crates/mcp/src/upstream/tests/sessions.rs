//! Upstream sessions: whose they are, how they end, and that ids and tokens never meet another's.

use super::fixture::{House, Upstream, answer_to, client, json, message};
use crate::revision::Revision;
use futures_util::future::join_all;
use std::collections::HashSet;

const LEGACY: Revision = Revision::V2025_11_25;

#[tokio::test]
async fn trap_8_fifty_calls_that_meet_a_lost_session_open_one_new_session() {
    let house = House::new().await;
    let upstream = Upstream::plain(LEGACY).await;
    let gateway = house.gateway(&upstream).await;
    let ours = client(LEGACY);
    let burst = || join_all((0..50).map(|_| house.text(&gateway, &ours, "tools/call", r#"{"name":"x"}"#)));
    burst().await;
    assert_eq!(upstream.seen("initialize").len(), 1);
    upstream.end_session();
    burst().await;
    assert_eq!(upstream.seen("initialize").len(), 2);
    assert_eq!(upstream.seen("notifications/initialized").len(), 2);
}

#[tokio::test]
async fn a_session_that_is_lost_at_once_is_an_error() {
    let house = House::new().await;
    let upstream =
        Upstream::with(
            LEGACY,
            |seen| async move { (seen.method() == "tools/list").then(|| json(404, "{}")) },
        )
        .await;
    let gateway = house.gateway(&upstream).await;
    let error = house.call(&gateway, &client(LEGACY), "tools/list", "{}").await.err().unwrap();
    assert!(error.to_string().contains("HTTP 404"), "{error}");
    assert_eq!(upstream.seen("initialize").len(), 2);
}

#[tokio::test]
async fn a_400_without_an_id_also_means_a_lost_session() {
    let house = House::new().await;
    let upstream = Upstream::with(LEGACY, |seen| async move {
        let lost = seen.method() == "tools/list" && seen.header("mcp-session-id") == Some("s1");
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid session"}}"#;
        lost.then(|| json(400, body))
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    house.text(&gateway, &client(LEGACY), "tools/list", "{}").await;
    assert_eq!(upstream.seen("initialize").len(), 2);
}

#[tokio::test]
async fn trap_7_users_and_kinds_of_clients_have_sessions_of_their_own() {
    let house = House::new().await;
    let bob = house.person("bob").await;
    let sessions = std::sync::atomic::AtomicU64::new(0);
    let upstream = Upstream::with(LEGACY, move |seen| {
        let number = sessions.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            match seen.method() {
                "initialize" => {
                    let mut response = answer_to(&seen, r#"{"protocolVersion":"2025-11-25"}"#);
                    response.headers_mut().insert("mcp-session-id", format!("n{number}").parse().unwrap());
                    Some(response)
                }
                "tools/list" => Some(answer_to(&seen, "{}")),
                _ => None,
            }
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let call = ("tools/list", "{}", "1");
    for caller in [&house.alice, &bob, &house.alice] {
        house.call_as(caller, &gateway, &client(LEGACY), call, true).await.unwrap();
    }
    house.call_as(&bob, &gateway, &client(Revision::V2025_06_18), call, true).await.unwrap();
    let sessions: Vec<_> =
        upstream.seen("tools/list").iter().map(|s| s.header("mcp-session-id").unwrap().to_owned()).collect();
    assert_eq!(sessions[0], sessions[2]);
    assert_eq!(sessions.iter().collect::<HashSet<_>>().len(), 3);
}

#[tokio::test]
async fn trap_1_equal_ids_of_two_clients_stay_apart_and_keep_their_type() {
    let house = House::new().await;
    let upstream = Upstream::plain(LEGACY).await;
    let gateway = house.gateway(&upstream).await;
    let ours = client(LEGACY);
    let ids = ["1", "\"1\"", "1", "\"\\u0031\""];
    let calls = ids
        .map(|id| house.call_as(&house.alice, &gateway, &ours, ("tools/call", r#"{"name":"x"}"#, id), true));
    for (id, answer) in ids.iter().zip(join_all(calls).await) {
        assert!(message(answer.unwrap()).contains(&format!("\"id\":{id},")));
    }
    let upstream_ids: HashSet<_> =
        upstream.seen("tools/call").iter().map(|seen| seen.id().to_owned()).collect();
    assert_eq!(upstream_ids.len(), 4);
}

#[tokio::test]
async fn an_edited_gateway_gets_new_sessions() {
    let house = House::new().await;
    let upstream = Upstream::plain(LEGACY).await;
    let gateway = house.gateway(&upstream).await;
    house.text(&gateway, &client(LEGACY), "tools/list", "{}").await;
    let edited = std::sync::Arc::new(doorward_domain::Gateway { version: 2, ..(*gateway).clone() });
    house.text(&edited, &client(LEGACY), "tools/list", "{}").await;
    assert_eq!((upstream.seen("server/discover").len(), upstream.seen("initialize").len()), (2, 2));
}

#[tokio::test]
async fn a_new_consent_ends_the_sessions_of_the_account_before() {
    let house = House::new().await;
    let bob = house.person("bob").await;
    let upstream = Upstream::with(LEGACY, |seen| async move {
        (seen.method() == "tools/list").then(|| answer_to(&seen, "{}"))
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let list = ("tools/list", "{}", "1");
    for caller in [&house.alice, &bob] {
        house.call_as(caller, &gateway, &client(LEGACY), list, true).await.unwrap();
    }
    house.upstreams.inner.drop_links(bob.user.id, gateway.id);
    for caller in [&house.alice, &bob] {
        house.call_as(caller, &gateway, &client(LEGACY), list, true).await.unwrap();
    }
    assert_eq!(upstream.seen("initialize").len(), 3);
}
