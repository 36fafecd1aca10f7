//! Who hears what a legacy server says beside its answers: each message goes to the call that it belongs to, and a
//! question that could be anybody's is refused.

use super::body::{self, BodyKind, EventReader};
use super::exchange::Aside;
use super::runs::Run;
use super::wire;
use crate::envelope::{Envelope, MessageKind, member};
use crate::live_session::LiveSession;
use crate::tasks;
use bytes::Bytes;
use http::StatusCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A stream beside calls is closed when there was no call for so long.
const IDLE: Duration = Duration::from_secs(60);

/// A stream on which nothing at all comes for so long is opened anew.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// Who hears what the server says.
#[derive(Debug, Default)]
pub(super) struct Heard {
    ears: Mutex<Ears>,
    pub(super) changed: Notify,
    /// It carries responses and notifications as well.
    pub(super) is_everything: bool,
}

#[derive(Debug, Default)]
pub(super) struct Ears {
    pub(super) all: Vec<Listening>,
    /// The server has no such stream, or one that cannot be opened again has ended.
    pub(super) is_none: bool,
}

pub(super) struct Listening {
    pub(super) hears: Hears,
    pub(super) asks: Asks,
    pub(super) inbox: mpsc::Sender<Bytes>,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listening({:?})", self.hears)
    }
}

/// What somebody listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hears {
    /// What belongs to the call with this id of ours.
    Call(u64),
    /// What belongs to no call.
    General,
    /// How tasks stand (2025-11-25).
    Tasks,
}

impl Listening {
    fn is_call(&self) -> bool {
        matches!(self.hears, Hears::Call(_))
    }

    fn is_call_of(&self, id: Option<u64>) -> bool {
        id.is_some_and(|id| self.hears == Hears::Call(id))
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

impl Heard {
    /// Of a stream that carries responses and notifications as well.
    pub(super) fn everything() -> Self {
        Self { is_everything: true, ..Self::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Ears> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn open_and_listen(self: Arc<Self>, aside: Aside, run: Run, opened: CancellationToken) {
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

    pub(super) async fn listen(&self, mut reader: EventReader, aside: &Aside) {
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

    pub(super) fn end(&self) {
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
                self.tell(data, Listening::is_call);
            }
            MessageKind::Notification if method == tasks::STATUS => {
                self.tell(data, |ear| ear.hears == Hears::Tasks);
            }
            _ if !self.is_everything => {}
            MessageKind::Response => {
                let id = message.id.and_then(|id| id.get().parse().ok());
                let ears = self.lock();
                if let Some(ear) = ears.all.iter().find(|ear| ear.is_call_of(id)) {
                    let _ = ear.inbox.try_send(data.clone());
                }
            }
            MessageKind::Notification if method == "notifications/progress" => {
                let token = message.params.and_then(|params| member(params, "progressToken"));
                let token = token.and_then(|token| token.get().parse().ok());
                self.tell(data, |ear| ear.is_call_of(token));
            }
            MessageKind::Notification if is_general(method) => {
                self.tell(data, |ear| ear.hears == Hears::General);
            }
            MessageKind::Notification => {
                let calls = self.lock().all.iter().filter(|ear| ear.is_call()).count();
                self.tell(data, |ear| ear.is_call() && calls == 1);
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
            _ => ear.hears == last.hears,
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

pub(super) fn refuse(message: &Bytes, aside: &Aside) {
    let Ok(message) = Envelope::parse(message) else { return };
    if let (MessageKind::Request, Some(id), Some(method)) = (message.kind(), message.id, message.method) {
        if method != "ping" {
            let gateway = &aside.gateway().slug;
            tracing::info!(%gateway, method, "a server's request that belongs to no call was refused");
        }
        aside.send(wire::refusal(id, method));
    }
}
