//! Asking an MCP server what it says of itself, before it is registered.

use super::Problem;
use super::error::ApiError;
use crate::extract::{AdminCaller, JsonBody};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::DiscoveredGateway;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

/// Which MCP server to ask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiscoverBody {
    url: String,
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
    Ok(Json(match state.broker.discover(&caller, &body.url).await? {
        DiscoveredGateway::Open => DiscoveredView { authorization: "none", settings: None },
        DiscoveredGateway::OAuth { settings, can_register } => DiscoveredView {
            authorization: "oauth",
            settings: Some(DiscoveredSettings {
                issuer: settings.issuer,
                authorization_url: settings.authorization_url,
                token_url: settings.token_url,
                revocation_url: settings.revocation_url,
                resource: settings.resource,
                scopes: settings.scopes,
                can_register,
            }),
        },
    }))
}
