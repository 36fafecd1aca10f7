//! The second step of one's own sign-in. What changes it wants a browser session with a fresh login, or an API token
//! of the audience `admin`.

use super::Problem;
use super::error::ApiError;
use crate::extract::{JsonBody, OwnCaller, SignedInCaller};
use crate::reveal;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_domain::{RecoveryCode, Timestamp};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecondFactorView {
    /// Whether the sign-in asks for a code.
    active: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    recovery_codes_left: u64,
}

/// What an authenticator app is to be told, for its owner alone.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecondFactorSetupView {
    /// In base32.
    secret: String,
    /// The same as a QR code has it.
    uri: String,
}

/// A code that the app shows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeBody {
    #[schema(write_only)]
    code: String,
}

/// Shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryCodesView {
    /// Each signs in once, in place of a code.
    recovery_codes: Vec<String>,
}

impl From<Vec<RecoveryCode>> for RecoveryCodesView {
    fn from(codes: Vec<RecoveryCode>) -> Self {
        Self { recovery_codes: codes.iter().map(|code| reveal::recovery_code(code).to_owned()).collect() }
    }
}

/// Whether your sign-in has a second step.
#[utoipa::path(get, path = "/second-factor", tag = "second factor",
    responses((status = 200, body = SecondFactorView), (status = 401, body = Problem)))]
pub(crate) async fn read(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
) -> Result<Json<SecondFactorView>, ApiError> {
    let status = state.broker.second_factor(&caller).await?;
    let (active, since) = (status.since.is_some(), status.since);
    Ok(Json(SecondFactorView { active, since, recovery_codes_left: status.recovery_codes_left }))
}

/// Begins to set up a second step: give the secret to your app, then confirm a code.
#[utoipa::path(post, path = "/second-factor", tag = "second factor",
    responses((status = 201, body = SecondFactorSetupView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn begin(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<(StatusCode, Json<SecondFactorSetupView>), ApiError> {
    let setup = state.broker.begin_second_factor(&caller).await?;
    let secret = reveal::totp_secret(&setup.secret).to_owned();
    Ok((StatusCode::CREATED, Json(SecondFactorSetupView { secret, uri: setup.uri })))
}

/// Turns your second step on, and gives its recovery codes.
#[utoipa::path(post, path = "/second-factor/confirm", tag = "second factor", request_body = CodeBody,
    responses((status = 200, body = RecoveryCodesView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn confirm(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
    JsonBody(body): JsonBody<CodeBody>,
) -> Result<Json<RecoveryCodesView>, ApiError> {
    Ok(Json(state.broker.confirm_second_factor(&caller, &body.code).await?.into()))
}

/// Makes new recovery codes; those from before work no more.
#[utoipa::path(post, path = "/second-factor/recovery-codes", tag = "second factor",
    responses((status = 200, body = RecoveryCodesView), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn renew_codes(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<Json<RecoveryCodesView>, ApiError> {
    Ok(Json(state.broker.renew_recovery_codes(&caller).await?.into()))
}

/// Removes your second step.
#[utoipa::path(delete, path = "/second-factor", tag = "second factor",
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove(
    State(state): State<AppState>,
    SignedInCaller(caller): SignedInCaller,
) -> Result<StatusCode, ApiError> {
    state.broker.remove_second_factor(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
