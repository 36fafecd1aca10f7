//! What can go wrong in a use case. The edges turn it into problem JSON, a page, or a protocol error.

use doorward_domain::{KeyId, Permission};
use doorward_storage::StorageError;
use doorward_vault::{OpenError, RingFileError};
use std::time::Duration;

/// A use case's error. Messages are sentences for the caller and hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A field is wrong; the problem says what to do.
    #[error("{field}: {problem}")]
    Invalid { field: String, problem: String },
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// The caller's role or token does not allow it.
    #[error("this needs the permission '{}'", need.as_str())]
    Forbidden { need: Permission },
    /// It is about an administrator, and whoever is none has no say there.
    #[error("only an administrator says who is one, and manages those who are")]
    AdministratorsOnly,
    /// The browser session is from a while ago, and this wants the person themselves.
    #[error("this needs a fresh login: sign in again at /ui/sign-in-again, then repeat it")]
    FreshLoginNeeded,
    /// Something of that name is there already.
    #[error("{field}: {problem}")]
    Conflict { field: String, problem: String },
    /// Somebody else changed it in between.
    #[error("it was changed in the meantime: read it again and repeat your change")]
    VersionMismatch,
    /// Something outside does not answer.
    #[error("{problem}")]
    Unavailable { problem: String, retry_after: Option<Duration> },
    /// Too many attempts.
    #[error("too many attempts: wait {} seconds and try again", retry_after.as_secs().max(1))]
    Throttled { retry_after: Duration },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A secret could not be opened.
    #[error(transparent)]
    Seal(#[from] OpenError),
    /// The cluster seals with a key that this process does not have.
    #[error("the key ring lacks key '{key}', which seals: put it into DOORWARD_KEY_RING")]
    SealingKeyMissing { key: KeyId },
    /// The generated key ring could not be read or written.
    #[error(transparent)]
    RingFile(#[from] RingFileError),
    /// A password could not be hashed.
    #[error(transparent)]
    Password(#[from] doorward_vault::password::PasswordError),
}

impl BrokerError {
    pub(crate) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }

    pub(crate) fn conflict(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Conflict { field: field.into(), problem: problem.into() }
    }
}
