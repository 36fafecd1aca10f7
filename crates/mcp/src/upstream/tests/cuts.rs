//! What runs is cut when the grant under it ends.

use super::fixture::{House, Upstream, client, events};
use crate::revision::Revision;
use crate::upstream::{CallError, UpstreamAnswer};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::Notify;

const CALL: &str = r#"{"name":"x","_meta":{"progressToken":"mine"}}"#;

/// An upstream that begins a stream, says that it works, and then waits.
async fn working(revision: Revision) -> Upstream {
    Upstream::with(revision, |seen| async move {
        if seen.method() != "tools/call" {
            return None;
        }
        let params = format!(r#"{{"progressToken":{},"progress":1}}"#, seen.id());
        let note = format!(
            "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}\n\n"
        );
        Some(events(stream::iter([note]).chain(stream::pending())))
    })
    .await
}

#[tokio::test]
async fn an_open_stream_ends_with_an_error_when_its_grant_ends_whatever_the_clients_era() {
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        let house = House::new().await;
        let upstream = working(Revision::V2025_11_25).await;
        let gateway = house.gateway(&upstream).await;
        let answer = house.call(&gateway, &client(revision), "tools/call", CALL).await.unwrap();
        let UpstreamAnswer::Stream(mut events) = answer else { panic!("it is one message") };
        assert!(!events.next().await.unwrap().unwrap().last);
        house.upstreams.inner.runs.cut(house.alice.user.id, gateway.id);
        assert!(matches!(events.next().await, Some(Err(CallError::Ended { .. }))));
        assert!(events.next().await.is_none());
        // The upstream is told that nobody waits any more.
        upstream.wait_for(|seen| seen.method() == "notifications/cancelled").await;
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_answer_is_cut_and_another_users_is_not() {
    let house = House::new().await;
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    let upstream = Upstream::with(Revision::V2026_07_28, move |seen| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        async move {
            if seen.method() == "tools/call" {
                tell.notify_one();
                wait.notified().await;
            }
            None
        }
    })
    .await;
    let gateway = house.gateway(&upstream).await;
    let bob = house.person("bob").await;
    let editor = client(Revision::V2026_07_28);
    let of_bob = house.call_as(&bob, &gateway, &editor, ("tools/call", CALL, "2"), true);
    let of_alice = house.call(&gateway, &editor, "tools/call", CALL);
    let cut = async {
        arrived.notified().await;
        arrived.notified().await;
        house.upstreams.inner.runs.cut(house.alice.user.id, gateway.id);
        // Both waiting answers may come now.
        go_on.notify_waiters();
        go_on.notify_one();
        go_on.notify_one();
    };
    let (of_alice, of_bob, ()) = tokio::join!(of_alice, of_bob, cut);
    assert!(matches!(of_alice, Err(CallError::Ended { .. })));
    assert!(of_bob.is_ok());
}
