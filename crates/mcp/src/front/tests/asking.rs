//! The three ways of asking a user to authorize, for tools, resources and prompts alike (S5, S6, S11).

use super::harness::{Client, Door, Events, PLAIN_CLIENT, URL_CLIENT, is_link, legacy};
use crate::revision::Revision;
use crate::upstream::tests::credentials::{grant, oauth_gateway};
use crate::upstream::tests::fixture::{Upstream, answer_to};
use doorward_domain::{Actor, Audience, ConnectRequestId, Gateway, NewAuditEvent};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const V11: &str = "2025-11-25";

struct Locked {
    door: Door,
    upstream: Upstream,
    gateway: Arc<Gateway>,
    token: String,
}

/// A house with one gateway that nobody has authorized.
async fn locked() -> Locked {
    let door = Door::open().await;
    let upstream = Upstream::with(Revision::LATEST, |seen| async move {
        let result = match seen.method() {
            "tools/list" => r#"{"resultType":"complete","tools":[{"name":"issues"}]}"#,
            "resources/list" => r#"{"resultType":"complete","resources":[{"uri":"repo:list"}]}"#,
            "prompts/list" => r#"{"resultType":"complete","prompts":[{"name":"summary"}]}"#,
            "resources/templates/list" => r#"{"resultType":"complete","resourceTemplates":[]}"#,
            _ => return None,
        };
        Some(answer_to(&seen, result))
    })
    .await;
    let gateway = oauth_gateway(&door.house, &upstream, "http://127.0.0.1:1").await;
    let token = door.alice().await;
    Locked { door, upstream, gateway, token }
}

impl Locked {
    fn client(&self, capabilities: &str) -> Client<'_> {
        self.door.client(&self.token, "/mcp").can(capabilities)
    }

    async fn authorize(&self) {
        grant(&self.door.house, &self.door.house.alice, &self.gateway, "alice-token").await;
    }

    fn was_silent(&self) -> bool {
        self.upstream.all().is_empty()
    }
}

/// The three methods that ask, with what they name.
fn asking() -> [(&'static str, Value); 3] {
    [
        ("tools/call", json!({"name": "up-issues"})),
        ("resources/read", json!({"uri": "repo:list"})),
        ("prompts/get", json!({"name": "up-summary"})),
    ]
}

#[tokio::test]
async fn a_client_without_url_elicitation_is_told_in_words() {
    let locked = locked().await;
    let modern = locked.client(PLAIN_CLIENT);
    let mut clients = Vec::new();
    for (version, capabilities) in [(V11, PLAIN_CLIENT), (V11, "{}"), ("2025-06-18", URL_CLIENT)] {
        clients.push(locked.client(capabilities).initialized(version).await);
    }
    for (method, params) in asking() {
        let mut answers = vec![modern.modern(method, params.clone()).await];
        for client in &clients {
            answers.push(client.call(method, &params.to_string()).await);
        }
        for answer in answers {
            assert_eq!(answer.status, 200);
            let (sentence, facts) = if method == "tools/call" {
                let result = answer.result();
                assert_eq!(result["isError"], true);
                let facts = result["_meta"]["doorward/authorization_required"].clone();
                (result["content"][0]["text"].clone(), facts)
            } else {
                assert_eq!(answer.code(), 4_010);
                (answer.json()["error"]["message"].clone(), answer.json()["error"]["data"].clone())
            };
            assert!(is_link(&facts["authorization_url"], &locked.gateway), "{facts}");
            let link = facts["authorization_url"].as_str().unwrap();
            let sentence = sentence.as_str().unwrap();
            assert!(sentence.contains(link) && sentence.contains("Up is not connected"), "{sentence}");
            assert!(sentence.contains("10 minutes"), "{sentence}");
        }
    }
    assert!(locked.was_silent());
    locked.authorize().await;
    for (method, params) in asking() {
        modern.modern(method, params.clone()).await.result();
        clients[0].call(method, &params.to_string()).await.result();
        let seen = locked.upstream.seen(method).pop().unwrap();
        assert_eq!(seen.header("authorization"), Some("Bearer alice-token"), "{method}");
    }
}

#[tokio::test]
async fn trap_19_completions_are_never_a_question() {
    let locked = locked().await;
    let params = json!({"ref": {"type": "ref/prompt", "name": "up-summary"}});
    assert_eq!(locked.client(URL_CLIENT).modern("completion/complete", params.clone()).await.code(), 4_010);
    let client = locked.client(URL_CLIENT).initialized(V11).await;
    assert_eq!(client.call("completion/complete", &params.to_string()).await.code(), 4_010);
}

#[tokio::test]
async fn a_modern_client_gets_input_required_and_its_retry_goes_through() {
    for (method, params) in asking() {
        let locked = locked().await;
        let client = locked.client(URL_CLIENT);
        let asked = client.modern(method, params.clone()).await.result();
        assert_eq!(asked["resultType"], "input_required");
        let question = &asked["inputRequests"]["doorward-connect:up"];
        assert_eq!(
            (&question["method"], &question["params"]["mode"]),
            (&json!("elicitation/create"), &json!("url"))
        );
        assert!(is_link(&question["params"]["url"], &locked.gateway));
        assert!(locked.was_silent());
        let mut retry = params.clone();
        retry["inputResponses"] = json!({"doorward-connect:up": {"action": "accept"}});
        retry["requestState"] = asked["requestState"].clone();
        // The retry is held until the user is back.
        let (answer, ()) = tokio::join!(client.modern(method, retry.clone()), locked.authorize());
        assert_eq!(answer.result()["method"], method);
        let seen = locked.upstream.seen(method).pop().unwrap();
        assert!(!seen.body.contains("requestState") && !seen.body.contains("inputResponses"));
    }
}

#[tokio::test]
async fn a_state_serves_only_the_request_it_was_made_for() {
    let locked = locked().await;
    let client = locked.client(URL_CLIENT);
    let call = json!({"name": "up-issues", "arguments": {"a": 1}});
    let asked = client.modern("tools/call", call.clone()).await.result();
    let state = asked["requestState"].as_str().unwrap().to_owned();
    let bob = locked.door.house.person("bob").await;
    let bobs = locked.door.token(&bob, "bob", Audience::Mcp, None).await;
    let bob = locked.door.client(&bobs, "/mcp").can(URL_CLIENT);
    locked.authorize().await;
    let retry = |call: &Value, state: Option<&str>| {
        let mut retry = call.clone();
        retry["inputResponses"] = json!({"doorward-connect:up": {"action": "accept"}});
        if let Some(state) = state {
            retry["requestState"] = json!(state);
        }
        retry
    };
    let mut flipped = state.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for (client, params) in [
        (&bob, retry(&call, Some(&state))),
        (&client, retry(&json!({"name": "up-other", "arguments": {"a": 1}}), Some(&state))),
        (&client, retry(&json!({"name": "up-issues", "arguments": {"a": 2}}), Some(&state))),
        (&client, retry(&call, Some(&flipped))),
        (&client, retry(&call, Some("another's"))),
        (&client, retry(&call, None)),
    ] {
        let answer = client.modern("tools/call", params.clone()).await;
        assert_eq!(answer.code(), -32_602, "{params}");
        assert!(answer.text.contains("requestState"));
    }
    let other_method = client.modern("prompts/get", retry(&call, Some(&state))).await;
    assert_eq!(other_method.code(), -32_602);
    let mut unknown = retry(&call, Some(&state));
    unknown["inputResponses"]["doorward-connect:up"]["action"] = json!("shrug");
    assert_eq!(client.modern("tools/call", unknown).await.code(), -32_602);
    assert!(locked.upstream.seen("tools/call").is_empty());
    client.modern("tools/call", retry(&call, Some(&state))).await.result();
    let without_answer = json!({"name": "up-issues", "arguments": {"a": 1}, "requestState": state});
    client.modern("tools/call", without_answer).await.result();
    locked.door.house.clock.advance(Duration::from_secs(601));
    let answer = client.modern("tools/call", retry(&call, Some(&state))).await;
    assert!(answer.text.contains("has expired"), "{answer:?}");
    // No state but ours was ever given to this client.
    let theirs = json!({"name": "up-issues", "requestState": "theirs", "inputResponses": {"k": {}}});
    assert_eq!(client.modern("tools/call", theirs).await.code(), -32_602);
}

#[tokio::test]
async fn a_modern_user_who_says_no_gets_no_link() {
    for (method, params) in asking() {
        let locked = locked().await;
        let client = locked.client(URL_CLIENT);
        let asked = client.modern(method, params.clone()).await.result();
        locked.door.house.clock.advance(Duration::from_secs(5));
        for action in ["decline", "cancel"] {
            let mut retry = params.clone();
            retry["inputResponses"] = json!({"doorward-connect:up": {"action": action}});
            retry["requestState"] = asked["requestState"].clone();
            let answer = client.modern(method, retry).await;
            assert!(!answer.text.contains("http://") && answer.text.contains("Up"), "{answer:?}");
            match method {
                "tools/call" => assert_eq!(answer.result()["isError"], true),
                _ => assert_eq!(answer.code(), 4_011),
            }
        }
        let again = client.modern(method, params).await.result();
        assert_eq!(again["resultType"], "input_required");
    }
}

#[tokio::test]
async fn a_modern_client_that_declines_at_once_is_told_in_words_from_then_on() {
    let locked = locked().await;
    let client = locked.client(URL_CLIENT);
    let call = json!({"name": "up-issues"});
    let asked = client.modern("tools/call", call.clone()).await.result();
    let mut retry = call.clone();
    retry["inputResponses"] = json!({"doorward-connect:up": {"action": "cancel"}});
    retry["requestState"] = asked["requestState"].clone();
    for params in [retry, call] {
        let told = client.modern("tools/call", params).await.result();
        assert!(is_link(
            &told["_meta"]["doorward/authorization_required"]["authorization_url"],
            &locked.gateway
        ));
    }
}

/// Begins a call on a client that is asked on the stream.
async fn pushed(client: &Client<'_>, method: &str, params: &Value) -> (Events, Value) {
    let mut stream = Events::of(client.begin(&legacy(method, &params.to_string())).await);
    let question = stream.next().await.unwrap();
    assert_eq!(
        (&question["method"], &question["params"]["mode"]),
        (&json!("elicitation/create"), &json!("url"))
    );
    (stream, question)
}

async fn reply(client: &Client<'_>, question: &Value, reply: Value) {
    let mut message = json!({"jsonrpc": "2.0", "id": question["id"]});
    let (name, value) = reply.as_object().unwrap().iter().next().unwrap();
    message[name.as_str()] = value.clone();
    assert_eq!(client.post(&message.to_string()).await.status, 202);
}

#[tokio::test]
async fn a_2025_11_25_client_is_asked_on_the_stream_and_gets_the_answer_there() {
    for (method, params) in asking() {
        let locked = locked().await;
        let client = locked.client(URL_CLIENT).initialized(V11).await;
        let (mut stream, question) = pushed(&client, method, &params).await;
        assert!(is_link(&question["params"]["url"], &locked.gateway));
        assert!(locked.was_silent());
        reply(&client, &question, json!({"result": {"action": "accept"}})).await;
        locked.authorize().await;
        let complete = stream.next().await.unwrap();
        assert_eq!(complete["method"], "notifications/elicitation/complete");
        assert_eq!(complete["params"]["elicitationId"], question["params"]["elicitationId"]);
        let answer = stream.next().await.unwrap();
        assert_eq!((&answer["id"], &answer["result"]["method"]), (&json!(1), &json!(method)));
        assert_eq!(stream.next().await, None);
        // Nobody waits for this one any more.
        reply(&client, &question, json!({"result": {"action": "accept"}})).await;
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_after_all_is_told_in_words_from_then_on() {
    for quick in
        [json!({"result": {"action": "decline"}}), json!({"error": {"code": -32601, "message": "m"}})]
    {
        let locked = locked().await;
        let client = locked.client(URL_CLIENT).initialized(V11).await;
        let call = json!({"name": "up-issues"});
        let (mut stream, question) = pushed(&client, "tools/call", &call).await;
        reply(&client, &question, quick).await;
        let told = stream.next().await.unwrap();
        assert_eq!(told["result"]["isError"], true);
        assert!(
            told["result"]["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("http://localhost:4444/connect/up")
        );
        assert_eq!(stream.next().await, None);
        assert_eq!(client.call("tools/call", &call.to_string()).await.result()["isError"], true);
        let other = locked.client(URL_CLIENT).initialized(V11).await;
        pushed(&other, "tools/call", &call).await;
    }
}

#[tokio::test]
async fn without_an_open_stream_the_link_comes_as_an_error_and_completion_on_the_sessions_stream() {
    let locked = locked().await;
    let client = locked.client(URL_CLIENT).initialized(V11).await;
    let mut stream = Events::of(client.bare("GET", &[]).await);
    let bearer = format!("Bearer {}", locked.token);
    let session = client.session.clone().unwrap();
    let headers =
        [("authorization", bearer.as_str()), ("mcp-session-id", &session), ("accept", "application/json")];
    let body = legacy("resources/read", r#"{"uri":"repo:list"}"#);
    let answer = locked.door.ask(super::harness::request("POST", "/mcp", &headers, &body)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (200, -32_042));
    let elicitation = answer.json()["error"]["data"]["elicitations"][0].clone();
    assert!(is_link(&elicitation["url"], &locked.gateway) && elicitation["mode"] == "url");
    let id = elicitation["elicitationId"].as_str().unwrap();
    assert!(
        elicitation["url"].as_str().unwrap().ends_with(&id.parse::<ConnectRequestId>().unwrap().to_string())
    );
    locked.authorize().await;
    let complete = stream.next().await.unwrap();
    assert_eq!(
        (&complete["method"], &complete["params"]["elicitationId"]),
        (&json!("notifications/elicitation/complete"), &json!(id))
    );
}

#[tokio::test]
async fn a_client_hears_when_the_lists_it_was_shown_have_changed() {
    let locked = locked().await;
    let client = locked.client(PLAIN_CLIENT).initialized(V11).await;
    let mut stream = Events::of(client.bare("GET", &[]).await);
    let tools = client.call("tools/list", "{}").await;
    assert!(tools.text.contains("up-connect") && !tools.text.contains("up-issues"));
    let link = client.call("tools/call", r#"{"name":"up-connect"}"#).await.result();
    assert!(link.get("isError").is_none());
    assert!(link["content"][0]["text"].as_str().unwrap().contains("/connect/up?request="));
    locked.authorize().await;
    let connected = client.call("tools/call", r#"{"name":"up-connect"}"#).await.result();
    assert!(connected["content"][0]["text"].as_str().unwrap().contains("offers 1 tools"));
    for list in ["tools", "prompts", "resources"] {
        assert_eq!(stream.next().await.unwrap()["method"], format!("notifications/{list}/list_changed"));
    }
    let tools = client.call("tools/list", "{}").await;
    assert!(!tools.text.contains("up-connect") && tools.text.contains("up-issues"));
    let single = locked.door.client(&locked.token, "/gateways/up/mcp");
    let answer = single.modern("tools/call", json!({"name": "up-connect"})).await.result();
    assert!(answer["content"][0]["text"].as_str().unwrap().contains("is connected"));
}

/// Edits the gateway as an administrator would.
async fn edit(locked: &Locked, change: impl FnOnce(&mut Gateway)) -> Gateway {
    let storage = &locked.door.house.storage;
    let mut gateway = storage.gateway(locked.gateway.id).await.unwrap().unwrap();
    change(&mut gateway);
    let audit = NewAuditEvent::new(Actor::System, "gateway.update");
    let _ = storage.update_gateway(&gateway, None, audit).await.unwrap();
    storage.gateway(gateway.id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_call_that_was_held_goes_to_where_its_gateway_is_by_then() {
    let locked = locked().await;
    let elsewhere = Upstream::plain(Revision::LATEST).await;
    let client = locked.door.client(&locked.token, "/gateways/up/mcp").can(URL_CLIENT);
    let client = client.initialized(V11).await;
    let call = json!({"name": "issues"});
    let (mut stream, _) = pushed(&client, "tools/call", &call).await;
    let moved = edit(&locked, |gateway| gateway.url = elsewhere.url.parse().unwrap()).await;
    grant(&locked.door.house, &locked.door.house.alice, &moved, "alice-token").await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/elicitation/complete");
    assert_eq!(stream.next().await.unwrap()["result"]["method"], "tools/call");
    assert_eq!(elsewhere.seen("tools/call").len(), 1);
    assert!(locked.upstream.seen("tools/call").is_empty());
}

#[tokio::test]
async fn a_retry_that_was_held_is_refused_when_its_token_has_ended_meanwhile() {
    let locked = locked().await;
    let (client, house) = (locked.client(URL_CLIENT), &locked.door.house);
    let asked = client.modern("tools/call", json!({"name": "up-issues"})).await.result();
    let mut retry = json!({"name": "up-issues", "requestState": asked["requestState"]});
    retry["inputResponses"] = json!({"doorward-connect:up": {"action": "accept"}});
    let end = async {
        let token = house.broker.api_tokens(&house.alice).await.unwrap()[0].id;
        house.broker.end_api_token(&house.alice, token).await.unwrap();
        locked.authorize().await;
    };
    let (answer, ()) = tokio::join!(client.modern("tools/call", retry), end);
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(locked.upstream.seen("tools/call").is_empty());
}
