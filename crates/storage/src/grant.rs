//! Grants: looked up, put into a state, ended. Every write is compare-and-swap on the row's version (lesson
//! R5): a losing write never lands.

use crate::error::StorageError;
use crate::grant_row::{
    GrantName, GrantRow, change_of, grant_columns, grant_name_columns, owner_columns, state_columns,
};
use crate::grant_status::{Settled, settle};
use crate::row::{NEVER, RowName, millis, text, word};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{
    Fingerprint, GatewayId, Grant, GrantId, GrantOwner, GrantState, NewAuditEvent, ReauthorizationReason,
    Timestamp, UserId,
};
use std::collections::BTreeSet;

impl Storage {
    /// Which gateways have a grant of anybody.
    pub async fn gateways_with_grants(&self) -> Result<BTreeSet<GatewayId>, StorageError> {
        let ids: Vec<String> = read!(
            self,
            "look which gateways have grants",
            fetch_all,
            sqlx::query_scalar(
                "SELECT id FROM gateways WHERE EXISTS (SELECT 1 FROM grants WHERE grants.gateway_id = gateways.id)"
            )
        )?;
        ids.iter().map(|id| RowName { table: "gateways", id }.parse("id", id)).collect()
    }

    /// The grant with an id.
    pub async fn grant(&self, id: GrantId) -> Result<Option<Grant>, StorageError> {
        let row = read!(
            self,
            "read a grant",
            fetch_optional,
            sqlx::query_as::<_, GrantRow>(concat!("SELECT ", grant_columns!(), " FROM grants WHERE id = $1"))
                .bind(id.to_string())
        )?;
        row.map(GrantRow::into_grant).transpose()
    }

    /// The default grant of an owner at a gateway (the one with an empty label).
    pub async fn grant_of(
        &self,
        owner: GrantOwner,
        gateway: GatewayId,
    ) -> Result<Option<Grant>, StorageError> {
        let (kind, user) = owner_columns(owner);
        let row = read!(
            self,
            "look for a grant",
            fetch_optional,
            sqlx::query_as::<_, GrantRow>(concat!(
                "SELECT ",
                grant_columns!(),
                " FROM grants WHERE gateway_id = $1 AND label = '' AND owner_kind = $2 \
                 AND COALESCE(user_id, '') = $3"
            ))
            .bind(gateway.to_string())
            .bind(kind)
            .bind(user.as_deref().unwrap_or_default())
        )?;
        row.map(GrantRow::into_grant).transpose()
    }

    /// All grants of a person, oldest first.
    pub async fn grants_of_user(&self, user: UserId) -> Result<Vec<Grant>, StorageError> {
        let rows = read!(
            self,
            "list the grants of a person",
            fetch_all,
            sqlx::query_as::<_, GrantRow>(concat!(
                "SELECT ",
                grant_columns!(),
                " FROM grants WHERE user_id = $1 ORDER BY created_at, id"
            ))
            .bind(user.to_string())
        )?;
        rows.into_iter().map(GrantRow::into_grant).collect()
    }

    /// Puts a grant into the state that `grant` has (with its last error and what belongs to it, its failures
    /// and when to try again), if the row is still at `grant.version`. Whatever was being redeemed is no longer;
    /// but an uncertain grant keeps the intent that `grant` has: the one recovery that it may have was sent.
    /// False: somebody was faster, and nothing was written.
    pub async fn set_grant_state(&self, grant: &Grant, audit: NewAuditEvent) -> Result<bool, StorageError> {
        let (state, reason) = state_columns(grant.state);
        let redeeming = grant.redeeming_number.filter(|_| grant.state == GrantState::Uncertain);
        let mut tx = self.begin("change the state of a grant").await?;
        let changed = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE grants SET state = $1, state_reason = $2, last_error = $3, provider_words = $4, \
                 reference = $5, retry_at = $6, failures = $7, redeeming_number = $8, version = version + 1 \
                 WHERE id = $9 AND version = $10"
            )
            .bind(state)
            .bind(reason.as_deref())
            .bind(grant.last_error.as_deref().map(text))
            .bind(grant.provider_words.as_deref().map(text))
            .bind(grant.reference.as_deref().map(text))
            .bind(millis(grant.retry_at))
            .bind(grant.failures)
            .bind(redeeming)
            .bind(grant.id.to_string())
            .bind(grant.version)
        )?;
        if changed == 0 {
            return Ok(false);
        }
        settle(&mut tx, Settled::One(grant.id)).await?;
        tx.change(change_of(grant));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Notes when grants last served a call, in one transaction; one that nobody had used for long is
    /// refreshed by the clock again. No cache shows it, so the feed is not told, and the version stays.
    pub async fn touch_grants(&self, used: &[(GrantId, Timestamp)]) -> Result<(), StorageError> {
        let mut tx = self.begin("note the use of grants").await?;
        // Two replicas that write the same rows in the same order cannot wait for each other in a circle.
        let mut used = used.to_vec();
        used.sort_unstable();
        for (id, at) in used {
            let due: Option<i64> = tx!(
                tx,
                fetch_optional,
                sqlx::query_scalar(
                    "UPDATE grants SET last_used_at = $1 WHERE id = $2 AND last_used_at < $1 \
                     RETURNING CASE WHEN refresh_token IS NULL AND owner_kind = 'user' THEN 0 \
                     ELSE refresh_due_at END"
                )
                .bind(at.millis())
                .bind(id.to_string())
            )?;
            if due == Some(NEVER) {
                settle(&mut tx, Settled::One(id)).await?;
            }
        }
        tx.commit().await
    }
}

/// Parks every grant of a gateway whose tokens were given for another place; how many that were.
pub(crate) async fn park_grants(
    tx: &mut Tx,
    gateway: GatewayId,
    fingerprint: &Fingerprint,
    reason: ReauthorizationReason,
) -> Result<u64, StorageError> {
    let parked = tx!(
        tx,
        fetch_all,
        sqlx::query_as::<_, GrantName>(concat!(
            "UPDATE grants SET state = 'needs_authorization', state_reason = $1, redeeming_number = NULL, \
             version = version + 1 \
             WHERE gateway_id = $2 AND fingerprint <> $3 AND state <> 'needs_authorization' RETURNING ",
            grant_name_columns!()
        ))
        .bind(word(reason))
        .bind(gateway.to_string())
        .bind(text(&fingerprint.0))
    )?;
    for grant in &parked {
        tx.change(grant.change()?);
    }
    settle(tx, Settled::Gateway(gateway)).await?;
    Ok(parked.len() as u64)
}
