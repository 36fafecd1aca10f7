//! The prompt `pr-summary`, whose answer holds data read with the caller's own token, and completion.

use super::data::{REPOSITORIES, repository};
use super::methods::{MethodError, Reply};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PROMPT: &str = "pr-summary";

pub(super) fn list() -> Vec<Value> {
    vec![json!({
        "name": PROMPT,
        "description": "Summarizes the open pull requests of a repository.",
        "arguments": [{ "name": "repo", "description": "The repository's name.", "required": true }],
    })]
}

#[derive(Deserialize)]
pub(super) struct GetParams {
    name: String,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
}

pub(super) fn get(account: &str, params: &GetParams) -> Result<Reply, MethodError> {
    if params.name != PROMPT {
        return Err(MethodError::InvalidParams(format!("there is no prompt `{}`", params.name)));
    }
    let name = params.arguments.get("repo").map_or("", String::as_str);
    let found = repository(name)
        .ok_or_else(|| MethodError::InvalidParams(format!("`repo` names no repository: `{name}`")))?;
    let text = format!(
        "Summarize the pull requests of {}. Read with the account {account}: {} are open.",
        found.name, found.open_pull_requests
    );
    Ok(Reply::plain(&json!({
        "description": format!("Open pull requests of {}", found.name),
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
    })))
}

#[derive(Deserialize)]
pub(super) struct CompleteParams {
    #[serde(rename = "ref")]
    reference: Reference,
    argument: Argument,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

#[derive(Deserialize)]
struct Argument {
    name: String,
    value: String,
}

pub(super) fn complete(params: &CompleteParams) -> Result<Reply, MethodError> {
    let argument = match &params.reference {
        Reference::Prompt { name } if name == PROMPT => "repo",
        Reference::Resource { uri } if uri == "demo://repo/{name}" => "name",
        Reference::Prompt { name: unknown } | Reference::Resource { uri: unknown } => {
            return Err(MethodError::InvalidParams(format!("nothing to complete for `{unknown}`")));
        }
    };
    let values: Vec<&str> = REPOSITORIES
        .iter()
        .map(|repository| repository.name)
        .filter(|name| params.argument.name == argument && name.starts_with(&params.argument.value))
        .collect();
    Ok(Reply::plain(&json!({ "completion": { "total": values.len(), "values": values, "hasMore": false } })))
}
