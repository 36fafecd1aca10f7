//! A writing transaction: statements, then at its end the audit events and the changes it recorded.
//!
//! The numbers of both come from counter rows that stay locked until the commit. They are taken last, so
//! that writers wait for each other only during the commit, and always in the same order, so that two of
//! them never wait for each other.

use crate::database::Connection;
use crate::error::StorageError;
use crate::feed::ChangeRow;
use crate::row::{ROWS, is_usual};
use crate::storage::Storage;
use doorward_domain::{Change, NewAuditEvent, Timestamp};
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// Rows of the feed are kept for this long; a process that was away for longer has to start again.
const CHANGES_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Old rows of the feed are deleted by each writer that passes a multiple of this number.
const PRUNE_EVERY: i64 = 1_000;

/// An open transaction; dropped without [`Tx::commit`], it never happened.
pub(crate) struct Tx {
    storage: Storage,
    pub(crate) connection: Connection,
    /// What is being done, as a verb phrase for errors.
    pub(crate) what: &'static str,
    audit: Vec<NewAuditEvent>,
    changes: Vec<Change>,
}

impl Storage {
    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self, what: &'static str) -> Result<Tx, StorageError> {
        let connection = self.database().begin(what).await?;
        Ok(Tx { storage: self.clone(), connection, what, audit: Vec::new(), changes: Vec::new() })
    }
}

impl Tx {
    /// Records who did it; written at the commit.
    pub(crate) fn audit(&mut self, event: NewAuditEvent) {
        self.audit.push(event);
    }

    /// Records what caches have to forget; written at the commit.
    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The present moment, by the storage's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.storage.clock().now()
    }

    /// How long before its end something counts as expiring soon.
    pub(crate) fn expiring_soon(&self) -> Duration {
        self.storage.expiring_soon()
    }

    /// Writes the audit events and changes, commits, and returns once this process's feed has applied them; what
    /// takes something away, once every replica has.
    pub(crate) async fn commit(mut self) -> Result<(), StorageError> {
        let awaited = self.changes.iter().any(Change::is_awaited);
        crate::audit_chain::append(&mut self).await?;
        let last = self.append_changes().await?;
        let Self { storage, connection, what, .. } = self;
        connection.commit(what).await?;
        if let Some(seq) = last {
            storage.feed().wake();
            storage.applied(seq).await;
            if awaited {
                storage.applied_everywhere(seq).await;
            }
        }
        Ok(())
    }

    /// The audit events that are still to be written.
    pub(crate) fn take_audit(&mut self) -> Vec<NewAuditEvent> {
        std::mem::take(&mut self.audit)
    }

    /// The next `count` numbers of a counter: `first..first + count`.
    pub(crate) async fn numbers(&mut self, counter: &'static str, count: usize) -> Result<i64, StorageError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let last: i64 = tx!(
            self,
            fetch_one,
            sqlx::query_scalar("UPDATE counters SET value = value + $1 WHERE name = $2 RETURNING value")
                .bind(count)
                .bind(counter)
        )?;
        Ok(last - count + 1)
    }

    async fn append_changes(&mut self) -> Result<Option<i64>, StorageError> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(None);
        }
        let now = self.now();
        let first = self.numbers("changes", changes.len()).await?;
        let rows: Vec<ChangeRow> =
            (first..).zip(&changes).map(|(seq, change)| ChangeRow::of(seq, change)).collect();
        for rows in rows.chunks(ROWS) {
            self.insert_changes(rows).await?;
        }
        let last = first + i64::try_from(rows.len()).unwrap_or(i64::MAX) - 1;
        if first / PRUNE_EVERY != last / PRUNE_EVERY || last % PRUNE_EVERY == 0 {
            let before = now.minus(CHANGES_KEPT).millis();
            tx!(self, execute, sqlx::query("DELETE FROM changes WHERE at < $1").bind(before))?;
        }
        self.connection.announce(self.what).await?;
        Ok(Some(last))
    }

    async fn insert_changes(&mut self, rows: &[ChangeRow]) -> Result<(), StorageError> {
        let now = self.now().millis();
        let sql = format!(
            "INSERT INTO changes (seq, kind, gateway_id, user_id, thing_id, at) VALUES {}",
            self.connection.values(rows.len(), 6)
        );
        tx!(self, execute, {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for row in rows {
                query = query
                    .bind(row.seq)
                    .bind(&row.kind)
                    .bind(&row.gateway_id)
                    .bind(&row.user_id)
                    .bind(&row.thing_id)
                    .bind(now);
            }
            query.persistent(is_usual(rows.len()))
        })
        .map(drop)
    }
}
