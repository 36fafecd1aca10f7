//! Our client id and secret at one issuer for one gateway.

use crate::clock::Timestamp;
use crate::gateway::Fingerprint;
use crate::ids::ClientRegistrationId;
use crate::sealed::Sealed;
use serde::{Deserialize, Serialize};

/// How the client came to be known at the authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationKind {
    /// An administrator typed the client id.
    PreRegistered,
    /// RFC 7591 dynamic client registration.
    Dynamic,
    /// A client ID metadata document that we host.
    MetadataDocument,
}

/// How we authenticate at the token endpoint (RFC 6749 §2.3, RFC 8414 `token_endpoint_auth_methods_supported`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenEndpointAuth {
    /// `client_secret_basic`: form-encoded, then base64 (RFC 6749 §2.3.1).
    Basic,
    /// `client_secret_post`: in the form body.
    Post,
    /// A public client: the client id alone.
    None,
    /// `private_key_jwt`: an assertion signed with a private key, which is the client's secret (RFC 7523 §2.2).
    PrivateKeyJwt,
}

impl TokenEndpointAuth {
    /// The word, as the database and REST have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Post => "post",
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// A client registration. The secret is bound to the fingerprint it was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRegistration {
    pub id: ClientRegistrationId,
    /// The issuer, or the token endpoint's origin where none is known.
    pub issuer: String,
    pub kind: RegistrationKind,
    pub client_id: String,
    /// Sealed at `client_registrations/client_secret/{id}`; with `private_key_jwt` the private key, in PEM.
    pub client_secret: Option<Sealed>,
    /// With `private_key_jwt`: what the server calls the key (`kid` of the assertions).
    pub assertion_kid: Option<String>,
    /// The key that this client's tokens are bound to (RFC 9449), where the upstream wants that; sealed at
    /// `client_registrations/dpop_key/{id}`.
    pub dpop_key: Option<Sealed>,
    /// By which a dynamic registration is removed; sealed at `client_registrations/handle/{id}`.
    pub handle: Option<Sealed>,
    /// What the secret was given for; it is used nowhere else.
    pub fingerprint: Fingerprint,
    pub token_endpoint_auth: TokenEndpointAuth,
}

/// A dynamic registration that nobody uses any more, and that its server is still to remove (RFC 7592 §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRemoval {
    pub registration_id: ClientRegistrationId,
    pub gateway_slug: String,
    pub issuer: String,
    pub client_id: String,
    /// Keeps the place that it was sealed for.
    pub handle: Sealed,
    /// How often it was taken up; whoever took it up may finish it only while this stands.
    pub attempts: i64,
    pub created_at: Timestamp,
}
