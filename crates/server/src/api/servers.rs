//! Virtual servers: named selections out of several gateways, each at an address of its own.

use super::Problem;
use super::access_body::AccessBody;
use super::error::ApiError;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, IfMatch, JsonBody, NoQuery, OwnCaller, QueryOf, etag};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{Caller, VirtualServerInput};
use doorward_domain::{
    CatalogKind, GatewayId, Permission, ServerItem, Slug, Timestamp, VirtualServer, VirtualServerId,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A virtual server to be created, or an edit of one: in an edit, what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerBody {
    /// `[a-z0-9-]{1,32}`; made from the name where it is left out. It never changes.
    slug: Option<String>,
    /// A new virtual server needs one.
    name: Option<String>,
    /// Who may use it; everyone where it is left out for a new one. Of each gateway only those see something who
    /// may use that gateway too.
    access: Option<AccessBody>,
    /// What it offers, in this order; an edit replaces the whole list.
    items: Option<Vec<ServerItemBody>>,
}

/// One thing that a virtual server offers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerItemBody {
    #[schema(value_type = ServerItemKind)]
    kind: CatalogKind,
    #[schema(value_type = String, format = "uuid")]
    gateway_id: GatewayId,
    /// What the gateway calls it: the name of a tool or prompt, the URI of a resource, a URI template.
    name: String,
    /// `tool`, `prompt`: what clients see; left out, the name that they see on `/mcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed_name: Option<String>,
}

/// How the document spells the kinds.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's CatalogKind in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum ServerItemKind {
    Tool,
    Resource,
    ResourceTemplate,
    Prompt,
}

/// A virtual server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerView {
    #[schema(value_type = String, format = "uuid")]
    id: VirtualServerId,
    #[schema(value_type = String)]
    slug: Slug,
    name: String,
    /// Its address for MCP clients.
    mcp_url: String,
    /// Who may use it, for those who manage gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessBody>,
    /// What it offers, for those who manage gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<ServerItemBody>>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    version: i64,
}

impl ServerView {
    fn new(state: &AppState, caller: &Caller, server: &VirtualServer) -> Self {
        let whole = caller.may(Permission::ReadGateways);
        let mut mcp_url = state.facts.public_url.clone();
        mcp_url.set_path(&format!("servers/{}/mcp", server.slug));
        Self {
            id: server.id,
            slug: server.slug.clone(),
            name: server.name.clone(),
            mcp_url: mcp_url.into(),
            access: whole.then(|| AccessBody::from(&server.access)),
            items: whole.then(|| server.items.iter().map(ServerItemBody::from).collect()),
            created_at: server.created_at,
            updated_at: server.updated_at,
            version: server.version,
        }
    }
}

impl From<&ServerItem> for ServerItemBody {
    fn from(item: &ServerItem) -> Self {
        Self {
            kind: item.kind,
            gateway_id: item.gateway_id,
            name: item.name.clone(),
            exposed_name: item.exposed.clone(),
        }
    }
}

impl ServerBody {
    fn input(self) -> Result<VirtualServerInput, ApiError> {
        let item = |item: ServerItemBody| ServerItem {
            gateway_id: item.gateway_id,
            kind: item.kind,
            name: item.name,
            exposed: item.exposed_name,
        };
        Ok(VirtualServerInput {
            slug: self.slug,
            name: self.name,
            access: self.access.map(AccessBody::into_list).transpose()?,
            items: self.items.map(|items| items.into_iter().map(item).collect()),
        })
    }
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<ServerView>);

fn tagged(state: &AppState, caller: &Caller, server: &VirtualServer) -> Tagged {
    ([(header::ETAG, etag(server.version))], Json(ServerView::new(state, caller, server)))
}

/// The virtual servers that you may use, by slug.
#[utoipa::path(get, path = "/servers", tag = "servers",
    responses((status = 200, body = Listed<ServerView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    _: QueryOf<NoQuery>,
) -> Result<Json<Listed<ServerView>>, ApiError> {
    let servers = state.broker.virtual_servers(&caller).await?;
    let items = servers.iter().map(|server| ServerView::new(&state, &caller, server)).collect();
    Ok(Json(Listed { items, next_cursor: None }))
}

/// Makes a virtual server.
#[utoipa::path(post, path = "/servers", tag = "servers", request_body = ServerBody,
    responses((status = 201, body = ServerView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    _: QueryOf<NoQuery>,
    JsonBody(body): JsonBody<ServerBody>,
) -> Result<(StatusCode, Tagged), ApiError> {
    let server = state.broker.create_virtual_server(&caller, body.input()?).await?;
    Ok((StatusCode::CREATED, tagged(&state, &caller, &server)))
}

/// One virtual server that you may use.
#[utoipa::path(get, path = "/servers/{id}", tag = "servers", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = ServerView), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<VirtualServerId>,
) -> Result<Tagged, ApiError> {
    let server = state.broker.virtual_server(&caller, id).await?;
    Ok(tagged(&state, &caller, &server))
}

/// Changes a virtual server.
#[utoipa::path(put, path = "/servers/{id}", tag = "servers",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    request_body = ServerBody,
    responses((status = 200, body = ServerView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<VirtualServerId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<ServerBody>,
) -> Result<Tagged, ApiError> {
    let server = state.broker.update_virtual_server(&caller, id, version, body.input()?).await?;
    Ok(tagged(&state, &caller, &server))
}

/// Deletes a virtual server. Its gateways and everyone's grants there stay.
#[utoipa::path(delete, path = "/servers/{id}", tag = "servers",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<VirtualServerId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    state.broker.delete_virtual_server(&caller, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
