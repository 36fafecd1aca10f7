//! What hangs on one legacy session while this process lives: its stream, questions to the client, running
//! requests, and what the client waits to hear of.

mod calls;
mod streams;

pub(crate) use calls::{ClientReply, Question, elicitation_complete};

use crate::event_log::{EventLog, Kept};
use crate::front::list_changed;
use crate::upstream::ClientFacts;
use doorward_broker::{Caller, Credential};
use doorward_domain::{
    ApiTokenId, Change, ConnectRequestId, Entropy, GatewayId, McpSession, TokenHash, UserId,
};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Links of one session that may be pending.
const MAX_ANNOUNCED: usize = 100;

/// One session, and what hangs on it here.
pub(crate) struct LiveSession {
    pub(crate) hash: TokenHash,
    pub(crate) facts: ClientFacts,
    user: UserId,
    api_token: ApiTokenId,
    endpoint: String,
    entropy: Entropy,
    kept: Kept,
    state: Mutex<State>,
}

struct State {
    checked_at: Instant,
    /// The GET stream, once there was one.
    stream: Option<Arc<EventLog>>,
    /// The streams of calls that can be resumed, the oldest first.
    streams: VecDeque<Arc<EventLog>>,
    questions: HashMap<String, oneshot::Sender<ClientReply>>,
    running: HashMap<String, (u64, oneshot::Sender<()>)>,
    next_run: u64,
    /// Links handed out whose completion the client waits to hear of.
    announced: BTreeSet<ConnectRequestId>,
    /// Gateways of which the client was shown the connect tool alone.
    unconnected: HashSet<GatewayId>,
    /// What tells the client of each resource that it subscribed to.
    subscribed: HashMap<String, AbortOnDropHandle<()>>,
    /// What tells the client of changed lists while its stream is open.
    following: Option<AbortOnDropHandle<()>>,
    /// The least weight of log lines that the client wants.
    log_level: Option<String>,
}

impl LiveSession {
    pub(crate) fn new(row: &McpSession, facts: ClientFacts, entropy: Entropy, kept: Kept) -> Self {
        let state = State {
            checked_at: Instant::now(),
            stream: None,
            streams: VecDeque::new(),
            questions: HashMap::new(),
            running: HashMap::new(),
            next_run: 0,
            announced: BTreeSet::new(),
            unconnected: HashSet::new(),
            subscribed: HashMap::new(),
            following: None,
            log_level: None,
        };
        Self {
            hash: row.hash,
            facts,
            user: row.user_id,
            api_token: row.api_token_id,
            endpoint: row.endpoint.clone(),
            entropy,
            kept,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn belongs_to(&self, caller: &Caller, endpoint: &str) -> bool {
        self.user == caller.user.id
            && Some(self.api_token) == api_token_of(caller)
            && self.endpoint == endpoint
    }

    /// Whether its row was read so short a time ago.
    pub(crate) fn checked_within(&self, time: Duration) -> bool {
        self.state().checked_at.elapsed() < time
    }

    /// Its row was read just now.
    pub(crate) fn checked_now(&self) {
        self.state().checked_at = Instant::now();
    }

    /// When it was last used, within a few seconds.
    pub(crate) fn used_at(&self) -> Instant {
        self.state().checked_at
    }

    /// Whether something would be lost with it.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.state();
        let is_heard = state.stream.as_ref().is_some_and(|stream| stream.is_read());
        is_heard
            || !state.subscribed.is_empty()
            || !state.announced.is_empty()
            || !state.unconnected.is_empty()
    }

    /// The client will be told when the user has followed this link.
    pub(crate) fn announce(&self, link: ConnectRequestId) {
        let mut state = self.state();
        state.announced.insert(link);
        if state.announced.len() > MAX_ANNOUNCED {
            // Ids grow with time: this link is the oldest, and has expired long ago.
            state.announced.pop_first();
        }
    }

    /// The client was shown lists in which these gateways are only to be connected.
    pub(crate) fn showed_unconnected(&self, gateways: impl IntoIterator<Item = GatewayId>) {
        self.state().unconnected.extend(gateways);
    }

    pub(crate) fn apply(&self, change: &Change) {
        let mut state = self.state();
        match change {
            Change::ConnectRequest(id) if state.announced.remove(id) => {
                state.notify(elicitation_complete(&id.to_string()));
            }
            Change::Catalog { gateway, user }
                if user.is_none_or(|user| user == self.user) && state.unconnected.remove(gateway) =>
            {
                for list in ["tools", "prompts", "resources"] {
                    state.notify(list_changed(list));
                }
            }
            // What nobody reads just now is not kept for later: it may be the answer under that grant.
            Change::GrantEnded { user, .. } if *user == self.user => {
                state.streams.retain(|stream| stream.is_read());
            }
            Change::ServiceGrantEnded { .. } => state.streams.retain(|stream| stream.is_read()),
            Change::ApiToken(id) if *id == self.api_token => {
                drop(state);
                self.abandon();
            }
            _ => {}
        }
    }

    /// Ends the stream and all that runs: nobody may have an answer any more.
    fn abandon(&self) {
        let running = {
            let mut state = self.state();
            state.close_stream();
            state.subscribed.clear();
            state.streams.drain(..).for_each(|stream| stream.end());
            std::mem::take(&mut state.running)
        };
        for (_, cancelled) in running.into_values() {
            let _ = cancelled.send(());
        }
    }

    /// Abandons the session if it is this user's.
    pub(crate) fn user_left(&self, user: UserId) {
        if self.user == user {
            self.abandon();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LiveSession {
    /// Whoever still listens to it opens a new stream.
    fn drop(&mut self) {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner).close_stream();
    }
}

/// The API token that a caller came with.
pub(crate) fn api_token_of(caller: &Caller) -> Option<ApiTokenId> {
    match &caller.credential {
        Credential::ApiToken(token) => Some(token.id),
        Credential::BrowserSession { .. } | Credential::CommandLine => None,
    }
}
