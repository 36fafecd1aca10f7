//! Reading the body of an upstream's answer: JSON or server-sent events, nothing else, each under a size
//! limit and a limit of silence.

use super::answer::CallError;
use super::sse::{EVENT_LIMIT, SseParser};
use crate::envelope::Envelope;
use bytes::Bytes;
use doorward_domain::Gateway;
use futures_util::FutureExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::timeout;

/// How long an upstream may be silent within an answer.
pub(super) const SILENCE: Duration = Duration::from_secs(300);

/// How long a server is left alone before a stream that it ended is resumed, if it has not said; and at most.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AT_MOST: Duration = Duration::from_secs(60);

/// How long, and how much, is read after the response so that the connection can be used again.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);
const DRAIN_LIMIT: usize = 64 * 1024;

/// What kind of body an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    Json,
    Events,
    Other,
}

/// The kind of an answer's body, by its `Content-Type`. A compressed body is none of ours: it was not asked for.
pub(super) fn body_kind(response: &Response<Incoming>) -> BodyKind {
    let packed = response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    match media_type {
        _ if packed => BodyKind::Other,
        json if json.eq_ignore_ascii_case("application/json") => BodyKind::Json,
        events if events.eq_ignore_ascii_case("text/event-stream") => BodyKind::Events,
        _ => BodyKind::Other,
    }
}

/// Whether a response answers our request. An error about a message that could not be read has no id.
pub(super) fn is_answer_to(message: &Envelope<'_>, id: u64) -> bool {
    match message.id {
        Some(theirs) => theirs.get() == id.to_string(),
        None => message.error.is_some(),
    }
}

/// Reads a JSON body whole, up to the size of the largest event.
pub(super) async fn read_json(
    gateway: &Gateway,
    body: Incoming,
    within: Duration,
) -> Result<Bytes, CallError> {
    match timeout(within, Limited::new(body, EVENT_LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(broken(gateway, format!("it is larger than {EVENT_LIMIT} bytes")))
        }
        Ok(Err(_)) => Err(broken_off(gateway)),
        Err(_) => Err(silent(gateway)),
    }
}

/// The events of one answer.
pub(super) struct EventReader {
    body: Incoming,
    parser: SseParser,
}

impl EventReader {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, parser: SseParser::new(EVENT_LIMIT) }
    }

    /// The data of the next event; none at the end. May be dropped while it waits, without loss.
    pub(super) async fn next(&mut self, gateway: &Gateway) -> Result<Option<Bytes>, CallError> {
        self.next_within(gateway, SILENCE).await
    }

    /// The same with another limit of silence.
    pub(super) async fn next_within(
        &mut self,
        gateway: &Gateway,
        silence: Duration,
    ) -> Result<Option<Bytes>, CallError> {
        loop {
            if let Some(event) = self.parser.next_event() {
                return Ok(Some(event));
            }
            if !self.feed(gateway, silence).await? {
                return Ok(None);
            }
        }
    }

    /// Reads one more piece; false at the end.
    async fn feed(&mut self, gateway: &Gateway, silence: Duration) -> Result<bool, CallError> {
        let frame = match timeout(silence, self.body.frame()).await {
            Ok(None) => return Ok(false),
            Ok(Some(frame)) => frame.map_err(|_| broken_off(gateway))?,
            Err(_) => return Err(silent(gateway)),
        };
        if let Some(chunk) = frame.data_ref() {
            self.parser.feed(chunk).map_err(|error| broken(gateway, error.to_string()))?;
        }
        Ok(true)
    }

    /// The data of the event `endpoint`, which has to come first (2024-11-05, HTTP with SSE).
    pub(super) async fn endpoint(&mut self, gateway: &Gateway) -> Result<Option<Bytes>, CallError> {
        loop {
            if let Some(endpoint) = self.parser.take_endpoint() {
                return Ok(Some(endpoint));
            }
            if self.parser.next_event().is_some() || !self.feed(gateway, SILENCE).await? {
                return Ok(None);
            }
        }
    }

    /// Where a server could go on after the end, and how long it wants to be left alone before.
    pub(super) fn resume_point(&self) -> Option<(&str, Duration)> {
        Some((self.parser.last_id()?, self.parser.retry().unwrap_or(RETRY_AFTER).min(RETRY_AT_MOST)))
    }

    /// Goes on with the body of a stream that continues this one.
    pub(super) fn reconnected(&mut self, body: Incoming) {
        self.body = body;
        self.parser.reconnected();
    }

    /// Reads the rest in the background, so that the connection goes back to the pool.
    pub(super) fn finish(self) {
        let mut body = self.body;
        if matches!(body.frame().now_or_never(), Some(None)) {
            return;
        }
        tokio::spawn(timeout(DRAIN_WITHIN, Limited::new(body, DRAIN_LIMIT).collect()));
    }
}

/// A whole answer to a request of our own: its status, and the message if there is one.
pub(super) struct Whole {
    pub(super) status: StatusCode,
    pub(super) message: Option<Bytes>,
}

/// Reads the answer to a request of our own (probe, `initialize`).
pub(super) async fn read_whole(
    gateway: &Gateway,
    response: Response<Incoming>,
    id: u64,
    within: Duration,
) -> Result<Whole, CallError> {
    let (status, kind) = (response.status(), body_kind(&response));
    let message = match kind {
        BodyKind::Json => Some(read_json(gateway, response.into_body(), within).await?),
        BodyKind::Events => {
            let answer = first_answer(gateway, EventReader::new(response.into_body()), id);
            timeout(within, answer).await.map_err(|_| silent(gateway))??
        }
        BodyKind::Other => None,
    };
    let is_answer = |bytes: &Bytes| Envelope::parse(bytes).is_ok_and(|message| is_answer_to(&message, id));
    Ok(Whole { status, message: message.filter(is_answer) })
}

async fn first_answer(
    gateway: &Gateway,
    mut reader: EventReader,
    id: u64,
) -> Result<Option<Bytes>, CallError> {
    while let Some(data) = reader.next(gateway).await? {
        if Envelope::parse(&data).is_ok_and(|message| is_answer_to(&message, id)) {
            reader.finish();
            return Ok(Some(data));
        }
    }
    Ok(None)
}

pub(super) fn broken(gateway: &Gateway, problem: impl Into<String>) -> CallError {
    CallError::Broken { gateway: gateway.slug.to_string(), problem: problem.into() }
}

pub(super) fn broken_off(gateway: &Gateway) -> CallError {
    let why = "the connection broke off within the answer".to_owned();
    CallError::Unreachable { gateway: gateway.slug.to_string(), why, may_have_run: true }
}

pub(super) fn silent(gateway: &Gateway) -> CallError {
    let why = "it fell silent within the answer".to_owned();
    CallError::Unreachable { gateway: gateway.slug.to_string(), why, may_have_run: true }
}
