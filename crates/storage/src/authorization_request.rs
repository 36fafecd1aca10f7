//! Pending browser round trips. Any process may finish what another began (lesson R36); of many that try at
//! once, one takes the request.

use crate::error::StorageError;
use crate::row::{RowName, json, text, word};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{AuthorizationRequest, Fingerprint, NewAuditEvent, Timestamp, TokenHash, UserId};
use std::time::Duration;

/// How long an ended request is remembered, so that a late callback is told that it came late.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// What a callback found under its `state`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "one per callback, and its holder would take it out of a box at once"
)]
pub enum TakenAuthorizationRequest {
    /// It is the caller's, and nobody else can take it any more.
    Taken(AuthorizationRequest),
    /// Never begun, or taken before.
    Unknown,
    /// It ended before the callback came; it is consumed.
    Expired,
    /// Somebody else began it; it is untouched.
    OtherUser,
    /// The same person began it in another browser; it is untouched.
    OtherBrowser,
}

macro_rules! columns {
    () => {
        "id, user_id, gateway_id, connect_request_id, state_hash, cookie_hash, pkce_verifier, \
         pkce_verifier_key_id, expected_issuer, iss_promised, fingerprint, scopes, purpose, \
         created_at, expires_at"
    };
}

#[derive(sqlx::FromRow)]
struct AuthorizationRequestRow {
    id: String,
    user_id: String,
    gateway_id: String,
    connect_request_id: Option<String>,
    state_hash: Vec<u8>,
    cookie_hash: Vec<u8>,
    pkce_verifier: Vec<u8>,
    pkce_verifier_key_id: String,
    expected_issuer: Option<String>,
    iss_promised: bool,
    fingerprint: String,
    scopes: String,
    purpose: String,
    created_at: i64,
    expires_at: i64,
}

impl AuthorizationRequestRow {
    fn into_request(self) -> Result<AuthorizationRequest, StorageError> {
        let row = RowName { table: "authorization_requests", id: &self.id };
        let verifier =
            row.sealed("pkce_verifier", Some(self.pkce_verifier), Some(self.pkce_verifier_key_id))?;
        Ok(AuthorizationRequest {
            id: row.parse("id", &self.id)?,
            user_id: row.parse("user_id", &self.user_id)?,
            gateway_id: row.parse("gateway_id", &self.gateway_id)?,
            connect_request_id: row
                .parse_optional("connect_request_id", self.connect_request_id.as_deref())?,
            state_hash: row.hash("state_hash", &self.state_hash)?,
            cookie_hash: row.hash("cookie_hash", &self.cookie_hash)?,
            pkce_verifier: row.required("pkce_verifier", verifier)?,
            scopes: row.json("scopes", &self.scopes)?,
            purpose: row.word("purpose", &self.purpose)?,
            expected_issuer: self.expected_issuer,
            iss_promised: self.iss_promised,
            fingerprint: Fingerprint(self.fingerprint),
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}

impl Storage {
    /// Keeps a round trip that begins; ones that ended long ago are swept on the way.
    pub async fn insert_authorization_request(
        &self,
        request: &AuthorizationRequest,
        audit: NewAuditEvent,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin("begin an authorization").await?;
        let before = tx.now().minus(REMEMBERED).millis();
        tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM authorization_requests WHERE expires_at < $1").bind(before)
        )?;
        insert(&mut tx, request).await?;
        tx.audit(audit);
        tx.commit().await
    }

    /// Forgets the oldest round trips of a person, beyond so many.
    pub async fn limit_authorization_requests(&self, user: UserId, most: u32) -> Result<u64, StorageError> {
        write!(
            self,
            "limit authorization requests",
            execute,
            sqlx::query(
                "DELETE FROM authorization_requests WHERE id IN (SELECT id FROM authorization_requests \
                 WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $2)"
            )
            .bind(user.to_string())
            .bind(i64::from(most))
        )
    }

    /// Looks at a round trip without consuming it, ended ones included.
    pub async fn authorization_request_by_state(
        &self,
        state_hash: TokenHash,
    ) -> Result<Option<AuthorizationRequest>, StorageError> {
        let row = read!(
            self,
            "look for an authorization request",
            fetch_optional,
            sqlx::query_as::<_, AuthorizationRequestRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM authorization_requests WHERE state_hash = $1"
            ))
            .bind(state_hash.0.as_slice())
        )?;
        row.map(AuthorizationRequestRow::into_request).transpose()
    }

    /// Takes a round trip for the callback of `user` in the browser that holds the cookie. It is single
    /// use: the row goes when it is taken or has ended. A mismatch consumes nothing.
    pub async fn take_authorization_request(
        &self,
        state_hash: TokenHash,
        cookie_hash: TokenHash,
        user: UserId,
        now: Timestamp,
    ) -> Result<TakenAuthorizationRequest, StorageError> {
        let Some(request) = self.authorization_request_by_state(state_hash).await? else {
            return Ok(TakenAuthorizationRequest::Unknown);
        };
        if request.user_id != user {
            return Ok(TakenAuthorizationRequest::OtherUser);
        }
        if request.cookie_hash != cookie_hash {
            return Ok(TakenAuthorizationRequest::OtherBrowser);
        }
        // What was read never changes, so only the delete has to be atomic: it decides who takes it.
        let taken = write!(
            self,
            "take an authorization request",
            execute,
            sqlx::query("DELETE FROM authorization_requests WHERE id = $1").bind(request.id.to_string())
        )?;
        Ok(match taken {
            0 => TakenAuthorizationRequest::Unknown,
            _ if now >= request.expires_at => TakenAuthorizationRequest::Expired,
            _ => TakenAuthorizationRequest::Taken(request),
        })
    }
}

async fn insert(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query(
            "INSERT INTO authorization_requests (id, user_id, gateway_id, connect_request_id, state_hash, \
             cookie_hash, pkce_verifier, pkce_verifier_key_id, expected_issuer, iss_promised, fingerprint, \
             scopes, purpose, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
        )
        .bind(request.id.to_string())
        .bind(request.user_id.to_string())
        .bind(request.gateway_id.to_string())
        .bind(request.connect_request_id.map(|id| id.to_string()))
        .bind(request.state_hash.0.as_slice())
        .bind(request.cookie_hash.0.as_slice())
        .bind(request.pkce_verifier.bytes.as_slice())
        .bind(&request.pkce_verifier.key_id.0)
        .bind(request.expected_issuer.as_deref().map(text))
        .bind(request.iss_promised)
        .bind(text(&request.fingerprint.0))
        .bind(json(&request.scopes))
        .bind(word(request.purpose))
        .bind(request.created_at.millis())
        .bind(request.expires_at.millis())
    )
    .map(drop)
}

/// Ends the round trips that a user has under way.
pub(crate) async fn forget_authorization_requests(tx: &mut Tx, user: UserId) -> Result<(), StorageError> {
    tx!(
        tx,
        execute,
        sqlx::query("DELETE FROM authorization_requests WHERE user_id = $1").bind(user.to_string())
    )
    .map(drop)
}
