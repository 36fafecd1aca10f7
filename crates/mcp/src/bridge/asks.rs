//! What servers ask of clients in the course of a call: by requests of their own (legacy), or by results that
//! want input (2026-07-28, multi round-trip requests). Both ask for the same three things.

use crate::envelope::{json_string, member, member_at, members, raw, text, text_member};
use serde_json::value::RawValue;

/// The questions of one round.
#[derive(Debug, Clone)]
pub struct InputRequired {
    /// Each under its key: an object with `method` and `params`.
    pub requests: Vec<(String, Box<RawValue>)>,
    pub then: Then,
}

/// What is done with the answers.
#[derive(Debug, Clone)]
pub enum Then {
    /// The request is sent again with them, and with the server's state.
    Retry { state: Option<Box<RawValue>> },
    /// They go to a legacy server whose call waits under this handle.
    Parked { handle: String },
    /// They tell the server nothing; it is asked again once the user has been there (-32042).
    Again,
}

/// The questions of an `input_required` result.
pub(super) fn of_result(result: &RawValue) -> InputRequired {
    let requests = member(result, "inputRequests").and_then(|all| members(all.get())).unwrap_or_default();
    InputRequired {
        requests: requests.into_iter().map(|(key, ask)| (key.into_owned(), ask.to_owned())).collect(),
        then: Then::Retry { state: member(result, "requestState").map(ToOwned::to_owned) },
    }
}

/// The links of a legacy error -32042, as questions.
pub(super) fn of_url_error(error: &RawValue) -> Option<InputRequired> {
    let all = member_at(error, &["data", "elicitations"])?;
    let all: Vec<&RawValue> = serde_json::from_str(all.get()).ok()?;
    let question = |(number, elicitation): (usize, &RawValue)| {
        let url = text_member(elicitation, "url")?;
        let message = text_member(elicitation, "message").unwrap_or_default();
        let key =
            text_member(elicitation, "elicitationId").map_or_else(|| format!("open-{number}"), Into::into);
        let params = format!(
            "{{\"mode\":\"url\",\"url\":{},\"message\":{}}}",
            json_string(&url),
            json_string(&message)
        );
        Some((key, ask("elicitation/create", Some(&params))?))
    };
    let requests: Vec<_> = all.into_iter().enumerate().filter_map(question).collect();
    (!requests.is_empty()).then_some(InputRequired { requests, then: Then::Again })
}

/// A question as `inputRequests` holds it.
pub(crate) fn ask(method: &str, params: Option<&str>) -> Option<Box<RawValue>> {
    let params = params.map(|params| format!(",\"params\":{params}")).unwrap_or_default();
    raw(format!("{{\"method\":{}{params}}}", json_string(method)))
}

/// What a client must have declared to be asked this; none when it can never be asked it.
pub(crate) fn needed(method: &str, params: Option<&RawValue>) -> Option<&'static [&'static str]> {
    let is_url = params.and_then(|params| text_member(params, "mode")).as_deref() == Some("url");
    match method {
        "elicitation/create" if is_url => Some(&["elicitation", "url"]),
        "elicitation/create" => Some(&["elicitation"]),
        "sampling/createMessage" => Some(&["sampling"]),
        "roots/list" => Some(&["roots"]),
        _ => None,
    }
}

/// The methods in whose course servers ask (2026-07-28 allows it in no other; 2025-11-25 has `tasks/result`, which stands
/// for the call that has become a task).
pub(crate) fn takes_input(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read" | "tasks/result")
}

/// Whether a client that declared these capabilities can be asked anything at all.
pub(crate) fn declares_any(capabilities: &RawValue) -> bool {
    let declared = |name| member(capabilities, name).is_some_and(|found| found.get().starts_with('{'));
    ["elicitation", "sampling", "roots"].into_iter().any(declared)
}

/// Whether a client that declared these capabilities may be asked this. An `elicitation` without modes means
/// forms alone (2025-11-25, elicitation).
pub(crate) fn declared(capabilities: &RawValue, method: &str, params: Option<&RawValue>) -> bool {
    let Some(needed) = needed(method, params) else { return false };
    let Some(found) = member_at(capabilities, needed).filter(|found| found.get().starts_with('{')) else {
        return false;
    };
    let only_urls = || member(found, "url").is_some() && member(found, "form").is_none();
    needed != ["elicitation"] || !only_urls()
}

/// `method` and `params` of a question.
pub(crate) fn parts(ask: &RawValue) -> (String, Option<&RawValue>) {
    (member(ask, "method").and_then(text).unwrap_or_default().into_owned(), member(ask, "params"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        raw(text.to_owned()).unwrap()
    }

    #[test]
    fn a_client_is_asked_only_what_it_declared_mode_by_mode() {
        let (form, url) = (json(r#"{"message":"m"}"#), json(r#"{"mode":"url","url":"https://x"}"#));
        for (capabilities, forms, urls, samples, roots) in [
            (r#"{"elicitation":{}}"#, true, false, false, false),
            (r#"{"elicitation":{"form":{},"url":{}}}"#, true, true, false, false),
            (r#"{"elicitation":{"url":{}}}"#, false, true, false, false),
            (r#"{"sampling":{},"roots":{"listChanged":true}}"#, false, false, true, true),
            (r#"{"sampling":null}"#, false, false, false, false),
            ("{}", false, false, false, false),
        ] {
            let all = json(capabilities);
            assert_eq!(declared(&all, "elicitation/create", Some(&form)), forms, "{capabilities}");
            assert_eq!(declared(&all, "elicitation/create", Some(&url)), urls, "{capabilities}");
            assert_eq!(declared(&all, "sampling/createMessage", None), samples, "{capabilities}");
            assert_eq!(declared(&all, "roots/list", None), roots, "{capabilities}");
            assert!(!declared(&all, "vendor/ask", None));
        }
    }

    #[test]
    fn links_of_an_error_become_questions() {
        let error = json(
            r#"{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","elicitationId":"e1","url":"https://x/y","message":"Open"},{"mode":"url"}]}}"#,
        );
        let asked = of_url_error(&error).unwrap();
        assert_eq!(asked.requests.len(), 1);
        assert_eq!(asked.requests[0].0, "e1");
        assert_eq!(
            asked.requests[0].1.get(),
            r#"{"method":"elicitation/create","params":{"mode":"url","url":"https://x/y","message":"Open"}}"#
        );
        assert!(of_url_error(&json(r#"{"code":-32042}"#)).is_none());
    }
}
