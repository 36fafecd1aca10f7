//! Responses on their way down: results and errors in the words of the client's era.

use super::asks::{self, InputRequired};
use super::edited;
use crate::envelope::{self, Envelope, edit, json_string, member, members, splice, text};
use crate::revision::{Revision, code};
use crate::tasks;
use doorward_domain::CatalogKind;
use http::StatusCode;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Methods whose complete results must say how long they may be cached (2026-07-28, caching).
const CACHEABLE: [&str; 5] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"];

/// What an upstream's response must be turned into, and from what.
#[derive(Debug, Clone, Copy)]
pub struct Downward<'a> {
    pub client: Revision,
    pub upstream: Revision,
    pub method: &'a str,
    /// The request's `params`, as the upstream got them.
    pub params: Option<&'a RawValue>,
    /// The client's own request id.
    pub id: &'a RawValue,
    /// The status the upstream answered with.
    pub status: StatusCode,
}

/// An upstream's answer is none that a client of this era could take as it is.
#[derive(Debug, Clone)]
pub enum NeedsMore {
    /// The client is to be asked first.
    Input(InputRequired),
    /// There is no word for it; what it was, in words.
    Words(String),
}

impl Downward<'_> {
    /// The response for the client, and the HTTP status that belongs to it.
    pub fn response(&self, message: &Envelope<'_>) -> Result<(String, StatusCode), NeedsMore> {
        let changed = match (message.result, message.error) {
            (Some(result), _) => self.result(result)?.map(|new| (result, new)),
            (None, Some(error)) => self.error(error)?.map(|new| (error, new)),
            (None, None) => None,
        };
        let status = self.status_for(changed.as_ref().map(|(_, new)| new.as_str()), message.error);
        let mut edits: Vec<(&RawValue, &str)> = Vec::new();
        if let Some((old, new)) = &changed {
            edits.push((old, new));
        }
        let Some(id) = message.id else {
            let text = splice(message.text, &edits);
            return Ok((edited(&text, &[("id", Some(self.id.get()))]).into_owned(), status));
        };
        edits.push((id, self.id.get()));
        Ok((splice(message.text, &edits), status))
    }

    /// Errors travel with HTTP 200 to legacy clients; to modern ones with the status their code asks for.
    fn status_for(&self, new: Option<&str>, error: Option<&RawValue>) -> StatusCode {
        let Some(error) = error.filter(|_| self.client.is_modern()) else { return StatusCode::OK };
        let number = new
            .and_then(|new| envelope::raw(new.to_owned()))
            .map_or_else(|| error_code(error), |new| error_code(&new));
        match number {
            Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
            Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::UNSUPPORTED_VERSION) => {
                StatusCode::BAD_REQUEST
            }
            _ if self.upstream.is_modern() && self.status == StatusCode::BAD_REQUEST => self.status,
            _ => StatusCode::OK,
        }
    }

    fn result(&self, result: &RawValue) -> Result<Option<String>, NeedsMore> {
        match (self.client.is_modern(), self.upstream.is_modern()) {
            (false, true) => self.result_for_legacy(result),
            // A modern server may forget what its results must say; its clients need not suffer.
            (true, _) => Ok(self.result_for_modern(result)),
            (false, false) => Ok(None),
        }
    }

    fn result_for_legacy(&self, result: &RawValue) -> Result<Option<String>, NeedsMore> {
        let Some(all) = members(result.get()) else { return Ok(None) };
        let find = |name| all.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
        match find("resultType").and_then(text).as_deref() {
            None | Some("complete") => {}
            Some("input_required") => {
                return Err(NeedsMore::Input(asks::of_result(result)));
            }
            Some(other) => {
                return Err(NeedsMore::Words(format!("a result of type {}", plain_word(other))));
            }
        }
        let mut edits: Vec<(&str, Option<&str>)> = Vec::new();
        let cacheable = CACHEABLE.contains(&self.method);
        for (name, modern_only) in [("resultType", true), ("ttlMs", cacheable), ("cacheScope", cacheable)] {
            if modern_only && find(name).is_some() {
                edits.push((name, None));
            }
        }
        // Legacy structured content is an object; the text copy carries anything else.
        let structured = find("structuredContent").filter(|_| self.method == "tools/call");
        if structured.is_some_and(|content| !content.get().starts_with('{')) {
            edits.push(("structuredContent", None));
        }
        let tools = find("tools").filter(|_| self.method == "tools/list").and_then(tools_for_legacy);
        if let Some(tools) = &tools {
            edits.push(("tools", Some(tools)));
        }
        Ok(if edits.is_empty() { None } else { edit(result.get(), &edits) })
    }

    /// Our defaults say: complete, for nobody else, and stale at once.
    fn result_for_modern(&self, result: &RawValue) -> Option<String> {
        let all = members(result.get())?;
        let absent = |name: &str| !all.iter().any(|(key, _)| key == name);
        let mut edits: Vec<(&str, Option<&str>)> = Vec::new();
        if absent("resultType") {
            edits.push(("resultType", Some("\"complete\"")));
        }
        if CACHEABLE.contains(&self.method) {
            for (name, value) in [("ttlMs", "0"), ("cacheScope", "\"private\"")] {
                if absent(name) {
                    edits.push((name, Some(value)));
                }
            }
        }
        // 2026-07-28 has other tasks: the call's answer is the call's own.
        let meta = all.iter().rev().find(|(key, _)| key == "_meta").filter(|_| self.method == "tasks/result");
        let meta = meta.and_then(|(_, meta)| edit(meta.get(), &[(tasks::META_RELATED, None)]));
        if let Some(meta) = &meta {
            edits.push(("_meta", Some(meta).filter(|meta| *meta != "{}").map(String::as_str)));
        }
        if edits.is_empty() { None } else { edit(result.get(), &edits) }
    }

    fn error(&self, error: &RawValue) -> Result<Option<String>, NeedsMore> {
        match (self.client.is_modern(), self.upstream.is_modern(), error_code(error)) {
            (true, false, Some(code::URL_ELICITATION_REQUIRED)) => Err(asks::of_url_error(error)
                .map_or_else(
                    || NeedsMore::Words("a request to open a URL (-32042) that names none".into()),
                    NeedsMore::Input,
                )),
            (true, false, Some(code::RESOURCE_NOT_FOUND)) => Ok(self.not_found_for_modern(error)),
            (false, true, Some(number)) => Ok(self.error_for_legacy(error, number)),
            _ => Ok(None),
        }
    }

    fn not_found_for_modern(&self, error: &RawValue) -> Option<String> {
        let number = code::INVALID_PARAMS.to_string();
        let mut edits: Vec<(&str, Option<&str>)> = vec![("code", Some(&number))];
        let data = member(error, "data");
        let has_uri = data.is_some_and(|data| member(data, "uri").is_some());
        let uri = self.params.and_then(|params| member(params, "uri")).filter(|_| !has_uri);
        let new_data =
            uri.and_then(|uri| edit(data.map_or("{}", RawValue::get), &[("uri", Some(uri.get()))]));
        if let Some(data) = &new_data {
            edits.push(("data", Some(data)));
        }
        edit(error.get(), &edits)
    }

    fn error_for_legacy(&self, error: &RawValue, number: i32) -> Option<String> {
        let (new, message) = match number {
            code::INVALID_PARAMS if self.method == "resources/read" => {
                let names_uri = member(error, "data").is_some_and(|data| member(data, "uri").is_some());
                names_uri.then_some((code::RESOURCE_NOT_FOUND, None))?
            }
            code::MISSING_CLIENT_CAPABILITY => (
                code::INVALID_PARAMS,
                Some(format!("the MCP server needs a client capability: {}", required_capabilities(error))),
            ),
            code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION => (
                code::INTERNAL_ERROR,
                Some("Doorward and the MCP server could not agree on the protocol".to_owned()),
            ),
            _ => return None,
        };
        let (new, message) = (new.to_string(), message.map(|message| json_string(&message)));
        let mut edits: Vec<(&str, Option<&str>)> = vec![("code", Some(&new))];
        if let Some(message) = &message {
            edits.push(("message", Some(message)));
        }
        edit(error.get(), &edits)
    }
}

/// The number of a JSON-RPC error.
pub fn error_code(error: &RawValue) -> Option<i32> {
    member(error, "code")?.get().parse().ok()
}

fn required_capabilities(error: &RawValue) -> String {
    let names = envelope::member_at(error, &["data", "requiredCapabilities"])
        .and_then(|required| members(required.get()))
        .map(|all| all.iter().map(|(name, _)| plain_word(name)).collect::<Vec<_>>().join(", "));
    names.filter(|names| !names.is_empty()).unwrap_or_else(|| "it does not say which".to_owned())
}

/// An upstream's word inside a sentence of ours: short, and letters only.
fn plain_word(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.'))
        .take(40)
        .collect()
}

fn tools_for_legacy(tools: &RawValue) -> Option<String> {
    if !tools.get().contains("\"outputSchema\"") {
        return None;
    }
    let items: Vec<&RawValue> = serde_json::from_str(tools.get()).ok()?;
    let new: Vec<(&RawValue, Cow<'_, str>)> = items
        .into_iter()
        .map(|item| (item, item_for(Revision::LATEST_LEGACY, CatalogKind::Tool, item.get())))
        .filter(|(_, new)| matches!(new, Cow::Owned(_)))
        .collect();
    let edits: Vec<(&RawValue, &str)> = new.iter().map(|(old, new)| (*old, new.as_ref())).collect();
    (!edits.is_empty()).then(|| splice(tools.get(), &edits))
}

/// An item of a catalog as a client of this revision may see it: a legacy tool's output is an object,
/// so another output schema is left out.
pub fn item_for(client: Revision, kind: CatalogKind, item: &str) -> Cow<'_, str> {
    if client.is_modern() || kind != CatalogKind::Tool || !item.contains("\"outputSchema\"") {
        return Cow::Borrowed(item);
    }
    let describes_object =
        |schema: &RawValue| envelope::text_member(schema, "type").as_deref() == Some("object");
    let schema = members(item)
        .and_then(|all| all.into_iter().rev().find(|(key, _)| key == "outputSchema").map(|(_, value)| value));
    match schema {
        Some(schema) if !describes_object(schema) => edited(item, &[("outputSchema", None)]),
        _ => Cow::Borrowed(item),
    }
}
