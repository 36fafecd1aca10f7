//! What can go wrong between Doorward and its database. Messages never carry a stored value.

use std::path::PathBuf;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database refused or failed a statement.
    #[error("the database could not {what}: {source}")]
    Database {
        /// What was being done, as a verb phrase.
        what: &'static str,
        source: sqlx::Error,
    },
    /// The database did not answer; nothing is known about what it did.
    #[error("the database could not be reached to {what}: {source}; check DATABASE_URL and that it runs")]
    Unreachable { what: &'static str, source: sqlx::Error },
    /// Another process holds the SQLite file.
    #[error("the database is locked by another process, could not {what}; stop the other doorward first")]
    Locked { what: &'static str },
    /// A row that makes no sense: edited by hand, or written by something else.
    #[error("table {table}, column {column}, row {id}: {why}; restore the row from a backup or delete it")]
    Corrupt { table: &'static str, column: &'static str, id: String, why: String },
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The SQLite file could not be created.
    #[error("cannot create the database file {path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// A page cursor that this list did not give out.
    #[error("the cursor is not one that this list gave out; start again without a cursor")]
    BadCursor,
}

/// SQLITE_BUSY, which extended codes carry in their low byte (<https://sqlite.org/rescode.html>).
const SQLITE_BUSY: u32 = 5;

impl StorageError {
    /// Sorts an error of the driver by its cause.
    pub(crate) fn database(what: &'static str, source: sqlx::Error) -> Self {
        if is_busy(&source) {
            return Self::Locked { what };
        }
        match source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unreachable { what, source },
            source => Self::Database { what, source },
        }
    }

    /// Whether the statement failed because a value that must be unique is there already.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database { source: sqlx::Error::Database(error), .. } if error.is_unique_violation())
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
        && error
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{ConnectOptions, Connection};

    #[test]
    fn a_closed_pool_is_unreachable_and_a_missing_row_is_not() {
        let closed = StorageError::database("read a user", sqlx::Error::PoolClosed);
        assert!(matches!(closed, StorageError::Unreachable { .. }), "{closed}");
        let missing = StorageError::database("read a user", sqlx::Error::RowNotFound);
        assert!(missing.to_string().starts_with("the database could not read a user"), "{missing}");
    }

    #[tokio::test]
    async fn a_second_writer_from_outside_is_told_that_the_file_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(directory.path().join("doorward.db"))
            .create_if_missing(true)
            .busy_timeout(std::time::Duration::ZERO);
        let (mut one, mut other) = (options.connect().await.unwrap(), options.connect().await.unwrap());
        let _held = one.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let refused = other.begin_with("BEGIN IMMEDIATE").await.map(drop).unwrap_err();
        let error = StorageError::database("begin", refused);
        assert!(matches!(error, StorageError::Locked { what: "begin" }), "{error}");
    }
}
