//! Deposits: tokens obtained elsewhere, stored for somebody by an administrator or a script; and that person's
//! word on them. No answer holds a token, nor part of one.

use super::Problem;
use super::connections::ConnectionView;
use super::ended_view::EndedView;
use super::error::ApiError;
use super::oauth_token_view::OAuthTokenDetailsView;
use crate::extract::{AdminCaller, Id, JsonBody, NoQuery, OwnCaller, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::Deposit;
use doorward_domain::{AccessToken, GatewayId, IdToken, RefreshToken, Timestamp, UserId};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

/// Tokens of one person at one gateway.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepositBody {
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    #[schema(value_type = String, format = "uuid")]
    gateway_id: GatewayId,
    /// Write-only.
    #[schema(write_only)]
    access_token: String,
    /// Write-only. It must have been given to the client that the gateway is registered as.
    #[schema(write_only)]
    refresh_token: Option<String>,
    /// Write-only. Only for a gateway that is others' identity provider: what is exchanged for tokens there.
    #[schema(write_only)]
    id_token: Option<String>,
    /// When the access token ends; left out, it has no known end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// What was granted; left out, what the gateway asks for.
    scopes: Option<Vec<String>>,
}

/// Which deposit is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DepositAnswerBody {
    /// The `deposit.version` that you were shown.
    version: i64,
}

/// Stores tokens for somebody that were obtained elsewhere, where `OAUTH_TOKEN_DEPOSIT` allows it. A grant that works
/// is never replaced: that is a 409. With `ask`, calls carry the tokens once the person has accepted them. Whose
/// account it is, the provider is asked. Permission: `deposit_grants`.
#[utoipa::path(post, path = "/admin/oauth/tokens", tag = "OAuth tokens", request_body = DepositBody,
    responses((status = 201, body = OAuthTokenDetailsView), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn deposit(
    State(state): State<AppState>,
    AdminCaller(caller): AdminCaller,
    _: QueryOf<NoQuery>,
    JsonBody(body): JsonBody<DepositBody>,
) -> Result<(StatusCode, Json<OAuthTokenDetailsView>), ApiError> {
    let deposit = Deposit {
        user_id: body.user_id,
        gateway_id: body.gateway_id,
        access_token: AccessToken::new(body.access_token),
        refresh_token: body.refresh_token.map(RefreshToken::new),
        id_token: body.id_token.map(IdToken::new),
        expires_at: body.expires_at,
        scopes: body.scopes,
    };
    let id = state.broker.deposit(&caller, deposit).await?;
    Ok((StatusCode::CREATED, Json(state.broker.grant_details(&caller, id).await?.into())))
}

/// Accepts what was deposited for you at a gateway: calls carry it from then on.
#[utoipa::path(post, path = "/connections/{id}/accept", tag = "connections", request_body = DepositAnswerBody,
    params(("id" = String, Path, format = "uuid", description = "The gateway's id.")),
    responses((status = 200, body = ConnectionView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn accept(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<GatewayId>,
    JsonBody(body): JsonBody<DepositAnswerBody>,
) -> Result<Json<ConnectionView>, ApiError> {
    state.broker.accept_deposit(&caller, id, body.version).await?;
    let connection = state.broker.connection(&caller, id).await?;
    Ok(Json(ConnectionView::new(connection, &state.facts.public_origin)))
}

/// Declines what was deposited for you at a gateway: Doorward deletes it. The provider is not told, because the
/// tokens may be in use where they come from; `DELETE /connections/{id}` tells it.
#[utoipa::path(post, path = "/connections/{id}/decline", tag = "connections", request_body = DepositAnswerBody,
    params(("id" = String, Path, format = "uuid", description = "The gateway's id.")),
    responses((status = 200, body = EndedView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn decline(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<GatewayId>,
    JsonBody(body): JsonBody<DepositAnswerBody>,
) -> Result<Json<EndedView>, ApiError> {
    Ok(Json(state.broker.decline_deposit(&caller, id, body.version).await?.into()))
}
