//! Questions of a legacy server that a legacy client is asked on its call's own stream. Each has an id of ours
//! in the client's session; the answer goes back under the server's. They end with the call.

use super::exchange::Aside;
use super::parked::PARKED_FOR;
use super::waiting::Pushed;
use super::wire;
use crate::live_session::{ClientReply, LiveSession};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// Questions of one call that may be open.
const MAX_OPEN: usize = 16;

/// The open questions of one call, by the server's id.
#[derive(Default)]
pub(super) struct Questions {
    open: HashMap<String, (String, AbortOnDropHandle<()>)>,
}

impl Questions {
    /// Whether the server waits for an answer.
    pub(super) fn are_open(&self) -> bool {
        self.open.values().any(|(_, waiting)| !waiting.is_finished())
    }

    /// Begins to wait for the client's answer; gives the id under which the client is to be asked.
    pub(super) fn ask(
        &mut self,
        session: &Arc<LiveSession>,
        aside: &Aside,
        pushed: &Pushed,
    ) -> Option<String> {
        self.open.retain(|_, (_, waiting)| !waiting.is_finished());
        if self.open.len() >= MAX_OPEN {
            return None;
        }
        let mut question = session.question()?;
        let id = question.id.clone();
        let (aside, theirs, method) = (aside.clone(), pushed.id.clone(), pushed.method.clone());
        let waiting = tokio::spawn(async move {
            let answer = match timeout(PARKED_FOR, question.reply()).await {
                Ok(ClientReply::Result(result)) => wire::result(&theirs, &result),
                Ok(ClientReply::Error(Some(error))) => wire::error(&theirs, &error),
                Ok(ClientReply::Error(None)) | Err(_) => wire::refusal(&theirs, &method),
            };
            aside.send(answer);
        });
        self.open.insert(pushed.id.get().to_owned(), (id.clone(), AbortOnDropHandle::new(waiting)));
        Some(id)
    }

    /// The server wants no answer any more: gives the id under which the client was asked.
    pub(super) fn withdraw(&mut self, theirs: &RawValue) -> Option<String> {
        self.open.remove(theirs.get()).map(|(ours, _)| ours)
    }
}
