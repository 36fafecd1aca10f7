//! A gateway as REST takes it: what may be set, and how "unchanged" is told from "cleared".

use super::access_body::AccessBody;
use super::error::ApiError;
use super::facts_body::{ProviderFactsBody, ProviderFactsName};
use doorward_broker::{
    AuthorizationInput, ClientCertificateInput, ClientInput, DiscoverInput, Edit, GatewayInput, OAuthInput,
    TemplateChoice,
};
use doorward_domain::{
    AccessList, CatalogSharing, ClientCertificatePem, ClientSecret, EraChoice, GatewayId, GatewayState,
    GrantType, HeaderSecret, OnChange, TokenEndpointAuth,
};
use doorward_oauth::FilledTemplate;
use doorward_oauth::template::TemplateOAuth;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A gateway to be created, or an edit of one: in an edit, what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayBody {
    /// `[a-z0-9-]{1,32}`; made from the name where it is left out. It never changes.
    slug: Option<String>,
    /// The host of the URL, where it is left out.
    name: Option<String>,
    /// The URL of the MCP server. A new gateway needs one.
    url: Option<String>,
    /// A new gateway is a draft for administrators until it is published.
    #[schema(value_type = Option<GatewayStateName>)]
    state: Option<GatewayState>,
    /// Who may use it; everyone where it is left out for a new gateway.
    access: Option<AccessBody>,
    /// Lists of single tools, by the name that the gateway gives them: who of those who may use the gateway may use the
    /// tool. All lists are replaced at once; a tool that is left out is for all of them.
    tool_access: Option<BTreeMap<String, AccessBody>>,
    /// Whether every user sees the same catalog.
    #[schema(value_type = Option<CatalogSharingName>)]
    catalog_sharing: Option<CatalogSharing>,
    /// What happens when it offers a tool or prompt that is new, or describes one otherwise; a new gateway
    /// allows it, where this is left out.
    #[schema(value_type = Option<OnChangeName>)]
    on_change: Option<OnChange>,
    /// Which protocol is spoken with it; a new gateway is asked, where this is left out.
    #[schema(value_type = Option<EraChoiceName>)]
    era: Option<EraChoice>,
    /// What is shown in the TLS handshake with the MCP server and the token endpoint. Write-only; left out, it stays;
    /// `null` clears it.
    #[serde(default, deserialize_with = "certificate_of")]
    #[schema(value_type = Option<ClientCertificateBody>, write_only)]
    client_certificate: Option<Option<ClientCertificateBody>>,
    /// Left out for a new gateway: ask the MCP server itself.
    authorization: Option<AuthorizationBody>,
}

/// A client certificate and its private key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCertificateBody {
    /// In PEM: the client's own first, then those of its authorities.
    certificate: String,
    /// In PEM, without a passphrase.
    key: String,
}

impl ClientCertificateBody {
    pub(super) fn edit(given: Option<Option<Self>>) -> Edit<ClientCertificateInput> {
        match given {
            None => Edit::Keep,
            Some(None) => Edit::Clear,
            Some(Some(Self { certificate, key })) => {
                Edit::Set(ClientCertificateInput { certificate, key: ClientCertificatePem::new(key) })
            }
        }
    }
}

/// How users are authorized. It is replaced as a whole, but for a secret that is left out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationBody {
    #[serde(rename = "type")]
    kind: AuthorizationType,
    /// `static_header`: the header's name.
    name: Option<String>,
    /// `static_header`: the header's value. Write-only; left out, it stays.
    #[serde(default, deserialize_with = "edit_of")]
    #[schema(value_type = Option<String>, write_only)]
    value: Option<Option<String>>,
    /// `oauth`: a template of `GET /admin/oauth/providers`, which fills whatever is left out.
    provider_template: Option<String>,
    /// `oauth`: the version of the template whose values these are; left out, the present one.
    provider_template_version: Option<u32>,
    /// `oauth`: what the template asks for.
    provider_inputs: Option<BTreeMap<String, String>>,
    /// `oauth`, `discover`: whose tokens calls carry: each user's own, or the gateway's own for all users. Left out, it
    /// stays, or is each user's own.
    #[schema(value_type = Option<GrantTypeName>)]
    grant_type: Option<GrantType>,
    /// `oauth`, `discover`, with a grant type that exchanges: the id of the gateway where users have what is exchanged.
    #[schema(value_type = Option<String>, format = "uuid")]
    identity_provider: Option<GatewayId>,
    /// `oauth`, needed without a template where each person authorizes in a browser; else it may be left out.
    authorization_url: Option<String>,
    /// `oauth`, needed without a template.
    token_url: Option<String>,
    /// `oauth`: how the provider is told that a grant has ended; `null` for nowhere.
    #[serde(default, deserialize_with = "edit_of")]
    #[schema(value_type = Option<String>)]
    revocation_url: Option<Option<String>>,
    /// `oauth`: how the authorization server differs from the book; left out, it stays, or is the template's.
    #[schema(value_type = Option<ProviderFactsName>)]
    facts: Option<ProviderFactsBody>,
    /// `oauth`: refresh idle grants too, before the provider ends them; left out, it stays.
    keep_alive: Option<bool>,
    /// `oauth`: the issuer (RFC 8414), which answers are compared with; `null` for none.
    #[serde(default, deserialize_with = "edit_of")]
    #[schema(value_type = Option<String>)]
    issuer: Option<Option<String>>,
    /// `oauth`: the RFC 8707 resource indicator, sent byte for byte.
    resource: Option<String>,
    /// `oauth`, `discover`: what the authorization server calls the service that tokens are for (RFC 8693 §2.1). It is
    /// sent with `token_exchange` and `client_credentials`. Left out, it is the template's, or none; `null` for none.
    #[serde(default, deserialize_with = "edit_of")]
    #[schema(value_type = Option<String>)]
    audience: Option<Option<String>>,
    /// `oauth`: the scopes to ask for.
    scopes: Option<Vec<String>>,
    /// `oauth`, `discover`: what the MCP server may ask for beyond `scopes`, by 403 `insufficient_scope`; `["*"]` for
    /// anything. Left out, it stays.
    scope_ceiling: Option<Vec<String>>,
    /// `oauth`: extra parameters of the authorization request; never a protocol parameter.
    authorize_params: Option<BTreeMap<String, String>>,
    /// `oauth`, needed; `discover`: a client that was registered by hand, else Doorward registers itself.
    client_id: Option<String>,
    /// `oauth`, `discover`. Write-only; left out, it stays; `null` clears it. With `private_key_jwt` it is the private
    /// key, in PEM (PKCS#8): EC P-256 or P-384, RSA or Ed25519.
    #[serde(default, deserialize_with = "edit_of")]
    #[schema(value_type = Option<String>, write_only)]
    client_secret: Option<Option<String>>,
    /// `oauth`, `discover`: `none` without a secret, if left out; with one `post`, or what discovery says that the
    /// server offers.
    #[schema(value_type = Option<TokenEndpointAuthName>)]
    token_endpoint_auth: Option<TokenEndpointAuth>,
    /// `oauth`, `discover`, with `private_key_jwt`: what the server calls the key (`kid`).
    assertion_kid: Option<String>,
}

/// The ways in which users are authorized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthorizationType {
    /// The MCP server is open to Doorward.
    None,
    /// Ask the MCP server (RFC 9728) and register at its authorization server (RFC 7591), unless a client is given.
    Discover,
    /// The same header for every user.
    StaticHeader,
    /// Each user's own access token.
    Oauth,
}

/// How the document spells the state of a gateway.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's GatewayState in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum GatewayStateName {
    Draft,
    Published,
    Disabled,
}

/// How the document spells catalog sharing.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's CatalogSharing in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum CatalogSharingName {
    PerUser,
    Shared,
}

/// How the document spells what happens on a change.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's OnChange in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum OnChangeName {
    Allow,
    Hold,
}

/// How the document spells the protocol that is spoken with a gateway.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's EraChoice in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum EraChoiceName {
    Automatic,
    Modern,
    Legacy,
    HttpSse,
}

/// How the document spells token endpoint authentication.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's TokenEndpointAuth in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum TokenEndpointAuthName {
    Basic,
    Post,
    None,
    PrivateKeyJwt,
}

/// How the document spells the type of a grant.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's GrantType in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum GrantTypeName {
    /// Each user authorizes in a browser.
    AuthorizationCode,
    /// The gateway's own client is authorized, for all users.
    ClientCredentials,
    /// In exchange for the access token that each user has at `identity_provider` (RFC 8693).
    TokenExchange,
    /// In exchange for what `identity_provider` says of each user: enterprise-managed authorization (ID-JAG).
    IdentityAssertion,
}

/// Absent is none, `null` is some of none: the two mean different things for a secret.
fn edit_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// As [`edit_of`].
pub(super) fn certificate_of<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<ClientCertificateBody>>, D::Error> {
    Option::<ClientCertificateBody>::deserialize(deserializer).map(Some)
}

fn edit<T: From<String>>(given: Option<Option<String>>) -> Edit<T> {
    match given {
        None => Edit::Keep,
        Some(None) => Edit::Clear,
        Some(Some(value)) => Edit::Set(T::from(value)),
    }
}

impl GatewayBody {
    /// What the use cases take. `fill` gives the values of a template.
    pub(crate) fn input(
        self,
        fill: impl Fn(&TemplateChoice) -> Result<FilledTemplate, ApiError>,
    ) -> Result<GatewayInput, ApiError> {
        Ok(GatewayInput {
            slug: self.slug,
            name: self.name,
            url: self.url,
            state: self.state,
            access: self.access.map(AccessBody::into_list).transpose()?,
            tool_access: self.tool_access.map(tool_lists).transpose()?,
            catalog_sharing: self.catalog_sharing,
            on_change: self.on_change,
            era: self.era,
            client_certificate: ClientCertificateBody::edit(self.client_certificate),
            authorization: self.authorization.map(|authorization| authorization.input(fill)).transpose()?,
        })
    }
}

fn tool_lists(tools: BTreeMap<String, AccessBody>) -> Result<BTreeMap<String, AccessList>, ApiError> {
    tools.into_iter().map(|(tool, access)| Ok((tool, access.into_list()?))).collect()
}

impl AuthorizationBody {
    fn input(
        self,
        fill: impl Fn(&TemplateChoice) -> Result<FilledTemplate, ApiError>,
    ) -> Result<AuthorizationInput, ApiError> {
        self.refuse_what_does_not_belong()?;
        Ok(match self.kind {
            AuthorizationType::None => AuthorizationInput::None,
            AuthorizationType::Discover => AuthorizationInput::Discover(Box::new(DiscoverInput {
                grant_type: self.grant_type.unwrap_or_default(),
                identity_provider: self.identity_provider,
                audience: self.audience.clone().flatten(),
                scope_ceiling: self.scope_ceiling.clone(),
                client: self.client()?,
            })),
            AuthorizationType::StaticHeader => AuthorizationInput::StaticHeader {
                name: needed("name", self.name)?,
                value: edit::<HeaderSecret>(self.value),
            },
            AuthorizationType::Oauth => AuthorizationInput::OAuth(Box::new(self.oauth(fill)?)),
        })
    }

    /// What is left out is the template's, where there is one.
    fn oauth(
        self,
        fill: impl Fn(&TemplateChoice) -> Result<FilledTemplate, ApiError>,
    ) -> Result<OAuthInput, ApiError> {
        let template = self.template()?;
        let filled = template.as_ref().map(fill).transpose()?;
        let by_template = filled.map(|filled| (filled.oauth, filled.facts));
        let (theirs, facts) =
            by_template.map_or((TemplateOAuth::default(), None), |(oauth, facts)| (oauth, Some(facts)));
        Ok(OAuthInput {
            grant_type: self.grant_type,
            identity_provider: self.identity_provider,
            assertion_kid: self.assertion_kid,
            authorization_url: self.authorization_url.or(theirs.authorization_url).unwrap_or_default(),
            token_url: needed("token_url", self.token_url.or(theirs.token_url))?,
            revocation_url: self.revocation_url.unwrap_or(theirs.revocation_url),
            facts: self.facts.map(|facts| facts.0).or(facts),
            keep_alive: self.keep_alive,
            issuer: self.issuer.unwrap_or(theirs.issuer),
            resource: self.resource,
            audience: self.audience.unwrap_or(theirs.audience),
            scopes: self.scopes.unwrap_or(theirs.scopes),
            scope_ceiling: self.scope_ceiling,
            authorize_params: self.authorize_params.unwrap_or(theirs.authorize_params),
            client_id: needed("client_id", self.client_id)?,
            client_secret: edit::<ClientSecret>(self.client_secret),
            token_endpoint_auth: self.token_endpoint_auth.or(theirs.token_endpoint_auth),
            template,
        })
    }

    /// A client that was registered by hand; none where nothing of one is given.
    fn client(self) -> Result<Option<ClientInput>, ApiError> {
        let nothing = self.client_id.is_none()
            && self.client_secret.is_none()
            && self.token_endpoint_auth.is_none()
            && self.assertion_kid.is_none();
        if nothing {
            return Ok(None);
        }
        Ok(Some(ClientInput {
            client_id: needed("client_id", self.client_id)?,
            client_secret: edit::<ClientSecret>(self.client_secret),
            token_endpoint_auth: self.token_endpoint_auth,
            assertion_kid: self.assertion_kid,
        }))
    }

    fn template(&self) -> Result<Option<TemplateChoice>, ApiError> {
        let inputs = self.provider_inputs.clone();
        match (&self.provider_template, inputs) {
            (None, Some(_)) => Err(ApiError::bad_field(
                "authorization.provider_inputs",
                "goes with a provider_template: name one, or leave it out",
            )),
            (None, None) => Ok(None),
            (Some(id), inputs) => {
                let version = self.provider_template_version;
                Ok(Some(TemplateChoice { id: id.clone(), version, inputs: inputs.unwrap_or_default() }))
            }
        }
    }

    /// A field of another type is refused, so that nobody believes it was taken.
    fn refuse_what_does_not_belong(&self) -> Result<(), ApiError> {
        let header = [("name", self.name.is_some()), ("value", self.value.is_some())];
        let oauth = [
            ("provider_template", self.provider_template.is_some()),
            ("provider_template_version", self.provider_template_version.is_some()),
            ("provider_inputs", self.provider_inputs.is_some()),
            ("authorization_url", self.authorization_url.is_some()),
            ("token_url", self.token_url.is_some()),
            ("revocation_url", self.revocation_url.is_some()),
            ("facts", self.facts.is_some()),
            ("keep_alive", self.keep_alive.is_some()),
            ("issuer", self.issuer.is_some()),
            ("resource", self.resource.is_some()),
            ("scopes", self.scopes.is_some()),
            ("authorize_params", self.authorize_params.is_some()),
        ];
        let client = [
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret.is_some()),
            ("token_endpoint_auth", self.token_endpoint_auth.is_some()),
            ("assertion_kid", self.assertion_kid.is_some()),
            ("grant_type", self.grant_type.is_some()),
            ("identity_provider", self.identity_provider.is_some()),
            ("scope_ceiling", self.scope_ceiling.is_some()),
            ("audience", self.audience.is_some()),
        ];
        let foreign = match self.kind {
            AuthorizationType::Oauth => &header[..],
            AuthorizationType::StaticHeader => &[oauth.as_slice(), client.as_slice()].concat(),
            AuthorizationType::None => &[header.as_slice(), oauth.as_slice(), client.as_slice()].concat(),
            AuthorizationType::Discover => &[header.as_slice(), oauth.as_slice()].concat(),
        };
        match foreign.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(ApiError::bad_field(
                format!("authorization.{name}"),
                "does not belong to this type of authorization: leave it out, or choose another type",
            )),
            None => Ok(()),
        }
    }
}

fn needed(name: &str, value: Option<String>) -> Result<String, ApiError> {
    value.ok_or_else(|| ApiError::bad_field(format!("authorization.{name}"), "is missing"))
}

#[cfg(test)]
#[path = "gateway_body_tests.rs"]
mod tests;
