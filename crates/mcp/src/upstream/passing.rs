//! A JSON answer on its way to the client. Most have come whole with their first bytes, and are read whole. Of one
//! that is still on its way, what has come is passed on as soon as it can only be a complete result; the rest
//! follows piece by piece, as the client takes it.

use super::answer::{CallError, UpstreamAnswer};
use super::body::{self, SILENCE};
use super::large::{Changes, Malformed, Rewriter};
use super::waiting::Waiting;
use bytes::{Bytes, BytesMut};
use doorward_domain::Gateway;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use std::sync::Arc;
use tokio::time::timeout;

/// So much of what has already come is read before it is looked at, in bytes.
const AT_ONCE: usize = 64 << 10;

/// What shows by then not what it is, in bytes, passes: questions, tasks and errors are smaller.
const KEPT: usize = 4 << 20;

/// What a modern result must say, and an older client does not know (2026-07-28, results and caching).
const TYPE: (&str, &str) = ("resultType", "\"complete\"");
const CACHING: [(&str, &str); 2] = [("ttlMs", "0"), ("cacheScope", "\"private\"")];
static CALLED: [(&str, &str); 1] = [TYPE];
static READ: [(&str, &str); 3] = [TYPE, CACHING[0], CACHING[1]];
static MODERN_ONLY: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// Whether a method's answer may be passed on without being looked into.
pub(super) fn may_pass(method: &str) -> bool {
    !complete_members(method).is_empty()
}

/// The members that only a method's complete result has.
fn complete_members(method: &str) -> &'static [&'static str] {
    match method {
        "tools/call" => &["content", "structuredContent"],
        "resources/read" => &["contents"],
        "prompts/get" => &["messages"],
        _ => &[],
    }
}

/// An answer as far as it was read.
pub(super) enum Read {
    Whole(Bytes),
    Begun(Box<Beginning>),
}

/// Reads an answer until it is whole, or may pass.
pub(super) async fn read(mut body: Incoming, waiting: &Waiting) -> Result<Read, CallError> {
    let gateway = waiting.guard.aside.gateway();
    let reading = async {
        let Some(first) = piece(gateway, body.frame().await)? else { return Ok(Read::Whole(Bytes::new())) };
        if body.is_end_stream() {
            return Ok(Read::Whole(first));
        }
        Box::new(Beginning::new(first, body, waiting)).read(gateway).await
    };
    timeout(SILENCE, reading).await.map_err(|_| body::silent(gateway))?
}

/// The data of a frame; none at the end.
fn piece(
    gateway: &Gateway,
    frame: Option<Result<Frame<Bytes>, hyper::Error>>,
) -> Result<Option<Bytes>, CallError> {
    let frame = frame.transpose().map_err(|_| body::broken_off(gateway))?;
    Ok(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// The beginning of an answer that has not come whole.
pub(super) struct Beginning {
    head: BytesMut,
    /// How much of it has been rewritten, should it pass.
    looked_at: usize,
    rewritten: BytesMut,
    /// It is no response that could pass.
    malformed: Option<Malformed>,
    rewriter: Rewriter,
    body: Incoming,
}

impl Beginning {
    fn new(first: Bytes, body: Incoming, waiting: &Waiting) -> Self {
        Self {
            head: BytesMut::from(first),
            looked_at: 0,
            rewritten: BytesMut::new(),
            malformed: None,
            rewriter: Rewriter::new(changes(waiting)),
            body,
        }
    }

    async fn read(mut self: Box<Self>, gateway: &Gateway) -> Result<Read, CallError> {
        loop {
            let next = match self.body.frame().now_or_never() {
                Some(frame) => frame,
                // No more has come yet.
                None if self.is_complete() => return Ok(Read::Begun(self)),
                None => self.body.frame().await,
            };
            let Some(next) = piece(gateway, next)? else { return Ok(Read::Whole(self.head.freeze())) };
            self.head.extend_from_slice(&next);
            if self.head.len() > AT_ONCE && self.is_complete() {
                return Ok(Read::Begun(self));
            }
            if self.head.len() > KEPT {
                return match self.malformed {
                    Some(malformed) => Err(body::broken(gateway, malformed.to_string())),
                    None => Ok(Read::Begun(self)),
                };
            }
        }
    }

    /// Whether what has come can only be a complete result.
    fn is_complete(&mut self) -> bool {
        if self.malformed.is_none() {
            self.malformed = self.rewriter.feed(&self.head[self.looked_at..], &mut self.rewritten).err();
            self.looked_at = self.head.len();
        }
        self.malformed.is_none() && self.rewriter.is_complete()
    }

    /// Passes on what has come, and what follows.
    pub(super) fn pass(self, waiting: Waiting) -> UpstreamAnswer {
        let head = Some(self.rewritten.freeze());
        let passing = Passing { rewriter: self.rewriter, head, body: self.body, waiting };
        UpstreamAnswer::Passing(stream::unfold(Some(passing), next).boxed())
    }
}

/// What is changed of an answer that passes.
fn changes(waiting: &Waiting) -> Changes {
    let is_read = waiting.method == "resources/read";
    let with: &[_] = match (waiting.client.is_modern(), is_read) {
        (false, _) => &[],
        (true, false) => &CALLED,
        (true, true) => &READ,
    };
    let for_legacy = !waiting.client.is_modern() && waiting.upstream.is_modern();
    let without: &[_] = match (for_legacy, is_read) {
        (false, _) => &[],
        (true, false) => &MODERN_ONLY[..1],
        (true, true) => &MODERN_ONLY,
    };
    Changes {
        our_id: waiting.our_id.to_string(),
        client_id: waiting.client_id.get().to_owned(),
        without,
        with,
        // Legacy structured content is an object; the text copy carries anything else.
        object_or_nothing: for_legacy.then_some("structuredContent"),
        complete: complete_members(&waiting.method),
    }
}

/// An answer that passes.
struct Passing {
    rewriter: Rewriter,
    /// What was rewritten before it was known to pass.
    head: Option<Bytes>,
    body: Incoming,
    waiting: Waiting,
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
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        let gateway = Arc::clone(self.waiting.guard.aside.gateway());
        let broken = |error: Malformed| body::broken(&gateway, error.to_string());
        loop {
            let frame = timeout(SILENCE, self.body.frame()).await.map_err(|_| body::silent(&gateway))?;
            let Some(next) = piece(&gateway, frame)? else {
                return self.rewriter.finish().map(|()| None).map_err(broken);
            };
            let mut out = BytesMut::new();
            self.rewriter.feed(&next, &mut out).map_err(broken)?;
            if !out.is_empty() {
                return Ok(Some(out.freeze()));
            }
        }
    }
}
