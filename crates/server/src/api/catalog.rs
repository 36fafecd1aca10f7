//! The caller's catalog: what `/mcp` would list, with a word about every gateway that lists nothing.

use super::Problem;
use super::error::ApiError;
use crate::extract::OwnCaller;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::Caller;
use doorward_domain::{CatalogKind, Gateway, GatewayId, Slug};
use doorward_mcp::{CatalogState, IndexedCatalog, ResourceOwners};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::ToSchema;

/// The tools, resources or prompts that you can use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogView {
    items: Vec<ItemView>,
    /// Gateways whose catalog is not known, and why.
    missing: Vec<MissingView>,
}

/// One tool, resource, resource template or prompt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemView {
    /// `tool`, `resource`, `resource_template` or `prompt`.
    #[schema(value_type = String)]
    kind: CatalogKind,
    #[schema(value_type = String, format = "uuid")]
    gateway_id: GatewayId,
    #[schema(value_type = String)]
    gateway: Slug,
    /// The name or URI on `/mcp`.
    name: String,
    /// The name or URI at the gateway itself.
    original: String,
    /// The item as the gateway sent it.
    #[schema(value_type = Object)]
    item: Box<RawValue>,
}

/// A gateway whose catalog is not known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MissingView {
    #[schema(value_type = String, format = "uuid")]
    gateway_id: GatewayId,
    #[schema(value_type = String)]
    gateway: Slug,
    /// `must_authorize` or `unreachable`.
    reason: &'static str,
    problem: String,
}

/// Your tools.
#[utoipa::path(get, path = "/tools", tag = "catalog",
    responses((status = 200, body = CatalogView), (status = 401, body = Problem)))]
pub(crate) async fn tools(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
) -> Result<Json<CatalogView>, ApiError> {
    catalog(&state, &caller, &[CatalogKind::Tool]).await
}

/// Your resources and resource templates.
#[utoipa::path(get, path = "/resources", tag = "catalog",
    responses((status = 200, body = CatalogView), (status = 401, body = Problem)))]
pub(crate) async fn resources(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
) -> Result<Json<CatalogView>, ApiError> {
    catalog(&state, &caller, &[CatalogKind::Resource, CatalogKind::ResourceTemplate]).await
}

/// Your prompts.
#[utoipa::path(get, path = "/prompts", tag = "catalog",
    responses((status = 200, body = CatalogView), (status = 401, body = Problem)))]
pub(crate) async fn prompts(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
) -> Result<Json<CatalogView>, ApiError> {
    catalog(&state, &caller, &[CatalogKind::Prompt]).await
}

async fn catalog(
    state: &AppState,
    caller: &Caller,
    kinds: &[CatalogKind],
) -> Result<Json<CatalogView>, ApiError> {
    let gateways = state.broker.served_gateways(caller).await?;
    let reads = gateways.iter().map(|gateway| state.catalogs.of(caller, gateway));
    let states = join_all(reads).await;
    let mut known: Vec<(Arc<Gateway>, Option<Arc<IndexedCatalog>>)> = Vec::new();
    let mut missing = Vec::new();
    for (gateway, state) in gateways.into_iter().zip(states) {
        let (catalog, problem) = match state {
            CatalogState::Known(catalog) => (Some(catalog), None),
            CatalogState::MustAuthorize => {
                (None, Some(("must_authorize", "connect it first, under My connections".to_owned())))
            }
            CatalogState::Unreachable(error) => (None, Some(("unreachable", error.to_string()))),
        };
        missing.extend(problem.map(|(reason, problem)| MissingView {
            gateway_id: gateway.id,
            gateway: gateway.slug.clone(),
            reason,
            problem,
        }));
        known.push((gateway, catalog));
    }
    let items = items(state, &known, kinds).await?;
    Ok(Json(CatalogView { items, missing }))
}

async fn items(
    state: &AppState,
    known: &[(Arc<Gateway>, Option<Arc<IndexedCatalog>>)],
    kinds: &[CatalogKind],
) -> Result<Vec<ItemView>, ApiError> {
    let names = state.catalogs.names().table().await?;
    let owners = ResourceOwners::new(known.iter().cloned());
    let exposed = |kind, gateway: GatewayId, name: &str| match kind {
        CatalogKind::Tool | CatalogKind::Prompt => {
            names.exposed(kind, gateway, name).unwrap_or(name).to_owned()
        }
        CatalogKind::Resource | CatalogKind::ResourceTemplate => {
            owners.exposed_uri(kind, gateway, name).into_owned()
        }
    };
    let mut items = Vec::new();
    for (gateway, catalog) in known {
        let Some(catalog) = catalog else { continue };
        for item in kinds.iter().flat_map(|kind| catalog.of_kind(*kind)) {
            items.push(ItemView {
                kind: item.kind,
                gateway_id: gateway.id,
                gateway: gateway.slug.clone(),
                name: exposed(item.kind, gateway.id, &item.name),
                original: item.name.clone(),
                item: RawValue::from_string(item.json.clone()).unwrap_or_default(),
            });
        }
    }
    Ok(items)
}
