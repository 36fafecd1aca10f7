//! Signing in with e-mail and password, then with a code where the person has a second factor, and out again.

use crate::second_factor::typed;
use crate::{Broker, BrokerError, Caller, Credential};
use doorward_domain::{
    Actor, BrowserSession, NewAuditEvent, Password, SessionToken, Timestamp, TokenHash, User, UserId,
    UserState,
};
use doorward_vault::password;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A fresh browser session.
#[derive(Debug)]
pub struct Login {
    /// The cookie's value; only its hash is stored.
    pub session: SessionToken,
    pub user: Arc<User>,
}

/// How far a sign-in has come.
#[derive(Debug)]
pub enum SignIn {
    Done(Login),
    /// The password was right, and a code is asked for.
    CodeNeeded(SecondStep),
}

/// What a browser holds between the two steps. It opens nothing: it says whose password was right, and when.
#[derive(Debug)]
pub struct SecondStep {
    /// The cookie's value: sealed, so that nobody makes one up.
    pub ticket: SessionToken,
}

/// How long the code may take after the password.
pub const SECOND_STEP_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// What a ticket is sealed for.
const PURPOSE: &str = "second step of a sign-in";

/// Whose password was right, when, and of which state of the person: a new password ends what the old one began.
#[derive(Serialize, Deserialize)]
struct Ticket {
    user: UserId,
    version: i64,
    until: Timestamp,
}

impl Broker {
    /// Signs a person in, or asks for a code. Wrong e-mail and wrong password look the same and take the same time.
    pub async fn log_in(
        &self,
        email: &str,
        password: &Password,
        address: Option<String>,
    ) -> Result<SignIn, BrokerError> {
        self.begin_attempt(email, address.as_deref())?;
        let found = self.storage().user_by_email(email).await?;
        let right = self.password_is_right(found.as_ref(), password).await;
        let meant = found.as_ref().map(|user| user.id);
        match found.filter(|user| right && user.state == UserState::Active) {
            Some(user) => {
                self.throttle.succeeded(email, address.as_deref(), self.now());
                self.after_the_password(user, address).await
            }
            None => {
                let event = NewAuditEvent::new(Actor::Anonymous, "login.refused").from_address(address);
                self.storage().record(NewAuditEvent { user_id: meant, ..event }).await?;
                Err(BrokerError::invalid("password", "the e-mail address or the password is wrong"))
            }
        }
    }

    /// The person has shown a password, or chosen one by a link: in, or on to the second step.
    pub(crate) async fn after_the_password(
        &self,
        user: User,
        address: Option<String>,
    ) -> Result<SignIn, BrokerError> {
        if !user.has_second_factor {
            return Ok(SignIn::Done(self.open_session(user, "login", address).await?));
        }
        let until = self.now().plus(SECOND_STEP_LIFETIME);
        let ticket = Ticket { user: user.id, version: user.version, until };
        let plain = serde_json::to_vec(&ticket).unwrap_or_default();
        let ticket = SessionToken::new(self.seal_state(PURPOSE, &plain));
        Ok(SignIn::CodeNeeded(SecondStep { ticket }))
    }

    /// Whether a ticket still leads anywhere.
    pub async fn second_step_is_open(&self, ticket: &SessionToken) -> Result<bool, BrokerError> {
        Ok(self.user_of_ticket(ticket).await?.is_some())
    }

    /// The second step: a code of the app, or a recovery code.
    pub async fn finish_log_in(
        &self,
        ticket: &SessionToken,
        code: &Password,
        address: Option<String>,
    ) -> Result<Login, BrokerError> {
        let user = self.user_of_ticket(ticket).await?.ok_or_else(too_late)?;
        self.begin_code(&user, address.as_deref())?;
        if !self.use_code(&user, typed(code), address.clone()).await? {
            let event = NewAuditEvent::new(Actor::Anonymous, "login.code_refused").from_address(address);
            self.storage().record(event.concerning(user.id)).await?;
            return Err(wrong_code());
        }
        self.throttle.code_was_right(user.id, address.as_deref());
        self.open_session(user, "login", address).await
    }

    async fn user_of_ticket(&self, ticket: &SessionToken) -> Result<Option<User>, BrokerError> {
        let plain = self.open_state(PURPOSE, ticket.expose_secret());
        let ticket: Option<Ticket> = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        let Some(ticket) = ticket.filter(|ticket| self.now() < ticket.until) else { return Ok(None) };
        let user = self.storage().user(ticket.user).await?;
        Ok(user.filter(|user| user.state == UserState::Active && user.version == ticket.version))
    }

    /// Counts an attempt at a code; refused while this person or address must wait.
    pub(crate) fn begin_code(&self, user: &User, address: Option<&str>) -> Result<(), BrokerError> {
        let admitted = self.throttle.admit_code(user.id, address, self.now());
        admitted.map_err(|retry_after| BrokerError::Throttled { retry_after })
    }

    /// Counts an attempt at a password; refused while this account or address must wait.
    pub(crate) fn begin_attempt(&self, email: &str, address: Option<&str>) -> Result<(), BrokerError> {
        let admitted = self.throttle.admit(email, address, self.now());
        admitted.map_err(|retry_after| BrokerError::Throttled { retry_after })
    }

    /// It takes the same time for whoever has no password, or is not there.
    pub(crate) async fn password_is_right(&self, user: Option<&User>, password: &Password) -> bool {
        match user.and_then(|user| user.password_hash.as_ref()) {
            Some(hash) => password::verify(password, hash).await,
            None => {
                password::verify_nothing(password).await;
                false
            }
        }
    }

    /// Ends the caller's browser session.
    pub async fn log_out(&self, caller: &Caller) -> Result<(), BrokerError> {
        if let Credential::BrowserSession { hash, .. } = caller.credential {
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
            authenticated_at: now,
            expires_at: now.plus(self.policy().sessions.lifetime),
        };
        let event =
            NewAuditEvent::new(Actor::User(user.id), action).concerning(user.id).from_address(address);
        if !self.storage().insert_browser_session(&row, user.version, event).await? {
            return Err(BrokerError::conflict("", "your account has changed meanwhile: sign in again"));
        }
        Ok(Login { session, user: Arc::new(user) })
    }

    pub(crate) fn new_token(&self) -> (SessionToken, TokenHash) {
        let token = SessionToken::new(self.parts.entropy.token());
        let hash = doorward_vault::hash_token(&token);
        (token, hash)
    }
}

/// The same words for every wrong code, used up ones included.
pub(crate) fn wrong_code() -> BrokerError {
    BrokerError::invalid("code", "the code is wrong, or was used already: wait for the next one")
}

fn too_late() -> BrokerError {
    BrokerError::invalid("", "the code took too long: sign in again")
}
