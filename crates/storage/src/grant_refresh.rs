//! The two commits around a refresh: the intent before the request leaves, the answer before anything else
//! looks at it (lessons R6 to R8). An intent without an answer is uncertain, and never replayed by itself.

use crate::authorized_grant::replace;
use crate::error::StorageError;
use crate::grant_row::{GrantName, change_of, grant_name_columns, person};
use crate::grant_status::{Settled, settle};
use crate::storage::Storage;
use doorward_domain::{Actor, Grant, GrantId, NewAuditEvent, Timestamp};

impl Storage {
    /// Commits the intent to redeem the present refresh token, if the grant is still at `version`, has a
    /// refresh token, and nobody is redeeming it. Gives the new version, None when the caller must look
    /// again. The tokens in force stay the same, so the feed is not told.
    pub async fn begin_refresh(&self, id: GrantId, version: i64) -> Result<Option<i64>, StorageError> {
        write!(
            self,
            "note the intent to refresh",
            fetch_optional,
            sqlx::query_scalar(
                "UPDATE grants SET redeeming_number = refresh_number, version = version + 1 \
                 WHERE id = $1 AND version = $2 AND redeeming_number IS NULL AND refresh_token IS NOT NULL \
                 RETURNING version"
            )
            .bind(id.to_string())
            .bind(version)
        )
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

    /// At start-up: whatever was being redeemed when the process died is uncertain now. Gives their number.
    /// Only for a process that is alone with its database: a living replica's refresh would be hit too.
    pub async fn recover_interrupted_refreshes(&self, now: Timestamp) -> Result<u64, StorageError> {
        let mut tx = self.begin("recover interrupted refreshes").await?;
        let found = tx!(
            tx,
            fetch_all,
            sqlx::query_as::<_, GrantName>(concat!(
                "UPDATE grants SET state = 'uncertain', state_reason = NULL, redeeming_number = NULL, last_error = $1, \
                 version = version + 1 WHERE redeeming_number IS NOT NULL RETURNING ",
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
