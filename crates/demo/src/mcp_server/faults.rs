//! Switches that make the MCP server misbehave.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What the MCP server does with a request instead of answering it.
#[derive(Debug, Clone)]
pub enum McpFault {
    /// 401 with `error="invalid_token"`, whatever the token.
    Unauthorized,
    /// 500 with a page of text.
    ServerError,
    /// Never answers; the connection stays open.
    Hang,
    /// Answers properly, when the test notifies.
    HeldUntil(Arc<Notify>),
}

/// The switches of one MCP server; clones share them.
#[derive(Clone, Default)]
pub struct McpServerFaults(Arc<Mutex<VecDeque<McpFault>>>);

impl McpServerFaults {
    /// The next POST meets this fault; several calls queue up, one a request.
    pub fn next_answer(&self, fault: McpFault) {
        self.queue().push_back(fault);
    }

    pub(super) fn take(&self) -> Option<McpFault> {
        self.queue().pop_front()
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<McpFault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
