//! Asking an MCP server what it says of itself, before it is registered.

use super::Problem;
use super::error::ApiError;
use super::gateway_body::{ClientCertificateBody, certificate_of};
use crate::extract::{AdminCaller, JsonBody};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{AskedUpstream, DiscoveredGateway};
use doorward_domain::GatewayId;
use doorward_oauth::Discovered;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

/// Which MCP server to ask.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscoverBody {
    url: String,
    /// The gateway whose server it is: its client certificate is shown, where it was given for. Left out for a new one.
    #[schema(value_type = Option<String>, format = "uuid")]
    gateway_id: Option<GatewayId>,
    /// Asked instead where the MCP server wants authorization and names no authorization server (RFC 8414, OpenID
    /// Connect Discovery).
    issuer: Option<String>,
    /// For a server that lets nobody in without a client certificate: what is shown to it, and to nobody else.
    /// Write-only, and not stored. Left out, it is the gateway's own; `null` for none.
    #[serde(default, deserialize_with = "certificate_of")]
    #[schema(value_type = Option<ClientCertificateBody>, write_only)]
    client_certificate: Option<Option<ClientCertificateBody>>,
}

/// What it says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiscoveredView {
    /// `none` or `oauth`.
    authorization: &'static str,
    #[serde(flatten)]
    settings: Option<DiscoveredSettings>,
}

/// The authorization server's endpoints, ready for the settings of a gateway.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiscoveredSettings {
    issuer: String,
    #[schema(value_type = String, format = "uri")]
    authorization_url: Url,
    #[schema(value_type = String, format = "uri")]
    token_url: Url,
    #[schema(value_type = Option<String>, format = "uri")]
    revocation_url: Option<Url>,
    resource: Option<String>,
    scopes: Vec<String>,
    /// Doorward can register there by itself: no client id has to be typed.
    can_register: bool,
}

/// Asks an MCP server what it says of itself (RFC 9728, RFC 8414). Nothing is stored.
#[utoipa::path(post, path = "/gateways/discover", tag = "gateways", request_body = DiscoverBody,
    responses((status = 200, body = DiscoveredView), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn discover(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    JsonBody(body): JsonBody<DiscoverBody>,
) -> Result<Json<DiscoveredView>, ApiError> {
    let asked = AskedUpstream {
        url: body.url,
        gateway: body.gateway_id,
        issuer: body.issuer,
        client_certificate: ClientCertificateBody::edit(body.client_certificate),
    };
    let oauth = |settings: Box<Discovered>, can_register| DiscoveredView {
        authorization: "oauth",
        settings: Some(DiscoveredSettings::new(*settings, can_register)),
    };
    Ok(Json(match state.broker.discover(&caller, asked).await? {
        DiscoveredGateway::Open => DiscoveredView { authorization: "none", settings: None },
        DiscoveredGateway::OAuth { settings, can_register } => oauth(settings, can_register),
        DiscoveredGateway::ByIssuer(settings) => oauth(settings, false),
    }))
}

impl DiscoveredSettings {
    fn new(settings: Discovered, can_register: bool) -> Self {
        Self {
            issuer: settings.issuer,
            authorization_url: settings.authorization_url,
            token_url: settings.token_url,
            revocation_url: settings.revocation_url,
            resource: settings.resource,
            scopes: settings.scopes,
            can_register,
        }
    }
}
