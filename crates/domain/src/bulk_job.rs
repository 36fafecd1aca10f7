//! One order about many grants: who gave it, how far it has come, and what became of each grant.

use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::ended_grant::{ProviderEnd, Receipt};
use crate::grant_list::GrantFilter;
use crate::ids::{BulkJobId, GrantId};
use serde::{Deserialize, Serialize};

/// What is done to each grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkKind {
    /// It ends.
    Revoke,
    /// It stays, and its user is asked to authorize again.
    Reauthorize,
}

/// Which grants are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantChoice {
    Ids(Vec<GrantId>),
    Filter(GrantFilter),
}

/// An order that is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBulkJob {
    pub id: BulkJobId,
    pub kind: BulkKind,
    pub actor: Actor,
    /// Where the person who gave it called from.
    pub address: Option<String>,
    pub reason: String,
    pub provider: ProviderEnd,
    pub choice: GrantChoice,
    /// How many grants whoever gave the order believes to be meant; none: however many there are.
    pub expected: Option<u64>,
}

/// An order, and how far it has come. Which grants it means was settled when it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkJob {
    pub id: BulkJobId,
    pub kind: BulkKind,
    pub actor: Actor,
    pub reason: String,
    pub provider: ProviderEnd,
    /// Grants whose turn has not come.
    pub waiting: u64,
    pub done: u64,
    /// Grants that had ended before their turn came.
    pub gone: u64,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// What became of one grant of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkResult {
    Waiting,
    Done,
    Gone,
}

/// One grant of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkJobRow {
    pub grant_id: GrantId,
    /// None: the gateway's own grant.
    pub user_email: Option<String>,
    pub gateway_slug: String,
    pub result: BulkResult,
    /// What is known of the provider's side, once the grant has ended.
    pub receipt: Option<Receipt>,
    pub receipt_detail: Option<String>,
}
