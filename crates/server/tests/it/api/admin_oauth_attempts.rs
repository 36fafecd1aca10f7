//! `/admin/oauth/attempts`: each browser round trip as the steps that it took.

use crate::journey::walk::{come_back, set_out};
use doorward_demo::TokenFault;
use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use doorward_testkit::client::Client;
use serde_json::{Value, json};
use std::time::Duration;

const CANARY: &str = "canary-of-the-attempts";

async fn attempts(admin: &Client, query: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/admin/oauth/attempts{query}")).await;
    answer.json["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}

async fn details(admin: &Client, attempt: &Value) -> Value {
    admin.get(&format!("/admin/oauth/attempts/{}", attempt["id"].as_str().unwrap())).await.json
}

fn kinds(details: &Value) -> Vec<&str> {
    details["steps"].as_array().unwrap().iter().map(|step| step["kind"].as_str().unwrap()).collect()
}

fn step<'a>(details: &'a Value, kind: &str) -> &'a Value {
    let mut steps = details["steps"].as_array().unwrap().iter();
    &steps.find(|step| step["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {details:#}"))["facts"]
}

#[tokio::test]
async fn a_round_trip_is_told_step_by_step_without_code_state_verifier_or_token() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    demo.authorization_server.faults().canary(CANARY);
    let gateway = app.register_asking_for(&demo, "demo", &["openid"]).await;
    let (alice, admin) = (app.user("alice").await, app.admin_client().await);
    let browser = app.browser(&alice).await;
    browser.get("/connect/demo").await;
    browser.get("/connect/demo").await;
    let opened = attempts(&admin, "").await;
    assert_eq!(
        (opened.len(), &opened[0]["state"]),
        (1, &json!("opened")),
        "a second look is no second attempt"
    );
    let out = set_out(&browser, "demo", None).await;
    let state = out.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let location = browser.consent(out.url.as_str(), &demo, "alice").await.parse().unwrap();
    assert_eq!(come_back(&browser, &location, &out.binding).await.1, "/ui/connected/demo");

    let all = attempts(&admin, &format!("?gateway={}&user={}&state=connected", gateway.id, alice.id)).await;
    assert_eq!((all.len(), &all[0]["id"]), (1, &opened[0]["id"]), "the link and the round trip are one");
    assert_eq!(all[0]["gateway_slug"], "demo");
    let told = details(&admin, &all[0]).await;
    let expected =
        ["link_opened", "agreed", "sent_to_provider", "came_back", "code_sent", "tokens_came", "stored"];
    assert_eq!(kinds(&told), expected);
    let sent = step(&told, "sent_to_provider");
    assert_eq!(sent["endpoint"], demo.authorization_server.authorization_url().as_str());
    assert_eq!(sent["redirect_uri"], format!("{}/oauth/callback", app.origin));
    assert_eq!((&sent["state"], &sent["code_challenge"]), (&json!("[withheld]"), &json!("[withheld]")));
    let code_sent = step(&told, "code_sent");
    for name in ["code", "code_verifier", "client_secret"] {
        assert_eq!(code_sent[name], "[withheld]", "{code_sent}");
    }
    let came = step(&told, "tokens_came");
    assert_eq!((&came["access_token"], &came["expires_in"]), (&json!("[withheld]"), &json!("3600")));
    assert_eq!((&step(&told, "stored")["account"], &told["likely_fix"]), (&json!("alice"), &Value::Null));
    let grant = told["grant_id"].as_str().unwrap();
    assert_eq!(step(&told, "stored")["grant"], grant);
    let reference = told["reference"].as_str().unwrap();
    let events = admin.get(&format!("/admin/audit?reference={reference}")).await;
    let actions: Vec<_> =
        events.json["items"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["grant.authorize", "authorization.begin"]);
    let verifier = demo.authorization_server.log().token_requests[0].form["code_verifier"].clone();
    for secret in [CANARY, &state, &verifier, demo.authorization_server.client_secret()] {
        assert!(!told.to_string().contains(secret), "{told:#}");
    }
    let file = std::fs::read(app.directory().join("data/doorward.db")).unwrap();
    assert!(!String::from_utf8_lossy(&file).contains(CANARY));
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_is_told_with_its_words_and_the_likely_fix() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let (alice, admin) = (app.user("alice").await, app.admin_client().await);
    demo.authorization_server.faults().next_token_answer(TokenFault::RefusedSaying {
        status: 401,
        error: "invalid_client".to_owned(),
        description: "This client is not known".to_owned(),
    });
    let landed = app.browser(&alice).await.authorize("demo", &demo, "alice").await;
    assert_eq!(landed.1, "/ui/connect-problem?code=exchange_failed");
    let refused = attempts(&admin, "?state=refused").await;
    let told = details(&admin, &refused[0]).await;
    assert_eq!(kinds(&told)[4..], ["no_tokens", "refused"]);
    let answer = step(&told, "no_tokens");
    assert_eq!(answer["error"], "invalid_client");
    assert_eq!(answer["error_description"], "This client is not known");
    assert!(told["likely_fix"].as_str().unwrap().contains("secret"), "{told:#}");
}

#[tokio::test]
async fn a_stranger_leaves_a_step_and_what_belongs_nowhere_is_an_attempt_of_its_own() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let (alice, bob, admin) = (app.user("alice").await, app.user("bob").await, app.admin_client().await);
    let browser = app.browser(&alice).await;
    let out = set_out(&browser, "demo", None).await;
    let location = browser.consent(out.url.as_str(), &demo, "alice").await.parse().unwrap();
    let (_, place) = come_back(&app.browser(&bob).await, &location, &out.binding).await;
    assert_eq!(place, "/ui/connect-problem?code=other_user");
    assert_eq!(come_back(&browser, &location, &out.binding).await.1, "/ui/connected/demo");
    let connected = attempts(&admin, "?state=connected").await;
    let told = details(&admin, &connected[0]).await;
    assert_eq!(step(&told, "refused")["problem"], "other_user");
    assert_eq!(kinds(&told).last(), Some(&"stored"));

    come_back(&browser, &location, &out.binding).await;
    let refused = attempts(&admin, "?state=refused").await;
    assert_eq!((refused.len(), &refused[0]["gateway_id"]), (1, &Value::Null));
    let told = details(&admin, &refused[0]).await;
    assert_eq!(step(&told, "refused")["problem"], "unknown_state");
}

#[tokio::test]
async fn attempts_are_for_administrators_and_go_after_fourteen_days() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let (alice, admin) = (app.user("alice").await, app.admin_client().await);
    app.connect(&alice, "demo", &demo, "alice").await;
    let id = attempts(&admin, "").await[0]["id"].as_str().unwrap().to_owned();
    let own = app.client(&alice, Audience::Own).await;
    for path in ["/admin/oauth/attempts".to_owned(), format!("/admin/oauth/attempts/{id}")] {
        assert_eq!(own.get(&path).await.status, 403, "{path}");
        assert_eq!(app.anonymous().get(&path).await.status, 401, "{path}");
    }
    for wrong in ["state=bored", "gateway=demo", "user=alice"] {
        let refused = admin.get(&format!("/admin/oauth/attempts?{wrong}")).await;
        assert_eq!((refused.status, refused.problem().0), (400, wrong.split('=').next()), "{wrong}");
    }
    app.clock.advance(Duration::from_secs(13 * 86_400));
    app.app.broker().run_due_cleanup().await.unwrap();
    assert_eq!(attempts(&admin, "").await.len(), 1);
    app.clock.advance(Duration::from_secs(2 * 86_400));
    app.app.broker().run_due_cleanup().await.unwrap();
    assert!(attempts(&admin, "").await.is_empty());
}
