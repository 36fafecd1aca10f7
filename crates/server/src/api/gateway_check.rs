//! The setup doctor of a gateway.

use super::Problem;
use super::error::ApiError;
use crate::extract::{AdminCaller, Id};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::{CheckFinding, CheckVerdict};
use doorward_domain::GatewayId;
use serde::Serialize;
use utoipa::ToSchema;

/// What the doctor found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GatewayCheckView {
    /// Whether nothing is wrong.
    passes: bool,
    findings: Vec<CheckFindingView>,
}

/// One finding.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckFindingView {
    verdict: CheckVerdictName,
    /// What was looked at, such as `client_authentication`.
    subject: &'static str,
    /// A sentence, with what to change where something is wrong.
    text: String,
}

/// How bad a finding is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(rename_all = "snake_case")]
pub(crate) enum CheckVerdictName {
    Good,
    Advice,
    Wrong,
}

impl CheckFindingView {
    fn new(finding: CheckFinding) -> Self {
        let verdict = match finding.verdict {
            CheckVerdict::Good => CheckVerdictName::Good,
            CheckVerdict::Advice => CheckVerdictName::Advice,
            CheckVerdict::Wrong => CheckVerdictName::Wrong,
        };
        Self { verdict, subject: finding.subject, text: finding.text }
    }
}

/// Examines a gateway: asks for metadata, opens an authorization request that nobody sees, and shows the token
/// endpoint a refresh token that never was one. Nobody logs in, and nothing changes.
#[utoipa::path(post, path = "/gateways/{id}/check", tag = "gateways", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = GatewayCheckView), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn check(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<GatewayId>,
) -> Result<Json<GatewayCheckView>, ApiError> {
    let check = state.broker.check_gateway(&caller, id).await?;
    let passes = check.passes();
    Ok(Json(GatewayCheckView {
        passes,
        findings: check.findings.into_iter().map(CheckFindingView::new).collect(),
    }))
}
