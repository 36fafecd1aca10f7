//! A large JSON answer on its way to the client, piece by piece as the client takes them.

use super::answer::{CallError, UpstreamAnswer};
use super::body::{self, SILENCE};
use super::large::{Changes, Rewriter};
use super::waiting::Waiting;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::time::timeout;

/// What a modern result must say, and an older client does not know (2026-07-28, results and caching).
const TYPE: (&str, &str) = ("resultType", "\"complete\"");
const CACHING: [(&str, &str); 2] = [("ttlMs", "0"), ("cacheScope", "\"private\"")];
static CALLED: [(&str, &str); 1] = [TYPE];
static READ: [(&str, &str); 3] = [TYPE, CACHING[0], CACHING[1]];
static MODERN_ONLY: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// Whether a method's answer may be passed on without being looked into.
pub(super) fn may_pass(method: &str) -> bool {
    matches!(method, "tools/call" | "resources/read" | "prompts/get")
}

struct Passing {
    rewriter: Rewriter,
    head: Option<Bytes>,
    body: Incoming,
    waiting: Waiting,
}

/// The answer whose first part has been read.
pub(super) fn pass(head: Bytes, body: Incoming, waiting: Waiting) -> UpstreamAnswer {
    let is_read = waiting.method == "resources/read";
    let with: &[_] = match (waiting.client.is_modern(), is_read) {
        (false, _) => &[],
        (true, false) => &CALLED,
        (true, true) => &READ,
    };
    let without: &[_] = match (waiting.client.is_modern() || !waiting.upstream.is_modern(), is_read) {
        (true, _) => &[],
        (false, false) => &MODERN_ONLY[..1],
        (false, true) => &MODERN_ONLY,
    };
    let rewriter = Rewriter::new(Changes {
        our_id: waiting.our_id.to_string(),
        client_id: waiting.client_id.get().to_owned(),
        without,
        with,
    });
    let passing = Passing { rewriter, head: Some(head), body, waiting };
    UpstreamAnswer::Passing(stream::unfold(Some(passing), next).boxed())
}

async fn next(passing: Option<Passing>) -> Option<(Result<Bytes, CallError>, Option<Passing>)> {
    let mut passing = passing?;
    match passing.piece().await {
        Ok(Some(piece)) => Some((Ok(piece), Some(passing))),
        Ok(None) => {
            passing.waiting.guard.armed = false;
            None
        }
        Err(error) => Some((Err(error), None)),
    }
}

impl Passing {
    async fn piece(&mut self) -> Result<Option<Bytes>, CallError> {
        let gateway = Arc::clone(self.waiting.guard.aside.gateway());
        let broken = |error: super::large::Malformed| body::broken(&gateway, error.to_string());
        loop {
            let piece = match self.head.take() {
                Some(head) => head,
                None => match timeout(SILENCE, self.body.frame()).await {
                    Ok(None) => return self.rewriter.finish().map(|()| None).map_err(broken),
                    Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                    Ok(Some(Err(_))) => return Err(body::broken_off(&gateway)),
                    Err(_) => return Err(body::silent(&gateway)),
                },
            };
            let mut out = BytesMut::new();
            self.rewriter.feed(&piece, &mut out).map_err(broken)?;
            if !out.is_empty() {
                return Ok(Some(out.freeze()));
            }
        }
    }
}
