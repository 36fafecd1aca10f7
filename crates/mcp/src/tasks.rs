//! Tasks: calls with which a server goes on after it has answered, and after which its client asks by id. In 2025-11-25 the
//! client wants a task (`params.task`), in 2026-07-28 the server makes one (extension `io.modelcontextprotocol/tasks`); each
//! kind passes between two parties of its own era. A client sees ids of ours: each leads to its gateway, and serves the
//! user whose call made it and nobody else.

mod called;
mod followed;
mod id;
mod list;
mod status;
mod words;

pub(crate) use called::check;
pub(crate) use followed::{FollowedTasks, follow};
pub(crate) use id::owner;
pub(crate) use list::{list, tells_users_apart};
pub(crate) use words::{answer_with_our_ids, event_with_our_ids, with_their_id};

/// The extension's name in capabilities (2026-07-28).
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// `_meta`: the task that a message belongs to (2025-11-25).
pub(crate) const META_RELATED: &str = "io.modelcontextprotocol/related-task";

/// A task's new status (2025-11-25).
pub(crate) const STATUS: &str = "notifications/tasks/status";

/// What we can do with tasks of 2025-11-25, as we declare it where several servers are merged.
pub(crate) const LEGACY_CAPABILITY: &str = r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;
