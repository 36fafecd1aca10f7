//! Tasks of 2025-11-25 between a client and a server of that revision, and what becomes of them where the eras differ.

use super::harness::{Answer, Client, Door, Events, legacy, request};
use super::upstreams::{event, listing};
use crate::revision::Revision;
use crate::upstream::tests::credentials::{grant, oauth_gateway};
use crate::upstream::tests::fixture::{Seen, Upstream, answer_to, error_to, events};
use axum::body::Body;
use axum::response::Response;
use doorward_domain::Audience;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{broadcast, mpsc};

const V11: &str = "2025-11-25";
const RELATED: &str = "io.modelcontextprotocol/related-task";
const CALL: &str = r#"{"name":"x","arguments":{"a":1},"task":{"ttl":60000}}"#;

/// A server of 2025-11-25 whose calls become tasks where their client wants that; the ids are the same at every one.
pub(super) struct Tasking {
    pub(super) upstream: Upstream,
    /// What it tells on the streams of its sessions.
    tell: broadcast::Sender<Value>,
}

type Slot = Arc<Mutex<Option<mpsc::UnboundedSender<Value>>>>;

impl Tasking {
    pub(super) async fn start() -> Self {
        let tell = broadcast::Sender::new(16);
        let (telling, answers) = (tell.clone(), Slot::default());
        let upstream = Upstream::with(Revision::V2025_11_25, move |seen| {
            let (tell, answers) = (telling.clone(), Arc::clone(&answers));
            async move { behave(&seen, &tell, &answers) }
        })
        .await;
        Self { upstream, tell }
    }

    fn tell(&self, status: &str) {
        let params = json!({"taskId": "t-1", "status": status, "n": 7});
        let told = json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": params});
        self.tell.send(told).expect("somebody listens");
    }

    async fn listened_to(&self) {
        let opened = async {
            while self.tell.receiver_count() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), opened).await.expect("it is listened to");
    }
}

fn behave(seen: &Seen, tell: &broadcast::Sender<Value>, answers: &Slot) -> Option<Response> {
    if seen.http == http::Method::GET {
        let told = stream::unfold(tell.subscribe(), |mut told| async move {
            Some((event(&told.recv().await.ok()?), told))
        });
        return Some(events(stream::iter([": open\n\n".to_owned()]).chain(told)));
    }
    if seen.http != http::Method::POST {
        return None;
    }
    let (body, answer) = (seen.json(), |result: Value| Some(answer_to(seen, &result.to_string())));
    if body.get("method").is_none() {
        answers.lock().unwrap().as_ref()?.send(body).unwrap();
        return Some(Response::builder().status(202).body(Body::empty()).unwrap());
    }
    let task = json!({
        "taskId": "t-1", "status": "working", "createdAt": "2026-01-01T00:00:00Z", "ttl": 60000, "pollInterval": 1, "n": 7,
    });
    let names_it = body["params"]["taskId"] == "t-1";
    match seen.method() {
        "initialize" => {
            let can = json!({"tools": {}, "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}});
            let mut response =
                answer(json!({"protocolVersion": V11, "capabilities": can, "serverInfo": {"name": "n"}}))?;
            response.headers_mut().insert("mcp-session-id", "s0".parse().unwrap());
            Some(response)
        }
        "server/discover" => Some(error_to(seen, 400, -32_601)),
        "tools/call" if body["params"]["task"].is_object() => answer(json!({"task": task})),
        "tools/call" => answer(json!({"content": [], "plain": true})),
        "tasks/get" if names_it => {
            let mut done = task;
            done["status"] = json!("completed");
            answer(done)
        }
        "tasks/cancel" if names_it => answer(task),
        "tasks/result" if names_it => Some(result_after_a_question(seen, answers)),
        "tasks/list" if body["params"]["cursor"] == "two" => {
            answer(json!({"tasks": [{"taskId": "t-2", "status": "completed", "n": 1.10}]}))
        }
        "tasks/list" => answer(json!({"tasks": [task], "nextCursor": "two"})),
        method if method.starts_with("tasks/") => Some(error_to(seen, 200, -32_602)),
        _ => listing(
            seen,
            json!([
                {"name": "x", "inputSchema": {}, "execution": {"taskSupport": "optional"}},
                {"name": "slow", "inputSchema": {}, "execution": {"taskSupport": "required"}},
            ]),
        ),
    }
}

/// The server asks in the course of the task, and tells what it was told.
fn result_after_a_question(seen: &Seen, answers: &Slot) -> Response {
    let (sender, mut told) = mpsc::unbounded_channel();
    *answers.lock().unwrap() = Some(sender);
    let related = json!({RELATED: {"taskId": "t-1"}});
    let question = json!({
        "jsonrpc": "2.0", "id": 5, "method": "elicitation/create",
        "params": {"message": "m", "requestedSchema": {"type": "object"}, "_meta": related},
    });
    let id = seen.json()["id"].clone();
    let last = stream::once(async move {
        let told = told.recv().await.unwrap();
        let result = json!({"content": [], "told": told["result"], "_meta": related});
        event(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
    });
    events(stream::iter([event(&question)]).chain(last))
}

async fn about(client: &Client<'_>, method: &str, id: &Value) -> Answer {
    client.call(method, &json!({"taskId": id}).to_string()).await
}

#[tokio::test]
async fn c7_a_task_of_2025_11_25_is_made_read_cancelled_and_asked_in_under_an_id_of_ours() {
    let door = Door::open().await;
    let token = door.alice().await;
    let (up, other) = (Tasking::start().await, Tasking::start().await);
    door.house.gateway_named(&up.upstream, "up").await;
    door.house.gateway_named(&other.upstream, "other").await;
    let bob = door.house.person("bob").await;
    let bobs = door.token(&bob, "bob", Audience::Mcp, None).await;
    for (path, name) in [("/gateways/up/mcp", "x"), ("/mcp", "up-x")] {
        let client = door.client(&token, path).initialized(V11).await;
        client.call("tools/list", "{}").await.result();
        let call = CALL.replace("\"x\"", &format!("\"{name}\""));
        let created = client.call("tools/call", &call).await.result();
        let id = created["task"]["taskId"].clone();
        assert!(id.is_string() && id != "t-1" && created["task"]["n"] == 7, "{created}");
        assert_eq!(
            up.upstream.seen("tools/call").last().unwrap().json()["params"]["task"],
            json!({"ttl": 60_000})
        );
        let read = about(&client, "tasks/get", &id).await.result();
        assert_eq!((&read["taskId"], &read["status"]), (&id, &json!("completed")), "{path}");
        assert_eq!(about(&client, "tasks/cancel", &id).await.result()["taskId"], id);
        let result = client.begin(&legacy("tasks/result", &json!({"taskId": id}).to_string())).await;
        let mut result = Events::of(result);
        let asked = result.next().await.unwrap();
        assert_eq!(
            (&asked["method"], &asked["params"]["_meta"][RELATED]["taskId"]),
            (&json!("elicitation/create"), &id)
        );
        client.answer(&asked["id"], json!({"action": "decline", "_meta": {RELATED: {"taskId": id}}})).await;
        let answer = result.next().await.unwrap()["result"].clone();
        assert_eq!(answer["_meta"][RELATED]["taskId"], id, "{path}");
        let told = json!({"action": "decline", "_meta": {RELATED: {"taskId": "t-1"}}});
        assert_eq!(answer["told"], told, "the server hears of its own task");
        for seen in up.upstream.all().iter().filter(|seen| seen.body.contains("taskId")) {
            assert!(seen.body.contains("t-1") && !seen.body.contains(id.as_str().unwrap()), "{}", seen.body);
        }
        // It serves alice at this server, and nobody and nothing else.
        for (token, path, id) in [
            (&bobs, "/gateways/up/mcp", &id),
            (&bobs, "/mcp", &id),
            (&token, "/gateways/other/mcp", &id),
            (&token, "/gateways/up/mcp", &json!("t-1")),
            (&token, "/mcp", &json!(format!("{}A", id.as_str().unwrap()))),
        ] {
            let client = door.client(token, path).initialized(V11).await;
            for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
                assert_eq!(about(&client, method, id).await.code(), -32_602, "{path} {method}");
            }
        }
    }
    assert!(other.upstream.all().iter().all(|seen| !seen.body.contains("taskId")));
}

#[tokio::test]
async fn the_list_of_tasks_is_merged_page_by_page_where_servers_can_tell_users_apart() {
    let door = Door::open().await;
    let token = door.alice().await;
    let (up, open) = (Tasking::start().await, Tasking::start().await);
    let gateway = oauth_gateway(&door.house, &up.upstream, "http://127.0.0.1:1").await;
    grant(&door.house, &door.house.alice, &gateway, "alice-token").await;
    door.house.gateway_named(&open.upstream, "open").await;
    for path in ["/gateways/up/mcp", "/mcp"] {
        let client = door.client(&token, path);
        let can = client.initialize(V11).await.result()["capabilities"]["tasks"].clone();
        assert!(can["list"].is_object() && can["requests"]["tools"]["call"].is_object(), "{path}: {can}");
        let client = client.initialized(V11).await;
        let first = client.call("tasks/list", "{}").await.result();
        let (first_id, cursor) = (first["tasks"][0]["taskId"].clone(), first["nextCursor"].clone());
        assert_eq!(first["tasks"].as_array().unwrap().len(), 1, "{path}");
        let second = client.call("tasks/list", &json!({"cursor": cursor}).to_string()).await;
        assert!(second.text.contains(r#""n":1.1"#), "{second:?}");
        let second = second.result();
        assert!(second["tasks"][0]["taskId"].is_string() && second.get("nextCursor").is_none(), "{second}");
        // The same task is called the same wherever it is named, and can be asked for.
        assert_eq!(client.call("tasks/list", "{}").await.result()["tasks"][0]["taskId"], first_id);
        assert_eq!(about(&client, "tasks/get", &first_id).await.result()["taskId"], first_id);
        let bob = door.house.person(if path == "/mcp" { "bob" } else { "bert" }).await;
        let bobs = door.token(&bob, &bob.user.name, Audience::Mcp, None).await;
        let bob = door.client(&bobs, "/mcp").initialized(V11).await;
        for cursor in [cursor, json!("x")] {
            let refused = bob.call("tasks/list", &json!({"cursor": cursor}).to_string()).await;
            assert_eq!(refused.code(), -32_602);
        }
    }
    assert!(open.upstream.seen("tasks/list").is_empty(), "it would tell everybody's tasks");
    let client = door.client(&token, "/gateways/open/mcp");
    let can = client.initialize(V11).await.result()["capabilities"]["tasks"].clone();
    assert_eq!(can, json!({"cancel": {}, "requests": {"tools": {"call": {}}}}));
    let refused = client.initialized(V11).await.call("tasks/list", "{}").await;
    assert!(refused.code() == -32_601 && refused.text.contains("asked for by its id"), "{refused:?}");
}

#[tokio::test]
async fn how_a_task_stands_is_told_to_the_session_that_made_it_under_its_id() {
    let door = Door::open().await;
    let token = door.alice().await;
    let up = Tasking::start().await;
    door.house.gateway(&up.upstream).await;
    let (maker, other) = (
        door.client(&token, "/gateways/up/mcp").initialized(V11).await,
        door.client(&token, "/gateways/up/mcp").initialized(V11).await,
    );
    let mut heard = Events::of(maker.bare("GET", &[]).await);
    let mut others = Events::of(other.bare("GET", &[]).await);
    let id = maker.call("tools/call", CALL).await.result()["task"]["taskId"].clone();
    up.listened_to().await;
    for status in ["working", "completed"] {
        up.tell(status);
        let told = heard.next().await.unwrap();
        assert_eq!(told["method"], "notifications/tasks/status");
        assert_eq!(told["params"], json!({"taskId": id, "status": status, "n": 7}));
    }
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(100), others.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn tasks_of_one_era_end_in_a_clear_error_in_the_other() {
    let door = Door::open().await;
    let token = door.alice().await;
    let old = Tasking::start().await;
    door.house.gateway_named(&old.upstream, "old").await;
    let new = super::tasks::tasking().await;
    door.house.gateway_named(&new, "new").await;
    let (legacy, modern) = (
        door.client(&token, "/mcp").initialized(V11).await,
        door.client(&token, "/mcp").can(super::tasks::TASKS),
    );
    legacy.call("tools/list", "{}").await.result();
    // A task is wanted of a server that knows no such wish.
    let refused = legacy.call("tools/call", &CALL.replace("\"x\"", "\"new-x\"")).await;
    assert!(
        refused.code() == -32_601 && refused.text.contains("makes no tasks of 2025-11-25"),
        "{refused:?}"
    );
    assert!(new.seen("tools/call").is_empty());
    let old_id = legacy.call("tools/call", &CALL.replace("\"x\"", "\"old-x\"")).await.result();
    let old_id = old_id["task"]["taskId"].clone();
    let refused = super::tasks::about(&modern, "tasks/get", &old_id).await;
    assert!(refused.code() == -32_602 && refused.text.contains("another protocol revision"), "{refused:?}");
    let new_id = modern.modern("tools/call", json!({"name": "new-x"})).await.result()["taskId"].clone();
    let refused = about(&legacy, "tasks/get", &new_id).await;
    assert!(refused.code() == -32_602 && refused.text.contains("another protocol revision"), "{refused:?}");
    // Nobody older has heard of tasks, and a modern client's word for them is no word to an old server.
    // A server's tasks at its client are not carried, so nobody hears that there could be some.
    let able = door.client(&token, "/gateways/old/mcp").can(r#"{"tasks":{"list":{}},"roots":{}}"#);
    able.initialized(V11).await.call("tools/list", "{}").await.result();
    let declared =
        old.upstream.seen("initialize").into_iter().map(|seen| seen.json()["params"]["capabilities"].clone());
    let declared: Vec<Value> = declared.collect();
    assert!(
        declared.contains(&json!({"roots": {}})) && declared.iter().all(|can| can.get("tasks").is_none())
    );
    let older = door.client(&token, "/mcp").initialized("2025-06-18").await;
    assert_eq!(about(&older, "tasks/get", &old_id).await.code(), -32_601);
    assert!(!older.initialize("2025-06-18").await.text.contains("tasks"));
    let plain = modern.modern("tools/call", json!({"name": "old-x", "task": {}})).await.result();
    assert_eq!(plain["plain"], true, "{plain}");
}

#[tokio::test]
async fn bridge_b_a_tool_that_runs_as_a_task_alone_is_a_plain_call_to_a_modern_client() {
    let door = Door::open().await;
    let token = door.alice().await;
    let up = Tasking::start().await;
    door.house.gateway(&up.upstream).await;
    let client = door.client(&token, "/gateways/up/mcp");
    client.modern("tools/list", json!({})).await.result();
    let asked = client.modern("tools/call", json!({"name": "slow"})).await.result();
    assert_eq!(asked["resultType"], "input_required", "the server asks in the course of the task: {asked}");
    let retry = json!({
        "name": "slow", "requestState": asked["requestState"], "inputResponses": {"ask-1": {"action": "decline"}},
    });
    let done = client.modern("tools/call", retry).await.result();
    assert_eq!((&done["resultType"], &done["told"]), (&json!("complete"), &json!({"action": "decline"})));
    assert!(!done.to_string().contains("t-1"), "{done}");
    let (called, read) = (up.upstream.seen("tools/call"), up.upstream.seen("tasks/result"));
    assert_eq!((called.len(), &called[0].json()["params"]["task"]), (1, &json!({})));
    assert!(!up.upstream.seen("tasks/get").is_empty() && read.len() == 1);
}

#[tokio::test]
async fn bridge_b_a_modern_client_that_hangs_up_cancels_the_task() {
    let door = Door::open().await;
    let token = door.alice().await;
    let (arrived, waiting) = (Arc::new(tokio::sync::Notify::new()), Slot::default());
    let tell = Arc::clone(&arrived);
    let upstream = Upstream::with(Revision::V2025_11_25, move |seen| {
        let (tell, waiting) = (Arc::clone(&tell), Arc::clone(&waiting));
        async move {
            if seen.http == http::Method::POST && seen.method() == "tasks/get" {
                tell.notify_one();
                std::future::pending::<()>().await;
            }
            behave(&seen, &broadcast::Sender::new(1), &waiting)
        }
    })
    .await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp");
    client.modern("tools/list", json!({})).await.result();
    {
        let call = client.modern("tools/call", json!({"name": "slow"}));
        tokio::select! {
            answer = call => panic!("{answer:?}"),
            () = arrived.notified() => {}
        }
    }
    let cancelled = upstream.wait_for(|seen| seen.method() == "tasks/cancel").await;
    assert_eq!(cancelled.json()["params"]["taskId"], "t-1");
}

/// A task that asks once before it is done.
async fn asking_once() -> Upstream {
    let (answered, answers) = (Arc::new(AtomicBool::new(false)), Slot::default());
    Upstream::with(Revision::V2025_11_25, move |seen| {
        let (answered, answers) = (Arc::clone(&answered), Arc::clone(&answers));
        async move {
            let is_done = answered.load(Ordering::SeqCst);
            if seen.http != http::Method::POST {
                return None;
            }
            match seen.method() {
                "tasks/get" => {
                    let status = if is_done { "completed" } else { "input_required" };
                    let task = json!({"taskId": "t-1", "status": status, "ttl": null, "n": 7});
                    Some(answer_to(&seen, &task.to_string()))
                }
                "tasks/result" if is_done => Some(answer_to(&seen, r#"{"content":[],"done":1.10}"#)),
                _ => {
                    let reply = behave(&seen, &broadcast::Sender::new(1), &answers);
                    if seen.json().get("method").is_none() {
                        answered.store(true, Ordering::SeqCst);
                    }
                    reply
                }
            }
        }
    })
    .await
}

/// A request of 2026-07-28 about a task.
async fn newer(client: &Client<'_>, method: &str, id: &Value, more: Value) -> Value {
    let bearer = format!("Bearer {}", client.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
        ("mcp-name", id.as_str().unwrap()),
    ];
    let mut params = more;
    params["taskId"] = id.clone();
    client
        .door
        .ask(request("POST", &client.path, &headers, &client.modern_body(method, params)))
        .await
        .result()
}

#[tokio::test]
async fn bridge_b_a_client_that_knows_tasks_gets_an_older_servers_task_in_the_newer_words() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking_once().await;
    door.house.gateway(&upstream).await;
    let can = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}},"elicitation":{}}"#;
    let client = door.client(&token, "/gateways/up/mcp").can(can);
    let discovered = client.modern("server/discover", json!({})).await.result();
    assert!(discovered["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"].is_object());
    client.modern("tools/list", json!({})).await.result();
    let task = client.modern("tools/call", json!({"name": "slow"})).await.result();
    let id = task["taskId"].clone();
    let expected = json!({
        "resultType": "task", "taskId": id, "status": "working", "createdAt": "2026-01-01T00:00:00Z",
        "ttlMs": 60_000, "pollIntervalMs": 1, "n": 7,
    });
    assert!(task == expected && id != "t-1", "{task}");
    let none = json!({});
    let asked = newer(&client, "tasks/get", &id, none.clone()).await;
    assert_eq!((&asked["status"], &asked["ttlMs"]), (&json!("input_required"), &Value::Null), "{asked}");
    let question = &asked["inputRequests"]["1-ask-1"];
    assert_eq!(
        (&question["method"], &question["params"]["message"]),
        (&json!("elicitation/create"), &json!("m"))
    );
    assert_eq!(newer(&client, "tasks/get", &id, none.clone()).await["inputRequests"], asked["inputRequests"]);
    for key in ["2-ask-1", "1-ask-1"] {
        let answers = json!({"inputResponses": {key: {"action": "decline"}}});
        assert_eq!(newer(&client, "tasks/update", &id, answers).await["resultType"], "complete");
    }
    let done = async {
        loop {
            let task = newer(&client, "tasks/get", &id, none.clone()).await;
            if task["status"] != "working" {
                return task;
            }
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::time::timeout(std::time::Duration::from_secs(10), done).await.unwrap();
    let expected = (&json!("completed"), &json!({"content": [], "done": 1.10}), &json!("complete"));
    assert_eq!((&done["status"], &done["result"], &done["resultType"]), expected, "{done}");
    assert_eq!(newer(&client, "tasks/cancel", &id, none).await["resultType"], "complete");
    let answered: Vec<_> = upstream.all().into_iter().filter(|seen| seen.body.contains("decline")).collect();
    assert_eq!(answered.len(), 1, "what was not asked is answered to nobody");
    assert_eq!(upstream.seen("tasks/cancel")[0].json()["params"]["taskId"], "t-1");
}
