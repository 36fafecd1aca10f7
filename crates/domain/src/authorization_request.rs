//! The pending browser round trip to an authorization server: created by the POST of the connect
//! page, single use, ten minutes, bound to the user and to the browser.

use crate::clock::Timestamp;
use crate::gateway::Fingerprint;
use crate::ids::{AuthorizationRequestId, ConnectRequestId, GatewayId, UserId};
use crate::sealed::{Sealed, TokenHash};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a user has at the provider.
pub const AUTHORIZATION_REQUEST_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// What a round trip is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationPurpose {
    /// A grant. Where there is one already, the same account of the provider is expected back.
    Connect,
    /// The same; another account may take the place of the one there.
    ConnectAnyAccount,
    /// A look at what the provider gives; the tokens are thrown away.
    Test,
}

impl AuthorizationPurpose {
    /// The word, as the database and the audit trail have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectAnyAccount => "connect_any_account",
            Self::Test => "test",
        }
    }
}

/// One round trip. The `state` and the binding cookie are stored as hashes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    pub id: AuthorizationRequestId,
    pub user_id: UserId,
    pub gateway_id: GatewayId,
    /// The link that led here, if a call asked for it.
    pub connect_request_id: Option<ConnectRequestId>,
    pub state_hash: TokenHash,
    pub cookie_hash: TokenHash,
    /// Sealed at `authorization_requests/pkce_verifier/{id}`.
    pub pkce_verifier: Sealed,
    /// What `iss` must say (RFC 9207 §2.4); none where the gateway knows no issuer.
    pub expected_issuer: Option<String>,
    /// `iss` must be there.
    pub iss_promised: bool,
    /// The gateway as it stood when the user set out; a code is redeemed nowhere else.
    pub fingerprint: Fingerprint,
    pub scopes: Vec<String>,
    pub purpose: AuthorizationPurpose,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}
