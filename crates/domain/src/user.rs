//! People, and what their role lets them do.

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::slug::Slug;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A set of permissions with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// May everything.
    Administrator,
    /// Keeps it running: ends authorizations, runs cleanup.
    Operator,
    /// Reads everything but secrets, and changes nothing.
    Auditor,
    /// Has connections of their own.
    User,
    /// One that this installation has made.
    Custom(Arc<CustomRole>),
}

/// A role of an installation's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRole {
    /// It never changes, and is none of the built-in ones.
    pub name: Slug,
    /// In the order of [`Permission::ALL`], each once.
    pub permissions: Vec<Permission>,
}

/// The same with what is known of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRole {
    pub role: CustomRole,
    /// How many people have it.
    pub people: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// One thing that a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Use published gateways, and see and end one's own connections.
    UseGateways,
    /// See drafts, and every gateway's settings without secrets.
    ReadGateways,
    /// Use drafts; create, edit and delete gateways.
    ManageGateways,
    /// See every grant, without secrets.
    ReadGrants,
    /// Revoke any grant, force re-authorization, refresh now.
    RevokeGrants,
    /// Store tokens for somebody that were obtained elsewhere, where the settings allow it.
    DepositGrants,
    /// See what cleanup does.
    ReadCleanup,
    /// Run cleanup, and confirm what it holds.
    RunCleanup,
    /// See the names of keys, and how far sealing anew is.
    ReadKeys,
    /// Rotate and retire keys.
    ManageKeys,
    /// See people and groups.
    ReadUsers,
    /// Create and change people and groups.
    ManageUsers,
    /// Read the audit trail.
    ReadAudit,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 13] = [
        Self::UseGateways,
        Self::ReadGateways,
        Self::ManageGateways,
        Self::ReadGrants,
        Self::RevokeGrants,
        Self::DepositGrants,
        Self::ReadCleanup,
        Self::RunCleanup,
        Self::ReadKeys,
        Self::ManageKeys,
        Self::ReadUsers,
        Self::ManageUsers,
        Self::ReadAudit,
    ];

    /// The permission of a name, as REST and the docs spell it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }

    /// What somebody needs beside it, because who changes something looks at it first.
    pub const fn goes_with(self) -> Option<Self> {
        match self {
            Self::ManageGateways => Some(Self::ReadGateways),
            Self::RevokeGrants | Self::DepositGrants => Some(Self::ReadGrants),
            Self::RunCleanup => Some(Self::ReadCleanup),
            Self::ManageKeys => Some(Self::ReadKeys),
            Self::ManageUsers => Some(Self::ReadUsers),
            Self::UseGateways
            | Self::ReadGateways
            | Self::ReadGrants
            | Self::ReadCleanup
            | Self::ReadKeys
            | Self::ReadUsers
            | Self::ReadAudit => None,
        }
    }

    /// As REST and the docs spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UseGateways => "use_gateways",
            Self::ReadGateways => "read_gateways",
            Self::ManageGateways => "manage_gateways",
            Self::ReadGrants => "read_grants",
            Self::RevokeGrants => "revoke_grants",
            Self::DepositGrants => "deposit_grants",
            Self::ReadCleanup => "read_cleanup",
            Self::RunCleanup => "run_cleanup",
            Self::ReadKeys => "read_keys",
            Self::ManageKeys => "manage_keys",
            Self::ReadUsers => "read_users",
            Self::ManageUsers => "manage_users",
            Self::ReadAudit => "read_audit",
        }
    }
}

impl Role {
    /// Those that are always there and stay as they are, the mightiest first.
    pub const BUILT_IN: [Self; 4] = [Self::Administrator, Self::Operator, Self::Auditor, Self::User];

    /// The built-in role of a name.
    pub fn built_in(name: &str) -> Option<Self> {
        Self::BUILT_IN.into_iter().find(|role| role.as_str() == name)
    }

    /// As REST and the database spell it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::User => "user",
            Self::Custom(role) => role.name.as_str(),
        }
    }

    /// What the role may do.
    pub fn permissions(&self) -> &[Permission] {
        match self {
            Self::Administrator => &Permission::ALL,
            Self::Operator => &[
                Permission::UseGateways,
                Permission::ReadGateways,
                Permission::ReadGrants,
                Permission::RevokeGrants,
                Permission::ReadCleanup,
                Permission::RunCleanup,
            ],
            Self::Auditor => &[
                Permission::UseGateways,
                Permission::ReadGateways,
                Permission::ReadGrants,
                Permission::ReadCleanup,
                Permission::ReadKeys,
                Permission::ReadUsers,
                Permission::ReadAudit,
            ],
            Self::User => &[Permission::UseGateways],
            Self::Custom(role) => &role.permissions,
        }
    }

    /// Whether the role may do one thing.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// Whether the role may do anything beyond a person's own things.
    pub fn is_more_than_a_user(&self) -> bool {
        self.permissions().iter().any(|permission| *permission != Permission::UseGateways)
    }
}

/// Whether a person may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    Active,
    Disabled,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// As typed; compared in lower case.
    pub email: String,
    pub name: String,
    pub role: Role,
    pub state: UserState,
    /// Argon2id in PHC form; none for people who sign in elsewhere.
    pub password_hash: Option<PasswordHash>,
    /// The sign-in asks for a code, too. Read only: it is set up elsewhere.
    pub has_second_factor: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// An Argon2id hash in PHC string form. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// The shortest password that is accepted, in characters (NIST SP 800-63B §5.1.1.1 asks for 8; we ask for more).
pub const PASSWORD_MIN_CHARS: usize = 10;

/// The longest password that is accepted, in bytes: Argon2 time is the server's to spend.
pub const PASSWORD_MAX_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_may_everything_and_an_auditor_changes_nothing() {
        let changes = |permission: &&Permission| {
            ["manage_", "revoke_", "run_", "deposit_"]
                .iter()
                .any(|verb| permission.as_str().starts_with(verb))
        };
        for permission in Permission::ALL {
            assert!(Role::Administrator.may(permission));
        }
        assert_eq!(Role::Auditor.permissions().iter().find(changes), None);
        assert_eq!(
            Permission::ALL
                .into_iter()
                .filter(|one| one.as_str().starts_with("read_"))
                .find(|one| !Role::Auditor.may(*one)),
            None,
            "an auditor reads everything"
        );
        assert_eq!(Role::User.permissions(), [Permission::UseGateways]);
        assert!(!Role::User.is_more_than_a_user() && Role::Operator.is_more_than_a_user());
        for role in Role::BUILT_IN {
            assert_eq!(Role::built_in(role.as_str()), Some(role.clone()));
            let lacks =
                role.permissions().iter().find(|one| one.goes_with().is_some_and(|read| !role.may(read)));
            assert_eq!(lacks, None, "{role:?}");
        }
        assert_eq!(Role::built_in("support"), None);
    }

    #[test]
    fn a_password_hash_does_not_print() {
        assert_eq!(format!("{:?}", PasswordHash("$argon2id$x".into())), "PasswordHash");
    }
}
