//! A grant: one user's standing permission at one gateway, and its states.

use crate::clock::Timestamp;
use crate::gateway::Fingerprint;
use crate::ids::{GatewayId, GrantId, UserId};
use crate::provider_facts::ProviderFacts;
use crate::sealed::Sealed;
use crate::secret::{AccessToken, IdToken, RefreshToken};
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
    /// Somebody deposited it, and its user has not accepted it yet.
    Deposited,
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
    pub id_token: Option<IdToken>,
    /// None: no known end.
    pub expires_at: Option<Timestamp>,
    /// None: the answer named no scopes, so those asked for were granted (RFC 6749 §5.1).
    pub scopes: Option<Vec<String>>,
    /// Who authorized, where an ID token or the demo says so.
    pub account: Option<ProviderAccount>,
}

/// What upstreams wanted of a grant and it had not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NeededScopes {
    /// The union of it all.
    pub scopes: Vec<String>,
    /// The user has not been back since.
    pub pending: bool,
    /// How many consents did not help.
    pub tries: u32,
}

/// Tokens as the database holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTokenSet {
    /// Sealed at `grants/access_token/{id}`.
    pub access_token: Sealed,
    /// Sealed at `grants/refresh_token/{id}`.
    pub refresh_token: Option<Sealed>,
    /// Sealed at `grants/id_token/{id}`. Kept only where other gateways exchange it.
    pub id_token: Option<Sealed>,
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
    /// Since when the user has no access to the gateway (or the gateway is disabled). Whatever its state, an
    /// orphaned grant is refused; when access returns, it is again what it was.
    pub orphaned_since: Option<Timestamp>,
    /// What the tokens were given for; they are sent nowhere else.
    pub fingerprint: Fingerprint,
    pub account: Option<ProviderAccount>,
    pub scopes_requested: Vec<String>,
    pub scopes_granted: Vec<String>,
    pub tokens: SealedTokenSet,
    /// How many refresh tokens this grant has had; the present one has this number.
    pub refresh_number: i64,
    /// The number of the refresh token that is being redeemed right now: the committed intent. On an uncertain
    /// grant it stays once the one recovery was sent that it may have.
    pub redeeming_number: Option<i64>,
    pub created_at: Timestamp,
    /// When the user last gave consent.
    pub authorized_at: Timestamp,
    /// When the present access token was issued.
    pub issued_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub last_refreshed_at: Option<Timestamp>,
    /// When the provider ends the grant whatever we do, by its own rules; none where no limit is known.
    pub ends_at: Option<Timestamp>,
    /// A failed refresh is not tried again before this moment.
    pub retry_at: Option<Timestamp>,
    /// Refreshes that failed in a row.
    pub failures: i64,
    /// What the last failed refresh said: our words, no secret.
    pub last_error: Option<String>,
    /// The provider's own words with it, cut; for pages and the time line, never for a log or a client.
    pub provider_words: Option<String>,
    /// Leads from the error that a client was shown to the event in the time line.
    pub reference: Option<String>,
    /// Who stored the tokens, where that was not their user's own consent: the e-mail address at that time.
    pub deposited_by: Option<String>,
    /// Its access tokens are got in exchange for what their user has at an identity provider.
    pub exchanged: bool,
    /// Compare-and-swap counter.
    pub version: i64,
}

/// The access token by the clock alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenStatus {
    Valid,
    ExpiringSoon,
    Expired,
}

/// The moments at which a grant changes by the clock alone. None: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockMarks {
    /// From here on the access token counts as expiring soon.
    pub expires_soon_at: Option<Timestamp>,
    /// Here the connection ends and nothing renews it.
    pub dies_at: Option<Timestamp>,
    /// From here on the connection counts as expiring soon.
    pub dies_soon_at: Option<Timestamp>,
}

/// The connection as a person means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl Health {
    /// Every health, in the order in which people are shown them.
    pub const ALL: [Self; 6] = [
        Self::Valid,
        Self::ExpiringSoon,
        Self::Expired,
        Self::NeedsAuthorization,
        Self::Uncertain,
        Self::Orphaned,
    ];

    /// The word, as the database, REST and the metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::ExpiringSoon => "expiring_soon",
            Self::Expired => "expired",
            Self::NeedsAuthorization => "needs_authorization",
            Self::Uncertain => "uncertain",
            Self::Orphaned => "orphaned",
        }
    }
}

/// The longest refresh margin.
const MARGIN_MAX: Duration = Duration::from_secs(5 * 60);

impl Grant {
    /// Whether the access token can be sent at `now`: it has not reached its end.
    pub fn access_token_lives(&self, now: Timestamp) -> bool {
        self.tokens.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it is a deposit that its user has neither accepted nor declined.
    pub fn awaits_acceptance(&self) -> bool {
        self.state == GrantState::NeedsAuthorization(ReauthorizationReason::Deposited)
    }

    /// Whether a new access token can be had without anybody's consent: with a refresh token, in exchange, or because
    /// the gateway's own client is enough.
    pub fn renews_itself(&self) -> bool {
        self.tokens.refresh_token.is_some() || self.exchanged || self.owner == GrantOwner::Service
    }

    /// Whether it is renewed without a refresh token, so that a lost answer costs nothing.
    pub fn spends_nothing(&self) -> bool {
        self.renews_itself() && self.tokens.refresh_token.is_none()
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

    /// When a grant changes by the clock alone; `soon` is `OAUTH_EXPIRING_SOON_HOURS`.
    pub fn clock_marks(&self, soon: Duration) -> ClockMarks {
        let expires_at = self.tokens.expires_at;
        let expires_soon_at = expires_at.map(|end| end.minus(soon.min(self.issued_at.until(end) / 5)));
        let limit = self.ends_at.map(|end| (end, end.minus(soon.min(self.authorized_at.until(end) / 5))));
        let token = expires_at.zip(expires_soon_at).filter(|_| !self.renews_itself());
        let death = [limit, token].into_iter().flatten().min();
        ClockMarks {
            expires_soon_at,
            dies_at: death.map(|(end, _)| end),
            dies_soon_at: death.map(|(_, soon_at)| soon_at),
        }
    }

    /// The access token by the clock alone.
    pub fn access_token_status(&self, now: Timestamp, soon: Duration) -> AccessTokenStatus {
        match self.tokens.expires_at {
            Some(end) if now >= end => AccessTokenStatus::Expired,
            _ if reached(self.clock_marks(soon).expires_soon_at, now) => AccessTokenStatus::ExpiringSoon,
            _ => AccessTokenStatus::Valid,
        }
    }

    /// The connection as a person means it.
    pub fn health(&self, now: Timestamp, soon: Duration) -> Health {
        if self.orphaned_since.is_some() {
            return Health::Orphaned;
        }
        let marks = self.clock_marks(soon);
        match self.state {
            GrantState::NeedsAuthorization(_) => Health::NeedsAuthorization,
            GrantState::Uncertain => Health::Uncertain,
            GrantState::Active if reached(marks.dies_at, now) => Health::Expired,
            GrantState::Active if reached(marks.dies_soon_at, now) => Health::ExpiringSoon,
            GrantState::Active => Health::Valid,
        }
    }

    /// When the provider ends the grant by its own rules, as its facts tell: so long after the consent, or
    /// so long after the last token it gave.
    pub fn forecast(&self, facts: &ProviderFacts) -> Option<Timestamp> {
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        let absolute = facts.absolute_death_days.map(|limit| self.authorized_at.plus(days(limit)));
        let idle = facts.idle_death_days.map(|limit| self.issued_at.plus(days(limit)));
        absolute.into_iter().chain(idle).min()
    }
}

fn reached(mark: Option<Timestamp>, now: Timestamp) -> bool {
    mark.is_some_and(|mark| now >= mark)
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
            orphaned_since: None,
            fingerprint: Fingerprint(String::new()),
            account: None,
            scopes_requested: vec![],
            scopes_granted: vec![],
            tokens: SealedTokenSet {
                access_token: sealed.clone(),
                refresh_token: refreshable.then_some(sealed),
                id_token: None,
                expires_at: expires_at.map(Timestamp::from_millis),
            },
            refresh_number: 1,
            redeeming_number: None,
            created_at: Timestamp::from_millis(0),
            authorized_at: Timestamp::from_millis(0),
            issued_at: Timestamp::from_millis(0),
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
            (
                Grant { orphaned_since: Some(late), ..grant(GrantState::Uncertain, None, true) },
                Health::Orphaned,
            ),
            (Grant { ends_at: Some(late), ..grant(GrantState::Active, None, true) }, Health::Expired),
            (
                Grant { ends_at: Some(late.plus(HOUR / 8)), ..grant(GrantState::Active, Some(1), true) },
                Health::ExpiringSoon,
            ),
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

    #[test]
    fn a_grant_ends_so_long_after_its_consent_or_after_its_last_token_whichever_is_first() {
        let facts = |idle, absolute| ProviderFacts {
            idle_death_days: idle,
            absolute_death_days: absolute,
            ..ProviderFacts::default()
        };
        let day = Duration::from_secs(86_400);
        let start = Timestamp::from_millis(0);
        let renewed = Grant { issued_at: start.plus(5 * day), ..grant(GrantState::Active, None, true) };
        assert_eq!(renewed.forecast(&facts(None, None)), None);
        assert_eq!(renewed.forecast(&facts(Some(10), None)), Some(start.plus(15 * day)));
        assert_eq!(renewed.forecast(&facts(Some(10), Some(12))), Some(start.plus(12 * day)));
    }
}
