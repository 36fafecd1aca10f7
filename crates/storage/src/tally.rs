//! Tallies by the hour. What several processes count adds up; a level that all of them see is written by the
//! last of them. Old ones go with the next that are written, so that there is always a bounded number.

use crate::error::StorageError;
use crate::row::{RowName, word};
use crate::storage::Storage;
use doorward_domain::tally::TALLIES_KEPT;
use doorward_domain::{Tally, TallyKind, Timestamp};

#[derive(sqlx::FromRow)]
struct TallyRow {
    hour: i64,
    name: String,
    count: i64,
}

impl TallyRow {
    fn into_tally(self, kind: TallyKind) -> Result<Tally, StorageError> {
        let row = RowName { table: "tallies", id: &self.name };
        Ok(Tally {
            at: Timestamp::from_millis(self.hour),
            kind,
            count: u64::try_from(self.count).map_err(|_| row.corrupt("count", "a tally is not negative"))?,
            name: self.name,
        })
    }
}

impl Storage {
    /// Adds to the tallies of their hours; of grants, the last count stands.
    pub async fn add_tallies(&self, mut tallies: Vec<Tally>, now: Timestamp) -> Result<(), StorageError> {
        // In one order, so that two replicas never wait for each other.
        tallies.sort();
        let mut tx = self.begin("add to the tallies").await?;
        for tally in &tallies {
            tx!(
                tx,
                execute,
                sqlx::query(
                    "INSERT INTO tallies (kind, name, hour, count) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (kind, name, hour) DO UPDATE SET count = CASE WHEN excluded.kind = 'grants' \
                     THEN excluded.count ELSE tallies.count + excluded.count END"
                )
                .bind(word(tally.kind))
                .bind(&tally.name)
                .bind(tally.at.millis())
                .bind(i64::try_from(tally.count).unwrap_or(i64::MAX))
            )?;
        }
        let before = now.minus(TALLIES_KEPT).millis();
        tx!(tx, execute, sqlx::query("DELETE FROM tallies WHERE hour < $1").bind(before))?;
        tx.commit().await
    }

    /// The tallies of a kind since a moment, summed up in steps of so many milliseconds.
    pub async fn tallies(
        &self,
        kind: TallyKind,
        since: Timestamp,
        step: i64,
    ) -> Result<Vec<Tally>, StorageError> {
        let rows = read!(
            self,
            "read the tallies",
            fetch_all,
            sqlx::query_as::<_, TallyRow>(
                "SELECT hour / $1 * $1 AS hour, name, CAST(SUM(count) AS BIGINT) AS count FROM tallies \
                 WHERE kind = $2 AND hour >= $3 GROUP BY 1, 2 ORDER BY 1, 2"
            )
            .bind(step)
            .bind(word(kind))
            .bind(since.millis())
        )?;
        rows.into_iter().map(|row| row.into_tally(kind)).collect()
    }

    /// The tallies of a kind since a moment, hour by hour.
    pub async fn hourly_tallies(
        &self,
        kind: TallyKind,
        since: Timestamp,
    ) -> Result<Vec<Tally>, StorageError> {
        self.tallies(kind, since, 3_600_000).await
    }
}
