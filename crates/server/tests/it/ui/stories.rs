//! The stories that an administrator walks in a real browser (docs: the numbers are those of the issue).

use crate::journey::walk;
use doorward_domain::{Audience, GrantOwner};
use doorward_testkit::app::{ADMINISTRATOR, PASSWORD, TestApp};
use doorward_testkit::browser::Browser;
use serde_json::{Value, json};
use std::time::Duration;

async fn sign_in(app: &TestApp, browser: &mut Browser) {
    browser.open(&format!("{}/ui/login", app.origin)).await;
    browser.fill("[name=email]", ADMINISTRATOR).await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("main button").await;
    browser.expect("First steps").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_to_s4_an_administrator_sees_looks_closer_revokes_one_and_then_many() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    demo.authorization_server.faults().canary("canary-of-s1");
    let gateway = app.register(&demo, "demo").await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    app.connect(&alice, "demo", &demo, "alice").await;
    app.connect(&bob, "demo", &demo, "bob").await;
    let grant = app.app.storage().grant_of(GrantOwner::User(alice.id), gateway.id).await.unwrap().unwrap().id;
    let call = async |person| {
        let client = walk::mcp(&app, person).await;
        let params = json!({ "name": "demo-whoami" });
        let answer = walk::modern(&client, "/mcp", "tools/call", &params).await;
        walk::tool_text(&answer).to_owned()
    };
    assert_eq!(call(&alice).await, "alice");
    let mut browser = Browser::start().await;
    sign_in(&app, &mut browser).await;
    browser.click("nav a[href='/ui/oauth-tokens']").await;
    browser.expect("alice@test.example").await;
    browser.expect("renews itself").await;
    browser.click(&format!("td a[href^='/ui/oauth-tokens/{grant}']")).await;
    browser.expect("Authorized in the browser").await;
    browser.click(&format!("a[href='/ui/oauth-tokens/{grant}/revoke']")).await;
    browser.expect("alice@test.example").await;
    assert_eq!(call(&alice).await, "alice", "a question ends nothing");
    browser.click("main form .button.danger").await;
    browser.expect("Blocked here now").await;
    assert!(call(&alice).await.contains("is not connected"));
    assert_eq!(call(&bob).await, "bob");

    browser.open(&format!("{}/ui/oauth-tokens?q=demo", app.origin)).await;
    browser.click("a[href*='do=revoke'][href*='all=yes']").await;
    browser.expect("bob@test.example").await;
    browser.fill("[name=reason]", "the server is going away").await;
    browser.click("main form .button.danger").await;
    browser.expect_url(&format!("{}/ui/oauth-tokens/jobs/", app.origin)).await;
    assert!(call(&bob).await.contains("is not connected"));
    assert_eq!(browser.leaks(&["canary-of-s1"]).await, Vec::<Value>::new());
    assert_eq!(browser.problems().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_old_tokens_are_counted_and_swept_from_the_page_of_cleanup() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    demo.authorization_server.faults().canary("canary-of-s7");
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    // The catalog has been read: nothing calls with the token any more.
    assert_eq!(app.client(&alice, Audience::Own).await.get("/tools").await.status, 200);
    app.clock.advance(Duration::from_secs(91 * 86_400 + 3_600));
    let is_there =
        async || app.app.storage().grant_of(GrantOwner::User(alice.id), gateway.id).await.unwrap().is_some();
    let mut browser = Browser::start().await;
    sign_in(&app, &mut browser).await;
    browser.open(&format!("{}/ui/cleanup", app.origin)).await;
    browser.expect("OAUTH_TOKEN_RETENTION_DAYS").await;
    browser.click("form[action='/ui/cleanup/dry-run'] button").await;
    browser.expect("alice@test.example at demo").await;
    assert!(is_there().await, "a dry run changes nothing");

    browser.open(&format!("{}/ui/cleanup", app.origin)).await;
    browser.click("a[href='/ui/cleanup/run']").await;
    browser.expect("Run cleanup now?").await;
    browser.click("main form button").await;
    browser.expect("Grants that were stale").await;
    assert!(!is_there().await);
    browser.open(&format!("{}/ui/audit?action=cleanup.", app.origin)).await;
    browser.expect("Cleanup ran").await;
    assert_eq!(browser.leaks(&["canary-of-s7"]).await, Vec::<Value>::new());
    assert_eq!(browser.problems().await, Vec::<Value>::new());
}
