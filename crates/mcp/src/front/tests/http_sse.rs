//! Servers that know only the transport of 2024-11-05: one event stream for all answers, and a URL for messages.

use super::harness::{Door, Events, legacy};
use super::relayed::{ALL, call, form, legacy_client, retry};
use super::upstreams::event;
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Seen, Upstream, events, gateway_at};
use axum::body::Body;
use axum::response::Response;
use doorward_domain::{EraChoice, Gateway};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

type Stream = mpsc::UnboundedSender<String>;

#[derive(Default)]
struct Saying {
    /// The open streams, oldest first.
    streams: Vec<Stream>,
    /// The call that waits for its client's answer.
    waiting: Option<(Stream, Value)>,
}

type Said = Arc<Mutex<Saying>>;

/// A server of 2024-11-05. Its tool `ask` asks its client and answers at once, `wait` waits for the client's answer.
#[derive(Clone)]
struct Old {
    upstream: Upstream,
    said: Said,
}

impl Old {
    /// One whose stream names this URL for messages.
    async fn naming(endpoint: &'static str) -> Self {
        let said: Said = Arc::default();
        let all = Arc::clone(&said);
        let upstream = Upstream::with(Revision::V2025_11_25, move |seen| {
            let all = Arc::clone(&all);
            async move { Some(answers(&seen, &all, endpoint)) }
        })
        .await;
        Self { upstream, said }
    }

    async fn start() -> Self {
        Self::naming("/messages?session=7").await
    }

    /// Ends all streams, as a restart does.
    fn restart(&self) {
        self.said.lock().unwrap().streams.clear();
    }
}

fn answers(seen: &Seen, said: &Said, endpoint: &'static str) -> Response {
    if seen.http == http::Method::GET {
        let (sender, receiver) = mpsc::unbounded_channel();
        sender.send(format!("event: endpoint\ndata: {endpoint}\n\n")).unwrap();
        said.lock().unwrap().streams.push(sender);
        return events(
            stream::unfold(receiver, |mut all| async move { Some((all.recv().await?, all)) }).boxed(),
        );
    }
    let status = |status: u16| Response::builder().status(status).body(Body::empty()).unwrap();
    // Streamable HTTP would be a POST here.
    if seen.path != "/messages?session=7" {
        return status(405);
    }
    let Some(stream) = said.lock().unwrap().streams.last().cloned() else { return status(404) };
    let say = |message: Value| stream.send(event(&message)).unwrap();
    let message = seen.json();
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    match message["method"].as_str() {
        // An answer to what a tool asked.
        None => {
            if let Some((stream, answer)) = said.lock().unwrap().waiting.take() {
                stream.send(event(&answer)).unwrap();
            }
        }
        Some("initialize") => say(result(json!({"protocolVersion": "2024-11-05",
            "capabilities": {"tools": {}}, "serverInfo": {"name": "old", "version": "1"}}))),
        Some("tools/call") => {
            let answer = called(&message, &say, result);
            match message["params"]["name"].as_str() {
                Some("wait") => said.lock().unwrap().waiting = Some((stream.clone(), answer)),
                _ => say(answer),
            }
        }
        Some(method) if message.get("id").is_some() => say(result(json!({"method": method, "tools": []}))),
        Some(_) => {}
    }
    status(202)
}

/// Says what comes before the answer, and gives that.
fn called(message: &Value, say: &impl Fn(Value), result: impl Fn(Value) -> Value) -> Value {
    let token = &message["params"]["_meta"]["progressToken"];
    if !token.is_null() {
        let params = json!({"progressToken": token, "progress": 1});
        say(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
    }
    if message["params"]["name"] == "ask" || message["params"]["name"] == "wait" {
        let mut question = form();
        question["jsonrpc"] = json!("2.0");
        question["id"] = json!("q1");
        say(question);
    }
    result(json!({"content": [], "name": message["params"]["name"]}))
}

async fn gateway(door: &Door, old: &Old, era: EraChoice) {
    door.house.register(Gateway { era, ..gateway_at(&old.upstream.url) }).await;
}

#[tokio::test]
async fn a_server_of_http_with_sse_is_found_by_the_documented_probe_and_serves_both_eras() {
    let door = Door::open().await;
    let token = door.alice().await;
    let old = Old::start().await;
    gateway(&door, &old, EraChoice::Automatic).await;
    let modern = door.client(&token, "/gateways/up/mcp").can("{}");
    let answer = modern.modern("tools/call", call()).await.result();
    assert_eq!((&answer["name"], &answer["resultType"]), (&json!("x"), &json!("complete")));
    let methods: Vec<_> =
        old.upstream.all().iter().map(|seen| (seen.method().to_owned(), seen.path.clone())).collect();
    let at = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    let (own, messages) = ("/mcp", "/messages?session=7");
    let expected = [
        at("server/discover", own),
        at("initialize", own),
        at("GET", own),
        at("initialize", messages),
        at("notifications/initialized", messages),
        at("tools/call", messages),
    ];
    assert_eq!(methods, expected);
    let client = legacy_client(&door, &token, "{}").await;
    let params = r#"{"name":"log","_meta":{"progressToken":"mine"}}"#;
    let mut on_call = Events::of(client.begin(&legacy("tools/call", params)).await);
    let progress = on_call.next().await.unwrap();
    assert_eq!(progress["params"], json!({"progressToken": "mine", "progress": 1}));
    assert_eq!(on_call.next().await.unwrap()["result"]["name"], "log");
    assert_eq!(old.upstream.seen("server/discover").len(), 1, "what was found is remembered");
}

#[tokio::test]
async fn a_pinned_gateway_is_not_probed() {
    for (era, first) in [
        (EraChoice::HttpSse, "GET"),
        (EraChoice::Legacy, "initialize"),
        (EraChoice::Modern, "server/discover"),
    ] {
        let door = Door::open().await;
        let token = door.alice().await;
        let old = Old::start().await;
        gateway(&door, &old, era).await;
        let client = door.client(&token, "/gateways/up/mcp").can("{}");
        let answer = client.modern("tools/call", call()).await;
        assert_eq!(old.upstream.all()[0].method(), first, "{era:?}");
        match era {
            EraChoice::HttpSse => assert_eq!(answer.result()["name"], "x"),
            EraChoice::Modern => assert!(answer.text.contains("an administrator has set"), "{answer:?}"),
            EraChoice::Legacy | EraChoice::Automatic => {
                assert!(answer.text.contains("no MCP server at this URL"), "{answer:?}");
                assert_eq!(old.upstream.seen("GET").len(), 0);
            }
        }
    }
}

#[tokio::test]
async fn messages_and_tokens_never_go_to_another_origin_than_the_gateways() {
    let door = Door::open().await;
    let token = door.alice().await;
    let elsewhere = Upstream::plain(Revision::V2025_11_25).await;
    let old = Old::naming(elsewhere.url.clone().leak()).await;
    gateway(&door, &old, EraChoice::Automatic).await;
    let client = door.client(&token, "/gateways/up/mcp").can("{}");
    let answer = client.modern("tools/call", call()).await;
    assert!(answer.text.contains("another origin than the gateway"), "{answer:?}");
    assert!(elsewhere.all().is_empty());
}

#[tokio::test]
async fn a_question_on_the_one_stream_reaches_the_client_of_its_call_in_both_eras() {
    let door = Door::open().await;
    let token = door.alice().await;
    let old = Old::start().await;
    gateway(&door, &old, EraChoice::Automatic).await;
    let ask = r#"{"name":"ask","arguments":{}}"#;
    let client = legacy_client(&door, &token, ALL).await;
    let mut on_call = Events::of(client.begin(&legacy("tools/call", ask)).await);
    let question = on_call.next().await.unwrap();
    assert_eq!(question["method"], "elicitation/create");
    client.answer(&question["id"], json!({"action": "accept"})).await;
    assert_eq!(on_call.next().await.unwrap()["result"]["name"], "ask");
    let client = door.client(&token, "/gateways/up/mcp").can(ALL);
    let params: Value = serde_json::from_str(ask).unwrap();
    let asked = client.modern("tools/call", params.clone()).await.result();
    assert_eq!(asked["inputRequests"]["ask-1"], form());
    let mut again = retry(&asked, json!({"ask-1": {"action": "accept"}}));
    (again["name"], again["arguments"]) = (params["name"].clone(), params["arguments"].clone());
    assert_eq!(client.modern("tools/call", again).await.result()["name"], "ask");
    let told = old.upstream.wait_for(|seen| seen.body.contains("\"q1\"")).await;
    assert_eq!(told.json()["result"]["action"], "accept");
}

#[tokio::test]
async fn a_server_that_was_restarted_is_connected_to_again() {
    let door = Door::open().await;
    let token = door.alice().await;
    let old = Old::start().await;
    gateway(&door, &old, EraChoice::HttpSse).await;
    let client = door.client(&token, "/gateways/up/mcp").can("{}");
    client.modern("tools/call", call()).await.result();
    old.restart();
    assert_eq!(client.modern("tools/call", call()).await.result()["name"], "x");
    assert_eq!(old.upstream.seen("GET").len(), 2);
}

#[tokio::test]
async fn the_one_stream_ends_with_its_users_access() {
    let door = Door::open().await;
    let token = door.alice().await;
    let old = Old::start().await;
    let gateway =
        door.house.register(Gateway { era: EraChoice::HttpSse, ..gateway_at(&old.upstream.url) }).await;
    let client = door.client(&token, "/gateways/up/mcp").can("{}");
    client.modern("tools/call", call()).await.result();
    let stream = old.said.lock().unwrap().streams[0].clone();
    door.cut(door.house.alice.user.id, gateway.id);
    tokio::time::timeout(std::time::Duration::from_secs(10), stream.closed()).await.unwrap();
}

#[tokio::test]
async fn a_call_goes_on_when_the_link_it_began_on_has_been_replaced() {
    let door = Door::open().await;
    let token = door.alice().await;
    let old = Old::start().await;
    gateway(&door, &old, EraChoice::HttpSse).await;
    let client = legacy_client(&door, &token, ALL).await;
    let ask = legacy("tools/call", r#"{"name":"wait"}"#);
    let mut on_call = Events::of(client.begin(&ask).await);
    let question = on_call.next().await.unwrap();
    // An edit makes new links; the running call still hears its own.
    let found = door.house.storage.all_gateways().await.unwrap().remove(0);
    let audit = doorward_domain::NewAuditEvent::new(doorward_domain::Actor::System, "gateway.update");
    let _ = door.house.storage.update_gateway(&found, None, audit).await.unwrap();
    assert_eq!(client.call("tools/call", r#"{"name":"x"}"#).await.result()["name"], "x");
    assert_eq!(old.upstream.seen("GET").len(), 2);
    client.answer(&question["id"], json!({"action": "accept"})).await;
    assert_eq!(on_call.next().await.unwrap()["result"]["name"], "wait");
}
