//! Roles: the four that are built in, and those of an installation's own.

use super::Problem;
use super::error::ApiError;
use super::views::Listed;
use crate::extract::{AdminCaller, IfMatch, JsonBody, RoleNamed, etag};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_domain::{Permission, Role, StoredRole};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A set of permissions with a name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleView {
    /// What a person's `role` says; it never changes.
    name: String,
    #[schema(value_type = Vec<String>)]
    permissions: Vec<Permission>,
    /// Built-in roles are neither changed nor deleted.
    built_in: bool,
    /// How many people have it; none for built-in ones, whose people nobody counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<u64>,
    version: i64,
}

impl From<StoredRole> for RoleView {
    fn from(stored: StoredRole) -> Self {
        Self {
            name: stored.role.name.to_string(),
            permissions: stored.role.permissions,
            built_in: false,
            people: Some(stored.people),
            version: stored.version,
        }
    }
}

impl RoleView {
    fn built_in(role: &Role) -> Self {
        Self {
            name: role.as_str().to_owned(),
            permissions: role.permissions().to_vec(),
            built_in: true,
            people: None,
            version: 0,
        }
    }
}

/// A role to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRoleBody {
    /// 1 to 32 of a-z, 0-9 and '-'.
    name: String,
    /// Nothing that you do not hold yourself; what manages something goes with what reads it.
    #[schema(value_type = Vec<String>)]
    permissions: Vec<Permission>,
}

/// What a role may from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleBody {
    #[schema(value_type = Vec<String>)]
    permissions: Vec<Permission>,
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<RoleView>);

fn tagged(view: RoleView) -> Tagged {
    ([(header::ETAG, etag(view.version))], Json(view))
}

/// Every role: the built-in ones, then those of your own, oldest first. Permission: `read_users`.
#[utoipa::path(get, path = "/admin/roles", tag = "administration",
    responses((status = 200, body = Listed<RoleView>), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
) -> Result<Json<Listed<RoleView>>, ApiError> {
    let own = state.broker.custom_roles(&caller).await?;
    let items = Role::BUILT_IN.iter().map(RoleView::built_in).chain(own.into_iter().map(Into::into));
    Ok(Json(Listed { items: items.collect(), next_cursor: None }))
}

/// Makes a role. Permission: `manage_users`, and all that the role is to hold.
#[utoipa::path(post, path = "/admin/roles", tag = "administration", request_body = NewRoleBody,
    responses((status = 201, body = RoleView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    JsonBody(body): JsonBody<NewRoleBody>,
) -> Result<(StatusCode, Tagged), ApiError> {
    let stored = state.broker.create_role(&caller, &body.name, body.permissions).await?;
    Ok((StatusCode::CREATED, tagged(stored.into())))
}

/// One role.
#[utoipa::path(get, path = "/admin/roles/{id}", tag = "administration", params(("id" = String, Path, description = "Its name.")),
    responses((status = 200, body = RoleView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    RoleNamed(name): RoleNamed,
) -> Result<Tagged, ApiError> {
    caller.require(Permission::ReadUsers)?;
    if let Some(role) = Role::built_in(name.as_str()) {
        return Ok(tagged(RoleView::built_in(&role)));
    }
    Ok(tagged(state.broker.custom_role(&caller, &name).await?.into()))
}

/// Changes what a role may, for everybody who has it.
#[utoipa::path(put, path = "/admin/roles/{id}", tag = "administration",
    params(("id" = String, Path, description = "Its name."), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    request_body = RoleBody,
    responses((status = 200, body = RoleView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    RoleNamed(name): RoleNamed,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<RoleBody>,
) -> Result<Tagged, ApiError> {
    let stored = state.broker.update_role(&caller, name.as_str(), version, body.permissions).await?;
    Ok(tagged(stored.into()))
}

/// Deletes a role that nobody has.
#[utoipa::path(delete, path = "/admin/roles/{id}", tag = "administration",
    params(("id" = String, Path, description = "Its name."), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    RoleNamed(name): RoleNamed,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    state.broker.delete_role(&caller, name.as_str(), version).await?;
    Ok(StatusCode::NO_CONTENT)
}
