//! Gateways: create, edit, delete. An edit never loses a secret, and never carries one to another place.

use crate::checked_facts::Places;
use crate::client_registration::{check_grant_type, kept_secret};
use crate::gateway_input::{
    checked_audience, checked_authorize_params, checked_authorize_query, checked_header_name,
    checked_header_value, checked_identifier, checked_name, checked_optional_url, checked_revocation_place,
    checked_scopes, checked_scopes_at, checked_slug, checked_text, checked_url, slug_from_name,
};
use crate::tool_access;
use crate::{
    AuthorizationInput, Broker, BrokerError, Caller, ClientCertificateInput, ClientInput, Edit, GatewayInput,
    OAuthInput,
};
use doorward_domain::gateway::issuer_key;
use doorward_domain::{
    CatalogSharing, Fingerprint, Gateway, GatewayAuthorization, GatewayId, GatewayState, GrantType,
    HeaderSecret, NewAuditEvent, OAuthSettings, Permission, ReauthorizationReason, StaticHeader,
};
use doorward_storage::{Inserted, Updated};
use doorward_vault::Place;
use std::sync::Arc;
use url::Url;

/// An edited gateway, and what the edit costs its users.
#[derive(Debug)]
pub struct UpdatedGateway {
    pub gateway: Arc<Gateway>,
    /// How many people must authorize again, because the gateway now points elsewhere.
    pub must_reauthorize: u64,
}

/// The gateway that is being made or edited.
struct Whereabouts<'a> {
    id: GatewayId,
    url: &'a Url,
    name: &'a str,
    /// Without it, a server may not even say what it wants.
    client_certificate: &'a Edit<ClientCertificateInput>,
}

impl Broker {
    /// Registers an upstream. A new gateway is a draft for administrators, unless it says otherwise.
    pub async fn create_gateway(
        &self,
        caller: &Caller,
        input: GatewayInput,
    ) -> Result<Arc<Gateway>, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        if caller.is_narrowed() {
            // It could not even see what it has made.
            return Err(BrokerError::Forbidden { need: Permission::ManageGateways });
        }
        let url = input.url.ok_or_else(|| BrokerError::invalid("url", "give the URL of the MCP server"))?;
        let url = self.checked_upstream(&url)?;
        let name = input.name.as_deref().or_else(|| url.host_str()).unwrap_or_default();
        let name = checked_name(name)?;
        let slug = input.slug.as_deref().map_or_else(|| slug_from_name(&name), checked_slug)?;
        let now = self.now();
        let id = self.parts.entropy.id(now);
        let typed = input.authorization.unwrap_or(AuthorizationInput::Discover(Box::default()));
        let at = Whereabouts { id, url: &url, name: &name, client_certificate: &input.client_certificate };
        let authorization = self.authorization(&at, typed, None).await?;
        let mut gateway = Gateway {
            id,
            slug,
            name,
            url,
            state: input.state.unwrap_or(GatewayState::Draft),
            access: self.checked_access(input.access.unwrap_or_default()).await?,
            tool_access: self.checked_tool_access(input.tool_access.unwrap_or_default()).await?,
            client_certificate: None,
            authorization,
            catalog_sharing: input.catalog_sharing.unwrap_or(CatalogSharing::PerUser),
            on_change: input.on_change.unwrap_or_default(),
            era: input.era.unwrap_or_default(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        gateway.client_certificate = self.edited_client_certificate(&gateway, input.client_certificate)?;
        let event = caller.event("gateway.create").subject(id).detail("slug", &gateway.slug);
        match self.storage().insert_gateway(&gateway, event).await? {
            Inserted::Yes => self.gateway(caller, id).await,
            Inserted::Conflict => {
                Err(BrokerError::conflict("slug", "another gateway has this slug: choose another"))
            }
        }
    }

    /// Edits a gateway. Where its secrets and tokens may be sent is compared with what they were given for.
    pub async fn update_gateway(
        &self,
        caller: &Caller,
        id: GatewayId,
        version: Option<i64>,
        input: GatewayInput,
    ) -> Result<UpdatedGateway, BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let before = self.gateway(caller, id).await?;
        if version.is_some_and(|version| version != before.version) {
            return Err(BrokerError::VersionMismatch);
        }
        if input.slug.as_deref().is_some_and(|slug| slug != before.slug.as_str()) {
            return Err(BrokerError::invalid("slug", "a slug never changes: create another gateway instead"));
        }
        if input.changes_a_secret() || input.leaves_a_secret_behind(&before) {
            self.require_fresh_login(caller)?;
        }
        let after = self.edited(&before, input).await?;
        let moved = before.fingerprint() != after.fingerprint();
        let park = moved.then_some(ReauthorizationReason::GatewayChanged);
        let event = update_event(caller, &before, &after).detail("moved", moved);
        let update = self.storage().update_gateway(&after, park, event).await?;
        match update.outcome {
            Updated::Yes => {
                if before.url != after.url {
                    self.storage().drop_catalogs(id).await?;
                }
                let gateway = self.gateway(caller, id).await?;
                Ok(UpdatedGateway { gateway, must_reauthorize: update.parked })
            }
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(BrokerError::NotFound { what: "gateway" }),
        }
    }

    /// Deletes a gateway and ends its grants.
    pub async fn delete_gateway(
        &self,
        caller: &Caller,
        id: GatewayId,
        version: Option<i64>,
    ) -> Result<(), BrokerError> {
        caller.require(Permission::ManageGateways)?;
        let gateway = self.gateway(caller, id).await?;
        if let Some(relying) = self.directory().await?.relying_on(id).next() {
            let problem =
                format!("it is the identity provider of {}: change that gateway first", relying.slug);
            return Err(BrokerError::conflict("id", problem));
        }
        let event = caller.event("gateway.delete").subject(id).detail("slug", &gateway.slug);
        match self.storage().delete_gateway(id, version, event).await? {
            Updated::Yes => Ok(()),
            Updated::VersionMismatch => Err(BrokerError::VersionMismatch),
            Updated::Missing => Err(BrokerError::NotFound { what: "gateway" }),
        }
    }

    async fn edited(&self, before: &Arc<Gateway>, input: GatewayInput) -> Result<Gateway, BrokerError> {
        let mut after = Gateway::clone(before);
        if let GatewayAuthorization::OAuth(settings) = &mut after.authorization {
            settings.former_issuer = None;
        }
        if let Some(name) = &input.name {
            after.name = checked_name(name)?;
        }
        if let Some(url) = &input.url {
            after.url = self.checked_upstream(url)?;
        }
        after.state = input.state.unwrap_or(after.state);
        if let Some(access) = input.access {
            after.access = self.checked_access(access).await?;
        }
        if let Some(tools) = input.tool_access {
            after.tool_access = self.checked_tool_access(tools).await?;
        }
        after.catalog_sharing = input.catalog_sharing.unwrap_or(after.catalog_sharing);
        after.on_change = input.on_change.unwrap_or(after.on_change);
        after.era = input.era.unwrap_or(after.era);
        after.updated_at = self.now();
        match input.authorization {
            Some(typed) => {
                let at = Whereabouts {
                    id: after.id,
                    url: &after.url,
                    name: &after.name,
                    client_certificate: &input.client_certificate,
                };
                after.authorization = self.authorization(&at, typed, Some(before)).await?;
            }
            None => rebind(&mut after)?,
        }
        after.client_certificate = self.edited_client_certificate(&after, input.client_certificate)?;
        Ok(after)
    }

    /// Turns what was typed into settings with sealed secrets.
    async fn authorization(
        &self,
        at: &Whereabouts<'_>,
        typed: AuthorizationInput,
        gateway: Option<&Gateway>,
    ) -> Result<GatewayAuthorization, BrokerError> {
        let before = gateway.map(|gateway| &gateway.authorization);
        let authorization = match typed {
            AuthorizationInput::None => GatewayAuthorization::None,
            AuthorizationInput::Discover(typed) => {
                let asking = self.asking(at.url, gateway, at.client_certificate)?;
                self.discovered(&asking, (at.url, at.name), &typed, before).await?
            }
            AuthorizationInput::StaticHeader { name, value } => {
                self.static_header(at.id, at.url, &name, value, before)?
            }
            AuthorizationInput::OAuth(typed) => self.typed_oauth(at.url, &typed, before).await?,
        };
        self.check_reliance(at.id, &authorization).await?;
        Ok(authorization)
    }

    fn static_header(
        &self,
        id: GatewayId,
        url: &Url,
        name: &str,
        value: Edit<HeaderSecret>,
        before: Option<&GatewayAuthorization>,
    ) -> Result<GatewayAuthorization, BrokerError> {
        let name = checked_header_name(name)?;
        let fingerprint = Fingerprint::of_static_header(url);
        let missing = |problem: &str| Err(BrokerError::invalid("authorization.value", problem));
        let value = match (value, before) {
            (Edit::Set(value), _) => {
                checked_header_value(&value)?;
                self.parts.vault.seal(&Place::static_header(id), &value)
            }
            (Edit::Keep, Some(GatewayAuthorization::StaticHeader(kept)))
                if kept.fingerprint == fingerprint =>
            {
                kept.value.clone()
            }
            (Edit::Keep, Some(GatewayAuthorization::StaticHeader(_))) => {
                return missing("give the value again: the URL points to another host now");
            }
            (Edit::Keep | Edit::Clear, _) => return missing("give the value of the header"),
        };
        Ok(GatewayAuthorization::StaticHeader(StaticHeader { name, value, fingerprint }))
    }

    async fn typed_oauth(
        &self,
        url: &Url,
        typed: &OAuthInput,
        before: Option<&GatewayAuthorization>,
    ) -> Result<GatewayAuthorization, BrokerError> {
        let before = match before {
            Some(GatewayAuthorization::OAuth(settings)) => Some(&**settings),
            _ => None,
        };
        let used = before.and_then(|settings| settings.template.as_ref());
        let (typed, template) = self.with_template(typed, used)?;
        let typed = &typed;
        let was = before.map(|settings| settings.grant_type);
        let grant_type = typed.grant_type.or(was).unwrap_or_default();
        let authorization_url = self.checked_authorization_url(grant_type, &typed.authorization_url)?;
        let token_url = self.checked_outbound("authorization.token_url", &typed.token_url)?;
        let revocation_url =
            checked_optional_url("authorization.revocation_url", typed.revocation_url.as_deref())?;
        let issuer = checked_identifier("authorization.issuer", typed.issuer.as_deref())?;
        let resource = checked_identifier("authorization.resource", typed.resource.as_deref())?;
        let client_id = checked_text("authorization.client_id", &typed.client_id)?;
        let fingerprint =
            Fingerprint::of_oauth(url, &token_url, issuer.as_deref(), &client_id, resource.as_deref());
        let kept = before.map(|settings| &settings.registration);
        let iss_promised = before.is_some_and(|settings| settings.issuer == issuer && settings.iss_promised);
        let facts = typed.facts.clone().or_else(|| before.map(|settings| settings.facts.clone()));
        let places = Places {
            upstream: url,
            token_url: &token_url,
            issuer: issuer.as_deref(),
            template: template.as_ref(),
        };
        let facts = self.checked_facts(facts.unwrap_or_default(), &places)?;
        checked_revocation_place(&token_url, issuer.as_deref(), revocation_url.as_ref())?;
        let client = ClientInput {
            client_id,
            client_secret: typed.client_secret.clone(),
            token_endpoint_auth: typed.token_endpoint_auth,
            assertion_kid: typed.assertion_kid.clone(),
        };
        let issuer_key = issuer_key(issuer.as_deref(), &token_url);
        let registration = self.typed_registration(&client, issuer_key, fingerprint, kept)?;
        check_grant_type(grant_type, &registration)?;
        let had = before.and_then(|settings| settings.identity_provider);
        let identity_provider = typed.identity_provider.or(had.filter(|_| grant_type.is_exchange()));
        let identity_provider = self.checked_identity_provider(grant_type, identity_provider).await?;
        Ok(GatewayAuthorization::OAuth(Box::new(OAuthSettings {
            grant_type,
            identity_provider,
            authorization_url,
            token_url,
            revocation_url,
            issuer,
            iss_promised,
            resource,
            audience: checked_audience(typed.audience.as_deref())?,
            scopes: checked_scopes(&typed.scopes)?,
            scope_ceiling: match &typed.scope_ceiling {
                Some(typed) => checked_scopes_at("authorization.scope_ceiling", typed)?,
                None => before.map(|settings| settings.scope_ceiling.clone()).unwrap_or_default(),
            },
            refused_scopes: Vec::new(),
            authorize_params: checked_authorize_params(&typed.authorize_params)?,
            facts,
            template,
            keep_alive: typed
                .keep_alive
                .unwrap_or_else(|| before.is_some_and(|settings| settings.keep_alive)),
            registration,
            registration_problem: None,
            former_issuer: None,
        })))
    }

    /// Where browsers are sent: needed only where people consent.
    fn checked_authorization_url(
        &self,
        grant_type: GrantType,
        typed: &str,
    ) -> Result<Option<Url>, BrokerError> {
        if typed.trim().is_empty() && grant_type != GrantType::AuthorizationCode {
            return Ok(None);
        }
        let url = self.checked_outbound("authorization.authorization_url", typed)?;
        checked_authorize_query(&url)?;
        Ok(Some(url))
    }

    pub(crate) fn checked_upstream(&self, text: &str) -> Result<Url, BrokerError> {
        self.checked_outbound("url", text)
    }

    /// A URL that is well formed and that the outbound guard would let through.
    fn checked_outbound(&self, field: &str, text: &str) -> Result<Url, BrokerError> {
        let url = checked_url(field, text)?;
        self.parts
            .oauth
            .check_url(&url)
            .map_err(|refusal| BrokerError::invalid(field, refusal.to_string()))?;
        Ok(url)
    }
}

/// After an edit that leaves the authorization alone: its secrets must still point where they did;
/// a registration without a secret follows the gateway.
fn rebind(after: &mut Gateway) -> Result<(), BrokerError> {
    let Some(now_at) = after.fingerprint() else { return Ok(()) };
    match &mut after.authorization {
        GatewayAuthorization::None => {}
        GatewayAuthorization::StaticHeader(header) if header.fingerprint == now_at => {}
        GatewayAuthorization::StaticHeader(_) => {
            return Err(BrokerError::invalid(
                "authorization.value",
                "give the value again: the URL points to another host now",
            ));
        }
        GatewayAuthorization::OAuth(settings) => {
            kept_secret(Some(&settings.registration), &now_at)?;
            settings.registration.fingerprint = now_at;
        }
    }
    Ok(())
}

/// An edit; whoever trusts another authorization server from now on wants to hear of it.
fn update_event(caller: &Caller, before: &Gateway, after: &Gateway) -> NewAuditEvent {
    let issuer = |gateway: &Gateway| gateway.oauth().map(OAuthSettings::issuer_key);
    let event = match (issuer(before), issuer(after)) {
        (Some(was), Some(is)) if was != is => {
            caller.event("gateway.issuer_changed").detail("issuer", is).detail("issuer_before", was)
        }
        _ => caller.event("gateway.update"),
    };
    let event = event.subject(after.id).detail("slug", &after.slug);
    let event = if before.access == after.access {
        event
    } else {
        event.detail("access_before", before.access.to_string()).detail("access", after.access.to_string())
    };
    match tool_access::told_change(before, after) {
        None => event,
        Some(told) => event.detail("tool_access", told),
    }
}
