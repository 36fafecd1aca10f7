//! Client registrations: typed by an administrator, or made by the authorization server. A secret is
//! sealed with what it was given for, and asked for again where that changes.

use crate::gateway_input::checked_client_secret;
use crate::{Broker, BrokerError, Edit, OAuthInput};
use doorward_domain::{
    ClientRegistration, ClientRegistrationId, ClientSecret, Fingerprint, GatewayAuthorization, OAuthSettings,
    ProviderFacts, RegistrationKind, TokenEndpointAuth,
};
use doorward_oauth::{Discovered, Discovery, Registered};
use doorward_vault::Place;
use url::Url;

impl Broker {
    /// The registration that was typed, with the secret that was kept, given or cleared.
    pub(crate) fn typed_registration(
        &self,
        typed: &OAuthInput,
        issuer: Option<&str>,
        token_url: &Url,
        client_id: String,
        fingerprint: Fingerprint,
        kept: Option<&ClientRegistration>,
    ) -> Result<ClientRegistration, BrokerError> {
        let issuer = doorward_domain::gateway::issuer_key(issuer, token_url);
        let same_client = kept.filter(|kept| kept.issuer == issuer && kept.client_id == client_id);
        let id = kept.map_or_else(|| self.parts.entropy.id(self.now()), |kept| kept.id);
        let client_secret = match &typed.client_secret {
            Edit::Set(secret) => {
                checked_client_secret(secret)?;
                Some(self.parts.vault.seal(&Place::client_secret(id), secret))
            }
            Edit::Clear => None,
            Edit::Keep => kept_secret(kept, &fingerprint)?,
        };
        let token_endpoint_auth = typed.token_endpoint_auth.unwrap_or(match client_secret {
            Some(_) => TokenEndpointAuth::Post,
            None => TokenEndpointAuth::None,
        });
        if client_secret.is_none() && token_endpoint_auth != TokenEndpointAuth::None {
            return Err(BrokerError::invalid(
                "authorization.client_secret",
                "give a client secret, or set token_endpoint_auth to \"none\"",
            ));
        }
        Ok(ClientRegistration {
            id,
            issuer,
            kind: same_client.map_or(RegistrationKind::PreRegistered, |kept| kept.kind),
            client_id,
            client_secret,
            fingerprint,
            token_endpoint_auth,
        })
    }

    /// What the upstream says of itself, with a client registered there (RFC 7591).
    pub(crate) async fn discovered(
        &self,
        url: &Url,
        name: &str,
    ) -> Result<GatewayAuthorization, BrokerError> {
        let Discovery::OAuth(found) = self.discover_upstream(url).await? else {
            return Ok(GatewayAuthorization::None);
        };
        if let Some(client_id) =
            self.client_metadata_url().filter(|_| found.client_id_metadata_document_supported)
        {
            let registered = Registered {
                client_id: client_id.into(),
                client_secret: None,
                auth: TokenEndpointAuth::None,
            };
            return Ok(self.registered_at(url, *found, registered, RegistrationKind::MetadataDocument));
        }
        let Some(registration_url) = &found.registration_url else {
            return Err(BrokerError::invalid(
                "authorization.client_id",
                format!(
                    "{} registers no clients by itself: register one there with the redirect URI {} and give its client id",
                    found.issuer,
                    self.redirect_uri()
                ),
            ));
        };
        let client_name = format!("Doorward ({name})");
        let registered = self
            .parts
            .oauth
            .register(
                registration_url,
                &self.redirect_uri(),
                &client_name,
                &found.scopes,
                found.token_endpoint_auth_methods.as_deref(),
            )
            .await
            .map_err(|error| BrokerError::invalid("authorization", error.to_string()))?;
        Ok(self.registered_at(url, *found, registered, RegistrationKind::Dynamic))
    }

    /// The settings of a gateway whose client is known at the authorization server that was found.
    fn registered_at(
        &self,
        url: &Url,
        found: Discovered,
        registered: Registered,
        kind: RegistrationKind,
    ) -> GatewayAuthorization {
        let id: ClientRegistrationId = self.parts.entropy.id(self.now());
        let fingerprint = Fingerprint::of_oauth(
            url,
            &found.token_url,
            Some(&found.issuer),
            &registered.client_id,
            found.resource.as_deref(),
        );
        let seal = |secret: &ClientSecret| self.parts.vault.seal(&Place::client_secret(id), secret);
        let registration = ClientRegistration {
            id,
            issuer: found.issuer.clone(),
            kind,
            client_id: registered.client_id,
            client_secret: registered.client_secret.as_ref().map(seal),
            fingerprint,
            token_endpoint_auth: registered.auth,
        };
        GatewayAuthorization::OAuth(Box::new(OAuthSettings {
            authorization_url: found.authorization_url,
            token_url: found.token_url,
            revocation_url: found.revocation_url,
            issuer: Some(found.issuer),
            iss_promised: found.iss_promised,
            resource: found.resource,
            scopes: found.scopes,
            scope_ceiling: Vec::new(),
            refused_scopes: Vec::new(),
            authorize_params: std::collections::BTreeMap::new(),
            facts: ProviderFacts::default(),
            template: None,
            keep_alive: false,
            registration,
            registration_problem: None,
        }))
    }
}

/// The kept secret, if it may still be sent where the settings now point.
pub(crate) fn kept_secret(
    kept: Option<&ClientRegistration>,
    fingerprint: &Fingerprint,
) -> Result<Option<doorward_domain::Sealed>, BrokerError> {
    let Some(kept) = kept else { return Ok(None) };
    let Some(secret) = &kept.client_secret else { return Ok(None) };
    if kept.fingerprint == *fingerprint {
        return Ok(Some(secret.clone()));
    }
    Err(secret_again(&kept.fingerprint.changed_parts(fingerprint)))
}

fn secret_again(changed: &[String]) -> BrokerError {
    BrokerError::invalid(
        "authorization.client_secret",
        format!(
            "give the client secret again: it was given for another place ({} changed)",
            changed.join(", ")
        ),
    )
}
