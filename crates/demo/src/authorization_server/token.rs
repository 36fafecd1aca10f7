//! The token endpoint: codes and refresh tokens in, tokens out (RFC 6749 §4.1.3, §6).

use super::authorize_request::parameters;
use super::client::credentials;
use super::token_answer::{self, TokenRefusal, Tokens};
use super::token_grants::{own_tokens, redeem_code, refresh};
use super::{Shared, TokenFault, TokenRequest};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, header};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn exchange(State(server): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = parameters(&body);
    record(&server, &headers, &form);
    let fault = server.faults.take_token_fault();
    if let Some(answer) = fault.as_ref().and_then(token_answer::unprocessed) {
        return answer;
    }
    if let Some(TokenFault::RequestHeldUntil(released)) = &fault {
        released.notified().await;
    }
    let outcome = process(&server, &headers, &form);
    match fault {
        Some(TokenFault::Delayed(time)) => tokio::time::sleep(time).await,
        Some(TokenFault::HeldUntil(released)) => released.notified().await,
        Some(fault) => return token_answer::spoilt(&fault, outcome),
        None => {}
    }
    token_answer::plain(outcome)
}

fn record(server: &Shared, headers: &HeaderMap, form: &BTreeMap<String, String>) {
    let authorization = headers.get(header::AUTHORIZATION);
    let request = TokenRequest {
        grant_type: form.get("grant_type").cloned().unwrap_or_default(),
        form: form.clone(),
        authorization: authorization.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
    };
    server.with(|inner| inner.log.token_requests.push(request));
}

fn process(
    server: &Shared,
    headers: &HeaderMap,
    form: &BTreeMap<String, String>,
) -> Result<Tokens, TokenRefusal> {
    let shown = credentials(headers, form).ok_or_else(TokenRefusal::client)?;
    let client = server
        .with(|inner| inner.clients.get(&shown.id).cloned())
        .filter(|client| client.is_proven_by(shown.secret.as_deref()))
        .ok_or_else(TokenRefusal::client)?;
    match form.get("grant_type").map_or("", String::as_str) {
        "authorization_code" => redeem_code(server, &client, form),
        "refresh_token" => refresh(server, &client, form),
        "client_credentials" => own_tokens(server, &client, form),
        _ => Err(TokenRefusal::new("unsupported_grant_type", "use authorization_code or refresh_token")),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, Journey, client};
    use crate::{AuthorizationServerOptions, Demo};
    use serde_json::Value;

    async fn demo() -> Demo {
        Demo::start(ANY_PORT, ANY_PORT, AuthorizationServerOptions::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_client_that_is_not_itself_gets_a_401() {
        let demo = demo().await;
        let url = demo.authorization_server.token_url().clone();
        let form = [("grant_type", "refresh_token"), ("client_id", "doorward"), ("client_secret", "wrong")];
        let answer = client().post(url.clone()).form(&form).send().await.unwrap();
        assert!(answer.headers().contains_key("www-authenticate"));
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_client");
        let both = client().post(url).basic_auth("doorward", Some("x")).form(&form).send().await.unwrap();
        assert_eq!(both.status(), 401);
    }

    #[tokio::test]
    async fn a_canary_is_in_every_secret() {
        let demo = demo().await;
        demo.authorization_server.faults().canary("canary-7");
        let journey = Journey::of(&demo, "alice");
        let code = journey.redirect_after("allow").await["code"].clone();
        let tokens: Value = journey.exchange(&code, &[]).await.json().await.unwrap();
        for secret in
            [&code, tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap()]
        {
            assert!(secret.starts_with("canary-7-"));
        }
    }
}
