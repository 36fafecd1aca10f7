//! Servers of the legacy era that speak beside the answers to POSTs.

use super::harness::{Door, Events, legacy};
use super::relayed::{ALL, CALL, call, form, legacy_client, retry};
use super::upstreams::event;
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Seen, Upstream, events};
use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// A call, by its id, and where its answers go.
type Waiting = (u64, mpsc::UnboundedSender<Value>);

/// What the server says on its session's stream, and the calls that wait for answers, oldest first.
#[derive(Clone, Default)]
struct Beside {
    said: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>,
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

/// A server whose tools ask on the session's own stream, as SDKs do that do not say which call it is about.
async fn asking_beside() -> Upstream {
    let beside = Beside::default();
    Upstream::with(Revision::V2025_11_25, move |seen| {
        let beside = beside.clone();
        async move { beside.answers(&seen) }
    })
    .await
}

impl Beside {
    fn answers(&self, seen: &Seen) -> Option<Response> {
        if seen.http == http::Method::GET {
            let (sender, receiver) = mpsc::unbounded_channel();
            *self.said.lock().unwrap() = Some(sender);
            let said = stream::unfold(receiver, |mut all| async move { Some((all.recv().await?, all)) });
            // Some clients wait for the headers, which come with the first bytes.
            return Some(events(stream::iter([": open\n\n".to_owned()]).chain(said)));
        }
        if seen.http != http::Method::POST {
            return None;
        }
        if seen.envelope().method.is_none() {
            let answer = seen.json();
            let waiting = self.waiting.lock().unwrap();
            let (_, call) = waiting.iter().find(|(id, _)| answer["id"] == *id).unwrap();
            call.send(answer).unwrap();
            return Some(Response::builder().status(202).body(Body::empty()).unwrap());
        }
        if seen.method() != "tools/call" {
            return None;
        }
        let (sender, mut answer) = mpsc::unbounded_channel();
        let mut waiting = self.waiting.lock().unwrap();
        let mut question = form();
        question["jsonrpc"] = json!("2.0");
        let number = waiting.len() as u64;
        question["id"] = json!(number);
        waiting.push((number, sender));
        self.said.lock().unwrap().as_ref().unwrap().send(event(&question)).unwrap();
        let id = seen.json()["id"].clone();
        let last = async move {
            let told = answer.recv().await.unwrap();
            event(&json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "told": told}}))
        };
        Some(events(stream::once(last)))
    }
}

#[tokio::test]
async fn trap_13_a_question_on_the_sessions_stream_reaches_the_only_call_that_it_can_belong_to() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking_beside().await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, ALL).await;
    let mut on_call = Events::of(client.begin(&legacy("tools/call", CALL)).await);
    let question = on_call.next().await.unwrap();
    assert_eq!(question["params"], form()["params"]);
    client.answer(&question["id"], json!({"action": "accept", "content": {"n": 1}})).await;
    let answer = on_call.next().await.unwrap();
    assert_eq!(answer["result"]["told"]["result"]["content"]["n"], 1);
    client.begin(&legacy("tools/call", CALL)).await;
    assert_eq!(upstream.seen("GET").len(), 1, "one stream serves all calls of a session");
}

#[tokio::test]
async fn bridge_b_a_question_on_the_sessions_stream_becomes_input_required() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking_beside().await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").can(ALL);
    let asked = client.modern("tools/call", call()).await.result();
    assert_eq!(asked["inputRequests"]["ask-1"], form());
    let answers = json!({"ask-1": {"action": "accept", "content": {"n": 1}}});
    let done = client.modern("tools/call", retry(&asked, answers)).await.result();
    assert_eq!(done["told"]["result"]["content"]["n"], 1);
}

#[tokio::test]
async fn trap_13_a_question_on_the_sessions_stream_that_could_be_two_clients_is_refused() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking_beside().await;
    door.house.gateway(&upstream).await;
    let (first, second) = (legacy_client(&door, &token, ALL).await, legacy_client(&door, &token, ALL).await);
    let mut on_first = Events::of(first.begin(&legacy("tools/call", CALL)).await);
    let question = on_first.next().await.unwrap();
    let refused = second.call("tools/call", CALL).await.result();
    assert_eq!(refused["told"]["result"], json!({"action": "cancel"}));
    first.answer(&question["id"], json!({"action": "decline"})).await;
    assert_eq!(on_first.next().await.unwrap()["result"]["told"]["result"]["action"], "decline");
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_causes_no_stream() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::plain(Revision::V2025_11_25).await;
    door.house.gateway(&upstream).await;
    let client = legacy_client(&door, &token, "{}").await;
    client.call("tools/call", CALL).await.result();
    assert_eq!(upstream.seen("GET").len(), 0);
}
