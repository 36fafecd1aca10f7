//! Where a person is signed in, and ending it: one's own, or somebody's by an administrator.

use crate::role::require_reach;
use crate::{Broker, BrokerError, Caller, Credential};
use doorward_domain::{BrowserSession, BrowserSessionId, Permission, Timestamp, User, UserId};

/// A login that lives. Its hash is for no answer.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub session: BrowserSession,
    /// It is the one that asks.
    pub here: bool,
    /// When it ends if nobody uses it.
    pub ends_unused_at: Timestamp,
    /// When it ends however much it is used.
    pub ends_at_the_latest: Timestamp,
}

impl Broker {
    /// Where the caller is signed in, the last used first.
    pub async fn own_browser_sessions(&self, caller: &Caller) -> Result<Vec<SignedIn>, BrokerError> {
        self.living_sessions(caller, caller.user.id).await
    }

    /// Where somebody is signed in.
    pub async fn browser_sessions_of(
        &self,
        caller: &Caller,
        user: UserId,
    ) -> Result<(User, Vec<SignedIn>), BrokerError> {
        caller.require(Permission::ReadUsers)?;
        let user = self.storage().user(user).await?.ok_or(BrokerError::NotFound { what: "person" })?;
        let sessions = self.living_sessions(caller, user.id).await?;
        Ok((user, sessions))
    }

    /// One login: one's own, or anybody's for those who manage people.
    pub async fn browser_session(
        &self,
        caller: &Caller,
        id: BrowserSessionId,
    ) -> Result<BrowserSession, BrokerError> {
        let found = self.storage().browser_session_by_id(id).await?;
        let found = found.filter(|session| session.lives(&self.policy().sessions, self.now()));
        let seen = |session: &BrowserSession| {
            session.user_id == caller.user.id || caller.may(Permission::ManageUsers)
        };
        found.filter(seen).ok_or(BrokerError::NotFound { what: "browser session" })
    }

    /// Ends a login of the caller's own, at once.
    pub async fn end_own_browser_session(
        &self,
        caller: &Caller,
        id: BrowserSessionId,
    ) -> Result<(), BrokerError> {
        let session = self.browser_session(caller, id).await?;
        if session.user_id != caller.user.id {
            return Err(BrokerError::NotFound { what: "browser session" });
        }
        self.end_session(caller, &session).await
    }

    /// Ends the login of anybody who holds no more than the caller, at once.
    pub async fn end_any_browser_session(
        &self,
        caller: &Caller,
        id: BrowserSessionId,
    ) -> Result<(), BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let session = self.browser_session(caller, id).await?;
        require_reach(caller, &self.user(caller, session.user_id).await?)?;
        self.end_session(caller, &session).await
    }

    async fn end_session(&self, caller: &Caller, session: &BrowserSession) -> Result<(), BrokerError> {
        let event = caller.event("session.end").subject(session.id).concerning(session.user_id);
        if self.storage().end_browser_session(session.hash, event).await? {
            return Ok(());
        }
        Err(BrokerError::NotFound { what: "browser session" })
    }

    async fn living_sessions(&self, caller: &Caller, user: UserId) -> Result<Vec<SignedIn>, BrokerError> {
        let now = self.now();
        let own = match &caller.credential {
            Credential::BrowserSession { hash, .. } => Some(*hash),
            Credential::ApiToken(_) | Credential::CommandLine => None,
        };
        let sessions = self.storage().browser_sessions_of(user).await?.into_iter();
        let policy = &self.policy().sessions;
        let living = sessions.filter(|session| session.lives(policy, now));
        let signed_in = |session: BrowserSession| SignedIn {
            here: own == Some(session.hash),
            ends_unused_at: session.ends_at(policy),
            ends_at_the_latest: session.ends_at_the_latest(policy),
            session,
        };
        Ok(living.map(signed_in).collect())
    }
}
