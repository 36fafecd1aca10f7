//! Client registrations: typed by an administrator, or made by the authorization server. A secret is
//! sealed with what it was given for, and asked for again where that changes.

use crate::gateway_discovery::{Asking, discovered_by};
use crate::gateway_input::{checked_audience, checked_client_secret, checked_scopes_at, checked_text};
use crate::issuer_change::OFFLINE_ACCESS;
use crate::{Broker, BrokerError, ClientInput, DiscoverInput, Edit};
use doorward_domain::{
    ClientRegistration, ClientRegistrationId, ClientSecret, Fingerprint, GatewayAuthorization, GrantType,
    OAuthSettings, ProviderFacts, RegistrationKind, TokenEndpointAuth,
};
use doorward_oauth::{Discovered, Discovery, Registered, RegistrationError};
use doorward_vault::Place;
use url::Url;

impl Broker {
    /// The registration that was typed, with the secret that was kept, given or cleared.
    pub(crate) fn typed_registration(
        &self,
        typed: &ClientInput,
        issuer: String,
        fingerprint: Fingerprint,
        kept: Option<&ClientRegistration>,
    ) -> Result<ClientRegistration, BrokerError> {
        let client_id = typed.client_id.clone();
        let same_client = kept.filter(|kept| kept.issuer == issuer && kept.client_id == client_id);
        // RFC 7591 §3.2.1: the client is one of the server that made it, and of no other.
        if let Some(made) = kept.filter(|kept| {
            kept.kind == RegistrationKind::Dynamic && kept.client_id == client_id && kept.issuer != issuer
        }) && !matches!(typed.client_secret, Edit::Set(_))
        {
            let problem = format!(
                "{} made this client: give one that {issuer} knows, or ask the server and leave the client out",
                made.issuer
            );
            return Err(BrokerError::invalid("authorization.client_id", problem));
        }
        let id = kept.map_or_else(|| self.parts.entropy.id(self.now()), |kept| kept.id);
        let client_secret = match &typed.client_secret {
            Edit::Set(secret) => {
                if is_key(typed.token_endpoint_auth) {
                    doorward_oauth::check_private_key(secret).map_err(|error| {
                        BrokerError::invalid("authorization.client_secret", error.to_string())
                    })?;
                } else {
                    checked_client_secret(secret)?;
                }
                Some(self.parts.vault.seal(&Place::client_secret(id), secret))
            }
            Edit::Clear => None,
            Edit::Keep => kept_secret(kept, &fingerprint)?,
        };
        if matches!(typed.client_secret, Edit::Keep)
            && let Some(kept) = kept.filter(|kept| kept.client_secret.is_some())
            && is_key(typed.token_endpoint_auth) != is_key(Some(kept.token_endpoint_auth))
        {
            let problem = "a private key and a client secret cannot take each other's place: give it again";
            return Err(BrokerError::invalid("authorization.client_secret", problem));
        }
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
            dpop_key: same_client.and_then(|kept| kept.dpop_key.clone()),
            handle: same_client.and_then(|kept| kept.handle.clone()),
            fingerprint,
            token_endpoint_auth,
            assertion_kid: typed
                .assertion_kid
                .as_deref()
                .map(|text| checked_text("authorization.assertion_kid", text))
                .transpose()?,
        })
    }

    /// What the upstream says of itself, with the client that was typed, or else one that is made there.
    pub(crate) async fn discovered(
        &self,
        asking: &Asking,
        (url, name): (&Url, &str),
        typed: &DiscoverInput,
        before: Option<&GatewayAuthorization>,
    ) -> Result<GatewayAuthorization, BrokerError> {
        let Discovery::OAuth(found) = discovered_by(asking, url).await? else {
            return match typed.client {
                None => Ok(GatewayAuthorization::None),
                Some(_) => Err(BrokerError::invalid(
                    "authorization.client_id",
                    "the MCP server asks for no authorization: leave the client out",
                )),
            };
        };
        let registration = match &typed.client {
            Some(typed) => {
                let kept = match before {
                    Some(GatewayAuthorization::OAuth(settings)) => Some(&settings.registration),
                    _ => None,
                };
                self.registration_at(url, &found, typed, kept)?
            }
            None => self.new_registration(asking, url, &found, name).await?,
        };
        check_grant_type(typed.grant_type, &registration)?;
        let identity_provider =
            self.checked_identity_provider(typed.grant_type, typed.identity_provider).await?;
        let scope_ceiling = typed.scope_ceiling.as_deref().unwrap_or_default();
        let scope_ceiling = checked_scopes_at("authorization.scope_ceiling", scope_ceiling)?;
        let audience = checked_audience(typed.audience.as_deref())?;
        let settings = settings_of(*found, registration, typed.grant_type);
        Ok(GatewayAuthorization::OAuth(Box::new(OAuthSettings {
            identity_provider,
            audience,
            scope_ceiling,
            ..settings
        })))
    }

    /// The typed client, at the authorization server that was found.
    fn registration_at(
        &self,
        url: &Url,
        found: &Discovered,
        typed: &ClientInput,
        kept: Option<&ClientRegistration>,
    ) -> Result<ClientRegistration, BrokerError> {
        let client_id = checked_text("authorization.client_id", &typed.client_id)?;
        let fingerprint = fingerprint_at(url, found, &client_id);
        let gives_secret = match typed.client_secret {
            Edit::Set(_) => true,
            Edit::Keep => kept.is_some_and(|kept| kept.client_secret.is_some()),
            Edit::Clear => false,
        };
        let offered = || doorward_oauth::offered_auth(found.token_endpoint_auth_methods.as_deref());
        let token_endpoint_auth = typed.token_endpoint_auth.or_else(|| gives_secret.then(offered));
        let typed = ClientInput { client_id, token_endpoint_auth, ..typed.clone() };
        let registration = self.typed_registration(&typed, found.issuer.clone(), fingerprint, kept)?;
        let new_key =
            || self.parts.vault.seal(&Place::dpop_key(registration.id), &doorward_oauth::new_dpop_key());
        let dpop_key = found.dpop.then(|| registration.dpop_key.clone().unwrap_or_else(new_key));
        Ok(ClientRegistration { dpop_key, ..registration })
    }

    /// A registration that nobody types: our metadata document's address where the server reads such documents, or
    /// else a client that it makes for us (RFC 7591).
    pub(crate) async fn new_registration(
        &self,
        asking: &Asking,
        url: &Url,
        found: &Discovered,
        name: &str,
    ) -> Result<ClientRegistration, BrokerError> {
        if let Some(client_id) =
            self.client_metadata_url().filter(|_| found.client_id_metadata_document_supported)
        {
            let registered = Registered {
                client_id: client_id.into(),
                client_secret: None,
                auth: TokenEndpointAuth::None,
                handle: None,
            };
            return Ok(self.registered_at(url, found, registered, RegistrationKind::MetadataDocument));
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
        let registered = asking
            .oauth
            .register(
                registration_url,
                &self.redirect_uri(),
                &client_name,
                &found.scopes,
                found.token_endpoint_auth_methods.as_deref(),
            )
            .await
            .map_err(|error: RegistrationError| BrokerError::invalid("authorization", error.to_string()))?;
        Ok(self.registered_at(url, found, registered, RegistrationKind::Dynamic))
    }

    fn registered_at(
        &self,
        url: &Url,
        found: &Discovered,
        registered: Registered,
        kind: RegistrationKind,
    ) -> ClientRegistration {
        let id: ClientRegistrationId = self.parts.entropy.id(self.now());
        let fingerprint = fingerprint_at(url, found, &registered.client_id);
        let seal = |secret: &ClientSecret| self.parts.vault.seal(&Place::client_secret(id), secret);
        ClientRegistration {
            id,
            issuer: found.issuer.clone(),
            kind,
            client_id: registered.client_id,
            client_secret: registered.client_secret.as_ref().map(seal),
            fingerprint,
            token_endpoint_auth: registered.auth,
            assertion_kid: None,
            dpop_key: found
                .dpop
                .then(|| self.parts.vault.seal(&Place::dpop_key(id), &doorward_oauth::new_dpop_key())),
            handle: registered
                .handle
                .as_ref()
                .map(|handle| self.parts.vault.seal(&Place::registration_handle(id), handle)),
        }
    }
}

/// Where a client's secret may be sent that belongs to what was found.
fn fingerprint_at(url: &Url, found: &Discovered, client_id: &str) -> Fingerprint {
    Fingerprint::of_oauth(url, &found.token_url, Some(&found.issuer), client_id, found.resource.as_deref())
}

/// The settings of a gateway whose client is known at the authorization server that was found.
fn settings_of(found: Discovered, registration: ClientRegistration, grant_type: GrantType) -> OAuthSettings {
    let mut scopes = found.scopes;
    if grant_type != GrantType::AuthorizationCode {
        // A wish for a refresh token, which the client itself has no use for.
        scopes.retain(|scope| scope != OFFLINE_ACCESS);
    }
    OAuthSettings {
        grant_type,
        identity_provider: None,
        authorization_url: Some(found.authorization_url),
        token_url: found.token_url,
        revocation_url: found.revocation_url,
        issuer: Some(found.issuer),
        iss_promised: found.iss_promised,
        resource: found.resource,
        audience: None,
        scopes,
        scope_ceiling: Vec::new(),
        refused_scopes: Vec::new(),
        authorize_params: std::collections::BTreeMap::new(),
        facts: ProviderFacts::default(),
        template: None,
        keep_alive: false,
        registration,
        registration_problem: None,
        former_issuer: None,
    }
}

/// The client itself is authorized only if it can show who it is (RFC 6749 §4.4), and was registered for that by hand.
pub(crate) fn check_grant_type(
    grant_type: GrantType,
    registration: &ClientRegistration,
) -> Result<(), BrokerError> {
    if grant_type == GrantType::ClientCredentials && registration.client_secret.is_none() {
        return Err(BrokerError::invalid(
            "authorization.client_secret",
            "client credentials need a client that was registered for them: give its id and secret",
        ));
    }
    Ok(())
}

fn is_key(auth: Option<TokenEndpointAuth>) -> bool {
    auth == Some(TokenEndpointAuth::PrivateKeyJwt)
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
