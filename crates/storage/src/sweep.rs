//! Grants whose time has come: counted on a reader, then chosen by the statement that locks them for their end, so
//! that a use, a refresh or a new consent in between keeps the grant.

use crate::ended_grant::{End, end_locked};
use crate::error::StorageError;
use crate::grant_row::{GrantName, grant_name_columns};
use crate::sql::{Bind, Sql, bound};
use crate::storage::Storage;
use doorward_domain::{Actor, EndCause, GrantId, GrantNames, SweptKind, Timestamp};

/// Why grants are swept. What belongs to several is ended by the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantSweep {
    /// The access token ended, and since then neither a refresh nor a served call happened for so long.
    Stale,
    /// Nobody used it for so long.
    Idle,
    /// Its user has had no access for so long.
    Orphaned,
}

/// The moments before which grants go, and which may go at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepCutoffs {
    pub stale: Timestamp,
    /// Whether stale grants go that could still be refreshed.
    pub stale_refreshable: bool,
    /// None: nothing is swept for being idle.
    pub idle: Option<Timestamp>,
    pub orphaned: Timestamp,
}

/// How many grants there are, and how many a run would end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Census {
    /// All that can be refreshed.
    pub refreshable: i64,
    pub stale: i64,
    pub stale_refreshable: i64,
    pub idle: i64,
    pub idle_refreshable: i64,
    pub orphaned: i64,
    pub orphaned_refreshable: i64,
}

/// Where a sweep is: behind the last grant that it looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepPosition(i64, String);

impl Default for SweepPosition {
    fn default() -> Self {
        Self(i64::MIN, String::new())
    }
}

impl GrantSweep {
    /// Every sweep, in its order.
    pub const ALL: [Self; 3] = [Self::Stale, Self::Idle, Self::Orphaned];

    /// The kind that counts it.
    pub fn kind(self) -> SweptKind {
        match self {
            Self::Stale => SweptKind::StaleGrants,
            Self::Idle => SweptKind::IdleGrants,
            Self::Orphaned => SweptKind::OrphanedGrants,
        }
    }

    /// Why the grants that it ends have ended.
    pub fn cause(self) -> EndCause {
        match self {
            Self::Stale => EndCause::Swept,
            Self::Idle => EndCause::Idle,
            Self::Orphaned => EndCause::OrphanedTooLong,
        }
    }
}

impl SweepCutoffs {
    /// The moment of a sweep, and whether it ends what could be refreshed; none: it is off.
    pub fn of(&self, sweep: GrantSweep) -> Option<(Timestamp, bool)> {
        match sweep {
            GrantSweep::Stale => Some((self.stale, self.stale_refreshable)),
            GrantSweep::Idle => self.idle.map(|before| (before, true)),
            GrantSweep::Orphaned => Some((self.orphaned, true)),
        }
    }
}

impl Census {
    /// All that a run would end.
    pub fn ended(&self) -> u64 {
        (self.stale + self.idle + self.orphaned).unsigned_abs()
    }

    /// What it would end although it could be refreshed.
    pub fn ended_refreshable(&self) -> u64 {
        (self.stale_refreshable + self.idle_refreshable + self.orphaned_refreshable).unsigned_abs()
    }

    /// What one sweep would end.
    pub fn of(&self, sweep: GrantSweep) -> u64 {
        match sweep {
            GrantSweep::Stale => self.stale,
            GrantSweep::Idle => self.idle,
            GrantSweep::Orphaned => self.orphaned,
        }
        .unsigned_abs()
    }
}

// The same as [`doorward_domain::Grant::removal`], which a test compares.
macro_rules! is_stale {
    ($before:literal) => {
        concat!(
            "expires_at < ",
            $before,
            " AND last_used_at < ",
            $before,
            " AND COALESCE(last_refreshed_at, 0) < ",
            $before
        )
    };
}
macro_rules! is_idle {
    ($before:literal) => {
        concat!(
            "last_used_at < ",
            $before,
            " AND authorized_at < ",
            $before,
            " AND (COALESCE(last_refreshed_at, 0) < ",
            $before,
            " OR gateway_id NOT IN (SELECT id FROM gateways WHERE keep_alive))"
        )
    };
}
macro_rules! is_orphaned {
    ($before:literal) => {
        concat!("orphaned_since < ", $before)
    };
}

/// What is being refreshed at this moment is not ended under the refresh; the next run finds it.
macro_rules! may_end {
    ($sweep:ident) => {
        concat!(
            $sweep!("$1"),
            " AND ($2 = 1 OR (refresh_token IS NULL AND owner_kind = 'user' AND NOT exchanged)) \
             AND redeeming_number IS NULL"
        )
    };
}

/// A grant whose time has come, and since when.
#[derive(sqlx::FromRow)]
struct DueRow {
    due: i64,
    #[sqlx(flatten)]
    grant: GrantName,
}

/// The next grants of a sweep, for [`DueRow`].
fn due(sweep: GrantSweep, before: Timestamp, refreshable: bool, position: &SweepPosition, limit: u32) -> Sql {
    macro_rules! due {
        ($sweep:ident, $key:literal) => {
            concat!(
                "SELECT ",
                $key,
                " AS due, ",
                grant_name_columns!(),
                " FROM grants WHERE ",
                may_end!($sweep),
                " AND (",
                $key,
                ", id) > ($3, $4) ORDER BY ",
                $key,
                ", id"
            )
        };
    }
    let mut sql = Sql::new(match sweep {
        GrantSweep::Stale => due!(is_stale, "expires_at"),
        GrantSweep::Idle => due!(is_idle, "last_used_at"),
        GrantSweep::Orphaned => due!(is_orphaned, "orphaned_since"),
    });
    sql.binds = vec![
        Bind::Number(before.millis()),
        Bind::Number(i64::from(refreshable)),
        Bind::Number(position.0),
        Bind::Text(position.1.clone()),
    ];
    sql.limit(i64::from(limit));
    sql
}

impl Storage {
    /// Counts in one pass over the grants, on a reader.
    pub async fn sweep_census(&self, cutoffs: &SweepCutoffs) -> Result<Census, StorageError> {
        read!(
            self,
            "count the grants that cleanup would end",
            fetch_one,
            sqlx::query_as::<_, Census>(concat!(
                "SELECT count(CASE WHEN refreshable THEN 1 END) AS refreshable, \
                 count(CASE WHEN kind = 1 THEN 1 END) AS stale, \
                 count(CASE WHEN kind = 1 AND refreshable THEN 1 END) AS stale_refreshable, \
                 count(CASE WHEN kind = 2 THEN 1 END) AS idle, \
                 count(CASE WHEN kind = 2 AND refreshable THEN 1 END) AS idle_refreshable, \
                 count(CASE WHEN kind = 3 THEN 1 END) AS orphaned, \
                 count(CASE WHEN kind = 3 AND refreshable THEN 1 END) AS orphaned_refreshable \
                 FROM (SELECT (refresh_token IS NOT NULL OR owner_kind = 'service' OR exchanged) AS refreshable, \
                 CASE WHEN redeeming_number IS NOT NULL THEN 0 WHEN ($2 OR (refresh_token IS NULL AND owner_kind = 'user' AND NOT exchanged)) AND ",
                is_stale!("$1"),
                " THEN 1 WHEN ",
                is_idle!("$3"),
                " THEN 2 WHEN ",
                is_orphaned!("$4"),
                " THEN 3 ELSE 0 END AS kind FROM grants) AS counted"
            ))
            .bind(cutoffs.stale.millis())
            .bind(cutoffs.stale_refreshable)
            .bind(cutoffs.idle.map_or(i64::MIN, Timestamp::millis))
            .bind(cutoffs.orphaned.millis())
        )
    }

    /// Ends up to `limit` grants behind `position` that a sweep may end, in one transaction; how many that were.
    /// Without `refreshable`, only those that could not be refreshed anyway. What somebody else has locked at this
    /// moment stays; the next run finds it.
    pub async fn sweep_grants(
        &self,
        sweep: GrantSweep,
        before: Timestamp,
        refreshable: bool,
        position: &mut SweepPosition,
        limit: u32,
        actor: &Actor,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin("sweep grants").await?;
        let mut sql = due(sweep, before, refreshable, position, limit);
        sql.push(tx.connection.lock_what_is_free());
        let due: Vec<DueRow> = tx!(tx, fetch_all, bound!(sql, query_as))?;
        let Some(last) = due.last() else { return Ok(0) };
        *position = SweepPosition(last.due, last.grant.id.clone());
        let grants: Vec<GrantName> = due.into_iter().map(|row| row.grant).collect();
        end_locked(&mut tx, &grants, &End::by(sweep.cause(), actor)).await?;
        tx.commit().await?;
        Ok(grants.len() as u64)
    }

    /// The first `limit` grants that a sweep may end: for whoever wants to see some.
    pub async fn grants_to_sweep(
        &self,
        sweep: GrantSweep,
        before: Timestamp,
        refreshable: bool,
        limit: u32,
    ) -> Result<Vec<GrantId>, StorageError> {
        let sql = due(sweep, before, refreshable, &SweepPosition::default(), limit);
        let rows: Vec<DueRow> = read!(self, "choose grants to sweep", fetch_all, bound!(sql, query_as))?;
        rows.iter().map(|row| row.grant.parsed_id()).collect()
    }

    /// The names by which people know a grant; none when it has ended.
    pub async fn grant_names(&self, id: GrantId) -> Result<Option<GrantNames>, StorageError> {
        let row: Option<(Option<String>, String)> = read!(
            self,
            "read the names of a grant",
            fetch_optional,
            sqlx::query_as(
                "SELECT u.email, w.slug FROM grants g JOIN gateways w ON w.id = g.gateway_id \
                 LEFT JOIN users u ON u.id = g.user_id WHERE g.id = $1"
            )
            .bind(id.to_string())
        )?;
        Ok(row.map(|(user_email, gateway_slug)| GrantNames { user_email, gateway_slug }))
    }
}
