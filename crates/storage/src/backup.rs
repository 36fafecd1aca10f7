//! A copy of the database, and what a restored one has to forget.
//!
//! A backup is older than the world: refresh tokens in it may be spent, sessions and API tokens in it may have
//! been ended since. So a restore begins a new epoch: what may be spent is uncertain, what lets somebody in has
//! ended, and cleanup holds until an administrator has looked.

use crate::database::Database;
use crate::error::StorageError;
use crate::grant_status::settle_everything;
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{Actor, NewAuditEvent};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEpoch {
    /// The first is 1; each restore begins the next.
    pub epoch: i64,
    /// How many grants became uncertain.
    pub uncertain: u64,
    /// How many API tokens ended.
    pub api_tokens: u64,
}

/// What people read as the last error of a grant that a restore made uncertain.
const REASON: &str = "Doorward was restored from a backup; the refresh token in it may have been used since, so it is not used again";

impl Storage {
    /// Copies a SQLite database, as it is at one moment, into a new file for the owner alone. Others go on reading
    /// and writing meanwhile. False: the database is a PostgreSQL's, which has tools of its own.
    pub async fn back_up_sqlite(&self, to: &Path) -> Result<bool, StorageError> {
        let Database::Sqlite { writer, .. } = self.database() else { return Ok(false) };
        let failed = |source| StorageError::File { path: to.to_owned(), source };
        let file = new_private_file(to).map_err(failed)?;
        let copied = copy(writer.connect_options().as_ref().clone(), to).await;
        let copied = copied.and_then(|()| file.sync_all().map_err(failed));
        if copied.is_err() {
            // Half a backup is none; the error that is told is the first one.
            drop(std::fs::remove_file(to));
        }
        copied.map(|()| true)
    }

    /// Begins a new epoch after a restore, in one transaction.
    pub async fn begin_epoch(&self) -> Result<NewEpoch, StorageError> {
        let mut tx = self.begin("begin a new epoch").await?;
        let epoch = tx.numbers("epoch", 1).await?;
        let uncertain = make_uncertain(&mut tx).await?;
        let now = tx.now().millis();
        let api_tokens = tx!(
            tx,
            execute,
            sqlx::query("UPDATE api_tokens SET ended_at = $1 WHERE ended_at IS NULL").bind(now)
        )?;
        for forget in FORGOTTEN {
            tx!(tx, execute, sqlx::query(forget))?;
        }
        // Numbers of changes go on above any that a process may have seen: there was less than one a millisecond.
        tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE counters SET value = CASE WHEN value < $1 THEN $1 ELSE value + 1 END WHERE name = 'changes'"
            )
            .bind(now)
        )?;
        tx!(tx, execute, sqlx::query("UPDATE counters SET value = 1 WHERE name = 'cleanup_hold'"))?;
        tx.audit(
            NewAuditEvent::new(Actor::CommandLine, "restore.done")
                .detail("old_epoch", epoch - 1)
                .detail("new_epoch", epoch)
                .detail("uncertain_grants", uncertain)
                .detail("ended_api_tokens", api_tokens),
        );
        tx.commit().await?;
        Ok(NewEpoch { epoch, uncertain, api_tokens })
    }
}

/// What lets somebody in, what is pending, and what processes wrote that are gone.
const FORGOTTEN: [&str; 8] = [
    "DELETE FROM mcp_sessions",
    "DELETE FROM browser_sessions",
    "DELETE FROM setup_links",
    "DELETE FROM recovery_codes",
    "DELETE FROM authorization_requests",
    "DELETE FROM connect_requests",
    "DELETE FROM leases",
    "DELETE FROM replicas",
];

/// A refresh token that may be redeemed once only may have been since the backup. A provider that forgives a
/// replay gets it again; grants that wait for their user stay as they are.
async fn make_uncertain(tx: &mut Tx) -> Result<u64, StorageError> {
    let uncertain = tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE grants SET state = 'uncertain', state_reason = NULL, redeeming_number = NULL, \
             last_error = $1, version = version + 1 WHERE refresh_token IS NOT NULL AND state = 'active' \
             AND gateway_id IN (SELECT id FROM gateways WHERE NOT replay_safe)"
        )
        .bind(REASON)
    )?;
    settle_everything(tx).await?;
    Ok(uncertain)
}

fn new_private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// On a connection of its own, so that nobody waits for it.
async fn copy(from: sqlx::sqlite::SqliteConnectOptions, to: &Path) -> Result<(), StorageError> {
    let failed = |source| StorageError::database("copy the database", source);
    let mut connection = from.connect().await.map_err(failed)?;
    let target = to.to_string_lossy();
    let copied = sqlx::query("VACUUM INTO $1").bind(target.as_ref()).execute(&mut connection).await;
    copied.map_err(failed)?;
    connection.close().await.map_err(failed)
}
