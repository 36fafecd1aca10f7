//! What is left of a grant that has ended: whose it was, why and by whom it ended, and what the provider
//! answered when it was told.

use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::grant::{GrantOwner, ProviderAccount};
use crate::ids::{BulkJobId, GatewayId, GrantId};
use serde::{Deserialize, Serialize};

/// Why a grant ended. See [`EndCause::lets_choose`] for what it means at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// Its owner disconnected.
    Disconnected,
    /// An administrator revoked it.
    Revoked,
    /// It was stale, and cleanup swept it.
    Swept,
    /// Nobody used it for `OAUTH_IDLE_REVOKE_DAYS`.
    Idle,
    /// Its user had no access for `OAUTH_ORPHAN_GRACE_DAYS`.
    OrphanedTooLong,
    UserDisabled,
    UserDeleted,
    GatewayDeleted,
}

/// What is done about the provider when a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderEnd {
    /// The provider is told, unless that would end more than this grant.
    #[default]
    UnlessWide,
    /// The provider is told, whatever else ends there: a person has chosen so.
    ThereToo,
    /// The provider is not told: a person has chosen so.
    HereOnly,
}

/// What is known of the provider's side of the end. The words do not over-claim: only a 2xx of the
/// provider makes it [`Receipt::EndedAtProvider`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// The provider is still to be told.
    Pending,
    /// The provider has confirmed.
    EndedAtProvider,
    /// The provider has no call to be told by; a person can end it there by hand.
    NoSuchCall,
    /// The provider answered no, and why.
    Refused,
    /// The provider did not answer for as long as it was tried.
    GaveUp,
    /// The provider was not told, because it would have ended more than this grant, or a person chose so.
    NotTold,
    /// Nothing that could be told was left: the gateway points elsewhere now, or no secret opened.
    NothingToTell,
}

/// A grant that has ended. No secret is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedGrant {
    pub grant_id: GrantId,
    pub owner: GrantOwner,
    /// The person's e-mail address when it ended.
    pub user_email: Option<String>,
    pub gateway_id: GatewayId,
    pub gateway_slug: String,
    /// The issuer, or the token endpoint's origin.
    pub provider: String,
    pub label: String,
    pub account: Option<ProviderAccount>,
    pub scopes_granted: Vec<String>,
    pub authorized_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// Until when a copy of the access token, taken before, may still work; none: no known end.
    pub access_token_expires_at: Option<Timestamp>,
    pub cause: EndCause,
    /// What the person who ended it gave as the reason.
    pub reason: Option<String>,
    pub actor: Actor,
    pub ended_at: Timestamp,
    /// The bulk job that ended it, if one did.
    pub job: Option<BulkJobId>,
    pub receipt: Receipt,
    /// The provider's answer in our words.
    pub receipt_detail: Option<String>,
    /// When the receipt became what it is.
    pub receipt_at: Timestamp,
    /// Where a person ends it by hand.
    pub user_apps_url: Option<String>,
}

impl Receipt {
    /// Every receipt there is.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::EndedAtProvider,
        Self::NoSuchCall,
        Self::Refused,
        Self::GaveUp,
        Self::NotTold,
        Self::NothingToTell,
    ];
}

impl EndCause {
    /// Every cause there is.
    pub const ALL: [Self; 8] = [
        Self::Disconnected,
        Self::Revoked,
        Self::Swept,
        Self::Idle,
        Self::OrphanedTooLong,
        Self::UserDisabled,
        Self::UserDeleted,
        Self::GatewayDeleted,
    ];

    /// Whether a person chose this very grant, and so may choose what happens at the provider. Sweeps and
    /// cascades never use a call that ends more than the grant.
    pub fn lets_choose(self) -> bool {
        matches!(self, Self::Disconnected | Self::Revoked)
    }
}
