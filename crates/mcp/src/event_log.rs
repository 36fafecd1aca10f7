//! Event streams of legacy clients that can be resumed (2025-11-25, transports, resumability): every event has
//! an id, and what a client that lost its connection has not seen is kept for a while. A client that is there
//! is waited for, so that a slow one slows its server; for one that is gone the oldest events give way.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What one stream keeps.
const MAX_EVENTS: usize = 256;
const MAX_BYTES: usize = 1 << 20;

/// What all streams of this process keep together.
const MAX_BYTES_OF_ALL: usize = 128 << 20;

/// A stream that has ended is kept for so long.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(5 * 60);

/// When a client is to come back after a stream was cut.
const RETRY: Duration = Duration::from_secs(1);

/// How much all logs of this process keep.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<AtomicUsize>);

/// One stream: what was said on it, and who listens.
pub(crate) struct EventLog {
    name: String,
    kept: Kept,
    state: Mutex<State>,
    /// Something was added, read, or has ended.
    moved: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Bytes>,
    /// The number of the first event that is kept.
    first: u64,
    bytes: usize,
    ended_at: Option<Instant>,
    /// The number of the event that the present reader takes next, and which reader that is.
    next: u64,
    reader: u64,
    is_read: bool,
}

/// Why a stream cannot be resumed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

impl EventLog {
    pub(crate) fn new(name: String, kept: Kept) -> Arc<Self> {
        Arc::new(Self { name, kept, state: Mutex::default(), moved: Notify::new() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of a stream and the number of the event that comes next, from an event's id.
    pub(crate) fn parse(id: &str) -> Option<(&str, u64)> {
        let (name, number) = id.rsplit_once('.')?;
        Some((name, number.parse().ok()?))
    }

    /// Adds an event, as soon as the client that is there has taken the one before.
    pub(crate) async fn append(&self, message: Bytes) {
        loop {
            let moved = self.moved.notified();
            {
                let mut state = self.state();
                let waits = state.is_read && state.next < state.end();
                if !waits {
                    self.add(&mut state, message);
                    break;
                }
            }
            moved.await;
        }
        self.moved.notify_waiters();
    }

    /// Adds an event without waiting; one that nobody takes in time is lost.
    pub(crate) fn push(&self, message: Bytes) {
        self.add(&mut self.state(), message);
        self.moved.notify_waiters();
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        self.state().ended_at.get_or_insert_with(Instant::now);
        self.moved.notify_waiters();
    }

    /// Whether nobody can want it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.state().ended_at.is_some_and(|ended| ended.elapsed() >= KEPT_FOR)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended_at.is_some()
    }

    /// Whether a client is connected to it.
    pub(crate) fn is_read(&self) -> bool {
        self.state().is_read
    }

    fn add(&self, state: &mut State, message: Bytes) {
        state.bytes += message.len();
        let all = self.kept.0.fetch_add(message.len(), Ordering::Relaxed) + message.len();
        state.events.push_back(message);
        let mut all = all;
        while state.events.len() > MAX_EVENTS || state.bytes > MAX_BYTES || all > MAX_BYTES_OF_ALL {
            // The client that is there takes the newest one; it is not lost by its size.
            if state.is_read && state.first >= state.next {
                break;
            }
            let Some(oldest) = state.events.pop_front() else { break };
            (state.first, state.bytes) = (state.first + 1, state.bytes - oldest.len());
            all = self.kept.0.fetch_sub(oldest.len(), Ordering::Relaxed) - oldest.len();
        }
    }

    /// The events from this number on, and what comes then. Whoever read it before reads no more.
    pub(crate) fn read(self: &Arc<Self>, from: Option<u64>) -> Result<BoxStream<'static, Bytes>, Lost> {
        let mut state = self.state();
        let next = from.unwrap_or(state.first);
        if next < state.first || next > state.end() {
            return Err(Lost);
        }
        state.reader += 1;
        (state.next, state.is_read) = (next, true);
        let reader = Reader { log: Arc::clone(self), number: state.reader };
        drop(state);
        self.moved.notify_waiters();
        Ok(stream::unfold(reader, |reader| async move { Some((reader.next().await?, reader)) }).boxed())
    }

    /// The event that tells a client the id of a stream on which nothing has been said, so that it can come
    /// back to it (2025-11-25, SSE polling).
    pub(crate) fn priming(&self) -> Bytes {
        format!("id: {}.0\nretry: {}\ndata: \n\n", self.name, RETRY.as_millis()).into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of the event that will come next.
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.kept.0.fetch_sub(self.state().bytes, Ordering::Relaxed);
    }
}

/// The one client that reads a log.
struct Reader {
    log: Arc<EventLog>,
    number: u64,
}

impl Reader {
    async fn next(&self) -> Option<Bytes> {
        loop {
            let moved = self.log.moved.notified();
            {
                let mut state = self.log.state();
                if state.reader != self.number {
                    return None;
                }
                let at = usize::try_from(state.next.saturating_sub(state.first)).unwrap_or(usize::MAX);
                if let Some(message) = state.events.get(at).cloned() {
                    let number = state.first + at as u64;
                    state.next = number + 1;
                    drop(state);
                    self.log.moved.notify_waiters();
                    let name = &self.log.name;
                    let head = format!("id: {name}.{}\nevent: message\ndata: ", number + 1);
                    return Some([head.as_bytes(), &message, b"\n\n"].concat().into());
                }
                if state.ended_at.is_some() {
                    return None;
                }
            }
            moved.await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.log.state();
        if state.reader == self.number {
            state.is_read = false;
            drop(state);
            self.log.moved.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn log() -> Arc<EventLog> {
        EventLog::new("s".into(), Kept::default())
    }

    async fn texts(stream: BoxStream<'static, Bytes>) -> Vec<String> {
        stream.map(|event| String::from_utf8(event.to_vec()).unwrap()).collect().await
    }

    #[tokio::test]
    async fn what_was_missed_is_read_again_exactly_once() {
        let log = log();
        for n in 0..4 {
            log.push(n.to_string().into());
        }
        log.end();
        let all = texts(log.read(None).unwrap()).await;
        assert_eq!(all[0], "id: s.1\nevent: message\ndata: 0\n\n");
        assert_eq!(all.len(), 4);
        let (name, number) = EventLog::parse("s.2").unwrap();
        assert_eq!(name, "s");
        assert_eq!(texts(log.read(Some(number)).unwrap()).await, all[2..]);
        assert!(log.read(Some(9)).is_err());
        assert_eq!(EventLog::parse("s"), None);
    }

    #[tokio::test]
    async fn a_client_that_is_there_is_waited_for_and_one_that_is_gone_is_not() {
        let log = log();
        let mut reader = log.read(None).unwrap();
        log.append("a".into()).await;
        let waits = log.append("b".into());
        tokio::pin!(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        assert!(reader.next().await.is_some());
        waits.await;
        drop(reader);
        for _ in 0..1_000 {
            log.append("c".into()).await;
        }
        assert!(log.state().events.len() <= MAX_EVENTS);
        assert!(log.read(Some(0)).is_err(), "too old");
    }

    #[tokio::test]
    async fn large_events_are_delivered_and_not_kept() {
        let log = log();
        let mut reader = log.read(None).unwrap();
        for _ in 0..3 {
            log.append(vec![b'x'; 2 * MAX_BYTES].into()).await;
            assert!(reader.next().await.unwrap().len() > 2 * MAX_BYTES);
        }
        assert!(log.kept.0.load(Ordering::Relaxed) <= 2 * MAX_BYTES);
        drop((reader, log));
    }

    #[tokio::test]
    async fn the_newest_reader_counts() {
        let log = log();
        let mut first = log.read(None).unwrap();
        let mut second = log.read(None).unwrap();
        log.push("a".into());
        assert!(first.next().await.is_none());
        assert!(second.next().await.is_some());
        drop(first);
        assert!(log.is_read());
    }
}
