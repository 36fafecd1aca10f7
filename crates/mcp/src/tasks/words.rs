//! Ids of tasks inside messages: a server's become ours on the way down, ours the server's on the way up.

use super::called::wants_task;
use super::id::{Era, ours, theirs};
use super::{META_RELATED, STATUS, status};
use crate::envelope::{Envelope, json_string, member, member_at, splice, text, text_member};
use crate::front::{ClientRequest, Front, Method};
use crate::revision::Revision;
use bytes::Bytes;
use doorward_domain::{Gateway, UserId};
use serde_json::value::RawValue;
use std::sync::Arc;

/// An answer with our ids in place of the server's. Answers that are about no task stay as they are.
pub(crate) fn answer_with_our_ids(
    front: &Arc<Front>,
    request: &ClientRequest,
    method: Method,
    gateway: &Arc<Gateway>,
    body: Bytes,
) -> Bytes {
    let is_about_one = match request.facts.revision {
        Revision::V2026_07_28 => matches!(method, Method::CallTool | Method::Task),
        Revision::V2025_11_25 => wants_task(request) || matches!(method, Method::Task | Method::TaskResult),
        Revision::V2025_06_18 | Revision::V2025_03_26 => false,
    };
    // Only a small part of all answers has to be looked into.
    let Some(text) = mentioning(&body).filter(|_| is_about_one) else { return body };
    let Some(result) = Envelope::parse(&body).ok().and_then(|message| message.result) else { return body };
    if request.is_modern() {
        let is_task = text_member(result, "resultType").as_deref() == Some("task");
        // A result of another type may call something else so.
        let found = member(result, "taskId").filter(|_| is_task || method == Method::Task);
        return replaced(front, request, gateway, text, found);
    }
    let created = member_at(result, &["task", "taskId"]).filter(|_| method == Method::CallTool);
    if let Some(id) = created.and_then(text_of) {
        status::tell(front, request, gateway, &id);
    }
    let asked = member(result, "taskId").filter(|_| method == Method::Task);
    let related = member_at(result, &["_meta", META_RELATED, "taskId"]);
    replaced(front, request, gateway, text, created.into_iter().chain(asked).chain(related))
}

/// A message on the way to an answer, with our ids: one that says what task it belongs to, or how a task stands.
pub(crate) fn event_with_our_ids(
    front: &Front,
    request: &ClientRequest,
    gateway: &Gateway,
    body: Bytes,
) -> Bytes {
    let knows_tasks = request.facts.revision == Revision::V2025_11_25;
    let Some(text) = mentioning(&body).filter(|_| knows_tasks) else { return body };
    let Ok(message) = Envelope::parse(&body) else { return body };
    let Some(params) = message.params else { return body };
    let status = member(params, "taskId").filter(|_| message.method == Some(STATUS));
    let related = member_at(params, &["_meta", META_RELATED, "taskId"]);
    replaced(front, request, gateway, text, status.into_iter().chain(related))
}

/// A client's answer to a server's question in the course of a task, with the server's own id of it.
pub(crate) fn with_their_id(front: &Front, user: UserId, answer: &RawValue) -> Box<RawValue> {
    let related = member_at(answer, &["_meta", META_RELATED, "taskId"]);
    let found = related.and_then(|ours| Some((ours, theirs(front, user, Era::Legacy, &text(ours)?)?.1)));
    let new = found.map(|(ours, theirs)| splice(answer.get(), &[(ours, &json_string(&theirs))]));
    new.and_then(crate::envelope::raw).unwrap_or_else(|| answer.to_owned())
}

fn mentioning(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok().filter(|text| text.contains("\"taskId\""))
}

fn text_of(value: &RawValue) -> Option<String> {
    text(value).map(std::borrow::Cow::into_owned)
}

/// Replaces ids of a server's. The one that the client asked for keeps the spelling that it asked with.
fn replaced<'a>(
    front: &Front,
    request: &ClientRequest,
    gateway: &Gateway,
    text: &'a str,
    found: impl IntoIterator<Item = &'a RawValue>,
) -> Bytes {
    let user = request.caller.user.id;
    let asked = request.text("taskId").ok();
    let asked = asked.and_then(|asked| Some((theirs(front, user, Era::of(request), &asked)?.1, asked)));
    let ours = |id: &RawValue| {
        let id = text_of(id)?;
        match &asked {
            Some((theirs, asked)) if *theirs == id => Some(asked.clone()),
            _ => ours(front, request, gateway.id, &id),
        }
    };
    let new: Vec<(&RawValue, String)> =
        found.into_iter().filter_map(|id| Some((id, json_string(&ours(id)?)))).collect();
    let edits: Vec<(&RawValue, &str)> = new.iter().map(|(id, ours)| (*id, ours.as_str())).collect();
    Bytes::from(splice(text, &edits))
}
