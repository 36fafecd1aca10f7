//! What has changed in a gateway's tools and prompts since it was first read, and an administrator's word on it.

use super::Problem;
use super::error::ApiError;
use super::servers::ServerItemKind;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, JsonBody};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::CatalogDifference;
use doorward_domain::{CatalogKind, GatewayId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A version of a tool or prompt that was not there at the first reading.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    #[schema(value_type = ServerItemKind)]
    kind: CatalogKind,
    name: String,
    /// Names the version: what you agree to is exactly this.
    hash: String,
    /// Whether it is held back until an administrator agrees, where the gateway holds changes.
    held: bool,
    /// The item as the MCP server describes it now.
    #[schema(value_type = Object)]
    after: Box<RawValue>,
    /// The item as it was before; none where it is new.
    #[schema(value_type = Option<Object>)]
    before: Option<Box<RawValue>>,
    #[schema(value_type = String, format = DateTime)]
    first_seen_at: Timestamp,
}

impl From<CatalogDifference> for ChangeView {
    fn from(difference: CatalogDifference) -> Self {
        let raw = |json: String| RawValue::from_string(json).unwrap_or_default();
        let version = difference.version;
        Self {
            kind: version.kind,
            name: version.name,
            hash: version.hash,
            held: !version.approved,
            after: raw(version.json),
            before: difference.before.map(raw),
            first_seen_at: version.first_seen_at,
        }
    }
}

/// What is agreed to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgreeBody {
    /// The hashes of versions of `GET /gateways/{id}/changes`.
    hashes: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgreedView {
    /// How many versions were held till now and are served from now on.
    agreed: u64,
}

/// What has changed since the gateway was first read: what is held first, then the newest; 100 at most.
#[utoipa::path(get, path = "/gateways/{id}/changes", tag = "gateways", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = Listed<ChangeView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GatewayId>,
) -> Result<Json<Listed<ChangeView>>, ApiError> {
    let changes = state.broker.catalog_changes(&caller, id).await?;
    Ok(Json(Listed { items: changes.into_iter().map(Into::into).collect(), next_cursor: None }))
}

/// Agrees to changes: they are served from now on.
#[utoipa::path(post, path = "/gateways/{id}/changes/agree", tag = "gateways", params(("id" = String, Path, format = "uuid")),
    request_body = AgreeBody,
    responses((status = 200, body = AgreedView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn agree(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GatewayId>,
    JsonBody(body): JsonBody<AgreeBody>,
) -> Result<Json<AgreedView>, ApiError> {
    let agreed = state.broker.approve_catalog_changes(&caller, id, &body.hashes).await?;
    Ok(Json(AgreedView { agreed }))
}
