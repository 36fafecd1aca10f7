//! A call's event stream on its way to the client. Events are read one by one as the client takes them, so a
//! slow reader slows the upstream.

use super::answer::{Answered, CallError, Event, UpstreamAnswer};
use super::body::{self, BodyKind, EventReader, SILENCE};
use super::line::Ear;
use super::parked::{PARKED_FOR, ParkedCall};
use super::questions::Questions;
use super::runs::Run;
use super::waiting::{Meaning, Pushed, Waiting};
use super::wire;
use crate::bridge::{self, InputRequired, Then};
use crate::envelope::{self, Envelope, splice};
use crate::revision::Revision;
use bytes::Bytes;
use doorward_domain::Gateway;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// An answer that is whole within this time is sent as one message, without a stream.
const PEEK: Duration = Duration::from_millis(500);

/// Questions that a server asks within this time of each other reach a modern client together.
const TOGETHER: Duration = Duration::from_millis(20);

/// A stream that ends so often without having said anything is given up.
const MAX_EMPTY_STREAMS: usize = 30;

/// A call's event stream on its way to the client.
pub(super) struct Relay {
    /// The answer's own stream; none where everything comes on one.
    reader: Option<EventReader>,
    /// What comes beside it.
    ear: Option<Ear>,
    waiting: Waiting,
    questions: Questions,
    /// The rest of an event with several messages.
    batch: VecDeque<Bytes>,
    /// What came while questions were gathered.
    backlog: VecDeque<(Event, StatusCode)>,
    /// When a stream that the server ended is to be resumed.
    resume_at: Option<Instant>,
    empty_streams: usize,
}

/// The next thing on the stream.
enum Step {
    Event(Event, StatusCode),
    /// For a modern client, who has to be told by a result.
    Asked(Pushed),
}

impl Relay {
    pub(super) fn new(body: Option<Incoming>, ear: Option<Ear>, waiting: Waiting) -> Self {
        Self {
            reader: body.map(EventReader::new),
            ear,
            waiting,
            questions: Questions::default(),
            batch: VecDeque::new(),
            backlog: VecDeque::new(),
            resume_at: None,
            empty_streams: 0,
        }
    }

    pub(super) fn run(&self) -> Arc<Run> {
        Arc::clone(&self.waiting.run)
    }

    /// Tells the server that its client is not asked.
    pub(super) fn refuse(&self, pushed: &Pushed) {
        self.waiting.refuse(pushed);
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        self.waiting.guard.aside.gateway()
    }

    /// Hands the client's answer to one of the server's questions on.
    pub(super) fn answer(&self, pushed: &Pushed, result: &RawValue) {
        self.waiting.guard.aside.send(wire::result(&pushed.id, result));
    }

    /// From now on it serves another request of the same client, which brought the answers.
    pub(super) fn serve(&mut self, client_id: &RawValue, progress: Option<&RawValue>, level: Option<&str>) {
        self.waiting.client_id = client_id.to_owned();
        self.waiting.progress_token = progress.map(ToOwned::to_owned);
        self.waiting.log_level = level.map(str::to_owned);
    }

    /// The next thing that concerns the client. May be dropped while it waits, without loss.
    async fn next(&mut self) -> Result<Step, CallError> {
        if let Some((event, status)) = self.backlog.pop_front() {
            return Ok(Step::Event(event, status));
        }
        let gateway = Arc::clone(self.waiting.guard.aside.gateway());
        loop {
            // Whoever waits for its client's answer has reason to be silent.
            let silence = if self.questions.are_open() { PARKED_FOR + SILENCE } else { SILENCE };
            let data = match self.next_message(&gateway, silence).await {
                Ok(Some(data)) => data,
                ended => {
                    self.resume(ended.err()).await?;
                    continue;
                }
            };
            self.empty_streams = 0;
            match self.waiting.meaning(&data) {
                Ok(Meaning::Nothing) => self.withdrawn(&data),
                Ok(Meaning::Event(event, status)) => return Ok(Step::Event(event, status)),
                Ok(Meaning::Asked(pushed)) => match &self.waiting.session {
                    None => return Ok(Step::Asked(pushed)),
                    Some(session) => {
                        let asked = self.questions.ask(session, &self.waiting.guard.aside, &pushed);
                        match asked {
                            Some(id) => {
                                let text = pushed.under(&id);
                                let event = Event { data: text.into(), last: false };
                                return Ok(Step::Event(event, StatusCode::OK));
                            }
                            None => self.waiting.refuse(&pushed),
                        }
                    }
                },
                Err(error) => {
                    // The response has come; there is nothing left to cancel.
                    let answered = matches!(
                        error,
                        CallError::NeedsBridging { .. }
                            | CallError::InputRequired { .. }
                            | CallError::MissingCapability { .. }
                    );
                    self.waiting.guard.armed &= !answered;
                    return Err(error);
                }
            }
        }
    }

    /// The next message. 2025-03-26 lets servers send several in one event (JSON-RPC 2.0 §6).
    async fn next_message(
        &mut self,
        gateway: &Gateway,
        silence: Duration,
    ) -> Result<Option<Bytes>, CallError> {
        if let Some(message) = self.batch.pop_front() {
            return Ok(Some(message));
        }
        let Some(data) = self.heard(gateway, silence).await? else { return Ok(None) };
        if self.waiting.upstream != Revision::V2025_03_26 || !data.starts_with(b"[") {
            return Ok(Some(data));
        }
        let all: Vec<&RawValue> =
            serde_json::from_slice(&data).map_err(|error| self.waiting.broken(error.to_string()))?;
        self.batch.extend(all.into_iter().map(|message| Bytes::from(message.get().to_owned())));
        Ok(Some(self.batch.pop_front().unwrap_or_default()))
    }

    /// The next event, on the answer's stream or beside it; none when the answer's stream has ended.
    async fn heard(&mut self, gateway: &Gateway, silence: Duration) -> Result<Option<Bytes>, CallError> {
        match (&mut self.reader, &mut self.ear) {
            (Some(reader), None) => reader.next_within(gateway, silence).await,
            (Some(reader), Some(ear)) => tokio::select! {
                Some(message) = ear.next() => Ok(Some(message)),
                event = reader.next_within(gateway, silence) => event,
            },
            (None, Some(ear)) => {
                let message = timeout(silence, ear.next()).await.map_err(|_| body::silent(gateway))?;
                message.map(Some).ok_or_else(|| body::broken_off(gateway))
            }
            (None, None) => Ok(None),
        }
    }

    /// The server takes a question back: so does its client hear.
    fn withdrawn(&mut self, data: &[u8]) {
        let Ok(message) = Envelope::parse(data) else { return };
        if message.method != Some("notifications/cancelled") {
            return;
        }
        let id = message.params.and_then(|params| envelope::member(params, "requestId"));
        if let Some((theirs, ours)) = id.and_then(|id| Some((id, self.questions.withdraw(id)?))) {
            let text = splice(message.text, &[(theirs, &envelope::json_string(&ours))]);
            self.backlog.push_back((Event { data: text.into(), last: false }, StatusCode::OK));
        }
    }

    /// Goes on with a stream that the server ended before the response (2025-11-25, SSE polling): after the
    /// time it asked for, from the last event that arrived. The client notices nothing.
    async fn resume(&mut self, ended: Option<CallError>) -> Result<(), CallError> {
        let reader = self.reader.as_ref().filter(|_| !self.waiting.upstream.is_modern());
        let point = reader.and_then(EventReader::resume_point);
        let given_up = self.empty_streams >= MAX_EMPTY_STREAMS;
        let Some((id, wait)) = point.filter(|_| !given_up) else {
            self.waiting.guard.armed = false;
            return Err(
                ended.unwrap_or_else(|| self.waiting.broken("its event stream ended before the response"))
            );
        };
        let id = id.to_owned();
        let at = *self.resume_at.get_or_insert_with(|| Instant::now() + wait);
        sleep_until(at).await;
        let response = self.waiting.guard.aside.resume(&id).await?;
        self.resume_at = None;
        self.empty_streams += 1;
        if !response.status().is_success() || body::body_kind(&response) != BodyKind::Events {
            self.waiting.guard.armed = false;
            let status = response.status().as_u16();
            return Err(self.waiting.broken(format!(
                "its event stream ended before the response, and could not be resumed (HTTP {status})"
            )));
        }
        if let Some(reader) = &mut self.reader {
            reader.reconnected(response.into_body());
        }
        Ok(())
    }

    /// Parks the call, and gives the result that asks the client; or the next step, if too many are parked.
    async fn park(mut self, first: Pushed) -> Result<Box<Self>, CallError> {
        let mut asked = vec![first];
        let until = Instant::now() + TOGETHER;
        while let Ok(step) = tokio::time::timeout_at(until, self.next()).await {
            match step? {
                Step::Asked(pushed) => asked.push(pushed),
                Step::Event(event, status) => {
                    let is_last = event.last;
                    self.backlog.push_back((event, status));
                    if is_last {
                        break;
                    }
                }
            }
        }
        let asked: Vec<(String, Pushed)> =
            asked.into_iter().enumerate().map(|(at, pushed)| (format!("ask-{}", at + 1), pushed)).collect();
        let (whose, all) = (self.waiting.whose, Arc::clone(&self.waiting.parked));
        let gateway = self.waiting.guard.aside.gateway().slug.to_string();
        let requests = requests(&asked);
        match all.park(whose, ParkedCall { relay: self, asked }) {
            Ok(handle) => {
                let asked = InputRequired { requests, then: Then::Parked { handle } };
                Err(CallError::InputRequired { gateway, asked: Box::new(asked) })
            }
            Err(call) => {
                tracing::warn!(
                    gateway,
                    "too many calls wait for their client's answers: a question was refused"
                );
                call.asked.iter().for_each(|(_, pushed)| call.relay.refuse(pushed));
                Ok(Box::new(call.relay))
            }
        }
    }

    fn finish(mut self) {
        self.waiting.guard.armed = false;
        if let Some(reader) = self.reader {
            reader.finish();
        }
    }
}

/// What the client is asked, as `inputRequests` holds it.
pub(super) fn requests(asked: &[(String, Pushed)]) -> Vec<(String, Box<RawValue>)> {
    let request = |(key, pushed): &(String, Pushed)| {
        Some((key.clone(), bridge::ask(&pushed.method, pushed.params_for_modern().as_deref())?))
    };
    asked.iter().filter_map(request).collect()
}

/// Relays an event stream, perhaps one that has been read in part. One whose response comes at once, or for a client
/// that takes no events, becomes a single message.
pub(super) async fn go_on(mut relay: Relay, accept_sse: bool) -> Result<UpstreamAnswer, CallError> {
    let first = loop {
        let next = relay.next();
        let next = if accept_sse { timeout(PEEK, next).await.ok() } else { Some(next.await) };
        match next.transpose()? {
            None => break None,
            Some(Step::Asked(pushed)) => relay = *Box::pin(relay.park(pushed)).await?,
            Some(Step::Event(event, status)) if event.last => {
                relay.finish();
                return Ok(UpstreamAnswer::Message(Answered { body: event.data, status }));
            }
            Some(Step::Event(event, _)) if accept_sse => break Some(event),
            Some(Step::Event(..)) => {}
        }
    };
    let rest = stream::unfold(Some(relay), next_event);
    Ok(UpstreamAnswer::Stream(stream::iter(first.map(Ok)).chain(rest).boxed()))
}

async fn next_event(relay: Option<Relay>) -> Option<(Result<Event, CallError>, Option<Relay>)> {
    let mut relay = relay?;
    loop {
        match relay.next().await {
            Ok(Step::Event(event, _)) if event.last => {
                relay.finish();
                return Some((Ok(event), None));
            }
            Ok(Step::Event(event, _)) => return Some((Ok(event), Some(relay))),
            Ok(Step::Asked(pushed)) => match Box::pin(relay.park(pushed)).await {
                Ok(going_on) => relay = *going_on,
                Err(error) => return Some((Err(error), None)),
            },
            Err(error) => return Some((Err(error), None)),
        }
    }
}
