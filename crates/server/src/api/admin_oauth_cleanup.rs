//! Cleanup: what it does, what it has done, what it holds, and running it now.

use super::Problem;
use super::error::ApiError;
use crate::extract::{AdminCaller, JsonBody, NoQuery, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{CleanupOrder, CleanupOverview};
use doorward_domain::{
    Actor, CleanupRun, CleanupRunId, CleanupState, CleanupTrigger, HoldReason, Page, SweptKind, Timestamp,
    UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// A caller waits so long for a run; after that it is `running`, and the list tells its end.
const PATIENCE: Duration = Duration::from_secs(25);

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// The settings in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CleanupSettingsView {
    /// Whether it runs by itself.
    enabled: bool,
    interval_hours: u64,
    retention_days: u64,
    /// Stale grants that could still be refreshed are spared.
    keep_refreshable: bool,
    /// None: nothing ends for being idle.
    idle_revoke_days: Option<u64>,
    orphan_grace_days: u64,
    audit_retention_days: u64,
}

/// Grants by the names that people know them by.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantNamesView {
    /// None: the gateway's own grant.
    user: Option<String>,
    gateway: String,
}

/// One run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CleanupRunView {
    #[schema(value_type = String, format = "uuid")]
    id: CleanupRunId,
    /// `scheduled`, `manual` or `command_line`.
    #[schema(value_type = String)]
    trigger: CleanupTrigger,
    /// The person who started it, if it was one.
    #[schema(value_type = Option<String>, format = "uuid")]
    started_by: Option<UserId>,
    /// It counted and changed nothing.
    dry_run: bool,
    /// `running`, `done` or `failed`.
    #[schema(value_type = String)]
    state: CleanupState,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Rows by kind: swept, or for a dry run, to be swept.
    #[schema(value_type = BTreeMap<String, u64>)]
    counts: BTreeMap<SweptKind, u64>,
    /// Grants left for an administrator's word.
    held_count: u64,
    /// `too_many`, `restored` or `clock_jumped`.
    #[schema(value_type = Option<String>)]
    hold_reason: Option<HoldReason>,
    /// The run whose held grants this one was told to end.
    #[schema(value_type = Option<String>, format = "uuid")]
    confirms: Option<CleanupRunId>,
    /// Some of the grants that are held, or that a dry run would end.
    sample: Vec<GrantNamesView>,
    /// The longest that one batch took.
    slowest_batch_ms: u64,
    error: Option<String>,
}

impl From<CleanupRun> for CleanupRunView {
    fn from(run: CleanupRun) -> Self {
        let names = run.sample.into_iter();
        Self {
            id: run.id,
            trigger: run.trigger,
            started_by: match run.actor {
                Actor::User(id) => Some(id),
                Actor::Anonymous | Actor::System | Actor::CommandLine => None,
            },
            dry_run: run.dry_run,
            state: run.state,
            started_at: run.started_at,
            finished_at: run.finished_at,
            counts: run.counts,
            held_count: run.held_count,
            hold_reason: run.hold_reason,
            confirms: run.confirms,
            sample: names
                .map(|names| GrantNamesView { user: names.user_email, gateway: names.gateway_slug })
                .collect(),
            slowest_batch_ms: run.slowest_batch_ms,
            error: run.error,
        }
    }
}

/// How cleanup fares, and a page of its runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CleanupView {
    settings: CleanupSettingsView,
    /// None: it does not run by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_run_at: Option<Timestamp>,
    /// When the last run began that swept to its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success_at: Option<Timestamp>,
    /// The run that holds grants until `confirm_held`; none: nothing is held.
    held: Option<CleanupRunView>,
    /// What is wrong, in a sentence, when the last run is too long ago.
    overdue: Option<String>,
    items: Vec<CleanupRunView>,
    /// Give it as `cursor` for the next page; none on the last.
    next_cursor: Option<String>,
}

impl CleanupView {
    fn new(overview: CleanupOverview, runs: Page<CleanupRun>) -> Self {
        let cleanup = &overview.policy.cleanup;
        let days = |time: Duration| time.as_secs() / DAY;
        Self {
            settings: CleanupSettingsView {
                enabled: cleanup.enabled,
                interval_hours: cleanup.interval.as_secs() / HOUR,
                retention_days: days(cleanup.retention),
                keep_refreshable: cleanup.keep_refreshable,
                idle_revoke_days: cleanup.idle_revoke.map(days),
                orphan_grace_days: days(cleanup.orphan_grace),
                audit_retention_days: days(overview.policy.audit_retention),
            },
            next_run_at: overview.next_run_at,
            last_success_at: overview.last_finished.as_ref().map(|run| run.started_at),
            held: overview.last_finished.filter(|run| run.hold_reason.is_some()).map(Into::into),
            overdue: overview.overdue,
            items: runs.items.into_iter().map(Into::into).collect(),
            next_cursor: runs.next_cursor,
        }
    }
}

/// What to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CleanupBody {
    /// Count and name, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// End the grants that the last run held.
    #[serde(default)]
    confirm_held: bool,
    /// With `confirm_held`: the `held_count` that you have seen.
    expected_count: Option<u64>,
}

/// How cleanup fares, and its last runs, newest first. Needs the permission `run_cleanup`.
#[utoipa::path(get, path = "/admin/oauth/cleanup", tag = "administration", params(PageQuery),
    responses((status = 200, body = CleanupView), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn show(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<CleanupView>, ApiError> {
    let overview = state.broker.cleanup_overview(&caller).await?;
    let runs = state.broker.cleanup_runs(&caller, &query.page()?).await?;
    Ok(Json(CleanupView::new(overview, runs)))
}

/// Runs cleanup now and waits for its end, 25 seconds at most; then it is still `running` and goes on. Needs
/// the permission `run_cleanup`.
#[utoipa::path(post, path = "/admin/oauth/cleanup", tag = "administration", request_body = CleanupBody,
    responses((status = 200, body = CleanupRunView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem)))]
pub(crate) async fn run(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    _: QueryOf<NoQuery>,
    JsonBody(body): JsonBody<CleanupBody>,
) -> Result<Json<CleanupRunView>, ApiError> {
    let CleanupBody { dry_run, confirm_held, expected_count } = body;
    let order = CleanupOrder { dry_run, confirm_held, expected_count };
    let mut started = state.broker.start_cleanup(&caller, order).await?;
    let run = match tokio::time::timeout(PATIENCE, started.finished()).await {
        Ok(finished) => finished?,
        Err(_) => state.broker.cleanup_run(&caller, started.id).await?,
    };
    Ok(Json(run.into()))
}
