//! Grants whose time has come: counted and chosen on a reader, then compared once more by the statement that
//! locks them for their end, so that a use, a refresh or a new consent in between keeps the grant.

use crate::ended_grant::{End, end_locked};
use crate::error::StorageError;
use crate::row::{RowName, json};
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
            " AND ($2 OR (refresh_token IS NULL AND owner_kind = 'user' AND NOT exchanged)) AND redeeming_number IS NULL"
        )
    };
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

    /// Up to `limit` grants behind `position` that a sweep may end. Without `refreshable`, only those that
    /// could not be refreshed anyway.
    pub async fn choose_grants_to_sweep(
        &self,
        sweep: GrantSweep,
        before: Timestamp,
        refreshable: bool,
        position: &mut SweepPosition,
        limit: u32,
    ) -> Result<Vec<GrantId>, StorageError> {
        macro_rules! choose {
            ($sweep:ident, $key:literal) => {{
                // Not prepared, because PostgreSQL would keep a plan that reads the whole table for any batch.
                let sql = concat!(
                    "SELECT ",
                    $key,
                    ", id FROM grants WHERE ",
                    may_end!($sweep),
                    " AND (",
                    $key,
                    ", id) > ($3, $4) ORDER BY ",
                    $key,
                    ", id LIMIT $5"
                );
                read!(
                    self,
                    "choose grants to sweep",
                    fetch_all,
                    sqlx::query_as::<_, (i64, String)>(sql)
                        .bind(before.millis())
                        .bind(refreshable)
                        .bind(position.0)
                        .bind(&position.1)
                        .bind(i64::from(limit))
                        .persistent(false)
                )
            }};
        }
        let rows = match sweep {
            GrantSweep::Stale => choose!(is_stale, "expires_at"),
            GrantSweep::Idle => choose!(is_idle, "last_used_at"),
            GrantSweep::Orphaned => choose!(is_orphaned, "orphaned_since"),
        }?;
        if let Some((key, id)) = rows.last() {
            *position = SweepPosition(*key, id.clone());
        }
        rows.iter().map(|(_, id)| RowName { table: "grants", id }.parse("id", id)).collect()
    }

    /// Ends those of the chosen grants that a sweep may still end, in one transaction; how many that were.
    pub async fn sweep_grants(
        &self,
        sweep: GrantSweep,
        before: Timestamp,
        refreshable: bool,
        chosen: &[GrantId],
        actor: &Actor,
    ) -> Result<u64, StorageError> {
        let mut tx = self.begin("sweep grants").await?;
        macro_rules! lock {
            ($sweep:ident) => {{
                let sql = tx.connection.spell(concat!(
                    "SELECT id FROM grants WHERE ",
                    may_end!($sweep),
                    " AND id IN (EACH($3)) ORDER BY id FOR UPDATE"
                ));
                tx!(
                    tx,
                    fetch_all,
                    sqlx::query_scalar(sql).bind(before.millis()).bind(refreshable).bind(json(chosen))
                )
            }};
        }
        let ids: Vec<String> = match sweep {
            GrantSweep::Stale => lock!(is_stale),
            GrantSweep::Idle => lock!(is_idle),
            GrantSweep::Orphaned => lock!(is_orphaned),
        }?;
        end_locked(&mut tx, &ids, &End::by(sweep.cause(), actor)).await?;
        tx.commit().await?;
        Ok(ids.len() as u64)
    }

    /// What batches have written moves to its place, while nothing waits for it. Else a later commit would have to.
    pub async fn settle(&self) -> Result<(), StorageError> {
        self.database().checkpoint().await
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
