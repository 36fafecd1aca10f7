//! Logs: one line per request with what was asked and how it went. Never a query string, a header or a
//! body, since each of them can hold a secret.

use crate::settings::{LogFormat, SettingError, Settings};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use std::io::{IsTerminal, stderr};
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

/// Logs one request by its route template, and counts it.
pub(crate) async fn log_request(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).map(str::to_owned);
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let took = begun.elapsed();
    let user = response.extensions().get::<Served>().map(|served| served.0.to_string());
    tracing::info!(
        %method,
        route,
        status,
        milliseconds = took.as_secs_f64() * 1_000.0,
        user,
        request_id = id,
        "request"
    );
    let labels = [("route", route), ("status", status.to_string())];
    metrics::counter!("doorward_http_requests_total", &labels).increment(1);
    response
}

/// Whom an answer was for, for the log line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served(pub(crate) doorward_domain::UserId);
