//! My connections, API tokens, "Connect a client".

use doorward_testkit::app::TestApp;

#[tokio::test]
async fn my_connections_show_whose_key_opens_what_and_end_it_after_a_question() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    assert!(browser.get("/ui/connections").await.text.contains("Ask an administrator"));
    let gateway = app.register(&demo, "demo").await;
    let shown = browser.get("/ui/connections").await;
    assert!(shown.text.contains("Not connected") && shown.text.contains("href=\"/connect/demo\""));

    app.connect(&alice, "demo", &demo, "alice").await;
    let shown = browser.get("/ui/connections").await;
    assert!(shown.text.contains("renews itself") && shown.text.contains("Disconnect…"), "{}", shown.text);
    assert!(browser.get("/connect/demo").await.text.contains("Authorize demo again"));

    let asked = browser.get("/ui/connections/demo/disconnect").await;
    assert!(asked.text.contains("Disconnect demo?") && asked.text.contains("is told right afterwards"));
    assert!(app.app.broker().connection(&alice.caller, gateway.id).await.unwrap().grant.is_some());
    let done = browser.form("/ui/connections/demo/disconnect", &[]).await;
    let (receipt, root) = (done.header("location").to_owned(), app.browser(app.administrator()).await);
    assert!(browser.get(&receipt).await.text.contains("is being told; it has not confirmed yet"));
    assert_eq!(root.get(&receipt).await.status, 404, "somebody else's is as good as unknown");
    app.app.broker().tell_providers().await.unwrap();
    assert!(browser.get(&receipt).await.text.contains("has confirmed that it ended there too"));
    assert_eq!(browser.form("/ui/connections/demo/disconnect", &[]).await.status, 404);
}

#[tokio::test]
async fn a_token_is_shown_once_and_ended_after_a_question() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    assert!(browser.get("/ui/tokens").await.text.contains("No API tokens yet"));
    let bad = browser.form("/ui/tokens/new", &[("name", ""), ("audience", "mcp"), ("days", "0")]).await;
    assert_eq!(bad.status, 400);
    let made =
        browser.form("/ui/tokens/new", &[("name", "Editor"), ("audience", "self"), ("days", "7")]).await;
    let token = made.text.split_once("dw_").unwrap().1.split('<').next().unwrap();
    let token = format!("dw_{token}");
    assert_eq!(app.anonymous().with_bearer(&token).get("/me").await.status, 200);
    let list = browser.get("/ui/tokens").await;
    assert!(list.text.contains("Editor") && !list.text.contains(&token));

    let id = list.text.split_once("/ui/tokens/0").unwrap().1.split('/').next().unwrap();
    let end = format!("/ui/tokens/0{id}/end");
    assert!(browser.get(&end).await.text.contains("End “Editor”?"));
    let others = app.browser(app.administrator()).await;
    assert_eq!(others.get(&end).await.status, 404, "somebody else's token is as good as unknown");
    assert_eq!(others.form(&end, &[]).await.status, 404);
    assert_eq!(browser.form(&end, &[]).await.status, 303);
    assert_eq!(app.anonymous().with_bearer(&token).get("/me").await.status, 401);
    assert!(browser.get("/ui/tokens").await.text.contains("Ended"));
    assert_eq!(browser.get("/ui/tokens/x/end").await.status, 404);
}

#[tokio::test]
async fn connecting_a_client_makes_a_narrow_token_with_snippets_around_it() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let browser = app.browser(&app.user("alice").await).await;
    let before = browser.get("/ui/connect-a-client?gateway=demo").await;
    assert!(before.text.contains("YOUR_TOKEN") && before.text.contains("/gateways/demo/mcp"));
    let made = browser.form("/ui/connect-a-client", &[("name", "Editor"), ("gateway", "demo")]).await;
    assert_eq!(made.status, 200);
    assert!(made.text.contains("claude mcp add --transport http demo") && !made.text.contains("YOUR_TOKEN"));
    let token = made.text.split_once("id=\"token\">").unwrap().1.split('<').next().unwrap();
    assert_eq!(app.anonymous().with_bearer(token).get("/me").await.status, 403, "it opens MCP alone");
    let all = browser.form("/ui/connect-a-client", &[("name", "Editor"), ("gateway", "")]).await;
    assert!(all.text.contains(&format!("{}/mcp", app.origin)));
    assert_eq!(
        browser.form("/ui/connect-a-client", &[("name", "x"), ("gateway", "nowhere")]).await.status,
        400
    );
}
