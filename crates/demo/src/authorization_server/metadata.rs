//! What the authorization server says about itself (RFC 8414, and OpenID Connect Discovery alike).

use super::Shared;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

/// Every scope that can be asked for.
pub(crate) const SCOPES: [&str; 3] = ["openid", "notes", "repos"];

pub(super) async fn show(State(server): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({
        "issuer": server.issuer,
        "authorization_endpoint": server.endpoint("authorize"),
        "token_endpoint": server.endpoint("token"),
        "registration_endpoint": server.endpoint("register"),
        "revocation_endpoint": server.endpoint("revoke"),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": server.options.client_id_metadata_documents,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["HS256"],
    }))
}
