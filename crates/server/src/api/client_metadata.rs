//! The client ID metadata document, for authorization servers.

use super::Problem;
use super::error::ApiError;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use doorward_broker::BrokerError;
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;

/// Who Doorward is as an OAuth client, for authorization servers that take a URL for a client id. There is none
/// where the public URL is not https.
#[utoipa::path(get, path = "/oauth/client-metadata.json", tag = "server", security(()),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(crate) async fn show(
    State(state): State<AppState>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<Value>), ApiError> {
    let none = BrokerError::NotFound { what: "client metadata document" };
    let document = state.broker.client_metadata().ok_or(none)?;
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))], Json(document)))
}
