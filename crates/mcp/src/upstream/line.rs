//! What a legacy server says beside the answers to POSTs: on the GET stream of a session (from 2025-03-26), where some
//! servers ask what a call of their client's made them ask; or on the one stream that carries everything (2024-11-05, HTTP
//! with SSE). Each message goes to the call that it belongs to; a question that could be anybody's is refused.

use super::body::EventReader;
use super::exchange::Aside;
use super::heard::{Heard, Hears, Listening, refuse};
use super::runs::Run;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(super) use super::heard::Asks;

/// How long a call waits for the stream beside it: some servers send no headers before the first event.
const OPENED_WITHIN: Duration = Duration::from_secs(1);

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

/// One call's part of what a server says.
pub(super) struct Ear {
    line: Line,
    hears: Hears,
    inbox: mpsc::Receiver<Bytes>,
    put_back: VecDeque<Bytes>,
}

impl Line {
    /// The stream that carries everything, which has been opened.
    pub(super) fn everything(reader: EventReader, aside: Aside, run: Run) -> Self {
        let heard = Arc::new(Heard::everything());
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
        self.listening(Hears::Call(id), asks)
    }

    /// Begins to hear what belongs to no call.
    pub(super) fn general_ear(&self) -> Ear {
        self.listening(Hears::General, Asks::Nobody)
    }

    /// Begins to hear how tasks stand.
    pub(super) fn task_ear(&self) -> Ear {
        self.listening(Hears::Tasks, Asks::Nobody)
    }

    fn listening(&self, hears: Hears, asks: Asks) -> Ear {
        let (sender, inbox) = mpsc::channel(WAITING);
        let mut ears = self.0.heard.lock();
        if !ears.is_none {
            ears.all.push(Listening { hears, asks, inbox: sender });
        }
        drop(ears);
        self.0.heard.changed.notify_one();
        Ear { line: self.clone(), hears, inbox, put_back: VecDeque::new() }
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
        ears.all.retain(|other| other.hears != self.hears || !other.inbox.is_closed());
        drop(ears);
        heard.changed.notify_one();
    }
}
