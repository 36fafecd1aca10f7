//! Dynamic client registration (RFC 7591): anyone may register, and gets no more than a client id.

use super::Shared;
use super::client::{Client, Redirects, is_loopback};
use super::metadata::SCOPES;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use doorward_domain::Entropy;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use url::Url;

/// The client metadata that is looked at; the rest is ignored, as RFC 7591 §2 asks.
#[derive(Deserialize)]
struct Wanted {
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    client_name: Option<String>,
    scope: Option<String>,
}

pub(super) async fn register(State(server): State<Arc<Shared>>, body: String) -> Response {
    let Ok(wanted) = serde_json::from_str::<Wanted>(&body) else {
        return refused("invalid_client_metadata", "the body is JSON with an array `redirect_uris`");
    };
    if wanted.redirect_uris.is_empty() || !wanted.redirect_uris.iter().all(|uri| is_acceptable(uri)) {
        return refused(
            "invalid_redirect_uri",
            "a redirect URI is https, or http on loopback, without a fragment",
        );
    }
    if wanted.scope.iter().flat_map(|scope| scope.split(' ')).any(|scope| !SCOPES.contains(&scope)) {
        return refused("invalid_client_metadata", "`scope` names a scope that does not exist");
    }
    let method = wanted.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
    let secret = match method {
        "none" => None,
        "client_secret_basic" | "client_secret_post" => Some(server.new_secret("secret")),
        _ => return refused("invalid_client_metadata", "`token_endpoint_auth_method` is not supported"),
    };
    let client = Client {
        // An id is no secret: it carries no canary.
        id: format!("demo-client-{}", Entropy.token()),
        name: wanted.client_name.unwrap_or_else(|| "An unnamed client".to_owned()),
        secret,
        redirects: Redirects::Exactly(wanted.redirect_uris.clone()),
    };
    let handle = server.new_secret("registration");
    let mut answer = json!({
        "client_id": client.id,
        "client_name": client.name,
        "redirect_uris": wanted.redirect_uris,
        "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "registration_client_uri": format!("{}/{}", server.endpoint("register"), client.id),
        "registration_access_token": handle,
    });
    if let Some(secret) = &client.secret {
        answer["client_secret"] = json!(secret);
        answer["client_secret_expires_at"] = json!(0);
    }
    server.with(|inner| {
        inner.log.registrations += 1;
        inner.registration_tokens.insert(client.id.clone(), handle);
        inner.clients.insert(client.id.clone(), client);
    });
    (StatusCode::CREATED, Json(answer)).into_response()
}

/// Forgets a client that registered itself (RFC 7592 §2.3); its tokens go with it.
pub(super) async fn remove(
    State(server): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> StatusCode {
    let shown =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    server.with(|inner| {
        if shown.is_none() || inner.registration_tokens.get(&id).map(String::as_str) != shown {
            return StatusCode::UNAUTHORIZED;
        }
        inner.registration_tokens.remove(&id);
        inner.clients.remove(&id);
        inner.log.removed_registrations.push(id);
        StatusCode::NO_CONTENT
    })
}

fn is_acceptable(redirect_uri: &str) -> bool {
    Url::parse(redirect_uri).is_ok_and(|url| {
        url.fragment().is_none() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
    })
}

fn refused(error: &str, why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error, "error_description": why }))).into_response()
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, REDIRECT, client};
    use crate::{AuthorizationServer, AuthorizationServerOptions};
    use serde_json::{Value, json};

    async fn register(server: &AuthorizationServer, wanted: &Value) -> (u16, Value) {
        let answer = client().post(server.registration_url().clone()).json(wanted).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    #[tokio::test]
    async fn a_client_registers_itself_with_or_without_a_secret() {
        let server =
            AuthorizationServer::start(ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        let (status, confidential) = register(&server, &json!({ "redirect_uris": [REDIRECT] })).await;
        assert_eq!(status, 201);
        assert!(confidential["client_secret"].is_string());
        let public =
            json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", "scope": "notes" });
        let (status, public) = register(&server, &public).await;
        assert_eq!((status, public.get("client_secret")), (201, None));
        assert_ne!(public["client_id"], confidential["client_id"]);
        assert_eq!(server.log().registrations, 2);
    }

    #[tokio::test]
    async fn a_registration_that_breaks_a_rule_is_told_which() {
        let server =
            AuthorizationServer::start(ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        for (wanted, error) in [
            (json!([]), "invalid_client_metadata"),
            (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
            (json!({ "redirect_uris": ["http://evil.example/"] }), "invalid_redirect_uri"),
            (json!({ "redirect_uris": [REDIRECT], "scope": "everything" }), "invalid_client_metadata"),
            (
                json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt" }),
                "invalid_client_metadata",
            ),
        ] {
            let (status, refused) = register(&server, &wanted).await;
            assert_eq!((status, refused["error"].as_str()), (400, Some(error)), "{wanted}");
        }
        assert_eq!(server.log().registrations, 0);
    }
}
