//! What a browser that was left alone must not do wants a fresh login: the person shows again that it is they.
//! An API token has no moment of login: it was made by a fresh one where its audience is `admin`, and is a
//! credential of its own. Neither has the command line, which is the machine itself.

use crate::login::wrong_code;
use crate::second_factor::typed;
use crate::{Broker, BrokerError, Caller, Credential};
use doorward_domain::{Password, Timestamp, User};

impl Broker {
    /// Refuses browser sessions whose person has not shown for a while that it is they.
    pub fn require_fresh_login(&self, caller: &Caller) -> Result<(), BrokerError> {
        self.fresh_until(caller, self.policy().sessions.fresh_login)
    }

    /// The same before a page asks: half of the time must be left, so that there is some to answer in.
    pub fn require_fresh_login_to_ask(&self, caller: &Caller) -> Result<(), BrokerError> {
        self.fresh_until(caller, self.policy().sessions.fresh_login / 2)
    }

    fn fresh_until(&self, caller: &Caller, window: std::time::Duration) -> Result<(), BrokerError> {
        match caller.credential {
            Credential::BrowserSession { authenticated_at, .. }
                if authenticated_at.plus(window) <= self.now() =>
            {
                Err(BrokerError::FreshLoginNeeded)
            }
            Credential::BrowserSession { .. } | Credential::ApiToken(_) | Credential::CommandLine => Ok(()),
        }
    }

    /// The caller shows again that it is they: by a code where they have a second factor, else by their password. The
    /// session stays the same one.
    pub async fn sign_in_again(&self, caller: &Caller, shown: &Password) -> Result<(), BrokerError> {
        let user = self.storage().user(caller.user.id).await?.ok_or(BrokerError::FreshLoginNeeded)?;
        if user.has_second_factor {
            self.show_code_again(caller, &user, shown).await?;
        } else {
            self.show_password_again(caller, &user, shown).await?;
        }
        self.login_is_fresh(caller, self.now()).await
    }

    async fn show_code_again(
        &self,
        caller: &Caller,
        user: &User,
        code: &Password,
    ) -> Result<(), BrokerError> {
        let address = caller.address.clone();
        self.begin_code(user, address.as_deref())?;
        if !self.use_code(user, typed(code), address.clone()).await? {
            self.storage().record(caller.event("login.code_refused").concerning(user.id)).await?;
            return Err(wrong_code());
        }
        self.throttle.code_was_right(user.id, address.as_deref());
        Ok(())
    }

    async fn show_password_again(
        &self,
        caller: &Caller,
        user: &User,
        password: &Password,
    ) -> Result<(), BrokerError> {
        let (email, address) = (user.email.clone(), caller.address.clone());
        self.begin_attempt(&email, address.as_deref())?;
        if !self.password_is_right(Some(user), password).await {
            self.storage().record(caller.event("login.refused").concerning(user.id)).await?;
            return Err(BrokerError::invalid("password", "the password is wrong"));
        }
        self.throttle.succeeded(&email, address.as_deref(), self.now());
        Ok(())
    }

    async fn login_is_fresh(&self, caller: &Caller, now: Timestamp) -> Result<(), BrokerError> {
        let Credential::BrowserSession { hash, .. } = caller.credential else { return Ok(()) };
        let event = caller.event("login.again").concerning(caller.user.id);
        if self.storage().refresh_browser_session(hash, now, event).await? {
            return Ok(());
        }
        Err(BrokerError::NotFound { what: "browser session" })
    }
}
