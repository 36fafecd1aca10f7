//! Rows that are sealed with an old key are sealed anew, in small batches by id, while calls go on: by one process
//! of the cluster. One that was cut off is simply begun again.

use crate::keys::{RESEAL_LEASE, rows_of};
use crate::{Broker, BrokerError};
use doorward_domain::{KeyId, Sealed};
use doorward_storage::{SEALED_COLUMNS, SealedColumn, SealedCount, SealedRow};
use doorward_vault::Place;

/// Rows of one batch, which is one transaction.
const BATCH: u32 = 200;

/// How sealing rows anew went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reseal {
    /// It went through every column; so many values are left on old keys. Some may have been written
    /// meanwhile by a process that did not know the new key yet: the next time finds them.
    Done { left: u64 },
    /// Another process is at it, or another task of this one.
    UnderWay,
}

/// Values on one old key: how many there were, how many are left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResealProgress {
    pub key: KeyId,
    pub left: u64,
    pub of: u64,
}

/// One old key while its rows are sealed anew.
struct OldKey<'a> {
    progress: ResealProgress,
    tell: &'a mut (dyn FnMut(&ResealProgress) + Send),
}

impl OldKey<'_> {
    fn done(&mut self, rows: u64) {
        self.progress.left = self.progress.left.saturating_sub(rows);
        gauge(&self.progress.key, self.progress.left);
        (self.tell)(&self.progress);
    }
}

impl Broker {
    /// Seals anew what old keys still hold, and tells after each batch how far it is.
    pub async fn reseal(
        &self,
        tell: &mut (dyn FnMut(&ResealProgress) + Send),
    ) -> Result<Reseal, BrokerError> {
        let Ok(mut watch) = self.key_turns.resealing.try_lock() else { return Ok(Reseal::UnderWay) };
        let counts = self.storage().sealed_counts().await?;
        let old = self.old_keys(&counts);
        if old.is_empty() {
            return Ok(Reseal::Done { left: 0 });
        }
        let Some(lease) = self.try_lease(RESEAL_LEASE, &mut watch).await? else {
            return Ok(Reseal::UnderWay);
        };
        let result = self.reseal_columns(&old, &counts, tell).await;
        lease.release().await;
        result
    }

    /// The same, with nobody waiting for it.
    pub fn reseal_in_background(&self) {
        let broker = self.clone();
        tokio::spawn(async move {
            if let Err(error) = broker.reseal(&mut |_| {}).await {
                tracing::warn!(%error, "sealing rows anew broke off; it is begun again within a minute");
            }
        });
    }

    /// The keys other than the sealing one that rows need; each is set in the metrics, also at zero.
    fn old_keys(&self, counts: &[SealedCount]) -> Vec<KeyId> {
        let sealing = self.parts.vault.sealing_key();
        let mut keys = self.parts.vault.key_ids();
        keys.extend(counts.iter().map(|count| count.key.clone()));
        keys.sort();
        keys.dedup();
        keys.retain(|key| *key != sealing);
        keys.iter().for_each(|key| gauge(key, rows_of(key, counts)));
        keys.retain(|key| rows_of(key, counts) > 0);
        keys
    }

    async fn reseal_columns(
        &self,
        old: &[KeyId],
        counts: &[SealedCount],
        tell: &mut (dyn FnMut(&ResealProgress) + Send),
    ) -> Result<Reseal, BrokerError> {
        for key in old {
            let of = rows_of(key, counts);
            let progress = ResealProgress { key: key.clone(), left: of, of };
            let mut key = OldKey { progress, tell: &mut *tell };
            for column in &SEALED_COLUMNS {
                self.reseal_column(column, &mut key).await?;
            }
        }
        let counts = self.storage().sealed_counts().await?;
        let left = self.old_keys(&counts).iter().map(|key| rows_of(key, &counts)).sum();
        tracing::info!(left, "rows were sealed anew");
        Ok(Reseal::Done { left })
    }

    async fn reseal_column(&self, column: &SealedColumn, key: &mut OldKey<'_>) -> Result<(), BrokerError> {
        let mut after = String::new();
        loop {
            let rows = self.storage().rows_sealed_with(column, &key.progress.key, &after, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            let anew: Vec<_> = rows.into_iter().filter_map(|row| self.anew(column, row)).collect();
            let written = self.storage().swap_sealed(column, &anew).await?;
            key.done(written);
            tokio::task::yield_now().await;
        }
    }

    /// A row that does not open is left as it is, and said: it would not open for a call either.
    fn anew(&self, column: &SealedColumn, row: SealedRow) -> Option<(SealedRow, Sealed)> {
        let place = Place::of_row(column.table, column.column, &row.home)?;
        match self.parts.vault.reseal(&place, &place, &row.sealed) {
            Ok(sealed) => Some((row, sealed)),
            Err(error) => {
                tracing::warn!(table = column.table, column = column.column, row = row.id, %error, "a row is not sealed anew");
                None
            }
        }
    }
}

fn gauge(key: &KeyId, left: u64) {
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 rows a metric may be one off")]
    metrics::gauge!("doorward_key_rows_left", "key" => key.to_string()).set(left as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sealed_column_of_the_database_has_a_place_and_the_other_way_round() {
        let columns = SEALED_COLUMNS.each_ref().map(|column| (column.table, column.column));
        assert_eq!(columns, Place::ALL_COLUMNS);
    }
}
