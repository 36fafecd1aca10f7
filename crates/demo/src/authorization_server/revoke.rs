//! The revocation endpoint (RFC 7009): a client ends what was given to it.

use super::authorize_request::parameters;
use super::client::credentials;
use super::token_answer::{self, TokenRefusal};
use super::{RevocationRequest, Shared};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

pub(super) async fn revoke(State(server): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = parameters(&body);
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let authorization = headers.get(header::AUTHORIZATION);
    let request = RevocationRequest {
        token: field("token"),
        hint: field("token_type_hint"),
        client_id: credentials(&headers, &form).map(|shown| shown.id).unwrap_or_default(),
        authorization: authorization.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
    };
    server.with(|inner| inner.log.revocations.push(request));
    if let Some(answer) = server.faults.take_revocation_fault().and_then(|f| token_answer::unprocessed(&f)) {
        return answer;
    }
    let client = credentials(&headers, &form).and_then(|shown| {
        let client = server.with(|inner| inner.clients.get(&shown.id).cloned())?;
        client.is_proven_by(shown.secret.as_deref()).then_some(client)
    });
    let Some(client) = client else { return token_answer::plain(Err(TokenRefusal::client())) };
    // RFC 7009 §2.2: an unknown token is no error.
    server.with(|inner| inner.ledger.revoke(&field("token"), &client.id));
    StatusCode::OK.into_response()
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, Journey, client};
    use crate::{AuthorizationServerOptions, Demo, TokenFault};
    use serde_json::Value;

    #[tokio::test]
    async fn a_client_ends_its_own_tokens_and_nobody_elses() {
        let demo = Demo::start(ANY_PORT, ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        let server = &demo.authorization_server;
        let journey = Journey::of(&demo, "alice");
        let code = journey.redirect_after("allow").await["code"].clone();
        let tokens: Value = journey.exchange(&code, &[]).await.json().await.unwrap();
        let (access, refresh) =
            (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
        let revoke = async |secret: &str, token: &str| {
            let form = [("token", token), ("token_type_hint", "refresh_token")];
            let url = server.revocation_url().clone();
            let answer = client().post(url).basic_auth("doorward", Some(secret)).form(&form).send().await;
            answer.unwrap().status().as_u16()
        };
        assert_eq!(revoke("wrong", refresh).await, 401);
        assert!(server.lives(access));
        server.faults().next_revocation_answer(TokenFault::Unavailable { retry_after_seconds: 3 });
        assert_eq!(revoke(server.client_secret(), refresh).await, 503);
        assert!(server.lives(access));
        assert_eq!(revoke(server.client_secret(), "unknown").await, 200);
        assert_eq!(revoke(server.client_secret(), refresh).await, 200);
        assert!(!server.lives(access), "the end of a refresh token ends its family");
        let log = server.log().revocations;
        assert_eq!(log.len(), 4);
        assert_eq!((log[3].token.as_str(), log[3].client_id.as_str()), (refresh, "doorward"));
    }
}
