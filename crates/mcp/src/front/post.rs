//! POST: one message in, one answer or stream out, counted by method, era and outcome.

use super::answer::{self, Reply};
use super::request::{ClientRequest, Endpoint};
use super::{Front, MAX_BODY, dispatch, era, handshake, method, stream};
use crate::envelope::{Envelope, MessageKind, member};
use crate::errors::ProtocolError;
use crate::live_session::{ClientReply, LiveSession};
use crate::upstream::ClientFacts;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use doorward_broker::Caller;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Where a message came from.
struct Sender {
    caller: Caller,
    endpoint: Endpoint,
    headers: HeaderMap,
}

/// Answers one POST.
pub(super) async fn post(
    front: &Arc<Front>,
    caller: Caller,
    endpoint: Endpoint,
    (mut headers, body): (HeaderMap, Body),
) -> Response {
    // Nothing behind this line has a use for the client's credentials.
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::COOKIE);
    let sender = Sender { caller, endpoint, headers };
    let read = match check_types(&sender.headers) {
        Ok(()) => read_body(body).await,
        Err(error) => Err(error),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => return answer::refusal(&error, None, era::is_modern(&sender.headers, None)),
    };
    let message = match Envelope::parse(&bytes) {
        Ok(message) => message,
        Err(error) => return answer::refusal(&error.into(), None, era::is_modern(&sender.headers, None)),
    };
    let modern = era::is_modern(&sender.headers, Some(&message));
    let answered = if modern {
        modern_message(front, sender, &message).await
    } else {
        legacy_message(front, sender, &message).await
    };
    count(&message, modern, &answered);
    answered.unwrap_or_else(|error| {
        error.log(message.method.unwrap_or("response"));
        answer::refusal(&error, message.id, modern)
    })
}

fn check_types(headers: &HeaderMap) -> Result<(), ProtocolError> {
    let sent = headers.get(header::CONTENT_TYPE).map(|sent| sent.to_str().unwrap_or_default());
    let is_json = |sent: &str| {
        sent.split(';').next().is_some_and(|sent| sent.trim().eq_ignore_ascii_case("application/json"))
    };
    if !sent.is_none_or(is_json) {
        return Err(ProtocolError::MediaType);
    }
    let takes_json = !headers.contains_key(header::ACCEPT)
        || stream::accepts(headers, "application/json")
        || stream::accepts(headers, "*/*");
    if takes_json { Ok(()) } else { Err(ProtocolError::NotAcceptable("application/json")) }
}

async fn read_body(body: Body) -> Result<Bytes, ProtocolError> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ProtocolError::TooLarge),
        Err(_) => Err(ProtocolError::Incomplete),
    }
}

/// 2026-07-28: every request stands alone.
async fn modern_message(
    front: &Arc<Front>,
    sender: Sender,
    message: &Envelope<'_>,
) -> Result<Response, ProtocolError> {
    match (message.kind(), message.id, message.method) {
        (MessageKind::Request, Some(id), Some(name)) => {
            let facts = era::modern_facts(&sender.headers, message)?;
            method::Method::of(name, true)?;
            let request = Arc::new(sender.request(facts, None, (id, name), message.params));
            // The client's hanging up drops this future, or the stream it gives: that cancels the call.
            dispatch::answer(front, &request).await.map(answer::response)
        }
        (MessageKind::Response, ..) => Err(ProtocolError::UnexpectedResponse),
        _ => Ok(answer::nothing(StatusCode::ACCEPTED)),
    }
}

async fn legacy_message(
    front: &Arc<Front>,
    sender: Sender,
    message: &Envelope<'_>,
) -> Result<Response, ProtocolError> {
    if message.method == Some("initialize") && message.id.is_some() {
        era::check_legacy_version(&sender.headers)?;
        return handshake::initialize(front, &sender.caller, &sender.endpoint, message).await;
    }
    let session = stream::session_of(front, &sender.caller, &sender.endpoint, &sender.headers).await?;
    if let (MessageKind::Request, Some(id), Some(name)) = (message.kind(), message.id, message.method) {
        let facts = session.facts.clone();
        let request = sender.request(facts, Some(Arc::clone(&session)), (id, name), message.params);
        return run_detached(front, &session, Arc::new(request)).await;
    }
    if message.kind() == MessageKind::Notification {
        notified(&session, message);
    } else if let Some(id) = message.id.and_then(crate::envelope::text) {
        let reply = message.result.map(RawValue::to_owned).map_or(ClientReply::Error, ClientReply::Result);
        session.deliver(&id, reply);
    }
    Ok(answer::nothing(StatusCode::ACCEPTED))
}

fn notified(session: &LiveSession, message: &Envelope<'_>) {
    match message.method {
        Some("notifications/cancelled") => {
            if let Some(id) = message.params.and_then(|params| member(params, "requestId")) {
                session.cancel(id);
            }
        }
        Some("notifications/initialized") => {}
        other => tracing::debug!(method = other, "a client's notification was taken note of, no more"),
    }
}

impl Sender {
    fn request(
        self,
        facts: ClientFacts,
        session: Option<Arc<LiveSession>>,
        (id, method): (&RawValue, &str),
        params: Option<&RawValue>,
    ) -> ClientRequest {
        ClientRequest {
            accept_sse: stream::accepts(&self.headers, "text/event-stream"),
            caller: self.caller,
            endpoint: self.endpoint,
            facts,
            session,
            headers: self.headers,
            id: id.to_owned(),
            method: method.to_owned(),
            params: params.map(RawValue::to_owned),
        }
    }
}

/// A legacy client that hangs up has not cancelled (2025-11-25, transports): its request runs on, detached,
/// until it is done or `notifications/cancelled` comes.
async fn run_detached(
    front: &Arc<Front>,
    session: &Arc<LiveSession>,
    request: Arc<ClientRequest>,
) -> Result<Response, ProtocolError> {
    let (running, cancelled) = session.run(&request.id);
    let (head, answered) = oneshot::channel();
    let front = Arc::clone(front);
    tokio::spawn(async move {
        let work = async {
            match dispatch::answer(&front, &request).await {
                Ok(Reply::Stream(messages)) => {
                    let (sender, receiver) = mpsc::channel(1);
                    let _ = head.send(Ok(Reply::Stream(stream::received(receiver))));
                    pump(messages, sender).await;
                }
                other => drop(head.send(other)),
            }
        };
        tokio::select! {
            () = work => {}
            Ok(()) = cancelled => {}
        }
        drop(running);
    });
    match answered.await {
        Ok(reply) => reply.map(answer::response),
        // Cancelled before there was anything to say: nothing is said.
        Err(_) => Ok(answer::nothing(StatusCode::ACCEPTED)),
    }
}

/// Passes messages on as fast as the client reads, and to the end when nobody reads any more.
async fn pump(mut messages: BoxStream<'static, Bytes>, sender: mpsc::Sender<Bytes>) {
    while let Some(message) = messages.next().await {
        let _ = sender.send(message).await;
    }
}

fn count(message: &Envelope<'_>, modern: bool, answered: &Result<Response, ProtocolError>) {
    let method = match message.kind() {
        MessageKind::Request => method::label(message.method.unwrap_or_default()),
        MessageKind::Notification => "notification",
        MessageKind::Response => "response",
    };
    let outcome = match answered {
        Ok(_) => "answered",
        Err(ProtocolError::MustAuthorize(_) | ProtocolError::OpenUrl(_)) => "asked",
        Err(_) => "refused",
    };
    let era = if modern { "modern" } else { "legacy" };
    metrics::counter!("doorward_mcp_requests_total", "method" => method, "era" => era, "outcome" => outcome)
        .increment(1);
}
