//! How long things are kept: days and hours as they are given, and what is wrong with them.

use super::SettingError;
use super::parse::{switch, whole};
use clap::Args;
use doorward_domain::{CleanupPolicy, DepositPolicy, Policy, SessionPolicy};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// No more than ten years: beyond it a number is a slip.
const DAYS_MAX: u32 = 3_650;

/// A month: beyond it "soon" means nothing, and a cleanup that rarely runs is one that does not.
const HOURS_MAX: u32 = 720;

/// A day: beyond it a login is not fresh in any sense.
const MINUTES_MAX: u32 = 1_440;

/// Retention settings as text.
#[derive(Debug, Clone, Default, Args)]
pub struct RawPolicy {
    /// Days after which a token that ended and is neither used nor refreshed is swept [default: 90]
    #[arg(long, global = true, env = "OAUTH_TOKEN_RETENTION_DAYS", value_name = "DAYS")]
    pub oauth_token_retention_days: Option<String>,
    /// Whether cleanup runs by itself [default: true]
    #[arg(long, global = true, env = "OAUTH_CLEANUP_ENABLED", value_name = "TRUE|FALSE")]
    pub oauth_cleanup_enabled: Option<String>,
    /// Hours from one cleanup to the next [default: 24]
    #[arg(long, global = true, env = "OAUTH_CLEANUP_INTERVAL_HOURS", value_name = "HOURS")]
    pub oauth_cleanup_interval_hours: Option<String>,
    /// Whether cleanup spares stale tokens that could still be refreshed [default: false]
    #[arg(long, global = true, env = "OAUTH_CLEANUP_KEEP_REFRESHABLE", value_name = "TRUE|FALSE")]
    pub oauth_cleanup_keep_refreshable: Option<String>,
    /// Days after which what nobody used is ended, whatever its token says [default: never]
    #[arg(long, global = true, env = "OAUTH_IDLE_REVOKE_DAYS", value_name = "DAYS")]
    pub oauth_idle_revoke_days: Option<String>,
    /// Days after which a grant whose user has lost access is ended [default: 30]
    #[arg(long, global = true, env = "OAUTH_ORPHAN_GRACE_DAYS", value_name = "DAYS")]
    pub oauth_orphan_grace_days: Option<String>,
    /// Hours before its end from which something counts as expiring soon [default: 24]
    #[arg(long, global = true, env = "OAUTH_EXPIRING_SOON_HOURS", value_name = "HOURS")]
    pub oauth_expiring_soon_hours: Option<String>,
    /// Days for which the audit trail is kept [default: 365]
    #[arg(long, global = true, env = "AUDIT_RETENTION_DAYS", value_name = "DAYS")]
    pub audit_retention_days: Option<String>,
    /// Whether tokens obtained elsewhere may be stored for people: ask waits for their acceptance [default: off]
    #[arg(long, global = true, env = "OAUTH_TOKEN_DEPOSIT", value_name = "OFF|ASK|TRUST")]
    pub oauth_token_deposit: Option<String>,
    /// Hours without a request after which a browser session ends [default: 24]
    #[arg(long, global = true, env = "DOORWARD_SESSION_IDLE_HOURS", value_name = "HOURS")]
    pub session_idle_hours: Option<String>,
    /// Hours after the login at which a browser session ends, whatever happens [default: 168]
    #[arg(long, global = true, env = "DOORWARD_SESSION_LIFETIME_HOURS", value_name = "HOURS")]
    pub session_lifetime_hours: Option<String>,
    /// Minutes for which a login counts as fresh, for what a browser that was left alone must not do [default: 10]
    #[arg(long, global = true, env = "DOORWARD_FRESH_LOGIN_MINUTES", value_name = "MINUTES")]
    pub fresh_login_minutes: Option<String>,
}

impl RawPolicy {
    pub(super) fn check(&self) -> Result<Policy, SettingError> {
        let defaults = Policy::default();
        let days =
            |name, text: &Option<String>| Ok(whole(name, text.as_deref(), DAYS_MAX)?.map(|days| days * DAY));
        let hours = |name, text: &Option<String>| {
            Ok(whole(name, text.as_deref(), HOURS_MAX)?.map(|hours| hours * HOUR))
        };
        let minutes = |name, text: &Option<String>| {
            Ok(whole(name, text.as_deref(), MINUTES_MAX)?.map(|minutes| minutes * MINUTE))
        };
        let cleanup = CleanupPolicy {
            enabled: switch("OAUTH_CLEANUP_ENABLED", self.oauth_cleanup_enabled.as_deref())?.unwrap_or(true),
            interval: hours("OAUTH_CLEANUP_INTERVAL_HOURS", &self.oauth_cleanup_interval_hours)?
                .unwrap_or(defaults.cleanup.interval),
            retention: days("OAUTH_TOKEN_RETENTION_DAYS", &self.oauth_token_retention_days)?
                .unwrap_or(defaults.cleanup.retention),
            keep_refreshable: switch(
                "OAUTH_CLEANUP_KEEP_REFRESHABLE",
                self.oauth_cleanup_keep_refreshable.as_deref(),
            )?
            .unwrap_or(false),
            idle_revoke: days("OAUTH_IDLE_REVOKE_DAYS", &self.oauth_idle_revoke_days)?,
            orphan_grace: days("OAUTH_ORPHAN_GRACE_DAYS", &self.oauth_orphan_grace_days)?
                .unwrap_or(defaults.cleanup.orphan_grace),
        };
        Ok(Policy {
            expiring_soon: hours("OAUTH_EXPIRING_SOON_HOURS", &self.oauth_expiring_soon_hours)?
                .unwrap_or(defaults.expiring_soon),
            cleanup,
            audit_retention: days("AUDIT_RETENTION_DAYS", &self.audit_retention_days)?
                .unwrap_or(defaults.audit_retention),
            deposit: deposit(self.oauth_token_deposit.as_deref().unwrap_or_default())?,
            sessions: SessionPolicy {
                idle: hours("DOORWARD_SESSION_IDLE_HOURS", &self.session_idle_hours)?
                    .unwrap_or(defaults.sessions.idle),
                lifetime: hours("DOORWARD_SESSION_LIFETIME_HOURS", &self.session_lifetime_hours)?
                    .unwrap_or(defaults.sessions.lifetime),
                fresh_login: minutes("DOORWARD_FRESH_LOGIN_MINUTES", &self.fresh_login_minutes)?
                    .unwrap_or(defaults.sessions.fresh_login),
            },
            limits: defaults.limits,
        })
    }
}

fn deposit(text: &str) -> Result<DepositPolicy, SettingError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "off" => Ok(DepositPolicy::Off),
        "ask" => Ok(DepositPolicy::Ask),
        "trust" => Ok(DepositPolicy::Trust),
        _ => Err(SettingError::Wrong {
            name: "OAUTH_TOKEN_DEPOSIT",
            problem: "give off, ask or trust".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_ninety_days_every_day() {
        let policy = RawPolicy::default().check().unwrap();
        assert_eq!(policy, Policy::default());
        assert_eq!(policy.cleanup.retention, 90 * DAY);
        assert!(policy.cleanup.enabled && !policy.cleanup.keep_refreshable);
        assert_eq!((policy.cleanup.interval, policy.cleanup.idle_revoke), (24 * HOUR, None));
    }

    #[test]
    fn deposits_are_off_unless_somebody_says_otherwise() {
        assert_eq!(deposit("").unwrap(), DepositPolicy::Off);
        assert_eq!(deposit("OFF").unwrap(), DepositPolicy::Off);
        assert_eq!(deposit(" ask ").unwrap(), DepositPolicy::Ask);
        assert_eq!(deposit("trust").unwrap(), DepositPolicy::Trust);
        assert!(deposit("true").unwrap_err().to_string().starts_with("OAUTH_TOKEN_DEPOSIT: "));
    }

    #[test]
    fn days_and_switches_are_read_and_nonsense_is_refused_by_name() {
        let of = |days: &str, enabled: &str| {
            let raw = RawPolicy {
                oauth_token_retention_days: Some(days.into()),
                oauth_cleanup_enabled: Some(enabled.into()),
                ..RawPolicy::default()
            };
            raw.check().map(|policy| (policy.cleanup.retention, policy.cleanup.enabled))
        };
        assert_eq!(of("30", "false").unwrap(), (30 * DAY, false));
        assert_eq!(of("", " ").unwrap(), (90 * DAY, true));
        for bad in ["0", "-1", "ninety", "3651", "1.5"] {
            let told = of(bad, "true").unwrap_err().to_string();
            assert!(told.starts_with("OAUTH_TOKEN_RETENTION_DAYS: "), "{told}");
        }
        let sessions = RawPolicy {
            session_idle_hours: Some("1".into()),
            session_lifetime_hours: Some("8".into()),
            fresh_login_minutes: Some("5".into()),
            ..RawPolicy::default()
        };
        let limits = SessionPolicy { idle: HOUR, lifetime: 8 * HOUR, fresh_login: 5 * MINUTE };
        assert_eq!(sessions.check().unwrap().sessions, limits);
        let never = RawPolicy { fresh_login_minutes: Some("0".into()), ..RawPolicy::default() };
        assert!(never.check().unwrap_err().to_string().starts_with("DOORWARD_FRESH_LOGIN_MINUTES: "));
        assert!(of("1", "maybe").unwrap_err().to_string().starts_with("OAUTH_CLEANUP_ENABLED: "));
    }
}
