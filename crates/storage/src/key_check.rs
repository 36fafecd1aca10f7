//! What each key of the ring answers to a fixed question, so that a wrong ring is noticed at start.

use crate::error::StorageError;
use crate::storage::Storage;
use doorward_domain::KeyId;

impl Storage {
    /// The check value of every key that this database has been used with.
    pub async fn key_checks(&self) -> Result<Vec<(KeyId, Vec<u8>)>, StorageError> {
        let rows: Vec<(String, Vec<u8>)> = read!(
            self,
            "read the key checks",
            fetch_all,
            sqlx::query_as("SELECT key_id, check_value FROM key_checks ORDER BY key_id")
        )?;
        Ok(rows.into_iter().map(|(key, check)| (KeyId(key), check)).collect())
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
}
