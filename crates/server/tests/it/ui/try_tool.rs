//! "Try a tool as me": the real call, as the reader and nobody else.

use doorward_testkit::app::TestApp;

#[tokio::test]
async fn a_tool_is_called_as_the_reader_with_the_readers_own_key() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let browser = app.browser(&alice).await;
    let before = browser.get("/ui/try").await;
    assert!(before.text.contains("Connect it first") && before.text.contains("href=\"/connect/demo\""));
    assert_eq!(browser.get("/ui/try/demo?tool=whoami").await.status, 404, "nothing is known of it yet");

    app.connect(&alice, "demo", &demo, "alice").await;
    assert!(browser.get("/ui/try").await.text.contains("href=\"/ui/try/demo?tool=whoami\""));
    let asked = browser.get("/ui/try/demo?tool=whoami").await;
    assert!(asked.text.contains("It takes no arguments.") && asked.text.contains("Reads only"));
    let answer = browser.form("/ui/try/demo", &[("tool", "whoami")]).await;
    assert!(answer.status == 200 && answer.text.contains("<code>alice</code>"), "{}", answer.text);

    app.connect(&bob, "demo", &demo, "bob").await;
    let theirs = app.browser(&bob).await.form("/ui/try/demo", &[("tool", "whoami")]).await;
    assert!(theirs.text.contains("<code>bob</code>"), "{}", theirs.text);
}

#[tokio::test]
async fn a_form_comes_from_the_schema_and_says_what_is_wrong() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let browser = app.browser(&alice).await;
    let sum =
        browser.form("/ui/try/demo", &[("tool", "add"), ("argument-0", "2"), ("argument-1", "40")]).await;
    assert!(sum.text.contains("<code>42</code>"), "{}", sum.text);
    let slip =
        browser.form("/ui/try/demo", &[("tool", "add"), ("argument-0", "two"), ("argument-1", "1")]).await;
    assert!(slip.status == 400 && slip.text.contains("Type a number."), "{}", slip.text);
    let json = browser.form("/ui/try/demo", &[("tool", "echo"), ("arguments", "{\"a\": [1]}")]).await;
    assert!(json.text.contains("Its answer") && json.text.contains("[1]"), "{}", json.text);
    assert_eq!(browser.form("/ui/try/demo", &[("tool", "echo"), ("arguments", "{")]).await.status, 400);
    assert_eq!(browser.form("/ui/try/demo", &[("tool", "nothing")]).await.status, 404);
    assert_eq!(browser.get("/ui/try/nowhere?tool=add").await.status, 404);
}

#[tokio::test]
async fn who_has_to_authorize_again_is_given_the_link_and_nothing_is_sent() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    app.connect(&alice, "demo", &demo, "alice").await;
    let browser = app.browser(&alice).await;
    assert_eq!(browser.get("/ui/try/demo?tool=whoami").await.status, 200);
    let list = app.admin_client().await.get("/admin/oauth/tokens").await;
    let id = list.json["items"][0]["id"].as_str().unwrap().to_owned();
    let asked = serde_json::json!({ "reason": "test" });
    let forced =
        app.admin_client().await.post(&format!("/admin/oauth/tokens/{id}/reauthorize"), &asked).await;
    assert!(forced.status < 300, "{forced:?}");
    demo.mcp_server.clear_log();
    let answer = browser.form("/ui/try/demo", &[("tool", "whoami")]).await;
    assert!(answer.text.contains("You have to authorize first"), "{}", answer.text);
    assert!(demo.mcp_server.log().iter().all(|seen| !seen.body.contains("tools/call")));
}
