//! The connect page: what it says, to whom, and that opening it does nothing.

use doorward_testkit::app::{Person, TestApp};
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;

async fn link(app: &TestApp, person: &Person, gateway: &Arc<doorward_domain::Gateway>) -> String {
    let link = app.app.broker().connect_link(&person.caller, gateway, "Editor <b>7</b>").await.unwrap();
    format!("{}?{}", link.url.path(), link.url.query().unwrap())
}

fn request_of(link: &str) -> &str {
    link.split_once("request=").unwrap().1
}

#[tokio::test]
async fn opening_a_link_consumes_nothing_whoever_opens_it() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let link = link(&app, &alice, &gateway).await;
    let browser = app.browser(&alice).await;
    for _ in 0..3 {
        let scanner = app.anonymous().get(&link).await;
        assert_eq!(scanner.status, 303);
        assert!(scanner.header("location").starts_with("/ui/login?next=%2Fconnect%2Fdemo%3Frequest%3D"));
        let preview = browser.send(browser.request(Method::HEAD, &link)).await;
        assert_eq!(preview.status, 200);
        let shown = browser.get(&link).await;
        assert_eq!(shown.status, 200);
        assert!(shown.headers.get("set-cookie").is_none());
    }
    let began = browser.form("/connect/demo", &[("request", request_of(&link))]).await;
    assert_eq!(began.status, 303);
    assert!(began.header("location").starts_with(demo.authorization_server.authorization_url().as_str()));
    let cookie = began.header("set-cookie");
    assert!(cookie.starts_with("doorward-authorization-") && cookie.contains("HttpOnly"), "{cookie}");
}

#[tokio::test]
async fn the_page_names_who_asks_for_what_and_where_the_browser_goes() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let shown = app.browser(&alice).await.get(&link(&app, &alice, &gateway).await).await;
    for said in [
        "Editor &#60;b&#62;7&#60;/b&#62;",
        "Connect demo",
        "127.0.0.1",
        &app.origin,
        "alice@test.example",
        "Continue to",
    ] {
        assert!(shown.text.contains(said), "{said}: {}", shown.text);
    }
    let policy = shown.header("content-security-policy");
    let provider = demo.authorization_server.authorization_url().origin().ascii_serialization();
    assert!(policy.contains(&format!("form-action 'self' {provider}")), "{policy}");
}

#[tokio::test]
async fn somebody_elses_link_is_refused_and_audited() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let link = link(&app, &alice, &gateway).await;
    let stranger = app.browser(&bob).await;
    let shown = stranger.get(&link).await;
    assert_eq!(shown.status, 403);
    assert!(shown.text.contains("This link is for somebody else"));
    let tried = stranger.form("/connect/demo", &[("request", request_of(&link))]).await;
    assert_eq!(tried.status, 403);
    assert!(tried.headers.get("set-cookie").is_none(), "nothing was begun");
    let trail = app.admin_client().await.get("/admin/audit").await;
    assert!(trail.text.contains("connect.refused"), "{}", trail.text);
    assert!(!trail.text.contains("authorization.begin"), "{}", trail.text);
    assert_eq!(app.browser(&alice).await.get(&link).await.status, 200, "it still works for its owner");
}

#[tokio::test]
async fn an_expired_link_offers_its_owner_to_start_again() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let link = link(&app, &alice, &gateway).await;
    app.clock.advance(Duration::from_secs(11 * 60));
    let browser = app.browser(&alice).await;
    let shown = browser.get(&link).await;
    assert_eq!(shown.status, 410);
    assert!(shown.text.contains("This link has expired") && shown.text.contains("href=\"/connect/demo\""));
    assert_eq!(browser.get("/connect/demo").await.status, 200);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_or_needs_nothing_is_said_so() {
    let app = TestApp::start().await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    assert_eq!(browser.get("/connect/nothing").await.status, 404);
    assert_eq!(browser.get("/connect/No%2FSuch").await.status, 404);
    let open = doorward_broker::GatewayInput {
        slug: Some("open".into()),
        url: Some("http://127.0.0.1:9/mcp".into()),
        state: Some(doorward_domain::GatewayState::Published),
        authorization: Some(doorward_broker::AuthorizationInput::None),
        ..Default::default()
    };
    app.register_input(open).await;
    let shown = browser.get("/connect/open").await;
    assert_eq!(shown.status, 400);
    assert!(shown.text.contains("needs no authorization"));
}
