use super::*;
use crate::client::samples::{client, serve, url};
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use doorward_domain::{ClientSecret, TokenEndpointAuth};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A provider that notes what it is asked, and answers from a list.
struct Provider {
    base: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    async fn answering(answers: Vec<(u16, &'static str)>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let record = Arc::clone(&seen);
        let answer = move |request: Request| {
            let (record, answers) = (Arc::clone(&record), Arc::clone(&answers));
            async move { respond(request, &record, &answers).await }
        };
        let base = serve(Router::new().fallback(any(answer))).await;
        Self { base, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    async fn told(&self, path: &str, method: RevocationMethod) -> Told {
        let (refresh_token, access_token) = (RefreshToken::new("r-1"), AccessToken::new("a-1"));
        self.told_of(path, method, (Some(&refresh_token), Some(&access_token))).await
    }

    async fn told_of(
        &self,
        path: &str,
        method: RevocationMethod,
        (refresh_token, access_token): (Option<&RefreshToken>, Option<&AccessToken>),
    ) -> Told {
        let secret = ClientSecret::new("s");
        let revocation = Revocation {
            method,
            url: &url(&format!("{}{path}", self.base)),
            client: ClientCredentials {
                client_id: "c",
                client_secret: Some(&secret),
                auth: TokenEndpointAuth::Basic,
                dpop: None,
                identity: None,
            },
            refresh_token,
            access_token,
        };
        client().revoke(&revocation).await
    }
}

async fn respond(
    request: Request,
    record: &Mutex<Vec<String>>,
    answers: &Mutex<VecDeque<(u16, &'static str)>>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 10_000).await.unwrap();
    let auth = parts.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    let line = format!("{} {} {auth} {}", parts.method, parts.uri.path(), String::from_utf8_lossy(&body));
    record.lock().unwrap().push(line.trim_end().to_owned());
    let (status, body) = answers.lock().unwrap().pop_front().unwrap_or((200, ""));
    let status = StatusCode::from_u16(status).unwrap();
    let headers =
        if status == StatusCode::SERVICE_UNAVAILABLE { [("retry-after", "7")] } else { [("x", "y")] };
    (status, headers, body).into_response()
}

/// What the provider answers, what that means, and how often it was asked.
type Case = (Vec<(u16, &'static str)>, Told, usize);

const ENDED: Told = Told::Ended { note: None };
/// `c:s`
const BASIC: &str = "Basic Yzpz";

#[tokio::test]
async fn r22_the_stored_refresh_token_is_told_of_and_then_the_access_token_under_the_clients_authentication()
{
    let provider = Provider::answering(vec![]).await;
    assert_eq!(provider.told("/revoke", RevocationMethod::Rfc7009).await, ENDED);
    assert_eq!(
        provider.seen(),
        [
            format!("POST /revoke {BASIC} token=r-1&token_type_hint=refresh_token"),
            format!("POST /revoke {BASIC} token=a-1&token_type_hint=access_token"),
        ]
    );
    let provider = Provider::answering(vec![]).await;
    let access = AccessToken::new("a-1");
    let told = provider.told_of("/revoke", RevocationMethod::Rfc7009, (None, Some(&access))).await;
    assert_eq!((told, provider.seen().len()), (ENDED, 1));
}

#[tokio::test]
async fn what_an_rfc_7009_endpoint_answers_is_not_over_claimed() {
    let refused = |why: &str| Told::Refused { why: why.into() };
    let later = |why: &str, seconds: Option<u64>| Told::Later {
        why: why.into(),
        retry_after: seconds.map(Duration::from_secs),
    };
    let gone = |why: &str| Told::AlreadyGone { why: why.into() };
    let note = "the refresh token; its access token lives until its end (unsupported_token_type)";
    let unsupported = (400, r#"{"error":"unsupported_token_type"}"#);
    let cases: [Case; 10] = [
        (vec![(503, "")], later("status 503", Some(7)), 1),
        (vec![(200, ""), (503, "")], later("status 503", Some(7)), 2),
        (vec![(429, "")], later("status 429", None), 1),
        (vec![(200, ""), unsupported], Told::Ended { note: Some(note.into()) }, 2),
        (vec![unsupported, (200, "")], refused("unsupported_token_type"), 2),
        (vec![(401, r#"{"error":"invalid_client"}"#); 2], refused("invalid_client"), 2),
        (vec![(400, r#"{"error":"invalid_token"}"#); 2], gone("invalid_token"), 2),
        (vec![(200, r#"{"ok":false,"error":"not_allowed"}"#); 2], refused("not_allowed"), 2),
        (vec![(302, ""), (302, "")], refused("status 302"), 2),
        (vec![(404, "<html>"), (404, "<html>")], refused("status 404"), 2),
    ];
    for (answers, expected, requests) in cases {
        let provider = Provider::answering(answers.clone()).await;
        assert_eq!(provider.told("/revoke", RevocationMethod::Rfc7009).await, expected, "{answers:?}");
        assert_eq!(provider.seen().len(), requests, "{answers:?}");
    }
    let nobody = Provider { base: "http://127.0.0.1:9".into(), seen: Arc::default() };
    let told = nobody.told("/revoke", RevocationMethod::Rfc7009).await;
    assert!(matches!(&told, Told::Later { why, .. } if !why.contains("r-1")), "{told:?}");
}

#[tokio::test]
async fn github_is_told_by_delete_with_the_token_as_json() {
    let method = RevocationMethod::GithubDelete;
    for (status, expected) in [
        (204, ENDED),
        (404, Told::AlreadyGone { why: "status 404".into() }),
        (422, Told::AlreadyGone { why: "status 422".into() }),
        (401, Told::Refused { why: "status 401".into() }),
        (500, Told::Later { why: "status 500".into(), retry_after: None }),
    ] {
        let provider = Provider::answering(vec![(status, "")]).await;
        assert_eq!(provider.told("/applications/{client_id}/token", method).await, expected);
        assert_eq!(
            provider.seen(),
            [format!(r#"DELETE /applications/c/token {BASIC} {{"access_token":"a-1"}}"#)]
        );
    }
    let provider = Provider::answering(vec![]).await;
    assert!(matches!(provider.told_of("/x", method, (None, None)).await, Told::Refused { .. }));
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn a_bearer_call_carries_the_access_token_itself_and_nothing_else() {
    let method = RevocationMethod::BearerCall;
    for (answer, expected) in [
        ((200, r#"{"ok":true}"#), ENDED),
        ((200, r#"{"ok":false,"error":"token_revoked"}"#), Told::AlreadyGone { why: "token_revoked".into() }),
        ((401, ""), Told::AlreadyGone { why: "status 401".into() }),
        ((403, ""), Told::Refused { why: "status 403".into() }),
    ] {
        let provider = Provider::answering(vec![answer]).await;
        assert_eq!(provider.told("/auth.revoke", method).await, expected);
        assert_eq!(provider.seen(), ["POST /auth.revoke Bearer a-1"]);
    }
}

#[tokio::test]
async fn r38_no_revocation_leaves_for_a_forbidden_address() {
    let forbidden = Provider { base: "http://10.0.0.1".into(), seen: Arc::default() };
    let told = forbidden.told("/revoke", RevocationMethod::Rfc7009).await;
    assert!(matches!(told, Told::Later { .. }), "{told:?}");
}
