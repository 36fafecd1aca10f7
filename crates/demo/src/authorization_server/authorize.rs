//! The authorization endpoint: one page that is login and consent at once.

use super::authorize_request::{AuthorizeRefusal, AuthorizeRequest, parameters};
use super::ledger::Permission;
use super::{Shared, page};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;

/// GET: shows the page. It changes nothing but the log.
pub(super) async fn open(State(server): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let asked = parameters(query.as_bytes());
    server.with(|inner| inner.log.authorize_requests.push(asked.clone()));
    match AuthorizeRequest::read(&server, &asked) {
        Ok(request) => page::consent(&server, &request, &query, None, StatusCode::OK),
        Err(refusal) => refused(refusal),
    }
}

/// POST: the person's decision, under the same query as the page.
pub(super) async fn decide(
    State(server): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let query = query.unwrap_or_default();
    let request = match AuthorizeRequest::read(&server, &parameters(query.as_bytes())) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal),
    };
    let form = parameters(&body);
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("decision") != "allow" {
        server.with(|inner| inner.log.denials += 1);
        let denied = [("error", "access_denied"), ("error_description", "the person pressed Cancel")];
        return page::redirect(&request.answer(&server, &denied));
    }
    if !may_log_in(&server, field("username"), field("password")) {
        let why = "That is not the password of this account.";
        return page::consent(&server, &request, &query, Some(why), StatusCode::FORBIDDEN);
    }
    let code = issue_code(&server, &request, field("username"));
    page::redirect(&request.answer(&server, &[("code", &code)]))
}

fn may_log_in(server: &Shared, name: &str, password: &str) -> bool {
    server.account(name).is_some_and(|account| {
        verify_slices_are_equal(account.password.as_bytes(), password.as_bytes()).is_ok()
    })
}

fn issue_code(server: &Shared, request: &AuthorizeRequest, account: &str) -> String {
    let code = server.new_secret("code");
    let permission = Permission {
        account: account.to_owned(),
        client_id: request.client.id.clone(),
        scopes: request.scopes.clone(),
        resource: request.resource.clone(),
    };
    let (redirect_uri, challenge) = (String::from(request.redirect_uri.clone()), request.challenge.clone());
    server.with(|inner| {
        inner.log.consents += 1;
        inner.ledger.add_code(code.clone(), permission, redirect_uri, challenge, server.options.clock.now());
    });
    code
}

fn refused(refusal: AuthorizeRefusal) -> Response {
    match refusal {
        AuthorizeRefusal::Page(why) => page::refused(&why),
        AuthorizeRefusal::Redirect(url) => page::redirect(&url),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ANY_PORT, Journey, client};
    use crate::{Demo, IssuerInRedirect};

    async fn demo() -> Demo {
        Demo::start(ANY_PORT, ANY_PORT, crate::AuthorizationServerOptions::default()).await.unwrap()
    }

    #[tokio::test]
    async fn the_page_names_the_client_and_the_accounts_and_runs_no_script() {
        let demo = demo().await;
        let page = client().get(Journey::of(&demo, "alice").authorization_url()).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        let html = page.text().await.unwrap();
        for wanted in ["Doorward", "alice", "bob", "notes", "Cancel", demo.mcp_server.url().as_str()] {
            assert!(html.contains(wanted), "the page does not show {wanted}");
        }
        assert!(
            !html.contains("<script") && !html.contains(&demo.authorization_server.accounts()[0].password)
        );
        assert_eq!(demo.authorization_server.log().authorize_requests.len(), 1);
    }

    #[tokio::test]
    async fn a_wrong_password_gives_no_code_and_shows_the_page_again() {
        let demo = demo().await;
        let journey = Journey::of(&demo, "alice").password("wrong");
        let answer = journey.decide("allow").await;
        assert_eq!(answer.status(), 403);
        assert!(answer.text().await.unwrap().contains("not the password"));
        assert_eq!(demo.authorization_server.log().consents, 0);
    }

    #[tokio::test]
    async fn cancel_sends_access_denied_with_state_and_issuer() {
        let demo = demo().await;
        let denied = Journey::of(&demo, "alice").redirect_after("deny").await;
        assert_eq!(denied["error"], "access_denied");
        assert_eq!(denied["state"], "the-state");
        assert_eq!(denied["iss"], demo.authorization_server.issuer());
        assert_eq!(demo.authorization_server.log().denials, 1);
    }

    #[tokio::test]
    async fn the_issuer_in_a_redirect_can_be_wrong_or_missing() {
        let demo = demo().await;
        let faults = demo.authorization_server.faults();
        faults.issuer_in_redirects(IssuerInRedirect::Wrong("https://evil.example".to_owned()));
        assert_eq!(Journey::of(&demo, "bob").redirect_after("allow").await["iss"], "https://evil.example");
        faults.issuer_in_redirects(IssuerInRedirect::Missing);
        assert!(!Journey::of(&demo, "bob").redirect_after("allow").await.contains_key("iss"));
    }

    #[tokio::test]
    async fn an_unknown_client_or_redirect_stays_here_and_is_sent_nowhere() {
        let demo = demo().await;
        for (name, value) in [("client_id", "nobody"), ("redirect_uri", "https://evil.example/<b>")] {
            let journey = Journey::of(&demo, "alice").with(name, value);
            let answer = client().get(journey.authorization_url()).send().await.unwrap();
            assert_eq!(answer.status(), 400);
            let answer = journey.decide("allow").await;
            assert_eq!((answer.status().as_u16(), answer.headers().get("location")), (400, None));
            assert!(answer.text().await.unwrap().contains(name));
        }
    }

    #[tokio::test]
    async fn a_request_that_breaks_a_rule_is_told_which() {
        let demo = demo().await;
        for (name, value, error) in [
            ("response_type", "token", "unsupported_response_type"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("code_challenge", "short", "invalid_request"),
            ("scope", "notes everything", "invalid_scope"),
            ("resource", "not a uri", "invalid_target"),
        ] {
            let refused = Journey::of(&demo, "alice").with(name, value).redirect_after("allow").await;
            assert_eq!(refused["error"], error, "{name}={value}");
        }
    }
}
