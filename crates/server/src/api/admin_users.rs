//! People. An administrator never learns another person's password: that goes by a reset link.

use super::Problem;
use super::error::ApiError;
use super::views::{Listed, UserStateName, UserView};
use crate::extract::{AdminCaller, Id, IfMatch, JsonBody, NoQuery, PageQuery, QueryOf, etag};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{NewUser, UserEdit};
use doorward_domain::{Role, User, UserId, UserState};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A person to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUserBody {
    email: String,
    /// The e-mail address, where it is left out.
    #[serde(default)]
    name: String,
    /// A built-in one, or the name of one in `/admin/roles`.
    #[serde(default = "an_ordinary_user")]
    role: String,
}

fn an_ordinary_user() -> String {
    Role::User.as_str().to_owned()
}

/// An edit of a person: what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserEditBody {
    email: Option<String>,
    name: Option<String>,
    /// A built-in one, or the name of one in `/admin/roles`. You give what you hold yourself, and no more.
    role: Option<String>,
    #[schema(value_type = Option<UserStateName>)]
    state: Option<UserState>,
}

/// What a reset link is to do.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResetLinkQuery {
    /// For who has lost both their app and their recovery codes: it goes with the old password.
    #[serde(default)]
    #[param(default = false)]
    remove_second_factor: bool,
}

/// A one-time link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResetLinkView {
    /// Good for one hour and one use: hand it to the person, and to nobody else.
    url: String,
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<UserView>);

fn tagged(user: User) -> Tagged {
    ([(header::ETAG, etag(user.version))], Json(user.into()))
}

/// Everybody, oldest first.
#[utoipa::path(get, path = "/admin/users", tag = "administration", params(PageQuery),
    responses((status = 200, body = Listed<UserView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Listed<UserView>>, ApiError> {
    let users = state.broker.users(&caller, &query.page()?).await?;
    Ok(Json(Listed::of(users, Into::into)))
}

/// Creates a person. Nobody sets another person's password: hand them a reset link, by which they choose their own.
#[utoipa::path(post, path = "/admin/users", tag = "administration", request_body = NewUserBody,
    responses((status = 201, body = UserView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    _: QueryOf<NoQuery>,
    JsonBody(body): JsonBody<NewUserBody>,
) -> Result<(StatusCode, Tagged), ApiError> {
    let role = state.broker.role_named(&caller, &body.role).await?;
    let new = NewUser { email: body.email, name: body.name, role, password: None };
    let user = state.broker.create_user(&caller, new).await?;
    Ok((StatusCode::CREATED, tagged(user)))
}

/// One person.
#[utoipa::path(get, path = "/admin/users/{id}", tag = "administration", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = UserView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<UserId>,
) -> Result<Tagged, ApiError> {
    Ok(tagged(state.broker.user(&caller, id).await?))
}

/// Edits a person. Disabling ends their sessions and API tokens.
#[utoipa::path(put, path = "/admin/users/{id}", tag = "administration",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    request_body = UserEditBody,
    responses((status = 200, body = UserView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<UserId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<UserEditBody>,
) -> Result<Tagged, ApiError> {
    let role = match &body.role {
        Some(name) => Some(state.broker.role_named(&caller, name).await?),
        None => None,
    };
    let edit = UserEdit { email: body.email, name: body.name, role, state: body.state };
    Ok(tagged(state.broker.update_user(&caller, id, version, edit).await?))
}

/// Deletes a person and ends all that was theirs.
#[utoipa::path(delete, path = "/admin/users/{id}", tag = "administration",
    params(("id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<UserId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    state.broker.delete_user(&caller, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a link by which one person sets a new password. A second factor stays, unless the link is to remove it too.
#[utoipa::path(post, path = "/admin/users/{id}/reset-link", tag = "administration",
    params(("id" = String, Path, format = "uuid"), ResetLinkQuery),
    responses((status = 201, body = ResetLinkView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn reset_link(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<UserId>,
    QueryOf(query): QueryOf<ResetLinkQuery>,
) -> Result<(StatusCode, Json<ResetLinkView>), ApiError> {
    let url = state.broker.create_reset_link(&caller, id, query.remove_second_factor).await?.into();
    Ok((StatusCode::CREATED, Json(ResetLinkView { url })))
}
