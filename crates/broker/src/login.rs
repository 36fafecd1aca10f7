//! Signing in with e-mail and password, and out again.

use crate::{Broker, BrokerError, Caller, Credential};
use doorward_domain::session::BROWSER_SESSION_LIFETIME;
use doorward_domain::{
    Actor, BrowserSession, NewAuditEvent, Password, SessionToken, TokenHash, User, UserState,
};
use doorward_vault::password;
use std::sync::Arc;

/// A fresh browser session.
#[derive(Debug)]
pub struct Login {
    /// The cookie's value; only its hash is stored.
    pub session: SessionToken,
    pub user: Arc<User>,
}

impl Broker {
    /// Signs a person in. Wrong e-mail and wrong password look the same and take the same time.
    pub async fn log_in(
        &self,
        email: &str,
        password: &Password,
        address: Option<String>,
    ) -> Result<Login, BrokerError> {
        let now = self.now();
        if let Some(retry_after) = self.throttle.wait(email, address.as_deref(), now) {
            return Err(BrokerError::Throttled { retry_after });
        }
        self.throttle.attempted(email, address.as_deref(), now);
        let found = self.storage().user_by_email(email).await?;
        let hash = found.as_ref().and_then(|user| user.password_hash.as_ref());
        let right = match hash {
            Some(hash) => password::verify(password, hash).await,
            None => {
                password::verify_nothing(password).await;
                false
            }
        };
        let meant = found.as_ref().map(|user| user.id);
        match found.filter(|user| right && user.state == UserState::Active) {
            Some(user) => {
                self.throttle.succeeded(email, address.as_deref());
                self.open_session(user, "login", address).await
            }
            None => {
                let event = NewAuditEvent::new(Actor::Anonymous, "login.refused").from_address(address);
                self.storage().record(NewAuditEvent { user_id: meant, ..event }).await?;
                Err(BrokerError::invalid("password", "the e-mail address or the password is wrong"))
            }
        }
    }

    /// Ends the caller's browser session.
    pub async fn log_out(&self, caller: &Caller) -> Result<(), BrokerError> {
        if let Credential::BrowserSession(hash) = caller.credential {
            self.storage().end_browser_session(hash, caller.event("logout")).await?;
        }
        Ok(())
    }

    /// A new session with a new id, so that nobody can have planted it before.
    pub(crate) async fn open_session(
        &self,
        user: User,
        action: &'static str,
        address: Option<String>,
    ) -> Result<Login, BrokerError> {
        let (session, hash) = self.new_token();
        let now = self.now();
        let row = BrowserSession {
            id: self.parts.entropy.id(now),
            address: address.clone(),
            hash,
            user_id: user.id,
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(BROWSER_SESSION_LIFETIME),
        };
        let event =
            NewAuditEvent::new(Actor::User(user.id), action).concerning(user.id).from_address(address);
        self.storage().insert_browser_session(&row, event).await?;
        Ok(Login { session, user: Arc::new(user) })
    }

    pub(crate) fn new_token(&self) -> (SessionToken, TokenHash) {
        let token = SessionToken::new(self.parts.entropy.token());
        let hash = doorward_vault::hash_token(&token);
        (token, hash)
    }
}
