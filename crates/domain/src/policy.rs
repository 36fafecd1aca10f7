//! How long things are kept, and what counts as soon: the settings that use cases go by.

use crate::limits::Limits;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The policy of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `OAUTH_EXPIRING_SOON_HOURS`: so long before its end something counts as expiring soon.
    pub expiring_soon: Duration,
    pub cleanup: CleanupPolicy,
    /// `AUDIT_RETENTION_DAYS`.
    pub audit_retention: Duration,
    /// `OAUTH_TOKEN_DEPOSIT`.
    pub deposit: DepositPolicy,
    pub sessions: SessionPolicy,
    pub limits: Limits,
}

/// Whether tokens that were obtained elsewhere may be stored for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DepositPolicy {
    /// Nobody may.
    #[default]
    Off,
    /// An administrator may; the person must accept them before a call carries them.
    Ask,
    /// An administrator may, and calls carry them at once.
    Trust,
}

/// How long a login in a browser holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPolicy {
    /// `DOORWARD_SESSION_IDLE_HOURS`: it ends after so long without a request.
    pub idle: Duration,
    /// `DOORWARD_SESSION_LIFETIME_HOURS`: it ends so long after the login, whatever happens.
    pub lifetime: Duration,
    /// `DOORWARD_FRESH_LOGIN_MINUTES`: for so long after showing a password or a code, a person may do what a
    /// browser that was left alone must not.
    pub fresh_login: Duration,
}

/// What cleanup sweeps, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// `OAUTH_CLEANUP_ENABLED`.
    pub enabled: bool,
    /// `OAUTH_CLEANUP_INTERVAL_HOURS`.
    pub interval: Duration,
    /// `OAUTH_TOKEN_RETENTION_DAYS`: a grant is stale when its token has ended and neither a refresh nor a
    /// served call happened for longer than this.
    pub retention: Duration,
    /// `OAUTH_CLEANUP_KEEP_REFRESHABLE`: spare stale grants that could still be refreshed.
    pub keep_refreshable: bool,
    /// `OAUTH_IDLE_REVOKE_DAYS`: end what nobody used for so long; none: never.
    pub idle_revoke: Option<Duration>,
    /// `OAUTH_ORPHAN_GRACE_DAYS`: end what was orphaned for so long.
    pub orphan_grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            expiring_soon: DAY,
            cleanup: CleanupPolicy::default(),
            audit_retention: 365 * DAY,
            deposit: DepositPolicy::Off,
            sessions: SessionPolicy::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self { idle: DAY, lifetime: 7 * DAY, fresh_login: Duration::from_secs(10 * 60) }
    }
}

impl Default for CleanupPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: DAY,
            retention: 90 * DAY,
            keep_refreshable: false,
            idle_revoke: None,
            orphan_grace: 30 * DAY,
        }
    }
}
