//! What the plots of the overview are drawn from: counts of the last day or month.

use super::Problem;
use super::error::ApiError;
use crate::extract::{AdminCaller, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_domain::{Tallies, TallySpan, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// How the document spells a span.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's TallySpan in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum TallySpanName {
    Day,
    Month,
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TallyQuery {
    /// 24 hours by the hour, or 30 days by the day.
    #[serde(default)]
    #[param(value_type = Option<TallySpanName>)]
    span: TallySpan,
}

/// Counts over time. Each list has a number for each step.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TalliesView {
    /// When each step begins, oldest first; the last one is under way. Days are those of UTC.
    #[schema(value_type = Vec<String>)]
    steps: Vec<Timestamp>,
    /// How many grants there were at the end of each step, by health.
    grants_by_health: BTreeMap<&'static str, Vec<u64>>,
    /// Refreshes that brought a fresh token, and those that did not.
    refreshed: Vec<u64>,
    refreshes_failed: Vec<u64>,
    /// Calls that were answered, by the slug of the gateway; those that are gone share one name.
    calls_by_gateway: BTreeMap<String, Vec<u64>>,
}

impl From<Tallies> for TalliesView {
    fn from(tallies: Tallies) -> Self {
        let grants = tallies.grants.into_iter().map(|series| (series.of.as_str(), series.counts));
        let calls = tallies.calls.into_iter().map(|series| (series.of, series.counts));
        Self {
            steps: tallies.steps,
            grants_by_health: grants.collect(),
            refreshed: tallies.refreshed.counts,
            refreshes_failed: tallies.failed.counts,
            calls_by_gateway: calls.collect(),
        }
    }
}

/// Grants by health, refreshes and calls over time. Permission: `read_grants`.
#[utoipa::path(get, path = "/admin/tallies", tag = "administration", params(TallyQuery),
    responses((status = 200, body = TalliesView), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<TallyQuery>,
) -> Result<Json<TalliesView>, ApiError> {
    Ok(Json(state.broker.tallies(&caller, query.span).await?.into()))
}
