//! Asking an upstream what it says of itself, with the client certificate without which it may let nobody in.

use crate::gateway_input::{ClientCertificateInput, checked_identifier};
use crate::{Broker, BrokerError, Caller, Edit};
use doorward_domain::{Gateway, GatewayId, Permission};
use doorward_oauth::{ClientIdentity, Discovered, Discovery, DiscoveryError, OAuthClient};
use url::Url;

/// Which upstream is asked, and what it is shown.
#[derive(Debug, Clone, Default)]
pub struct AskedUpstream {
    pub url: String,
    /// The gateway that it is, or will be; none while it is new.
    pub gateway: Option<GatewayId>,
    /// What is shown in the TLS handshake; kept, it is the gateway's own.
    pub client_certificate: Edit<ClientCertificateInput>,
    /// Asked instead where the upstream names no authorization server.
    pub issuer: Option<String>,
}

/// What an upstream says of itself, for a form.
#[derive(Debug)]
pub enum DiscoveredGateway {
    /// It answers without authorization.
    Open,
    /// It wants OAuth; with `can_register`, no client id has to be typed.
    OAuth { settings: Box<Discovered>, can_register: bool },
    /// It wants OAuth and does not say whose; this is what the issuer that was named says of itself.
    ByIssuer(Box<Discovered>),
}

impl Broker {
    /// Asks an upstream what it says of itself. Nothing is stored.
    pub async fn discover(
        &self,
        caller: &Caller,
        asked: AskedUpstream,
    ) -> Result<DiscoveredGateway, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let url = self.checked_upstream(&asked.url)?;
        let gateway = match asked.gateway {
            None => None,
            Some(id) => Some(self.gateway(caller, id).await.map_err(|error| match error {
                BrokerError::NotFound { .. } => {
                    BrokerError::invalid("gateway_id", "there is no such gateway: leave it out for a new one")
                }
                other => other,
            })?),
        };
        let asking = self.asking(&url, gateway.as_deref(), &asked.client_certificate)?;
        match asking.oauth.discover(&url).await {
            Ok(Discovery::NotNeeded) => Ok(DiscoveredGateway::Open),
            Ok(Discovery::OAuth(settings)) => {
                let can_register = settings.registration_url.is_some();
                Ok(DiscoveredGateway::OAuth { settings, can_register })
            }
            Err(error) => match (&error, issuer_to_ask(asked.issuer.as_deref())?) {
                (DiscoveryError::NoMetadata { .. }, Some(issuer)) => self.discover_issuer(&issuer).await,
                _ => Err(BrokerError::invalid("url", asking.told(&error))),
            },
        }
    }

    async fn discover_issuer(&self, issuer: &str) -> Result<DiscoveredGateway, BrokerError> {
        let found = self.parts.oauth.discover_issuer(issuer).await;
        let found = found.map_err(|error| BrokerError::invalid("issuer", error.to_string()))?;
        Ok(DiscoveredGateway::ByIssuer(Box::new(found)))
    }

    /// Who asks an upstream: with the certificate that was typed, which nobody else is shown, or the one that the
    /// gateway has, which is shown where it was given for.
    pub(crate) fn asking(
        &self,
        url: &Url,
        gateway: Option<&Gateway>,
        certificate: &Edit<ClientCertificateInput>,
    ) -> Result<Asking, BrokerError> {
        let identity = match certificate {
            Edit::Clear => None,
            Edit::Keep => gateway.map(|gateway| self.client_identity(gateway)).transpose()?.flatten(),
            Edit::Set(typed) => Some(self.typed_identity(typed)?.shown_to([url])),
        };
        Ok(self.asking_with(identity))
    }

    /// Who asks a gateway's upstream, as the gateway is.
    pub(crate) fn asking_for(&self, gateway: &Gateway) -> Result<Asking, BrokerError> {
        Ok(self.asking_with(self.client_identity(gateway)?))
    }

    fn asking_with(&self, identity: Option<ClientIdentity>) -> Asking {
        Asking { shows_a_certificate: identity.is_some(), oauth: self.parts.oauth.showing(identity) }
    }
}

/// Asks servers what they say of themselves.
pub(crate) struct Asking {
    pub(crate) oauth: OAuthClient,
    shows_a_certificate: bool,
}

impl Asking {
    /// The same, whatever was kept of their metadata.
    pub(crate) fn anew(&self) -> Self {
        Self { oauth: self.oauth.anew(), ..*self }
    }

    /// What was wrong, and whether a certificate might help.
    pub(crate) fn told(&self, error: &DiscoveryError) -> String {
        let hint = !self.shows_a_certificate && error.may_want_a_certificate();
        let hint = if hint { "; if it lets nobody in without a client certificate, give one" } else { "" };
        format!("{error}{hint}")
    }
}

/// An issuer whose metadata stands at its own address; one that leaves its tenant open has none there.
fn issuer_to_ask(typed: Option<&str>) -> Result<Option<String>, BrokerError> {
    checked_identifier("issuer", typed.filter(|issuer| !issuer.contains('{')))
}

pub(crate) async fn discovered_by(asking: &Asking, url: &Url) -> Result<Discovery, BrokerError> {
    let found = asking.oauth.discover(url).await;
    found.map_err(|error| BrokerError::invalid("url", asking.told(&error)))
}
