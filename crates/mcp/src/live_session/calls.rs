//! A session's running requests, and requests of ours to its client.

use super::LiveSession;
use crate::envelope;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Requests to one client that may wait for their answers.
const MAX_QUESTIONS: usize = 64;

/// A client's answer to a request of ours.
#[derive(Debug)]
pub(crate) enum ClientReply {
    Result(Box<RawValue>),
    /// The client could not do what it was asked, and what it said of it.
    Error(Option<Box<RawValue>>),
}

/// A request of ours to the client; forgotten when dropped.
pub(crate) struct Question {
    pub(crate) id: String,
    reply: oneshot::Receiver<ClientReply>,
    session: Arc<LiveSession>,
}

/// A running request of the client; forgotten when dropped.
pub(crate) struct Running {
    id: String,
    number: u64,
    session: Arc<LiveSession>,
}

impl LiveSession {
    /// Begins a request to the client; none where too many wait for their answers.
    pub(crate) fn question(self: &Arc<Self>) -> Option<Question> {
        let id = format!("dw-{}", self.entropy.token());
        let (sender, reply) = oneshot::channel();
        let mut state = self.state();
        if state.questions.len() >= MAX_QUESTIONS {
            return None;
        }
        state.questions.insert(id.clone(), sender);
        drop(state);
        Some(Question { id, reply, session: Arc::clone(self) })
    }

    /// Hands a client's response to whoever asked; late ones are nobody's.
    pub(crate) fn deliver(&self, id: &str, reply: ClientReply) {
        let waiting = self.state().questions.remove(id);
        match waiting {
            Some(waiting) => drop(waiting.send(reply)),
            None => tracing::debug!("a client answered a request that nobody waits for"),
        }
    }

    /// Notes a running request, and gives what tells of its cancellation.
    pub(crate) fn run(self: &Arc<Self>, id: &RawValue) -> (Running, oneshot::Receiver<()>) {
        let (sender, cancelled) = oneshot::channel();
        let mut state = self.state();
        state.next_run += 1;
        let number = state.next_run;
        state.running.insert(id.get().to_owned(), (number, sender));
        drop(state);
        (Running { id: id.get().to_owned(), number, session: Arc::clone(self) }, cancelled)
    }

    /// Cancels a running request (`notifications/cancelled`); nothing is answered afterwards.
    pub(crate) fn cancel(&self, id: &RawValue) {
        let running = self.state().running.remove(id.get());
        if let Some((_, sender)) = running {
            let _ = sender.send(());
        }
    }
}

/// `notifications/elicitation/complete` (2025-11-25).
pub(crate) fn elicitation_complete(id: &str) -> Bytes {
    let id = envelope::json_string(id);
    let method = "notifications/elicitation/complete";
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"elicitationId\":{id}}}}}").into()
}

impl Question {
    /// The client's reply. A client that never answers keeps it waiting.
    pub(crate) async fn reply(&mut self) -> ClientReply {
        (&mut self.reply).await.unwrap_or(ClientReply::Error(None))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.session.state().questions.remove(&self.id);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.session.state();
        if state.running.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            state.running.remove(&self.id);
        }
    }
}
