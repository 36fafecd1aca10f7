//! Who is asking. Without a caller there is no way to a use case; no setting makes one up.

use crate::{Broker, BrokerError};
use doorward_domain::{
    Actor, ApiToken, ApiTokenPlain, Audience, Permission, SessionToken, Timestamp, TokenHash, User, UserState,
};
use std::sync::Arc;

/// A person, and what they showed to be let in.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: Arc<User>,
    pub credential: Credential,
    /// The network address the request came from.
    pub address: Option<String>,
}

/// What a caller showed.
#[derive(Debug, Clone)]
pub enum Credential {
    ApiToken(Arc<ApiToken>),
    BrowserSession {
        hash: TokenHash,
        /// When the person last showed that it is they.
        authenticated_at: Timestamp,
    },
    /// The command line, on the machine itself, on behalf of a user.
    CommandLine,
}

impl Caller {
    /// Whether the caller's role allows something.
    pub fn may(&self, permission: Permission) -> bool {
        self.user.role.may(permission)
    }

    /// Refuses callers whose role does not allow something.
    pub fn require(&self, need: Permission) -> Result<(), BrokerError> {
        if self.may(need) { Ok(()) } else { Err(BrokerError::Forbidden { need }) }
    }

    /// As the audit trail names the caller.
    pub fn actor(&self) -> Actor {
        match self.credential {
            Credential::CommandLine => Actor::CommandLine,
            Credential::ApiToken(_) | Credential::BrowserSession { .. } => Actor::User(self.user.id),
        }
    }

    /// The audience of the caller's API token; none for a browser session, which may all the role may.
    pub fn audience(&self) -> Option<Audience> {
        self.api_token().map(|token| token.audience)
    }

    pub(crate) fn api_token(&self) -> Option<&ApiToken> {
        match &self.credential {
            Credential::ApiToken(token) => Some(token),
            Credential::BrowserSession { .. } | Credential::CommandLine => None,
        }
    }

    /// Whether the caller's API token opens some gateways only.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.api_token().is_some_and(|token| token.gateways.is_some())
    }

    pub(crate) fn event(&self, action: &'static str) -> doorward_domain::NewAuditEvent {
        doorward_domain::NewAuditEvent::new(self.actor(), action).from_address(self.address.clone())
    }
}

impl Broker {
    /// The caller behind an API token; none when it is unknown, has ended, or its user is disabled.
    pub async fn caller_by_api_token(
        &self,
        plain: &ApiTokenPlain,
        address: Option<String>,
    ) -> Result<Option<Caller>, BrokerError> {
        let hash = doorward_vault::hash_token(plain);
        let storage = self.storage();
        let fresh = storage.feed_is_fresh();
        let load = async { Ok::<_, BrokerError>(storage.api_token_by_hash(hash).await?.map(Arc::new)) };
        let Some(token) = self.caches.api_tokens.get_or_load(&hash, fresh, load).await? else {
            return Ok(None);
        };
        if !token.lives(self.now()) {
            return Ok(None);
        }
        let Some(user) = self.active_user(token.user_id).await? else { return Ok(None) };
        self.last_used.api_token(token.id, self.now());
        Ok(Some(Caller { user, credential: Credential::ApiToken(token), address }))
    }

    /// The caller behind a browser session cookie; none when it has ended or its user is disabled.
    pub async fn caller_by_session(
        &self,
        plain: &SessionToken,
        address: Option<String>,
    ) -> Result<Option<Caller>, BrokerError> {
        let hash = doorward_vault::hash_token(plain);
        let now = self.now();
        let Some(session) = self.storage().browser_session(hash).await? else { return Ok(None) };
        if !session.lives(&self.policy().sessions, now) {
            return Ok(None);
        }
        let Some(user) = self.active_user(session.user_id).await? else { return Ok(None) };
        if session.last_seen_at.until(now) >= std::time::Duration::from_secs(60) {
            self.storage().touch_browser_session(hash, now).await?;
        }
        let credential = Credential::BrowserSession { hash, authenticated_at: session.authenticated_at };
        Ok(Some(Caller { user, credential, address }))
    }

    /// A caller for the command line, on behalf of a user.
    pub async fn caller_on_command_line(&self, email: &str) -> Result<Option<Caller>, BrokerError> {
        let user = self.storage().user_by_email(email).await?;
        Ok(user.map(|user| Caller {
            user: Arc::new(user),
            credential: Credential::CommandLine,
            address: None,
        }))
    }

    /// Whether a caller who was let in a while ago would be let in again, in the same role: the token or
    /// session lives, and the user is active.
    pub async fn still_may(&self, caller: &Caller) -> Result<bool, BrokerError> {
        let now = self.now();
        let shown_lives = match &caller.credential {
            Credential::ApiToken(token) => {
                let found = self.storage().api_token_by_hash(token.hash).await?;
                found.is_some_and(|found| found.id == token.id && found.lives(now))
            }
            Credential::BrowserSession { hash, .. } => {
                let found = self.storage().browser_session(*hash).await?;
                found.is_some_and(|found| found.lives(&self.policy().sessions, now))
            }
            Credential::CommandLine => true,
        };
        let user = self.storage().user(caller.user.id).await?;
        let is_same = |user: User| user.state == UserState::Active && user.role == caller.user.role;
        Ok(shown_lives && user.is_some_and(is_same))
    }

    pub(crate) async fn active_user(
        &self,
        id: doorward_domain::UserId,
    ) -> Result<Option<Arc<User>>, BrokerError> {
        let storage = self.storage();
        let load = async { Ok::<_, BrokerError>(storage.user(id).await?.map(Arc::new)) };
        let user = self.caches.users.get_or_load(&id, storage.feed_is_fresh(), load).await?;
        Ok(user.filter(|user| user.state == UserState::Active))
    }
}
