//! A grant that has ended, of which its provider is still to be told: all that the call needs, and no more.

use crate::client_registration::TokenEndpointAuth;
use crate::clock::Timestamp;
use crate::gateway::Fingerprint;
use crate::ids::{ClientRegistrationId, GrantId};
use crate::provider_telling::RevocationMethod;
use crate::sealed::Sealed;
use url::Url;

/// One row of the outbox. Tokens and secret keep the places that they were sealed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRevocation {
    pub grant_id: GrantId,
    pub gateway_slug: String,
    pub method: RevocationMethod,
    pub revocation_url: Url,
    pub token_url: Url,
    pub issuer: Option<String>,
    /// What the tokens were given for.
    pub fingerprint: Fingerprint,
    pub client_id: String,
    pub registration_id: ClientRegistrationId,
    pub client_secret: Option<Sealed>,
    /// What the secret was given for.
    pub client_secret_fingerprint: Fingerprint,
    pub token_endpoint_auth: TokenEndpointAuth,
    pub assertion_kid: Option<String>,
    pub access_token: Option<Sealed>,
    pub refresh_token: Option<Sealed>,
    /// How often it was taken up; whoever took it up may finish it only while this stands.
    pub attempts: i64,
    pub created_at: Timestamp,
}
