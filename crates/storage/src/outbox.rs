//! The outbox as it is worked off. Whoever takes a row up has it for a while; one that is finished goes with its
//! secrets, and its receipt stays with the ended grant.

use crate::error::StorageError;
use crate::row::{RowName, bytes_of, key_of, text, word};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{
    Actor, Fingerprint, Gateway, Grant, GrantId, NewAuditEvent, ProviderRevocation, Receipt,
    RevocationMethod, Timestamp, may_be_told,
};
use std::time::Duration;

#[derive(sqlx::FromRow)]
struct OutboxRow {
    grant_id: String,
    gateway_slug: String,
    method: String,
    revocation_url: String,
    token_url: String,
    issuer: Option<String>,
    fingerprint: String,
    client_id: String,
    client_registration_id: String,
    client_secret: Option<Vec<u8>>,
    client_secret_key_id: Option<String>,
    client_secret_fingerprint: String,
    token_endpoint_auth: String,
    assertion_kid: Option<String>,
    access_token: Option<Vec<u8>>,
    access_token_key_id: Option<String>,
    refresh_token: Option<Vec<u8>>,
    refresh_token_key_id: Option<String>,
    attempts: i64,
    created_at: i64,
}

impl OutboxRow {
    fn into_revocation(self) -> Result<ProviderRevocation, StorageError> {
        let row = RowName { table: "provider_revocations", id: &self.grant_id };
        Ok(ProviderRevocation {
            grant_id: row.parse("grant_id", &self.grant_id)?,
            method: row.word("method", &self.method)?,
            revocation_url: row.parse("revocation_url", &self.revocation_url)?,
            token_url: row.parse("token_url", &self.token_url)?,
            registration_id: row.parse("client_registration_id", &self.client_registration_id)?,
            client_secret: row.sealed("client_secret", self.client_secret, self.client_secret_key_id)?,
            token_endpoint_auth: row.word("token_endpoint_auth", &self.token_endpoint_auth)?,
            assertion_kid: self.assertion_kid,
            access_token: row.sealed("access_token", self.access_token, self.access_token_key_id)?,
            refresh_token: row.sealed("refresh_token", self.refresh_token, self.refresh_token_key_id)?,
            gateway_slug: self.gateway_slug,
            issuer: self.issuer,
            fingerprint: Fingerprint(self.fingerprint),
            client_id: self.client_id,
            client_secret_fingerprint: Fingerprint(self.client_secret_fingerprint),
            attempts: self.attempts,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

impl Storage {
    /// Takes up to `limit` rows that are due, for so long; nobody else has them meanwhile. Who does not finish
    /// in time has lost them to the next that asks.
    pub async fn take_provider_revocations(
        &self,
        limit: u32,
        for_so_long: Duration,
    ) -> Result<Vec<ProviderRevocation>, StorageError> {
        let now = self.clock().now();
        let rows = write!(
            self,
            "take up what providers are to be told",
            fetch_all,
            sqlx::query_as::<_, OutboxRow>(
                "UPDATE provider_revocations SET attempts = attempts + 1, next_attempt_at = $2 \
                 WHERE next_attempt_at <= $1 AND grant_id IN (SELECT grant_id FROM provider_revocations \
                 WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $3) RETURNING *"
            )
            .bind(now.millis())
            .bind(now.plus(for_so_long).millis())
            .bind(i64::from(limit))
        )?;
        rows.into_iter().map(OutboxRow::into_revocation).collect()
    }

    /// Whether something is due in the outbox.
    pub async fn provider_revocations_due(&self) -> Result<bool, StorageError> {
        let next: Option<i64> = read!(
            self,
            "look into the outbox",
            fetch_one,
            sqlx::query_scalar("SELECT min(next_attempt_at) FROM provider_revocations")
        )?;
        Ok(next.is_some_and(|next| next <= self.clock().now().millis()))
    }

    /// Puts a row off, unless it is no longer the taker's.
    pub async fn put_off_provider_revocation(
        &self,
        revocation: &ProviderRevocation,
        until: Timestamp,
    ) -> Result<(), StorageError> {
        write!(
            self,
            "put off what a provider is to be told",
            execute,
            sqlx::query(
                "UPDATE provider_revocations SET next_attempt_at = $1 WHERE grant_id = $2 AND attempts = $3"
            )
            .bind(until.millis())
            .bind(revocation.grant_id.to_string())
            .bind(revocation.attempts)
        )
        .map(drop)
    }

    /// Writes how it ended and deletes the row with its secrets, unless it is no longer the taker's: then false.
    pub async fn finish_provider_revocation(
        &self,
        revocation: &ProviderRevocation,
        receipt: Receipt,
        detail: Option<&str>,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("write a provider's receipt").await?;
        let deleted = tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM provider_revocations WHERE grant_id = $1 AND attempts = $2")
                .bind(revocation.grant_id.to_string())
                .bind(revocation.attempts)
        )?;
        if deleted == 0 {
            return Ok(false);
        }
        let user = write_receipt(&mut tx, revocation.grant_id, receipt, detail).await?;
        let mut event = NewAuditEvent::new(Actor::System, "grant.provider_told")
            .subject(revocation.grant_id)
            .detail("gateway", &revocation.gateway_slug)
            .detail("receipt", word(receipt))
            .detail("attempts", revocation.attempts);
        if let Some(detail) = detail {
            event = event.detail("answer", detail);
        }
        if let Some(user) = user {
            event.user_id = Some(RowName { table: "ended_grants", id: &user }.parse("user_id", &user)?);
        }
        tx.audit(event);
        tx.commit().await?;
        Ok(true)
    }

    /// Puts tokens that a refresh brought too late into the outbox: their grant has ended meanwhile (lesson R24).
    /// `grant` holds them, sealed. False: the grant has not ended, or its provider was not to be told.
    pub async fn tell_of_late_tokens(&self, gateway: &Gateway, grant: &Grant) -> Result<bool, StorageError> {
        let Some(settings) = gateway.oauth() else { return Ok(false) };
        let same_place = gateway.fingerprint().as_ref() == Some(&grant.fingerprint);
        let Some(url) = settings
            .revocation_url
            .as_ref()
            .filter(|url| same_place && may_be_told(&settings.token_url, settings.issuer.as_deref(), url))
        else {
            return Ok(false);
        };
        let mut tx = self.begin("tell a provider of late tokens").await?;
        if !was_told(&mut tx, grant.id).await? {
            return Ok(false);
        }
        let (registration, now) = (&settings.registration, tx.now().millis());
        let by_refresh_token = settings.facts.revocation_method == RevocationMethod::Rfc7009;
        let refresh_token = grant.tokens.refresh_token.as_ref().filter(|_| by_refresh_token);
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO provider_revocations (grant_id, gateway_slug, method, revocation_url, token_url, issuer, \
                 fingerprint, client_id, client_registration_id, client_secret, client_secret_key_id, \
                 client_secret_fingerprint, token_endpoint_auth, assertion_kid, access_token, access_token_key_id, \
                 refresh_token, refresh_token_key_id, attempts, next_attempt_at, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0, $19, $19) \
                 ON CONFLICT (grant_id) DO UPDATE SET access_token = excluded.access_token, \
                 access_token_key_id = excluded.access_token_key_id, refresh_token = excluded.refresh_token, \
                 refresh_token_key_id = excluded.refresh_token_key_id, \
                 attempts = provider_revocations.attempts + 1, next_attempt_at = excluded.next_attempt_at"
            )
            .bind(grant.id.to_string())
            .bind(gateway.slug.as_str())
            .bind(word(settings.facts.revocation_method))
            .bind(url.as_str())
            .bind(settings.token_url.as_str())
            .bind(settings.issuer.as_deref().map(text))
            .bind(text(&grant.fingerprint.0))
            .bind(text(&registration.client_id))
            .bind(registration.id.to_string())
            .bind(bytes_of(registration.client_secret.as_ref()))
            .bind(key_of(registration.client_secret.as_ref()))
            .bind(text(&registration.fingerprint.0))
            .bind(word(registration.token_endpoint_auth))
            .bind(registration.assertion_kid.as_deref().map(text))
            .bind(bytes_of(Some(&grant.tokens.access_token)))
            .bind(key_of(Some(&grant.tokens.access_token)))
            .bind(bytes_of(refresh_token))
            .bind(key_of(refresh_token))
            .bind(now)
        )?;
        let why = "a refresh that was under way brought new tokens";
        write_receipt(&mut tx, grant.id, Receipt::Pending, Some(why)).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Whether the provider was told of the end of a grant, or is to be: then it may be told more.
async fn was_told(tx: &mut Tx, grant: GrantId) -> Result<bool, StorageError> {
    let told: i64 = tx!(
        tx,
        fetch_one,
        sqlx::query_scalar(
            "SELECT count(*) FROM ended_grants WHERE grant_id = $1 \
             AND receipt IN ('pending', 'ended_at_provider', 'refused', 'gave_up')"
        )
        .bind(grant.to_string())
    )?;
    Ok(told > 0)
}

/// Writes a receipt; gives whose grant it was.
async fn write_receipt(
    tx: &mut Tx,
    grant: GrantId,
    receipt: Receipt,
    detail: Option<&str>,
) -> Result<Option<String>, StorageError> {
    let now = tx.now().millis();
    let user: Option<Option<String>> = tx!(
        tx,
        fetch_optional,
        sqlx::query_scalar(
            "UPDATE ended_grants SET receipt = $1, receipt_detail = $2, receipt_at = $3 WHERE grant_id = $4 \
             RETURNING user_id"
        )
        .bind(word(receipt))
        .bind(detail.map(text))
        .bind(now)
        .bind(grant.to_string())
    )?;
    Ok(user.flatten())
}
