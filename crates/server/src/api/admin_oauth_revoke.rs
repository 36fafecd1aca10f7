//! Ending other people's grants, one or many, and forcing a new authorization.

use super::Problem;
use super::admin_oauth_jobs::JobView;
use super::ended_view::{EndedView, ProviderEndName};
use super::error::ApiError;
use crate::extract::{AdminCaller, Id, JsonBody, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorward_broker::{BulkOrder, BulkPreview, Caller};
use doorward_domain::{BulkKind, GrantChoice, GrantFilter, GrantId, ProviderEnd};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How it is ended.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevokeQuery {
    /// `unless_wide`: the provider is told, unless that would end more than this grant there. `there_too`: whatever
    /// else ends. `here_only`: it is not told.
    #[serde(default)]
    #[param(value_type = Option<ProviderEndName>)]
    provider: ProviderEnd,
    /// Why, in one line; it stays with the record.
    #[param(max_length = 500)]
    reason: Option<String>,
}

/// Which grants of all users.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManyBody {
    /// These; or else a filter.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    ids: Option<Vec<GrantId>>,
    /// Those that pass it; it must say something.
    #[schema(value_type = Option<GrantFilterBody>)]
    filter: Option<GrantFilter>,
    /// Only count and name what would be meant; nothing happens.
    #[serde(default)]
    dry_run: bool,
    /// How many are meant; without `dry_run` it must be given and right.
    expected_count: Option<u64>,
    /// Why, in one line; without `dry_run` it must be given.
    #[schema(max_length = 500)]
    reason: Option<String>,
    /// What is done about the providers; see `DELETE /admin/oauth/tokens/{id}`. Not for a new authorization.
    #[schema(value_type = Option<ProviderEndName>)]
    provider: Option<ProviderEnd>,
}

/// How the document spells the filter.
#[derive(ToSchema)]
#[expect(dead_code, reason = "stands for the domain's GrantFilter in the OpenAPI document")]
pub(crate) struct GrantFilterBody {
    #[schema(format = "uuid")]
    user: Option<String>,
    #[schema(format = "uuid")]
    gateway: Option<String>,
    /// The issuer, or the token endpoint's origin.
    provider: Option<String>,
    /// `valid`, `expiring_soon`, `expired`, `needs_authorization`, `uncertain` or `orphaned`.
    health: Option<String>,
    /// `valid`, `expiring_soon` or `expired`.
    access_token_status: Option<String>,
    /// How the e-mail address or name of the user, or the slug or name of the gateway begins.
    q: Option<String>,
}

/// What an order would mean.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewView {
    /// Give it as `expected_count`.
    count: u64,
    /// The first hundred of them.
    grants: Vec<ChosenView>,
}

/// A grant that would be meant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChosenView {
    #[schema(value_type = String, format = "uuid")]
    id: GrantId,
    /// None: the gateway's own.
    user_email: Option<String>,
    gateway_slug: String,
}

impl From<BulkPreview> for PreviewView {
    fn from(preview: BulkPreview) -> Self {
        let view = |grant: doorward_storage::ChosenGrant| ChosenView {
            id: grant.id,
            user_email: grant.user_email,
            gateway_slug: grant.gateway_slug,
        };
        Self { count: preview.count, grants: preview.grants.into_iter().map(view).collect() }
    }
}

/// Ends one grant: no later call is served, on any replica. The provider is told afterwards; the receipt says what
/// is known of that. Permission: `revoke_grants`.
#[utoipa::path(delete, path = "/admin/oauth/tokens/{id}", tag = "OAuth tokens",
    params(("id" = String, Path, format = "uuid"), RevokeQuery),
    responses((status = 200, body = EndedView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GrantId>,
    QueryOf(query): QueryOf<RevokeQuery>,
) -> Result<Json<EndedView>, ApiError> {
    let ended = state.broker.revoke(&caller, id, query.reason.as_deref(), query.provider).await?;
    Ok(Json(ended.into()))
}

/// Ends many grants. With `dry_run` it says which; without, it wants the number that was seen and a reason. The
/// answer waits up to 25 seconds for the end; a job that takes longer goes on. Permission: `revoke_grants`.
#[utoipa::path(post, path = "/admin/oauth/tokens/revoke", tag = "OAuth tokens", request_body = ManyBody,
    responses((status = 200, body = PreviewView, description = "A dry run."), (status = 201, body = JobView),
        (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem, description = "Another number of OAuth tokens is meant.")))]
pub(crate) async fn revoke_many(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    JsonBody(body): JsonBody<ManyBody>,
) -> Result<Response, ApiError> {
    many(&state, &caller, BulkKind::Revoke, body).await
}

/// Makes a grant ask its user to authorize again at the next use; nothing else ends. Permission: `revoke_grants`.
#[utoipa::path(post, path = "/admin/oauth/tokens/{id}/reauthorize", tag = "OAuth tokens",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn reauthorize(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GrantId>,
) -> Result<StatusCode, ApiError> {
    state.broker.require_authorization(&caller, id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes many grants ask their users to authorize again, as with a revoke of many. Permission: `revoke_grants`.
#[utoipa::path(post, path = "/admin/oauth/tokens/reauthorize", tag = "OAuth tokens", request_body = ManyBody,
    responses((status = 200, body = PreviewView, description = "A dry run."), (status = 201, body = JobView),
        (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem, description = "Another number of OAuth tokens is meant.")))]
pub(crate) async fn reauthorize_many(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    JsonBody(body): JsonBody<ManyBody>,
) -> Result<Response, ApiError> {
    if body.provider.is_some() {
        return Err(ApiError::bad_field(
            "provider",
            "is for a revoke: nobody is told of a new authorization",
        ));
    }
    many(&state, &caller, BulkKind::Reauthorize, body).await
}

async fn many(
    state: &AppState,
    caller: &Caller,
    kind: BulkKind,
    body: ManyBody,
) -> Result<Response, ApiError> {
    let choice = match (body.ids, body.filter) {
        (Some(ids), None) => GrantChoice::Ids(ids),
        (None, Some(filter)) => GrantChoice::Filter(filter),
        _ => return Err(ApiError::bad_field("ids", "give either ids or a filter")),
    };
    if body.dry_run {
        let preview = state.broker.preview_bulk(caller, &choice).await?;
        return Ok(Json(PreviewView::from(preview)).into_response());
    }
    let expected = body.expected_count.ok_or_else(|| {
        ApiError::bad_field("expected_count", "say how many are meant: dry_run counts them")
    })?;
    let reason = body.reason.ok_or_else(|| ApiError::bad_field("reason", "say why"))?;
    let provider = body.provider.unwrap_or_default();
    let job = state.broker.order_bulk(caller, BulkOrder { kind, choice, reason, provider, expected }).await?;
    Ok((StatusCode::CREATED, Json(JobView::from(job))).into_response())
}
