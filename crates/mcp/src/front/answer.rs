//! Answers on the wire: one JSON message, or server-sent events. No header of an upstream passes; these
//! are all there are.

use super::request::ClientRequest;
use crate::envelope::json_string;
use crate::errors::ProtocolError;
use crate::revision::wire;
use crate::upstream::CallError;
use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::value::RawValue;
use std::time::Duration;

/// Proxies cut connections on which nothing happens.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// The largest event that is written, in bytes.
const LARGEST_EVENT: usize = 16 << 20;

/// An answer to one request, before it is put on the wire.
pub(crate) enum Reply {
    Message {
        body: Bytes,
        status: StatusCode,
    },
    /// Messages, each in one line; the last one is the response.
    Stream(BoxStream<'static, Bytes>),
    /// The bytes of one message that has not come whole; an error breaks the connection off, because a part of it has
    /// been sent.
    Passing(BoxStream<'static, Result<Bytes, CallError>>),
}

impl Reply {
    /// The response as one message, however it came. What came before it are notifications.
    pub(crate) async fn response(self) -> Result<Bytes, ProtocolError> {
        match self {
            Self::Message { body, .. } => Ok(body),
            Self::Stream(messages) => {
                let last = messages.fold(None, |_, message| std::future::ready(Some(message))).await;
                last.ok_or(ProtocolError::NoAnswer)
            }
            Self::Passing(pieces) => whole(pieces).await,
        }
    }

    /// The same reply, with something that is kept until its end.
    pub(crate) fn holding(self, held: impl Send + 'static) -> Self {
        match self {
            Self::Message { .. } => self,
            Self::Stream(messages) => Self::Stream(hold(messages, held)),
            Self::Passing(pieces) => Self::Passing(hold(pieces, held)),
        }
    }

    /// The message of a reply that is one.
    pub(crate) fn into_message(self) -> Bytes {
        match self {
            Self::Message { body, .. } => body,
            Self::Stream(_) | Self::Passing(_) => Bytes::new(),
        }
    }
}

/// A stream that keeps something until it ends or is dropped.
fn hold<T: Send + 'static>(items: BoxStream<'static, T>, held: impl Send + 'static) -> BoxStream<'static, T> {
    stream::unfold(
        (items, held),
        |(mut items, held)| async move { Some((items.next().await?, (items, held))) },
    )
    .boxed()
}

/// A message as one piece, where it has to be one.
async fn whole(mut pieces: BoxStream<'static, Result<Bytes, CallError>>) -> Result<Bytes, ProtocolError> {
    let mut all = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if all.len() + piece.len() > LARGEST_EVENT {
            return Err(ProtocolError::AnswerTooLarge { mib: LARGEST_EVENT >> 20 });
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
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
        Reply::Passing(pieces) => message(StatusCode::OK, Body::from_stream(pieces)),
    }
}

/// One JSON message.
pub(super) fn message(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = nothing(status);
    *response.body_mut() = body.into();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Server-sent events, one message each.
pub(super) fn events(messages: BoxStream<'static, Bytes>) -> Response {
    frames(messages.map(|message| frame(&message)).boxed())
}

/// Server-sent events as they are written, with a comment whenever nothing happens for a while.
pub(super) fn frames(frames: BoxStream<'static, Bytes>) -> Response {
    let frames = stream::unfold(frames, |mut frames| async move {
        let frame = match tokio::time::timeout(KEEP_ALIVE_EVERY, frames.next()).await {
            Ok(frame) => frame?,
            Err(_) => Bytes::from_static(b": keep-alive\n\n"),
        };
        Some((Ok::<_, std::convert::Infallible>(frame), frames))
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
    if let Some(wait) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trap_22_a_silent_stream_is_kept_alive() {
        let late = stream::once(async {
            tokio::time::sleep(Duration::from_secs(40)).await;
            Bytes::from_static(b"{}")
        });
        let body = axum::body::to_bytes(events(late.boxed()).into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, ": keep-alive\n\n: keep-alive\n\nevent: message\ndata: {}\n\n");
    }
}
