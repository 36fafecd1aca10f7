//! What REST answers when something is wrong: problem details (RFC 9457) with a sentence, and the name
//! of the field where there is one. Errors that are ours are logged here, once, and not told.

use axum::response::{IntoResponse, Response};
use doorward_broker::{BrokerError, RefreshedNow};
use doorward_domain::Audience;
use doorward_mcp::CallError;
use doorward_storage::StorageError;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Why a REST call is refused or failed.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// No credential, or one that opens nothing.
    Unauthenticated,
    /// The API token's audience is too narrow.
    WrongAudience { audience: Audience, need: Audience },
    /// An API token where only somebody who has signed in will do.
    SessionNeeded,
    /// A browser session without the CSRF token, or from a foreign page.
    Forged,
    /// The body or a parameter is wrong.
    BadInput { field: Option<String>, problem: String },
    /// The body is declared as something else than JSON.
    NotJson,
    /// The body is larger than the limit.
    TooLarge,
    /// No such route.
    NoRoute,
    /// The route is there, the method is not.
    NoMethod,
    /// An upstream did not give its catalog.
    Call(CallError),
    /// A use case refused or failed.
    Broker(BrokerError),
    /// A refresh that was asked for brought no token.
    NotRefreshed(RefreshedNow),
    /// A handler panicked.
    Panicked,
}

impl ApiError {
    /// A wrong field or parameter.
    pub(crate) fn bad_field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::BadInput { field: Some(field.into()), problem: problem.into() }
    }

    /// A wrong input as a whole.
    pub(crate) fn bad_input(problem: impl Into<String>) -> Self {
        Self::BadInput { field: None, problem: problem.into() }
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Problem details (RFC 9457).
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem it is; `about:blank` means that the status says it all.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// A sentence: what is wrong and what to do.
    detail: String,
    /// The field or parameter that is wrong, as a path such as `authorization.token_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Leads to the event in the audit trail that says why, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            reference: None,
            retry_after: None,
        }
    }

    /// The field goes into the sentence too, so that the sentence alone is enough.
    fn on(status: StatusCode, field: String, problem: &str) -> Self {
        let detail = format!("{field}: {problem}");
        Self { field: Some(field), ..Self::new(status, detail) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let challenge = matches!(self, Self::Unauthenticated);
        let problem = problem_of(self);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"doorward\""));
        }
        if let Some(wait) = problem.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

fn problem_of(error: ApiError) -> Problem {
    match error {
        ApiError::Unauthenticated => Problem::new(
            StatusCode::UNAUTHORIZED,
            "sign in, or send an API token that has not ended as 'Authorization: Bearer dw_...'",
        ),
        ApiError::WrongAudience { audience, need } => Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "this API token has the audience '{}' and this route wants '{}': make one under Connect a client",
                audience.as_str(),
                need.as_str()
            ),
        ),
        ApiError::SessionNeeded => Problem::new(
            StatusCode::FORBIDDEN,
            "no API token changes how its person signs in: do it in a browser session",
        ),
        ApiError::Forged => Problem::new(
            StatusCode::FORBIDDEN,
            "a browser session needs the header X-CSRF-Token from GET /me, and a request from our own pages",
        ),
        ApiError::BadInput { field: Some(field), problem } => {
            Problem::on(StatusCode::BAD_REQUEST, field, &problem)
        }
        ApiError::BadInput { field: None, problem } => Problem::new(StatusCode::BAD_REQUEST, problem),
        ApiError::NotJson => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the body as 'Content-Type: application/json'",
        ),
        ApiError::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"),
        ApiError::NoRoute => Problem::new(StatusCode::NOT_FOUND, "there is no such route: see /openapi.json"),
        ApiError::NoMethod => Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this route does not know this method: see /openapi.json",
        ),
        ApiError::Call(error) => of_call(&error),
        ApiError::Broker(error) => of_broker(error),
        ApiError::NotRefreshed(refreshed) => of_refresh(refreshed),
        ApiError::Panicked => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, OURS),
    }
}

/// The type of the one refusal that a person at a browser can lift themselves (RFC 9457 §3.1.1: a name, no page).
const FRESH_LOGIN: &str = "urn:doorward:problem:fresh-login";

const OURS: &str = "something went wrong here; the log says what, under this answer's x-request-id";

fn of_broker(error: BrokerError) -> Problem {
    match error {
        BrokerError::Invalid { field, problem } => Problem::on(StatusCode::BAD_REQUEST, field, &problem),
        BrokerError::Conflict { field, problem } => Problem::on(StatusCode::CONFLICT, field, &problem),
        BrokerError::NotFound { .. } => Problem::new(StatusCode::NOT_FOUND, error.to_string()),
        BrokerError::Forbidden { .. } | BrokerError::AdministratorsOnly => {
            Problem::new(StatusCode::FORBIDDEN, error.to_string())
        }
        BrokerError::FreshLoginNeeded => {
            Problem { kind: FRESH_LOGIN, ..Problem::new(StatusCode::FORBIDDEN, error.to_string()) }
        }
        BrokerError::VersionMismatch => Problem::new(StatusCode::PRECONDITION_FAILED, error.to_string()),
        BrokerError::Throttled { retry_after } => Problem {
            retry_after: Some(retry_after),
            ..Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string())
        },
        BrokerError::Unavailable { problem, retry_after } => {
            Problem { retry_after, ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, problem) }
        }
        BrokerError::Storage(StorageError::BadCursor) => {
            Problem::on(StatusCode::BAD_REQUEST, "cursor".to_owned(), &StorageError::BadCursor.to_string())
        }
        BrokerError::Storage(StorageError::Unreachable { .. } | StorageError::Locked { .. }) => {
            tracing::error!(%error, "the database does not answer");
            Problem {
                retry_after: Some(Duration::from_secs(1)),
                ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer: try again")
            }
        }
        BrokerError::Storage(_)
        | BrokerError::Seal(_)
        | BrokerError::SealingKeyMissing { .. }
        | BrokerError::RingFile(_)
        | BrokerError::Password(_) => {
            tracing::error!(%error, "a call failed");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, OURS)
        }
    }
}

fn of_refresh(refreshed: RefreshedNow) -> Problem {
    match refreshed {
        RefreshedNow::Lasting { problem, reference } => {
            Problem { reference, ..Problem::new(StatusCode::CONFLICT, problem) }
        }
        RefreshedNow::Later { problem, retry_after, reference } => {
            Problem { reference, retry_after, ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, problem) }
        }
        RefreshedNow::Fresh(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, OURS),
    }
}

fn of_call(error: &CallError) -> Problem {
    let told = told_of_call(error);
    match error {
        CallError::MustAuthorize { reference, .. } => Problem { reference: reference.clone(), ..told },
        CallError::Unavailable { problem, retry_after, reference } => Problem {
            detail: problem.clone(),
            reference: reference.clone(),
            retry_after: *retry_after,
            ..told
        },
        _ => told,
    }
}

fn told_of_call(error: &CallError) -> Problem {
    let status = match error {
        CallError::MustAuthorize { .. } | CallError::Ended { .. } => StatusCode::CONFLICT,
        CallError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        CallError::Broker(inner) => {
            tracing::error!(error = %inner, "a call failed");
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, OURS);
        }
        CallError::Unreachable { .. }
        | CallError::Upstream { .. }
        | CallError::Broken { .. }
        | CallError::NeedsBridging { .. }
        | CallError::InputRequired { .. }
        | CallError::MissingCapability { .. }
        | CallError::NotParked { .. }
        | CallError::ParamHeader(_)
        | CallError::OtherTasks { .. }
        | CallError::NotForwarded { .. } => StatusCode::BAD_GATEWAY,
    };
    Problem::new(status, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::Permission;

    #[test]
    fn every_error_has_its_status_and_a_sentence() {
        let broker = |error| problem_of(ApiError::Broker(error)).status;
        let of = |problem: &str| ("f".to_owned(), problem.to_owned());
        let (field, problem) = of("p");
        assert_eq!(broker(BrokerError::Conflict { field, problem }), 409);
        assert_eq!(broker(BrokerError::Forbidden { need: Permission::ReadAudit }), 403);
        assert_eq!(broker(BrokerError::VersionMismatch), 412);
        let stale = problem_of(ApiError::Broker(BrokerError::FreshLoginNeeded));
        assert_eq!((stale.status, stale.kind), (403, FRESH_LOGIN));
        assert_eq!(broker(BrokerError::Throttled { retry_after: Duration::from_secs(3) }), 429);
        assert_eq!(broker(BrokerError::Storage(StorageError::Locked { what: "write" })), 503);
        assert_eq!(broker(BrokerError::Storage(StorageError::BadCursor)), 400);
        let unavailable = BrokerError::Unavailable { problem: "p".into(), retry_after: None };
        assert_eq!(broker(unavailable), 503);
        let sealed = doorward_vault::OpenError::Broken("grants/access_token/1".into());
        let hidden = problem_of(ApiError::Broker(BrokerError::Seal(sealed)));
        assert_eq!((hidden.status, hidden.detail.as_str()), (500, OURS));
        let forged = problem_of(ApiError::Forged);
        assert_eq!((forged.status, forged.kind), (403, "about:blank"));
    }

    #[test]
    fn an_upstream_that_fails_is_not_our_failure() {
        let call = |error| problem_of(ApiError::Call(error)).status;
        let gateway = || "demo".to_owned();
        let problem = || "p".to_owned();
        assert_eq!(
            call(CallError::Unavailable { problem: problem(), retry_after: None, reference: None }),
            503
        );
        assert_eq!(call(CallError::Upstream { gateway: gateway(), status: 500, problem: problem() }), 502);
        assert_eq!(call(CallError::Broken { gateway: gateway(), problem: problem() }), 502);
        assert_eq!(call(CallError::from(BrokerError::VersionMismatch)), 500);
    }

    #[test]
    fn an_answer_names_the_field_and_when_to_try_again() {
        let response =
            ApiError::Broker(BrokerError::Throttled { retry_after: Duration::from_secs(3) }).into_response();
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem = problem_of(ApiError::bad_field("url", "is missing"));
        assert_eq!((problem.detail.as_str(), problem.field.as_deref()), ("url: is missing", Some("url")));
    }
}
