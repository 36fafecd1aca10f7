//! The stories that an administrator walks in a real browser (docs: the numbers are those of the issue).

use super::look_closely;
use crate::journey::walk;
use doorward_demo::Demo;
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
    let gateway = app.register_asking_for(&demo, "demo", &["openid", "notes"]).await;
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
    look_closely(&mut browser, "story-s1").await;
    browser.click(&format!("a[data-row='{grant}']")).await;
    browser.expect("Authorized in the browser").await;
    for words in ["Created", "Last used", "Scopes granted", "Access token", "openid", "notes"] {
        assert!(browser.text().await.contains(words), "{words}: {}", browser.text().await);
    }
    look_closely(&mut browser, "story-s2").await;
    browser.click(&format!("a[href^='/ui/oauth-tokens/{grant}/revoke']")).await;
    browser.expect("alice@test.example").await;
    look_closely(&mut browser, "story-s3").await;
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
    look_closely(&mut browser, "story-s3-many").await;
    assert!(call(&bob).await.contains("is not connected"));
    assert_eq!(browser.leaks(&["canary-of-s1"]).await, Vec::<Value>::new());
    assert_eq!(browser.problems().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_the_details_open_beside_the_list_by_keys_alone_and_close_to_where_one_was() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    for name in ["alice", "bob"] {
        let person = app.user(name).await;
        app.connect(&person, "demo", &demo, name).await;
        app.clock.advance(Duration::from_secs(1));
    }
    let mut browser = Browser::start().await;
    sign_in(&app, &mut browser).await;
    let list = format!("{}/ui/oauth-tokens?q=demo&sort=created_at", app.origin);
    browser.size(1_440, 900).await;
    browser.open(&list).await;
    browser.press("j").await;
    browser.press("j").await;
    assert_eq!(browser.focused().await, "bob");
    browser.press("Enter").await;
    browser.expect_url(&format!("{list}&selected=")).await;
    browser.expect("Authorized in the browser").await;
    assert_eq!(browser.focused().await, "bob at demo", "a screen reader begins with the details");
    assert!(browser.sees("a.row-link").await && browser.sees("[data-details]").await);
    assert_eq!(browser.axe().await, Vec::<Value>::new());
    browser.press("k").await;
    assert_eq!(browser.focused().await, "alice", "the keys go on from the row that is open");
    browser.press("Escape").await;
    browser.expect_url(&list).await;
    assert!(!browser.sees("[data-details]").await);
    assert_eq!((browser.focused().await, browser.url().await), ("bob".to_owned(), list.clone()));

    browser.press("Enter").await;
    browser.expect_url(&format!("{list}&selected=")).await;
    browser.size(400, 900).await;
    assert!(!browser.sees("a.row-link").await, "where there is no room the details are the page");
    assert!(browser.sees(".details .actions a").await);
    assert_eq!(browser.axe().await, Vec::<Value>::new());
    browser.click(".crumb[data-close]").await;
    browser.expect_url(&list).await;
    assert!(browser.sees("a.row-link").await);
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
    look_closely(&mut browser, "story-s7").await;
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

/// Signs in at the demo's authorization server, whose page is open, as one of its accounts.
async fn consent(browser: &mut Browser, demo: &Demo, name: &str) {
    let accounts = demo.authorization_server.accounts();
    let account = accounts.iter().find(|account| account.name == name).expect("the account exists");
    browser.check(&format!("[name=username][value={name}]")).await;
    browser.fill("[name=password]", &account.password).await;
    browser.click("button[value=allow]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_the_account_behind_a_token_is_shown_and_another_one_takes_its_place_only_by_the_users_word() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    demo.authorization_server.faults().canary("canary-of-s13");
    let gateway = app.register_asking_for(&demo, "demo", &["openid"]).await;
    let root = app.administrator().id;
    let account = async || {
        let grant = app.app.storage().grant_of(GrantOwner::User(root), gateway.id).await.unwrap().unwrap();
        grant.account.expect("the ID token says whose it is").subject
    };
    let mut browser = Browser::start().await;
    sign_in(&app, &mut browser).await;
    browser.open(&format!("{}/connect/demo", app.origin)).await;
    browser.click("main button.primary").await;
    consent(&mut browser, &demo, "alice").await;
    browser.expect("You connected it as alice").await;
    browser.open(&format!("{}/ui/oauth-tokens", app.origin)).await;
    browser.click("td a.row-link").await;
    browser.expect("Everything else").await;
    assert!(browser.text().await.contains("as alice"), "{}", browser.text().await);

    browser.open(&format!("{}/connect/demo", app.origin)).await;
    browser.expect("Connected as").await;
    browser.click("main button.primary").await;
    consent(&mut browser, &demo, "bob").await;
    browser.expect("That is another account").await;
    let asked = browser.text().await;
    assert!(asked.contains("as bob") && asked.contains("connected as alice"), "{asked}");
    look_closely(&mut browser, "story-s13").await;
    assert_eq!(account().await, "alice", "nothing has changed before its user says so");
    browser.click("a[href$='account=other']").await;
    browser.expect("takes the place of alice").await;
    browser.click("main button.primary").await;
    consent(&mut browser, &demo, "bob").await;
    browser.expect("You connected it as bob").await;
    assert_eq!(account().await, "bob");
    browser.open(&format!("{}/ui/oauth-tokens", app.origin)).await;
    browser.click("td a.row-link").await;
    browser.expect("Everything else").await;
    assert!(browser.text().await.contains("as bob"));
    // The provider's own answers hold its codes; ours hold none.
    let ours = format!(" in {}/", app.origin);
    let leaks = browser.leaks(&["canary-of-s13"]).await;
    let leaks = leaks.iter().filter(|leak| leak.as_str().is_some_and(|leak| leak.contains(&ours)));
    assert_eq!(leaks.collect::<Vec<_>>(), Vec::<&Value>::new());
    assert_eq!(browser.problems().await, Vec::<Value>::new());
}
