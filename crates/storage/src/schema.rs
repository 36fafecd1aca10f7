//! Which schema the database has, and which one this program knows.

use crate::database::MIGRATOR;
use crate::error::StorageError;
use crate::storage::Storage;
use doorward_domain::Timestamp;

/// What the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaReport {
    /// Its name and version.
    pub database: String,
    /// The newest migration that was applied to it.
    pub applied: i64,
    /// The newest migration that this program has.
    pub known: i64,
}

impl Storage {
    /// What the database is, and how its schema stands to this program's.
    pub async fn schema_report(&self) -> Result<SchemaReport, StorageError> {
        let applied: Option<i64> = read!(
            self,
            "look which migrations were applied",
            fetch_one,
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        )?;
        let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
        let database = self.database().name_and_version().await?;
        Ok(SchemaReport { database, applied: applied.unwrap_or(0), known })
    }

    /// What the database takes for the time; none where it has no clock of its own.
    pub async fn database_clock(&self) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.database().clock().await?.map(Timestamp::from_millis))
    }

    /// How many processes share the database, this one included; none where it is one's alone.
    pub async fn replicas(&self) -> Result<Option<u64>, StorageError> {
        if !self.database().is_shared() {
            return Ok(None);
        }
        let replicas: i64 = read!(
            self,
            "count the replicas",
            fetch_one,
            sqlx::query_scalar("SELECT count(*) FROM replicas")
        )?;
        Ok(u64::try_from(replicas).ok())
    }
}
