//! Every route by audience: for everybody, for people (pages and REST), and for MCP clients; and what
//! every answer carries.

use crate::api::ApiError;
use crate::extract::{Peer, watch_forwarding};
use crate::state::{AppState, Facts};
use crate::{api, telemetry, ui};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderName, HeaderValue, Method, header};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// What an answer carries unless its handler says otherwise.
const DEFAULT_HEADERS: [(HeaderName, &str); 8] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Where the public URL is https, browsers are to come by it alone, for a year (RFC 6797 §6.1).
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Everything that is served on the public listeners.
pub(crate) fn router(state: AppState, mcp: Router) -> Router {
    let pages = ui::router(&state).layer(from_fn_with_state(state.clone(), to_public_host));
    let facts = Arc::clone(&state.facts);
    let panicked = |_: Box<dyn std::any::Any + Send>| ApiError::Panicked.into_response();
    Router::new()
        .merge(api::router())
        .merge(pages)
        .fallback(not_found)
        .with_state(state)
        .merge(mcp)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(facts, around))
}

/// What is done with every request, in one layer: each costs a call about a hundredth of its time.
async fn around(State(facts): State<Arc<Facts>>, request: Request, next: Next) -> Response {
    watch_forwarding(&request, &facts);
    let response = telemetry::log_request(request, next).await;
    with_default_headers(response, &facts)
}

fn with_default_headers(mut response: Response, facts: &Facts) -> Response {
    if facts.public_url.scheme() == "https" {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    for (name, value) in DEFAULT_HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Pages are served under the public host name only: cookies and redirects belong to it. A proxy that is
/// trusted answers for the names it serves.
async fn to_public_host(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip().to_canonical());
    let trusted =
        peer.is_some_and(|peer| state.facts.trusted_proxies.iter().any(|network| network.contains(&peer)));
    let said = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    let said = said.or_else(|| request.uri().authority().map(|authority| authority.as_str().as_bytes()));
    let public = state.facts.public_origin.split_once("://").map_or("", |(_, host)| host);
    let ours = said.is_none_or(|said| said.eq_ignore_ascii_case(public.as_bytes()));
    if trusted || ours || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Redirect::temporary(&format!("{}{path}", state.facts.public_origin)).into_response()
}

/// A browser gets a page, everybody else a problem.
async fn not_found(State(state): State<AppState>, request: Request) -> Response {
    let accept =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") { ui::not_found(&state) } else { ApiError::NoRoute.into_response() }
}
