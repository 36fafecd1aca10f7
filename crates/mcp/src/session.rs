//! Protocol sessions of legacy clients. The row in the database says whose a session is; what lives only
//! while this process does (an open stream, questions, running requests) is kept beside it in memory.

use crate::envelope;
use crate::revision::Revision;
use crate::upstream::ClientFacts;
use bytes::Bytes;
use doorward_broker::{Caller, Credential, hash_token};
use doorward_domain::session::MCP_SESSION_IDLE;
use doorward_domain::{
    ApiTokenId, Change, Clock, ConnectRequestId, Entropy, GatewayId, McpSession, SessionToken, TokenHash, UserId,
};
use doorward_storage::{Storage, StorageError};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// For so long a row is believed before it is read again.
const BELIEVED_FOR: Duration = Duration::from_secs(3);

/// The use of a session is noted at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Sessions kept in memory; beyond it those that nothing hangs on are read again when they come back.
const MAX_LIVE: usize = 10_000;

/// Messages that may wait for a slow reader of the session's stream.
const STREAM_BACKLOG: usize = 32;

/// A client's answer to a request of ours.
#[derive(Debug)]
pub(crate) enum ClientReply {
    Result(Box<RawValue>),
    /// The client could not do what it was asked.
    Error,
}

/// All sessions of this process.
pub(crate) struct Sessions {
    storage: Storage,
    clock: Clock,
    entropy: Entropy,
    live: Mutex<HashMap<TokenHash, Arc<LiveSession>>>,
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
    announced: HashSet<ConnectRequestId>,
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

impl Sessions {
    pub(crate) fn new(storage: Storage, clock: Clock, entropy: Entropy) -> Self {
        Self { storage, clock, entropy, live: Mutex::default() }
    }

    /// Opens a session for this caller at one endpoint. The id is 256 random bits and is stored as a hash.
    pub(crate) async fn open(
        &self,
        caller: &Caller,
        endpoint: &str,
        facts: &ClientFacts,
    ) -> Result<Option<String>, StorageError> {
        let Some(api_token) = api_token_of(caller) else { return Ok(None) };
        let id = self.entropy.token();
        let now = self.clock.now();
        let row = McpSession {
            hash: hash_token(&SessionToken::new(id.as_str())),
            user_id: caller.user.id,
            api_token_id: api_token,
            endpoint: endpoint.to_owned(),
            protocol_version: facts.revision.to_string(),
            client_name: facts.name.clone(),
            capabilities: facts.capabilities.get().to_owned(),
            created_at: now,
            last_seen_at: now,
        };
        self.storage.insert_mcp_session(&row).await?;
        self.keep(LiveSession::new(&row, facts.clone(), self.entropy));
        Ok(Some(id))
    }

    /// The session with this id, if it lives and is this caller's at this endpoint.
    pub(crate) async fn find(
        &self,
        caller: &Caller,
        endpoint: &str,
        id: &str,
    ) -> Result<Option<Arc<LiveSession>>, StorageError> {
        let hash = hash_token(&SessionToken::new(id));
        let live = self.live().get(&hash).cloned();
        let believed = live.as_ref().filter(|live| live.state().checked_at.elapsed() < BELIEVED_FOR);
        let found = match believed {
            Some(live) => Some(Arc::clone(live)),
            None => self.checked(hash, live).await?,
        };
        Ok(found.filter(|session| session.belongs_to(caller, endpoint)))
    }

    async fn checked(
        &self,
        hash: TokenHash,
        live: Option<Arc<LiveSession>>,
    ) -> Result<Option<Arc<LiveSession>>, StorageError> {
        let now = self.clock.now();
        let row = self.storage.mcp_session(hash).await?;
        let Some(row) = row.filter(|row| row.last_seen_at.until(now) < MCP_SESSION_IDLE) else {
            self.live().remove(&hash);
            return Ok(None);
        };
        if row.last_seen_at.until(now) >= TOUCH_EVERY {
            self.storage.touch_mcp_session(hash, now).await?;
        }
        if let Some(live) = live {
            live.state().checked_at = Instant::now();
            return Ok(Some(live));
        }
        let facts = ClientFacts {
            revision: Revision::parse(&row.protocol_version).unwrap_or(Revision::LATEST_LEGACY),
            name: row.client_name.clone(),
            version: String::new(),
            capabilities: envelope::raw(row.capabilities.clone()).unwrap_or_else(no_capabilities),
        };
        Ok(Some(self.keep(LiveSession::new(&row, facts, self.entropy))))
    }

    /// Two requests may find the same row at once: the first to come is the one that is kept.
    fn keep(&self, session: LiveSession) -> Arc<LiveSession> {
        let mut live = self.live();
        if live.len() >= MAX_LIVE {
            live.retain(|_, session| Arc::strong_count(session) > 1 || session.is_awaited());
        }
        Arc::clone(live.entry(session.hash).or_insert_with(|| Arc::new(session)))
    }

    /// Ends a session; what runs in it goes on.
    pub(crate) async fn end(&self, session: &LiveSession) -> Result<(), StorageError> {
        self.storage.end_mcp_session(session.hash).await?;
        self.live().remove(&session.hash);
        session.state().stream = None;
        Ok(())
    }

    /// Tells the sessions that a change concerns.
    pub(crate) fn apply(&self, change: &Change) {
        let sessions: Vec<Arc<LiveSession>> = self.live().values().cloned().collect();
        for session in sessions {
            session.apply(change);
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<TokenHash, Arc<LiveSession>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveSession {
    fn new(row: &McpSession, facts: ClientFacts, entropy: Entropy) -> Self {
        let state = State {
            checked_at: Instant::now(),
            stream: None,
            questions: HashMap::new(),
            running: HashMap::new(),
            next_run: 0,
            announced: HashSet::new(),
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

    fn belongs_to(&self, caller: &Caller, endpoint: &str) -> bool {
        self.user == caller.user.id && Some(self.api_token) == api_token_of(caller) && self.endpoint == endpoint
    }

    /// Whether something would be lost with it.
    fn is_awaited(&self) -> bool {
        let state = self.state();
        state.stream.is_some() || !state.announced.is_empty() || !state.unconnected.is_empty()
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
        self.state().announced.insert(link);
    }

    /// The client was shown lists in which these gateways are only to be connected.
    pub(crate) fn showed_unconnected(&self, gateways: impl IntoIterator<Item = GatewayId>) {
        self.state().unconnected.extend(gateways);
    }

    fn apply(&self, change: &Change) {
        let mut state = self.state();
        match change {
            Change::ConnectRequest(id) if state.announced.remove(id) => {
                state.notify(elicitation_complete(&id.to_string()));
            }
            Change::Catalog { gateway, user }
                if user.is_none_or(|user| user == self.user) && state.unconnected.remove(gateway) =>
            {
                for list in ["tools", "prompts", "resources"] {
                    let message = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{list}/list_changed\"}}");
                    state.notify(message.into());
                }
            }
            // Whoever still may comes back with another request.
            Change::ApiToken(id) if *id == self.api_token => state.stream = None,
            Change::User(id) if *id == self.user => state.stream = None,
            _ => {}
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

fn no_capabilities() -> Box<RawValue> {
    envelope::raw("{}".to_owned()).expect("an empty object is JSON")
}
