//! GET and DELETE, which only legacy clients have: the stream for what belongs to no request, and the end
//! of a session.

use super::Front;
use super::answer;
use super::era;
use super::request::Endpoint;
use super::subscribe;
use crate::errors::ProtocolError;
use crate::live_session::LiveSession;
use crate::revision::wire;
use axum::response::Response;
use doorward_broker::Caller;
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

/// Opens the session's stream; the one that was open before ends.
pub(super) async fn get(
    front: &Arc<Front>,
    caller: &Caller,
    endpoint: &Endpoint,
    headers: &HeaderMap,
) -> Result<Response, ProtocolError> {
    refuse_modern(headers)?;
    if !accepts(headers, "text/event-stream") {
        return Err(ProtocolError::NotAcceptable("text/event-stream"));
    }
    let session = session_of(front, caller, endpoint, headers).await?;
    if let Some(last) = headers.get("last-event-id") {
        let resumed = last.to_str().ok().and_then(|last| session.resume(last));
        return resumed.map(answer::frames).ok_or(ProtocolError::Resumption);
    }
    let stream = session.open_stream();
    subscribe::tell_of_lists(front, caller, endpoint, &session);
    Ok(answer::frames(stream))
}

/// Ends the session.
pub(super) async fn delete(
    front: &Front,
    caller: &Caller,
    endpoint: &Endpoint,
    headers: &HeaderMap,
) -> Result<Response, ProtocolError> {
    refuse_modern(headers)?;
    let session = session_of(front, caller, endpoint, headers).await?;
    front.sessions.end(&session).await?;
    Ok(answer::nothing(StatusCode::NO_CONTENT))
}

/// Modern clients have neither sessions nor this stream (2026-07-28, transports).
fn refuse_modern(headers: &HeaderMap) -> Result<(), ProtocolError> {
    if era::is_modern(headers, None) { Err(ProtocolError::HttpMethod { allow: "POST" }) } else { Ok(()) }
}

/// The session that the headers name, if it is the caller's.
pub(super) async fn session_of(
    front: &Front,
    caller: &Caller,
    endpoint: &Endpoint,
    headers: &HeaderMap,
) -> Result<Arc<LiveSession>, ProtocolError> {
    era::check_legacy_version(headers)?;
    let id = headers.get(wire::HEADER_SESSION).ok_or(ProtocolError::SessionMissing)?;
    let id = id.to_str().map_err(|_| ProtocolError::SessionUnknown)?;
    let session = front.sessions.find(caller, &endpoint.path(), id).await?;
    session.ok_or(ProtocolError::SessionUnknown)
}

/// Whether the client takes this type of answer. One that says nothing takes JSON.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let family = wanted.split_once('/').map_or("", |(family, _)| family);
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    ranges.any(|range| range.eq_ignore_ascii_case(wanted) || range.strip_suffix("/*") == Some(family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn accept_is_read_range_by_range() {
        let accepts = |value: &'static str, wanted| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            accepts(&headers, wanted)
        };
        assert!(accepts("application/json, text/event-stream;q=0.9", "text/event-stream"));
        assert!(accepts("Application/JSON", "application/json"));
        assert!(accepts("text/*", "text/event-stream"));
        assert!(!accepts("*/*", "text/event-stream"));
        assert!(!accepts("text/html", "application/json"));
    }
}
