//! The flow inspector: each browser round trip as the steps that it took, without what is secret in them.

use super::Problem;
use super::error::ApiError;
use super::views::Listed;
use crate::extract::{AdminCaller, Id, PageQuery, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::AttemptDetails;
use doorward_domain::{
    AttemptFilter, AttemptState, AttemptStep, AuthorizationAttempt, AuthorizationAttemptId, GatewayId,
    GrantId, StepKind, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// How the document spells the state of an attempt.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's AttemptState in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum AttemptStateName {
    Opened,
    SetOut,
    Connected,
    Tested,
    OtherAccount,
    Denied,
    Refused,
}

/// How the document spells a step.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "stands for the domain's StepKind in the OpenAPI document, which knows no OpenAPI"
)]
pub(crate) enum StepKindName {
    LinkOpened,
    Agreed,
    SentToProvider,
    CameBack,
    CodeSent,
    TokensCame,
    NoTokens,
    AccountAsked,
    Stored,
    Tested,
    OtherAccount,
    Denied,
    Refused,
}

/// Which attempts, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AttemptQuery {
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<UserId>,
    #[param(value_type = Option<String>, format = "uuid")]
    gateway: Option<GatewayId>,
    #[param(value_type = Option<AttemptStateName>)]
    state: Option<AttemptState>,
    /// What the page that the user was shown calls it.
    reference: Option<String>,
    /// Rows per page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One browser round trip.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    #[schema(value_type = String, format = "uuid")]
    id: AuthorizationAttemptId,
    /// What the page that the user was shown, and the audit trail, call it.
    reference: String,
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    user_email: String,
    /// None: the answer belonged to no round trip that is known.
    #[schema(value_type = Option<String>, format = "uuid")]
    gateway_id: Option<GatewayId>,
    gateway_slug: Option<String>,
    #[schema(value_type = AttemptStateName)]
    state: AttemptState,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
}

impl From<AuthorizationAttempt> for AttemptView {
    fn from(attempt: AuthorizationAttempt) -> Self {
        let (gateway_id, gateway_slug) = attempt.gateway.map(|gateway| (gateway.id, gateway.slug)).unzip();
        Self {
            id: attempt.id,
            reference: attempt.reference,
            user_id: attempt.user_id,
            user_email: attempt.user_email,
            gateway_id,
            gateway_slug,
            state: attempt.state,
            started_at: attempt.started_at,
        }
    }
}

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StepView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = StepKindName)]
    kind: StepKind,
    /// Known facts alone, by name. What is secret is `[withheld]`: it is not kept.
    facts: BTreeMap<&'static str, String>,
}

impl From<&AttemptStep> for StepView {
    fn from(step: &AttemptStep) -> Self {
        let facts = step.facts.iter().map(|fact| (fact.name(), fact.text())).collect();
        Self { at: step.at, kind: step.kind, facts }
    }
}

/// One browser round trip with its steps.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptDetailsView {
    #[serde(flatten)]
    attempt: AttemptView,
    /// As they happened.
    steps: Vec<StepView>,
    /// What usually mends it; none where nothing is wrong.
    likely_fix: Option<&'static str>,
    /// The grant that came of it.
    #[schema(value_type = Option<String>, format = "uuid")]
    grant_id: Option<GrantId>,
}

impl From<AttemptDetails> for AttemptDetailsView {
    fn from(details: AttemptDetails) -> Self {
        Self {
            grant_id: details.grant(),
            steps: details.steps.iter().map(Into::into).collect(),
            likely_fix: details.likely_fix,
            attempt: details.attempt.into(),
        }
    }
}

/// The browser round trips of the last 14 days, newest first. Permission: `read_audit`.
#[utoipa::path(get, path = "/admin/oauth/attempts", tag = "OAuth tokens", params(AttemptQuery),
    responses((status = 200, body = Listed<AttemptView>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    QueryOf(query): QueryOf<AttemptQuery>,
) -> Result<Json<Listed<AttemptView>>, ApiError> {
    let AttemptQuery { user, gateway, state: of_state, reference, limit, cursor } = query;
    let filter = AttemptFilter { user, gateway, state: of_state, reference };
    let page = PageQuery::new(limit, cursor).page()?;
    Ok(Json(Listed::of(state.broker.attempts(&caller, &filter, &page).await?, Into::into)))
}

/// One browser round trip, step by step, with the provider's words and the likely fix. Permission: `read_audit`.
#[utoipa::path(get, path = "/admin/oauth/attempts/{id}", tag = "OAuth tokens",
    params(("id" = String, Path, format = "uuid", description = "The id of the attempt.")),
    responses((status = 200, body = AttemptDetailsView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    Id(id): Id<AuthorizationAttemptId>,
) -> Result<Json<AttemptDetailsView>, ApiError> {
    Ok(Json(state.broker.attempt(&caller, id).await?.into()))
}
