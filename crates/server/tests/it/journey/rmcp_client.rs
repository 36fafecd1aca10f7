//! The official Rust SDK (crate `rmcp`) as an MCP client, with the same few commands as the other official clients.

use doorward_testkit::mcp_client::Era;
use rmcp::model::ProtocolVersion;
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) struct RmcpClient(RunningService<RoleClient, ()>);

impl RmcpClient {
    pub(super) async fn connect(url: &str, bearer: &str, era: Era) -> Self {
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(bearer);
        let lifecycle = match era {
            Era::V2025_11_25 => ClientLifecycleMode::Initialize,
            Era::V2026_07_28 => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
            }
        };
        let transport = StreamableHttpClientTransport::from_config(config);
        Self(().serve_with_lifecycle(transport, lifecycle).await.unwrap())
    }

    /// What a list holds.
    pub(super) async fn list(&self, what: &str) -> Vec<Value> {
        let all = match what {
            "tools" => told(self.0.list_all_tools().await),
            "resources" => told(self.0.list_all_resources().await),
            "resource_templates" => told(self.0.list_all_resource_templates().await),
            "prompts" => told(self.0.list_all_prompts().await),
            other => panic!("there is no list of {other}"),
        };
        all["result"].as_array().unwrap_or_else(|| panic!("no list of {what}: {all:#}")).clone()
    }

    /// A whole call; gives `{ result }` or `{ error }`.
    pub(super) async fn call(&self, method: &str, params: Value) -> Value {
        match method {
            "tools/call" => told(self.0.call_tool(typed(params)).await),
            "resources/read" => told(self.0.read_resource(typed(params)).await),
            other => panic!("there is no call of {other}"),
        }
    }
}

fn typed<T: DeserializeOwned>(params: Value) -> T {
    serde_json::from_value(params).unwrap()
}

fn told(answered: Result<impl Serialize, ServiceError>) -> Value {
    match answered {
        Ok(result) => json!({ "result": result }),
        Err(error) => json!({ "error": { "message": error.to_string() } }),
    }
}
