//! A one-time link: the first administrator's setup, or a password reset.

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::sealed::TokenHash;
use std::time::Duration;

/// How long a setup or reset link works.
pub const SETUP_LINK_LIFETIME: Duration = Duration::from_secs(3_600);

/// A link that is consumed by POST. Its token is stored as a hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupLink {
    pub hash: TokenHash,
    /// Whose password it sets; none for the first administrator, who does not exist yet.
    pub user_id: Option<UserId>,
    /// The person's second factor goes with the old password.
    pub removes_second_factor: bool,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}
