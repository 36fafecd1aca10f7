//! One-time links: the first administrator's setup, or a password reset.

use crate::error::StorageError;
use crate::row::{BY_HASH, RowName};
use crate::storage::Storage;
use doorward_domain::{SetupLink, Timestamp, TokenHash};

#[derive(sqlx::FromRow)]
struct SetupLinkRow {
    user_id: Option<String>,
    removes_second_factor: bool,
    created_at: i64,
    expires_at: i64,
}

impl SetupLinkRow {
    fn into_link(self, hash: TokenHash) -> Result<SetupLink, StorageError> {
        let row = RowName { table: "setup_links", id: BY_HASH };
        Ok(SetupLink {
            hash,
            user_id: row.parse_optional("user_id", self.user_id.as_deref())?,
            removes_second_factor: self.removes_second_factor,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}

impl Storage {
    /// Keeps a link; links that have ended are swept on the way.
    pub async fn insert_setup_link(&self, link: &SetupLink) -> Result<(), StorageError> {
        let mut tx = self.begin("keep a setup link").await?;
        let now = tx.now().millis();
        tx!(tx, execute, sqlx::query("DELETE FROM setup_links WHERE expires_at <= $1").bind(now))?;
        tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO setup_links (hash, user_id, removes_second_factor, created_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5)"
            )
            .bind(link.hash.0.as_slice())
            .bind(link.user_id.map(|id| id.to_string()))
            .bind(link.removes_second_factor)
            .bind(link.created_at.millis())
            .bind(link.expires_at.millis())
        )?;
        tx.commit().await
    }

    /// Looks at a link without consuming it. It may have ended: the caller compares.
    pub async fn setup_link(&self, hash: TokenHash) -> Result<Option<SetupLink>, StorageError> {
        let row = read!(
            self,
            "read a setup link",
            fetch_optional,
            sqlx::query_as::<_, SetupLinkRow>(
                "SELECT user_id, removes_second_factor, created_at, expires_at FROM setup_links WHERE hash = $1"
            )
            .bind(hash.0.as_slice())
        )?;
        row.map(|row| row.into_link(hash)).transpose()
    }

    /// Consumes a link that has not ended at `now`; of many that try at once, one gets it.
    pub async fn consume_setup_link(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<SetupLink>, StorageError> {
        let row = write!(
            self,
            "consume a setup link",
            fetch_optional,
            sqlx::query_as::<_, SetupLinkRow>(
                "DELETE FROM setup_links WHERE hash = $1 AND expires_at > $2 \
                 RETURNING user_id, removes_second_factor, created_at, expires_at"
            )
            .bind(hash.0.as_slice())
            .bind(now.millis())
        )?;
        row.map(|row| row.into_link(hash)).transpose()
    }
}
