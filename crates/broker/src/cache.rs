//! What the hot path reads from memory. Every cache hangs on the change feed: an entry is dropped
//! before the change that made it stale is answered, and nothing is kept that was read before it.

use crate::access::CachedAccess;
use crate::directory::Directory;
use doorward_domain::{ApiToken, Change, GatewayId, GroupId, TokenHash, User, UserId, VirtualServer};
use doorward_oauth::ClientIdentity;
use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All caches of the broker.
#[derive(Default)]
pub(crate) struct Caches {
    pub(crate) api_tokens: ReadThrough<TokenHash, Arc<ApiToken>>,
    pub(crate) users: ReadThrough<UserId, Arc<User>>,
    /// The groups that a person is in.
    pub(crate) groups: ReadThrough<UserId, Arc<[GroupId]>>,
    pub(crate) directory: ReadThrough<(), Arc<Directory>>,
    /// The tools of a gateway that are not for a person.
    pub(crate) hidden_tools: ReadThrough<(UserId, GatewayId), Arc<BTreeSet<String>>>,
    pub(crate) virtual_servers: ReadThrough<(), Arc<[Arc<VirtualServer>]>>,
    pub(crate) access: ReadThrough<(UserId, GatewayId), Arc<CachedAccess>>,
    /// Client certificates, opened and read. An edit raises the version, so that none is stale.
    pub(crate) identities: ReadThrough<(GatewayId, i64), ClientIdentity>,
}

impl Caches {
    /// Drops what a change made stale.
    pub(crate) fn apply(&self, change: &Change) {
        match change {
            Change::Gateway(_) => {
                self.directory.invalidate(&());
                self.hidden_tools.invalidate_all();
                // What a deleted gateway offered is gone from them as well.
                self.virtual_servers.invalidate(&());
                self.access.invalidate_all();
            }
            Change::VirtualServer(_) => self.virtual_servers.invalidate(&()),
            Change::User(id) => {
                self.users.invalidate(id);
                self.groups.invalidate(id);
                self.hidden_tools.invalidate_all();
                self.access.invalidate_all();
            }
            // The feed carries ids, the cache is keyed by hash; ending a token is rare.
            Change::ApiToken(_) => self.api_tokens.invalidate_all(),
            Change::Grant { user, gateway, .. } | Change::GrantEnded { user, gateway, .. } => {
                self.access.invalidate(&(*user, *gateway));
            }
            // It is every user's; that it changes is as rare as its tokens are renewed.
            Change::ServiceGrant { .. } | Change::ServiceGrantEnded { .. } => self.access.invalidate_all(),
            Change::Catalog { .. } | Change::ConnectRequest(_) => {}
        }
    }
}

/// A bounded map that reads through, and never keeps a value that was read before an invalidation.
pub(crate) struct ReadThrough<K, V> {
    entries: moka::sync::Cache<K, V>,
    invalidations: AtomicU64,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Default for ReadThrough<K, V> {
    fn default() -> Self {
        Self { entries: moka::sync::Cache::new(100_000), invalidations: AtomicU64::new(0) }
    }
}

impl<K, V> ReadThrough<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The value in memory, if there is one.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key)
    }

    /// The value in memory, or what `load` reads. While the feed is not `fresh`, memory is not trusted.
    pub(crate) async fn get_or_load<E>(
        &self,
        key: &K,
        fresh: bool,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        if fresh && let Some(value) = self.entries.get(key) {
            return Ok(Some(value));
        }
        let before = self.stamp();
        let value = load.await?;
        if let Some(value) = &value
            && fresh
        {
            self.keep(key.clone(), value.clone(), before);
        }
        Ok(value)
    }

    /// A stamp to take before reading what is to be kept.
    pub(crate) fn stamp(&self) -> u64 {
        self.invalidations.load(Ordering::SeqCst)
    }

    /// Keeps a value, unless something was invalidated since the stamp was taken.
    pub(crate) fn keep(&self, key: K, value: V, stamp: u64) {
        self.entries.insert(key.clone(), value);
        // An invalidation raises the stamp first and removes second: whichever order the two
        // interleave in, a stale value does not stay.
        if self.stamp() != stamp {
            self.entries.invalidate(&key);
        }
    }

    pub(crate) fn invalidate(&self, key: &K) {
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate(key);
    }

    pub(crate) fn invalidate_all(&self) {
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_value_read_before_an_invalidation_is_not_kept() {
        let cache = ReadThrough::<u8, &str>::default();
        let load = async {
            cache.invalidate(&1);
            Ok::<_, Infallible>(Some("stale"))
        };
        assert_eq!(cache.get_or_load(&1, true, load).await.unwrap(), Some("stale"));
        assert_eq!(cache.get(&1), None);
    }

    #[tokio::test]
    async fn memory_is_not_trusted_while_the_feed_is_silent() {
        let cache = ReadThrough::<u8, &str>::default();
        let first = async { Ok::<_, Infallible>(Some("old")) };
        cache.get_or_load(&1, true, first).await.unwrap();
        let second = async { Ok::<_, Infallible>(Some("new")) };
        assert_eq!(cache.get_or_load(&1, false, second).await.unwrap(), Some("new"));
        let third = async { Ok::<_, Infallible>(None) };
        assert_eq!(cache.get_or_load(&1, true, third).await.unwrap(), Some("old"));
        cache.invalidate_all();
        assert_eq!(cache.get(&1), None);
    }
}
