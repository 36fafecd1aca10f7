//! Grants: stored after a consent, looked up, put into a state, ended. Every write is compare-and-swap on
//! the row's version (lesson R5): a losing write never lands.

use crate::connect_request::complete;
use crate::ended_grant::{GrantsOf, end_grants};
use crate::error::StorageError;
use crate::gateway;
use crate::grant_row::{
    GrantName, GrantRow, change_of, grant_columns, grant_name_columns, owner_columns, person, state_columns,
};
use crate::row::{bytes_of, json, key_of, millis, word};
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user;
use doorward_domain::{
    Fingerprint, GatewayId, Grant, GrantId, GrantOwner, GrantState, NewAuditEvent, ReauthorizationReason,
    Timestamp, UserId,
};

/// What became of a grant that a consent made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum StoredGrant {
    Stored {
        grant_id: GrantId,
        /// There was a grant before, whose tokens these replaced.
        replaced: bool,
    },
    /// The grant that was there when the caller looked has changed, ended, or only just appeared. Nothing was
    /// written: look again, seal for the id that is there, and try again.
    Conflict,
    /// The person or the gateway is gone or disabled; nothing was written.
    Gone,
}

impl Storage {
    /// Stores what a consent brought: a new grant (`version` 0: there was none) or new tokens in the place of
    /// an existing one (same id, and the `version` that was read). It is stored at `version + 1`. The person's
    /// connect requests for the gateway are completed.
    pub async fn store_authorized_grant(
        &self,
        grant: &Grant,
        audit: NewAuditEvent,
    ) -> Result<StoredGrant, StorageError> {
        let mut tx = self.begin("store a grant").await?;
        if !may_be_granted(&mut tx, grant).await? {
            return Ok(StoredGrant::Gone);
        }
        let replaced = match existing(&mut tx, grant).await? {
            None if grant.version == 0 => {
                insert(&mut tx, grant).await?;
                false
            }
            Some(id) if id == grant.id.to_string() && replace(&mut tx, grant).await? => true,
            _ => return Ok(StoredGrant::Conflict),
        };
        if let Some(user) = person(grant.owner) {
            let now = tx.now();
            complete(&mut tx, user, grant.gateway_id, now).await?;
        }
        tx.change(change_of(grant));
        tx.audit(audit);
        tx.commit().await?;
        Ok(StoredGrant::Stored { grant_id: grant.id, replaced })
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
    pub async fn grant_of(&self, owner: GrantOwner, gateway: GatewayId) -> Result<Option<Grant>, StorageError> {
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

    /// Puts a grant into a state, if it is still at `version`; whatever was being redeemed is no longer.
    /// False: somebody was faster, and nothing was written.
    #[expect(clippy::too_many_arguments, reason = "the columns of one verdict; a struct would only rename them")]
    pub async fn set_grant_state(
        &self,
        id: GrantId,
        version: i64,
        state: GrantState,
        last_error: Option<&str>,
        retry_at: Option<Timestamp>,
        failures: i64,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let (state, reason, orphaned_since) = state_columns(state);
        let mut tx = self.begin("change the state of a grant").await?;
        let changed = tx!(
            tx,
            fetch_optional,
            sqlx::query_as::<_, GrantName>(concat!(
                "UPDATE grants SET state = $1, state_reason = $2, orphaned_since = $3, last_error = $4, \
                 retry_at = $5, failures = $6, redeeming_number = NULL, version = version + 1 \
                 WHERE id = $7 AND version = $8 RETURNING ",
                grant_name_columns!()
            ))
            .bind(state)
            .bind(reason.as_deref())
            .bind(orphaned_since)
            .bind(last_error)
            .bind(millis(retry_at))
            .bind(failures)
            .bind(id.to_string())
            .bind(version)
        )?;
        let Some(changed) = changed else { return Ok(false) };
        tx.change(changed.change()?);
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Notes when grants last served a call, in one transaction. No cache shows it, so the feed is not told,
    /// and the version stays.
    pub async fn touch_grants(&self, used: &[(GrantId, Timestamp)]) -> Result<(), StorageError> {
        let mut tx = self.begin("note the use of grants").await?;
        // Two replicas that write the same rows in the same order cannot wait for each other in a circle.
        let mut used = used.to_vec();
        used.sort_unstable();
        for (id, at) in used {
            tx!(
                tx,
                execute,
                sqlx::query(
                    "UPDATE grants SET last_used_at = $1 \
                     WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)"
                )
                .bind(at.millis())
                .bind(id.to_string())
            )?;
        }
        tx.commit().await
    }

    /// Ends a grant, whatever its version, and whatever was pending between its owner and the gateway; it is
    /// listed as ended, with its cause. Gives the grant as it was, None when there was none.
    pub async fn delete_grant(
        &self,
        id: GrantId,
        cause: &str,
        audit: NewAuditEvent,
    ) -> Result<Option<Grant>, StorageError> {
        let mut tx = self.begin("end a grant").await?;
        let row = tx!(
            tx,
            fetch_optional,
            sqlx::query_as::<_, GrantRow>(concat!(
                "UPDATE grants SET version = version WHERE id = $1 RETURNING ",
                grant_columns!()
            ))
            .bind(id.to_string())
        )?;
        let Some(grant) = row.map(GrantRow::into_grant).transpose()? else { return Ok(None) };
        end_grants(&mut tx, GrantsOf::One(id), cause, &audit.actor).await?;
        tx.audit(audit);
        tx.commit().await?;
        Ok(Some(grant))
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
            "UPDATE grants SET state = 'needs_authorization', state_reason = $1, orphaned_since = NULL, \
             redeeming_number = NULL, version = version + 1 \
             WHERE gateway_id = $2 AND fingerprint <> $3 AND state <> 'needs_authorization' RETURNING ",
            grant_name_columns!()
        ))
        .bind(word(reason))
        .bind(gateway.to_string())
        .bind(&fingerprint.0)
    )?;
    for grant in &parked {
        tx.change(grant.change()?);
    }
    Ok(parked.len() as u64)
}

/// Both rows are locked, always the person's first, so that nobody is disabled or deleted meanwhile.
async fn may_be_granted(tx: &mut Tx, grant: &Grant) -> Result<bool, StorageError> {
    if let Some(id) = person(grant.owner)
        && user::lock(tx, id).await?.is_none_or(|user| user.state != "active")
    {
        return Ok(false);
    }
    let gateway = gateway::lock(tx, grant.gateway_id).await?;
    Ok(gateway.is_some_and(|gateway| gateway.state != "disabled"))
}

async fn existing(tx: &mut Tx, grant: &Grant) -> Result<Option<String>, StorageError> {
    let (kind, user) = owner_columns(grant.owner);
    tx!(
        tx,
        fetch_optional,
        sqlx::query_scalar(
            "SELECT id FROM grants WHERE gateway_id = $1 AND label = $2 AND owner_kind = $3 \
             AND COALESCE(user_id, '') = $4"
        )
        .bind(grant.gateway_id.to_string())
        .bind(&grant.label)
        .bind(kind)
        .bind(user.as_deref().unwrap_or_default())
    )
}

async fn insert(tx: &mut Tx, grant: &Grant) -> Result<(), StorageError> {
    let (owner_kind, user) = owner_columns(grant.owner);
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO grants (id, owner_kind, user_id, gateway_id, label, state, fingerprint, \
             scopes_requested, scopes_granted, access_token, access_token_key_id, refresh_number, created_at, \
             authorized_at, issued_at, failures, version) \
             VALUES ($1, $2, $3, $4, $5, 'active', $6, '[]', '[]', $7, $8, 0, $9, $9, $9, 0, 0)"
        )
        .bind(grant.id.to_string())
        .bind(owner_kind)
        .bind(user.as_deref())
        .bind(grant.gateway_id.to_string())
        .bind(&grant.label)
        .bind(&grant.fingerprint.0)
        .bind(grant.tokens.access_token.bytes.as_slice())
        .bind(&grant.tokens.access_token.key_id.0)
        .bind(grant.created_at.millis())
    )?;
    // What an insert and a replacement have in common is written by one statement.
    replace(tx, grant).await.map(drop)
}

/// Writes everything that a consent or a refresh may change, if the row is still at `grant.version`.
pub(crate) async fn replace(tx: &mut Tx, grant: &Grant) -> Result<bool, StorageError> {
    let (state, reason, orphaned_since) = state_columns(grant.state);
    let (tokens, refresh_token) = (&grant.tokens, grant.tokens.refresh_token.as_ref());
    let changed = tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE grants SET state = $1, state_reason = $2, orphaned_since = $3, fingerprint = $4, \
             account_subject = $5, account_name = $6, scopes_requested = $7, scopes_granted = $8, \
             access_token = $9, access_token_key_id = $10, refresh_token = $11, refresh_token_key_id = $12, \
             expires_at = $13, refresh_number = $14, redeeming_number = $15, authorized_at = $16, \
             issued_at = $17, last_used_at = $18, last_refreshed_at = $19, retry_at = $20, failures = $21, \
             last_error = $22, version = version + 1 WHERE id = $23 AND version = $24"
        )
        .bind(state)
        .bind(reason.as_deref())
        .bind(orphaned_since)
        .bind(&grant.fingerprint.0)
        .bind(grant.account.as_ref().map(|account| account.subject.as_str()))
        .bind(grant.account.as_ref().and_then(|account| account.name.as_deref()))
        .bind(json(&grant.scopes_requested))
        .bind(json(&grant.scopes_granted))
        .bind(tokens.access_token.bytes.as_slice())
        .bind(&tokens.access_token.key_id.0)
        .bind(bytes_of(refresh_token))
        .bind(key_of(refresh_token))
        .bind(millis(tokens.expires_at))
        .bind(grant.refresh_number)
        .bind(grant.redeeming_number)
        .bind(grant.authorized_at.millis())
        .bind(grant.issued_at.millis())
        .bind(millis(grant.last_used_at))
        .bind(millis(grant.last_refreshed_at))
        .bind(millis(grant.retry_at))
        .bind(grant.failures)
        .bind(grant.last_error.as_deref())
        .bind(grant.id.to_string())
        .bind(grant.version)
    )?;
    Ok(changed == 1)
}
