//! What is left of grants that have ended, with their receipts.

use super::Problem;
use super::ended_view::{EndCauseName, EndedView, ReceiptName};
use super::error::ApiError;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_domain::{BulkJobId, EndCause, GatewayId, GrantId, Receipt, UserId};
use doorward_storage::EndedFilter;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which ended grants, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndedQuery {
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    #[param(value_type = Option<String>, format = "uuid")]
    gateway: Option<GatewayId>,
    #[param(value_type = Option<EndCauseName>)]
    cause: Option<EndCause>,
    #[param(value_type = Option<ReceiptName>)]
    receipt: Option<Receipt>,
    /// The bulk job that ended them.
    #[param(value_type = Option<String>, format = "uuid")]
    job: Option<BulkJobId>,
    /// Rows per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Recently ended grants, newest first. Permission: `read_grants`.
#[utoipa::path(get, path = "/admin/oauth/ended", tag = "OAuth tokens", params(EndedQuery),
    responses((status = 200, body = Listed<EndedView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<EndedQuery>,
) -> Result<Json<Listed<EndedView>>, ApiError> {
    let EndedQuery { user, gateway, cause, receipt, job, limit, cursor } = query;
    let filter = EndedFilter { user, gateway, cause, receipt, job };
    let page = PageQuery::new(limit, cursor).page()?;
    let ended = state.broker.ended_grants(&caller, &filter, &page).await?;
    Ok(Json(Listed::of(ended, Into::into)))
}

/// What is left of one grant. Permission: `read_grants`.
#[utoipa::path(get, path = "/admin/oauth/ended/{id}", tag = "OAuth tokens",
    params(("id" = String, Path, format = "uuid", description = "The id that the OAuth token had.")),
    responses((status = 200, body = EndedView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GrantId>,
) -> Result<Json<EndedView>, ApiError> {
    Ok(Json(state.broker.ended_grant(&caller, id).await?.into()))
}
