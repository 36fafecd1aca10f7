//! What the token endpoint sends: proper answers, and the spoilt ones that faults ask for.

use super::TokenFault;
use crate::listener::CloseUnanswered;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use url::form_urlencoded;

/// A successful answer (RFC 6749 §5.1).
#[derive(Serialize)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    pub(super) expires_in: u64,
    pub(super) scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id_token: Option<String>,
}

/// An error answer (RFC 6749 §5.2).
pub(super) struct TokenRefusal {
    status: StatusCode,
    error: String,
    why: &'static str,
}

impl TokenRefusal {
    pub(super) fn new(error: &str, why: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.to_owned(), why }
    }

    pub(super) fn client() -> Self {
        let why = "the client is unknown, or its secret is wrong or sent twice";
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client".to_owned(), why }
    }
}

/// The proper answer.
pub(super) fn plain(outcome: Result<Tokens, TokenRefusal>) -> Response {
    match outcome {
        Ok(tokens) => json_answer(StatusCode::OK, body(&tokens).to_string()),
        Err(refusal) => refused(refusal.status, &refusal.error, refusal.why),
    }
}

/// The answer of a fault that strikes before anything is processed.
pub(super) fn unprocessed(fault: &TokenFault) -> Option<Response> {
    match fault {
        TokenFault::Unavailable { retry_after_seconds } => {
            let headers = [(header::RETRY_AFTER, retry_after_seconds.to_string())];
            Some((StatusCode::SERVICE_UNAVAILABLE, headers, "Please come back later.").into_response())
        }
        TokenFault::Refused { status, error } => {
            Some(refused(fault_status(*status), error, "a fault that the test asked for"))
        }
        TokenFault::RefusedSaying { status, error, description } => {
            Some(refused(fault_status(*status), error, description))
        }
        TokenFault::Says { status, content_type, body } => {
            let headers = [(header::CONTENT_TYPE, content_type.clone())];
            Some((fault_status(*status), headers, body.clone()).into_response())
        }
        TokenFault::OkWithError { error } => {
            Some(refused(StatusCode::OK, error, "an error that says it is none"))
        }
        TokenFault::Redirect { location } => {
            let headers = [(header::LOCATION, location.clone())];
            Some((StatusCode::TEMPORARY_REDIRECT, headers).into_response())
        }
        TokenFault::RequestHeldUntil(_)
        | TokenFault::Delayed(_)
        | TokenFault::HeldUntil(_)
        | TokenFault::AnswerLost
        | TokenFault::Malformed
        | TokenFault::Huge { .. }
        | TokenFault::FormEncoded => None,
    }
}

fn fault_status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST)
}

/// The answer of a fault that strikes after the request was processed.
pub(super) fn spoilt(fault: &TokenFault, outcome: Result<Tokens, TokenRefusal>) -> Response {
    let tokens = match outcome {
        Ok(tokens) => body(&tokens),
        Err(refusal) => return plain(Err(refusal)),
    };
    match fault {
        TokenFault::AnswerLost => {
            let mut response = StatusCode::OK.into_response();
            response.extensions_mut().insert(CloseUnanswered);
            response
        }
        TokenFault::Malformed => {
            let mut text = tokens.to_string();
            text.truncate(text.len() / 2);
            json_answer(StatusCode::OK, text)
        }
        TokenFault::Huge { bytes } => {
            let mut padded = tokens;
            padded["padding"] = json!("x".repeat(*bytes));
            json_answer(StatusCode::OK, padded.to_string())
        }
        TokenFault::FormEncoded => form_answer(&tokens),
        TokenFault::Unavailable { .. }
        | TokenFault::Refused { .. }
        | TokenFault::RefusedSaying { .. }
        | TokenFault::Says { .. }
        | TokenFault::OkWithError { .. }
        | TokenFault::Redirect { .. }
        | TokenFault::RequestHeldUntil(_)
        | TokenFault::Delayed(_)
        | TokenFault::HeldUntil(_) => json_answer(StatusCode::OK, tokens.to_string()),
    }
}

fn body(tokens: &Tokens) -> serde_json::Value {
    let mut body = json!(tokens);
    body["token_type"] = json!("Bearer");
    body
}

fn refused(status: StatusCode, error: &str, why: &str) -> Response {
    let mut response = (status, Json(json!({ "error": error, "error_description": why }))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    }
    response
}

fn json_answer(status: StatusCode, text: String) -> Response {
    // RFC 6749 §5.1: an answer with tokens is never cached.
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}

fn form_answer(tokens: &serde_json::Value) -> Response {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in tokens.as_object().into_iter().flatten() {
        form.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let headers = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
    (StatusCode::OK, headers, form.finish()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ANY_PORT, Journey, client, refresh};
    use crate::{AuthorizationServerOptions, Demo};
    use futures_util::FutureExt;
    use serde_json::Value;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::Notify;

    async fn demo_and_tokens() -> (Demo, Value) {
        let demo = Demo::start(ANY_PORT, ANY_PORT, AuthorizationServerOptions::default()).await.unwrap();
        let tokens = Journey::of(&demo, "alice").tokens().await;
        (demo, tokens)
    }

    #[tokio::test]
    async fn a_fault_before_processing_leaves_the_refresh_token_usable() {
        let (demo, tokens) = demo_and_tokens().await;
        let faults = demo.authorization_server.faults();
        faults.next_token_answer(TokenFault::Unavailable { retry_after_seconds: 7 });
        faults.next_token_answer(TokenFault::Refused { status: 429, error: "slow_down".to_owned() });
        faults.next_token_answer(TokenFault::OkWithError { error: "bad_refresh_token".to_owned() });
        faults.next_token_answer(TokenFault::Redirect { location: "https://evil.example/".to_owned() });
        let unavailable = refresh(&demo, &tokens).await;
        assert_eq!(
            (unavailable.status().as_u16(), &unavailable.headers()["retry-after"]),
            (503, &"7".parse().unwrap())
        );
        assert_eq!(refresh(&demo, &tokens).await.status(), 429);
        let fine = refresh(&demo, &tokens).await;
        assert_eq!(fine.status(), 200);
        assert_eq!(fine.json::<Value>().await.unwrap()["error"], "bad_refresh_token");
        assert_eq!(refresh(&demo, &tokens).await.headers()["location"], "https://evil.example/");
        assert_eq!(demo.authorization_server.log().refreshes, 0);
        assert_eq!(refresh(&demo, &tokens).await.status(), 200);
    }

    #[tokio::test]
    async fn a_lost_answer_has_spent_the_token() {
        let (demo, tokens) = demo_and_tokens().await;
        demo.authorization_server.faults().next_token_answer(TokenFault::AnswerLost);
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
            ("client_id", demo.authorization_server.client_id()),
            ("client_secret", demo.authorization_server.client_secret()),
        ];
        let request = client().post(demo.authorization_server.token_url().clone()).form(&form);
        assert!(request.send().await.is_err());
        let log = demo.authorization_server.log();
        assert_eq!((log.refreshes, log.token_requests.len()), (1, 2));
        assert_eq!(refresh(&demo, &tokens).await.status(), 400);
    }

    #[tokio::test]
    async fn spoilt_answers_are_spoilt_as_asked() {
        let (demo, _) = demo_and_tokens().await;
        let faults = demo.authorization_server.faults();
        for fault in [TokenFault::Malformed, TokenFault::Huge { bytes: 50_000 }, TokenFault::FormEncoded] {
            let code = Journey::of(&demo, "bob").redirect_after("allow").await["code"].clone();
            faults.next_token_answer(fault.clone());
            let text = Journey::of(&demo, "bob").exchange(&code, &[]).await.text().await.unwrap();
            match fault {
                TokenFault::Malformed => assert!(serde_json::from_str::<Value>(&text).is_err()),
                TokenFault::Huge { bytes } => assert!(text.len() > bytes),
                _ => assert!(text.starts_with("access_token=") && text.contains("expires_in=3600")),
            }
        }
        faults.next_token_answer(TokenFault::AnswerLost);
        assert_eq!(Journey::of(&demo, "bob").exchange("no code", &[]).await.status(), 400);
    }

    #[tokio::test]
    async fn a_held_answer_waits_for_the_test_and_a_delayed_one_for_its_time() {
        let (demo, tokens) = demo_and_tokens().await;
        let released = Arc::new(Notify::new());
        let faults = demo.authorization_server.faults();
        faults.next_token_answer(TokenFault::HeldUntil(Arc::clone(&released)));
        faults.next_token_answer(TokenFault::Delayed(Duration::from_millis(1)));
        let mut answer = Box::pin(refresh(&demo, &tokens));
        while demo.authorization_server.log().refreshes == 0 {
            assert!((&mut answer).now_or_never().is_none(), "the answer was not held");
            tokio::task::yield_now().await;
        }
        assert!((&mut answer).now_or_never().is_none(), "the answer was not held");
        released.notify_one();
        let tokens: Value = answer.await.json().await.unwrap();
        assert_eq!(refresh(&demo, &tokens).await.status(), 200);
    }
}
