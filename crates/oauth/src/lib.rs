//! The OAuth client. It speaks to authorization servers and to nobody else, and it is handed all it
//! needs: no database, no clock, no randomness of its own.
//!
//! Answers are read tolerantly, because providers differ; what is sent follows the RFCs.

mod authorization_probe;
mod authorization_url;
mod client;
mod client_assertion;
mod client_auth;
pub mod discovery;
mod dpop;
mod issuer;
mod metadata_cache;
pub mod pkce;
mod provider_words;
mod refusal;
mod registration;
mod registration_removal;
mod revocation;
pub mod template;
mod token_request;
mod token_response;
mod whoami;

pub use authorization_probe::ProbedAuthorization;
pub use authorization_url::authorization_url;
pub use client::OAuthClient;
pub use client_assertion::{Assertion, BadPrivateKey, check_private_key};
pub use client_auth::ClientCredentials;
pub use discovery::{Discovered, Discovery, DiscoveryError, Metadata};
pub use doorward_outbound::{ClientIdentity, IdentityError};
pub use dpop::{DPOP, ProofKey, TokenProof, new_dpop_key};
pub use issuer::{IssuerMismatch, check_issuer};
pub use provider_words::words_of_callback;
pub use refusal::{RefusalKind, TokenError};
pub use registration::{Registered, RegistrationError, application_type, offered_auth};
pub use registration_removal::RemovedRegistration;
pub use revocation::{Revocation, Told};
pub use template::{FilledTemplate, ProviderTemplate, ProviderTemplates, TemplateError, TemplateOAuth};
pub use token_request::Subject;
pub use token_response::id_token_end;
