//! The outbox of dynamic registrations that nobody uses any more. It is written where they go, in the same
//! transaction; the sealed bytes keep the place that they were sealed for. What the outbox of revocations still
//! needs a client for is told first.

use crate::error::StorageError;
use crate::row::{RowName, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{GatewayId, NewAuditEvent, RegistrationRemoval, Timestamp};
use std::time::Duration;

#[derive(sqlx::FromRow)]
struct RemovalRow {
    registration_id: String,
    gateway_slug: String,
    issuer: String,
    client_id: String,
    handle: Option<Vec<u8>>,
    handle_key_id: Option<String>,
    attempts: i64,
    created_at: i64,
}

impl RemovalRow {
    fn into_removal(self) -> Result<RegistrationRemoval, StorageError> {
        let row = RowName { table: "registration_removals", id: &self.registration_id };
        let handle = row.sealed("handle", self.handle, self.handle_key_id)?;
        Ok(RegistrationRemoval {
            registration_id: row.parse("registration_id", &self.registration_id)?,
            handle: row.required("handle", handle)?,
            gateway_slug: self.gateway_slug,
            issuer: self.issuer,
            client_id: self.client_id,
            attempts: self.attempts,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

/// Queues the registrations of a gateway that can be removed, but for the client that it keeps.
pub(crate) async fn queue(
    tx: &mut Tx,
    gateway: GatewayId,
    kept: &str,
    kept_client: &str,
) -> Result<(), StorageError> {
    let now = tx.now().millis();
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO registration_removals (registration_id, gateway_slug, issuer, client_id, handle, \
             handle_key_id, attempts, next_attempt_at, created_at) \
             SELECT r.id, g.slug, r.issuer, r.client_id, r.handle, r.handle_key_id, 0, $1, $1 \
             FROM client_registrations r JOIN gateways g ON g.id = r.gateway_id \
             WHERE r.gateway_id = $2 AND r.handle IS NOT NULL AND (r.id <> $3 OR r.client_id <> $4) \
             ON CONFLICT (registration_id) DO NOTHING"
        )
        .bind(now)
        .bind(gateway.to_string())
        .bind(text(kept))
        .bind(text(kept_client))
    )
    .map(drop)
}

impl Storage {
    /// Takes up to `limit` registrations whose time has come and that nothing in the outbox of revocations needs any
    /// more, for so long; nobody else has them meanwhile.
    pub async fn take_registration_removals(
        &self,
        limit: u32,
        for_so_long: Duration,
    ) -> Result<Vec<RegistrationRemoval>, StorageError> {
        let now = self.clock().now();
        let rows = write!(
            self,
            "take up registrations that are to be removed",
            fetch_all,
            sqlx::query_as::<_, RemovalRow>(
                "UPDATE registration_removals SET attempts = attempts + 1, next_attempt_at = $2 \
                 WHERE next_attempt_at <= $1 AND registration_id IN (SELECT registration_id \
                 FROM registration_removals r WHERE next_attempt_at <= $1 AND NOT EXISTS \
                 (SELECT 1 FROM provider_revocations p WHERE p.client_registration_id = r.registration_id) \
                 ORDER BY next_attempt_at LIMIT $3) RETURNING *"
            )
            .bind(now.millis())
            .bind(now.plus(for_so_long).millis())
            .bind(i64::from(limit))
        )?;
        rows.into_iter().map(RemovalRow::into_removal).collect()
    }

    /// Whether some registration is to be removed now.
    pub async fn registration_removals_due(&self) -> Result<bool, StorageError> {
        let next: Option<i64> = read!(
            self,
            "look for registrations that are to be removed",
            fetch_one,
            sqlx::query_scalar("SELECT min(next_attempt_at) FROM registration_removals")
        )?;
        Ok(next.is_some_and(|next| next <= self.clock().now().millis()))
    }

    /// Puts a removal off, unless it is no longer the taker's.
    pub async fn put_off_registration_removal(
        &self,
        removal: &RegistrationRemoval,
        until: Timestamp,
    ) -> Result<(), StorageError> {
        write!(
            self,
            "put off the removal of a registration",
            execute,
            sqlx::query(
                "UPDATE registration_removals SET next_attempt_at = $1 \
                 WHERE registration_id = $2 AND attempts = $3"
            )
            .bind(until.millis())
            .bind(removal.registration_id.to_string())
            .bind(removal.attempts)
        )
        .map(drop)
    }

    /// Deletes a removal with its secret, however it ended, unless it is no longer the taker's.
    pub async fn finish_registration_removal(
        &self,
        removal: &RegistrationRemoval,
        audit: NewAuditEvent,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin("finish the removal of a registration").await?;
        let deleted = tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM registration_removals WHERE registration_id = $1 AND attempts = $2")
                .bind(removal.registration_id.to_string())
                .bind(removal.attempts)
        )?;
        if deleted == 1 {
            tx.audit(audit);
        }
        tx.commit().await
    }
}
