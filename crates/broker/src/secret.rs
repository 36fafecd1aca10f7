//! The one place where a stored secret is opened for use. Before that, the fingerprint it was given
//! for is compared with where it would be sent now: a secret never leaves for another host.

use crate::Broker;
use doorward_domain::{ClientSecret, Fingerprint, Gateway, OAuthSettings, Sealed};
use doorward_oauth::ClientCredentials;
use doorward_vault::{OpenError, Place};

/// Why a secret is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// It was given for another place; these parts differ.
    #[error("it was given for another place ({} changed)", changed.join(", "))]
    GivenElsewhere { changed: Vec<String> },
    #[error(transparent)]
    Seal(#[from] OpenError),
}

/// A client registration, ready for one token request.
pub(crate) struct OpenedClient<'a> {
    settings: &'a OAuthSettings,
    secret: Option<ClientSecret>,
}

impl OpenedClient<'_> {
    pub(crate) fn credentials(&self) -> ClientCredentials<'_> {
        ClientCredentials {
            client_id: &self.settings.registration.client_id,
            client_secret: self.secret.as_ref(),
            auth: self.settings.registration.token_endpoint_auth,
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
        Ok(OpenedClient { settings, secret })
    }
}
