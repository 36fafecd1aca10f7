//! What a failed token request means for a grant. Losing a grant to a blip is the worst outcome, so
//! only an answer that names the grant as bad ends it.
//!
//! | answer | meaning |
//! |---|---|
//! | `invalid_grant` and its dialects (`invalid_refresh_token`, `bad_refresh_token`, `token_revoked`, ...) | the grant is gone |
//! | any other OAuth error code but the temporary ones | our registration or request is wrong; the grant is kept |
//! | `temporarily_unavailable`, `server_error`, `slow_down`, 408, 429, 5xx, an HTML page, a redirect | a blip; the grant is kept |
//! | 400 with an empty body | the grant is gone: glewlwyd answers a reused refresh token so |
//! | 401 or 403 with an empty body | our registration is wrong: glewlwyd answers a wrong client so |
//! | any other answer without an error code | a blip |
//! | a connection that was cut, a timeout, a 2xx that cannot be read | the token may be spent |

use crate::provider_words::without_secrets;
use crate::token_response::ProviderError;
use doorward_outbound::{OutboundError, OutboundResponse};
use http::{HeaderMap, StatusCode, header};
use std::time::Duration;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The code or refresh token: the user has to authorize again.
    Grant,
    /// Our client id, secret or request: an administrator has to mend the gateway.
    Registration,
}

/// Why there is no token. Messages carry the provider's error code, never its prose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the provider refused with '{code}'")]
    Refused {
        kind: RefusalKind,
        code: String,
        /// The provider's own words, cut, without secrets; for administrators' eyes, not for logs.
        description: Option<String>,
    },
    /// The provider answered that it cannot just now; nothing is known to be spent.
    #[error("the provider is not available ({why})")]
    Temporary { why: String, retry_after: Option<Duration> },
    /// Nothing left this machine.
    #[error("the provider could not be reached ({why})")]
    NotSent { why: String },
    /// The request was sent and no readable answer came: the token may be spent.
    #[error("the provider's answer was lost or unreadable ({why})")]
    Unanswered { why: String },
}

const GRANT_CODES: [&str; 9] = [
    "invalid_grant",
    "invalid_refresh_token",
    "bad_refresh_token",
    "bad_verification_code",
    "invalid_code",
    "expired_token",
    "token_expired",
    "token_revoked",
    "refresh_token_expired",
];

/// What says that the client itself is unknown, or may not ask in this way (RFC 6749 §5.2).
const CLIENT_CODES: [&str; 4] =
    ["invalid_client", "unauthorized_client", "unsupported_grant_type", "incorrect_client_credentials"];

const TEMPORARY_CODES: [&str; 5] =
    ["temporarily_unavailable", "server_error", "slow_down", "rate_limited", "ratelimited"];

/// The longest wait that a provider may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

impl TokenError {
    /// The same error, without what could be a secret in the provider's words; `sent` are the secrets that
    /// the request carried.
    pub(crate) fn fit_to_keep(self, sent: &[&str]) -> Self {
        match self {
            Self::Refused { kind, code, description } => Self::Refused {
                kind,
                code: without_secrets(&code, sent),
                description: description.map(|words| without_secrets(&words, sent)),
            },
            other => other,
        }
    }

    /// The same error of an exchange, which is decided user by user: only what names our client is about the
    /// registration, so that a user who may not does not stand in the way of the others.
    pub(crate) fn of_one_user(self) -> Self {
        match self {
            Self::Refused { kind: RefusalKind::Registration, code, description }
                if !CLIENT_CODES.contains(&code.as_str()) =>
            {
                Self::Refused { kind: RefusalKind::Grant, code, description }
            }
            other => other,
        }
    }

    /// Whether the provider may have stumbled over a parameter that could be left out (RFC 8707 §2,
    /// RFC 6749 §5.2).
    pub(crate) fn is_about_a_parameter(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "invalid_target" || code == "invalid_request")
    }

    /// From an error code that the provider named.
    pub(crate) fn named(error: ProviderError, headers: &HeaderMap) -> Self {
        if TEMPORARY_CODES.contains(&error.code.as_str()) {
            return Self::Temporary { why: error.code, retry_after: retry_after(headers) };
        }
        let kind = if GRANT_CODES.contains(&error.code.as_str()) {
            RefusalKind::Grant
        } else {
            RefusalKind::Registration
        };
        Self::Refused { kind, code: error.code, description: error.description }
    }

    /// From an answer that names no error code.
    pub(crate) fn unnamed(answer: &OutboundResponse) -> Self {
        let status = answer.status;
        let refused =
            |kind| Self::Refused { kind, code: format!("status {}", status.as_u16()), description: None };
        let empty = answer.body.iter().all(u8::is_ascii_whitespace);
        match status {
            StatusCode::BAD_REQUEST if empty => refused(RefusalKind::Grant),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if empty => refused(RefusalKind::Registration),
            _ if status.is_success() => {
                Self::Unanswered { why: format!("status {} without a token", status.as_u16()) }
            }
            _ => Self::Temporary {
                why: format!("status {}", status.as_u16()),
                retry_after: retry_after(&answer.headers),
            },
        }
    }

    /// From a request that got no answer.
    pub(crate) fn unanswered(error: &OutboundError) -> Self {
        let why = error.to_string();
        if error.request_may_have_arrived() { Self::Unanswered { why } } else { Self::NotSent { why } }
    }
}

/// RFC 9110 §10.2.3, in seconds; the date form is ignored, our own backoff applies then.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
