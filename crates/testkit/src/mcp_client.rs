//! Official MCP clients: the SDKs npm `@modelcontextprotocol/client` and PyPI `mcp`, the Inspector's command
//! line, and `mcp-remote`, which clients that know only stdio start in front of a remote server.

use crate::rig::Rig;
use serde_json::{Value, json};

/// Which revisions a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025-11-25, with sessions.
    V2025_11_25,
    /// 2026-07-28.
    V2026_07_28,
}

/// Whether a client can send its user to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elicitation {
    Url,
    None,
}

/// A connected client; it ends with this value.
#[derive(Debug)]
pub struct SdkClient {
    rig: Rig,
    /// What it said when it was connected: `protocol_version`, `server`, `capabilities`.
    pub ready: Value,
}

impl SdkClient {
    /// Connects the TypeScript SDK.
    pub async fn typescript(url: &str, bearer: &str, era: Era, elicitation: Elicitation) -> Self {
        let elicitation = match elicitation {
            Elicitation::Url => "url",
            Elicitation::None => "none",
        };
        let protocol = match era {
            Era::V2025_11_25 => "legacy",
            Era::V2026_07_28 => "2026-07-28",
        };
        let options =
            json!({ "url": url, "bearer": bearer, "elicitation": elicitation, "protocol": protocol });
        Self::connected(Rig::node("mcp_client.mjs", &options)).await
    }

    /// Connects the Python SDK.
    pub async fn python(url: &str, bearer: &str, era: Era) -> Self {
        let mode = match era {
            Era::V2025_11_25 => "legacy",
            Era::V2026_07_28 => "2026-07-28",
        };
        let options = json!({ "url": url, "bearer": bearer, "mode": mode });
        Self::connected(Rig::python_with_packages("mcp_client.py", &options)).await
    }

    /// Connects `mcp-remote`, behind a client that knows only stdio. It speaks 2025-11-25.
    pub async fn mcp_remote(url: &str, bearer: &str) -> Self {
        let options = json!({ "url": url, "bearer": bearer });
        Self::connected(Rig::node("mcp_remote.mjs", &options)).await
    }

    /// The Inspector's command line: it connects anew with each request.
    pub async fn inspector(url: &str, bearer: &str, era: Era) -> Self {
        let era = match era {
            Era::V2025_11_25 => "legacy",
            Era::V2026_07_28 => "modern",
        };
        let options = json!({ "url": url, "bearer": bearer, "era": era });
        Self::connected(Rig::node("inspector.mjs", &options)).await
    }

    async fn connected(mut rig: Rig) -> Self {
        let ready = rig.next().await;
        assert_eq!(ready["ready"], true, "the client could not connect: {ready:#}");
        Self { rig, ready }
    }

    /// Starts a call; what comes of it are events.
    pub async fn begin(&mut self, method: &str, params: &Value) {
        self.rig.send(&json!({ "call": method, "params": params })).await;
    }

    /// The next event: `result`, `error`, `elicitation`, `elicitation_complete` or `notification`.
    pub async fn event(&mut self) -> Value {
        self.rig.next().await
    }

    /// The next event that is not a notification of a changed list.
    pub async fn next_of_interest(&mut self) -> Value {
        loop {
            let event = self.event().await;
            if event.get("notification").is_none() {
                return event;
            }
        }
    }

    /// Answers an elicitation: `accept`, `decline` or `cancel`.
    pub async fn answer(&mut self, action: &str) {
        self.rig.send(&json!({ "action": action })).await;
    }

    /// A whole call; gives `{ result }` or `{ error }`.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.begin(method, &params).await;
        self.end().await
    }

    /// How the call that was begun ends: `{ result }` or `{ error }`.
    pub async fn end(&mut self) -> Value {
        loop {
            let event = self.event().await;
            if event.get("result").is_some() || event.get("error").is_some() {
                return event;
            }
            assert!(event.get("elicitation").is_none(), "nobody expected to be asked: {event:#}");
        }
    }

    /// What a list holds: `tools`, `resources`, `resource_templates` or `prompts`.
    pub async fn list(&mut self, what: &str) -> Vec<Value> {
        self.rig.send(&json!({ "list": what })).await;
        let ended = self.end().await;
        ended["result"].as_array().unwrap_or_else(|| panic!("no list of {what}: {ended:#}")).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_demo::{McpServer, McpServerOptions};

    #[tokio::test]
    async fn both_official_clients_speak_both_eras_without_a_gateway() {
        let any = "127.0.0.1:0".parse().unwrap();
        let server = McpServer::start(any, None, McpServerOptions::default()).await.unwrap();
        let url = server.url().as_str();
        for (era, version) in [(Era::V2025_11_25, "2025-11-25"), (Era::V2026_07_28, "2026-07-28")] {
            let typescript = SdkClient::typescript(url, "unused", era, Elicitation::None).await;
            for mut client in [typescript, SdkClient::python(url, "unused", era).await] {
                assert_eq!(client.ready["protocol_version"], version);
                assert!(client.list("tools").await.iter().any(|tool| tool["name"] == "whoami"));
                let answer = client.call("tools/call", json!({ "name": "whoami" })).await;
                assert_eq!(answer["result"]["content"][0]["text"], "nobody");
                assert_eq!(
                    client.call("tools/call", json!({ "name": "none" })).await["error"]["code"],
                    -32602
                );
            }
        }
    }
}
