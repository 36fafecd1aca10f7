//! What came of a call to an upstream, as the client is told it: the answer, or first the questions that the
//! server has.

use super::answer::Reply;
use super::method::Method;
use super::request::{ClientRequest, Endpoint};
use super::{Attempt, Front, Needed};
use crate::ask;
use crate::envelope::{Envelope, edit, json_string, splice, text_member};
use crate::errors::ProtocolError;
use crate::tasks;
use crate::upstream::{CallError, Event, UpstreamAnswer};
use bytes::Bytes;
use doorward_domain::Gateway;
use futures_util::StreamExt;
use serde_json::value::RawValue;
use std::sync::Arc;

/// One call: whose, and to whom.
#[derive(Clone)]
pub(super) struct Called {
    pub(super) front: Arc<Front>,
    pub(super) request: Arc<ClientRequest>,
    pub(super) method: Method,
    pub(super) gateway: Arc<Gateway>,
}

impl Called {
    /// The attempt that this was. `params`: as the upstream got them.
    pub(super) fn attempt(
        self,
        params: Option<&RawValue>,
        called: Result<UpstreamAnswer, CallError>,
    ) -> Result<Attempt, ProtocolError> {
        if let Err(CallError::MustAuthorize { gateway, reference }) = called {
            return Ok(Attempt::Needs(Needed { gateway, reference, link_wanted: false }));
        }
        self.reply(params, called).map(Attempt::Done)
    }

    fn reply(
        self,
        params: Option<&RawValue>,
        called: Result<UpstreamAnswer, CallError>,
    ) -> Result<Reply, ProtocolError> {
        let session = self.request.session.as_ref().filter(|_| self.request.accept_sse);
        let asks = matches!(called, Ok(UpstreamAnswer::Stream(_)) | Err(CallError::InputRequired { .. }));
        if let (Some(session), true, true) = (session, asks, self.method.takes_input()) {
            let to = (&self.gateway, params);
            return Ok(Reply::Stream(ask::rounds(&self.front, &self.request, session, to, called)));
        }
        match called {
            Ok(UpstreamAnswer::Message(answered)) => {
                Ok(Reply::Message { body: self.ours(answered.body)?, status: answered.status })
            }
            Ok(UpstreamAnswer::Stream(events)) => {
                Ok(Reply::Stream(events.map(move |event| self.message(event)).boxed()))
            }
            Ok(UpstreamAnswer::Passing(pieces)) => Ok(Reply::Passing(pieces)),
            Err(error) => self.failed(error),
        }
    }

    /// One message of a stream. A stream that breaks ends with an error for the request.
    fn message(&self, event: Result<Event, CallError>) -> Bytes {
        let told = match event {
            Ok(event) if event.last => self.ours(event.data),
            Ok(event) => return told(&self.front, &self.request, &self.gateway, event.data),
            Err(error) => self.failed(error).map(Reply::into_message),
        };
        told.unwrap_or_else(|error| {
            error.log(&self.request.method);
            error.message(Some(&self.request.id), self.request.is_modern()).into()
        })
    }

    fn ours(&self, body: Bytes) -> Result<Bytes, ProtocolError> {
        let body = tasks::answer_with_our_ids(&self.front, &self.request, self.method, &self.gateway, body);
        ask::with_our_state(&self.front, &self.request, self.method, &self.gateway, body)
    }

    fn failed(&self, error: CallError) -> Result<Reply, ProtocolError> {
        match error {
            CallError::InputRequired { asked, .. } if self.request.is_modern() => {
                ask::carried(&self.front, &self.request, self.method, &self.gateway, *asked)
            }
            CallError::MissingCapability { needed, .. } => Err(ProtocolError::MissingCapability { needed }),
            error => Err(error.into()),
        }
    }
}

/// A message on the way to the answer: tasks in it have our ids, and on `/mcp` a log line says whose it is. Everything
/// else passes as it came.
pub(crate) fn told(front: &Front, request: &ClientRequest, gateway: &Gateway, message: Bytes) -> Bytes {
    let message = tasks::event_with_our_ids(front, request, gateway, message);
    match &request.endpoint {
        Endpoint::All | Endpoint::Server(_) => {
            with_logger(&message, gateway.slug.as_str()).unwrap_or(message)
        }
        Endpoint::One(_) => message,
    }
}

fn with_logger(message: &Bytes, slug: &str) -> Option<Bytes> {
    let line = Envelope::parse(message).ok()?;
    let params = line.params.filter(|_| line.method == Some("notifications/message"))?;
    let logger = text_member(params, "logger");
    let logger = logger.map_or_else(|| slug.to_owned(), |logger| format!("{slug}/{logger}"));
    let new = edit(params.get(), &[("logger", Some(&json_string(&logger)))])?;
    Some(splice(line.text, &[(params, &new)]).into())
}
