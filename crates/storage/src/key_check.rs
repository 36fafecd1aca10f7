//! What each key of the ring answers to a fixed question, so that a wrong ring is noticed at start; and which
//! of them seals, for every process on this database.

use crate::error::StorageError;
use crate::replica_keys::replicas_without;
use crate::row::moment;
use crate::storage::Storage;
use doorward_domain::{KeyId, NewAuditEvent, Timestamp};

/// What the database keeps of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCheck {
    pub id: KeyId,
    pub check: Vec<u8>,
    /// None: it has never sealed anything.
    pub sealing_since: Option<Timestamp>,
}

/// Whether a key has become the one that seals.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum SealingSwitch {
    /// It seals from now on.
    Switched,
    /// So many other processes do not have it yet; nothing was changed.
    NotEverywhere { replicas: usize },
    /// It seals or has sealed already: a key that was replaced does not come back, so that replicas whose
    /// rings are in different orders do not swing to and fro.
    NotAgain,
}

impl Storage {
    /// Every key that this database has been used with.
    pub async fn key_checks(&self) -> Result<Vec<KeyCheck>, StorageError> {
        let rows: Vec<(String, Vec<u8>, Option<i64>)> = read!(
            self,
            "read the key checks",
            fetch_all,
            sqlx::query_as("SELECT key_id, check_value, sealing_since FROM key_checks ORDER BY key_id")
        )?;
        let of = |(id, check, since)| KeyCheck { id: KeyId(id), check, sealing_since: moment(since) };
        Ok(rows.into_iter().map(of).collect())
    }

    /// Keeps the check value of a key. One that is there stays: the caller compares what it reads.
    pub async fn insert_key_check(&self, key: &KeyId, check: &[u8]) -> Result<(), StorageError> {
        write!(
            self,
            "keep a key check",
            execute,
            sqlx::query(
                "INSERT INTO key_checks (key_id, check_value) VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING"
            )
            .bind(&key.0)
            .bind(check)
        )
        .map(drop)
    }

    /// Makes a key the one that seals, if it never was before and every live process has it.
    pub async fn switch_sealing_key(
        &self,
        key: &KeyId,
        audit: Option<NewAuditEvent>,
    ) -> Result<SealingSwitch, StorageError> {
        let mut tx = self.begin("change the key that seals").await?;
        // Locks out every other switch until the commit.
        tx.numbers("sealing", 1).await?;
        if let Some(own) = &self.replica().id {
            let without = replicas_without(&mut tx, own, key).await?;
            if !without.is_empty() {
                drop(tx);
                let replicas = without.len();
                self.forget_silent_among(without).await;
                return Ok(SealingSwitch::NotEverywhere { replicas });
            }
        }
        let last: Option<i64> =
            tx!(tx, fetch_one, sqlx::query_scalar("SELECT max(sealing_since) FROM key_checks"))?;
        let since = tx.now().millis().max(last.map_or(i64::MIN, |last| last + 1));
        let switched = tx!(
            tx,
            execute,
            sqlx::query(
                "UPDATE key_checks SET sealing_since = $1 WHERE key_id = $2 AND sealing_since IS NULL"
            )
            .bind(since)
            .bind(&key.0)
        )?;
        if switched == 0 {
            return Ok(SealingSwitch::NotAgain);
        }
        audit.into_iter().for_each(|event| tx.audit(event));
        tx.commit().await?;
        Ok(SealingSwitch::Switched)
    }

    /// Forgets a key that nothing needs any more.
    pub async fn forget_key(&self, key: &KeyId, audit: NewAuditEvent) -> Result<(), StorageError> {
        let mut tx = self.begin("forget a key").await?;
        tx!(tx, execute, sqlx::query("DELETE FROM key_checks WHERE key_id = $1").bind(&key.0))?;
        tx.audit(audit);
        tx.commit().await
    }
}

/// The key that seals, and since when; none while no key ever has.
pub fn sealing_key(checks: &[KeyCheck]) -> Option<(&KeyId, Timestamp)> {
    let sealed = checks.iter().filter_map(|check| Some((&check.id, check.sealing_since?)));
    sealed.max_by_key(|(_, since)| *since)
}
