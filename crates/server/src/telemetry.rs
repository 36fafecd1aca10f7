//! Logs: one line per request with what was asked and how it went. Never a query string, a header or a
//! body, since each of them can hold a secret.

use crate::settings::{LogFormat, SettingError, Settings};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use doorward_domain::UserId;
use http::{Extensions, HeaderName, HeaderValue};
use std::io::{IsTerminal, stderr};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;
use tracing::Instrument;
use tracing_subscriber::EnvFilter;

/// The header that ties an answer to its log line.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Starts logging to standard error, which leaves standard output to the commands.
pub(crate) fn start(settings: &Settings) -> Result<(), SettingError> {
    let filter = EnvFilter::try_new(&settings.log_filter)
        .map_err(|error| SettingError::Wrong { name: "RUST_LOG", problem: error.to_string() })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let started = match settings.log_format {
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        LogFormat::Text => subscriber.with_ansi(stderr().is_terminal()).try_init(),
    };
    // A second start in one process (tests) keeps the first subscriber.
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started already");
    }
    Ok(())
}

/// Whom a request turned out to come from: the extractors note it, the log line tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<OnceLock<UserId>>);

impl Seen {
    /// Notes the caller of a request.
    pub(crate) fn note(extensions: &Extensions, user: UserId) {
        if let Some(Self(cell)) = extensions.get() {
            // A second extractor of the same request has found the same person.
            cell.get_or_init(|| user);
        }
    }
}

/// Names a request, logs it by its route template when it is answered, and counts it. What is logged
/// meanwhile carries the name, and so does the answer. A client's own name for it is not taken over: it
/// need not be unique, nor free of secrets.
pub(crate) async fn log_request(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let request_id = request_id();
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = request_id);
    let mut response = next.run(request).instrument(span).await;
    let status = response.status().as_u16();
    let milliseconds = begun.elapsed().as_secs_f64() * 1_000.0;
    let user = seen.0.get().map(ToString::to_string);
    tracing::info!(%method, route, status, milliseconds, user, request_id, "answered");
    metrics::counter!("doorward_http_requests_total", "route" => route, "status" => status.to_string())
        .increment(1);
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// 96 random bits.
fn request_id() -> String {
    let mut id = doorward_domain::Entropy.token();
    id.truncate(16);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_first_caller_that_is_noted_stays() {
        let seen = Seen::default();
        let mut extensions = Extensions::new();
        let users = [1, 2].map(|n| UserId(Uuid::from_u128(n)));
        Seen::note(&extensions, users[0]);
        extensions.insert(seen.clone());
        for user in users {
            Seen::note(&extensions, user);
        }
        assert_eq!(seen.0.get(), Some(&users[0]));
    }
}
