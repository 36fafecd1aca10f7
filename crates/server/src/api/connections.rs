//! A person's own connections: what is connected, how it fares, and ending it.

use super::Problem;
use super::ended_view::{EndedView, ProviderEndName};
use super::error::ApiError;
use super::views::Listed;
use crate::extract::{Id, OwnCaller, QueryOf};
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::Redirect;
use doorward_broker::{Connection, ConnectionStatus};
use doorward_domain::{GatewayId, Health, ProviderEnd, Slug, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One gateway, and your grant there. No part of a token is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    #[schema(value_type = String, format = "uuid")]
    gateway_id: GatewayId,
    #[schema(value_type = String)]
    slug: Slug,
    name: String,
    /// `not_needed`, `not_connected` or `connected`.
    status: &'static str,
    /// How a connection fares: `valid`, `expiring_soon`, `expired`, `needs_authorization`, `uncertain` or `orphaned`.
    #[schema(value_type = Option<String>)]
    health: Option<Health>,
    /// Where a browser goes to connect; none where nothing is to be connected.
    connect_url: Option<String>,
    /// The provider account behind the grant, where it is known.
    account: Option<String>,
    scopes: Vec<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    authorized_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_refreshed_at: Option<Timestamp>,
    /// When cleanup will end the connection if you do not use it; told 14 days ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    removal_at: Option<Timestamp>,
    /// Where the tokens are not of your own consent, but were deposited for you.
    deposit: Option<DepositView>,
}

/// A deposit for you.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DepositView {
    /// The depositor's e-mail address at that time.
    deposited_by: String,
    /// Whether calls may carry the tokens. Until then, `POST /connections/{id}/accept` or `decline` says your word.
    accepted: bool,
    /// Which deposit you mean, for your word on it.
    version: i64,
}

impl ConnectionView {
    pub(super) fn new(connection: Connection, public_origin: &str) -> Self {
        let (status, health) = match connection.status {
            ConnectionStatus::NotNeeded => ("not_needed", None),
            ConnectionStatus::NotConnected => ("not_connected", None),
            ConnectionStatus::Connected(health) => ("connected", Some(health)),
        };
        let gateway = &connection.gateway;
        let connect_url = gateway.oauth().map(|_| format!("{public_origin}/connect/{}", gateway.slug));
        let removal_at = connection.removal.map(|removal| removal.at);
        let grant = connection.grant;
        let deposit = grant.as_ref().and_then(|grant| {
            Some(DepositView {
                deposited_by: grant.deposited_by.clone()?,
                accepted: !grant.awaits_acceptance(),
                version: grant.version,
            })
        });
        let account = grant.as_ref().and_then(|grant| grant.account.as_ref());
        Self {
            gateway_id: gateway.id,
            slug: gateway.slug.clone(),
            name: gateway.name.clone(),
            status,
            health,
            connect_url,
            account: account.map(|account| account.name.as_ref().unwrap_or(&account.subject).clone()),
            scopes: grant.as_ref().map(|grant| grant.scopes_granted.clone()).unwrap_or_default(),
            authorized_at: grant.as_ref().map(|grant| grant.authorized_at),
            expires_at: grant.as_ref().and_then(|grant| grant.tokens.expires_at),
            last_used_at: grant.as_ref().and_then(|grant| grant.last_used_at),
            last_refreshed_at: grant.and_then(|grant| grant.last_refreshed_at),
            removal_at,
            deposit,
        }
    }
}

/// What is done about the provider.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DisconnectQuery {
    /// `unless_wide`: the provider is told, unless that would end more than this grant there. `there_too`: whatever
    /// else ends. `here_only`: it is not told.
    #[serde(default)]
    #[param(value_type = Option<ProviderEndName>)]
    provider: ProviderEnd,
}

/// Your connections; what needs attention comes first.
#[utoipa::path(get, path = "/connections", tag = "connections",
    responses((status = 200, body = Listed<ConnectionView>), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
) -> Result<Json<Listed<ConnectionView>>, ApiError> {
    let connections = state.broker.connections(&caller).await?;
    let origin = &state.facts.public_origin;
    let items = connections.into_iter().map(|connection| ConnectionView::new(connection, origin)).collect();
    Ok(Json(Listed { items, next_cursor: None }))
}

/// How your connection to one gateway fares.
#[utoipa::path(get, path = "/oauth/status/{id}", tag = "connections", params(("id" = String, Path, format = "uuid", description = "The gateway's id.")),
    responses((status = 200, body = ConnectionView), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn status(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<GatewayId>,
) -> Result<Json<ConnectionView>, ApiError> {
    let connection = state.broker.connection(&caller, id).await?;
    Ok(Json(ConnectionView::new(connection, &state.facts.public_origin)))
}

/// Ends your connection to one gateway: no later call is served. The provider is told afterwards; the receipt
/// says what is known of that.
#[utoipa::path(delete, path = "/connections/{id}", tag = "connections",
    params(("id" = String, Path, format = "uuid", description = "The gateway's id."), DisconnectQuery),
    responses((status = 200, body = EndedView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn disconnect(
    State(state): State<AppState>,
    OwnCaller(caller): OwnCaller,
    Id(id): Id<GatewayId>,
    QueryOf(query): QueryOf<DisconnectQuery>,
) -> Result<Json<EndedView>, ApiError> {
    let ended = state.broker.disconnect(&caller, id, query.provider).await?;
    Ok(Json(ended.into()))
}

/// Leads a browser to the page where it connects a gateway; whoever is not signed in comes by the login.
#[utoipa::path(get, path = "/oauth/authorize/{id}", tag = "connections", params(("id" = String, Path, format = "uuid", description = "The gateway's id.")),
    responses((status = 303, description = "To the connect page, or to the login."), (status = 404, body = Problem)))]
pub(crate) async fn authorize(
    State(state): State<AppState>,
    caller: Result<OwnCaller, ApiError>,
    Id(id): Id<GatewayId>,
) -> Result<Redirect, ApiError> {
    let caller = match caller {
        Ok(OwnCaller(caller)) => caller,
        Err(ApiError::Unauthenticated) => {
            return Ok(Redirect::to(&format!("/ui/login?next=%2Foauth%2Fauthorize%2F{id}")));
        }
        Err(error) => return Err(error),
    };
    let gateway = state.broker.gateway(&caller, id).await?;
    Ok(Redirect::to(&format!("/connect/{}", gateway.slug)))
}
