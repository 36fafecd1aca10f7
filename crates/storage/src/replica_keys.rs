//! Which keys each process has in its ring: none seals with a new key before every live one can open it.
//!
//! Saying so and changing the key that seals lock out each other: whoever says so afterwards reads the new key and
//! does not start without it, and whoever said so before is asked.

use crate::error::StorageError;
use crate::feed::TRUST;
use crate::replica::Other;
use crate::row::{RowName, json};
use crate::storage::Storage;
use crate::transaction::Tx;
use doorward_domain::KeyId;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// What this process says of its own ring, and what it has seen of others.
#[derive(Debug, Default)]
pub(crate) struct KeysOfReplicas {
    own: Mutex<Option<String>>,
    /// Processes without a key that is to seal, and since when they have looked just so.
    without: Mutex<Option<(Instant, Vec<Other>)>>,
}

impl KeysOfReplicas {
    /// As the row of this process says it; none before it is known.
    pub(crate) fn own(&self) -> Option<String> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those among `without` that have stood still for as long as a process believes its own caches.
    fn silent(&self, without: Vec<Other>, now: Instant) -> Vec<Other> {
        let mut seen = self.without.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some((since, before)) if *before == without => {
                if now.saturating_duration_since(*since) >= TRUST {
                    without
                } else {
                    Vec::new()
                }
            }
            _ => {
                *seen = Some((now, without));
                Vec::new()
            }
        }
    }
}

#[derive(sqlx::FromRow)]
struct ReplicaRow {
    id: String,
    beat: i64,
    keys: Option<String>,
}

impl Storage {
    /// Says which keys this process has. Read the key that seals afterwards.
    pub async fn announce_keys(&self, keys: &[KeyId]) -> Result<(), StorageError> {
        let Some(id) = &self.replica().id else { return Ok(()) };
        let names: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        let text = json(&names);
        *self.replica().keys.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        let mut tx = self.begin("say which keys this process has").await?;
        tx.numbers("sealing", 1).await?;
        tx!(tx, execute, sqlx::query("UPDATE replicas SET keys = $1 WHERE id = $2").bind(&text).bind(id))?;
        tx.commit().await
    }

    /// Takes away the rows of processes that lack a key because they have died.
    pub(crate) async fn forget_silent_among(&self, without: Vec<Other>) {
        let silent = self.replica().keys.silent(without, Instant::now());
        self.forget_replicas(silent).await;
    }
}

/// The other processes that do not have a key, or have not said what they have.
pub(crate) async fn replicas_without(
    tx: &mut Tx,
    own: &str,
    key: &KeyId,
) -> Result<Vec<Other>, StorageError> {
    let rows = tx!(
        tx,
        fetch_all,
        sqlx::query_as::<_, ReplicaRow>("SELECT id, beat, keys FROM replicas WHERE id <> $1 ORDER BY id")
            .bind(own)
    )?;
    let mut without = Vec::new();
    for ReplicaRow { id, beat, keys } in rows {
        let row = RowName { table: "replicas", id: &id };
        let keys: Vec<String> = keys.map(|keys| row.json("keys", &keys)).transpose()?.unwrap_or_default();
        if !keys.contains(&key.0) {
            without.push(Other { id, beat });
        }
    }
    Ok(without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_a_process_that_stands_still_for_the_whole_time_is_silent() {
        let keys = KeysOfReplicas::default();
        let start = Instant::now();
        let others = |beat| vec![Other { id: "a".into(), beat }];
        assert_eq!(keys.silent(others(1), start), []);
        assert_eq!(keys.silent(others(1), start + TRUST - Duration::from_millis(1)), []);
        assert_eq!(keys.silent(others(2), start + TRUST), [], "it lives");
        assert_eq!(keys.silent(others(2), start + TRUST + TRUST), others(2));
    }
}
