//! What a session's client hears outside of its calls, and the streams that it can come back to.

use super::{LiveSession, State};
use crate::event_log::EventLog;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

/// Streams of calls that one session keeps.
const MAX_STREAMS: usize = 32;

/// Resources that one session may follow.
const MAX_SUBSCRIBED: usize = 200;

impl LiveSession {
    pub(crate) fn close_stream(&self) {
        self.state().close_stream();
    }

    /// Ends all that the session was told of.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.close_stream();
        state.subscribed.clear();
        state.streams.drain(..).for_each(|stream| stream.end());
    }

    /// Sends what belongs to no request.
    pub(crate) fn notify(&self, message: Bytes) {
        self.state().notify(message);
    }

    /// Notes what tells the client of changed lists; what did so before ends.
    pub(crate) fn following(&self, telling: JoinHandle<()>) {
        self.state().following = Some(AbortOnDropHandle::new(telling));
    }

    /// Notes what tells the client of a resource. Says no where the session follows too many.
    pub(crate) fn subscribe(&self, uri: String, telling: JoinHandle<()>) -> bool {
        let telling = AbortOnDropHandle::new(telling);
        let mut state = self.state();
        if state.subscribed.len() >= MAX_SUBSCRIBED && !state.subscribed.contains_key(&uri) {
            return false;
        }
        state.subscribed.insert(uri, telling);
        true
    }

    pub(crate) fn unsubscribe(&self, uri: &str) {
        self.state().subscribed.remove(uri);
    }

    /// The least weight of log lines that the client wants from now on.
    pub(crate) fn set_log_level(&self, level: String) {
        self.state().log_level = Some(level);
    }

    pub(crate) fn log_level(&self) -> Option<String> {
        self.state().log_level.clone()
    }

    /// Opens the stream for what belongs to no request. An older one ends: its client has left it.
    pub(crate) fn open_stream(&self) -> BoxStream<'static, Bytes> {
        let stream = self.new_log();
        let mut state = self.state();
        state.close_stream();
        let events = stream.read(None).unwrap_or_else(|_| stream::empty().boxed());
        state.stream = Some(stream);
        events
    }

    /// A stream of a call, which its client may come back to.
    pub(crate) fn call_stream(&self) -> Arc<EventLog> {
        let stream = self.new_log();
        let mut state = self.state();
        state.streams.retain(|stream| !stream.is_over());
        while state.streams.len() >= MAX_STREAMS {
            let ended = state.streams.iter().position(|stream| stream.has_ended());
            state.streams.remove(ended.unwrap_or(0));
        }
        state.streams.push_back(Arc::clone(&stream));
        stream
    }

    /// Goes on with a stream after the last event that its client has seen; none when that is not known here
    /// (any more).
    pub(crate) fn resume(&self, last_event_id: &str) -> Option<BoxStream<'static, Bytes>> {
        let (name, next) = EventLog::parse(last_event_id)?;
        let state = self.state();
        let found = state.streams.iter().chain(&state.stream).find(|stream| stream.name() == name)?;
        found.read(Some(next)).ok()
    }

    fn new_log(&self) -> Arc<EventLog> {
        EventLog::new(self.entropy.token().chars().take(16).collect(), self.kept.clone())
    }
}

impl State {
    pub(super) fn notify(&self, message: Bytes) {
        if let Some(stream) = &self.stream {
            stream.push(message);
        }
    }

    pub(super) fn close_stream(&mut self) {
        self.following = None;
        if let Some(stream) = self.stream.take() {
            stream.end();
        }
    }
}
