//! "Refresh now" for one OAuth token: the answer is how it fares, or a problem with the reason.

use super::Problem;
use super::error::ApiError;
use crate::extract::{AdminCaller, Id};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::RefreshedNow;
use doorward_domain::{AccessTokenStatus, GrantId, Health, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// How an OAuth token fares after its refresh. No part of it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshedView {
    #[schema(value_type = String, format = "uuid")]
    id: GrantId,
    /// `valid`, `expiring_soon`, `expired`, `needs_authorization`, `uncertain` or `orphaned`.
    #[schema(value_type = String)]
    health: Health,
    /// `valid`, `expiring_soon` or `expired`, by the clock alone.
    #[schema(value_type = String)]
    access_token_status: AccessTokenStatus,
    /// None: no known end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When the provider ends the grant by its own rules, where they are known.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_refreshed_at: Option<Timestamp>,
}

/// Refreshes one OAuth token now. Needs the permission `revoke_grants`.
#[utoipa::path(post, path = "/admin/oauth/tokens/{id}/refresh", tag = "oauth tokens",
    params(("id" = String, Path, format = "uuid", description = "The token's id, as the list shows it.")),
    responses((status = 200, body = RefreshedView), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Only the user can mend it, by authorizing again.")))]
pub(crate) async fn refresh(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GrantId>,
) -> Result<Json<RefreshedView>, ApiError> {
    let refreshed = state.broker.refresh_now(&caller, id).await?;
    let RefreshedNow::Fresh(grant) = refreshed else { return Err(ApiError::NotRefreshed(refreshed)) };
    let (now, soon) = (state.broker.clock().now(), state.broker.policy().expiring_soon);
    Ok(Json(RefreshedView {
        id: grant.id,
        health: grant.health(now, soon),
        access_token_status: grant.access_token_status(now, soon),
        expires_at: grant.tokens.expires_at,
        ends_at: grant.ends_at,
        last_refreshed_at: grant.last_refreshed_at,
    }))
}
