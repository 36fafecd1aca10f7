//! Scenarios without authorization: the user's client lists what there is, and uses all of it.

use super::user::UserClient;
use super::walk::{Players, Scenario};
use doorward_domain::Audience;
use serde_json::{Value, json};

/// Scenarios about the headers that tools want. A client of 2026-07-28 would send them itself; where the client is an
/// older one, they are Doorward's work alone.
const OF_HEADERS: [&str; 3] = ["http-standard-headers", "http-custom-headers", "http-invalid-tool-headers"];

impl Players {
    pub(super) async fn play_plain(&self, scenario: &Scenario) {
        let slug: String = scenario.name.replace('_', "-").chars().take(32).collect();
        let registration = json!({ "slug": slug, "name": slug, "url": scenario.url, "state": "published",
            "authorization": { "type": "none" } });
        let registered = self.administrator.post("/gateways", &registration).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        let path = format!("/gateways/{slug}/mcp");
        let http = self.app.client(&self.user, Audience::Mcp).await;
        let is_old = scenario.revision != "2026-07-28" || OF_HEADERS.contains(&scenario.name.as_str());
        let mut client =
            if is_old { UserClient::legacy(http, &path).await } else { UserClient::modern(http, &path) };
        self.read_lists(registered.json["id"].as_str().unwrap(), scenario).await;
        let listed = client.ask("tools/list", json!({})).await;
        self.note(scenario, format!("tools: {listed}"));
        let calls = calls(scenario, &listed["result"]["tools"]);
        self.call_all(&mut client, scenario, calls).await;
        let resources = client.ask("resources/list", json!({})).await;
        if let Some(uri) = resources["result"]["resources"][0].get("uri") {
            let read = client.ask("resources/read", json!({ "uri": uri })).await;
            self.note(scenario, format!("read: {read}"));
        }
        let prompts = client.ask("prompts/list", json!({})).await;
        if let Some(name) = prompts["result"]["prompts"][0].get("name") {
            let got = client.ask("prompts/get", json!({ "name": name })).await;
            self.note(scenario, format!("got: {got}"));
        }
    }

    /// Has the lists read, so that the scenario does not depend on what was read in the background.
    async fn read_lists(&self, gateway: &str, scenario: &Scenario) {
        let read = self.browser.post(&format!("/gateways/{gateway}/refresh"), &json!({})).await;
        self.note(scenario, format!("lists read: {} {}", read.status, read.text));
    }

    /// Calls everything once, and only then answers what was asked, so that questions of one call meet other calls.
    async fn call_all(&self, client: &mut UserClient, scenario: &Scenario, calls: Vec<Value>) {
        let mut asked = Vec::new();
        for params in calls {
            let answer = client.ask("tools/call", params.clone()).await;
            self.note(scenario, format!("called {}: {answer}", params["name"]));
            if answer["result"]["resultType"] == "input_required" {
                asked.push((params, answer["result"].clone()));
            }
        }
        for (params, question) in asked {
            let answer = client.answered("tools/call", params.clone(), &question).await;
            self.note(scenario, format!("answered {}: {answer}", params["name"]));
        }
    }
}

/// What is called: what the suite's context says, or each tool with arguments that suit it.
fn calls(scenario: &Scenario, tools: &Value) -> Vec<Value> {
    if let Some(calls) = scenario.context["toolCalls"].as_array() {
        return calls.clone();
    }
    let tools = tools.as_array().cloned().unwrap_or_default();
    let call = |tool: &Value| json!({ "name": tool["name"], "arguments": arguments(tool, &tools) });
    tools.iter().map(call).collect()
}

fn arguments(tool: &Value, tools: &[Value]) -> Value {
    match tool["name"].as_str().unwrap() {
        "add_numbers" => json!({ "a": 2, "b": 3 }),
        // It wants to see the other tool's schema as it arrived here.
        "json_schema_echo" => json!({ "schema": tools[0]["inputSchema"] }),
        "valid_tool" => json!({ "region": "north" }),
        _ => json!({}),
    }
}
