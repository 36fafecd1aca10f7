//! The audit trail, newest first.

use super::Problem;
use super::error::ApiError;
use super::views::{AuditEventView, Listed};
use crate::extract::{AdminCaller, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_domain::UserId;
use doorward_storage::AuditFilter;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which events, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// How the action begins, e.g. `grant.`.
    action: Option<String>,
    /// Events by this person, or about what is theirs.
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    /// Rows per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/admin/audit", tag = "administration", params(AuditQuery),
    responses((status = 200, body = Listed<AuditEventView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Json<Listed<AuditEventView>>, ApiError> {
    let filter = AuditFilter { action_prefix: query.action, user: query.user, ..AuditFilter::default() };
    let page = PageQuery::new(query.limit, query.cursor).page()?;
    let events = state.broker.audit_events(&caller, &filter, &page).await?;
    Ok(Json(Listed::of(events, Into::into)))
}
