//! What can go wrong outside, told apart by the one question that matters afterwards: may the request
//! have arrived? After a refresh that may have arrived, the refresh token may be spent.

use crate::check::Refusal;
use crate::connector::{ConnectError, root_cause};
use hyper_util::client::legacy;
use std::error::Error;

/// Why there is no answer. Messages name the host, never more of the URL, and no header or body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Our own rules forbid the call; nothing was sent.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There was no connection to send the request on.
    #[error("{host} cannot be reached: {why}")]
    Unreachable { host: String, why: String },
    /// The time was up. `sent`: there was a connection, so the request may have gone out on it.
    #[error("{host} did not answer in time")]
    TimedOut { host: String, sent: bool },
    /// The connection broke, or what came was not HTTP or not in the form that was asked for.
    #[error("the answer of {host} broke off or makes no sense: {why}")]
    Broken { host: String, why: String },
    /// The answer was longer than we read.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    /// TLS could not be set up at all, when Doorward started.
    #[error("TLS cannot be set up: {why}")]
    Setup { why: String },
}

impl OutboundError {
    /// False only when it is certain that nothing of the request left this machine.
    pub fn request_may_have_arrived(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unreachable { .. } | Self::Setup { .. } => false,
            Self::TimedOut { sent, .. } => *sent,
            Self::Broken { .. } | Self::TooLarge { .. } => true,
        }
    }

    /// From the HTTP client's error. `connected`: the request had been given to a connection.
    pub(crate) fn of_request(host: &str, error: &legacy::Error, connected: bool) -> Self {
        let host = host.to_owned();
        match connect_error(error) {
            Some(ConnectError::Refused(refusal)) => Self::Refused(refusal.clone()),
            Some(ConnectError::TimedOut) => Self::TimedOut { host, sent: false },
            Some(other) => Self::Unreachable { host, why: other.to_string() },
            None if connected => Self::Broken { host, why: root_cause(error) },
            None => Self::Unreachable { host, why: root_cause(error) },
        }
    }
}

/// Our connector's own error inside the client's. It is the last attempt's, and an earlier attempt on
/// a connection that had gone stale is repeated only when the request came back from it unsent.
fn connect_error(error: &legacy::Error) -> Option<&ConnectError> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(own) = cause.downcast_ref() {
            return Some(own);
        }
        source = cause.source();
    }
    None
}
