//! What cleanup remembers between its runs beside them: whether it has to hold, and when it last looked.

use crate::error::StorageError;
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{HoldReason, Timestamp};

/// What the counter `cleanup_hold` says. Whoever restores a database writes [`RESTORED`] there.
const NONE: i64 = 0;
const RESTORED: i64 = 1;
const CLOCK_JUMPED: i64 = 2;

impl Storage {
    /// Why cleanup has to hold until an administrator says so, if it has to.
    pub async fn cleanup_hold(&self) -> Result<Option<HoldReason>, StorageError> {
        Ok(match self.counter("cleanup_hold").await? {
            NONE => None,
            CLOCK_JUMPED => Some(HoldReason::ClockJumped),
            // Whatever else it says, somebody wanted it to hold.
            _ => Some(HoldReason::Restored),
        })
    }

    /// Has cleanup hold from now on. What it holds for already stays the reason.
    pub async fn hold_cleanup(&self, reason: HoldReason) -> Result<(), StorageError> {
        let value = if reason == HoldReason::ClockJumped { CLOCK_JUMPED } else { RESTORED };
        write!(
            self,
            "have cleanup hold",
            execute,
            sqlx::query("UPDATE counters SET value = $1 WHERE name = 'cleanup_hold' AND value = 0")
                .bind(value)
        )
        .map(drop)
    }

    /// Lets cleanup go on after a jump of the clock that would have made no difference.
    pub async fn forget_clock_jump(&self) -> Result<(), StorageError> {
        write!(
            self,
            "let cleanup go on",
            execute,
            sqlx::query("UPDATE counters SET value = 0 WHERE name = 'cleanup_hold' AND value = $1")
                .bind(CLOCK_JUMPED)
        )
        .map(drop)
    }

    /// When a cleanup job last looked, by the clock it had then; none: never.
    pub async fn cleanup_beat(&self) -> Result<Option<Timestamp>, StorageError> {
        let value = self.counter("cleanup_beat").await?;
        Ok((value > 0).then(|| Timestamp::from_millis(value)))
    }

    /// Notes that a cleanup job looks now.
    pub async fn note_cleanup_beat(&self, now: Timestamp) -> Result<(), StorageError> {
        write!(
            self,
            "note a beat of cleanup",
            execute,
            sqlx::query("UPDATE counters SET value = $1 WHERE name = 'cleanup_beat'").bind(now.millis())
        )
        .map(drop)
    }

    async fn counter(&self, name: &'static str) -> Result<i64, StorageError> {
        read!(
            self,
            "read what cleanup remembers",
            fetch_one,
            sqlx::query_scalar("SELECT value FROM counters WHERE name = $1").bind(name)
        )
    }
}

/// Ends a hold, in the transaction of the run that was told to.
pub(crate) async fn release_hold(tx: &mut Tx) -> Result<(), StorageError> {
    tx!(tx, execute, sqlx::query("UPDATE counters SET value = 0 WHERE name = 'cleanup_hold'")).map(drop)
}
