//! The first administrator, and one-time links: shown once, good for an hour, consumed by POST.

use crate::role::require_reach;
use crate::user::{checked_email, checked_password};
use crate::{Broker, BrokerError, Caller, Login, SignIn};
use doorward_domain::setup_link::SETUP_LINK_LIFETIME;
use doorward_domain::{
    Actor, NewAuditEvent, Password, Permission, Role, SessionToken, SetupLink, User, UserId, UserState,
};
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
        self.one_time_link("ui/setup", None, false).await?.ok_or(BrokerError::VersionMismatch)
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
        let made = self.one_time_link("ui/reset", Some((&user, event)), removes_second_factor).await?;
        made.ok_or(BrokerError::VersionMismatch)
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
        self.living_link(token).await?;
        let user = self.administrator(person).await?;
        self.consume(token).await?;
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
        let link = self.living_link(token).await?;
        let user_id = link.user_id.ok_or_else(spent)?;
        let hash = password::hash(&new, self.parts.entropy).await?;
        let event = NewAuditEvent::new(Actor::User(user_id), "user.password_reset")
            .subject(user_id)
            .concerning(user_id)
            .from_address(address.clone());
        if !self.storage().reset_password(&link, user_id, &hash, event).await? {
            return Err(spent());
        }
        let user = self.storage().user(user_id).await?.ok_or_else(spent)?;
        self.after_the_password(user, address).await
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

    /// None where the person has changed since they were read.
    async fn one_time_link(
        &self,
        path: &str,
        person: Option<(&User, NewAuditEvent)>,
        removes_second_factor: bool,
    ) -> Result<Option<Url>, BrokerError> {
        let (token, hash) = self.new_token();
        let now = self.now();
        let (user, event) = person.unzip();
        let link = SetupLink {
            hash,
            user_id: user.map(|user| user.id),
            removes_second_factor,
            created_at: now,
            expires_at: now.plus(SETUP_LINK_LIFETIME),
        };
        if !self.storage().insert_setup_link(&link, user.map(|user| user.version), event).await? {
            return Ok(None);
        }
        let mut url = self.page_url(path);
        // The link is the one secret that is meant to be shown; see "What is never true" in the docs.
        url.query_pairs_mut().append_pair("token", token.expose_secret());
        Ok(Some(url))
    }

    /// Looked at before a password is hashed, so that nobody makes us work without one.
    async fn living_link(&self, token: &SessionToken) -> Result<SetupLink, BrokerError> {
        let link = self.storage().setup_link(doorward_vault::hash_token(token)).await?;
        link.filter(|link| self.now() < link.expires_at).ok_or_else(spent)
    }

    /// Uses the first administrator's link up.
    async fn consume(&self, token: &SessionToken) -> Result<(), BrokerError> {
        self.living_link(token).await?.user_id.map_or(Ok(()), |_| Err(spent()))?;
        let consumed =
            self.storage().consume_setup_link(doorward_vault::hash_token(token), self.now()).await?;
        consumed.map(|_| ()).ok_or_else(spent)
    }
}

fn spent() -> BrokerError {
    BrokerError::invalid("token", "this link has been used or has expired: ask for a new one")
}
