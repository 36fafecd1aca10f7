//! Bulk jobs: how far they have come, and what became of each grant.

use super::Problem;
use super::ended_view::ReceiptName;
use super::error::ApiError;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_domain::{
    BulkJob, BulkJobId, BulkJobRow, BulkKind, BulkResult, GrantId, ProviderEnd, Receipt, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

/// An order about many grants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobView {
    /// `GET /admin/oauth/jobs/{id}` says how far it has come.
    #[schema(value_type = String, format = "uuid")]
    id: BulkJobId,
    /// `revoke` or `reauthorize`.
    #[schema(value_type = String)]
    kind: BulkKind,
    /// `running` or `done`.
    state: &'static str,
    reason: String,
    #[schema(value_type = super::ended_view::ProviderEndName)]
    provider: ProviderEnd,
    total: u64,
    /// Their turn has not come.
    waiting: u64,
    done: u64,
    /// They had ended before their turn came.
    gone: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

/// A job with a page of its grants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobWithRows {
    #[serde(flatten)]
    job: JobView,
    rows: Listed<JobRowView>,
}

/// One grant of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobRowView {
    #[schema(value_type = String, format = "uuid")]
    grant_id: GrantId,
    /// None: the gateway's own.
    user_email: Option<String>,
    gateway_slug: String,
    /// `waiting`, `done` or `gone`.
    #[schema(value_type = String)]
    result: BulkResult,
    /// What is known of the provider's side, once the grant has ended.
    #[schema(value_type = Option<ReceiptName>)]
    receipt: Option<Receipt>,
    receipt_detail: Option<String>,
}

impl From<BulkJob> for JobView {
    fn from(job: BulkJob) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            state: if job.finished_at.is_some() { "done" } else { "running" },
            reason: job.reason,
            provider: job.provider,
            total: job.waiting + job.done + job.gone,
            waiting: job.waiting,
            done: job.done,
            gone: job.gone,
            created_at: job.created_at,
            finished_at: job.finished_at,
        }
    }
}

impl From<BulkJobRow> for JobRowView {
    fn from(row: BulkJobRow) -> Self {
        Self {
            grant_id: row.grant_id,
            user_email: row.user_email,
            gateway_slug: row.gateway_slug,
            result: row.result,
            receipt: row.receipt,
            receipt_detail: row.receipt_detail,
        }
    }
}

/// How far a job has come, with a page of its grants. Permission: `read_grants`.
#[utoipa::path(get, path = "/admin/oauth/jobs/{id}", tag = "OAuth tokens",
    params(("id" = String, Path, format = "uuid"), PageQuery),
    responses((status = 200, body = JobWithRows), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<BulkJobId>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<JobWithRows>, ApiError> {
    let (job, rows) = state.broker.bulk_job(&caller, id, &query.page()?).await?;
    Ok(Json(JobWithRows { job: job.into(), rows: Listed::of(rows, Into::into) }))
}
