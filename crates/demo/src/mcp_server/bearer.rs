//! Who may come in: bearer tokens of the one authorization server, for this very resource.

use super::Shared;
use crate::authorization_server::{self, SCOPES};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

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

/// Tells whose an access token is, from the token and the resource that it must be for; none when it is
/// no good here.
pub type TokenCheck = Arc<dyn Fn(String, Url) -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// Asks the authorization server of this very process. A token for another resource is as good as none
/// (RFC 8707 §2, and the protocol's own audience rule).
pub(super) fn check_in_process(authority: Arc<authorization_server::Shared>) -> TokenCheck {
    Arc::new(move |token, resource| {
        let permission = authority.introspect(&token);
        let own = permission.filter(|found| found.resource.as_deref() == Some(resource.as_str()));
        std::future::ready(own.map(|found| found.account)).boxed()
    })
}

/// Whose call this is.
pub(super) async fn account(server: &Shared, headers: &HeaderMap) -> Option<String> {
    let Some(authority) = &server.authority else { return Some(NOBODY.to_owned()) };
    let token = token(headers)?.to_owned();
    (authority.check)(token, server.url.clone()).await
}

/// 401 with the way to the metadata (RFC 9728 §5.1); a token that was shown is called invalid (RFC 6750
/// §3.1).
pub(super) fn challenge(server: &Shared, shown: bool) -> Response {
    let error = if shown { r#"error="invalid_token", "# } else { "" };
    let metadata = server.metadata_url();
    let challenge = format!(r#"Bearer {error}resource_metadata="{metadata}", scope="{}""#, SCOPES.join(" "));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}
