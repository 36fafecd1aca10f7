//! Logs: one line per request with what was asked and how it went. Never a query string, a header or a
//! body, since each of them can hold a secret.

use crate::settings::{LogFormat, SettingError, Settings};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use doorward_domain::UserId;
use http::Extensions;
use std::io::{IsTerminal, stderr};
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;
use tower_http::request_id::{MakeRequestId, RequestId};
use tracing_subscriber::EnvFilter;

/// The header that ties an answer to its log line.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Starts logging to standard error, which leaves standard output to the commands.
pub(crate) fn start(settings: &Settings) -> Result<(), SettingError> {
    let filter = EnvFilter::try_new(&settings.log_filter).map_err(|error| SettingError::Wrong {
        name: "RUST_LOG",
        problem: error.to_string(),
    })?;
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

/// Request ids of our own: what a client sends is not trusted to be unique, or to be free of secrets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestIds;

impl MakeRequestId for RequestIds {
    fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
        let token = doorward_domain::Entropy.token();
        token[..16].parse().ok().map(RequestId::new)
    }
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

/// Logs one request by its route template, and counts it.
pub(crate) async fn log_request(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let extensions = request.extensions();
    let route = extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let request_id = extensions.get::<RequestId>().map(|id| id.header_value().clone());
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let milliseconds = begun.elapsed().as_secs_f64() * 1_000.0;
    let user = seen.0.get().map(ToString::to_string);
    let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
    tracing::info!(%method, route, status, milliseconds, user, request_id, "request");
    let labels = [("route", route), ("status", status.to_string())];
    metrics::counter!("doorward_http_requests_total", &labels).increment(1);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_request_id_is_ours_and_short() {
        let made = RequestIds.make_request_id(&http::Request::new(())).unwrap();
        assert_eq!(made.header_value().len(), 16);
    }

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
