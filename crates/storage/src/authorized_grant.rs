//! What a consent or a deposit brings: a new grant, or new tokens in the place of an existing one.

use crate::connect_request::complete;
use crate::error::StorageError;
use crate::gateway;
use crate::grant_row::{change_of, owner_columns, person, state_columns};
use crate::grant_status::{Settled, settle};
use crate::row::{NEVER, bytes_of, json, key_of, millis, or_never, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user;
use doorward_domain::{Grant, GrantId, NewAuditEvent};

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
    /// connect requests for the gateway are completed, unless it is a deposit that waits for its user.
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
        if let Some(user) = person(grant.owner).filter(|_| !grant.awaits_acceptance()) {
            let now = tx.now();
            complete(&mut tx, user, grant.gateway_id, now).await?;
        }
        tx.change(change_of(grant));
        tx.audit(audit);
        tx.commit().await?;
        Ok(StoredGrant::Stored { grant_id: grant.id, replaced })
    }
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
        .bind(text(&grant.label))
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
             provider, scopes_requested, scopes_granted, access_token, access_token_key_id, expires_at, \
             expires_soon_at, ends_at, dies_at, dies_soon_at, health, access_token_status, status_changes_at, \
             refresh_number, refresh_due_at, created_at, authorized_at, issued_at, last_used_at, failures, exchanged, version) \
             VALUES ($1, $2, $3, $4, $5, 'active', $6, '', '[]', '[]', $7, $8, 0, 0, 0, 0, 0, '', '', 0, 0, \
             $10, $9, $9, $9, 0, 0, $11, 0)"
        )
        .bind(grant.id.to_string())
        .bind(owner_kind)
        .bind(user.as_deref())
        .bind(grant.gateway_id.to_string())
        .bind(text(&grant.label))
        .bind(text(&grant.fingerprint.0))
        .bind(grant.tokens.access_token.bytes.as_slice())
        .bind(&grant.tokens.access_token.key_id.0)
        .bind(grant.created_at.millis())
        .bind(NEVER)
        .bind(grant.exchanged)
    )?;
    // What an insert and a replacement have in common is written by one statement.
    replace(tx, grant).await.map(drop)
}

/// Writes everything that a consent or a refresh may change, if the row is still at `grant.version`. When the
/// grant was last used is not among it: only [`Storage::touch_grants`] moves that, and only forward.
pub(crate) async fn replace(tx: &mut Tx, grant: &Grant) -> Result<bool, StorageError> {
    let (state, reason) = state_columns(grant.state);
    let marks = grant.clock_marks(tx.expiring_soon());
    let (tokens, refresh_token) = (&grant.tokens, grant.tokens.refresh_token.as_ref());
    let changed = tx!(
        tx,
        execute,
        sqlx::query(
            "UPDATE grants SET state = $1, state_reason = $2, provider = $3, fingerprint = $4, \
             account_subject = $5, account_name = $6, scopes_requested = $7, scopes_granted = $8, \
             access_token = $9, access_token_key_id = $10, refresh_token = $11, refresh_token_key_id = $12, \
             expires_at = $13, refresh_number = $14, redeeming_number = $15, authorized_at = $16, \
             issued_at = $17, last_refreshed_at = $18, retry_at = $19, failures = $20, last_error = $21, \
             provider_words = $22, reference = $23, expires_soon_at = $24, ends_at = $25, dies_at = $26, \
             dies_soon_at = $27, deposited_by = $28, id_token = $29, id_token_key_id = $30, exchanged = $31, version = version + 1 \
             WHERE id = $32 AND version = $33"
        )
        .bind(state)
        .bind(reason.as_deref())
        .bind(grant.fingerprint.provider())
        .bind(text(&grant.fingerprint.0))
        .bind(grant.account.as_ref().map(|account| text(&account.subject)))
        .bind(grant.account.as_ref().and_then(|account| account.name.as_deref()).map(text))
        .bind(json(&grant.scopes_requested))
        .bind(json(&grant.scopes_granted))
        .bind(tokens.access_token.bytes.as_slice())
        .bind(&tokens.access_token.key_id.0)
        .bind(bytes_of(refresh_token))
        .bind(key_of(refresh_token))
        .bind(or_never(tokens.expires_at))
        .bind(grant.refresh_number)
        .bind(grant.redeeming_number)
        .bind(grant.authorized_at.millis())
        .bind(grant.issued_at.millis())
        .bind(millis(grant.last_refreshed_at))
        .bind(millis(grant.retry_at))
        .bind(grant.failures)
        .bind(grant.last_error.as_deref().map(text))
        .bind(grant.provider_words.as_deref().map(text))
        .bind(grant.reference.as_deref().map(text))
        .bind(or_never(marks.expires_soon_at))
        .bind(or_never(grant.ends_at))
        .bind(or_never(marks.dies_at))
        .bind(or_never(marks.dies_soon_at))
        .bind(grant.deposited_by.as_deref().map(text))
        .bind(bytes_of(tokens.id_token.as_ref()))
        .bind(key_of(tokens.id_token.as_ref()))
        .bind(grant.exchanged)
        .bind(grant.id.to_string())
        .bind(grant.version)
    )?;
    if changed == 1 {
        settle(tx, Settled::One(grant.id)).await?;
    }
    Ok(changed == 1)
}
