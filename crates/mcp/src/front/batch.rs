//! Batches, which revision 2025-03-26 alone has (JSON-RPC 2.0 §6): several messages in one POST, the responses
//! in one array. Nothing is asked or told in between: a client that wants that sends one message at a time.

use super::Front;
use super::answer;
use super::post::{Sender, legacy_request, taken};
use crate::envelope::{Envelope, EnvelopeError, MessageKind};
use crate::errors::ProtocolError;
use crate::live_session::LiveSession;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Messages in one batch.
const MAX_MESSAGES: usize = 50;

/// Answers a batch of a session that may send one.
pub(super) async fn batch(
    front: &Arc<Front>,
    sender: &Sender,
    session: &Arc<LiveSession>,
    bytes: &Bytes,
) -> Result<Response, ProtocolError> {
    let messages: Vec<&RawValue> =
        serde_json::from_slice(bytes).map_err(|error| EnvelopeError::NotJson(error.to_string()))?;
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        return Err(EnvelopeError::Invalid("a batch has 1 to 50 messages").into());
    }
    let answers = join_all(messages.into_iter().map(|message| one(front, sender, session, message))).await;
    let answers: Vec<String> = answers.into_iter().flatten().collect();
    if answers.is_empty() {
        return Ok(answer::nothing(StatusCode::ACCEPTED));
    }
    Ok(answer::message(StatusCode::OK, format!("[{}]", answers.join(","))))
}

async fn one(
    front: &Arc<Front>,
    sender: &Sender,
    session: &Arc<LiveSession>,
    message: &RawValue,
) -> Option<String> {
    let message = match Envelope::parse(message.get().as_bytes()) {
        Ok(message) => message,
        Err(error) => return Some(ProtocolError::from(error).message(None, false)),
    };
    let (MessageKind::Request, Some(id), Some(name)) = (message.kind(), message.id, message.method) else {
        taken(front, sender, session, &message);
        return None;
    };
    let mut request = legacy_request(sender.clone(), session, (id, name), message.params);
    request.accept_sse = false;
    let answered = async {
        let reply = Box::pin(super::dispatch::answer(front, &Arc::new(request))).await?;
        reply.response().await
    };
    match answered.await {
        Ok(response) => String::from_utf8(response.into()).ok(),
        Err(error) => Some(error.message(Some(id), false)),
    }
}
