//! The processes that share one database. Each says which change it has applied; whoever takes something away
//! waits until all have, or until the caches of one that stays silent are no longer believed by itself.
//!
//! SQLite has one process, and no rows here.

use crate::database::Database;
use crate::error::StorageError;
use crate::feed::{Source, TRUST};
use crate::replica_keys::KeysOfReplicas;
use crate::storage::Storage;
use doorward_domain::{Clock, Entropy};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a waiter pauses between two looks, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// This process as the others see it; none where there are no others.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) id: Option<String>,
    /// What it says of its key ring (`replica_keys`).
    pub(crate) keys: Arc<KeysOfReplicas>,
}

/// Another process, at the moment it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Other {
    pub(crate) id: String,
    pub(crate) beat: i64,
}

impl Replica {
    pub(crate) fn new(database: &Database) -> Self {
        Self { id: database.is_shared().then(|| Entropy.token()), keys: Arc::default() }
    }

    /// Says that every change up to `seq` is applied here. A row that others have taken for dead comes back.
    pub(crate) async fn acknowledge(
        &self,
        database: &Database,
        clock: &Clock,
        seq: i64,
    ) -> Result<(), StorageError> {
        let Some(id) = &self.id else { return Ok(()) };
        let source = Source(database);
        write!(
            source,
            "acknowledge changes",
            execute,
            sqlx::query(
                "INSERT INTO replicas (id, acknowledged_seq, beat, heartbeat_at, started_at, keys) \
                 VALUES ($1, $2, 1, $3, $3, $4) ON CONFLICT (id) DO UPDATE SET \
                 acknowledged_seq = excluded.acknowledged_seq, beat = replicas.beat + 1, \
                 heartbeat_at = excluded.heartbeat_at, keys = excluded.keys"
            )
            .bind(id)
            .bind(seq)
            .bind(clock.now().millis())
            .bind(self.keys.own())
        )
        .map(drop)
    }

    /// Takes the row away, so that nobody waits for a process that has ended.
    pub(crate) async fn leave(&self, database: &Database) -> Result<(), StorageError> {
        let Some(id) = &self.id else { return Ok(()) };
        let source = Source(database);
        write!(
            source,
            "leave the replicas",
            execute,
            sqlx::query("DELETE FROM replicas WHERE id = $1").bind(id)
        )
        .map(drop)
    }
}

impl Storage {
    /// Waits until every other replica has applied `seq`. One that stays silent is waited for as long as it
    /// believes its own caches without a word from the database, on our monotonic clock; if its row has stood
    /// still for all that time, it is taken away, so that the next revoke does not wait for a dead process.
    pub(crate) async fn applied_everywhere(&self, seq: i64) {
        let Some(own) = self.replica().id.clone() else { return };
        let deadline = Instant::now() + TRUST;
        let (mut pause, longest) = PAUSES;
        let mut at_first: Option<Vec<Other>> = None;
        loop {
            match self.replicas_behind(seq, &own).await {
                Ok(behind) if behind.is_empty() => return,
                Ok(behind) if Instant::now() >= deadline => {
                    let silent =
                        behind.into_iter().filter(|other| at_first.iter().flatten().any(|one| one == other));
                    return self.forget_replicas(silent.collect()).await;
                }
                Ok(behind) => _ = at_first.get_or_insert(behind),
                Err(_) if Instant::now() >= deadline => return,
                Err(error) => tracing::debug!(%error, "the replicas could not be looked at; trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn replicas_behind(&self, seq: i64, own: &str) -> Result<Vec<Other>, StorageError> {
        read!(
            self,
            "look at the other replicas",
            fetch_all,
            sqlx::query_as("SELECT id, beat FROM replicas WHERE acknowledged_seq < $1 AND id <> $2")
                .bind(seq)
                .bind(own)
        )
    }

    pub(crate) async fn forget_replicas(&self, silent: Vec<Other>) {
        for Other { id, beat } in silent {
            let forgotten = write!(
                self,
                "forget a silent replica",
                execute,
                sqlx::query("DELETE FROM replicas WHERE id = $1 AND beat = $2").bind(&id).bind(beat)
            );
            match forgotten {
                Ok(_) => tracing::warn!(replica = %id, "a replica is silent; it is no longer waited for"),
                Err(error) => {
                    tracing::warn!(replica = %id, %error, "a silent replica could not be forgotten");
                }
            }
        }
    }
}
