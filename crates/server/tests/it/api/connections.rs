//! `/connections` and `/oauth/...`: a person's own grants.

use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_connection_is_shown_without_its_tokens_and_ended_by_its_owner() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let client = app.client(&alice, Audience::Own).await;
    let status = format!("/oauth/status/{}", gateway.id);
    let before = client.get(&status).await;
    assert_eq!((&before.json["status"], &before.json["health"]), (&json!("not_connected"), &json!(null)));
    assert_eq!(before.json["connect_url"], format!("{}/connect/demo", app.origin));

    app.connect(&alice, "demo", &demo, "alice").await;
    let connected = client.get(&status).await;
    assert_eq!(
        (&connected.json["status"], &connected.json["health"]),
        (&json!("connected"), &json!("valid"))
    );
    let listed = client.get("/connections").await;
    assert_eq!(listed.json["items"][0], connected.json);
    // The list of tools waits for the reading of the catalog that the consent began.
    assert_eq!(client.get("/tools").await.status, 200);
    let used = demo.mcp_server.log().iter().filter_map(|seen| seen.bearer.clone()).collect::<Vec<_>>();
    assert!(!used.is_empty() && used.iter().all(|token| !listed.text.contains(token)), "{}", listed.text);

    let bob = app.client(&app.user("bob").await, Audience::Own).await;
    let path = format!("/connections/{}", gateway.id);
    assert_eq!(bob.delete(&path).await.status, 404);
    assert_eq!(client.delete(&format!("{path}?provider=gently")).await.status, 400);
    let ended = client.delete(&path).await;
    assert_eq!(
        (ended.status, &ended.json["receipt"], &ended.json["cause"]),
        (200, &json!("pending"), &json!("disconnected"))
    );
    assert!(used.iter().all(|token| !ended.text.contains(token)), "{}", ended.text);
    assert_eq!(client.get(&status).await.json["status"], "not_connected");
    assert_eq!(client.delete(&path).await.status, 404);
}

#[tokio::test]
async fn the_authorize_url_leads_to_the_connect_page_by_the_login() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let path = format!("/oauth/authorize/{}", gateway.id);
    let nobody = app.anonymous().get(&path).await;
    assert_eq!(
        (nobody.status, nobody.header("location")),
        (303, format!("/ui/login?next=%2Foauth%2Fauthorize%2F{}", gateway.id).as_str())
    );
    let browser = app.browser(&app.user("alice").await).await;
    let led = browser.get(&path).await;
    assert_eq!((led.status, led.header("location")), (303, "/connect/demo"));
    assert_eq!(browser.get("/oauth/authorize/0190f5d2-7c1e-7000-8000-000000000001").await.status, 404);
    let mcp = app.client(app.administrator(), Audience::Mcp).await;
    assert_eq!(mcp.get(&path).await.status, 403);
}
