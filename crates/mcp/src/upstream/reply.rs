//! What an upstream's messages mean to the client that waits: the response, progress, log lines. Events
//! are read one by one as the client takes them, so a slow reader slows the upstream.

use super::answer::{Answered, CallError, Event, UpstreamAnswer};
use super::body::{EventReader, broken, is_answer_to};
use super::exchange::Aside;
use super::wire;
use crate::bridge::{Downward, NeedsMore};
use crate::envelope::{self, Envelope, MessageKind, splice};
use crate::revision::Revision;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// An answer that is whole within this time is sent as one message, without a stream.
const PEEK: Duration = Duration::from_millis(500);

/// Everything that the way down needs of the way up.
pub(super) struct Waiting {
    pub(super) client: Revision,
    pub(super) upstream: Revision,
    pub(super) method: String,
    /// Kept only where an error may have to name the URI.
    pub(super) params: Option<Box<RawValue>>,
    /// The client's request id.
    pub(super) client_id: Box<RawValue>,
    /// The id that the upstream sees; also its progress token.
    pub(super) our_id: u64,
    pub(super) progress_token: Option<Box<RawValue>>,
    pub(super) log_level: Option<String>,
    pub(super) guard: CancelGuard,
}

/// Tells a legacy upstream when its answer is no longer awaited. (A modern one is told by the closed
/// connection; 2026-07-28, cancellation.)
pub(super) struct CancelGuard {
    pub(super) aside: Aside,
    pub(super) id: u64,
    pub(super) armed: bool,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if self.armed {
            self.aside.send(wire::cancelled(self.id));
        }
    }
}

impl Waiting {
    fn broken(&self, problem: impl Into<String>) -> CallError {
        broken(self.guard.aside.gateway(), problem)
    }

    /// The response for the client from a message that answers our request.
    pub(super) fn response(&self, message: &Envelope<'_>, status: StatusCode) -> Result<Answered, CallError> {
        let down = Downward {
            client: self.client,
            upstream: self.upstream,
            method: &self.method,
            params: self.params.as_deref(),
            id: &self.client_id,
            status,
        };
        let (text, status) = down.response(message).map_err(|NeedsMore(what)| CallError::NeedsBridging {
            gateway: self.guard.aside.gateway().slug.to_string(),
            what,
        })?;
        Ok(Answered { body: text.into(), status })
    }

    /// What one event means to the client; none when it means nothing.
    fn event(&self, data: &[u8]) -> Result<Option<(Event, StatusCode)>, CallError> {
        // An empty event only carries an id for resumption (2025-11-25, SSE polling).
        if data.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let message = Envelope::parse(data).map_err(|error| self.broken(error.to_string()))?;
        match message.kind() {
            MessageKind::Response if is_answer_to(&message, self.our_id) => {
                let Answered { body, status } = self.response(&message, StatusCode::OK)?;
                Ok(Some((Event { data: body, last: true }, status)))
            }
            MessageKind::Response => Ok(None),
            MessageKind::Request => {
                self.refuse(&message);
                Ok(None)
            }
            MessageKind::Notification => Ok(self
                .notification(&message)
                .map(|text| (Event { data: text.into(), last: false }, StatusCode::OK))),
        }
    }

    /// A legacy server asks the client something during the call; that needs more than a plain call gives.
    fn refuse(&self, message: &Envelope<'_>) {
        let (Some(id), Some(method), false) = (message.id, message.method, self.upstream.is_modern()) else {
            return;
        };
        if method != "ping" {
            let gateway = &self.guard.aside.gateway().slug;
            tracing::info!(%gateway, method, "a server's request to its client was refused: it cannot be carried yet");
        }
        self.guard.aside.send(wire::refusal(id, method));
    }

    fn notification(&self, message: &Envelope<'_>) -> Option<String> {
        match message.method? {
            "notifications/progress" => {
                let theirs = message.params.and_then(|params| envelope::member(params, "progressToken"))?;
                let ours = self.progress_token.as_ref()?;
                (theirs.get() == self.our_id.to_string())
                    .then(|| splice(message.text, &[(theirs, ours.get())]))
            }
            "notifications/message" if self.client.is_modern() => {
                let level = message.params.and_then(|params| envelope::text_member(params, "level"))?;
                (severity(&level)? >= severity(self.log_level.as_deref()?)?).then(|| message.text.to_owned())
            }
            method if NOT_ON_CALLS.contains(&method) => None,
            _ => Some(message.text.to_owned()),
        }
    }
}

/// Notifications that belong to subscriptions, sessions or foreign ids, not to one call's stream.
const NOT_ON_CALLS: [&str; 8] = [
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
];

/// Log levels by weight (RFC 5424 §6.2.1, least first).
fn severity(level: &str) -> Option<usize> {
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
        .iter()
        .position(|known| *known == level)
}

/// A call's event stream on its way to the client.
struct Relay {
    reader: EventReader,
    waiting: Waiting,
}

impl Relay {
    async fn next(&mut self) -> Result<(Event, StatusCode), CallError> {
        let gateway = Arc::clone(self.waiting.guard.aside.gateway());
        loop {
            let Some(data) = self.reader.next(&gateway).await? else {
                self.waiting.guard.armed = false;
                return Err(self
                    .waiting
                    .broken("its event stream ended before the response, and streams are not resumed yet"));
            };
            match self.waiting.event(&data) {
                Ok(None) => {}
                Ok(Some(event)) => return Ok(event),
                Err(error) => {
                    // The response has come; there is nothing left to cancel.
                    self.waiting.guard.armed &= !matches!(error, CallError::NeedsBridging { .. });
                    return Err(error);
                }
            }
        }
    }

    fn finish(mut self) {
        self.waiting.guard.armed = false;
        self.reader.finish();
    }
}

/// Relays an event stream. One whose response comes at once, or for a client that takes no events,
/// becomes a single message.
pub(super) async fn relay(
    body: Incoming,
    waiting: Waiting,
    accept_sse: bool,
) -> Result<UpstreamAnswer, CallError> {
    let mut relay = Relay { reader: EventReader::new(body), waiting };
    let first = loop {
        let next = relay.next();
        match if accept_sse { timeout(PEEK, next).await.ok() } else { Some(next.await) } {
            None => break None,
            Some(next) => {
                let (event, status) = next?;
                if event.last {
                    relay.finish();
                    return Ok(UpstreamAnswer::Message(Answered { body: event.data, status }));
                }
                if accept_sse {
                    break Some(event);
                }
            }
        }
    };
    let rest = stream::unfold(Some(relay), |relay| async {
        let mut relay = relay?;
        match relay.next().await {
            Ok((event, _)) if event.last => {
                relay.finish();
                Some((Ok(event), None))
            }
            Ok((event, _)) => Some((Ok(event), Some(relay))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(UpstreamAnswer::Stream(stream::iter(first.map(Ok)).chain(rest).boxed()))
}
