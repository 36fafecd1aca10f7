//! Requests on their way up: `_meta`, capabilities, progress tokens.

use super::edited;
use crate::envelope::{self, edit, json_string, member, members, splice};
use crate::revision::{Revision, wire};
use crate::tasks;
use crate::upstream::ClientFacts;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A request's `params` on their way up, and what must be remembered for the way down.
#[derive(Debug)]
pub struct Upward<'a> {
    /// The `params` to send; none where there are none.
    pub params: Option<Cow<'a, str>>,
    /// The client's progress token; the upstream sees one of ours.
    pub progress_token: Option<&'a RawValue>,
    /// The lowest level of `notifications/message` that the client wants.
    pub log_level: Option<Cow<'a, str>>,
}

/// Prepares `params` for an upstream; `token` replaces the client's progress token, if it sent one.
pub fn upward<'a>(
    client: &ClientFacts,
    upstream: Revision,
    params: Option<&'a RawValue>,
    token: &str,
) -> Upward<'a> {
    let meta = params.and_then(|params| member(params, "_meta"));
    let progress_token = meta.and_then(|meta| member(meta, "progressToken"));
    let log_level = if client.revision.is_modern() {
        meta.and_then(|meta| envelope::text_member(meta, wire::META_LOG_LEVEL))
    } else {
        client.log_level.clone().map(Cow::Owned)
    };
    let new_token = progress_token.map(|_| token);
    let new_meta = if upstream.is_modern() {
        modern_meta(client, upstream, meta, new_token)
    } else {
        legacy_meta(client, meta, new_token)
    };
    let params = match (params, new_meta) {
        (params, NewMeta::Same) => params.map(|params| Cow::Borrowed(params.get())),
        (None, NewMeta::Set(text)) => Some(Cow::Owned(format!("{{\"_meta\":{text}}}"))),
        (None, NewMeta::Removed) => None,
        (Some(params), NewMeta::Set(text)) => Some(set_meta(params, meta, &text)),
        (Some(params), NewMeta::Removed) => Some(edited(params.get(), &[("_meta", None)])),
    };
    // A legacy upstream knows no multi round-trip requests, so these can be no answer to it.
    let params = match params {
        Some(text) if client.revision.is_modern() && !upstream.is_modern() && asks_again(&text) => {
            edit(&text, &[("inputResponses", None), ("requestState", None)]).map(Cow::Owned).or(Some(text))
        }
        params => params,
    };
    Upward { params, progress_token, log_level }
}

fn asks_again(params: &str) -> bool {
    params.contains("\"inputResponses\"") || params.contains("\"requestState\"")
}

enum NewMeta {
    Same,
    Set(String),
    Removed,
}

fn set_meta<'a>(params: &'a RawValue, meta: Option<&'a RawValue>, text: &str) -> Cow<'a, str> {
    match meta {
        Some(meta) => Cow::Owned(splice(params.get(), &[(meta, text)])),
        None => edited(params.get(), &[("_meta", Some(text))]),
    }
}

/// A modern upstream wants version, capabilities and client in every request. A modern client has said
/// them itself; for a legacy one they are what its `initialize` said.
fn modern_meta(
    client: &ClientFacts,
    upstream: Revision,
    meta: Option<&RawValue>,
    token: Option<&str>,
) -> NewMeta {
    let absent = |name| !client.revision.is_modern() || meta.is_none_or(|meta| member(meta, name).is_none());
    let version = json_string(upstream.as_str());
    let said = meta.and_then(|meta| member(meta, wire::META_VERSION)).map(RawValue::get);
    let capabilities = absent(wire::META_CAPABILITIES).then(|| capabilities_for_modern(client));
    let info = absent(wire::META_CLIENT_INFO).then(|| client_info(client));
    let mut edits: Vec<(&str, Option<&str>)> = Vec::new();
    if said != Some(version.as_str()) {
        edits.push((wire::META_VERSION, Some(&version)));
    }
    if let Some(info) = &info {
        edits.push((wire::META_CLIENT_INFO, Some(info)));
    }
    if let Some(capabilities) = &capabilities {
        edits.push((wire::META_CAPABILITIES, Some(capabilities)));
    }
    // A legacy client has set a level for its session; here it goes with every request.
    let level = client.log_level.as_deref().filter(|_| !client.revision.is_modern()).map(json_string);
    if let Some(level) = &level {
        edits.push((wire::META_LOG_LEVEL, Some(level)));
    }
    if let Some(token) = token {
        edits.push(("progressToken", Some(token)));
    }
    if edits.is_empty() {
        return NewMeta::Same;
    }
    edit(meta.map_or("{}", RawValue::get), &edits).map_or(NewMeta::Same, NewMeta::Set)
}

/// `clientInfo` as the client gave it.
pub fn client_info(client: &ClientFacts) -> String {
    format!("{{\"name\":{},\"version\":{}}}", json_string(&client.name), json_string(&client.version))
}

/// The client's own capabilities, minus what the modern wire has no place for.
fn capabilities_for_modern(client: &ClientFacts) -> Cow<'_, str> {
    let own = client.capabilities.get();
    if client.revision.is_modern() {
        return Cow::Borrowed(own);
    }
    let roots = member(&client.capabilities, "roots").filter(|roots| member(roots, "listChanged").is_some());
    let without = roots.and_then(|roots| edit(roots.get(), &[("listChanged", None)]));
    let mut edits: Vec<(&str, Option<&str>)> = Vec::new();
    if member(&client.capabilities, "tasks").is_some() {
        edits.push(("tasks", None));
    }
    if let Some(roots) = &without {
        edits.push(("roots", Some(roots)));
    }
    // A result that is a task has no words in the older revisions.
    let extensions = member(&client.capabilities, "extensions");
    let extensions = extensions.and_then(|extensions| edit(extensions.get(), &[(tasks::EXTENSION, None)]));
    if let Some(extensions) = &extensions {
        edits.push(("extensions", Some(extensions)));
    }
    if edits.is_empty() { Cow::Borrowed(own) } else { edited(own, &edits) }
}

fn legacy_meta(client: &ClientFacts, meta: Option<&RawValue>, token: Option<&str>) -> NewMeta {
    let Some(meta) = meta else { return NewMeta::Same };
    let mut edits: Vec<(&str, Option<&str>)> = Vec::new();
    if client.revision.is_modern() {
        let modern_only =
            [wire::META_VERSION, wire::META_CAPABILITIES, wire::META_CLIENT_INFO, wire::META_LOG_LEVEL];
        edits.extend(modern_only.map(|name| (name, None)));
    }
    if let Some(token) = token {
        edits.push(("progressToken", Some(token)));
    }
    if edits.is_empty() {
        return NewMeta::Same;
    }
    match edit(meta.get(), &edits) {
        Some(rest) if client.revision.is_modern() && members(&rest).is_some_and(|all| all.is_empty()) => {
            NewMeta::Removed
        }
        Some(rest) => NewMeta::Set(rest),
        None => NewMeta::Same,
    }
}
