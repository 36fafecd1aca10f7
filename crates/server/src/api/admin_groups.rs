//! Groups: people who are given access together.

use super::Problem;
use super::error::ApiError;
use super::views::{GroupView, Listed, UserView};
use crate::extract::{AdminCaller, Id, IfMatch, JsonBody, NoQuery, PageQuery, QueryOf, etag};
use crate::state::AppState;
use axum::Json;
use axum::extract::{Path, State};
use doorward_domain::{Group, GroupId, UserId};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

/// A group, new or renamed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupBody {
    /// 1 to 100 characters; no two groups have the same, in whatever case.
    name: String,
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<GroupView>);

fn tagged(group: Group) -> Tagged {
    ([(header::ETAG, etag(group.version))], Json(group.into()))
}

/// Every group, oldest first.
#[utoipa::path(get, path = "/admin/groups", tag = "administration", params(PageQuery),
    responses((status = 200, body = Listed<GroupView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Listed<GroupView>>, ApiError> {
    let groups = state.broker.groups(&caller, &query.page()?).await?;
    Ok(Json(Listed::of(groups, Into::into)))
}

/// Creates a group with nobody in it.
#[utoipa::path(post, path = "/admin/groups", tag = "administration", request_body = GroupBody,
    responses((status = 201, body = GroupView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    _: QueryOf<NoQuery>,
    JsonBody(body): JsonBody<GroupBody>,
) -> Result<(StatusCode, Tagged), ApiError> {
    let group = state.broker.create_group(&caller, &body.name).await?;
    Ok((StatusCode::CREATED, tagged(group)))
}

/// One group.
#[utoipa::path(get, path = "/admin/groups/{id}", tag = "administration", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = GroupView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GroupId>,
) -> Result<Tagged, ApiError> {
    Ok(tagged(state.broker.group(&caller, id).await?))
}

/// Renames a group.
#[utoipa::path(put, path = "/admin/groups/{id}", tag = "administration",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    request_body = GroupBody,
    responses((status = 200, body = GroupView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GroupId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<GroupBody>,
) -> Result<Tagged, ApiError> {
    Ok(tagged(state.broker.rename_group(&caller, id, version, &body.name).await?))
}

/// Deletes a group. Whoever had access by it alone loses it, and their grants are orphaned.
#[utoipa::path(delete, path = "/admin/groups/{id}", tag = "administration",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GroupId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    state.broker.delete_group(&caller, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The people in a group, oldest first.
#[utoipa::path(get, path = "/admin/groups/{id}/members", tag = "administration",
    params(("id" = String, Path, format = "uuid"), PageQuery),
    responses((status = 200, body = Listed<UserView>), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn members(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GroupId>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Listed<UserView>>, ApiError> {
    let members = state.broker.group_members(&caller, id, &query.page()?).await?;
    Ok(Json(Listed::of(members, Into::into)))
}

/// A group and a person, as the path names them.
fn both((group, person): (&str, &str)) -> Result<(GroupId, UserId), ApiError> {
    let wrong = |field| move |_| ApiError::bad_field(field, "is not an id");
    Ok((group.parse().map_err(wrong("id"))?, person.parse().map_err(wrong("user_id"))?))
}

/// Puts a person into a group; who is in it already stays.
#[utoipa::path(put, path = "/admin/groups/{id}/members/{user_id}", tag = "administration",
    params(("id" = String, Path, format = "uuid"), ("user_id" = String, Path, format = "uuid")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn join(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Path((id, user)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (group, user) = both((&id, &user))?;
    state.broker.join_group(&caller, group, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a person out of a group. Their grants at what they had access to by it alone are orphaned.
#[utoipa::path(delete, path = "/admin/groups/{id}/members/{user_id}", tag = "administration",
    params(("id" = String, Path, format = "uuid"), ("user_id" = String, Path, format = "uuid")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn leave(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Path((id, user)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (group, user) = both((&id, &user))?;
    state.broker.leave_group(&caller, group, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
