//! The methods that both eras share. What differs on the wire is added by `legacy` and `modern`.

use super::Shared;
use super::{prompts, resources, tools};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A result as JSON text of an object.
pub(super) struct Reply {
    pub(super) text: String,
    /// The modern revision wants `ttlMs` and `cacheScope` on it.
    pub(super) is_cacheable: bool,
}

impl Reply {
    pub(super) fn plain(result: &Value) -> Self {
        Self { text: result.to_string(), is_cacheable: false }
    }

    pub(super) fn cacheable(result: &Value) -> Self {
        Self { text: result.to_string(), is_cacheable: true }
    }
}

/// Why a method gives no result; each era has its own codes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MethodError {
    UnknownMethod,
    InvalidParams(String),
    ResourceNotFound { uri: String },
}

/// Runs a method for an account.
pub(super) fn run(
    server: &Shared,
    account: &str,
    method: &str,
    params: Option<&RawValue>,
) -> Result<Reply, MethodError> {
    match method {
        "tools/list" => page(server, "tools", &tools::list(), params),
        "tools/call" => tools::call(server, account, params),
        "resources/list" => page(server, "resources", &resources::list(), params),
        "resources/templates/list" => page(server, "resourceTemplates", &resources::templates(), params),
        "resources/read" => resources::read(account, &read(params)?),
        "prompts/list" => page(server, "prompts", &prompts::list(), params),
        "prompts/get" => prompts::get(account, &read(params)?),
        "completion/complete" => prompts::complete(&read(params)?),
        _ => Err(MethodError::UnknownMethod),
    }
}

/// What the server can do, in either era.
pub(super) fn capabilities() -> Value {
    json!({ "tools": {}, "resources": {}, "prompts": {}, "completions": {} })
}

pub(super) fn server_info() -> Value {
    json!({ "name": "doorward-demo", "title": "Doorward demo", "version": env!("CARGO_PKG_VERSION") })
}

pub(super) const INSTRUCTIONS: &str = "Made-up notes and repositories, to try Doorward with.";

/// Reads the parameters of a method; none given counts as an empty object.
pub(super) fn read<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, MethodError> {
    serde_json::from_str(params.map_or("{}", RawValue::get))
        .map_err(|error| MethodError::InvalidParams(format!("the parameters are wrong: {error}")))
}

/// One page of a list. The cursor is the number of the first item, as text.
fn page(
    server: &Shared,
    name: &str,
    items: &[Value],
    params: Option<&RawValue>,
) -> Result<Reply, MethodError> {
    let params: Value = read(params)?;
    let start = match &params["cursor"] {
        Value::Null => 0,
        cursor => cursor
            .as_str()
            .and_then(|cursor| cursor.parse().ok())
            .filter(|start| *start < items.len())
            .ok_or_else(|| MethodError::InvalidParams("the cursor is not one of this server".to_owned()))?,
    };
    let end = server.options.page_size.map_or(items.len(), |size| items.len().min(start + size.max(1)));
    let mut result = json!({ name: items[start..end] });
    if end < items.len() {
        result["nextCursor"] = json!(end.to_string());
    }
    Ok(Reply::cacheable(&result))
}

#[cfg(test)]
mod tests {
    use crate::testing::{McpCaller, open_server};
    use crate::{AnswerForm, McpServerOptions, Revision};
    use serde_json::{Value, json};

    fn text(answer: &Value) -> &str {
        answer["result"]["content"][0]["text"].as_str().unwrap()
    }

    #[tokio::test]
    async fn the_tools_do_what_they_say() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        let note = r#""name":"create_note","arguments":{"text":"milk"}"#;
        assert_eq!(text(&caller.legacy("tools/call", note).await.1), "nobody has 1 note(s) now");
        assert_eq!(text(&caller.legacy("tools/call", r#""name":"list_notes""#).await.1), "milk");
        let sum = r#""name":"add","arguments":{"a":2,"b":3.5}"#;
        assert_eq!(text(&caller.legacy("tools/call", sum).await.1), "5.5");
        let wrong = r#""name":"add","arguments":{"a":"two"}"#;
        assert_eq!(caller.legacy("tools/call", wrong).await.1["error"]["code"], -32602);
    }

    #[tokio::test]
    async fn echo_gives_back_the_very_bytes_in_either_era_and_form() {
        let arguments = r#"{"n":12345678901234567890123,"f":1.10, "é":"\u00e9","a":{"z":1,"b":[]}}"#;
        for answer in [AnswerForm::Json, AnswerForm::Sse] {
            let server = open_server(McpServerOptions { answer, ..McpServerOptions::default() }).await;
            let caller = McpCaller::of(&server);
            let params = format!(r#""name":"echo","arguments":{arguments}"#);
            let legacy = caller.legacy_text("tools/call", &params).await;
            let modern = caller.modern_text("tools/call", &format!("{params},"), "echo").await;
            for raw in [legacy, modern] {
                assert!(
                    raw.contains(&format!(r#""structuredContent":{arguments},"vendorField":{arguments}}}"#))
                );
            }
        }
        let server = open_server(McpServerOptions::default()).await;
        let none = McpCaller::of(&server).legacy("tools/call", r#""name":"echo""#).await.1;
        assert_eq!(none["result"]["vendorField"], Value::Null);
    }

    #[tokio::test]
    async fn an_event_stream_carries_progress_under_the_callers_token() {
        let options =
            McpServerOptions { answer: AnswerForm::Sse, ..McpServerOptions::only(Revision::V2025_11_25) };
        let server = open_server(options).await;
        let params = "\"name\":\"echo\",\n\"arguments\":{\r\n},\"_meta\":{\"progressToken\":7}";
        let raw = McpCaller::of(&server).legacy_text("tools/call", params).await;
        assert!(raw.starts_with("event: message\ndata: "));
        assert!(raw.contains(r#""params":{"progressToken":7,"progress":1}}"#));
        assert!(
            raw.lines()
                .all(|line| line.is_empty() || line.starts_with("event: ") || line.starts_with("data: "))
        );
    }

    #[tokio::test]
    async fn resources_and_prompts_are_read_as_the_caller() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        let read = async |uri: &str| {
            let answer = caller.legacy("resources/read", &format!(r#""uri":"{uri}""#)).await.1;
            serde_json::from_str::<Value>(answer["result"]["contents"][0]["text"].as_str().unwrap()).unwrap()
        };
        assert_eq!(
            read("demo://repo-list").await,
            json!({"account": "nobody", "repositories": ["doorbell", "keyring", "doormat"]})
        );
        assert_eq!(read("demo://repo/keyring").await["open_pull_requests"], 5);
        let prompt = r#""name":"pr-summary","arguments":{"repo":"doorbell"}"#;
        let answer = caller.legacy("prompts/get", prompt).await.1;
        let text = answer["result"]["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(text.contains("account nobody") && text.contains("2 are open"));
    }

    #[tokio::test]
    async fn completion_knows_the_repositories() {
        let server = open_server(McpServerOptions::default()).await;
        let caller = McpCaller::of(&server);
        for (reference, argument) in [
            (r#"{"type":"ref/prompt","name":"pr-summary"}"#, "repo"),
            (r#"{"type":"ref/resource","uri":"demo://repo/{name}"}"#, "name"),
        ] {
            let params = format!(r#""ref":{reference},"argument":{{"name":"{argument}","value":"door"}}"#);
            let answer = caller.legacy("completion/complete", &params).await.1;
            assert_eq!(answer["result"]["completion"]["values"], json!(["doorbell", "doormat"]));
        }
        let unknown = r#""ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"repo","value":""}"#;
        assert_eq!(caller.legacy("completion/complete", unknown).await.1["error"]["code"], -32602);
    }

    #[tokio::test]
    async fn a_list_comes_in_pages_where_asked_for() {
        let options = McpServerOptions { page_size: Some(2), ..McpServerOptions::default() };
        let server = open_server(options).await;
        let caller = McpCaller::of(&server);
        let mut names = Vec::new();
        let mut params = String::new();
        loop {
            let result = caller.legacy("tools/list", &params).await.1["result"].clone();
            names.extend(result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()));
            let Some(cursor) = result["nextCursor"].as_str() else { break };
            params = format!(r#""cursor":"{cursor}""#);
        }
        assert_eq!(json!(names), json!(["whoami", "create_note", "list_notes", "add", "echo"]));
    }
}
