//! Second factors and their recovery codes. What changes whether a person has one is a change of the person.

use crate::error::StorageError;
use crate::row::RowName;
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::{Change, NewAuditEvent, SecondFactor, Timestamp, TokenHash, UserId};

#[derive(sqlx::FromRow)]
struct SecondFactorRow {
    secret: Vec<u8>,
    secret_key_id: String,
    last_step: i64,
    confirmed: bool,
    created_at: i64,
}

impl SecondFactorRow {
    fn into_factor(self, user_id: UserId) -> Result<SecondFactor, StorageError> {
        let id = user_id.to_string();
        let row = RowName { table: "second_factors", id: &id };
        let secret = row.sealed("secret", Some(self.secret), Some(self.secret_key_id))?;
        Ok(SecondFactor {
            user_id,
            secret: row.required("secret", secret)?,
            last_step: self.last_step,
            confirmed: self.confirmed,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

impl Storage {
    /// Keeps a factor that is being set up, in place of another such one; false where a confirmed one is there.
    pub async fn begin_second_factor(
        &self,
        factor: &SecondFactor,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("set up a second factor").await?;
        let kept = tx!(
            tx,
            execute,
            sqlx::query(
                "INSERT INTO second_factors (user_id, secret, secret_key_id, last_step, confirmed, created_at) \
                 VALUES ($1, $2, $3, $4, FALSE, $5) ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, \
                 secret_key_id = excluded.secret_key_id, last_step = excluded.last_step, \
                 created_at = excluded.created_at WHERE NOT second_factors.confirmed"
            )
            .bind(factor.user_id.to_string())
            .bind(factor.secret.bytes.as_slice())
            .bind(&factor.secret.key_id.0)
            .bind(factor.last_step)
            .bind(factor.created_at.millis())
        )?;
        if kept == 0 {
            return Ok(false);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// A person's factor, confirmed or not.
    pub async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StorageError> {
        let row = read!(
            self,
            "read a second factor",
            fetch_optional,
            sqlx::query_as::<_, SecondFactorRow>(
                "SELECT secret, secret_key_id, last_step, confirmed, created_at FROM second_factors \
                 WHERE user_id = $1"
            )
            .bind(user.to_string())
        )?;
        row.map(|row| row.into_factor(user)).transpose()
    }

    /// From now on its codes are asked for. False where nothing is being set up, or another secret than this one.
    pub async fn confirm_second_factor(
        &self,
        user: UserId,
        begun_at: Timestamp,
        step: i64,
        recovery: &[TokenHash],
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("confirm a second factor").await?;
        let confirmed = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE second_factors SET confirmed = TRUE, last_step = $1 \
                 WHERE user_id = $2 AND NOT confirmed AND created_at = $3"
            )
            .bind(step)
            .bind(user.to_string())
            .bind(begun_at.millis())
        )?;
        if confirmed == 0 {
            return Ok(false);
        }
        replace_codes(&mut tx, user, recovery).await?;
        tx.change(Change::User(user));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// Takes a step for used. False where it, or a later one, has been used already: of two that try at once, one
    /// gets it.
    pub async fn use_second_factor_step(&self, user: UserId, step: i64) -> Result<bool, StorageError> {
        let used = write!(
            self,
            "use a code of a second factor",
            execute,
            sqlx::query(
                "UPDATE second_factors SET last_step = $1 WHERE user_id = $2 AND confirmed AND last_step < $1"
            )
            .bind(step)
            .bind(user.to_string())
        )?;
        Ok(used > 0)
    }

    /// Uses a recovery code up. False where the person has none of this hash.
    pub async fn use_recovery_code(
        &self,
        user: UserId,
        hash: TokenHash,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("use a recovery code").await?;
        let used = tx!(
            tx,
            execute,
            sqlx::query("DELETE FROM recovery_codes WHERE hash = $1 AND user_id = $2")
                .bind(hash.0.as_slice())
                .bind(user.to_string())
        )?;
        if used == 0 {
            return Ok(false);
        }
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }

    /// How many recovery codes a person has left.
    pub async fn recovery_codes_left(&self, user: UserId) -> Result<u64, StorageError> {
        let count: i64 = read!(
            self,
            "count recovery codes",
            fetch_one,
            sqlx::query_scalar("SELECT count(*) FROM recovery_codes WHERE user_id = $1")
                .bind(user.to_string())
        )?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Gives a person new recovery codes; those from before are used up.
    pub async fn replace_recovery_codes(
        &self,
        user: UserId,
        hashes: &[TokenHash],
        audit: NewAuditEvent,
    ) -> Result<(), StorageError> {
        let mut tx = self.begin("replace recovery codes").await?;
        replace_codes(&mut tx, user, hashes).await?;
        tx.audit(audit);
        tx.commit().await
    }

    /// Removes a person's factor and their recovery codes; false when there was none.
    pub async fn remove_second_factor(
        &self,
        user: UserId,
        audit: NewAuditEvent,
    ) -> Result<bool, StorageError> {
        let mut tx = self.begin("remove a second factor").await?;
        if !remove_factor_of(&mut tx, user).await? {
            return Ok(false);
        }
        tx.change(Change::User(user));
        tx.audit(audit);
        tx.commit().await?;
        Ok(true)
    }
}

/// Removes a person's factor, confirmed or not, with its recovery codes; false when there was none.
pub(crate) async fn remove_factor_of(tx: &mut Tx, user: UserId) -> Result<bool, StorageError> {
    let user_id = user.to_string();
    let removed =
        tx!(tx, execute, sqlx::query("DELETE FROM second_factors WHERE user_id = $1").bind(user_id))?;
    replace_codes(tx, user, &[]).await?;
    Ok(removed > 0)
}

async fn replace_codes(tx: &mut Tx, user: UserId, hashes: &[TokenHash]) -> Result<(), StorageError> {
    let id = user.to_string();
    tx!(tx, execute, sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1").bind(&id))?;
    for hash in hashes {
        tx!(
            tx,
            execute,
            sqlx::query("INSERT INTO recovery_codes (hash, user_id) VALUES ($1, $2)")
                .bind(hash.0.as_slice())
                .bind(&id)
        )?;
    }
    Ok(())
}
