//! The list of all grants: which ones are wanted, in what order, and what a row of it tells.

use crate::clock::Timestamp;
use crate::grant::{AccessTokenStatus, GrantState, Health, ProviderAccount};
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
}

impl ListedGrant {
    /// The moment that a sort goes by; none comes first or last, as [`GrantSortColumn`] says.
    pub fn moment(&self, column: GrantSortColumn) -> Option<Timestamp> {
        match column {
            GrantSortColumn::CreatedAt => Some(self.created_at),
            GrantSortColumn::LastUsedAt => self.last_used_at,
            GrantSortColumn::ExpiresAt => self.expires_at,
        }
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
}
