//! Where a person is signed in: one's own logins, and those of others for who manages people.

use super::Problem;
use super::error::ApiError;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, OwnCaller};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::SignedIn;
use doorward_domain::{BrowserSessionId, Timestamp, UserId};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A login in a browser.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrowserSessionView {
    #[schema(value_type = String, format = "uuid")]
    id: BrowserSessionId,
    /// Where the login came from.
    address: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// When the person last showed a password or a code.
    #[schema(value_type = String, format = DateTime)]
    authenticated_at: Timestamp,
    /// It ends then, if no request comes before.
    #[schema(value_type = String, format = DateTime)]
    ends_unused_at: Timestamp,
    /// It ends then at the latest, however much it is used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// It is the session that asks.
    current: bool,
}

impl From<SignedIn> for BrowserSessionView {
    fn from(signed_in: SignedIn) -> Self {
        let SignedIn { session, here, ends_unused_at, ends_at_the_latest } = signed_in;
        Self {
            id: session.id,
            address: session.address,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            authenticated_at: session.authenticated_at,
            ends_unused_at,
            expires_at: ends_at_the_latest,
            current: here,
        }
    }
}

fn listed(sessions: Vec<SignedIn>) -> Json<Listed<BrowserSessionView>> {
    Json(Listed { items: sessions.into_iter().map(Into::into).collect(), next_cursor: None })
}

/// Where you are signed in, the last used first.
#[utoipa::path(get, path = "/sessions", tag = "browser sessions",
    responses((status = 200, body = Listed<BrowserSessionView>), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
) -> Result<Json<Listed<BrowserSessionView>>, ApiError> {
    Ok(listed(state.broker.own_browser_sessions(&caller).await?))
}

/// Ends one of your logins, at once.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "browser sessions", params(("id" = String, Path, format = "uuid")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn end(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<BrowserSessionId>,
) -> Result<StatusCode, ApiError> {
    state.broker.end_own_browser_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a person is signed in. Permission: `read_users`.
#[utoipa::path(get, path = "/admin/users/{id}/sessions", tag = "administration", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = Listed<BrowserSessionView>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn list_of(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<UserId>,
) -> Result<Json<Listed<BrowserSessionView>>, ApiError> {
    Ok(listed(state.broker.browser_sessions_of(&caller, id).await?.1))
}

/// Ends anybody's login, at once. Permission: `manage_users`.
#[utoipa::path(delete, path = "/admin/sessions/{id}", tag = "administration", params(("id" = String, Path, format = "uuid")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn end_any(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<BrowserSessionId>,
) -> Result<StatusCode, ApiError> {
    state.broker.end_any_browser_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
