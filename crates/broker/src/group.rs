//! Groups: create, rename, delete, and who is in them.

use crate::gateway_input::checked_name;
use crate::{Broker, BrokerError, Caller};
use doorward_domain::{Group, GroupId, Page, PageRequest, Permission, User, UserId};
use doorward_storage::{Inserted, Updated};

impl Broker {
    /// Every group, oldest first.
    pub async fn groups(&self, caller: &Caller, page: &PageRequest) -> Result<Page<Group>, BrokerError> {
        caller.require(Permission::ReadUsers)?;
        Ok(self.storage().groups(page).await?)
    }

    /// One group.
    pub async fn group(&self, caller: &Caller, id: GroupId) -> Result<Group, BrokerError> {
        caller.require(Permission::ReadUsers)?;
        self.storage().group(id).await?.ok_or(NO_GROUP)
    }

    /// Creates a group with nobody in it.
    pub async fn create_group(&self, caller: &Caller, name: &str) -> Result<Group, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let name = checked_name(name)?;
        let now = self.now();
        let id = self.parts.entropy.id(now);
        let group = Group { id, name, members: 0, created_at: now, updated_at: now, version: 1 };
        let event = caller.event("group.create").subject(id).detail("name", &group.name);
        match self.storage().insert_group(&group, event).await? {
            Inserted::Yes => Ok(group),
            Inserted::Conflict => Err(name_taken()),
        }
    }

    /// Renames a group.
    pub async fn rename_group(
        &self,
        caller: &Caller,
        id: GroupId,
        version: Option<i64>,
        name: &str,
    ) -> Result<Group, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let mut group = self.group(caller, id).await?;
        if version.is_some_and(|version| version != group.version) {
            return Err(BrokerError::VersionMismatch);
        }
        group.name = checked_name(name)?;
        if self.storage().group_by_name(&group.name).await?.is_some_and(|other| other.id != id) {
            return Err(name_taken());
        }
        group.updated_at = self.now();
        let event = caller.event("group.update").subject(id).detail("name", &group.name);
        match self.storage().update_group(&group, event).await? {
            Updated::Yes => self.group(caller, id).await,
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(NO_GROUP),
        }
    }

    /// Deletes a group. Whoever had access by it alone loses it.
    pub async fn delete_group(
        &self,
        caller: &Caller,
        id: GroupId,
        version: Option<i64>,
    ) -> Result<(), BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let group = self.group(caller, id).await?;
        let event = caller.event("group.delete").subject(id).detail("name", &group.name);
        match self.storage().delete_group(id, version, event).await? {
            Updated::Yes => Ok(()),
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(NO_GROUP),
        }
    }

    /// The people in a group, oldest first.
    pub async fn group_members(
        &self,
        caller: &Caller,
        id: GroupId,
        page: &PageRequest,
    ) -> Result<Page<User>, BrokerError> {
        self.group(caller, id).await?;
        Ok(self.storage().group_members(id, page).await?)
    }

    /// Puts a person into a group; who is in it already stays.
    pub async fn join_group(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<(), BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let group = self.group(caller, id).await?;
        let event = caller.event("group.join").subject(id).concerning(user).detail("name", &group.name);
        match self.storage().join_group(id, user, event).await? {
            Some(_) => Ok(()),
            None => Err(BrokerError::NotFound { what: "person" }),
        }
    }

    /// Takes a person out of a group.
    pub async fn leave_group(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<(), BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let group = self.group(caller, id).await?;
        let event = caller.event("group.leave").subject(id).concerning(user).detail("name", &group.name);
        if self.storage().leave_group(id, user, event).await? {
            Ok(())
        } else {
            Err(BrokerError::NotFound { what: "member" })
        }
    }
}

const NO_GROUP: BrokerError = BrokerError::NotFound { what: "group" };

fn name_taken() -> BrokerError {
    BrokerError::conflict("name", "another group has this name")
}
