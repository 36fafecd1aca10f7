//! A grant: one user's standing permission at one gateway, and its states.

use crate::clock::Timestamp;
use crate::gateway::Fingerprint;
use crate::ids::{GatewayId, GrantId, UserId};
use crate::sealed::Sealed;
use crate::secret::{AccessToken, RefreshToken};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whose permission it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantOwner {
    /// A person's.
    User(UserId),
    /// The gateway's own (client credentials).
    Service,
}

/// Why the user is asked to authorize again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReauthorizationReason {
    /// The provider answered `invalid_grant` to a refresh.
    InvalidGrant,
    /// The upstream refused a token that had just been issued.
    RefusedFreshToken,
    /// The access token ended and there is nothing to refresh it with.
    NothingToRefreshWith,
    /// An administrator asked for it.
    Forced,
    /// The gateway now points elsewhere; the tokens were given for another place.
    GatewayChanged,
}

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantState {
    /// The access token is valid, or can be refreshed.
    Active,
    /// A refresh was sent and its answer was lost.
    Uncertain,
    /// Nothing works until the user authorizes again.
    NeedsAuthorization(ReauthorizationReason),
    /// The user lost access to the gateway, or the gateway is disabled.
    Orphaned { since: Timestamp },
}

/// The provider account behind a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAccount {
    /// The provider's stable identifier (`sub`).
    pub subject: String,
    /// What a person recognizes: a login name or an e-mail address.
    pub name: Option<String>,
}

/// Tokens as the provider gave them, in the open; lives for the shortest time possible.
#[derive(Debug, Clone)]
pub struct TokenSet {
    pub access_token: AccessToken,
    pub refresh_token: Option<RefreshToken>,
    /// None: no known end.
    pub expires_at: Option<Timestamp>,
    /// None: the answer named no scopes, so those asked for were granted (RFC 6749 §5.1).
    pub scopes: Option<Vec<String>>,
    /// Who authorized, where an ID token or the demo says so.
    pub account: Option<ProviderAccount>,
}

/// Tokens as the database holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTokenSet {
    /// Sealed at `grants/access_token/{id}`.
    pub access_token: Sealed,
    /// Sealed at `grants/refresh_token/{id}`.
    pub refresh_token: Option<Sealed>,
    /// None: no known end.
    pub expires_at: Option<Timestamp>,
}

/// One user's standing permission at one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub owner: GrantOwner,
    pub gateway_id: GatewayId,
    /// Tells several accounts of one user at one gateway apart; empty for the default one.
    pub label: String,
    pub state: GrantState,
    /// What the tokens were given for; they are sent nowhere else.
    pub fingerprint: Fingerprint,
    pub account: Option<ProviderAccount>,
    pub scopes_requested: Vec<String>,
    pub scopes_granted: Vec<String>,
    pub tokens: SealedTokenSet,
    /// How many refresh tokens this grant has had; the present one has this number.
    pub refresh_number: i64,
    /// The number of the refresh token that is being redeemed right now: the committed intent.
    pub redeeming_number: Option<i64>,
    pub created_at: Timestamp,
    /// When the user last gave consent.
    pub authorized_at: Timestamp,
    /// When the present access token was issued.
    pub issued_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub last_refreshed_at: Option<Timestamp>,
    /// A failed refresh is not tried again before this moment.
    pub retry_at: Option<Timestamp>,
    /// Refreshes that failed in a row.
    pub failures: i64,
    /// What the last failed refresh said: our words, no secret.
    pub last_error: Option<String>,
    /// Compare-and-swap counter.
    pub version: i64,
}

/// The access token by the clock alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenStatus {
    Valid,
    ExpiringSoon,
    Expired,
}

/// The connection as a person means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It works, or renews itself.
    Valid,
    /// It will die and nothing renews it.
    ExpiringSoon,
    /// It ended and nothing renews it.
    Expired,
    NeedsAuthorization,
    Uncertain,
    Orphaned,
}

/// The longest refresh margin.
const MARGIN_MAX: Duration = Duration::from_secs(5 * 60);

impl Grant {
    /// Whether the access token can be sent at `now`: it has not reached its end.
    pub fn access_token_lives(&self, now: Timestamp) -> bool {
        self.tokens.expires_at.is_none_or(|end| now < end)
    }

    /// How long before its end a token is renewed: the smaller of 5 minutes and a fifth of the lifetime.
    pub fn margin(&self) -> Duration {
        let lifetime = self.tokens.expires_at.map_or(Duration::ZERO, |end| self.issued_at.until(end));
        MARGIN_MAX.min(lifetime / 5)
    }

    /// Whether `now` lies inside the refresh margin.
    pub fn inside_margin(&self, now: Timestamp) -> bool {
        self.tokens.expires_at.is_some_and(|end| now >= end.minus(self.margin()))
    }

    /// The access token by the clock alone.
    pub fn access_token_status(&self, now: Timestamp, soon: Duration) -> AccessTokenStatus {
        match self.tokens.expires_at {
            Some(end) if now >= end => AccessTokenStatus::Expired,
            Some(end) if now >= end.minus(soon.min(self.issued_at.until(end) / 5)) => {
                AccessTokenStatus::ExpiringSoon
            }
            _ => AccessTokenStatus::Valid,
        }
    }

    /// The connection as a person means it.
    pub fn health(&self, now: Timestamp, soon: Duration) -> Health {
        match self.state {
            GrantState::NeedsAuthorization(_) => Health::NeedsAuthorization,
            GrantState::Uncertain => Health::Uncertain,
            GrantState::Orphaned { .. } => Health::Orphaned,
            GrantState::Active if self.tokens.refresh_token.is_some() => Health::Valid,
            GrantState::Active => match self.access_token_status(now, soon) {
                AccessTokenStatus::Valid => Health::Valid,
                AccessTokenStatus::ExpiringSoon => Health::ExpiringSoon,
                AccessTokenStatus::Expired => Health::Expired,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::{KeyId, Sealed};
    use uuid::Uuid;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn grant(state: GrantState, expires_at: Option<i64>, refreshable: bool) -> Grant {
        let sealed = Sealed { key_id: KeyId("k".into()), bytes: vec![1] };
        Grant {
            id: GrantId(Uuid::nil()),
            owner: GrantOwner::User(UserId(Uuid::nil())),
            gateway_id: GatewayId(Uuid::nil()),
            label: String::new(),
            state,
            fingerprint: Fingerprint(String::new()),
            account: None,
            scopes_requested: vec![],
            scopes_granted: vec![],
            tokens: SealedTokenSet {
                access_token: sealed.clone(),
                refresh_token: refreshable.then_some(sealed),
                expires_at: expires_at.map(Timestamp::from_millis),
            },
            refresh_number: 1,
            redeeming_number: None,
            created_at: Timestamp::from_millis(0),
            authorized_at: Timestamp::from_millis(0),
            issued_at: Timestamp::from_millis(0),
            last_used_at: None,
            last_refreshed_at: None,
            retry_at: None,
            failures: 0,
            last_error: None,
            version: 1,
        }
    }

    #[test]
    fn the_margin_is_the_smaller_of_five_minutes_and_a_fifth() {
        let hour = grant(GrantState::Active, Some(3_600_000), true);
        assert!(!hour.inside_margin(Timestamp::from_millis(3_299_999)));
        assert!(hour.inside_margin(Timestamp::from_millis(3_300_000)));
        let five_seconds = grant(GrantState::Active, Some(5_000), true);
        assert!(!five_seconds.inside_margin(Timestamp::from_millis(3_999)));
        assert!(five_seconds.inside_margin(Timestamp::from_millis(4_000)));
        assert!(!grant(GrantState::Active, None, false).inside_margin(Timestamp::from_millis(i64::MAX)));
    }

    #[test]
    fn health_says_what_a_person_means() {
        let late = Timestamp::from_millis(3_600_000);
        let cases = [
            (grant(GrantState::Active, Some(3_600_000), true), Health::Valid),
            (grant(GrantState::Active, Some(3_600_000), false), Health::Expired),
            (grant(GrantState::Active, Some(3_700_000), false), Health::ExpiringSoon),
            (grant(GrantState::Active, None, false), Health::Valid),
            (grant(GrantState::Uncertain, None, true), Health::Uncertain),
            (grant(GrantState::Orphaned { since: late }, None, true), Health::Orphaned),
            (
                grant(GrantState::NeedsAuthorization(ReauthorizationReason::Forced), None, true),
                Health::NeedsAuthorization,
            ),
        ];
        for (grant, health) in cases {
            assert_eq!(grant.health(late, HOUR), health);
        }
        let ended = grant(GrantState::Active, Some(1), false);
        assert_eq!(ended.access_token_status(late, HOUR), AccessTokenStatus::Expired);
        assert!(!ended.access_token_lives(late));
    }
}
