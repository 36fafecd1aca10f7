//! The handle that everything else holds: one open database, its clock and its feed.

use crate::database::Database;
use crate::error::StorageError;
use crate::feed::{AppliedChange, ChangeListener, Feed};
use crate::replica::Replica;
use doorward_domain::Clock;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, broadcast};
use tokio::task::AbortHandle;
use tokio::time::Instant;

const DAY_MILLIS: u64 = 86_400_000;

/// How often SQLite's log is moved into the file: seldom enough that a page that is written again and again moves
/// once, and often enough that no commit has to do it.
const SETTLE: Duration = Duration::from_secs(5);

/// How often and after what time it is tried again while somebody reads what was there before.
const SETTLE_TRIES: u32 = 20;
const SETTLE_AGAIN: Duration = Duration::from_millis(5);

/// What Doorward keeps. Clones share the same connections and the same feed.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Clock,
    feed: Arc<Feed>,
    /// Milliseconds; a setting of the whole installation.
    expiring_soon: AtomicU64,
    /// When SQLite's log was last moved into the file. Whoever moves it holds this.
    settled: Arc<Mutex<Instant>>,
    tasks: [AbortHandle; 3],
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Storage")
    }
}

impl Storage {
    /// Opens a SQLite file (created with mode 0600), migrates it, and starts its feed.
    ///
    /// One process at a time: what another process writes is seen by the feed within a second, but the caller
    /// is expected to lock the data directory.
    pub async fn open_sqlite(path: &Path, clock: Clock) -> Result<Self, StorageError> {
        Self::start(Database::open_sqlite(path).await?, clock).await
    }

    /// Connects to PostgreSQL by a `postgres://` URL, migrates it, and starts the feed.
    pub async fn open_postgres(url: &str, clock: Clock) -> Result<Self, StorageError> {
        Self::start(Database::open_postgres(url).await?, clock).await
    }

    async fn start(database: Database, clock: Clock) -> Result<Self, StorageError> {
        let feed = Arc::new(Feed::begin(&database, clock.clone()).await?);
        let reading = tokio::spawn({
            let (feed, database) = (feed.clone(), database.clone());
            async move { feed.run(&database).await }
        });
        let listening = tokio::spawn({
            let (feed, database) = (feed.clone(), database.clone());
            async move { database.listen(feed.waker()).await }
        });
        let settled = Arc::new(Mutex::new(Instant::now()));
        let settling = tokio::spawn({
            let (database, settled) = (database.clone(), settled.clone());
            async move { settle_now_and_then(&database, &settled).await }
        });
        let expiring_soon = AtomicU64::new(DAY_MILLIS);
        let tasks = [reading.abort_handle(), listening.abort_handle(), settling.abort_handle()];
        Ok(Self { inner: Arc::new(Inner { database, clock, feed, expiring_soon, settled, tasks }) })
    }

    /// Moves what SQLite's log holds to its place in the file, while nothing waits for it. Whoever writes for long
    /// does so in between: the log begins anew only when all of it has been moved.
    pub async fn settle(&self) -> Result<(), StorageError> {
        settle(self.database(), &mut *self.inner.settled.lock().await).await
    }

    /// Stops the feed and closes every connection; later calls fail as unreachable.
    pub async fn close(&self) {
        self.inner.tasks.iter().for_each(AbortHandle::abort);
        if let Err(error) = self.replica().leave(&self.inner.database).await {
            tracing::debug!(%error, "this replica could not take leave; others find it silent");
        }
        self.inner.database.close().await;
    }

    /// The changes as this process applies them, in order, after the listeners have seen them.
    pub fn changes(&self) -> broadcast::Receiver<AppliedChange> {
        self.feed().subscribe()
    }

    /// Adds a listener (a cache) that the feed calls for each change before the change counts as applied.
    pub fn on_change(&self, listener: ChangeListener) {
        self.feed().add_listener(listener);
    }

    /// Waits until this process's feed has delivered `seq` to every listener. Returns early when the feed has
    /// lost the database: caches then read through, so that nothing stale is served.
    pub async fn applied(&self, seq: i64) {
        self.feed().applied(seq).await;
    }

    /// Whether the feed has heard from the database within the trust time, so that caches may be believed.
    pub fn feed_is_fresh(&self) -> bool {
        self.feed().is_fresh()
    }

    /// Sets how long before its end something counts as expiring soon (a day, unless it is set). What is
    /// stored already is brought up to date as it is written next.
    pub fn set_expiring_soon(&self, soon: Duration) {
        let millis = u64::try_from(soon.as_millis()).unwrap_or(u64::MAX);
        self.inner.expiring_soon.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn expiring_soon(&self) -> Duration {
        Duration::from_millis(self.inner.expiring_soon.load(Ordering::Relaxed))
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn replica(&self) -> &Replica {
        self.feed().replica()
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.inner.feed
    }
}

/// SQLite begins its log anew only when all of it has been moved, so this is done until nothing came in between.
async fn settle(database: &Database, settled: &mut Instant) -> Result<(), StorageError> {
    let mut before = None;
    for _ in 0..SETTLE_TRIES {
        let done = database.checkpoint().await?;
        if done.is_whole() && before == Some(done) {
            break;
        }
        if !done.is_whole() {
            tokio::time::sleep(SETTLE_AGAIN).await;
        }
        before = Some(done);
    }
    *settled = Instant::now();
    Ok(())
}

async fn settle_now_and_then(database: &Database, settled: &Mutex<Instant>) {
    if database.is_shared() {
        return;
    }
    loop {
        tokio::time::sleep(SETTLE).await;
        let mut settled = settled.lock().await;
        // Whoever writes for long settles by itself, when nothing is being written.
        if settled.elapsed() < SETTLE {
            continue;
        }
        if let Err(error) = settle(database, &mut settled).await {
            tracing::debug!(%error, "the log was not moved into the database file; the next time moves it");
        }
    }
}
