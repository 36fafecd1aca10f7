//! API tokens: found by the hash of their value, kept after their end so that lists can show them.

use crate::error::StorageError;
use crate::row::{RowName, json, millis, moment, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user::is_still;
use doorward_domain::{ApiToken, ApiTokenId, Change, GatewayId, NewAuditEvent, Timestamp, TokenHash, UserId};

macro_rules! columns {
    () => {
        "id, user_id, name, hash, hint, audience, gateways, created_at, expires_at, last_used_at, ended_at"
    };
}

#[derive(sqlx::FromRow)]
struct ApiTokenRow {
    id: String,
    user_id: String,
    name: String,
    hash: Vec<u8>,
    hint: String,
    audience: String,
    gateways: Option<String>,
    created_at: i64,
    expires_at: i64,
    last_used_at: Option<i64>,
    ended_at: Option<i64>,
}

impl ApiTokenRow {
    fn into_token(self) -> Result<ApiToken, StorageError> {
        let row = RowName { table: "api_tokens", id: &self.id };
        let gateways = self.gateways.as_deref().map(|text| row.json::<Vec<GatewayId>>("gateways", text));
        Ok(ApiToken {
            id: row.parse("id", &self.id)?,
            user_id: row.parse("user_id", &self.user_id)?,
            hash: row.hash("hash", &self.hash)?,
            audience: row.word("audience", &self.audience)?,
            gateways: gateways.transpose()?,
            name: self.name,
            hint: self.hint,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
            last_used_at: moment(self.last_used_at),
            ended_at: moment(self.ended_at),
        })
    }
}

impl Storage {
    /// Keeps a new API token. False, and nothing kept, where the person is not the one of this `version` any more.
    pub async fn insert_api_token(
        &self,
        token: &ApiToken,
        version: i64,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("keep an API token").await?;
        if !is_still(&mut tx, token.user_id, version).await? {
            return Ok(false);
        }
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO api_tokens (id, user_id, name, hash, hint, audience, gateways, created_at, \
                 expires_at, last_used_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
            )
            .bind(token.id.to_string())
            .bind(token.user_id.to_string())
            .bind(text(&token.name))
            .bind(token.hash.0.as_slice())
            .bind(&token.hint)
            .bind(token.audience.as_str())
            .bind(token.gateways.as_ref().map(json))
            .bind(token.created_at.millis())
            .bind(token.expires_at.millis())
            .bind(millis(token.last_used_at))
            .bind(millis(token.ended_at))
        )?;
        tx.change(Change::ApiToken(token.id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// The token with this hash, ended ones included: the caller asks [`ApiToken::lives`].
    pub async fn api_token_by_hash(&self, hash: TokenHash) -> Result<Option<ApiToken>, StorageError> {
        let row = read!(
            self,
            "look for an API token",
            fetch_optional,
            sqlx::query_as::<_, ApiTokenRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM api_tokens WHERE hash = $1"
            ))
            .bind(hash.0.as_slice())
        )?;
        row.map(ApiTokenRow::into_token).transpose()
    }

    /// The token with an id.
    pub async fn api_token(&self, id: ApiTokenId) -> Result<Option<ApiToken>, StorageError> {
        let row = read!(
            self,
            "read an API token",
            fetch_optional,
            sqlx::query_as::<_, ApiTokenRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM api_tokens WHERE id = $1"
            ))
            .bind(id.to_string())
        )?;
        row.map(ApiTokenRow::into_token).transpose()
    }

    /// A person's tokens, oldest first, ended ones included.
    pub async fn api_tokens_of(&self, user: UserId) -> Result<Vec<ApiToken>, StorageError> {
        let rows = read!(
            self,
            "list the API tokens of a person",
            fetch_all,
            sqlx::query_as::<_, ApiTokenRow>(concat!(
                "SELECT ",
                columns!(),
                " FROM api_tokens WHERE user_id = $1 ORDER BY created_at, id"
            ))
            .bind(user.to_string())
        )?;
        rows.into_iter().map(ApiTokenRow::into_token).collect()
    }

    /// Ends a token of `owner`, and the MCP sessions it opened; false when they have no such living token.
    pub async fn end_api_token(
        &self,
        id: ApiTokenId,
        owner: UserId,
        now: Timestamp,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("end an API token").await?;
        let ended = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE api_tokens SET ended_at = $1 WHERE id = $2 AND user_id = $3 AND ended_at IS NULL"
            )
            .bind(now.millis())
            .bind(id.to_string())
            .bind(owner.to_string())
        )?;
        if ended == 0 {
            return Ok(false);
        }
        tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM mcp_sessions WHERE api_token_id = $1").bind(id.to_string())
        )?;
        tx.change(Change::ApiToken(id));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Notes when tokens were last used, in one transaction. No cache shows it, so the feed is not told.
    pub async fn touch_api_tokens(&self, used: &[(ApiTokenId, Timestamp)]) -> Result<(), StorageError> {
        let mut tx = self.begin("note the use of API tokens").await?;
        // Two replicas that write the same rows in the same order cannot wait for each other in a circle.
        let mut used = used.to_vec();
        used.sort_unstable();
        for (id, at) in used {
            tx!(
                tx,
                execute,
                sqlx::query(
                    "UPDATE api_tokens SET last_used_at = $1 \
                     WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)"
                )
                .bind(at.millis())
                .bind(id.to_string())
            )?;
        }
        tx.commit().await
    }
}

/// Ends all living tokens of a person who may not sign in any more.
pub(crate) async fn end_api_tokens_of(tx: &mut Tx, user: UserId) -> Result<(), StorageError> {
    let now = tx.now().millis();
    let ids: Vec<String> = tx!(
        tx,
        fetch_all,
        sqlx::query_scalar(
            "UPDATE api_tokens SET ended_at = $1 WHERE user_id = $2 AND ended_at IS NULL RETURNING id"
        )
        .bind(now)
        .bind(user.to_string())
    )?;
    tell(tx, &ids)
}

/// Deletes all tokens of a person who is about to be deleted.
pub(crate) async fn forget_api_tokens_of(tx: &mut Tx, user: UserId) -> Result<(), StorageError> {
    let ids: Vec<String> = tx!(
        tx,
        fetch_all,
        sqlx::query_scalar("DELETE FROM api_tokens WHERE user_id = $1 RETURNING id").bind(user.to_string())
    )?;
    tell(tx, &ids)
}

fn tell(tx: &mut Tx, ids: &[String]) -> Result<(), StorageError> {
    for id in ids {
        let id = RowName { table: "api_tokens", id }.parse("id", id)?;
        tx.change(Change::ApiToken(id));
    }
    Ok(())
}
