//! A user's MCP client, by hand, in either era. Forms that a server asks it to fill in it answers with their defaults,
//! and says yes to what has none.

use doorward_testkit::client::Client;
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};

/// What this client can be asked.
fn capabilities() -> Value {
    json!({ "elicitation": { "form": { "applyDefaults": true } } })
}

pub(super) struct UserClient {
    http: Client,
    path: String,
    session: Option<String>,
    ids: u64,
}

impl UserClient {
    /// A client of 2026-07-28.
    pub(super) fn modern(http: Client, path: &str) -> Self {
        Self { http, path: path.to_owned(), session: None, ids: 0 }
    }

    /// A client of 2025-11-25, in a session.
    pub(super) async fn legacy(http: Client, path: &str) -> Self {
        let mut client = Self { http, path: path.to_owned(), session: None, ids: 0 };
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities(),
            "clientInfo": { "name": "suite", "version": "1" } });
        let opened = client.post("initialize", params).await;
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        opened.bytes().await.unwrap();
        client.session = Some(session);
        client.say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        client
    }

    /// One request to its end; gives the message that answers it, which to a modern client may be a question.
    pub(super) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let mut answer = self.post(method, params).await;
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        if !content_type.starts_with("text/event-stream") {
            return serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        }
        let mut read = String::new();
        while let Some(chunk) = answer.chunk().await.unwrap() {
            read.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((line, rest)) = read.split_once('\n') {
                let (line, rest) = (line.trim_end().to_owned(), rest.to_owned());
                read = rest;
                let data = line.strip_prefix("data:").map(str::trim).filter(|data| !data.is_empty());
                let Some(message) = data.map(|data| serde_json::from_str::<Value>(data).unwrap()) else {
                    continue;
                };
                if message.get("method").is_none() {
                    return message;
                }
                if message.get("id").is_some() {
                    let filled = filled_in(&message["params"]);
                    self.say(json!({ "jsonrpc": "2.0", "id": message["id"], "result": filled })).await;
                }
            }
        }
        panic!("the stream of {method} ended without an answer")
    }

    /// The request again, with the answers to what the server wanted to know (2026-07-28, MRTR).
    pub(super) async fn answered(&mut self, method: &str, mut params: Value, question: &Value) -> Value {
        let requests = question["inputRequests"].as_object().unwrap();
        let responses: Map<String, Value> =
            requests.iter().map(|(key, request)| (key.clone(), filled_in(&request["params"]))).collect();
        params["inputResponses"] = responses.into();
        if let Some(state) = question.get("requestState") {
            params["requestState"] = state.clone();
        }
        self.ask(method, params).await
    }

    async fn post(&mut self, method: &str, mut params: Value) -> Response {
        self.ids += 1;
        let mut headers = vec![];
        if method != "initialize" && self.session.is_none() {
            let name = params.get("name").or(params.get("uri")).and_then(Value::as_str);
            headers.extend(name.map(|name| ("mcp-name", name.to_owned())));
            headers.push(("mcp-method", method.to_owned()));
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": capabilities(),
                "io.modelcontextprotocol/clientInfo": { "name": "suite", "version": "1" },
            });
        }
        let message = json!({ "jsonrpc": "2.0", "id": self.ids, "method": method, "params": params });
        self.send(message, headers).await
    }

    async fn say(&self, message: Value) {
        let taken = self.send(message, vec![]).await;
        assert_eq!(taken.status(), 202);
    }

    async fn send(&self, message: Value, headers: Vec<(&str, String)>) -> Response {
        let mut request = self.http.request(Method::POST, &self.path).json(&message);
        request = request.header("accept", "application/json, text/event-stream");
        let revision = if headers.is_empty() { "2025-11-25" } else { "2026-07-28" };
        request = request.header("mcp-protocol-version", revision);
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }
}

/// Accepts a form with each field's default; a yes-or-no without one is a yes.
fn filled_in(params: &Value) -> Value {
    let fields = params["requestedSchema"]["properties"].as_object().cloned().unwrap_or_default();
    let fill = |(name, field): (String, Value)| {
        let default = field.get("default").cloned();
        Some((name, default.or((field["type"] == "boolean").then(|| true.into()))?))
    };
    json!({ "action": "accept", "content": fields.into_iter().filter_map(fill).collect::<Map<_, _>>() })
}
