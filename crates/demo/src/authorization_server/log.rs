//! What the authorization server saw, for tests to count and compare.

use std::collections::BTreeMap;

/// One request at the token endpoint. It holds secrets in plain form and has no `Debug` for that reason.
#[derive(Clone)]
pub struct TokenRequest {
    pub grant_type: String,
    /// The form as it was sent.
    pub form: BTreeMap<String, String>,
    /// The `Authorization` header as it was sent.
    pub authorization: Option<String>,
}

/// One request at the revocation endpoint. It holds secrets in plain form and has no `Debug` for that reason.
#[derive(Clone)]
pub struct RevocationRequest {
    pub token: String,
    pub hint: String,
    /// Empty where no client could be made out.
    pub client_id: String,
    /// The `Authorization` header as it was sent.
    pub authorization: Option<String>,
}

/// Everything that was asked since the start, or since the last `clear_log`.
#[derive(Clone, Default)]
pub struct AuthorizationServerLog {
    /// The query of every authorization page that was opened.
    pub authorize_requests: Vec<BTreeMap<String, String>>,
    /// How often an account logged in and allowed.
    pub consents: u64,
    /// How often somebody pressed "Cancel".
    pub denials: u64,
    /// Every request at the token endpoint, faults and refusals included.
    pub token_requests: Vec<TokenRequest>,
    /// Refreshes that were carried out, whether or not the answer arrived.
    pub refreshes: u64,
    /// How often a refresh token came that had been spent before.
    pub refresh_token_reuses: u64,
    /// Every request at the revocation endpoint, faults and refusals included.
    pub revocations: Vec<RevocationRequest>,
    /// Clients that registered themselves (RFC 7591).
    pub registrations: u64,
    /// The ids of those that were removed (RFC 7592).
    pub removed_registrations: Vec<String>,
}

impl AuthorizationServerLog {
    /// How many token requests named this `grant_type`.
    pub fn token_requests_of(&self, grant_type: &str) -> usize {
        self.token_requests.iter().filter(|request| request.grant_type == grant_type).count()
    }
}
