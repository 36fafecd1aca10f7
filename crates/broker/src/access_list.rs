//! Access lists as typed: whom they name must exist.

use crate::{Broker, BrokerError, Caller};
use doorward_domain::{AccessList, Permission, UserId};
use std::collections::BTreeSet;

/// Whom one access list may name.
const NAMED_MAX: usize = 200;

impl Broker {
    /// An access list that names only people and groups that there are.
    pub(crate) async fn checked_access(&self, access: AccessList) -> Result<AccessList, BrokerError> {
        let AccessList::Only { groups, users } = &access else { return Ok(access) };
        if groups.len() + users.len() > NAMED_MAX {
            let problem = format!("name at most {NAMED_MAX} groups and people: make a group of them");
            return Err(BrokerError::invalid("access", problem));
        }
        for group in groups {
            if self.storage().group(*group).await?.is_none() {
                return Err(BrokerError::invalid("access.groups", format!("there is no group {group}")));
            }
        }
        for user in users {
            if self.storage().user(*user).await?.is_none() {
                return Err(BrokerError::invalid("access.users", format!("there is no person {user}")));
            }
        }
        Ok(access)
    }

    /// The people behind e-mail addresses, as a page takes them; an unknown one is named.
    pub async fn people_by_email(
        &self,
        caller: &Caller,
        emails: &[&str],
        field: &str,
    ) -> Result<BTreeSet<UserId>, BrokerError> {
        caller.require(Permission::ManageUsers)?;
        let mut users = BTreeSet::new();
        for email in emails {
            let found = self.storage().user_by_email(email).await?;
            let user = found.ok_or_else(|| {
                BrokerError::invalid(field, format!("nobody has the e-mail address {email}"))
            })?;
            users.insert(user.id);
        }
        Ok(users)
    }
}
