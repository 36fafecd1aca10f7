//! What an upstream tells unasked: lists that changed, resources that were updated. One watch per user and
//! gateway, however many of the user's clients listen; it ends with the last of them, and pauses while the user
//! has no grant.

use super::answer::{CallError, ClientFacts};
use super::watch_stream::Opened;
use super::{Inner, Upstreams};
use doorward_broker::Caller;
use doorward_domain::{Gateway, GatewayId, UserId};
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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

/// The waits between tries to open a stream that broke.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// The lists that can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
}

impl ListKind {
    pub(crate) const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    /// As methods and filters spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
        }
    }
}

/// Something that an upstream told.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Changed(ListKind),
    /// `params` of the notification; `uri` is the upstream's own.
    Updated {
        uri: String,
        params: Arc<RawValue>,
    },
}

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

type Key = (UserId, GatewayId, i64);

/// What is done when a list has changed, before anybody is told.
pub(crate) type OnChanged = Box<dyn Fn(Caller, Arc<Gateway>) -> BoxFuture<'static, ()> + Send + Sync>;

/// All watches of this process.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<Key, Weak<Watch>>>);

impl Watches {
    /// Somebody was connected: whoever waits for that need not wait any longer.
    pub(super) fn wake(&self, user: UserId, gateway: GatewayId) {
        self.each(|of, watch| {
            if (of.0, of.1) == (user, gateway) {
                watch.woken.notify_one();
            }
        });
    }

    /// A gateway was edited: its watches end, and their listeners begin again with what it is now.
    pub(super) fn close(&self, gateway: GatewayId) {
        self.each(|of, watch| {
            if of.1 == gateway {
                watch.stop.cancel();
            }
        });
    }

    fn each(&self, act: impl Fn(&Key, &Watch)) {
        let mut all = self.lock();
        all.retain(|key, watch| watch.upgrade().inspect(|watch| act(key, watch)).is_some());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Weak<Watch>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One user's watch of one gateway. It ends when nobody holds it any more.
pub(crate) struct Watch {
    gateway: Arc<Gateway>,
    notices: broadcast::Sender<Notice>,
    wanted: watch::Sender<Wanted>,
    state: watch::Receiver<State>,
    woken: Arc<Notify>,
    stop: CancellationToken,
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

/// What keeps one watch going.
pub(super) struct Keeper {
    pub(super) inner: Arc<Inner>,
    pub(super) caller: Caller,
    pub(super) gateway: Arc<Gateway>,
    pub(super) client: ClientFacts,
    notices: broadcast::Sender<Notice>,
    pub(super) wanted: watch::Receiver<Wanted>,
    state: watch::Sender<State>,
    woken: Arc<Notify>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut wait = AGAIN_AFTER;
        let mut was_open = false;
        loop {
            let run = Arc::clone(&self.inner).runs.begin(self.caller.user.id, self.gateway.id);
            let gateway = Arc::clone(&self.gateway);
            let error = match run.until_cut(&gateway, Box::pin(self.open())).await {
                Err(error) => error,
                Ok(mut opened) => {
                    wait = AGAIN_AFTER;
                    if was_open {
                        // Nobody knows what was missed.
                        self.tell_all().await;
                    }
                    was_open = true;
                    let read = Box::pin(opened.read(&mut self));
                    run.until_cut(&gateway, read).await.err().unwrap_or_else(|| ended(&gateway))
                }
            };
            drop(run);
            let waits_for_user = matches!(error, CallError::MustAuthorize { .. } | CallError::Ended { .. });
            tracing::debug!(gateway = %gateway.slug, %error, "an upstream's notices are not heard");
            self.state.send_replace(State::Closed(error));
            if waits_for_user {
                if was_open {
                    self.tell_all().await;
                }
                was_open = true;
                self.woken.notified().await;
                continue;
            }
            let _ = tokio::time::timeout(wait, self.woken.notified()).await;
            wait = (wait * 2).min(AGAIN_AT_MOST);
        }
    }

    async fn open(&mut self) -> Result<Opened, CallError> {
        Opened::open(self).await
    }

    /// What is wanted now, and which generation of it that is.
    pub(super) fn now_wanted(&mut self) -> (u64, BTreeSet<String>) {
        let wanted = self.wanted.borrow_and_update();
        (wanted.generation, wanted.uris.keys().cloned().collect())
    }

    pub(super) fn is(&self, state: State) {
        self.state.send_replace(state);
    }

    pub(super) fn tell(&self, notice: Notice) {
        // Nobody listens: nobody misses it.
        let _ = self.notices.send(notice);
    }

    /// What is kept of the lists is read again, and then their listeners are told.
    pub(super) async fn tell_changed(&self, lists: BTreeSet<ListKind>) {
        if let Some(read) = self.inner.on_changed.get() {
            read(self.caller.clone(), Arc::clone(&self.gateway)).await;
        }
        lists.into_iter().for_each(|list| self.tell(Notice::Changed(list)));
    }

    async fn tell_all(&self) {
        self.tell_changed(BTreeSet::from(ListKind::ALL)).await;
    }
}

fn ended(gateway: &Gateway) -> CallError {
    super::body::broken(gateway, "it ended the stream of its notices")
}
