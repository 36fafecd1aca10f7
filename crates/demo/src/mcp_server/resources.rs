//! The resources: the list of repositories, and each repository by a template.

use super::data::{REPOSITORIES, repository};
use super::methods::{MethodError, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

const LIST_URI: &str = "demo://repo-list";
const REPOSITORY_PREFIX: &str = "demo://repo/";

pub(super) fn list() -> Vec<Value> {
    vec![json!({
        "uri": LIST_URI,
        "name": "repo-list",
        "description": "The repositories that your account can read.",
        "mimeType": "application/json",
    })]
}

pub(super) fn templates() -> Vec<Value> {
    vec![json!({
        "uriTemplate": "demo://repo/{name}",
        "name": "repo",
        "description": "One repository.",
        "mimeType": "application/json",
    })]
}

#[derive(Deserialize)]
pub(super) struct ReadParams {
    uri: String,
}

pub(super) fn read(account: &str, params: &ReadParams) -> Result<Reply, MethodError> {
    let uri = params.uri.as_str();
    let content = if uri == LIST_URI {
        let names: Vec<&str> = REPOSITORIES.iter().map(|repository| repository.name).collect();
        json!({ "account": account, "repositories": names })
    } else {
        let found = uri
            .strip_prefix(REPOSITORY_PREFIX)
            .and_then(repository)
            .ok_or_else(|| MethodError::ResourceNotFound { uri: uri.to_owned() })?;
        json!({ "account": account, "name": found.name, "open_pull_requests": found.open_pull_requests })
    };
    let contents = json!([{ "uri": uri, "mimeType": "application/json", "text": content.to_string() }]);
    Ok(Reply::cacheable(&json!({ "contents": contents })))
}
