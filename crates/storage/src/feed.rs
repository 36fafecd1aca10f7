//! The change feed: what changed, in the order of commits, told to the caches of this process.
//!
//! One task reads the rows above the last applied number. It is woken by commits of this process, by
//! `NOTIFY` from other replicas, and at least every second. Caches may be believed while the feed has heard
//! from the database within the trust time, on the monotonic clock; afterwards they read through.

use crate::database::Database;
use crate::error::StorageError;
use crate::replica::Replica;
use doorward_domain::{
    ApiTokenId, Change, Clock, ConnectRequestId, GatewayId, GrantId, UserId, VirtualServerId,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

/// Called by the feed for each change; it must be quick and must not block.
pub type ChangeListener = Box<dyn Fn(&Change) + Send + Sync>;

/// A change with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedChange {
    /// Its place in the order of commits; there are no gaps.
    pub seq: i64,
    pub change: Change,
}

/// How long caches are believed without a word from the database.
pub(crate) const TRUST: Duration = Duration::from_secs(3);

/// The longest time between two looks at the database.
const POLL: Duration = Duration::from_secs(1);

/// Rows per look.
const BATCH: usize = 500;

/// How many changes a slow subscriber may lag behind before it misses some.
const BACKLOG: usize = 1_024;

/// How often a replica says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What one look at the database brought.
struct Applied {
    rows: usize,
    /// Somebody may wait to hear that it is applied.
    awaited: bool,
}

/// The feed of one process.
pub(crate) struct Feed {
    listeners: RwLock<Vec<ChangeListener>>,
    subscribers: broadcast::Sender<AppliedChange>,
    applied: watch::Sender<i64>,
    heard_at: Mutex<Instant>,
    /// Rows were deleted before this process had read them: what its caches hold can no longer be known.
    missed_some: AtomicBool,
    waker: Notify,
    replica: Replica,
    clock: Clock,
}

impl Feed {
    /// A feed that starts behind the newest change: caches are empty at first.
    pub(crate) async fn begin(database: &Database, clock: Clock) -> Result<Self, StorageError> {
        let asked_at = Instant::now();
        let newest = newest(database).await?;
        let replica = Replica::new(database);
        replica.acknowledge(database, &clock, newest).await?;
        Ok(Self {
            listeners: RwLock::default(),
            subscribers: broadcast::Sender::new(BACKLOG),
            applied: watch::Sender::new(newest),
            heard_at: Mutex::new(asked_at),
            missed_some: AtomicBool::new(false),
            waker: Notify::new(),
            replica,
            clock,
        })
    }

    /// Reads and applies for as long as the process lives.
    pub(crate) async fn run(&self, database: &Database) {
        let mut failing = false;
        let mut acknowledged_at = Instant::now();
        loop {
            let asked_at = Instant::now();
            match self.apply_new(database).await {
                Ok(applied) => {
                    failing = false;
                    if applied.awaited || acknowledged_at.elapsed() >= HEARTBEAT {
                        acknowledged_at = asked_at;
                        self.acknowledge(database).await;
                    }
                    // With more to read the caches are still behind, and not to be trusted.
                    if applied.rows == BATCH {
                        continue;
                    }
                    *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = asked_at;
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "the change feed cannot read; caches are bypassed until it can");
                }
                Err(_) => {}
            }
            // Either it was woken or it is time to look: both mean to read again.
            let _ = tokio::time::timeout(POLL, self.waker.notified()).await;
        }
    }

    /// Others may wait to hear that something is applied here; the rest is said with the next heartbeat.
    async fn acknowledge(&self, database: &Database) {
        let applied = *self.applied.borrow();
        if let Err(error) = self.replica.acknowledge(database, &self.clock, applied).await {
            tracing::debug!(%error, "applied changes could not be acknowledged; others wait a little longer");
        }
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.replica
    }

    async fn apply_new(&self, database: &Database) -> Result<Applied, StorageError> {
        let applied = *self.applied.borrow();
        let rows = rows_after(database, applied).await?;
        if rows.first().is_some_and(|row| row.seq != applied + 1)
            && !self.missed_some.swap(true, Ordering::SeqCst)
        {
            tracing::error!(
                "this process slept through deleted changes; caches are off until it is restarted"
            );
        }
        let mut new = Applied { rows: rows.len(), awaited: false };
        for row in rows {
            let change = row.change();
            new.awaited |= change.as_ref().is_none_or(Change::is_awaited);
            self.apply(&row, change);
        }
        Ok(new)
    }

    fn apply(&self, row: &ChangeRow, change: Option<Change>) {
        match change {
            Some(change) => {
                let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
                listeners.iter().for_each(|listener| listener(&change));
                // Nobody may be subscribed; that is no failure.
                let _ = self.subscribers.send(AppliedChange { seq: row.seq, change });
            }
            // A newer replica may write kinds that this one has no cache for.
            None => {
                tracing::debug!(seq = row.seq, kind = row.kind, "a kind of change that is not known here");
            }
        }
        self.applied.send_replace(row.seq);
    }

    pub(crate) fn wake(&self) {
        self.waker.notify_one();
    }

    pub(crate) fn waker(&self) -> &Notify {
        &self.waker
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<AppliedChange> {
        self.subscribers.subscribe()
    }

    pub(crate) fn add_listener(&self, listener: ChangeListener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Resolves when `seq` is applied, or when the feed is no longer to be trusted anyway.
    pub(crate) async fn applied(&self, seq: i64) {
        let mut applied = self.applied.subscribe();
        while self.is_fresh() {
            if tokio::time::timeout(POLL, applied.wait_for(|reached| *reached >= seq)).await.is_ok() {
                return;
            }
        }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        let heard_at = *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner);
        is_trusted(heard_at, Instant::now()) && !self.missed_some.load(Ordering::SeqCst)
    }
}

fn is_trusted(heard_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(heard_at) < TRUST
}

async fn newest(database: &Database) -> Result<i64, StorageError> {
    let source = Source(database);
    read!(
        source,
        "read the newest change",
        fetch_one,
        sqlx::query_scalar("SELECT value FROM counters WHERE name = 'changes'")
    )
}

async fn rows_after(database: &Database, seq: i64) -> Result<Vec<ChangeRow>, StorageError> {
    let source = Source(database);
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    read!(
        source,
        "read the changes",
        fetch_all,
        sqlx::query_as::<_, ChangeRow>(
            "SELECT seq, kind, gateway_id, user_id, thing_id FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2"
        )
        .bind(seq)
        .bind(limit)
    )
}

/// The feed reads before there is a `Storage`, and must not keep one alive.
pub(crate) struct Source<'a>(pub(crate) &'a Database);

impl Source<'_> {
    pub(crate) fn database(&self) -> &Database {
        self.0
    }
}

/// A change as a row: ids only.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ChangeRow {
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) gateway_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) thing_id: Option<String>,
}

impl ChangeRow {
    pub(crate) fn of(seq: i64, change: &Change) -> Self {
        let (kind, gateway, user, thing) = match *change {
            Change::Gateway(id) => ("gateway", Some(id), None, None),
            Change::VirtualServer(id) => ("virtual_server", None, None, Some(id.to_string())),
            Change::User(id) => ("user", None, Some(id), None),
            Change::ApiToken(id) => ("api_token", None, None, Some(id.to_string())),
            Change::Grant { user, gateway, grant } => {
                ("grant", Some(gateway), Some(user), Some(grant.to_string()))
            }
            Change::GrantEnded { user, gateway, grant } => {
                ("grant_ended", Some(gateway), Some(user), Some(grant.to_string()))
            }
            Change::ServiceGrant { gateway, grant } => {
                ("service_grant", Some(gateway), None, Some(grant.to_string()))
            }
            Change::ServiceGrantEnded { gateway, grant } => {
                ("service_grant_ended", Some(gateway), None, Some(grant.to_string()))
            }
            Change::Catalog { gateway, user } => ("catalog", Some(gateway), user, None),
            Change::ConnectRequest(id) => ("connect_request", None, None, Some(id.to_string())),
        };
        Self {
            seq,
            kind: kind.to_owned(),
            gateway_id: gateway.map(|id: GatewayId| id.to_string()),
            user_id: user.map(|id: UserId| id.to_string()),
            thing_id: thing,
        }
    }

    /// None: a kind that this version does not know.
    pub(crate) fn change(&self) -> Option<Change> {
        let gateway = || self.gateway_id.as_ref()?.parse::<GatewayId>().ok();
        let user = || self.user_id.as_ref()?.parse::<UserId>().ok();
        let grant = || self.thing_id.as_ref()?.parse::<GrantId>().ok();
        Some(match self.kind.as_str() {
            "gateway" => Change::Gateway(gateway()?),
            "virtual_server" => {
                Change::VirtualServer(self.thing_id.as_ref()?.parse::<VirtualServerId>().ok()?)
            }
            "user" => Change::User(user()?),
            "api_token" => Change::ApiToken(self.thing_id.as_ref()?.parse::<ApiTokenId>().ok()?),
            "grant" => Change::Grant { user: user()?, gateway: gateway()?, grant: grant()? },
            "grant_ended" => Change::GrantEnded { user: user()?, gateway: gateway()?, grant: grant()? },
            "service_grant" => Change::ServiceGrant { gateway: gateway()?, grant: grant()? },
            "service_grant_ended" => Change::ServiceGrantEnded { gateway: gateway()?, grant: grant()? },
            "catalog" => Change::Catalog { gateway: gateway()?, user: user() },
            "connect_request" => {
                Change::ConnectRequest(self.thing_id.as_ref()?.parse::<ConnectRequestId>().ok()?)
            }
            _ => return None,
        })
    }
}
