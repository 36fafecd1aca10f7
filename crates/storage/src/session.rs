//! Logins in browsers, and protocol sessions of legacy MCP clients. Neither is cached, so neither is in
//! the change feed. Both are found by hash; whether one still lives is the caller's to decide.

use crate::error::StorageError;
use crate::row::{BY_HASH, RowName, text};
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user::is_still;
use doorward_domain::session::MCP_SESSION_IDLE;
use doorward_domain::{
    BrowserSession, BrowserSessionId, McpSession, NewAuditEvent, Timestamp, TokenHash, UserId,
};

macro_rules! browser_columns {
    () => {
        "id, hash, user_id, address, created_at, last_seen_at, authenticated_at, expires_at"
    };
}

#[derive(sqlx::FromRow)]
struct BrowserSessionRow {
    id: String,
    hash: Vec<u8>,
    user_id: String,
    address: Option<String>,
    created_at: i64,
    last_seen_at: i64,
    authenticated_at: i64,
    expires_at: i64,
}

impl BrowserSessionRow {
    fn into_session(self) -> Result<BrowserSession, StorageError> {
        let row = RowName { table: "browser_sessions", id: &self.id };
        Ok(BrowserSession {
            id: row.parse("id", &self.id)?,
            hash: row.hash("hash", &self.hash)?,
            user_id: row.parse("user_id", &self.user_id)?,
            address: self.address,
            created_at: Timestamp::from_millis(self.created_at),
            last_seen_at: Timestamp::from_millis(self.last_seen_at),
            authenticated_at: Timestamp::from_millis(self.authenticated_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct McpSessionRow {
    user_id: String,
    api_token_id: String,
    endpoint: String,
    protocol_version: String,
    client_name: String,
    capabilities: String,
    created_at: i64,
    last_seen_at: i64,
}

impl McpSessionRow {
    fn into_session(self, hash: TokenHash) -> Result<McpSession, StorageError> {
        let row = RowName { table: "mcp_sessions", id: BY_HASH };
        Ok(McpSession {
            hash,
            user_id: row.parse("user_id", &self.user_id)?,
            api_token_id: row.parse("api_token_id", &self.api_token_id)?,
            endpoint: self.endpoint,
            protocol_version: self.protocol_version,
            client_name: self.client_name,
            capabilities: self.capabilities,
            created_at: Timestamp::from_millis(self.created_at),
            last_seen_at: Timestamp::from_millis(self.last_seen_at),
        })
    }
}

impl Storage {
    /// Keeps a login; logins that have ended are swept on the way. False, and nothing kept, where the person is not
    /// the one of this `version` any more, or may not sign in: what was shown for it may hold no longer.
    pub async fn insert_browser_session(
        &self,
        session: &BrowserSession,
        version: i64,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("keep a login").await?;
        if !is_still(&mut tx, session.user_id, version).await? {
            return Ok(false);
        }
        let now = tx.now().millis();
        tx!(tx, execute, sqlx::query("DELETE FROM browser_sessions WHERE expires_at <= $1").bind(now))?;
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO browser_sessions (hash, id, user_id, address, created_at, last_seen_at, \
                 authenticated_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
            )
            .bind(session.hash.0.as_slice())
            .bind(session.id.to_string())
            .bind(session.user_id.to_string())
            .bind(session.address.as_deref().map(text))
            .bind(session.created_at.millis())
            .bind(session.last_seen_at.millis())
            .bind(session.authenticated_at.millis())
            .bind(session.expires_at.millis())
        )?;
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// A login. It may have ended: the caller compares `expires_at` and `last_seen_at`.
    pub async fn browser_session(&self, hash: TokenHash) -> Result<Option<BrowserSession>, StorageError> {
        let row = read!(
            self,
            "read a login",
            fetch_optional,
            sqlx::query_as::<_, BrowserSessionRow>(concat!(
                "SELECT ",
                browser_columns!(),
                " FROM browser_sessions WHERE hash = $1"
            ))
            .bind(hash.0.as_slice())
        )?;
        row.map(BrowserSessionRow::into_session).transpose()
    }

    /// A login by the id that people name it by.
    pub async fn browser_session_by_id(
        &self,
        id: BrowserSessionId,
    ) -> Result<Option<BrowserSession>, StorageError> {
        let row = read!(
            self,
            "look for a login",
            fetch_optional,
            sqlx::query_as::<_, BrowserSessionRow>(concat!(
                "SELECT ",
                browser_columns!(),
                " FROM browser_sessions WHERE id = $1"
            ))
            .bind(id.to_string())
        )?;
        row.map(BrowserSessionRow::into_session).transpose()
    }

    /// Every login of a person, the last used first. Some may have ended.
    pub async fn browser_sessions_of(&self, user: UserId) -> Result<Vec<BrowserSession>, StorageError> {
        let rows = read!(
            self,
            "list the logins of a person",
            fetch_all,
            sqlx::query_as::<_, BrowserSessionRow>(concat!(
                "SELECT ",
                browser_columns!(),
                " FROM browser_sessions WHERE user_id = $1 ORDER BY last_seen_at DESC, id"
            ))
            .bind(user.to_string())
        )?;
        rows.into_iter().map(BrowserSessionRow::into_session).collect()
    }

    /// Notes that a login was used.
    pub async fn touch_browser_session(&self, hash: TokenHash, now: Timestamp) -> Result<(), StorageError> {
        write!(
            self,
            "note the use of a login",
            execute,
            sqlx::query(
                "UPDATE browser_sessions SET last_seen_at = $1 WHERE hash = $2 AND last_seen_at < $1"
            )
            .bind(now.millis())
            .bind(hash.0.as_slice())
        )
        .map(drop)
    }

    /// Notes that the person of a login showed again that it is they; false when there is no such login.
    pub async fn refresh_browser_session(
        &self,
        hash: TokenHash,
        now: Timestamp,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("note a fresh login").await?;
        let noted = tx!(
            tx,
            execute,
            sqlx::query("UPDATE browser_sessions SET authenticated_at = $1 WHERE hash = $2")
                .bind(now.millis())
                .bind(hash.0.as_slice())
        )?;
        if noted == 0 {
            return Ok(false);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Signs out; false (and no audit event) when there was no such login.
    pub async fn end_browser_session(
        &self,
        hash: TokenHash,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("end a login").await?;
        let ended = tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM browser_sessions WHERE hash = $1").bind(hash.0.as_slice())
        )?;
        if ended == 0 {
            return Ok(false);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Keeps an MCP session; sessions that nobody used for their idle time are swept on the way.
    pub async fn insert_mcp_session(&self, session: &McpSession) -> Result<(), StorageError> {
        let mut tx = self.begin("keep an MCP session").await?;
        let idle = tx.now().minus(MCP_SESSION_IDLE).millis();
        tx!(tx, execute, sqlx::query("DELETE FROM mcp_sessions WHERE last_seen_at < $1").bind(idle))?;
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO mcp_sessions (hash, user_id, api_token_id, endpoint, protocol_version, \
                 client_name, capabilities, created_at, last_seen_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
            )
            .bind(session.hash.0.as_slice())
            .bind(session.user_id.to_string())
            .bind(session.api_token_id.to_string())
            .bind(text(&session.endpoint))
            .bind(text(&session.protocol_version))
            .bind(text(&session.client_name))
            .bind(&session.capabilities)
            .bind(session.created_at.millis())
            .bind(session.last_seen_at.millis())
        )?;
        tx.commit().await
    }

    /// Ends the MCP sessions of a person that were used longest ago, beyond so many; which those were.
    pub async fn limit_mcp_sessions(&self, user: UserId, most: u32) -> Result<Vec<TokenHash>, StorageError> {
        let ended: Vec<Vec<u8>> = write!(
            self,
            "limit MCP sessions",
            fetch_all,
            sqlx::query_scalar(
                "DELETE FROM mcp_sessions WHERE hash IN (SELECT hash FROM mcp_sessions \
                 WHERE user_id = $1 ORDER BY last_seen_at DESC, created_at DESC LIMIT 1000 OFFSET $2) \
                 RETURNING hash"
            )
            .bind(user.to_string())
            .bind(i64::from(most))
        )?;
        let row = RowName { table: "mcp_sessions", id: BY_HASH };
        ended.iter().map(|hash| row.hash("hash", hash)).collect()
    }

    /// An MCP session. It may have been idle for too long: the caller compares `last_seen_at`.
    pub async fn mcp_session(&self, hash: TokenHash) -> Result<Option<McpSession>, StorageError> {
        let row = read!(
            self,
            "read an MCP session",
            fetch_optional,
            sqlx::query_as::<_, McpSessionRow>(
                "SELECT user_id, api_token_id, endpoint, protocol_version, client_name, capabilities, \
                 created_at, last_seen_at FROM mcp_sessions WHERE hash = $1"
            )
            .bind(hash.0.as_slice())
        )?;
        row.map(|row| row.into_session(hash)).transpose()
    }

    /// Notes that an MCP session was used.
    pub async fn touch_mcp_session(&self, hash: TokenHash, now: Timestamp) -> Result<(), StorageError> {
        write!(
            self,
            "note the use of an MCP session",
            execute,
            sqlx::query("UPDATE mcp_sessions SET last_seen_at = $1 WHERE hash = $2 AND last_seen_at < $1")
                .bind(now.millis())
                .bind(hash.0.as_slice())
        )
        .map(drop)
    }

    /// Ends an MCP session; false when there was none.
    pub async fn end_mcp_session(&self, hash: TokenHash) -> Result<bool, StorageError> {
        let ended = write!(
            self,
            "end an MCP session",
            execute,
            sqlx::query("DELETE FROM mcp_sessions WHERE hash = $1").bind(hash.0.as_slice())
        )?;
        Ok(ended > 0)
    }
}

/// Ends every session of a person, in browsers and of MCP clients.
pub(crate) async fn end_sessions_of(tx: &mut Tx, user: UserId) -> Result<(), StorageError> {
    let user = user.to_string();
    tx!(tx, execute, sqlx::query("DELETE FROM browser_sessions WHERE user_id = $1").bind(&user))?;
    tx!(tx, execute, sqlx::query("DELETE FROM mcp_sessions WHERE user_id = $1").bind(&user))?;
    Ok(())
}
