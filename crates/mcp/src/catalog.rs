//! What gateways offer: read once with the caller's own grant, kept per user or shared, served from
//! memory. A gateway that hangs or fails delays and hides only itself.

use crate::catalog_reader;
use crate::held;
use crate::names::Names;
use crate::shown_catalog::ShownCatalogs;
use crate::upstream::{CallError, CatalogOwner, Upstreams, owner_of_catalog};
use crate::uri_template::UriTemplate;
use doorward_broker::{Broker, BrokerError, Caller, Credential};
use doorward_domain::{
    Catalog, CatalogItem, CatalogKind, Change, Clock, Gateway, GatewayId, OnChange, UserId,
};
use doorward_storage::Storage;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long a list waits for a gateway whose catalog is not known yet.
const FIRST_READ_WITHIN: Duration = Duration::from_secs(10);

/// How long one reading may take altogether.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// A catalog older than this is served, and read again in the background.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);

/// After a failed reading the gateway is left alone for so long.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Catalogs kept in memory.
const MAX_KNOWN: u64 = 10_000;

/// A catalog with what routing asks of it.
#[derive(Debug)]
pub struct IndexedCatalog {
    catalog: Catalog,
    /// Places of resources and templates in `items`, sorted by kind and name.
    sorted: Vec<usize>,
    templates: Vec<UriTemplate>,
}

impl IndexedCatalog {
    /// Indexes a catalog.
    pub fn new(catalog: Catalog) -> Self {
        let is_resource = |kind| matches!(kind, CatalogKind::Resource | CatalogKind::ResourceTemplate);
        let items = &catalog.items;
        let mut sorted: Vec<usize> = (0..items.len()).filter(|at| is_resource(items[*at].kind)).collect();
        sorted.sort_by(|a, b| (items[*a].kind, &items[*a].name).cmp(&(items[*b].kind, &items[*b].name)));
        let templates = catalog.of_kind(CatalogKind::ResourceTemplate);
        let templates = templates.filter_map(|item| UriTemplate::parse(&item.name)).collect();
        Self { catalog, sorted, templates }
    }

    /// Whether a resource URI or a template stands in the catalog.
    pub fn lists(&self, kind: CatalogKind, name: &str) -> bool {
        let items = &self.catalog.items;
        self.sorted
            .binary_search_by(|at| (items[*at].kind, items[*at].name.as_str()).cmp(&(kind, name)))
            .is_ok()
    }

    /// The catalog without some of its tools.
    pub(crate) fn without(&self, hidden: &BTreeSet<String>) -> Self {
        let is_hidden = |item: &CatalogItem| item.kind == CatalogKind::Tool && hidden.contains(&item.name);
        let items = self.catalog.items.iter().filter(|item| !is_hidden(item)).cloned().collect();
        Self::new(Catalog { items, ..self.catalog.clone() })
    }

    /// Whether there are resources or templates at all.
    pub fn has_resources(&self) -> bool {
        !self.sorted.is_empty()
    }

    pub(crate) fn templates(&self) -> impl Iterator<Item = &UriTemplate> {
        self.templates.iter()
    }
}

impl Deref for IndexedCatalog {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        &self.catalog
    }
}

/// What can be said about a gateway's catalog.
#[derive(Debug, Clone)]
pub enum CatalogState {
    Known(Arc<IndexedCatalog>),
    /// Nobody whose catalog this caller sees has read it, and this caller has to authorize first.
    MustAuthorize,
    /// It is not known, and could not be read.
    Unreachable(CallError),
}

type ReadResult = Result<Arc<IndexedCatalog>, CallError>;

/// A reading that several callers wait for.
type Reading = Shared<BoxFuture<'static, ReadResult>>;

/// All catalogs. Cheap to clone.
#[derive(Clone)]
pub struct Catalogs {
    inner: Arc<Inner>,
}

struct Inner {
    upstreams: Upstreams,
    storage: Storage,
    broker: Broker,
    clock: Clock,
    names: Names,
    known: moka::sync::Cache<CatalogOwner, Arc<IndexedCatalog>>,
    /// Grows with every change of a catalog, so that what was read before a change is not kept after it.
    changes: AtomicU64,
    shown: ShownCatalogs,
    failures: moka::sync::Cache<(GatewayId, UserId), CallError>,
    /// One reading at a time per caller and gateway as it stands. It goes on when those who asked have left.
    reading: Mutex<HashMap<(GatewayId, UserId, i64), Reading>>,
}

impl Catalogs {
    /// Catalogs that follow the change feed, and are read by themselves when a user has authorized a gateway.
    pub fn new(upstreams: Upstreams, broker: &Broker, storage: Storage) -> Self {
        let inner = Arc::new(Inner {
            upstreams,
            names: Names::new(storage.clone()),
            clock: broker.clock().clone(),
            broker: broker.clone(),
            known: moka::sync::Cache::new(MAX_KNOWN),
            changes: AtomicU64::new(0),
            shown: ShownCatalogs::default(),
            failures: moka::sync::Cache::builder()
                .max_capacity(MAX_KNOWN)
                .time_to_live(REST_AFTER_FAILURE)
                .build(),
            reading: Mutex::default(),
            storage,
        });
        let weak = Arc::downgrade(&inner);
        inner.storage.on_change(Box::new(move |change| {
            if let Some(inner) = weak.upgrade() {
                inner.apply(change);
            }
        }));
        let weak = Arc::downgrade(&inner);
        broker.on_connected(Box::new(move |user, gateway| read_for(Weak::clone(&weak), user, gateway)));
        let weak = Arc::downgrade(&inner);
        inner.upstreams.on_changed(Box::new(move |caller, gateway| {
            let weak = Weak::clone(&weak);
            Box::pin(async move {
                let Some(inner) = weak.upgrade() else { return };
                // A failure is noted where it happens; those who list are told what is known.
                let _ = tokio::time::timeout(FIRST_READ_WITHIN, inner.read(&caller, &gateway)).await;
            })
        }));
        Self { inner }
    }

    /// The names under which clients see tools and prompts.
    pub fn names(&self) -> &Names {
        &self.inner.names
    }

    /// What is known of a gateway for this caller, without the tools that are not for them. Only when nothing
    /// is known does it wait for the gateway, for at most ten seconds.
    pub async fn of(&self, caller: &Caller, gateway: &Arc<Gateway>) -> CatalogState {
        match self.whole(caller, gateway).await {
            CatalogState::Known(catalog) => {
                match self.inner.broker.hidden_tools(&caller.user, gateway.id).await {
                    Ok(hidden) => CatalogState::Known(self.inner.shown.without(catalog, hidden)),
                    Err(error) => CatalogState::Unreachable(error.into()),
                }
            }
            unknown => unknown,
        }
    }

    async fn whole(&self, caller: &Caller, gateway: &Arc<Gateway>) -> CatalogState {
        let key = (gateway.id, caller.user.id);
        match self.inner.stored(caller, gateway).await {
            Err(error) => return CatalogState::Unreachable(error),
            Ok(Some(known)) => {
                let fresh = self.inner.clock.now() < known.fetched_at.plus(FRESH_FOR);
                if !fresh && self.inner.failures.get(&key).is_none() {
                    // Detached: the caller is served with what is known.
                    drop(self.inner.read(caller, gateway));
                }
                return CatalogState::Known(known);
            }
            Ok(None) => {}
        }
        if let Some(failure) = self.inner.failures.get(&key) {
            return CatalogState::Unreachable(failure);
        }
        match tokio::time::timeout(FIRST_READ_WITHIN, self.inner.read(caller, gateway)).await {
            Ok(Ok(catalog)) => CatalogState::Known(catalog),
            Ok(Err(CallError::MustAuthorize { .. })) => CatalogState::MustAuthorize,
            Ok(Err(error)) => CatalogState::Unreachable(error),
            Err(_) => CatalogState::Unreachable(too_slow(gateway)),
        }
    }

    /// Reads a catalog again, with the caller's own grant. Readings by one caller at the same time are one.
    pub async fn read_again(&self, caller: &Caller, gateway: &Arc<Gateway>) -> ReadResult {
        self.inner.read(caller, gateway).await
    }
}

impl Inner {
    fn apply(&self, change: &Change) {
        if let Change::Catalog { gateway, user } = change {
            self.changes.fetch_add(1, Ordering::SeqCst);
            self.known.invalidate(&(*gateway, *user));
        }
    }

    /// From memory while the change feed is fresh, else from the database.
    async fn stored(
        &self,
        caller: &Caller,
        gateway: &Gateway,
    ) -> Result<Option<Arc<IndexedCatalog>>, CallError> {
        let owner = owner_of_catalog(caller, gateway);
        let fresh = self.storage.feed_is_fresh();
        if let Some(known) = self.known.get(&owner).filter(|_| fresh) {
            return Ok(Some(known));
        }
        let before = self.changes.load(Ordering::SeqCst);
        let stored = self.storage.catalog(owner.0, owner.1).await.map_err(BrokerError::from)?;
        let Some(catalog) = stored else { return Ok(None) };
        let catalog = self.as_served(gateway, catalog).await?;
        self.names.register(&gateway.slug, &catalog).await?;
        let catalog = Arc::new(IndexedCatalog::new(catalog));
        self.keep(owner, &catalog, before);
        Ok(Some(catalog))
    }

    /// The catalog without what is held back.
    async fn as_served(&self, gateway: &Gateway, catalog: Catalog) -> Result<Catalog, CallError> {
        if gateway.on_change == OnChange::Allow {
            return Ok(catalog);
        }
        let versions = self.storage.catalog_versions(gateway.id).await.map_err(BrokerError::from)?;
        Ok(Catalog { items: held::served(catalog.items, &versions), ..catalog })
    }

    fn keep(&self, owner: CatalogOwner, catalog: &Arc<IndexedCatalog>, before: u64) {
        if self.changes.load(Ordering::SeqCst) == before {
            self.known.insert(owner, Arc::clone(catalog));
        }
    }

    /// Begins a reading, or joins the one that is under way.
    fn read(self: &Arc<Self>, caller: &Caller, gateway: &Arc<Gateway>) -> Reading {
        let key = (gateway.id, caller.user.id);
        let as_it_stands = (gateway.id, caller.user.id, gateway.version);
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = reading.get(&as_it_stands) {
            return under_way.clone();
        }
        let (inner, caller, gateway) = (Arc::clone(self), caller.clone(), Arc::clone(gateway));
        let work = async move {
            let result = in_bounds(&gateway, inner.read_now(&caller, &gateway)).await;
            inner.note(key, &gateway, &result);
            inner.reading.lock().unwrap_or_else(PoisonError::into_inner).remove(&as_it_stands);
            result
        };
        let work = work.boxed().shared();
        reading.insert(as_it_stands, work.clone());
        tokio::spawn(work.clone());
        work
    }

    fn note(&self, key: (GatewayId, UserId), gateway: &Gateway, result: &ReadResult) {
        match result {
            Ok(_) => self.failures.invalidate(&key),
            Err(CallError::MustAuthorize { .. }) => {}
            Err(error) => {
                tracing::warn!(gateway = %gateway.slug, %error, "a catalog could not be read");
                self.failures.insert(key, error.clone());
            }
        }
    }

    async fn read_now(&self, caller: &Caller, gateway: &Arc<Gateway>) -> ReadResult {
        let owner = owner_of_catalog(caller, gateway);
        let read = catalog_reader::read(&self.upstreams, caller, gateway).await?;
        let catalog = Catalog {
            gateway_id: gateway.id,
            user_id: owner.1,
            items: read.items,
            instructions: read.instructions,
            fetched_at: self.clock.now(),
        };
        // A gateway that was edited meanwhile may point elsewhere: what the old place said is not kept.
        let now_there = self.storage.gateway(gateway.id).await.map_err(BrokerError::from)?;
        if now_there.is_none_or(|now_there| now_there.version != gateway.version) {
            return Ok(Arc::new(IndexedCatalog::new(self.as_served(gateway, catalog).await?)));
        }
        let noted = self.storage.note_catalog_versions(gateway, &catalog.items).await;
        noted.map_err(BrokerError::from)?;
        let before = self.storage.catalog(owner.0, owner.1).await.map_err(BrokerError::from)?;
        let changed = before.is_none_or(|before| {
            (&before.items, &before.instructions) != (&catalog.items, &catalog.instructions)
                || before.fetched_at.plus(FRESH_FOR) < catalog.fetched_at
        });
        if changed {
            self.storage.put_catalog(&catalog).await.map_err(BrokerError::from)?;
        }
        let catalog = self.as_served(gateway, catalog).await?;
        self.names.register(&gateway.slug, &catalog).await?;
        let catalog = Arc::new(IndexedCatalog::new(catalog));
        self.keep(owner, &catalog, self.changes.load(Ordering::SeqCst));
        Ok(catalog)
    }
}

/// A reading that ends, whatever happens in it: the next one waits for its end.
async fn in_bounds(gateway: &Gateway, reading: impl Future<Output = ReadResult>) -> ReadResult {
    // Whatever a reading leaves behind half done is dropped with it: it owns all that it changes.
    let unwound = AssertUnwindSafe(tokio::time::timeout(READ_WITHIN, reading)).catch_unwind().await;
    match unwound {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(too_slow(gateway)),
        Err(_) => Err(CallError::Broken {
            gateway: gateway.slug.to_string(),
            problem: "Doorward failed on it; its log says more".to_owned(),
        }),
    }
}

fn too_slow(gateway: &Gateway) -> CallError {
    let why = "it took too long to list what it offers".to_owned();
    CallError::Unreachable { gateway: gateway.slug.to_string(), why, may_have_run: true }
}

/// Reads a gateway's catalog for a user who has just authorized it.
fn read_for(inner: Weak<Inner>, user: UserId, gateway: GatewayId) {
    tokio::spawn(async move {
        let Some(inner) = inner.upgrade() else { return };
        inner.failures.invalidate(&(gateway, user));
        let (user, gateway) = (inner.storage.user(user).await, inner.storage.gateway(gateway).await);
        let (Ok(Some(user)), Ok(Some(gateway))) = (user, gateway) else { return };
        let caller = Caller { user: Arc::new(user), credential: Credential::CommandLine, address: None };
        // A failure is noted where it happens; the next list tries again.
        let _ = inner.read(&caller, &Arc::new(gateway)).await;
    });
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
