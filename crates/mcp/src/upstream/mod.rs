//! Calls to upstream MCP servers, in the era each of them speaks, with the caller's own credential.
//!
//! An upstream's era is a property of that upstream, never of the client (`link`). Each request gets an
//! id of ours (`call`), each answer goes back in the client's era (`bridge`), events are streamed one by
//! one (`reply`). What a plain call cannot carry is an error that says so.

mod answer;
mod body;
mod by_task;
mod call;
mod changes;
mod exchange;
mod handed_task;
mod handshake;
mod heard;
mod http_sse;
mod keeper;
mod large;
mod line;
mod link;
mod notice;
mod notice_source;
mod param_headers;
mod parked;
mod passing;
mod probe;
mod questions;
mod reply;
mod runs;
mod sse;
mod task_notices;
mod task_stream;
mod tool_facts;
mod trace;
mod waiting;
mod watch;
mod watch_stream;
mod watches;
mod wire;

pub use answer::{Answered, CallError, ClientFacts, Event, UpstreamAnswer, UpstreamCall};
pub use link::ServerFacts;

pub(crate) use answer::in_brackets;
pub(crate) use call::own_id;
pub(crate) use keeper::OnChanged;
pub(crate) use notice::{ListKind, Notice};
pub(crate) use param_headers::{annotations, decoded};
pub(crate) use task_stream::TaskStream;
pub(crate) use tool_facts::{CatalogOwner, owner_of_catalog};
pub(crate) use watch::{Subscription, Watch};

use doorward_broker::{Broker, Caller};
use doorward_domain::{Gateway, GatewayId, UserId};
use doorward_outbound::Outbound;
use doorward_storage::Storage;
use exchange::Exchange;
use handed_task::HandedTasks;
use link::{LegacyTransport, Link, LinkKey};
use parked::ParkedCalls;
use runs::Runs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tool_facts::ToolFacts;
use watches::Watches;

/// Links (pooled sessions of legacy upstreams, negotiated facts of modern ones) kept in memory.
const MAX_LINKS: u64 = 20_000;

/// A link that nobody used for so long is forgotten.
const LINK_IDLE: Duration = Duration::from_secs(30 * 60);

/// Catalogs of whose tools the facts are kept in memory.
const MAX_TOOL_FACTS: u64 = 10_000;

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
    tool_facts: moka::future::Cache<CatalogOwner, Arc<ToolFacts>>,
    runs: Runs,
    parked: Arc<ParkedCalls>,
    handed: Arc<HandedTasks>,
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
            tool_facts: moka::future::Cache::new(MAX_TOOL_FACTS),
            runs: Runs::default(),
            parked: Arc::default(),
            handed: Arc::default(),
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
        let tool = call.tool();
        let run = Arc::new(self.inner.runs.begin_call(caller.user.id, gateway.id, tool.as_deref()));
        // What was taken away before the run was noted is seen here, what is taken away later cuts the run.
        if let Some(tool) = &tool
            && self.inner.broker.hidden_tools(&caller.user, gateway.id).await?.contains(tool.as_ref())
        {
            return Err(CallError::Ended { gateway: gateway.name.clone() });
        }
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
    pub(crate) fn run(&self, user: UserId, gateway: GatewayId, call: UpstreamCall<'_>) -> runs::Run {
        self.inner.runs.begin_call(user, gateway, call.tool().as_deref())
    }
}

impl Inner {
    /// An id that no other request of this process has, and so a progress token as well.
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod tests;
