//! Who is calling.

use crate::cookies;
use crate::csrf;
use crate::extract::OwnCaller;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_domain::{Permission, UserId};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    email: String,
    name: String,
    /// A built-in one, or the name of one in `/admin/roles`.
    role: String,
    #[schema(value_type = Vec<String>)]
    permissions: Vec<Permission>,
    /// The API token's audience; none for a browser session.
    audience: Option<&'static str>,
    /// What unsafe methods need as `X-CSRF-Token`; for browser sessions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
}

/// Who is calling, and what they may do.
#[utoipa::path(get, path = "/me", tag = "me",
    responses((status = 200, body = Me), (status = 401, body = super::Problem), (status = 403, body = super::Problem)))]
pub(crate) async fn me(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    headers: HeaderMap,
) -> Json<Me> {
    let audience = caller.audience().map(doorward_domain::Audience::as_str);
    let session = state.facts.cookies.text(&headers, cookies::SESSION).filter(|_| audience.is_none());
    Json(Me {
        id: caller.user.id,
        email: caller.user.email.clone(),
        name: caller.user.name.clone(),
        role: caller.user.role.as_str().to_owned(),
        permissions: caller.user.role.permissions().to_vec(),
        audience,
        csrf_token: session.map(csrf::token),
    })
}
