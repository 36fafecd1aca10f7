//! Coming back from the provider: what is not the very round trip of this browser is refused with a page
//! that says so, and stores nothing.

use super::walk::{Process, SetOut, audited, come_back, modern, published, set_out, tool_text};
use doorward_broker::AuthorizationInput;
use doorward_demo::{Demo, IssuerInRedirect};
use doorward_domain::{Audience, Entropy};
use doorward_testkit::app::{Person, TestApp, TestAppOptions};
use doorward_testkit::client::{Answer, Client};
use std::time::Duration;
use url::Url;

struct Stage {
    app: TestApp,
    demo: Demo,
    alice: Person,
    browser: Client,
}

impl Stage {
    /// A gateway that was discovered, so that the server's promise to send `iss` is known.
    async fn set() -> Self {
        let app = TestApp::start().await;
        let demo = app.demo().await;
        let input = published("demo", demo.mcp_server.url(), AuthorizationInput::Discover(Box::default()));
        app.register_input(input).await;
        let alice = app.user("alice").await;
        let browser = app.browser(&alice).await;
        Self { app, demo, alice, browser }
    }

    async fn consented(&self) -> (SetOut, Url) {
        let out = set_out(&self.browser, "demo", None).await;
        let location = self.browser.consent(out.url.as_str(), &self.demo, "alice").await;
        (out, location.parse().unwrap())
    }

    /// The page that a refused callback ends on, after checking that it is one.
    async fn refused(&self, browser: &Client, place: &str, code: &str) {
        assert_eq!(place, format!("/ui/connect-problem?code={code}"));
        let page: Answer = browser.get(place).await;
        assert_eq!(page.status, 400);
        assert!(
            page.text.contains("Nothing was stored") && page.text.contains("My connections"),
            "{}",
            page.text
        );
        let last = &audited(&self.app, "authorization.refused").await[0];
        assert_eq!(last["actor_id"], serde_json::json!(self.alice.id));
    }

    async fn status(&self) -> String {
        let client = self.app.client(&self.alice, Audience::Own).await;
        let answer = client.get("/connections").await;
        answer.json["items"][0]["status"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    fn exchanges(&self) -> usize {
        self.demo.authorization_server.log().token_requests_of("authorization_code")
    }
}

#[tokio::test]
async fn a_callback_is_good_once() {
    let stage = Stage::set().await;
    let (out, location) = stage.consented().await;
    let (first, place) = come_back(&stage.browser, &location, &out.binding).await;
    assert_eq!((first.status, place.as_str()), (303, "/ui/connected/demo"));
    let before = stage.app.client(&stage.alice, Audience::Own).await.get("/connections").await.json;
    let (_, place) = come_back(&stage.browser, &location, &out.binding).await;
    stage.refused(&stage.browser, &place, "unknown_state").await;
    assert_eq!(stage.exchanges(), 1, "the code was redeemed once");
    let after = stage.app.client(&stage.alice, Audience::Own).await.get("/connections").await.json;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_callback_that_comes_after_ten_minutes_is_refused() {
    let stage = Stage::set().await;
    let (out, location) = stage.consented().await;
    stage.app.clock.advance(Duration::from_secs(601));
    let (_, place) = come_back(&stage.browser, &location, &out.binding).await;
    stage.refused(&stage.browser, &place, "expired").await;
    assert_eq!((stage.exchanges(), stage.status().await.as_str()), (0, "not_connected"));
}

#[tokio::test]
async fn a_callback_in_a_browser_that_did_not_set_out_is_refused_and_spoils_nothing() {
    let stage = Stage::set().await;
    let (out, location) = stage.consented().await;
    let elsewhere = stage.app.browser(&stage.alice).await;
    let (name, _) = out.binding.split_once('=').unwrap();
    let planted = format!("{name}={}", Entropy.token());
    let other = set_out(&elsewhere, "demo", None).await.binding;
    for binding in ["unrelated=cookie", &planted, &other] {
        let (_, place) = come_back(&elsewhere, &location, binding).await;
        stage.refused(&elsewhere, &place, "other_browser").await;
    }
    assert_eq!((stage.exchanges(), stage.status().await.as_str()), (0, "not_connected"));
    let (_, place) = come_back(&stage.browser, &location, &out.binding).await;
    assert_eq!(place, "/ui/connected/demo");
}

#[tokio::test]
async fn a_callback_of_somebody_else_is_refused_and_spoils_nothing() {
    let stage = Stage::set().await;
    let (out, location) = stage.consented().await;
    let bob = stage.app.user("bob").await;
    let (_, place) = come_back(&stage.app.browser(&bob).await, &location, &out.binding).await;
    assert_eq!(place, "/ui/connect-problem?code=other_user");
    let (signed_out, place) = come_back(&stage.app.anonymous(), &location, &out.binding).await;
    assert_eq!((signed_out.status, place.as_str()), (303, "/ui/connect-problem?code=signed_out"));
    assert_eq!(stage.exchanges(), 0);
    let (_, place) = come_back(&stage.browser, &location, &out.binding).await;
    assert_eq!(place, "/ui/connected/demo");
}

#[tokio::test]
async fn a_callback_with_a_wrong_or_missing_issuer_is_refused() {
    let stage = Stage::set().await;
    for issuer in [IssuerInRedirect::Wrong("https://evil.example".to_owned()), IssuerInRedirect::Missing] {
        stage.demo.authorization_server.faults().issuer_in_redirects(issuer);
        let (out, location) = stage.consented().await;
        let (_, place) = come_back(&stage.browser, &location, &out.binding).await;
        stage.refused(&stage.browser, &place, "wrong_issuer").await;
    }
    assert_eq!((stage.exchanges(), stage.status().await.as_str()), (0, "not_connected"));
}

#[tokio::test]
async fn a_callback_that_was_never_begun_here_is_refused() {
    let stage = Stage::set().await;
    for (query, code) in
        [("", "no_state"), ("?state=made-up&code=c", "unknown_state"), ("?error=access_denied", "no_state")]
    {
        let answer = stage.browser.get(&format!("/oauth/callback{query}")).await;
        stage.refused(&stage.browser, answer.header("location"), code).await;
    }
    assert_eq!(stage.exchanges(), 0);
}

#[tokio::test]
async fn what_was_begun_in_one_process_is_finished_in_another() {
    let app = TestApp::with(TestAppOptions { postgres: true, ..Default::default() }).await;
    let demo = app.demo().await;
    app.register(&demo, "demo").await;
    let alice = app.user("alice").await;
    let browser = app.browser(&alice).await;
    let out = set_out(&browser, "demo", None).await;
    let location: Url = browser.consent(out.url.as_str(), &demo, "alice").await.parse().unwrap();

    let other = Process::beside(&app).await;
    // The two stand behind one public name.
    let host = app.origin.strip_prefix("http://").unwrap();
    let cookies = format!("{}; {}", browser.cookie(), out.binding);
    let path = &location[url::Position::BeforePath..];
    let request =
        other.client.request(reqwest::Method::GET, path).header("host", host).header("cookie", cookies);
    let answer = other.client.send(request).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/ui/connected/demo"), "{answer:?}");
    // Both serve the same token now.
    let token = app.api_token(&alice, Audience::Mcp).await;
    for client in [app.anonymous(), other.client.clone()] {
        let client = client.with_bearer(&token);
        let params = serde_json::json!({ "name": "demo-whoami" });
        let answer = modern(&client, "/mcp", "tools/call", &params).await;
        assert_eq!(tool_text(&answer), "alice");
    }
    let tokens: Vec<_> = demo.mcp_server.log().into_iter().filter_map(|seen| seen.bearer).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
}
