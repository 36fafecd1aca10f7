//! People, and what their role lets them do.

use crate::clock::Timestamp;
use crate::ids::UserId;
use serde::{Deserialize, Serialize};

/// A set of permissions with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Administrator,
    User,
}

/// One thing that a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Use published gateways, and see and end one's own connections.
    UseGateways,
    /// See and use drafts; create, edit and delete gateways.
    ManageGateways,
    /// See every grant, without secrets.
    ReadGrants,
    /// Revoke any grant, force re-authorization, refresh now.
    RevokeGrants,
    /// Run cleanup, and confirm what it holds.
    RunCleanup,
    /// Rotate and retire keys.
    ManageKeys,
    /// Create and change people.
    ManageUsers,
    /// Read the audit trail.
    ReadAudit,
}

impl Role {
    /// What the role may do.
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Administrator => &[
                Permission::UseGateways,
                Permission::ManageGateways,
                Permission::ReadGrants,
                Permission::RevokeGrants,
                Permission::RunCleanup,
                Permission::ManageKeys,
                Permission::ManageUsers,
                Permission::ReadAudit,
            ],
            Self::User => &[Permission::UseGateways],
        }
    }

    /// Whether the role may do one thing.
    pub fn may(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
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
    fn an_administrator_may_everything_that_a_user_may() {
        for permission in Role::User.permissions() {
            assert!(Role::Administrator.may(*permission));
        }
        assert!(!Role::User.may(Permission::ManageGateways));
        assert_eq!(format!("{:?}", PasswordHash("$argon2id$x".into())), "PasswordHash");
    }
}
