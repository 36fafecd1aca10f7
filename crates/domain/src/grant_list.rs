//! The list of all grants: which ones are wanted, in what order, and what a row of it tells.

use crate::clock::Timestamp;
use crate::grant::{AccessTokenStatus, GrantState, Health, ProviderAccount, ReauthorizationReason};
use crate::ids::{GatewayId, GrantId, UserId};
use serde::{Deserialize, Serialize};

/// Which grants are wanted: those that pass every part that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrantFilter {
    pub user: Option<UserId>,
    pub gateway: Option<GatewayId>,
    /// The issuer, or the token endpoint's origin, exactly.
    pub provider: Option<String>,
    pub health: Option<Health>,
    pub access_token_status: Option<AccessTokenStatus>,
    /// How the e-mail address or name of the user, or the slug or name of the gateway begins, in any case.
    pub q: Option<String>,
}

impl GrantFilter {
    /// Whether it lets every grant pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// By which moment the list is sorted; rows that share it are sorted by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantSortColumn {
    CreatedAt,
    /// Grants that were never used come before all others.
    LastUsedAt,
    /// Grants whose access token has no known end come after all others.
    ExpiresAt,
}

/// The order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantSort {
    pub column: GrantSortColumn,
    pub descending: bool,
}

impl Default for GrantSort {
    /// The newest first.
    fn default() -> Self {
        Self { column: GrantSortColumn::CreatedAt, descending: true }
    }
}

/// The person behind a grant, as a list names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantUser {
    pub id: UserId,
    pub email: String,
    pub name: String,
}

/// The gateway of a grant, as a list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantGateway {
    pub id: GatewayId,
    pub slug: String,
    pub name: String,
}

/// A row of the list. There is no secret in it, not even a sealed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGrant {
    pub id: GrantId,
    /// None: the gateway's own grant.
    pub user: Option<GrantUser>,
    pub gateway: GrantGateway,
    /// The issuer, or the token endpoint's origin.
    pub provider: String,
    pub account: Option<ProviderAccount>,
    pub label: String,
    pub scopes_granted: Vec<String>,
    pub state: GrantState,
    pub health: Health,
    pub access_token_status: AccessTokenStatus,
    /// When the access token ends; none: no known end.
    pub expires_at: Option<Timestamp>,
    /// When the provider ends the grant by its own rules; none where no limit is known.
    pub ends_at: Option<Timestamp>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    pub created_at: Timestamp,
    pub authorized_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub last_refreshed_at: Option<Timestamp>,
    /// What the last failed refresh said: our words.
    pub last_error: Option<String>,
    /// Who stored it, where that was not its user's own consent.
    pub deposited_by: Option<String>,
}

impl ListedGrant {
    /// Why its health is what it is, in plain words.
    pub fn health_reason(&self) -> &'static str {
        match (self.health, self.state) {
            (Health::Orphaned, _) => {
                "its user has no access to the gateway at present; it works again when access returns"
            }
            (_, GrantState::NeedsAuthorization(reason)) => why_to_authorize(reason),
            (_, GrantState::Uncertain) => {
                "a refresh was sent and its answer was lost, so the refresh token may be spent; \
                 it works until its access token ends"
            }
            (Health::Expired, _) if self.ends_by_the_provider() => "the provider's own limit has ended it",
            (Health::Expired, _) => "its access token has ended, and there is no refresh token",
            (Health::ExpiringSoon, _) if self.ends_by_the_provider() => {
                "the provider's own limit will end it soon; authorizing again begins anew"
            }
            (Health::ExpiringSoon, _) => "its access token ends soon, and there is no refresh token",
            _ if self.refreshable => "it works, and renews itself",
            _ if self.expires_at.is_none() => "it works, and its access token has no known end",
            _ => "it works until its access token ends; there is no refresh token",
        }
    }

    /// Whether the provider's limit on the grant comes before the end of what nothing renews.
    fn ends_by_the_provider(&self) -> bool {
        let token = self.expires_at.filter(|_| !self.refreshable);
        self.ends_at.is_some_and(|limit| token.is_none_or(|end| limit <= end))
    }
}

fn why_to_authorize(reason: ReauthorizationReason) -> &'static str {
    match reason {
        ReauthorizationReason::InvalidGrant => {
            "the provider no longer accepts its refresh token; its user has to authorize again"
        }
        ReauthorizationReason::RefusedFreshToken => {
            "the MCP server refused a token that had just been issued; its user has to authorize again"
        }
        ReauthorizationReason::NothingToRefreshWith => {
            "its access token has ended, and there was no refresh token; its user has to authorize again"
        }
        ReauthorizationReason::Forced => "an administrator has asked for a new authorization",
        ReauthorizationReason::GatewayChanged => {
            "the gateway now points elsewhere than its tokens were given for; its user has to authorize again"
        }
        ReauthorizationReason::Deposited => "it was deposited, and waits until its user accepts it",
    }
}

/// How many grants there are, by what they are filtered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantCounts {
    /// When they were counted.
    pub as_of: Timestamp,
    pub counted: Vec<(Health, AccessTokenStatus, u64)>,
}

impl GrantCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.counted.iter().map(|(_, _, count)| count).sum()
    }

    /// Those of one health.
    pub fn of_health(&self, health: Health) -> u64 {
        self.counted.iter().filter(|(of, _, _)| *of == health).map(|(_, _, count)| count).sum()
    }

    /// Those of one access token status.
    pub fn of_status(&self, status: AccessTokenStatus) -> u64 {
        self.counted.iter().filter(|(_, of, _)| *of == status).map(|(_, _, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_empty_when_nothing_is_set() {
        assert!(GrantFilter::default().is_empty());
        assert!(!GrantFilter { health: Some(Health::Valid), ..GrantFilter::default() }.is_empty());
        let refused = serde_json::from_str::<GrantFilter>(r#"{"usr":null}"#).unwrap_err();
        assert!(refused.to_string().contains("usr"), "{refused}");
    }

    fn listed(
        health: Health,
        expires_at: Option<i64>,
        ends_at: Option<i64>,
        refreshable: bool,
    ) -> ListedGrant {
        let moment = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        ListedGrant {
            id: GrantId(uuid::Uuid::nil()),
            user: None,
            gateway: GrantGateway { id: GatewayId(uuid::Uuid::nil()), slug: "g".into(), name: "G".into() },
            provider: String::new(),
            account: None,
            label: String::new(),
            scopes_granted: vec![],
            state: GrantState::Active,
            health,
            access_token_status: AccessTokenStatus::Valid,
            expires_at: moment(expires_at),
            ends_at: moment(ends_at),
            refreshable,
            created_at: Timestamp::from_millis(0),
            authorized_at: Timestamp::from_millis(0),
            last_used_at: None,
            last_refreshed_at: None,
            last_error: None,
            deposited_by: None,
        }
    }

    #[test]
    fn s4_health_is_explained_in_plain_words() {
        let says = |grant: ListedGrant, words: &str| {
            assert!(grant.health_reason().contains(words), "{grant:?}: {}", grant.health_reason());
        };
        says(listed(Health::Valid, Some(1), None, true), "renews itself");
        says(listed(Health::Valid, None, None, false), "no known end");
        says(listed(Health::Valid, Some(1), None, false), "until its access token ends");
        says(listed(Health::ExpiringSoon, Some(1), None, false), "no refresh token");
        says(listed(Health::ExpiringSoon, Some(1), Some(9), true), "provider's own limit");
        says(listed(Health::Expired, Some(1), Some(9), false), "no refresh token");
        says(listed(Health::Expired, Some(9), Some(1), false), "provider's own limit");
        says(listed(Health::Orphaned, Some(1), None, true), "no access");
        let parked = |reason| ListedGrant {
            state: GrantState::NeedsAuthorization(reason),
            ..listed(Health::NeedsAuthorization, None, None, true)
        };
        says(parked(ReauthorizationReason::InvalidGrant), "refresh token");
        says(parked(ReauthorizationReason::RefusedFreshToken), "MCP server");
        says(parked(ReauthorizationReason::NothingToRefreshWith), "no refresh token");
        says(parked(ReauthorizationReason::Forced), "administrator");
        says(parked(ReauthorizationReason::GatewayChanged), "elsewhere");
        says(parked(ReauthorizationReason::Deposited), "accepts it");
        let lost =
            ListedGrant { state: GrantState::Uncertain, ..listed(Health::Uncertain, None, None, true) };
        says(lost, "answer was lost");
    }
}
