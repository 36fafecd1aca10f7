use super::*;
use crate::client::samples::{client, serve, settings, url};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use doorward_domain::TokenEndpointAuth;
use http::Uri;
use std::sync::{Arc, Mutex};

const PUBLIC: ClientCredentials<'_> = ClientCredentials {
    client_id: "c",
    client_secret: None,
    auth: TokenEndpointAuth::None,
    dpop: None,
    identity: None,
};
const NOW: Timestamp = Timestamp::from_millis(0);

type Seen = Arc<Mutex<Vec<String>>>;

/// A provider that notes path and body of what it is asked, and refuses what names a resource.
async fn provider() -> (OAuthSettings, Seen) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let answer = move |uri: Uri, body: Bytes| async move {
        let body = String::from_utf8(body.to_vec()).unwrap();
        record.lock().unwrap().push(format!("{} {body}", uri.path()));
        if body.contains("resource") {
            (http::StatusCode::BAD_REQUEST, r#"{"error":"invalid_target"}"#)
        } else {
            (http::StatusCode::OK, r#"{"access_token":"a","token_type":"Bearer"}"#)
        }
    };
    let base = serve(Router::new().fallback(post(answer))).await;
    (settings(&base), seen)
}

async fn exchange(settings: &OAuthSettings) -> Result<TokenSet, TokenError> {
    let redirect = url("http://localhost:4444/cb");
    let (code, verifier) = (AuthorizationCode::new("c1"), PkceVerifier::new("v1"));
    client().exchange_code(settings, PUBLIC, &redirect, &code, &verifier, NOW).await
}

async fn refresh(settings: &OAuthSettings) -> Result<TokenSet, TokenError> {
    let scopes = ["read".to_owned(), "write".to_owned()];
    client().refresh(settings, PUBLIC, &RefreshToken::new("r1"), &scopes, NOW).await
}

#[tokio::test]
async fn a_refused_resource_is_left_out_of_a_second_try_with_a_code_and_never_of_a_refresh() {
    let (mut settings, seen) = provider().await;
    exchange(&settings).await.unwrap_err();
    refresh(&settings).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 2, "by the book, each is one attempt");
    settings.facts.send_resource = SendResource::RetryWithoutOn400;
    exchange(&settings).await.unwrap();
    refresh(&settings).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(seen.len(), 5, "two for the code, one for the refresh");
    assert!(seen[2].contains("resource=") && !seen[3].contains("resource="));
    assert!(!seen[4].contains("resource="), "a refresh has one set of parameters");
    settings.facts.send_resource = SendResource::Never;
    exchange(&settings).await.unwrap();
}

#[tokio::test]
async fn a_refresh_goes_to_its_own_address_with_scopes_and_as_json_where_the_facts_say_so() {
    let (mut settings, seen) = provider().await;
    settings.resource = None;
    settings.facts.refresh_url = Some(settings.token_url.join("/refresh").unwrap());
    settings.facts.refresh_needs_scope = true;
    settings.facts.token_body = TokenBody::Json;
    refresh(&settings).await.unwrap();
    let wanted = r#"/refresh {"client_id":"c","grant_type":"refresh_token","refresh_token":"r1","scope":"read write"}"#;
    assert_eq!(seen.lock().unwrap().pop().unwrap(), wanted);
    settings.facts.refresh_url = Some(url("https://evil.example/refresh"));
    refresh(&settings).await.unwrap();
    assert!(seen.lock().unwrap().pop().unwrap().starts_with("/token "), "R38: no stranger gets it");
}
