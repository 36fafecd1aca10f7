//! A group: people who are given access together.

use crate::clock::Timestamp;
use crate::ids::GroupId;

/// People who are given access together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    /// As typed; compared in lower case.
    pub name: String,
    /// How many people are in it.
    pub members: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with each update of the group itself; joining and leaving do not count.
    pub version: i64,
}
