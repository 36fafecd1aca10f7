//! A gateway as REST shows it. Those who manage gateways see how it is set up; nobody sees a secret.

use super::access_body::AccessBody;
use super::facts_body::ProviderFactsName;
use super::gateway_body::{
    CatalogSharingName, EraChoiceName, GatewayStateName, GrantTypeName, OnChangeName, TokenEndpointAuthName,
};
use doorward_broker::{Broker, Caller};
use doorward_domain::{
    CatalogSharing, EraChoice, Gateway, GatewayAuthorization, GatewayId, GatewayState, GrantType,
    OAuthSettings, OnChange, Permission, ProviderFacts, Slug, Timestamp, TokenEndpointAuth,
};
use serde::Serialize;
use std::collections::BTreeMap;
use url::Url;
use utoipa::ToSchema;

/// A registered upstream MCP server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GatewayView {
    #[schema(value_type = String, format = "uuid")]
    id: GatewayId,
    #[schema(value_type = String)]
    slug: Slug,
    name: String,
    #[schema(value_type = String, format = "uri")]
    url: Url,
    #[schema(value_type = GatewayStateName)]
    state: GatewayState,
    /// Who may use it, for those who manage gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessBody>,
    /// Who may use single tools, for those who manage gateways.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tool_access: BTreeMap<String, AccessBody>,
    #[schema(value_type = CatalogSharingName)]
    catalog_sharing: CatalogSharing,
    #[schema(value_type = OnChangeName)]
    on_change: OnChange,
    #[schema(value_type = EraChoiceName)]
    era: EraChoice,
    authorization: AuthorizationView,
    /// What is shown in the TLS handshake, without its key, for those who manage gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<ClientCertificateView>,
    /// While the provider refuses our registration, for those who manage gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_problem: Option<RegistrationProblemView>,
    /// The version of the provider template, where that has newer values, for those who manage gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    newer_template_version: Option<u32>,
    /// What the MCP server asked for beyond its scope ceiling since the last edit, for those who manage gateways.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused_scopes: Vec<String>,
    /// The issuer before, where the MCP server named another since the last edit, for those who manage gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_issuer: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    version: i64,
}

/// A client certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientCertificateView {
    /// Who it says Doorward is.
    subject: String,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
}

/// The provider refuses our registration: mend the client id or secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegistrationProblemView {
    /// The provider's error code.
    code: String,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// How users are authorized; the settings behind the type are for those who manage gateways.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthorizationView {
    /// `none`, `static_header` or `oauth`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the static header; its value is never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(flatten)]
    oauth: Option<OAuthView>,
}

/// OAuth settings without the secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OAuthView {
    #[schema(value_type = GrantTypeName)]
    grant_type: GrantType,
    /// With a grant type that exchanges: the gateway where users have what is exchanged.
    #[schema(value_type = Option<String>, format = "uuid")]
    identity_provider: Option<GatewayId>,
    /// None where nobody consents.
    #[schema(value_type = Option<String>, format = "uri")]
    authorization_url: Option<Url>,
    #[schema(value_type = String, format = "uri")]
    token_url: Url,
    #[schema(value_type = Option<String>, format = "uri")]
    revocation_url: Option<Url>,
    #[schema(value_type = ProviderFactsName)]
    facts: ProviderFacts,
    /// Idle grants are refreshed too.
    keep_alive: bool,
    issuer: Option<String>,
    resource: Option<String>,
    /// What token requests without a consent name as the service; none where none is named.
    audience: Option<String>,
    scopes: Vec<String>,
    /// What the MCP server may ask for beyond `scopes`.
    scope_ceiling: Vec<String>,
    authorize_params: BTreeMap<String, String>,
    client_id: String,
    /// Whether there is a client secret; it is never shown.
    has_client_secret: bool,
    #[schema(value_type = TokenEndpointAuthName)]
    token_endpoint_auth: TokenEndpointAuth,
    /// With `private_key_jwt`: what the server calls the key.
    assertion_kid: Option<String>,
    /// The template that it was filled in from; it does not follow the template.
    provider_template: Option<String>,
    provider_template_version: Option<u32>,
    /// What was given for the template's placeholders.
    provider_inputs: Option<BTreeMap<String, String>>,
}

fn tool_lists(gateway: &Gateway, whole: bool) -> BTreeMap<String, AccessBody> {
    let lists = gateway.tool_access.iter().filter(|_| whole);
    lists.map(|(tool, access)| (tool.clone(), AccessBody::from(access))).collect()
}

impl GatewayView {
    pub(crate) fn new(gateway: &Gateway, caller: &Caller, broker: &Broker) -> Self {
        let whole = caller.may(Permission::ReadGateways);
        let problem = gateway.oauth().and_then(|settings| settings.registration_problem.clone());
        Self {
            id: gateway.id,
            slug: gateway.slug.clone(),
            name: gateway.name.clone(),
            url: gateway.url.clone(),
            state: gateway.state,
            access: whole.then(|| AccessBody::from(&gateway.access)),
            tool_access: tool_lists(gateway, whole),
            catalog_sharing: gateway.catalog_sharing,
            on_change: gateway.on_change,
            era: gateway.era,
            authorization: AuthorizationView::new(gateway, whole),
            client_certificate: gateway.client_certificate.as_ref().filter(|_| whole).map(|certificate| {
                ClientCertificateView { subject: certificate.subject.clone(), ends_at: certificate.ends_at }
            }),
            registration_problem: problem
                .filter(|_| whole)
                .map(|problem| RegistrationProblemView { code: problem.code, since: problem.since }),
            newer_template_version: broker.newer_template(gateway).filter(|_| whole),
            refused_scopes: gateway
                .oauth()
                .filter(|_| whole)
                .map(|settings| settings.refused_scopes.clone())
                .unwrap_or_default(),
            former_issuer: gateway
                .oauth()
                .filter(|_| whole)
                .and_then(|settings| settings.former_issuer.clone()),
            created_at: gateway.created_at,
            updated_at: gateway.updated_at,
            version: gateway.version,
        }
    }
}

impl AuthorizationView {
    fn new(gateway: &Gateway, whole: bool) -> Self {
        let (kind, name, oauth) = match &gateway.authorization {
            GatewayAuthorization::None => ("none", None, None),
            GatewayAuthorization::StaticHeader(header) => ("static_header", Some(header.name.clone()), None),
            GatewayAuthorization::OAuth(settings) => ("oauth", None, Some(OAuthView::new(settings))),
        };
        if whole { Self { kind, name, oauth } } else { Self { kind, name: None, oauth: None } }
    }
}

impl OAuthView {
    fn new(settings: &OAuthSettings) -> Self {
        let template = settings.template.clone();
        Self {
            grant_type: settings.grant_type,
            identity_provider: settings.identity_provider,
            authorization_url: settings.authorization_url.clone(),
            token_url: settings.token_url.clone(),
            revocation_url: settings.revocation_url.clone(),
            facts: settings.facts.clone(),
            keep_alive: settings.keep_alive,
            issuer: settings.issuer.clone(),
            resource: settings.resource.clone(),
            audience: settings.audience.clone(),
            scopes: settings.scopes.clone(),
            scope_ceiling: settings.scope_ceiling.clone(),
            authorize_params: settings.authorize_params.clone(),
            client_id: settings.registration.client_id.clone(),
            has_client_secret: settings.registration.client_secret.is_some(),
            token_endpoint_auth: settings.registration.token_endpoint_auth,
            assertion_kid: settings.registration.assertion_kid.clone(),
            provider_template: template.as_ref().map(|used| used.id.clone()),
            provider_template_version: template.as_ref().map(|used| used.version),
            provider_inputs: template.map(|used| used.inputs),
        }
    }
}
