//! What a call to an upstream takes and gives. The front side builds these and reads those; nothing
//! here knows how the wire looks.

use crate::bridge::InputRequired;
use crate::envelope::text_member;
use crate::live_session::LiveSession;
use crate::revision::Revision;
use bytes::Bytes;
use doorward_broker::BrokerError;
use doorward_domain::Gateway;
use futures_util::stream::BoxStream;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What a client said about itself: in `initialize` (legacy) or in the request's `_meta` (modern).
#[derive(Debug, Clone)]
pub struct ClientFacts {
    /// What was negotiated with the client.
    pub revision: Revision,
    /// `clientInfo.name`.
    pub name: String,
    /// `clientInfo.version`.
    pub version: String,
    /// The client's capabilities object, exactly as it sent it. No other is declared upstream.
    pub capabilities: Box<RawValue>,
    /// The least weight of log lines that a legacy client set for its session. Modern clients say it with each
    /// request.
    pub log_level: Option<String>,
}

/// One request of a client, with the upstream's own names already restored in `params`.
#[derive(Clone, Copy)]
pub struct UpstreamCall<'a> {
    /// The client's request id. Answers carry it; the upstream sees an id of ours.
    pub id: &'a RawValue,
    pub method: &'a str,
    /// The client's `params`, its `_meta` still inside.
    pub params: Option<&'a RawValue>,
    /// All of the client's request headers; what goes on is chosen here by an allow list
    /// (`Mcp-Param-*`, `traceparent`, `tracestate`, `baggage`).
    pub client_headers: &'a HeaderMap,
    /// Whether the client takes `text/event-stream`. Without it, notifications during the call are dropped.
    pub accept_sse: bool,
    /// The session of a legacy client, through which a server's questions reach it.
    pub(crate) session: Option<&'a Arc<LiveSession>>,
}

impl<'a> UpstreamCall<'a> {
    /// The upstream's own name of the tool that is called.
    pub(crate) fn tool(&self) -> Option<Cow<'a, str>> {
        self.params.filter(|_| self.method == "tools/call").and_then(|params| text_member(params, "name"))
    }
}

/// An upstream's answer, already in the client's era and under the client's id and progress token.
/// No response header of the upstream passes.
pub enum UpstreamAnswer {
    /// One JSON-RPC response.
    Message(Answered),
    /// Notifications, and the response as the last event. Dropping the stream before that cancels
    /// the call upstream; keep reading it where the client's hanging up is no cancel.
    Stream(BoxStream<'static, Result<Event, CallError>>),
    /// The bytes of one large JSON-RPC response, as they come. Dropping them cancels the call upstream.
    Passing(BoxStream<'static, Result<Bytes, CallError>>),
}

/// A whole JSON-RPC response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub body: Bytes,
    /// 200, or where a modern client gets an error the status that belongs to its code (400, 404).
    pub status: StatusCode,
}

/// One server-sent event for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// One JSON-RPC message in one line.
    pub data: Bytes,
    /// It is the response; nothing follows.
    pub last: bool,
}

/// Why a call got no answer from an upstream. JSON-RPC errors of the upstream are answers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: the user has to authorize first.
    #[error("{} needs the user's authorization", .gateway.name)]
    MustAuthorize {
        gateway: Arc<Gateway>,
        /// Leads to the event in the grant's time line that says why, if there is one.
        reference: Option<String>,
    },
    /// The user's grant ended while the call ran; whatever the upstream answered is not delivered.
    #[error("the authorization of {gateway} was ended while this call ran; the next call asks for a new one")]
    Ended { gateway: String },
    /// Nothing was sent: there is no usable token just now.
    #[error("{problem}{}", in_brackets(reference.as_deref()))]
    Unavailable { problem: String, retry_after: Option<Duration>, reference: Option<String> },
    /// No connection, or it broke, or nothing came in time.
    #[error("the MCP server {gateway} cannot be reached: {why}")]
    Unreachable {
        gateway: String,
        why: String,
        /// Whether the upstream may have begun to do what was asked.
        may_have_run: bool,
    },
    /// The upstream answered, but not the request.
    #[error("the MCP server {gateway} answered HTTP {status}: {problem}")]
    Upstream { gateway: String, status: u16, problem: String },
    /// The upstream's answer is not the protocol.
    #[error("the MCP server {gateway} sent an answer that cannot be used: {problem}")]
    Broken { gateway: String, problem: String },
    /// The upstream wants what this client's revision has no word for yet.
    #[error("the MCP server {gateway} answered with {what}, which Doorward cannot yet carry to this client")]
    NeedsBridging { gateway: String, what: String },
    /// The upstream goes on once the client has answered.
    #[error("the MCP server {gateway} asks its client for input")]
    InputRequired { gateway: String, asked: Box<InputRequired> },
    /// The upstream failed after it had asked what the client did not declare.
    #[error("the MCP server {gateway} needs a client capability: {}", needed.join("."))]
    MissingCapability { gateway: String, needed: &'static [&'static str] },
    /// A call that waited for the client's answers waits no more.
    #[error("the call to {gateway} that these answers belong to is over; start it again")]
    NotParked { gateway: String },
    /// A header of the client says something else than the arguments do.
    #[error("{0}")]
    ParamHeader(String),
    /// A task of the other era's kind.
    #[error("tasks at {gateway} belong to another protocol revision than this client speaks")]
    OtherTasks { gateway: String },
    /// A method that is not forwarded.
    #[error("the method {method} is not forwarded to MCP servers")]
    NotForwarded { method: String },
    /// Doorward's own trouble.
    #[error(transparent)]
    Broker(Arc<BrokerError>),
}

/// A reference as sentences end with it.
pub(crate) fn in_brackets(reference: Option<&str>) -> String {
    reference.map(|reference| format!(" (reference {reference})")).unwrap_or_default()
}

impl From<BrokerError> for CallError {
    fn from(error: BrokerError) -> Self {
        Self::Broker(Arc::new(error))
    }
}
