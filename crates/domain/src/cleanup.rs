//! One run of cleanup: who started it, what it swept, what it held back, and when a grant's turn comes.

use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::ended_grant::EndCause;
use crate::grant::Grant;
use crate::ids::CleanupRunId;
use crate::policy::CleanupPolicy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So long ahead an owner is told that a connection will be removed.
pub const REMOVAL_NOTICE: Duration = Duration::from_secs(14 * 86_400);

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanupTrigger {
    /// Its time had come.
    Scheduled,
    /// An administrator, over REST or a page.
    Manual,
    CommandLine,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanupState {
    Running,
    Done,
    /// It stopped in the middle; what it had swept stays swept.
    Failed,
}

/// Why a run left grants for an administrator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// It would have ended more refreshable grants than a slip should be able to.
    TooMany,
    /// The database came out of a backup: uses since then are unknown.
    Restored,
    /// The clock jumped, so that nothing is known of how old anything is.
    ClockJumped,
}

/// What a run sweeps, in the order in which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweptKind {
    StaleGrants,
    IdleGrants,
    OrphanedGrants,
    AuthorizationRequests,
    AuthorizationAttempts,
    ConnectRequests,
    BrowserSessions,
    McpSessions,
    SetupLinks,
    ApiTokens,
    ClientRegistrations,
    EndedGrants,
    AuditEvents,
    BulkJobRows,
    BulkJobs,
    CleanupRuns,
}

/// How many rows a run swept (or, for a dry run, would sweep) of each kind.
pub type CleanupCounts = BTreeMap<SweptKind, u64>;

/// A grant by the names that people know it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantNames {
    /// None: it is the gateway's own.
    pub user_email: Option<String>,
    pub gateway_slug: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanupRun {
    pub id: CleanupRunId,
    pub trigger: CleanupTrigger,
    pub actor: Actor,
    /// It counted and changed nothing.
    pub dry_run: bool,
    pub state: CleanupState,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub counts: CleanupCounts,
    /// Grants that it left for an administrator's word.
    pub held_count: u64,
    pub hold_reason: Option<HoldReason>,
    /// The run whose held grants this one was told to end.
    pub confirms: Option<CleanupRunId>,
    /// Some of the grants that it held, or that a dry run would end.
    pub sample: Vec<GrantNames>,
    /// The longest that one batch took, in milliseconds.
    pub slowest_batch_ms: u64,
    /// Why it failed: our words, no secret.
    pub error: Option<String>,
}

/// When cleanup will end a grant if nothing happens until then, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// The first run after this moment ends it.
    pub at: Timestamp,
    pub cause: EndCause,
}

impl CleanupTrigger {
    /// As logs and metrics spell it; the same word as everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::CommandLine => "command_line",
        }
    }
}

impl HoldReason {
    /// As logs spell it; the same word as everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::Restored => "restored",
            Self::ClockJumped => "clock_jumped",
        }
    }
}

impl SweptKind {
    /// As logs and metrics spell it; the same word as everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaleGrants => "stale_grants",
            Self::IdleGrants => "idle_grants",
            Self::OrphanedGrants => "orphaned_grants",
            Self::AuthorizationRequests => "authorization_requests",
            Self::AuthorizationAttempts => "authorization_attempts",
            Self::ConnectRequests => "connect_requests",
            Self::BrowserSessions => "browser_sessions",
            Self::McpSessions => "mcp_sessions",
            Self::SetupLinks => "setup_links",
            Self::ApiTokens => "api_tokens",
            Self::ClientRegistrations => "client_registrations",
            Self::EndedGrants => "ended_grants",
            Self::AuditEvents => "audit_events",
            Self::BulkJobRows => "bulk_job_rows",
            Self::BulkJobs => "bulk_jobs",
            Self::CleanupRuns => "cleanup_runs",
        }
    }

    /// Every kind, in the order in which a run sweeps.
    pub const ALL: [Self; 16] = [
        Self::StaleGrants,
        Self::IdleGrants,
        Self::OrphanedGrants,
        Self::AuthorizationRequests,
        Self::AuthorizationAttempts,
        Self::ConnectRequests,
        Self::BrowserSessions,
        Self::McpSessions,
        Self::SetupLinks,
        Self::ApiTokens,
        Self::ClientRegistrations,
        Self::EndedGrants,
        Self::AuditEvents,
        Self::BulkJobRows,
        Self::BulkJobs,
        Self::CleanupRuns,
    ];
}

impl Grant {
    /// When cleanup will end this grant, none: never as things are. `kept_alive` says that its gateway keeps
    /// grants alive, where a refresh counts as use.
    pub fn removal(&self, policy: &CleanupPolicy, kept_alive: bool) -> Option<Removal> {
        let after = |last: Timestamp, time: Duration, cause| Removal { at: last.plus(time), cause };
        let refreshed = self.last_refreshed_at;
        let used = self.last_used_at;
        let spared = policy.keep_refreshable && self.renews_itself();
        let stale = self
            .tokens
            .expires_at
            .filter(|_| !spared)
            .map(|end| after(end.max_of([used, refreshed]), policy.retention, EndCause::Swept));
        let idle = policy.idle_revoke.map(|time| {
            let counted = refreshed.filter(|_| kept_alive);
            after(self.authorized_at.max_of([used, counted]), time, EndCause::Idle)
        });
        let orphaned =
            self.orphaned_since.map(|since| after(since, policy.orphan_grace, EndCause::OrphanedTooLong));
        [stale, idle, orphaned].into_iter().flatten().min_by_key(|removal| removal.at)
    }

    /// The removal that its owner is told of: one that is due within [`REMOVAL_NOTICE`], where cleanup runs
    /// by itself.
    pub fn announced_removal(
        &self,
        policy: &CleanupPolicy,
        kept_alive: bool,
        now: Timestamp,
    ) -> Option<Removal> {
        let removal = self.removal(policy, kept_alive).filter(|_| policy.enabled)?;
        (now >= removal.at.minus(REMOVAL_NOTICE)).then_some(removal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Fingerprint;
    use crate::grant::{GrantOwner, GrantState, SealedTokenSet};
    use crate::ids::{GatewayId, GrantId, UserId};
    use crate::sealed::{KeyId, Sealed};
    use uuid::Uuid;

    fn day(number: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs(number * 86_400))
    }

    /// Authorized on day 1, its token ended on day 2.
    fn grant() -> Grant {
        let sealed = Sealed { key_id: KeyId("k".into()), bytes: vec![1] };
        Grant {
            id: GrantId(Uuid::nil()),
            owner: GrantOwner::User(UserId(Uuid::nil())),
            gateway_id: GatewayId(Uuid::nil()),
            label: String::new(),
            state: GrantState::Active,
            orphaned_since: None,
            fingerprint: Fingerprint(String::new()),
            account: None,
            scopes_requested: vec![],
            scopes_granted: vec![],
            tokens: SealedTokenSet {
                access_token: sealed.clone(),
                refresh_token: Some(sealed),
                id_token: None,
                expires_at: Some(day(2)),
            },
            refresh_number: 1,
            redeeming_number: None,
            created_at: day(1),
            authorized_at: day(1),
            issued_at: day(1),
            last_used_at: None,
            last_refreshed_at: None,
            ends_at: None,
            retry_at: None,
            failures: 0,
            last_error: None,
            provider_words: None,
            reference: None,
            deposited_by: None,
            exchanged: false,
            version: 1,
        }
    }

    fn thirty() -> CleanupPolicy {
        CleanupPolicy { retention: Duration::from_secs(30 * 86_400), ..CleanupPolicy::default() }
    }

    #[test]
    fn a_grant_is_removed_so_long_after_its_end_or_its_last_use_or_refresh() {
        let at = |grant: &Grant| grant.removal(&thirty(), false).map(|removal| removal.at);
        assert_eq!(at(&grant()), Some(day(32)));
        assert_eq!(at(&Grant { last_used_at: Some(day(10)), ..grant() }), Some(day(40)));
        assert_eq!(at(&Grant { last_refreshed_at: Some(day(20)), ..grant() }), Some(day(50)));
        let mut endless = grant();
        endless.tokens.expires_at = None;
        assert_eq!(at(&endless), None);
        let spared = CleanupPolicy { keep_refreshable: true, ..thirty() };
        assert_eq!(grant().removal(&spared, false), None);
    }

    #[test]
    fn idle_time_begins_at_the_consent_or_the_last_use_and_a_refresh_counts_only_where_it_keeps_alive() {
        let policy = CleanupPolicy {
            idle_revoke: Some(Duration::from_secs(7 * 86_400)),
            keep_refreshable: true,
            ..thirty()
        };
        let refreshed = Grant { last_refreshed_at: Some(day(5)), ..grant() };
        let idle = |number| Some(Removal { at: day(number), cause: EndCause::Idle });
        assert_eq!(refreshed.removal(&policy, false), idle(8));
        assert_eq!(refreshed.removal(&policy, true), idle(12));
        assert_eq!(Grant { last_used_at: Some(day(3)), ..grant() }.removal(&policy, false), idle(10));
        let orphaned = Grant { orphaned_since: Some(day(2)), last_used_at: Some(day(40)), ..grant() };
        let removal = orphaned.removal(&policy, false);
        assert_eq!(removal, Some(Removal { at: day(32), cause: EndCause::OrphanedTooLong }));
    }

    #[test]
    fn every_word_is_the_same_wherever_it_is_spelt() {
        for kind in SweptKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for trigger in [CleanupTrigger::Scheduled, CleanupTrigger::Manual, CleanupTrigger::CommandLine] {
            assert_eq!(serde_json::to_value(trigger).unwrap(), trigger.as_str());
        }
        for reason in [HoldReason::TooMany, HoldReason::Restored, HoldReason::ClockJumped] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn an_owner_is_told_fourteen_days_ahead_where_cleanup_runs_by_itself() {
        let told = |policy: &CleanupPolicy, on| grant().announced_removal(policy, false, day(on)).is_some();
        assert!(!told(&thirty(), 17));
        assert!(told(&thirty(), 18) && told(&thirty(), 33));
        assert!(!told(&CleanupPolicy { enabled: false, ..thirty() }, 18));
    }
}
