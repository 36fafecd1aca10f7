//! A virtual server as its clients see it: the chosen things of several gateways, each with the caller's own
//! grant, and nothing else of them.

use super::walk::{self, modern, tool_text};
use doorward_broker::NewApiToken;
use doorward_demo::Demo;
use doorward_domain::{Audience, GatewayId};
use doorward_testkit::app::{Person, TestApp};
use doorward_testkit::client::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const AT: &str = "/servers/desk/mcp";

struct Stage {
    app: TestApp,
    demo: Demo,
    gateways: [GatewayId; 2],
    alice: Person,
    server: String,
}

impl Stage {
    /// Two gateways that offer the same, and a server with a choice out of both.
    async fn set() -> Self {
        let app = TestApp::start().await;
        let demo = app.demo().await;
        let gateways = [app.register(&demo, "one").await.id, app.register(&demo, "two").await.id];
        let alice = app.user("alice").await;
        app.connect(&alice, "one", &demo, "alice").await;
        app.connect(&alice, "two", &demo, "bob").await;
        let tool = |gateway, name: &str| json!({"kind": "tool", "gateway_id": gateway, "name": name});
        let mut renamed = tool(gateways[1], "whoami");
        renamed["exposed_name"] = json!("who");
        let items = json!([
            tool(gateways[0], "whoami"),
            renamed,
            tool(gateways[0], "add"),
            {"kind": "resource_template", "gateway_id": gateways[0], "name": "demo://repo/{name}"},
        ]);
        let body = json!({"slug": "desk", "name": "Desk", "items": items});
        let made = app.admin_client().await.post("/servers", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        let server = format!("/servers/{}", made.json["id"].as_str().unwrap());
        Self { app, demo, gateways, alice, server }
    }

    async fn edit(&self, body: Value) {
        let edited = self.app.admin_client().await.put(&self.server, &body).await;
        assert_eq!(edited.status, 200, "{edited:?}");
    }
}

async fn tools(client: &Client) -> Vec<String> {
    let list = modern(client, AT, "tools/list", &json!({})).await;
    let tools = list["result"]["tools"].as_array().unwrap_or_else(|| panic!("{list:#}")).iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn call(client: &Client, name: &str) -> Value {
    modern(client, AT, "tools/call", &json!({ "name": name })).await
}

async fn status(client: &Client) -> u16 {
    client.post(AT, &json!({})).await.status
}

#[tokio::test]
async fn a_virtual_server_shows_what_was_chosen_and_serves_it_with_the_callers_own_grants() {
    let stage = Stage::set().await;
    let client = walk::mcp(&stage.app, &stage.alice).await;
    assert_eq!(tools(&client).await, ["doorward-connections", "one-whoami", "one-add", "who"]);
    assert_eq!(tool_text(&call(&client, "one-whoami").await), "alice");
    assert_eq!(tool_text(&call(&client, "who").await), "bob", "another account at the other gateway");
    for name in ["two-whoami", "one-echo", "two-echo", "whoami"] {
        assert_eq!(call(&client, name).await["error"]["code"], -32602, "{name} was not chosen");
    }
    let all = walk::mcp(&stage.app, &stage.alice).await;
    let beside = modern(&all, "/mcp", "tools/call", &json!({ "name": "two-whoami" })).await;
    assert_eq!(tool_text(&beside), "bob", "and /mcp is as it was");
}

#[tokio::test]
async fn resources_are_read_by_what_was_chosen_alone() {
    let stage = Stage::set().await;
    let client = walk::mcp(&stage.app, &stage.alice).await;
    let read = async |uri: &str| modern(&client, AT, "resources/read", &json!({ "uri": uri })).await;
    let templates = modern(&client, AT, "resources/templates/list", &json!({})).await;
    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 1);
    let seen = stage.demo.mcp_server.log().len();
    for uri in ["demo://other", "doorward+two:demo://repo/x", "doorward+one:demo://other"] {
        assert_eq!(read(uri).await["error"]["code"], -32602, "{uri}");
    }
    assert_eq!(stage.demo.mcp_server.log().len(), seen, "what was not chosen is asked of nobody");
    read("demo://repo/readme").await;
    assert!(stage.demo.mcp_server.log().len() > seen, "what fits the chosen template is");
}

#[tokio::test]
async fn both_access_lists_and_the_api_token_hold_there() {
    let stage = Stage::set().await;
    let (app, alice) = (&stage.app, &stage.alice);
    let client = walk::mcp(app, alice).await;
    assert_eq!(tools(&client).await.len(), 4);
    let admin = app.admin_client().await;
    let nobody = json!({"access": {"for": "listed"}});
    admin.put(&format!("/gateways/{}", stage.gateways[1]), &nobody).await;
    assert_eq!(tools(&client).await, ["doorward-connections", "one-whoami", "one-add"]);
    assert_eq!(call(&client, "who").await["error"]["code"], -32602);
    admin.put(&format!("/gateways/{}", stage.gateways[1]), &json!({"access": {"for": "everyone"}})).await;

    let narrow = NewApiToken {
        name: "one".into(),
        audience: Audience::Mcp,
        gateways: Some(vec![stage.gateways[0]]),
        days: None,
    };
    let narrow = app.app.broker().create_api_token(&alice.caller, narrow).await.unwrap();
    let narrowed = app.anonymous().with_bearer(narrow.plain.expose_secret());
    assert_eq!(tools(&narrowed).await, ["doorward-connections", "one-whoami", "one-add"]);
    assert_eq!(call(&narrowed, "who").await["error"]["code"], -32602);

    stage.edit(nobody).await;
    assert_eq!(status(&client).await, 404, "to whom it is closed there is no such server");
    let own = app.client(alice, Audience::Own).await;
    assert_eq!(
        (own.get("/servers").await.json["items"].clone(), own.get(&stage.server).await.status),
        (json!([]), 404)
    );
    stage.edit(json!({"access": {"for": "listed", "users": [alice.id]}})).await;
    assert_eq!(tools(&client).await.len(), 4);
    let seen = own.get(&stage.server).await.json;
    assert!(seen.get("items").is_none() && seen.get("access").is_none(), "{seen}");
    assert_eq!(seen["mcp_url"], format!("{}{AT}", app.origin));
    admin.delete(&stage.server).await;
    assert_eq!(status(&client).await, 404);
}

#[tokio::test]
async fn a_gateway_that_is_not_connected_is_asked_for_and_what_goes_with_a_gateway_goes() {
    let stage = Stage::set().await;
    let bob = stage.app.user("bob").await;
    let client = walk::mcp(&stage.app, &bob).await;
    assert_eq!(tools(&client).await, ["doorward-connections", "one-connect", "two-connect"]);
    let link = walk::asked_link(&call(&client, "who").await);
    assert!(link.contains("/connect/two"), "{link}");
    let admin = stage.app.admin_client().await;
    admin.delete(&format!("/gateways/{}", stage.gateways[1])).await;
    assert_eq!(tools(&client).await, ["doorward-connections", "one-connect"]);
    assert_eq!(admin.get(&stage.server).await.json["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_name_that_was_given_stands_before_the_usual_one() {
    let stage = Stage::set().await;
    let tool = |gateway, name: &str, exposed: Option<&str>| {
        let mut item = json!({"kind": "tool", "gateway_id": gateway, "name": name});
        if let Some(exposed) = exposed {
            item["exposed_name"] = json!(exposed);
        }
        item
    };
    let [one, two] = stage.gateways;
    // The second is given the name that the first has on /mcp.
    stage.edit(json!({"items": [tool(one, "whoami", None), tool(two, "whoami", Some("one-whoami"))]})).await;
    let client = walk::mcp(&stage.app, &stage.alice).await;
    assert_eq!(tools(&client).await, ["doorward-connections", "one-whoami"]);
    assert_eq!(tool_text(&call(&client, "one-whoami").await), "bob");
}
