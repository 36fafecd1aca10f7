//! What is too much: who is told to come back, and who is not.

use super::harness::{Answer, Client, Door, Events};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{House, Upstream, answer_to, events};
use doorward_domain::{Audience, Limits};
use futures_util::stream;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A server whose tool hangs until the test lets calls go on.
struct Hanging {
    upstream: Upstream,
    arrived: Arc<Semaphore>,
    goes_on: Arc<Semaphore>,
}

impl Hanging {
    async fn start() -> Self {
        let (arrived, goes_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let gates = (Arc::clone(&arrived), Arc::clone(&goes_on));
        let upstream = Upstream::with(Revision::V2026_07_28, move |seen| {
            let (arrived, goes_on) = gates.clone();
            async move {
                if seen.method() != "tools/call" {
                    return None;
                }
                arrived.add_permits(1);
                goes_on.acquire().await.unwrap().forget();
                Some(answer_to(&seen, r#"{"content":[]}"#))
            }
        })
        .await;
        Self { upstream, arrived, goes_on }
    }

    /// Begins a call and comes back when it hangs.
    async fn hang<'a>(&self, client: &'a Client<'a>) -> impl Future<Output = Answer> + use<'a> {
        let mut call = Box::pin(client.modern("tools/call", call()));
        tokio::select! {
            permit = self.arrived.acquire() => permit.unwrap().forget(),
            answer = &mut call => panic!("it did not hang: {answer:?}"),
        }
        call
    }
}

fn call() -> Value {
    json!({"name": "x", "arguments": {}})
}

async fn limited(limits: Limits) -> Door {
    Door::of(House::limited(limits).await)
}

fn is_refused(answer: &Answer, says: &str) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let error = &answer.json()["error"];
    assert_eq!(error["data"]["retry_after_seconds"], wait);
    assert!(error["message"].as_str().unwrap().contains(says), "{error}");
}

#[tokio::test]
async fn one_hanging_gateway_takes_nobody_elses_calls_and_none_at_other_gateways() {
    let door = limited(Limits { calls_at_once_per_user: 2, ..Limits::default() }).await;
    let alice = door.alice().await;
    let bob = door.token(&door.house.person("bob").await, "bob", Audience::Mcp, None).await;
    let slow = Hanging::start().await;
    door.house.gateway(&slow.upstream).await;
    let well = Upstream::plain(Revision::V2026_07_28).await;
    door.house.gateway_named(&well, "well").await;

    let client = door.client(&alice, "/gateways/up/mcp");
    let (first, second) = (slow.hang(&client).await, slow.hang(&client).await);
    let refused = client.modern("tools/call", call()).await;
    is_refused(&refused, "there may be 2 calls of yours running at this gateway");
    let old = door.client(&alice, "/gateways/up/mcp").initialized("2025-11-25").await;
    is_refused(&old.call("tools/call", &call().to_string()).await, "2 calls of yours");

    let elsewhere = door.client(&alice, "/gateways/well/mcp").modern("tools/call", call()).await;
    assert_eq!(elsewhere.status, 200, "{elsewhere:?}");
    let other = door.client(&bob, "/gateways/up/mcp");
    let third = slow.hang(&other).await;
    slow.goes_on.add_permits(4);
    for answer in [first.await, second.await, third.await] {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let again = client.modern("tools/call", call()).await;
    assert_eq!(again.status, 200, "an ended call gives its place back: {again:?}");
}

#[tokio::test]
async fn a_streamed_answer_counts_until_its_client_has_it_or_is_gone() {
    let door = limited(Limits { calls_at_once_per_gateway: 1, ..Limits::default() }).await;
    let token = door.alice().await;
    let upstream = Upstream::with(Revision::V2026_07_28, |seen| async move {
        (seen.method() == "tools/call").then(|| events(stream::pending()))
    })
    .await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let streaming = Events::of(client.begin_modern("tools/call", call()).await);
    is_refused(&client.modern("tools/call", call()).await, "there may be 1 calls running at this gateway");
    drop(streaming);
    let again = client.begin_modern("tools/call", call()).await;
    assert_eq!(again.status(), 200);
}

#[tokio::test]
async fn requests_by_the_minute_are_a_persons_own_and_say_when_to_come_back() {
    let door = limited(Limits { requests_per_minute_per_user: 3, ..Limits::default() }).await;
    let alice = door.alice().await;
    let bob = door.token(&door.house.person("bob").await, "bob", Audience::Mcp, None).await;
    door.house.gateway(&Upstream::plain(Revision::V2026_07_28).await).await;
    let client = door.client(&alice, "/gateways/up/mcp");
    for _ in 0..3 {
        assert_eq!(client.modern("tools/list", json!({})).await.status, 200);
    }
    is_refused(&client.modern("tools/list", json!({})).await, "there may be 3 requests of yours in a minute");
    let other = door.client(&bob, "/gateways/up/mcp").modern("tools/list", json!({})).await;
    assert_eq!(other.status, 200, "{other:?}");
}

#[tokio::test]
async fn a_persons_streams_have_a_number() {
    let door = limited(Limits { streams_per_user: 1, ..Limits::default() }).await;
    let token = door.alice().await;
    door.house.gateway(&Upstream::plain(Revision::V2026_07_28).await).await;
    let client = door.client(&token, "/gateways/up/mcp");
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let open = Events::of(client.begin_modern("subscriptions/listen", wanted.clone()).await);
    is_refused(
        &client.modern("subscriptions/listen", wanted.clone()).await,
        "there may be 1 streams of yours",
    );
    drop(open);
    assert_eq!(client.begin_modern("subscriptions/listen", wanted).await.status(), 200);
}

#[tokio::test]
async fn a_new_session_takes_the_place_of_the_one_that_was_unused_longest() {
    let door = limited(Limits { sessions_per_user: 2, ..Limits::default() }).await;
    let token = door.alice().await;
    door.house.gateway(&Upstream::plain(Revision::V2025_11_25).await).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        door.house.clock.advance(std::time::Duration::from_secs(70));
        sessions.push(door.client(&token, "/gateways/up/mcp").initialized("2025-11-25").await);
    }
    let statuses: Vec<_> = sessions.iter().map(|session| session.call("ping", "{}")).collect();
    let statuses: Vec<u16> =
        futures_util::future::join_all(statuses).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [404, 200, 200]);
}
