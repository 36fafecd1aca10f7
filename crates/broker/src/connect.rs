//! The link that asks a user to authorize, and the page behind it. Opening it changes nothing; only
//! the user whose call made it may go on.

use crate::{Access, Broker, BrokerError, Caller};
use doorward_domain::connect_request::CONNECT_REQUEST_LIFETIME;
use doorward_domain::gateway::origin;
use doorward_domain::{
    Change, ConnectRequest, ConnectRequestId, Gateway, GatewayId, Grant, GrantOwner, GrantState, GrantType,
    OAuthSettings, StepFact, Timestamp, Words,
};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A link for one user to authorize one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectLink {
    pub id: ConnectRequestId,
    pub url: Url,
    pub expires_at: Timestamp,
    /// The user is connected, and is asked for more scopes.
    pub more_scopes: bool,
}

/// What the connect page shows.
#[derive(Debug)]
pub enum ConnectPage {
    /// The user is asked.
    Ask(Box<ConnectAsk>),
    /// The link has expired; its owner may start again.
    StartAgain { gateway: Arc<Gateway> },
    /// Somebody else's call made this link: 403.
    NotYours,
}

/// What a user must know before agreeing.
#[derive(Debug)]
pub struct ConnectAsk {
    pub gateway: Arc<Gateway>,
    /// The MCP client that asked; none when the user came by themselves.
    pub client_name: Option<String>,
    /// The host of the authorization server.
    pub provider_host: String,
    /// The origin the browser will be sent to.
    pub provider_origin: String,
    /// The origin the browser comes back to: ours.
    pub redirect_host: String,
    pub scopes: Vec<String>,
    /// Scopes that the present grant does not have.
    pub new_scopes: Vec<String>,
    pub request: Option<ConnectRequestId>,
    /// The user's present grant, if there is one.
    pub connected: Option<Grant>,
}

/// The longest client name that is kept, in characters.
const CLIENT_NAME_MAX: usize = 100;

impl Broker {
    /// The link that a call hands out; the pending one is reused. Where tokens are got in exchange, it leads to the
    /// identity provider.
    pub async fn connect_link(
        &self,
        caller: &Caller,
        gateway: &Arc<Gateway>,
        client_name: &str,
    ) -> Result<ConnectLink, BrokerError> {
        let gateway = self.place_of_consent(gateway).await?;
        let now = self.now();
        let wanted = ConnectRequest {
            id: self.parts.entropy.id(now),
            user_id: caller.user.id,
            gateway_id: gateway.id,
            client_name: printable(client_name),
            created_at: now,
            expires_at: now.plus(CONNECT_REQUEST_LIFETIME),
            completed_at: None,
        };
        let present = self.storage().grant_of(GrantOwner::User(caller.user.id), gateway.id).await?;
        let more_scopes = match present.filter(|grant| grant.state == GrantState::Active) {
            Some(grant) => self.steps_up(grant.id).await?,
            None => false,
        };
        let pending = self.storage().upsert_connect_request(&wanted).await?;
        let mut url = self.page_url(&format!("connect/{}", gateway.slug));
        url.query_pairs_mut().append_pair("request", &pending.id.to_string());
        Ok(ConnectLink { id: pending.id, url, expires_at: pending.expires_at, more_scopes })
    }

    /// Waits until the caller can use a gateway; false when `within` has passed first.
    pub async fn wait_for_grant(
        &self,
        caller: &Caller,
        gateway_id: GatewayId,
        within: Duration,
    ) -> Result<bool, BrokerError> {
        let mut changes = self.storage().changes();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let gateway = self.gateway(caller, gateway_id).await?;
            let place = gateway.oauth().and_then(|settings| settings.identity_provider);
            let reached = match self.access(caller, &gateway).await? {
                Access::Open => true,
                // A token that is there already does not do where more scopes are waited for.
                Access::Header(header) => match header.used {
                    Some(used) => !self.steps_up(used.grant()).await?,
                    None => true,
                },
                Access::MustAuthorize { .. } | Access::Unavailable { .. } => false,
            };
            if reached {
                return Ok(true);
            }
            let concerns = |change: &Change| matches!(change, Change::Grant { user, gateway, .. } if *user == caller.user.id && (*gateway == gateway_id || place == Some(*gateway)));
            loop {
                match tokio::time::timeout_at(deadline, changes.recv()).await {
                    Err(_) => return Ok(false),
                    Ok(Ok(applied)) if !concerns(&applied.change) => {}
                    // A lagging receiver has missed something: look again.
                    Ok(_) => break,
                }
            }
        }
    }

    /// What the connect page shows this caller. A stranger's visit is audited.
    pub async fn connect_page(
        &self,
        caller: &Caller,
        slug: &str,
        request: Option<&str>,
    ) -> Result<ConnectPage, BrokerError> {
        let request = match self.own_request(caller, request).await? {
            OwnRequest::Mine(request) => Some(request),
            OwnRequest::NotGiven => None,
            OwnRequest::NotMine => return Ok(ConnectPage::NotYours),
            OwnRequest::Expired => {
                let gateway = self.gateway_by_slug(caller, slug).await?;
                return Ok(ConnectPage::StartAgain { gateway });
            }
        };
        let gateway = self.gateway_by_slug(caller, slug).await?;
        let gateway = self.place_of_consent(&gateway).await?;
        let settings = oauth_of(&gateway)?;
        let endpoint = consent_endpoint(settings)?;
        let connected = self.storage().grant_of(GrantOwner::User(caller.user.id), gateway.id).await?;
        let granted = connected.as_ref().map(|grant| grant.scopes_granted.as_slice());
        let scopes = self.asked_scopes(settings, connected.as_ref().map(|grant| grant.id)).await?;
        let new_scopes = settings.facts.missing(&scopes, granted.unwrap_or_default());
        let client_name = request.as_ref().map(|request| request.client_name.clone());
        let client_name = client_name.filter(|name| !name.is_empty());
        let client = client_name.as_deref().map(|name| StepFact::Client(Words::new(name)));
        let asked = StepFact::Scopes(Words::list(&scopes));
        self.note_opened(caller, &gateway, client.into_iter().chain([asked])).await;
        Ok(ConnectPage::Ask(Box::new(ConnectAsk {
            client_name,
            provider_host: host_of(endpoint),
            provider_origin: origin(endpoint),
            redirect_host: origin(self.public_url()),
            scopes,
            new_scopes,
            request: request.map(|request| request.id),
            connected,
            gateway: Arc::clone(&gateway),
        })))
    }

    /// Whose link this is. A stranger's visit is audited.
    pub(crate) async fn own_request(
        &self,
        caller: &Caller,
        request: Option<&str>,
    ) -> Result<OwnRequest, BrokerError> {
        let Some(text) = request else { return Ok(OwnRequest::NotGiven) };
        let Ok(id) = text.parse::<ConnectRequestId>() else { return Ok(OwnRequest::Expired) };
        // Swept after its end: whoever comes may start again, as themselves.
        let Some(request) = self.storage().connect_request(id).await? else { return Ok(OwnRequest::Expired) };
        if request.user_id != caller.user.id {
            let event = caller.event("connect.refused").subject(id).concerning(request.user_id);
            self.storage().record(event.detail("gateway", request.gateway_id)).await?;
            return Ok(OwnRequest::NotMine);
        }
        if self.now() >= request.expires_at {
            return Ok(OwnRequest::Expired);
        }
        Ok(OwnRequest::Mine(request))
    }

    /// A URL under the public URL. The base has no path of its own, so this cannot fail.
    pub(crate) fn page_url(&self, path: &str) -> Url {
        let mut url = self.public_url().clone();
        url.set_path(path);
        url
    }
}

/// Whether a link belongs to the caller.
pub(crate) enum OwnRequest {
    NotGiven,
    Mine(ConnectRequest),
    Expired,
    NotMine,
}

/// The OAuth settings of a gateway that can be connected to.
pub(crate) fn oauth_of(gateway: &Gateway) -> Result<&OAuthSettings, BrokerError> {
    gateway.oauth().filter(|settings| settings.grant_type == GrantType::AuthorizationCode).ok_or_else(|| {
        BrokerError::invalid("gateway", "this gateway needs no authorization: use it as it is")
    })
}

/// Where browsers are sent to consent.
pub(crate) fn consent_endpoint(settings: &OAuthSettings) -> Result<&Url, BrokerError> {
    settings.authorization_url.as_ref().ok_or_else(|| {
        BrokerError::invalid(
            "gateway",
            "this gateway has no authorization URL: an administrator has to give it",
        )
    })
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// A client's name for itself, fit to be shown: no control characters, cut.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(CLIENT_NAME_MAX).collect()
}
