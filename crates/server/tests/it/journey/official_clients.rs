//! Official clients against `/mcp` and against a virtual server, in each era that they have.

use super::rmcp_client::RmcpClient;
use doorward_domain::{Audience, GatewayId};
use doorward_testkit::app::TestApp;
use doorward_testkit::mcp_client::{Elicitation, Era, SdkClient};
use serde_json::{Value, json};

struct Stage {
    app: TestApp,
    _demo: doorward_demo::Demo,
    gateway: GatewayId,
    token: String,
}

impl Stage {
    /// Alice has connected one gateway, and has an API token for her clients.
    async fn set() -> Self {
        let app = TestApp::start().await;
        let demo = app.demo().await;
        let gateway = app.register(&demo, "demo").await.id;
        let alice = app.user("alice").await;
        app.connect(&alice, "demo", &demo, "alice").await;
        let token = app.api_token(&alice, Audience::Mcp).await;
        Self { app, _demo: demo, gateway, token }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.app.origin)
    }
}

fn names(list: &[Value]) -> Vec<&str> {
    list.iter().filter_map(|item| item["name"].as_str()).collect()
}

/// What the test of a client needs of it.
trait OfficialClient {
    async fn list(&mut self, what: &str) -> Vec<Value>;
    async fn call(&mut self, method: &str, params: Value) -> Value;
}

impl OfficialClient for SdkClient {
    async fn list(&mut self, what: &str) -> Vec<Value> {
        Self::list(self, what).await
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        Self::call(self, method, params).await
    }
}

impl OfficialClient for RmcpClient {
    async fn list(&mut self, what: &str) -> Vec<Value> {
        Self::list(self, what).await
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        Self::call(self, method, params).await
    }
}

/// What every client has to manage: the lists, a tool, a resource, a prompt, and an error that says something.
async fn walk(client: &mut impl OfficialClient, who: &str) {
    let tools = client.list("tools").await;
    for name in ["doorward-connections", "demo-whoami", "demo-add"] {
        assert!(names(&tools).contains(&name), "{who}: {tools:#?}");
    }
    let whoami = client.call("tools/call", json!({ "name": "demo-whoami" })).await;
    assert_eq!(whoami["result"]["content"][0]["text"], "alice", "{who}: {whoami:#}");
    let add = json!({ "name": "demo-add", "arguments": { "a": 2, "b": 3 } });
    let sum = client.call("tools/call", add).await;
    assert_eq!(sum["result"]["content"][0]["text"], "5", "{who}: {sum:#}");
    let resources = client.list("resources").await;
    let uri = resources[0]["uri"].clone();
    let read = client.call("resources/read", json!({ "uri": uri })).await;
    assert_eq!(read["result"]["contents"][0]["uri"], uri, "{who}: {read:#}");
    assert!(!client.list("resource_templates").await.is_empty(), "{who}");
    let prompts = client.list("prompts").await;
    assert!(names(&prompts).iter().all(|name| name.starts_with("demo-")), "{who}: {prompts:#?}");
    let unknown = client.call("tools/call", json!({ "name": "demo-nothing" })).await;
    assert!(unknown["error"]["message"].is_string(), "{who}: {unknown:#}");
}

#[tokio::test]
async fn the_sdks_use_what_is_behind_mcp_in_both_eras() {
    let stage = Stage::set().await;
    let (url, token) = (stage.url("/mcp"), &stage.token);
    for era in [Era::V2025_11_25, Era::V2026_07_28] {
        let mut typescript = SdkClient::typescript(&url, token, era, Elicitation::None).await;
        walk(&mut typescript, &format!("the TypeScript SDK, {era:?}")).await;
        let mut python = SdkClient::python(&url, token, era).await;
        walk(&mut python, &format!("the Python SDK, {era:?}")).await;
        let mut rust = RmcpClient::connect(&url, token, era).await;
        walk(&mut rust, &format!("the Rust SDK, {era:?}")).await;
    }
}

#[tokio::test]
async fn the_inspectors_command_line_uses_what_is_behind_mcp_in_both_eras() {
    let stage = Stage::set().await;
    for era in [Era::V2025_11_25, Era::V2026_07_28] {
        let mut client = SdkClient::inspector(&stage.url("/mcp"), &stage.token, era).await;
        walk(&mut client, &format!("the Inspector, {era:?}")).await;
    }
}

#[tokio::test]
async fn a_client_that_knows_only_stdio_uses_what_is_behind_mcp_through_mcp_remote() {
    let stage = Stage::set().await;
    let mut client = SdkClient::mcp_remote(&stage.url("/mcp"), &stage.token).await;
    assert_eq!(client.ready["protocol_version"], "2025-11-25");
    walk(&mut client, "mcp-remote").await;
}

#[tokio::test]
async fn a_virtual_server_is_one_more_server_to_official_clients() {
    let stage = Stage::set().await;
    let item = json!({"kind": "tool", "gateway_id": stage.gateway, "name": "whoami", "exposed_name": "who"});
    let server = json!({"name": "Desk", "items": [item]});
    assert_eq!(stage.app.admin_client().await.post("/servers", &server).await.status, 201);
    let (url, token) = (stage.url("/servers/desk/mcp"), &stage.token);
    for era in [Era::V2025_11_25, Era::V2026_07_28] {
        let typescript = SdkClient::typescript(&url, token, era, Elicitation::None).await;
        for mut client in [typescript, SdkClient::python(&url, token, era).await] {
            assert_eq!(names(&client.list("tools").await), ["doorward-connections", "who"], "{era:?}");
            let who = client.call("tools/call", json!({ "name": "who" })).await;
            assert_eq!(who["result"]["content"][0]["text"], "alice", "{era:?}: {who:#}");
            let unchosen = client.call("tools/call", json!({ "name": "demo-add" })).await;
            assert!(unchosen["error"]["message"].is_string(), "{era:?}: {unchosen:#}");
        }
    }
}
