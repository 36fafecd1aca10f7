//! What is left of grants that have ended, with their receipts.

use super::Problem;
use super::audit_file::FileFormat;
use super::ended_view::{EndCauseName, EndedDetailsView, EndedView, ReceiptName};
use super::error::ApiError;
use super::export;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use doorward_domain::{BulkJobId, EndCause, GatewayId, GrantId, PageRequest, Receipt, UserId};
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

/// What is left of one grant, with its time line. Permission: `read_grants`.
#[utoipa::path(get, path = "/admin/oauth/ended/{id}", tag = "OAuth tokens",
    params(("id" = String, Path, format = "uuid", description = "The id that the OAuth token had.")),
    responses((status = 200, body = EndedDetailsView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GrantId>,
) -> Result<Json<EndedDetailsView>, ApiError> {
    Ok(Json(state.broker.ended_details(&caller, id).await?.into()))
}

/// Which ended grants, and as what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndedExportQuery {
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    #[param(value_type = Option<String>, format = "uuid")]
    gateway: Option<GatewayId>,
    #[param(value_type = Option<EndCauseName>)]
    cause: Option<EndCause>,
    #[param(value_type = Option<ReceiptName>)]
    receipt: Option<Receipt>,
    #[param(value_type = Option<String>, format = "uuid")]
    job: Option<BulkJobId>,
    /// One JSON object a line, or CSV.
    #[serde(default)]
    #[param(inline)]
    format: FileFormat,
}

/// The columns of the CSV export.
const COLUMNS: [&str; 18] = [
    "id",
    "user_id",
    "user_email",
    "gateway_id",
    "gateway_slug",
    "provider",
    "account",
    "scopes",
    "authorized_at",
    "last_used_at",
    "ended_at",
    "cause",
    "reason",
    "actor",
    "actor_id",
    "receipt",
    "receipt_detail",
    "receipt_at",
];

/// Recently ended grants that a filter lets pass, newest first, as one file. Permission: `read_grants`.
#[utoipa::path(get, path = "/admin/oauth/ended/export", tag = "OAuth tokens", params(EndedExportQuery),
    responses((status = 200, description = "The rows, one a line.", content((String = "application/x-ndjson"), (String = "text/csv"))),
        (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn export(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<EndedExportQuery>,
) -> Result<Response, ApiError> {
    let EndedExportQuery { user, gateway, cause, receipt, job, format } = query;
    let filter = EndedFilter { user, gateway, cause, receipt, job };
    let page = move |cursor| {
        let (broker, caller, filter) = (state.broker.clone(), caller.clone(), filter.clone());
        async move {
            let request = PageRequest { limit: export::BATCH, cursor };
            Ok(broker.ended_grants(&caller, &filter, &request).await?.map(EndedView::from))
        }
    };
    export::stream(format, "ended-oauth-tokens", COLUMNS, |ended| export::cells_at(ended, COLUMNS), page)
        .await
}
