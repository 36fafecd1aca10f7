//! Everything that is answered instead of a result: one code, one HTTP status and one sentence each.
//!
//! Codes of our own stand outside the range that JSON-RPC reserves (-32768 to -32000).

use crate::ask::Ask;
use crate::envelope::{EnvelopeError, json_string};
use crate::front::object;
use crate::limits::Limit;
use crate::revision::{Revision, code};
use crate::upstream::CallError;
use doorward_broker::BrokerError;
use http::StatusCode;
use serde_json::value::RawValue;
use std::time::Duration;

/// The user has to authorize first; message and `data.authorization_url` hold the link.
pub const AUTHORIZATION_REQUIRED: i32 = 4_010;

/// The user was asked to authorize, and did not want to.
pub const AUTHORIZATION_DECLINED: i32 = 4_011;

/// The user's authorization ended while the call ran.
pub const AUTHORIZATION_ENDED: i32 = 4_012;

/// Why a message gets no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("requests from this web page's origin are not allowed")]
    Origin,
    #[error(
        "this Host is not Doorward's: use the public URL, or let the proxy in front pass the Host header on"
    )]
    Host,
    #[error("send an API token with the audience 'mcp' as \"Authorization: Bearer dw_...\"")]
    Unauthorized { presented: bool },
    #[error("there is no such gateway")]
    NoSuchGateway,
    #[error("there is no such virtual server")]
    NoSuchServer,
    #[error("this endpoint takes {allow}")]
    HttpMethod { allow: &'static str },
    #[error("the answer would be {0}, which the Accept header does not take")]
    NotAcceptable(&'static str),
    #[error("send application/json")]
    MediaType,
    #[error("the message is larger than {mib} MiB")]
    TooLarge { mib: u32 },
    #[error(
        "the MCP server's answer is larger than {mib} MiB, which is the most that goes into one message here"
    )]
    AnswerTooLarge { mib: usize },
    #[error("the MCP server gave no answer")]
    NoAnswer,
    #[error("the body of the request could not be read to its end")]
    Incomplete,
    #[error("the body of the request took too long to arrive")]
    Slow,
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("the protocol version {requested:?} is not supported")]
    Version { requested: String },
    #[error("{0}")]
    HeaderMismatch(String),
    #[error("`params._meta[\"{0}\"]` is required in every request")]
    MissingMeta(&'static str),
    #[error("clients send no responses in this revision")]
    UnexpectedResponse,
    #[error("there is no method {0:?}")]
    UnknownMethod(String),
    #[error("the tool's server, {gateway}, makes no tasks of 2025-11-25: call it without `task`")]
    NoTasks { gateway: String },
    #[error(
        "{gateway} lists no tasks, or cannot tell one user's tasks from another's; each can be asked for by its id"
    )]
    NoTaskList { gateway: String },
    #[error("there may be {allowed} {limit}: come back in {} s", retry_after.as_secs())]
    Limited { limit: Limit, allowed: u32, retry_after: Duration },
    #[error(
        "there is no stream of this session to resume after this event: it was never here, is too old, or another replica has it"
    )]
    Resumption,
    #[error("the Mcp-Session-Id header is required; `initialize` gives one")]
    SessionMissing,
    #[error("this session has ended or never was: initialize again")]
    SessionUnknown,
    #[error("{0}")]
    InvalidParams(String),
    #[error("there is no resource {uri:?}{hint}")]
    UnknownResource { uri: String, hint: String },
    /// The third way of asking, where the answer cannot be a result.
    #[error("{}", .0.sentence())]
    MustAuthorize(Box<Ask>),
    /// The first way of asking, without an open stream.
    #[error("{}", .0.invitation())]
    OpenUrl(Box<Ask>),
    #[error("{0}")]
    Declined(String),
    /// The server asks what this client did not say it can be asked.
    #[error("the MCP server needs a client capability: {}", needed.join("."))]
    MissingCapability { needed: &'static [&'static str] },
    #[error("the MCP server {gateway} wants the client to keep a state that is too large")]
    StateTooLarge { gateway: String },
    /// A server waits for its user to come back from a URL.
    #[error("the MCP server waits for its user to open a URL; then try again")]
    TheirUrls { elicitations: String },
    /// The client was asked by a server, and could not answer.
    #[error("the client could not answer what the MCP server asked: {0}")]
    Unanswered(String),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Broker(BrokerError),
}

impl From<BrokerError> for ProtocolError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::NotFound { what } => Self::InvalidParams(format!("there is no such {what}")),
            error => Self::Broker(error),
        }
    }
}

impl From<doorward_storage::StorageError> for ProtocolError {
    fn from(error: doorward_storage::StorageError) -> Self {
        Self::Broker(error.into())
    }
}

impl ProtocolError {
    /// The JSON-RPC code for a client of either era.
    pub(crate) fn code(&self, modern: bool) -> i32 {
        match self {
            Self::Envelope(error) => error.code(),
            Self::Version { .. } if modern => code::UNSUPPORTED_VERSION,
            Self::HeaderMismatch(_) | Self::Call(CallError::ParamHeader(_)) => code::HEADER_MISMATCH,
            Self::MissingCapability { .. } if modern => code::MISSING_CLIENT_CAPABILITY,
            Self::MissingCapability { .. } => code::INVALID_PARAMS,
            Self::UnknownMethod(_) | Self::NoTasks { .. } | Self::NoTaskList { .. } => code::METHOD_NOT_FOUND,
            Self::Call(CallError::NotForwarded { .. }) => code::METHOD_NOT_FOUND,
            Self::Call(CallError::OtherTasks { .. }) => code::INVALID_PARAMS,
            Self::UnknownResource { .. } if !modern => code::RESOURCE_NOT_FOUND,
            Self::MissingMeta(_) | Self::InvalidParams(_) | Self::UnknownResource { .. } => {
                code::INVALID_PARAMS
            }
            Self::MustAuthorize(_) => AUTHORIZATION_REQUIRED,
            Self::OpenUrl(_) | Self::TheirUrls { .. } => code::URL_ELICITATION_REQUIRED,
            Self::Declined(_) => AUTHORIZATION_DECLINED,
            Self::Call(CallError::Ended { .. }) => AUTHORIZATION_ENDED,
            Self::Call(_)
            | Self::Broker(_)
            | Self::StateTooLarge { .. }
            | Self::AnswerTooLarge { .. }
            | Self::NoAnswer
            | Self::Unanswered(_) => code::INTERNAL_ERROR,
            _ => code::INVALID_REQUEST,
        }
    }

    /// The HTTP status. What a legacy client asked and got an answer to is 200, errors included.
    pub(crate) fn status(&self, modern: bool) -> StatusCode {
        match self {
            Self::Origin | Self::Host => StatusCode::FORBIDDEN,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::NoSuchGateway | Self::NoSuchServer | Self::SessionUnknown => StatusCode::NOT_FOUND,
            Self::HttpMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Broker(BrokerError::Unavailable { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broker(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UnknownMethod(_) | Self::Call(CallError::NotForwarded { .. }) if modern => {
                StatusCode::NOT_FOUND
            }
            Self::MissingCapability { .. } if modern => StatusCode::BAD_REQUEST,
            Self::Incomplete
            | Self::Envelope(_)
            | Self::Version { .. }
            | Self::HeaderMismatch(_)
            | Self::Call(CallError::ParamHeader(_))
            | Self::MissingMeta(_)
            | Self::UnexpectedResponse
            | Self::Resumption
            | Self::SessionMissing => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }

    /// The JSON-RPC error response. Without an id the member is left out: nobody could tell whose it was.
    pub(crate) fn message(&self, id: Option<&RawValue>, modern: bool) -> String {
        let id = id.map(|id| format!(",\"id\":{}", id.get())).unwrap_or_default();
        let data = self.data(modern).map(|data| format!(",\"data\":{data}")).unwrap_or_default();
        let (code, sentence) = (self.code(modern), json_string(&self.sentence()));
        format!("{{\"jsonrpc\":\"2.0\"{id},\"error\":{{\"code\":{code},\"message\":{sentence}{data}}}}}")
    }

    /// What the client is told. Our own trouble is told in the log.
    fn sentence(&self) -> String {
        match self {
            Self::Broker(BrokerError::Unavailable { problem, .. }) => problem.clone(),
            Self::Broker(_) | Self::Call(CallError::Broker(_)) => {
                "Doorward failed on the inside; its log says more".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// When it is worth to come back, in whole seconds, where that is known before all else is.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    fn data(&self, modern: bool) -> Option<String> {
        match self {
            Self::Version { requested } if modern => {
                let supported = Revision::OFFERED.map(|offered| json_string(offered.as_str())).join(",");
                Some(format!("{{\"supported\":[{supported}],\"requested\":{}}}", json_string(requested)))
            }
            Self::MissingCapability { needed } if modern => {
                let nested =
                    needed.iter().rev().fold("{}".to_owned(), |inner, name| object(&[(name, inner)]));
                Some(object(&[("requiredCapabilities", nested)]))
            }
            Self::TheirUrls { elicitations } => Some(object(&[("elicitations", elicitations.clone())])),
            Self::UnknownResource { uri, .. } => Some(format!("{{\"uri\":{}}}", json_string(uri))),
            Self::MustAuthorize(ask) => Some(ask.facts()),
            Self::OpenUrl(ask) => {
                let mut data = vec![("elicitations", format!("[{}]", ask.elicitation()))];
                data.extend(ask.reference().map(|reference| ("reference", json_string(reference))));
                Some(object(&data))
            }
            Self::Limited { .. } => {
                let wait = self.retry_after()?.as_secs().to_string();
                Some(object(&[("retry_after_seconds", wait)]))
            }
            Self::Call(CallError::Unavailable { retry_after, reference, .. }) => {
                let wait = retry_after.map(|wait| ("retry_after_seconds", wait.as_secs().max(1).to_string()));
                let reference = reference.as_deref().map(|reference| ("reference", json_string(reference)));
                let data: Vec<_> = wait.into_iter().chain(reference).collect();
                (!data.is_empty()).then(|| object(&data))
            }
            _ => None,
        }
    }

    /// Logged once, here at the edge; what clients do wrong is theirs to see.
    pub(crate) fn log(&self, method: &str) {
        match self {
            Self::Broker(error) => tracing::error!(method, %error, "a message could not be answered"),
            Self::Call(CallError::Broker(error)) => {
                tracing::error!(method, %error, "a message could not be answered");
            }
            Self::Call(error @ CallError::Ended { .. }) => tracing::debug!(method, %error, "a call was cut"),
            Self::Call(error) => tracing::warn!(method, %error, "an MCP server gave no answer"),
            error => tracing::debug!(method, %error, "a message was refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::raw;

    fn id() -> Box<RawValue> {
        raw("\"7\"".into()).unwrap()
    }

    #[test]
    fn one_error_has_the_code_and_status_of_the_clients_era() {
        let version = ProtocolError::Version { requested: "1999-01-01".into() };
        assert_eq!((version.code(true), version.status(true)), (-32_022, StatusCode::BAD_REQUEST));
        assert_eq!((version.code(false), version.status(false)), (-32_600, StatusCode::BAD_REQUEST));
        let method = ProtocolError::UnknownMethod("x".into());
        assert_eq!((method.code(true), method.status(true)), (-32_601, StatusCode::NOT_FOUND));
        assert_eq!((method.code(false), method.status(false)), (-32_601, StatusCode::OK));
        let resource = ProtocolError::UnknownResource { uri: "a:b".into(), hint: String::new() };
        assert_eq!((resource.code(true), resource.code(false)), (-32_602, -32_002));
    }

    #[test]
    fn an_error_carries_the_request_id_and_its_data() {
        let version = ProtocolError::Version { requested: "1999-01-01".into() };
        assert_eq!(
            version.message(Some(&id()), true),
            r#"{"jsonrpc":"2.0","id":"7","error":{"code":-32022,"message":"the protocol version \"1999-01-01\" is not supported","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"requested":"1999-01-01"}}}"#
        );
        let without = ProtocolError::Envelope(EnvelopeError::Batch).message(None, false);
        assert!(!without.contains("\"id\"") && without.contains("-32600"), "{without}");
    }

    #[test]
    fn m8_an_error_names_the_reference_that_leads_to_its_reason() {
        let down = |reference: Option<&str>| {
            ProtocolError::from(CallError::Unavailable {
                problem: "It is kept, try again shortly.".into(),
                retry_after: Some(std::time::Duration::from_secs(7)),
                reference: reference.map(str::to_owned),
            })
            .message(Some(&id()), true)
        };
        assert_eq!(
            down(Some("0a1b2c")),
            r#"{"jsonrpc":"2.0","id":"7","error":{"code":-32603,"message":"It is kept, try again shortly. (reference 0a1b2c)","data":{"retry_after_seconds":7,"reference":"0a1b2c"}}}"#
        );
        assert!(!down(None).contains("reference"));
    }

    #[test]
    fn our_own_trouble_is_not_told_to_clients() {
        let error = ProtocolError::Broker(BrokerError::VersionMismatch);
        assert!(!error.message(None, true).contains("meantime"));
        assert_eq!(error.status(false), StatusCode::INTERNAL_SERVER_ERROR);
        error.log("x");
        let unavailable =
            BrokerError::Unavailable { problem: "the provider is down".into(), retry_after: None };
        assert!(ProtocolError::from(unavailable).message(None, true).contains("the provider is down"));
        let missing = ProtocolError::from(BrokerError::NotFound { what: "gateway" });
        assert_eq!(missing.code(true), -32_602);
    }
}
