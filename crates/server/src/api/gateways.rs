//! Gateways: list, create, read, edit, delete, and read their catalog again.

use super::Problem;
use super::error::ApiError;
use super::gateway_body::GatewayBody;
use super::gateway_view::GatewayView;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, IfMatch, JsonBody, NoQuery, OwnCaller, PageQuery, QueryOf, etag};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{Caller, GatewayInput};
use doorward_domain::{CatalogKind, Gateway, GatewayId, Permission, Timestamp};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// An edited gateway, and what the edit costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpdatedGatewayView {
    #[serde(flatten)]
    gateway: GatewayView,
    /// How many people must authorize again, because the gateway now points elsewhere.
    must_reauthorize: u64,
}

/// What a fresh reading of a catalog found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshedCatalog {
    tools: usize,
    resources: usize,
    resource_templates: usize,
    prompts: usize,
    #[schema(value_type = String, format = DateTime)]
    fetched_at: Timestamp,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], Json<T>);

fn tag(gateway: &Gateway) -> [(HeaderName, HeaderValue); 1] {
    [(header::ETAG, etag(gateway.version))]
}

/// The gateways that you see, by slug.
#[utoipa::path(get, path = "/gateways", tag = "gateways", params(PageQuery),
    responses((status = 200, body = Listed<GatewayView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Listed<GatewayView>>, ApiError> {
    let page = query.page()?;
    let gateways = state.broker.readable_gateways(&caller).await?;
    let after =
        |gateway: &Gateway| page.cursor.as_deref().is_none_or(|cursor| gateway.slug.as_str() > cursor);
    let mut rest = gateways.iter().filter(|gateway| after(gateway)).peekable();
    let mut items = Vec::new();
    let mut last = None;
    while items.len() < page.limit as usize
        && let Some(gateway) = rest.next()
    {
        items.push(GatewayView::new(gateway, &caller, &state.broker));
        last = Some(gateway.slug.to_string());
    }
    Ok(Json(Listed { items, next_cursor: last.filter(|_| rest.peek().is_some()) }))
}

/// Registers an upstream MCP server.
#[utoipa::path(post, path = "/gateways", tag = "gateways", request_body = GatewayBody,
    responses((status = 201, body = GatewayView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    _: QueryOf<NoQuery>,
    JsonBody(body): JsonBody<GatewayBody>,
) -> Result<(StatusCode, Tagged<GatewayView>), ApiError> {
    caller.require(Permission::ManageGateways)?;
    let gateway = state.broker.create_gateway(&caller, input(&state, &caller, body)?).await?;
    Ok((StatusCode::CREATED, (tag(&gateway), Json(GatewayView::new(&gateway, &caller, &state.broker)))))
}

/// One gateway.
#[utoipa::path(get, path = "/gateways/{id}", tag = "gateways", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = GatewayView), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<GatewayId>,
) -> Result<Tagged<GatewayView>, ApiError> {
    let gateway = state.broker.readable_gateway(&caller, id).await?;
    Ok((tag(&gateway), Json(GatewayView::new(&gateway, &caller, &state.broker))))
}

/// Edits a gateway. Where it would send secrets elsewhere than before, they are asked for again.
#[utoipa::path(put, path = "/gateways/{id}", tag = "gateways",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    request_body = GatewayBody,
    responses((status = 200, body = UpdatedGatewayView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GatewayId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<GatewayBody>,
) -> Result<Tagged<UpdatedGatewayView>, ApiError> {
    caller.require(Permission::ManageGateways)?;
    let updated = state.broker.update_gateway(&caller, id, version, input(&state, &caller, body)?).await?;
    let gateway = GatewayView::new(&updated.gateway, &caller, &state.broker);
    let view = UpdatedGatewayView { gateway, must_reauthorize: updated.must_reauthorize };
    Ok((tag(&updated.gateway), Json(view)))
}

/// A body as the use cases take it, with its template filled in.
fn input(state: &AppState, caller: &Caller, body: GatewayBody) -> Result<GatewayInput, ApiError> {
    body.input(|choice| Ok(state.broker.filled_template(caller, &choice.id, &choice.inputs)?))
}

/// Deletes a gateway and ends its grants.
#[utoipa::path(delete, path = "/gateways/{id}", tag = "gateways",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GatewayId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    state.broker.delete_gateway(&caller, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a gateway's catalog again, with your own grant there.
#[utoipa::path(post, path = "/gateways/{id}/refresh", tag = "gateways", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = RefreshedCatalog), (status = 404, body = Problem), (status = 409, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn refresh(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<GatewayId>,
) -> Result<Json<RefreshedCatalog>, ApiError> {
    let gateway = usable(&state, &caller, id).await?;
    let catalog = state.catalogs.read_again(&caller, &gateway).await?;
    let count = |kind| catalog.of_kind(kind).count();
    Ok(Json(RefreshedCatalog {
        tools: count(CatalogKind::Tool),
        resources: count(CatalogKind::Resource),
        resource_templates: count(CatalogKind::ResourceTemplate),
        prompts: count(CatalogKind::Prompt),
        fetched_at: catalog.fetched_at,
    }))
}

/// A gateway that may be called: a disabled one is not, whoever asks.
async fn usable(
    state: &AppState,
    caller: &Caller,
    id: GatewayId,
) -> Result<std::sync::Arc<Gateway>, ApiError> {
    let gateway = state.broker.gateway(caller, id).await?;
    if gateway.state == doorward_domain::GatewayState::Disabled {
        return Err(ApiError::bad_field("id", "names a disabled gateway: publish it first"));
    }
    Ok(gateway)
}
