//! A replica's short exclusive right to do one thing, for example to refresh one grant.
//!
//! A lease is stolen only by a waiter that has itself watched the same version stand still for its whole
//! time on its own monotonic clock: no wall clock decides, and no two machines' clocks are compared.

use crate::error::StorageError;
use crate::storage::Storage;
use doorward_domain::Entropy;
use std::time::Duration;
use tokio::time::Instant;

/// A lease that is held. Renew it before its duration has passed, and release it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    pub holder: String,
    /// Changes with each renewal; a thief takes exactly the version that it watched.
    pub version: i64,
}

/// What one waiter has seen of a lease that somebody else holds. Keep it from try to try.
#[derive(Debug, Default)]
pub struct LeaseWatch {
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    version: i64,
    since: Instant,
    duration: Duration,
}

/// No lease has this version: versions are random and positive.
const NO_VERSION: i64 = -1;

impl LeaseWatch {
    /// The version that has stood still for its whole time, if there is one.
    fn ripe(&self, now: Instant) -> Option<i64> {
        let seen = self.seen.as_ref()?;
        (now.saturating_duration_since(seen.since) >= seen.duration).then_some(seen.version)
    }

    fn note(&mut self, version: i64, duration: Duration, now: Instant) {
        match &mut self.seen {
            Some(seen) if seen.version == version => {}
            seen => *seen = Some(Seen { version, since: now, duration }),
        }
    }
}

impl Storage {
    /// Tries once to take the lease `name` for `duration`. None: somebody holds it; try again with the same
    /// `watch`, which takes the lease over once its holder has stopped renewing it.
    pub async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        duration: Duration,
        watch: &mut LeaseWatch,
    ) -> Result<Option<Lease>, StorageError> {
        let stolen = watch.ripe(Instant::now()).unwrap_or(NO_VERSION);
        let version = fresh_version();
        let taken = write!(
            self,
            "take a lease",
            execute,
            sqlx::query(
                "INSERT INTO leases (name, holder, version, duration_ms) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, version = excluded.version, \
                 duration_ms = excluded.duration_ms WHERE leases.version = $5"
            )
            .bind(name)
            .bind(holder)
            .bind(version)
            .bind(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
            .bind(stolen)
        )?;
        if taken == 1 {
            *watch = LeaseWatch::default();
            return Ok(Some(Lease { name: name.to_owned(), holder: holder.to_owned(), version }));
        }
        self.look_at_lease(name, watch).await?;
        Ok(None)
    }

    async fn look_at_lease(&self, name: &str, watch: &mut LeaseWatch) -> Result<(), StorageError> {
        let held: Option<(i64, i64)> = read!(
            self,
            "look at a lease",
            fetch_optional,
            sqlx::query_as("SELECT version, duration_ms FROM leases WHERE name = $1").bind(name)
        )?;
        if let Some((version, millis)) = held {
            let duration = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
            // The clock is read after the answer: the watch may only be too short, never too long.
            watch.note(version, duration, Instant::now());
        }
        Ok(())
    }

    /// Whether somebody holds a lease, or died while holding it.
    pub async fn lease_is_held(&self, name: &str) -> Result<bool, StorageError> {
        let held: i64 = read!(
            self,
            "look at a lease",
            fetch_one,
            sqlx::query_scalar("SELECT count(*) FROM leases WHERE name = $1").bind(name)
        )?;
        Ok(held > 0)
    }

    /// Prolongs a lease; false when it was lost, and the work must not be finished under it.
    pub async fn renew_lease(&self, lease: &mut Lease) -> Result<bool, StorageError> {
        let version = fresh_version();
        let renewed = write!(
            self,
            "renew a lease",
            execute,
            sqlx::query("UPDATE leases SET version = $1 WHERE name = $2 AND version = $3")
                .bind(version)
                .bind(&lease.name)
                .bind(lease.version)
        )?;
        if renewed == 1 {
            lease.version = version;
        }
        Ok(renewed == 1)
    }

    /// Gives a lease back; false when it had been lost.
    pub async fn release_lease(&self, lease: &Lease) -> Result<bool, StorageError> {
        let released = write!(
            self,
            "release a lease",
            execute,
            sqlx::query("DELETE FROM leases WHERE name = $1 AND version = $2")
                .bind(&lease.name)
                .bind(lease.version)
        )?;
        Ok(released == 1)
    }
}

/// A version that no earlier holder of the name ever had, although released leases leave no row behind.
fn fresh_version() -> i64 {
    i64::from_be_bytes(Entropy.bytes()) & i64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn a_version_is_ripe_only_after_standing_still_for_its_whole_time() {
        let start = Instant::now();
        let mut watch = LeaseWatch::default();
        assert_eq!(watch.ripe(start), None);
        watch.note(7, TEN, start);
        watch.note(7, TEN, start + Duration::from_secs(9));
        assert_eq!(watch.ripe(start + Duration::from_millis(9_999)), None);
        assert_eq!(watch.ripe(start + TEN), Some(7));
    }

    #[test]
    fn a_renewal_starts_the_watch_again() {
        let start = Instant::now();
        let mut watch = LeaseWatch::default();
        watch.note(7, TEN, start);
        watch.note(8, TEN, start + Duration::from_secs(9));
        assert_eq!(watch.ripe(start + TEN), None);
        assert_eq!(watch.ripe(start + Duration::from_secs(19)), Some(8));
    }
}
