//! The link that a call hands out: looking at it does nothing, and it is for one person alone.

use super::walk::{asked_link, audited, come_back, mcp, modern, set_out, tool_text};
use doorward_demo::Demo;
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::Client;
use reqwest::Method;
use serde_json::json;
use url::Url;

/// A link that alice's client was given: its path and its request's id.
struct Link {
    path: String,
    request: String,
}

async fn stage() -> (TestApp, Demo, Person, Link) {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let client = mcp(&app, &alice).await;
    let link = asked_link(&modern(&client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await);
    let path = link.strip_prefix(&app.origin).unwrap().to_owned();
    let request = path.split_once("request=").unwrap().1.to_owned();
    (app, demo, alice, Link { path, request })
}

async fn look(client: &Client, method: Method, path: &str) -> u16 {
    client.send(client.request(method, path)).await.status
}

#[tokio::test]
async fn opening_a_connect_link_consumes_nothing_whoever_opens_it() {
    let (app, demo, alice, link) = stage().await;
    let browser = app.browser(&alice).await;
    for method in [Method::GET, Method::HEAD, Method::GET] {
        assert_eq!(
            look(&app.anonymous(), method.clone(), &link.path).await,
            303,
            "a scanner meets the login"
        );
        assert_eq!(look(&browser, method, &link.path).await, 200);
    }
    assert!(audited(&app, "authorization.").await.is_empty());
    assert!(demo.authorization_server.log().authorize_requests.is_empty());
    let out = set_out(&browser, "demo", Some(&link.request)).await;
    let location = browser.consent(out.url.as_str(), &demo, "alice").await;
    let (_, place) = come_back(&browser, &location.parse().unwrap(), &out.binding).await;
    assert_eq!(place, "/ui/connected/demo");
    let client = mcp(&app, &alice).await;
    let answer = modern(&client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await;
    assert_eq!(tool_text(&answer), "alice");
}

#[tokio::test]
async fn a_link_opened_by_somebody_else_is_refused_and_audited_and_leaves_no_row() {
    let (app, demo, alice, link) = stage().await;
    let bob = app.user("bob").await;
    let browser = app.browser(&bob).await;
    let answer = browser.get(&link.path).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("This link is for somebody else") && !answer.text.contains(&alice.email));
    let events = audited(&app, "connect.refused").await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["actor_id"], &events[0]["user_id"]), (&json!(bob.id), &json!(alice.id)));
    let pressed = browser.form("/connect/demo", &[("request", &link.request)]).await;
    assert_eq!(pressed.status, 403, "{pressed:?}");
    assert!(audited(&app, "authorization.").await.is_empty());
    assert!(demo.authorization_server.log().authorize_requests.is_empty());
    assert!(!connected(&app, &bob).await && !connected(&app, &alice).await);
    assert_eq!(look(&app.browser(&alice).await, Method::GET, &link.path).await, 200, "it is still hers");
}

async fn connected(app: &TestApp, person: &Person) -> bool {
    let client = mcp(app, person).await;
    let answer = modern(&client, "/mcp", "tools/call", &json!({ "name": "demo-whoami" })).await;
    answer["result"]["isError"] != true
}

#[tokio::test]
async fn every_link_is_at_the_public_url() {
    let (app, _demo, _alice, link) = stage().await;
    let public: Url = app.origin.parse().unwrap();
    assert_eq!(public.join(&link.path).unwrap().origin(), public.origin());
    assert!(link.path.starts_with("/connect/demo?request="));
}
