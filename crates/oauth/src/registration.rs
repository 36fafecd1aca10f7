//! Dynamic client registration (RFC 7591).

use crate::client::OAuthClient;
use doorward_domain::{ClientSecret, RegistrationHandle, TokenEndpointAuth};
use doorward_outbound::OutboundError;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::json;
use url::Url;

/// A client that an authorization server made for us.
#[derive(Debug)]
pub struct Registered {
    pub client_id: String,
    pub client_secret: Option<ClientSecret>,
    pub auth: TokenEndpointAuth,
    /// By which it can be removed, where the server says how.
    pub handle: Option<RegistrationHandle>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    #[error("the authorization server could not be asked to register a client: {0}")]
    Unreachable(#[from] OutboundError),
    #[error(
        "the authorization server refused to register a client ({code}): register one there by hand and give its client id"
    )]
    Refused { code: String },
    #[error(
        "the authorization server's answer to the registration cannot be read: register a client there by hand"
    )]
    Unreadable,
}

#[derive(Deserialize)]
struct Answer {
    client_id: String,
    client_secret: Option<String>,
    token_endpoint_auth_method: Option<String>,
    registration_client_uri: Option<Url>,
    registration_access_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl OAuthClient {
    /// Registers a client for the code and refresh grants. `methods` are those that the server offers
    /// at its token endpoint (RFC 8414 §2); none means that it did not say.
    pub async fn register(
        &self,
        registration_url: &Url,
        redirect_uri: &Url,
        client_name: &str,
        scopes: &[String],
        methods: Option<&[String]>,
    ) -> Result<Registered, RegistrationError> {
        let method = wanted_method(methods);
        let mut body = json!({
            "client_name": client_name,
            "redirect_uris": [redirect_uri.as_str()],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
            "application_type": application_type(redirect_uri),
        });
        if !scopes.is_empty() {
            body["scope"] = scopes.join(" ").into();
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.post_json(registration_url, &body, headers).await?;
        if !answer.status.is_success() {
            let named = serde_json::from_slice::<Refusal>(&answer.body).ok().map(|refusal| refusal.error);
            let code = named.unwrap_or_else(|| format!("status {}", answer.status.as_u16()));
            let code = code.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(64).collect();
            return Err(RegistrationError::Refused { code });
        }
        let registered: Answer =
            serde_json::from_slice(&answer.body).map_err(|_| RegistrationError::Unreadable)?;
        let secret = registered.client_secret.filter(|secret| !secret.is_empty()).map(ClientSecret::new);
        let auth = match (registered.token_endpoint_auth_method.as_deref().unwrap_or(method), &secret) {
            (_, None) => TokenEndpointAuth::None,
            ("client_secret_post", Some(_)) => TokenEndpointAuth::Post,
            ("none", Some(_)) => TokenEndpointAuth::None,
            _ => TokenEndpointAuth::Basic,
        };
        let handle = handle_of(
            registration_url,
            registered.registration_client_uri,
            registered.registration_access_token,
        );
        Ok(Registered { client_id: registered.client_id, client_secret: secret, auth, handle })
    }
}

/// RFC 7592 §3. A place elsewhere than where the client was made is not believed: the token would be sent there.
fn handle_of(made_at: &Url, place: Option<Url>, access_token: Option<String>) -> Option<RegistrationHandle> {
    let place = place.filter(|place| place.origin() == made_at.origin())?;
    let access_token =
        access_token.filter(|token| HeaderValue::from_str(token).is_ok() && !token.is_empty())?;
    Some(RegistrationHandle::new(format!("{place}\n{access_token}")))
}

/// How a client with a secret authenticates where the server offers these methods (RFC 8414 §2).
pub fn offered_auth(methods: Option<&[String]>) -> TokenEndpointAuth {
    let only_key = |all: &[String]| all.iter().all(|one| one == "private_key_jwt") && !all.is_empty();
    if methods.is_some_and(only_key) {
        return TokenEndpointAuth::PrivateKeyJwt;
    }
    match wanted_method(methods) {
        "client_secret_post" => TokenEndpointAuth::Post,
        _ => TokenEndpointAuth::Basic,
    }
}

/// Basic where it is offered or nothing is said (RFC 7591 §2 makes it the default), else post, else none.
fn wanted_method(methods: Option<&[String]>) -> &'static str {
    let offers = |method: &str| methods.is_none_or(|all| all.iter().any(|one| one == method));
    ["client_secret_basic", "client_secret_post", "none"]
        .into_iter()
        .find(|method| offers(method))
        .unwrap_or("client_secret_basic")
}

/// OpenID Connect Registration §2: web clients return to https, native ones to loopback http.
pub fn application_type(redirect_uri: &Url) -> &'static str {
    if redirect_uri.scheme() == "https" { "web" } else { "native" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::samples::{client, serve, url};
    use axum::Json;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use serde_json::Value;

    async fn register(status: u16, answer: Value) -> Result<Registered, RegistrationError> {
        let route = post(move |Json(asked): Json<Value>| async move {
            assert_eq!(asked["application_type"], "native");
            assert_eq!(asked["redirect_uris"][0], "http://localhost:4444/oauth/callback");
            assert_eq!(asked["grant_types"][1], "refresh_token");
            (StatusCode::from_u16(status).unwrap(), Json(answer))
        });
        let base = serve(Router::new().route("/register", route)).await;
        let redirect = url("http://localhost:4444/oauth/callback");
        let scopes = ["read".to_owned()];
        client().register(&url(&format!("{base}/register")), &redirect, "Doorward", &scopes, None).await
    }

    #[tokio::test]
    async fn a_registration_brings_a_client_with_its_method() {
        let answer = json!({"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post"});
        let registered = register(201, answer).await.unwrap();
        assert_eq!((registered.client_id.as_str(), registered.auth), ("c", TokenEndpointAuth::Post));
        let public = register(200, json!({"client_id": "c"})).await.unwrap();
        assert_eq!(public.auth, TokenEndpointAuth::None);
        let silent = register(200, json!({"client_id": "c", "client_secret": "s"})).await.unwrap();
        assert_eq!(silent.auth, TokenEndpointAuth::Basic);
        let none = json!({"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "none"});
        assert_eq!(register(200, none).await.unwrap().auth, TokenEndpointAuth::None);
    }

    #[tokio::test]
    async fn a_refusal_says_what_to_do_instead() {
        let refused = register(400, json!({"error": "invalid_redirect_uri"})).await.unwrap_err();
        assert!(refused.to_string().contains("(invalid_redirect_uri): register one there by hand"));
        assert!(register(403, json!("no")).await.unwrap_err().to_string().contains("(status 403)"));
        assert!(matches!(register(200, json!({})).await.unwrap_err(), RegistrationError::Unreadable));
        let closed = client().register(&url("http://127.0.0.1:9/"), &url("https://x/"), "D", &[], None).await;
        assert!(matches!(closed.unwrap_err(), RegistrationError::Unreachable(_)));
    }

    #[test]
    fn the_method_is_one_that_the_server_offers() {
        let offers = |methods: &[&str]| -> Vec<String> { methods.iter().map(|&m| m.to_owned()).collect() };
        assert_eq!(wanted_method(None), "client_secret_basic");
        assert_eq!(wanted_method(Some(&offers(&["none", "client_secret_post"]))), "client_secret_post");
        assert_eq!(wanted_method(Some(&offers(&["none"]))), "none");
        assert_eq!(wanted_method(Some(&offers(&["private_key_jwt"]))), "client_secret_basic");
        assert_eq!(application_type(&url("https://d.example/cb")), "web");
    }
}
