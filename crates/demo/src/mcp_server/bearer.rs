//! Who may come in: bearer tokens of the one authorization server, for this very resource.

use super::Shared;
use crate::authorization_server::SCOPES;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;

/// The account of callers at a server without authorization.
pub(super) const NOBODY: &str = "nobody";

/// The protected resource metadata (RFC 9728); a server without authorization has none.
pub(super) async fn metadata(State(server): State<Arc<Shared>>) -> Response {
    match &server.authority {
        Some(authority) => Json::<Value>(json!({
            "resource": server.url.as_str(),
            "resource_name": "Doorward demo",
            "authorization_servers": [authority.issuer],
            "scopes_supported": SCOPES,
            "bearer_methods_supported": ["header"],
        }))
        .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The token of the `Authorization` header.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Whose call this is. A token for another resource is as good as none (RFC 8707 §2, and the protocol's
/// own audience rule).
pub(super) fn account(server: &Shared, headers: &HeaderMap) -> Option<String> {
    let Some(authority) = &server.authority else { return Some(NOBODY.to_owned()) };
    let permission = authority.introspect(token(headers)?)?;
    (permission.resource.as_deref() == Some(server.url.as_str())).then_some(permission.account)
}

/// 401 with the way to the metadata (RFC 9728 §5.1); a token that was shown is called invalid (RFC 6750
/// §3.1).
pub(super) fn challenge(server: &Shared, shown: bool) -> Response {
    let error = if shown { r#"error="invalid_token", "# } else { "" };
    let metadata = server.metadata_url();
    let challenge = format!(r#"Bearer {error}resource_metadata="{metadata}", scope="{}""#, SCOPES.join(" "));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}
