//! The JSON-RPC envelope and the two forms of an answer. Parameters stay raw text until a method reads
//! them, so that `echo` can give back exactly what came.

use super::options::AnswerForm;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A JSON-RPC 2.0 message, without what is not looked at.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
}

/// A JSON-RPC error with the HTTP status that carries it.
#[derive(Debug)]
pub(super) struct RpcError {
    pub(super) status: StatusCode,
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    /// An error under status 400.
    pub(super) fn bad(code: i64, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into(), data: None }
    }
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

/// Reads one message; a batch is refused (the revisions spoken here have none).
pub(super) fn read(body: &str) -> Result<Envelope<'_>, RpcError> {
    if body.trim_start().starts_with('[') {
        return Err(RpcError::bad(-32600, "batches are not supported"));
    }
    let envelope: Envelope<'_> = serde_json::from_str(body)
        .map_err(|_| RpcError::bad(-32700, "the body is not a JSON-RPC message"))?;
    if envelope.id.is_some_and(|id| !is_id(id)) {
        return Err(RpcError::bad(-32600, "an id is a string or an integer"));
    }
    Ok(envelope)
}

fn is_id(id: &RawValue) -> bool {
    id.get().starts_with('"') || id.get().parse::<i64>().is_ok()
}

/// A result in the form the server is set to. `progress_token` is the request's own, raw.
pub(super) fn result(
    form: AnswerForm,
    id: &RawValue,
    result: &str,
    progress_token: Option<&RawValue>,
) -> Response {
    let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    match form {
        AnswerForm::Json => json(StatusCode::OK, message),
        AnswerForm::Sse => {
            let progress = progress_token.map_or_else(String::new, |token| {
                event(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
                ))
            });
            let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
            (headers, progress + &event(&message)).into_response()
        }
    }
}

fn event(message: &str) -> String {
    // Echoed parameters may hold line breaks between their tokens; each line is a `data:` line of its own.
    let lines = message.split(['\r', '\n']).map(|line| format!("data: {line}\n")).collect::<String>();
    format!("event: message\n{lines}\n")
}

/// An error; always plain JSON.
pub(super) fn error(id: Option<&RawValue>, error: &RpcError) -> Response {
    let body = ErrorBody { code: error.code, message: &error.message, data: error.data.as_ref() };
    let answer = ErrorAnswer { jsonrpc: "2.0", id, error: body };
    let text = serde_json::to_string(&answer).expect("an error of strings and JSON values serializes");
    json(error.status, text)
}

fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
