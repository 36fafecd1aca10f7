//! An open storage over a fresh database, and the list of tests that run on both databases.

use crate::postgres_server::TestPostgres;
use crate::samples::NOW;
use doorward_domain::Clock;
use doorward_storage::Storage;
use std::path::PathBuf;

/// A fresh database with a storage on it.
pub(crate) struct Stage {
    pub(crate) storage: Storage,
    pub(crate) clock: Clock,
    pub(crate) place: Place,
}

/// Where the database is; it goes with this value.
pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(TestPostgres),
}

impl Stage {
    pub(crate) async fn sqlite() -> Self {
        Self::on(Place::Sqlite(tempfile::tempdir().unwrap())).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(Place::Postgres(TestPostgres::new())).await
    }

    async fn on(place: Place) -> Self {
        let clock = Clock::mock(NOW);
        Self { storage: place.open(&clock).await, clock, place }
    }

    /// A second storage on the same database: another replica, or the same process after a restart.
    pub(crate) async fn open_again(&self) -> Storage {
        self.place.open(&self.clock).await
    }

    /// Writes what Doorward would not write, as a hand in the database might.
    pub(crate) async fn by_hand(&self, sql: &str) {
        match &self.place {
            Place::Sqlite(_) => {
                let url = format!("sqlite://{}", self.place.file().display());
                let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
                pool.close().await;
            }
            Place::Postgres(server) => {
                let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
                pool.close().await;
            }
        }
    }

    /// One number out of the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        match &self.place {
            Place::Sqlite(_) => {
                let url = format!("sqlite://{}", self.place.file().display());
                let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&pool).await.unwrap()
            }
            Place::Postgres(server) => {
                let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&pool).await.unwrap()
            }
        }
    }
}

impl Stage {
    /// One column of texts out of the database.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        match &self.place {
            Place::Sqlite(_) => {
                let url = format!("sqlite://{}", self.place.file().display());
                let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap()
            }
            Place::Postgres(server) => {
                let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap()
            }
        }
    }
}

impl Place {
    async fn open(&self, clock: &Clock) -> Storage {
        match self {
            Self::Sqlite(_) => Storage::open_sqlite(&self.file(), clock.clone()).await.unwrap(),
            Self::Postgres(server) => Storage::open_postgres(&server.url(), clock.clone()).await.unwrap(),
        }
    }

    /// The SQLite file.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite(directory) => directory.path().join("doorward.db"),
            Self::Postgres(_) => panic!("PostgreSQL has no file of ours"),
        }
    }
}

/// Runs each of the named functions on SQLite and on PostgreSQL. One that is not named is dead code, and
/// the lints refuse it.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&crate::stage::Stage::sqlite().await).await;
            }
        )*}
        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&crate::stage::Stage::postgres().await).await;
            }
        )*}
    };
}
