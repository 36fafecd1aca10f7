//! A database as it is after two years: a hundred thousand people with ten grants each at forty gateways of
//! uneven popularity, written by a few statements. The same number gives the same database, but for the clock.

use crate::prepare::AnyError;
use doorward_broker::{AuthorizationInput, Broker, Caller, Edit, GatewayInput, OAuthInput};
use doorward_domain::{ClientSecret, GatewayState, Timestamp};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How many grants each person has.
pub const GRANTS_PER_PERSON: i64 = 10;

/// How many gateways there are.
pub const GATEWAYS: usize = 40;

const DAY: i64 = 86_400_000;

const FIRST_NAMES: [&str; 48] = [
    "ada", "alan", "anna", "ben", "bob", "carl", "carol", "chen", "dana", "david", "elena", "emma", "eric",
    "eva", "fay", "frank", "gina", "greta", "hans", "ida", "ivan", "jane", "john", "karl", "kim", "lena",
    "leo", "lisa", "marc", "maria", "max", "nina", "olga", "omar", "paul", "petra", "rosa", "sam", "tom",
    "uma", "vera", "will", "xenia", "yara", "zoe", "noor", "liam", "mei",
];

const LAST_NAMES: [&str; 20] = [
    "adams", "baker", "chen", "diaz", "evans", "fischer", "garcia", "hoffmann", "ito", "jones", "khan",
    "lee", "meyer", "novak", "olsen", "patel", "quinn", "rossi", "smith", "tanaka",
];

/// The database to be filled, beside the Doorward that has opened it.
pub enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    async fn open(place: &Place) -> Result<Self, AnyError> {
        Ok(match place {
            Place::Sqlite(file) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let options = options.pragma("synchronous", "OFF").pragma("cache_size", "-200000");
                let one = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
                Self::Sqlite(one.connect_with(options).await?)
            }
            Place::Postgres(url) => Self::Postgres(PgPool::connect(url).await?),
        })
    }

    async fn run(&self, sql: &str) -> Result<(), AnyError> {
        match self {
            Self::Sqlite(pool) => sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.map(|_| ())?,
            Self::Postgres(pool) => sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Names and definitions of the indexes of `grants` that can be made again.
    async fn indexes(&self) -> Result<Vec<(String, String)>, AnyError> {
        Ok(match self {
            Self::Sqlite(pool) => {
                let sql = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'grants' AND type = 'index' \
                           AND sql IS NOT NULL";
                sqlx::query_as(sql).fetch_all(pool).await?
            }
            Self::Postgres(pool) => {
                let sql = "SELECT indexname::text, indexdef FROM pg_indexes \
                           WHERE tablename = 'grants' AND indexname <> 'grants_pkey'";
                sqlx::query_as(sql).fetch_all(pool).await?
            }
        })
    }

    /// What the databases do by themselves after a while.
    async fn settle_down(&self) -> Result<(), AnyError> {
        match self {
            Self::Sqlite(_) => self.run("PRAGMA wal_checkpoint(TRUNCATE)").await,
            Self::Postgres(_) => {
                self.run("VACUUM ANALYZE grants").await?;
                self.run("VACUUM ANALYZE users").await?;
                self.run("CHECKPOINT").await
            }
        }
    }
}

/// Creates the gateways, through the use case; there are eight providers behind them.
pub async fn make_gateways(broker: &Broker, caller: &Caller) -> Result<(), AnyError> {
    for number in 0..GATEWAYS {
        let provider = format!("https://issuer{}.example", number % 8);
        let settings = OAuthInput {
            grant_type: None,
            identity_provider: None,
            audience: None,
            assertion_kid: None,
            authorization_url: format!("{provider}/authorize"),
            token_url: format!("{provider}/token"),
            revocation_url: None,
            facts: None,
            keep_alive: None,
            issuer: Some(provider),
            resource: None,
            scopes: vec!["read".to_owned(), "write".to_owned()],
            scope_ceiling: None,
            authorize_params: BTreeMap::new(),
            client_id: format!("client-{number}"),
            client_secret: Edit::Set(ClientSecret::new("not a secret")),
            token_endpoint_auth: None,
            template: None,
        };
        let gateway = GatewayInput {
            slug: Some(format!("gw-{number:02}")),
            name: Some(format!("Gateway {number}")),
            url: Some(format!("https://upstream{number}.example/mcp")),
            state: Some(GatewayState::Published),
            access: None,
            on_change: None,
            era: None,
            tool_access: None,
            catalog_sharing: None,
            client_certificate: Default::default(),
            authorization: Some(AuthorizationInput::OAuth(Box::new(settings))),
        };
        broker.create_gateway(caller, gateway).await?;
    }
    Ok(())
}

/// Writes `people` people and their grants, as they stand at `now`. The gateways must be there.
pub async fn fill(place: &Place, people: i64, now: Timestamp) -> Result<(), AnyError> {
    let pool = Pool::open(place).await?;
    pool.run(&people_sql(people, now.millis())).await?;
    let indexes = pool.indexes().await?;
    for (name, _) in &indexes {
        pool.run(&format!("DROP INDEX {name}")).await?;
    }
    pool.run(&grants_sql(place, people, now.millis())).await?;
    for (_, definition) in &indexes {
        pool.run(definition).await?;
    }
    pool.settle_down().await
}

fn series(count: i64) -> String {
    format!(
        "series (n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM series WHERE n < {count} - 1)"
    )
}

fn words(table: &str, words: &[&str]) -> String {
    let rows: Vec<_> = words.iter().enumerate().map(|(n, word)| format!("({n}, '{word}')")).collect();
    format!("{table} (n, word) AS (VALUES {})", rows.join(", "))
}

/// The id of a person, from the number `n`.
const PERSON_ID: &str = "'0190f5d2-0000-7000-9000-' || substr(CAST(1000000000000 + person AS TEXT), 2)";

/// Two in a hundred are contractors, and joined in the last two months of the two years.
fn people_sql(people: i64, now: i64) -> String {
    let (series, first, last) = (series(people), words("firsts", &FIRST_NAMES), words("lasts", &LAST_NAMES));
    let (firsts, lasts) = (FIRST_NAMES.len(), LAST_NAMES.len());
    let (start, step) = (now - 730 * DAY, 730 * DAY / people);
    format!(
        "INSERT INTO users (id, email, email_key, name, name_key, role, state, created_at, updated_at, version) \
         WITH RECURSIVE {series}, {first}, {last}, \
         named AS (SELECT s.n AS person, \
           CASE WHEN s.n * 100 >= 98 * {people} THEN 'contractor.' ELSE '' END || f.word AS first, l.word AS last \
           FROM series AS s JOIN firsts AS f ON f.n = s.n * 7919 % 104729 % {firsts} \
           JOIN lasts AS l ON l.n = s.n * 6007 % 99991 % {lasts}) \
         SELECT {PERSON_ID}, first || '.' || last || person || '@example.com', \
           first || '.' || last || person || '@example.com', first || ' ' || last, first || ' ' || last, \
           'user', 'active', {start} + person * {step}, {start}, 1 FROM named"
    )
}

/// Dice are multiples modulo primes. Of the grants 15 % were never used, 12 % have no known end, 30 % nothing
/// renews, 4 % wait for their user, 1 % is orphaned.
fn grants_sql(place: &Place, people: i64, now: i64) -> String {
    let series = series(people * GRANTS_PER_PERSON);
    let (start, step) = (now - 730 * DAY, 730 * DAY / people);
    let (day, days8, days60) = (DAY, 8 * 3_600_000, 60 * DAY);
    let never = i64::MAX;
    let (access, refresh) = (sealed(place, "ab", 300), sealed(place, "cd", 120));
    format!(
        "INSERT INTO grants (id, owner_kind, user_id, gateway_id, label, state, state_reason, orphaned_since, \
           fingerprint, provider, account_subject, account_name, scopes_requested, scopes_granted, access_token, \
           access_token_key_id, refresh_token, refresh_token_key_id, expires_at, expires_soon_at, ends_at, dies_at, \
           dies_soon_at, health, access_token_status, status_changes_at, refresh_number, refresh_due_at, created_at, \
           authorized_at, issued_at, last_used_at, last_refreshed_at, failures, exchanged, version) \
         WITH RECURSIVE {series}, \
         gw AS (SELECT id, fingerprint, issuer, row_number() OVER (ORDER BY slug) - 1 AS n FROM gateways), \
         diced AS (SELECT n, n / {GRANTS_PER_PERSON} AS person, n % {GRANTS_PER_PERSON} AS k, \
           n * 7919 % 1000003 % 1000 AS a, n * 104729 % 999983 % 1000 AS b, n * 15485863 % 1000033 % 1000 AS c, \
           n * 32452843 % 1000037 % 1000 AS d FROM series), \
         placed AS (SELECT r.*, {start} + person * {step} AS born, CASE k WHEN 0 THEN 0 WHEN 1 THEN 1 \
           WHEN 2 THEN 2 + a % 2 WHEN 3 THEN 4 + a % 2 WHEN 4 THEN 6 + a % 3 WHEN 5 THEN 9 + a % 4 \
           WHEN 6 THEN 13 + a % 5 WHEN 7 THEN 18 + a % 6 WHEN 8 THEN 24 + a % 7 \
           ELSE 31 + 9 * a * a / 1000 * a / 1000000 END AS g FROM diced AS r), \
         created AS (SELECT r.*, born + ({now} - born) / 1000 * b AS created_at FROM placed AS r), \
         used AS (SELECT r.*, CASE WHEN d < 150 THEN 0 \
           ELSE created_at + ({now} - created_at) / 1000 * (1000 - c * c / 1000) - 1000 END AS last_used_at, \
           (c + a) % 1000 AS e FROM created AS r), \
         issued AS (SELECT r.*, CASE WHEN last_used_at > created_at THEN last_used_at ELSE created_at END \
           AS issued_at FROM used AS r), \
         ending AS (SELECT r.*, e % 10 < 7 AS refreshable, CASE WHEN e < 120 THEN {never} \
           WHEN e < 700 THEN issued_at + 3600000 WHEN e < 900 THEN issued_at + {days8} \
           ELSE issued_at + {days60} END AS expires_at FROM issued AS r), \
         marked AS (SELECT r.*, CASE WHEN expires_at = {never} THEN expires_at \
           WHEN (expires_at - issued_at) / 5 < {day} THEN expires_at - (expires_at - issued_at) / 5 \
           ELSE expires_at - {day} END AS expires_soon_at, \
           CASE WHEN a < 40 THEN 'needs_authorization' WHEN a < 42 THEN 'uncertain' ELSE 'active' END AS state, \
           CASE WHEN d >= 990 THEN issued_at END AS orphaned_since FROM ending AS r), \
         dying AS (SELECT r.*, CASE WHEN refreshable THEN {never} ELSE expires_at END AS dies_at, \
           CASE WHEN refreshable THEN {never} ELSE expires_soon_at END AS dies_soon_at FROM marked AS r) \
         SELECT '01' || substr(CAST(created_at / 1000 AS TEXT), 1, 6) || '-' || \
           substr(CAST(created_at / 1000 AS TEXT), 7, 4) || '-7000-8000-' || \
           substr(CAST(1000000000000 + r.n AS TEXT), 2), \
           'user', {PERSON_ID}, gw.id, '', state, \
           CASE WHEN state = 'needs_authorization' THEN 'invalid_grant' END, orphaned_since, gw.fingerprint, \
           gw.issuer, 'sub-' || person, 'account' || person, '[\"read\",\"write\"]', '[\"read\",\"write\"]', \
           {access}, 'k1', CASE WHEN refreshable THEN {refresh} END, CASE WHEN refreshable THEN 'k1' END, \
           expires_at, expires_soon_at, {never}, dies_at, dies_soon_at, \
           CASE WHEN orphaned_since IS NOT NULL THEN 'orphaned' WHEN state <> 'active' THEN state \
             WHEN dies_at <= {now} THEN 'expired' WHEN dies_soon_at <= {now} THEN 'expiring_soon' \
             ELSE 'valid' END, \
           CASE WHEN expires_at <= {now} THEN 'expired' WHEN expires_soon_at <= {now} THEN 'expiring_soon' \
             ELSE 'valid' END, \
           CASE WHEN expires_soon_at > {now} THEN expires_soon_at WHEN expires_at > {now} THEN expires_at \
             ELSE {never} END, \
           1, {never}, created_at, created_at, issued_at, last_used_at, issued_at, 0, FALSE, 1 \
         FROM dying AS r JOIN gw ON gw.n = r.g"
    )
}

/// As many bytes as a sealed token has, which nothing can open.
fn sealed(place: &Place, byte: &str, bytes: usize) -> String {
    let hex = byte.repeat(bytes);
    match place {
        Place::Sqlite(_) => format!("x'{hex}'"),
        Place::Postgres(_) => format!("'\\x{hex}'::bytea"),
    }
}
