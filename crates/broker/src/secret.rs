//! The one place where a stored secret is opened for use. Before that, the fingerprint it was given
//! for is compared with where it would be sent now: a secret never leaves for another host. A private key never
//! leaves at all: what is handed out is an assertion that it signed.

use crate::Broker;
use doorward_domain::{
    ClientRegistrationId, ClientSecret, DpopKey, Fingerprint, Gateway, OAuthSettings, RegistrationHandle,
    Sealed, TokenEndpointAuth,
};
use doorward_oauth::{Assertion, BadPrivateKey, ClientCredentials, ClientIdentity, IdentityError, ProofKey};
use doorward_vault::{OpenError, Place};

/// Why a secret is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// It was given for another place; these parts differ.
    #[error("it was given for another place ({} changed)", changed.join(", "))]
    GivenElsewhere { changed: Vec<String> },
    #[error(transparent)]
    Key(#[from] BadPrivateKey),
    #[error("the client certificate: {0}")]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Seal(#[from] OpenError),
}

/// A client registration, ready for one token request.
pub(crate) struct OpenedClient<'a> {
    settings: &'a OAuthSettings,
    proof: Option<ClientSecret>,
    dpop: Option<ProofKey>,
    identity: Option<ClientIdentity>,
}

/// Who shows itself where.
pub(crate) struct ShownClient<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) auth: TokenEndpointAuth,
    pub(crate) assertion_kid: Option<&'a str>,
    /// The authorization server: its issuer, or the token endpoint where none is known.
    pub(crate) audience: &'a str,
}

impl OpenedClient<'_> {
    pub(crate) fn credentials(&self) -> ClientCredentials<'_> {
        ClientCredentials {
            client_id: &self.settings.registration.client_id,
            client_secret: self.proof.as_ref(),
            auth: self.settings.registration.token_endpoint_auth,
            dpop: self.dpop.as_ref(),
            identity: self.identity.as_ref(),
        }
    }
}

impl Broker {
    /// Opens a secret that was given for `given_for`, to be used at `used_at`.
    pub(crate) fn open_bound<S: From<String>>(
        &self,
        given_for: &Fingerprint,
        used_at: &Fingerprint,
        place: &Place,
        sealed: &Sealed,
    ) -> Result<S, SecretError> {
        if given_for != used_at {
            return Err(SecretError::GivenElsewhere { changed: given_for.changed_parts(used_at) });
        }
        Ok(self.parts.vault.open(place, sealed)?)
    }

    /// The client registration of a gateway, opened for one token request.
    pub(crate) fn open_client<'a>(
        &self,
        gateway: &Gateway,
        settings: &'a OAuthSettings,
    ) -> Result<OpenedClient<'a>, SecretError> {
        let registration = &settings.registration;
        let used_at = settings.fingerprint(&gateway.url);
        let place = Place::client_secret(registration.id);
        let secret = registration
            .client_secret
            .as_ref()
            .map(|sealed| self.open_bound(&registration.fingerprint, &used_at, &place, sealed))
            .transpose()?;
        let shown = ShownClient {
            client_id: &registration.client_id,
            auth: registration.token_endpoint_auth,
            assertion_kid: registration.assertion_kid.as_deref(),
            audience: settings.issuer.as_deref().unwrap_or(settings.token_url.as_str()),
        };
        let (proof, dpop) = (self.proof_of(secret, &shown)?, self.open_dpop_key(settings)?);
        Ok(OpenedClient { settings, proof, dpop, identity: self.identity_of(gateway)? })
    }

    /// The key that a gateway's tokens are bound to, where they are (RFC 9449). It signs, and never leaves.
    pub(crate) fn open_dpop_key(&self, settings: &OAuthSettings) -> Result<Option<ProofKey>, SecretError> {
        let Some(sealed) = &settings.registration.dpop_key else { return Ok(None) };
        let key: DpopKey = self.parts.vault.open(&Place::dpop_key(settings.registration.id), sealed)?;
        Ok(Some(ProofKey::new(&key, self.parts.clock.clone(), self.parts.entropy)?))
    }

    /// By which a dynamic registration is removed. It holds the address that it was given for, and is sent there alone.
    pub(crate) fn open_handle(
        &self,
        id: ClientRegistrationId,
        sealed: &Sealed,
    ) -> Result<RegistrationHandle, OpenError> {
        self.parts.vault.open(&Place::registration_handle(id), sealed)
    }

    /// What shows who we are: the secret itself, or what the private key signed (RFC 7523 §2.2).
    pub(crate) fn proof_of(
        &self,
        secret: Option<ClientSecret>,
        shown: &ShownClient<'_>,
    ) -> Result<Option<ClientSecret>, SecretError> {
        let Some(secret) = secret else { return Ok(None) };
        if shown.auth != TokenEndpointAuth::PrivateKeyJwt {
            return Ok(Some(secret));
        }
        let assertion = Assertion {
            client_id: shown.client_id,
            audience: shown.audience,
            key_id: shown.assertion_kid,
            now: self.now(),
            id: &self.parts.entropy.token(),
        };
        Ok(Some(assertion.signed(&secret)?))
    }
}
