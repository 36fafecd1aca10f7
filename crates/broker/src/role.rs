//! Roles of an installation's own, beside the built-in ones. Nobody gives what they do not hold, and nobody manages
//! who holds more than they do: else managing people would be everything.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{CustomRole, Permission, Role, Slug, StoredRole, User};
use doorward_storage::{Inserted, Updated};
use std::sync::Arc;

/// Roles of an installation's own there may be.
const ROLES_MAX: usize = 100;

const NO_ROLE: BrokerError = BrokerError::NotFound { what: "role" };

impl Broker {
    /// Every role of our own making, oldest first. The built-in ones are [`Role::BUILT_IN`].
    pub async fn custom_roles(&self, caller: &Caller) -> Result<Vec<StoredRole>, BrokerError> {
        caller.require(Permission::ReadUsers)?;
        Ok(self.storage().roles().await?)
    }

    /// One of them.
    pub async fn custom_role(&self, caller: &Caller, name: &Slug) -> Result<StoredRole, BrokerError> {
        caller.require(Permission::ReadUsers)?;
        self.storage().role(name).await?.ok_or(NO_ROLE)
    }

    /// The role of a name, built in or not, as a field `role` says it.
    pub async fn role_named(&self, caller: &Caller, name: &str) -> Result<Role, BrokerError> {
        if let Some(role) = Role::built_in(name) {
            return Ok(role);
        }
        caller.require(Permission::ReadUsers)?;
        let found = match Slug::parse(name) {
            Ok(name) => self.storage().role(&name).await?,
            Err(_) => None,
        };
        let found = found.map(|stored| Role::Custom(Arc::new(stored.role)));
        found.ok_or_else(|| BrokerError::invalid("role", "there is no such role: choose one that there is"))
    }

    /// Makes a role.
    pub async fn create_role(
        &self,
        caller: &Caller,
        name: &str,
        permissions: Vec<Permission>,
    ) -> Result<StoredRole, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        self.require_fresh_login(caller)?;
        let name = Slug::parse(name).map_err(|error| BrokerError::invalid("name", error.to_string()))?;
        // The page of a new one is at this name.
        if name.as_str() == "new" || Role::built_in(name.as_str()).is_some() {
            return Err(BrokerError::conflict("name", "this name is taken by Doorward itself"));
        }
        if self.storage().roles().await?.len() >= ROLES_MAX {
            return Err(BrokerError::conflict(
                "name",
                format!("{ROLES_MAX} roles are enough: delete one first"),
            ));
        }
        let role = CustomRole { name, permissions: checked(permissions)? };
        require_all(caller, &role.permissions)?;
        let now = self.now();
        let stored = StoredRole { role, people: 0, created_at: now, updated_at: now, version: 1 };
        let event = event(caller, "role.create", &stored.role);
        match self.storage().insert_role(&stored, event).await? {
            Inserted::Yes => Ok(stored),
            Inserted::Conflict => Err(BrokerError::conflict("name", "another role has this name")),
        }
    }

    /// Changes what a role may, for everybody who has it and from their next request on.
    pub async fn update_role(
        &self,
        caller: &Caller,
        name: &str,
        version: Option<i64>,
        permissions: Vec<Permission>,
    ) -> Result<StoredRole, BrokerError> {
        let mut stored = self.changeable(caller, name).await?;
        if version.is_some_and(|version| version != stored.version) {
            return Err(BrokerError::VersionMismatch);
        }
        stored.role.permissions = checked(permissions)?;
        require_all(caller, &stored.role.permissions)?;
        if is_own(caller, &stored.role) {
            return Err(BrokerError::conflict(
                "permissions",
                "it is your own role: ask somebody else who manages people",
            ));
        }
        stored.updated_at = self.now();
        let event = event(caller, "role.update", &stored.role);
        match self.storage().update_role(&stored, event).await? {
            Updated::Yes => self.custom_role(caller, &stored.role.name).await,
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(NO_ROLE),
        }
    }

    /// Deletes a role that nobody has.
    pub async fn delete_role(
        &self,
        caller: &Caller,
        name: &str,
        version: Option<i64>,
    ) -> Result<(), BrokerError> {
        let stored = self.changeable(caller, name).await?;
        let event = event(caller, "role.delete", &stored.role);
        match self.storage().delete_role(&stored.role.name, version, event).await? {
            Ok(Updated::Yes) => Ok(()),
            Ok(Updated::VersionMismatch) => Err(BrokerError::VersionMismatch),
            Ok(Updated::Missing) => Err(NO_ROLE),
            Err(people) => Err(BrokerError::conflict(
                "name",
                format!("it is the role of {people} people: give them another one first"),
            )),
        }
    }

    /// A role that the caller may change or delete.
    async fn changeable(&self, caller: &Caller, name: &str) -> Result<StoredRole, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        self.require_fresh_login(caller)?;
        if Role::built_in(name).is_some() {
            return Err(BrokerError::conflict(
                "name",
                "a built-in role stays as it is: make one of your own",
            ));
        }
        let stored = self.custom_role(caller, &Slug::parse(name).map_err(|_| NO_ROLE)?).await?;
        require_all(caller, &stored.role.permissions)?;
        Ok(stored)
    }
}

/// Refuses a caller who lacks something of what is given or taken.
pub(crate) fn require_all(caller: &Caller, permissions: &[Permission]) -> Result<(), BrokerError> {
    permissions.iter().try_for_each(|permission| caller.require(*permission))
}

/// Refuses a caller who would manage somebody who may more than they. A reset link, or another e-mail address, is a
/// way to become that person; and what an administrator is, only administrators say.
pub(crate) fn require_reach(caller: &Caller, person: &User) -> Result<(), BrokerError> {
    let is_administrator = |user: &User| user.role == Role::Administrator;
    if is_administrator(person) && !is_administrator(&caller.user) {
        return Err(BrokerError::AdministratorsOnly);
    }
    require_all(caller, person.role.permissions())
}

/// Refuses a caller who would give a role that they do not wholly hold.
pub(crate) fn require_to_give(caller: &Caller, role: &Role) -> Result<(), BrokerError> {
    if *role == Role::Administrator && caller.user.role != Role::Administrator {
        return Err(BrokerError::AdministratorsOnly);
    }
    require_all(caller, role.permissions())
}

fn is_own(caller: &Caller, role: &CustomRole) -> bool {
    matches!(&caller.user.role, Role::Custom(own) if own.name == role.name)
}

/// Each once, in the order of the table; what manages something also reads it.
fn checked(given: Vec<Permission>) -> Result<Vec<Permission>, BrokerError> {
    if given.is_empty() {
        return Err(BrokerError::invalid("permissions", "name at least one"));
    }
    let lacks = given
        .iter()
        .find_map(|one| one.goes_with().filter(|read| !given.contains(read)).map(|read| (one, read)));
    if let Some((one, read)) = lacks {
        let problem = format!("{} goes with {}: add it", one.as_str(), read.as_str());
        return Err(BrokerError::invalid("permissions", problem));
    }
    Ok(Permission::ALL.into_iter().filter(|one| given.contains(one)).collect())
}

fn event(caller: &Caller, action: &'static str, role: &CustomRole) -> doorward_domain::NewAuditEvent {
    let permissions: Vec<&str> = role.permissions.iter().map(|one| one.as_str()).collect();
    caller
        .event(action)
        .subject(&role.name)
        .detail("name", &role.name)
        .detail("permissions", permissions.join(" "))
}
