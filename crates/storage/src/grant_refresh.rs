//! The two commits around a refresh: the intent before the request leaves, the answer before anything else
//! looks at it (lessons R6 to R8). An intent without an answer is uncertain, and never replayed by itself.
//! What is due by the clock is taken here too.

use crate::authorized_grant::replace;
use crate::error::StorageError;
use crate::grant_row::{GrantName, change_of, grant_name_columns, person};
use crate::grant_status::{Settled, settle};
use crate::row::RowName;
use crate::storage::Storage;
use doorward_domain::{Actor, GatewayId, Grant, GrantId, NewAuditEvent, Timestamp};
use std::time::Duration;

/// An intent without an answer is looked at again after this long: whoever began it has answered by then, or
/// is gone.
const INTENT_STANDS: Duration = Duration::from_secs(120);

/// A grant whose refresh is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRefresh {
    pub grant: GrantId,
    pub gateway: GatewayId,
    /// Of the refresh token that is to be redeemed: with another one there, somebody was faster.
    pub refresh_number: i64,
}

#[derive(sqlx::FromRow)]
struct DueRow {
    id: String,
    gateway_id: String,
    refresh_number: i64,
}

impl DueRow {
    fn into_due(self) -> Result<DueRefresh, StorageError> {
        let row = RowName { table: "grants", id: &self.id };
        Ok(DueRefresh {
            grant: row.parse("id", &self.id)?,
            gateway: row.parse("gateway_id", &self.gateway_id)?,
            refresh_number: self.refresh_number,
        })
    }
}

impl Storage {
    /// Commits the intent to redeem the present refresh token, if the grant is still at `version`, has a
    /// refresh token or needs none, and nobody is redeeming it. Gives the new version, None when the caller must look
    /// again. The tokens in force stay the same, so the feed is not told.
    pub async fn begin_refresh(&self, id: GrantId, version: i64) -> Result<Option<i64>, StorageError> {
        write!(
            self,
            "note the intent to refresh",
            fetch_optional,
            sqlx::query_scalar(
                "UPDATE grants SET redeeming_number = refresh_number, refresh_due_at = $3, version = version + 1 \
                 WHERE id = $1 AND version = $2 AND redeeming_number IS NULL \
                 AND (refresh_token IS NOT NULL OR owner_kind = 'service' OR exchanged) \
                 RETURNING version"
            )
            .bind(id.to_string())
            .bind(version)
            .bind(self.clock().now().plus(INTENT_STANDS).millis())
        )
    }

    /// Withdraws the intent of a refresh that did not reach a provider that answers, if the grant is still at
    /// `version`: nothing else is known of it. False: somebody was faster.
    pub async fn withdraw_refresh(&self, id: GrantId, version: i64) -> Result<bool, StorageError> {
        let mut tx = self.begin("withdraw the intent to refresh").await?;
        let withdrawn = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE grants SET redeeming_number = NULL, version = version + 1 \
                 WHERE id = $1 AND version = $2"
            )
            .bind(id.to_string())
            .bind(version)
        )?;
        settle(&mut tx, Settled::One(id)).await?;
        tx.commit().await?;
        Ok(withdrawn == 1)
    }

    /// Takes up to `limit` grants whose refresh is due, oldest first; for `taken_for` nobody else is given them.
    pub async fn take_due_refreshes(
        &self,
        limit: u32,
        taken_for: Duration,
    ) -> Result<Vec<DueRefresh>, StorageError> {
        let now = self.clock().now();
        let first: Option<i64> = read!(
            self,
            "look for grants that are due",
            fetch_one,
            sqlx::query_scalar("SELECT MIN(refresh_due_at) FROM grants")
        )?;
        if first.is_none_or(|first| first > now.millis()) {
            return Ok(Vec::new());
        }
        let rows = write!(
            self,
            "take grants that are due",
            fetch_all,
            sqlx::query_as::<_, DueRow>(
                "UPDATE grants SET refresh_due_at = $1 WHERE refresh_due_at <= $2 AND id IN \
                 (SELECT id FROM grants WHERE refresh_due_at <= $2 ORDER BY refresh_due_at LIMIT $3) \
                 RETURNING id, gateway_id, refresh_number"
            )
            .bind(now.plus(taken_for).millis())
            .bind(now.millis())
            .bind(i64::from(limit))
        )?;
        rows.into_iter().map(DueRow::into_due).collect()
    }

    /// Stores what a refresh brought, if the grant is still at `version`: the tokens, the state and the times
    /// of `grant`, at `version + 1`. When the grant was last used is left alone. False: somebody was
    /// faster (or the grant has ended), and nothing was written.
    pub async fn finish_refresh(
        &self,
        grant: &Grant,
        version: i64,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("store the answer to a refresh").await?;
        let grant = Grant { version, ..grant.clone() };
        if !replace(&mut tx, &grant).await? {
            return Ok(false);
        }
        tx.change(change_of(&grant));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// At start-up: whatever was being redeemed when the process died is uncertain now, and no lease of it
    /// stands in the way. Gives the number of those grants. Only for a process that is alone with its
    /// database: a living replica's refresh would be hit too.
    pub async fn recover_interrupted_refreshes(&self, now: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin("recover interrupted refreshes").await?;
        tx!(tx, execute, sqlx::query("DELETE FROM leases"))?;
        let found = tx!(
            tx,
            fetch_all,
            sqlx::query_as::<_, GrantName>(concat!(
                "UPDATE grants SET state = 'uncertain', state_reason = NULL, redeeming_number = NULL, last_error = $1, \
                 version = version + 1 WHERE redeeming_number IS NOT NULL AND state = 'active' RETURNING ",
                grant_name_columns!()
            ))
            .bind("Doorward stopped while a refresh was on its way; its answer is not known")
        )?;
        for grant in &found {
            let mut event = NewAuditEvent::new(Actor::System, "grant.uncertain")
                .subject(&grant.id)
                .detail("cause", "interrupted refresh")
                .detail("found_at", now);
            event.user_id = person(grant.owner()?);
            tx.audit(event);
            tx.change(grant.change()?);
            settle(&mut tx, Settled::One(grant.parsed_id()?)).await?;
        }
        tx.commit().await?;
        Ok(found.len() as u64)
    }
}
