//! Calls to upstream MCP servers, in the era each of them speaks, with the caller's own credential.
//!
//! An upstream's era is a property of that upstream, never of the client (`link`). Each request gets an
//! id of ours (`call`), each answer goes back in the client's era (`bridge`), events are streamed one by
//! one (`reply`). What a plain call cannot carry is an error that says so.

mod answer;
mod body;
mod call;
mod exchange;
mod http_sse;
mod large;
mod line;
mod link;
mod param_headers;
mod parked;
mod passing;
mod probe;
mod questions;
mod reply;
mod runs;
mod sse;
mod trace;
mod waiting;
mod watch;
mod watch_stream;
mod wire;

pub use answer::{Answered, CallError, ClientFacts, Event, UpstreamAnswer, UpstreamCall};
pub use link::ServerFacts;

pub(crate) use answer::in_brackets;
pub(crate) use call::own_id;
pub(crate) use param_headers::{annotations, decoded};
pub(crate) use watch::{ListKind, Notice, OnChanged, Subscription, Watch};

use doorward_broker::{Broker, Caller};
use doorward_domain::{CatalogKind, CatalogSharing, Change, Gateway, GatewayId, UserId};
use doorward_outbound::Outbound;
use doorward_storage::Storage;
use exchange::Exchange;
use link::{LegacyTransport, Link, LinkKey};
use param_headers::ParamHeader;
use parked::ParkedCalls;
use runs::Runs;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use watch::Watches;

/// Links (pooled sessions of legacy upstreams, negotiated facts of modern ones) kept in memory.
const MAX_LINKS: u64 = 20_000;

/// A link that nobody used for so long is forgotten.
const LINK_IDLE: Duration = Duration::from_secs(30 * 60);

/// Catalogs whose annotations are kept in memory.
const MAX_ANNOTATED: u64 = 10_000;

/// Whose catalog: a gateway's, for one user or shared.
pub(crate) type CatalogOwner = (GatewayId, Option<UserId>);

/// The tools of one catalog that want headers, by name.
type Annotations = HashMap<String, Vec<ParamHeader>>;

/// All upstreams. Cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    inner: Arc<Inner>,
}

struct Inner {
    broker: Broker,
    storage: Storage,
    outbound: Outbound,
    /// Coalesced per key: fifty callers open one session.
    links: moka::future::Cache<LinkKey, Arc<Link>>,
    /// Upstreams that need not be asked which era they speak, by gateway and its version: an edited
    /// gateway is asked again.
    legacy: moka::sync::Cache<(GatewayId, i64), LegacyTransport>,
    annotations: moka::future::Cache<CatalogOwner, Arc<Annotations>>,
    runs: Runs,
    parked: Arc<ParkedCalls>,
    watches: Watches,
    on_changed: OnceLock<OnChanged>,
    next_id: AtomicU64,
}

impl Upstreams {
    /// Over the one broker, database and guarded client of this process.
    pub fn new(broker: Broker, storage: Storage, outbound: Outbound) -> Self {
        let links = moka::future::Cache::builder()
            .max_capacity(MAX_LINKS)
            .time_to_idle(LINK_IDLE)
            .support_invalidation_closures()
            .build();
        let inner = Arc::new(Inner {
            broker,
            storage,
            outbound,
            links,
            legacy: moka::sync::Cache::new(MAX_LINKS),
            annotations: moka::future::Cache::new(MAX_ANNOTATED),
            runs: Runs::default(),
            parked: Arc::default(),
            watches: Watches::default(),
            on_changed: OnceLock::new(),
            next_id: AtomicU64::new(1),
        });
        inner.listen();
        Self { inner }
    }

    /// What an upstream says about itself to this client's kind: capabilities and instructions.
    pub async fn server(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
    ) -> Result<Arc<ServerFacts>, CallError> {
        let run = self.inner.runs.begin(caller.user.id, gateway.id);
        let facts = async {
            let mut exchange = Exchange::open(&self.inner, caller, gateway).await?;
            let link = self.inner.link(&mut exchange, client).await?;
            Ok(Arc::clone(&link.facts))
        };
        run.until_cut(gateway, Box::pin(facts)).await
    }

    /// Sends one request of a client to an upstream. Dropping the future, or the stream it gives, cancels
    /// the request upstream. When the caller's grant ends, both end with an error.
    pub async fn call(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        call: UpstreamCall<'_>,
    ) -> Result<UpstreamAnswer, CallError> {
        let run = Arc::new(self.inner.runs.begin(caller.user.id, gateway.id));
        let work = Box::pin(self.inner.call(caller, gateway, client, call, &run));
        let answer = run.until_cut(gateway, work).await?;
        Ok(run.over(gateway, answer))
    }

    /// Goes on with a call that waited for its client's answers, which `call` brings.
    pub(crate) async fn go_on(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        handle: &str,
        call: UpstreamCall<'_>,
    ) -> Result<UpstreamAnswer, CallError> {
        let whose = (caller.user.id, gateway.id);
        let parked = self.inner.parked.take(handle, whose.0, whose.1);
        let not_parked = || CallError::NotParked { gateway: gateway.name.clone() };
        let parked = parked.ok_or_else(not_parked)?;
        let run = parked.relay.run();
        let work = Box::pin(self.inner.go_on(parked, call, whose));
        let answer = run.until_cut(gateway, work).await?;
        Ok(run.over(gateway, answer))
    }

    /// Hands a client's notification to a legacy server, where there is a session that stands for the client's.
    pub(crate) async fn notify(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client: &ClientFacts,
        message: String,
    ) {
        let run = self.inner.runs.begin(caller.user.id, gateway.id);
        let told = async {
            let exchange = Exchange::open(&self.inner, caller, gateway).await?;
            let link = self.inner.links.get(&LinkKey::of(&exchange, client)).await;
            if let Some(link) = link.filter(|link| !link.facts.revision.is_modern()) {
                exchange.aside(&link).send(message);
            }
            Ok::<(), CallError>(())
        };
        if let Err(error) = run.until_cut(gateway, Box::pin(told)).await {
            tracing::debug!(gateway = %gateway.slug, %error, "a client's notification was not passed on");
        }
    }

    /// Has `read` called whenever an upstream says that a list has changed.
    pub(crate) fn on_changed(&self, read: OnChanged) {
        if self.inner.on_changed.set(read).is_err() {
            tracing::error!("the catalogs were set up twice");
        }
    }

    #[cfg(test)]
    pub(crate) fn cut(&self, user: UserId, gateway: GatewayId) {
        self.inner.runs.cut(user, gateway);
    }

    /// Notes that something runs under a user's grant which is more than one call.
    pub(crate) fn run(&self, user: UserId, gateway: GatewayId) -> runs::Run {
        self.inner.runs.begin(user, gateway)
    }
}

impl Inner {
    /// An id that no other request of this process has, and so a progress token as well.
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn listen(self: &Arc<Self>) {
        let runs = self.runs.clone();
        self.storage.on_change(Box::new(move |change| {
            if let Change::ServiceGrantEnded { gateway, .. } = change {
                runs.cut_all(*gateway);
            }
            if let Change::GrantEnded { user, gateway, .. } = change {
                runs.cut(*user, *gateway);
            }
        }));
        let weak = Arc::downgrade(self);
        self.storage.on_change(Box::new(move |change| {
            if let Some(inner) = weak.upgrade() {
                inner.cut_who_may_no_more(change);
            }
        }));
        let annotations = self.annotations.clone();
        self.storage.on_change(Box::new(move |change| {
            if let Change::Catalog { gateway, user } = change {
                let (annotations, owner) = (annotations.clone(), (*gateway, *user));
                // A listener must not wait; a tool's headers may lag behind its new schema by a moment.
                tokio::spawn(async move { annotations.invalidate(&owner).await });
            }
        }));
        let weak = Arc::downgrade(self);
        self.storage.on_change(Box::new(move |change| {
            if let (Change::Gateway(gateway), Some(inner)) = (change, weak.upgrade()) {
                inner.watches.close(*gateway);
            }
        }));
        let weak = Arc::downgrade(self);
        self.broker.on_connected(Box::new(move |user, gateway| {
            if let Some(inner) = weak.upgrade() {
                inner.drop_links(user, gateway);
                inner.watches.wake(user, gateway);
            }
        }));
    }

    /// Where a gateway needs no grant, none ends when its user loses access: what runs there is looked at anew.
    fn cut_who_may_no_more(self: &Arc<Self>, change: &Change) {
        let running = match *change {
            Change::Gateway(edited) => self.runs.of(|_, gateway| gateway == edited),
            Change::User(edited) => self.runs.of(|user, _| user == edited),
            _ => return,
        };
        if running.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        // A listener must not wait.
        tokio::spawn(async move {
            for (user, gateway) in running {
                let may = inner.broker.may_use(user, gateway).await;
                if may
                    .inspect_err(|error| tracing::warn!(%error, "what runs is cut unasked"))
                    .unwrap_or(false)
                {
                    continue;
                }
                inner.runs.cut(user, gateway);
            }
        });
    }

    /// A session that was opened with one provider account must not serve another.
    fn drop_links(&self, user: UserId, gateway: GatewayId) {
        let of_them = move |key: &LinkKey, _: &Arc<Link>| key.user == user && key.gateway == gateway;
        if let Err(error) = self.links.invalidate_entries_if(of_them) {
            tracing::error!(%error, "upstream sessions could not be dropped");
        }
    }

    /// The headers that a tool's schema asks for, from the catalog that the caller sees.
    async fn annotated(&self, caller: &Caller, gateway: &Gateway) -> Result<Arc<Annotations>, CallError> {
        let owner = owner_of_catalog(caller, gateway);
        let load = async {
            let catalog =
                self.storage.catalog(owner.0, owner.1).await.map_err(doorward_broker::BrokerError::from)?;
            let tools = catalog.iter().flat_map(|catalog| catalog.of_kind(CatalogKind::Tool));
            let wanted = tools.filter_map(|tool| match annotations(&tool.json) {
                Ok(headers) if !headers.is_empty() => Some((tool.name.clone(), headers)),
                _ => None,
            });
            Ok(Arc::new(wanted.collect::<Annotations>()))
        };
        self.annotations.try_get_with(owner, load).await.map_err(|error: Arc<CallError>| (*error).clone())
    }
}

/// Whose catalog a caller sees at a gateway.
pub(crate) fn owner_of_catalog(caller: &Caller, gateway: &Gateway) -> CatalogOwner {
    match gateway.catalog_sharing {
        CatalogSharing::PerUser => (gateway.id, Some(caller.user.id)),
        CatalogSharing::Shared => (gateway.id, None),
    }
}

#[cfg(test)]
pub(crate) mod tests;
