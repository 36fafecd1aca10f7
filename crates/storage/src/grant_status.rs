//! `health`, `access_token_status` and the moment of the next refresh as they are stored, so that an index
//! serves them. They are written in the transaction that changes what they follow from, and by the clock when
//! their time has come.

use crate::error::StorageError;
use crate::row::{NEVER, RowName};
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

/// The same for every grant there is, after what concerns them all.
pub(crate) async fn settle_everything(tx: &mut Tx) -> Result<(), StorageError> {
    let now = tx.now().millis();
    tx!(tx, execute, sqlx::query(settle_grants!("TRUE")).bind(now)).map(drop)
}

impl Storage {
    /// Brings up to `limit` grants up to date whose status the clock has changed; how many that were.
    pub async fn settle_due_grants(&self, limit: u32) -> Result<u64, StorageError> {
        let now = self.clock().now().millis();
        // The end of the index, whatever a planner makes of a moment that it does not know.
        let next: Option<i64> = read!(
            self,
            "look for grants whose status has changed",
            fetch_one,
            sqlx::query_scalar("SELECT min(status_changes_at) FROM grants")
        )?;
        if next.is_none_or(|next| next > now) {
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

    /// Whether the stored moments go by another `OAUTH_EXPIRING_SOON_HOURS` than the present one.
    pub async fn expiring_soon_has_changed(&self) -> Result<bool, StorageError> {
        let known: Option<i64> = read!(
            self,
            "read what counted as soon",
            fetch_optional,
            sqlx::query_scalar("SELECT value FROM counters WHERE name = $1").bind(EXPIRING_SOON)
        )?;
        Ok(known != Some(self.soon_millis()))
    }

    /// Computes the moments from which on something counts as expiring soon anew, for the next `limit` grants
    /// after an id, and has their status settled. Gives the last id, None when there was none left.
    pub async fn follow_expiring_soon(
        &self,
        after: Option<GrantId>,
        limit: u32,
    ) -> Result<Option<GrantId>, StorageError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let last: Option<String> = read!(
            self,
            "choose grants",
            fetch_one,
            sqlx::query_scalar(
                "SELECT max(id) FROM (SELECT id FROM grants WHERE id > $1 ORDER BY id LIMIT $2) AS b"
            )
            .bind(&after)
            .bind(i64::from(limit))
        )?;
        let Some(last) = last else { return Ok(None) };
        write!(
            self,
            "write anew what counts as soon",
            execute,
            sqlx::query(MARK_GRANTS).bind(self.soon_millis()).bind(&after).bind(&last)
        )?;
        RowName { table: "grants", id: &last }.parse("id", &last).map(Some)
    }

    /// Notes that all stored moments go by the present setting.
    pub async fn expiring_soon_is_followed(&self) -> Result<(), StorageError> {
        write!(
            self,
            "note what counts as soon",
            execute,
            sqlx::query(
                "INSERT INTO counters (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2"
            )
            .bind(EXPIRING_SOON)
            .bind(self.soon_millis())
        )
        .map(drop)
    }

    fn soon_millis(&self) -> i64 {
        i64::try_from(self.expiring_soon().as_millis()).unwrap_or(NEVER)
    }
}

/// The name of the setting that the stored moments go by.
const EXPIRING_SOON: &str = "expiring_soon";

/// The same as [`doorward_domain::Grant::clock_marks`], which a test compares: a thing is about to end for the
/// smaller of the setting (`$1`) and a fifth of its lifetime. Of two ends that coincide, the earlier warning counts.
const MARK_GRANTS: &str = "UPDATE grants SET status_changes_at = 0, \
    expires_soon_at = CASE WHEN expires_at = 9223372036854775807 THEN expires_at ELSE expires_at - \
      CASE WHEN expires_at <= issued_at THEN 0 WHEN (expires_at - issued_at) / 5 < $1 \
      THEN (expires_at - issued_at) / 5 ELSE $1 END END, \
    dies_soon_at = (SELECT COALESCE(MIN(soon_at), 9223372036854775807) FROM ( \
      SELECT ends_at AS end_at, ends_at - CASE WHEN ends_at <= authorized_at THEN 0 \
        WHEN (ends_at - authorized_at) / 5 < $1 THEN (ends_at - authorized_at) / 5 ELSE $1 END AS soon_at \
      UNION ALL SELECT expires_at, expires_at - CASE WHEN expires_at <= issued_at THEN 0 \
        WHEN (expires_at - issued_at) / 5 < $1 THEN (expires_at - issued_at) / 5 ELSE $1 END \
        WHERE refresh_token IS NULL) AS ends WHERE end_at = dies_at AND end_at <> 9223372036854775807) \
    WHERE id > $2 AND id <= $3";
