//! `/api-tokens`: a person's own, shown once, ended at once.

use doorward_domain::Audience;
use doorward_testkit::app::TestApp;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_token_is_shown_once_and_ends_at_once() {
    let app = TestApp::start().await;
    let browser = app.browser(&app.user("alice").await).await;
    let made = browser.post("/api-tokens", &json!({"name": "laptop", "audience": "self"})).await;
    let value = made.json["value"].as_str().unwrap().to_owned();
    assert!(made.status == 201 && value.starts_with("dw_"), "{made:?}");
    let listed = browser.get("/api-tokens").await;
    assert!(!listed.text.contains(&value));
    assert_eq!(listed.json["items"][0]["name"], "laptop");
    let client = app.anonymous().with_bearer(&value);
    assert_eq!(client.get("/me").await.json["audience"], "self");
    let path = format!("/api-tokens/{}", made.json["id"].as_str().unwrap());
    assert_eq!(browser.delete(&path).await.status, 204);
    assert_eq!(client.get("/me").await.status, 401);
    assert!(browser.get("/api-tokens").await.json["items"][0]["ended_at"].is_string());
}

#[tokio::test]
async fn a_token_ends_by_itself() {
    let app = TestApp::start().await;
    let browser = app.browser(&app.user("alice").await).await;
    let made = browser.post("/api-tokens", &json!({"name": "short", "audience": "self", "days": 1})).await;
    let client = app.anonymous().with_bearer(made.json["value"].as_str().unwrap());
    assert_eq!(client.get("/me").await.status, 200);
    app.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(client.get("/me").await.status, 401);
}

#[tokio::test]
async fn a_token_makes_none_that_opens_more_and_nobody_ends_anothers() {
    let app = TestApp::start().await;
    let alice = app.client(&app.user("alice").await, Audience::Own).await;
    let more = alice.post("/api-tokens", &json!({"name": "more", "audience": "admin"})).await;
    assert_eq!((more.status, more.problem().0), (400, Some("audience")));
    let longer = alice.post("/api-tokens", &json!({"name": "longer", "days": 91})).await;
    assert_eq!((longer.status, longer.problem().0), (400, Some("days")), "nor one that outlives it");
    app.clock.advance(Duration::from_secs(80 * 24 * 3_600));
    let as_long = alice.post("/api-tokens", &json!({"name": "as long", "audience": "self"})).await;
    let child = app.anonymous().with_bearer(as_long.json["value"].as_str().unwrap());
    assert_eq!(child.get("/me").await.status, 200);
    app.clock.advance(Duration::from_secs(10 * 24 * 3_600));
    assert_eq!((alice.get("/me").await.status, child.get("/me").await.status), (401, 401));
    let alice = app.client(&app.user("al").await, Audience::Own).await;
    let theirs = alice.get("/api-tokens").await;
    let path = format!("/api-tokens/{}", theirs.json["items"][0]["id"].as_str().unwrap());
    assert_eq!(app.admin_client().await.delete(&path).await.status, 404);
    for (body, field) in [
        (json!({"name": "x", "days": 0}), "days"),
        (json!({"name": "x", "days": -1}), "days"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x", "audience": "everything"}), "audience"),
        (json!({"name": "x", "gateways": []}), "gateways"),
        (json!({"name": "x", "gateways": ["demo"]}), "gateways[0]"),
        (json!({"days": 1}), "name"),
    ] {
        let refused = alice.post("/api-tokens", &body).await;
        assert_eq!((refused.status, refused.problem().0), (400, Some(field)), "{body}");
    }
}
