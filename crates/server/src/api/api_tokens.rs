//! A person's own API tokens: made here, shown once, ended here. Never made for somebody else.

use super::Problem;
use super::error::ApiError;
use super::views::{ApiTokenView, AudienceName, Listed};
use crate::extract::{Id, JsonBody, OwnCaller};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::NewApiToken;
use doorward_domain::{Audience, GatewayId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiTokenBody {
    name: String,
    /// `mcp` opens the MCP endpoints, `self` a person's own REST, `admin` all that the role allows.
    #[serde(default = "for_mcp")]
    #[schema(value_type = Option<AudienceName>, default = "mcp")]
    audience: Audience,
    /// Leave out for every gateway that you may use.
    #[schema(value_type = Option<Vec<String>>)]
    gateways: Option<Vec<GatewayId>>,
    /// Days until it ends.
    #[schema(minimum = 1, maximum = 3650, default = 90)]
    days: Option<u32>,
}

fn for_mcp() -> Audience {
    Audience::Mcp
}

/// A made token. This is the only answer that shows its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedApiTokenView {
    #[serde(flatten)]
    token: ApiTokenView,
    /// The value: it is not shown again.
    value: String,
}

/// Your API tokens, newest first, ended ones included.
#[utoipa::path(get, path = "/api-tokens", tag = "API tokens",
    responses((status = 200, body = Listed<ApiTokenView>), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
) -> Result<Json<Listed<ApiTokenView>>, ApiError> {
    let tokens = state.broker.api_tokens(&caller).await?;
    Ok(Json(Listed { items: tokens.into_iter().map(Into::into).collect(), next_cursor: None }))
}

/// Makes an API token for you.
#[utoipa::path(post, path = "/api-tokens", tag = "API tokens", request_body = ApiTokenBody,
    responses((status = 201, body = CreatedApiTokenView), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    JsonBody(body): JsonBody<ApiTokenBody>,
) -> Result<(StatusCode, Json<CreatedApiTokenView>), ApiError> {
    let new =
        NewApiToken { name: body.name, audience: body.audience, gateways: body.gateways, days: body.days };
    let made = state.broker.create_api_token(&caller, new).await?;
    let value = crate::reveal::api_token(&made.plain).to_owned();
    Ok((StatusCode::CREATED, Json(CreatedApiTokenView { token: made.token.into(), value })))
}

/// Ends one of your API tokens, at once.
#[utoipa::path(delete, path = "/api-tokens/{id}", tag = "API tokens", params(("id" = String, Path, format = "uuid")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn end(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<doorward_domain::ApiTokenId>,
) -> Result<StatusCode, ApiError> {
    state.broker.end_api_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
