//! Calls that wait for what a modern client answers, and the states that lead back to them.

use super::harness::Door;
use super::relayed::{ALL, CALL, call, form, legacy_client, retry, sampling};
use super::upstreams::{asking, wanting};
use crate::revision::Revision;
use crate::upstream::tests::fixture::{Upstream, events};
use doorward_domain::Audience;
use futures_util::stream;
use serde_json::json;

#[tokio::test]
async fn bridge_b_a_legacy_servers_questions_become_one_input_required_and_the_retry_answers_them() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking(vec![form(), sampling()]).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").can(ALL);
    let asked = client.modern("tools/call", call()).await.result();
    assert_eq!(asked["resultType"], "input_required");
    let requests = asked["inputRequests"].as_object().unwrap();
    assert_eq!((requests.len(), &requests["ask-1"]), (2, &form()));
    // What is missing is asked for again.
    let answers = json!({"ask-1": {"action": "accept", "content": {"n": 1}}, "more": {}});
    let again = client.modern("tools/call", retry(&asked, answers)).await.result();
    assert_eq!(again["inputRequests"].as_object().unwrap().len(), 1);
    let answers = json!({"ask-1": {"content": {"text": "hi"}}});
    let key = again["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let answers = json!({key: answers["ask-1"]});
    let done = client.modern("tools/call", retry(&again, answers)).await.result();
    assert_eq!(done["resultType"], "complete");
    let told = done["told"].as_array().unwrap();
    assert_eq!(told[0]["result"], json!({"action": "accept", "content": {"n": 1}}));
    assert_eq!(told[1]["result"]["content"]["text"], "hi");
    assert_eq!(upstream.seen("tools/call").len(), 1, "the call ran once");
}

#[tokio::test]
async fn trap_12_a_parked_call_serves_its_user_and_its_request_alone_and_once() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking(vec![form()]).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").can(ALL);
    let bob = door.house.person("bob").await;
    let bobs = door.token(&bob, "bob", Audience::Mcp, None).await;
    let bob = door.client(&bobs, "/gateways/up/mcp").can(ALL);
    let asked = client.modern("tools/call", call()).await.result();
    let answers = json!({"ask-1": {"action": "accept"}});
    assert_eq!(bob.modern("tools/call", retry(&asked, answers.clone())).await.code(), -32_602);
    let mut other = retry(&asked, answers.clone());
    other["arguments"]["a"] = json!(2);
    assert_eq!(client.modern("tools/call", other).await.code(), -32_602);
    let done = client.modern("tools/call", retry(&asked, answers.clone())).await.result();
    assert_eq!(done["told"][0]["result"]["action"], "accept");
    let late = client.modern("tools/call", retry(&asked, answers)).await;
    assert!(late.text.contains("start it again"), "{late:?}");
}

#[tokio::test]
async fn bridge_b_a_parked_call_ends_with_its_grant_and_with_its_time() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = asking(vec![form()]).await;
    let gateway = door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").can(ALL);
    let asked = client.modern("tools/call", call()).await.result();
    door.cut(door.house.alice.user.id, gateway.id);
    upstream.wait_for(|seen| seen.method() == "notifications/cancelled").await;
    let answers = json!({"ask-1": {"action": "accept"}});
    let late = client.modern("tools/call", retry(&asked, answers)).await;
    assert!(late.text.contains("start it again"), "{late:?}");
    assert!(!upstream.all().iter().any(|seen| seen.body.contains("accept")));

    client.modern("tools/call", call()).await.result();
    // The wait begins when its task does.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(601)).await;
    tokio::time::resume();
    upstream.wait_for(|seen| seen.body.contains(r#""action":"cancel""#)).await;
}

#[tokio::test]
async fn trap_12_a_modern_servers_state_passes_byte_for_byte_inside_ours_and_serves_nobody_else() {
    let door = Door::open().await;
    let token = door.alice().await;
    let state = json!("exact é \u{1f600} \\ state");
    let upstream = wanting(json!({"k": form()}), state.clone()).await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").can(ALL);
    let bob = door.house.person("bob").await;
    let bobs = door.token(&bob, "bob", Audience::Mcp, None).await;
    let bob = door.client(&bobs, "/gateways/up/mcp").can(ALL);
    let asked = client.modern("tools/call", call()).await.result();
    assert_ne!(asked["requestState"], state);
    let answers = json!({"k": {"action": "accept", "content": {"n": 1.0}}});
    let mut tampered = retry(&asked, answers.clone());
    tampered["requestState"] = json!(format!("{}-TAMPERED", asked["requestState"].as_str().unwrap()));
    let mut other = retry(&asked, answers.clone());
    other["name"] = json!("y");
    for refused in [
        bob.modern("tools/call", retry(&asked, answers.clone())).await,
        client.modern("tools/call", tampered).await,
        client.modern("tools/call", other).await,
    ] {
        assert_eq!(refused.code(), -32_602, "{refused:?}");
    }
    let done = client.modern("tools/call", retry(&asked, answers.clone())).await.result();
    assert_eq!(done["told"], answers);
    let ids: Vec<String> = upstream.seen("tools/call").iter().map(|seen| seen.id().to_owned()).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "each round has an id of its own");
    door.house.clock.advance(std::time::Duration::from_secs(24 * 3_600));
    assert!(client.modern("tools/call", retry(&asked, answers)).await.text.contains("has expired"));
}

#[tokio::test]
async fn trap_12_a_state_of_two_megabytes_is_refused_cleanly() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = wanting(json!({"k": form()}), json!("x".repeat(2 << 20))).await;
    door.house.gateway(&upstream).await;
    let refused = door.client(&token, "/gateways/up/mcp").can(ALL).modern("tools/call", call()).await;
    assert_eq!(refused.code(), -32_603);
    assert!(refused.text.contains("too large") && refused.text.len() < 1_000);
}

#[tokio::test]
async fn bridge_b_the_error_that_wants_a_url_opened_becomes_a_question_to_those_who_can_be_asked() {
    let door = Door::open().await;
    let token = door.alice().await;
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_open = std::sync::Arc::clone(&opened);
    let upstream = Upstream::with(Revision::V2025_11_25, move |seen| {
        let opened = is_open.load(std::sync::atomic::Ordering::SeqCst);
        async move {
            if seen.method() != "tools/call" || opened {
                return None;
            }
            let error = json!({
                "jsonrpc": "2.0", "id": seen.json()["id"],
                "error": {"code": -32_042, "message": "m", "data": {"elicitations": [
                    {"mode": "url", "elicitationId": "e1", "url": "https://x/y", "message": "Open"}]}},
            });
            Some(crate::upstream::tests::fixture::json(200, &error.to_string()))
        }
    })
    .await;
    door.house.gateway(&upstream).await;
    let client = door.client(&token, "/gateways/up/mcp").can(ALL);
    let asked = client.modern("tools/call", call()).await.result();
    assert_eq!(asked["inputRequests"]["e1"]["params"]["url"], "https://x/y");
    assert!(!asked.to_string().contains("-32042"));
    opened.store(true, std::sync::atomic::Ordering::SeqCst);
    let answers = json!({"e1": {"action": "accept"}});
    assert_eq!(client.modern("tools/call", retry(&asked, answers)).await.result()["n"], 1.10);
    let declined = json!({"e1": {"action": "decline"}});
    assert_eq!(client.modern("tools/call", retry(&asked, declined)).await.result()["isError"], true);
    opened.store(false, std::sync::atomic::Ordering::SeqCst);
    let forms = door.client(&token, "/gateways/up/mcp").can(r#"{"elicitation":{}}"#);
    let refused = forms.modern("tools/call", call()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, -32_021));
    assert_eq!(refused.json()["error"]["data"]["requiredCapabilities"], json!({"elicitation": {"url": {}}}));
    // A legacy client gets the error as it is.
    let legacy_answer = legacy_client(&door, &token, ALL).await.call("tools/call", CALL).await;
    assert_eq!(legacy_answer.code(), -32_042);
}

#[tokio::test]
async fn bridge_b_a_legacy_server_that_fails_for_want_of_a_capability_is_explained_to_a_modern_client() {
    let door = Door::open().await;
    let token = door.alice().await;
    let upstream = Upstream::with(Revision::V2025_11_25, |seen| async move {
        if seen.method() != "tools/call" {
            return None;
        }
        let mut question = sampling();
        (question["jsonrpc"], question["id"]) = (json!("2.0"), json!(0));
        let error =
            json!({"jsonrpc": "2.0", "id": seen.json()["id"], "error": {"code": -32_603, "message": "m"}});
        let both = [question, error].map(|message| super::upstreams::event(&message));
        Some(events(stream::iter(both)))
    })
    .await;
    door.house.gateway(&upstream).await;
    let refused = door.client(&token, "/gateways/up/mcp").can("{}").modern("tools/call", call()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, -32_021));
    assert_eq!(refused.json()["error"]["data"]["requiredCapabilities"], json!({"sampling": {}}));
    let old = legacy_client(&door, &token, "{}").await.call("tools/call", CALL).await;
    assert_eq!(old.code(), -32_603);
}
