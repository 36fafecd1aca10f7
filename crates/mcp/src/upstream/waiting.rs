//! What an upstream's messages mean to the client that waits: the response, progress, log lines, questions.

use super::answer::{Answered, CallError, Event};
use super::body::{broken, is_answer_to};
use super::exchange::Aside;
use super::parked::ParkedCalls;
use super::runs::Run;
use super::wire;
use crate::bridge::{self, Downward, NeedsMore};
use crate::envelope::{self, Envelope, MessageKind, splice};
use crate::live_session::LiveSession;
use crate::revision::Revision;
use crate::tasks;
use doorward_domain::{GatewayId, UserId};
use http::StatusCode;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

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
    /// What the client declared: nothing else is asked of it.
    pub(super) capabilities: Box<RawValue>,
    /// A legacy client that takes events.
    pub(super) session: Option<Arc<LiveSession>>,
    pub(super) whose: (UserId, GatewayId),
    pub(super) run: Arc<Run>,
    pub(super) parked: Arc<ParkedCalls>,
    /// What the server asked although the client had not declared it.
    pub(super) undeclared: OnceLock<&'static [&'static str]>,
}

/// A legacy server's request to its client.
#[derive(Debug, Clone)]
pub(super) struct Pushed {
    pub(super) id: Box<RawValue>,
    pub(super) method: String,
    pub(super) params: Option<Box<RawValue>>,
    /// The whole message.
    text: String,
}

impl Pushed {
    /// The request under an id of ours.
    pub(super) fn under(&self, id: &str) -> String {
        envelope::edit(&self.text, &[("id", Some(&envelope::json_string(id)))]).unwrap_or_default()
    }

    /// The params as a modern client knows them: 2026-07-28 has no `elicitationId`, and other tasks.
    pub(super) fn params_for_modern(&self) -> Option<Cow<'_, str>> {
        let params = self.params.as_deref()?;
        let has_id =
            self.method == "elicitation/create" && envelope::member(params, "elicitationId").is_some();
        let meta = envelope::member(params, "_meta").filter(|meta| meta.get().contains(tasks::META_RELATED));
        let meta = meta.and_then(|meta| envelope::edit(meta.get(), &[(tasks::META_RELATED, None)]));
        let mut edits = Vec::new();
        if has_id {
            edits.push(("elicitationId", None));
        }
        if let Some(meta) = &meta {
            edits.push(("_meta", Some(meta.as_str()).filter(|meta| *meta != "{}")));
        }
        let without = (!edits.is_empty()).then(|| envelope::edit(params.get(), &edits)).flatten();
        Some(without.map_or(Cow::Borrowed(params.get()), Cow::Owned))
    }
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

/// What one event means.
pub(super) enum Meaning {
    Nothing,
    Event(Event, StatusCode),
    Asked(Pushed),
}

impl Waiting {
    pub(super) fn broken(&self, problem: impl Into<String>) -> CallError {
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
        let gateway = self.guard.aside.gateway().slug.to_string();
        // It failed after it was refused what it asked: a modern client can be told what to declare.
        if let (true, Some(_), Some(needed)) = (self.client.is_modern(), message.error, self.undeclared.get())
        {
            return Err(CallError::MissingCapability { gateway, needed });
        }
        let (text, status) = down.response(message).map_err(|needs| match needs {
            NeedsMore::Words(what) => CallError::NeedsBridging { gateway, what },
            NeedsMore::Input(asked) => CallError::InputRequired { gateway, asked: Box::new(asked) },
        })?;
        Ok(Answered { body: text.into(), status })
    }

    /// What one event means to the client.
    pub(super) fn meaning(&self, data: &[u8]) -> Result<Meaning, CallError> {
        // An empty event only carries an id for resumption (2025-11-25, SSE polling).
        if data.iter().all(u8::is_ascii_whitespace) {
            return Ok(Meaning::Nothing);
        }
        let message = Envelope::parse(data).map_err(|error| self.broken(error.to_string()))?;
        match message.kind() {
            MessageKind::Response if is_answer_to(&message, self.our_id) => {
                let Answered { body, status } = self.response(&message, StatusCode::OK)?;
                Ok(Meaning::Event(Event { data: body, last: true }, status))
            }
            MessageKind::Response => Ok(Meaning::Nothing),
            MessageKind::Request => Ok(self.question(&message)),
            MessageKind::Notification => Ok(self.notification(&message).map_or(Meaning::Nothing, |text| {
                Meaning::Event(Event { data: text.into(), last: false }, StatusCode::OK)
            })),
        }
    }

    /// A legacy server asks the client something; a modern one may not.
    fn question(&self, message: &Envelope<'_>) -> Meaning {
        let (Some(id), Some(method), false) = (message.id, message.method, self.upstream.is_modern()) else {
            return Meaning::Nothing;
        };
        let pushed = Pushed {
            id: id.to_owned(),
            method: method.to_owned(),
            params: message.params.map(ToOwned::to_owned),
            text: message.text.to_owned(),
        };
        let takes_input = bridge::takes_input(&self.method);
        let can_be_asked = if self.client.is_modern() { takes_input } else { self.session.is_some() };
        if can_be_asked && bridge::declared(&self.capabilities, method, message.params) {
            return Meaning::Asked(pushed);
        }
        if let Some(needed) = bridge::needed(method, message.params) {
            let _ = self.undeclared.set(needed);
        }
        self.refuse(&pushed);
        Meaning::Nothing
    }

    /// Tells the server that its client is not asked.
    pub(super) fn refuse(&self, pushed: &Pushed) {
        if pushed.method != "ping" {
            let gateway = &self.guard.aside.gateway().slug;
            tracing::info!(%gateway, method = pushed.method, "a server's request to its client was refused");
        }
        self.guard.aside.send(wire::refusal(&pushed.id, &pushed.method));
    }

    fn notification(&self, message: &Envelope<'_>) -> Option<String> {
        match message.method? {
            "notifications/progress" => {
                let theirs = message.params.and_then(|params| envelope::member(params, "progressToken"))?;
                let ours = self.progress_token.as_ref()?;
                (theirs.get() == self.our_id.to_string())
                    .then(|| splice(message.text, &[(theirs, ours.get())]))
            }
            "notifications/message" => self.is_wanted(message).then(|| message.text.to_owned()),
            // It may be told on any stream; a modern client has other tasks.
            tasks::STATUS => (!self.client.is_modern()).then(|| message.text.to_owned()),
            method if NOT_ON_CALLS.contains(&method) => None,
            _ => Some(message.text.to_owned()),
        }
    }

    /// Whether the client wants a log line of this weight. A modern client that names no level wants none; a
    /// legacy one leaves it to the server.
    fn is_wanted(&self, message: &Envelope<'_>) -> bool {
        let Some(least) = self.log_level.as_deref() else { return !self.client.is_modern() };
        let level = message.params.and_then(|params| envelope::text_member(params, "level"));
        let weight = level.and_then(|level| wire::severity(&level));
        weight.zip(wire::severity(least)).is_some_and(|(weight, least)| weight >= least)
    }
}

/// Notifications that belong to subscriptions, sessions or foreign ids, not to one call's stream.
const NOT_ON_CALLS: [&str; 7] = [
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
    "notifications/tools/list_changed",
];
