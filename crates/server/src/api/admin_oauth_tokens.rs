//! All grants, which REST and pages call OAuth tokens: the list, one of them closely, counts, export.

use super::Problem;
use super::audit_file::FileFormat;
use super::error::ApiError;
use super::export;
use super::oauth_token_view::{AccessTokenStatusName, HealthName, OAuthTokenDetailsView, OAuthTokenView};
use super::views::Listed;
use crate::extract::{AdminCaller, Id, NoQuery, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use doorward_domain::{
    AccessTokenStatus, GatewayId, GrantCounts, GrantFilter, GrantId, GrantSort, GrantSortColumn, Health,
    PageRequest, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The longest text of a filter, in bytes.
const TEXT_MAX: usize = 2_000;

/// By what the list is sorted; `-` puts the latest first.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
pub(crate) enum SortName {
    #[serde(rename = "created_at")]
    CreatedAt,
    #[default]
    #[serde(rename = "-created_at")]
    NewestFirst,
    #[serde(rename = "last_used_at")]
    LastUsedAt,
    #[serde(rename = "-last_used_at")]
    LatestUseFirst,
    #[serde(rename = "expires_at")]
    ExpiresAt,
    #[serde(rename = "-expires_at")]
    LatestEndFirst,
}

impl From<SortName> for GrantSort {
    fn from(name: SortName) -> Self {
        let (column, descending) = match name {
            SortName::CreatedAt => (GrantSortColumn::CreatedAt, false),
            SortName::NewestFirst => (GrantSortColumn::CreatedAt, true),
            SortName::LastUsedAt => (GrantSortColumn::LastUsedAt, false),
            SortName::LatestUseFirst => (GrantSortColumn::LastUsedAt, true),
            SortName::ExpiresAt => (GrantSortColumn::ExpiresAt, false),
            SortName::LatestEndFirst => (GrantSortColumn::ExpiresAt, true),
        };
        Self { column, descending }
    }
}

/// Which OAuth tokens, in what order, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TokensQuery {
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    #[param(value_type = Option<String>, format = "uuid")]
    gateway: Option<GatewayId>,
    /// The issuer, or where none is known the token endpoint's origin.
    provider: Option<String>,
    #[param(value_type = Option<HealthName>)]
    health: Option<Health>,
    #[param(value_type = Option<AccessTokenStatusName>)]
    access_token_status: Option<AccessTokenStatus>,
    /// How the user's e-mail address or name, or the gateway's slug or name begins.
    q: Option<String>,
    /// `created_at`, `last_used_at` or `expires_at`; with `-`, the latest first. Tokens that were never used come
    /// before all others, those without a known end after all others.
    #[serde(default)]
    #[param(value_type = Option<SortName>)]
    sort: SortName,
    /// Rows per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before; good for the same sort only.
    cursor: Option<String>,
}

/// Which OAuth tokens, and as what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TokensExportQuery {
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    #[param(value_type = Option<String>, format = "uuid")]
    gateway: Option<GatewayId>,
    provider: Option<String>,
    #[param(value_type = Option<HealthName>)]
    health: Option<Health>,
    #[param(value_type = Option<AccessTokenStatusName>)]
    access_token_status: Option<AccessTokenStatus>,
    q: Option<String>,
    /// One JSON object a line, or CSV.
    #[serde(default)]
    #[param(inline)]
    format: FileFormat,
}

/// An empty text is no filter: forms send one for a field that is left empty.
fn checked(filter: GrantFilter) -> Result<GrantFilter, ApiError> {
    let text = |name: &str, text: Option<String>| match text {
        Some(text) if text.len() > TEXT_MAX => {
            Err(ApiError::bad_field(name, format!("has more than {TEXT_MAX} bytes")))
        }
        text => Ok(text.filter(|text| !text.is_empty())),
    };
    let provider = text("provider", filter.provider)?;
    let q = text("q", filter.q)?;
    Ok(GrantFilter { provider, q, ..filter })
}

/// The OAuth tokens of everybody, without a token's value, or a part or hash of one.
#[utoipa::path(get, path = "/admin/oauth/tokens", tag = "OAuth tokens", params(TokensQuery),
    responses((status = 200, body = Listed<OAuthTokenView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<TokensQuery>,
) -> Result<Json<Listed<OAuthTokenView>>, ApiError> {
    let filter = checked(GrantFilter {
        user: query.user,
        gateway: query.gateway,
        provider: query.provider,
        health: query.health,
        access_token_status: query.access_token_status,
        q: query.q,
    })?;
    let page = PageQuery::new(query.limit, query.cursor).page()?;
    let grants = state.broker.list_grants(&caller, &filter, query.sort.into(), &page).await?;
    Ok(Json(Listed::of(grants, Into::into)))
}

/// One OAuth token with all that is known of it but its value, and with its time line.
#[utoipa::path(get, path = "/admin/oauth/tokens/{id}", tag = "OAuth tokens", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = OAuthTokenDetailsView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GrantId>,
    _: QueryOf<NoQuery>,
) -> Result<Json<OAuthTokenDetailsView>, ApiError> {
    Ok(Json(state.broker.grant_details(&caller, id).await?.into()))
}

/// How many OAuth tokens there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenCountsView {
    /// When they were counted: five seconds ago at most.
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
    total: u64,
    health: BTreeMap<&'static str, u64>,
    access_token_status: BTreeMap<&'static str, u64>,
}

impl From<&GrantCounts> for TokenCountsView {
    fn from(counts: &GrantCounts) -> Self {
        let health = [
            ("valid", Health::Valid),
            ("expiring_soon", Health::ExpiringSoon),
            ("expired", Health::Expired),
            ("needs_authorization", Health::NeedsAuthorization),
            ("uncertain", Health::Uncertain),
            ("orphaned", Health::Orphaned),
        ];
        let status = [
            ("valid", AccessTokenStatus::Valid),
            ("expiring_soon", AccessTokenStatus::ExpiringSoon),
            ("expired", AccessTokenStatus::Expired),
        ];
        Self {
            as_of: counts.as_of,
            total: counts.total(),
            health: health.map(|(word, health)| (word, counts.of_health(health))).into(),
            access_token_status: status.map(|(word, status)| (word, counts.of_status(status))).into(),
        }
    }
}

/// How many OAuth tokens there are, by health and by the access token's status.
#[utoipa::path(get, path = "/admin/oauth/tokens/counts", tag = "OAuth tokens",
    responses((status = 200, body = TokenCountsView), (status = 403, body = Problem)))]
pub(crate) async fn counts(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
) -> Result<Json<TokenCountsView>, ApiError> {
    Ok(Json((&*state.broker.grant_counts(&caller).await?).into()))
}

/// The columns of the CSV export.
const COLUMNS: [&str; 23] = [
    "id",
    "user.id",
    "user.email",
    "user.name",
    "gateway.id",
    "gateway.slug",
    "gateway.name",
    "provider",
    "account.subject",
    "account.name",
    "label",
    "scopes",
    "health",
    "health_reason",
    "access_token_status",
    "expires_at",
    "ends_at",
    "refreshable",
    "last_used_at",
    "last_refreshed_at",
    "created_at",
    "authorized_at",
    "deposited_by",
];

/// The OAuth tokens that a filter lets pass, oldest first, as one file.
#[utoipa::path(get, path = "/admin/oauth/tokens/export", tag = "OAuth tokens", params(TokensExportQuery),
    responses((status = 200, description = "The rows, one a line.", content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn export(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<TokensExportQuery>,
) -> Result<Response, ApiError> {
    let filter = checked(GrantFilter {
        user: query.user,
        gateway: query.gateway,
        provider: query.provider,
        health: query.health,
        access_token_status: query.access_token_status,
        q: query.q,
    })?;
    let oldest_first = GrantSort { column: GrantSortColumn::CreatedAt, descending: false };
    let page = move |cursor| {
        let (broker, caller, filter) = (state.broker.clone(), caller.clone(), filter.clone());
        async move {
            let request = PageRequest { limit: export::BATCH, cursor };
            let page = broker.list_grants(&caller, &filter, oldest_first, &request).await?;
            Ok(page.map(OAuthTokenView::from))
        }
    };
    export::stream(query.format, "oauth-tokens", COLUMNS, |token| export::cells_at(token, COLUMNS), page)
        .await
}
