//! POST: one message in, one answer or stream out, counted by method, era and outcome.

use super::answer::{self, Reply};
use super::request::{ClientRequest, Endpoint};
use super::stream::{accepts, session_of};
use super::{Front, batch, dispatch, era, handshake, method, notify};
use crate::envelope::{Envelope, EnvelopeError, MessageKind, member};
use crate::errors::ProtocolError;
use crate::event_log::EventLog;
use crate::live_session::{ClientReply, LiveSession};
use crate::revision::{Revision, wire};
use crate::tasks;
use crate::upstream::{CallError, ClientFacts};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use doorward_broker::Caller;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a client may take to send a message.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Where a message came from.
#[derive(Clone)]
pub(super) struct Sender {
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
        Ok(()) => read_body(body, front.broker.policy().limits.message_mib).await,
        Err(error) => Err(error),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => return answer::refusal(&error, None, era::is_modern(&sender.headers, None)),
    };
    let message = match Envelope::parse(&bytes) {
        Ok(message) => message,
        Err(EnvelopeError::Batch) if may_be_legacy(&sender.headers) => {
            let answered = batched(front, &sender, &bytes).await;
            return answered.unwrap_or_else(|error| answer::refusal(&error, None, false));
        }
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

/// Whether a message without readable `_meta` can be a legacy client's.
fn may_be_legacy(headers: &HeaderMap) -> bool {
    !era::is_modern(headers, None) && headers.contains_key(wire::HEADER_SESSION)
}

/// Batches left the protocol with 2025-06-18.
async fn batched(front: &Arc<Front>, sender: &Sender, bytes: &Bytes) -> Result<Response, ProtocolError> {
    let session = session_of(front, &sender.caller, &sender.endpoint, &sender.headers).await?;
    if session.facts.revision != Revision::V2025_03_26 {
        return Err(EnvelopeError::Batch.into());
    }
    Box::pin(batch::batch(front, sender, &session, bytes)).await
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
        || accepts(headers, "application/json")
        || accepts(headers, "*/*");
    if takes_json { Ok(()) } else { Err(ProtocolError::NotAcceptable("application/json")) }
}

/// A message as a whole. One that dawdles is cut off, because it holds memory that long.
async fn read_body(body: Body, mib: u32) -> Result<Bytes, ProtocolError> {
    let limited = Limited::new(body, (mib as usize) << 20);
    match tokio::time::timeout(BODY_WITHIN, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ProtocolError::TooLarge { mib }),
        Ok(Err(_)) => Err(ProtocolError::Incomplete),
        Err(_) => Err(ProtocolError::Slow),
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
            method::Method::of(name, facts.revision)?;
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
    let session = session_of(front, &sender.caller, &sender.endpoint, &sender.headers).await?;
    if let (MessageKind::Request, Some(id), Some(name)) = (message.kind(), message.id, message.method) {
        let request = legacy_request(sender, &session, (id, name), message.params);
        return run_detached(front, &session, Arc::new(request)).await;
    }
    taken(front, &sender, &session, message);
    Ok(answer::nothing(StatusCode::ACCEPTED))
}

/// A request as its session knows who asks.
pub(super) fn legacy_request(
    sender: Sender,
    session: &Arc<LiveSession>,
    named: (&RawValue, &str),
    params: Option<&RawValue>,
) -> ClientRequest {
    let facts = ClientFacts { log_level: session.log_level(), ..session.facts.clone() };
    sender.request(facts, Some(Arc::clone(session)), named, params)
}

/// Takes note of a message that is answered by nothing.
pub(super) fn taken(front: &Arc<Front>, sender: &Sender, session: &Arc<LiveSession>, message: &Envelope<'_>) {
    if message.kind() == MessageKind::Notification {
        if message.method == Some("notifications/cancelled") {
            cancelled(session, message);
        }
        notify::pass_up(front, (&sender.caller, &sender.endpoint), session, message);
    } else if let Some(id) = message.id.and_then(crate::envelope::text) {
        let said = message.error.map(RawValue::to_owned);
        let result = message.result.map(|result| tasks::with_their_id(front, sender.caller.user.id, result));
        let reply = result.map_or(ClientReply::Error(said), ClientReply::Result);
        session.deliver(&id, reply);
    }
}

fn cancelled(session: &LiveSession, message: &Envelope<'_>) {
    if let Some(id) = message.params.and_then(|params| member(params, "requestId")) {
        session.cancel(id);
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
            accept_sse: accepts(&self.headers, "text/event-stream"),
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

/// What a detached request begins to answer with.
enum Head {
    Reply(Reply),
    /// The events of a stream that the client may come back to.
    Events(BoxStream<'static, Bytes>),
}

/// A legacy client that hangs up has not cancelled (2025-11-25, transports): its request runs on, detached,
/// until it is done or `notifications/cancelled` comes. What it says meanwhile is kept for the client.
async fn run_detached(
    front: &Arc<Front>,
    session: &Arc<LiveSession>,
    request: Arc<ClientRequest>,
) -> Result<Response, ProtocolError> {
    let (running, cancelled) = session.run(&request.id);
    let (head, answered) = oneshot::channel();
    let (front, session) = (Arc::clone(front), Arc::clone(session));
    tokio::spawn(async move {
        let mut log = None;
        let work = async {
            match dispatch::answer(&front, &request).await {
                Ok(Reply::Stream(messages)) => {
                    let log = log.insert(session.call_stream());
                    let _ = head.send(events(log, request.facts.revision).map(Head::Events));
                    pump(messages, log).await;
                }
                Ok(Reply::Passing(pieces)) => {
                    // It cannot be resumed, and ends with its connection; it is passed on from here, so that it
                    // ends with its session as well.
                    let (sender, receiver) = mpsc::channel(1);
                    let _ = head.send(Ok(Head::Reply(Reply::Passing(received(receiver)))));
                    pass(pieces, sender).await;
                }
                other => drop(head.send(other.map(Head::Reply))),
            }
        };
        tokio::select! {
            () = work => {}
            Ok(()) = cancelled => {}
        }
        if let Some(log) = log {
            log.end();
        }
        drop(running);
    });
    match answered.await {
        Ok(head) => head.map(|head| match head {
            Head::Reply(reply) => answer::response(reply),
            Head::Events(events) => answer::frames(events),
        }),
        // Cancelled before there was anything to say: nothing is said.
        Err(_) => Ok(answer::nothing(StatusCode::ACCEPTED)),
    }
}

/// The events of a new stream; first the one that names it, to clients that know of that.
fn events(log: &Arc<EventLog>, revision: Revision) -> Result<BoxStream<'static, Bytes>, ProtocolError> {
    let events = log.read(None).map_err(|_| ProtocolError::Resumption)?;
    let priming = (revision >= Revision::V2025_11_25).then(|| log.priming());
    Ok(stream::iter(priming).chain(events).boxed())
}

/// Passes messages on as fast as the client reads, and to the end when nobody reads any more.
async fn pump(mut messages: BoxStream<'static, Bytes>, log: &EventLog) {
    while let Some(message) = messages.next().await {
        log.append(message).await;
    }
}

async fn pass<T>(mut pieces: BoxStream<'static, T>, sender: mpsc::Sender<T>) {
    while let Some(piece) = pieces.next().await {
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}

/// What is sent into a channel, as a stream. One that is cut is no whole JSON, which its client sees.
fn received(
    receiver: mpsc::Receiver<Result<Bytes, CallError>>,
) -> BoxStream<'static, Result<Bytes, CallError>> {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed()
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
