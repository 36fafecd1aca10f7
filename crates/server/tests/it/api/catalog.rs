//! `/tools`, `/resources`, `/prompts` and `/gateways/{id}/refresh`: the caller's catalog.

use doorward_broker::{AuthorizationInput, GatewayInput};
use doorward_domain::{Audience, GatewayState};
use doorward_testkit::app::TestApp;
use serde_json::{Value, json};

fn named<'a>(answer: &'a Value, name: &str) -> Option<&'a Value> {
    answer["items"].as_array().unwrap().iter().find(|item| item["name"] == name)
}

#[tokio::test]
async fn a_connected_user_sees_the_catalog_and_others_see_what_is_missing() {
    let app = TestApp::start().await;
    let demo = app.demo().await;
    let gateway = app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let client = app.client(&alice, Audience::Own).await;
    let before = client.get("/tools").await;
    assert_eq!((before.status, &before.json["items"]), (200, &json!([])));
    assert_eq!(before.json["missing"][0]["reason"], "must_authorize");
    let refresh = format!("/gateways/{}/refresh", gateway.id);
    assert_eq!(client.post(&refresh, &json!({})).await.status, 409);

    app.connect(&alice, "demo", &demo, "alice").await;
    let tools = client.get("/tools").await.json;
    let whoami = named(&tools, "demo-whoami").expect("the tool is listed under its exposed name");
    assert_eq!((&whoami["original"], &whoami["item"]["name"]), (&json!("whoami"), &json!("whoami")));
    assert_eq!(tools["missing"], json!([]));
    let kinds = |list: &Value| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|item| item["kind"].clone()).collect()
    };
    assert!(kinds(&client.get("/resources").await.json).contains(&json!("resource")));
    assert!(kinds(&client.get("/prompts").await.json).iter().all(|kind| kind == "prompt"));
    let read = client.post(&refresh, &json!({})).await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(read.json["tools"], tools["items"].as_array().unwrap().len());
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_hides_only_itself() {
    let app = TestApp::start().await;
    let input = GatewayInput {
        slug: Some("gone".into()),
        url: Some("http://127.0.0.1:9/mcp".into()),
        state: Some(GatewayState::Published),
        authorization: Some(AuthorizationInput::None),
        ..GatewayInput::default()
    };
    let gateway = app.register_input(input).await;
    let admin = app.admin_client().await;
    let tools = admin.get("/tools").await;
    assert_eq!((tools.status, &tools.json["missing"][0]["reason"]), (200, &json!("unreachable")));
    let refresh = format!("/gateways/{}/refresh", gateway.id);
    assert_eq!(admin.post(&refresh, &json!({})).await.status, 502);
    admin.put(&format!("/gateways/{}", gateway.id), &json!({"state": "disabled"})).await;
    assert_eq!(admin.post(&refresh, &json!({})).await.problem().0, Some("id"));
    assert_eq!(admin.get("/tools").await.json["missing"], json!([]));
}
