//! What an upstream tells unasked: lists that changed, resources that were updated. One watch per user and
//! gateway, however many of the user's clients listen; it ends with the last of them, and pauses while the user
//! has no grant.

use super::Upstreams;
use super::answer::{CallError, ClientFacts};
use super::keeper::Keeper;
use super::notice::Notice;
use doorward_broker::Caller;
use doorward_domain::Gateway;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Notices that may wait for a slow listener; older ones are lost to it.
const BACKLOG: usize = 256;

/// Resources that one watch may follow.
const MAX_URIS: usize = 1_000;

/// How long a subscription may take.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(10);

/// Where a watch stands.
#[derive(Debug, Clone, Default)]
pub(super) enum State {
    #[default]
    Opening,
    Open {
        /// Of what was wanted.
        generation: u64,
        /// The resources that the upstream tells of.
        uris: BTreeSet<String>,
    },
    Closed(CallError),
}

/// What is wanted, and by how many.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Grows with every change, so that whoever wants something knows when it has been seen to.
    pub(super) generation: u64,
    pub(super) uris: BTreeMap<String, usize>,
}

/// One user's watch of one gateway. It ends when nobody holds it any more.
pub(crate) struct Watch {
    gateway: Arc<Gateway>,
    notices: broadcast::Sender<Notice>,
    wanted: watch::Sender<Wanted>,
    state: watch::Receiver<State>,
    pub(super) woken: Arc<Notify>,
    pub(super) stop: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

/// One listener's wish to hear of a resource; it ends when dropped.
pub(crate) struct Subscription {
    watch: Arc<Watch>,
    uri: String,
}

impl Upstreams {
    /// The watch of this user over this gateway, begun if there is none.
    pub(crate) fn watch(&self, caller: &Caller, gateway: &Arc<Gateway>, client: &ClientFacts) -> Arc<Watch> {
        let key = (caller.user.id, gateway.id, gateway.version);
        let mut all = self.inner.watches.lock();
        let running = all.get(&key).and_then(Weak::upgrade).filter(|watch| !watch.stop.is_cancelled());
        if let Some(watch) = running {
            return watch;
        }
        all.retain(|_, watch| watch.strong_count() > 0);
        let (notices, wanted) = (broadcast::Sender::new(BACKLOG), watch::Sender::new(Wanted::default()));
        let (state_sender, state) = watch::channel(State::Opening);
        let (woken, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let keeper = Keeper {
            inner: Arc::clone(&self.inner),
            caller: caller.clone(),
            gateway: Arc::clone(gateway),
            client: client.clone(),
            notices: notices.clone(),
            wanted: wanted.subscribe(),
            state: state_sender,
            woken: Arc::clone(&woken),
        };
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let _ = stopped.run_until_cancelled_owned(keeper.keep()).await;
        });
        let watch = Arc::new(Watch {
            gateway: Arc::clone(gateway),
            notices,
            wanted,
            state,
            woken,
            stop,
            _task: AbortOnDropHandle::new(task),
        });
        all.insert(key, Arc::downgrade(&watch));
        watch
    }
}

impl Watch {
    /// Everything that is told from now on.
    pub(crate) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Waits until its gateway was edited.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Waits until the upstream's stream is open, or known not to open now.
    pub(crate) async fn opened(&self) {
        let mut state = self.state.clone();
        let _ = state.wait_for(|state| !matches!(state, State::Opening)).await;
    }

    /// Begins to follow a resource, and waits until the upstream tells of it.
    pub(crate) async fn subscribe(self: &Arc<Self>, uri: &str) -> Result<Subscription, CallError> {
        let (mut is_full, mut generation) = (false, 0);
        self.wanted.send_if_modified(|wanted| {
            is_full = wanted.uris.len() >= MAX_URIS && !wanted.uris.contains_key(uri);
            if is_full {
                return false;
            }
            let count = wanted.uris.entry(uri.to_owned()).or_default();
            *count += 1;
            let is_new = *count == 1;
            wanted.generation += u64::from(is_new);
            generation = wanted.generation;
            is_new
        });
        if is_full {
            return Err(self.refuses(format!("more than {MAX_URIS} of its resources would be followed")));
        }
        let subscription = Subscription { watch: Arc::clone(self), uri: uri.to_owned() };
        let mut state = self.state.clone();
        let told = state.wait_for(|state| match state {
            State::Opening => false,
            State::Open { generation: seen, .. } => *seen >= generation,
            State::Closed(_) => true,
        });
        let told = tokio::time::timeout(SUBSCRIBED_WITHIN, told).await;
        match told.map(|told| told.map(|state| state.clone())) {
            Ok(Ok(State::Open { uris, .. })) if uris.contains(uri) => Ok(subscription),
            Ok(Ok(State::Closed(error))) => Err(error),
            Ok(Ok(State::Open { .. } | State::Opening)) => {
                Err(self.refuses("it does not tell of changes to this resource".to_owned()))
            }
            Ok(Err(_)) | Err(_) => Err(self.refuses("it did not answer the subscription in time".to_owned())),
        }
    }

    fn refuses(&self, problem: String) -> CallError {
        CallError::Broken { gateway: self.gateway.slug.to_string(), problem }
    }
}

impl Subscription {
    /// Everything that its upstream tells from now on.
    pub(crate) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.watch.notices()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.watch.wanted.send_if_modified(|wanted| match wanted.uris.get_mut(&self.uri) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            _ => {
                wanted.generation += 1;
                wanted.uris.remove(&self.uri).is_some()
            }
        });
    }
}
