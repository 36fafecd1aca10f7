//! Servers that ask their clients something, or tell them unasked, in their own era's way.

use crate::revision::Revision;
use crate::upstream::tests::fixture::{Seen, Upstream, answer_to, events};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

type Slot = Arc<Mutex<Option<mpsc::UnboundedSender<Value>>>>;

pub(super) fn event(message: &Value) -> String {
    format!("data: {message}\n\n")
}

/// A legacy server whose tools ask these questions, all at once, and answer with what they were told.
pub(super) async fn asking(questions: Vec<Value>) -> Upstream {
    let waiting: Slot = Arc::default();
    Upstream::with(Revision::V2025_11_25, move |seen| {
        let (waiting, questions) = (Arc::clone(&waiting), questions.clone());
        async move { asks(&seen, &waiting, questions) }
    })
    .await
}

fn asks(seen: &Seen, waiting: &Slot, questions: Vec<Value>) -> Option<Response> {
    if seen.http != http::Method::POST {
        return None;
    }
    if seen.envelope().method.is_none() {
        let waiting = waiting.lock().unwrap().clone()?;
        waiting.send(seen.json()).unwrap();
        return Some(Response::builder().status(202).body(axum::body::Body::empty()).unwrap());
    }
    if !matches!(seen.method(), "tools/call" | "prompts/get") {
        return None;
    }
    let (sender, mut answers) = mpsc::unbounded_channel();
    *waiting.lock().unwrap() = Some(sender);
    let count = questions.len();
    let asked = questions.into_iter().enumerate().map(|(id, mut question)| {
        question["jsonrpc"] = json!("2.0");
        question["id"] = json!(id);
        event(&question)
    });
    let id = seen.json()["id"].clone();
    let last = stream::once(async move {
        let mut told = Vec::new();
        for _ in 0..count {
            told.push(answers.recv().await.unwrap());
        }
        event(&json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "told": told}}))
    });
    Some(events(stream::iter(asked.collect::<Vec<_>>()).chain(last)))
}

/// A modern server whose tool wants this input before it answers with what it was told.
pub(super) async fn wanting(requests: Value, state: Value) -> Upstream {
    Upstream::with(Revision::V2026_07_28, move |seen| {
        let (requests, state) = (requests.clone(), state.clone());
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            let params = seen.json()["params"].clone();
            let has_answers = params.get("inputResponses").is_some() || requests == json!({});
            if has_answers && params["requestState"] == state {
                let told = json!({"resultType": "complete", "content": [], "told": params["inputResponses"]});
                return Some(answer_to(&seen, &told.to_string()));
            }
            let asked =
                json!({"resultType": "input_required", "inputRequests": requests, "requestState": state});
            Some(answer_to(&seen, &asked.to_string()))
        }
    })
    .await
}

/// A server that tells of changed lists and updated resources, in the way of its era.
pub(super) struct Telling {
    pub(super) upstream: Upstream,
    tell: tokio::sync::broadcast::Sender<Value>,
}

impl Telling {
    pub(super) async fn start(revision: Revision) -> Self {
        let tell = tokio::sync::broadcast::Sender::new(16);
        let telling = tell.clone();
        let upstream = Upstream::with(revision, move |seen| {
            let tell = telling.clone();
            async move { tells(revision, &seen, &tell) }
        })
        .await;
        Self { upstream, tell }
    }

    /// How many streams are open.
    pub(super) fn listeners(&self) -> usize {
        self.tell.receiver_count()
    }

    /// Tells every open stream.
    pub(super) fn tell(&self, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.tell.send(message).expect("somebody listens");
    }
}

fn tells(revision: Revision, seen: &Seen, tell: &tokio::sync::broadcast::Sender<Value>) -> Option<Response> {
    let can = json!({
        "tools": {"listChanged": true}, "prompts": {}, "resources": {"listChanged": true, "subscribe": true},
    });
    match seen.method() {
        "server/discover" if revision.is_modern() => Some(answer_to(
            seen,
            &json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": can,
                "ttlMs": 0, "cacheScope": "private",
            })
            .to_string(),
        )),
        "initialize" if !revision.is_modern() => {
            let facts = json!({
                "protocolVersion": revision.as_str(), "capabilities": can, "serverInfo": {"name": "n"},
            });
            let mut response = answer_to(seen, &facts.to_string());
            response.headers_mut().insert("mcp-session-id", "s0".parse().unwrap());
            Some(response)
        }
        "resources/list" => {
            let list = json!({
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "resources": [{"uri": "file:///x", "name": "x"}],
            });
            Some(answer_to(seen, &list.to_string()))
        }
        "subscriptions/listen" => {
            let acknowledged = json!({
                "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": {"notifications": seen.json()["params"]["notifications"]},
            });
            Some(open(event(&acknowledged), tell))
        }
        "GET" => Some(open(": open\n\n".to_owned(), tell)),
        _ => None,
    }
}

fn open(first: String, tell: &tokio::sync::broadcast::Sender<Value>) -> Response {
    let told =
        stream::unfold(
            tell.subscribe(),
            |mut told| async move { Some((event(&told.recv().await.ok()?), told)) },
        );
    events(stream::once(std::future::ready(first)).chain(told))
}

/// The answer to any of the four lists: these tools, and nothing else.
pub(super) fn listing(seen: &Seen, tools: Value) -> Option<Response> {
    let (list, items) = match seen.method() {
        "tools/list" => ("tools", tools),
        "prompts/list" => ("prompts", json!([])),
        "resources/list" => ("resources", json!([])),
        "resources/templates/list" => ("resourceTemplates", json!([])),
        _ => return None,
    };
    Some(answer_to(seen, &json!({"resultType": "complete", list: items}).to_string()))
}
