//! What a person shows beside their password: codes of an authenticator app (RFC 6238), or one of a few codes for
//! the day on which the app is lost.

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::sealed::Sealed;

/// A person's authenticator app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    pub user_id: UserId,
    /// What the app and we share, in base32.
    pub secret: Sealed,
    /// The newest step whose code was accepted. None is accepted twice (RFC 6238 §5.2).
    pub last_step: i64,
    /// False while it is being set up: nobody is asked for its codes yet.
    pub confirmed: bool,
    pub created_at: Timestamp,
}

/// How many recovery codes a person is given.
pub const RECOVERY_CODES: usize = 10;
