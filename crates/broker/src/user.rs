//! People: create, edit, disable, delete. An administrator never learns another person's password.

use crate::gateway_input::checked_name;
use crate::role::{require_reach, require_to_give};
use crate::{Broker, BrokerError, Caller};
use doorward_domain::user::{PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS};
use doorward_domain::{Page, PageRequest, Password, Permission, Role, User, UserId, UserState};
use doorward_storage::{Inserted, Updated};
use doorward_vault::password;
use secrecy::ExposeSecret;
use std::collections::HashMap;

/// A person to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: String,
    pub name: String,
    pub role: Role,
    /// None: the person sets one with a reset link.
    pub password: Option<Password>,
}

/// An edit of a person; none means unchanged.
#[derive(Debug, Clone, Default)]
pub struct UserEdit {
    pub email: Option<String>,
    pub name: Option<String>,
    pub role: Option<Role>,
    pub state: Option<UserState>,
}

impl Broker {
    /// Everybody, oldest first.
    pub async fn users(&self, caller: &Caller, page: &PageRequest) -> Result<Page<User>, BrokerError> {
        caller.require(Permission::ReadUsers)?;
        Ok(self.storage().users(page).await?)
    }

    /// One person.
    pub async fn user(&self, caller: &Caller, id: UserId) -> Result<User, BrokerError> {
        caller.require(Permission::ReadUsers)?;
        self.storage().user(id).await?.ok_or(BrokerError::NotFound { what: "person" })
    }

    /// The e-mail addresses of people by id, for those who read what these did; who is gone has none.
    pub async fn emails_of(
        &self,
        caller: &Caller,
        mut ids: Vec<UserId>,
    ) -> Result<HashMap<UserId, String>, BrokerError> {
        if !caller.may(Permission::ReadGrants) {
            caller.require(Permission::ReadAudit)?;
        }
        ids.sort_unstable();
        ids.dedup();
        let mut emails = HashMap::new();
        for id in ids {
            if let Some(user) = self.storage().user(id).await? {
                emails.insert(id, user.email);
            }
        }
        Ok(emails)
    }

    /// Creates a person.
    pub async fn create_user(&self, caller: &Caller, new: NewUser) -> Result<User, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        require_to_give(caller, &new.role)?;
        if new.role.is_more_than_a_user() {
            self.require_fresh_login(caller)?;
        }
        let email = checked_email(&new.email)?;
        let name = if new.name.trim().is_empty() { email.clone() } else { checked_name(&new.name)? };
        let password_hash = match &new.password {
            Some(plain) => {
                checked_password("password", plain)?;
                Some(password::hash(plain, self.parts.entropy).await?)
            }
            None => None,
        };
        let now = self.now();
        let user = User {
            id: self.parts.entropy.id(now),
            email,
            name,
            role: new.role,
            state: UserState::Active,
            password_hash,
            has_second_factor: false,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let event = caller.event("user.create").subject(user.id).concerning(user.id);
        match self.storage().insert_user(&user, event).await? {
            Inserted::Yes => Ok(user),
            Inserted::Conflict => Err(email_taken()),
        }
    }

    /// Edits a person. Disabling ends their sessions and API tokens.
    pub async fn update_user(
        &self,
        caller: &Caller,
        id: UserId,
        version: Option<i64>,
        edit: UserEdit,
    ) -> Result<User, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let mut user = self.user(caller, id).await?;
        if version.is_some_and(|version| version != user.version) {
            return Err(BrokerError::VersionMismatch);
        }
        require_reach(caller, &user)?;
        let before = user.role.clone();
        if let Some(role) = edit.role.as_ref().filter(|role| **role != user.role) {
            require_to_give(caller, role)?;
            self.require_fresh_login(caller)?;
        }
        if let Some(email) = &edit.email {
            user.email = checked_email(email)?;
            let other = self.storage().user_by_email(&user.email).await?;
            if other.is_some_and(|other| other.id != id) {
                return Err(email_taken());
            }
        }
        if let Some(name) = &edit.name {
            user.name = checked_name(name)?;
        }
        if let Some(role) = edit.role {
            user.role = role;
        }
        user.state = edit.state.unwrap_or(user.state);
        keeps_oneself(caller, &user, &before)?;
        user.updated_at = self.now();
        let event = caller.event("user.update").subject(id).concerning(id);
        match self.storage().update_user(&user, event).await? {
            Updated::Yes => self.user(caller, id).await,
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(BrokerError::NotFound { what: "person" }),
        }
    }

    /// Deletes a person and ends all that was theirs.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        id: UserId,
        version: Option<i64>,
    ) -> Result<(), BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let user = self.user(caller, id).await?;
        require_reach(caller, &user)?;
        if user.id == caller.user.id {
            return Err(BrokerError::conflict("id", "you cannot delete yourself: ask another administrator"));
        }
        let event = caller.event("user.delete").subject(id).concerning(id).detail("email", &user.email);
        match self.storage().delete_user(id, version, event).await? {
            Updated::Yes => Ok(()),
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(BrokerError::NotFound { what: "person" }),
        }
    }
}

/// Nobody changes their own role or locks themselves out: so one administrator always remains, because only
/// administrators manage administrators.
fn keeps_oneself(caller: &Caller, after: &User, before: &Role) -> Result<(), BrokerError> {
    let still = after.role == *before && after.state == UserState::Active;
    if after.id == caller.user.id && !still {
        return Err(BrokerError::conflict(
            "role",
            "you cannot demote or disable yourself: ask another administrator",
        ));
    }
    Ok(())
}

fn email_taken() -> BrokerError {
    BrokerError::conflict("email", "another person has this e-mail address")
}

/// Something before and something after one `@`, without blanks; more only the mail server knows.
pub(crate) fn checked_email(email: &str) -> Result<String, BrokerError> {
    let email = email.trim();
    let well_formed = email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if well_formed {
        Ok(email.to_owned())
    } else {
        Err(BrokerError::invalid("email", "give an e-mail address such as name@example.com"))
    }
}

pub(crate) fn checked_password(field: &str, password: &Password) -> Result<(), BrokerError> {
    let text = password.expose_secret();
    if text.chars().count() < PASSWORD_MIN_CHARS {
        return Err(BrokerError::invalid(field, format!("use at least {PASSWORD_MIN_CHARS} characters")));
    }
    if text.len() > PASSWORD_MAX_BYTES {
        return Err(BrokerError::invalid(field, format!("use at most {PASSWORD_MAX_BYTES} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_two_sides_and_a_password_has_bounds() {
        assert_eq!(checked_email(" a@b ").unwrap(), "a@b");
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", &format!("{}@b", "x".repeat(254))] {
            assert!(checked_email(bad).is_err(), "{bad}");
        }
        assert!(checked_password("password", &Password::new("short")).is_err());
        assert!(checked_password("password", &Password::new("x".repeat(1_025))).is_err());
        assert!(checked_password("password", &Password::new("long enough")).is_ok());
    }
}
