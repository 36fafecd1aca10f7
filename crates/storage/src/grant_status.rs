//! `health`, `access_token_status` and the moment of the next refresh as they are stored, so that an index
//! serves them. They are written in the transaction that changes what they follow from, and by the clock when
//! their time has come.

use crate::error::StorageError;
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{GatewayId, GrantId, UserId};

/// Whose status is written anew.
#[derive(Clone, Copy)]
pub(crate) enum Settled {
    One(GrantId),
    Gateway(GatewayId),
    User(UserId),
}

/// The one statement that says what follows from what; the same as [`doorward_domain::Grant::health`], which
/// a test compares. `$1` is the present moment.
macro_rules! settle_grants {
    ($which:literal) => {
        concat!(
            "UPDATE grants SET \
             health = CASE WHEN orphaned_since IS NOT NULL THEN 'orphaned' \
               WHEN state <> 'active' THEN state \
               WHEN dies_at <= $1 THEN 'expired' \
               WHEN dies_soon_at <= $1 THEN 'expiring_soon' ELSE 'valid' END, \
             access_token_status = CASE WHEN expires_at <= $1 THEN 'expired' \
               WHEN expires_soon_at <= $1 THEN 'expiring_soon' ELSE 'valid' END, \
             status_changes_at = (SELECT COALESCE(MIN(mark), 9223372036854775807) FROM ( \
               SELECT expires_soon_at AS mark UNION ALL SELECT expires_at \
               UNION ALL SELECT dies_soon_at UNION ALL SELECT dies_at) AS marks WHERE mark > $1), \
             refresh_due_at = ",
            refresh_due!(),
            " WHERE ",
            $which
        )
    };
}

/// Writes what follows from the columns of some grants now. A version stays: nothing that a refresh or a
/// revoke goes by has changed.
pub(crate) async fn settle(tx: &mut Tx, which: Settled) -> Result<(), StorageError> {
    let now = tx.now().millis();
    match which {
        Settled::One(id) => {
            tx!(tx, execute, sqlx::query(settle_grants!("id = $2")).bind(now).bind(id.to_string()))
        }
        Settled::User(id) => {
            tx!(tx, execute, sqlx::query(settle_grants!("user_id = $2")).bind(now).bind(id.to_string()))
        }
        Settled::Gateway(id) => {
            tx!(tx, execute, sqlx::query(settle_grants!("gateway_id = $2")).bind(now).bind(id.to_string()))
        }
    }
    .map(drop)
}

impl Storage {
    /// Brings up to `limit` grants up to date whose status the clock has changed; how many that were.
    pub async fn settle_due_grants(&self, limit: u32) -> Result<u64, StorageError> {
        let now = self.clock().now().millis();
        let due: i64 = read!(
            self,
            "look for grants whose status has changed",
            fetch_one,
            sqlx::query_scalar(
                "SELECT count(*) FROM (SELECT 1 FROM grants WHERE status_changes_at <= $1 LIMIT 1) AS due"
            )
            .bind(now)
        )?;
        if due == 0 {
            return Ok(0);
        }
        write!(
            self,
            "write the status of grants anew",
            execute,
            sqlx::query(settle_grants!(
                "id IN (SELECT id FROM grants WHERE status_changes_at <= $1 ORDER BY status_changes_at LIMIT $2)"
            ))
            .bind(now)
            .bind(i64::from(limit))
        )
    }
}
