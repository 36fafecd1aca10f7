//! The first administrator, and one-time links: shown once, good for an hour, consumed by POST.

use crate::role::require_reach;
use crate::user::{checked_email, checked_password};
use crate::{Broker, BrokerError, Caller, Login, SignIn};
use doorward_domain::setup_link::SETUP_LINK_LIFETIME;
use doorward_domain::user::PasswordHash;
use doorward_domain::{
    Actor, NewAuditEvent, Password, Permission, Role, SessionToken, SetupLink, User, UserId, UserState,
};
use doorward_storage::Updated;
use doorward_vault::password;
use secrecy::ExposeSecret;
use url::Url;

/// A person to be, as typed.
#[derive(Debug, Clone)]
pub struct NewPerson {
    pub email: String,
    pub name: String,
    pub password: Password,
}

impl Broker {
    /// Whether nobody administers this Doorward yet.
    pub async fn setup_needed(&self) -> Result<bool, BrokerError> {
        Ok(!self.storage().administrator_exists().await?)
    }

    /// A link that lets its bearer become the first administrator.
    pub async fn create_setup_link(&self) -> Result<Url, BrokerError> {
        self.one_time_link("ui/setup", None, false).await
    }

    /// A link that lets one person set a new password. Nobody else ever learns that password.
    /// With `removes_second_factor`, theirs goes with the old password: the way back in for who has lost the app and
    /// the recovery codes.
    pub async fn create_reset_link(
        &self,
        caller: &Caller,
        user: UserId,
        removes_second_factor: bool,
    ) -> Result<Url, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        self.require_fresh_login(caller)?;
        let user = self.user(caller, user).await?;
        require_reach(caller, &user)?;
        let event = caller
            .event("user.reset_link")
            .subject(user.id)
            .concerning(user.id)
            .detail("removes_second_factor", removes_second_factor);
        self.storage().record(event).await?;
        self.one_time_link("ui/reset", Some(user.id), removes_second_factor).await
    }

    /// Whether a setup or reset link would work. Looking consumes nothing.
    pub async fn setup_link_is_good(&self, token: &SessionToken) -> Result<bool, BrokerError> {
        let link = self.storage().setup_link(doorward_vault::hash_token(token)).await?;
        Ok(link.is_some_and(|link| self.now() < link.expires_at))
    }

    /// Makes the bearer of a setup link the first administrator, and signs them in.
    pub async fn complete_setup(
        &self,
        token: &SessionToken,
        person: NewPerson,
        address: Option<String>,
    ) -> Result<Login, BrokerError> {
        let user = self.administrator(person).await?;
        self.consume(token, None).await?;
        let event = NewAuditEvent::new(Actor::User(user.id), "user.create")
            .subject(user.id)
            .concerning(user.id)
            .detail("by", "setup link")
            .from_address(address.clone());
        if self.storage().insert_first_administrator(&user, event).await? {
            self.open_session(user, "login", address).await
        } else {
            Err(BrokerError::conflict("token", "Doorward has an administrator already: sign in instead"))
        }
    }

    /// Creates the first administrator from settings or the command line; false when there is one.
    pub async fn create_first_administrator(&self, person: NewPerson) -> Result<bool, BrokerError> {
        let user = self.administrator(person).await?;
        let event = NewAuditEvent::new(Actor::CommandLine, "user.create")
            .subject(user.id)
            .concerning(user.id)
            .detail("by", "settings");
        Ok(self.storage().insert_first_administrator(&user, event).await?)
    }

    /// Sets a new password with a reset link. It ends that person's sessions and API tokens. A second factor that the
    /// link leaves is asked for as at every sign-in: a link that went astray is not enough.
    pub async fn complete_reset(
        &self,
        token: &SessionToken,
        new: Password,
        address: Option<String>,
    ) -> Result<SignIn, BrokerError> {
        checked_password("password", &new)?;
        let hash = password::hash(&new, self.parts.entropy).await?;
        let link = self.storage().setup_link(doorward_vault::hash_token(token)).await?;
        let (user_id, removes_second_factor) =
            link.and_then(|link| Some((link.user_id?, link.removes_second_factor))).ok_or_else(spent)?;
        self.consume(token, Some(user_id)).await?;
        if removes_second_factor {
            let event = NewAuditEvent::new(Actor::User(user_id), "second_factor.remove")
                .concerning(user_id)
                .detail("by", "reset link")
                .from_address(address.clone());
            self.storage().remove_second_factor(user_id, event).await?;
        }
        let user = self.set_password(user_id, hash, address.clone()).await?;
        self.after_the_password(user, address).await
    }

    async fn set_password(
        &self,
        user_id: UserId,
        hash: PasswordHash,
        address: Option<String>,
    ) -> Result<User, BrokerError> {
        let mut user = self.storage().user(user_id).await?.ok_or(BrokerError::NotFound { what: "person" })?;
        user.password_hash = Some(hash);
        user.updated_at = self.now();
        let event = NewAuditEvent::new(Actor::User(user_id), "user.password_reset")
            .subject(user_id)
            .concerning(user_id)
            .from_address(address);
        self.storage().end_browser_sessions_of(user_id, event.clone()).await?;
        for token in self.storage().api_tokens_of(user_id).await? {
            self.storage().end_api_token(token.id, user_id, self.now(), event.clone()).await?;
        }
        match self.storage().update_user(&user, event).await? {
            Updated::Yes => {
                self.storage().user(user_id).await?.ok_or(BrokerError::NotFound { what: "person" })
            }
            Updated::VersionMismatch | Updated::Missing => Err(BrokerError::VersionMismatch),
        }
    }

    async fn administrator(&self, person: NewPerson) -> Result<User, BrokerError> {
        let email = checked_email(&person.email)?;
        checked_password("password", &person.password)?;
        let name = if person.name.trim().is_empty() {
            email.clone()
        } else {
            crate::gateway_input::checked_name(&person.name)?
        };
        let now = self.now();
        Ok(User {
            id: self.parts.entropy.id(now),
            email,
            name,
            role: Role::Administrator,
            state: UserState::Active,
            password_hash: Some(password::hash(&person.password, self.parts.entropy).await?),
            has_second_factor: false,
            created_at: now,
            updated_at: now,
            version: 1,
        })
    }

    async fn one_time_link(
        &self,
        path: &str,
        user_id: Option<UserId>,
        removes_second_factor: bool,
    ) -> Result<Url, BrokerError> {
        let (token, hash) = self.new_token();
        let now = self.now();
        let expires_at = now.plus(SETUP_LINK_LIFETIME);
        let link = SetupLink { hash, user_id, removes_second_factor, created_at: now, expires_at };
        self.storage().insert_setup_link(&link).await?;
        let mut url = self.page_url(path);
        // The link is the one secret that is meant to be shown; see "What is never true" in the docs.
        url.query_pairs_mut().append_pair("token", token.expose_secret());
        Ok(url)
    }

    async fn consume(&self, token: &SessionToken, user_id: Option<UserId>) -> Result<(), BrokerError> {
        let hash = doorward_vault::hash_token(token);
        let link = self.storage().setup_link(hash).await?;
        link.filter(|link| link.user_id == user_id).ok_or_else(spent)?;
        self.storage().consume_setup_link(hash, self.now()).await?.map(|_| ()).ok_or_else(spent)
    }
}

fn spent() -> BrokerError {
    BrokerError::invalid("token", "this link has been used or has expired: ask for a new one")
}
