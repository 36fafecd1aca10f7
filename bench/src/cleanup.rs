//! `doorward-bench cleanup`: half a million stale grants among a million, held by the brake and then confirmed,
//! beside a bare batched DELETE of the same rows in a copy of the same table. The same calls run before and
//! during both.

use crate::crowd::{GRANTS_PER_PERSON, Place, fill, make_gateways};
use crate::load::{self, Measured, Target};
use crate::prepare::AnyError;
use crate::{target, upstream};
use doorward_broker::{AuthorizationInput, Broker, BrokerParts, CleanupOrder, GatewayInput};
use doorward_domain::{Audience, CleanupPolicy, CleanupRun, Clock, Entropy, GatewayState, Policy, SweptKind};
use doorward_oauth::{OAuthClient, ProviderTemplates};
use doorward_outbound::{EgressPolicy, Outbound};
use doorward_testkit::app::{TestApp, TestAppOptions, oauth_input};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use std::io::Write;
use std::time::{Duration, Instant};

/// People; each has ten grants.
const PEOPLE: i64 = 100_000;

/// Calls come on so many connections, each with a pause after each call: a gateway with room to breathe, as
/// one has at night.
const CONNECTIONS: usize = 4;
const PAUSE: Duration = Duration::from_millis(10);
const BEFORE: Duration = Duration::from_secs(15);

/// How many rows a batch of the bare DELETE has.
const BARE_BATCH: i64 = 500;

/// What a stale grant is measured by.
const AGE: &str = "CASE WHEN expires_at > last_used_at THEN expires_at ELSE last_used_at END";

/// Measures on both databases.
pub async fn run(people: Option<i64>) -> Result<(), AnyError> {
    say(
        "| | rows/s | of the bare DELETE | slowest batch ms | calls/s | p50 / p99 µs | p99 of before |\n|---|---|---|---|---|---|---|\n",
    )?;
    for postgres in [false, true] {
        measure(postgres, people.unwrap_or(PEOPLE)).await?;
    }
    Ok(())
}

async fn measure(postgres: bool, people: i64) -> Result<(), AnyError> {
    let options =
        TestAppOptions { clock: Some(Clock::System), postgres, measured: true, ..Default::default() };
    let app = TestApp::with(options).await;
    let place = match postgres {
        true => Place::Postgres(app.postgres().url()),
        false => Place::Sqlite(app.directory().join("data/doorward.db")),
    };
    make_gateways(app.app.broker(), &app.administrator().caller).await?;
    fill(&place, people, app.clock.now()).await?;
    let calls = connected(&app).await?;
    let side = Side::open(&place).await?;
    // Providers that can be told, so that what is swept fills the outbox too.
    side.run("UPDATE gateways SET revocation_url = issuer || '/revoke' WHERE slug LIKE 'gw-%'").await?;
    let half = people * GRANTS_PER_PERSON / 2;
    let cutoff = side.number(&format!("SELECT {AGE} FROM grants ORDER BY 1 LIMIT 1 OFFSET {half}")).await?;
    let bare = side.copy().await?;

    let name = if postgres { "PostgreSQL" } else { "SQLite" };
    let before = load::run(&calls, CONNECTIONS, BEFORE).await;
    row(&format!("{name}: calls alone"), None, None, &before, &before)?;
    let (beside, deleted) = during(&calls, bare.delete(cutoff)).await;
    let deleted = deleted?;
    row(
        &format!("{name}: bare DELETE"),
        Some((&deleted, &deleted)),
        Some(deleted.slowest),
        &beside,
        &before,
    )?;
    let broker = broker(&app, cutoff)?;
    let (beside, swept) = during(&calls, sweep(&broker, &app)).await;
    let swept = swept?;
    row(&format!("{name}: cleanup"), Some((&swept, &deleted)), Some(swept.slowest), &beside, &before)?;
    Ok(())
}

/// Rows that went, and how long that took.
struct Gone {
    rows: u64,
    seconds: f64,
    slowest: u64,
}

impl Gone {
    fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }
}

async fn during<T>(calls: &Target, work: impl Future<Output = T>) -> (Measured, T) {
    let running = load::start(calls, CONNECTIONS);
    let done = work.await;
    (running.stop().await, done)
}

/// The run that the brake stops, and the one that is told to go on.
async fn sweep(broker: &Broker, app: &TestApp) -> Result<Gone, AnyError> {
    let begun = Instant::now();
    let caller = &app.administrator().caller;
    let held = broker.start_cleanup(caller, CleanupOrder::default()).await?.finished().await?;
    let order =
        CleanupOrder { confirm_held: true, expected_count: Some(held.held_count), ..CleanupOrder::default() };
    let told = broker.start_cleanup(caller, order).await?.finished().await?;
    for run in [&held, &told] {
        if let Some(error) = &run.error {
            return Err(error.clone().into());
        }
    }
    let rows = |run: &CleanupRun| run.counts.get(&SweptKind::StaleGrants).copied().unwrap_or(0);
    let seconds = begun.elapsed().as_secs_f64();
    say(&format!("<!-- swept {}, held and confirmed {} -->\n", rows(&held), rows(&told)))?;
    let slowest = held.slowest_batch_ms.max(told.slowest_batch_ms);
    Ok(Gone { rows: rows(&held) + rows(&told), seconds, slowest })
}

/// A broker on the same database whose retention makes half of the grants stale.
fn broker(app: &TestApp, cutoff: i64) -> Result<Broker, AnyError> {
    let age = app.clock.now().millis() - cutoff;
    let retention = Duration::from_millis(age.unsigned_abs());
    let egress = EgressPolicy::parse("127.0.0.1/32", "127.0.0.1")?;
    Ok(Broker::new(BrokerParts {
        storage: app.app.storage().clone(),
        vault: app.app.vault().clone(),
        ring_file: None,
        oauth: OAuthClient::new(Outbound::new(egress, Duration::from_secs(5))?),
        templates: ProviderTemplates::shipped(),
        clock: app.clock.clone(),
        entropy: Entropy,
        policy: Policy {
            cleanup: CleanupPolicy { retention, ..CleanupPolicy::default() },
            ..Policy::default()
        },
        public_url: app.origin.parse()?,
        client_metadata_url: None,
    }))
}

/// A gateway before the bare upstream that the administrator has connected, and the calls to it.
async fn connected(app: &TestApp) -> Result<Target, AnyError> {
    let demo = app.demo().await;
    let upstream = format!("http://{}/mcp", upstream::start().await?);
    app.register_input(GatewayInput {
        slug: Some("bench".to_owned()),
        name: Some("Bench".to_owned()),
        url: Some(upstream),
        state: Some(GatewayState::Published),
        access: None,
        on_change: None,
        era: None,
        tool_access: None,
        catalog_sharing: None,
        client_certificate: Default::default(),
        authorization: Some(AuthorizationInput::OAuth(Box::new(oauth_input(&demo)))),
    })
    .await;
    app.connect(app.administrator(), "bench", &demo, "alice").await;
    let token = app.api_token(app.administrator(), Audience::Mcp).await;
    let target = target(format!("{}/gateways/bench/mcp", app.origin), &token)?;
    Ok(Target { pause: PAUSE, ..target })
}

/// The database beside the Doorward that has opened it.
enum Side {
    Sqlite(SqlitePool, std::path::PathBuf),
    Postgres(PgPool),
}

impl Side {
    async fn open(place: &Place) -> Result<Self, AnyError> {
        Ok(match place {
            Place::Sqlite(file) => Self::Sqlite(like_ours(file).await?, file.clone()),
            Place::Postgres(url) => Self::Postgres(PgPool::connect(url).await?),
        })
    }

    async fn run(&self, sql: &str) -> Result<u64, AnyError> {
        Ok(match self {
            Self::Sqlite(pool, _) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await?.rows_affected(),
            Self::Postgres(pool) => sqlx::query(AssertSqlSafe(sql)).execute(pool).await?.rows_affected(),
        })
    }

    async fn number(&self, sql: &str) -> Result<i64, AnyError> {
        Ok(match self {
            Self::Sqlite(pool, _) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await?,
            Self::Postgres(pool) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await?,
        })
    }

    /// The same data again: another file, or another table with the same indexes.
    async fn copy(&self) -> Result<Bare, AnyError> {
        match self {
            Self::Sqlite(_, file) => {
                self.number("PRAGMA wal_checkpoint(TRUNCATE)").await?;
                let copy = file.with_extension("copy");
                std::fs::copy(file, &copy)?;
                // What filling and copying left to be written would be written while something is measured.
                for file in [file, &copy] {
                    std::fs::File::open(file)?.sync_all()?;
                }
                Ok(Bare { side: Self::Sqlite(like_ours(&copy).await?, copy), table: "grants" })
            }
            Self::Postgres(pool) => {
                self.run("CREATE TABLE bare (LIKE grants INCLUDING ALL)").await?;
                // A copy has no foreign keys; each row that goes is looked for in the table that refers to it.
                self.run("CREATE TABLE bare_needs (LIKE needed_scopes INCLUDING ALL)").await?;
                self.run(
                    "ALTER TABLE bare_needs ADD FOREIGN KEY (grant_id) REFERENCES bare (id) ON DELETE CASCADE",
                )
                .await?;
                self.run("INSERT INTO bare SELECT * FROM grants").await?;
                self.run("VACUUM ANALYZE bare").await?;
                self.run("CHECKPOINT").await?;
                Ok(Bare { side: Self::Postgres(pool.clone()), table: "bare" })
            }
        }
    }
}

/// One writer on a SQLite file, with the settings of `storage/src/database.rs`.
async fn like_ours(file: &std::path::Path) -> Result<SqlitePool, AnyError> {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("secure_delete", "ON")
        .pragma("cache_size", "-32768")
        .pragma("wal_autocheckpoint", "200000");
    Ok(sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await?)
}

/// The copy that a bare DELETE works on.
struct Bare {
    side: Side,
    table: &'static str,
}

impl Bare {
    async fn delete(&self, cutoff: i64) -> Result<Gone, AnyError> {
        let table = self.table;
        let stale = format!(
            "expires_at < {cutoff} AND last_used_at < {cutoff} AND COALESCE(last_refreshed_at, 0) < {cutoff}"
        );
        let sql = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {stale} ORDER BY expires_at, id LIMIT {BARE_BATCH})"
        );
        let mut gone = Gone { rows: 0, seconds: 0.0, slowest: 0 };
        let begun = Instant::now();
        loop {
            let batch = Instant::now();
            let rows = self.side.run(&sql).await?;
            if rows == 0 {
                break;
            }
            gone.rows += rows;
            gone.slowest = gone.slowest.max(u64::try_from(batch.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        gone.seconds = begun.elapsed().as_secs_f64();
        Ok(gone)
    }
}

fn row(
    name: &str,
    gone: Option<(&Gone, &Gone)>,
    slowest: Option<u64>,
    calls: &Measured,
    before: &Measured,
) -> Result<(), AnyError> {
    if calls.failures > 0 || calls.calls == 0 {
        return Err(format!("{name}: {} calls failed", calls.failures).into());
    }
    let rate = gone.map_or("".to_owned(), |(gone, _)| format!("{:.0}", gone.rate()));
    let share = gone.map_or("".to_owned(), |(gone, bare)| format!("{:.2}", gone.rate() / bare.rate()));
    let slowest = slowest.map_or("".to_owned(), |slowest| slowest.to_string());
    let (p50, p99) = (calls.percentile_us(0.5), calls.percentile_us(0.99));
    let ratio = p99 as f64 / before.percentile_us(0.99) as f64;
    say(&format!(
        "| {name} | {rate} | {share} | {slowest} | {:.0} | {p50} / {p99} | {ratio:.2} |\n",
        calls.rate()
    ))
}

fn say(text: &str) -> Result<(), AnyError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
