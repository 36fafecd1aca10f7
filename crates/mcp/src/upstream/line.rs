//! What a legacy server says beside the answers to POSTs: on the GET stream of a session (from 2025-03-26), where some
//! servers ask what a call of their client's made them ask; or on the one stream that carries everything (2024-11-05, HTTP
//! with SSE). Each message goes to the call that it belongs to; a question that could be anybody's is refused.

use super::body::{self, BodyKind, EventReader};
use super::exchange::Aside;
use super::runs::Run;
use super::wire;
use crate::envelope::{Envelope, MessageKind, member};
use crate::live_session::LiveSession;
use bytes::Bytes;
use http::StatusCode;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long a call waits for the stream beside it: some servers send no headers before the first event.
const OPENED_WITHIN: Duration = Duration::from_secs(1);

/// A stream beside calls is closed when there was no call for so long.
const IDLE: Duration = Duration::from_secs(60);

/// A stream on which nothing at all comes for so long is opened anew.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// Messages that may wait for one call. The last place is kept for the response.
const WAITING: usize = 16;

/// A server's own stream. It is read as long as there is a link that has it, or a call that hears it.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<Open>);

#[derive(Debug, Default)]
struct Open {
    heard: Arc<Heard>,
    reading: Mutex<Option<Reading>>,
}

#[derive(Debug)]
struct Reading {
    task: AbortOnDropHandle<()>,
    /// Cancelled as soon as it is known whether there is a stream.
    opened: CancellationToken,
}

/// Who hears what the server says.
#[derive(Debug, Default)]
struct Heard {
    ears: Mutex<Ears>,
    changed: Notify,
    /// It carries responses and notifications as well.
    is_everything: bool,
}

#[derive(Debug, Default)]
struct Ears {
    all: Vec<Listening>,
    /// The server has no such stream, or one that cannot be opened again has ended.
    is_none: bool,
}

struct Listening {
    /// Our request's id; none where what belongs to no call is listened to.
    id: Option<u64>,
    asks: Asks,
    inbox: mpsc::Sender<Bytes>,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listening({:?})", self.id)
    }
}

/// Who can be asked in the course of a call.
#[derive(Clone)]
pub(super) enum Asks {
    Nobody,
    /// A legacy client, in its session.
    Session(Arc<LiveSession>),
    /// A modern client, by the call's result.
    Caller,
}

/// One call's part of what a server says.
pub(super) struct Ear {
    line: Line,
    id: Option<u64>,
    inbox: mpsc::Receiver<Bytes>,
    put_back: VecDeque<Bytes>,
}

impl Line {
    /// The stream that carries everything, which has been opened.
    pub(super) fn everything(reader: EventReader, aside: Aside, run: Run) -> Self {
        let heard = Arc::new(Heard { is_everything: true, ..Heard::default() });
        let opened = CancellationToken::new();
        opened.cancel();
        let listener = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = run.cut() => {}
                () = listener.listen(reader, &aside) => {}
            }
            listener.end();
        });
        let reading = Reading { task: AbortOnDropHandle::new(task), opened };
        Self(Arc::new(Open { heard, reading: Mutex::new(Some(reading)) }))
    }

    pub(super) fn is_everything(&self) -> bool {
        self.0.heard.is_everything
    }

    /// Nothing can be heard any more, nor said.
    pub(super) fn is_broken(&self) -> bool {
        self.0.heard.is_everything && self.0.heard.lock().is_none
    }

    /// Opens a session's stream unless it is open, or known not to exist; waits a moment for it.
    pub(super) async fn open(&self, aside: Aside, run: impl FnOnce() -> Run) {
        let opened = {
            let mut reading = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
            if self.0.heard.is_everything || self.0.heard.lock().is_none {
                return;
            }
            match &*reading {
                Some(reading) if !reading.task.is_finished() => reading.opened.clone(),
                _ => {
                    let opened = CancellationToken::new();
                    let reads = Arc::clone(&self.0.heard).open_and_listen(aside, run(), opened.clone());
                    let task = AbortOnDropHandle::new(tokio::spawn(reads));
                    reading.insert(Reading { task, opened }).opened.clone()
                }
            }
        };
        let _ = timeout(OPENED_WITHIN, opened.cancelled()).await;
    }

    /// Begins to hear what belongs to a call.
    pub(super) fn ear(&self, id: u64, asks: Asks) -> Ear {
        self.listening(Some(id), asks)
    }

    /// Begins to hear what belongs to no call.
    pub(super) fn general_ear(&self) -> Ear {
        self.listening(None, Asks::Nobody)
    }

    fn listening(&self, id: Option<u64>, asks: Asks) -> Ear {
        let (sender, inbox) = mpsc::channel(WAITING);
        let mut ears = self.0.heard.lock();
        if !ears.is_none {
            ears.all.push(Listening { id, asks, inbox: sender });
        }
        drop(ears);
        self.0.heard.changed.notify_one();
        Ear { line: self.clone(), id, inbox, put_back: VecDeque::new() }
    }
}

impl Ear {
    /// The next message; none when there will be none. May be dropped while it waits, without loss.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        match self.put_back.pop_front() {
            Some(message) => Some(message),
            None => self.inbox.recv().await,
        }
    }

    /// Sends a request. What the server asks meanwhile waits for the answer to begin, but not for long: an answer in one
    /// piece would wait for ours.
    pub(super) async fn during<T>(&mut self, sending: impl Future<Output = T>, aside: &Aside) -> T {
        let mut sending = std::pin::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return sent,
                Some(message) = self.inbox.recv() => match timeout(OPENED_WITHIN, &mut sending).await {
                    Ok(sent) => {
                        self.put_back.push_back(message);
                        return sent;
                    }
                    Err(_) => refuse(&message, aside),
                },
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let heard = &self.line.0.heard;
        let mut ears = heard.lock();
        // Ids of calls are unique; what tells ears of no call apart is that this one is closed.
        self.inbox.close();
        ears.all.retain(|other| other.id != self.id || !other.inbox.is_closed());
        drop(ears);
        heard.changed.notify_one();
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Ears> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open_and_listen(self: Arc<Self>, aside: Aside, run: Run, opened: CancellationToken) {
        let work = async {
            let Ok(response) = aside.open_stream().await else { return };
            let status = response.status();
            if status.is_success() && body::body_kind(&response) == BodyKind::Events {
                opened.cancel();
                tokio::select! {
                    () = self.listen(EventReader::new(response.into_body()), &aside) => {}
                    () = self.idle() => {}
                }
            } else if status.is_success() || status == StatusCode::METHOD_NOT_ALLOWED {
                self.lock().is_none = true;
            }
        };
        tokio::select! {
            () = run.cut() => {}
            () = work => {}
        }
        opened.cancel();
    }

    async fn listen(&self, mut reader: EventReader, aside: &Aside) {
        while let Ok(Some(data)) = reader.next_within(aside.gateway(), SILENCE).await {
            self.take(&data, aside);
        }
    }

    /// There was no call for a while.
    async fn idle(&self) {
        loop {
            let is_idle = self.lock().all.is_empty();
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep(IDLE), if is_idle => return,
            }
        }
    }

    fn end(&self) {
        let mut ears = self.lock();
        ears.is_none = true;
        ears.all.clear();
    }

    fn take(&self, data: &Bytes, aside: &Aside) {
        let Ok(message) = Envelope::parse(data) else { return };
        let method = message.method.unwrap_or_default();
        match message.kind() {
            MessageKind::Request => {
                if !(method != "ping" && self.ask(data)) {
                    refuse(data, aside);
                }
            }
            MessageKind::Notification if method == "notifications/cancelled" => {
                self.tell(data, |ear| ear.id.is_some());
            }
            _ if !self.is_everything => {}
            MessageKind::Response => {
                let id = message.id.and_then(|id| id.get().parse().ok());
                let ears = self.lock();
                if let Some(ear) = ears.all.iter().find(|ear| ear.id.is_some() && ear.id == id) {
                    let _ = ear.inbox.try_send(data.clone());
                }
            }
            MessageKind::Notification if method == "notifications/progress" => {
                let token = message.params.and_then(|params| member(params, "progressToken"));
                let token = token.and_then(|token| token.get().parse().ok());
                self.tell(data, |ear| ear.id.is_some() && ear.id == token);
            }
            MessageKind::Notification if is_general(method) => self.tell(data, |ear| ear.id.is_none()),
            MessageKind::Notification => {
                let calls = self.lock().all.iter().filter(|ear| ear.id.is_some()).count();
                self.tell(data, |ear| ear.id.is_some() && calls == 1);
            }
        }
    }

    /// Hands a question to the call that it belongs to: the only one whose client can be asked, or one of several of the
    /// same client. Says whether somebody is asked.
    fn ask(&self, data: &Bytes) -> bool {
        let ears = self.lock();
        let can_be_asked = || ears.all.iter().filter(|ear| !matches!(ear.asks, Asks::Nobody));
        let Some(last) = can_be_asked().next_back() else { return false };
        let is_same = |ear: &Listening| match (&ear.asks, &last.asks) {
            (Asks::Session(one), Asks::Session(other)) => Arc::ptr_eq(one, other),
            _ => ear.id == last.id,
        };
        can_be_asked().all(is_same) && has_room(last) && last.inbox.try_send(data.clone()).is_ok()
    }

    fn tell(&self, data: &Bytes, whom: impl Fn(&Listening) -> bool) {
        for ear in self.lock().all.iter().filter(|ear| whom(ear) && has_room(ear)) {
            let _ = ear.inbox.try_send(data.clone());
        }
    }
}

fn has_room(ear: &Listening) -> bool {
    ear.inbox.capacity() > 1
}

/// What a server tells of itself, not of a call.
fn is_general(method: &str) -> bool {
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

fn refuse(message: &Bytes, aside: &Aside) {
    let Ok(message) = Envelope::parse(message) else { return };
    if let (MessageKind::Request, Some(id), Some(method)) = (message.kind(), message.id, message.method) {
        if method != "ping" {
            let gateway = &aside.gateway().slug;
            tracing::info!(%gateway, method, "a server's request that belongs to no call was refused");
        }
        aside.send(wire::refusal(id, method));
    }
}
