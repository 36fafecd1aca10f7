//! Answers on the wire: one JSON message, or server-sent events. No header of an upstream passes; these
//! are all there are.

use super::request::ClientRequest;
use crate::envelope::json_string;
use crate::errors::ProtocolError;
use crate::revision::wire;
use crate::upstream::{CallError, UpstreamAnswer};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Proxies cut connections on which nothing happens.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// An answer to one request, before it is put on the wire.
pub(crate) enum Reply {
    Message {
        body: Bytes,
        status: StatusCode,
    },
    /// Messages, each in one line; the last one is the response.
    Stream(BoxStream<'static, Bytes>),
}

impl Reply {
    /// An upstream's answer. A stream that breaks ends with an error for the request.
    pub(crate) fn of(answer: UpstreamAnswer, request: &Arc<ClientRequest>) -> Self {
        match answer {
            UpstreamAnswer::Message(answered) => {
                Self::Message { body: answered.body, status: answered.status }
            }
            UpstreamAnswer::Stream(events) => {
                let request = Arc::clone(request);
                Self::Stream(
                    events
                        .map(move |event| {
                            event.map_or_else(|error| broken(&request, error), |event| event.data)
                        })
                        .boxed(),
                )
            }
        }
    }

    /// The answer as messages, however it came.
    pub(crate) fn into_stream(self) -> BoxStream<'static, Bytes> {
        match self {
            Self::Message { body, .. } => stream::once(std::future::ready(body)).boxed(),
            Self::Stream(messages) => messages,
        }
    }
}

fn broken(request: &ClientRequest, error: CallError) -> Bytes {
    let error = ProtocolError::from(error);
    error.log(&request.method);
    error.message(Some(&request.id), request.is_modern()).into()
}

/// A result of our own, in the client's era.
pub(crate) struct OwnResult<'a> {
    request: &'a ClientRequest,
    members: Vec<(&'a str, String)>,
    meta: Vec<(&'a str, String)>,
    kind: &'a str,
    cacheable: bool,
}

impl<'a> OwnResult<'a> {
    pub(crate) fn to(request: &'a ClientRequest) -> Self {
        Self { request, members: Vec::new(), meta: Vec::new(), kind: "complete", cacheable: false }
    }

    /// A member, as JSON text.
    pub(crate) fn with(mut self, name: &'a str, json: String) -> Self {
        self.members.push((name, json));
        self
    }

    /// A member of `_meta`, as JSON text.
    pub(crate) fn meta(mut self, name: &'a str, json: String) -> Self {
        self.meta.push((name, json));
        self
    }

    /// Another `resultType` than `complete`.
    pub(crate) fn of_type(mut self, kind: &'a str) -> Self {
        self.kind = kind;
        self
    }

    /// One of the results that must say how long they may be cached (2026-07-28, caching): ours are made
    /// for one caller, at this moment.
    pub(crate) fn cacheable(mut self) -> Self {
        self.cacheable = true;
        self
    }

    /// The whole response.
    pub(crate) fn reply(mut self) -> Reply {
        if self.request.is_modern() {
            self.members.push(("resultType", json_string(self.kind)));
            if self.cacheable {
                self.members.push(("ttlMs", "0".to_owned()));
                self.members.push(("cacheScope", "\"private\"".to_owned()));
            }
            self.meta.push((wire::META_SERVER_INFO, server_info()));
        }
        if !self.meta.is_empty() {
            self.members.push(("_meta", object(&self.meta)));
        }
        let (id, result) = (self.request.id.get(), object(&self.members));
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}");
        Reply::Message { body: body.into(), status: StatusCode::OK }
    }
}

/// Who we are.
pub(crate) fn server_info() -> String {
    format!("{{\"name\":\"doorward\",\"title\":\"Doorward\",\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"))
}

/// A JSON object of members that are JSON text.
pub(crate) fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, json)| format!("{}:{json}", json_string(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// A reply on the wire.
pub(super) fn response(reply: Reply) -> Response {
    match reply {
        Reply::Message { body, status } => message(status, body),
        Reply::Stream(messages) => events(messages),
    }
}

/// One JSON message.
pub(super) fn message(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = nothing(status);
    *response.body_mut() = body.into();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Server-sent events, one message each, with a comment whenever nothing happens for a while.
pub(super) fn events(messages: BoxStream<'static, Bytes>) -> Response {
    let frames = stream::unfold(messages, |mut messages| async move {
        let frame = match tokio::time::timeout(KEEP_ALIVE_EVERY, messages.next()).await {
            Ok(message) => frame(&message?),
            Err(_) => Bytes::from_static(b": keep-alive\n\n"),
        };
        Some((Ok::<_, std::convert::Infallible>(frame), messages))
    });
    let mut response = nothing(StatusCode::OK);
    *response.body_mut() = Body::from_stream(frames);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn frame(message: &Bytes) -> Bytes {
    [b"event: message\ndata: ".as_slice(), message, b"\n\n"].concat().into()
}

/// An answer without a body.
pub(super) fn nothing(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error on the wire.
pub(super) fn refusal(error: &ProtocolError, id: Option<&RawValue>, modern: bool) -> Response {
    let mut response = message(error.status(modern), error.message(id, modern));
    let headers = response.headers_mut();
    match error {
        // RFC 6750 §3: without a token there is no error to name.
        ProtocolError::Unauthorized { presented } => {
            let challenge = if *presented {
                "Bearer realm=\"doorward\", error=\"invalid_token\""
            } else {
                "Bearer realm=\"doorward\""
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        ProtocolError::HttpMethod { allow } => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_is_kept_alive() {
        let late = stream::once(async {
            tokio::time::sleep(Duration::from_secs(40)).await;
            Bytes::from_static(b"{}")
        });
        let body = axum::body::to_bytes(events(late.boxed()).into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, ": keep-alive\n\n: keep-alive\n\nevent: message\ndata: {}\n\n");
    }
}
