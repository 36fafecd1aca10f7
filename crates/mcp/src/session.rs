//! Protocol sessions of legacy clients. The row in the database says whose a session is; what lives only
//! while this process does (an open stream, questions, running requests) is kept beside it in memory.

use crate::envelope;
use crate::event_log::Kept;
use crate::live_session::{LiveSession, api_token_of};
use crate::revision::Revision;
use crate::upstream::ClientFacts;
use doorward_broker::{Caller, hash_token};
use doorward_domain::session::MCP_SESSION_IDLE;
use doorward_domain::{Change, Clock, Entropy, McpSession, SessionToken, TokenHash, UserId, UserState};
use doorward_storage::{Storage, StorageError};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For so long a row is believed before it is read again.
const BELIEVED_FOR: Duration = Duration::from_secs(3);

/// The use of a session is noted at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Sessions kept in memory; beyond it they are read again when they come back.
const MAX_LIVE: usize = 10_000;

/// All sessions of this process.
pub(crate) struct Sessions {
    storage: Storage,
    clock: Clock,
    entropy: Entropy,
    live: Mutex<HashMap<TokenHash, Arc<LiveSession>>>,
    /// What streams keep for clients that come back.
    kept: Kept,
}

impl Sessions {
    pub(crate) fn new(storage: Storage, clock: Clock, entropy: Entropy) -> Self {
        Self { storage, clock, entropy, live: Mutex::default(), kept: Kept::default() }
    }

    /// Opens a session for this caller at one endpoint; of more than `most` the longest unused end. The id is 256 random bits and is stored as a hash.
    pub(crate) async fn open(
        &self,
        caller: &Caller,
        endpoint: &str,
        facts: &ClientFacts,
        most: u32,
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
        for ended in self.storage.limit_mcp_sessions(caller.user.id, most).await? {
            let live = self.live().remove(&ended);
            if let Some(session) = live {
                session.close();
            }
        }
        self.keep(LiveSession::new(&row, facts.clone(), self.entropy, self.kept.clone()));
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
        let believed = live.as_ref().filter(|live| live.checked_within(BELIEVED_FOR));
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
            live.checked_now();
            return Ok(Some(live));
        }
        let facts = ClientFacts {
            revision: Revision::parse(&row.protocol_version).unwrap_or(Revision::LATEST_LEGACY),
            name: row.client_name.clone(),
            version: String::new(),
            capabilities: envelope::raw(row.capabilities.clone()).unwrap_or_else(no_capabilities),
            log_level: None,
        };
        Ok(Some(self.keep(LiveSession::new(&row, facts, self.entropy, self.kept.clone()))))
    }

    /// Two requests may find the same row at once: the first to come is the one that is kept.
    fn keep(&self, session: LiveSession) -> Arc<LiveSession> {
        let mut live = self.live();
        make_room(&mut live, MAX_LIVE);
        Arc::clone(live.entry(session.hash).or_insert_with(|| Arc::new(session)))
    }

    /// Ends a session; what runs in it goes on.
    pub(crate) async fn end(&self, session: &LiveSession) -> Result<(), StorageError> {
        self.storage.end_mcp_session(session.hash).await?;
        self.live().remove(&session.hash);
        session.close();
        Ok(())
    }

    /// Tells the sessions that a change concerns.
    pub(crate) async fn apply(&self, change: &Change) {
        let sessions: Vec<Arc<LiveSession>> = self.live().values().cloned().collect();
        for session in sessions {
            session.apply(change);
        }
        if let Change::User(user) = change {
            self.check_user(*user).await;
        }
    }

    /// What an edited user runs goes on; what a disabled or deleted one runs does not.
    async fn check_user(&self, id: UserId) {
        let user = self.storage.user(id).await;
        let may_go_on = match user {
            Ok(user) => user.is_some_and(|user| user.state == UserState::Active),
            Err(error) => {
                tracing::error!(%error, "a user's sessions were ended: the user could not be read");
                false
            }
        };
        if may_go_on {
            return;
        }
        let sessions: Vec<Arc<LiveSession>> = self.live().values().cloned().collect();
        sessions.iter().for_each(|session| session.user_left(id));
    }

    fn live(&self) -> MutexGuard<'_, HashMap<TokenHash, Arc<LiveSession>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what nobody has used for so long that its row has ended, and beyond `max` what can be read
/// again: first what nothing hangs on, then the oldest, last what is in use.
fn make_room(live: &mut HashMap<TokenHash, Arc<LiveSession>>, max: usize) {
    live.retain(|_, session| session.checked_within(MCP_SESSION_IDLE));
    if live.len() < max {
        return;
    }
    live.retain(|_, session| Arc::strong_count(session) > 1 || session.is_awaited());
    if live.len() < max {
        return;
    }
    let mut oldest_first: Vec<_> = live
        .values()
        .map(|session| (Arc::strong_count(session) > 1, session.used_at(), session.hash))
        .collect();
    oldest_first.sort_unstable_by_key(|(in_use, used_at, _)| (*in_use, *used_at));
    // A tenth at a time, so that not every new session has to look at all others.
    let surplus = live.len() - max + max.div_ceil(10);
    for (_, _, hash) in oldest_first.into_iter().take(surplus) {
        live.remove(&hash);
    }
}

fn no_capabilities() -> Box<RawValue> {
    envelope::raw("{}".to_owned()).expect("an empty object is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::Timestamp;

    fn add(live: &mut HashMap<TokenHash, Arc<LiveSession>>, name: &str) -> Arc<LiveSession> {
        let now = Timestamp::from_millis(0);
        let row = McpSession {
            hash: hash_token(&SessionToken::new(name)),
            user_id: Entropy.id(now),
            api_token_id: Entropy.id(now),
            endpoint: "/mcp".into(),
            protocol_version: "2025-11-25".into(),
            client_name: String::new(),
            capabilities: "{}".into(),
            created_at: now,
            last_seen_at: now,
        };
        let facts = ClientFacts {
            revision: Revision::LATEST_LEGACY,
            name: String::new(),
            version: String::new(),
            capabilities: no_capabilities(),
            log_level: None,
        };
        let session = Arc::new(LiveSession::new(&row, facts, Entropy, Kept::default()));
        live.insert(row.hash, Arc::clone(&session));
        session
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_nobody_uses_are_forgotten_whatever_they_wait_for() {
        let mut live = HashMap::new();
        let waiting = add(&mut live, "old");
        waiting.announce(Entropy.id(Timestamp::from_millis(0)));
        let _stream = waiting.open_stream();
        tokio::time::advance(MCP_SESSION_IDLE).await;
        let used = add(&mut live, "new");
        make_room(&mut live, 10);
        assert_eq!(live.keys().collect::<Vec<_>>(), [&used.hash]);
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_maximum_the_oldest_go_even_if_they_are_awaited() {
        let mut live = HashMap::new();
        let mut streams: Vec<(TokenHash, _)> = Vec::new();
        for name in ["a", "b", "c"] {
            let session = add(&mut live, name);
            streams.push((session.hash, session.open_stream()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        make_room(&mut live, 4);
        assert_eq!(live.len(), 3);
        // Its client has hung up.
        drop(streams.remove(1));
        make_room(&mut live, 3);
        assert_eq!(live.len(), 2);
        make_room(&mut live, 2);
        assert_eq!(live.keys().collect::<Vec<_>>(), [&streams[1].0]);
        assert_eq!(futures_util::StreamExt::next(&mut streams[0].1).await, None);
    }
}
