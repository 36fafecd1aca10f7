//! What keeps one watch going: it opens the upstream's stream, reads it, and opens it again; while the user has no grant
//! it waits for one.

use super::Inner;
use super::answer::{CallError, ClientFacts};
use super::notice::{ListKind, Notice};
use super::watch::{State, Wanted};
use super::watch_stream::Opened;
use doorward_broker::Caller;
use doorward_domain::Gateway;
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};

/// The waits between tries to open a stream that broke.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// What is done when a list has changed, before anybody is told.
pub(crate) type OnChanged = Box<dyn Fn(Caller, Arc<Gateway>) -> BoxFuture<'static, ()> + Send + Sync>;

/// What keeps one watch going.
pub(super) struct Keeper {
    pub(super) inner: Arc<Inner>,
    pub(super) caller: Caller,
    pub(super) gateway: Arc<Gateway>,
    pub(super) client: ClientFacts,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) state: watch::Sender<State>,
    pub(super) woken: Arc<Notify>,
}

impl Keeper {
    pub(super) async fn keep(mut self) {
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
