//! One-time links: the first administrator's setup, or a password reset.

use crate::api_token::end_api_tokens_of;
use crate::error::StorageError;
use crate::row::{BY_HASH, RowName};
use crate::second_factor::remove_factor_of;
use crate::session::end_sessions_of;
use crate::storage::Storage;
use crate::transaction::Tx;
use crate::user::is_still;
use doorward_domain::user::PasswordHash;
use doorward_domain::{Change, NewAuditEvent, SetupLink, Timestamp, TokenHash, UserId};

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
    /// Keeps a link; links that have ended are swept on the way. One for a person is for the person of this `version`:
    /// false, and nothing kept, where they have changed since.
    pub async fn insert_setup_link(
        &self,
        link: &SetupLink,
        version: Option<i64>,
        audit: Option<NewAuditEvent>,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("keep a setup link").await?;
        if let (Some(user), Some(version)) = (link.user_id, version)
            && !is_still(&mut tx, user, version).await?
        {
            return Ok(false);
        }
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
        if let Some(audit) = audit {
            tx.audit(audit);
        }
        tx.commit().await?;
        Ok(true)
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

    /// Uses a reset link up and sets its person's password; false where the link has been used or has ended. All that
    /// the old password had opened ends in the same transaction, and so does every other link: a sign-in or a token
    /// that is being made meanwhile finds another version of the person, and is not kept.
    pub async fn reset_password(
        &self,
        link: &SetupLink,
        user: UserId,
        password: &PasswordHash,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("set a new password").await?;
        let now = tx.now().millis();
        let changed = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE users SET password_hash = $1, updated_at = $2, version = version + 1 \
                 WHERE id = $3 AND state = 'active'"
            )
            .bind(&password.0)
            .bind(now)
            .bind(user.to_string())
        )?;
        let used = tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM setup_links WHERE hash = $1 AND user_id = $2 AND expires_at > $3")
                .bind(link.hash.0.as_slice())
                .bind(user.to_string())
                .bind(now)
        )?;
        if changed == 0 || used == 0 {
            return Ok(false);
        }
        forget_links_of(&mut tx, user).await?;
        end_sessions_of(&mut tx, user).await?;
        end_api_tokens_of(&mut tx, user).await?;
        if link.removes_second_factor && remove_factor_of(&mut tx, user).await? {
            let removed = NewAuditEvent { action: "second_factor.remove", ..audit.clone() };
            tx.audit(removed.detail("by", "reset link"));
        }
        tx.change(Change::User(user));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }
}

/// Ends every link for a person.
pub(crate) async fn forget_links_of(tx: &mut Tx, user: UserId) -> Result<(), StorageError> {
    tx!(tx, execute, sqlx::query("DELETE FROM setup_links WHERE user_id = $1").bind(user.to_string()))?;
    Ok(())
}
