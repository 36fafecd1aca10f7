//! What hangs on one legacy session while this process lives: its stream, questions to the client, running
//! requests, and what the client waits to hear of.

use crate::envelope;
use crate::upstream::ClientFacts;
use bytes::Bytes;
use doorward_broker::{Caller, Credential};
use doorward_domain::{
    ApiTokenId, Change, ConnectRequestId, Entropy, GatewayId, McpSession, TokenHash, UserId,
};
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Messages that may wait for a slow reader of the session's stream.
const STREAM_BACKLOG: usize = 32;

/// Links of one session that may be pending.
const MAX_ANNOUNCED: usize = 100;

/// A client's answer to a request of ours.
#[derive(Debug)]
pub(crate) enum ClientReply {
    Result(Box<RawValue>),
    /// The client could not do what it was asked.
    Error,
}

/// One session, and what hangs on it here.
pub(crate) struct LiveSession {
    pub(crate) hash: TokenHash,
    pub(crate) facts: ClientFacts,
    user: UserId,
    api_token: ApiTokenId,
    endpoint: String,
    entropy: Entropy,
    state: Mutex<State>,
}

struct State {
    checked_at: Instant,
    /// The GET stream; the newest one counts.
    stream: Option<mpsc::Sender<Bytes>>,
    questions: HashMap<String, oneshot::Sender<ClientReply>>,
    running: HashMap<String, (u64, oneshot::Sender<()>)>,
    next_run: u64,
    /// Links handed out whose completion the client waits to hear of.
    announced: BTreeSet<ConnectRequestId>,
    /// Gateways of which the client was shown the connect tool alone.
    unconnected: HashSet<GatewayId>,
}

/// A request of ours to the client; forgotten when dropped.
pub(crate) struct Question {
    pub(crate) id: String,
    reply: oneshot::Receiver<ClientReply>,
    session: Arc<LiveSession>,
}

/// A running request of the client; forgotten when dropped.
pub(crate) struct Running {
    id: String,
    number: u64,
    session: Arc<LiveSession>,
}

impl LiveSession {
    pub(crate) fn new(row: &McpSession, facts: ClientFacts, entropy: Entropy) -> Self {
        let state = State {
            checked_at: Instant::now(),
            stream: None,
            questions: HashMap::new(),
            running: HashMap::new(),
            next_run: 0,
            announced: BTreeSet::new(),
            unconnected: HashSet::new(),
        };
        Self {
            hash: row.hash,
            facts,
            user: row.user_id,
            api_token: row.api_token_id,
            endpoint: row.endpoint.clone(),
            entropy,
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

    pub(crate) fn close_stream(&self) {
        self.state().stream = None;
    }

    /// Whether something would be lost with it.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.state();
        let is_heard = state.stream.as_ref().is_some_and(|stream| !stream.is_closed());
        is_heard || !state.announced.is_empty() || !state.unconnected.is_empty()
    }

    /// Opens the stream for what belongs to no request. An older one ends: its client has left it.
    pub(crate) fn open_stream(&self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(STREAM_BACKLOG);
        self.state().stream = Some(sender);
        receiver
    }

    /// Begins a request to the client.
    pub(crate) fn question(self: &Arc<Self>) -> Question {
        let id = format!("dw-{}", self.entropy.token());
        let (sender, reply) = oneshot::channel();
        self.state().questions.insert(id.clone(), sender);
        Question { id, reply, session: Arc::clone(self) }
    }

    /// Hands a client's response to whoever asked; late ones are nobody's.
    pub(crate) fn deliver(&self, id: &str, reply: ClientReply) {
        let waiting = self.state().questions.remove(id);
        match waiting {
            Some(waiting) => drop(waiting.send(reply)),
            None => tracing::debug!("a client answered a request that nobody waits for"),
        }
    }

    /// Notes a running request, and gives what tells of its cancellation.
    pub(crate) fn run(self: &Arc<Self>, id: &RawValue) -> (Running, oneshot::Receiver<()>) {
        let (sender, cancelled) = oneshot::channel();
        let mut state = self.state();
        state.next_run += 1;
        let number = state.next_run;
        state.running.insert(id.get().to_owned(), (number, sender));
        drop(state);
        (Running { id: id.get().to_owned(), number, session: Arc::clone(self) }, cancelled)
    }

    /// Cancels a running request (`notifications/cancelled`); nothing is answered afterwards.
    pub(crate) fn cancel(&self, id: &RawValue) {
        let running = self.state().running.remove(id.get());
        if let Some((_, sender)) = running {
            let _ = sender.send(());
        }
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
                    let message =
                        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{list}/list_changed\"}}");
                    state.notify(message.into());
                }
            }
            Change::ApiToken(id) if *id == self.api_token => {
                drop(state);
                self.abandon();
            }
            // Whoever still may comes back with another request.
            Change::User(id) if *id == self.user => state.stream = None,
            _ => {}
        }
    }

    /// Ends the stream and all that runs: nobody may have an answer any more.
    fn abandon(&self) {
        let running = {
            let mut state = self.state();
            state.stream = None;
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

impl State {
    fn notify(&self, message: Bytes) {
        if let Some(Err(error)) = self.stream.as_ref().map(|stream| stream.try_send(message)) {
            tracing::debug!(%error, "a client does not read its stream");
        }
    }
}

/// `notifications/elicitation/complete` (2025-11-25).
pub(crate) fn elicitation_complete(id: &str) -> Bytes {
    let id = envelope::json_string(id);
    let method = "notifications/elicitation/complete";
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"elicitationId\":{id}}}}}").into()
}

impl Question {
    /// The client's reply. A client that never answers keeps it waiting.
    pub(crate) async fn reply(&mut self) -> ClientReply {
        (&mut self.reply).await.unwrap_or(ClientReply::Error)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.session.state().questions.remove(&self.id);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.session.state();
        if state.running.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            state.running.remove(&self.id);
        }
    }
}

/// The API token that a caller came with.
pub(crate) fn api_token_of(caller: &Caller) -> Option<ApiTokenId> {
    match &caller.credential {
        Credential::ApiToken(token) => Some(token.id),
        Credential::BrowserSession(_) | Credential::CommandLine => None,
    }
}
