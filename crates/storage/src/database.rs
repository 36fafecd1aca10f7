//! The two databases behind one set of statements. Where they really differ, the `match` lives here.
//!
//! `read!`, `write!` and `tx!` expand a query once per database, so that every bind and every decoded row
//! stays typed and each statement is written once:
//!
//! - `read!(storage, "read a user", fetch_optional, query)`: on a reader, outside a transaction;
//! - `write!(storage, "touch a session", execute, query)`: a single statement that commits by itself;
//! - `tx!(tx, execute, query)`: inside a transaction begun by `Storage::begin`.
//!
//! `execute` gives the number of rows that were touched.

use crate::error::StorageError;
use crate::row::values;
use crate::sql::{Sql, bound};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::Notify;

macro_rules! run {
    ($on:expr, execute, $query:expr) => {
        $query.execute($on).await.map(|done| done.rows_affected())
    };
    ($on:expr, $fetch:ident, $query:expr) => {
        $query.$fetch($on).await
    };
}

macro_rules! read {
    ($storage:expr, $what:literal, $fetch:ident, $query:expr $(,)?) => {
        match $storage.database() {
            $crate::database::Database::Sqlite { readers, .. } => run!(readers, $fetch, $query),
            $crate::database::Database::Postgres(pool) => run!(pool, $fetch, $query),
        }
        .map_err(|source| $crate::error::StorageError::database($what, source))
    };
}

macro_rules! write {
    ($storage:expr, $what:literal, $fetch:ident, $query:expr $(,)?) => {
        match $storage.database() {
            $crate::database::Database::Sqlite { writer, .. } => run!(writer, $fetch, $query),
            $crate::database::Database::Postgres(pool) => run!(pool, $fetch, $query),
        }
        .map_err(|source| $crate::error::StorageError::database($what, source))
    };
}

macro_rules! tx {
    ($tx:expr, $fetch:ident, $query:expr $(,)?) => {{
        let what = $tx.what;
        match &mut $tx.connection {
            $crate::database::Connection::Sqlite(connection) => run!(&mut **connection, $fetch, $query),
            $crate::database::Connection::Postgres(connection) => run!(&mut **connection, $fetch, $query),
        }
        .map_err(|source| $crate::error::StorageError::database(what, source))
    }};
}

/// Every migration there is.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// How many SQLite connections read beside the one that writes.
const SQLITE_READERS: u32 = 4;

/// How many connections one replica holds at PostgreSQL at most.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Indexes that find people by how their address or name begins, and hold all that a search asks of people. They
/// compare bytes (see [`Database::by_bytes`]), which the two databases do not say in the same words.
const SQLITE_SEARCH_INDEXES: &str = "CREATE INDEX IF NOT EXISTS users_searched_by_email ON users (email_key, id); \
     CREATE INDEX IF NOT EXISTS users_searched_by_name ON users (name_key, email_key, id)";

/// Replicas that start together wait for each other; the lock ends with the transaction.
const POSTGRES_SEARCH_INDEXES: &str = "BEGIN; SELECT pg_advisory_xact_lock(4964981640275); \
     CREATE INDEX IF NOT EXISTS users_searched_by_email ON users (email_key COLLATE \"C\", id); \
     CREATE INDEX IF NOT EXISTS users_searched_by_name ON users \
     (name_key COLLATE \"C\", email_key COLLATE \"C\", id); COMMIT";

/// How long a caller waits for a connection before the database counts as unreachable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The channel on which PostgreSQL wakes the feeds; it carries nothing.
const CHANNEL: &str = "doorward_changes";

/// Where a listener waits before it tries to listen again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// How the first rows of many ranges of an index are merged. PostgreSQL looks into each range with LATERAL,
/// which SQLite does not know; SQLite walks all of them with an ordered recursion, which PostgreSQL does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    Lateral,
    OrderedRecursion,
}

/// The open database.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// One connection writes and a few only read: SQLite has one writer at a time, and waiting for it in our
    /// own queue is fair, where its busy handler is not.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// How many pages SQLite's log held when it began to be moved, and how many of them are in the file now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    logged: i64,
    moved: i64,
}

impl Checkpoint {
    /// Whether nothing is left. Somebody may still read what was there before; then it waits for them.
    pub(crate) fn is_whole(self) -> bool {
        self.moved >= self.logged
    }
}

/// The connection of one transaction.
pub(crate) enum Connection {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Database {
    /// Opens a SQLite file, creating it for the owner's eyes only, and brings its schema up to date.
    pub(crate) async fn open_sqlite(path: &Path) -> Result<Self, StorageError> {
        create_private_file(path).map_err(|source| StorageError::File { path: path.to_owned(), source })?;
        let failed = |source| StorageError::database("open the database file", source);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(sqlite_writer_options(path))
            .await
            .map_err(failed)?;
        MIGRATOR.run(&writer).await?;
        sqlx::raw_sql(SQLITE_SEARCH_INDEXES).execute(&writer).await.map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(sqlite_reader_options(path))
            .await
            .map_err(failed)?;
        Ok(Self::Sqlite { writer, readers })
    }

    /// Connects to PostgreSQL and brings the schema up to date, under a lock that keeps replicas apart.
    pub(crate) async fn open_postgres(url: &str) -> Result<Self, StorageError> {
        let failed = |source| StorageError::database("connect", source);
        let options =
            sqlx::postgres::PgConnectOptions::from_str(url).map_err(failed)?.application_name("doorward");
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(failed)?;
        MIGRATOR.run(&pool).await?;
        sqlx::raw_sql(POSTGRES_SEARCH_INDEXES).execute(&pool).await.map_err(failed)?;
        Ok(Self::Postgres(pool))
    }

    /// What the database calls itself.
    pub(crate) async fn name_and_version(&self) -> Result<String, StorageError> {
        let failed = |source| StorageError::database("ask the database for its version", source);
        match self {
            Self::Sqlite { readers, .. } => {
                let version =
                    sqlx::query_scalar::<_, String>("SELECT sqlite_version()").fetch_one(readers).await;
                Ok(format!("SQLite {}", version.map_err(failed)?))
            }
            Self::Postgres(pool) => {
                let version = sqlx::query_scalar::<_, String>("SELECT current_setting('server_version')");
                Ok(format!("PostgreSQL {}", version.fetch_one(pool).await.map_err(failed)?))
            }
        }
    }

    /// What the database's machine takes for the time; none where that machine is this one.
    pub(crate) async fn clock(&self) -> Result<Option<i64>, StorageError> {
        let Self::Postgres(pool) = self else { return Ok(None) };
        let millis =
            sqlx::query_scalar("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)");
        let millis = millis.fetch_one(pool).await;
        millis.map(Some).map_err(|source| StorageError::database("ask the database for the time", source))
    }

    /// How text is compared byte by byte: by its locale, PostgreSQL would find no prefix in an index.
    pub(crate) fn by_bytes(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "COLLATE BINARY",
            Self::Postgres(_) => "COLLATE \"C\"",
        }
    }

    /// A statement in the database's own words. For two things they have none in common: `EACH($1)` gives the
    /// texts of a bound JSON list as rows, and `FOR UPDATE` locks what `BEGIN IMMEDIATE` has locked already.
    pub(crate) fn spell(&self, sql: &str) -> String {
        match self {
            Self::Sqlite { .. } => spell_sqlite(sql),
            Self::Postgres(_) => spell_postgres(sql),
        }
    }

    /// Whether other processes may have the same database open.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The plan of a statement, a line each.
    pub(crate) async fn explain(&self, sql: &Sql) -> Result<Vec<String>, StorageError> {
        let failed = |source| StorageError::database("explain a statement", source);
        match self {
            Self::Sqlite { readers, .. } => {
                let plan = Sql { text: format!("EXPLAIN QUERY PLAN {}", sql.text), binds: sql.binds.clone() };
                let steps: Vec<(i64, i64, i64, String)> =
                    bound!(plan, query_as).fetch_all(readers).await.map_err(failed)?;
                Ok(steps.into_iter().map(|(_, _, _, step)| step).collect())
            }
            Self::Postgres(pool) => {
                let plan = Sql { text: format!("EXPLAIN {}", sql.text), binds: sql.binds.clone() };
                bound!(plan, query_scalar).fetch_all(pool).await.map_err(failed)
            }
        }
    }

    /// How the first rows of many ranges of an index are merged.
    pub(crate) fn merge(&self) -> Merge {
        match self {
            Self::Sqlite { .. } => Merge::OrderedRecursion,
            Self::Postgres(_) => Merge::Lateral,
        }
    }

    /// Begins a transaction that writes. `BEGIN IMMEDIATE` takes SQLite's write lock at once, so that no
    /// transaction has to be thrown away when it first writes.
    pub(crate) async fn begin(&self, what: &'static str) -> Result<Connection, StorageError> {
        match self {
            Self::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Connection::Sqlite),
            Self::Postgres(pool) => pool.begin().await.map(Connection::Postgres),
        }
        .map_err(|source| StorageError::database(what, source))
    }

    /// Moves what SQLite's log holds into the file, on a reader: neither readers nor the writer wait for it.
    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, StorageError> {
        let Self::Sqlite { readers, .. } = self else { return Ok(Checkpoint::default()) };
        let (_, logged, moved): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_one(readers)
            .await
            .map_err(|source| StorageError::database("move the log into the database file", source))?;
        Ok(Checkpoint { logged, moved })
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Wakes `feed` at each commit that another replica announces. Only PostgreSQL has other replicas;
    /// a lost notification costs nothing but the time until the feed's next poll.
    pub(crate) async fn listen(&self, feed: &Notify) {
        let Self::Postgres(pool) = self else { return };
        loop {
            if let Err(error) = wake_on_notify(pool, feed).await {
                tracing::debug!(%error, "listening for changes ended; trying again");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}

async fn wake_on_notify(pool: &PgPool, feed: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        listener.recv().await?;
        feed.notify_one();
    }
}

impl Connection {
    /// A statement in the database's own words, as [`Database::spell`] has it.
    pub(crate) fn spell(&self, sql: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(match self {
            Self::Sqlite(_) => spell_sqlite(sql),
            Self::Postgres(_) => spell_postgres(sql),
        })
    }

    /// Put behind a query, it locks those of its rows that nobody else has locked, and leaves out the others.
    pub(crate) fn lock_what_is_free(&self) -> &'static str {
        match self {
            // Nobody else can have locked anything.
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// The values of many rows, to be bound in their order. SQLite compares the name of each numbered parameter
    /// with all names before it, twice: a thousand of them cost more than the rows that they insert.
    pub(crate) fn values(&self, rows: usize, columns: usize) -> String {
        match self {
            Self::Sqlite(_) => vec![format!("({})", vec!["?"; columns].join(", ")); rows].join(", "),
            Self::Postgres(_) => values(rows, columns),
        }
    }

    /// Tells the other replicas, once this transaction is committed, that there is something to read.
    pub(crate) async fn announce(&mut self, what: &'static str) -> Result<(), StorageError> {
        let Self::Postgres(connection) = self else { return Ok(()) };
        sqlx::query("SELECT pg_notify($1, '')")
            .bind(CHANNEL)
            .execute(&mut **connection)
            .await
            .map(drop)
            .map_err(|source| StorageError::database(what, source))
    }

    /// Commits.
    pub(crate) async fn commit(self, what: &'static str) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(connection) => connection.commit().await,
            Self::Postgres(connection) => connection.commit().await,
        }
        .map_err(|source| StorageError::database(what, source))
    }
}

fn spell_sqlite(sql: &str) -> String {
    sql.replace("EACH(", "SELECT value FROM json_each(").replace(" FOR UPDATE", "")
}

fn spell_postgres(sql: &str) -> String {
    let mut pieces = sql.split("EACH(");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.filter_map(|piece| piece.split_once(')')).fold(first, |sql, (list, rest)| {
        format!("{sql}SELECT json_array_elements_text(CAST({list} AS json)){rest}")
    })
}

/// Tokens must survive a power cut (`synchronous`), and what is deleted must be gone (`secure_delete`).
fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("secure_delete", "ON")
}

/// A batch that ends hundreds of grants touches thousands of pages all over the file. They fit into this cache, and
/// its commit leaves them in the log: [`Storage::settle`](crate::Storage::settle) moves them, and only where that
/// has not been for long (800 MiB), a commit.
fn sqlite_writer_options(path: &Path) -> SqliteConnectOptions {
    sqlite_options(path).pragma("cache_size", "-32768").pragma("wal_autocheckpoint", "200000")
}

/// Readers look straight into the system's cache of the file, as much of it as SQLite lets them (2 GiB): a search
/// reads thousands of pages and keeps none.
fn sqlite_reader_options(path: &Path) -> SqliteConnectOptions {
    sqlite_options(path).pragma("query_only", "ON").pragma("mmap_size", "2147418112")
}

/// SQLite gives its `-wal` and `-shm` files the mode of the main file, so the mode is set at birth.
fn create_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
