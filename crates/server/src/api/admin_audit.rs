//! The audit trail: newest first in pages, or oldest first as one file that can be verified by itself.

use super::Problem;
use super::audit_file::{FileFormat, Line};
use super::error::ApiError;
use super::export;
use super::views::{AuditEventView, Listed};
use crate::extract::{AdminCaller, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use doorward_domain::{Actor, GrantId, Timestamp, UserId};
use doorward_storage::AuditFilter;
use serde::Deserialize;
use std::sync::Arc;
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
    /// Who acted: a person's id, `anonymous`, `system` or `command_line`.
    actor: Option<String>,
    /// The time line of this grant, whether it lives or has ended.
    #[param(value_type = Option<String>, format = "uuid")]
    grant: Option<GrantId>,
    /// What the error that a client was shown calls the event.
    reference: Option<String>,
    /// The network address of whoever acted.
    address: Option<String>,
    /// From this moment on (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Before this moment (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Rows per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which events, and in which form. The filters are those of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// One JSON object a line, or CSV.
    #[serde(default)]
    #[param(inline)]
    format: FileFormat,
    /// How the action begins, e.g. `grant.`.
    action: Option<String>,
    /// Events by this person, or about what is theirs.
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    /// Who acted: a person's id, `anonymous`, `system` or `command_line`.
    actor: Option<String>,
    /// The time line of this grant, whether it lives or has ended.
    #[param(value_type = Option<String>, format = "uuid")]
    grant: Option<GrantId>,
    /// What the error that a client was shown calls the event.
    reference: Option<String>,
    /// The network address of whoever acted.
    address: Option<String>,
    /// From this moment on (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Before this moment (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/admin/audit", tag = "administration", params(AuditQuery),
    responses((status = 200, body = Listed<AuditEventView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Json<Listed<AuditEventView>>, ApiError> {
    let filter = AuditFilter {
        action_prefix: query.action,
        user: query.user,
        actor: query.actor.as_deref().map(actor).transpose()?,
        subject: query.grant.map(|grant| grant.to_string()),
        reference: query.reference,
        address: query.address,
        since: query.since,
        until: query.until,
    };
    let page = PageQuery::new(query.limit, query.cursor).page()?;
    let events = state.broker.audit_events(&caller, &filter, &page).await?;
    Ok(Json(Listed::of(events, Into::into)))
}

/// Who did what, oldest first, as one file. Each event carries its hash and the one before it, so that the file
/// can be verified by itself (docs/security.md). The export is itself an event.
#[utoipa::path(get, path = "/admin/audit/export", tag = "administration", params(ExportQuery),
    responses((status = 200, content((String = "application/x-ndjson"), (String = "text/csv"))),
        (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn export(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<ExportQuery>,
) -> Result<Response, ApiError> {
    let filter = AuditFilter {
        action_prefix: query.action,
        user: query.user,
        actor: query.actor.as_deref().map(actor).transpose()?,
        subject: query.grant.map(|grant| grant.to_string()),
        reference: query.reference,
        address: query.address,
        since: query.since,
        until: query.until,
    };
    let export = state.broker.export_audit(&caller, filter, query.format.word()).await?;
    let export = Arc::new(export);
    let page = move |cursor| {
        let export = Arc::clone(&export);
        async move { Ok(export.page(cursor).await?.map(Line::from)) }
    };
    export::stream(query.format, "doorward-audit", Line::COLUMNS, Line::cells, page).await
}

fn actor(text: &str) -> Result<Actor, ApiError> {
    match text {
        "anonymous" => Ok(Actor::Anonymous),
        "system" => Ok(Actor::System),
        "command_line" => Ok(Actor::CommandLine),
        id => id.parse().map(Actor::User).map_err(|_| {
            ApiError::bad_field("actor", "use a person's id, or anonymous, system or command_line")
        }),
    }
}
