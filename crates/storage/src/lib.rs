//! What Doorward keeps, in SQLite or PostgreSQL.
//!
//! Absent here, on purpose: it cannot open what it stores. It sees sealed bytes with a key id, never a
//! key; hashes of tokens, never a token. Every write to a grant is compare-and-swap on its version.
//!
//! - One SQL text for both databases: a statement stands once, in `read!`, `write!` or `tx!`
//!   (`database.rs`), and runs on whichever database is open.
//! - A method that changes something which caches may hold writes the change and its audit event in the
//!   same transaction, and returns only after this process's feed has told its listeners (`feed.rs`).
//! - Lookups return `Option`; a row that makes no sense is [`StorageError::Corrupt`], by table, column and id.

mod error;
#[macro_use]
mod database;
mod cursor;
mod feed;
mod role;
mod row;
mod sql;
mod transaction;

mod access_list;
mod api_token;
mod audit;
mod audit_anchor;
mod audit_chain;
mod authorization_attempt;
mod authorization_request;
mod authorized_grant;
mod backup;
mod bulk_job;
mod catalog;
mod catalog_version;
mod cleanup_hold;
mod cleanup_run;
mod client_registration;
mod connect_request;
mod ended_grant;
mod ended_grant_list;
mod gateway;
mod gateway_registration;
mod gateway_row;
mod grant;
#[macro_use]
mod grant_due;
mod grant_filter;
mod grant_list;
mod grant_refresh;
mod grant_row;
mod grant_status;
mod grant_walk;
mod group;
mod key_check;
mod lease;
mod leftovers;
mod needed_scopes;
mod notice;
mod orphan;
mod outbox;
mod provider_revocation;
mod reauthorize;
mod registration_removal;
mod replica;
mod replica_keys;
mod schema;
mod sealed_column;
mod second_factor;
mod session;
mod setup_link;
mod storage;
mod sweep;
mod tally;
mod tool_access;
mod user;
mod virtual_server;

pub use audit::AuditFilter;
pub use audit_chain::AuditWalk;
pub use authorization_attempt::BegunAttempt;
pub use authorization_request::TakenAuthorizationRequest;
pub use authorized_grant::StoredGrant;
pub use backup::NewEpoch;
pub use bulk_job::{BulkBegun, ChosenGrant};
pub use catalog::ExposedName;
pub use catalog_version::hash_of;
pub use ended_grant::End;
pub use ended_grant_list::EndedFilter;
pub use error::StorageError;
pub use feed::{AppliedChange, ChangeListener};
pub use gateway::GatewayUpdate;
pub use grant_refresh::DueRefresh;
pub use key_check::{KeyCheck, SealingSwitch, sealing_key};
pub use lease::{Lease, LeaseWatch};
pub use row::ROWS;
pub use schema::SchemaReport;
pub use sealed_column::{SEALED_COLUMNS, SealedColumn, SealedCount, SealedRow};
pub use storage::Storage;
pub use sweep::{Census, GrantSweep, SweepCutoffs, SweepPosition};
pub use user::{Inserted, Updated};
